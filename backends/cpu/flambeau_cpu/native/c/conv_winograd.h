/* Convolutions of 3 x 3 taps and stride 1 by F(2 x 2, 3 x 3) of Lavin and Gray, "Fast Algorithms
   for Convolutional Neural Networks", 2016: a square of 2 x 2 outputs takes 16 products per pair
   of channels in place of 36.  Vectors run along images, so what turns squares of the input, of
   the weight and of the sums into one another is elementwise. */

#ifndef CONV_WINOGRAD
#define CONV_WINOGRAD
#define POINTS 16         /* products of a square */
#define SQUARE_DEEP 128   /* channels summed at a time */
#define SQUARE_COST 1.35  /* of a product here, compared with one of the direct sum */
#endif

static inline int L(is_square)(const part *p) {
  const axis *a = p->a;
  if (a[1].in != 1 || a[1].out != 1 || a[1].taps != 1 || a[1].at[0]) return 0;
  for (int d = 0; d < 3; d += 2) {
    if (a[d].taps != 3 || a[d].step != 1 || a[d].div != 1) return 0;
    if (a[d].at[1] != a[d].at[0] + 1 || a[d].at[2] != a[d].at[0] + 2) return 0;
  }
  return 1;
}

/* u = G w G', G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]. */
static inline __attribute__((always_inline)) void L(turn_weight)(const L(v) *w, L(v) *u) {
  L(v) r[4][3];
  for (int j = 0; j < 3; ++j) {
    const L(v) ends = w[j] + w[6 + j];
    r[0][j] = w[j], r[3][j] = w[6 + j];
    r[1][j] = (ends + w[3 + j]) * (T)0.5, r[2][j] = (ends - w[3 + j]) * (T)0.5;
  }
  for (int i = 0; i < 4; ++i) {
    const L(v) ends = r[i][0] + r[i][2];
    u[4 * i] = r[i][0], u[4 * i + 3] = r[i][2];
    u[4 * i + 1] = (ends + r[i][1]) * (T)0.5, u[4 * i + 2] = (ends - r[i][1]) * (T)0.5;
  }
}

/* Task i packs panel i of all groups: [point][c][m]. */
static void L(square_pack)(void *context, i64 i) {
  const L(sum) *s = context;
  const frame *f = &s->f;
  const axis *a = s->parts->a;
  const i64 g = i / s->high.count, at = i % s->high.count, channels = f->channels;
  const i64 m0 = panel_at(s->high, at), rows = panel_at(s->high, at + 1) - m0;
  T *to = s->packed + (g * f->outs + m0) * channels * POINTS;
  T seen[9][TALLEST + 2 * W] = {{0}};
  i64 place[9];
  for (int t = 0; t < 9; ++t) place[t] = a[0].tap[t / 3] * a[0].ws + a[2].tap[t % 3] * a[2].ws;
  for (i64 c = 0; c < channels; ++c) {
    const T *from = s->w + g * f->wg + m0 * f->wm + c * f->wc;
    for (i64 m = 0; m < rows; ++m)
      for (int t = 0; t < 9; ++t) seen[t][m] = from[m * f->wm + place[t]];
    for (i64 m = 0; m < rows; m += W) {
      L(v) w[9], u[POINTS];
      for (int t = 0; t < 9; ++t) w[t] = L(load)(seen[t] + m);
      L(turn_weight)(w, u);
      for (int k = 0; k < POINTS; ++k)
        L(store_part)(to + (k * channels + c) * rows + m, fb_min(W, rows - m), u[k]);
    }
  }
}

/* v = B' d B of a square of 4 x 4 inputs, where[k] its places, NULL beyond the border;
   B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]. */
static inline void L(turn_input)(const T *const *where, i64 offset, T *to, i64 apart) {
  L(v) r[4][4];
  _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) {
    L(v) d[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i)
      d[i] = where[4 * i + j] ? L(load)(where[4 * i + j] + offset) : L(set)(0);
    r[0][j] = d[0] - d[2], r[1][j] = d[1] + d[2], r[2][j] = d[2] - d[1], r[3][j] = d[1] - d[3];
  }
  _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) {
    L(store)(to + (4 * i) * apart, r[i][0] - r[i][2]);
    L(store)(to + (4 * i + 1) * apart, r[i][1] + r[i][2]);
    L(store)(to + (4 * i + 2) * apart, r[i][2] - r[i][1]);
    L(store)(to + (4 * i + 3) * apart, r[i][1] - r[i][3]);
  }
}

/* y = A' m A + bias, A' = [1 1 1 0; 0 1 -1 -1]; outputs beyond the border are NULL. */
static inline void L(turn_sums)(const T *from, i64 apart, T bias, T *const *where, i64 offset) {
  L(v) r[2][4];
  _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) {
    L(v) m[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) m[i] = L(load)(from + (4 * i + j) * apart);
    r[0][j] = m[0] + m[1] + m[2], r[1][j] = m[1] - m[2] - m[3];
  }
  _Pragma("GCC unroll 2") for (int i = 0; i < 2; ++i) {
    if (where[2 * i]) L(store)(where[2 * i] + offset, r[i][0] + r[i][1] + r[i][2] + bias);
    if (where[2 * i + 1])
      L(store)(where[2 * i + 1] + offset, r[i][1] - r[i][2] - r[i][3] + bias);
  }
}

typedef struct {
  L(sum) *s;
  L(turning) x, y;
  i64 high, wide, run, runs; /* squares down and across, squares of a task, tasks' runs */
} L(squares);

/* One square of outputs of some images, for a range of panels. */
static void L(square)(const L(squares) *q, i64 g, i64 group, i64 first, i64 last, i64 at, T *sums,
                      T *turned, const step *steps) {
  const L(sum) *s = q->s;
  const frame *f = &s->f;
  const axis *a = s->parts->a;
  const i64 lanes = s->vectors * W, m0 = panel_at(s->high, first);
  const i64 rows = panel_at(s->high, last) - m0;
  const i64 top = at / q->wide * 2, left = at % q->wide * 2;
  const T *x = q->x.to + (group * f->groups + g) * f->channels * q->x.plane;
  T *y = q->y.to + ((group * f->groups + g) * f->outs + m0) * q->y.plane;
  static const T zeros[TALLEST];
  for (i64 c0 = 0; c0 < f->channels; c0 += SQUARE_DEEP) {
    const i64 channels = fb_min(SQUARE_DEEP, f->channels - c0);
    const T *from[POINTS];
    for (int k = 0; k < POINTS; ++k) {
      const i64 i = top + a[0].at[0] + k / 4, j = left + a[2].at[0] + k % 4;
      from[k] = i < 0 || i >= a[0].in || j < 0 || j >= a[2].in
                    ? NULL : x + c0 * q->x.plane + (i * a[2].in + j) * lanes;
    }
    for (i64 c = 0; c < channels; ++c)
      for (i64 v = 0; v < lanes; v += W)
        L(turn_input)(from, c * q->x.plane + v, turned + c * lanes + v,
                      APART(SQUARE_DEEP * lanes));
    for (i64 k = 0; k < POINTS; ++k)
      for (i64 i = first; i < last; ++i) {
        const i64 m = panel_at(s->high, i), high = panel_at(s->high, i + 1) - m;
        const T *weight = s->packed + ((g * f->outs + m) * POINTS + k * high) * f->channels;
        s->tiles[high](weight + c0 * high, high, turned + k * APART(SQUARE_DEEP * lanes), steps, channels,
                       sums + k * APART(rows * lanes) + (m - m0) * lanes, lanes, c0 ? NULL : zeros);
      }
  }
  for (i64 m = 0; m < rows; ++m) {
    T *to[4];
    for (int k = 0; k < 4; ++k) {
      const i64 i = top + k / 2, j = left + k % 2;
      to[k] = i < a[0].out && j < a[2].out ? y + m * q->y.plane + (i * a[2].out + j) * lanes : NULL;
    }
    const T bias = s->bias ? s->bias[g * f->outs + m0 + m] : 0;
    for (i64 v = 0; v < lanes; v += W)
      L(turn_sums)(sums + m * lanes + v, APART(rows * lanes), bias, to, v);
  }
}

/* Task i: a run of squares, for a range of panels, of a group of images. */
static void L(square_task)(void *context, i64 i) {
  const L(squares) *q = context;
  const L(sum) *s = q->s;
  const i64 range = i % s->ranges, run = i / s->ranges % q->runs, rest = i / s->ranges / q->runs;
  const i64 g = rest % s->f.groups, group = rest / s->f.groups, lanes = s->vectors * W;
  const i64 first = range * s->per_task, last = fb_min(first + s->per_task, s->high.count);
  const i64 rows = panel_at(s->high, last) - panel_at(s->high, first);
  char *memory = take_room(&task_room, (APART(rows * lanes) + APART(SQUARE_DEEP * lanes)) *
                                               POINTS * sizeof(T) +
                                           SQUARE_DEEP * sizeof(step));
  T *sums = (T *)memory, *turned = sums + APART(rows * lanes) * POINTS;
  step *steps = (step *)(turned + APART(SQUARE_DEEP * lanes) * POINTS);
  for (i64 c = 0; c < SQUARE_DEEP; ++c) steps[c] = (step){c, c * lanes};
  for (i64 at = run * q->run; at < fb_min((run + 1) * q->run, q->high * q->wide); ++at)
    L(square)(q, g, group, first, last, at, sums, turned, steps);
}

static f64 L(square_cost)(const axis *a, const frame *f, i64 lanes) {
  const f64 squares = (f64)fb_ceil(a[0].out, 2) * fb_ceil(a[2].out, 2) * f->groups *
                      fb_ceil(f->images, lanes) * lanes;
  return squares * (POINTS * SQUARE_COST * f->channels * f->outs +
                    W * TURNED_COPY * 4.0 * (f->channels + f->outs) + 30.0 * f->outs);
}

/* Computes one part that is_square. */
static int L(run_squares)(L(sum) *s) {
  const frame *f = &s->f;
  const axis *a = s->parts->a;
  const i64 lanes = s->vectors * W, groups = fb_ceil(f->images, lanes);
  L(squares) q = {.s = s, .high = fb_ceil(a[0].out, 2), .wide = fb_ceil(a[2].out, 2)};
  q.x = L(turning_of)(s->x, f->xn, f->xc, a, 1, f->groups * f->channels, f->images, lanes);
  q.y = L(turning_of)(s->y, f->yn, f->yc, a, 0, f->groups * f->outs, f->images, lanes);
  const i64 squares = q.high * q.wide;
  s->per_task = fb_min(s->high.count, PANELS), q.run = fb_min(squares, 8);
  for (;;) {
    s->per_task = fb_ceil(s->high.count, fb_ceil(s->high.count, s->per_task));
    s->ranges = fb_ceil(s->high.count, s->per_task), q.runs = fb_ceil(squares, q.run);
    if (s->ranges * q.runs * groups * f->groups >= ENOUGH_TASKS) break;
    if (q.run > 2) q.run = fb_ceil(q.run, 2);
    else if (s->per_task > 4) s->per_task = fb_ceil(s->per_task, 2);
    else if (q.run > 1) q.run = 1;
    else break;
  }
  const i64 packed = fb_ceil(f->groups * f->outs * f->channels * POINTS, 16) * 16;
  const i64 x = L(turned_size)(&q.x), y = L(turned_size)(&q.y);
  s->packed = take_room(&call_room, (packed + x + y) * sizeof(T));
  if (!s->packed) return 0;
  fb_parallel(L(square_pack), s, s->high.count * f->groups);
  L(turn_all)(&q.x, s->packed + packed);
  q.y.to = s->packed + packed + x, q.y.is_back = 1;
  fb_parallel(L(square_task), &q, s->ranges * q.runs * groups * f->groups);
  L(turn_all)(&q.y, q.y.to);
  leave_room(&call_room);
  return 1;
}

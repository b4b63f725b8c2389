/* The gradient of a weight of 3 x 3 by squares: the adjoint of conv_winograd.h.  The sum runs over
   squares of all images, so vectors run along channels here. */

#ifndef CONV_WINOGRAD_WEIGHT
#define CONV_WINOGRAD_WEIGHT
#define RUN 48          /* squares whose products are summed at a time */
#define SQUARE_PANELS 5 /* of outs, for a task */
#define SQUARE_COLUMNS 64 /* channels of a task */
#endif

typedef struct {
  const frame *f;
  const axis *a;
  L(rows) x, g;
  panels high;
  i64 down, across, splits, m_ranges, c_ranges;
  i64 wide, one; /* channels in whole tiles; from a point to the next */
  T *partial, *w;
} L(square_weight);

/* r = A g A', A = [1 0; 1 1; 1 -1; 0 -1]. */
static inline void L(turn_grad)(const T *const *where, i64 offset, T *to, i64 apart) {
  L(v) g[4], r[4][2];
  for (int k = 0; k < 4; ++k) g[k] = where[k] ? L(load)(where[k] + offset) : L(set)(0);
  for (int j = 0; j < 2; ++j) {
    r[0][j] = g[j], r[1][j] = g[j] + g[2 + j], r[2][j] = g[j] - g[2 + j], r[3][j] = -g[2 + j];
  }
  _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) {
    const L(v) v[4] = {r[i][0], r[i][0] + r[i][1], r[i][0] - r[i][1], -r[i][1]};
    _Pragma("GCC unroll 4") for (int j = 0; j < 4; ++j) L(store)(to + (4 * i + j) * apart, v[j]);
  }
}

/* Squares k0 up to k1 of all, turned: x as [point][tile of channels][square][channel], g as
   [point][square][out]. */
static void L(turn_run)(const L(square_weight) *q, i64 k0, i64 k1, i64 g, i64 m0, i64 width,
                        i64 c0, i64 channels, T *xs, T *gs) {
  const axis *a = q->a;
  const i64 tile = 2 * W, tiles = fb_ceil(channels, tile);
  for (i64 k = k0; k < k1; ++k) {
    const i64 n = k / (q->down * q->across), at = k % (q->down * q->across);
    const i64 top = at / q->across * 2, left = at % q->across * 2;
    const T *from[POINTS], *grad[4];
    for (int p = 0; p < POINTS; ++p) {
      const i64 i = top + a[0].at[0] + p / 4, j = left + a[2].at[0] + p % 4;
      from[p] = i < 0 || i >= a[0].in || j < 0 || j >= a[2].in ? NULL
          : q->x.to + ((n * a[0].in + i) * a[2].in + j) * q->x.channels + g * q->f->channels + c0;
    }
    for (int p = 0; p < 4; ++p) {
      const i64 i = top + p / 2, j = left + p % 2;
      grad[p] = i >= a[0].out || j >= a[2].out ? NULL
          : q->g.to + ((n * a[0].out + i) * a[2].out + j) * q->g.channels + g * q->f->outs;
    }
    for (i64 t = 0; t < tiles; ++t)
      for (i64 v = 0; v < tile; v += W)
        L(turn_input)(from, t * tile + v, xs + (t * RUN + k - k0) * tile + v,
                      APART(tiles * tile * RUN));
    for (i64 v = 0; v < width; v += W)
      L(turn_grad)(grad, m0 + v, gs + (k - k0) * width + v, APART(width * RUN));
  }
}

/* Some channels of a row of the gradient: G' u G of the splits' sums, in their order. */
static void L(join_squares)(const L(square_weight) *q, const T *from, i64 one, i64 split, T *to,
                            i64 channels) {
  const frame *f = q->f;
  const axis *a = q->a;
  const i64 next = f->wc;
  i64 place[9];
  for (int t = 0; t < 9; ++t) place[t] = a[0].tap[t / 3] * a[0].ws + a[2].tap[t % 3] * a[2].ws;
  for (i64 c = 0; c < channels; c += W) {
    L(v) u[POINTS], r[3][4];
    for (int p = 0; p < POINTS; ++p) {
      u[p] = L(load)(from + p * one + c);
      for (i64 s = 1; s < q->splits; ++s) u[p] += L(load)(from + p * one + c + s * split);
    }
    for (int k = 0; k < 4; ++k) {
      const L(v) sum = (u[4 + k] + u[8 + k]) * (T)0.5;
      r[0][k] = u[k] + sum, r[1][k] = (u[4 + k] - u[8 + k]) * (T)0.5, r[2][k] = sum + u[12 + k];
    }
    T kept[9][W];
    for (int k = 0; k < 3; ++k) {
      const L(v) sum = (r[k][1] + r[k][2]) * (T)0.5;
      L(store)(kept[3 * k], r[k][0] + sum);
      L(store)(kept[3 * k + 1], (r[k][1] - r[k][2]) * (T)0.5);
      L(store)(kept[3 * k + 2], sum + r[k][3]);
    }
    for (i64 n = 0; n < fb_min(W, channels - c); ++n)
      for (int t = 0; t < 9; ++t)
        to[(c + n) * next + place[t]] = kept[t][n];
  }
}

/* Task i: row i of the gradient. */
static void L(square_join_task)(void *context, i64 i) {
  const L(square_weight) *q = context;
  const i64 outs = q->f->outs;
  L(join_squares)(q, q->partial + i / outs * POINTS * q->one + i % outs * q->wide, q->one,
                  q->f->groups * POINTS * q->one, q->w + i * q->f->wm, q->f->channels);
}

/* Task i: a split of the sum, a group, a range of panels and one of channels. */
static void L(square_weight_task)(void *context, i64 i) {
  const L(square_weight) *q = context;
  const frame *f = q->f;
  const i64 tile = 2 * W, cr = i % q->c_ranges, mr = i / q->c_ranges % q->m_ranges;
  const i64 rest = i / q->c_ranges / q->m_ranges, g = rest % f->groups, split = rest / f->groups;
  const i64 first = mr * SQUARE_PANELS, last = fb_min(first + SQUARE_PANELS, q->high.count);
  const i64 m0 = panel_at(q->high, first);
  const i64 width = fb_ceil(panel_at(q->high, last) - m0, W) * W;
  const i64 c0 = cr * SQUARE_COLUMNS, channels = fb_min(SQUARE_COLUMNS, f->channels - c0);
  const i64 tiles = fb_ceil(channels, tile), all = f->images * q->down * q->across;
  /* without splits the sums stay in the cache until the gradient is made of them */
  const i64 kept = q->splits == 1 ? APART(width * SQUARE_COLUMNS) : 0;
  char *memory = take_room(
      &task_room, (APART(tiles * tile * RUN) + APART(width * RUN) + kept) * POINTS * sizeof(T) +
                      RUN * sizeof(step));
  T *xs = (T *)memory, *gs = xs + APART(tiles * tile * RUN) * POINTS;
  T *sums = gs + APART(width * RUN) * POINTS;
  step *steps = (step *)(sums + kept * POINTS);
  const i64 one = kept ? kept : q->one, wide = kept ? SQUARE_COLUMNS : q->wide;
  if (!kept)
    sums = q->partial + (split * f->groups + g) * POINTS * q->one + m0 * q->wide + c0;
  for (i64 k = 0; k < RUN; ++k) steps[k] = (step){k, k * tile};
  static const T zeros[TALLEST];
  const i64 begin = split * all / q->splits, end = (split + 1) * all / q->splits;
  for (i64 k = begin; k < end; k += RUN) {
    const i64 count = fb_min(RUN, end - k);
    L(turn_run)(q, k, k + count, g, m0, width, c0, channels, xs, gs);
    for (i64 p = 0; p < POINTS; ++p)
      for (i64 t = 0; t < tiles; ++t)
        for (i64 h = first; h < last; ++h) {
          const i64 m = panel_at(q->high, h), high = panel_at(q->high, h + 1) - m;
          T *to = sums + p * one + (m - m0) * wide + t * tile;
          L(narrow)[high](gs + p * APART(width * RUN) + m - m0, width,
                          xs + p * APART(tiles * tile * RUN) + t * tile * RUN, steps, count, to, wide, k == begin ? zeros : NULL);
        }
  }
  if (kept)
    for (i64 m = m0; m < panel_at(q->high, last); ++m)
      L(join_squares)(q, sums + (m - m0) * wide, one, 0,
                      q->w + (g * f->outs + m) * f->wm + c0 * f->wc, channels);
  leave_room(&task_room);
}

static f64 L(square_weight_cost)(const axis *a, const frame *f) {
  const f64 squares = (f64)f->images * fb_ceil(a[0].out, 2) * fb_ceil(a[2].out, 2) * f->groups;
  const i64 wide = fb_ceil(f->channels, 2 * W) * 2 * W;
  return squares * (POINTS * SQUARE_COST * wide * f->outs +
                    W * TURNED_COPY * 4.0 * (wide + f->outs)) +
         20.0 * POINTS * wide * f->outs * f->groups;
}

static int L(run_square_weight)(const frame *f, const axis *a, const T *x, const T *g, T *w) {
  L(square_weight) q = {
      .f = f, .a = a, .w = w, .x = L(rows_of)(x, f->xn, f->xc, a, 1, f->groups * f->channels),
      .g = L(rows_of)(g, f->yn, f->yc, a, 0, f->groups * f->outs),
      .high = panels_of(f->outs, TALLEST), .down = fb_ceil(a[0].out, 2),
      .across = fb_ceil(a[2].out, 2), .wide = fb_ceil(f->channels, 2 * W) * 2 * W};
  q.one = APART(f->outs * q.wide);
  q.m_ranges = fb_ceil(q.high.count, SQUARE_PANELS);
  q.c_ranges = fb_ceil(f->channels, SQUARE_COLUMNS);
  const i64 tasks = q.m_ranges * q.c_ranges * f->groups, all = f->images * q.down * q.across;
  q.splits = fb_max(1, fb_min(fb_ceil(ENOUGH_TASKS, tasks), all / (4 * RUN)));
  const i64 sx = L(rows_size)(&q.x, f->images), sg = L(rows_size)(&q.g, f->images);
  const i64 sums = q.splits > 1 ? q.splits * f->groups * POINTS * q.one : 0;
  T *room = take_room(&call_room, (sx + sg + sums) * sizeof(T));
  if (!room) return 0;
  q.partial = room, q.x.to = room + sums, q.g.to = room + sums + sx;
  fb_parallel(L(row_task), &q.x, f->images);
  fb_parallel(L(row_task), &q.g, f->images);
  fb_parallel(L(square_weight_task), &q, q.splits * tasks);
  if (q.splits > 1) fb_parallel(L(square_join_task), &q, f->groups * f->outs);
  leave_room(&call_room);
  return 1;
}

/* The gradient of the weight where channels are many: a product of matrices for each tap, summed
   over those positions where the tap meets the input.  Rows of both are channels. */

#ifndef CONV_ROWS
#define CONV_ROWS
#define ROWS_RUN 384    /* outputs whose products are summed at a time, about */
#define ROWS_PANELS 5   /* of outs, for a task */
#define ROWS_COLUMNS 64 /* channels of a task */
#define PARTIAL (1 << 22) /* most elements of partial sums */
#define ROW_COST 1.06   /* of a product here, compared with one of the sum by positions */
#endif

/* An array with channels innermost: [image][position][channel].  Vectors may reach into the next
   row: nobody wants their last lanes. */
typedef struct {
  const T *from;
  T *to;
  i64 sn, sc, ss[3], count[3], channels, positions;
} L(rows);

static L(rows) L(rows_of)(const T *from, i64 sn, i64 sc, const axis *a, int is_x, i64 channels) {
  L(rows) r = {.from = from, .sn = sn, .sc = sc, .channels = channels, .positions = 1};
  for (int d = 0; d < 3; ++d) {
    r.ss[d] = is_x ? a[d].xs : a[d].ys, r.count[d] = is_x ? a[d].in : a[d].out;
    r.positions *= r.count[d];
  }
  return r;
}
static i64 L(rows_size)(const L(rows) *r, i64 images) {
  return APART(images * r->positions * r->channels + 4 * W);
}

/* Task n: one image. */
static void L(row_task)(void *context, i64 n) {
  const L(rows) *r = context;
  const i64 *count = r->count, *ss = r->ss;
  T *to = r->to + n * r->positions * r->channels;
  const int is_flat = (count[1] == 1 || ss[1] == count[2] * ss[2]) &&
                      (count[0] == 1 || ss[0] == count[1] * count[2] * ss[2]);
  const i64 run = is_flat ? r->positions : count[2];
  for (i64 i = 0; i < r->positions / fb_max(run, 1); ++i)
    L(move)(to + i * run * r->channels, r->channels, 1,
            r->from + n * r->sn + (is_flat ? 0 : i / count[1] * ss[0] + i % count[1] * ss[1]),
            ss[2], r->sc, run, r->channels);
}

typedef struct {
  const frame *f;
  const axis *a;
  L(rows) x, g;
  panels high;
  i64 taps, splits, m_ranges, c_ranges, images; /* images of a run */
  i64 wide, one; /* channels in whole tiles; from a tap to the next */
  T *partial, *w;
} L(row_weight);

/* The steps of a tap for some images: rows of g, places of x. */
static i64 L(row_steps)(const L(row_weight) *q, i64 tap, i64 images, step *steps) {
  const axis *a = q->a;
  const i64 at[3] = {a[0].at[tap / (a[1].taps * a[2].taps)], a[1].at[tap / a[2].taps % a[1].taps],
                     a[2].at[tap % a[2].taps]};
  const i64 row = q->x.channels;
  i64 lo[3], hi[3], count = 0;
  for (int d = 0; d < 3; ++d) {
    lo[d] = fb_min(fb_max(-floor_div(at[d], a[d].step), 0), a[d].out);
    hi[d] = fb_max(fb_min(floor_div(a[d].in - 1 - at[d], a[d].step) + 1, a[d].out), lo[d]);
  }
  for (i64 n = 0; n < images; ++n)
    for (i64 i = lo[0]; i < hi[0]; ++i)
      for (i64 j = lo[1]; j < hi[1]; ++j) {
        const i64 o = ((n * a[0].out + i) * a[1].out + j) * a[2].out;
        const i64 p = ((n * a[0].in + i * a[0].step + at[0]) * a[1].in + j * a[1].step + at[1]) *
                      a[2].in;
        for (i64 k = lo[2]; k < hi[2]; ++k)
          steps[count++] = (step){o + k, (p + k * a[2].step + at[2]) * row};
      }
  return count;
}

/* Task i: a split of the images, a group, a range of panels and one of channels. */
static void L(row_weight_task)(void *context, i64 i) {
  const L(row_weight) *q = context;
  const frame *f = q->f;
  const i64 tile = 2 * W, cr = i % q->c_ranges, mr = i / q->c_ranges % q->m_ranges;
  const i64 rest = i / q->c_ranges / q->m_ranges, g = rest % f->groups, split = rest / f->groups;
  const i64 first = mr * ROWS_PANELS, last = fb_min(first + ROWS_PANELS, q->high.count);
  const i64 c0 = cr * ROWS_COLUMNS, tiles = fb_ceil(fb_min(ROWS_COLUMNS, f->channels - c0), tile);
  const i64 begin = split * f->images / q->splits, end = (split + 1) * f->images / q->splits;
  step *steps = take_room(&task_room, q->images * q->g.positions * sizeof(step));
  static const T zeros[TALLEST];
  for (i64 n = begin; n < end; n += q->images) {
    const T *x = q->x.to + n * q->x.positions * q->x.channels + g * f->channels + c0;
    const T *grad = q->g.to + n * q->g.positions * q->g.channels + g * f->outs;
    for (i64 t = 0; t < q->taps; ++t) {
      const i64 count = L(row_steps)(q, t, fb_min(q->images, end - n), steps);
      T *to = q->partial + ((split * f->groups + g) * q->taps + t) * q->one + c0;
      for (i64 k = 0; k < tiles; ++k)
        for (i64 h = first; h < last; ++h) {
          const i64 m = panel_at(q->high, h), high = panel_at(q->high, h + 1) - m;
          L(narrow)[high](grad + m, q->g.channels, x + k * tile, steps, count,
                          to + m * q->wide + k * tile, q->wide, n == begin ? zeros : NULL);
        }
    }
  }
  leave_room(&task_room);
}

/* Task i: row i of the gradient from the splits, in their order. */
static void L(row_join_task)(void *context, i64 i) {
  const L(row_weight) *q = context;
  const frame *f = q->f;
  const axis *a = q->a;
  const i64 g = i / f->outs, m = i % f->outs, all = f->groups * q->taps * q->one;
  for (i64 c = 0; c < f->channels; c += W)
    for (i64 t = 0; t < q->taps; ++t) {
      const T *from = q->partial + (g * q->taps + t) * q->one + m * q->wide + c;
      L(v) sum = L(load)(from);
      for (i64 s = 1; s < q->splits; ++s) sum += L(load)(from + s * all);
      T kept[W], *to = q->w + i * f->wm + c * f->wc +
                       a[0].tap[t / (a[1].taps * a[2].taps)] * a[0].ws +
                       a[1].tap[t / a[2].taps % a[1].taps] * a[1].ws +
                       a[2].tap[t % a[2].taps] * a[2].ws;
      L(store)(kept, sum);
      const i64 next = f->wc, some = fb_min(W, f->channels - c);
      for (i64 k = 0; k < some; ++k) to[k * next] = kept[k];
    }
}

static f64 L(row_weight_cost)(const axis *a, const frame *f) {
  const i64 wide = fb_ceil(f->channels, 2 * W) * 2 * W;
  f64 met = (f64)f->images * f->groups, in = met, out = met;
  for (int d = 0; d < 3; ++d) met *= meetings(a + d), in *= a[d].in, out *= a[d].out;
  const i64 thin = f->outs < SUMS / 4 ? SUMS / 4 : f->outs; /* few rows wait for their sums */
  return met * wide * thin * ROW_COST + W * TURNED_COPY * (in * f->channels + out * f->outs);
}

static int L(run_row_weight)(const frame *f, const axis *a, const T *x, const T *g, T *w) {
  L(row_weight) q = {
      .f = f, .a = a, .x = L(rows_of)(x, f->xn, f->xc, a, 1, f->groups * f->channels),
      .g = L(rows_of)(g, f->yn, f->yc, a, 0, f->groups * f->outs), .w = w,
      .taps = a[0].taps * a[1].taps * a[2].taps, .high = panels_of(f->outs, TALLEST),
      .wide = fb_ceil(f->channels, 2 * W) * 2 * W};
  q.one = APART(f->outs * q.wide);
  q.m_ranges = fb_ceil(q.high.count, ROWS_PANELS);
  q.c_ranges = fb_ceil(f->channels, ROWS_COLUMNS);
  q.images = fb_max(1, fb_min(f->images, (ROWS_RUN + q.g.positions / 2) / q.g.positions));
  const i64 tasks = q.m_ranges * q.c_ranges * f->groups, each = f->groups * q.taps * q.one;
  const i64 wanted = fb_max(1, fb_min(ENOUGH_TASKS, L(row_weight_cost)(a, f) / WORK));
  q.splits = fb_max(1, fb_min(fb_min(fb_ceil(wanted, tasks), f->images), PARTIAL / each));
  const i64 sx = L(rows_size)(&q.x, f->images), sg = L(rows_size)(&q.g, f->images);
  T *room = take_room(&call_room, (sx + sg + q.splits * each) * sizeof(T));
  if (!room) return 0;
  q.x.to = room, q.g.to = room + sx, q.partial = room + sx + sg;
  fb_parallel(L(row_task), &q.x, f->images);
  fb_parallel(L(row_task), &q.g, f->images);
  fb_parallel(L(row_weight_task), &q, q.splits * tasks);
  fb_parallel(L(row_join_task), &q, f->groups * f->outs);
  leave_room(&call_room);
  return 1;
}

/* The gradient of the weight: w[m, c, t] = sum over images n and outputs o of
   g[n, m, o] * x[n, c, i(o, t)].  Both are stored as for the sums of conv_sum.h, so that the
   products along whole vectors need no transposition. */

#ifndef CONV_WEIGHT
#define CONV_WEIGHT
#define LONG 1024         /* outputs of a unit, about: both operands stay in the cache */
#define G_ROWS 64         /* outs of a task */
#define X_STEPS 400       /* channels times taps whose x is stored at a time */
#endif

typedef struct {
  frame f;
  part p;
  const T *x, *g;
  T *w, *partial;
  i64 splits, outs_cut, m_ranges, channels_cut, c_ranges; /* splits of the sum over units */
  i64 lanes;
  T *turned_x, *turned_g;
  i64 plane_x, plane_g; /* of a channel, turned */
} L(weight);

/* One unit's addition to a block of the gradient: rows of g, channels of x.
   Steps are the same for all columns (by positions), or for those of a tap (by images). */
typedef struct {
  const T *g, *x;
  i64 ldg, rows, channels, taps;
  T *to;
  i64 ldt;
  int is_first;
} L(block);

static void L(dot_columns)(const L(block) *b, i64 count, const i64 *column, const i64 *index,
                           const step *steps, i64 length) {
  const panels high = panels_of(b->rows, TAPS_TALL);
  T sums[TAPS_TALL][TAPS_WIDE];
  for (i64 i = 0; i < high.count; ++i) {
    const i64 m = panel_at(high, i), rows = panel_at(high, i + 1) - m;
    for (i64 j = 0; j < count; j += TAPS_WIDE) {
      i64 at[TAPS_WIDE];
      for (i64 k = 0; k < TAPS_WIDE; ++k) at[k] = column[fb_min(j + k, count - 1)];
      L(dots)[rows](b->g + m * b->ldg, b->ldg, b->x, at, steps, length, sums);
      for (i64 r = 0; r < rows; ++r)
        for (i64 k = 0; k < fb_min(TAPS_WIDE, count - j); ++k) {
          T *to = b->to + (m + r) * b->ldt + index[j + k];
          *to = b->is_first ? sums[r][k] : *to + sums[r][k];
        }
    }
  }
}

static void L(flat_unit_weight)(const L(weight) *w, L(block) *b, i64 g, i64 m0, i64 c0,
                                i64 channels, i64 group, i64 cut) {
  const part *p = &w->p;
  const axis *a = p->a;
  const frame *f = &w->f;
  const i64 n0 = group * p->cut.images, from = cut * p->cut.count;
  unit u = flat_unit(a, n0, fb_min(p->cut.images, f->images - n0), from,
                     fb_min(p->cut.count, a[cut_axis(a)].out - from));
  const i64 vectors = fb_ceil(u.size, W), ldg = APART(vectors * W);
  u.plane = APART(u.plane + W);
  const i64 wide = a[0].planes * a[1].planes * a[2].planes * u.plane, rows = b->rows;
  const i64 chunk = fb_min(p->chunk, channels), columns = chunk * p->taps;
  char *memory = take_room(&task_room, (rows * ldg + chunk * wide) * sizeof(T) +
                                           vectors * sizeof(step) +
                                           (2 * columns + p->taps) * sizeof(i64));
  T *stored = (T *)memory, *copy = stored + rows * ldg;
  i64 *column = (i64 *)(copy + chunk * wide), *index = column + columns, *place = index + columns;
  step *steps = (step *)(place + p->taps);
  memset(memory, 0, (rows * ldg + chunk * wide) * sizeof(T));
  /* g on the places of the outputs: a convolution of one tap */
  i64 one[3][5] = {{0}};
  axis q[3];
  unit v = u;
  frame gf = {.xn = f->yn, .xc = f->yc};
  for (int d = 0; d < 3; ++d) {
    q[d] = (axis){.in = a[d].out, .out = a[d].out, .step = 1, .div = 1, .xs = a[d].ys,
                  .planes = 1, .rest = one[d]};
    v.s[d].base = u.s[d].from, v.s[d].len = u.s[d].count;
  }
  v.plane = ldg;
  L(load_flat)(&gf, q, &v, w->g + (g * f->outs + m0) * f->yc, rows, stored);
  L(places)(a, &u, place);
  for (i64 c = 0; c < chunk; ++c)
    for (i64 t = 0; t < p->taps; ++t)
      column[c * p->taps + t] = c * wide + place[t], index[c * p->taps + t] = c * p->taps + t;
  for (i64 k = 0; k < vectors; ++k) steps[k] = (step){k * W, k * W};
  T *to = b->to;
  for (i64 c = 0; c < channels; c += chunk) {
    const i64 some = fb_min(chunk, channels - c);
    L(load_flat)(f, a, &u, w->x + (g * f->channels + c0 + c) * f->xc, some, copy);
    b->g = stored, b->ldg = ldg, b->x = copy, b->to = to + c * p->taps;
    L(dot_columns)(b, some * p->taps, column, index, steps, vectors);
  }
  b->to = to;
}

static void L(image_unit_weight)(const L(weight) *w, L(block) *b, i64 g, i64 m0, i64 c0,
                                 i64 channels, i64 group, i64 cut) {
  const part *p = &w->p;
  const axis *a = p->a;
  const frame *f = &w->f;
  const int along = cut_axis(a);
  const i64 lanes = w->lanes, per = lanes / W;
  i64 from[3] = {0}, to[3] = {a[0].out, a[1].out, a[2].out};
  from[along] = cut * p->cut.count;
  to[along] = fb_min(from[along] + p->cut.count, a[along].out);
  const L(box) in = L(whole_box)(a, 1), all = L(whole_box)(a, 0), out = L(box_of)(from, to);
  const i64 chunk = fb_min(p->chunk, channels), outs = out.positions;
  char *memory = take_room(&task_room, (outs * (p->taps + per) + p->taps) * sizeof(step) +
                                           (2 * chunk + p->taps) * sizeof(i64));
  i64 *column = (i64 *)memory, *index = column + chunk, *met = index + chunk;
  step *list = (step *)(met + p->taps), *one = list + outs * p->taps, *steps = one + p->taps;
  memset(met, 0, p->taps * sizeof(i64));
  i64 o[3];
  for (o[0] = from[0]; o[0] < to[0]; ++o[0])
    for (o[1] = from[1]; o[1] < to[1]; ++o[1])
      for (o[2] = from[2]; o[2] < to[2]; ++o[2]) {
        const i64 at = (o[0] * all.count[1] + o[1]) * all.count[2] + o[2];
        const i64 count = L(met_places)(a, o, &in, lanes, one);
        for (i64 k = 0; k < count; ++k)
          list[one[k].a * outs + met[one[k].a]++] = (step){at * lanes, one[k].b};
      }
  b->g = w->turned_g + ((group * f->groups + g) * f->outs + m0) * w->plane_g, b->ldg = w->plane_g;
  const T *x = w->turned_x + ((group * f->groups + g) * f->channels + c0) * w->plane_x;
  T *begin = b->to;
  for (i64 c = 0; c < channels; c += chunk) {
    const i64 some = fb_min(chunk, channels - c);
    for (i64 k = 0; k < some; ++k) column[k] = k * w->plane_x;
    for (i64 t = 0; t < p->taps; ++t) {
      for (i64 k = 0; k < some; ++k) index[k] = k * p->taps + t;
      for (i64 k = 0; k < met[t]; ++k)
        for (i64 v = 0; v < per; ++v) {
          const step s = list[t * outs + k];
          steps[k * per + v] = (step){s.a + v * W, s.b + v * W};
        }
      b->x = x + c * w->plane_x, b->to = begin + c * p->taps;
      L(dot_columns)(b, some, column, index, steps, met[t] * per);
    }
  }
  b->to = begin;
}

/* Task i: a split of the sum, a group, a range of outs and one of channels. */
static void L(weight_task)(void *context, i64 i) {
  const L(weight) *w = context;
  const part *p = &w->p;
  const frame *f = &w->f;
  const i64 cr = i % w->c_ranges, mr = i / w->c_ranges % w->m_ranges;
  const i64 g = i / w->c_ranges / w->m_ranges % f->groups, split = i / w->c_ranges / w->m_ranges / f->groups;
  const i64 m0 = mr * w->outs_cut, c0 = cr * w->channels_cut;
  const i64 units = p->cut.groups * p->cut.parts, depth = f->channels * p->taps;
  const i64 channels = fb_min(w->channels_cut, f->channels - c0);
  L(block) b = {.rows = fb_min(w->outs_cut, f->outs - m0), .ldt = depth, .is_first = 1,
                .to = w->partial + ((split * f->groups + g) * f->outs + m0) * depth + c0 * p->taps};
  for (i64 k = split * units / w->splits; k < (split + 1) * units / w->splits; ++k) {
    const i64 group = k / p->cut.parts, cut = k % p->cut.parts;
    (p->by_images ? L(image_unit_weight) : L(flat_unit_weight))(w, &b, g, m0, c0, channels, group, cut);
    b.is_first = 0;
  }
  leave_room(&task_room);
}

/* Task i: row i of the gradient from the splits, in their order. */
static void L(join_task)(void *context, i64 m) {
  const L(weight) *w = context;
  const frame *f = &w->f;
  const axis *a = w->p.a;
  const i64 depth = f->channels * w->p.taps, all = f->groups * f->outs * depth;
  const T *from = w->partial + m * depth;
  T *to = w->w + m * f->wm;
  for (i64 c = 0; c < f->channels; ++c)
    for (i64 t0 = 0; t0 < a[0].taps; ++t0)
      for (i64 t1 = 0; t1 < a[1].taps; ++t1)
        for (i64 t2 = 0; t2 < a[2].taps; ++t2, ++from) {
          T sum = *from;
          for (i64 s = 1; s < w->splits; ++s) sum += from[s * all];
          to[c * f->wc + t0 * a[0].ws + t1 * a[1].ws + t2 * a[2].ws] = sum;
        }
}

/* Divides the work into tasks; what it costs, in multiply-adds. */
static f64 L(divide_weight)(L(weight) *w) {
  frame *f = &w->f;
  part *p = &w->p;
  w->lanes = 2 * W;
  p->cut = divide(p->a, f->images, LONG);
  const unit u = flat_unit(p->a, 0, p->cut.images, 0, p->cut.count);
  const f64 units_flat = (f64)p->cut.groups * p->cut.parts * f->groups;
  const f64 flat = units_flat * (fb_ceil(u.size, W) * W * (f64)p->taps * f->channels * f->outs +
      W * FLAT_COPY * (u.size * (f64)f->outs + u.plane * (f64)f->channels));
  const f64 turned = 1.05 * L(image_cost)(p->a, f, w->lanes);
  p->by_images = turned < flat;
  if (p->by_images) {
    const i64 along = cut_axis(p->a), out = p->a[along].out;
    i64 positions = w->lanes;
    for (int d = 0; d < 3; ++d) positions *= p->a[d].out;
    const i64 parts = fb_max(1, fb_min(out, (positions + LONG / 2) / (2 * LONG)));
    p->cut = (division){w->lanes, fb_ceil(f->images, w->lanes), fb_ceil(out, parts), 0};
    p->cut.parts = fb_ceil(out, p->cut.count);
  }
  p->chunk = fb_max(1, fb_min(f->channels, X_STEPS / p->taps));
  const i64 units = p->cut.groups * p->cut.parts, depth = f->channels * p->taps;
  w->m_ranges = fb_ceil(f->outs, G_ROWS), w->outs_cut = fb_ceil(f->outs, w->m_ranges);
  w->c_ranges = 1;
  const f64 work = p->by_images ? turned : flat;
  const i64 wanted = fb_max(1, fb_min(work / WORK, ENOUGH_TASKS)), size = f->groups * f->outs * depth;
  w->splits = fb_max(1, fb_min(fb_min(units, fb_ceil(wanted, w->m_ranges * f->groups)), PARTIAL / size));
  const i64 made = w->splits * w->m_ranges * f->groups;
  if (made < wanted) w->c_ranges = fb_min(fb_ceil(wanted, made), fb_ceil(f->channels, p->chunk));
  w->channels_cut = fb_ceil(f->channels, w->c_ranges);
  w->c_ranges = fb_ceil(f->channels, w->channels_cut);
  return work;
}

/* w = the gradient of the weight from that of the output, g, and the input x. 0: no memory. */
i64 L(fb_convolve_weight)(const array *w, const array *g, const array *x, const array *options) {
  const settings *o = (const settings *)options->data;
  const i64 item = sizeof(T);
  L(weight) s = {
      .f = {.images = x->dims[0], .groups = o->groups, .channels = w->dims[1],
            .outs = w->dims[0] / o->groups, .xn = x->strides[0] / item,
            .xc = x->strides[1] / item, .yn = g->strides[0] / item, .yc = g->strides[1] / item,
            .wm = w->strides[0] / item, .wc = w->strides[1] / item},
      .x = (const T *)x->data, .g = (const T *)g->data, .w = (T *)w->data};
  i64 elements = 0, row = 1;
  for (int d = 0; d < 3; ++d) elements += 5 * length_of(w, d) + 1;
  i64 *memory = malloc(elements * sizeof(i64)), *taps = memory;
  if (!memory) return 0;
  s.p.taps = 1;
  int is_dense = 1;
  for (int d = 0; d < 3; ++d) {
    taps = make_axis(s.p.a + d, o, g, x, w, item, d, 0, -1, taps);
    s.p.taps *= s.p.a[d].taps;
  }
  for (int d = 2; d >= 0; --d) {
    is_dense &= s.p.a[d].taps == 1 || s.p.a[d].ws == row;
    row *= s.p.a[d].taps;
  }
  is_dense &= (s.f.channels == 1 || s.f.wc == row) && s.f.wm == s.f.channels * row;
  const f64 cost = L(divide_weight)(&s);
#ifdef SQUARES
  if (L(is_square)(&s.p) && L(square_weight_cost)(s.p.a, &s.f) < cost) {
    const int done = L(run_square_weight)(&s.f, s.p.a, s.x, s.g, s.w);
    free(memory);
    return done;
  }
#endif
  if (L(row_weight_cost)(s.p.a, &s.f) < cost) {
    const int done = L(run_row_weight)(&s.f, s.p.a, s.x, s.g, s.w);
    free(memory);
    return done;
  }
  const i64 size = s.f.groups * s.f.outs * s.f.channels * s.p.taps;
  const int direct = is_dense && s.splits == 1;
  L(turning) tx = L(turning_of)(s.x, s.f.xn, s.f.xc, s.p.a, 1, s.f.groups * s.f.channels,
                                s.f.images, s.lanes);
  L(turning) tg = L(turning_of)(s.g, s.f.yn, s.f.yc, s.p.a, 0, s.f.groups * s.f.outs, s.f.images,
                                s.lanes);
  const i64 sx = s.p.by_images ? L(turned_size)(&tx) : 0, sg = s.p.by_images ? L(turned_size)(&tg) : 0;
  T *room = take_room(&call_room, (sx + sg + (direct ? 0 : s.splits * size)) * item + 64);
  s.partial = direct ? s.w : room + sx + sg;
  s.turned_x = room, s.turned_g = room + sx, s.plane_x = tx.plane, s.plane_g = tg.plane;
  if (room) {
    if (sx) L(turn_all)(&tx, s.turned_x), L(turn_all)(&tg, s.turned_g);
    fb_parallel(L(weight_task), &s, s.splits * s.f.groups * s.m_ranges * s.c_ranges);
    if (!direct) {
      const i64 rows = s.f.groups * s.f.outs;
      if (size * s.splits < 65536) for (i64 m = 0; m < rows; ++m) L(join_task)(&s, m);
      else fb_parallel(L(join_task), &s, rows);
    }
  }
  const int done = room != NULL;
  leave_room(&call_room);
  free(memory);
  return done;
}

/* Chooses how to compute a convolution, divides it into tasks, and has them run. */

static void L(sum_task)(void *context, i64 i) {
  const L(sum) *s = context;
  const part *p = s->parts;
  while (p + 1 < s->parts + s->count && i >= p[1].tasks) ++p;
  i -= p->tasks;
  const i64 cut = i % p->cut.parts, group = i / p->cut.parts % p->cut.groups;
  const i64 rest = i / p->cut.parts / p->cut.groups, range = rest % s->ranges;
  (p->by_images ? L(image_task) : L(flat_task))(s, p, rest / s->ranges, range, group, cut);
}

/* Multiply-adds with vectors along positions, those that copies are worth among them. */
static f64 L(flat_cost)(const part *p, const frame *f, i64 width) {
  const division d = divide(p->a, f->images, POSITIONS);
  const unit u = flat_unit(p->a, 0, d.images, 0, d.count);
  const f64 units = (f64)d.groups * d.parts * f->groups;
  return units * (fb_ceil(u.size, width) * width * (f64)p->taps * f->channels * f->outs +
                  W * FLAT_COPY * (u.size * (f64)f->outs + u.plane * (f64)f->channels));
}

/* The same with vectors along images. */
static f64 L(image_cost)(const axis *a, const frame *f, i64 lanes) {
  f64 met = (f64)fb_ceil(f->images, lanes) * lanes * f->groups, in = met, out = met;
  for (int d = 0; d < 3; ++d) met *= meetings(a + d), in *= a[d].in, out *= a[d].out;
  return met * f->channels * f->outs + W * TURNED_COPY * (in * f->channels + out * f->outs);
}

static void L(divide_part)(L(sum) *s, part *p, i64 target) {
  const frame *f = &s->f;
  if (p->by_images) {
    const i64 lanes = s->vectors * W, along = cut_axis(p->a);
    i64 positions = lanes;
    for (int d = 0; d < 3; ++d) positions *= p->a[d].out;
    const i64 out = p->a[along].out;
    const i64 parts = fb_max(1, fb_min(out, (positions + target / 2) / target));
    p->cut = (division){lanes, fb_ceil(f->images, lanes), fb_ceil(out, parts), 0};
    p->cut.parts = fb_ceil(out, p->cut.count);
  } else {
    p->cut = divide(p->a, f->images, target);
  }
}

/* Computes a convolution as parts; `whole`, if given, is the same as one part by images. */
static int L(run_sum)(L(sum) *s, part *whole) {
  const frame *f = &s->f;
  s->high = panels_of(f->outs, TALLEST);
  s->tiles = L(tiles)(fb_ceil(f->outs, s->high.count), &s->vectors);
  const i64 lanes = s->vectors * W;
  f64 work = 0;
  for (i64 i = 0; i < s->count; ++i) work += L(flat_cost)(s->parts + i, f, lanes);
  const f64 turned = L(image_cost)(whole->a, f, lanes);
#ifdef SQUARES
  if (s->vectors == 2 && L(is_square)(whole) &&
      L(square_cost)(whole->a, f, lanes) < fb_smaller(work, turned)) {
    s->parts = whole, s->count = 1;
    return L(run_squares)(s);
  }
#endif
  if (turned < work) {
    s->parts = whole, s->count = 1, whole->by_images = 1;
    work = turned;
  }
  /* Large enough units, then narrow enough ranges of panels, for enough tasks. */
  const f64 wanted = work < WORK * (f64)ENOUGH_TASKS ? work / WORK : ENOUGH_TASKS;
  i64 target = POSITIONS, tasks, size;
  if (f->outs * 4 < 64 && f->channels * 4 < 64) target *= 4;
  s->per_task = fb_min(s->high.count, PANELS);
  s->per_task = fb_ceil(s->high.count, fb_ceil(s->high.count, s->per_task));
  for (;;) {
    tasks = size = 0;
    s->ranges = fb_ceil(s->high.count, s->per_task);
    for (i64 i = 0; i < s->count; ++i) {
      part *p = s->parts + i;
      L(divide_part)(s, p, target);
      p->depth = f->channels * p->taps;
      p->chunk = p->taps ? fb_max(1, fb_min(f->channels, DEEP / p->taps)) : 1;
      p->tasks = tasks, p->packed = size;
      tasks += p->cut.groups * p->cut.parts * s->ranges * f->groups;
      size += f->groups * f->outs * p->depth;
    }
    if (tasks >= wanted) break;
    if (target > 2 * lanes && target > 256) target /= 2;
    else if (s->per_task > 3) s->per_task = fb_ceil(s->per_task, 2);
    else break;
  }
  L(turning) turning = L(turning_of)(s->x, f->xn, f->xc, whole->a, 1, f->groups * f->channels,
                                     f->images, lanes);
  const i64 room = s->parts == whole ? L(turned_size)(&turning) : 0;
  size = fb_ceil(size, 16) * 16;
  s->packed = take_room(&call_room, (size + room) * sizeof(T));
  if (!s->packed) return 0;
  if (room) {
    s->turned = s->packed + size, s->plane = turning.plane;
    L(turn_all)(&turning, s->turned);
  }
  if (size > 16384) {
    fb_parallel(L(pack), s, s->count * f->groups * s->high.count);
  } else {
    for (i64 i = 0; i < s->count * f->groups * s->high.count; ++i) L(pack)(s, i);
  }
  fb_parallel(L(sum_task), s, tasks);
  leave_room(&call_room);
  return 1;
}

static i64 L(take_part)(part *p, const axis *const *a) {
  i64 outs = 1;
  *p = (part){.taps = 1};
  for (int d = 0; d < 3; ++d) p->a[d] = *a[d], p->taps *= a[d]->taps, outs *= a[d]->out;
  return outs > 0;
}

static void L(zero_task)(void *context, i64 i) {
  const array *y = context;
  const i64 step = 1 << 16, all = size_of(y) * sizeof(T);
  memset(y->data + i * step, 0, fb_min(step, all - i * step));
}

/* Whether positions that no tap meets have been written: y is dense. */
static int L(leave_zeros)(const array *y, const array *bias, const axis *const *of,
                          const i64 *phases) {
  int is_any = 0;
  for (int d = 0; d < 3; ++d)
    for (i64 p = 0; p < phases[d]; ++p) is_any |= !of[d][p].taps;
  if (!is_any || bias) return 0;
  fb_parallel(L(zero_task), (void *)y, fb_ceil(size_of(y) * sizeof(T), 1 << 16));
  return 1;
}

/* y[n, m] = bias[m] + the convolution of x with w; back: the gradient of an input from that of an
   output, or a transposed convolution.  Shapes fit.  0: no memory. */
i64 L(fb_convolve)(const array *y, const array *x, const array *w, const array *bias,
                   const array *options, i64 back) {
  const settings *o = (const settings *)options->data;
  const i64 item = sizeof(T), s0 = w->strides[0] / item, s1 = w->strides[1] / item;
  const i64 c0 = w->dims[0] / o->groups, c1 = w->dims[1];
  L(sum) s = {
      .f = {.images = x->dims[0], .groups = o->groups, .channels = back ? c0 : c1,
            .outs = back ? c1 : c0, .xn = x->strides[0] / item, .xc = x->strides[1] / item,
            .yn = y->strides[0] / item, .yc = y->strides[1] / item, .wg = c0 * s0,
            .wm = back ? s1 : s0, .wc = back ? s0 : s1},
      .x = (const T *)x->data, .y = (T *)y->data, .w = (const T *)w->data};
  bias = optional(bias, x);
  s.bias = bias ? (const T *)bias->data : NULL;
  i64 phases[3], axes = 3, elements = 0, most = 1;
  for (int d = 0; d < 3; ++d) {
    phases[d] = back ? o->of[d].stride : 1;
    axes += phases[d], most *= phases[d];
    elements += (phases[d] + 1) * (5 * length_of(w, d) + 1);
  }
  char *memory = malloc(elements * sizeof(i64) + axes * sizeof(axis) + (most + 1) * sizeof(part));
  if (!memory) return 0;
  axis *a = (axis *)(memory + elements * sizeof(i64));
  part *parts = (part *)(a + axes), *whole = parts + most;
  i64 *taps = (i64 *)memory;
  const axis *of[3], *all[3];
  for (int d = 0; d < 3; ++d) {
    taps = make_axis(a, o, y, x, w, item, d, back, -1, taps);
    all[d] = a++, of[d] = back ? a : all[d];
    for (i64 p = 0; back && p < phases[d]; ++p)
      taps = make_axis(a++, o, y, x, w, item, d, back, p, taps);
  }
  L(take_part)(whole, all);
  s.parts = parts;
  const i64 empty = L(leave_zeros)(y, bias, of, phases);
  for (i64 i = 0; i < most; ++i) {
    const axis *some[3] = {of[0] + i / (phases[1] * phases[2]),
                           of[1] + i / phases[2] % phases[1], of[2] + i % phases[2]};
    s.count += L(take_part)(parts + s.count, some) && !(empty && !parts[s.count].taps);
  }
  const int done = L(run_sum)(&s, whole);
  free(memory);
  return done;
}

/* Forward and the gradient of the input: y = bias + sum w * x in the form of conv_plan.h. */

#ifndef CONV_SUM
#define CONV_SUM
#define DEEP 320          /* steps of a sum before the next tile */
#define POSITIONS 640     /* outputs of a unit, about */
#define PANELS 10         /* of the weight, at most, for a task */
#define ENOUGH_TASKS 16
#define WORK (1 << 20)    /* multiply-adds that are worth a task */
#define FLAT_COPY 0.3     /* operations on vectors that copying an element is worth */
#define TURNED_COPY 1.2   /* that copying and turning it is worth */

/* The sizes and strides of a convolution; strides are in elements. */
typedef struct {
  i64 images, groups, channels, outs; /* channels and outs of one group */
  i64 xn, xc, yn, yc, wg, wm, wc;
} frame;

/* A convolution with some of the taps, making some of the positions. */
typedef struct {
  axis a[3];
  i64 taps;    /* of all axes together */
  i64 depth;   /* channels * taps */
  i64 packed;  /* where its weight is packed */
  i64 tasks;   /* number of tasks before its own */
  int by_images; /* vectors along images */
  division cut;
  i64 chunk;   /* channels whose steps are summed at a time */
} part;
#endif

typedef struct {
  frame f;
  const T *x, *w, *bias;
  T *y;
  part *parts;
  i64 count;
  panels high; /* panels of a group's outs */
  i64 per_task, ranges; /* panels of a task, ranges of them */
  i64 vectors;
  const L(tile) *tiles;
  T *packed, *turned;
  i64 plane; /* of a channel, turned */
} L(sum);

/* ---- the weight ---- */
/* Task i packs panel i of all panels of all groups of all parts: w[m, c, t] to [c, t][m]. */
static void L(pack)(void *context, i64 i) {
  const L(sum) *s = context;
  const part *p = s->parts + i / (s->high.count * s->f.groups);
  const i64 g = i / s->high.count % s->f.groups, at = i % s->high.count;
  const i64 m0 = panel_at(s->high, at), rows = panel_at(s->high, at + 1) - m0;
  const T *from = s->w + g * s->f.wg + m0 * s->f.wm;
  T *to = s->packed + p->packed + (g * s->f.outs + m0) * p->depth;
  const axis *a = p->a;
  for (i64 c = 0; c < s->f.channels; ++c)
    for (i64 t0 = 0; t0 < a[0].taps; ++t0)
      for (i64 t1 = 0; t1 < a[1].taps; ++t1)
        for (i64 t2 = 0; t2 < a[2].taps; ++t2) {
          const T *w = from + c * s->f.wc + a[0].tap[t0] * a[0].ws + a[1].tap[t1] * a[1].ws +
                       a[2].tap[t2] * a[2].ws;
          for (i64 m = 0; m < rows; ++m) *to++ = w[m * s->f.wm];
        }
}

/* ---- vectors along positions ---- */
/* Channels of x as a unit stores them: [channel][residue][flat position]. */
static void L(load_flat)(const frame *f, const axis *a, const unit *u, const T *x, i64 channels,
                         T *to) {
  const i64 planes = a[0].planes * a[1].planes * a[2].planes, wide = planes * u->plane;
  const i64 xw = a[2].xs * a[2].step;
  const i64 block = xw == 1 || f->xc != 1 ? 1 : channels;
  for (i64 c = 0; c < channels; c += block)
    for (i64 p = 0; p < planes; ++p) {
      const i64 r0 = a[0].rest[p / (a[1].planes * a[2].planes)];
      const i64 r1 = a[1].rest[p / a[2].planes % a[1].planes], r2 = a[2].rest[p % a[2].planes];
      i64 lo[3], hi[3];
      filled(a, r0, u->s[0].base, u->s[0].len, lo, hi);
      filled(a + 1, r1, u->s[1].base, u->s[1].len, lo + 1, hi + 1);
      filled(a + 2, r2, u->s[2].base, u->s[2].len, lo + 2, hi + 2);
      for (i64 n = 0; n < u->images; ++n)
        for (i64 i = lo[0]; i < hi[0]; ++i)
          for (i64 j = lo[1]; j < hi[1]; ++j) {
            const T *from = x + (u->n0 + n) * f->xn + c * f->xc +
                            (a[0].step * (u->s[0].base + i) + r0) * a[0].xs +
                            (a[1].step * (u->s[1].base + j) + r1) * a[1].xs +
                            (a[2].step * (u->s[2].base + lo[2]) + r2) * a[2].xs;
            L(move)(to + c * wide + p * u->plane + n * u->image + i * u->flat[0] +
                        j * u->flat[1] + lo[2],
                    wide, 1, from, f->xc, xw, block, hi[2] - lo[2]);
          }
    }
}

/* Where the taps of a unit lie, from the place of an output. */
static void L(places)(const axis *a, const unit *u, i64 *place) {
  for (i64 t0 = 0; t0 < a[0].taps; ++t0)
    for (i64 t1 = 0; t1 < a[1].taps; ++t1)
      for (i64 t2 = 0; t2 < a[2].taps; ++t2)
        *place++ = ((a[0].plane[t0] * a[1].planes + a[1].plane[t1]) * a[2].planes +
                    a[2].plane[t2]) * u->plane +
                   (a[0].shift[t0] - a[0].low) * u->flat[0] +
                   (a[1].shift[t1] - a[1].low) * u->flat[1] + a[2].shift[t2] - a[2].low;
}

/* Whether a unit can read x where it lies, and the distances there. */
static int L(in_place)(const frame *f, const axis *a, unit *u, i64 chunk, i64 width) {
  for (int d = 0; d < 3; ++d)
    if (!u->s[d].is_whole) return 0;
  if (u->images > 1 || a[2].xs != 1 || f->xc * chunk > INT32_MAX) return 0;
  if (a[1].in > 1 && a[1].xs != u->s[2].len) return 0;
  if (a[0].in > 1 && a[0].xs != u->s[1].len * u->s[2].len) return 0;
  for (int d = 1; d < 3; ++d)
    if (u->s[d].pitch != u->s[d].len) return 0;
  if (u->size < width) return 0;
  u->plane = f->xc;
  return 1;
}

/* Writes the rows of a unit: acc[m][flat position] to y. */
static void L(keep_flat)(const L(sum) *s, const part *p, const unit *u, const T *acc, i64 ld,
                         i64 rows, T *y, i64 late, i64 shift) {
  const axis *a = p->a;
  const frame *f = &s->f;
  const i64 yw = a[2].ys * a[2].every;
  const i64 block = yw == 1 || f->yc != 1 ? 1 : rows;
  for (int d = 0; d < 3; ++d) y += (a[d].first + u->s[d].from * a[d].every) * a[d].ys;
  for (i64 m = 0; m < rows; m += block)
    for (i64 n = 0; n < u->images; ++n)
      for (i64 i = 0; i < u->s[0].count; ++i)
        for (i64 j = 0; j < u->s[1].count; ++j) {
          const i64 at = n * u->image + i * u->flat[0] + j * u->flat[1];
          T *to = y + (u->n0 + n) * f->yn + m * f->yc + i * a[0].every * a[0].ys +
                  j * a[1].every * a[1].ys;
          const T *from = acc + m * ld + at;
          /* the last tile of a unit that is read in place lies `shift` before its end */
          const i64 before = fb_max(fb_min(late - at, u->s[2].count), 0);
          if (before) L(move)(to, f->yc, yw, from, ld, 1, block, before);
          if (before < u->s[2].count)
            L(move)(to + before * yw, f->yc, yw, from + before + shift, ld, 1, block,
                    u->s[2].count - before);
        }
}

static void L(flat_task)(const L(sum) *s, const part *p, i64 g, i64 range, i64 group, i64 cut) {
  const frame *f = &s->f;
  const axis *a = p->a;
  const int along = cut_axis(a);
  const i64 n0 = group * p->cut.images, from = cut * p->cut.count;
  unit u = flat_unit(a, n0, fb_min(p->cut.images, f->images - n0), from,
                     fb_min(p->cut.count, a[along].out - from));
  const i64 width = s->vectors * W, tiles = fb_ceil(u.size, width), ld = tiles * width;
  const i64 first = range * s->per_task, last = fb_min(first + s->per_task, s->high.count);
  const i64 m0 = panel_at(s->high, first), rows = panel_at(s->high, last) - m0;
  const i64 chunk = p->chunk, planes = a[0].planes * a[1].planes * a[2].planes;
  const int there = p->taps && L(in_place)(f, a, &u, chunk, width);
  if (!there) u.plane = APART(u.plane + width);
  const i64 wide = there ? u.plane : planes * u.plane, copied = there ? 0 : chunk * wide;
  const i64 acc_size = fb_ceil(rows * ld, 16) * 16;
  char *memory = take_room(&task_room, (acc_size + copied) * sizeof(T) +
                                           chunk * p->taps * sizeof(step) + p->taps * sizeof(i64));
  T *acc = (T *)memory, *copy = acc + acc_size;
  step *steps = (step *)(copy + copied);
  i64 *place = (i64 *)(steps + chunk * p->taps);
  if (p->taps) {
    L(places)(a, &u, place);
    for (i64 c = 0; c < chunk; ++c)
      for (i64 t = 0; t < p->taps; ++t)
        steps[c * p->taps + t] = (step){c * p->taps + t, c * wide + place[t]};
    memset(copy, 0, copied * sizeof(T));
  }
  const T *x = s->x + g * f->channels * f->xc, *weight = s->packed + p->packed;
  static const T zeros[TALLEST];
  i64 c0 = 0;
  do {
    const i64 channels = p->taps ? fb_min(chunk, f->channels - c0) : 0;
    const T *seen = copy;
    if (there) {
      seen = x + u.n0 * f->xn + c0 * f->xc;
      for (int d = 0; d < 3; ++d) seen += u.s[d].base * a[d].xs;
    } else if (p->taps) {
      L(load_flat)(f, a, &u, x + c0 * f->xc, channels, copy);
    }
    for (i64 tile = 0; tile < tiles; ++tile) {
      const i64 at = there ? fb_min(tile * width, u.size - width) : tile * width;
      for (i64 i = first; i < last; ++i) {
        const i64 m = panel_at(s->high, i), high = panel_at(s->high, i + 1) - m;
        const T *bias = s->bias ? s->bias + g * f->outs + m : zeros;
        s->tiles[high](weight + (g * f->outs + m) * p->depth + c0 * p->taps * high, high,
                       seen + at, steps, channels * p->taps, acc + (m - m0) * ld + tile * width, ld,
                       c0 ? NULL : bias);
      }
    }
    c0 += chunk;
  } while (p->taps && c0 < f->channels);
  const i64 late = there ? (tiles - 1) * width : ld, shift = there ? late - (u.size - width) : 0;
  L(keep_flat)(s, p, &u, acc, ld, rows, s->y + (g * f->outs + m0) * f->yc, late, shift);
  leave_room(&task_room);
}

/* ---- vectors along images ---- */
/* A box of positions of x or y, stored as [channel][position][image]. */
typedef struct {
  i64 from[3], count[3], positions;
} L(box);
static L(box) L(box_of)(const i64 *from, const i64 *to) {
  L(box) b = {.positions = 1};
  for (int d = 0; d < 3; ++d) {
    b.from[d] = from[d], b.count[d] = to[d] - from[d];
    b.positions *= b.count[d];
  }
  return b;
}

/* Copies between [n][c][position] of any strides and [c][position][image of `lanes`]. */
static void L(move_box)(T *stored, i64 plane, i64 lanes, T *array, i64 sn, i64 sc, const i64 *ss,
                        const L(box) *b, i64 channels, i64 images, int is_load) {
  for (int d = 0; d < 3; ++d) array += b->from[d] * ss[d];
  const int along = sc == 1 && channels > 1; /* channels are dense */
  const int is_flat = !along && (b->count[1] == 1 || ss[1] == b->count[2] * ss[2]) &&
                      (b->count[0] == 1 || ss[0] == b->count[1] * b->count[2] * ss[2]);
  const i64 run = is_flat ? b->positions : b->count[2], runs = b->positions / fb_max(run, 1);
  const i64 blocks = along ? 1 : channels, columns = along ? channels : run;
  for (i64 c = 0; c < blocks; ++c)
    for (i64 r = 0; r < runs; ++r)
      for (i64 k = 0; k < (along ? run : 1); ++k) {
        T *p = array + c * sc + (is_flat ? 0 : r / b->count[1] * ss[0] + r % b->count[1] * ss[1]) +
               k * ss[2];
        T *q = stored + c * plane + (r * run + k) * lanes;
        const i64 inner = along ? sc : ss[2], outer = along ? plane : lanes;
        if (is_load)
          L(move)(q, outer, 1, p, inner, sn, columns, images);
        else
          L(move)(p, inner, sn, q, outer, 1, columns, images);
      }
}

/* The steps of one output: those taps that meet an input. */
static i64 L(met_places)(const axis *a, const i64 *o, const L(box) *b, i64 lanes, step *list) {
  i64 count = 0, t = 0;
  for (i64 t0 = 0; t0 < a[0].taps; ++t0)
    for (i64 t1 = 0; t1 < a[1].taps; ++t1)
      for (i64 t2 = 0; t2 < a[2].taps; ++t2, ++t) {
        const i64 taps[3] = {t0, t1, t2};
        i64 at = 0;
        int meets = 1;
        for (int d = 0; d < 3 && meets; ++d) {
          const i64 i = o[d] * a[d].step + a[d].at[taps[d]];
          meets = i >= 0 && i % a[d].div == 0 && i / a[d].div < a[d].in;
          at = at * b->count[d] + i / a[d].div - b->from[d];
        }
        if (meets) list[count++] = (step){t, at * lanes};
      }
  return count;
}

static L(box) L(whole_box)(const axis *a, int is_x) {
  const i64 from[3] = {0}, to[3] = {is_x ? a[0].in : a[0].out, is_x ? a[1].in : a[1].out,
                                    is_x ? a[2].in : a[2].out};
  return L(box_of)(from, to);
}

/* An array turned so that images are innermost: [group of images][channel][position][image]. */
typedef struct {
  T *to;
  const T *from;
  i64 sn, sc, ss[3];
  L(box) box;
  i64 channels, images, lanes, plane, blocks;
  int is_back; /* from there to the array */
} L(turning);
#define TURNED 16 /* channels that are turned at a time */

static L(turning) L(turning_of)(const T *from, i64 sn, i64 sc, const axis *a, int is_x,
                                i64 channels, i64 images, i64 lanes) {
  L(turning) t = {.from = from, .sn = sn, .sc = sc, .box = L(whole_box)(a, is_x),
                  .channels = channels, .images = images, .lanes = lanes,
                  .blocks = fb_ceil(channels, TURNED)};
  for (int d = 0; d < 3; ++d) t.ss[d] = is_x ? a[d].xs : a[d].ys;
  t.plane = APART(t.box.positions * lanes);
  return t;
}
static i64 L(turned_size)(const L(turning) *t) {
  return fb_ceil(t->images, t->lanes) * t->channels * t->plane;
}

/* Task i: some channels of a group of images. */
static void L(turn_task)(void *context, i64 i) {
  const L(turning) *t = context;
  const i64 group = i / t->blocks, c = i % t->blocks * TURNED, n0 = group * t->lanes;
  const i64 channels = fb_min(TURNED, t->channels - c), images = fb_min(t->lanes, t->images - n0);
  T *to = t->to + (group * t->channels + c) * t->plane;
  if (images < t->lanes && !t->is_back) memset(to, 0, channels * t->plane * sizeof(T));
  L(move_box)(to, t->plane, t->lanes, (T *)t->from + n0 * t->sn + c * t->sc, t->sn, t->sc, t->ss,
              &t->box, channels, images, !t->is_back);
}
static void L(turn_all)(L(turning) *t, T *to) {
  t->to = to;
  fb_parallel(L(turn_task), t, t->blocks * fb_ceil(t->images, t->lanes));
}

static void L(image_task)(const L(sum) *s, const part *p, i64 g, i64 range, i64 group, i64 cut) {
  const frame *f = &s->f;
  const axis *a = p->a;
  const int along = cut_axis(a);
  const i64 lanes = s->vectors * W, n0 = group * lanes, images = fb_min(lanes, f->images - n0);
  i64 from[3] = {0}, to[3] = {a[0].out, a[1].out, a[2].out};
  from[along] = cut * p->cut.count;
  to[along] = fb_min(from[along] + p->cut.count, a[along].out);
  const L(box) in = L(whole_box)(a, 1), out = L(box_of)(from, to);
  const i64 first = range * s->per_task, last = fb_min(first + s->per_task, s->high.count);
  const i64 m0 = panel_at(s->high, first), rows = panel_at(s->high, last) - m0;
  const i64 chunk = p->chunk, plane = s->plane, ld = APART(out.positions * lanes);
  char *memory = take_room(&task_room, rows * ld * sizeof(T) + (chunk + 1) * p->taps * sizeof(step));
  T *acc = (T *)memory;
  step *steps = (step *)(acc + rows * ld), *met = steps + chunk * p->taps;
  const T *x = s->turned + (group * f->groups + g) * f->channels * plane;
  const i64 ys[3] = {a[0].ys, a[1].ys, a[2].ys};
  static const T zeros[TALLEST];
  for (i64 c0 = 0; c0 < f->channels; c0 += chunk) {
    const i64 channels = fb_min(chunk, f->channels - c0);
    i64 o[3], at = 0;
    for (o[0] = from[0]; o[0] < to[0]; ++o[0])
      for (o[1] = from[1]; o[1] < to[1]; ++o[1])
        for (o[2] = from[2]; o[2] < to[2]; ++o[2], ++at) {
          const i64 met_count = L(met_places)(a, o, &in, lanes, met);
          for (i64 c = 0; c < channels; ++c)
            for (i64 k = 0; k < met_count; ++k)
              steps[c * met_count + k] =
                  (step){c * p->taps + met[k].a, c * plane + met[k].b};
          for (i64 i = first; i < last; ++i) {
            const i64 m = panel_at(s->high, i), high = panel_at(s->high, i + 1) - m;
            const T *bias = s->bias ? s->bias + g * f->outs + m : zeros;
            s->tiles[high](s->packed + p->packed + (g * f->outs + m) * p->depth +
                               c0 * p->taps * high,
                           high, x + c0 * plane, steps, channels * met_count,
                           acc + (m - m0) * ld + at * lanes, ld, c0 ? NULL : bias);
          }
        }
  }
  L(move_box)(acc, ld, lanes, s->y + n0 * f->yn + (g * f->outs + m0) * f->yc, f->yn, f->yc, ys,
              &out, rows, images, 0);
  leave_room(&task_room);
}

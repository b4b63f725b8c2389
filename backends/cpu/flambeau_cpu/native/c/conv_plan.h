/* What a convolution meets where: the same for its element types.

   Everything is brought to one form, with three axes in space (some of them of length 1):

     y[n, m, o] = bias[m] + sum over channels c and taps t of w[m, c, t] * x[n, c, i(o, t)]
     i(o, t) = (o * step + at[t]) / div, left out where that is no position of x

   Forward: step is the stride, at[t] = t * dilation - padding.  The gradient of the input, which
   is also the transposed convolution: x is the gradient of y, w is read with its channels
   exchanged, div is the stride and at[t] = padding - t * dilation; or, per residue of the output's
   position by the stride, a convolution of step 1 with those taps that the residue meets. */
#pragma once
#include "flambeau.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  i64 in, out;      /* positions of x and of y */
  i64 step, div;
  i64 first, every; /* output o is position first + o * every of y */
  i64 taps;
  i64 *at, *tap;    /* tap: the index in the weight */
  i64 xs, ys, ws;   /* strides in elements */
  /* With div = 1, at[t] = shift[t] * step + rest[plane[t]]: residues are stored apart. */
  i64 planes, low, high;
  i64 *shift, *plane, *rest;
} axis;

static inline f64 fb_smaller(f64 a, f64 b) { return a < b ? a : b; }
static i64 floor_div(i64 a, i64 b) { return a / b - (a % b < 0); }

/* Completes an axis from its taps. */
static void split_axis(axis *a) {
  a->planes = 0, a->low = a->high = 0;
  for (i64 t = 0; t < a->taps; ++t) {
    const i64 shift = floor_div(a->at[t], a->step), rest = a->at[t] - shift * a->step;
    i64 p = 0;
    while (p < a->planes && a->rest[p] != rest) ++p;
    if (p == a->planes) a->rest[a->planes++] = rest;
    a->plane[t] = p, a->shift[t] = shift;
    a->low = t ? fb_min(a->low, shift) : shift;
    a->high = t ? fb_max(a->high, shift) : shift;
  }
  if (!a->planes) a->planes = 1, a->rest[0] = 0;
}

/* How many pairs of an output and a tap meet a position. */
static i64 meetings(const axis *a) {
  i64 n = 0;
  for (i64 t = 0; t < a->taps; ++t)
    for (i64 o = 0; o < a->out; ++o) {
      const i64 i = o * a->step + a->at[t];
      n += i >= 0 && i % a->div == 0 && i / a->div < a->in;
    }
  return n;
}

/* Part of an axis, as it is stored: from phase position `base` on, `len` of them, a row after
   `pitch`.  Zeros that end a row are those that begin the next. */
typedef struct {
  i64 from, count, base, len, pitch;
  int is_whole; /* the input as it is */
} span;

static span span_of(const axis *a, i64 from, i64 count) {
  span s = {from, count, from + a->low, count + a->high - a->low, 0, 0};
  i64 left = s.len, right = s.len;
  for (i64 p = 0; p < a->planes; ++p) {
    const i64 lo = -floor_div(a->rest[p], a->step) - s.base;
    const i64 hi = floor_div(a->in - 1 - a->rest[p], a->step) + 1 - s.base;
    left = fb_min(left, fb_max(lo, 0)), right = fb_min(right, fb_max(s.len - hi, 0));
  }
  s.pitch = fb_max(count, s.len - fb_min(left, right));
  s.is_whole = a->step == 1 && !left && !right;
  return s;
}

/* Stored positions that hold elements of a residue: lo up to hi. */
static inline void filled(const axis *a, i64 rest, i64 base, i64 len, i64 *lo, i64 *hi) {
  *lo = fb_min(fb_max(-floor_div(rest, a->step) - base, 0), len);
  *hi = fb_max(fb_min(floor_div(a->in - 1 - rest, a->step) + 1 - base, len), *lo);
}

/* A part of the output that is made at once: some images, some positions along each axis. */
typedef struct {
  i64 n0, images;
  span s[3];
  i64 flat[3], image; /* from an output to the next along an axis, from an image to the next */
  i64 size;           /* outputs, with those between rows that nobody wants */
  i64 plane;          /* stored elements of a channel (of one residue of it) */
} unit;

/* Along which axis images are divided: the first that is one. */
static inline int cut_axis(const axis *a) { return a[0].out > 1 ? 0 : a[1].out > 1 ? 1 : 2; }

/* The unit of some images that begins at `from` along the axis that is cut. */
static unit flat_unit(const axis *a, i64 n0, i64 images, i64 from, i64 count) {
  unit u = {.n0 = n0, .images = images};
  const int cut = cut_axis(a);
  for (int d = 0; d < 3; ++d)
    u.s[d] = d == cut ? span_of(a + d, from, count) : span_of(a + d, 0, a[d].out);
  u.flat[2] = 1, u.flat[1] = u.s[2].pitch, u.flat[0] = u.s[1].pitch * u.flat[1];
  u.image = u.s[0].pitch * u.flat[0];
  u.size = (images - 1) * u.image + 1, u.plane = u.size;
  for (int d = 0; d < 3; ++d) {
    u.size += (u.s[d].count - 1) * u.flat[d];
    u.plane += (u.s[d].len - 1) * u.flat[d];
  }
  return u;
}

/* How images and positions are divided into units. */
typedef struct {
  i64 images, groups; /* images of a unit, and how many such groups there are */
  i64 count, parts;   /* positions along the cut axis of a unit, and parts */
} division;

static division divide(const axis *a, i64 images, i64 target) {
  const int cut = cut_axis(a);
  const unit whole = flat_unit(a, 0, 1, 0, a[cut].out);
  division d = {1, images, a[cut].out, 1};
  if (whole.size < target) {
    const i64 most = fb_max(1, fb_min(images, (target + whole.image / 2) / whole.image));
    d.groups = fb_ceil(images, most), d.images = fb_ceil(images, d.groups);
    d.groups = fb_ceil(images, d.images);
  } else {
    const i64 parts = fb_max(1, fb_min(a[cut].out, (whole.size + target / 2) / target));
    d.count = fb_ceil(a[cut].out, parts), d.parts = fb_ceil(a[cut].out, d.count);
  }
  return d;
}

/* Rows of a matrix in panels of nearly the same height. */
typedef struct {
  i64 rows, count; /* rows in all, panels */
} panels;
static inline panels panels_of(i64 rows, i64 most) {
  return (panels){rows, fb_ceil(rows, most)};
}
static inline i64 panel_at(panels p, i64 i) {
  return i * (p.rows / p.count) + fb_min(i, p.rows % p.count);
}

/* Memory that a thread keeps for its next task; what is larger than KEPT is freed at once. */
#define KEPT ((i64)1 << 26)
typedef struct {
  char *data;
  i64 size;
} room;
static _Thread_local room task_room, call_room;
static pthread_key_t at_exit;
static pthread_once_t at_exit_once = PTHREAD_ONCE_INIT;
static void free_rooms(void *unused) { free(task_room.data), free(call_room.data); }
static void make_key(void) { pthread_key_create(&at_exit, free_rooms); }

static void *take_room(room *r, i64 size) {
  if (r->size < size) {
    free(r->data);
    r->data = NULL, r->size = 0;
    if (posix_memalign((void **)&r->data, 64, size + 4096)) return NULL;
    r->size = size;
    pthread_once(&at_exit_once, make_key);
    pthread_setspecific(at_exit, r);
  }
  return r->data;
}
static void leave_room(room *r) {
  if (r->size > KEPT) free(r->data), r->data = NULL, r->size = 0;
}

/* A distance of at least n elements that does not bring all rows into one set of a cache. */
#define APART(n) ((fb_ceil(n, 16) | 1) * 16)

/* ---- axes of arrays ---- */
/* Groups, then stride, padding and dilation of each axis. */
typedef struct {
  i64 groups;
  struct {
    i64 stride, padding, dilation;
  } of[3];
} settings;

/* The dimension of an array that is an axis, or -1: one is the last, two are the outer ones. */
static inline int dimension(int spatial, int d) {
  if (spatial == 3) return 2 + d;
  if (d == 2) return 1 + spatial;
  return spatial == 2 && d == 0 ? 2 : -1;
}
static inline i64 length_of(const array *a, int d) {
  const int at = dimension(a->nd - 2, d);
  return at < 0 ? 1 : a->dims[at];
}
static inline i64 step_of(const array *a, int d, i64 item) {
  const int at = dimension(a->nd - 2, d);
  return at < 0 ? 0 : a->strides[at] / item;
}

static i64 *place_taps(axis *a, i64 *memory, i64 most) {
  a->at = memory, a->tap = memory + most, a->shift = memory + 2 * most;
  a->plane = memory + 3 * most, a->rest = memory + 4 * most;
  return memory + 5 * most + 1;
}

/* The axis d of a convolution of x to y, or back; phase: the residue of the output, -1 for all. */
static i64 *make_axis(axis *a, const settings *s, const array *y, const array *x, const array *w,
                      i64 item, int d, int back, i64 phase, i64 *memory) {
  const i64 stride = s->of[d].stride, padding = s->of[d].padding, dilation = s->of[d].dilation;
  const i64 taps = length_of(w, d);
  *a = (axis){.in = length_of(x, d), .out = length_of(y, d), .step = 1, .div = 1, .every = 1,
              .xs = step_of(x, d, item), .ys = step_of(y, d, item), .ws = step_of(w, d, item)};
  memory = place_taps(a, memory, taps);
  if (phase >= 0) {
    a->out = fb_max(0, fb_ceil(a->out - phase, stride)), a->first = phase, a->every = stride;
  } else {
    *(back ? &a->div : &a->step) = stride;
  }
  for (i64 k = 0; k < taps; ++k) { /* in the order of the places: memory is read forward */
    const i64 t = back ? taps - 1 - k : k;
    i64 at = back ? padding - t * dilation : t * dilation - padding;
    if (phase >= 0) {
      if ((phase + at) % stride) continue;
      at = (phase + at) / stride;
    }
    a->tap[a->taps] = t, a->at[a->taps++] = at;
  }
  split_axis(a);
  return memory;
}

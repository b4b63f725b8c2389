/* Pooling over windows of up to three dimensions, and the gradients.

   Arrays are planes (images and channels, then sizes), where a row of windows is computed at once,
   or pixels (images, sizes, channels), where all channels of a window are. */
#ifndef T
#include "dense.h"
#include "lanes.h"

enum { TASK = 1 << 14, BLOCK = 512, MOST = 256 }; /* BLOCK: windows or channels at once */

typedef struct {
  i64 size[3], count[3], kernel[3], stride[3], pad[3], dilation[3];
  i64 factors[]; /* count[0] + count[1] + count[2]: means are divided by a product of them */
} geometry;

typedef struct {
  char *out;
  const char *x;
  uint8_t *which;
  const geometry *g;
  i64 images, channels, per_task; /* channels: 0 of planes */
  i64 inside, windows;            /* elements of an image's input and output, without channels */
  i64 first[MOST], last[MOST];    /* windows of a row for which an element of theirs exists */
  i64 inner, outer;               /* those for which all do */
} job;

typedef uint8_t codes_f32 __attribute__((vector_size(VBYTES / 4)));
typedef uint8_t codes_f64 __attribute__((vector_size(VBYTES / 8)));

static char *data_of(const array *a, const array *known) {
  a = optional(a, known);
  return a ? a->data : NULL;
}

/* Where in the input an element of a window is along a dimension; -1 outside. */
static inline i64 place(const geometry *g, int d, i64 window, i64 element) {
  const i64 at = window * g->stride[d] - g->pad[d] + element * g->dilation[d];
  return at < g->size[d] ? fb_max(at, -1) : -1;
}

/* The elements of a window that exist along a dimension. */
static inline void elements(const geometry *g, int d, i64 window, i64 *first, i64 *last) {
  const i64 at = window * g->stride[d] - g->pad[d], step = g->dilation[d];
  first[d] = at < 0 ? fb_ceil(-at, step) : 0;
  last[d] = fb_min(g->kernel[d], fb_ceil(g->size[d] - at, step));
}

/* Where the elements of a window are that exist, in channels, and which ones they are. */
static i64 parts(const job *j, i64 d, i64 h, i64 w, i64 *from, int *codes) {
  const geometry *g = j->g;
  i64 first[3], last[3], count = 0;
  elements(g, 0, d, first, last), elements(g, 1, h, first, last), elements(g, 2, w, first, last);
  for (i64 kd = first[0]; kd < last[0]; ++kd)
    for (i64 kh = first[1]; kh < last[1]; ++kh) {
      const i64 id = d * g->stride[0] - g->pad[0] + kd * g->dilation[0];
      const i64 ih = h * g->stride[1] - g->pad[1] + kh * g->dilation[1];
      const i64 row = (id * g->size[1] + ih) * g->size[2] + w * g->stride[2] - g->pad[2];
      for (i64 k = first[2]; k < last[2]; ++k) {
        from[count] = (row + k * g->dilation[2]) * fb_max(j->channels, 1);
        codes[count++] = (int)((kd * g->kernel[1] + kh) * g->kernel[2] + k);
      }
    }
  return count;
}

static int is_halving(const geometry *g) { /* 2 x 2 windows side by side */
  return g->kernel[0] == 1 && g->kernel[1] == 2 && g->kernel[2] == 2 && g->stride[0] == 1 &&
         g->stride[1] == 2 && g->stride[2] == 2 && !g->pad[0] && !g->pad[1] && !g->pad[2] &&
         g->dilation[1] == 1 && g->dilation[2] == 1 && g->count[1] * 2 <= g->size[1] &&
         g->count[2] * 2 <= g->size[2] && g->count[0] == g->size[0];
}

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static void run(job j, i64 images, i64 channels, const fb_task *tasks,
               i64 is_double, i64 by_rows) {
  const geometry *g = j.g;
  j.images = images, j.channels = channels;
  j.inside = g->size[0] * g->size[1] * g->size[2];
  j.windows = g->count[0] * g->count[1] * g->count[2];
  j.inner = 0, j.outer = g->count[2];
  for (i64 k = 0; k < g->kernel[2]; ++k) {
    const i64 at = k * g->dilation[2] - g->pad[2], s = g->stride[2];
    j.first[k] = at < 0 ? fb_ceil(-at, s) : 0;
    j.last[k] = at < g->size[2] ? fb_min(g->count[2], (g->size[2] - 1 - at) / s + 1) : 0;
    j.inner = fb_max(j.inner, j.first[k]), j.outer = fb_min(j.outer, j.last[k]);
  }
  j.inner = fb_min(j.inner, g->count[2]), j.outer = fb_max(j.inner, j.outer);
  const i64 units = by_rows ? images * g->count[0] * g->count[1] : images;
  const i64 work = (by_rows ? g->count[2] : j.windows) * fb_max(channels, 1) *
                   g->kernel[0] * g->kernel[1] * g->kernel[2];
  j.per_task = fb_max(1, TASK * 4 / fb_max(work, 1));
  fb_parallel(tasks[is_double], &j, fb_ceil(units, j.per_task));
}

/* x, out and which: (images, *), or (images, *, channels).  `images` counts planes if there are
   no channels. */
void fb_max_pool(array *out, array *which, const array *x, const array *sizes, i64 images,
                 i64 channels, i64 is_double) {
  static const fb_task planes[] = {max_planes_f32, max_planes_f64};
  static const fb_task pixels[] = {max_pixels_f32, max_pixels_f64};
  job j = {.out = out->data, .x = x->data, .g = (const geometry *)sizes->data,
           .which = (uint8_t *)data_of(which, x)};
  run(j, images, channels, channels ? pixels : planes, is_double, channels > 0);
}

void fb_max_pool_backward(array *dx, const array *grad, const array *which, const array *sizes,
                          i64 images, i64 channels, i64 is_double) {
  static const fb_task tasks[] = {scatter_task_f32, scatter_task_f64};
  job j = {.out = dx->data, .x = grad->data, .g = (const geometry *)sizes->data,
           .which = (uint8_t *)which->data};
  run(j, images, channels, tasks, is_double, 0);
}

void fb_avg_pool(array *out, const array *x, const array *sizes, i64 images, i64 channels,
                 i64 is_double) {
  static const fb_task planes[] = {mean_planes_f32, mean_planes_f64};
  static const fb_task pixels[] = {mean_pixels_f32, mean_pixels_f64};
  job j = {.out = out->data, .x = x->data, .g = (const geometry *)sizes->data};
  run(j, images, channels, channels ? pixels : planes, is_double, channels > 0);
}

void fb_avg_pool_backward(array *dx, const array *grad, const array *sizes, i64 images,
                          i64 channels, i64 is_double) {
  static const fb_task planes[] = {spread_planes_f32, spread_planes_f64};
  static const fb_task pixels[] = {spread_pixels_f32, spread_pixels_f64};
  job j = {.out = dx->data, .x = grad->data, .g = (const geometry *)sizes->data};
  run(j, images, channels, channels ? pixels : planes, is_double, 0);
}

#else
/* The statements with the step a constant where it is a usual one. */
#define STEPPED(step, ...) \
  do { \
    if ((step) == 1) { enum { S = 1 }; __VA_ARGS__ } \
    else if ((step) == 2) { enum { S = 2 }; __VA_ARGS__ } \
    else { const i64 S = (step); __VA_ARGS__ } \
  } while (0)

#define V LANES_JOIN(v, T)
#define VI LANES_JOIN(vi, T)

/* NaN counts as greatest; of equals the first one stays. */
static inline VI L(is_better)(V x, V than) { return (x > than) | ((x != x) & (than == than)); }

/* Every step-th element. */
static inline V L(load_steps)(const T *x, i64 lanes, i64 step) {
  if (step == 1) return lanes == W ? L(load)(x) : L(load_part)(x, lanes, 0);
  if (step == 2 && lanes == W) return L(evens)(L(load)(x), L(load_part)(x + W, W - 1, 0));
  V r = {0};
  for (i64 l = 0; l < lanes; ++l) r[l] = x[l * step];
  return r;
}

static inline void L(store_codes)(uint8_t *to, i64 lanes, VI found) {
  const LANES_JOIN(codes, T) code = __builtin_convertvector(found, LANES_JOIN(codes, T));
  if (lanes == W) memcpy(to, &code, sizeof code);
  else for (i64 l = 0; l < lanes; ++l) to[l] = code[l];
}

static inline void L(keep_better)(V *most, VI *code, V value, int here) {
  const VI better = L(is_better)(value, *most);
  *most = L(select)(better, value, *most);
  *code = (better & ((VI){0} + here)) | (~better & *code);
}

/* Windows of 2 x 2 side by side. */
static void L(halve)(const job *j, const T *x, T *out, uint8_t *which) {
  const geometry *g = j->g;
  const i64 n = g->count[2], wide = g->size[2];
  for (i64 d = 0; d < g->count[0]; ++d)
    for (i64 h = 0; h < g->count[1]; ++h) {
      const T *a = x + (d * g->size[1] + 2 * h) * wide, *b = a + wide;
      const i64 at = (d * g->count[1] + h) * n;
      for (i64 i = 0; i < n; i += W) {
        const i64 lanes = fb_min(W, n - i), one = fb_min(2 * lanes, W), two = 2 * lanes - one;
        const V a1 = L(load_part)(a + 2 * i, one, 0), a2 = L(load_part)(a + 2 * i + W, two, 0);
        const V b1 = L(load_part)(b + 2 * i, one, 0), b2 = L(load_part)(b + 2 * i + W, two, 0);
        const V p = L(evens)(a1, a2), q = L(odds)(a1, a2);
        const V r = L(evens)(b1, b2), s = L(odds)(b1, b2);
        const VI second = L(is_better)(q, p), fourth = L(is_better)(s, r);
        const V upper = L(select)(second, q, p), lower = L(select)(fourth, s, r);
        const VI below = L(is_better)(lower, upper);
        L(store_part)(out + at + i, lanes, L(select)(below, lower, upper));
        if (!which) continue;
        const VI found = (below & (2 - fourth)) | (~below & -second); /* a mask is 0 or -1 */
        L(store_codes)(which + at + i, lanes, found);
      }
    }
}

/* A window at a border: its first element that exists, unless another is greater. */
static void L(max_window)(const job *j, const T *x, i64 d, i64 h, i64 w, T *out,
                          uint8_t *which) {
  i64 from[MOST];
  int codes[MOST];
  const i64 count = parts(j, d, h, w, from, codes);
  T most = x[from[0]];
  int code = codes[0];
  for (i64 k = 1; k < count; ++k) {
    const T value = x[from[k]];
    const int better = (value > most) | ((value != value) & (most == most));
    most = better ? value : most;
    code = better ? codes[k] : code;
  }
  *out = most;
  if (which) *which = (uint8_t)code;
}

/* A row of windows.  Between `inner` and `outer` all elements along it exist. */
static void L(max_row)(const job *j, const T *x, i64 d, i64 h, T *out, uint8_t *which) {
  const geometry *g = j->g;
  const i64 n = g->count[2], step = g->stride[2];
  for (i64 w = 0; w < j->inner; ++w)
    L(max_window)(j, x, d, h, w, out + w, which ? which + w : NULL);
  for (i64 w = j->outer; w < n; ++w)
    L(max_window)(j, x, d, h, w, out + w, which ? which + w : NULL);
  for (i64 w = j->inner; w < j->outer; w += W) {
    const i64 lanes = fb_min(W, j->outer - w);
    V most = {0};
    VI code = {0};
    int is_first = 1;
    for (i64 kd = 0; kd < g->kernel[0]; ++kd)
      for (i64 kh = 0; kh < g->kernel[1]; ++kh) {
        const i64 id = place(g, 0, d, kd), ih = place(g, 1, h, kh);
        if (id < 0 || ih < 0) continue;
        const i64 base = (kd * g->kernel[1] + kh) * g->kernel[2];
        const T *row = x + (id * g->size[1] + ih) * g->size[2] + w * step - g->pad[2];
        for (i64 k = 0; k < g->kernel[2]; ++k) {
          const V value = L(load_steps)(row + k * g->dilation[2], lanes, step);
          if (is_first) most = value, code = (VI){0} + (int)base;
          else L(keep_better)(&most, &code, value, (int)(base + k));
          is_first = 0;
        }
      }
    L(store_part)(out + w, lanes, most);
    if (which) L(store_codes)(which + w, lanes, code);
  }
}

static void L(max_planes)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 end = fb_min(j->images, (task + 1) * j->per_task), halving = is_halving(g);
  for (i64 p = task * j->per_task; p < end; ++p) {
    const T *x = (const T *)j->x + p * j->inside;
    T *out = (T *)j->out + p * j->windows;
    uint8_t *which = j->which ? j->which + p * j->windows : NULL;
    if (halving) {
      L(halve)(j, x, out, which);
      continue;
    }
    for (i64 d = 0; d < g->count[0]; ++d)
      for (i64 h = 0; h < g->count[1]; ++h) {
        const i64 at = (d * g->count[1] + h) * g->count[2];
        L(max_row)(j, x, d, h, out + at, which ? which + at : NULL);
      }
  }
}

/* All channels of a window. */
static void L(max_pixel)(const job *j, const T *x, i64 d, i64 h, i64 w, T *out,
                         uint8_t *which) {
  i64 from[MOST];
  int codes[MOST];
  const i64 count = parts(j, d, h, w, from, codes);
  for (i64 c = 0; c < j->channels; c += W) {
    const i64 lanes = fb_min(W, j->channels - c);
    V most = L(load_part)(x + from[0] + c, lanes, 0);
    VI code = (VI){0} + codes[0];
    for (i64 k = 1; k < count; ++k)
      L(keep_better)(&most, &code, L(load_part)(x + from[k] + c, lanes, 0), codes[k]);
    L(store_part)(out + c, lanes, most);
    if (which) L(store_codes)(which + c, lanes, code);
  }
}

static void L(max_pixels)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 rows = g->count[0] * g->count[1], wide = g->count[2] * j->channels;
  const i64 end = fb_min(j->images * rows, (task + 1) * j->per_task);
  for (i64 r = task * j->per_task; r < end; ++r) {
    const T *x = (const T *)j->x + r / rows * j->inside * j->channels;
    const i64 d = r % rows / g->count[1], h = r % g->count[1];
    for (i64 w = 0; w < g->count[2]; ++w) {
      const i64 at = r * wide + w * j->channels;
      L(max_pixel)(j, x, d, h, w, (T *)j->out + at, j->which ? j->which + at : NULL);
    }
  }
}

/* ---- the gradient of greatest values */
/* a and b by turns, from half a vector on: a[0], b[0], a[1], b[1], ... */
static inline V L(by_turns)(V a, V b, int from) {
#if defined(__clang__)
  V r;
  for (int i = 0; i < W; ++i) r[i] = i % 2 ? b[from + i / 2] : a[from + i / 2];
  return r;
#else
  VI at;
  for (int i = 0; i < W; ++i) at[i] = from + i / 2 + i % 2 * W;
  return __builtin_shuffle(a, b, at);
#endif
}

static inline VI L(load_codes)(const uint8_t *from, i64 lanes) {
  LANES_JOIN(codes, T) code = {0};
  if (lanes == W) memcpy(&code, from, sizeof code);
  else for (i64 l = 0; l < lanes; ++l) code[l] = from[l];
  return __builtin_convertvector(code, VI);
}

/* Two rows of windows of 2 x 2 side by side. */
static void L(unhalve_row)(const T *grad, const uint8_t *which, T *a, T *b, i64 n) {
  const V zero = {0};
  for (i64 i = 0; i < n; i += W) {
    const i64 lanes = fb_min(W, n - i), one = fb_min(2 * lanes, W), two = 2 * lanes - one;
    const V g = L(load_part)(grad + i, lanes, 0);
    const VI code = L(load_codes)(which + i, lanes);
    const V p = L(select)(code == 0, g, zero), q = L(select)(code == 1, g, zero);
    const V r = L(select)(code == 2, g, zero), s = L(select)(code == 3, g, zero);
    L(store_part)(a + 2 * i, one, L(by_turns)(p, q, 0));
    L(store_part)(a + 2 * i + W, two, L(by_turns)(p, q, W / 2));
    L(store_part)(b + 2 * i, one, L(by_turns)(r, s, 0));
    L(store_part)(b + 2 * i + W, two, L(by_turns)(r, s, W / 2));
  }
}

static void L(unhalve)(const job *j, const T *grad, const uint8_t *which, T *dx) {
  const geometry *g = j->g;
  const i64 n = g->count[2], wide = g->size[2], high = g->size[1];
  for (i64 d = 0; d < g->count[0]; ++d) {
    for (i64 h = 0; h < g->count[1]; ++h, grad += n, which += n) {
      T *a = dx + (d * high + 2 * h) * wide, *b = a + wide;
      L(unhalve_row)(grad, which, a, b, n);
      for (i64 i = 2 * n; i < wide; ++i) a[i] = b[i] = 0;
    }
    for (i64 i = 2 * g->count[1] * wide; i < high * wide; ++i) dx[d * high * wide + i] = 0;
  }
}

static void L(scatter_task)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 channels = fb_max(j->channels, 1), area = g->kernel[0] * g->kernel[1] * g->kernel[2];
  const i64 end = fb_min(j->images, (task + 1) * j->per_task);
  const i64 halving = !j->channels && is_halving(g);
  i64 offset[MOST], from[MOST]; /* of each element of a window; -1 where there is none */
  int codes[MOST];
  for (i64 k = 0; k < MOST; ++k) offset[k] = -1;
  for (i64 p = task * j->per_task; p < end; ++p) {
    T *dx = (T *)j->out + p * j->inside * channels;
    const T *grad = (const T *)j->x + p * j->windows * channels;
    const uint8_t *which = j->which + p * j->windows * channels;
    if (halving) {
      L(unhalve)(j, grad, which, dx);
      continue;
    }
    memset(dx, 0, j->inside * channels * sizeof(T));
    for (i64 d = 0; d < g->count[0]; ++d)
      for (i64 h = 0; h < g->count[1]; ++h)
        for (i64 w = 0; w < g->count[2]; ++w, grad += channels, which += channels) {
          if (w > j->inner && w < j->outer) { /* all exist along the row, as one step before */
            for (i64 k = 0; k < area; ++k)
              offset[k] += offset[k] < 0 ? 0 : g->stride[2] * channels;
          } else {
            const i64 count = parts(j, d, h, w, from, codes);
            for (i64 k = 0; k < area; ++k) offset[k] = -1;
            for (i64 k = 0; k < count; ++k) offset[codes[k]] = from[k];
          }
          for (i64 c = 0; c < channels; ++c) {
            const i64 at = offset[which[c]];
            if (at >= 0) dx[at + c] += grad[c];
          }
        }
  }
}

/* ---- means */
static void L(add_row)(T *restrict sum, const T *restrict x, i64 n, i64 step) {
  STEPPED(step, for (i64 i = 0; i < n; ++i) sum[i] += x[i * S];);
}
static void L(add_to_row)(T *restrict to, const T *restrict x, i64 n, i64 step) {
  STEPPED(step, for (i64 i = 0; i < n; ++i) to[i * S] += x[i];);
}

static void L(mean_planes)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 *deep = g->factors, *high = deep + g->count[0], *wide = high + g->count[1];
  const i64 end = fb_min(j->images, (task + 1) * j->per_task), n = g->count[2];
  for (i64 p = task * j->per_task; p < end; ++p)
    for (i64 r = 0; r < g->count[0] * g->count[1]; ++r) {
      const i64 d = r / g->count[1], h = r % g->count[1];
      T *out = (T *)j->out + p * j->windows + r * n;
      for (i64 i = 0; i < n; ++i) out[i] = 0;
      for (i64 kd = 0; kd < g->kernel[0]; ++kd)
        for (i64 kh = 0; kh < g->kernel[1]; ++kh) {
          const i64 id = place(g, 0, d, kd), ih = place(g, 1, h, kh);
          if (id < 0 || ih < 0) continue;
          const T *row =
              (const T *)j->x + p * j->inside + (id * g->size[1] + ih) * g->size[2];
          for (i64 k = 0; k < g->kernel[2]; ++k)
            if (j->first[k] < j->last[k])
              L(add_row)(out + j->first[k], row + j->first[k] * g->stride[2] + k - g->pad[2],
                         j->last[k] - j->first[k], g->stride[2]);
        }
      for (i64 i = 0; i < n; ++i) out[i] /= (T)(deep[d] * high[h] * wide[i]);
    }
}

static void L(spread_planes)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 *deep = g->factors, *high = deep + g->count[0], *wide = high + g->count[1];
  const i64 end = fb_min(j->images, (task + 1) * j->per_task), n = g->count[2];
  for (i64 p = task * j->per_task; p < end; ++p) {
    T *dx = (T *)j->out + p * j->inside;
    memset(dx, 0, j->inside * sizeof(T));
    for (i64 r = 0; r < g->count[0] * g->count[1]; ++r) {
      const i64 d = r / g->count[1], h = r % g->count[1];
      const T *grad = (const T *)j->x + p * j->windows + r * n;
      for (i64 start = 0; start < n; start += BLOCK) {
        const i64 count = fb_min(BLOCK, n - start);
        T part[BLOCK];
        for (i64 i = 0; i < count; ++i)
          part[i] = grad[start + i] / (T)(deep[d] * high[h] * wide[start + i]);
        for (i64 kd = 0; kd < g->kernel[0]; ++kd)
          for (i64 kh = 0; kh < g->kernel[1]; ++kh) {
            const i64 id = place(g, 0, d, kd), ih = place(g, 1, h, kh);
            if (id < 0 || ih < 0) continue;
            T *row = dx + (id * g->size[1] + ih) * g->size[2];
            for (i64 k = 0; k < g->kernel[2]; ++k) {
              const i64 lo = fb_max(start, j->first[k]), hi = fb_min(start + count, j->last[k]);
              if (lo < hi)
                L(add_to_row)(row + lo * g->stride[2] + k - g->pad[2], part + lo - start, hi - lo,
                              g->stride[2]);
            }
          }
      }
    }
  }
}

static void L(mean_pixels)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 *deep = g->factors, *high = deep + g->count[0], *wide = high + g->count[1];
  const i64 rows = g->count[0] * g->count[1], n = j->channels;
  i64 from[MOST];
  int codes[MOST];
  const i64 end = fb_min(j->images * rows, (task + 1) * j->per_task);
  for (i64 r = task * j->per_task; r < end; ++r) {
    const T *x = (const T *)j->x + r / rows * j->inside * n;
    const i64 d = r % rows / g->count[1], h = r % g->count[1];
    for (i64 w = 0; w < g->count[2]; ++w) {
      T *out = (T *)j->out + (r * g->count[2] + w) * n;
      const i64 count = parts(j, d, h, w, from, codes);
      const T divisor = (T)(deep[d] * high[h] * wide[w]);
      for (i64 c = 0; c < n; c += W) {
        const i64 lanes = fb_min(W, n - c);
        V sum = {0};
        for (i64 k = 0; k < count; ++k) sum += L(load_part)(x + from[k] + c, lanes, 0);
        L(store_part)(out + c, lanes, sum / divisor);
      }
    }
  }
}

static void L(spread_pixels)(void *context, i64 task) {
  const job *j = context;
  const geometry *g = j->g;
  const i64 *deep = g->factors, *high = deep + g->count[0], *wide = high + g->count[1];
  const i64 end = fb_min(j->images, (task + 1) * j->per_task), n = j->channels;
  i64 from[MOST];
  int codes[MOST];
  for (i64 p = task * j->per_task; p < end; ++p) {
    T *dx = (T *)j->out + p * j->inside * n;
    memset(dx, 0, j->inside * n * sizeof(T));
    for (i64 at = 0; at < j->windows; ++at) {
      const i64 w = at % g->count[2], h = at / g->count[2] % g->count[1];
      const i64 d = at / g->count[2] / g->count[1];
      const T *grad = (const T *)j->x + (p * j->windows + at) * n;
      const T divisor = (T)(deep[d] * high[h] * wide[w]);
      const i64 count = parts(j, d, h, w, from, codes);
      for (i64 c = 0; c < n; c += W) {
        const i64 lanes = fb_min(W, n - c);
        const V part = L(load_part)(grad + c, lanes, 0) / divisor;
        for (i64 k = 0; k < count; ++k) {
          T *to = dx + from[k] + c;
          L(store_part)(to, lanes, L(load_part)(to, lanes, 0) + part);
        }
      }
    }
  }
}
#undef STEPPED
#undef V
#undef VI
#endif

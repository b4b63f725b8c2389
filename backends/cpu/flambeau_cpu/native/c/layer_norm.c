/* Normalisation of the rows of dense arrays (rows, n), each with its mean (layer norm) or without
   (rms norm), and the gradients for input, weight and bias.

   A task takes some rows; what it adds up for weight and bias goes to its own line of `partial`,
   and the lines are added in order. */
#ifndef T
#include "dense.h"
#include "half.h"
#include "lanes.h"
#include <stdlib.h>

enum { TOGETHER = 2 }; /* rows whose gradients are added to the weight's at once */

typedef struct {
  char *out, *mean, *rstd;
  const char *x, *grad, *w, *b;
  char *partial; /* (tasks, 2, n) in the dtype that is computed in */
  i64 n, rows, per_task, is_centred, adds, code;
  f64 eps;
} job;

static const char *data_of(const array *a, const array *known) {
  a = optional(a, known);
  return a ? a->data : NULL;
}

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static const char *widened(f32 **buffer, const char *from, i64 n, i64 code) {
  if (!from) return NULL;
  f32 *to = *buffer;
  widen(to, (const uint16_t *)from, n, code);
  *buffer += n;
  return (const char *)to;
}

/* 16-bit floats: each row, and the parameters, by way of single precision. */
static void half_forward_task(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  f32 *row = malloc(3 * (size_t)n * sizeof(f32)), *rest = row + n, stats[2];
  if (!row) abort();
  const f32 *w = (const f32 *)widened(&rest, j->w, n, j->code);
  const f32 *b = (const f32 *)widened(&rest, j->b, n, j->code);
  for (i64 r = task * j->per_task; r < end; ++r) {
    widen(row, (const uint16_t *)j->x + r * n, n, j->code);
    statistics_f32(row, n, j->is_centred, j->eps, stats);
    normalise_f32(row, row, w, b, n, stats);
    narrow((uint16_t *)j->out + r * n, row, n, j->code);
    if (j->mean) narrow((uint16_t *)j->mean + r, stats, 1, j->code);
    if (j->rstd) narrow((uint16_t *)j->rstd + r, stats + 1, 1, j->code);
  }
  free(row);
}

static void half_backward_task(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  f32 *x = malloc(4 * (size_t)n * sizeof(f32)), *g = x + n, *dx = x + 2 * n, *rest = x + 3 * n;
  if (!x) abort();
  job one = *j;
  one.x = (char *)x, one.grad = (char *)g, one.out = j->out ? (char *)dx : NULL, one.rstd = NULL;
  one.w = widened(&rest, j->w, n, j->code);
  f32 *sums = (f32 *)j->partial + task * 2 * n;
  memset(sums, 0, 2 * n * sizeof(f32));
  for (i64 r = task * j->per_task; r < end; ++r) {
    widen(x, (const uint16_t *)j->x + r * n, n, j->code);
    widen(g, (const uint16_t *)j->grad + r * n, n, j->code);
    backward_rows_f32(&one, 0, 1, sums);
    if (j->out) narrow((uint16_t *)j->out + r * n, dx, n, j->code);
  }
  free(x);
}

/* The functions return 0 for arrays that are not row-major.  n elements make a row.  dw and db are
   in the dtype that is computed in. */
i64 fb_norm(array *out, array *mean, array *rstd, const array *x, const array *w, const array *b,
            i64 n, i64 per_task, i64 is_centred, f64 eps, i64 code) {
  static const fb_task tasks[] = {forward_task_f32, forward_task_f64, half_forward_task,
                                  half_forward_task};
  const i64 size = ITEMSIZES[code];
  job j = {.out = out->data, .mean = (char *)data_of(mean, x), .rstd = (char *)data_of(rstd, x),
           .x = x->data, .w = data_of(w, x), .b = data_of(b, x), .n = n, .rows = size_of(x) / n,
           .per_task = per_task, .is_centred = is_centred, .code = code, .eps = eps};
  if (!is_dense(x, size) || (j.w && !is_dense(w, size)) || (j.b && !is_dense(b, size))) return 0;
  fb_parallel(tasks[code], &j, fb_ceil(j.rows, per_task));
  return 1;
}

i64 fb_norm_backward(array *dx, array *dw, array *db, array *partial, const array *grad,
                     const array *x, const array *mean, const array *rstd, const array *w, i64 n,
                     i64 per_task, i64 is_centred, f64 eps, i64 code) {
  static const fb_task tasks[] = {backward_task_f32, backward_task_f64, half_backward_task,
                                  half_backward_task};
  const i64 size = ITEMSIZES[code];
  job j = {.out = (char *)data_of(dx, x), .mean = (char *)data_of(mean, x),
           .rstd = (char *)data_of(rstd, x), .x = x->data, .grad = grad->data,
           .w = data_of(w, x), .partial = partial->data, .n = n, .rows = size_of(x) / n,
           .per_task = per_task, .is_centred = is_centred, .code = code, .eps = eps};
  char *to[] = {(char *)data_of(dw, x), (char *)data_of(db, x)};
  j.adds = to[0] || to[1];
  if (!is_dense(x, size) || !is_dense(grad, size) || (j.w && !is_dense(w, size))) return 0;
  if ((j.mean && !is_dense(mean, size)) || (j.rstd && !is_dense(rstd, size))) return 0;
  const i64 count = fb_ceil(j.rows, per_task);
  fb_parallel(tasks[code], &j, count);
  for (int k = 0; k < 2; ++k) {
    if (!to[k]) continue;
    if (code == OF_F64) add_lines_f64((f64 *)j.partial + k * n, n, count, (f64 *)to[k]);
    else add_lines_f32((f32 *)j.partial + k * n, n, count, (f32 *)to[k]);
  }
  return 1;
}

#else
#include "moments.h"
#define V LANES_JOIN(v, T)

/* Mean and reciprocal standard deviation of a row. */
static void L(statistics)(const T *x, i64 n, i64 is_centred, f64 eps, T *stats) {
  T mean = 0, variance;
  if (is_centred && n <= MOMENTS_CHUNK) {
    mean = L(sum_of)(x, n) / (T)n, variance = L(squares_of)(x, n, mean) / (T)n;
  } else if (is_centred) {
    moments m = {0};
    L(add_moments)(&m, x, n);
    mean = (T)m.mean, variance = (T)(m.squares / (f64)n);
  } else {
    variance = L(squares_of)(x, n, 0) / (T)n;
  }
  stats[0] = mean, stats[1] = 1 / L(root)(variance + (T)eps);
}

#define LOAD(p, i, lanes) ((lanes) == W ? L(load)((p) + (i)) : L(load_part)((p) + (i), lanes, 0))
#define STORE(p, i, lanes, x) \
  do { \
    if ((lanes) == W) L(store)((p) + (i), x); \
    else L(store_part)((p) + (i), lanes, x); \
  } while (0)

/* The statements for every vector of a row, with `lanes` a constant but for the last one. */
#define EACH(n, ...) \
  do { \
    i64 i = 0; \
    for (; i + W <= (n); i += W) { enum { lanes = VBYTES / sizeof(T) }; __VA_ARGS__ } \
    if (i < (n)) { const i64 lanes = (n) - i; __VA_ARGS__ } \
  } while (0)

static void L(normalise)(T *out, const T *x, const T *w, const T *b, i64 n, const T *stats) {
  const T mean = stats[0], rstd = stats[1];
#define XHAT ((LOAD(x, i, lanes) - mean) * rstd)
  if (w && b) EACH(n, STORE(out, i, lanes, L(fma)(XHAT, LOAD(w, i, lanes), LOAD(b, i, lanes))););
  else if (w) EACH(n, STORE(out, i, lanes, XHAT * LOAD(w, i, lanes)););
  else if (b) EACH(n, STORE(out, i, lanes, XHAT + LOAD(b, i, lanes)););
  else EACH(n, STORE(out, i, lanes, XHAT););
#undef XHAT
}

static void L(forward_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  for (i64 row = task * j->per_task; row < end; ++row) {
    const T *x = (const T *)j->x + row * n;
    T stats[2];
    L(statistics)(x, n, j->is_centred, j->eps, stats);
    if (j->mean) ((T *)j->mean)[row] = stats[0];
    if (j->rstd) ((T *)j->rstd)[row] = stats[1];
    L(normalise)((T *)j->out + row * n, x, (const T *)j->w, (const T *)j->b, n, stats);
  }
}

/* The means over a row of its weighted gradient, and of that times the normalised row. */
static void L(means)(const T *g, const T *x, const T *w, i64 n, const T *stats, T *means) {
  const T mean = stats[0], rstd = stats[1];
  V first = {0}, second = {0};
#define ADD(gx) \
  const V part = gx; \
  first += part, second = L(fma)(part, LOAD(x, i, lanes) - mean, second);
  if (w) EACH(n, ADD(LOAD(g, i, lanes) * LOAD(w, i, lanes)));
  else EACH(n, ADD(LOAD(g, i, lanes)));
#undef ADD
  means[0] = L(total)(first) / (T)n, means[1] = L(total)(second) * rstd / (T)n;
}

/* Some rows: their gradients, and what they add to the weight's and the bias's.  With
   `count` and the flags constant, the loops over rows unroll. */
static inline __attribute__((always_inline)) void L(rows_back)(
    T *dx, const T *x, const T *g, const T *w, i64 n, int count, T (*stats)[2], T (*means)[2],
    T *sums, int has_dx, int has_w, int adds) {
  EACH(n, {
    const V weight = has_w ? LOAD(w, i, lanes) : L(set)(1);
    V dw = adds ? LOAD(sums, i, lanes) : L(set)(0), db = adds ? LOAD(sums + n, i, lanes) : dw;
    V back[TOGETHER]; /* stored when all is loaded: rows may lie a multiple of a page apart */
    for (int r = 0; r < count; ++r) {
      __builtin_prefetch(x + (count + r) * n + i); /* the rows that are read next */
      __builtin_prefetch(g + (count + r) * n + i);
      const V gy = LOAD(g + r * n, i, lanes);
      const V xhat = (LOAD(x + r * n, i, lanes) - stats[r][0]) * stats[r][1];
      const V shift = L(fma)(xhat, L(set)(-means[r][1]), L(set)(-means[r][0]));
      dw = L(fma)(gy, xhat, dw); db += gy;
      back[r] = L(fma)(gy, weight, shift) * stats[r][1];
    }
    for (int r = 0; has_dx && r < count; ++r) STORE(dx + r * n, i, lanes, back[r]);
    if (adds) {
      STORE(sums, i, lanes, dw);
      STORE(sums + n, i, lanes, db);
    }
  });
}

static void L(backward_rows)(const job *j, i64 row, i64 count, T *sums) {
  const i64 n = j->n;
  const T *x = (const T *)j->x + row * n, *g = (const T *)j->grad + row * n;
  const T *w = (const T *)j->w;
  T *dx = j->out ? (T *)j->out + row * n : NULL, stats[TOGETHER][2], means[TOGETHER][2];
  for (i64 r = 0; r < count; ++r) {
    if (j->rstd) {
      stats[r][0] = j->mean ? ((const T *)j->mean)[row + r] : 0;
      stats[r][1] = ((const T *)j->rstd)[row + r];
    } else {
      L(statistics)(x + r * n, n, j->is_centred, j->eps, stats[r]);
    }
    if (dx) L(means)(g + r * n, x + r * n, w, n, stats[r], means[r]);
    if (!j->is_centred) means[r][0] = 0;
  }
#define BACK(count, has_dx, has_w, adds) \
  L(rows_back)(dx, x, g, w, n, count, stats, means, sums, has_dx, has_w, adds)
  if (count == TOGETHER && dx && w && j->adds) BACK(TOGETHER, 1, 1, 1);
  else if (count == TOGETHER && dx && !j->adds && !w) BACK(TOGETHER, 1, 0, 0);
  else BACK(count, dx != NULL, w != NULL, j->adds);
#undef BACK
}

static void L(backward_task)(void *context, i64 task) {
  const job *j = context;
  const i64 end = fb_min(j->rows, (task + 1) * j->per_task);
  T *sums = (T *)j->partial + task * 2 * j->n;
  if (j->adds) memset(sums, 0, 2 * j->n * sizeof(T));
  for (i64 row = task * j->per_task; row < end; row += TOGETHER)
    L(backward_rows)(j, row, fb_min(TOGETHER, end - row), sums);
}

/* The sum of every other of `count` pairs of lines. */
static void L(add_lines)(const T *lines, i64 n, i64 count, T *out) {
  EACH(n, {
    V sum = {0};
    for (i64 k = 0; k < count; ++k) sum += LOAD(lines + 2 * k * n, i, lanes);
    STORE(out, i, lanes, sum);
  });
}
#undef V
#undef LOAD
#undef STORE
#undef EACH
#endif

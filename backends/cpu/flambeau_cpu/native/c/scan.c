/* Running sums, products and extremes along the middle of row-major (outer, n, inner).

   Single precision is accumulated in double, one element after the other.  A long row is cut into
   pieces whose totals are found first. */
#include "flambeau.h"
#include <math.h>
#include <stdlib.h>

#define STRIP 256        /* columns of a task */
#define PIECE (1 << 14)  /* elements of a piece of a long row */
#define TASK (1 << 15)   /* elements of a task, about */
#define TOGETHER 4       /* rows at a time, as each waits for its last sum */

typedef struct {
  char *out, *x;
  i64 *indices;
  i64 outer, n, inner, per_task, pieces;
  void *totals;
} job;

#define ADD(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))

#define SCAN(name, T, A, zero, OP) \
  static void name##_row(T *out, const T *x, i64 n, A total) { \
    for (i64 i = 0; i < n; ++i) total = OP(total, x[i]), out[i] = (T)total; \
  } \
  static void name##_four(T *out, const T *x, i64 n, A a, A b, A c, A d) { \
    for (i64 i = 0; i < n; ++i) { \
      a = OP(a, x[i]), b = OP(b, x[i + n]), c = OP(c, x[i + 2 * n]), d = OP(d, x[i + 3 * n]); \
      out[i] = (T)a, out[i + n] = (T)b, out[i + 2 * n] = (T)c, out[i + 3 * n] = (T)d; \
    } \
  } \
  static void name##_rows(void *context, i64 task) { \
    const job *j = context; \
    const i64 n = j->n, end = fb_min(j->outer, (task + 1) * j->per_task); \
    const T *x = (const T *)j->x; \
    i64 r = task * j->per_task; \
    for (; r + TOGETHER <= end; r += TOGETHER) \
      name##_four((T *)j->out + r * n, x + r * n, n, zero, zero, zero, zero); \
    for (; r < end; ++r) name##_row((T *)j->out + r * n, x + r * n, n, zero); \
  } \
  static void name##_total(void *context, i64 task) { \
    const job *j = context; \
    const i64 first = task % j->pieces * PIECE, n = fb_min(PIECE, j->n - first); \
    const T *x = (const T *)j->x + task / j->pieces * j->n + first; \
    A part[8]; \
    for (int k = 0; k < 8; ++k) part[k] = zero; \
    i64 i = 0; \
    for (; i + 8 <= n; i += 8) \
      for (int k = 0; k < 8; ++k) part[k] = OP(part[k], x[i + k]); \
    for (; i < n; ++i) part[0] = OP(part[0], x[i]); \
    for (int half = 4; half; half /= 2) \
      for (int k = 0; k < half; ++k) part[k] = OP(part[k], part[k + half]); \
    ((A *)j->totals)[task] = part[0]; \
  } \
  static void name##_pieces(void *context, i64 task) { \
    const job *j = context; \
    const i64 groups = fb_ceil(j->pieces, TOGETHER), o = task / groups; \
    const i64 piece = task % groups * TOGETHER, at = o * j->n + piece * PIECE; \
    const A *t = (const A *)j->totals + o * j->pieces + piece; \
    T *out = (T *)j->out + at; \
    const T *x = (const T *)j->x + at; \
    if ((piece + TOGETHER) * PIECE <= j->n) \
      name##_four(out, x, PIECE, t[0], t[1], t[2], t[3]); \
    else \
      name##_row(out, x, j->n - piece * PIECE, t[0]); \
  } \
  static void name##_columns(void *context, i64 task) { \
    const job *j = context; \
    const i64 strips = fb_ceil(j->inner, STRIP), first = task % strips * STRIP; \
    const i64 width = fb_min(STRIP, j->inner - first), at = task / strips * j->n * j->inner + first; \
    const T *restrict x = (const T *)j->x + at; \
    T *restrict out = (T *)j->out + at; \
    A total[STRIP]; \
    for (i64 c = 0; c < width; ++c) total[c] = zero; \
    for (i64 i = 0; i < j->n; ++i, x += j->inner, out += j->inner) \
      for (i64 c = 0; c < width; ++c) total[c] = OP(total[c], x[c]), out[c] = (T)total[c]; \
  } \
  i64 fb_##name(array *result, const array *x, i64 outer, i64 n, i64 inner) { \
    job j = {.out = result->data, .x = x->data, .outer = outer, .n = n, .inner = inner}; \
    if (inner > 1) { \
      fb_parallel(name##_columns, &j, outer * fb_ceil(inner, STRIP)); \
    } else if (outer >= TOGETHER || n < 8 * PIECE) { \
      j.per_task = fb_ceil(fb_max(1, TASK / n), TOGETHER) * TOGETHER; \
      fb_parallel(name##_rows, &j, fb_ceil(outer, j.per_task)); \
    } else { \
      j.pieces = fb_ceil(n, PIECE); \
      A *totals = j.totals = malloc(outer * j.pieces * sizeof(A)); \
      if (!totals) return 0; \
      fb_parallel(name##_total, &j, outer * j.pieces); \
      for (i64 o = 0; o < outer; ++o) { \
        A before = zero; \
        for (i64 p = 0; p < j.pieces; ++p) { \
          const A here = totals[o * j.pieces + p]; \
          totals[o * j.pieces + p] = before, before = OP(before, here); \
        } \
      } \
      fb_parallel(name##_pieces, &j, outer * fb_ceil(j.pieces, TOGETHER)); \
      free(totals); \
    } \
    return 1; \
  }
SCAN(sum_f32, f32, f64, 0, ADD)
SCAN(sum_f64, f64, f64, 0, ADD)
SCAN(sum_i64, i64, i64, 0, ADD)
SCAN(prod_f32, f32, f64, 1, TIMES)
SCAN(prod_f64, f64, f64, 1, TIMES)
SCAN(prod_i64, i64, i64, 1, TIMES)

/* ---- extremes and where they were last; NaN stays --------------------------------------------- */
#define EXTREME(name, T, I, BEATS) \
  static void name##_task(void *context, i64 task) { \
    const job *j = context; \
    const i64 strips = fb_ceil(j->inner, STRIP), first = task % strips * STRIP; \
    const i64 width = fb_min(STRIP, j->inner - first), at = task / strips * j->n * j->inner + first; \
    const T *restrict x = (const T *)j->x + at; \
    T *restrict out = (T *)j->out + at; \
    i64 *restrict indices = j->indices + at; \
    if (j->inner == 1) { \
      T best = x[0]; \
      i64 place = 0; \
      for (i64 i = 0; i < j->n; ++i) { \
        if ((x[i] BEATS best) | (x[i] != x[i])) best = x[i], place = i; \
        out[i] = best, indices[i] = place; \
      } \
      return; \
    } \
    T best[STRIP]; \
    I place[STRIP]; \
    for (i64 c = 0; c < width; ++c) best[c] = x[c], place[c] = 0; \
    for (I i = 0; i < j->n; ++i, x += j->inner, out += j->inner, indices += j->inner) \
      for (i64 c = 0; c < width; ++c) { \
        const T y = x[c], old = best[c]; \
        const I takes = -(I)((y BEATS old) | (y != y)); \
        out[c] = best[c] = takes ? y : old; \
        indices[c] = place[c] = (place[c] & ~takes) | (i & takes); \
      } \
  } \
  void fb_##name(array *values, array *indices, const array *x, i64 outer, i64 n, i64 inner) { \
    job j = {.out = values->data, .x = x->data, .indices = (i64 *)indices->data, .outer = outer, \
             .n = n, .inner = inner}; \
    fb_parallel(name##_task, &j, outer * fb_ceil(inner, STRIP)); \
  }
EXTREME(max_f32, f32, int32_t, >=)
EXTREME(max_f64, f64, i64, >=)
EXTREME(max_i64, i64, i64, >=)
EXTREME(min_f32, f32, int32_t, <=)
EXTREME(min_f64, f64, i64, <=)
EXTREME(min_i64, i64, i64, <=)

/* ---- logarithms of running sums of exponentials ------------------------------------------------ */
#define LOGARITHMS(T) \
  static void log_task_##T(void *context, i64 task) { \
    const job *j = context; \
    const i64 at = task / j->inner * j->n * j->inner + task % j->inner; \
    f64 top = -INFINITY, sum = 0; /* of exp(x - top) */ \
    for (i64 i = 0, p = at; i < j->n; ++i, p += j->inner) { \
      const f64 y = ((const T *)j->x)[p]; \
      if (y == top) sum += y == -INFINITY ? 0 : 1; \
      else if (y < top) sum += exp(y - top); \
      else if (top == top) sum = sum * exp(top - y) + 1, top = y; \
      ((T *)j->out)[p] = (T)(top + log(sum)); \
    } \
  } \
  void fb_log_##T(array *out, const array *x, i64 outer, i64 n, i64 inner) { \
    job j = {.out = out->data, .x = x->data, .outer = outer, .n = n, .inner = inner}; \
    fb_parallel(log_task_##T, &j, outer * inner); \
  }
LOGARITHMS(f32)
LOGARITHMS(f64)

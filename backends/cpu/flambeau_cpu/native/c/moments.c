/* Variances with means, and logarithms of summed exponentials: of each block in two passes while
   it is in the cache; blocks are then combined. */
#include "half.h"
#include "lanes.h"
#include "reduce.h"

#define SPAN 1024 /* elements of a row, or */
#define FEW 32    /* rows of a strip: a block */
#define SIDE 32

/* ---- variance: Chan's formula combines counts, means and sums of squares ------------------- */
typedef struct {
  f64 n, mean, squares;
} moments;

static void moments_start(void *acc, i64 n) { memset(acc, 0, n * sizeof(moments)); }
static inline void moments_add(moments *a, moments b) {
  const f64 n = a->n + b.n, apart = b.mean - a->mean;
  if (b.n == 0) return;
  a->mean += apart * (b.n / n), a->squares += b.squares + apart * apart * (a->n * b.n / n);
  a->n = n;
}
static void moments_combine(void *acc, const void *other, i64 n) {
  for (i64 i = 0; i < n; ++i) moments_add((moments *)acc + i, ((const moments *)other)[i]);
}

static inline f64 total_of(const f64 *side) {
  f64 part[SIDE];
  memcpy(part, side, sizeof part);
  for (int half = SIDE / 2; half; half /= 2)
    for (int j = 0; j < half; ++j) part[j] += part[j + half];
  return part[0];
}

#define VARIANCES(name, X, OF, TO) \
  static void name##_row(void *acc, const void *from, i64 n, i64 base) { \
    moments all = {0, 0, 0}; \
    for (i64 i = 0; i < n; i += SPAN) { \
      const X *x = (const X *)from + i; \
      const i64 m = fb_min(SPAN, n - i), whole = m / SIDE * SIDE; \
      f64 sum[SIDE] = {0}, squares[SIDE] = {0}; \
      for (i64 k = 0; k < whole; k += SIDE) \
        for (int j = 0; j < SIDE; ++j) sum[j] += OF(x[k + j]); \
      for (i64 k = whole; k < m; ++k) sum[k - whole] += OF(x[k]); \
      const f64 mean = total_of(sum) / m; \
      for (i64 k = 0; k < whole; k += SIDE) \
        for (int j = 0; j < SIDE; ++j) { \
          const f64 d = OF(x[k + j]) - mean; \
          squares[j] += d * d; \
        } \
      for (i64 k = whole; k < m; ++k) { \
        const f64 d = OF(x[k]) - mean; \
        squares[k - whole] += d * d; \
      } \
      moments_add(&all, (moments){m, mean, total_of(squares)}); \
    } \
    *(moments *)acc = all; \
  } \
  static void name##_columns(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                             i64 base) { \
    f64 mean[STRIP], squares[STRIP]; \
    for (i64 first = 0; first < rows; first += FEW) { \
      const i64 m = fb_min(FEW, rows - first); \
      for (i64 c = 0; c < width; ++c) mean[c] = squares[c] = 0; \
      for (i64 r = first; r < first + m; ++r) { \
        const X *restrict x = (const X *)from + r * stride; \
        for (i64 c = 0; c < width; ++c) mean[c] += OF(x[c]); \
      } \
      for (i64 c = 0; c < width; ++c) mean[c] /= m; \
      for (i64 r = first; r < first + m; ++r) { \
        const X *restrict x = (const X *)from + r * stride; \
        for (i64 c = 0; c < width; ++c) { \
          const f64 d = OF(x[c]) - mean[c]; \
          squares[c] += d * d; \
        } \
      } \
      for (i64 c = 0; c < width; ++c) \
        moments_add((moments *)acc + c, (moments){m, mean[c], squares[c]}); \
    } \
  } \
  static void name##_store(void *out, void *second, i64 at, i64 step, const void *acc, i64 n, \
                           const finish *f) { \
    const moments *a = acc; \
    for (i64 i = 0; i < n; ++i) { \
      ((X *)out)[at + i * step] = TO(a[i].squares / fmax(a[i].n - f->divisor, 0)); \
      ((X *)second)[at + i * step] = TO(a[i].mean); \
    } \
  }
#define SAME(x) (x)
VARIANCES(variance_f32, f32, SAME, SAME)
VARIANCES(variance_f64, f64, SAME, SAME)
VARIANCES(variance_f16, uint16_t, from_f16, to_f16)
VARIANCES(variance_bf16, uint16_t, from_bf16, to_bf16)

/* ---- log of the sum of exp(x): the greatest x, and the sum of exp(x - greatest) ------------ */
#define EXPONENTIALS(A) \
  typedef struct { \
    A top, sum; \
  } sums_##A; \
  /* What is subtracted: an infinite greatest value would make NaN. */ \
  static inline A shift_##A(A top) { return isinf(top) ? 0 : top; } \
  static void start_##A(void *acc, i64 n) { \
    for (i64 i = 0; i < n; ++i) ((sums_##A *)acc)[i] = (sums_##A){-INFINITY, 0}; \
  } \
  static inline void add_##A(sums_##A *a, sums_##A b) { \
    const A top = a->top > b.top ? a->top : b.top; \
    if (b.top != a->top) { \
      if (a->sum != 0 && top != a->top) a->sum *= exp(shift_##A(a->top) - shift_##A(top)); \
      if (b.sum != 0 && top != b.top) b.sum *= exp(shift_##A(b.top) - shift_##A(top)); \
    } \
    a->top = top, a->sum += b.sum; \
  } \
  static void combine_##A(void *acc, const void *other, i64 n) { \
    for (i64 i = 0; i < n; ++i) add_##A((sums_##A *)acc + i, ((const sums_##A *)other)[i]); \
  } \
  static void row_##A(void *acc, const void *from, i64 n, i64 base) { \
    const i64 lanes = VBYTES / sizeof(A); \
    sums_##A all = {-INFINITY, 0}; \
    for (i64 i = 0; i < n; i += SPAN) { \
      const A *x = (const A *)from + i; \
      const i64 m = fb_min(SPAN, n - i), whole = m / lanes * lanes, rest = m - whole; \
      const v_##A last = rest ? load_part_##A(x + whole, rest, -INFINITY) : set_##A(-INFINITY); \
      v_##A top = last, sum = set_##A(0); \
      for (i64 k = 0; k < whole; k += lanes) top = greater_##A(load_##A(x + k), top); \
      const A most = greatest_##A(top), shift = shift_##A(most); \
      for (i64 k = 0; k < whole; k += lanes) sum += exp_##A(load_##A(x + k) - shift); \
      if (rest) sum += exp_##A(last - shift); \
      add_##A(&all, (sums_##A){most, total_##A(sum)}); \
    } \
    *(sums_##A *)acc = all; \
  } \
  static void columns_##A(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                          i64 base) { \
    const i64 lanes = VBYTES / sizeof(A); \
    for (i64 first = 0; first < rows; first += FEW) \
      for (i64 c = 0; c < width; c += lanes) { \
        const A *x = (const A *)from + first * stride + c; \
        const i64 m = fb_min(FEW, rows - first), n = fb_min(lanes, width - c); \
        v_##A block[FEW], top = set_##A(-INFINITY), sum = set_##A(0); \
        for (i64 r = 0; r < m; ++r) { \
          block[r] = n == lanes ? load_##A(x + r * stride) : load_part_##A(x + r * stride, n, 0); \
          top = greater_##A(block[r], top); \
        } \
        A most[VBYTES / sizeof(A)], shift[VBYTES / sizeof(A)], part[VBYTES / sizeof(A)]; \
        store_##A(most, top); \
        for (int j = 0; j < lanes; ++j) shift[j] = shift_##A(most[j]); \
        const v_##A less = load_##A(shift); \
        for (i64 r = 0; r < m; ++r) sum += exp_##A(block[r] - less); \
        store_##A(part, sum); \
        for (i64 j = 0; j < n; ++j) \
          add_##A((sums_##A *)acc + c + j, (sums_##A){most[j], part[j]}); \
      } \
  } \
  static void store_sums_##A(void *out, void *second, i64 at, i64 step, const void *acc, i64 n, \
                             const finish *f) { \
    const sums_##A *a = acc; \
    for (i64 i = 0; i < n; ++i) \
      ((A *)out)[at + i * step] = log((f64)a[i].sum) + shift_##A(a[i].top); \
  }
EXPONENTIALS(f32)
EXPONENTIALS(f64)

/* ---- the table, in the order that moments.py and norms.py count on -------------------------- */
#define VARIANCE(name, X) \
  {sizeof(X), sizeof(moments), 1, moments_start, name##_row, name##_columns, moments_combine, \
   name##_store}
#define SUMS(A) \
  {sizeof(A), sizeof(sums_##A), 1, start_##A, row_##A, columns_##A, combine_##A, store_sums_##A}
static const reduction table[] = {
  VARIANCE(variance_f32, f32), VARIANCE(variance_f64, f64), VARIANCE(variance_f16, uint16_t),
  VARIANCE(variance_bf16, uint16_t), SUMS(f32), SUMS(f64)};

i64 fb_moments(const array *x, array *out, array *second, i64 mask, i64 which, f64 correction) {
  return run_reduction(table + which, x, out, (array *)optional(second, x), mask, correction, 0);
}

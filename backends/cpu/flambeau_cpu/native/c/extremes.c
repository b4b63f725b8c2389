/* Where the greatest and the smallest values are; the first of several, or the first NaN. */
#include "half.h"
#include "reduce.h"

#define SPAN 512 /* elements of a row that are compared at once */
#define SIDE 32

/* X: elements; A: what they are compared as; I: an integer of the same size; RANK makes the
   greatest out of what is looked for, and VALUE undoes it. */
#define PLACES(name, X, A, I, RANK, VALUE) \
  typedef struct { \
    i64 at; /* -1: none yet */ \
    A rank; \
  } name; \
  static int name##_beats(A a, A b) { return (a > b) | ((a != a) & (b == b)); } \
  static void name##_start(void *acc, i64 n) { \
    for (i64 i = 0; i < n; ++i) ((name *)acc)[i].at = -1; \
  } \
  static void name##_combine(void *acc, const void *other, i64 n) { \
    name *a = acc; \
    const name *b = other; \
    for (i64 i = 0; i < n; ++i) \
      if (b[i].at >= 0 && (a[i].at < 0 || name##_beats(b[i].rank, a[i].rank))) a[i] = b[i]; \
  } \
  static A name##_top(const A *y, i64 *has_nan) { /* of SPAN elements */ \
    A top[SIDE]; \
    I nan[SIDE] = {0}; \
    for (int j = 0; j < SIDE; ++j) top[j] = y[j], nan[j] = y[j] != y[j]; \
    for (i64 i = SIDE; i < SPAN; i += SIDE) \
      for (int j = 0; j < SIDE; ++j) { \
        const A z = y[i + j]; \
        top[j] = z > top[j] ? z : top[j], nan[j] |= z != z; \
      } \
    for (int half = SIDE / 2; half; half /= 2) \
      for (int j = 0; j < half; ++j) \
        top[j] = top[j + half] > top[j] ? top[j + half] : top[j], nan[j] |= nan[j + half]; \
    *has_nan = nan[0] != 0; \
    return top[0]; \
  } \
  /* The first place of a value, or of NaN, among SPAN elements that hold it. */ \
  static i64 name##_find(const A *y, A top, int is_nan) { \
    for (i64 i = 0; i < SPAN; i += SIDE) { \
      I hit = 0; \
      for (int j = 0; j < SIDE; ++j) \
        hit |= is_nan ? y[i + j] != y[i + j] : y[i + j] == top; \
      if (hit) \
        for (int j = 0; j < SIDE; ++j) \
          if (is_nan ? y[i + j] != y[i + j] : y[i + j] == top) return i + j; \
    } \
    return 0; \
  } \
  static void name##_row(void *acc, const void *from, i64 n, i64 base) { \
    const X *x = from; \
    A y[SPAN], top = RANK(x[0]); \
    i64 i = 0, block = -1, at = 0, nan = 0; \
    for (; i + SPAN <= n && !nan; i += SPAN) { \
      for (i64 k = 0; k < SPAN; ++k) y[k] = RANK(x[i + k]); \
      const A here = name##_top(y, &nan); \
      if (nan) block = i, top = y[at = name##_find(y, here, 1)]; \
      else if (here > top || !i) top = here, block = i; \
    } \
    if (block >= 0 && !nan) { \
      for (i64 k = 0; k < SPAN; ++k) y[k] = RANK(x[block + k]); \
      at = name##_find(y, top, 0); \
    } \
    at += fb_max(block, 0); \
    for (; i < n && top == top; ++i) { \
      const A z = RANK(x[i]); \
      if (!(z <= top)) top = z, at = i; \
    } \
    *(name *)acc = (name){base + at, top}; \
  } \
  static void name##_columns(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                             i64 base) { \
    const X *restrict x = from; \
    A rank[STRIP]; \
    I at[STRIP]; \
    if (!rows) return; \
    for (i64 c = 0; c < width; ++c) rank[c] = RANK(x[c]), at[c] = 0; \
    for (I r = 1; r < rows; ++r) { \
      x += stride; \
      for (i64 c = 0; c < width; ++c) { \
        const A y = RANK(x[c]), old = rank[c]; \
        const I takes = -(I)((y > old) | ((y != y) & (old == old))); \
        rank[c] = takes ? y : old, at[c] = (at[c] & ~takes) | (r & takes); \
      } \
    } \
    for (i64 c = 0; c < width; ++c) { \
      const name found = {base + at[c], rank[c]}; \
      name##_combine((name *)acc + c, &found, 1); \
    } \
  } \
  static void name##_store(void *out, void *second, i64 at, i64 step, const void *acc, i64 n, \
                           const finish *f) { \
    const name *a = acc; \
    for (i64 i = 0; i < n; ++i) { \
      ((i64 *)out)[at + i * step] = a[i].at; \
      if (second) ((X *)second)[at + i * step] = VALUE(a[i].rank); \
    } \
  }

#define SAME(x) (x)
#define MINUS(x) (-(x))
#define INVERSE(x) (~(x))
#define LESS_F16(x) (-from_f16(x))
#define OF_LESS_F16(x) to_f16(-(x))
#define LESS_BF16(x) (-from_bf16(x))
#define OF_LESS_BF16(x) to_bf16(-(x))
PLACES(most_f32, f32, f32, int32_t, SAME, SAME)
PLACES(most_f64, f64, f64, i64, SAME, SAME)
PLACES(most_f16, uint16_t, f32, int32_t, from_f16, to_f16)
PLACES(most_bf16, uint16_t, f32, int32_t, from_bf16, to_bf16)
PLACES(most_i64, i64, i64, i64, SAME, SAME)
PLACES(most_i32, int32_t, int32_t, int32_t, SAME, SAME)
PLACES(most_u8, uint8_t, int32_t, int32_t, SAME, SAME)
PLACES(least_f32, f32, f32, int32_t, MINUS, MINUS)
PLACES(least_f64, f64, f64, i64, MINUS, MINUS)
PLACES(least_f16, uint16_t, f32, int32_t, LESS_F16, OF_LESS_F16)
PLACES(least_bf16, uint16_t, f32, int32_t, LESS_BF16, OF_LESS_BF16)
PLACES(least_i64, i64, i64, i64, INVERSE, INVERSE)
PLACES(least_i32, int32_t, int32_t, int32_t, INVERSE, INVERSE)
PLACES(least_u8, uint8_t, int32_t, int32_t, INVERSE, INVERSE)

/* In the order that extremes.py counts on. */
#define ENTRY(name, X) \
  {sizeof(X), sizeof(name), 0, name##_start, name##_row, name##_columns, name##_combine, \
   name##_store}
#define ENTRIES(op) \
  ENTRY(op##_f32, f32), ENTRY(op##_f64, f64), ENTRY(op##_f16, uint16_t), \
  ENTRY(op##_bf16, uint16_t), ENTRY(op##_i64, i64), ENTRY(op##_i32, int32_t), \
  ENTRY(op##_u8, uint8_t)
static const reduction table[] = {ENTRIES(most), ENTRIES(least)};

i64 fb_places(const array *x, array *indices, array *values, i64 mask, i64 which) {
  return run_reduction(table + which, x, indices, (array *)optional(values, x), mask, 0, 0);
}

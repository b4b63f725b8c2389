/* Sums, products and extremes of integers, and counts of what is not zero. */
#include "reduce.h"

STORE(i64, i64, i64, a)
STORE(i32, int32_t, int32_t, a)
STORE(i16, int16_t, int16_t, a)
STORE(i8, int8_t, int8_t, a)
STORE(u8, uint8_t, uint8_t, a)
STORE(any, i64, uint8_t, a != 0)
STORE(all, i64, uint8_t, a == f->elements)

#define ADD(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
#define SAME(x) (x)
/* ---- integers, and counts of what is not zero ---------------------------------------------- */
/* P: what a block of rows or a piece of a row is accumulated in; A: the whole. */
#define PLAIN(name, X, P, A, zero, MAP, FOLD) \
  static void name##_start(void *acc, i64 n) { \
    for (i64 i = 0; i < n; ++i) ((A *)acc)[i] = zero; \
  } \
  static void name##_combine(void *acc, const void *other, i64 n) { \
    A *restrict a = acc; \
    const A *restrict b = other; \
    for (i64 i = 0; i < n; ++i) a[i] = FOLD(a[i], b[i]); \
  } \
  static void name##_row(void *acc, const void *from, i64 n, i64 base) { \
    const X *x = from; \
    A total = zero; \
    for (i64 i = 0; i < n;) { \
      P part = zero; \
      for (const i64 end = fb_min(n, i + BLOCK); i < end; ++i) { \
        const P y = MAP(x[i]); \
        part = FOLD(part, y); \
      } \
      total = FOLD(total, part); \
    } \
    *(A *)acc = total; \
  } \
  static void name##_columns(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                             i64 base) { \
    P part[STRIP]; \
    A *restrict a = acc; \
    for (i64 r = 0; r < rows;) { \
      for (i64 c = 0; c < width; ++c) part[c] = zero; \
      for (const i64 end = fb_min(rows, r + BLOCK); r < end; ++r) { \
        const X *restrict x = (const X *)from + r * stride; \
        for (i64 c = 0; c < width; ++c) { \
          const P y = MAP(x[c]); \
          part[c] = FOLD(part[c], y); \
        } \
      } \
      for (i64 c = 0; c < width; ++c) a[c] = FOLD(a[c], part[c]); \
    } \
  }
#define TRUTH(x) ((x) != 0)
#define HALF_TRUTH(x) (((x) & 0x7fff) != 0)
#define MOST(a, b) ((b) > (a) ? (b) : (a))
#define LEAST(a, b) ((b) < (a) ? (b) : (a))
PLAIN(sum_i64, i64, i64, i64, 0, SAME, ADD)
PLAIN(sum_i32, int32_t, i64, i64, 0, SAME, ADD)
PLAIN(sum_i16, int16_t, int32_t, i64, 0, SAME, ADD)
PLAIN(sum_i8, int8_t, int16_t, i64, 0, SAME, ADD)
PLAIN(sum_u8, uint8_t, uint16_t, i64, 0, SAME, ADD)
PLAIN(prod_i64, i64, i64, i64, 1, SAME, TIMES)
PLAIN(max_i64, i64, i64, i64, INT64_MIN, SAME, MOST)
PLAIN(min_i64, i64, i64, i64, INT64_MAX, SAME, LEAST)
PLAIN(max_i32, int32_t, int32_t, int32_t, INT32_MIN, SAME, MOST)
PLAIN(min_i32, int32_t, int32_t, int32_t, INT32_MAX, SAME, LEAST)
PLAIN(max_i16, int16_t, int16_t, int16_t, INT16_MIN, SAME, MOST)
PLAIN(min_i16, int16_t, int16_t, int16_t, INT16_MAX, SAME, LEAST)
PLAIN(max_i8, int8_t, int8_t, int8_t, INT8_MIN, SAME, MOST)
PLAIN(min_i8, int8_t, int8_t, int8_t, INT8_MAX, SAME, LEAST)
PLAIN(max_u8, uint8_t, uint8_t, uint8_t, 0, SAME, MOST)
PLAIN(min_u8, uint8_t, uint8_t, uint8_t, UINT8_MAX, SAME, LEAST)
PLAIN(true_u8, uint8_t, uint8_t, i64, 0, TRUTH, ADD)
PLAIN(true_i16, int16_t, int16_t, i64, 0, TRUTH, ADD)
PLAIN(true_half, uint16_t, int16_t, i64, 0, HALF_TRUTH, ADD)
PLAIN(true_i32, int32_t, int32_t, i64, 0, TRUTH, ADD)
PLAIN(true_i64, i64, i64, i64, 0, TRUTH, ADD)
PLAIN(true_f32, f32, int32_t, i64, 0, TRUTH, ADD)
PLAIN(true_f64, f64, i64, i64, 0, TRUTH, ADD)

/* ---- the table, in the order that reduce.py counts on --------------------------------------- */
#define SUM(type, X) TABLE_ROW(sum_##type, X, i64, sum_##type, i64)
#define EXTREME(op) \
  TABLE_ROW(op##_i64, i64, i64, op##_i64, i64), TABLE_ROW(op##_i32, int32_t, int32_t, op##_i32, i32), \
  TABLE_ROW(op##_i16, int16_t, int16_t, op##_i16, i16), TABLE_ROW(op##_i8, int8_t, int8_t, op##_i8, i8), \
  TABLE_ROW(op##_u8, uint8_t, uint8_t, op##_u8, u8)
#define COUNT(store) \
  TABLE_ROW(true_u8, uint8_t, i64, true_u8, store), TABLE_ROW(true_i16, int16_t, i64, true_i16, store), \
  TABLE_ROW(true_half, uint16_t, i64, true_half, store), \
  TABLE_ROW(true_i32, int32_t, i64, true_i32, store), TABLE_ROW(true_i64, i64, i64, true_i64, store), \
  TABLE_ROW(true_f32, f32, i64, true_f32, store), TABLE_ROW(true_f64, f64, i64, true_f64, store)

static const reduction table[] = {
  SUM(i64, i64), SUM(i32, int32_t), SUM(i16, int16_t), SUM(i8, int8_t), SUM(u8, uint8_t),
  TABLE_ROW(prod_i64, i64, i64, prod_i64, i64), EXTREME(max), EXTREME(min),
  COUNT(i64), COUNT(any), COUNT(all)};

i64 fb_reduce(const array *x, array *out, i64 mask, i64 which, f64 divisor, i64 root) {
  return run_reduction(table + which, x, out, NULL, mask, divisor, root);
}

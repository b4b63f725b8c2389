/* Sums, products, extremes and norms of floats; integers are in counts.c. */
#include "half.h"
#include "lanes.h"
#include "reduce.h"

#define LANES_COUNT (256 / VBYTES) /* vectors that are accumulated side by side */
#define FAR 16384                  /* elements of a long row */

/* ---- how results are written -------------------------------------------------------------- */
#define FLOAT_END(A, ROOT) \
  ({ const A v = f->divisor ? a / (A)f->divisor : a; f->root ? ROOT(v) : v; })
STORE(f32, f32, f32, FLOAT_END(f32, sqrtf))
STORE(f64, f64, f64, FLOAT_END(f64, sqrt))
STORE(f16, f32, uint16_t, to_f16(FLOAT_END(f32, sqrtf)))
STORE(bf16, f32, uint16_t, to_bf16(FLOAT_END(f32, sqrtf)))

/* ---- floats: several vectors, added up in groups of 16, those in groups of 16 ------------- */
/* `zero` starts; `map` is done to elements first, and `fold` is done to two of what it gives. */
#define ADD(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
#define SAME(x) (x)
#define SQUARE(x) ((x) * (x))
#define MAGNITUDE(x) ((x) < 0 ? -(x) : (x))
#define GREATER(a, b) (((b) > (a)) | ((b) != (b)) ? (b) : (a))
#define LESSER(a, b) (((b) < (a)) | ((b) != (b)) ? (b) : (a))
#define BLEND(type, where, a, b) \
  ((v_##type)(((vi_##type)(a) & (where)) | ((vi_##type)(b) & ~(where))))
#define V_MAGNITUDE(type, x) \
  ((v_##type)((vi_##type)(x) & ~(vi_##type)set_##type((type)-0.0)))
#define V_GREATER(type, a, b) BLEND(type, ((b) > (a)) | ((b) != (b)), b, a)
#define V_LESSER(type, a, b) BLEND(type, ((b) < (a)) | ((b) != (b)), b, a)
#define V_ADD(type, a, b) ((a) + (b))
#define V_TIMES(type, a, b) ((a) * (b))
#define V_SAME(type, x) (x)
#define V_SQUARE(type, x) ((x) * (x))

#define FLOATS(name, A, zero, MAP, FOLD) \
  static void name##_start(void *acc, i64 n) { \
    for (i64 i = 0; i < n; ++i) ((A *)acc)[i] = zero; \
  } \
  static void name##_combine(void *acc, const void *other, i64 n) { \
    A *restrict a = acc; \
    const A *restrict b = other; \
    for (i64 i = 0; i < n; ++i) a[i] = FOLD(a[i], b[i]); \
  } \
  static void name##_row(void *acc, const void *from, i64 n, i64 base) { \
    const A *x = from; \
    const i64 lanes = VBYTES / sizeof(A), step = LANES_COUNT * lanes; \
    A total = zero; \
    i64 i = 0; \
    if (n >= lanes) { \
      v_##A low[LANES_COUNT], middle[LANES_COUNT], high[LANES_COUNT]; \
      for (int v = 0; v < LANES_COUNT; ++v) low[v] = middle[v] = high[v] = set_##A(zero); \
      /* Long rows are read in several places at once, which memory serves faster. */ \
      const i64 apart = n < FAR ? lanes : n / step * lanes, advance = n < FAR ? step : lanes; \
      const A *p = x; \
      for (i64 left = n / step, groups = 1; left > 0; left -= 16, ++groups) { \
        for (i64 k = fb_min(left, 16); k; --k, p += advance) \
          for (int v = 0; v < LANES_COUNT; ++v) { \
            const v_##A y = load_##A(p + v * apart); \
            low[v] = V_##FOLD(A, low[v], V_##MAP(A, y)); \
          } \
        for (int v = 0; v < LANES_COUNT; ++v) { \
          middle[v] = V_##FOLD(A, middle[v], low[v]), low[v] = set_##A(zero); \
          if (groups % 16 == 0) \
            high[v] = V_##FOLD(A, high[v], middle[v]), middle[v] = set_##A(zero); \
        } \
      } \
      i = n / step * step; \
      for (int v = 0; i + lanes <= n; i += lanes, ++v) { \
        const v_##A y = load_##A(x + i); \
        low[v] = V_##MAP(A, y); \
      } \
      for (int v = 0; v < LANES_COUNT; ++v) { \
        const v_##A part = V_##FOLD(A, middle[v], low[v]); \
        high[v] = V_##FOLD(A, high[v], part); \
      } \
      for (int half = LANES_COUNT / 2; half; half /= 2) \
        for (int v = 0; v < half; ++v) high[v] = V_##FOLD(A, high[v], high[v + half]); \
      A last[VBYTES / sizeof(A)]; \
      memcpy(last, high, sizeof last); \
      for (int half = lanes / 2; half; half /= 2) \
        for (int v = 0; v < half; ++v) last[v] = FOLD(last[v], last[v + half]); \
      total = last[0]; \
    } \
    for (; i < n; ++i) { \
      const A y = MAP(x[i]); \
      total = FOLD(total, y); \
    } \
    *(A *)acc = total; \
  } \
  /* Eight rows at a time, so that sums of more than a few elements are pairwise. */ \
  static void name##_fold(A *acc, const A *x, i64 rows, i64 stride, i64 width) { \
    const i64 lanes = VBYTES / sizeof(A), whole = width / lanes * lanes; \
    i64 r = 0; \
    for (; r + 8 <= rows; r += 8, x += 8 * stride) { \
      for (i64 c = 0; c < whole; c += lanes) { \
        const A *p = x + c; \
        const v_##A y0 = load_##A(p), y1 = load_##A(p + stride), y2 = load_##A(p + 2 * stride), \
          y3 = load_##A(p + 3 * stride), y4 = load_##A(p + 4 * stride), \
          y5 = load_##A(p + 5 * stride), y6 = load_##A(p + 6 * stride), \
          y7 = load_##A(p + 7 * stride), old = load_##A(acc + c); \
        const v_##A z0 = V_##MAP(A, y0), z1 = V_##MAP(A, y1), z2 = V_##MAP(A, y2), \
          z3 = V_##MAP(A, y3), z4 = V_##MAP(A, y4), z5 = V_##MAP(A, y5), z6 = V_##MAP(A, y6), \
          z7 = V_##MAP(A, y7); \
        const v_##A a = V_##FOLD(A, z0, z1), b = V_##FOLD(A, z2, z3), d = V_##FOLD(A, z4, z5), \
          e = V_##FOLD(A, z6, z7); \
        const v_##A f = V_##FOLD(A, a, b), g = V_##FOLD(A, d, e); \
        const v_##A h = V_##FOLD(A, f, g); \
        store_##A(acc + c, V_##FOLD(A, old, h)); \
      } \
      for (i64 c = whole; c < width; ++c) { \
        A y[8]; \
        for (int k = 0; k < 8; ++k) y[k] = MAP(x[c + k * stride]); \
        for (int half = 4; half; half /= 2) \
          for (int k = 0; k < half; ++k) y[k] = FOLD(y[k], y[k + half]); \
        acc[c] = FOLD(acc[c], y[0]); \
      } \
    } \
    for (; r < rows; ++r, x += stride) \
      for (i64 c = 0; c < width; ++c) { \
        const A y = MAP(x[c]); \
        acc[c] = FOLD(acc[c], y); \
      } \
  } \
  static void name##_columns(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                             i64 base) { \
    A block[STRIP]; \
    const A *x = from; \
    for (i64 r = 0; r < rows; r += BLOCK) { \
      name##_start(block, width); \
      name##_fold(block, x + r * stride, fb_min(BLOCK, rows - r), stride, width); \
      name##_combine(acc, block, width); \
    } \
  }

FLOATS(sum_f32, f32, 0, SAME, ADD)
FLOATS(sum_f64, f64, 0, SAME, ADD)
FLOATS(prod_f32, f32, 1, SAME, TIMES)
FLOATS(prod_f64, f64, 1, SAME, TIMES)
FLOATS(max_f32, f32, -INFINITY, SAME, GREATER)
FLOATS(max_f64, f64, -INFINITY, SAME, GREATER)
FLOATS(min_f32, f32, INFINITY, SAME, LESSER)
FLOATS(min_f64, f64, INFINITY, SAME, LESSER)
FLOATS(norm1_f32, f32, 0, MAGNITUDE, ADD)
FLOATS(norm1_f64, f64, 0, MAGNITUDE, ADD)
FLOATS(norm2_f32, f32, 0, SQUARE, ADD)
FLOATS(norm2_f64, f64, 0, SQUARE, ADD)
FLOATS(peak_f32, f32, 0, MAGNITUDE, GREATER)
FLOATS(peak_f64, f64, 0, MAGNITUDE, GREATER)

/* ---- 16-bit floats: in single precision ---------------------------------------------------- */
#define HALVES(name, single, code) \
  static void name##_row(void *acc, const void *from, i64 n, i64 base) { \
    f32 wide[STRIP], waiting[48]; \
    int depth = 0; \
    for (i64 i = 0, k = 0; i < n; i += STRIP, ++k) { \
      const i64 m = fb_min(STRIP, n - i); \
      widen(wide, (const uint16_t *)from + i, m, code); \
      single##_row(waiting + depth++, wide, m, 0); \
      for (i64 b = k; b & 1; b >>= 1) \
        --depth, single##_combine(waiting + depth - 1, waiting + depth, 1); \
    } \
    while (depth > 1) --depth, single##_combine(waiting + depth - 1, waiting + depth, 1); \
    if (depth) *(f32 *)acc = waiting[0]; \
    else single##_start(acc, 1); \
  } \
  static void name##_columns(void *acc, const void *from, i64 rows, i64 stride, i64 width, \
                             i64 base) { \
    f32 wide[8 * STRIP], block[STRIP]; \
    const uint16_t *x = from; \
    for (i64 r = 0; r < rows; r += BLOCK) { \
      single##_start(block, width); \
      for (i64 s = r; s < fb_min(rows, r + BLOCK); s += 8) { \
        const i64 few = fb_min(8, rows - s); \
        for (i64 k = 0; k < few; ++k) widen(wide + k * width, x + (s + k) * stride, width, code); \
        single##_fold(block, wide, few, width, width); \
      } \
      single##_combine(acc, block, width); \
    } \
  }
HALVES(sum_f16, sum_f32, OF_F16)
HALVES(sum_bf16, sum_f32, OF_BF16)
HALVES(max_f16, max_f32, OF_F16)
HALVES(max_bf16, max_f32, OF_BF16)
HALVES(min_f16, min_f32, OF_F16)
HALVES(min_bf16, min_f32, OF_BF16)
HALVES(norm2_f16, norm2_f32, OF_F16)
HALVES(norm2_bf16, norm2_f32, OF_BF16)

/* ---- the table, in the order that reduce.py counts on --------------------------------------- */
#define FLOAT(op) \
  TABLE_ROW(op##_f32, f32, f32, op##_f32, f32), TABLE_ROW(op##_f64, f64, f64, op##_f64, f64)
#define HALF(op) \
  TABLE_ROW(op##_f16, uint16_t, f32, op##_f32, f16), TABLE_ROW(op##_bf16, uint16_t, f32, op##_f32, bf16)

static const reduction table[] = {
  FLOAT(sum), HALF(sum), FLOAT(prod), FLOAT(max), HALF(max), FLOAT(min), HALF(min),
  FLOAT(norm1), FLOAT(norm2), HALF(norm2), FLOAT(peak)};

i64 fb_reduce(const array *x, array *out, i64 mask, i64 which, f64 divisor, i64 root) {
  return run_reduction(table + which, x, out, NULL, mask, divisor, root);
}

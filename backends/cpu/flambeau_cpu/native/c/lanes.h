/* Vectors of floats, as wide as the processor's: loads and stores at any address, fused
   multiply-add, maxima, sums in a fixed order, exp.

   Functions end in the element's type: f32 or f64.  L(name) is the one for the type T that a
   family's template is compiled for. */
#pragma once
#include "flambeau.h"
#include <math.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#define VBYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VBYTES 32
#else
#define VBYTES 16
#endif

#define LANES_JOIN_(a, b) a##_##b
#define LANES_JOIN(a, b) LANES_JOIN_(a, b)
#define L(name) LANES_JOIN(name, T)
#define W ((i64)(VBYTES / sizeof(T)))

#define LANES_TYPES(type, integer) \
  typedef type v_##type __attribute__((vector_size(VBYTES))); \
  typedef integer vi_##type __attribute__((vector_size(VBYTES))); \
  typedef type at_##type __attribute__((vector_size(VBYTES), aligned(sizeof(type)), may_alias)); \
  static inline v_##type load_##type(const type *p) { return *(const at_##type *)p; } \
  static inline void store_##type(type *p, v_##type x) { *(at_##type *)p = x; } \
  static inline v_##type set_##type(type x) { return x - (v_##type){0}; }
LANES_TYPES(f32, int32_t)
LANES_TYPES(f64, int64_t)

/* fma(a, b, c) = a * b + c; greater(a, b) = a > b ? a : b, so a NaN in b stays;
   load_part and store_part touch the first n lanes, the others are `fill`. */
#if defined(__AVX512F__)
#define LANES_WIDE(type, suffix, mask) \
  static inline v_##type fma_##type(v_##type a, v_##type b, v_##type c) { \
    return (v_##type)_mm512_fmadd_##suffix(a, b, c); \
  } \
  static inline v_##type greater_##type(v_##type a, v_##type b) { \
    return (v_##type)_mm512_max_##suffix(a, b); \
  } \
  static inline v_##type lesser_##type(v_##type a, v_##type b) { \
    return (v_##type)_mm512_min_##suffix(a, b); \
  } \
  static inline v_##type load_part_##type(const type *p, i64 n, type fill) { \
    return (v_##type)_mm512_mask_loadu_##suffix(set_##type(fill), (mask)((1u << n) - 1), p); \
  } \
  static inline void store_part_##type(type *p, i64 n, v_##type x) { \
    _mm512_mask_storeu_##suffix(p, (mask)((1u << n) - 1), x); \
  } \
  static inline v_##type nearest_##type(v_##type x) { \
    return (v_##type)_mm512_roundscale_##suffix(x, 0); \
  } \
  static inline type total_##type(v_##type x) { return _mm512_reduce_add_##suffix(x); } \
  static inline type greatest_##type(v_##type x) { return _mm512_reduce_max_##suffix(x); } \
  static inline v_##type scaled_##type(v_##type x, v_##type n) { \
    return (v_##type)_mm512_scalef_##suffix(x, n); \
  }
LANES_WIDE(f32, ps, __mmask16)
LANES_WIDE(f64, pd, __mmask8)
#else
#if VBYTES == 32
#define LANES_FMA(type, suffix) \
  static inline v_##type fma_##type(v_##type a, v_##type b, v_##type c) { \
    return (v_##type)_mm256_fmadd_##suffix(a, b, c); \
  } \
  static inline v_##type greater_##type(v_##type a, v_##type b) { \
    return (v_##type)_mm256_max_##suffix(a, b); \
  } \
  static inline v_##type lesser_##type(v_##type a, v_##type b) { \
    return (v_##type)_mm256_min_##suffix(a, b); \
  }
LANES_FMA(f32, ps)
LANES_FMA(f64, pd)
#else
#define LANES_FMA(type, fused) \
  static inline v_##type fma_##type(v_##type a, v_##type b, v_##type c) { \
    for (int i = 0; i < (int)(VBYTES / sizeof(type)); ++i) a[i] = fused(a[i], b[i], c[i]); \
    return a; \
  } \
  static inline v_##type greater_##type(v_##type a, v_##type b) { \
    vi_##type m = a > b; \
    return (v_##type)(((vi_##type)a & m) | ((vi_##type)b & ~m)); \
  } \
  static inline v_##type lesser_##type(v_##type a, v_##type b) { \
    vi_##type m = a < b; \
    return (v_##type)(((vi_##type)a & m) | ((vi_##type)b & ~m)); \
  }
LANES_FMA(f32, __builtin_fmaf)
LANES_FMA(f64, __builtin_fma)
#endif
/* Adding `magic` leaves an integer in the low bits; 2**n is made of two halves, as one float
   cannot hold every power that is needed. */
#define LANES_NARROW(type, magic, bias, bits) \
  static inline type total_##type(v_##type x) { /* a tree: pairs, then pairs of pairs */ \
    type part[VBYTES / sizeof(type)]; \
    memcpy(part, &x, sizeof x); \
    for (int half = VBYTES / sizeof(type) / 2; half; half /= 2) \
      for (int i = 0; i < half; ++i) part[i] += part[i + half]; \
    return part[0]; \
  } \
  static inline type greatest_##type(v_##type x) { \
    type part[VBYTES / sizeof(type)]; \
    memcpy(part, &x, sizeof x); \
    for (int half = VBYTES / sizeof(type) / 2; half; half /= 2) \
      for (int i = 0; i < half; ++i) part[i] = part[i] > part[i + half] ? part[i] : part[i + half]; \
    return part[0]; \
  } \
  static inline v_##type load_part_##type(const type *p, i64 n, type fill) { \
    v_##type x = set_##type(fill); \
    memcpy(&x, p, (size_t)n * sizeof(type)); \
    return x; \
  } \
  static inline void store_part_##type(type *p, i64 n, v_##type x) { \
    memcpy(p, &x, (size_t)n * sizeof(type)); \
  } \
  static inline v_##type nearest_##type(v_##type x) { return (x + magic) - magic; } \
  static inline v_##type scaled_##type(v_##type x, v_##type n) { \
    const vi_##type i = (vi_##type)(n + magic) - (vi_##type)set_##type(magic); \
    const vi_##type half = i >> 1, rest = i - half; \
    return x * (v_##type)((half + bias) << bits) * (v_##type)((rest + bias) << bits); \
  }
LANES_NARROW(f32, 12582912.0f, 127, 23)
LANES_NARROW(f64, 6755399441055744.0, 1023, 52)
#endif

/* Of the elements of two vectors in a row, those at even places, and those at odd ones; and of two
   numbers per lane, where a mask of all bits or none says so, the first, else the second. */
#if defined(__clang__)
#define LANES_PAIRS(type) \
  static inline v_##type evens_##type(v_##type a, v_##type b) { \
    v_##type r; \
    enum { half = VBYTES / sizeof(type) / 2 }; \
    for (int i = 0; i < half; ++i) r[i] = a[2 * i], r[half + i] = b[2 * i]; \
    return r; \
  } \
  static inline v_##type odds_##type(v_##type a, v_##type b) { \
    v_##type r; \
    enum { half = VBYTES / sizeof(type) / 2 }; \
    for (int i = 0; i < half; ++i) r[i] = a[2 * i + 1], r[half + i] = b[2 * i + 1]; \
    return r; \
  }
#else
#define LANES_PAIRS(type) \
  static inline v_##type evens_##type(v_##type a, v_##type b) { \
    vi_##type at; \
    for (int i = 0; i < (int)(VBYTES / sizeof(type)); ++i) at[i] = 2 * i; \
    return __builtin_shuffle(a, b, at); \
  } \
  static inline v_##type odds_##type(v_##type a, v_##type b) { \
    vi_##type at; \
    for (int i = 0; i < (int)(VBYTES / sizeof(type)); ++i) at[i] = 2 * i + 1; \
    return __builtin_shuffle(a, b, at); \
  }
#endif
LANES_PAIRS(f32)
LANES_PAIRS(f64)
static inline v_f32 select_f32(vi_f32 mask, v_f32 a, v_f32 b) {
  return (v_f32)(((vi_f32)a & mask) | ((vi_f32)b & ~mask));
}
static inline v_f64 select_f64(vi_f64 mask, v_f64 a, v_f64 b) {
  return (v_f64)(((vi_f64)a & mask) | ((vi_f64)b & ~mask));
}

/* exp(x) = 2**n exp(r), x = n ln 2 + r: the polynomials of flambeau.codegen.mathematics. */
static inline v_f32 exp_f32(v_f32 x) {
  x = lesser_f32(set_f32(90.0f), greater_f32(set_f32(-105.0f), x));
  const v_f32 n = nearest_f32(x * 1.44269504f);
  const v_f32 r = fma_f32(n, set_f32(-1.4286068e-06f), fma_f32(n, set_f32(-0.693145751953125f), x));
  v_f32 p = set_f32(0.0013836442f);
  p = fma_f32(p, r, set_f32(0.008369131f));
  p = fma_f32(p, r, set_f32(0.041668106f));
  p = fma_f32(p, r, set_f32(0.16666517f));
  p = fma_f32(p, r, set_f32(0.49999994f));
  p = fma_f32(p * r, r, r);
  return scaled_f32(p + 1.0f, n);
}
static inline v_f64 exp_f64(v_f64 x) {
  static const f64 terms[] = {
    2.7631335515828326e-07, 2.7557831409591303e-06, 2.4801490370099454e-05,
    0.00019841269245714511, 0.001388888894588179, 0.008333333333607657, 0.04166666666652348,
    0.1666666666666625, 0.5000000000000011};
  x = lesser_f64(set_f64(710.0), greater_f64(set_f64(-746.0), x));
  const v_f64 n = nearest_f64(x * 1.4426950408889634);
  const v_f64 r = fma_f64(n, set_f64(-1.9082149292705877e-10),
                          fma_f64(n, set_f64(-0.6931471803691238), x));
  v_f64 p = set_f64(2.4919188235275402e-08);
  for (int k = 0; k < 9; ++k) p = fma_f64(p, r, set_f64(terms[k]));
  p = fma_f64(p * r, r, r);
  return scaled_f64(p + 1.0, n);
}

/* The logarithm of positive, finite, normal numbers; NaN of NaN.  x = 2**k (1 + f). */
static inline v_f32 log_f32(v_f32 x) {
  static const f32 terms[] = {0.1276845f, -0.1315961f, 0.14200833f, -0.16623323f, 0.20001262f,
                              -0.25000823f, 0.3333333f, -0.5f};
  const vi_f32 bits = (vi_f32)x, k = (bits - 0x3f3504f3) >> 23;
  const v_f32 f = (v_f32)(bits - (k << 23)) - 1.0f, k_f = __builtin_convertvector(k, v_f32);
  v_f32 p = set_f32(-0.07645016f);
  for (int i = 0; i < 8; ++i) p = fma_f32(p, f, set_f32(terms[i]));
  p = fma_f32(f * f, p, f);
  p = fma_f32(k_f, set_f32(1.4286068e-06f), p);
  return fma_f32(k_f, set_f32(0.693145751953125f), p) + (x - x);
}
static inline v_f64 log_f64(v_f64 x) {
  static const f64 terms[] = {0.15313808319078848, 0.18183573151384266, 0.22222198416817385,
                              0.2857142874376902, 0.39999999999409164, 0.6666666666666735};
  const vi_f64 bits = (vi_f64)x, k = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const v_f64 f = (v_f64)(bits - (k << 52)) - 1.0, k_f = __builtin_convertvector(k, v_f64);
  const v_f64 s = f / (f + 2.0), z = s * s, half_square = f * f * 0.5;
  v_f64 p = set_f64(0.14798524283973816);
  for (int i = 0; i < 6; ++i) p = fma_f64(p, z, set_f64(terms[i]));
  const v_f64 t = fma_f64(s, half_square + p * z, k_f * 1.9082149292705877e-10);
  return fma_f64(k_f, set_f64(0.6931471803691238), f - (half_square - t)) + (x - x);
}
static inline f32 root_f32(f32 x) { return sqrtf(x); }
static inline f64 root_f64(f64 x) { return sqrt(x); }

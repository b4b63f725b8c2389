/* 16-bit floats: read as single precision, rounded to nearest (even) when written. */
#pragma once
#include "flambeau.h"
#include <string.h>
#if defined(__F16C__)
#include <immintrin.h>
#endif

enum { OF_F32, OF_F64, OF_F16, OF_BF16 }; /* codes of dtypes */
static const i64 ITEMSIZES[] = {4, 8, 2, 2};

static inline f32 from_bf16(uint16_t h) {
  const uint32_t bits = (uint32_t)h << 16;
  f32 x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline uint16_t to_bf16(f32 x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded;
}

#if defined(__F16C__)
static inline f32 from_f16(uint16_t h) { return _cvtsh_ss(h); }
static inline uint16_t to_f16(f32 x) { return _cvtss_sh(x, 0); }
#elif defined(__aarch64__)
static inline f32 from_f16(uint16_t h) {
  __fp16 x;
  memcpy(&x, &h, 2);
  return x;
}
static inline uint16_t to_f16(f32 x) {
  const __fp16 y = x;
  uint16_t h;
  memcpy(&h, &y, 2);
  return h;
}
#else
static inline f32 from_f16(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
  if (rest < 0x400) { /* zero and subnormal: a multiple of 2**-24 */
    const f32 x = (f32)rest * 0x1p-24f;
    return sign ? -x : x;
  }
  const uint32_t bits = sign | (rest << 13) + (rest >= 0x7c00 ? 0x70000000 : 0x38000000);
  f32 x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline uint16_t to_f16(f32 x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint16_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00 | (bits >> 13 & 0x3ff);
  if (bits >= 0x477ff000) return sign | 0x7c00;
  if (bits < 0x38800000) { /* adding 1/2 leaves the multiple of 2**-24 in the low bits */
    f32 small;
    memcpy(&small, &bits, 4);
    small += 0.5f;
    memcpy(&bits, &small, 4);
    return sign | (uint16_t)(bits - 0x3f000000);
  }
  return sign | (uint16_t)((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13);
}
#endif

/* n elements of a 16-bit dtype into single precision, and back. */
static inline void widen(f32 *restrict to, const uint16_t *restrict from, i64 n, i64 code) {
  i64 i = 0;
  if (code == OF_BF16) {
    for (; i < n; ++i) to[i] = from_bf16(from[i]);
    return;
  }
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + i))));
#endif
  for (; i < n; ++i) to[i] = from_f16(from[i]);
}
static inline void narrow(uint16_t *restrict to, const f32 *restrict from, i64 n, i64 code) {
  i64 i = 0;
  if (code == OF_BF16) {
    for (; i < n; ++i) to[i] = to_bf16(from[i]);
    return;
  }
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128((__m128i *)(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), 0));
#endif
  for (; i < n; ++i) to[i] = to_f16(from[i]);
}

/* Random numbers, of the Mersenne Twister's words.

   Every number is that of flambeau.rng, bit for bit; that package says where each formula is
   from.  The words come one after the other, so nothing here runs in several threads. */
#include "twister.h"
#include <math.h>
#include <stdlib.h>

#define IN_CHUNKS(n) for (i64 at = 0, m; m = fb_min(CHUNK, (n)-at), at < (n); at += m)

/* ---- uniform -------------------------------------------------------------------------------- */
void fb_uniform(twister *t, array *out, i64 n, i64 code, f64 low, f64 high) {
  const int is_unit = low == 0 && high == 1;
  IN_CHUNKS(n) {
    if (code == OF_F64) {
      f64 *x = (f64 *)out->data + at;
      unit64(t, x, m);
      if (!is_unit)
        for (i64 i = 0; i < m; ++i) {
          const f64 y = __builtin_fma(x[i], high - low, low);
          x[i] = y == high ? low : y;
        }
      continue;
    }
    f32 buffer[CHUNK], *x = code == OF_F32 ? (f32 *)out->data + at : buffer;
    const f32 start = (f32)low, stop = (f32)high, span = stop - start;
    unit32(t, x, m);
    if (!is_unit)
      for (i64 i = 0; i < m; ++i) {
        const f32 y = __builtin_fmaf(x[i], span, start);
        x[i] = code == OF_F32 && y == stop ? start : y;
      }
    if (code == OF_F32) continue;
    uint16_t *half = (uint16_t *)out->data + at, ends[2];
    const f32 bounds[2] = {start, stop};
    narrow(ends, bounds, 2, code);
    narrow(half, x, m, code);
    for (i64 i = 0; i < m; ++i)
      if (half[i] == ends[1] || !((half[i] | ends[1]) & 0x7fff)) half[i] = ends[0];
  }
}

/* ---- normal ----------------------------------------------------------------------------------- */
static inline f32 as_f32(uint32_t bits) {
  f32 x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline uint32_t bits_of(f32 x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
#define FMA __builtin_fmaf

/* The logarithm of numbers in (0, 1] (Cephes, with the multiply-adds of PyTorch's build). */
static inline f32 logarithm(f32 x) {
  const uint32_t bits = bits_of(x);
  const f32 fraction = as_f32((bits & 0x7fffff) | 0x3f000000);
  const int low = fraction < 0.707106781186547524f;
  const f32 e = (f32)((int32_t)(bits >> 23) - 126 - low);
  const f32 m = low ? (fraction - 1) + fraction : fraction - 1;
  const f32 z = m * m;
  f32 p = FMA(m, 7.0376836292e-2f, -1.1514610310e-1f);
  p = FMA(p, m, 1.1676998740e-1f), p = FMA(p, m, -1.2420140846e-1f);
  p = FMA(p, m, 1.4249322787e-1f), p = FMA(p, m, -1.6668057665e-1f);
  p = FMA(p, m, 2.0000714765e-1f), p = FMA(p, m, -2.4999993993e-1f);
  p = FMA(p, m, 3.3333331174e-1f);
  f32 y = FMA(p * m, z, e * -2.12194440e-4f);
  y = FMA(-z, 0.5f, y);
  return FMA(e, 0.693359375f, m + y);
}

/* Normals from `blocks` times 8 radii and 8 angles, in their place (Box and Muller). */
static void transform32(f32 *x, i64 blocks, f32 mean, f32 std) {
  f32 u1[CHUNK / 2], u2[CHUNK / 2], first[CHUNK / 2], second[CHUNK / 2];
  for (i64 b = 0; b < blocks; ++b)
    for (int j = 0; j < 8; ++j) u1[8 * b + j] = x[16 * b + j], u2[8 * b + j] = x[16 * b + 8 + j];
  for (i64 i = 0; i < 8 * blocks; ++i) {
    const f32 radius = sqrtf(-2.0f * logarithm(1.0f - u1[i]));
    const f32 angle = u2[i] * 6.283185307179586f;
    const int32_t octant = ((int32_t)(angle * 1.27323954473516f) + 1) & ~1;
    const f32 steps = (f32)octant;
    f32 y = FMA(steps, -0.78515625f, angle);
    y = FMA(steps, -2.4187564849853515625e-4f, y);
    y = FMA(steps, -3.77489497744594108e-8f, y);
    const f32 z = y * y;
    f32 c = FMA(2.443315711809948e-5f, z, -1.388731625493765e-3f);
    c = FMA(c, z, 4.166664568298827e-2f) * z;
    c = FMA(c, z, -(z * 0.5f)) + 1.0f;
    f32 s = FMA(-1.9515295891e-4f, z, 8.3321608736e-3f);
    s = FMA(s, z, -1.6666654611e-1f) * z;
    s = FMA(s, y, y);
    const uint32_t exchange = (bits_of(s) ^ bits_of(c)) & -(uint32_t)(octant >> 1 & 1);
    const uint32_t sine = bits_of(s) ^ exchange ^ ((uint32_t)(octant & 4) << 29);
    const uint32_t cosine = bits_of(c) ^ exchange ^ ((uint32_t)((octant + 2) & 4) << 29);
    first[i] = FMA(radius * as_f32(cosine), std, mean);
    second[i] = FMA(radius * as_f32(sine), std, mean);
  }
  for (i64 b = 0; b < blocks; ++b)
    for (int j = 0; j < 8; ++j)
      x[16 * b + j] = first[8 * b + j], x[16 * b + 8 + j] = second[8 * b + j];
}

static void transform64(f64 *x, i64 blocks, f64 mean, f64 std) {
  for (i64 b = 0; b < blocks; ++b, x += 16)
    for (int j = 0; j < 8; ++j) {
      const f64 radius = sqrt(-2.0 * log(1.0 - x[j])), angle = 6.283185307179586 * x[j + 8];
      x[j] = __builtin_fma(radius * cos(angle), std, mean);
      x[j + 8] = __builtin_fma(radius * sin(angle), std, mean);
    }
}

/* Whole blocks of 16 from as many uniforms. */
static void normal_blocks(twister *t, char *out, i64 n, i64 code, f64 mean, f64 std) {
  IN_CHUNKS(n) {
    if (code == OF_F64) {
      unit64(t, (f64 *)out + at, m);
      transform64((f64 *)out + at, m / 16, mean, std);
    } else {
      f32 buffer[CHUNK], *x = code == OF_F32 ? (f32 *)out + at : buffer;
      unit32(t, x, m);
      transform32(x, m / 16, (f32)mean, (f32)std);
      if (code != OF_F32) narrow((uint16_t *)out + at, x, m, code);
    }
  }
}

/* n >= 16 normals; the last 16 have uniforms of their own if n is no multiple of 16, after those
   for the places that remain, which half precision does not draw. */
void fb_normal(twister *t, array *out, i64 n, i64 code, f64 mean, f64 std) {
  const i64 rest = n % 16;
  normal_blocks(t, out->data, n - rest, code, mean, std);
  if (!rest) return;
  if (code == OF_F32 || code == OF_F64) skip(t, code == OF_F64 ? 2 * rest : rest);
  normal_blocks(t, out->data + (n - 16) * ITEMSIZES[code], 16, code, mean, std);
}

/* Pairs of standard normals, the angle drawn first: n numbers, n even. */
void fb_normal_pairs(twister *t, array *out, i64 n) {
  IN_CHUNKS(n) {
    f64 *x = (f64 *)out->data + at;
    unit64(t, x, m);
    for (i64 i = 0; i < m; i += 2) {
      const f64 radius = sqrt(-2.0 * log1p(-x[i + 1])), angle = 6.283185307179586 * x[i];
      x[i] = radius * cos(angle), x[i + 1] = radius * sin(angle);
    }
  }
}

/* ---- others ------------------------------------------------------------------------------------ */
/* -log(1 - u) times a factor. */
void fb_exponential(twister *t, array *out, i64 n, i64 code, f64 factor) {
  IN_CHUNKS(n) {
    f64 u[CHUNK];
    f32 x[CHUNK];
    unit64(t, u, m);
    for (i64 i = 0; i < m; ++i) u[i] = log1p(-u[i]) * factor;
    if (code == OF_F64) memcpy((f64 *)out->data + at, u, m * 8);
    if (code == OF_F64) continue;
    for (i64 i = 0; i < m; ++i) x[i] = (f32)u[i];
    if (code == OF_F32) memcpy((f32 *)out->data + at, x, m * 4);
    else narrow((uint16_t *)out->data + at, x, m, code);
  }
}

/* Whether 53 bits are below a limit. */
void fb_below(twister *t, array *out, i64 n, i64 limit) {
  IN_CHUNKS(n) {
    uint64_t bits[CHUNK];
    uint8_t *x = (uint8_t *)out->data + at;
    draw53(t, bits, m);
    for (i64 i = 0; i < m; ++i) x[i] = (i64)bits[i] < limit;
  }
}

/* Whether a uniform is below each of some chances, in single or double precision. */
void fb_below_each(twister *t, array *out, const array *chances, i64 n, i64 code) {
  IN_CHUNKS(n) {
    uint8_t *x = (uint8_t *)out->data + at;
    if (code == OF_F64) {
      const f64 *p = (const f64 *)chances->data + at;
      f64 u[CHUNK];
      unit64(t, u, m);
      for (i64 i = 0; i < m; ++i) x[i] = u[i] < p[i];
    } else {
      f32 u[CHUNK], buffer[CHUNK];
      const f32 *p = code == OF_F32 ? (const f32 *)chances->data + at : buffer;
      if (code != OF_F32) widen(buffer, (const uint16_t *)chances->data + at, m, code);
      unit32(t, u, m);
      for (i64 i = 0; i < m; ++i) x[i] = u[i] < p[i];
    }
  }
}

/* word % d for one d, by a product (Lemire, Kaser and Kurz, 2019). */
typedef struct {
  uint64_t inverse;
  uint32_t d;
} remainder32;
static inline uint32_t remainder_of(uint32_t word, remainder32 r) {
  return (uint32_t)((unsigned __int128)(r.inverse * word) * r.d >> 64);
}

/* Words modulo span, plus an offset: 64-bit words if wide, span 0 standing for 2**64. */
void fb_integers(twister *t, array *out, i64 n, i64 itemsize, i64 span, i64 offset, i64 is_wide) {
  const uint64_t d = (uint64_t)span;
  const remainder32 r = {d ? UINT64_MAX / d + 1 : 0, (uint32_t)d};
  IN_CHUNKS(n) {
    uint32_t words[2 * CHUNK];
    i64 x[CHUNK];
    draw(t, words, is_wide ? 2 * m : m);
    if (is_wide)
      for (i64 i = 0; i < m; ++i) {
        const uint64_t word = (uint64_t)words[2 * i] << 32 | words[2 * i + 1];
        x[i] = (i64)((d ? word % d : word) + (uint64_t)offset);
      }
    else
      for (i64 i = 0; i < m; ++i) x[i] = (i64)remainder_of(words[i], r) + offset;
    for (i64 i = 0; i < m; ++i) {
      char *to = out->data + (at + i) * itemsize;
      if (itemsize == 8) *(i64 *)to = x[i];
      else if (itemsize == 4) *(int32_t *)to = (int32_t)x[i];
      else if (itemsize == 2) *(int16_t *)to = (int16_t)x[i];
      else *(int8_t *)to = (int8_t)x[i];
    }
  }
}

/* The integers below n < 2**32, shuffled from the front. */
void fb_permutation(twister *t, array *out, i64 n) {
  i64 *order = (i64 *)out->data;
  for (i64 i = 0; i < n; ++i) order[i] = i;
  IN_CHUNKS(n - 1) {
    uint32_t words[CHUNK];
    draw(t, words, m);
    for (i64 i = at; i < at + m; ++i) {
      words[i - at] = (uint32_t)i + words[i - at] % (uint32_t)(n - i);
      __builtin_prefetch(order + words[i - at], 1);
    }
    for (i64 i = at; i < at + m; ++i) {
      const i64 j = words[i - at], old = order[i];
      order[i] = order[j], order[j] = old;
    }
  }
}

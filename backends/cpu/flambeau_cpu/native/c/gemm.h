/* The register tile of matrix products, and the packing of its operands.

   For REAL = f32 and f64 (FB_NR is fb_nr_f32, ...; lanes are elements of a vector):

   C[i, j] (+)= sum over p of A[i, p] B[p, j]      i < rows <= FB_MR,  j < columns <= FB_NR

   fb_tile_REAL(rows, columns, k, a, ai, ap, b, bp, c, ldc, add)
     A[i, p] is a[i * ai + p * ap]: any strides; packed panels have ai = 1, ap = rows.
     B[p, j] is b[p * bp + j]; whole vectors of B are read: fb_width_REAL(columns) elements for
     each p, whatever they hold.  C[i, j] is c[i * ldc + j]; only the tile's elements are touched.
     add: 0 writes, 1 adds to what is there.
   fb_pack_REAL(to, width, from, kind, count, k, step, next)
     to[p * width + i] = from[i * step + p * next] for i < count, zero for count <= i < width.
     One panel of A (width = count = its rows) or of B (width = fb_width_REAL(its columns)): strides
     are in elements, so a transposed or sliced matrix needs no copy.  kind is the code of the dtype
     of `from` (half.h): REAL's own, or one of 16 bits, packed as single precision.

   fb_row_REAL(columns, k, a, ap, b, bp, c, add)
     One row of at most fb_row_most_REAL elements; nothing beyond them is read.
   fb_turned_row_REAL(columns, k, a, ap, b, bj, c, add)
     One row where B[p, j] is b[j * bj + p]; k <= FB_KC.

   Every element is summed in one order: blocks of FB_KC along k, each a chain of fma from zero in
   the order of p, then the blocks' sums added in order.  A caller that gives k <= FB_KC at a time
   with add = 0 for the first block therefore has results that depend neither on the shape of the
   tile, on the rest of the matrix, on threads nor on the processor's vectors.
   (A column-major C is the transposed product: fma(a, b, c) = fma(b, a, c).)  */
#pragma once
#include "half.h"

#define FB_KC 384

#if defined(__FMA__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define FB_VECTOR 64
#define FB_MR 14 /* 28 sums, 2 vectors of B, 32 registers */
#elif defined(__AVX2__) && defined(__FMA__)
#define FB_VECTOR 32
#define FB_MR 6
#elif defined(__aarch64__)
#include <arm_neon.h>
#define FB_VECTOR 16
#define FB_MR 12
#else
#define FB_VECTOR 16
#define FB_MR 6
#endif

/* Squares of vectors of 16 bytes, transposed in place. */
#if defined(__clang__) || __GNUC__ >= 12
#define FB_MIX4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define FB_MIX2(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#else
typedef int32_t fb_order4 __attribute__((vector_size(16)));
typedef int64_t fb_order2 __attribute__((vector_size(16)));
#define FB_MIX4(a, b, i, j, k, l) __builtin_shuffle(a, b, (fb_order4){i, j, k, l})
#define FB_MIX2(a, b, i, j) __builtin_shuffle(a, b, (fb_order2){i, j})
#endif
#define FB_TRANSPOSE4(x)                                                             \
  {                                                                                  \
    const QUAD a = FB_MIX4(x[0], x[1], 0, 4, 1, 5), b = FB_MIX4(x[2], x[3], 0, 4, 1, 5); \
    const QUAD c = FB_MIX4(x[0], x[1], 2, 6, 3, 7), d = FB_MIX4(x[2], x[3], 2, 6, 3, 7); \
    x[0] = FB_MIX4(a, b, 0, 1, 4, 5), x[1] = FB_MIX4(a, b, 2, 3, 6, 7);              \
    x[2] = FB_MIX4(c, d, 0, 1, 4, 5), x[3] = FB_MIX4(c, d, 2, 3, 6, 7);              \
  }
#define FB_TRANSPOSE2(x)                                                             \
  {                                                                                  \
    const QUAD a = FB_MIX2(x[0], x[1], 0, 2), b = FB_MIX2(x[0], x[1], 1, 3);         \
    x[0] = a, x[1] = b;                                                              \
  }

#if defined(__AVX2__) && defined(__FMA__)
/* Two squares at a time: rows of the second lie in the upper halves. */
#define FB_BOTH(low, high)                                                                 \
  ((DUO)_mm256_insertf128_ps(_mm256_castps128_ps256((__m128)(low)), (__m128)(high), 1))
#define FB_TURN4(x)                                                                        \
  {                                                                                        \
    const __m256 a = _mm256_unpacklo_ps((__m256)x[0], (__m256)x[1]),                       \
                 b = _mm256_unpacklo_ps((__m256)x[2], (__m256)x[3]),                       \
                 c = _mm256_unpackhi_ps((__m256)x[0], (__m256)x[1]),                       \
                 d = _mm256_unpackhi_ps((__m256)x[2], (__m256)x[3]);                       \
    x[0] = (DUO)_mm256_shuffle_ps(a, b, 0x44), x[1] = (DUO)_mm256_shuffle_ps(a, b, 0xee);  \
    x[2] = (DUO)_mm256_shuffle_ps(c, d, 0x44), x[3] = (DUO)_mm256_shuffle_ps(c, d, 0xee);  \
  }
#define FB_TURN2(x)                                                                        \
  {                                                                                        \
    const __m256d a = _mm256_unpacklo_pd((__m256d)x[0], (__m256d)x[1]),                    \
                  b = _mm256_unpackhi_pd((__m256d)x[0], (__m256d)x[1]);                    \
    x[0] = (DUO)a, x[1] = (DUO)b;                                                          \
  }
#endif

#define FB_JOIN_(a, b) a##_##b
#define FB_JOIN(a, b) FB_JOIN_(a, b)
#define FB_NAME(name) FB_JOIN(name, REAL)

#define REAL f32
#define FB_HALVES 1
#define FB_TRANSPOSE FB_TRANSPOSE4
#if defined(__AVX512F__)
#define FB_FMA(a, b, c) ((fb_vector_f32)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#elif defined(__AVX2__) && defined(__FMA__)
#define FB_FMA(a, b, c) ((fb_vector_f32)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#elif defined(__aarch64__)
#define FB_FMA(a, b, c) ((fb_vector_f32)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#endif
#define FB_TURN FB_TURN4
#define FB_FMA_DUO(a, b, c) ((DUO)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define FB_FMA1 __builtin_fmaf
#include "gemm_tile.h"
#undef FB_FMA
#undef FB_FMA1
#undef FB_TURN
#undef FB_FMA_DUO
#undef FB_TRANSPOSE
#undef REAL
#undef FB_HALVES

#define REAL f64
#define FB_HALVES 0
#define FB_TRANSPOSE FB_TRANSPOSE2
#if defined(__AVX512F__)
#define FB_FMA(a, b, c) ((fb_vector_f64)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#elif defined(__AVX2__) && defined(__FMA__)
#define FB_FMA(a, b, c) ((fb_vector_f64)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#elif defined(__aarch64__)
#define FB_FMA(a, b, c) ((fb_vector_f64)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#endif
#define FB_TURN FB_TURN2
#define FB_FMA_DUO(a, b, c) ((DUO)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define FB_FMA1 __builtin_fma
#include "gemm_tile.h"
#undef FB_FMA
#undef FB_FMA1
#undef FB_TURN
#undef FB_FMA_DUO
#undef FB_TRANSPOSE
#undef REAL
#undef FB_HALVES

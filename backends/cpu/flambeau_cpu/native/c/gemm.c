/* Matrix products: c = alpha * a @ b + beta * s. */
#include "gemm.h"

#define FB_DIMS 64            /* NumPy's most dimensions */
#define FB_TASK (1 << 20)     /* multiply-adds that are worth a task */
#define FB_ROW_TASK (1 << 17) /* the same for one row, where memory is the limit */
#define FB_RUN 2              /* panels that a task packs */
#define FB_PARTIAL (1 << 22)  /* most elements of partial sums */
#define FB_FEW 4              /* panels of A, so few that B is not packed for them */
#define FB_NEAR (1 << 20)     /* bytes of B that are read in place, from the second cache */
#define FB_PART (1 << 16)     /* elements of two vectors that a task multiplies */

#define REAL f32
#define FB_FMA1 __builtin_fmaf
#include "gemm_product.h"
#undef REAL
#undef FB_FMA1
#define REAL f64
#define FB_FMA1 __builtin_fma
#include "gemm_product.h"
#undef REAL
#undef FB_FMA1

i64 has_fma(void) {
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) /* as clang says */
  return 1;
#else
  return 0;
#endif
}

/* Matrix products: c = alpha * a @ b + beta * s. */
#include "gemm.h"

#define FB_DIMS 64           /* NumPy's most dimensions */
#ifndef FB_TASK
#define FB_TASK (1 << 20)    /* multiply-adds that are worth a task */
#endif
#define FB_RUN 2             /* panels of B that a task packs */
#define FB_PARTIAL (1 << 22) /* most elements of partial sums */
#ifndef FB_DIRECT
#define FB_DIRECT 4          /* panels of A so few that B is not packed for them */
#endif

#define REAL f32
#include "gemm_product.h"
#undef REAL
#define REAL f64
#include "gemm_product.h"
#undef REAL

/* Convolutions and their gradients in up to three dimensions.

   No matrix of windows is made.  A task copies the part of the input that it needs with its zeros
   around it (or reads the input where it lies), so that a tap is a distance in memory, and sums
   tiles of outputs in registers over a list of steps: rows of the packed weight, and places in the
   copy.  Vectors run along the positions of an image, or, where images are small, along images:
   then taps beyond the border are left out of the list. */
#include "lanes.h"
#include "conv_plan.h"

#if defined(__clang__) || __GNUC__ >= 12
#define MIX(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(type, a, b, ...) __builtin_shuffle(a, b, (vi_##type){__VA_ARGS__})
#endif
#define MIXES(type, low, high)                                                                \
  static inline v_##type mix_low_##type(v_##type a, v_##type b) { return MIX(type, a, b, low); } \
  static inline v_##type mix_high_##type(v_##type a, v_##type b) { return MIX(type, a, b, high); }
#define LOW16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW4 0, 4, 1, 5
#define HIGH4 2, 6, 3, 7
#define LOW2 0, 2
#define HIGH2 1, 3
#if VBYTES == 64
MIXES(f32, LOW16, HIGH16)
MIXES(f64, LOW8, HIGH8)
#elif VBYTES == 32
MIXES(f32, LOW8, HIGH8)
MIXES(f64, LOW4, HIGH4)
#else
MIXES(f32, LOW4, HIGH4)
MIXES(f64, LOW2, HIGH2)
#endif

#define T f32
#define SQUARES /* in single precision, where their rounding is that of other sums */
#include "conv_tile.h"
#include "conv_sum.h"
#include "conv_winograd.h"
#include "conv_run.h"
#include "conv_rows.h"
#include "conv_winograd_weight.h"
#include "conv_weight.h"
#include "conv_bias.h"
#undef T
#undef SQUARES
#define T f64
#include "conv_tile.h"
#include "conv_sum.h"
#include "conv_run.h"
#include "conv_rows.h"
#include "conv_weight.h"
#include "conv_bias.h"
#undef T

/* Formulas over elements: what a generated kernel says of itself, and who runs it.

   A kernel is a loop over elements that lie side by side.  The engine (pointwise.c) walks the
   arrays and brings what lies otherwise into a small buffer first. */
#pragma once
#include "flambeau.h"

#define FB_OPERANDS 8 /* at most, the result included */

typedef union {
  f64 f;
  i64 i;
} fb_number;
typedef void (*fb_block)(char *const *places, i64 n, const fb_number *numbers);

typedef struct {
  fb_block block;
  i64 operands;             /* the result first */
  i64 code[FB_OPERANDS];    /* of 16-bit floats, as in half.h, which the block sees as f32; or 0 */
  i64 size[FB_OPERANDS];    /* bytes of an element in the arrays */
  i64 task;                 /* elements that make a task worth handing to a thread */
} fb_kernel;

/* Whether it was done: not if the shapes do not broadcast to that of the result, or if the result
   shares memory with an input that it is not. */
typedef i64 (*fb_engine)(const fb_kernel *kernel, const array *const *x, const fb_number *numbers);

/* The result may be an input: element i depends on elements i alone. */
#if defined(__clang__)
#define FB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define FB_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* What kernels ask of arrays before they take them. */
#pragma once
#include "flambeau.h"

/* Whether the elements lie one after the other, the last dimension first. */
static inline int is_dense(const array *a, i64 itemsize) {
  i64 step = itemsize;
  int fits = 1;
  for (int d = a->nd - 1; d >= 0; --d) {
    if (!a->dims[d]) return 1;
    fits &= a->dims[d] == 1 || a->strides[d] == step;
    step *= a->dims[d];
  }
  return fits;
}

static inline int same_shape(const array *a, const array *b) {
  if (a->nd != b->nd) return 0;
  for (int d = 0; d < a->nd; ++d)
    if (a->dims[d] != b->dims[d]) return 0;
  return 1;
}

/* What all kernels of the host share: arrays as NumPy lays them out, and tasks for threads. */
#pragma once
#include <stdint.h>
#include <stddef.h>

typedef int64_t i64;
typedef float f32;
typedef double f64;

/* The head of NumPy's PyArrayObject, which its C interface fixes.  HEAD is the size of PyObject. */
typedef struct {
  char head[HEAD];
  char *data;
  int nd;
  i64 *dims;
  i64 *strides; /* in bytes */
} array;

/* An argument that may be None is an array if it has the type of one that is. */
static inline const void *type_of(const void *object) {
  return *(const void *const *)((const char *)object + HEAD - sizeof(void *));
}
static inline const array *optional(const array *a, const array *known) {
  return type_of(a) == type_of(known) ? a : NULL;
}
static inline i64 size_of(const array *a) {
  i64 n = 1;
  for (int d = 0; d < a->nd; ++d) n *= a->dims[d];
  return n;
}

/* Calls task(context, i) for all i below count, on whichever threads are free.  What a task does
   must depend on i alone: then results are the same for any number of threads. */
typedef void (*fb_task)(void *context, i64 i);
typedef void (*fb_runner)(fb_task task, void *context, i64 count);
#ifndef FB_RUNTIME
static fb_runner fb_parallel;
void fb_bind(fb_runner runner) { fb_parallel = runner; }
#endif

static inline i64 fb_min(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 fb_max(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 fb_ceil(i64 a, i64 b) { return (a + b - 1) / b; }

/* softmax and log_softmax along a dimension of row-major arrays (outer, n, inner), and the
   gradients from their results.

   Rows (inner = 1) are read three times while they are in the cache: greatest value, exponentials
   and their sum, quotient.  Otherwise a block of neighbouring columns is. */
#ifndef T
#include "dense.h"
#include "half.h"
#include "lanes.h"
#include <stdlib.h>

enum { TASK = 1 << 15, COLUMNS = 128 };

typedef struct {
  char *out;
  const char *x, *y; /* y: the result, if out is a gradient and x the result's gradient */
  i64 n, inner, per_task, rows, is_log, code;
} job;

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

/* Rows of 16-bit floats, by way of single precision. */
static void half_task(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  f32 *buffer = malloc(2 * (size_t)n * sizeof(f32));
  if (!buffer) abort();
  for (i64 row = task * j->per_task; row < end; ++row) {
    uint16_t *out = (uint16_t *)j->out + row * n;
    widen(buffer, (const uint16_t *)j->x + row * n, n, j->code);
    if (j->y) {
      widen(buffer + n, (const uint16_t *)j->y + row * n, n, j->code);
      backward_row_f32(buffer, buffer, buffer + n, n, j->is_log);
    } else {
      row_f32(buffer, buffer, n, j->is_log);
    }
    narrow(out, buffer, n, j->code);
  }
  free(buffer);
}

/* Blocks of columns of 16-bit floats, likewise: `lanes` of them side by side. */
static void half_columns_task(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, inner = j->inner, blocks = fb_ceil(inner, COLUMNS);
  const i64 end = fb_min(j->rows, (task + 1) * j->per_task);
  f32 *buffer = malloc(2 * COLUMNS * (size_t)n * sizeof(f32)), *y = buffer + COLUMNS * n;
  if (!buffer) abort();
  for (i64 block = task * j->per_task; block < end; ++block) {
    const i64 first = block % blocks * COLUMNS, at = block / blocks * n * inner + first;
    const i64 lanes = fb_min(COLUMNS, inner - first);
    for (i64 k = 0; k < n; ++k) {
      const i64 from = at + k * inner;
      widen(buffer + k * COLUMNS, (const uint16_t *)j->x + from, lanes, j->code);
      if (j->y) widen(y + k * COLUMNS, (const uint16_t *)j->y + from, lanes, j->code);
    }
    columns_f32(buffer, buffer, j->y ? y : NULL, n, COLUMNS, lanes, j->is_log);
    for (i64 k = 0; k < n; ++k)
      narrow((uint16_t *)j->out + at + k * inner, buffer + k * COLUMNS, lanes, j->code);
  }
  free(buffer);
}

static i64 run(job j, const array *a, i64 dim) {
  static const fb_task rows[] = {rows_task_f32, rows_task_f64, half_task, half_task};
  static const fb_task columns[] = {columns_task_f32, columns_task_f64, half_columns_task,
                                    half_columns_task};
  i64 outer = 1;
  dim += dim < 0 ? a->nd : 0;
  j.n = a->dims[dim], j.inner = 1;
  for (i64 d = 0; d < dim; ++d) outer *= a->dims[d];
  for (i64 d = dim + 1; d < a->nd; ++d) j.inner *= a->dims[d];
  if (!outer || !j.n || !j.inner) return 1;
  const i64 width = fb_min(j.inner, COLUMNS); /* a unit of work is a row or a block of columns */
  j.rows = outer * fb_ceil(j.inner, COLUMNS);
  j.per_task = fb_max(1, TASK / (j.n * width));
  fb_parallel((j.inner == 1 ? rows : columns)[j.code], &j, fb_ceil(j.rows, j.per_task));
  return 1;
}

static int is_refused(const array *a, i64 dim, i64 code) {
  return dim < -a->nd || dim >= a->nd || !is_dense(a, ITEMSIZES[code]);
}

/* They return 0 for arrays that are not row-major, or a dimension that there is not. */
i64 fb_softmax(array *out, const array *x, i64 dim, i64 is_log, i64 code) {
  if (is_refused(x, dim, code)) return 0;
  return run((job){.out = out->data, .x = x->data, .is_log = is_log, .code = code}, x, dim);
}
i64 fb_softmax_backward(array *out, const array *grad, const array *y, i64 dim, i64 is_log,
                        i64 code) {
  if (is_refused(y, dim, code) || !same_shape(grad, y) || is_refused(grad, dim, code)) return 0;
  return run((job){.out = out->data, .x = grad->data, .y = y->data, .is_log = is_log,
                   .code = code}, y, dim);
}

#else
static void L(row)(T *out, const T *x, i64 n, i64 is_log) {
  const i64 whole = n / W * W, rest = n - whole;
  LANES_JOIN(v, T) m = L(set)(-INFINITY), m2 = m;
  i64 i = 0;
  for (; i + 2 * W <= n; i += 2 * W)
    m = L(greater)(L(load)(x + i), m), m2 = L(greater)(L(load)(x + i + W), m2);
  if (i < whole) m = L(greater)(L(load)(x + i), m);
  if (rest) m = L(greater)(L(load_part)(x + whole, rest, -INFINITY), m);
  m = L(set)(L(greatest)(L(greater)(m2, m)));
  LANES_JOIN(v, T) sum = {0}, sum2 = {0};
  if (is_log) {
    for (i = 0; i + 2 * W <= n; i += 2 * W)
      sum += L(exp)(L(load)(x + i) - m), sum2 += L(exp)(L(load)(x + i + W) - m);
    if (i < whole) sum += L(exp)(L(load)(x + i) - m);
    if (rest) sum2 += L(exp)(L(load_part)(x + whole, rest, -INFINITY) - m);
    const LANES_JOIN(v, T) shift = L(log)(L(set)(L(total)(sum + sum2)));
    for (i = 0; i < whole; i += W) L(store)(out + i, L(load)(x + i) - m - shift);
    if (rest) L(store_part)(out + i, rest, L(load_part)(x + i, rest, 0) - m - shift);
    return;
  }
  for (i = 0; i + 2 * W <= n; i += 2 * W) {
    const LANES_JOIN(v, T) e = L(exp)(L(load)(x + i) - m), e2 = L(exp)(L(load)(x + i + W) - m);
    L(store)(out + i, e), L(store)(out + i + W, e2);
    sum += e, sum2 += e2;
  }
  LANES_JOIN(v, T) last = {0};
  if (i < whole) {
    const LANES_JOIN(v, T) e = L(exp)(L(load)(x + i) - m);
    L(store)(out + i, e);
    sum += e;
  }
  if (rest) sum2 += last = L(exp)(L(load_part)(x + whole, rest, -INFINITY) - m);
  const T share = 1 / L(total)(sum + sum2);
  for (i = 0; i < whole; i += W) L(store)(out + i, L(load)(out + i) * share);
  if (rest) L(store_part)(out + whole, rest, last * share);
}

static void L(backward_row)(T *out, const T *g, const T *y, i64 n, i64 is_log) {
  const i64 whole = n / W * W, rest = n - whole;
  LANES_JOIN(v, T) sum = {0}, sum2 = {0}, last = {0}, last_y = {0};
  if (rest) last = L(load_part)(g + whole, rest, 0), last_y = L(load_part)(y + whole, rest, 0);
  i64 i = 0;
  if (is_log) {
    for (; i + 2 * W <= n; i += 2 * W) sum += L(load)(g + i), sum2 += L(load)(g + i + W);
    if (i < whole) sum += L(load)(g + i);
    const T total = L(total)(sum + sum2 + last);
    for (i = 0; i < whole; i += W)
      L(store)(out + i, L(fma)(L(exp)(L(load)(y + i)), L(set)(-total), L(load)(g + i)));
    if (rest) L(store_part)(out + i, rest, L(fma)(L(exp)(last_y), L(set)(-total), last));
    return;
  }
  for (; i + 2 * W <= n; i += 2 * W) {
    sum = L(fma)(L(load)(g + i), L(load)(y + i), sum);
    sum2 = L(fma)(L(load)(g + i + W), L(load)(y + i + W), sum2);
  }
  if (i < whole) sum = L(fma)(L(load)(g + i), L(load)(y + i), sum);
  const T total = L(total)(L(fma)(last, last_y, sum + sum2));
  for (i = 0; i < whole; i += W)
    L(store)(out + i, (L(load)(g + i) - total) * L(load)(y + i));
  if (rest) L(store_part)(out + i, rest, (last - total) * last_y);
}

static void L(rows_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  for (i64 row = task * j->per_task; row < end; ++row) {
    T *out = (T *)j->out + row * n;
    const T *x = (const T *)j->x + row * n;
    if (j->y) L(backward_row)(out, x, (const T *)j->y + row * n, n, j->is_log);
    else L(row)(out, x, n, j->is_log);
  }
}

/* One vector of columns, `inner` elements from row to row. */
static void L(forward_columns)(T *out, const T *x, i64 n, i64 inner, i64 lanes, i64 is_log) {
  LANES_JOIN(v, T) m = L(set)(-INFINITY), sum = {0};
  for (i64 k = 0; k < n; ++k) m = L(greater)(L(load_part)(x + k * inner, lanes, 0), m);
  for (i64 k = 0; k < n; ++k) {
    const LANES_JOIN(v, T) e = L(exp)(L(load_part)(x + k * inner, lanes, 0) - m);
    if (!is_log) L(store_part)(out + k * inner, lanes, e);
    sum += e;
  }
  if (is_log) {
    sum = L(log)(sum);
    for (i64 k = 0; k < n; ++k)
      L(store_part)(out + k * inner, lanes, L(load_part)(x + k * inner, lanes, 0) - m - sum);
  } else {
    for (i64 k = 0; k < n; ++k)
      L(store_part)(out + k * inner, lanes, L(load_part)(out + k * inner, lanes, 0) / sum);
  }
}

static void L(backward_columns)(T *out, const T *g, const T *y, i64 n, i64 inner, i64 lanes,
                                i64 is_log) {
  LANES_JOIN(v, T) sum = {0};
  for (i64 k = 0; k < n; ++k) {
    const LANES_JOIN(v, T) part = L(load_part)(g + k * inner, lanes, 0);
    sum = is_log ? sum + part : L(fma)(part, L(load_part)(y + k * inner, lanes, 0), sum);
  }
  for (i64 k = 0; k < n; ++k) {
    const LANES_JOIN(v, T) part = L(load_part)(g + k * inner, lanes, 0);
    const LANES_JOIN(v, T) result = L(load_part)(y + k * inner, lanes, 0);
    L(store_part)(out + k * inner, lanes,
                  is_log ? L(fma)(L(exp)(result), -sum, part) : (part - sum) * result);
  }
}

static void L(columns)(T *out, const T *x, const T *y, i64 n, i64 inner, i64 columns,
                       i64 is_log) {
  for (i64 c = 0; c < columns; c += W) {
    const i64 lanes = fb_min(W, columns - c);
    if (y) L(backward_columns)(out + c, x + c, y + c, n, inner, lanes, is_log);
    else L(forward_columns)(out + c, x + c, n, inner, lanes, is_log);
  }
}

static void L(columns_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, inner = j->inner, blocks = fb_ceil(inner, COLUMNS);
  const i64 end = fb_min(j->rows, (task + 1) * j->per_task);
  for (i64 block = task * j->per_task; block < end; ++block) {
    const i64 first = block % blocks * COLUMNS, at = block / blocks * n * inner + first;
    L(columns)((T *)j->out + at, (const T *)j->x + at, j->y ? (const T *)j->y + at : NULL, n,
               inner, fb_min(COLUMNS, inner - first), j->is_log);
  }
}
#endif

/* Losses of classes for dense rows of scores: cross entropy, and the likelihood of
   log-probabilities.

   The forward pass keeps one number per row, the logarithm of the sum of its exponentials; the
   backward pass makes the probabilities again while it writes the gradient. */
#ifndef T
#include "dense.h"
#include "lanes.h"

enum { TASK = 1 << 15, PARTS = 512 };
enum { NONE, MEAN, SUM }; /* reductions */

typedef struct {
  char *out, *normalizer;
  const char *x, *grad, *total, *w;
  const i64 *target;
  i64 n, rows, per_task, ignored, reduction;
  f64 smoothing, row_weight;
  f64 sums[PARTS][2]; /* of losses and of weights, per task */
} job;

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static char *data_of(const array *a, const array *known) {
  a = optional(a, known);
  return a ? a->data : NULL;
}

/* Whether every class exists. */
static int are_classes(const i64 *target, i64 rows, i64 n, i64 ignored) {
  int wrong = 0;
  for (i64 r = 0; r < rows; ++r)
    wrong |= (uint64_t)target[r] >= (uint64_t)n && target[r] != ignored;
  return !wrong;
}

static void start(job *j, const array *w, const array *known, i64 code) {
  j->w = data_of(w, known);
  j->per_task = fb_max(fb_max(1, TASK / j->n), fb_ceil(j->rows, PARTS));
  if (code == 0) weigh_f32(j);
  else weigh_f64(j);
}

/* They return 0 if a class does not exist.  x is (rows, n); without a normalizer it holds
   log-probabilities. */
i64 fb_class_loss(array *loss, array *normalizer, array *total, const array *x,
                  const array *target, const array *w, i64 n, i64 ignored, i64 reduction,
                  f64 smoothing, i64 code) {
  job j = {.out = loss->data, .normalizer = data_of(normalizer, x), .x = x->data,
           .target = (const i64 *)target->data, .n = n, .rows = size_of(target),
           .ignored = ignored, .reduction = reduction, .smoothing = smoothing};
  if (!are_classes(j.target, j.rows, n, ignored)) return 0;
  start(&j, w, x, code);
  const i64 tasks = fb_ceil(j.rows, j.per_task);
  fb_parallel(code == 0 ? forward_task_f32 : forward_task_f64, &j, tasks);
  f64 losses = 0, weights = 0;
  for (i64 t = 0; t < tasks; ++t) losses += j.sums[t][0], weights += j.sums[t][1];
  if (reduction == MEAN) losses /= weights;
  if (code == 0) {
    *(f32 *)total->data = (f32)weights;
    if (reduction != NONE) *(f32 *)loss->data = (f32)losses;
  } else {
    *(f64 *)total->data = weights;
    if (reduction != NONE) *(f64 *)loss->data = losses;
  }
  return 1;
}

i64 fb_class_loss_backward(array *out, const array *grad, const array *x, const array *normalizer,
                           const array *total, const array *target, const array *w, i64 n,
                           i64 ignored, i64 reduction, f64 smoothing, i64 code) {
  job j = {.out = out->data, .x = data_of(x, out), .grad = grad->data,
           .normalizer = data_of(normalizer, out), .total = total->data,
           .target = (const i64 *)target->data, .n = n, .rows = size_of(target),
           .ignored = ignored, .reduction = reduction, .smoothing = smoothing};
  if (!are_classes(j.target, j.rows, n, ignored)) return 0;
  start(&j, w, out, code);
  fb_parallel(code == 0 ? backward_task_f32 : backward_task_f64, &j, fb_ceil(j.rows, j.per_task));
  return 1;
}

#else
#define V LANES_JOIN(v, T)

/* What all classes of a row weigh together. */
static void L(weigh)(job *j) {
  j->row_weight = (f64)j->n;
  if (!j->w || j->smoothing == 0) return;
  j->row_weight = 0;
  for (i64 c = 0; c < j->n; ++c) j->row_weight += ((const T *)j->w)[c];
}

/* The greatest of a row, and the logarithm of the sum of exponentials of the distances to it. */
static inline T L(log_sum)(const T *x, i64 n, T *most) {
  V m = L(set)(-INFINITY), m2 = m, sum = {0}, sum2 = {0};
  i64 i = 0;
  for (; i + 2 * W <= n; i += 2 * W)
    m = L(greater)(L(load)(x + i), m), m2 = L(greater)(L(load)(x + i + W), m2);
  for (; i + W <= n; i += W) m = L(greater)(L(load)(x + i), m);
  if (i < n) m = L(greater)(L(load_part)(x + i, n - i, -INFINITY), m);
  *most = L(greatest)(L(greater)(m2, m));
  for (i = 0; i + 2 * W <= n; i += 2 * W)
    sum += L(exp)(L(load)(x + i) - *most), sum2 += L(exp)(L(load)(x + i + W) - *most);
  for (; i + W <= n; i += W) sum += L(exp)(L(load)(x + i) - *most);
  if (i < n) sum2 += L(exp)(L(load_part)(x + i, n - i, -INFINITY) - *most);
  return L(log)(L(set)(L(total)(sum + sum2)))[0];
}

/* The sum of the (weighted) distances to the greatest. */
static T L(smooth)(const T *x, const T *w, i64 n, T most) {
  V sum = {0};
  for (i64 i = 0; i < n; i += W) {
    const i64 lanes = fb_min(W, n - i);
    const V at = L(load_part)(x + i, lanes, most) - most;
    sum += w ? at * L(load_part)(w + i, lanes, 0) : at;
  }
  return L(total)(sum);
}

static void L(forward_task)(void *context, i64 task) {
  job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  const T *w = (const T *)j->w, kept = (T)(1 - j->smoothing);
  f64 losses = 0, weights = 0;
  for (i64 r = task * j->per_task; r < end; ++r) {
    const T *x = (const T *)j->x + r * n;
    const i64 t = j->target[r];
    const int is_used = t != j->ignored;
    const T weight = is_used ? w ? w[t] : 1 : 0;
    T most = 0, logarithm = 0;
    if (j->normalizer) {
      logarithm = L(log_sum)(x, n, &most);
      ((T *)j->normalizer)[r] = most + logarithm;
    }
    T loss = weight == 0 ? 0 : (logarithm - (x[t] - most)) * weight;
    if (j->smoothing != 0) {
      const T spread = logarithm * (T)j->row_weight - L(smooth)(x, w, n, most);
      loss = loss * kept + (is_used ? spread : 0) * (T)(j->smoothing / (f64)n);
    }
    if (j->reduction == NONE) ((T *)j->out)[r] = loss;
    losses += loss, weights += weight;
  }
  j->sums[task][0] = losses, j->sums[task][1] = weights;
}

/* out = exp(x - normalizer) * factor - even * weight */
static void L(slopes)(T *out, const T *x, const T *w, i64 n, T normalizer, T factor, T even) {
  i64 i = 0;
  if (even == 0) {
    for (; i + W <= n; i += W) L(store)(out + i, L(exp)(L(load)(x + i) - normalizer) * factor);
    if (i < n)
      L(store_part)(out + i, n - i, L(exp)(L(load_part)(x + i, n - i, 0) - normalizer) * factor);
    return;
  }
  for (; i < n; i += W) {
    const i64 lanes = fb_min(W, n - i);
    const V weight = w ? L(load_part)(w + i, lanes, 0) : L(set)(1);
    const V p = L(exp)(L(load_part)(x + i, lanes, 0) - normalizer);
    L(store_part)(out + i, lanes, p * factor - weight * even);
  }
}

static void L(backward_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->n, end = fb_min(j->rows, (task + 1) * j->per_task);
  const T *w = (const T *)j->w, *grad = (const T *)j->grad;
  const T kept = (T)(1 - j->smoothing), part = (T)(j->smoothing / (f64)n);
  for (i64 r = task * j->per_task; r < end; ++r) {
    T *out = (T *)j->out + r * n;
    const i64 t = j->target[r];
    const int is_used = t != j->ignored;
    const T weight = is_used ? w ? w[t] : 1 : 0;
    T slope = grad[j->reduction == NONE ? r : 0];
    if (j->reduction == MEAN) slope /= *(const T *)j->total;
    const T hard = weight == 0 ? 0 : weight * kept * slope, even = is_used ? part * slope : 0;
    if (j->normalizer)
      L(slopes)(out, (const T *)j->x + r * n, w, n, ((const T *)j->normalizer)[r],
                hard + even * (T)j->row_weight, even);
    else
      memset(out, 0, n * sizeof(T));
    if (is_used) out[t] -= hard;
  }
}
#undef V
#endif

/* The steps of optimizers for one element type T; optim.c includes it once for each. */
#include "list_steps.h"

/* ---- gradient descent ------------------------------------------------------------------------ */
typedef struct {
  T lr, momentum, kept, decay, sign;
} NAME(sgd_numbers);

static inline __attribute__((always_inline)) void NAME(sgd)(
    const NAME(sgd_numbers) *s, T *const *x, i64 n, const int decays, const int momentum,
    const int nesterov) {
  const T lr = s->lr, beta = s->momentum, kept = s->kept, decay = s->decay, sign = s->sign;
  T *restrict p = x[0], *restrict b = momentum ? x[2] : NULL;
  const T *restrict g = x[1];
  for (i64 i = 0; i < n; ++i) {
    T slope = g[i] * sign;
    if (decays) slope = slope + p[i] * decay;
    if (momentum) {
      const T mean = b[i] * beta + slope * kept;
      b[i] = mean;
      slope = nesterov ? slope + mean * beta : mean;
    }
    p[i] = p[i] - slope * lr;
  }
}
#define SGD(name, decays, momentum, nesterov)                                                    \
  static void NAME(name)(const void *s, T *const *x, i64 n, i64 at) {                             \
    NAME(sgd)(s, x, n, decays, momentum, nesterov);                                              \
  }
SGD(sgd_plain, 0, 0, 0)
SGD(sgd_decay, 1, 0, 0)
SGD(sgd_momentum, 0, 1, 0)
SGD(sgd_momentum_decay, 1, 1, 0)
SGD(sgd_nesterov, 0, 1, 1)
SGD(sgd_nesterov_decay, 1, 1, 1)
#undef SGD

i64 NAME(sgd_step)(const list *p, const list *g, const list *b, f64 lr, f64 momentum, f64 kept,
                   f64 decay, i64 nesterov, i64 maximize) {
  static const NAME(step) steps[3][2] = {{NAME(sgd_plain), NAME(sgd_decay)},
                                         {NAME(sgd_momentum), NAME(sgd_momentum_decay)},
                                         {NAME(sgd_nesterov), NAME(sgd_nesterov_decay)}};
  const NAME(sgd_numbers) numbers = {(T)lr, (T)momentum, (T)kept, (T)decay, maximize ? -1 : 1};
  const int kind = momentum == 0 ? 0 : nesterov ? 2 : 1;
  NAME(job) job = {{{p, g, b}, kind ? 3 : 2}, &numbers, steps[kind][decay != 0], 1 | 4};
  return NAME(run)(&job);
}

/* ---- Adam ------------------------------------------------------------------------------------ */
typedef struct {
  T fresh1, beta2, fresh2, eps, decay, shrink, sign;
  const f64 *roots, *sizes; /* by position: the count of steps may differ */
} NAME(adam_numbers);

static inline __attribute__((always_inline)) void NAME(adam)(
    const NAME(adam_numbers) *s, T *const *x, i64 n, i64 at, const int decays,
    const int amsgrad) {
  const T fresh1 = s->fresh1, beta2 = s->beta2, fresh2 = s->fresh2, eps = s->eps;
  const T decay = s->decay, shrink = s->shrink, sign = s->sign;
  const T root = (T)s->roots[at], size = (T)s->sizes[at];
  T *restrict p = x[0], *restrict m = x[2], *restrict v = x[3];
  T *restrict most = amsgrad ? x[4] : NULL;
  const T *restrict g = x[1];
  for (i64 i = 0; i < n; ++i) {
    T slope = g[i] * sign, value = p[i] * shrink;
    if (decays) slope = slope + value * decay;
    const T mean = m[i] + (slope - m[i]) * fresh1;
    T square = v[i] * beta2;
    square = square + slope * slope * fresh2;
    m[i] = mean, v[i] = square;
    if (amsgrad) {
      const T old = most[i];
      most[i] = square = old > square || old != old ? old : square;
    }
    const T spread = SQRT(square) / root + eps;
    p[i] = value - mean / spread * size;
  }
}
#define ADAM(name, decays, amsgrad)                                                              \
  static void NAME(name)(const void *s, T *const *x, i64 n, i64 at) {                             \
    NAME(adam)(s, x, n, at, decays, amsgrad);                                                    \
  }
ADAM(adam_plain, 0, 0)
ADAM(adam_decay, 1, 0)
ADAM(adam_amsgrad, 0, 1)
ADAM(adam_amsgrad_decay, 1, 1)
#undef ADAM

i64 NAME(adam_step)(const list *p, const list *g, const list *m, const list *v, const list *most,
                    const array *roots, const array *sizes, f64 fresh1, f64 beta2, f64 fresh2,
                    f64 eps, f64 decay, f64 shrink, i64 maximize) {
  static const NAME(step) steps[2][2] = {{NAME(adam_plain), NAME(adam_decay)},
                                         {NAME(adam_amsgrad), NAME(adam_amsgrad_decay)}};
  const NAME(adam_numbers) numbers = {
      (T)fresh1, (T)beta2, (T)fresh2, (T)eps, (T)decay, (T)shrink, maximize ? -1 : 1,
      (const f64 *)roots->data, (const f64 *)sizes->data};
  const int amsgrad = most->size > 0;
  NAME(job) job = {{{p, g, m, v, most}, amsgrad ? 5 : 4}, &numbers, steps[amsgrad][decay != 0],
                   1 | 4 | 8 | 16};
  return NAME(run)(&job);
}

/* ---- RMSprop --------------------------------------------------------------------------------- */
typedef struct {
  T lr, alpha, fresh, eps, momentum, decay, sign;
} NAME(rmsprop_numbers);

/* The means of the gradients and the momentum come behind the squares, as far as there are any. */
static inline __attribute__((always_inline)) void NAME(rmsprop)(
    const NAME(rmsprop_numbers) *s, T *const *x, i64 n, const int centered, const int momentum) {
  const T lr = s->lr, alpha = s->alpha, fresh = s->fresh, eps = s->eps, beta = s->momentum;
  const T decay = s->decay, sign = s->sign;
  T *restrict p = x[0], *restrict v = x[2], *restrict m = centered ? x[3] : NULL;
  T *restrict b = momentum ? x[3 + centered] : NULL;
  const T *restrict g = x[1];
  for (i64 i = 0; i < n; ++i) {
    T slope = g[i] * sign;
    if (decay != 0) slope = slope + p[i] * decay;
    T square = v[i] * alpha + slope * slope * fresh;
    v[i] = square;
    if (centered) {
      const T mean = m[i] + (slope - m[i]) * fresh;
      m[i] = mean, square = square - mean * mean;
    }
    T step = slope / (SQRT(square) + eps);
    if (momentum) b[i] = step = b[i] * beta + step;
    p[i] = p[i] - step * lr;
  }
}
#define RMSPROP(name, centered, momentum)                                                        \
  static void NAME(name)(const void *s, T *const *x, i64 n, i64 at) {                             \
    NAME(rmsprop)(s, x, n, centered, momentum);                                                  \
  }
RMSPROP(rmsprop_plain, 0, 0)
RMSPROP(rmsprop_momentum, 0, 1)
RMSPROP(rmsprop_centered, 1, 0)
RMSPROP(rmsprop_both, 1, 1)
#undef RMSPROP

i64 NAME(rmsprop_step)(const list *p, const list *g, const list *v, const list *m, const list *b,
                       f64 lr, f64 alpha, f64 fresh, f64 eps, f64 momentum, f64 decay,
                       i64 maximize) {
  static const NAME(step) steps[2][2] = {{NAME(rmsprop_plain), NAME(rmsprop_momentum)},
                                         {NAME(rmsprop_centered), NAME(rmsprop_both)}};
  const NAME(rmsprop_numbers) numbers = {(T)lr, (T)alpha, (T)fresh, (T)eps, (T)momentum, (T)decay,
                                         maximize ? -1 : 1};
  const int centered = m->size > 0, moves = b->size > 0;
  NAME(job) job = {{{p, g, v, centered ? m : b, b}, 3 + centered + moves}, &numbers,
                   steps[centered][moves], 1 | 4 | 8 | 16};
  return NAME(run)(&job);
}

/* ---- Adagrad --------------------------------------------------------------------------------- */
typedef struct {
  T eps, decay, sign;
  const f64 *rates;
} NAME(adagrad_numbers);

static void NAME(adagrad)(const void *given, T *const *x, i64 n, i64 at) {
  const NAME(adagrad_numbers) *s = given;
  const T eps = s->eps, decay = s->decay, sign = s->sign, rate = (T)s->rates[at];
  T *restrict p = x[0], *restrict sum = x[2];
  const T *restrict g = x[1];
  for (i64 i = 0; i < n; ++i) {
    T slope = g[i] * sign;
    if (decay != 0) slope = slope + p[i] * decay;
    const T total = sum[i] + slope * slope;
    sum[i] = total;
    p[i] = p[i] - slope / (SQRT(total) + eps) * rate;
  }
}
i64 NAME(adagrad_step)(const list *p, const list *g, const list *sums, const array *rates, f64 eps,
                       f64 decay, i64 maximize) {
  const NAME(adagrad_numbers) numbers = {(T)eps, (T)decay, maximize ? -1 : 1,
                                         (const f64 *)rates->data};
  NAME(job) job = {{{p, g, sums}, 3}, &numbers, NAME(adagrad), 1 | 4};
  return NAME(run)(&job);
}

/* ---- numbers --------------------------------------------------------------------------------- */
static void NAME(add)(const void *number, T *const *x, i64 n, i64 at) {
  const T value = *(const T *)number;
  for (i64 i = 0; i < n; ++i) x[0][i] += value;
}
i64 NAME(add_number)(const list *x, f64 number) {
  const T value = (T)number;
  NAME(job) job = {{{x}, 1}, &value, NAME(add), 1};
  return NAME(run)(&job);
}

static void NAME(multiply)(const void *number, T *const *x, i64 n, i64 at) {
  const T value = *(const T *)number;
  for (i64 i = 0; i < n; ++i) x[0][i] *= value;
}
/* Times 1 is nothing: then the memory is left alone. */
i64 NAME(scale)(const list *x, const array *number) {
  const T value = *(const T *)number->data;
  NAME(job) job = {{{x}, 1}, &value, NAME(multiply), 1};
  if (value != 1) return NAME(run)(&job);
  const int fits = group_open(&job.g);
  if (fits) group_close(&job.g);
  return fits;
}

/* ---- norm ------------------------------------------------------------------------------------ */
/* A sum of squares in double precision, in an order that the length alone decides. */
static void NAME(square)(const void *into, T *const *x, i64 n, i64 at) {
  f64 lanes[16] = {0}, *sum = *(f64 *const *)into;
  const T *restrict v = x[0];
  i64 i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) lanes[j] += (f64)v[i + j] * (f64)v[i + j];
  for (; i < n; ++i) lanes[0] += (f64)v[i] * (f64)v[i];
  for (int j = 0; j < 16; ++j) *sum += lanes[j];
}

typedef struct {
  NAME(job) job;
  f64 *sums; /* of each task */
} NAME(norm_job);

static void NAME(norm_task)(void *context, i64 number) {
  const NAME(norm_job) *whole = context;
  f64 sum = 0, *into = &sum;
  NAME(job) mine = whole->job;
  mine.numbers = &into;
  NAME(task)(&mine, number);
  whole->sums[number] = sum;
}

/* The Euclidean norm of all elements together. */
i64 NAME(norm)(const list *x, const array *out) {
  NAME(norm_job) whole = {{{{x}, 1}, NULL, NAME(square), 0}, NULL};
  group *g = &whole.job.g;
  if (!group_open(g)) return 0;
  const i64 tasks = fb_ceil(group_total(g), CHUNK);
  whole.sums = malloc((size_t)(tasks + 1) * sizeof(f64));
  if (whole.sums) {
    fb_parallel(NAME(norm_task), &whole, tasks);
    f64 sum = 0;
    for (i64 i = 0; i < tasks; ++i) sum += whole.sums[i];
    *(T *)out->data = (T)__builtin_sqrt(sum);
  }
  free(whole.sums);
  group_close(g);
  return whole.sums != NULL;
}

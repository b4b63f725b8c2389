/* Random numbers that are drawn until one is accepted.

   Every number is that of flambeau.rng, bit for bit; that package says where each algorithm is
   from.  All parameters are float64 arrays, one element for each number. */
#include "twister.h"
#include <math.h>

static inline f64 unit(twister *t) {
  uint32_t words[2];
  draw(t, words, 2);
  const uint64_t bits = ((uint64_t)words[0] << 32 | words[1]) & (((uint64_t)1 << 53) - 1);
  return (f64)(i64)bits * 0x1p-53;
}

/* A standard normal number; spare says whether a second one is left over, and which. */
static f64 normal(twister *t, f64 *spare) {
  if (spare[0] != 0) {
    spare[0] = 0;
    return spare[1];
  }
  const f64 angle = 6.283185307179586 * unit(t), radius = sqrt(-2.0 * log1p(-unit(t)));
  spare[0] = 1, spare[1] = radius * sin(angle) + 0.0;
  return radius * cos(angle) + 0.0;
}

/* ---- gamma ------------------------------------------------------------------------------------ */
static f64 gamma_number(twister *t, f64 *spare, f64 alpha, f64 power, f64 d) {
  if (alpha == 0) return 0;
  if (!(d > 0)) return NAN;
  const f64 scale = power != 0 ? pow(1.0 - unit(t), power) : 1.0;
  const f64 c = 1.0 / sqrt(9.0 * d);
  for (;;) {
    f64 x, y;
    do x = normal(t, spare), y = 1.0 + c * x;
    while (y <= 0);
    const f64 v = y * y * y, u = 1.0 - unit(t), square = x * x;
    if (u < 1.0 - (f64)0.0331f * square * square) return scale * d * v;
    if (log(u) < 0.5 * square + d * (1.0 - v + log(v))) return scale * d * v;
  }
}

void fb_gamma(twister *t, array *out, const array *alpha, const array *power, const array *d,
              array *spare, i64 n) {
  f64 *x = (f64 *)out->data;
  for (i64 i = 0; i < n; ++i)
    x[i] = gamma_number(t, (f64 *)spare->data, ((const f64 *)alpha->data)[i],
                        ((const f64 *)power->data)[i], ((const f64 *)d->data)[i]);
}

/* ---- Poisson ---------------------------------------------------------------------------------- */
static f64 poisson_by_product(twister *t, f64 rate) {
  const f64 end = exp(-rate);
  f64 product = unit(t), count = 0;
  for (; product > end; ++count) product *= unit(t);
  return count;
}

static f64 poisson_by_rejection(twister *t, f64 rate) {
  const f64 log_rate = log(rate), b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
  const f64 log_inverse_alpha = log(1.1239 + 1.1328 / (b - 3.4));
  const f64 squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const f64 u = unit(t) - 0.5, v = unit(t), distance = 0.5 - fabs(u);
    const f64 count = distance != 0 ? floor((2 * a / distance + b) * u + rate + 0.43) : -1;
    if (distance >= 0.07 && v <= squeeze) return count;
    if (count < 0 || (distance < 0.013 && v > distance)) continue;
    const f64 left = log(v) + log_inverse_alpha - log(a / (distance * distance) + b);
    if (left <= -rate + count * log_rate - lgamma(count + 1.0)) return count;
  }
}

void fb_poisson(twister *t, array *out, const array *rates, i64 n) {
  f64 *x = (f64 *)out->data;
  for (i64 i = 0; i < n; ++i) {
    const f64 rate = ((const f64 *)rates->data)[i];
    x[i] = rate == 0 ? 0 : rate >= 10 ? poisson_by_rejection(t, rate) : poisson_by_product(t, rate);
  }
}

/* ---- binomial --------------------------------------------------------------------------------- */
typedef struct { /* a row of the plan */
  f64 count, chance, log_of_failure, deviation, ratio, mode, centre;
} binomial;

static f64 binomial_by_skipping(twister *t, const binomial *p) {
  for (f64 trials = 0, successes = 0;; ++successes) {
    trials += ceil(log(unit(t)) / p->log_of_failure);
    if (trials > p->count) return successes;
  }
}

/* log(k!) less Stirling's approximation in k + 1. */
static f64 stirling_rest(f64 k) {
  const f64 after = k + 1.0;
  if (k < 10) return lgamma(after) - ((k + 0.5) * log(after) - after + 0.9189385332046727);
  const f64 square = after * after;
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / after;
}

static f64 binomial_by_rejection(twister *t, const binomial *p) {
  const f64 n = p->count, m = p->mode, b = 1.15 + 2.53 * p->deviation;
  const f64 a = -0.0873 + 0.0248 * b + 0.01 * p->chance, squeeze = 0.92 - 4.2 / b;
  const f64 alpha = (2.83 + 5.1 / b) * p->deviation;
  for (;;) {
    const f64 u = unit(t) - 0.5, v = unit(t), distance = 0.5 - fabs(u);
    const f64 k = distance != 0 ? floor((2 * a / distance + b) * u + p->centre) : -1;
    if (k < 0 || k > n) continue;
    if (distance >= 0.07 && v <= squeeze) return k;
    const f64 bound =
        (m + 0.5) * log((m + 1) / (p->ratio * (n - m + 1))) +
        (n + 1) * log((n - m + 1) / (n - k + 1)) +
        (k + 0.5) * log(p->ratio * (n - k + 1) / (k + 1)) + stirling_rest(m) +
        stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
    if (log(v * alpha / (a / (distance * distance) + b)) <= bound) return k;
  }
}

/* Successes; the deviation of a row is 0 where there are few, the count where there are none. */
void fb_binomial(twister *t, array *out, const array *plan, i64 n) {
  const binomial *p = (const binomial *)plan->data;
  f64 *x = (f64 *)out->data;
  for (i64 i = 0; i < n; ++i, ++p)
    x[i] = p->count == 0       ? 0
           : p->deviation != 0 ? binomial_by_rejection(t, p)
                               : binomial_by_skipping(t, p);
}

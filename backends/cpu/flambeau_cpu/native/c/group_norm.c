/* Normalisation of groups of channels of dense arrays (images, channels, length), and the
   gradients for input, weight and bias.  A group of an image is a row of memory. */
#ifndef T
#include "dense.h"
#include "each.h"
#include "lanes.h"

enum { TASK = 1 << 15 };

typedef struct {
  char *out, *mean, *rstd, *partial; /* (images, 2, channels) */
  const char *x, *grad, *w, *b;
  i64 images, channels, length, groups, per_task;
  f64 eps;
} job;

static char *data_of(const array *a, const array *known) {
  a = optional(a, known);
  return a ? a->data : NULL;
}

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static job job_of(const array *x, i64 groups, f64 eps) {
  job j = {.x = x->data, .images = x->dims[0], .channels = x->dims[1], .length = 1,
           .groups = groups, .eps = eps};
  for (int d = 2; d < x->nd; ++d) j.length *= x->dims[d];
  j.per_task = fb_max(1, TASK / (j.channels / groups * j.length));
  return j;
}

void fb_group_norm(array *out, array *mean, array *rstd, const array *x, const array *w,
                   const array *b, i64 groups, f64 eps, i64 is_double) {
  job j = job_of(x, groups, eps);
  j.out = out->data, j.mean = mean->data, j.rstd = rstd->data;
  j.w = data_of(w, x), j.b = data_of(b, x);
  fb_parallel(is_double ? forward_task_f64 : forward_task_f32, &j,
              fb_ceil(j.images * groups, j.per_task));
}

void fb_group_norm_backward(array *dx, array *dw, array *db, array *partial, const array *grad,
                            const array *x, const array *mean, const array *rstd, const array *w,
                            i64 groups, i64 is_double) {
  job j = job_of(x, groups, 0);
  j.out = data_of(dx, x), j.partial = partial->data, j.grad = grad->data;
  j.mean = mean->data, j.rstd = rstd->data, j.w = data_of(w, x);
  fb_parallel(is_double ? backward_task_f64 : backward_task_f32, &j,
              fb_ceil(j.images * groups, j.per_task));
  char *to[] = {data_of(dw, x), data_of(db, x)};
  for (int k = 0; k < 2; ++k) {
    if (to[k] && is_double) add_images_f64(&j, k, to[k]);
    else if (to[k]) add_images_f32(&j, k, to[k]);
  }
}

#else
#include "moments.h"
#define V LANES_JOIN(v, T)

static void L(forward_task)(void *context, i64 task) {
  const job *j = context;
  const i64 each = j->channels / j->groups, n = j->length;
  const i64 end = fb_min(j->images * j->groups, (task + 1) * j->per_task);
  for (i64 row = task * j->per_task; row < end; ++row) {
    moments m = {0};
    L(add_moments)(&m, (const T *)j->x + row * each * n, each * n);
    const T mean = (T)m.mean, rstd = 1 / L(root)((T)(m.squares / m.count) + (T)j->eps);
    ((T *)j->mean)[row] = mean, ((T *)j->rstd)[row] = rstd;
    for (i64 k = 0; k < each; ++k) {
      const i64 c = row % j->groups * each + k, at = (row * each + k) * n;
      const V scale = L(set)(j->w ? ((const T *)j->w)[c] * rstd : rstd);
      const V shift = L(set)(j->b ? ((const T *)j->b)[c] : 0);
      EACH(i, n, {
        const V x = LOAD((const T *)j->x + at + i, lanes) - mean;
        STORE((T *)j->out + at + i, lanes, L(fma)(x, scale, shift));
      });
    }
  }
}

static void L(backward_task)(void *context, i64 task) {
  const job *j = context;
  const i64 each = j->channels / j->groups, n = j->length;
  const i64 end = fb_min(j->images * j->groups, (task + 1) * j->per_task);
  for (i64 row = task * j->per_task; row < end; ++row) {
    const T mean = ((const T *)j->mean)[row], rstd = ((const T *)j->rstd)[row];
    const i64 first = row % j->groups * each, start = row * each * n;
    const T *x = (const T *)j->x + start, *grad = (const T *)j->grad + start;
    T *along = (T *)j->partial + row / j->groups * 2 * j->channels + first;
    T *total = along + j->channels;
    f64 sum = 0, product = 0; /* over the group, of the weighted gradient and of that times x */
    for (i64 k = 0; k < each; ++k) {
      V a = {0}, b = {0};
      EACH(i, n, {
        const V g = LOAD(grad + k * n + i, lanes);
        a += g, b = L(fma)(g, LOAD(x + k * n + i, lanes) - mean, b);
      });
      const f64 weight = j->w ? ((const T *)j->w)[first + k] : 1;
      total[k] = L(total)(a), along[k] = L(total)(b) * rstd;
      sum += weight * total[k], product += weight * along[k];
    }
    if (!j->out) continue;
    const f64 count = (f64)(each * n);
    const V slope = L(set)((T)(-product / count) * rstd * rstd);
    const V shift = L(set)((T)(-sum / count) * rstd);
    for (i64 k = 0; k < each; ++k) {
      const V scale = L(set)(j->w ? ((const T *)j->w)[first + k] * rstd : rstd);
      EACH(i, n, {
        const V rest = L(fma)(LOAD(x + k * n + i, lanes) - mean, slope, shift);
        STORE((T *)j->out + start + k * n + i, lanes,
              L(fma)(LOAD(grad + k * n + i, lanes), scale, rest));
      });
    }
  }
}

/* The sum over images of a line of `partial`. */
static void L(add_images)(const job *j, int line, char *to) {
  const T *lines = (const T *)j->partial + line * j->channels;
  EACH(c, j->channels, {
    V sum = {0};
    for (i64 k = 0; k < j->images; ++k) sum += LOAD(lines + 2 * k * j->channels + c, lanes);
    STORE((T *)to + c, lanes, sum);
  });
}
#undef V
#endif

/* Normalisation of the channels of dense arrays, and the gradients for input, weight and bias.

   Channels are planes, (images, channels, length), or innermost, (rows, channels).  Of planes a
   task takes some channels from their statistics to their results.  Of rows a task takes some
   rows and all channels; what it finds goes to its own line of `partial`, and the lines are put
   together in order. */
#ifndef T
#include "dense.h"
#include "each.h"
#include "lanes.h"

typedef struct {
  char *out, *mean, *var;
  const char *x, *grad, *w, *b;
  char *dw, *db, *partial;
  i64 images, channels, length, per_task, is_rows, training; /* images: or rows */
  f64 eps;
} job;

enum { TASK = 1 << 15, LINES = 64, MOST = 4096, DEEP = 8 }; /* of elements, of lines, of channels;
                                                               rows that are held in registers */

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

/* x is row-major: (images, channels, *), or (images, *, channels) if they are `last`. */
static job job_of(const array *x, i64 last, f64 eps) {
  job j = {.x = x->data, .images = x->dims[0], .channels = x->dims[last ? x->nd - 1 : 1],
           .length = 1, .eps = eps};
  for (int d = 1; d < x->nd; ++d) j.length *= x->dims[d];
  j.length /= j.channels;
  j.is_rows = last || j.length == 1;
  if (j.is_rows) {
    j.images *= j.length;
    j.per_task = fb_max(fb_max(TASK / j.channels, fb_ceil(j.images, LINES)), 1);
  } else {
    j.per_task = fb_max(TASK / (j.images * j.length), 1);
  }
  return j;
}

/* `partial` has LINES lines of (2, channels); it may be None for less than TASK elements. */
void fb_batch_norm(array *out, array *mean, array *var, array *partial, const array *x,
                   const array *w, const array *b, i64 last, i64 training, f64 eps,
                   i64 is_double) {
  job j = job_of(x, last, eps);
  j.out = out->data, j.mean = mean->data, j.var = var->data, j.w = data_of(w, x);
  j.b = data_of(b, x), j.training = training, j.partial = data_of(partial, x);
  if (is_double) forward_f64(&j);
  else forward_f32(&j);
}

void fb_batch_norm_backward(array *dx, array *dw, array *db, array *partial, const array *grad,
                            const array *x, const array *mean, const array *var, const array *w,
                            i64 last, i64 training, f64 eps, i64 is_double) {
  job j = job_of(x, last, eps);
  j.out = data_of(dx, x), j.dw = data_of(dw, x), j.db = data_of(db, x), j.grad = grad->data;
  j.mean = mean->data, j.var = var->data, j.w = data_of(w, x), j.training = training;
  j.partial = data_of(partial, x);
  if (is_double) backward_f64(&j);
  else backward_f32(&j);
}

#else
#include "moments.h"
#define V LANES_JOIN(v, T)

static inline T L(reciprocal_root)(T var, f64 eps) { return 1 / L(root)(var + (T)eps); }

/* The factor and the summand that normalise channel c. */
static void L(affine)(const job *j, i64 c, T *scale, T *shift) {
  const T rstd = L(reciprocal_root)(((const T *)j->var)[c], j->eps);
  *scale = j->w ? rstd * ((const T *)j->w)[c] : rstd;
  *shift = j->b ? ((const T *)j->b)[c] : 0;
}

/* ---- planes */
static void L(scale_plane)(T *out, const T *x, i64 n, T mean, T scale, T shift) {
  EACH(i, n, STORE(out + i, lanes,
                   L(fma)(LOAD(x + i, lanes) - mean, L(set)(scale), L(set)(shift))););
}

static void L(planes_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->length, step = j->channels * n;
  const i64 end = fb_min(j->channels, (task + 1) * j->per_task);
  for (i64 c = task * j->per_task; c < end; ++c) {
    const T *x = (const T *)j->x + c * n;
    moments m = {0};
    for (i64 k = 0; k < j->images; ++k) L(add_moments)(&m, x + k * step, n);
    const T mean = ((T *)j->mean)[c] = (T)m.mean;
    ((T *)j->var)[c] = (T)(m.squares / m.count);
    T scale, shift;
    L(affine)(j, c, &scale, &shift);
    for (i64 k = 0; k < j->images; ++k)
      L(scale_plane)((T *)j->out + c * n + k * step, x + k * step, n, mean, scale, shift);
  }
}

/* With given statistics, planes one after the other. */
static void L(given_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->length, per_task = fb_max(1, TASK / n);
  const i64 end = fb_min(j->images * j->channels, (task + 1) * per_task);
  for (i64 p = task * per_task; p < end; ++p) {
    const i64 c = p % j->channels;
    T scale, shift;
    L(affine)(j, c, &scale, &shift);
    L(scale_plane)((T *)j->out + p * n, (const T *)j->x + p * n, n, ((const T *)j->mean)[c],
                   scale, shift);
  }
}

/* What the gradient of channel c is made of: factors of the output's and of the centred input, and
   a constant; from the sums of the output's gradient, and of that times the centred input. */
static void L(slopes)(const job *j, i64 c, T total, T along, f64 count, T *factors) {
  const T rstd = L(reciprocal_root)(((const T *)j->var)[c], j->eps);
  const T scale = j->w ? rstd * ((const T *)j->w)[c] : rstd;
  if (j->dw) ((T *)j->dw)[c] = along * rstd;
  if (j->db) ((T *)j->db)[c] = total;
  factors[0] = scale;
  factors[1] = j->training ? -scale * rstd * rstd * along / (T)count : 0;
  factors[2] = j->training ? -scale * total / (T)count : 0;
}

static void L(planes_back_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->length, step = j->channels * n;
  const i64 end = fb_min(j->channels, (task + 1) * j->per_task);
  for (i64 c = task * j->per_task; c < end; ++c) {
    const T *x = (const T *)j->x + c * n, *g = (const T *)j->grad + c * n;
    const T mean = ((const T *)j->mean)[c];
    f64 total = 0, along = 0;
    for (i64 k = 0; k < j->images; ++k) {
      V a = {0}, b = {0};
      EACH(i, n, {
        const V gy = LOAD(g + k * step + i, lanes);
        a += gy, b = L(fma)(gy, LOAD(x + k * step + i, lanes) - mean, b);
      });
      total += L(total)(a), along += L(total)(b);
    }
    T f[3];
    L(slopes)(j, c, (T)total, (T)along, (f64)(j->images * n), f);
    if (!j->out) continue;
    for (i64 k = 0; k < j->images; ++k) {
      T *dx = (T *)j->out + c * n + k * step;
      EACH(i, n, {
        const V at = LOAD(x + k * step + i, lanes) - mean;
        const V rest = L(fma)(at, L(set)(f[1]), L(set)(f[2]));
        STORE(dx + i, lanes, L(fma)(LOAD(g + k * step + i, lanes), L(set)(f[0]), rest));
      });
    }
  }
}

/* ---- rows */
/* The moments of each channel over some rows, added to those of the `seen` rows before. */
static inline __attribute__((always_inline)) void L(rows_moments)(
    const T *x, i64 n, i64 count, i64 seen, T *means, T *squares) {
  const T part = (T)count / (T)(seen + count), product = (T)seen * part;
  EACH(c, n, {
    V sum = {0}, far = {0}, row[DEEP];
    for (i64 r = 0; r < count; ++r) sum += row[r] = LOAD(x + r * n + c, lanes);
    const V mean = sum / (T)count;
    for (i64 r = 0; r < count; ++r) far = L(fma)(row[r] - mean, row[r] - mean, far);
    const V old = LOAD(means + c, lanes), delta = mean - old;
    far += LOAD(squares + c, lanes);
    STORE(squares + c, lanes, L(fma)(delta * delta, L(set)(product), far));
    STORE(means + c, lanes, L(fma)(delta, L(set)(part), old));
  });
}

/* A line: (2, channels). */
static void L(rows_moments_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->channels, start = task * j->per_task;
  const i64 end = fb_min(j->images, start + j->per_task);
  T *means = (T *)j->partial + task * 2 * n, *squares = means + n;
  for (i64 c = 0; c < 2 * n; ++c) means[c] = 0;
  i64 row = start;
  for (; row + DEEP <= end; row += DEEP)
    L(rows_moments)((const T *)j->x + row * n, n, DEEP, row - start, means, squares);
  if (row < end)
    L(rows_moments)((const T *)j->x + row * n, n, end - row, row - start, means, squares);
}

static void L(rows_scale_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->channels, end = fb_min(j->images, (task + 1) * j->per_task);
  const T *mean = (const T *)j->mean;
  T scale[MOST], shift[MOST];
  for (i64 c = 0; c < n; ++c) L(affine)(j, c, scale + c, shift + c);
  for (i64 row = task * j->per_task; row < end; ++row) {
    const T *x = (const T *)j->x + row * n;
    T *out = (T *)j->out + row * n;
    EACH(c, n, STORE(out + c, lanes, L(fma)(LOAD(x + c, lanes) - LOAD(mean + c, lanes),
                                            LOAD(scale + c, lanes), LOAD(shift + c, lanes))););
  }
}

/* Per channel, the sums of the gradient and of the gradient times the centred input. */
static inline __attribute__((always_inline)) void L(rows_sums)(
    const T *x, const T *g, const T *mean, i64 n, i64 count, T *totals, T *alongs) {
  EACH(c, n, {
    const V middle = LOAD(mean + c, lanes);
    V a = LOAD(totals + c, lanes), b = LOAD(alongs + c, lanes);
    for (i64 r = 0; r < count; ++r) {
      const V gy = LOAD(g + r * n + c, lanes);
      a += gy, b = L(fma)(gy, LOAD(x + r * n + c, lanes) - middle, b);
    }
    STORE(totals + c, lanes, a);
    STORE(alongs + c, lanes, b);
  });
}

static void L(rows_sums_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->channels, end = fb_min(j->images, (task + 1) * j->per_task);
  const T *x = (const T *)j->x, *g = (const T *)j->grad, *mean = (const T *)j->mean;
  T *totals = (T *)j->partial + task * 2 * n, *alongs = totals + n;
  for (i64 c = 0; c < 2 * n; ++c) totals[c] = 0;
  i64 row = task * j->per_task;
  for (; row + DEEP <= end; row += DEEP)
    L(rows_sums)(x + row * n, g + row * n, mean, n, DEEP, totals, alongs);
  if (row < end) L(rows_sums)(x + row * n, g + row * n, mean, n, end - row, totals, alongs);
}

static void L(rows_back_task)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->channels, end = fb_min(j->images, (task + 1) * j->per_task);
  const T *factors = (const T *)j->partial, *mean = (const T *)j->mean; /* (3, channels) */
  for (i64 row = task * j->per_task; row < end; ++row) {
    const T *x = (const T *)j->x + row * n, *g = (const T *)j->grad + row * n;
    T *dx = (T *)j->out + row * n;
    EACH(c, n, {
      const V at = LOAD(x + c, lanes) - LOAD(mean + c, lanes);
      const V rest = L(fma)(at, LOAD(factors + n + c, lanes), LOAD(factors + 2 * n + c, lanes));
      STORE(dx + c, lanes, L(fma)(LOAD(g + c, lanes), LOAD(factors + c, lanes), rest));
    });
  }
}

static void L(put_together)(const job *j, i64 tasks) {
  const i64 n = j->channels;
  for (i64 c = 0; c < n; ++c) {
    moments m = {0};
    for (i64 t = 0; t < tasks; ++t) {
      const T *line = (const T *)j->partial + t * 2 * n + c;
      merge(&m, (f64)(fb_min(j->images, (t + 1) * j->per_task) - t * j->per_task), line[0],
            line[n]);
    }
    const T mean = (T)m.mean, var = (T)(m.squares / m.count);
    ((T *)j->mean)[c] = mean, ((T *)j->var)[c] = var;
  }
}

/* ---- both */
static void L(forward)(job *j) {
  T line[2 * MOST];
  if (!j->partial) j->partial = (char *)line;
  if (!j->is_rows) {
    if (j->training) fb_parallel(L(planes_task), j, fb_ceil(j->channels, j->per_task));
    else fb_parallel(L(given_task), j, fb_ceil(j->images * j->channels, fb_max(1, TASK / j->length)));
    return;
  }
  const i64 tasks = fb_ceil(j->images, j->per_task);
  if (j->training) {
    fb_parallel(L(rows_moments_task), j, tasks);
    L(put_together)(j, tasks);
  }
  fb_parallel(L(rows_scale_task), j, tasks);
}

static void L(backward)(job *j) {
  T factors[3 * MOST], line[2 * MOST];
  if (!j->is_rows) {
    fb_parallel(L(planes_back_task), j, fb_ceil(j->channels, j->per_task));
    return;
  }
  if (!j->partial) j->partial = (char *)line;
  const i64 n = j->channels, tasks = fb_ceil(j->images, j->per_task);
  fb_parallel(L(rows_sums_task), j, tasks);
  for (i64 c = 0; c < n; ++c) {
    f64 total = 0, along = 0;
    for (i64 t = 0; t < tasks; ++t) {
      const T *sums = (const T *)j->partial + t * 2 * n + c;
      total += sums[0], along += sums[n];
    }
    T f[3];
    L(slopes)(j, c, (T)total, (T)along, (f64)j->images, f);
    for (int k = 0; k < 3; ++k) factors[k * n + c] = f[k];
  }
  j->partial = (char *)factors;
  if (j->out) fb_parallel(L(rows_back_task), j, tasks);
}
#undef V
#endif

/* Recurrent networks over whole sequences, forward and backward.

   Rows of a step come one behind the other, step after step; `sizes` says how many each has, and
   they never grow.  The sequences of a batch do not know of each other: a task takes some of them
   through all steps.  The weight is packed once: a panel for each BLOCK of hidden units and each
   gate. */
#ifndef T
#include "gemm.h"
#include "lanes.h"
#include "mathematics.h"
#include "workspace.h"

enum { BLOCK = 32, SEQUENCES = 24 /* of two tasks */, ELEMENTS = 2048 /* of a cell's task */ };
enum { LSTM, GRU, TANH, RELU };
static const i64 GATES[] = {4, 3, 1, 1};

typedef struct {
  i64 kind, reverse, steps, batch, units, gates, blocks, tasks;
  const i64 *sizes, *starts;
  const array *x, *h0, *c0, *w, *b, *packed, *out, *h, *c, *acts, *cells;
  const array *g_out, *g_h, *g_c, *before, *dgates, *drecurrent;
} job;

/* How many of a task's sequences, which start at `first`, a step has. */
static inline i64 active(const job *j, i64 step, i64 first, i64 count) {
  return step < 0 || step >= j->steps ? 0 : fb_max(0, fb_min(j->sizes[step] - first, count));
}

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static job job_of(i64 kind, i64 reverse, const array *sizes, const array *starts, const array *h0,
                  const array *w) {
  job j = {.kind = kind, .reverse = reverse, .steps = sizes->dims[0], .batch = h0->dims[0],
           .units = h0->dims[1], .gates = GATES[kind], .sizes = (const i64 *)sizes->data,
           .starts = (const i64 *)starts->data, .h0 = h0, .w = w};
  j.blocks = fb_ceil(j.units, BLOCK);
  j.tasks = fb_min(j.batch, 2 * fb_ceil(j.batch, SEQUENCES));
  return j;
}

/* Arrays are row-major; those that a kind does not have are None. */
void forward(const array *x, const array *h0, const array *c0, const array *w, const array *b,
             const array *sizes, const array *starts, const array *packed, const array *out,
             const array *h, const array *c, const array *acts, const array *cells, i64 kind,
             i64 reverse, i64 is_f64) {
  job j = job_of(kind, reverse, sizes, starts, h0, w);
  j.x = x, j.c0 = c0, j.b = optional(b, x), j.packed = packed, j.out = out, j.h = h, j.c = c;
  j.acts = acts, j.cells = cells;
  fb_parallel(is_f64 ? pack_f64 : pack_f32, &j, j.blocks * j.gates);
  fb_parallel(is_f64 ? forward_f64 : forward_f32, &j, j.tasks);
}

/* `h` and `c` get the gradients of the first states, `before` the states that steps began with. */
void backward(const array *h0, const array *c0, const array *w, const array *out,
              const array *acts, const array *cells, const array *g_out, const array *g_h,
              const array *g_c, const array *sizes, const array *starts, const array *packed,
              const array *h, const array *c, const array *before, const array *dgates,
              const array *drecurrent, i64 kind, i64 reverse, i64 is_f64) {
  job j = job_of(kind, reverse, sizes, starts, h0, w);
  j.c0 = c0, j.out = out, j.acts = acts, j.cells = cells, j.packed = packed, j.h = h, j.c = c;
  j.g_out = optional(g_out, h0), j.g_h = optional(g_h, h0), j.g_c = optional(g_c, h0);
  j.before = before, j.dgates = dgates, j.drecurrent = drecurrent;
  fb_parallel(is_f64 ? pack_turned_f64 : pack_turned_f32, &j, j.blocks);
  fb_parallel(is_f64 ? backward_f64 : backward_f32, &j, j.tasks);
}

/* One step of a cell; `tasks` is the number of rows of a task. */
static job cell_of(i64 kind, const array *before, i64 *count) {
  job j = {.kind = kind, .batch = before->dims[0], .units = before->dims[1],
           .gates = GATES[kind], .h0 = before};
  j.tasks = fb_max(1, ELEMENTS / fb_max(1, j.units));
  *count = fb_ceil(j.batch, j.tasks);
  return j;
}
/* x and y: gates of the input and of the state, of which there is for LSTM only the cell. */
void cell(const array *x, const array *y, const array *before, const array *h, const array *after,
          const array *acts, i64 kind, i64 is_f64) {
  i64 count;
  job j = cell_of(kind, before, &count);
  j.x = x, j.b = y, j.h = h, j.c = after, j.acts = acts;
  fb_parallel(is_f64 ? cell_f64 : cell_f32, &j, count);
}
/* back: the gradient of the state before, for GRU without what comes by the gates. */
void cell_back(const array *acts, const array *before, const array *after, const array *g_h,
               const array *g_c, const array *dgates, const array *drecurrent,
               const array *back, i64 kind, i64 is_f64) {
  i64 count;
  job j = cell_of(kind, before, &count);
  j.acts = acts, j.cells = after, j.g_h = g_h, j.g_c = optional(g_c, acts);
  j.dgates = dgates, j.drecurrent = drecurrent, j.h = back;
  fb_parallel(is_f64 ? cell_back_f64 : cell_back_f32, &j, count);
}

#else
#include "tiled.h"
#define F(name) LANES_JOIN(fb_##name, T)
#define DATA(a) ((T *)j->a->data)
#define BYTES(count) ((size_t)(count) * sizeof(T))

/* Element (k, unit) of panel (block, gate) is w[gate * units + unit, k]. */
static void L(pack)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->units, block = task / j->gates, gate = task % j->gates;
  F(pack)(DATA(packed) + task * n * BLOCK, BLOCK, DATA(w) + (gate * n + block * BLOCK) * n,
          sizeof(T) == 8, fb_min(BLOCK, n - block * BLOCK), n, n, 1);
}

/* Element (row, unit) of the panel of a block is w[row, unit]. */
static void L(pack_turned)(void *context, i64 block) {
  const job *j = context;
  const i64 n = j->units, k = j->gates * n;
  F(pack)(DATA(packed) + block * k * BLOCK, BLOCK, DATA(w) + block * BLOCK, sizeof(T) == 8,
          fb_min(BLOCK, n - block * BLOCK), k, 1, n);
}

/* ---- one row, forward ------------------------------------------------------------------------ */
/* x: gates of the inputs; y: of the state; each gate's n units behind those of the one before. */
static void L(lstm)(i64 n, const T *restrict x, const T *restrict y, const T *restrict before,
                    T *restrict acts, T *restrict cell, T *restrict h) {
  for (i64 k = 0; k < n; ++k) {
    const T i = F(sigmoid)(x[k] + y[k]), f = F(sigmoid)(x[k + n] + y[k + n]);
    const T g = F(tanh)(x[k + 2 * n] + y[k + 2 * n]);
    const T o = F(sigmoid)(x[k + 3 * n] + y[k + 3 * n]);
    const T after = f * before[k] + i * g;
    acts[k] = i, acts[k + n] = f, acts[k + 2 * n] = g, acts[k + 3 * n] = o;
    cell[k] = after;
    h[k] = o * F(tanh)(after);
  }
}

/* b: biases of the state's gates, or zeros. */
static void L(gru)(i64 n, const T *restrict x, const T *restrict y, const T *restrict b,
                   const T *restrict before, T *restrict acts, T *restrict h) {
  for (i64 k = 0; k < n; ++k) {
    const T r = F(sigmoid)(x[k] + (y[k] + b[k]));
    const T z = F(sigmoid)(x[k + n] + (y[k + n] + b[k + n]));
    const T s = y[k + 2 * n] + b[k + 2 * n], fresh = F(tanh)(x[k + 2 * n] + r * s);
    acts[k] = r, acts[k + n] = z, acts[k + 2 * n] = fresh, acts[k + 3 * n] = s;
    h[k] = fresh + z * (before[k] - fresh);
  }
}

static void L(plain)(i64 n, const T *restrict x, const T *restrict y, T *restrict h,
                     i64 rectified) {
  if (rectified)
    for (i64 k = 0; k < n; ++k) h[k] = x[k] + y[k] < 0 ? 0 : x[k] + y[k];
  else
    for (i64 k = 0; k < n; ++k) h[k] = F(tanh)(x[k] + y[k]);
}

/* ---- forward --------------------------------------------------------------------------------- */
/* The states h after a step of `count` sequences, whose first row is `row`. */
static void L(activate)(const job *j, i64 row, i64 count, const T *sums, const T *bias,
                        const T *before, T *c, T *h) {
  const i64 n = j->units, width = j->gates * n;
  for (i64 r = 0; r < count; ++r) {
    const T *x = DATA(x) + (row + r) * width, *y = sums + r * width;
    T *to = h + r * n, *acts = j->kind > GRU ? NULL : DATA(acts) + (row + r) * 4 * n;
    if (j->kind == LSTM) {
      T *cell = DATA(cells) + (row + r) * n;
      L(lstm)(n, x, y, c + r * n, acts, cell, to);
      memcpy(c + r * n, cell, BYTES(n));
    } else if (j->kind == GRU) L(gru)(n, x, y, bias, before + r * n, acts, to);
    else L(plain)(n, x, y, to, j->kind == RELU);
  }
}

static void L(forward)(void *context, i64 task) {
  const job *j = context;
  const i64 first = j->batch * task / j->tasks, all = j->batch * (task + 1) / j->tasks - first;
  const i64 size = j->units, width = j->gates * size;
  workspace s = workspace_of(BYTES(3 * all * size + (all + 1) * width));
  T *h = take(&s, BYTES(all * size)), *next = take(&s, BYTES(all * size));
  T *c = take(&s, BYTES(all * size)), *sums = take(&s, BYTES(all * width));
  T *bias = take(&s, BYTES(width));
  if (j->b) memcpy(bias, DATA(b), BYTES(width));
  else memset(bias, 0, BYTES(width));
  memcpy(h, DATA(h0) + first * size, BYTES(all * size));
  if (j->kind == LSTM) memcpy(c, DATA(c0) + first * size, BYTES(all * size));
  for (i64 step = 0; step < j->steps; ++step) {
    const i64 t = j->reverse ? j->steps - 1 - step : step, row = j->starts[t] + first;
    const i64 count = active(j, t, first, all);
    if (!count) continue;
    for (i64 panel = 0; panel < j->blocks * j->gates; ++panel) {
      const i64 at = panel / j->gates * BLOCK, gate = panel % j->gates;
      L(tiled)(count, fb_min(BLOCK, size - at), size, h, size, 1,
               DATA(packed) + panel * size * BLOCK, BLOCK, sums + gate * size + at, width, 0);
    }
    L(activate)(j, row, count, sums, bias, h, c, next);
    memcpy(DATA(out) + row * size, next, BYTES(count * size));
    memcpy(next + count * size, h + count * size, BYTES((all - count) * size));
    T *old = h;
    h = next, next = old;
  }
  memcpy(DATA(h) + first * size, h, BYTES(all * size));
  if (j->kind == LSTM) memcpy(DATA(c) + first * size, c, BYTES(all * size));
  free(s.all);
}

/* ---- one row, backward ----------------------------------------------------------------------- */
/* dh: the gradient of the state after; d: of the gates; dc: of the cell, from after to before. */
static void L(lstm_back)(i64 n, const T *restrict a, const T *restrict before,
                         const T *restrict after, const T *restrict dh, T *restrict dc,
                         T *restrict d) {
  for (i64 k = 0; k < n; ++k) {
    const T i = a[k], f = a[k + n], g = a[k + 2 * n], o = a[k + 3 * n];
    const T top = F(tanh)(after[k]), down = dc[k] + dh[k] * (o * (1 - top * top));
    d[k] = down * (g * (i - i * i));
    d[k + n] = down * (before[k] * (f - f * f));
    d[k + 2 * n] = down * (i * (1 - g * g));
    d[k + 3 * n] = dh[k] * (top * (o - o * o));
    dc[k] = down * f;
  }
}

/* d: gradients of the inputs' gates, e: of the state's; dh becomes what passes by the gates. */
static void L(gru_back)(i64 n, const T *restrict a, const T *restrict before, T *restrict dh,
                        T *restrict d, T *restrict e) {
  for (i64 k = 0; k < n; ++k) {
    const T r = a[k], z = a[k + n], fresh = a[k + 2 * n], s = a[k + 3 * n];
    const T dn = dh[k] * ((1 - fresh * fresh) * (1 - z)), dr = dn * (s * (r - r * r));
    const T dz = dh[k] * ((before[k] - fresh) * (z - z * z));
    d[k] = e[k] = dr, d[k + n] = e[k + n] = dz;
    d[k + 2 * n] = dn, e[k + 2 * n] = dn * r;
    dh[k] *= z;
  }
}

static void L(plain_back)(i64 n, const T *restrict out, const T *restrict dh, T *restrict d,
                          i64 rectified) {
  if (rectified)
    for (i64 k = 0; k < n; ++k) d[k] = out[k] > 0 ? dh[k] : 0;
  else
    for (i64 k = 0; k < n; ++k) d[k] = dh[k] * (1 - out[k] * out[k]);
}

/* ---- backward -------------------------------------------------------------------------------- */
/* One row of a step; `from` is the row of the step before, or negative if there is none. */
static void L(row_back)(const job *j, i64 row, i64 sequence, i64 from, T *dh, T *dc) {
  const i64 n = j->units, width = j->gates * n;
  const T *h = from < 0 ? DATA(h0) + sequence * n : DATA(out) + from * n;
  if (j->g_out)
    for (i64 k = 0; k < n; ++k) dh[k] += DATA(g_out)[row * n + k];
  memcpy(DATA(before) + row * n, h, BYTES(n));
  T *d = DATA(dgates) + row * width;
  if (j->kind == LSTM)
    L(lstm_back)(n, DATA(acts) + row * 4 * n,
                 from < 0 ? DATA(c0) + sequence * n : DATA(cells) + from * n,
                 DATA(cells) + row * n, dh, dc, d);
  else if (j->kind == GRU)
    L(gru_back)(n, DATA(acts) + row * 4 * n, h, dh, d, DATA(drecurrent) + row * width);
  else L(plain_back)(n, DATA(out) + row * n, dh, d, j->kind == RELU);
}

static void L(started)(T *to, const array *from, i64 at, i64 count) {
  if (from) memcpy(to, (const T *)from->data + at, BYTES(count));
  else memset(to, 0, BYTES(count));
}

static void L(backward)(void *context, i64 task) {
  const job *j = context;
  const i64 first = j->batch * task / j->tasks, all = j->batch * (task + 1) / j->tasks - first;
  const i64 size = j->units, width = j->gates * size;
  workspace s = workspace_of(BYTES(2 * all * size));
  T *dh = take(&s, BYTES(all * size)), *dc = take(&s, BYTES(all * size));
  L(started)(dh, j->g_h, first * size, all * size);
  L(started)(dc, j->g_c, first * size, all * size);
  const T *d = j->kind == GRU ? DATA(drecurrent) : DATA(dgates);
  for (i64 step = 0; step < j->steps; ++step) {
    const i64 t = j->reverse ? step : j->steps - 1 - step, earlier = j->reverse ? t + 1 : t - 1;
    const i64 row = j->starts[t] + first, count = active(j, t, first, all);
    const i64 had = active(j, earlier, first, all);
    if (!count) continue;
    for (i64 r = 0; r < count; ++r)
      L(row_back)(j, row + r, first + r, r < had ? j->starts[earlier] + first + r : -1,
                  dh + r * size, dc + r * size);
    for (i64 block = 0; block < j->blocks; ++block)
      L(tiled)(count, fb_min(BLOCK, size - block * BLOCK), width, d + row * width, width, 1,
               DATA(packed) + block * width * BLOCK, BLOCK, dh + block * BLOCK, size,
               j->kind == GRU);
  }
  memcpy(DATA(h) + first * size, dh, BYTES(all * size));
  if (j->kind == LSTM) memcpy(DATA(c) + first * size, dc, BYTES(all * size));
  free(s.all);
}

/* ---- one step -------------------------------------------------------------------------------- */
/* Rows of a task: of h0, the states before, and of the gates. */
static void L(cell)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->units, width = j->gates * n, end = fb_min(j->batch, (task + 1) * j->tasks);
  workspace s = workspace_of(BYTES(width));
  T *zeros = take(&s, BYTES(width));
  memset(zeros, 0, BYTES(width));
  for (i64 r = task * j->tasks; r < end; ++r) {
    const T *x = DATA(x) + r * width, *y = DATA(b) + r * width, *before = DATA(h0) + r * n;
    T *acts = DATA(acts) + r * 4 * n, *h = DATA(h) + r * n;
    if (j->kind == LSTM) L(lstm)(n, x, y, before, acts, DATA(c) + r * n, h);
    else L(gru)(n, x, y, zeros, before, acts, h);
  }
  free(s.all);
}

static void L(cell_back)(void *context, i64 task) {
  const job *j = context;
  const i64 n = j->units, width = j->gates * n, end = fb_min(j->batch, (task + 1) * j->tasks);
  for (i64 r = task * j->tasks; r < end; ++r) {
    const T *acts = DATA(acts) + r * 4 * n, *before = DATA(h0) + r * n, *g = DATA(g_h) + r * n;
    T *d = DATA(dgates) + r * width, *back = DATA(h) + r * n;
    if (j->kind == LSTM) {
      L(started)(back, j->g_c, r * n, n);
      L(lstm_back)(n, acts, before, DATA(cells) + r * n, g, back, d);
    } else {
      memcpy(back, g, BYTES(n));
      L(gru_back)(n, acts, before, back, d, DATA(drecurrent) + r * width);
    }
  }
}
#undef F
#undef DATA
#undef BYTES
#endif

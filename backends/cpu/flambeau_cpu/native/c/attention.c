/* Attention by blocks of queries and keys: softmax(scale q k' + mask) v, the logarithm of each row's
   sum, and the gradients, which compute the scores again (T. Dao et al., "FlashAttention").

   Scores lie transposed, a row of PANEL queries for each key: then sums and maxima over keys go
   lane by lane, keys and scores are read element by element and queries as vectors, and no
   product needs another order in memory than its operands have. */
#ifndef T
#include "gemm.h"
#include "lanes.h"
#include "workspace.h"

enum { PANEL = 32, PANELS = 4, KEYS = 256 };

/* Arrays are (n, heads, length, width), the last dimension without gaps; the mask has zero strides
   where it broadcasts. */
typedef struct {
  const array *q, *k, *v, *mask, *out, *logsum, *g, *dq, *dk, *dv, *scratch;
  i64 is_causal, is_bool, heads, rows, cols, width, values, splits;
  f64 scale;
} job;

static inline char *plane(const array *a, i64 number, i64 heads) {
  return a->data + number / heads * a->strides[0] + number % heads * a->strides[1];
}

#define T f32
#include __FILE__
#undef T
#define T f64
#include __FILE__
#undef T

static job job_of(const array *q, const array *k, const array *v, const array *mask,
                  i64 is_causal, i64 is_bool, f64 scale) {
  return (job){.q = q, .k = k, .v = v, .mask = optional(mask, q), .is_causal = is_causal,
               .is_bool = is_bool, .scale = scale, .heads = q->dims[1], .rows = q->dims[2],
               .cols = k->dims[2], .width = q->dims[3], .values = v->dims[3]};
}

void attention(const array *q, const array *k, const array *v, const array *mask,
               const array *out, const array *logsum, i64 is_causal, i64 is_bool, f64 scale,
               i64 is_f64) {
  job j = job_of(q, k, v, mask, is_causal, is_bool, scale);
  j.out = out, j.logsum = logsum;
  fb_parallel(is_f64 ? forward_f64 : forward_f32, &j,
              q->dims[0] * j.heads * fb_ceil(j.rows, PANEL * PANELS));
}

/* scratch: of `splits` gradients of q for each head, each row in whole vectors. */
void attention_grads(const array *g, const array *q, const array *k, const array *v,
                     const array *mask, const array *out, const array *logsum, const array *dq,
                     const array *dk, const array *dv, const array *scratch, i64 is_causal,
                     i64 is_bool, f64 scale, i64 splits, i64 is_f64) {
  job j = job_of(q, k, v, mask, is_causal, is_bool, scale);
  j.g = g, j.out = out, j.logsum = logsum, j.dq = dq, j.dk = dk, j.dv = dv;
  j.scratch = scratch, j.splits = splits;
  const i64 planes = q->dims[0] * j.heads;
  fb_parallel(is_f64 ? backward_f64 : backward_f32, &j, planes * splits);
  fb_parallel(is_f64 ? gather_f64 : gather_f32, &j, planes * fb_ceil(j.rows, KEYS));
}

#else
#define V LANES_JOIN(v, T)
#define VI LANES_JOIN(vi, T)
#define PER_PANEL (PANEL / W)
#define WHOLE(n) (((n) + W - 1) / W * W)
#include "tiled.h"

static inline void L(scaled_row)(T *to, const T *from, i64 n, V scale) {
  i64 i = 0;
  for (; i + W <= n; i += W) L(store)(to + i, L(load)(from + i) * scale);
  if (i < n) L(store_part)(to + i, n - i, L(load_part)(from + i, n - i, 0) * scale);
}

/* Rows one behind the other, `ld` elements apart, multiplied with a number. */
static void L(copied)(T *to, i64 ld, const char *from, i64 step, i64 count, i64 width, T scale) {
  const V factor = L(set)(scale);
  for (i64 i = 0; i < count; ++i)
    L(scaled_row)(to + i * ld, (const T *)(from + i * step), width, factor);
}

/* Rows that lie close already where they are, others copied: with whole vectors if wanted. */
static const T *L(rows_of)(T *to, i64 *ld, const char *from, i64 step, i64 count, i64 width,
                           int in_vectors) {
  *ld = in_vectors ? WHOLE(width) : width;
  if (step == *ld * (i64)sizeof(T) && *ld == width) return (const T *)from;
  L(copied)(to, *ld, from, step, count, width, 1);
  return to;
}

/* What is masked becomes -inf, in the scores of `seen` keys from k0 and of a panel from q0. */
static void L(masked)(const job *j, const char *mask, T *scores, i64 q0, i64 count, i64 k0,
                      i64 seen) {
  if (j->is_causal) {
    VI lane[PER_PANEL];
    for (int v = 0; v < PER_PANEL; ++v)
      for (int i = 0; i < W; ++i) lane[v][i] = (int)(v * W + i);
    for (i64 key = fb_max(0, q0 + 1 - k0); key < seen; ++key)
      for (int v = 0; v < PER_PANEL; ++v) {
        T *at = scores + key * PANEL + v * W;
        const VI hidden = lane[v] < (VI){0} + (int)(k0 + key - q0);
        L(store)(at, (V)(((VI)L(load)(at) & ~hidden) | ((VI)L(set)(-INFINITY) & hidden)));
      }
  }
  if (!mask) return;
  const i64 step = j->mask->strides[2], next = j->mask->strides[3];
  mask += q0 * step + k0 * next;
  for (i64 key = 0; key < seen; ++key, mask += next, scores += PANEL)
    if (j->is_bool)
      for (i64 i = 0; i < count; ++i) scores[i] = mask[i * step] ? scores[i] : -INFINITY;
    else
      for (i64 i = 0; i < count; ++i) scores[i] += *(const T *)(mask + i * step);
}

/* How many of `keys` keys from k0 the queries of a panel look at. */
static inline i64 L(seen)(const job *j, i64 q0, i64 count, i64 k0, i64 keys) {
  return j->is_causal ? fb_min(keys, q0 + count - k0) : keys;
}

/* ---- forward --------------------------------------------------------------------------------- */
/* A panel's state: greatest scores and sums so far, and what the sums are to be scaled by. */
typedef struct {
  V top[PER_PANEL], sum[PER_PANEL], shrink[PER_PANEL];
} L(running);

/* Scores become weights relative to the greatest so far. */
static void L(weigh)(L(running) *r, T *scores, i64 seen) {
  for (int v = 0; v < PER_PANEL; ++v) {
    const V old = r->top[v];
    V top = old, top2 = old, sum = {0};
    T *at = scores + v * W;
    i64 key = 0;
    for (; key + 2 <= seen; key += 2) {
      top = L(greater)(L(load)(at + key * PANEL), top);
      top2 = L(greater)(L(load)(at + (key + 1) * PANEL), top2);
    }
    if (key < seen) top = L(greater)(L(load)(at + key * PANEL), top);
    top = L(greater)(top2, top);
    const VI nothing = top == L(set)(-INFINITY); /* all is masked */
    const V shift = (V)((VI)top & ~nothing);
    for (key = 0; key < seen; ++key) {
      const V e = L(exp)(L(load)(at + key * PANEL) - shift);
      L(store)(at + key * PANEL, e);
      sum += e;
    }
    r->shrink[v] = L(exp)(old - shift);
    r->sum[v] = r->sum[v] * r->shrink[v] + sum;
    r->top[v] = top;
  }
}

static void L(finish)(const job *j, i64 number, const L(running) *r, const T *sums, i64 ld, i64 q0,
                      i64 count) {
  T total[PANEL], logs[PANEL];
  for (int v = 0; v < PER_PANEL; ++v) {
    const VI nothing = r->sum[v] == (V){0};
    const V sum = (V)(((VI)r->sum[v] & ~nothing) | ((VI)L(set)(1) & nothing));
    const VI masked = r->top[v] == L(set)(-INFINITY);
    L(store)(total + v * W, sum);
    L(store)(logs + v * W, L(log)(sum) + (V)((VI)r->top[v] & ~masked));
  }
  char *out = plane(j->out, number, j->heads) + q0 * j->out->strides[2];
  T *logsum = (T *)plane(j->logsum, number, j->heads) + q0;
  for (i64 i = 0; i < count; ++i) {
    T *to = (T *)(out + i * j->out->strides[2]);
    L(scaled_row)(to, sums + i * ld, j->values, L(set)(1 / total[i]));
    logsum[i] = logs[i];
  }
}

static void L(forward)(void *context, i64 task) {
  const job *j = context;
  const i64 blocks = fb_ceil(j->rows, PANEL * PANELS), number = task / blocks;
  const i64 first = task % blocks * PANEL * PANELS, width = j->width;
  const i64 queries = fb_min(PANEL * PANELS, j->rows - first), ld = WHOLE(j->values);
  const i64 limit = j->is_causal ? fb_min(j->cols, first + queries) : j->cols;
  workspace s = workspace_of(sizeof(T) * (KEYS * (WHOLE(width) + ld + PANEL) +
                                  PANEL * PANELS * (width + WHOLE(width) + ld)));
  T *keys = take(&s, KEYS * WHOLE(width) * sizeof(T)), *values = take(&s, KEYS * ld * sizeof(T));
  T *scores = take(&s, KEYS * PANEL * sizeof(T)), *turned[PANELS], *sums[PANELS];
  T *rows = take(&s, PANEL * width * sizeof(T));
  L(running) state[PANELS];
  const char *q = plane(j->q, number, j->heads), *k = plane(j->k, number, j->heads);
  const char *v = plane(j->v, number, j->heads);
  const char *mask = j->mask ? plane(j->mask, number, j->heads) : NULL;
  for (i64 p = 0; p * PANEL < queries; ++p) {
    const i64 q0 = first + p * PANEL, count = fb_min(PANEL, queries - p * PANEL);
    turned[p] = take(&s, PANEL * width * sizeof(T)), sums[p] = take(&s, PANEL * ld * sizeof(T));
    L(copied)(rows, width, q + q0 * j->q->strides[2], j->q->strides[2], count, width, j->scale);
    L(fb_pack)(turned[p], PANEL, rows, sizeof(T) == 8, count, width, width, 1);
    for (int i = 0; i < PER_PANEL; ++i)
      state[p].top[i] = L(set)(-INFINITY), state[p].sum[i] = (V){0};
  }
  for (i64 k0 = 0; k0 < limit; k0 += KEYS) {
    const i64 here = fb_min(KEYS, limit - k0), ks = j->k->strides[2], vs = j->v->strides[2];
    i64 ldk, ldv;
    const T *kr = L(rows_of)(keys, &ldk, k + k0 * ks, ks, here, width, 0);
    const T *vr = L(rows_of)(values, &ldv, v + k0 * vs, vs, here, j->values, 1);
    for (i64 p = 0; p * PANEL < queries; ++p) {
      const i64 q0 = first + p * PANEL, count = fb_min(PANEL, queries - p * PANEL);
      const i64 seen = L(seen)(j, q0, count, k0, here);
      if (seen <= 0) continue;
      L(tiled)(seen, PANEL, width, kr, ldk, 1, turned[p], PANEL, scores, PANEL, 0);
      L(masked)(j, mask, scores, q0, count, k0, seen);
      L(weigh)(&state[p], scores, seen);
      if (k0)
        for (i64 i = 0; i < count; ++i)
          L(scaled_row)(sums[p] + i * ld, sums[p] + i * ld, ld,
                        L(set)(state[p].shrink[i / W][i % W]));
      L(tiled)(count, j->values, seen, scores, 1, PANEL, vr, ldv, sums[p], ld, k0 > 0);
    }
  }
  for (i64 p = 0; p * PANEL < queries; ++p)
    L(finish)(j, number, &state[p], sums[p], ld, first + p * PANEL,
              fb_min(PANEL, queries - p * PANEL));
  free(s.all);
}

/* ---- backward -------------------------------------------------------------------------------- */
/* The sums over each row of its weights times their gradients. */
static void L(dots)(const job *j, i64 number, T *dots) {
  const char *g = plane(j->g, number, j->heads), *out = plane(j->out, number, j->heads);
  for (i64 i = 0; i < j->rows; ++i) {
    const T *a = (const T *)(g + i * j->g->strides[2]);
    const T *b = (const T *)(out + i * j->out->strides[2]);
    V sum = {0};
    i64 d = 0;
    for (; d + W <= j->values; d += W) sum = L(fma)(L(load)(a + d), L(load)(b + d), sum);
    if (d < j->values) {
      const i64 rest = j->values - d;
      sum = L(fma)(L(load_part)(a + d, rest, 0), L(load_part)(b + d, rest, 0), sum);
    }
    dots[i] = L(total)(sum);
  }
}

/* Scores become weights, and the weights' gradients the scores' gradients. */
static void L(slopes)(T *scores, T *grads, const T *logsum, const T *dots, i64 seen) {
  for (int v = 0; v < PER_PANEL; ++v) {
    const V shift = L(load)(logsum + v * W), dot = L(load)(dots + v * W);
    for (i64 key = 0; key < seen; ++key) {
      T *at = scores + key * PANEL + v * W, *slope = grads + key * PANEL + v * W;
      const V weight = L(exp)(L(load)(at) - shift);
      L(store)(at, weight);
      L(store)(slope, weight * (L(load)(slope) - dot));
    }
  }
}

static void L(written)(const array *a, char *to, const T *from, i64 ld, i64 count, T scale) {
  const i64 width = a->dims[3], step = a->strides[2];
  const V factor = L(set)(scale);
  for (i64 i = 0; i < count; ++i)
    L(scaled_row)((T *)(to + i * step), from + i * ld, width, factor);
}

static void L(backward)(void *context, i64 task) {
  const job *j = context;
  const i64 number = task / j->splits, split = task % j->splits, heads = j->heads;
  const i64 width = j->width, ld = WHOLE(width), ldo = WHOLE(j->values), rows = j->rows;
  const i64 blocks = fb_ceil(j->cols, KEYS);
  const i64 lines = fb_ceil(rows, PANEL) * PANEL;
  workspace s = workspace_of(sizeof(T) * (2 * KEYS * (ld + ldo + PANEL) + 2 * PANEL * (ld + ldo) +
                                  2 * lines));
  T *keys = take(&s, KEYS * ld * sizeof(T)), *values = take(&s, KEYS * ldo * sizeof(T));
  T *dk = take(&s, KEYS * ld * sizeof(T)), *dv = take(&s, KEYS * ldo * sizeof(T));
  T *scores = take(&s, KEYS * PANEL * sizeof(T)), *slopes = take(&s, KEYS * PANEL * sizeof(T));
  T *qr = take(&s, PANEL * ld * sizeof(T)), *qt = take(&s, PANEL * ld * sizeof(T));
  T *gs = take(&s, PANEL * ldo * sizeof(T)), *gt = take(&s, PANEL * ldo * sizeof(T));
  T *dots = take(&s, lines * sizeof(T)), *logsum = take(&s, lines * sizeof(T));
  T *dq = (T *)j->scratch->data + task * rows * ld;
  const char *q = plane(j->q, number, heads), *k = plane(j->k, number, heads);
  const char *v = plane(j->v, number, heads), *g = plane(j->g, number, heads);
  const char *mask = j->mask ? plane(j->mask, number, heads) : NULL;
  const i64 qs = j->q->strides[2], ks = j->k->strides[2], vs = j->v->strides[2];
  const i64 gstep = j->g->strides[2];
  memset(dq, 0, (size_t)(rows * ld) * sizeof(T));
  memset(dots + rows, 0, (size_t)(lines - rows) * sizeof(T));
  memset(logsum + rows, 0, (size_t)(lines - rows) * sizeof(T));
  memcpy(logsum, plane(j->logsum, number, heads), (size_t)rows * sizeof(T));
  L(dots)(j, number, dots);
  for (i64 b = blocks * split / j->splits; b < blocks * (split + 1) / j->splits; ++b) {
    const i64 k0 = b * KEYS, here = fb_min(KEYS, j->cols - k0);
    i64 ldk, ldv, ldg;
    const T *kr = L(rows_of)(keys, &ldk, k + k0 * ks, ks, here, width, 1);
    const T *vr = L(rows_of)(values, &ldv, v + k0 * vs, vs, here, j->values, 0);
    memset(dk, 0, KEYS * ld * sizeof(T)), memset(dv, 0, KEYS * ldo * sizeof(T));
    for (i64 q0 = j->is_causal ? k0 / PANEL * PANEL : 0; q0 < rows; q0 += PANEL) {
      const i64 count = fb_min(PANEL, rows - q0), seen = L(seen)(j, q0, count, k0, here);
      L(copied)(qr, ld, q + q0 * qs, qs, count, width, j->scale);
      L(fb_pack)(qt, PANEL, qr, sizeof(T) == 8, count, width, ld, 1);
      const T *gr = L(rows_of)(gs, &ldg, g + q0 * gstep, gstep, count, j->values, 1);
      L(fb_pack)(gt, PANEL, gr, sizeof(T) == 8, count, j->values, ldg, 1);
      L(tiled)(seen, PANEL, width, kr, ldk, 1, qt, PANEL, scores, PANEL, 0);
      L(masked)(j, mask, scores, q0, count, k0, seen);
      L(tiled)(seen, PANEL, j->values, vr, ldv, 1, gt, PANEL, slopes, PANEL, 0);
      L(slopes)(scores, slopes, logsum + q0, dots + q0, seen);
      L(tiled)(seen, j->values, count, scores, PANEL, 1, gr, ldg, dv, ldo, 1);
      L(tiled)(seen, width, count, slopes, PANEL, 1, qr, ld, dk, ld, 1);
      L(tiled)(count, width, seen, slopes, 1, PANEL, kr, ldk, dq + q0 * ld, ld, 1);
    }
    L(written)(j->dk, plane(j->dk, number, heads) + k0 * j->dk->strides[2], dk, ld, here, 1);
    L(written)(j->dv, plane(j->dv, number, heads) + k0 * j->dv->strides[2], dv, ldo, here, 1);
  }
  free(s.all);
}

/* The gradients of some queries, summed over the splits. */
static void L(gather)(void *context, i64 task) {
  const job *j = context;
  const i64 blocks = fb_ceil(j->rows, KEYS), number = task / blocks, ld = WHOLE(j->width);
  const i64 q0 = task % blocks * KEYS, count = fb_min(KEYS, j->rows - q0);
  T *sum = (T *)j->scratch->data + number * j->splits * j->rows * ld + q0 * ld;
  for (i64 split = 1; split < j->splits; ++split) {
    const T *more = sum + split * j->rows * ld;
    for (i64 i = 0; i < count * ld; ++i) sum[i] += more[i];
  }
  L(written)(j->dq, plane(j->dq, number, j->heads) + q0 * j->dq->strides[2], sum, ld, count,
             j->scale);
}
#undef V
#undef VI
#undef PER_PANEL
#undef WHOLE
#endif

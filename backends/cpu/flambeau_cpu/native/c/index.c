/* Elements and rows chosen by indices and masks: read, written, added up.

   Arrays are row-major: (outer, n, inner), the indexed dimension in the middle.  Additions to one
   place are made in the order of the index: tasks own places, not indices. */
#include "flambeau.h"
#include <string.h>
#include <stdlib.h>

#define TASK (1 << 17) /* bytes that a task moves, about */

/* In a loop: it is not made of gather and scatter instructions, which are slower than loads. */
#define ONE_BY_ONE __asm__ volatile("")

/* Whether all are in 0..size-1; negative ones seen as unsigned are large. */
static int all_inside(const i64 *index, i64 n, i64 size) {
  uint64_t most = 0;
  for (i64 i = 0; i < n; ++i) most = (uint64_t)index[i] > most ? (uint64_t)index[i] : most;
  return n == 0 || most < (uint64_t)size;
}

typedef struct {
  char *out;
  const char *x;
  const i64 *index, *starts, *order;
  i64 outer, n, size, inner, per_task, skipped, fresh, number;
} job;

/* ---- rows --------------------------------------------------------------------------------------- */
#define TAKE(T) \
  for (i64 i = first; i < last; ++i) { \
    ((T *)to)[i] = ((const T *)from)[index[i]]; \
    ONE_BY_ONE; \
  }

static void take_task(void *context, i64 task) {
  const job *j = context;
  const i64 bytes = j->inner, end = fb_min(j->outer * j->n, (task + 1) * j->per_task);
  const i64 *index = j->index;
  for (i64 r = task * j->per_task; r < end;) {
    const i64 o = r / j->n, first = r % j->n, last = fb_min(j->n, first + end - r);
    const char *from = j->x + o * j->size * bytes;
    char *to = j->out + o * j->n * bytes;
    if (bytes == 4) {
      TAKE(uint32_t)
    } else if (bytes == 8) {
      TAKE(uint64_t)
    } else {
      for (i64 i = first; i < last; ++i) memcpy(to + i * bytes, from + index[i] * bytes, bytes);
    }
    r += last - first;
  }
}

/* out (outer, n, inner) = x (outer, size, inner) at index (n); `inner` in bytes. */
i64 fb_take(array *out, const array *x, const array *index, i64 outer, i64 n, i64 size, i64 inner) {
  job j = {.out = out->data, .x = x->data, .index = (const i64 *)index->data, .outer = outer, .n = n,
           .size = size, .inner = inner};
  if (!all_inside(j.index, n, size)) return 0;
  j.per_task = fb_max(1, TASK / inner);
  fb_parallel(take_task, &j, fb_ceil(outer * n, j.per_task));
  return 1;
}

#define ADD_ROWS(T) \
  static void add_rows_task_##T(void *context, i64 task) { \
    const job *j = context; \
    const i64 width = j->inner, end = fb_min(j->size, (task + 1) * j->per_task); \
    for (i64 r = task * j->per_task; r < end; ++r) { \
      T *restrict to = (T *)j->out + r * width; \
      i64 k = j->starts[r]; \
      const i64 last = r == j->skipped ? k : j->starts[r + 1]; \
      if (j->fresh && k == last) memset(to, 0, width * sizeof(T)); \
      else if (j->fresh) memcpy(to, (const T *)j->x + j->order[k++] * width, width * sizeof(T)); \
      for (; k < last; ++k) { \
        const T *restrict from = (const T *)j->x + j->order[k] * width; \
        if (k + 1 < last) __builtin_prefetch((const T *)j->x + j->order[k + 1] * width); \
        for (i64 c = 0; c < width; ++c) to[c] += from[c]; \
      } \
    } \
  }
ADD_ROWS(f32)
ADD_ROWS(f64)
ADD_ROWS(i64)

/* out (size, width) += rows (n, width) at index (n); fresh: out is first set to 0.  The row
   `skipped` takes no part.  type: 0 f32, 1 f64, 2 i64. */
i64 fb_add_rows(array *out, const array *rows, const array *index, i64 n, i64 size, i64 width,
                i64 type, i64 fresh, i64 skipped) {
  static const fb_task tasks[] = {add_rows_task_f32, add_rows_task_f64, add_rows_task_i64};
  const i64 *at = (const i64 *)index->data, itemsize = type ? 8 : 4;
  if (!all_inside(at, n, size)) return 0;
  i64 *starts = calloc(size + 2 + n, sizeof(i64)), *order = starts + size + 2;
  if (!starts) return 0;
  for (i64 i = 0; i < n; ++i) ++starts[at[i] + 2];
  for (i64 r = 1; r < size + 2; ++r) starts[r] += starts[r - 1];
  for (i64 i = 0; i < n; ++i) order[starts[at[i] + 1]++] = i; /* leaves the start of each row */
  job j = {.out = out->data, .x = rows->data, .starts = starts, .order = order, .size = size,
           .inner = width, .fresh = fresh, .skipped = skipped};
  j.per_task = fb_max(1, TASK / (itemsize * width));
  if (n > size) j.per_task = fb_max(1, j.per_task / (n / size));
  fb_parallel(tasks[type], &j, fb_ceil(size, j.per_task));
  free(starts);
  return 1;
}

/* ---- elements along a dimension ------------------------------------------------------------------- */
#define GATHER(T) \
  static void gather_task_##T(void *context, i64 task) { \
    job *j = context; \
    const i64 inner = j->inner, end = fb_min(j->outer * j->n, (task + 1) * j->per_task); \
    i64 r = task * j->per_task; \
    if (!all_inside(j->index + r * inner, (end - r) * inner, j->size)) { \
      __atomic_store_n(&j->skipped, 1, __ATOMIC_RELAXED); \
      return; \
    } \
    for (; j->n == 1 && inner == 1 && r < end; ++r) { \
      ((T *)j->out)[r] = ((const T *)j->x)[r * j->size + j->index[r]]; \
      ONE_BY_ONE; \
    } \
    while (r < end) { /* what has one outer index at once */ \
      const i64 o = r / j->n, stop = inner == 1 ? fb_min(end, (o + 1) * j->n) : r + 1; \
      const T *x = (const T *)j->x + o * j->size * inner; \
      const i64 *index = j->index + r * inner; \
      T *to = (T *)j->out + r * inner; \
      if (inner == 1) \
        for (i64 i = 0; i < stop - r; ++i) { \
          to[i] = x[index[i]]; \
          ONE_BY_ONE; \
        } \
      else \
        for (i64 c = 0; c < inner; ++c) { \
          to[c] = x[index[c] * inner + c]; \
          ONE_BY_ONE; \
        } \
      r = stop; \
    } \
  }
GATHER(int32_t)
GATHER(int64_t)

static void check_task(void *context, i64 task) {
  job *j = context;
  const i64 first = task * TASK;
  if (!all_inside(j->index + first, fb_min(TASK, j->number - first), j->size))
    __atomic_store_n(&j->skipped, 1, __ATOMIC_RELAXED);
}

static int index_is_inside(job *j) {
  j->number = j->outer * j->n * j->inner, j->skipped = 0;
  fb_parallel(check_task, j, fb_ceil(j->number, TASK));
  return !j->skipped;
}

/* out (outer, n, inner) = x (outer, size, inner) at index (outer, n, inner). */
i64 fb_gather(array *out, const array *x, const array *index, i64 outer, i64 n, i64 size, i64 inner,
              i64 itemsize) {
  job j = {.out = out->data, .x = x->data, .index = (const i64 *)index->data, .outer = outer, .n = n,
           .size = size, .inner = inner};
  j.per_task = fb_max(1, TASK / 8 / inner);
  fb_parallel(itemsize == 4 ? gather_task_int32_t : gather_task_int64_t, &j,
              fb_ceil(outer * n, j.per_task));
  return !j.skipped;
}

/* A task owns some outer indices, or if there is one only, some of the inner ones. */
#define SCATTER(name, T, OP) \
  static void name##_task_##T(void *context, i64 task) { \
    const job *j = context; \
    const i64 inner = j->inner, n = j->n, step = j->fresh ? 0 : 1, by_columns = j->outer == 1; \
    const i64 first = task * j->per_task; \
    const i64 last = fb_min(by_columns ? inner : j->outer, first + j->per_task); \
    if (inner == 1) { \
      for (i64 o = first; o < last; ++o) { \
        T *to = (T *)j->out + o * j->size; \
        const i64 *index = j->index + o * n; \
        const T *from = (const T *)j->x + o * n * step; \
        for (i64 k = 0; k < n; ++k) { \
          to[index[k]] OP from[k * step]; \
          ONE_BY_ONE; \
        } \
      } \
      return; \
    } \
    const i64 o0 = by_columns ? 0 : first, o1 = by_columns ? 1 : last; \
    const i64 c0 = by_columns ? first : 0, c1 = by_columns ? last : inner; \
    for (i64 o = o0; o < o1; ++o) \
      for (i64 k = 0; k < n; ++k) { \
        T *to = (T *)j->out + o * j->size * inner; \
        const i64 *index = j->index + (o * n + k) * inner; \
        const T *from = (const T *)j->x + (o * n + k) * inner * step; \
        for (i64 c = c0; c < c1; ++c) { \
          to[index[c] * inner + c] OP from[c * step]; \
          ONE_BY_ONE; \
        } \
      } \
  }
SCATTER(put, int32_t, =)
SCATTER(put, int64_t, =)
SCATTER(add, f32, +=)
SCATTER(add, f64, +=)
SCATTER(add, i64, +=)

/* out (outer, size, inner) at index (outer, n, inner) = or += x, which is one element if is_number.
   kind: 0 and 1 put 4 and 8 bytes, 2 to 4 add f32, f64, i64. */
i64 fb_scatter(array *out, const array *x, const array *index, i64 outer, i64 n, i64 size, i64 inner,
               i64 kind, i64 is_number) {
  static const fb_task tasks[] = {put_task_int32_t, put_task_int64_t, add_task_f32, add_task_f64,
                                  add_task_i64};
  job j = {.out = out->data, .x = x->data, .index = (const i64 *)index->data, .outer = outer, .n = n,
           .size = size, .inner = inner, .fresh = is_number};
  if (!index_is_inside(&j)) return 0;
  const i64 whole = outer == 1 ? inner : outer;
  const i64 work = outer == 1 ? n : n * inner;
  j.per_task = fb_max(outer == 1 ? 16 : 1, TASK / 8 / fb_max(1, work));
  fb_parallel(tasks[kind], &j, fb_ceil(whole, j.per_task));
  return 1;
}

/* ---- masks ------------------------------------------------------------------------------------------ */
typedef struct {
  char *out;
  const char *x;
  const uint8_t *mask;
  i64 *counts, n, itemsize, per_task, nd;
  const i64 *dims;
} masking;

static void count_task(void *context, i64 task) {
  const masking *m = context;
  i64 total = 0;
  for (i64 i = task * m->per_task, end = fb_min(m->n, i + m->per_task); i < end;) {
    uint8_t part = 0;
    for (const i64 stop = fb_min(end, i + 128); i < stop; ++i) part += m->mask[i] != 0;
    total += part;
  }
  m->counts[task + 1] = total;
}

/* Writes all elements, the next one over each that is not wanted: no branch to predict.  The last
   write of a task may be one too many, so it is made elsewhere. */
#define SELECT(T) \
  static void select_##T(const masking *m, i64 first, i64 end, i64 at, i64 count) { \
    const T *x = (const T *)m->x; \
    T *out = (T *)m->out + at; \
    i64 k = 0, i = first; \
    for (; i < end && k < count; ++i) out[k] = x[i], k += m->mask[i] != 0; \
  }
SELECT(uint8_t)
SELECT(uint16_t)
SELECT(uint32_t)
SELECT(uint64_t)

static void select_task(void *context, i64 task) {
  const masking *m = context;
  const i64 first = task * m->per_task, end = fb_min(m->n, first + m->per_task);
  const i64 at = m->counts[task], count = m->counts[task + 1] - at;
  if (m->itemsize == 1) select_uint8_t(m, first, end, at, count);
  else if (m->itemsize == 2) select_uint16_t(m, first, end, at, count);
  else if (m->itemsize == 4) select_uint32_t(m, first, end, at, count);
  else select_uint64_t(m, first, end, at, count);
}

static void where_task(void *context, i64 task) {
  const masking *m = context;
  const i64 first = task * m->per_task, end = fb_min(m->n, first + m->per_task);
  const i64 count = m->counts[task + 1] - m->counts[task];
  i64 *out = (i64 *)m->out + m->counts[task] * m->nd, k = 0;
  if (m->nd == 1) {
    for (i64 i = first; i < end && k < count; ++i) out[k] = i, k += m->mask[i] != 0;
    return;
  }
  const i64 nd = m->nd, row = m->dims[nd - 1];
  i64 at[32] = {0};
  for (i64 d = nd - 1, i = first; d >= 0; --d) at[d] = i % m->dims[d], i /= m->dims[d];
  for (i64 i = first; i < end && k < count;) {
    const i64 stop = fb_min(end, i + row - at[nd - 1]);
    if (nd == 2)
      for (i64 j = at[1]; i < stop && k < count; ++i, ++j)
        out[2 * k] = at[0], out[2 * k + 1] = j, k += m->mask[i] != 0;
    else
      for (i64 j = at[nd - 1]; i < stop && k < count; ++i, ++j) {
        for (i64 d = 0; d < nd - 1; ++d) out[k * nd + d] = at[d];
        out[k * nd + nd - 1] = j, k += m->mask[i] != 0;
      }
    at[nd - 1] = 0;
    for (i64 d = nd - 2; d >= 0 && ++at[d] == m->dims[d]; --d) at[d] = 0;
  }
}

/* How many of the mask hold before each of `tasks` equal parts, and in all. */
i64 fb_count(const array *mask, array *counts, i64 n, i64 tasks) {
  masking m = {.mask = (const uint8_t *)mask->data, .counts = (i64 *)counts->data, .n = n,
               .per_task = fb_ceil(n, tasks)};
  fb_parallel(count_task, &m, tasks);
  m.counts[0] = 0;
  for (i64 t = 0; t < tasks; ++t) m.counts[t + 1] += m.counts[t];
  return m.counts[tasks];
}

/* The elements of x where the mask holds. */
void fb_select(array *out, const array *x, const array *mask, const array *counts, i64 n, i64 tasks,
               i64 itemsize) {
  masking m = {.out = out->data, .x = x->data, .mask = (const uint8_t *)mask->data,
               .counts = (i64 *)counts->data, .n = n, .itemsize = itemsize,
               .per_task = fb_ceil(n, tasks)};
  fb_parallel(select_task, &m, tasks);
}

/* Where the mask holds: a row of indices each. */
void fb_where(array *out, const array *mask, const array *counts, i64 n, i64 tasks) {
  masking m = {.out = out->data, .mask = (const uint8_t *)mask->data, .nd = mask->nd,
               .counts = (i64 *)counts->data, .n = n, .per_task = fb_ceil(n, tasks),
               .dims = mask->dims};
  fb_parallel(where_task, &m, tasks);
}

/* ---- one-hot rows ------------------------------------------------------------------------------------ */
static void one_hot_task(void *context, i64 task) {
  const job *j = context;
  for (i64 r = task * j->per_task; r < fb_min(j->n, (task + 1) * j->per_task); ++r) {
    i64 *row = (i64 *)j->out + r * j->size;
    memset(row, 0, j->size * sizeof(i64));
    row[j->index[r]] = 1;
  }
}

/* out (n, size) = 1 at index (n), else 0. */
i64 fb_one_hot(array *out, const array *index, i64 n, i64 size) {
  job j = {.out = out->data, .index = (const i64 *)index->data, .n = n, .size = size,
           .per_task = fb_max(1, TASK / 8 / size)};
  if (!all_inside(j.index, n, size)) return 0;
  fb_parallel(one_hot_task, &j, fb_ceil(n, j.per_task));
  return 1;
}

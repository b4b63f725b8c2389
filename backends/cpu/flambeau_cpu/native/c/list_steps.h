/* Steps over the elements of a group, for one element type T; included once for each. */

/* What a step does with n elements of all lists at a position. */
typedef void (*NAME(step))(const void *numbers, T *const *x, i64 n, i64 at);

typedef struct {
  group g;
  const void *numbers;
  NAME(step) step;
  int written; /* bits of the lists that the step writes to */
} NAME(job);

/* Elements in row-major order between an array and a vector. */
static void NAME(move)(const array *a, i64 from, i64 n, T *vector, int is_write) {
  i64 index[64], offset = 0;
  for (int d = a->nd - 1; d >= 0; --d) {
    index[d] = from % a->dims[d], from /= a->dims[d];
    offset += index[d] * a->strides[d];
  }
  const int last = a->nd - 1;
  for (i64 i = 0; i < n;) {
    const i64 run = last < 0 ? 1 : fb_min(n - i, a->dims[last] - index[last]);
    const i64 stride = last < 0 ? 0 : a->strides[last];
    char *data = a->data + offset;
    if (is_write)
      for (i64 j = 0; j < run; ++j) *(T *)(data + j * stride) = vector[i + j];
    else
      for (i64 j = 0; j < run; ++j) vector[i + j] = *(const T *)(data + j * stride);
    i += run;
    if (last < 0) return;
    index[last] += run, offset += run * stride;
    for (int d = last; d > 0 && index[d] == a->dims[d]; --d) {
      offset += a->strides[d - 1] - index[d] * a->strides[d];
      index[d] = 0, ++index[d - 1];
    }
  }
}

#define BUFFER 512
/* A piece of arrays with gaps, or whose strides differ. */
static void NAME(gathered)(const NAME(job) *job, i64 at, i64 from, i64 n) {
  T buffer[MOST_LISTS][BUFFER];
  T *x[MOST_LISTS];
  for (int k = 0; k < job->g.kinds; ++k) x[k] = buffer[k];
  for (i64 i = 0; i < n; i += BUFFER) {
    const i64 m = fb_min(BUFFER, n - i);
    for (int k = 0; k < job->g.kinds; ++k)
      NAME(move)(array_at(&job->g, k, at), from + i, m, x[k], 0);
    job->step(job->numbers, x, m, at);
    for (int k = 0; k < job->g.kinds; ++k)
      if (job->written >> k & 1) NAME(move)(array_at(&job->g, k, at), from + i, m, x[k], 1);
  }
}

static void NAME(task)(void *context, i64 number) {
  const NAME(job) *job = context;
  const group *g = &job->g;
  const i64 stop = fb_min((number + 1) * CHUNK, group_total(g));
  i64 element = number * CHUNK;
  for (i64 at = position_of(g, element); element < stop; ++at) {
    const i64 start = at ? g->ends[at - 1] : 0, end = fb_min(g->ends[at], stop);
    const i64 from = element - start, n = end - element;
    if (n <= 0) continue;
    if (is_flat(g, at, sizeof(T))) {
      T *x[MOST_LISTS];
      for (int k = 0; k < g->kinds; ++k) x[k] = (T *)array_at(g, k, at)->data + from;
      job->step(job->numbers, x, n, at);
    } else NAME(gathered)(job, at, from, n);
    element = end;
  }
}

/* Runs a step over all elements; 0, with nothing done, if the lists do not fit together. */
static i64 NAME(run)(NAME(job) *job) {
  if (!group_open(&job->g)) return 0;
  fb_parallel(NAME(task), job, fb_ceil(group_total(&job->g), CHUNK));
  group_close(&job->g);
  return 1;
}

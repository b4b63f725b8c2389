/* A template for T: the mean of numbers, and the sum of squares of their distances to it.

   Chunks that stay in the cache are read twice and put together by the formula of Chan, Golub and
   LeVeque (1979), so a large mean does not cost the variance its digits. */
#ifndef MOMENTS_CHUNK
#define MOMENTS_CHUNK 4096
typedef struct {
  f64 count, mean, squares;
} moments;

static inline void merge(moments *all, f64 count, f64 mean, f64 squares) {
  const f64 delta = mean - all->mean, total = all->count + count;
  all->squares += squares + delta * delta * (all->count * count / total);
  all->mean += delta * (count / total);
  all->count = total;
}
#endif

static inline T L(sum_of)(const T *x, i64 n) {
  LANES_JOIN(v, T) a = {0}, b = {0}, c = {0}, d = {0};
  i64 i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    a += L(load)(x + i), b += L(load)(x + i + W);
    c += L(load)(x + i + 2 * W), d += L(load)(x + i + 3 * W);
  }
  for (; i + W <= n; i += W) a += L(load)(x + i);
  if (i < n) b += L(load_part)(x + i, n - i, 0);
  return L(total)((a + b) + (c + d));
}

static inline T L(squares_of)(const T *x, i64 n, T mean) {
  LANES_JOIN(v, T) a = {0}, b = {0}, c = {0}, d = {0}, at;
  i64 i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    at = L(load)(x + i) - mean, a = L(fma)(at, at, a);
    at = L(load)(x + i + W) - mean, b = L(fma)(at, at, b);
    at = L(load)(x + i + 2 * W) - mean, c = L(fma)(at, at, c);
    at = L(load)(x + i + 3 * W) - mean, d = L(fma)(at, at, d);
  }
  for (; i + W <= n; i += W) at = L(load)(x + i) - mean, a = L(fma)(at, at, a);
  if (i < n) at = L(load_part)(x + i, n - i, mean) - mean, b = L(fma)(at, at, b);
  return L(total)((a + b) + (c + d));
}

static inline void L(add_moments)(moments *all, const T *x, i64 n) {
  for (i64 start = 0; start < n; start += MOMENTS_CHUNK) {
    const i64 count = fb_min(MOMENTS_CHUNK, n - start);
    const T mean = L(sum_of)(x + start, count) / (T)count;
    merge(all, (f64)count, mean, L(squares_of)(x + start, count, mean));
  }
}

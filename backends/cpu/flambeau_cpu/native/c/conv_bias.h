/* The gradient of a bias: the sum over images and positions of each channel. */

typedef struct {
  const T *x;
  T *y;
  i64 images, channels, run, xn, xc;
} L(bias);

/* Task c: one channel, its positions one after the other. */
static void L(bias_task)(void *context, i64 c) {
  const L(bias) *b = context;
  L(v) sum[4] = {{0}};
  for (i64 n = 0; n < b->images; ++n) {
    const T *x = b->x + n * b->xn + c * b->xc;
    i64 i = 0;
    for (; i + 4 * W <= b->run; i += 4 * W)
      for (int k = 0; k < 4; ++k) sum[k] += L(load)(x + i + k * W);
    for (; i < b->run; i += W) sum[0] += L(load_part)(x + i, fb_min(W, b->run - i), 0);
  }
  b->y[c] = L(total)((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* y[c] = the sum of x[n, c, i]; positions are dense. */
void L(fb_channel_sum)(const array *y, const array *x, i64 run) {
  const L(bias) b = {(const T *)x->data, (T *)y->data, x->dims[0], x->dims[1], run,
                     x->strides[0] / (i64)sizeof(T), x->strides[1] / (i64)sizeof(T)};
  const i64 tasks = b.channels;
  if (size_of(x) < 1 << 16)
    for (i64 c = 0; c < tasks; ++c) L(bias_task)((void *)&b, c);
  else
    fb_parallel(L(bias_task), (void *)&b, tasks);
}

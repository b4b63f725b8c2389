/* c (+)= a b by the tiles of gemm.h, of about equal height; included once for each element type T.

   a, b and c as in gemm.h: any strides for a, whole vectors are read of b's rows. */
static void L(tiled)(i64 rows, i64 columns, i64 k, const T *a, i64 ai, i64 ap, const T *b, i64 bp,
                     T *c, i64 ldc, int add) {
  const i64 tiles = fb_ceil(rows, FB_MR);
  for (i64 j = 0; j < columns; j += L(fb_nr))
    for (i64 t = 0; t < tiles; ++t) {
      const i64 from = rows * t / tiles, to = rows * (t + 1) / tiles;
      L(fb_tile)(to - from, fb_min(L(fb_nr), columns - j), k, a + from * ai, ai, ap, b + j, bp,
                 c + from * ldc + j, ldc, add);
    }
}

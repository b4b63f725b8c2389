/* The part of gemm.h that is compiled for each element type; REAL names it. */

typedef REAL FB_NAME(fb_vector) __attribute__((vector_size(FB_VECTOR)));
typedef REAL FB_NAME(fb_loose) __attribute__((vector_size(FB_VECTOR), aligned(sizeof(REAL))));
enum {
  FB_NAME(fb_lanes) = FB_VECTOR / sizeof(REAL),
  FB_NAME(fb_nr) = 2 * FB_NAME(fb_lanes),
};
#define VEC FB_NAME(fb_vector)
#define LOOSE FB_NAME(fb_loose)
#define LANES FB_NAME(fb_lanes)

/* Columns of a panel of B as it is packed: one vector or two. */
static inline i64 FB_NAME(fb_width)(i64 columns) {
  return columns > LANES ? 2 * LANES : LANES;
}

static inline __attribute__((always_inline)) VEC FB_NAME(fb_fma)(VEC a, VEC b, VEC c) {
#ifdef FB_FMA
  return FB_FMA(a, b, c);
#else
  for (int i = 0; i < LANES; ++i) c[i] = FB_FMA1(a[i], b[i], c[i]);
  return c;
#endif
}

/* Writes a part of a tile. */
static __attribute__((noinline)) void FB_NAME(fb_put)(
    i64 rows, i64 columns, const REAL *from, REAL *c, i64 ldc, int add) {
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < columns; ++j) {
      const REAL x = from[i * 2 * LANES + j];
      c[i * ldc + j] = add ? c[i * ldc + j] + x : x;
    }
}

/* MR rows of V vectors.  Three rows share a pointer: strides of 0, 1, 2 are addressed from it. */
static inline __attribute__((always_inline)) void FB_NAME(fb_tile_of)(
    const int MR, const int V, i64 columns, i64 k, const REAL *a, i64 ai, i64 ap, const REAL *b,
    i64 bp, REAL *c, i64 ldc, int add) {
  VEC sum[FB_MR][2]; /* sizes that are constant before inlining: else they stay in memory */
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = (VEC){0};
  const REAL *at[FB_MR / 3 + 1];
#pragma GCC unroll 8
  for (int i = 0; i < MR; i += 3) at[i / 3] = a + i * ai;
  for (i64 p = 0; p < k; ++p) {
    VEC row[2];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = *(const LOOSE *)(b + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const VEC x = at[i / 3][i % 3 * ai] - (VEC){0};
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[i][v] = FB_NAME(fb_fma)(x, row[v], sum[i][v]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; i += 3) at[i / 3] += ap;
    b += bp;
  }
  if (columns == V * LANES) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        LOOSE *to = (LOOSE *)(c + i * ldc + v * LANES);
        *to = add ? *to + sum[i][v] : sum[i][v];
      }
    return;
  }
  REAL rest[FB_MR][2 * LANES];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) *(LOOSE *)(rest[i] + v * LANES) = sum[i][v];
  FB_NAME(fb_put)(MR, columns, rest[0], c, ldc, add);
}

#define TILE(M, V)                                                                           \
  static __attribute__((noinline)) void FB_NAME(fb_tile_##M##_##V)(                          \
      i64 columns, i64 k, const REAL *a, i64 ai, i64 ap, const REAL *b, i64 bp, REAL *c,     \
      i64 ldc, int add) {                                                                    \
    FB_NAME(fb_tile_of)(M, V, columns, k, a, ai, ap, b, bp, c, ldc, add);                    \
  }
#define TILES(M) TILE(M, 1) TILE(M, 2)
#define CASE(M)                                                                              \
  case M:                                                                                    \
    if (columns > LANES) FB_NAME(fb_tile_##M##_2)(columns, k, a, ai, ap, b, bp, c, ldc, add); \
    else FB_NAME(fb_tile_##M##_1)(columns, k, a, ai, ap, b, bp, c, ldc, add);                \
    break;

#if FB_MR == 14
#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif FB_MR == 12
#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
EACH(TILES)

static void FB_NAME(fb_tile)(
    i64 rows, i64 columns, i64 k, const REAL *a, i64 ai, i64 ap, const REAL *b, i64 bp, REAL *c,
    i64 ldc, int add) {
  switch (rows) { EACH(CASE) }
}
#undef TILE
#undef TILES
#undef CASE
#undef EACH

/* ---- packing ---- */
typedef REAL FB_NAME(fb_quad) __attribute__((vector_size(16)));
typedef REAL FB_NAME(fb_loose_quad) __attribute__((vector_size(16), aligned(sizeof(REAL))));
#define QUAD FB_NAME(fb_quad)
#define LOOSE_QUAD FB_NAME(fb_loose_quad)
#define SIDE ((int)(16 / sizeof(REAL))) /* of the squares that are transposed in registers */
#define LINE ((int)(64 / sizeof(REAL)))

/* to[p * width + i] = from[i * step + p] for a square. */
static inline __attribute__((always_inline)) void FB_NAME(fb_transpose)(
    REAL *to, i64 width, const REAL *from, i64 step) {
  QUAD x[4];
  for (int i = 0; i < SIDE; ++i) x[i] = *(const LOOSE_QUAD *)(from + i * step);
  FB_TRANSPOSE(x);
  for (int p = 0; p < SIDE; ++p) *(LOOSE_QUAD *)(to + p * width) = x[p];
}

static void FB_NAME(fb_pack_plain)(
    REAL *to, i64 width, const REAL *from, i64 count, i64 k, i64 step, i64 next) {
  if (step == 1 && count == FB_NAME(fb_nr)) {
    for (i64 p = 0; p < k; ++p)
      memcpy(to + p * width, from + p * next, sizeof(REAL) * FB_NAME(fb_nr));
    return;
  }
  if (step == 1 && count >= SIDE) { /* the last quad overlaps the one before it */
    for (i64 p = 0; p < k; ++p)
      for (i64 i = 0; i < count; i += SIDE) {
        const i64 at = fb_min(i, count - SIDE);
        *(LOOSE_QUAD *)(to + p * width + at) = *(const LOOSE_QUAD *)(from + p * next + at);
      }
    return;
  }
  const i64 across = next == 1 ? count / SIDE * SIDE : 0, along = k / SIDE * SIDE;
  for (i64 p = 0; p < along; p += LINE) /* whole lines: rows may fall into one set of a cache */
    for (i64 i = 0; i < across; i += SIDE)
      for (i64 q = p; q < fb_min(p + LINE, along); q += SIDE)
        FB_NAME(fb_transpose)(to + q * width + i, width, from + i * step + q, step);
  for (i64 i = 0; i < across; ++i)
    for (i64 p = along; p < k; ++p) to[p * width + i] = from[i * step + p];
  for (i64 i = across; i < count; ++i)
    for (i64 p = 0; p < k; ++p) to[p * width + i] = from[i * step + p * next];
}

#if FB_HALVES
/* 16 bits are widened along the dense direction. */
static void FB_NAME(fb_pack_half)(
    REAL *to, i64 width, const uint16_t *from, int kind, i64 count, i64 k, i64 step, i64 next) {
  if (step == 1) {
    for (i64 p = 0; p < k; ++p) widen(to + p * width, from + p * next, count, kind);
    return;
  }
  REAL wide[FB_NAME(fb_nr)][FB_KC];
  for (i64 p = 0; p < k; p += FB_KC) {
    const i64 some = fb_min(FB_KC, k - p);
    for (i64 i = 0; i < count; ++i) {
      const uint16_t *row = from + i * step + p * next;
      if (next == 1) widen(wide[i], row, some, kind);
      else
        for (i64 q = 0; q < some; ++q) widen(wide[i] + q, row + q * next, 1, kind);
    }
    FB_NAME(fb_pack_plain)(to + p * width, width, wide[0], count, some, FB_KC, 1);
  }
}
#endif

static void FB_NAME(fb_pack)(
    REAL *to, i64 width, const void *from, int kind, i64 count, i64 k, i64 step, i64 next) {
#if FB_HALVES
  if (kind >= OF_F16) FB_NAME(fb_pack_half)(to, width, from, kind, count, k, step, next);
  else
#endif
    FB_NAME(fb_pack_plain)(to, width, from, count, k, step, next);
  if (count < width)
    for (i64 p = 0; p < k; ++p)
      for (i64 i = count; i < width; ++i) to[p * width + i] = 0;
}
/* ---- one row ---- */
/* Four rows of B are read side by side, from end to end; the sums lie in the first level of cache. */
enum { FB_NAME(fb_row_most) = 128 * LANES };
static void FB_NAME(fb_row)(
    i64 columns, i64 k, const REAL *a, i64 ap, const REAL *b, i64 bp, REAL *c, int add) {
  REAL sum[FB_NAME(fb_row_most)] __attribute__((aligned(64)));
  memset(sum, 0, columns * sizeof(REAL));
  const i64 whole = columns / LANES * LANES, along = k / 4 * 4;
  for (i64 p = 0; p < along; p += 4) {
    const REAL *row = b + p * bp;
    const REAL x[4] = {a[p * ap], a[(p + 1) * ap], a[(p + 2) * ap], a[(p + 3) * ap]};
    VEC wide[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) wide[i] = x[i] - (VEC){0};
    for (i64 j = 0; j < whole; j += LANES) {
      VEC y = *(VEC *)(sum + j);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
        y = FB_NAME(fb_fma)(wide[i], *(const LOOSE *)(row + i * bp + j), y);
      *(VEC *)(sum + j) = y;
    }
    for (i64 j = whole; j < columns; ++j)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[j] = FB_FMA1(x[i], row[i * bp + j], sum[j]);
  }
  for (i64 p = along; p < k; ++p)
    for (i64 j = 0; j < columns; ++j) sum[j] = FB_FMA1(a[p * ap], b[p * bp + j], sum[j]);
  for (i64 j = 0; j < columns; ++j) c[j] = add ? c[j] + sum[j] : sum[j];
}

/* Sums of four vectors' columns, which are turned on the way. */
#if defined(FB_BOTH)
enum { FB_NAME(fb_turned_lanes) = 2 * SIDE };
typedef REAL FB_NAME(fb_duo) __attribute__((vector_size(32)));
#define DUO FB_NAME(fb_duo)
static void FB_NAME(fb_turned_sums)(i64 k, const REAL *a, const REAL *b, i64 bj, REAL *sums) {
  DUO sum[4] = {{0}, {0}, {0}, {0}};
  for (i64 p = 0; p < k; p += LINE)
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
      const REAL *from = b + s * 2 * SIDE * bj + p;
#pragma GCC unroll 8
      for (int i = 0; i < 2 * SIDE; ++i) __builtin_prefetch(from + i * bj + 8 * LINE);
#pragma GCC unroll 4
      for (int q = 0; q < LINE; q += SIDE) {
        DUO x[4];
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; ++i)
          x[i] = FB_BOTH(*(const LOOSE_QUAD *)(from + i * bj + q),
                         *(const LOOSE_QUAD *)(from + (SIDE + i) * bj + q));
        FB_TURN(x);
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; ++i) sum[s] = FB_FMA_DUO(a[p + q + i] - (DUO){0}, x[i], sum[s]);
      }
    }
  memcpy(sums, sum, sizeof sum);
}
#undef DUO
#else
enum { FB_NAME(fb_turned_lanes) = SIDE };
static void FB_NAME(fb_turned_sums)(i64 k, const REAL *a, const REAL *b, i64 bj, REAL *sums) {
  REAL turned[LINE * 4 * SIDE];
  memset(sums, 0, 4 * SIDE * sizeof(REAL));
  for (i64 p = 0; p < k; p += LINE) {
    FB_NAME(fb_pack_plain)(turned, 4 * SIDE, b + p, 4 * SIDE, LINE, bj, 1);
    for (int q = 0; q < LINE; ++q)
      for (int i = 0; i < 4 * SIDE; ++i)
        sums[i] = FB_FMA1(a[p + q], turned[q * 4 * SIDE + i], sums[i]);
  }
}
#endif

static void FB_NAME(fb_turned_row)(
    i64 columns, i64 k, const REAL *a, i64 ap, const REAL *b, i64 bj, REAL *c, int add) {
  enum { MANY = 4 * FB_NAME(fb_turned_lanes) };
  REAL x[FB_KC], sums[MANY];
  for (i64 p = 0; p < k; ++p) x[p] = a[p * ap];
  const i64 along = k / LINE * LINE;
  for (; columns > 0; columns -= MANY, b += MANY * bj, c += MANY) {
    const i64 some = fb_min(MANY, columns);
    i64 p = along;
    if (some == MANY) FB_NAME(fb_turned_sums)(along, x, b, bj, sums);
    else memset(sums, 0, sizeof sums), p = 0;
    for (i64 i = 0; i < some; ++i)
      for (i64 q = p; q < k; ++q) sums[i] = FB_FMA1(x[q], b[i * bj + q], sums[i]);
    for (i64 i = 0; i < some; ++i) c[i] = add ? c[i] + sums[i] : sums[i];
  }
}
#undef QUAD
#undef LOOSE_QUAD
#undef SIDE
#undef LINE
#undef VEC
#undef LOOSE
#undef LANES

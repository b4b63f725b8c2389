/* The innermost loops of convolutions, for the element type T. */

/* A step of a sum: row a of the packed weight, and element b of the input. */
#ifndef STEP
#define STEP
typedef struct {
  int32_t a, b;
} step;
#if defined(__AVX512F__) || defined(__aarch64__)
#define SUMS 24 /* vectors that are summed in registers */
#else
#define SUMS 12
#endif
#define TALLEST (SUMS / 2)
#define TAPS_WIDE 6                  /* columns of a tile of the weight's gradient */
#define TAPS_TALL (SUMS / TAPS_WIDE) /* its rows */
/* Keeps a vector in its register: a compiler may load it again for every use. */
#if defined(__x86_64__) || defined(__i386__)
#define HOLD(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define HOLD(x) __asm__("" : "+w"(x))
#else
#define HOLD(x) ((void)0)
#endif
#endif

/* c[i, j] = (start ? start[i] : c[i, j]) + sum over steps of a[step.a * lda + i] *
   b[step.b + j] for i < R and j < V vectors, in the order of the steps. */
#define TILE(R, V)                                                                              \
  static void L(tile_##R##_##V)(const T *a, i64 lda, const T *b, const step *steps, i64 count,  \
                                T *c, i64 ldc, const T *start) {                                \
    L(v) sum[R][V];                                                                             \
    _Pragma("GCC unroll 16") for (int i = 0; i < R; ++i)                                        \
      _Pragma("GCC unroll 16") for (int j = 0; j < V; ++j)                                      \
        sum[i][j] = start ? L(set)(start[i]) : L(load)(c + i * ldc + j * W);                    \
    for (i64 k = 0; k < count; ++k) {                                                           \
      const T *p = a + steps[k].a * lda, *q = b + steps[k].b;                                   \
      L(v) row[V];                                                                              \
      _Pragma("GCC unroll 16") for (int j = 0; j < V; ++j) row[j] = L(load)(q + j * W);         \
      _Pragma("GCC unroll 16") for (int i = 0; i < R; ++i) {                                    \
        L(v) x = L(set)(p[i]);                                                                  \
        HOLD(x);                                                                                \
        _Pragma("GCC unroll 16") for (int j = 0; j < V; ++j)                                    \
          sum[i][j] = L(fma)(x, row[j], sum[i][j]);                                             \
      }                                                                                         \
    }                                                                                           \
    _Pragma("GCC unroll 16") for (int i = 0; i < R; ++i)                                        \
      _Pragma("GCC unroll 16") for (int j = 0; j < V; ++j)                                      \
        L(store)(c + i * ldc + j * W, sum[i][j]);                                               \
  }
TILE(1, 8) TILE(2, 8) TILE(3, 8) TILE(4, 4) TILE(5, 4) TILE(6, 4)
TILE(1, 4) TILE(2, 4) TILE(3, 4)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
#undef TILE

typedef void (*L(tile))(const T *, i64, const T *, const step *, i64, T *, i64, const T *);
static const L(tile) L(narrow)[13] = {
  NULL, L(tile_1_2), L(tile_2_2), L(tile_3_2), L(tile_4_2), L(tile_5_2), L(tile_6_2),
  L(tile_7_2), L(tile_8_2), L(tile_9_2), L(tile_10_2), L(tile_11_2), L(tile_12_2)};
static const L(tile) L(wide)[7] = {
  NULL, L(tile_1_4), L(tile_2_4), L(tile_3_4), L(tile_4_4), L(tile_5_4), L(tile_6_4)};
static const L(tile) L(widest)[4] = {NULL, L(tile_1_8), L(tile_2_8), L(tile_3_8)};

/* The tiles for panels of so many rows, and their width in vectors. */
static const L(tile) *L(tiles)(i64 tallest, i64 *vectors) {
  if (tallest * 8 <= SUMS) return *vectors = 8, L(widest);
  if (tallest * 4 <= SUMS) return *vectors = 4, L(wide);
  return *vectors = 2, L(narrow);
}

/* The lanes' sums of four vectors. */
static inline void L(totals)(const L(v) *x, T *to) {
#if VBYTES >= 32
  typedef T quad __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
  quad s[4];
  for (int i = 0; i < 4; ++i) {
    const T *p = (const T *)(x + i);
    s[i] = *(const quad *)p;
    for (int j = 4; j < W; j += 4) s[i] += *(const quad *)(p + j);
  }
  for (int i = 0; i < 4; ++i) to[i] = (s[i][0] + s[i][2]) + (s[i][1] + s[i][3]);
#else
  for (int i = 0; i < 4; ++i) to[i] = L(total)(x[i]);
#endif
}

/* sums[i, j] = sum over steps, and over lanes, of g[i, step.a] * x[column[j] + step.b]. */
#define DOT(R)                                                                                  \
  static void L(dot_##R)(const T *g, i64 ldg, const T *x, const i64 *column, const step *steps, \
                         i64 count, T sums[][TAPS_WIDE]) {                                      \
    L(v) sum[R * TAPS_WIDE] = {{0}};                                                            \
    const T *at[TAPS_WIDE];                                                                     \
    _Pragma("GCC unroll 16") for (int j = 0; j < TAPS_WIDE; ++j) at[j] = x + column[j];         \
    for (i64 k = 0; k < count; ++k) {                                                           \
      const T *p = g + steps[k].a;                                                              \
      const i64 b = steps[k].b;                                                                 \
      L(v) row[R];                                                                              \
      _Pragma("GCC unroll 16") for (int i = 0; i < R; ++i) row[i] = L(load)(p + i * ldg);       \
      _Pragma("GCC unroll 16") for (int j = 0; j < TAPS_WIDE; ++j) {                            \
        L(v) y = L(load)(at[j] + b);                                                            \
        HOLD(y);                                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < R; ++i)                                    \
          sum[i * TAPS_WIDE + j] = L(fma)(row[i], y, sum[i * TAPS_WIDE + j]);                   \
      }                                                                                         \
    }                                                                                           \
    L(v) kept[R * TAPS_WIDE + 3];                                                               \
    _Pragma("GCC unroll 32") for (int i = 0; i < R * TAPS_WIDE; ++i) kept[i] = sum[i];          \
    T flat[R * TAPS_WIDE + 3];                                                                  \
    for (int i = 0; i < R * TAPS_WIDE; i += 4) L(totals)(kept + i, flat + i);                   \
    memcpy(sums, flat, R * TAPS_WIDE * sizeof(T));                                              \
  }
DOT(1) DOT(2)
#if SUMS > 12
DOT(3) DOT(4)
#endif
#undef DOT
typedef void (*L(dot))(const T *, i64, const T *, const i64 *, const step *, i64,
                       T[][TAPS_WIDE]);
#if SUMS > 12
static const L(dot) L(dots)[5] = {NULL, L(dot_1), L(dot_2), L(dot_3), L(dot_4)};
#else
static const L(dot) L(dots)[3] = {NULL, L(dot_1), L(dot_2)};
#endif

/* ---- moving blocks ---- */
static inline void L(move_run)(T *to, const T *from, i64 n) {
  i64 i = 0;
  for (; i + W <= n; i += W) L(store)(to + i, L(load)(from + i));
  if (i < n) L(store_part)(to + i, n - i, L(load_part)(from + i, n - i, 0));
}

/* W vectors that are rows become columns. */
static inline __attribute__((always_inline)) void L(turn)(L(v) *x) {
  _Pragma("GCC unroll 4") for (int half = 1; half < W; half *= 2) {
    L(v) y[W];
    _Pragma("GCC unroll 8") for (int i = 0; i < W / 2; ++i) {
      y[2 * i] = L(mix_low)(x[i], x[i + W / 2]);
      y[2 * i + 1] = L(mix_high)(x[i], x[i + W / 2]);
    }
    _Pragma("GCC unroll 16") for (int i = 0; i < W; ++i) x[i] = y[i];
  }
}

/* to[i * ti + j] = from[i + j * fj] for a square of W by W or less. */
static inline void L(turn_square)(T *to, i64 ti, const T *from, i64 fj, i64 n, i64 m) {
  if (n * 2 < W && m * 2 < W) {
    for (i64 i = 0; i < n; ++i)
      for (i64 j = 0; j < m; ++j) to[i * ti + j] = from[i + j * fj];
    return;
  }
  L(v) x[W];
  if (n == W && m == W) {
    _Pragma("GCC unroll 16") for (int j = 0; j < W; ++j) x[j] = L(load)(from + j * fj);
    L(turn)(x);
    _Pragma("GCC unroll 16") for (int i = 0; i < W; ++i) L(store)(to + i * ti, x[i]);
    return;
  }
  for (int j = 0; j < W; ++j) x[j] = j < m ? L(load_part)(from + j * fj, n, 0) : L(set)(0);
  L(turn)(x);
  for (int i = 0; i < n; ++i) L(store_part)(to + i * ti, m, x[i]);
}

/* The same for any size; the index that jumps farther is the outer one, so that few streams of
   memory are read or written at a time. */
static void L(move_turned)(T *to, i64 ti, const T *from, i64 fj, i64 n, i64 m) {
  const int swap = fj > ti;
  const i64 outer = swap ? m : n, inner = swap ? n : m;
  for (i64 o = 0; o < outer; o += W)
    for (i64 k = 0; k < inner; k += W) {
      const i64 i = swap ? k : o, j = swap ? o : k;
      L(turn_square)(to + i * ti + j, ti, from + i + j * fj, fj, fb_min(n - i, W),
                     fb_min(m - j, W));
    }
}

/* to[i * ti + j * tj] = from[i * fi + j * fj] for i < n, j < m. */
static void L(move)(T *to, i64 ti, i64 tj, const T *from, i64 fi, i64 fj, i64 n, i64 m) {
  if (ti == 1 && (tj != 1 || (m == 1 && n > 1))) {
    L(move)(to, tj, ti, from, fj, fi, m, n);
  } else if (tj == 1 && fj == 1) {
    for (i64 i = 0; i < n; ++i) L(move_run)(to + i * ti, from + i * fi, m);
  } else if (tj == 1 && fi == 1 && n > 1) {
    L(move_turned)(to, ti, from, fj, n, m);
  } else {
    for (i64 i = 0; i < n; ++i) {
      T *p = to + i * ti;
      const T *q = from + i * fi;
      if (tj == 1 && fj == 2)
        for (i64 j = 0; j < m; ++j) p[j] = q[2 * j];
      else
        for (i64 j = 0; j < m; ++j) p[j * tj] = q[j * fj];
    }
  }
}

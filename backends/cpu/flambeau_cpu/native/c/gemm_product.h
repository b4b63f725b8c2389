/* Products of matrices of REAL, in tasks; included by gemm.c once for each element type.

   A tile of C is a task: for each block of k, each panel of B passes once through the first level
   of cache while the tile's rows of A stay in the second.  Operands are read in place where that
   is as quick, else from panels that were packed beforehand.  Products with few tiles and a long k
   are divided along k too, a matrix of partial sums for each block.  None of this changes a
   result: see gemm.h for the one order of summation. */

enum {
  FB_NAME(fb_room) = 131072 / sizeof(REAL), /* elements of A that a task reads in each block */
  FB_NAME(fb_half_tile) = 128 * 128,        /* elements of C before they are rounded to a half */
};
#define NR ((i64)FB_NAME(fb_nr))

typedef struct {
  i64 m, n, k;
  i64 ai, ap, bp, bj, ci, si, sj; /* strides in elements, of C and S (the summand) too */
  const char *a, *b, *s;
  char *c;
  int kind; /* of all four */
  REAL alpha, beta;
  /* A batch of matrices. */
  int nd;
  i64 matrices, dims[FB_DIMS], sa[FB_DIMS], sb[FB_DIMS], sc[FB_DIMS], ss[FB_DIMS];
  /* The plan. */
  i64 rows;                      /* of a panel of A */
  i64 row_panels, column_panels; /* of a matrix */
  i64 tall, wide;                /* panels of a tile */
  i64 row_tiles, column_tiles, blocks, groups;
  int is_row;                    /* in place */
  int packs_a;                   /* beforehand */
  int packs_b, shares_b;         /* at all; beforehand, for several tiles */
  REAL *packed_a, *packed_b, *partial;
} FB_NAME(fb_product);
#define PRODUCT FB_NAME(fb_product)

/* ---- the plan ---- */
static i64 FB_NAME(fb_size_a)(const PRODUCT *g) { return g->packs_a ? g->m * g->k : 0; }
static i64 FB_NAME(fb_size_b)(const PRODUCT *g) {
  return g->shares_b ? g->column_panels * NR * g->k : 0;
}
/* Rows that a page or more apart lie: they share few sets of a cache. */
static int FB_NAME(fb_collides)(i64 stride) {
  return stride * (i64)sizeof(REAL) % 4096 == 0;
}

static void FB_NAME(fb_divide)(PRODUCT *g, i64 wanted) {
  const i64 most = FB_NAME(fb_room) / (g->rows * fb_max(1, fb_min(g->k, FB_KC)));
  const i64 lines = fb_ceil(g->row_panels, fb_max(1, fb_min(most, 16)));
  g->tall = fb_ceil(g->row_panels, lines);
  g->wide = fb_ceil(g->column_panels, fb_ceil(g->column_panels, g->is_row ? 64 : 16));
  if (g->kind >= OF_F16) {
    g->tall = fb_min(g->tall, fb_max(1, 128 / g->rows));
    g->wide = fb_min(g->wide, fb_max(1, 128 / NR));
  }
  for (;;) {
    g->row_tiles = fb_ceil(g->row_panels, g->tall);
    g->column_tiles = fb_ceil(g->column_panels, g->wide);
    if (g->row_tiles * g->column_tiles * g->matrices >= wanted) return;
    const i64 least = g->is_row && g->bj == 1 ? 16 : 1; /* whole pages of rows */
    if (g->tall > 1 && (g->tall * g->rows * 4 >= g->wide * NR || g->wide == 1))
      g->tall = fb_ceil(g->tall, 2);
    else if (g->wide > least) g->wide = fb_ceil(g->wide, 2);
    else return;
  }
}

/* Sets the plan; returns the elements of scratch that it needs. */
static i64 FB_NAME(fb_plan)(PRODUCT *g) {
  g->row_panels = fb_max(1, fb_ceil(g->m, FB_MR));
  g->rows = fb_max(1, fb_ceil(g->m, g->row_panels));
  g->column_panels = fb_ceil(g->n, NR);
  g->blocks = fb_max(1, fb_ceil(g->k, FB_KC));
  g->groups = 1;
  g->packs_a = g->packs_b = g->shares_b = 0;
  g->is_row = g->m == 1 && g->kind < OF_F16 && (g->bj == 1 || g->bp == 1);
  if (!g->m || !g->n || !g->matrices) return 0;
  const i64 work = g->m * g->n * g->k * g->matrices / (g->is_row ? FB_ROW_TASK : FB_TASK);
  const i64 wanted = fb_max(1, fb_min(work, 64));
  FB_NAME(fb_divide)(g, wanted);
  const i64 tiles = g->row_tiles * g->column_tiles * g->matrices;
  if (tiles * 4 <= wanted && g->matrices * g->m * g->n * g->blocks <= FB_PARTIAL)
    g->groups = fb_min(g->blocks, wanted / tiles);
  const int is_half = g->kind >= OF_F16;
  g->packs_a = is_half || (g->row_panels > 1 && g->column_panels > 1 &&
                           FB_NAME(fb_collides)(g->ap == 1 ? g->ai : g->ap));
  g->packs_b = is_half || g->bj != 1 ||
               (g->row_panels > FB_FEW && g->k * g->n * (i64)sizeof(REAL) > FB_NEAR);
  g->shares_b = g->packs_b && g->row_tiles > 1;
  return g->matrices * (FB_NAME(fb_size_a)(g) + FB_NAME(fb_size_b)(g) +
                        (g->groups > 1 ? g->blocks * g->m * g->n : 0));
}

/* ---- a matrix of the batch ---- */
typedef struct {
  const char *a, *b, *s;
  char *c;
} FB_NAME(fb_matrix);
#define MATRIX FB_NAME(fb_matrix)

static inline i64 FB_NAME(fb_item)(int kind) { return kind >= OF_F16 ? 2 : (i64)sizeof(REAL); }

static MATRIX FB_NAME(fb_matrix_at)(const PRODUCT *g, i64 index) {
  i64 a = 0, b = 0, c = 0, s = 0;
  for (int d = g->nd - 1; d >= 0; --d) {
    const i64 i = index % g->dims[d];
    index /= g->dims[d];
    a += i * g->sa[d], b += i * g->sb[d], c += i * g->sc[d], s += i * g->ss[d];
  }
  const i64 item = FB_NAME(fb_item)(g->kind);
  return (MATRIX){g->a + a * item, g->b + b * item, g->s ? g->s + s * item : NULL, g->c + c * item};
}

static inline REAL FB_NAME(fb_read)(const char *from, int kind) {
  if (kind == OF_F16) return from_f16(*(const uint16_t *)from);
  if (kind == OF_BF16) return from_bf16(*(const uint16_t *)from);
  return *(const REAL *)from;
}

/* What is done to finished sums: scale them, add the summand, round them. */
static void FB_NAME(fb_finish)(
    const PRODUCT *g, const MATRIX *x, i64 row, i64 column, i64 rows, i64 columns, REAL *sums,
    i64 pitch) {
  const int is_half = g->kind >= OF_F16;
  if (!is_half && g->alpha == 1 && !x->s) return;
  const i64 item = FB_NAME(fb_item)(g->kind);
  const int is_row = x->s && g->sj == 1 && g->beta == 1 && g->alpha == 1 && !is_half;
  for (i64 i = 0; i < rows; ++i) {
    REAL *to = sums + i * pitch;
    const char *s = x->s ? x->s + ((row + i) * g->si + column * g->sj) * item : NULL;
    if (is_row) {
      for (i64 j = 0; j < columns; ++j) to[j] += ((const REAL *)s)[j];
      continue;
    }
    for (i64 j = 0; j < columns; ++j) {
      REAL y = g->alpha == 1 ? to[j] : to[j] * g->alpha;
      if (s) {
        const REAL z = FB_NAME(fb_read)(s + j * g->sj * item, g->kind);
        y += g->beta == 1 ? z : z * g->beta;
      }
      to[j] = y;
    }
    if (is_half) {
      uint16_t *half = (uint16_t *)x->c + (row + i) * g->ci + column;
      narrow(half, (const f32 *)to, columns, g->kind);
    }
  }
}

/* ---- tasks ---- */
/* Packs a few panels of a block of one operand: first those of B, then those of A. */
static void FB_NAME(fb_share)(void *context, i64 i) {
  const PRODUCT *g = context;
  const i64 runs_b = g->shares_b ? fb_ceil(g->column_panels, FB_RUN) : 0;
  const i64 runs = runs_b + (g->packs_a ? fb_ceil(g->row_panels, FB_RUN) : 0), run = i % runs;
  const i64 block = i / runs % g->blocks, index = i / runs / g->blocks;
  const i64 p = block * FB_KC, k = fb_min(FB_KC, g->k - p), item = FB_NAME(fb_item)(g->kind);
  const MATRIX x = FB_NAME(fb_matrix_at)(g, index);
  if (run < runs_b) {
    REAL *to = g->packed_b + index * FB_NAME(fb_size_b)(g) + p * g->column_panels * NR;
    for (i64 j = run * FB_RUN; j < fb_min((run + 1) * FB_RUN, g->column_panels); ++j) {
      const i64 columns = fb_min(NR, g->n - j * NR);
      FB_NAME(fb_pack)(to + j * NR * k, FB_NAME(fb_width)(columns),
                       x.b + (p * g->bp + j * NR * g->bj) * item, g->kind, columns, k, g->bj,
                       g->bp);
    }
    return;
  }
  REAL *to = g->packed_a + index * FB_NAME(fb_size_a)(g) + p * g->m;
  const i64 first = (run - runs_b) * FB_RUN;
  for (i64 q = first; q < fb_min(first + FB_RUN, g->row_panels); ++q) {
    const i64 row = q * g->rows, rows = fb_min(g->rows, g->m - row);
    FB_NAME(fb_pack)(to + row * k, rows, x.a + (row * g->ai + p * g->ap) * item, g->kind, rows, k,
                     g->ai, g->ap);
  }
}

static void FB_NAME(fb_multiply)(void *context, i64 i) {
  const PRODUCT *g = context;
  REAL packed_b[FB_NAME(fb_nr) * FB_KC] __attribute__((aligned(64)));
  REAL local[sizeof(REAL) == 4 ? FB_NAME(fb_half_tile) : 1] __attribute__((aligned(64)));
  const i64 row_tile = i % g->row_tiles, column_tile = i / g->row_tiles % g->column_tiles;
  i /= g->row_tiles * g->column_tiles;
  const i64 group = i % g->groups, index = i / g->groups, item = FB_NAME(fb_item)(g->kind);
  const MATRIX x = FB_NAME(fb_matrix_at)(g, index);
  const i64 panel = row_tile * g->tall, panels = fb_min(g->tall, g->row_panels - panel);
  const i64 first = panel * g->rows, left = column_tile * g->wide;
  const i64 end = fb_min(left + g->wide, g->column_panels);
  const int is_local = g->kind >= OF_F16 && g->groups == 1;
  for (i64 block = g->blocks * group / g->groups; block < g->blocks * (group + 1) / g->groups;
       ++block) {
    const i64 p = block * FB_KC, k = fb_min(FB_KC, g->k - p);
    const int adds = block > 0 && g->groups == 1;
    REAL *c = (REAL *)x.c + first * g->ci;
    i64 pitch = g->ci;
    if (is_local) pitch = (end - left) * NR, c = local - left * NR;
    else if (g->groups > 1) {
      pitch = g->n;
      c = g->partial + ((index * g->blocks + block) * g->m + first) * pitch;
    }
    if (g->is_row) {
      const i64 columns = fb_min(end * NR, g->n) - left * NR;
      const REAL *a = (const REAL *)x.a + p * g->ap;
      const REAL *b = (const REAL *)x.b + p * g->bp + left * NR * g->bj;
      if (g->bj == 1) FB_NAME(fb_row)(columns, k, a, g->ap, b, g->bp, c + left * NR, adds);
      else FB_NAME(fb_turned_row)(columns, k, a, g->ap, b, g->bj, c + left * NR, adds);
      if (block == g->blocks - 1 && g->groups == 1)
        FB_NAME(fb_finish)(g, &x, 0, left * NR, 1, columns, c + left * NR, pitch);
      continue;
    }
    for (i64 j = left; j < end; ++j) {
      const i64 columns = fb_min(NR, g->n - j * NR), width = FB_NAME(fb_width)(columns);
      const REAL *b = packed_b;
      i64 bp = width;
      if (g->shares_b)
        b = g->packed_b + index * FB_NAME(fb_size_b)(g) + p * g->column_panels * NR + j * NR * k;
      else if (!g->packs_b && columns == width)
        b = (const REAL *)x.b + p * g->bp + j * NR, bp = g->bp;
      else
        FB_NAME(fb_pack)(packed_b, width, x.b + (p * g->bp + j * NR * g->bj) * item, g->kind,
                         columns, k, g->bj, g->bp);
      for (i64 q = 0; q < panels; ++q) {
        const i64 row = first + q * g->rows, rows = fb_min(g->rows, g->m - row);
        REAL *to = c + (row - first) * pitch + j * NR;
        if (g->packs_a)
          FB_NAME(fb_tile)(rows, columns, k,
                           g->packed_a + index * FB_NAME(fb_size_a)(g) + p * g->m + row * k, 1, rows,
                           b, bp, to, pitch, adds);
        else
          FB_NAME(fb_tile)(rows, columns, k, (const REAL *)x.a + row * g->ai + p * g->ap, g->ai,
                           g->ap, b, bp, to, pitch, adds);
        if (block == g->blocks - 1 && g->groups == 1)
          FB_NAME(fb_finish)(g, &x, row, j * NR, rows, columns, to, pitch);
      }
    }
  }
}

/* Sums the partial products of some rows. */
static void FB_NAME(fb_collect)(void *context, i64 i) {
  const PRODUCT *g = context;
  const i64 row = i % g->m, index = i / g->m, n = g->n;
  const MATRIX x = FB_NAME(fb_matrix_at)(g, index);
  REAL *from = g->partial + (index * g->blocks * g->m + row) * n;
  REAL *to = g->kind >= OF_F16 ? from : (REAL *)x.c + row * g->ci;
  for (i64 j = 0; j < n; j += NR) {
    const i64 columns = fb_min(NR, n - j);
    REAL sum[FB_NAME(fb_nr)];
    for (i64 q = 0; q < columns; ++q) sum[q] = from[j + q];
    for (i64 block = 1; block < g->blocks; ++block)
      for (i64 q = 0; q < columns; ++q) sum[q] += from[block * g->m * n + j + q];
    for (i64 q = 0; q < columns; ++q) to[j + q] = sum[q];
  }
  FB_NAME(fb_finish)(g, &x, row, 0, 1, n, to, n);
}

static void FB_NAME(fb_run_product)(PRODUCT *g, REAL *scratch) {
  if (!g->m || !g->n || !g->matrices) return;
  g->packed_a = scratch;
  g->packed_b = g->packed_a + g->matrices * FB_NAME(fb_size_a)(g);
  g->partial = g->packed_b + g->matrices * FB_NAME(fb_size_b)(g);
  const i64 runs = (g->shares_b ? fb_ceil(g->column_panels, FB_RUN) : 0) +
                   (g->packs_a ? fb_ceil(g->row_panels, FB_RUN) : 0);
  fb_parallel(FB_NAME(fb_share), g, runs * g->blocks * g->matrices);
  fb_parallel(FB_NAME(fb_multiply), g,
              g->row_tiles * g->column_tiles * g->groups * g->matrices);
  if (g->groups > 1) fb_parallel(FB_NAME(fb_collect), g, g->m * g->matrices);
}

/* ---- from arrays ---- */
/* Strides in elements of the last two dimensions of an operand, one of them perhaps missing. */
static void FB_NAME(fb_last_two)(const array *x, int is_turned, int is_right, i64 item, i64 *rows,
                                 i64 *columns, i64 *row, i64 *column) {
  if (x->nd == 1) {
    *rows = is_right ? x->dims[0] : 1, *columns = is_right ? 1 : x->dims[0];
    *row = *column = x->strides[0] / item;
    if (is_right) *column = 0;
    else *row = 0;
    return;
  }
  const int r = x->nd - 2 + is_turned, c = x->nd - 1 - is_turned;
  *rows = x->dims[r], *columns = x->dims[c];
  *row = x->strides[r] / item, *column = x->strides[c] / item;
}

/* Strides of a batch's dimensions in an operand: 0 where it is broadcast. */
static void FB_NAME(fb_batch)(const array *x, int inner, int nd, i64 item, const i64 *dims,
                              i64 *strides) {
  const int own = x ? fb_max(0, x->nd - inner) : 0;
  for (int d = 0; d < nd; ++d) {
    const int at = d - (nd - own);
    strides[d] = at < 0 || x->dims[at] == 1 ? 0 : x->strides[at] / item;
  }
}

/* Whole batches of rows of A times one B are one product. */
static void FB_NAME(fb_merge)(PRODUCT *g) {
  while (g->nd && g->matrices) {
    const int d = g->nd - 1;
    const i64 size = g->dims[d];
    const int fits = size == 1 || (!g->sb[d] && g->sa[d] == g->m * g->ai && g->sc[d] == g->m * g->ci &&
                                   (!g->s || g->ss[d] == g->m * g->si));
    if (!fits) return;
    g->m *= size, g->matrices /= size, g->nd = d;
  }
}

/* Returns the elements of scratch it needs; with enough of it, the product is done. */
static i64 FB_NAME(fb_calculate)(const array *a, const array *b, array *c, const array *s,
                                 const array *room, i64 kind, i64 turned, f64 alpha, f64 beta) {
  PRODUCT g = {.kind = kind, .alpha = alpha, .beta = beta, .a = a->data, .b = b->data, .c = c->data};
  const i64 item = FB_NAME(fb_item)(kind);
  i64 inner;
  FB_NAME(fb_last_two)(a, turned & 1, 0, item, &g.m, &g.k, &g.ai, &g.ap);
  FB_NAME(fb_last_two)(b, turned >> 1 & 1, 1, item, &inner, &g.n, &g.bp, &g.bj);
  g.ci = g.n;
  const int own = (a->nd > 1) + (b->nd > 1); /* of C's dimensions that are not the batch's */
  g.nd = c->nd - own, g.matrices = 1;
  for (int d = 0; d < g.nd; ++d) g.dims[d] = c->dims[d], g.matrices *= c->dims[d];
  for (i64 d = g.nd - 1, step = g.m * g.n; d >= 0; --d) g.sc[d] = step, step *= g.dims[d];
  FB_NAME(fb_batch)(a, 2, g.nd, item, g.dims, g.sa);
  FB_NAME(fb_batch)(b, 2, g.nd, item, g.dims, g.sb);
  if (s) {
    g.s = s->data;
    g.sj = s->nd < 1 || s->dims[s->nd - 1] == 1 ? 0 : s->strides[s->nd - 1] / item;
    g.si = s->nd < 2 || s->dims[s->nd - 2] == 1 ? 0 : s->strides[s->nd - 2] / item;
    FB_NAME(fb_batch)(s, 2, g.nd, item, g.dims, g.ss);
  }
  FB_NAME(fb_merge)(&g);
  if (g.n == 1 && g.m > 1) { /* a column: its elements side by side, as a row */
    const char *other = g.a;
    g.a = g.b, g.b = other;
    const i64 m = g.m, ai = g.ai, ap = g.ap, si = g.si;
    g.m = 1, g.n = m, g.ai = 0, g.ap = g.bp, g.bp = ap, g.bj = ai, g.ci = m;
    g.si = 0, g.sj = si;
    for (int d = 0; d < g.nd; ++d) {
      const i64 step = g.sa[d];
      g.sa[d] = g.sb[d], g.sb[d] = step;
    }
  }
  const i64 needed = FB_NAME(fb_plan)(&g);
  if (needed && (!room || size_of(room) < needed)) return needed;
  FB_NAME(fb_run_product)(&g, needed ? (REAL *)room->data : NULL);
  return 0;
}

/* alpha * a @ b + beta * summand; and with both 1, without scratch. */
i64 FB_NAME(product)(const array *a, const array *b, array *c, const array *summand,
                     const array *scratch, i64 kind, i64 turned, f64 alpha, f64 beta) {
  return FB_NAME(fb_calculate)(a, b, c, optional(summand, c), optional(scratch, c), kind, turned,
                               alpha, beta);
}
i64 FB_NAME(simple_product)(const array *a, const array *b, array *c, const array *summand,
                            i64 kind, i64 turned) {
  return FB_NAME(fb_calculate)(a, b, c, optional(summand, c), NULL, kind, turned, 1, 1);
}

/* ---- two vectors ---- */
/* Parts of FB_PART elements, each summed in the same number of lanes everywhere. */
typedef struct {
  i64 n;
  const REAL *a, *b;
  REAL *sums;
} FB_NAME(fb_pair);
static void FB_NAME(fb_part)(void *context, i64 i) {
  const FB_NAME(fb_pair) *g = context;
  enum { WIDE = 256 / sizeof(REAL), STEPS = WIDE / FB_NAME(fb_lanes) };
  const i64 end = fb_min((i + 1) * FB_PART, g->n);
  FB_NAME(fb_vector) sum[STEPS];
#pragma GCC unroll 16
  for (int s = 0; s < STEPS; ++s) sum[s] = (FB_NAME(fb_vector)){0};
  i64 p = i * FB_PART;
  for (; p + WIDE <= end; p += WIDE)
#pragma GCC unroll 16
    for (int s = 0; s < STEPS; ++s)
      sum[s] = FB_NAME(fb_fma)(*(const FB_NAME(fb_loose) *)(g->a + p + s * FB_NAME(fb_lanes)),
                               *(const FB_NAME(fb_loose) *)(g->b + p + s * FB_NAME(fb_lanes)),
                               sum[s]);
  REAL lanes[WIDE];
  memcpy(lanes, sum, sizeof lanes);
  for (i64 q = 0; p + q < end; ++q) lanes[q] = FB_FMA1(g->a[p + q], g->b[p + q], lanes[q]);
  for (int width = WIDE / 2; width; width /= 2)
    for (int q = 0; q < width; ++q) lanes[q] += lanes[q + width];
  g->sums[i] = lanes[0];
}

/* The product of two dense vectors; `sums` has an element for each part. */
void FB_NAME(dot)(const array *a, const array *b, array *c, array *sums) {
  FB_NAME(fb_pair) g = {a->dims[0], (const REAL *)a->data, (const REAL *)b->data,
                        (REAL *)sums->data};
  const i64 parts = fb_ceil(g.n, FB_PART);
  fb_parallel(FB_NAME(fb_part), &g, parts);
  REAL y = 0;
  for (i64 i = 0; i < parts; ++i) y += g.sums[i];
  *(REAL *)c->data = y;
}
#undef NR
#undef PRODUCT
#undef MATRIX

/* Walks the operands of a formula together: see pointwise.h.

   Dimensions are sorted by the result's strides and merged where all operands go on evenly.  What
   is left are rows.  A task is a stretch of the result's elements, or a tile of rows and columns
   where an operand lies across the rows: it is turned in the tile.  A result larger than the caches
   is written past them, unless it is an input: that saves reading what is overwritten. */
#include "pointwise.h"
#include "half.h"

#define DIMS 64
#define PIECE 512  /* elements that are handled at once where an operand is staged */
#define LONG 48    /* elements from which on a row is a stretch of its own */
#define TILE 64    /* rows and columns of a tile */
#define STREAM (i64)(24 << 20) /* bytes from which on a result bypasses the caches */
#if defined(__SSE2__)
#include <immintrin.h>
#endif

typedef struct {
  const fb_kernel *kernel;
  const fb_number *numbers;
  i64 nd, count, rows, columns, task, tiles_across;
  i64 sizes[DIMS];
  i64 strides[FB_OPERANDS][DIMS]; /* in bytes */
  char *data[FB_OPERANDS];
  i64 is_staged[FB_OPERANDS], is_constant[FB_OPERANDS], is_across[FB_OPERANDS];
  i64 is_any_staged, streams;
} call;

/* ---- the walk ------------------------------------------------------------------------------ */
static int broadcasts(const array *x, const array *out) {
  const int lead = out->nd - x->nd;
  if (lead < 0) return 0;
  for (int d = 0; d < x->nd; ++d)
    if (x->dims[d] != out->dims[lead + d] && x->dims[d] != 1) return 0;
  return 1;
}

static i64 stride_of(const array *x, const array *out, int d) {
  const int at = d - (out->nd - x->nd);
  return at < 0 || x->dims[at] == 1 ? 0 : x->strides[at];
}

static i64 magnitude(i64 a) { return a < 0 ? -a : a; }

/* Dimensions of the result from the outermost in memory on; equal ones stay as they are. */
static void sort_dimensions(const array *out, int *order) {
  for (int d = 0; d < out->nd; ++d) {
    int at = d;
    for (; at && magnitude(out->strides[order[at - 1]]) < magnitude(out->strides[d]); --at)
      order[at] = order[at - 1];
    order[at] = d;
  }
}

static int merges(const call *c, const i64 *steps, i64 size) {
  for (i64 o = 0; o < c->kernel->operands; ++o)
    if (c->strides[o][c->nd - 1] != steps[o] * size) return 0;
  return 1;
}

static int walk(call *c, const array *const *x) {
  const array *out = x[0];
  const i64 operands = c->kernel->operands;
  int order[DIMS];
  if (out->nd > DIMS) return 0;
  for (i64 o = 0; o < operands; ++o) {
    if (!broadcasts(x[o], out)) return 0;
    c->data[o] = x[o]->data;
  }
  sort_dimensions(out, order);
  c->nd = 0, c->count = 1;
  for (int k = 0; k < out->nd; ++k) {
    const i64 size = out->dims[order[k]];
    i64 steps[FB_OPERANDS];
    c->count *= size;
    if (size == 1) continue;
    for (i64 o = 0; o < operands; ++o) steps[o] = stride_of(x[o], out, order[k]);
    if (!steps[0]) return size == 0;
    const int is_same = c->nd && merges(c, steps, size);
    if (!is_same) c->nd++;
    c->sizes[c->nd - 1] = is_same ? c->sizes[c->nd - 1] * size : size;
    for (i64 o = 0; o < operands; ++o) c->strides[o][c->nd - 1] = steps[o];
  }
  if (!c->nd) {
    c->nd = c->sizes[0] = 1;
    for (i64 o = 0; o < operands; ++o) c->strides[o][0] = 0;
  }
  return 1;
}

/* ---- staging ------------------------------------------------------------------------------- */
typedef struct {
  i64 at[DIMS];  /* the position in all dimensions */
  i64 left;      /* elements to the end of the row */
} place;

static place start_at(const call *c, i64 i) {
  place p;
  for (i64 d = c->nd - 1; d >= 0; --d) {
    p.at[d] = i % c->sizes[d];
    i /= c->sizes[d];
  }
  p.left = c->columns - p.at[c->nd - 1];
  return p;
}

static void next_row(const call *c, place *p) {
  i64 d = c->nd - 1;
  p->at[d] = 0;
  while (--d >= 0 && ++p->at[d] == c->sizes[d]) p->at[d] = 0;
  p->left = c->columns;
}

static char *address(const call *c, i64 o, const place *p) {
  char *found = c->data[o];
  for (i64 d = 0; d < c->nd; ++d) found += p->at[d] * c->strides[o][d];
  return found;
}

#define MOVE(type) \
  for (i64 i = 0; i < n; ++i) *(type *)(to + i * to_step) = *(const type *)(from + i * from_step)

static void move(char *to, i64 to_step, const char *from, i64 from_step, i64 n, i64 size) {
  if (to_step == size && from_step == size) memcpy(to, from, (size_t)(n * size));
  else if (size == 4) MOVE(uint32_t);
  else if (size == 8) MOVE(uint64_t);
  else if (size == 2) MOVE(uint16_t);
  else MOVE(uint8_t);
}

static void splat(char *to, const char *from, i64 n, i64 size) {
#define FILL(type) \
  { \
    const type value = *(const type *)from; \
    for (i64 i = 0; i < n; ++i) ((type *)to)[i] = value; \
  }
  if (size == 4) FILL(uint32_t)
  else if (size == 8) FILL(uint64_t)
  else if (size == 2) FILL(uint16_t)
  else FILL(uint8_t)
}

/* Buffers of a task: an element as the kernel sees it has at most 8 bytes. */
typedef struct {
  char data[FB_OPERANDS][PIECE * 8] __attribute__((aligned(64)));
  uint16_t half[PIECE];
  const char *constant[FB_OPERANDS]; /* whose value fills the first `filled` elements */
  i64 filled[FB_OPERANDS];
  char tile[][TILE * TILE * 8]; /* turned operands, for those tasks that have them */
} stage;

/* n elements of an operand from p on, side by side and as the kernel sees them. */
static void gather(const call *c, i64 o, place p, i64 n, stage *s) {
  const i64 size = c->kernel->size[o], code = c->kernel->code[o], step = c->strides[o][c->nd - 1];
  char *to = code ? (char *)s->half : s->data[o];
  const i64 total = n;
  if (c->is_constant[o] || (!step && p.left >= n)) {
    const char *from = address(c, o, &p);
    if (s->constant[o] == from && s->filled[o] >= n) return;
    s->constant[o] = from, s->filled[o] = n;
    splat(to, from, n, size);
  } else {
    s->constant[o] = NULL;
    for (;;) {
      const i64 part = fb_min(n, p.left);
      const char *from = address(c, o, &p);
      if (step) move(to, size, from, step, part, size);
      else splat(to, from, part, size);
      to += part * size;
      if (!(n -= part)) break;
      next_row(c, &p);
    }
  }
  if (code) widen((f32 *)s->data[o], s->half, total, code);
}

static void scatter(const call *c, place p, i64 n, stage *s) {
  const i64 size = c->kernel->size[0], code = c->kernel->code[0], step = c->strides[0][c->nd - 1];
  if (code) narrow(s->half, (const f32 *)s->data[0], n, code);
  const char *from = code ? (const char *)s->half : s->data[0];
  for (;;) {
    const i64 part = fb_min(n, p.left);
    move(address(c, 0, &p), step, from, size, part, size);
    from += part * size;
    if (!(n -= part)) break;
    next_row(c, &p);
  }
}

static void stream(char *to, const char *from, i64 bytes) {
#if defined(__SSE2__)
  const i64 head = fb_min(bytes, -(intptr_t)to & 63);
  memcpy(to, from, (size_t)head);
  to += head, from += head, bytes -= head;
  for (; bytes >= 64; to += 64, from += 64, bytes -= 64) {
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)to, _mm512_loadu_si512((const void *)from));
#else
    for (int k = 0; k < 64; k += 16)
      _mm_stream_si128((__m128i *)(to + k), _mm_loadu_si128((const __m128i *)(from + k)));
#endif
  }
#endif
  memcpy(to, from, (size_t)bytes);
}

/* n elements from p on, of one row unless rows are short; row r of a tile, if r is not negative. */
static void piece(const call *c, const place *p, i64 n, i64 is_row, stage *s, i64 r) {
  char *places[FB_OPERANDS];
  const fb_kernel *kernel = c->kernel;
  i64 is_there = 0;
  for (i64 o = kernel->operands - 1; o >= 0; --o) {
    const i64 size = kernel->size[o], code = kernel->code[o];
    if (r >= 0 && c->is_across[o]) {
      char *turned = s->tile[o] + r * TILE * size;
      places[o] = code ? s->data[o] : turned;
      if (code) widen((f32 *)s->data[o], (const uint16_t *)turned, n, code);
      continue;
    }
    /* A row of the operand may lie side by side though the operand as a whole does not. */
    is_there = !c->is_staged[o] || (is_row && !code && c->strides[o][c->nd - 1] == size);
    places[o] = is_there ? address(c, o, p) : s->data[o];
    if (o && !is_there) gather(c, o, *p, n, s);
  }
  char *out = places[0];
  if (c->streams) places[0] = s->data[0];
  kernel->block(places, n, c->numbers);
  if (c->streams) stream(out, s->data[0], n * kernel->size[0]);
  else if (!is_there) scatter(c, *p, n, s);
}

/* ---- tasks --------------------------------------------------------------------------------- */
static void clear(stage *s) { memset(s->constant, 0, sizeof s->constant); }

static void run_flat(void *context, i64 i) {
  const call *c = context;
  const i64 first = i * c->task, n = fb_min(c->task, c->count - first);
  char *places[FB_OPERANDS];
  for (i64 o = 0; o < c->kernel->operands; ++o)
    places[o] = c->data[o] + first * c->kernel->size[o];
  c->kernel->block(places, n, c->numbers);
}

static void run_stretch(void *context, i64 i) {
  const call *c = context;
  i64 left = fb_min(c->task, c->count - i * c->task);
  const i64 is_row = c->columns >= LONG;
  place p = start_at(c, i * c->task);
  stage s;
  clear(&s);
  while (left) {
    i64 n = fb_min(left, PIECE);
    if (is_row) n = fb_min(n, p.left);
    piece(c, &p, n, is_row, &s, -1);
    left -= n;
    for (i64 rest = n; rest;) {
      const i64 part = fb_min(rest, p.left);
      rest -= part, p.left -= part, p.at[c->nd - 1] += part;
      if (!p.left) next_row(c, &p);
    }
  }
}

#define TURN(type) \
  for (i64 j = 0; j < columns; ++j) { \
    const char *line = from + j * across; \
    for (i64 r = 0; r < rows; ++r) ((type *)to)[r * TILE + j] = *(const type *)(line + r * along); \
  }

/* A tile of an operand, whose elements lie closer together from row to row than in a row. */
static void turn(char *to, const char *from, i64 rows, i64 columns, i64 along, i64 across,
                 i64 size) {
  if (size == 4) TURN(uint32_t)
  else if (size == 8) TURN(uint64_t)
  else if (size == 2) TURN(uint16_t)
  else TURN(uint8_t)
}

/* Tiles are counted along the columns, then along the rows of the last two dimensions. */
static void run_tile(void *context, i64 i) {
  const call *c = context;
  const i64 last = c->nd - 1, down = fb_ceil(c->sizes[last - 1], TILE);
  const i64 column = i % c->tiles_across * TILE, row = i / c->tiles_across % down * TILE;
  const i64 n = fb_min(TILE, c->columns - column);
  const i64 rows = fb_min(TILE, c->sizes[last - 1] - row);
  place p = start_at(c, i / c->tiles_across / down * c->sizes[last - 1] * c->columns);
  char memory[sizeof(stage) + FB_OPERANDS * TILE * TILE * 8] __attribute__((aligned(64)));
  stage *s = (stage *)memory;
  clear(s);
  p.at[last] = column, p.at[last - 1] = row, p.left = c->columns - column;
  for (i64 o = 1; o < c->kernel->operands; ++o)
    if (c->is_across[o])
      turn(s->tile[o], address(c, o, &p), rows, n, c->strides[o][last - 1], c->strides[o][last],
           c->kernel->size[o]);
  for (i64 r = 0; r < rows; ++r, ++p.at[last - 1]) piece(c, &p, n, 1, s, r);
}

/* Whether an operand lies across long rows. */
static i64 lies_across(call *c) {
  i64 any = 0;
  for (i64 o = 0; o < c->kernel->operands; ++o) {
    const i64 *steps = c->strides[o] + c->nd - 2;
    c->is_across[o] = o && c->nd > 1 && c->columns >= LONG && c->sizes[c->nd - 2] >= 8 &&
        magnitude(steps[1]) > magnitude(steps[0]) && steps[0];
    any |= c->is_across[o];
  }
  return any;
}

/* Which operands do not lie in memory as the result's elements are counted, or have one element. */
static void look(call *c) {
  c->is_any_staged = 0;
  for (i64 o = 0; o < c->kernel->operands; ++o) {
    i64 step = c->kernel->size[o], is_flat = !c->kernel->code[o], is_constant = 1;
    for (i64 d = c->nd - 1; d >= 0; step *= c->sizes[d--]) {
      is_flat &= c->strides[o][d] == step || c->sizes[d] == 1;
      is_constant &= !c->strides[o][d];
    }
    c->is_staged[o] = !is_flat, c->is_constant[o] = is_constant;
    c->is_any_staged |= !is_flat;
  }
  const i64 inner = c->strides[0][c->nd - 1];
  c->streams = c->count * c->kernel->size[0] >= STREAM && !c->kernel->code[0] &&
      (!c->is_staged[0] || (inner == c->kernel->size[0] && c->columns >= LONG));
  for (i64 o = 1; o < c->kernel->operands; ++o) c->streams &= c->data[o] != c->data[0];
}

/* The bytes from the first to the last element of an operand. */
static void extent(const call *c, i64 o, const char **low, const char **high) {
  *low = *high = c->data[o];
  for (i64 d = 0; d < c->nd; ++d) {
    const i64 reach = (c->sizes[d] - 1) * c->strides[o][d];
    if (reach < 0) *low += reach;
    else *high += reach;
  }
  *high += c->kernel->size[o];
}

/* Whether the result shares memory with an input that it is not. */
static int overlaps(const call *c) {
  const char *low, *high, *first, *last;
  extent(c, 0, &low, &high);
  for (i64 o = 1; o < c->kernel->operands; ++o) {
    extent(c, o, &first, &last);
    int is_same = c->data[o] == c->data[0] && c->kernel->size[o] == c->kernel->size[0];
    for (i64 d = 0; d < c->nd; ++d) is_same &= c->strides[o][d] == c->strides[0][d];
    if (!is_same && first < high && low < last) return 1;
  }
  return 0;
}

i64 pointwise(const fb_kernel *kernel, const array *const *x, const fb_number *numbers) {
  call c;
  c.kernel = kernel, c.numbers = numbers;
  if (!walk(&c, x)) return 0;
  if (!c.count) return 1;
  if (overlaps(&c)) return 0;
  c.columns = c.sizes[c.nd - 1], c.rows = c.count / c.columns, c.task = kernel->task;
  look(&c);
  if (lies_across(&c)) {
    const i64 down = fb_ceil(c.sizes[c.nd - 2], TILE);
    c.tiles_across = fb_ceil(c.columns, TILE);
    fb_parallel(run_tile, &c, c.tiles_across * down * (c.rows / c.sizes[c.nd - 2]));
  } else {
    fb_parallel(c.is_any_staged || c.streams ? run_stretch : run_flat, &c,
                fb_ceil(c.count, c.task));
  }
  return 1;
}

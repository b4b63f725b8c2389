/* Walks the operands of a formula together: see pointwise.h.

   Dimensions are sorted by the result's strides and merged where all operands go on evenly.  What
   is left are rows.  A task is a stretch of the result's elements, or a tile of rows and columns
   where an operand lies across the rows: it is turned in the tile.  A result larger than the caches
   is written past them, unless it is an input: that saves reading what is overwritten. */
#include "pointwise.h"
#include "half.h"

#define DIMS 64
#define PIECE 1024 /* elements that are handled at once where an operand is staged */
#define LONG 48    /* elements from which on a row is worth being handled on its own */
#define SHORT 256  /* elements up to which several rows are handled at once, if that needs no copy */
#define TILE 64    /* rows and columns of a tile */
#define STREAM (i64)(24 << 20) /* bytes from which on a result bypasses the caches */
#if defined(__SSE2__)
#include <immintrin.h>
#define in_order() _mm_sfence() /* what bypassed the caches is there before what is written later */
#else
#define in_order() ((void)0)
#endif

/* Copies for each caller would double the compiler's work. */
#define ONCE static __attribute__((noinline))

/* How an operand lies where elements are counted along the result's memory. */
enum {
  FLAT,     /* side by side */
  CONSTANT, /* one element */
  PERIODIC, /* the same row again and again */
  ROWS,     /* side by side within a row */
  SPREAD,   /* one element per row */
  LOOSE     /* any other way, or of 16-bit floats */
};

typedef struct {
  const fb_kernel *kernel;
  const fb_number *numbers;
  i64 nd, count, columns, task, by_rows, streams, is_plain;
  i64 tiles_across, tile_rows, is_narrow;
  i64 sizes[DIMS];
  i64 strides[FB_OPERANDS][DIMS]; /* in bytes */
  i64 steps[FB_OPERANDS][DIMS];   /* from the start of a row to that of the next, by the
                                     dimension that counts on */
  char *data[FB_OPERANDS];
  i64 lie[FB_OPERANDS], is_across[FB_OPERANDS];
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

static void find_steps(call *c) {
  for (i64 o = 0; o < c->kernel->operands; ++o) {
    i64 back = 0;
    for (i64 d = c->nd - 2; d >= 0; --d) {
      c->steps[o][d] = c->strides[o][d] - back;
      back += (c->sizes[d] - 1) * c->strides[o][d];
    }
  }
}

static i64 how_it_lies(const call *c, i64 o) {
  const i64 size = c->kernel->size[o], inner = c->strides[o][c->nd - 1];
  i64 step = size, is_flat = 1, is_periodic = 1;
  for (i64 d = c->nd - 1; d >= 0; step *= c->sizes[d--]) {
    is_flat &= c->strides[o][d] == step || c->sizes[d] == 1;
    if (d < c->nd - 1) is_periodic &= !c->strides[o][d];
  }
  if (is_periodic && !inner && c->count > 1) return CONSTANT;
  if (is_flat && !c->kernel->code[o]) return FLAT;
  if (is_periodic && c->nd > 1) return PERIODIC;
  if (!inner) return SPREAD;
  return inner == size && !c->kernel->code[o] ? ROWS : LOOSE;
}

/* ---- places -------------------------------------------------------------------------------- */
typedef struct {
  i64 at[DIMS];           /* the row, in all dimensions but the last */
  i64 column;
  char *row[FB_OPERANDS]; /* its start */
} place;

static void start_at(const call *c, i64 i, place *p) {
  p->column = i % c->columns;
  i /= c->columns;
  for (i64 o = 0; o < c->kernel->operands; ++o) p->row[o] = c->data[o];
  for (i64 d = c->nd - 2; d >= 0; --d) {
    p->at[d] = i % c->sizes[d];
    i /= c->sizes[d];
    for (i64 o = 0; o < c->kernel->operands; ++o) p->row[o] += p->at[d] * c->strides[o][d];
  }
}

/* To the start of the next row; of one operand only if its number is given. */
static void next_row(const call *c, place *p, i64 only) {
  i64 d = c->nd - 2;
  p->column = 0;
  while (d >= 0 && ++p->at[d] == c->sizes[d]) p->at[d--] = 0;
  if (d < 0) return;
  if (only >= 0) p->row[only] += c->steps[only][d];
  else
    for (i64 o = 0; o < c->kernel->operands; ++o) p->row[o] += c->steps[o][d];
}

/* ---- staging ------------------------------------------------------------------------------- */
#define MOVE(type) \
  for (i64 i = 0; i < n; ++i) *(type *)(to + i * to_step) = *(const type *)(from + i * from_step)

ONCE void move(char *to, i64 to_step, const char *from, i64 from_step, i64 n, i64 size) {
  if (to_step == size && from_step == size) memcpy(to, from, (size_t)(n * size));
  else if (size == 4) MOVE(uint32_t);
  else if (size == 8) MOVE(uint64_t);
  else if (size == 2) MOVE(uint16_t);
  else MOVE(uint8_t);
}

ONCE void splat(char *to, const char *from, i64 n, i64 size) {
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
  const char *from[FB_OPERANDS]; /* whose elements are the first `filled` ones, where they repeat */
  i64 filled[FB_OPERANDS];
  char tile[][TILE * TILE * 8]; /* turned operands, for those tasks that have them */
} stage;

static void clear(stage *s) { memset(s->from, 0, sizeof s->from); }

/* n elements of an operand from p on, side by side and as the kernel sees them. */
ONCE void gather(const call *c, i64 o, const place *start, i64 n, stage *s) {
  const i64 size = c->kernel->size[o], code = c->kernel->code[o], step = c->strides[o][c->nd - 1];
  const i64 left = c->columns - start->column, lies = c->lie[o];
  char *to = code ? (char *)s->half : s->data[o];
  const char *from = start->row[o] + start->column * step;
  if (lies == CONSTANT || (lies == PERIODIC && !start->column) || (!step && left >= n)) {
    if (s->from[o] == from && s->filled[o] >= n) return;
    s->from[o] = from, s->filled[o] = n;
  } else {
    s->from[o] = NULL;
  }
  if (lies == CONSTANT || (!step && left >= n)) {
    splat(to, from, n, size);
  } else if (left >= n && code && step == size) {
    widen((f32 *)s->data[o], (const uint16_t *)from, n, code);
    return;
  } else if (left >= n) {
    move(to, size, from, step, n, size);
  } else {
    place p = *start;
    for (i64 done = 0; done < n;) {
      const i64 part = fb_min(n - done, c->columns - p.column);
      from = p.row[o] + p.column * step;
      if (step) move(to + done * size, size, from, step, part, size);
      else splat(to + done * size, from, part, size);
      if ((done += part) < n) next_row(c, &p, o);
    }
  }
  if (code) widen((f32 *)s->data[o], s->half, n, code);
}

ONCE void scatter(const call *c, const place *start, i64 n, stage *s) {
  const i64 size = c->kernel->size[0], code = c->kernel->code[0], step = c->strides[0][c->nd - 1];
  const char *from = code ? (const char *)s->half : s->data[0];
  place p = *start;
  if (code && step == size && c->columns - p.column >= n) {
    narrow((uint16_t *)(p.row[0] + p.column * step), (const f32 *)s->data[0], n, code);
    return;
  }
  if (code) narrow(s->half, (const f32 *)s->data[0], n, code);
  for (i64 done = 0; done < n;) {
    const i64 part = fb_min(n - done, c->columns - p.column);
    move(p.row[0] + p.column * step, step, from + done * size, size, part, size);
    if ((done += part) < n) next_row(c, &p, 0);
  }
}

ONCE void stream(char *to, const char *from, i64 bytes) {
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

ONCE void run_block(const call *c, char **places, i64 n, stage *s) {
  char *out = places[0];
  if (c->streams) places[0] = s->data[0];
  c->kernel->block(places, n, c->numbers);
  if (c->streams) stream(out, s->data[0], n * c->kernel->size[0]);
}

/* n elements from p on, of one row unless all that lies in rows lies side by side. */
ONCE void piece(const call *c, const place *p, i64 n, stage *s) {
  const fb_kernel *kernel = c->kernel;
  char *places[FB_OPERANDS];
  int is_there = 0;
  for (i64 o = kernel->operands - 1; o >= 0; --o) {
    const i64 lies = c->lie[o], size = kernel->size[o];
    is_there = lies == FLAT ||
        (c->by_rows && (lies == ROWS || (lies == PERIODIC && !kernel->code[o] &&
                                         c->strides[o][c->nd - 1] == size)));
    places[o] = is_there ? p->row[o] + p->column * size : s->data[o];
    if (o && !is_there) gather(c, o, p, n, s);
  }
  run_block(c, places, n, s);
  if (!is_there) scatter(c, p, n, s);
}

/* ---- tasks --------------------------------------------------------------------------------- */
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
  const i64 most = c->by_rows || c->columns > PIECE ? PIECE : PIECE / c->columns * c->columns;
  i64 left = fb_min(c->task, c->count - i * c->task);
  place p;
  stage s;
  clear(&s);
  start_at(c, i * c->task, &p);
  while (left) {
    i64 n = fb_min(left, most);
    if (c->by_rows) n = fb_min(n, c->columns - p.column);
    piece(c, &p, n, &s);
    left -= n;
    for (n += p.column; n >= c->columns; n -= c->columns) next_row(c, &p, -1);
    p.column = n;
  }
  if (c->streams) in_order();
}

#define TURN(type) \
  for (i64 j = 0; j < columns; ++j) { \
    const char *line = from + j * across; \
    for (i64 r = 0; r < rows; ++r) \
      ((type *)to)[r * columns + j] = *(const type *)(line + r * along); \
  }

/* A tile of an operand, whose elements lie closer together from row to row than in a row. */
ONCE void turn(char *to, const char *from, i64 rows, i64 columns, i64 along, i64 across,
                 i64 size) {
#if defined(__SSE2__)
  if (size == 4 && along == 4 && rows % 4 == 0 && columns % 4 == 0) {
    for (i64 j = 0; j < columns; j += 4)
      for (i64 r = 0; r < rows; r += 4) {
        const char *line = from + j * across + r * 4;
        float *target = (float *)to + r * columns + j;
        __m128 a = _mm_loadu_ps((const float *)line);
        __m128 b = _mm_loadu_ps((const float *)(line + across));
        __m128 c = _mm_loadu_ps((const float *)(line + 2 * across));
        __m128 d = _mm_loadu_ps((const float *)(line + 3 * across));
        _MM_TRANSPOSE4_PS(a, b, c, d);
        _mm_storeu_ps(target, a);
        _mm_storeu_ps(target + columns, b);
        _mm_storeu_ps(target + 2 * columns, c);
        _mm_storeu_ps(target + 3 * columns, d);
      }
    return;
  }
#endif
  if (size == 4) TURN(uint32_t)
  else if (size == 8) TURN(uint64_t)
  else if (size == 2) TURN(uint16_t)
  else TURN(uint8_t)
}

/* Tiles are counted along the columns, then along the rows of the last two dimensions. */
static void run_tile(void *context, i64 i) {
  const call *c = context;
  const fb_kernel *kernel = c->kernel;
  const i64 last = c->nd - 1, high = c->sizes[last - 1], down = fb_ceil(high, c->tile_rows);
  const i64 column = i % c->tiles_across * TILE, top = i / c->tiles_across % down * c->tile_rows;
  const i64 n = fb_min(TILE, c->columns - column), rows = fb_min(c->tile_rows, high - top);
  char memory[sizeof(stage) + FB_OPERANDS * TILE * TILE * 8] __attribute__((aligned(64)));
  stage *s = (stage *)memory;
  place p;
  clear(s);
  start_at(c, (i / c->tiles_across / down * high + top) * c->columns, &p);
  p.column = column;
  for (i64 o = 1; o < kernel->operands; ++o)
    if (c->is_across[o])
      turn(s->tile[o], p.row[o] + column * c->strides[o][last], rows, n, c->strides[o][last - 1],
           c->strides[o][last], kernel->size[o]);
  if (c->is_narrow) { /* whole rows, which lie side by side */
    char *places[FB_OPERANDS];
    for (i64 o = 0; o < kernel->operands; ++o) places[o] = c->is_across[o] ? s->tile[o] : p.row[o];
    kernel->block(places, rows * n, c->numbers);
    return;
  }
  for (i64 r = 0; r < rows; ++r) {
    char *places[FB_OPERANDS];
    int is_there = 0;
    for (i64 o = kernel->operands - 1; o >= 0; --o) {
      const i64 size = kernel->size[o], code = kernel->code[o];
      char *turned = s->tile[o] + r * n * size;
      is_there = !code && c->strides[o][last] == size;
      places[o] = is_there ? p.row[o] + column * size : code || !c->is_across[o] ? s->data[o]
                                                                                  : turned;
      if (c->is_across[o] && code) widen((f32 *)s->data[o], (const uint16_t *)turned, n, code);
      else if (o && !is_there && !c->is_across[o]) gather(c, o, &p, n, s);
    }
    run_block(c, places, n, s);
    if (!is_there) scatter(c, &p, n, s);
    for (i64 o = 0; o < kernel->operands; ++o) p.row[o] += c->strides[o][last - 1];
  }
  if (c->streams) in_order();
}

/* ---- the choice of tasks -------------------------------------------------------------------- */
/* Whether an operand lies across the rows, which are long or, in all others, side by side. */
static i64 lies_across(call *c) {
  i64 any = 0, is_flat = 1;
  for (i64 o = 0; o < c->kernel->operands; ++o) {
    const i64 *steps = c->strides[o] + c->nd - 2;
    c->is_across[o] = o && c->nd > 1 && c->sizes[c->nd - 2] >= 8 &&
        magnitude(steps[1]) > magnitude(steps[0]) && steps[0];
    any |= c->is_across[o];
    is_flat &= c->lie[o] == FLAT || (c->is_across[o] && !c->kernel->code[o]);
  }
  c->is_narrow = is_flat && c->columns < TILE;
  c->tile_rows = c->is_narrow ? TILE * TILE / c->columns / 4 * 4 : TILE;
  return any && (c->is_narrow || c->columns >= LONG);
}

static void look(call *c) {
  i64 has_rows = 0, inner = c->strides[0][c->nd - 1];
  c->is_plain = 1;
  for (i64 o = 0; o < c->kernel->operands; ++o) {
    const i64 lies = c->lie[o] = how_it_lies(c, o);
    c->is_plain &= lies == FLAT;
    has_rows |= lies == ROWS || lies == LOOSE;
  }
  c->by_rows = c->columns >= (has_rows ? LONG : SHORT);
  c->streams = c->count * c->kernel->size[0] >= STREAM && !c->kernel->code[0] &&
      (c->lie[0] == FLAT || (inner == c->kernel->size[0] && c->by_rows));
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
  c.columns = c.sizes[c.nd - 1], c.task = kernel->task;
  look(&c);
  if (c.is_plain && !c.streams) {
    fb_parallel(run_flat, &c, fb_ceil(c.count, c.task));
    return 1;
  }
  find_steps(&c);
  if (lies_across(&c)) {
    const i64 high = c.sizes[c.nd - 2];
    c.tiles_across = fb_ceil(c.columns, TILE), c.by_rows = 1;
    fb_parallel(run_tile, &c,
                c.tiles_across * fb_ceil(high, c.tile_rows) * (c.count / c.columns / high));
    return 1;
  }
  if (!c.by_rows) c.task = fb_max(1, c.task / c.columns) * c.columns; /* whole rows */
  fb_parallel(run_stretch, &c, fb_ceil(c.count, c.task));
  return 1;
}

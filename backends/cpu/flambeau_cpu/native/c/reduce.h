/* Reductions of a strided array: how they are cut into tasks.

   The dimensions are sorted by stride and merged.  If the innermost one is reduced, a kernel folds
   contiguous elements ("row"); if it is kept, it folds rows element by element ("columns").  All
   other dimensions are walked.  Large reductions are cut into pieces whose size depends on the
   shape alone, and the pieces are combined in pairs, so sums are pairwise. */
#pragma once
#include "flambeau.h"
#include <stdlib.h>
#include <string.h>

#define DEPTH 32        /* most dimensions of an array */
#define STRIP 2048      /* most columns of a task */
#define BLOCK 128       /* rows that are folded before they are added to the others */
#define PIECE (1 << 16) /* elements of a task, about */
#define WIDEST 32       /* bytes of the largest accumulator */

typedef struct {
  i64 elements;   /* from how many elements each result is made */
  f64 divisor;    /* of the sum, or the correction of a variance */
  i64 root;       /* whether the square root is taken */
} finish;

/* What a reduction does.  Accumulators are opaque; `base` is the place of the first element along
   the reduced dimension, for those that look for places. */
typedef struct {
  i64 item, accumulator; /* bytes */
  int folds;             /* whether the order of the elements does not matter */
  void (*start)(void *acc, i64 n);
  void (*row)(void *acc, const void *x, i64 n, i64 base);
  void (*columns)(void *acc, const void *x, i64 rows, i64 stride, i64 width, i64 base);
  void (*combine)(void *acc, const void *other, i64 n);
  void (*store)(void *out, void *second, i64 at, i64 step, const void *acc, i64 n,
                const finish *f);
} reduction;

typedef struct {
  i64 size, x, out; /* strides in elements */
} axis;

typedef struct {
  axis axes[DEPTH];
  int count;
} axes;

typedef struct {
  const reduction *op;
  finish end;
  const char *x;
  char *out, *second, *parts;
  axes kept, reduced; /* without the innermost one */
  axis inner;
  i64 outputs, rows;           /* products of their sizes */
  i64 group, pieces, per_piece, row_pieces, row_piece, strips, strip;
} reducing;

/* ---- the dimensions ---------------------------------------------------------------------- */
static void push(axes *to, axis a) {
  if (to->count) {
    axis *last = &to->axes[to->count - 1];
    if (last->x == a.x * a.size && last->out == a.out * a.size) {
      last->size *= a.size, last->x = a.x, last->out = a.out;
      return;
    }
  }
  to->axes[to->count++] = a;
}

/* Offset of an index in the walk over some axes, of x and of the output. */
static axis offset_of(const axes *a, i64 index) {
  axis at = {0, 0, 0};
  for (int d = a->count - 1; d >= 0; --d) {
    const i64 i = d ? index % a->axes[d].size : index;
    at.x += i * a->axes[d].x, at.out += i * a->axes[d].out;
    if (d) index /= a->axes[d].size;
  }
  return at;
}

static i64 product(const axes *a) {
  i64 n = 1;
  for (int d = 0; d < a->count; ++d) n *= a->axes[d].size;
  return n;
}

/* Sorts and merges the dimensions of x; those in the mask are reduced.  0 if the innermost one is
   not contiguous or one is repeated. */
static int arrange(reducing *r, const array *x, i64 mask) {
  axis all[DEPTH];
  int is_reduced[DEPTH], n = 0;
  i64 out = 1;
  if (x->nd > DEPTH) return 0;
  for (int d = x->nd - 1; d >= 0; --d) {
    const int reduce = mask >> d & 1;
    if (x->dims[d] != 1) {
      if (x->strides[d] <= 0 || x->strides[d] % r->op->item) return 0;
      axis a = {x->dims[d], x->strides[d] / r->op->item, reduce ? 0 : out};
      int at = n++;
      for (; at && all[at - 1].x < a.x; --at)
        all[at] = all[at - 1], is_reduced[at] = is_reduced[at - 1];
      all[at] = a, is_reduced[at] = reduce;
    }
    if (!reduce) out *= x->dims[d];
  }
  axis inner = {1, 1, 0};
  int inner_is_reduced = 1, left = n;
  if (n) {
    inner = all[--left], inner_is_reduced = is_reduced[left];
    if (inner.x != 1) return 0;
    while (left && is_reduced[left - 1] == inner_is_reduced &&
           all[left - 1].x == inner.size && all[left - 1].out == inner.out * inner.size)
      inner.size *= all[--left].size;
  }
  r->kept.count = r->reduced.count = 0;
  for (int d = 0; d < left; ++d) push(is_reduced[d] ? &r->reduced : &r->kept, all[d]);
  r->inner = inner;
  r->outputs = product(&r->kept), r->rows = product(&r->reduced);
  r->end.elements = r->rows * (inner_is_reduced ? inner.size : 1);
  return inner_is_reduced ? 1 : 2;
}

static void combine_in_pairs(const reduction *op, char *parts, i64 count, i64 width) {
  const i64 bytes = op->accumulator * width;
  for (i64 step = 1; step < count; step *= 2)
    for (i64 i = 0; i + step < count; i += 2 * step)
      op->combine(parts + i * bytes, parts + (i + step) * bytes, width);
}

/* ---- rows --------------------------------------------------------------------------------- */
/* Folds some of the rows of an output, in pairs. */
static void fold_rows(const reducing *r, i64 x, i64 first, i64 last, i64 from, i64 n, char *acc) {
  char waiting[48][WIDEST] __attribute__((aligned(16)));
  const reduction *op = r->op;
  int depth = 0;
  for (i64 q = first; q < last; ++q) {
    const i64 at = x + offset_of(&r->reduced, q).x + from;
    op->row(waiting[depth++], r->x + at * op->item, n, from);
    for (i64 k = q - first; k & 1; k >>= 1)
      --depth, op->combine(waiting[depth - 1], waiting[depth], 1);
  }
  while (depth > 1) --depth, op->combine(waiting[depth - 1], waiting[depth], 1);
  if (depth) memcpy(acc, waiting[0], op->accumulator);
  else op->start(acc, 1);
}

static void whole_rows(void *context, i64 task) {
  const reducing *r = context;
  char acc[WIDEST] __attribute__((aligned(16)));
  const i64 last = fb_min(r->outputs, (task + 1) * r->group);
  for (i64 o = task * r->group; o < last; ++o) {
    const axis at = offset_of(&r->kept, o);
    if (r->rows == 1) r->op->row(acc, r->x + at.x * r->op->item, r->inner.size, 0);
    else fold_rows(r, at.x, 0, r->rows, 0, r->inner.size, acc);
    r->op->store(r->out, r->second, at.out, 1, acc, 1, &r->end);
  }
}

static void pieces_of_rows(void *context, i64 task) {
  const reducing *r = context;
  const i64 o = task / r->pieces, piece = task % r->pieces;
  const i64 from = piece % r->row_pieces * r->row_piece;
  const i64 first = piece / r->row_pieces * r->per_piece;
  fold_rows(r, offset_of(&r->kept, o).x, first, fb_min(r->rows, first + r->per_piece), from,
            fb_min(r->row_piece, r->inner.size - from), r->parts + task * r->op->accumulator);
}

/* Some rows of every output, where those of one output are far from each other. */
static void slab_task(void *context, i64 task) {
  const reducing *r = context;
  const reduction *op = r->op;
  const i64 first = task * r->per_piece, last = fb_min(r->rows, first + r->per_piece);
  char row[WIDEST] __attribute__((aligned(16))), *acc = r->parts + task * r->outputs * op->accumulator;
  op->start(acc, r->outputs);
  for (i64 q = first; q < last; ++q) {
    const char *x = r->x + offset_of(&r->reduced, q).x * op->item;
    for (i64 o = 0; o < r->outputs; ++o) {
      op->row(row, x + offset_of(&r->kept, o).x * op->item, r->inner.size, 0);
      op->combine(acc + o * op->accumulator, row, 1);
    }
  }
}

static int reduce_slabs(reducing *r) {
  const i64 slab = r->outputs * r->inner.size;
  r->per_piece = fb_max(1, fb_min(BLOCK, PIECE / slab));
  r->pieces = fb_ceil(r->rows, r->per_piece);
  r->parts = malloc(r->outputs * r->pieces * r->op->accumulator);
  if (!r->parts) return 0;
  fb_parallel(slab_task, r, r->pieces);
  combine_in_pairs(r->op, r->parts, r->pieces, r->outputs);
  for (i64 o = 0; o < r->outputs; ++o)
    r->op->store(r->out, r->second, offset_of(&r->kept, o).out, 1,
                 r->parts + o * r->op->accumulator, 1, &r->end);
  free(r->parts);
  return 1;
}

static int reduce_rows(reducing *r) {
  const i64 n = r->rows * r->inner.size;
  if (r->rows > 1 && r->kept.count && r->reduced.axes[0].x > r->kept.axes[0].x &&
      r->outputs * r->inner.size <= 4 * PIECE)
    return reduce_slabs(r);
  if (n <= 2 * PIECE) {
    r->group = fb_max(1, PIECE / fb_max(n, 1));
    fb_parallel(whole_rows, r, fb_ceil(r->outputs, r->group));
    return 1;
  }
  r->row_pieces = fb_ceil(r->inner.size, fb_max(PIECE, fb_min(4 * PIECE, n / 16)));
  r->row_piece = fb_ceil(fb_ceil(r->inner.size, r->row_pieces), 1024) * 1024;
  r->row_pieces = fb_ceil(r->inner.size, r->row_piece);
  r->per_piece = fb_max(1, PIECE / r->inner.size);
  r->pieces = fb_ceil(r->rows, r->per_piece) * r->row_pieces;
  r->parts = malloc(r->outputs * r->pieces * r->op->accumulator);
  if (!r->parts) return 0;
  fb_parallel(pieces_of_rows, r, r->outputs * r->pieces);
  for (i64 o = 0; o < r->outputs; ++o) {
    char *parts = r->parts + o * r->pieces * r->op->accumulator;
    combine_in_pairs(r->op, parts, r->pieces, 1);
    r->op->store(r->out, r->second, offset_of(&r->kept, o).out, 1, parts, 1, &r->end);
  }
  free(r->parts);
  return 1;
}

/* ---- columns ------------------------------------------------------------------------------ */
/* Folds rows of a strip; narrow ones are taken several at a time, as one wide row. */
static void fold_strip(const reduction *op, char *acc, const char *x, i64 rows, i64 stride,
                       i64 width, i64 base) {
  const i64 together = op->folds && width < 64 && stride == width
    ? fb_max(1, 16 / width) * 16 : 1;
  if (together > 1 && rows >= 2 * together) {
    char wide[1024 * WIDEST] __attribute__((aligned(64)));
    op->start(wide, together * width);
    op->columns(wide, x, rows / together, together * width, together * width, base);
    combine_in_pairs(op, wide, together, width);
    op->combine(acc, wide, width);
    x += rows / together * together * stride * op->item, rows %= together;
  }
  op->columns(acc, x, rows, stride, width, base);
}

/* Folds the rows from first to last of a strip into accumulators that have been started. */
static void fold_columns(const reducing *r, i64 x, i64 first, i64 last, i64 width, char *acc) {
  const axis *run = r->reduced.count ? &r->reduced.axes[r->reduced.count - 1] : NULL;
  for (i64 q = first; q < last;) {
    const i64 left = run ? run->size - q % run->size : 1, rows = fb_min(last - q, left);
    const i64 at = x + offset_of(&r->reduced, q).x;
    fold_strip(r->op, acc, r->x + at * r->op->item, rows, run ? run->x : 0, width, q);
    q += rows;
  }
}

static void columns_task(void *context, i64 task) {
  const reducing *r = context;
  char acc[STRIP * WIDEST] __attribute__((aligned(64)));
  const reduction *op = r->op;
  const i64 from = task % r->strips * r->strip, width = fb_min(r->strip, r->inner.size - from);
  const i64 piece = task / r->strips % r->pieces, group = task / r->strips / r->pieces;
  const i64 first = piece * r->per_piece, last = fb_min(r->rows, first + r->per_piece);
  for (i64 o = group * r->group; o < fb_min(r->outputs, (group + 1) * r->group); ++o) {
    const axis at = offset_of(&r->kept, o);
    char *to = r->parts
      ? r->parts + ((o * r->pieces + piece) * r->inner.size + from) * op->accumulator : acc;
    op->start(to, width);
    fold_columns(r, at.x + from, first, last, width, to);
    if (!r->parts)
      op->store(r->out, r->second, at.out + from * r->inner.out, r->inner.out, to, width, &r->end);
  }
}

static int reduce_columns(reducing *r) {
  const i64 width = r->inner.size;
  r->strips = fb_ceil(width, STRIP);
  r->strip = fb_ceil(fb_ceil(width, r->strips), 64) * 64;
  r->strips = fb_ceil(width, r->strip);
  const i64 wide = fb_min(r->strip, width);
  r->per_piece = fb_ceil(fb_max(BLOCK, 2 * PIECE / wide), BLOCK) * BLOCK;
  r->pieces = r->rows > r->per_piece + r->per_piece / 2 ? fb_ceil(r->rows, r->per_piece) : 1;
  r->group = 1, r->parts = NULL;
  if (r->pieces == 1) {
    r->per_piece = r->rows;
    if (r->strips == 1) r->group = fb_max(1, PIECE / fb_max(1, r->rows * width));
  } else if (!(r->parts = malloc(r->outputs * r->pieces * width * r->op->accumulator))) {
    return 0;
  }
  fb_parallel(columns_task, r, fb_ceil(r->outputs, r->group) * r->pieces * r->strips);
  if (!r->parts) return 1;
  for (i64 o = 0; o < r->outputs; ++o) {
    char *parts = r->parts + o * r->pieces * width * r->op->accumulator;
    combine_in_pairs(r->op, parts, r->pieces, width);
    r->op->store(r->out, r->second, offset_of(&r->kept, o).out, r->inner.out, parts, width,
                 &r->end);
  }
  free(r->parts);
  return 1;
}

/* Reduces the dimensions of x that the mask names into a row-major out (and second).  Returns
   whether it did; what it does not do has strides that it cannot walk. */
static i64 run_reduction(const reduction *op, const array *x, array *out, array *second, i64 mask,
                         f64 divisor, i64 root) {
  reducing r;
  r.op = op, r.x = x->data, r.out = out->data, r.second = second ? second->data : NULL;
  r.end.divisor = divisor, r.end.root = root;
  if (size_of(out) == 0) return 1;
  if (size_of(x) == 0) return 0;
  const int form = arrange(&r, x, mask);
  if (!op->folds && r.reduced.count > (form == 2)) return 0; /* places count along one axis */
  return form == 0 ? 0 : form == 1 ? reduce_rows(&r) : reduce_columns(&r);
}

/* ---- for tables of reductions that have one result ------------------------------------------ */
#define STORE(name, A, O, expression) \
  static void put_##name(void *out, void *second, i64 at, i64 step, const void *acc, i64 n, \
                           const finish *f) { \
    for (i64 i = 0; i < n; ++i) { \
      const A a = ((const A *)acc)[i]; \
      ((O *)out)[at + i * step] = expression; \
    } \
  }
/* The row of a table for a kernel of elements X and accumulators A. */
#define TABLE_ROW(name, X, A, base, store) \
  {sizeof(X), sizeof(A), 1, base##_start, name##_row, name##_columns, base##_combine, \
   put_##store}

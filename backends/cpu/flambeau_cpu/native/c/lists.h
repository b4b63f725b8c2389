/* Lists of arrays as CPython keeps them, taken as one long vector. */
#pragma once
#include "flambeau.h"
#include <stdlib.h>

typedef struct {
  char head[HEAD];
  i64 size;
  const void **items;
} list;

/* PyArrayObject as far as the element type. */
typedef struct {
  array a;
  void *base;
  void *descr;
} typed_array;

#define MOST_LISTS 5
#define CHUNK 16384 /* elements of a task */

/* Equally long lists of arrays; those at one position have one shape. */
typedef struct {
  const list *of[MOST_LISTS];
  int kinds;
  i64 count;
  i64 *ends; /* how many elements the arrays have up to each position */
} group;

static inline const array *array_at(const group *g, int kind, i64 at) {
  return g->of[kind]->items[at];
}

static const void *array_type; /* NumPy's: its scalars are laid out differently */

/* Whether an object is an array of a type. */
static inline int is_array(const void *object, const void *descr) {
  return type_of(object) == array_type && ((const typed_array *)object)->descr == descr;
}

/* Whether two arrays are of one shape. */
static inline int alike(const array *a, const array *b) {
  if (a->nd != b->nd) return 0;
  for (int d = 0; d < a->nd; ++d)
    if (a->dims[d] != b->dims[d]) return 0;
  return 1;
}

static inline void group_close(group *g) { free(g->ends); }

/* Fills in a group whose lists are set; 0 if they do not fit together. */
static inline int group_open(group *g) {
  g->count = g->of[0]->size;
  for (int k = 0; k < g->kinds; ++k)
    if (g->of[k]->size != g->count) return 0;
  if (g->count && type_of(array_at(g, 0, 0)) != array_type) return 0;
  i64 *ends = malloc((size_t)(g->count + 1) * sizeof *ends), total = 0;
  int fits = ends != NULL;
  for (i64 i = 0; fits && i < g->count; ++i) {
    const array *first = array_at(g, 0, i);
    const void *descr = ((const typed_array *)array_at(g, 0, 0))->descr;
    fits = is_array(first, descr);
    for (int k = 1; fits && k < g->kinds; ++k)
      fits = is_array(array_at(g, k, i), descr) && alike(first, array_at(g, k, i));
    if (fits) ends[i] = total += size_of(first);
  }
  if (!fits) return free(ends), 0;
  g->ends = ends;
  return 1;
}

static inline i64 group_total(const group *g) { return g->count ? g->ends[g->count - 1] : 0; }

/* The first position whose elements end behind one of the whole group's. */
static inline i64 position_of(const group *g, i64 element) {
  i64 low = 0, high = g->count;
  while (low < high) {
    const i64 middle = (low + high) / 2;
    if (g->ends[middle] > element) high = middle;
    else low = middle + 1;
  }
  return low;
}

/* Whether the arrays at a position have the same strides and no gaps. */
static inline int is_flat(const group *g, i64 at, i64 itemsize) {
  const array *first = array_at(g, 0, at);
  i64 span = itemsize;
  for (int d = 0; d < first->nd; ++d) {
    if (first->dims[d] == 1) continue;
    if (first->strides[d] <= 0) return 0;
    span += (first->dims[d] - 1) * first->strides[d];
    for (int k = 1; k < g->kinds; ++k)
      if (array_at(g, k, at)->strides[d] != first->strides[d]) return 0;
  }
  return span == size_of(first) * itemsize;
}

/* Memory of a task, handed out from its start in whole lines. */
#pragma once
#include "flambeau.h"
#include <stdlib.h>

#define WORKSPACE_PARTS 32 /* at most; each may waste a line */

typedef struct {
  char *all, *next;
} workspace;

static inline workspace workspace_of(size_t bytes) {
  char *all = malloc(bytes + (WORKSPACE_PARTS + 1) * 64);
  if (!all) abort();
  return (workspace){all, (char *)(((uintptr_t)all + 63) & ~(uintptr_t)63)};
}
static inline void *take(workspace *s, size_t bytes) {
  void *found = s->next;
  s->next += (bytes + 63) & ~(size_t)63;
  return found;
}

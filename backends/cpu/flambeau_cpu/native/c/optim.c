/* Steps of optimizers over whole lists of parameters: one pass over the memory of each.

   Every operation is rounded by itself, in the order that kernels/optim.py has. */
#include "lists.h"

#define T f32
#define NAME(name) name##_f32
#define SQRT __builtin_sqrtf
#include "optim_steps.h"
#undef T
#undef NAME
#undef SQRT

#define T f64
#define NAME(name) name##_f64
#define SQRT __builtin_sqrt
#include "optim_steps.h"

/* Takes the type of arrays from a list of two, and says what is read of it. */
void look_at_list(const list *x, i64 *seen) {
  array_type = type_of(x->items[0]);
  seen[0] = x->size;
  for (i64 i = 0; i < 2; ++i) seen[1 + i] = (i64)(intptr_t)x->items[i];
  seen[3] = (i64)(intptr_t)((const typed_array *)x->items[0])->descr;
}

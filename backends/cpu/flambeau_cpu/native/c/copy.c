/* Copies and fills of elements of any dtype: only their size matters. */
#include "pointwise.h"
#include <string.h>

#define TASK 65536

static void copied(char *const *places, i64 n, const fb_number *numbers) {
  memcpy(places[0], places[1], (size_t)(n * numbers->i));
}

i64 copy(fb_engine engine, const array *out, const array *x, i64 size) {
  const array *const operands[] = {out, x};
  const fb_kernel kernel = {copied, 2, {0}, {size, size}, TASK};
  const fb_number number = {.i = size};
  return engine(&kernel, operands, &number);
}

#define FILLED(type, name) \
  static void name(char *const *places, i64 n, const fb_number *numbers) { \
    const type value = (type)numbers->i; \
    type *to = (type *)places[0]; \
    for (i64 i = 0; i < n; ++i) to[i] = value; \
  }
FILLED(uint8_t, filled_1)
FILLED(uint16_t, filled_2)
FILLED(uint32_t, filled_4)
FILLED(uint64_t, filled_8)

/* `bits` are those of an element. */
i64 fill(fb_engine engine, const array *out, i64 size, i64 bits) {
  const fb_block block = size == 1 ? filled_1 : size == 2 ? filled_2 : size == 4 ? filled_4
                                                                                 : filled_8;
  const fb_kernel kernel = {block, 1, {0}, {size}, TASK};
  const fb_number number = {.i = bits};
  return engine(&kernel, &out, &number);
}

/* Copies and fills of elements of any dtype: only their size matters. */
#include "pointwise.h"
#include "half.h"

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

/* Between f32 and f16. */
static void narrowed(char *const *places, i64 n, const fb_number *numbers) {
  narrow((uint16_t *)places[0], (const f32 *)places[1], n, OF_F16);
}
static void widened(char *const *places, i64 n, const fb_number *numbers) {
  widen((f32 *)places[0], (const uint16_t *)places[1], n, OF_F16);
}

i64 copy_narrowed(fb_engine engine, const array *out, const array *x) {
  static const fb_kernel kernel = {narrowed, 2, {0}, {2, 4}, TASK};
  const array *const operands[] = {out, x};
  return engine(&kernel, operands, NULL);
}
i64 copy_widened(fb_engine engine, const array *out, const array *x) {
  static const fb_kernel kernel = {widened, 2, {0}, {4, 2}, TASK};
  const array *const operands[] = {out, x};
  return engine(&kernel, operands, NULL);
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

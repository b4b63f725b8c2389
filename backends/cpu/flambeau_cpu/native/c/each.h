/* Statements for every vector of some elements, in a template for T (lanes.h), the rest of less than
   a vector included. */
#pragma once
#define LOAD(p, lanes) ((lanes) == W ? L(load)(p) : L(load_part)(p, lanes, 0))
#define STORE(p, lanes, x) \
  do { \
    if ((lanes) == W) L(store)(p, x); \
    else L(store_part)(p, lanes, x); \
  } while (0)
/* For i from 0 to n: `lanes` is a constant but for the last one. */
#define EACH(i, n, ...) \
  do { \
    i64 i = 0; \
    for (; i + W <= (n); i += W) { enum { lanes = VBYTES / sizeof(T) }; __VA_ARGS__ } \
    if (i < (n)) { const i64 lanes = (n) - i; __VA_ARGS__ } \
  } while (0)

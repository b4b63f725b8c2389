/* The Mersenne Twister whose state NumPy holds, and uniform numbers of its words. */
#pragma once
#include "half.h"

#define WORDS 624
#define CHUNK 1024 /* elements made at a time */

typedef struct { /* NumPy's mt19937_state */
  uint32_t key[WORDS];
  int position;
} twister;

/* ---- words (Matsumoto and Nishimura, 1998) -------------------------------------------------- */
static inline uint32_t twisted(uint32_t this, uint32_t next, uint32_t far) {
  const uint32_t y = (this & 0x80000000u) | (next & 0x7fffffffu);
  return far ^ (y >> 1) ^ (-(y & 1) & 0x9908b0dfu);
}

static void twist(twister *t) {
  uint32_t *k = t->key;
  int i = 0;
  for (; i < WORDS - 397; ++i) k[i] = twisted(k[i], k[i + 1], k[i + 397]);
  for (; i < WORDS - 1; ++i) k[i] = twisted(k[i], k[i + 1], k[i + 397 - WORDS]);
  k[i] = twisted(k[i], k[0], k[396]);
  t->position = 0;
}

static void draw(twister *t, uint32_t *restrict to, i64 n) {
  while (n > 0) {
    if (t->position == WORDS) twist(t);
    const i64 m = fb_min(n, WORDS - t->position);
    const uint32_t *restrict from = t->key + t->position;
    for (i64 i = 0; i < m; ++i) {
      uint32_t y = from[i];
      y ^= y >> 11, y ^= (y << 7) & 0x9d2c5680u, y ^= (y << 15) & 0xefc60000u;
      to[i] = y ^ (y >> 18);
    }
    t->position += (int)m, to += m, n -= m;
  }
}

static void skip(twister *t, i64 n) {
  uint32_t word;
  while (n-- > 0) draw(t, &word, 1);
}

/* 53 bits of pairs of words, the high one first. */
static void draw53(twister *t, uint64_t *to, i64 n) {
  uint32_t words[2 * CHUNK];
  draw(t, words, 2 * n);
  for (i64 i = 0; i < n; ++i)
    to[i] = ((uint64_t)words[2 * i] << 32 | words[2 * i + 1]) & (((uint64_t)1 << 53) - 1);
}
static void unit64(twister *t, f64 *to, i64 n) {
  uint64_t bits[CHUNK];
  draw53(t, bits, n);
  for (i64 i = 0; i < n; ++i) to[i] = (f64)(i64)bits[i] * 0x1p-53;
}
static void unit32(twister *t, f32 *to, i64 n) {
  uint32_t words[CHUNK];
  draw(t, words, n);
  for (i64 i = 0; i < n; ++i) to[i] = (f32)(int32_t)(words[i] & 0xffffff) * 0x1p-24f;
}

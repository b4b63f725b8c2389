/* Sorting and selecting in rows, by integers that are ordered as the elements are.

   NaN counts as greatest, the two zeros as equal.  Elements of up to 32 bits are sorted together
   with their place, as one number of 64 bits, so that no two are equal and any order of work is
   stable; wider ones keep their place beside them. */
#include "half.h"
#include <stdlib.h>

#define FEW 40           /* elements that are sorted by insertion */
#define LONG (1 << 17)   /* elements of a row that several tasks sort */
#define PIECE (1 << 15)  /* of which each has as many */
#define TASK (1 << 13)   /* elements of a task of short rows, about */
#define BUCKETS 256

enum { S_F32, S_F64, S_F16, S_BF16, S_I64, S_I32, S_I16, S_I8, S_U8, S_NARROW };
static const int SIZES[] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 8}; /* S_NARROW: S_I64 of few values */

typedef struct {
  uint64_t key, place;
} item;

static inline uint32_t key_of_f32(f32 x) {
  uint32_t bits;
  x += 0.0f; /* -0 becomes 0 */
  memcpy(&bits, &x, 4);
  if (x != x) return UINT32_MAX;
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
static inline uint64_t key_of_f64(f64 x) {
  uint64_t bits;
  x += 0.0;
  memcpy(&bits, &x, 8);
  if (x != x) return UINT64_MAX;
  return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

#define KEYS(expression) \
  for (i64 i = 0; i < n; ++i) to[i] = (uint32_t)(expression) ^ flip
static void keys32(uint32_t *restrict to, const void *x, i64 n, i64 type, uint32_t flip,
                   i64 least) {
  if (type == S_F32) KEYS(key_of_f32(((const f32 *)x)[i]));
  else if (type == S_F16) KEYS(key_of_f32(from_f16(((const uint16_t *)x)[i])));
  else if (type == S_BF16) KEYS(key_of_f32(from_bf16(((const uint16_t *)x)[i])));
  else if (type == S_I32) KEYS(((const int32_t *)x)[i] + 0x80000000u);
  else if (type == S_I16) KEYS(((const int16_t *)x)[i] + 0x80000000u);
  else if (type == S_I8) KEYS(((const int8_t *)x)[i] + 0x80000000u);
  else if (type == S_U8) KEYS(((const uint8_t *)x)[i]);
  else KEYS((uint64_t)((const i64 *)x)[i] - (uint64_t)least);
}

/* Keys and places of the elements from `first` on. */
static void pack32(uint64_t *to, const char *x, i64 first, i64 n, i64 type, uint32_t flip,
                   i64 least) {
  uint32_t keys[512];
  for (i64 at = 0; at < n; at += 512) {
    const i64 m = fb_min(512, n - at);
    keys32(keys, x + (first + at) * SIZES[type], m, type, flip, least);
    for (i64 i = 0; i < m; ++i) to[at + i] = (uint64_t)keys[i] << 32 | (uint64_t)(first + at + i);
  }
}
static void pack64(item *to, const char *x, i64 first, i64 n, i64 type, uint64_t flip,
                   i64 least) {
  for (i64 i = 0; i < n; ++i) {
    const uint64_t key = type == S_F64 ? key_of_f64(((const f64 *)x)[first + i])
                                       : (uint64_t)((const i64 *)x)[first + i] + ((uint64_t)1 << 63);
    to[i] = (item){key ^ flip, (uint64_t)(first + i)};
  }
}

/* The places of sorted elements, and the elements there. */
#define EMIT(T) \
  for (i64 i = 0; i < n; ++i) { \
    ((T *)values)[i] = ((const T *)x)[places[i]]; \
    __asm__ volatile(""); /* gather instructions would be slower */ \
  }
static void emit(char *values, i64 *places, const char *x, i64 n, i64 size) {
  if (size == 1) {
    EMIT(uint8_t)
  } else if (size == 2) {
    EMIT(uint16_t)
  } else if (size == 4) {
    EMIT(uint32_t)
  } else {
    EMIT(uint64_t)
  }
}

/* ---- radix sort, the lowest byte first; bytes in which all agree are passed over -------------- */
#define ALL(e) (e)
#define KEY(e) ((e).key)
#define PLACE32(e) ((i64)((e) & UINT32_MAX))
#define PLACE64(e) ((i64)(e).place)
#define BYTE(key, digit) ((key) >> 8 * (digit) & 0xff)

/* E: elements; the bytes of a key are those from `low` to `high`. */
#define RADIX(name, E, GET, low, high) \
  static void insert_##name(E *a, i64 n) { \
    for (i64 i = 1; i < n; ++i) { \
      const E e = a[i]; \
      i64 k = i; \
      for (; k && GET(a[k - 1]) > GET(e); --k) a[k] = a[k - 1]; \
      a[k] = e; \
    } \
  } \
  /* Sorts a with room beside it; returns where the result is. */ \
  static E *radix_##name(E *a, E *room, i64 n) { \
    uint32_t counts[high - low][BUCKETS]; \
    if (n <= FEW) { \
      insert_##name(a, n); \
      return a; \
    } \
    memset(counts, 0, sizeof counts); \
    for (i64 i = 0; i < n; ++i) \
      for (int d = low; d < high; ++d) ++counts[d - low][BYTE(GET(a[i]), d)]; \
    for (int d = low; d < high; ++d) { \
      uint32_t *count = counts[d - low], at = 0; \
      if (count[BYTE(GET(a[0]), d)] == n) continue; \
      for (int b = 0; b < BUCKETS; ++b) { \
        const uint32_t here = count[b]; \
        count[b] = at, at += here; \
      } \
      for (i64 i = 0; i < n; ++i) room[count[BYTE(GET(a[i]), d)]++] = a[i]; \
      E *other = a; \
      a = room, room = other; \
    } \
    return a; \
  }

/* Of rows as they come, by the functions above. */
#define SORTING(name, E, GET, low, high, PLACE, PACK) \
  static void rows_##name(void *context, i64 task) { \
    const sorting *s = context; \
    const i64 n = s->n, end = fb_min(s->rows, (task + 1) * s->per_task), size = SIZES[s->type]; \
    E *a = malloc(2 * n * sizeof(E)); \
    if (!a) abort(); \
    for (i64 r = task * s->per_task; r < end; ++r) { \
      const char *x = s->x + r * n * size; \
      PACK(a, x, 0, n, s->type, s->flip, s->least); \
      const E *sorted = radix_##name(a, a + n, n); \
      i64 *places = s->places + r * s->kept; \
      for (i64 i = 0; i < s->kept; ++i) places[i] = PLACE(sorted[i]); \
      emit(s->values + r * s->kept * size, places, x, s->kept, size); \
    } \
    free(a); \
  } \
  /* A long row: every task has a piece; their counts say where each piece's buckets go. */ \
  static void pack_##name(void *context, i64 task) { \
    const sorting *s = context; \
    const i64 first = task * PIECE; \
    PACK((E *)s->from + first, s->x, first, fb_min(PIECE, s->n - first), s->type, s->flip, \
         s->least); \
  } \
  static void count_##name(void *context, i64 task) { \
    const sorting *s = context; \
    const E *a = s->from; \
    i64 *count = s->counts + task * BUCKETS; \
    memset(count, 0, BUCKETS * sizeof(i64)); \
    for (i64 i = task * PIECE, end = fb_min(s->n, i + PIECE); i < end; ++i) \
      ++count[BYTE(GET(a[i]), s->digit)]; \
  } \
  static void move_##name(void *context, i64 task) { \
    const sorting *s = context; \
    const E *a = s->from; \
    E *to = s->to; \
    i64 *at = s->counts + task * BUCKETS; \
    for (i64 i = task * PIECE, end = fb_min(s->n, i + PIECE); i < end; ++i) \
      to[at[BYTE(GET(a[i]), s->digit)]++] = a[i]; \
  } \
  static void emit_##name(void *context, i64 task) { \
    const sorting *s = context; \
    const E *a = s->from; \
    const i64 first = task * PIECE, n = fb_min(PIECE, s->n - first), size = SIZES[s->type]; \
    for (i64 i = first; i < first + n; ++i) s->places[i] = PLACE(a[i]); \
    emit(s->values + first * size, s->places + first, s->x, n, size); \
  } \
  static int long_##name(sorting *s) { \
    const i64 pieces = fb_ceil(s->n, PIECE); \
    E *room = malloc(2 * s->n * sizeof(E)); \
    s->counts = malloc(pieces * BUCKETS * sizeof(i64)); \
    s->from = room, s->to = room + s->n; \
    const int enough = room && s->counts; \
    if (enough) fb_parallel(pack_##name, s, pieces); \
    for (s->digit = low; enough && s->digit < high; ++s->digit) { \
      fb_parallel(count_##name, s, pieces); \
      if (!places_of_buckets(s->counts, pieces, s->n)) continue; \
      fb_parallel(move_##name, s, pieces); \
      void *other = s->from; \
      s->from = s->to, s->to = other; \
    } \
    if (enough) fb_parallel(emit_##name, s, pieces); \
    free(room), free(s->counts); \
    return enough; \
  }

typedef struct {
  char *values;
  const char *x;
  i64 *places, *counts, rows, n, kept, per_task, type, least;
  void *from, *to;
  int digit;
  uint64_t flip;
} sorting;

/* From how many elements each piece has in each bucket to where they go; 0 if all have one. */
static int places_of_buckets(i64 *counts, i64 pieces, i64 n) {
  i64 at = 0;
  for (int b = 0; b < BUCKETS; ++b) {
    const i64 before = at;
    for (i64 p = 0; p < pieces; ++p) {
      const i64 here = counts[p * BUCKETS + b];
      counts[p * BUCKETS + b] = at, at += here;
    }
    if (at - before == n) return 0;
  }
  return 1;
}

RADIX(pairs, uint64_t, ALL, 4, 8)
RADIX(whole, uint64_t, ALL, 0, 8)
RADIX(items, item, KEY, 0, 8)
SORTING(pairs, uint64_t, ALL, 4, 8, PLACE32, pack32)
SORTING(items, item, KEY, 0, 8, PLACE64, pack64)

/* The first `kept` of each of some rows of n in order. */
i64 fb_sort(array *values, array *places, const array *x, i64 rows, i64 n, i64 kept, i64 type,
            i64 descending) {
  sorting s = {.values = values->data, .x = x->data, .places = (i64 *)places->data, .rows = rows,
               .n = n, .kept = kept, .type = type, .flip = descending ? UINT64_MAX : 0};
  if (n >= UINT32_MAX) return 0;
  if (type == S_I64) {
    i64 least = INT64_MAX, most = INT64_MIN;
    for (i64 i = 0; i < rows * n; ++i) {
      const i64 y = ((const i64 *)x->data)[i];
      least = y < least ? y : least, most = y > most ? y : most;
    }
    if ((uint64_t)most - (uint64_t)least <= UINT32_MAX) s.type = S_NARROW, s.least = least;
  }
  const int wide = SIZES[type] == 8 && s.type != S_NARROW;
  if (rows == 1 && n >= LONG && kept == n) return wide ? long_items(&s) : long_pairs(&s);
  s.per_task = fb_max(1, TASK / n);
  fb_parallel(wide ? rows_items : rows_pairs, &s, fb_ceil(rows, s.per_task));
  return 1;
}

/* ---- selection: elements of up to 32 bits, with their places ------------------------------------- */
/* Brings the k smallest to the front (Hoare's partition around the middle of three). */
static void select_least(uint64_t *a, i64 n, i64 k) {
  i64 low = 0, high = n - 1;
  while (high - low > FEW) {
    const uint64_t x = a[low], y = a[(low + high) / 2], z = a[high];
    const uint64_t pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
    i64 i = low, j = high;
    while (i <= j) {
      while (a[i] < pivot) ++i;
      while (a[j] > pivot) --j;
      if (i <= j) {
        const uint64_t t = a[i];
        a[i++] = a[j], a[j--] = t;
      }
    }
    if (k <= j + 1) high = j;
    else if (k > i) low = i;
    else return;
  }
  insert_pairs(a + low, high - low + 1);
}

#define LOOK 512 /* elements that are compared with the limit at once */

/* The k first of a row in order: candidates below a limit are gathered, and the limit is lowered
   when there are too many. */
static void first_of_row(uint64_t *room, const sorting *s, const char *x, i64 *places,
                         char *values) {
  const i64 k = s->kept, more = fb_max(32, k / 4), most = k + more + LOOK, size = SIZES[s->type];
  uint32_t keys[LOOK], limit = UINT32_MAX;
  i64 count = 0;
  for (i64 at = 0; at < s->n; at += LOOK) {
    const i64 m = fb_min(LOOK, s->n - at);
    keys32(keys, x + at * size, m, s->type, (uint32_t)s->flip, 0);
    uint32_t any = count < k;
    for (i64 i = 0; i < m; ++i) any |= keys[i] < limit;
    if (!any) continue;
    for (i64 i = 0; i < m; ++i) {
      room[count] = (uint64_t)keys[i] << 32 | (uint64_t)(at + i);
      count += (keys[i] < limit) | (limit == UINT32_MAX);
    }
    if (count > k + more) {
      select_least(room, count, k);
      uint64_t last = 0;
      for (i64 i = 0; i < k; ++i) last = room[i] > last ? room[i] : last;
      limit = (uint32_t)(last >> 32), count = k;
    }
  }
  select_least(room, count, k);
  const uint64_t *sorted = radix_whole(room, room + most, k);
  for (i64 i = 0; i < k; ++i) places[i] = PLACE32(sorted[i]);
  emit(values, places, x, k, size);
}

static void first_task(void *context, i64 task) {
  const sorting *s = context;
  const i64 end = fb_min(s->rows, (task + 1) * s->per_task), size = SIZES[s->type];
  uint64_t *room = malloc((3 * s->kept + 32 + LOOK + 1) * sizeof(uint64_t));
  if (!room) abort();
  for (i64 r = task * s->per_task; r < end; ++r)
    first_of_row(room, s, s->x + r * s->n * size, s->places + r * s->kept,
                 s->values + r * s->kept * size);
  free(room);
}

/* The k first of each row in order. */
i64 fb_first(array *values, array *places, const array *x, i64 rows, i64 n, i64 k, i64 type,
             i64 descending) {
  sorting s = {.values = values->data, .x = x->data, .places = (i64 *)places->data, .rows = rows,
               .n = n, .kept = k, .type = type, .flip = descending ? UINT64_MAX : 0};
  if (n >= UINT32_MAX) return 0;
  s.per_task = fb_max(1, TASK / n);
  fb_parallel(first_task, &s, fb_ceil(rows, s.per_task));
  return 1;
}

enum { KTH, MEDIAN, NANMEDIAN };

static void kth_task(void *context, i64 task) {
  const sorting *s = context;
  const i64 n = s->n, end = fb_min(s->rows, (task + 1) * s->per_task), size = SIZES[s->type];
  uint64_t *a = malloc(n * sizeof(uint64_t));
  if (!a) abort();
  for (i64 r = task * s->per_task; r < end; ++r) {
    const char *x = s->x + r * n * size;
    i64 k = s->kept, numbers = n;
    pack32(a, x, 0, n, s->type, 0, 0);
    if (s->digit != KTH) {
      if (s->type <= S_BF16)
        for (i64 i = 0; i < n; ++i) numbers -= a[i] >> 32 == UINT32_MAX;
      if (s->digit == NANMEDIAN) k = fb_max(numbers - 1, 0) / 2;
      else k = numbers < n ? numbers : (n - 1) / 2;
    }
    select_least(a, n, k + 1);
    uint64_t found = 0; /* the greatest of the k + 1 smallest */
    for (i64 i = 0; i <= k; ++i) found = a[i] > found ? a[i] : found;
    s->places[r] = PLACE32(found);
    emit(s->values + r * size, s->places + r, x, 1, size);
  }
  free(a);
}

/* The element of rank k (from 0) of each row, or its median: see the modes above. */
i64 fb_kth(array *values, array *places, const array *x, i64 rows, i64 n, i64 k, i64 type,
           i64 mode) {
  sorting s = {.values = values->data, .x = x->data, .places = (i64 *)places->data, .rows = rows,
               .n = n, .kept = k, .type = type, .digit = (int)mode};
  if (n >= UINT32_MAX) return 0;
  s.per_task = fb_max(1, TASK / n);
  fb_parallel(kth_task, &s, fb_ceil(rows, s.per_task));
  return 1;
}

/* One pool of threads for all kernels.

   The caller works too, and waits only for tasks that a worker has begun: a worker that sleeps
   costs nothing but its help.  A worker that finds no work spins for a moment, then sleeps. A
   second thread that calls while the pool is busy, and a task that calls, run their tasks alone:
   never more threads work than the limit says.  In a forked child the pool starts anew. */
#define FB_RUNTIME
#define _GNU_SOURCE
#include "flambeau.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MOST 256
#if defined(__x86_64__) || defined(__i386__)
#define pause_briefly() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define pause_briefly() __asm__ volatile("yield")
#else
#define pause_briefly() ((void)0)
#endif
#define SPINS 4000 /* some tens of microseconds */

static struct {
  fb_task task;
  void *context;
  i64 count;
} job;
static atomic_llong next_task;
static atomic_int is_open, inside, sleeping, limit = 1, started;
static atomic_uint generation;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static _Thread_local int is_in_task;

static void take_tasks(void) {
  is_in_task = 1;
  for (i64 i; (i = atomic_fetch_add(&next_task, 1)) < job.count;) job.task(job.context, i);
  is_in_task = 0;
}

static void *work(void *argument) {
  const int me = (int)(intptr_t)argument; /* the caller is number 0 */
  unsigned seen = 0;
  for (;;) {
    int spins = 0;
    while (atomic_load(&generation) == seen && ++spins < SPINS) pause_briefly();
    if (atomic_load(&generation) == seen) {
      pthread_mutex_lock(&mutex);
      atomic_fetch_add(&sleeping, 1);
      while (atomic_load(&generation) == seen) pthread_cond_wait(&wake, &mutex);
      atomic_fetch_sub(&sleeping, 1);
      pthread_mutex_unlock(&mutex);
    }
    seen = atomic_load(&generation);
    if (me >= atomic_load(&limit)) continue;
    atomic_fetch_add(&inside, 1);
    if (atomic_load(&is_open)) take_tasks();
    atomic_fetch_sub(&inside, 1);
  }
  return NULL;
}

static void start_workers(void) {
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&detached, 1 << 21); /* tiles stand on the stack; musl gives 128 KiB */
  while (atomic_load(&started) < atomic_load(&limit) - 1) {
    pthread_t thread;
    const int number = atomic_load(&started) + 1;
    if (pthread_create(&thread, &detached, work, (void *)(intptr_t)number)) break;
    atomic_store(&started, number);
  }
  pthread_attr_destroy(&detached);
}

void fb_run(fb_task task, void *context, i64 count) {
  if (count <= 1 || is_in_task || atomic_load(&limit) == 1 || atomic_flag_test_and_set(&busy)) {
    for (i64 i = 0; i < count; ++i) task(context, i);
    return;
  }
  if (atomic_load(&started) < atomic_load(&limit) - 1) start_workers();
  job.task = task, job.context = context, job.count = count;
  atomic_store(&next_task, 0);
  atomic_store(&is_open, 1);
  atomic_fetch_add(&generation, 1);
  if (atomic_load(&sleeping)) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }
  take_tasks();
  atomic_store(&is_open, 0);
  for (int spins = 0; atomic_load(&inside);) {
    if (++spins > SPINS) sched_yield();
    else pause_briefly();
  }
  atomic_flag_clear(&busy);
}

static void in_child(void) {
  atomic_store(&started, 0), atomic_store(&inside, 0), atomic_store(&is_open, 0);
  atomic_store(&sleeping, 0);
  atomic_flag_clear(&busy);
  is_in_task = 0;
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&wake, NULL);
}

void fb_set_threads(int count) {
  static atomic_flag registered = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&registered)) pthread_atfork(NULL, NULL, in_child);
  atomic_store(&limit, count < 1 ? 1 : count > MOST ? MOST : count);
}

int fb_threads(void) { return atomic_load(&limit); }

/* What the library reads of an array, for Python to compare with what NumPy says. */
void fb_look(const array *a, i64 *seen) {
  seen[0] = (i64)(intptr_t)a->data, seen[1] = a->nd, seen[2] = a->dims[0], seen[3] = a->dims[1];
  seen[4] = a->strides[0], seen[5] = a->strides[1];
}

/* The compute pool of a node: threads for what takes longer than a turn of the loop.
 *
 * A job is intrusive: its owner, an actor, embeds an sl_job, posts it, and gets it back as the
 * node_event message of job.event when it has run. Jobs start in the order they were posted. */
#ifndef SL_RUNTIME_POOL_H
#define SL_RUNTIME_POOL_H

#include "runtime/actor.h"

typedef struct sl_pool sl_pool;

typedef struct sl_job {
    sl_event event;                  /* event.to: who is told */
    void (*run)(struct sl_job *job); /* on a pool thread */
    struct sl_job *next;             /* the pool's */
} sl_job;

typedef struct sl_pool_options {
    uint32_t threads; /* at least 1 */
    const int *cpus;  /* OS cpu each thread is bound to, `threads` of them; NULL: not bound */
    /* Runs each job in place of threads (there are none then), and notifies of its end: for the
     * simulator. NULL: threads do. */
    void (*run)(void *context, sl_job *job);
    void *context;
    const char
        *thread_name; /* shown by ps and debuggers, at most 11 bytes are used; NULL: "pool" */
} sl_pool_options;

/* `node` is told of finished jobs and must outlive the pool. */
sl_err sl_pool_create(sl_node *node, const sl_pool_options *options, sl_pool **pool) SL_CHECKED;

/* Any thread. The job is the pool's until its event is delivered. */
void sl_pool_post(sl_pool *pool, sl_job *job);

uint32_t sl_pool_threads(const sl_pool *pool);

/* For a job that is about to wait for what other jobs do: while it waits it is no longer counted,
 * and another thread takes its place if none is idle. SL_ERR_TOO_LARGE: so many wait already that
 * another thread is not to be had, and it must not wait; SL_ERR_UNAVAILABLE. Each success is
 * followed by sl_pool_wait_end(), on the same thread. Where jobs run without threads: no effect. */
sl_err sl_pool_wait_begin(sl_pool *pool) SL_CHECKED;
void sl_pool_wait_end(sl_pool *pool);

/* Waits for the jobs that run; jobs not yet started are dropped through event.drop. */
void sl_pool_destroy(sl_pool *pool);

#endif

#include "runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "runtime/log.h"

struct sl_pool {
    sl_node *node;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    sl_job *head;
    sl_job *tail;
    pthread_cond_t left; /* an extra thread has ended */
    uint32_t idle;
    bool closing;
    uint32_t count;   /* threads started, but for … */
    uint32_t extra;   /* … those in place of waiting ones */
    uint32_t waiting; /* threads whose jobs wait for others */
    void (*run)(void *context, sl_job *job);
    void *context;
    char name[12];
    pthread_t threads[];
};

enum { WAITING_MOST = 1024 };

/* More threads than are of use now; some are kept, for jobs that wait again and again. */
static bool is_spare(const sl_pool *pool, bool is_extra) {
    return is_extra && pool->extra > pool->waiting + pool->count;
}

static sl_job *take_job(sl_pool *pool, bool is_extra) {
    pthread_mutex_lock(&pool->lock);
    while (!pool->head && !pool->closing && !is_spare(pool, is_extra)) {
        pool->idle++;
        pthread_cond_wait(&pool->posted, &pool->lock);
        pool->idle--;
    }
    sl_job *job = pool->closing ? NULL : pool->head;
    if (job && !(pool->head = job->next))
        pool->tail = NULL;
    if (!job && is_extra) { /* the last that it does with the pool */
        pool->extra--;
        pthread_cond_signal(&pool->left);
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void run_jobs(sl_pool *pool, bool is_extra) {
    sl_log_set_node((int)sl_node_id(pool->node));
    pthread_setname_np(pthread_self(), pool->name);
    for (sl_job *job; (job = take_job(pool, is_extra));) {
        job->run(job);
        sl_notify(pool->node, &job->event);
    }
}

static void *pool_thread(void *context) {
    run_jobs(context, false);
    return NULL;
}

static void *extra_thread(void *context) {
    run_jobs(context, true);
    return NULL;
}

static int thread_start(sl_pool *pool, uint32_t index, const int *cpus) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (cpus && cpus[index] >= 0 && cpus[index] < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpus[index], &set);
        pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    }
    int error = pthread_create(&pool->threads[index], &attributes, pool_thread, pool);
    pthread_attr_destroy(&attributes);
    return error;
}

sl_err sl_pool_create(sl_node *node, const sl_pool_options *options, sl_pool **out) {
    if (!options->threads)
        return sl_fail(SL_ERR_INVALID, "a pool needs at least one thread");
    sl_pool *pool = calloc(1, sizeof *pool + options->threads * sizeof *pool->threads);
    if (!pool)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a pool");
    pool->node = node;
    pool->run = options->run;
    pool->context = options->context;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->posted, NULL);
    pthread_cond_init(&pool->left, NULL);
    snprintf(pool->name, sizeof pool->name, "%s",
             options->thread_name ? options->thread_name : "pool");
    for (uint32_t i = 0; i < options->threads && !pool->run; i++) {
        if (thread_start(pool, i, options->cpus) != 0) {
            sl_pool_destroy(pool);
            return sl_fail(SL_ERR_UNAVAILABLE, "cannot start pool thread %u of %u", i + 1,
                           options->threads);
        }
        pool->count++;
    }
    *out = pool;
    return SL_OK;
}

void sl_pool_post(sl_pool *pool, sl_job *job) {
    job->next = NULL;
    if (pool->run) {
        pool->run(pool->context, job);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->tail)
        pool->tail->next = job;
    else
        pool->head = job;
    pool->tail = job;
    bool wake = pool->idle > 0;
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->posted);
}

/* ---- jobs that wait ---- */

/* With the lock held. */
static sl_err start_extra(sl_pool *pool) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, extra_thread, pool);
    pthread_attr_destroy(&attributes);
    if (error)
        return sl_fail(SL_ERR_UNAVAILABLE, "cannot start a thread in place of one that waits");
    pool->extra++;
    return SL_OK;
}

sl_err sl_pool_wait_begin(sl_pool *pool) {
    sl_err err = SL_OK;
    if (pool->run)
        return SL_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->waiting == WAITING_MOST)
        err =
            sl_fail(SL_ERR_TOO_LARGE, "%d jobs of this node wait for others already", WAITING_MOST);
    else if (!pool->idle && pool->extra <= pool->waiting)
        err = start_extra(pool);
    pool->waiting += err == SL_OK;
    pthread_mutex_unlock(&pool->lock);
    return err;
}

void sl_pool_wait_end(sl_pool *pool) {
    if (pool->run)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->waiting--;
    bool spare = pool->idle && pool->extra > pool->waiting + pool->count;
    pthread_mutex_unlock(&pool->lock);
    if (spare)
        pthread_cond_broadcast(&pool->posted);
}

uint32_t sl_pool_threads(const sl_pool *pool) {
    return pool->count;
}

void sl_pool_destroy(sl_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->posted);
    for (uint32_t i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_mutex_lock(&pool->lock);
    while (pool->extra)
        pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    for (sl_job *job = pool->head, *next; job; job = next) {
        next = job->next;
        if (job->event.drop)
            job->event.drop(&job->event);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->posted);
    pthread_cond_destroy(&pool->left);
    free(pool);
}

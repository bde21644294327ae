/* Design notes
 * One mutex guards a group. Members start the same operations in the same order, so the n-th start
 * of each is the same operation: a round. A round collects the members' buffers; who comes last
 * does the work in order of rank, for all. Rounds under way lie in a table of
 * SL_COLLECTIVE_MAX_PENDING places: no member starts more before it has seen its own done, and no
 * round is reused before all have seen it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/collective.h"

enum { MAX_MEMBERS = 4096, ROUNDS = SL_COLLECTIVE_MAX_PENDING };

typedef enum kind { ALLREDUCE, BROADCAST, ALLGATHER, BARRIER } kind;

typedef struct call {
    kind kind;
    uint64_t count;
    sl_collective_type type;
    sl_collective_reduction reduction;
    uint32_t root;
} call;

typedef struct round {
    sl_collective_ticket number; /* which operation is here; 0: none */
    call call;                   /* the first member's */
    uint32_t started, seen;      /* members */
    sl_err err;
    bool *seen_by; /* per member */
    void **array;  /* per member */
    const void **part;
} round_state;

typedef struct group {
    pthread_mutex_t lock;
    uint32_t count, open;
    bool broken; /* a member left with operations under way */
    round_state rounds[ROUNDS];
} group;

typedef struct member {
    sl_collective head;
    group *group;
    sl_collective_ticket started;
    uint32_t pending;
} member;

/* ---- the work ---- */

#define REDUCE(name, T, combined)                                                                  \
    static void name(T *restrict into, const T *restrict from, uint64_t count) {                   \
        for (uint64_t i = 0; i < count; i++) {                                                     \
            T a = into[i], b = from[i];                                                            \
            into[i] = (combined);                                                                  \
        }                                                                                          \
    }
REDUCE(sum_float32, float, a + b)
REDUCE(min_float32, float, b < a ? b : a)
REDUCE(max_float32, float, b > a ? b : a)
REDUCE(sum_float64, double, a + b)
REDUCE(min_float64, double, b < a ? b : a)
REDUCE(max_float64, double, b > a ? b : a)
/* Sums wrap, as MPI's do in practice; unsigned arithmetic makes that defined. */
REDUCE(sum_int64, int64_t, (int64_t)((uint64_t)a + (uint64_t)b))
REDUCE(min_int64, int64_t, b < a ? b : a)
REDUCE(max_int64, int64_t, b > a ? b : a)

typedef struct array_pair {
    void *into;
    const void *from;
} array_pair;

static void reduce_into(const call *c, array_pair p) {
#define CASE(reduction_name, function_name)                                                        \
    case SL_COLLECTIVE_##reduction_name:                                                           \
        if (c->type == SL_COLLECTIVE_FLOAT32)                                                      \
            function_name##_float32(p.into, p.from, c->count);                                     \
        else if (c->type == SL_COLLECTIVE_FLOAT64)                                                 \
            function_name##_float64(p.into, p.from, c->count);                                     \
        else                                                                                       \
            function_name##_int64(p.into, p.from, c->count);                                       \
        break;
    switch (c->reduction) {
        CASE(SUM, sum)
        CASE(MIN, min)
        CASE(MAX, max)
    default:
        break;
    }
#undef CASE
}

/* memcpy() that allows the pointers of an empty array. */
static void copy(void *to, const void *from, size_t bytes) {
    if (bytes && to != from)
        memcpy(to, from, bytes);
}

static void allreduce_work(const group *g, round_state *r, size_t bytes) {
    for (uint32_t i = 1; i < g->count; i++)
        reduce_into(&r->call, (array_pair){r->array[0], r->array[i]});
    for (uint32_t i = 1; i < g->count; i++)
        copy(r->array[i], r->array[0], bytes);
}

static void round_work(const group *g, round_state *r) {
    size_t bytes = r->call.count * sl_collective_type_bytes(r->call.type);
    if (r->call.kind == ALLREDUCE)
        allreduce_work(g, r, bytes);
    for (uint32_t i = 0; i < g->count && r->call.kind == BROADCAST; i++)
        copy(r->array[i], r->array[r->call.root], bytes);
    for (uint32_t i = 0; i < g->count && r->call.kind == ALLGATHER; i++)
        for (uint32_t j = 0; j < g->count; j++)
            copy((char *)r->array[i] + j * bytes, r->part[j], bytes);
}

/* ---- rounds ---- */

static bool same_call(const call *a, const call *b) {
    return a->kind == b->kind && a->count == b->count && a->type == b->type &&
           a->reduction == b->reduction && a->root == b->root;
}

static void round_join(group *g, round_state *r, uint32_t self, const call *c) {
    if (r->started == 0)
        r->call = *c;
    else if (!same_call(&r->call, c))
        r->err = SL_ERR_INVALID;
    if (++r->started == g->count && r->err == SL_OK)
        round_work(g, r);
    (void)self;
}

static void round_begin(round_state *r, sl_collective_ticket number, uint32_t members) {
    r->number = number;
    r->started = r->seen = 0;
    r->err = SL_OK;
    memset(r->seen_by, 0, members * sizeof *r->seen_by);
}

static sl_err start_locked(member *m, const call *c, const void *part, void *array) {
    group *g = m->group;
    sl_collective_ticket number = m->started + 1;
    round_state *r = &g->rounds[number % ROUNDS];
    if (g->broken)
        return sl_fail(SL_ERR_CLOSED, "a member has left the collective");
    /* Another's old round may still be here, though this member has seen it. */
    if (m->pending == SL_COLLECTIVE_MAX_PENDING || (r->number && r->number != number))
        return sl_fail(SL_ERR_AGAIN, "%d collective operations are under way",
                       SL_COLLECTIVE_MAX_PENDING);
    if (!r->number)
        round_begin(r, number, g->count);
    r->part[m->head.self] = part;
    r->array[m->head.self] = array;
    m->started = number;
    m->pending++;
    round_join(g, r, m->head.self, c);
    return SL_OK;
}

static sl_err start(sl_collective *base, const call *c, const void *part, void *array,
                    sl_collective_ticket *ticket) {
    member *m = (member *)base;
    pthread_mutex_lock(&m->group->lock);
    sl_err err = start_locked(m, c, part, array);
    pthread_mutex_unlock(&m->group->lock);
    if (err == SL_OK)
        *ticket = m->started;
    return err;
}

static sl_err test_locked(member *m, sl_collective_ticket ticket, bool *done) {
    group *g = m->group;
    round_state *r = &g->rounds[ticket % ROUNDS];
    if (!ticket || r->number != ticket || ticket > m->started || r->seen_by[m->head.self])
        return sl_fail(SL_ERR_NOT_FOUND, "no collective operation %llu is under way",
                       (unsigned long long)ticket);
    if (r->started < g->count && !g->broken) {
        *done = false;
        return SL_OK;
    }
    sl_err err = r->started < g->count ? SL_ERR_CLOSED : r->err;
    r->seen_by[m->head.self] = true;
    m->pending--;
    if (++r->seen == g->count)
        r->number = 0;
    if (err == SL_ERR_INVALID)
        return sl_fail(err, "members started different operations as number %llu",
                       (unsigned long long)ticket);
    if (err != SL_OK)
        return sl_fail(err, "a member left the collective during operation %llu",
                       (unsigned long long)ticket);
    *done = true;
    return SL_OK;
}

/* ---- the interface ---- */

static sl_err thread_allreduce(sl_collective *c, void *array, uint64_t count,
                               sl_collective_type type, sl_collective_reduction reduction,
                               sl_collective_ticket *ticket) {
    call what = {.kind = ALLREDUCE, .count = count, .type = type, .reduction = reduction};
    return start(c, &what, NULL, array, ticket);
}

static sl_err thread_broadcast(sl_collective *c, void *array, uint64_t count,
                               sl_collective_type type, uint32_t root,
                               sl_collective_ticket *ticket) {
    call what = {.kind = BROADCAST, .count = count, .type = type, .root = root};
    return start(c, &what, NULL, array, ticket);
}

static sl_err thread_allgather(sl_collective *c, const void *part, void *array, uint64_t count,
                               sl_collective_type type, sl_collective_ticket *ticket) {
    call what = {.kind = ALLGATHER, .count = count, .type = type};
    return start(c, &what, part, array, ticket);
}

static sl_err thread_barrier(sl_collective *c, sl_collective_ticket *ticket) {
    call what = {.kind = BARRIER};
    return start(c, &what, NULL, NULL, ticket);
}

static sl_err thread_test(sl_collective *base, sl_collective_ticket ticket, bool *done) {
    member *m = (member *)base;
    pthread_mutex_lock(&m->group->lock);
    sl_err err = test_locked(m, ticket, done);
    pthread_mutex_unlock(&m->group->lock);
    return err;
}

static void group_free(group *g) {
    for (int i = 0; i < ROUNDS; i++) {
        free(g->rounds[i].seen_by);
        free(g->rounds[i].array);
        free(g->rounds[i].part);
    }
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void thread_close(sl_collective *base) {
    member *m = (member *)base;
    group *g = m->group;
    pthread_mutex_lock(&g->lock);
    g->broken |= m->pending != 0;
    bool last = --g->open == 0;
    pthread_mutex_unlock(&g->lock);
    if (last)
        group_free(g);
    free(m);
}

static const sl_collective_ops operations = {
    .name = "thread",
    .allreduce = thread_allreduce,
    .broadcast = thread_broadcast,
    .allgather = thread_allgather,
    .barrier = thread_barrier,
    .test = thread_test,
    .close = thread_close,
};

static group *group_create(uint32_t count) {
    group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    g->count = g->open = count;
    bool complete = true;
    for (int i = 0; i < ROUNDS; i++) {
        round_state *r = &g->rounds[i];
        r->seen_by = calloc(count, sizeof *r->seen_by);
        r->array = calloc(count, sizeof *r->array);
        r->part = calloc(count, sizeof *r->part);
        complete &= r->seen_by && r->array && r->part;
    }
    if (complete)
        return g;
    group_free(g);
    return NULL;
}

static bool members_create(group *g, sl_collective **members) {
    for (uint32_t i = 0; i < g->count; i++) {
        member *m = calloc(1, sizeof *m);
        if (!m) {
            while (i-- > 0)
                free(members[i]);
            return false;
        }
        *m = (member){.head = {&operations, i, g->count}, .group = g};
        members[i] = &m->head;
    }
    return true;
}

sl_err sl_collective_thread_create(uint32_t count, sl_collective **members) {
    if (count < 1 || count > MAX_MEMBERS)
        return sl_fail(SL_ERR_INVALID, "%u members, not in 1 ... %d", count, MAX_MEMBERS);
    group *g = group_create(count);
    if (g && members_create(g, members))
        return SL_OK;
    if (g)
        group_free(g);
    return sl_fail(SL_ERR_NO_MEMORY, "no memory for a collective of %u members", count);
}

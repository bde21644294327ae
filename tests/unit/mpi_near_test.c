/* Frames and bulk data between two ranks of one host, here two ends in one process. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mpi/near.h"
#include "mpi/bootstrap.h"
#include "runtime/log.h"
#include "tests/lib/test.h"

enum { FRAME_BYTES = 1024, SLOTS = 4, RANKS = 2 };

typedef struct end {
    sl_mpi_host host;
    uint32_t local_of[RANKS];
    sl_mpi_near near;
    uint32_t frames, unsound, received, failed, sent, lost, frames_before_lost;
    _Atomic uint32_t woken;
    uint64_t last_id;
    size_t last_bytes;
    sl_blob *blob; /* the last one received */
} end;

typedef struct pair {
    sl_mpi_neighbour neighbours[RANKS];
    end ends[RANKS];
} pair;

static void frame_arrived(void *context, uint32_t peer, const void *frame, size_t bytes) {
    end *e = context;
    (void)peer;
    e->last_bytes = bytes;
    if (!bytes) {
        e->unsound++;
        return;
    }
    uint32_t number;
    memcpy(&number, frame, sizeof number);
    CHECK_INT(number, e->frames);
    e->frames++;
}

static void bulk_sent(void *context, uint32_t peer, uint64_t id) {
    end *e = context;
    (void)peer;
    e->sent++;
    e->last_id = id;
}

static void bulk_received(void *context, uint32_t peer, uint64_t id, sl_blob *blob) {
    end *e = context;
    (void)peer;
    e->last_id = id;
    e->failed += blob == NULL;
    e->received += blob != NULL;
    sl_blob_release(e->blob);
    e->blob = blob;
}

static void lost(void *context, uint32_t peer) {
    end *e = context;
    (void)peer;
    e->lost++;
    e->frames_before_lost = e->frames;
}

static size_t poll_with(end *e, size_t budget) {
    sl_transport_sink sink = {e, frame_arrived, bulk_sent, bulk_received, lost};
    return sl_mpi_near_poll(&e->near, &sink, budget);
}

static void poll_until_quiet(pair *p) {
    while (poll_with(&p->ends[0], 16) + poll_with(&p->ends[1], 16))
        continue;
}

static pair *pair_open(void) {
    pair *p = calloc(1, sizeof *p);
    size_t bytes = sl_mpi_segment_bytes(RANKS, SLOTS, FRAME_BYTES);
    for (uint32_t i = 0; i < RANKS; i++) {
        sl_mpi_segment *segment = aligned_alloc(128, (bytes + 127) / 128 * 128);
        memset(segment, 0, bytes);
        sl_mpi_segment_init(segment, RANKS, SLOTS, FRAME_BYTES, i + 1);
        p->neighbours[i] = (sl_mpi_neighbour){i, getpid(), -1, segment};
    }
    for (uint32_t i = 0; i < RANKS; i++) {
        end *e = &p->ends[i];
        e->local_of[0] = 0;
        e->local_of[1] = 1;
        e->host = (sl_mpi_host){.neighbours = p->neighbours,
                                .count = RANKS,
                                .self = i,
                                .local_of = e->local_of,
                                .slots = SLOTS,
                                .readable = true};
        CHECK(sl_mpi_near_open(&e->near, &e->host, FRAME_BYTES) == SL_OK);
    }
    return p;
}

static void pair_close(pair *p) {
    for (uint32_t i = 0; i < RANKS; i++) {
        sl_mpi_near_close(&p->ends[i].near);
        sl_blob_release(p->ends[i].blob);
    }
    for (uint32_t i = 0; i < RANKS; i++)
        free(p->neighbours[i].segment);
    free(p);
}

static sl_mpi_near_peer *other(pair *p, uint32_t self) {
    return &p->ends[self].near.peers[1 - self];
}

/* False when there is no room. */
static bool post(pair *p, uint32_t from, uint32_t number) {
    void *slot = sl_mpi_near_acquire(other(p, from));
    if (!slot)
        return false;
    CHECK((uintptr_t)slot % 8 == 0);
    memcpy(slot, &number, sizeof number);
    sl_mpi_near_post(&p->ends[from].near, other(p, from), FRAME_BYTES);
    return true;
}

static sl_blob *blob_of(uint64_t bytes, uint8_t value) {
    sl_blob *blob = NULL;
    CHECK(sl_blob_create(bytes, &blob) == SL_OK);
    memset(blob->data, value, bytes);
    return blob;
}

static void offer(pair *p, uint32_t from, uint64_t id, uint64_t bytes, uint8_t value) {
    sl_blob *blob = blob_of(bytes, value);
    CHECK(sl_mpi_near_bulk_send(&p->ends[from].near, other(p, from), id, blob) == SL_OK);
    sl_blob_release(blob);
}

static void ask(pair *p, uint32_t self, uint64_t id, uint64_t bytes) {
    CHECK(sl_mpi_near_bulk_receive(&p->ends[self].near, other(p, self), id, bytes) == SL_OK);
}

static void quiet_logs(void) {
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_ERROR});
}

TEST(frames_keep_order_and_the_ring_its_bound) {
    pair *p = pair_open();
    uint32_t posted = 0;
    for (int round = 0; round < 1000; round++) {
        while (post(p, 0, posted))
            posted++;
        CHECK_INT(posted, p->ends[1].frames + SLOTS);
        poll_with(&p->ends[1], 1 + (size_t)round % SLOTS);
    }
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].frames, posted);
    CHECK_INT(p->ends[1].last_bytes, FRAME_BYTES);
    pair_close(p);
}

TEST(a_rank_reaches_itself) {
    pair *p = pair_open();
    sl_mpi_near *near = &p->ends[1].near;
    for (uint32_t i = 0; i < 3 * SLOTS; i++) {
        void *slot = sl_mpi_near_acquire(&near->peers[1]);
        REQUIRE(slot);
        memcpy(slot, &i, sizeof i);
        sl_mpi_near_post(near, &near->peers[1], 8);
        CHECK_INT(poll_with(&p->ends[1], 16), 1);
    }
    CHECK_INT(p->ends[1].frames, 3 * SLOTS);
    pair_close(p);
}

/* A writer that found no room is rung when there is some, and only then. */
TEST(who_waits_for_room_is_told) {
    pair *p = pair_open();
    sl_doorbell *bell = &p->neighbours[0].segment->bell;
    uint32_t posted = 0, ticket = sl_doorbell_arm(bell);
    while (post(p, 0, posted))
        posted++;
    poll_with(&p->ends[1], 1);
    CHECK(atomic_load(&bell->rings) == ticket + 1);
    poll_with(&p->ends[1], 1);
    CHECK(atomic_load(&bell->rings) == ticket + 1);
    CHECK(post(p, 0, posted));
    pair_close(p);
}

TEST(bulk_data_arrives_whole_in_either_order) {
    static const uint64_t sizes[] = {0, 1, 4096, 65536, 65537, 1 << 20, (5 << 20) + 3};
    pair *p = pair_open();
    uint64_t alive = sl_blob_alive_bytes();
    for (uint32_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        uint64_t bytes = sizes[i / 2];
        if (i % 2)
            ask(p, 1, i, bytes);
        offer(p, 0, i, bytes, (uint8_t)i);
        if (i % 2 == 0) {
            poll_with(&p->ends[1], 16);
            ask(p, 1, i, bytes);
        }
        CHECK(!sl_mpi_near_drained(&p->ends[0].near));
        poll_until_quiet(p);
        CHECK_INT(p->ends[1].received, i + 1);
        CHECK_INT(p->ends[0].sent, i + 1);
        REQUIRE(p->ends[1].blob && p->ends[1].blob->bytes == bytes);
        for (uint64_t k = 0; k < bytes; k += 1000)
            CHECK_INT(p->ends[1].blob->data[k], (uint8_t)i);
        CHECK(sl_mpi_near_drained(&p->ends[0].near));
    }
    sl_blob_release(p->ends[1].blob);
    p->ends[1].blob = NULL;
    CHECK_INT(sl_blob_alive_bytes(), alive);
    pair_close(p);
}

/* A small one does not wait for a large one that was asked for before. */
TEST(small_bulk_data_overtakes_large) {
    pair *p = pair_open();
    ask(p, 1, 0, 8 << 20);
    ask(p, 1, 1, 100);
    offer(p, 0, 0, 8 << 20, 1);
    offer(p, 0, 1, 100, 2);
    poll_with(&p->ends[1], 16);
    CHECK_INT(p->ends[1].received, 1);
    CHECK_INT(p->ends[1].last_id, 1);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].received, 2);
    pair_close(p);
}

/* Notes wait where the ring is full, or a slot of it is being filled, and then go. */
TEST(notes_wait_for_room) {
    pair *p = pair_open();
    uint32_t number = 0;
    void *slot = sl_mpi_near_acquire(other(p, 0));
    offer(p, 0, 0, 10, 1);
    memcpy(slot, &number, sizeof number);
    sl_mpi_near_post(&p->ends[0].near, other(p, 0), 8);
    for (uint64_t id = 1; id < 100; id++)
        offer(p, 0, id, 10, 1);
    CHECK(p->ends[0].near.notes > 90);
    for (uint64_t id = 0; id < 100; id++)
        ask(p, 1, id, 10);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].frames, 1);
    CHECK_INT(p->ends[1].received, 100);
    CHECK_INT(p->ends[0].sent, 100);
    CHECK(sl_mpi_near_drained(&p->ends[0].near));
    pair_close(p);
}

TEST(another_length_fails_and_is_over_for_both) {
    pair *p = pair_open();
    quiet_logs();
    offer(p, 0, 7, 1000, 1);
    ask(p, 1, 7, 999);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].failed, 1);
    CHECK_INT(p->ends[0].sent, 1);
    CHECK(sl_mpi_near_drained(&p->ends[0].near));
    pair_close(p);
}

/* What was read of a blob that was given up meanwhile is not believed. */
TEST(given_up_data_is_not_believed) {
    pair *p = pair_open();
    ask(p, 1, 1, 4 << 20);
    offer(p, 0, 1, 4 << 20, 1);
    poll_with(&p->ends[1], 16); /* a first piece */
    sl_mpi_near_abandon(&p->ends[0].near, other(p, 0));
    CHECK(sl_mpi_near_drained(&p->ends[0].near));
    quiet_logs();
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].received, 0);
    CHECK_INT(p->ends[1].failed, 1);
    pair_close(p);
}

/* Nothing of a peer that was given up is left, and it is not kept from going on. */
TEST(abandoned_peers_leave_nothing) {
    pair *p = pair_open();
    uint64_t alive = sl_blob_alive_bytes();
    sl_mpi_near *near = &p->ends[1].near;
    for (uint64_t id = 0; id < 20; id++) {
        offer(p, 1, id, 100000, 1);
        ask(p, 1, 100 + id, 5 << 20);
    }
    offer(p, 0, 100, 5 << 20, 1);
    offer(p, 0, 200, 100, 1);
    poll_with(&p->ends[1], 16);
    CHECK(near->large.head && near->fetched_bytes && near->offers == 1 && near->receives == 20);
    sl_mpi_near_abandon(near, other(p, 1));
    sl_mpi_near_abandon(near, other(p, 1));
    CHECK(!near->sends && !near->receives && !near->notes && !near->offers && !near->large.head);
    CHECK(near->fetched_bytes == 0);
    for (uint32_t i = 0; i < 10 * SLOTS; i++) { /* frames go on */
        CHECK(post(p, 0, i));
        poll_with(&p->ends[1], 16);
    }
    CHECK_INT(p->ends[1].frames, 10 * SLOTS);
    offer(p, 0, 300, 100, 1);
    poll_with(&p->ends[1], 16);
    CHECK(!near->offers);
    sl_mpi_near_abandon(&p->ends[0].near, other(p, 0));
    CHECK_INT(sl_blob_alive_bytes(), alive);
    pair_close(p);
}

/* In a new life of a link what was offered in the one before is neither fetched nor believed. */
TEST(readmitted_peers_begin_anew) {
    pair *p = pair_open();
    quiet_logs();
    ask(p, 1, 1, 4 << 20);
    offer(p, 0, 1, 4 << 20, 1);
    offer(p, 0, 2, 100, 1);
    poll_with(&p->ends[1], 16); /* a first piece */
    sl_mpi_near_abandon(&p->ends[0].near, other(p, 0));
    sl_mpi_near_readmit(&p->ends[0].near, other(p, 0), 500, 500);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].received, 0);
    CHECK_INT(p->ends[1].failed, 1);
    sl_mpi_near_abandon(&p->ends[1].near, other(p, 1));
    offer(p, 0, 499, 100, 1); /* nobody sends that: an offer that is old */
    sl_mpi_near_readmit(&p->ends[1].near, other(p, 1), 500, 500);
    ask(p, 1, 500, 1000);
    offer(p, 0, 500, 1000, 1);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].received, 1);
    CHECK(!p->ends[1].near.offers);
    pair_close(p);
}

/* Memory that cannot be read, as that of a process which has died. */
TEST(unreadable_memory_fails) {
    pair *p = pair_open();
    quiet_logs();
    p->neighbours[0].pid = 0x7ffffff0;
    offer(p, 0, 1, 100, 1);
    ask(p, 1, 1, 100);
    poll_until_quiet(p);
    CHECK_INT(p->ends[1].failed, 1);
    pair_close(p);
}

/* Slots no sound peer writes: every kind, lengths beyond the slot, notes of another length. */
TEST(unsound_slots_are_told_as_frames_without_bytes) {
    pair *p = pair_open();
    sl_mpi_ring_end *out = &other(p, 0)->out;
    uint32_t told = 0;
    for (uint32_t kind = 0; kind < 16; kind++)
        for (size_t bytes = 0; bytes < 0xfffffff; bytes = bytes * 3 + 1) {
            if (kind == SL_MPI_SLOT_FRAME && bytes && bytes <= FRAME_BYTES)
                continue;
            REQUIRE(sl_mpi_ring_acquire(out));
            sl_mpi_ring_publish(out, (sl_mpi_slot_kind)kind, bytes);
            poll_with(&p->ends[1], 16);
            CHECK_INT(p->ends[1].unsound, ++told);
        }
    CHECK_INT(p->ends[1].received + p->ends[1].sent + p->ends[1].frames, 0);
    pair_close(p);
}

/* More offers than anyone may have under way take no more memory. */
TEST(offers_nobody_asked_for_are_bounded) {
    pair *p = pair_open();
    sl_mpi_ring_end *out = &other(p, 0)->out;
    sl_log_configure(&(sl_log_options){.stream = fopen("/dev/null", "w"), .level = SL_LOG_ERROR});
    for (uint64_t i = 0; i < SL_MPI_BULK_MAX + 1000; i++) {
        uint64_t note[3] = {i, 64, 1};
        void *slot = sl_mpi_ring_acquire(out);
        REQUIRE(slot);
        memcpy(slot, note, sizeof note);
        sl_mpi_ring_publish(out, SL_MPI_SLOT_OFFER, sizeof note);
        poll_with(&p->ends[1], 16);
    }
    CHECK_INT(p->ends[1].near.offers, SL_MPI_BULK_MAX);
    pair_close(p);
}

/* ---- deaths ---- */

static void wake(void *context) {
    ((end *)context)->woken++;
}

/* A process ends: its peer is woken and told, once, after what it had left. */
TEST(the_end_of_a_process_is_told) {
    pair *p = pair_open();
    char program[] = "sleep", seconds[] = "1000";
    char *arguments[] = {program, seconds, NULL}, *environment[] = {NULL};
    pid_t pid;
    REQUIRE(posix_spawnp(&pid, program, NULL, NULL, arguments, environment) == 0);
    p->neighbours[0].pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    REQUIRE(p->neighbours[0].pidfd >= 0);
    end *e = &p->ends[1];
    sl_mpi_near_watch(&e->near, wake, e);
    for (uint32_t i = 0; i < SLOTS; i++)
        CHECK(post(p, 0, i));
    CHECK_INT(poll_with(e, 1), 1);
    kill(pid, SIGKILL);
    for (int i = 0; i < 10000 && !e->woken; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK_INT(e->woken, 1);
    poll_with(e, 1);
    CHECK_INT(e->lost, 0);
    for (int i = 0; i < 8; i++)
        poll_with(e, 1);
    CHECK_INT(e->lost, 1);
    CHECK_INT(e->frames_before_lost, SLOTS);
    close(p->neighbours[0].pidfd);
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    pair_close(p);
}

/* ---- two threads ---- */

enum { STREAM = 200000 };

static void *read_stream(void *argument) {
    pair *p = argument;
    while (p->ends[1].frames < STREAM)
        poll_with(&p->ends[1], 3);
    return NULL;
}

TEST(streams_between_threads) {
    pair *p = pair_open();
    pthread_t reader;
    REQUIRE(pthread_create(&reader, NULL, read_stream, p) == 0);
    for (uint32_t i = 0; i < STREAM;)
        i += post(p, 0, i);
    pthread_join(reader, NULL);
    CHECK_INT(p->ends[1].frames, STREAM);
    pair_close(p);
}

/* Design notes
 * Messages between two ranks each, no collective: what a dead rank did not send is missing, and
 * nothing else is. The system tells which ranks of our host have ended (segment.h), for others
 * there is only silence. The first rank answers everyone, so that all part knowing the same.
 *
 * Memory that MPI may still write to or read from, because an operation is not over, is left
 * allocated; the process is about to end. */
#include "mpi/internal.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/requests.h"
#include "runtime/clock.h"

#define PAUSE_MIN_NS (20 * SL_NS_PER_US)
#define PAUSE_MAX_NS (20 * SL_NS_PER_MS)

enum { PART_TAG = 2, ANSWER_TAG = 3 }; /* beside those of frames (far.c) */
enum { NOT_TAKEN, TAKEN, WHOLE };      /* answers */

typedef struct gathering {
    sl_mpi *mpi;
    sl_mpi_gathering *of;
    uint8_t *landing; /* first rank: parts, by rank; others: their own part, then the answer */
    bool *here;       /* first rank: whose part is there */
    sl_mpi_requests requests;
    uint64_t heard_ns; /* when something came */
} gathering;

/* ---- waiting ---- */

static void take_finished(gathering *g) {
    int over = sl_mpi_requests_test(&g->requests);
    for (int i = 0; i < over; i++) {
        const sl_mpi_finished *finished = &g->requests.finished[i];
        if (finished->code == MPI_SUCCESS)
            g->here[finished->entry.peer] = true;
    }
    if (over)
        g->heard_ns = sl_clock_now_ns();
}

/* Whether some rank that something is awaited from has not ended. */
static bool somebody_lives(const gathering *g) {
    for (int i = 0; i < g->requests.count; i++)
        if (!sl_mpi_host_ended(&g->mpi->host, g->requests.entries[i].peer))
            return true;
    return false;
}

/* Until nothing is awaited from anybody who lives, or nothing came for `patience_ns`. What a rank
 * had sent before it ended is there at the look after that was seen. */
static void wait_for_all(gathering *g, uint64_t patience_ns) {
    uint64_t began_ns = g->heard_ns = sl_clock_now_ns();
    for (;;) {
        bool living = somebody_lives(g);
        take_finished(g);
        uint64_t now_ns = sl_clock_now_ns();
        if (!g->requests.count || !living || now_ns - g->heard_ns > patience_ns)
            return;
        uint64_t pause_ns = (now_ns - began_ns) / 8;
        pause_ns = pause_ns < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause_ns;
        sl_clock_real.sleep_ns(&sl_clock_real, pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
    }
}

/* ---- the first rank ---- */

static sl_err ask(gathering *g) {
    const sl_mpi_gathering *of = g->of;
    for (uint32_t i = 0; i < g->mpi->count; i++) {
        MPI_Request request;
        if (i == g->mpi->rank || (of->lost && of->lost[i]))
            continue;
        SL_MPI_TRY(MPI_Irecv(g->landing + i * of->bytes, (int)of->bytes, MPI_BYTE, (int)i, PART_TAG,
                             g->mpi->frames, &request));
        sl_mpi_requests_add(&g->requests, request, (sl_mpi_entry){.peer = i});
    }
    return SL_OK;
}

/* To those whose part is missing too: they may only be late. Answers are small and leave at once,
 * or their receiver is dead. */
static void answer(const gathering *g) {
    static const int words[] = {NOT_TAKEN, TAKEN, WHOLE};
    for (uint32_t i = 0; i < g->mpi->count; i++) {
        MPI_Request request;
        if (i == g->mpi->rank || (g->of->lost && g->of->lost[i]))
            continue;
        const int *word = &words[g->of->whole ? WHOLE : g->here[i] ? TAKEN : NOT_TAKEN];
        if (MPI_Isend(word, 1, MPI_INT, (int)i, ANSWER_TAG, g->mpi->frames, &request) ==
            MPI_SUCCESS)
            MPI_Request_free(&request);
    }
}

static void hand_over(gathering *g) {
    sl_mpi_gathering *of = g->of;
    of->whole = of->taken = true;
    for (uint32_t i = 0; i < g->mpi->count; i++) {
        of->whole &= g->here[i];
        if (of->bytes && g->here[i])
            memcpy((uint8_t *)of->all + i * of->bytes, g->landing + i * of->bytes, of->bytes);
        if (of->here)
            of->here[i] = g->here[i];
    }
}

static sl_err gather(gathering *g) {
    if (g->of->bytes)
        memcpy(g->landing + g->mpi->rank * g->of->bytes, g->of->part, g->of->bytes);
    g->here[g->mpi->rank] = true;
    SL_TRY(ask(g));
    wait_for_all(g, g->of->patience_ns);
    hand_over(g);
    answer(g);
    return SL_OK;
}

/* ---- the others ---- */

static sl_err hand_in(gathering *g) {
    MPI_Request request;
    sl_mpi_gathering *of = g->of;
    int *word = (int *)(void *)(g->landing + (of->bytes + 7) / 8 * 8);
    if (of->lost && of->lost[0])
        return SL_OK;
    if (of->bytes)
        memcpy(g->landing, of->part, of->bytes);
    SL_MPI_TRY(
        MPI_Isend(g->landing, (int)of->bytes, MPI_BYTE, 0, PART_TAG, g->mpi->frames, &request));
    sl_mpi_requests_add(&g->requests, request, (sl_mpi_entry){.peer = 0});
    SL_MPI_TRY(MPI_Irecv(word, 1, MPI_INT, 0, ANSWER_TAG, g->mpi->frames, &request));
    sl_mpi_requests_add(&g->requests, request, (sl_mpi_entry){.peer = 0});
    wait_for_all(g, 2 * of->patience_ns); /* the first rank may wait for another as long as that */
    bool answered = g->requests.count == 0 && g->here[0];
    of->taken = answered && *word >= TAKEN;
    of->whole = answered && *word == WHOLE;
    return SL_OK;
}

/* ---- both ---- */

static sl_err set_up(gathering *g) {
    bool first = g->mpi->rank == 0;
    size_t bytes = first ? g->mpi->count * g->of->bytes : g->of->bytes + 16;
    if (g->of->bytes > SL_MPI_GATHER_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "%zu bytes to gather, at most %d", g->of->bytes,
                       SL_MPI_GATHER_MAX_BYTES);
    g->landing = calloc(1, bytes + 8);
    g->here = calloc(g->mpi->count, sizeof *g->here);
    SL_TRY(sl_mpi_requests_reserve(&g->requests, first ? (int)g->mpi->count : 2));
    return g->landing && g->here ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to gather");
}

sl_err sl_mpi_gather(sl_mpi *mpi, sl_mpi_gathering *of) {
    gathering g = {.mpi = mpi, .of = of};
    of->whole = of->taken = false;
    sl_err err = set_up(&g);
    if (err == SL_OK)
        err = mpi->rank == 0 ? gather(&g) : hand_in(&g);
    if (g.requests.count == 0)
        free(g.landing);
    free(g.here);
    sl_mpi_requests_fini(&g.requests);
    return err;
}

/* Design notes
 * Facts go in two steps: a record of fixed size from every rank, which tells how much data each
 * has, then the data. The order of what is set up matters twice: the eager limit must be in the
 * environment before MPI starts, and whether memory is shared must be known of all before the ranks
 * of a host look for each other's. */
#include "mpi/bootstrap.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/eager_limit.h"
#include "mpi/env.h"
#include "mpi/guard.h"
#include "mpi/internal.h"
#include "mpi/one_host.h"
#include "mpi/watchdog.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/rng.h"

/* Messages thrown away at the end. */
enum { DISCARD_MAX = 1000000, DISCARD_MAX_BYTES = 64 << 20 };

/* What every rank says of itself. */
typedef struct hello {
    char host[SL_MPI_HOST_BYTES];
    int64_t pid;
    uint64_t frame_bytes; /* the largest it wants */
    uint32_t local_rank, local_size, incarnation, data_bytes, no_sharing, padding;
} hello;

sl_err sl_mpi_check(int code, const char *what) {
    char words[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return SL_OK;
    if (MPI_Error_string(code, words, &length) != MPI_SUCCESS)
        words[0] = '\0';
    return sl_fail(SL_ERR_TRANSPORT, "%.60s: MPI error %d: %s", what, code, words);
}

bool sl_mpi_launched(void) {
    /* Open MPI's mpirun; PMIx (srun --mpi=pmix, prun); PMI-1 and PMI-2 (hydra, srun --mpi=pmi2);
     * Intel. */
    static const char *const names[] = {
        "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "PMI_ID", "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_env_get(NULL, names[i]))
            return true;
    return false;
}

sl_err sl_mpi_may_share(void) {
    int running = 0, level;
    SL_MPI_TRY(MPI_Initialized(&running));
    if (!running)
        return SL_OK;
    SL_MPI_TRY(MPI_Query_thread(&level));
    if (level == MPI_THREAD_MULTIPLE)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID,
                   "MPI was started below MPI_THREAD_MULTIPLE, but the network has a "
                   "thread of its own that calls it");
}

/* ---- options ---- */

static sl_err in_range(const char *name, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "%s is %llu, not in %llu ... %llu", name,
                   (unsigned long long)value, (unsigned long long)least, (unsigned long long)most);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value ? value : otherwise;
}

static sl_err settings_make(const sl_mpi_options *o, sl_mpi_settings *s) {
    *s = (sl_mpi_settings){
        .window = (uint32_t)or_default(o->window, 16),
        .receive_ring = (uint32_t)or_default(o->receive_ring, 16),
        .pause_min_ns = or_default(o->pause_min_ns, 50 * SL_NS_PER_US),
        .pause_max_ns = or_default(o->pause_max_ns, 2 * SL_NS_PER_MS),
        .pause_bells_ns = or_default(o->pause_bells_ns, 20 * SL_NS_PER_MS),
        .large_bytes = or_default(o->large_bytes, INT_MAX),
        .finalize_timeout_s = (uint32_t)or_default(o->finalize_timeout_s, 5),
    };
    if (o->data_bytes && !o->data)
        return sl_fail(SL_ERR_INVALID, "data_bytes is %zu, but data is NULL", o->data_bytes);
    SL_TRY(in_range("data_bytes", o->data_bytes, 0, SL_MPI_DATA_MAX_BYTES));
    if (o->frame_bytes)
        SL_TRY(in_range("frame_bytes", o->frame_bytes, SL_MPI_FRAME_MIN_BYTES,
                        SL_MPI_FRAME_MAX_BYTES));
    SL_TRY(in_range("window", s->window, 1, SL_MPI_WINDOW_MAX));
    SL_TRY(in_range("receive_ring", s->receive_ring, 1, SL_MPI_RING_MAX));
    SL_TRY(in_range("pause_min_ns", s->pause_min_ns, 1, SL_MPI_PAUSE_MAX_NS));
    SL_TRY(in_range("pause_max_ns", s->pause_max_ns, s->pause_min_ns, SL_MPI_PAUSE_MAX_NS));
    SL_TRY(in_range("pause_bells_ns", s->pause_bells_ns, 1, SL_MPI_PAUSE_MAX_NS));
    SL_TRY(in_range("sharing_ranks", o->sharing_ranks, 0, INT_MAX));
    return in_range("large_bytes", s->large_bytes, 1, INT_MAX);
}

/* ---- MPI itself ---- */

static void ignore(int number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
        action.sa_handler == SIG_DFL)
        signal(number, SIG_IGN);
}

/* SIGPIPE comes of a send to a rank that has died. */
static void signals_ignore(void) {
    ignore(SIGPIPE);
    if (sl_env_get(NULL, "PMI_RANK") && !sl_env_get(NULL, "PMIX_RANK"))
        ignore(SL_MPI_GUARD_NOTICE);
}

static sl_err thread_level_check(void) {
    int level = MPI_THREAD_SINGLE, main_thread = 0;
    SL_MPI_TRY(MPI_Query_thread(&level));
    SL_MPI_TRY(MPI_Is_thread_main(&main_thread));
    if (main_thread || level >= MPI_THREAD_SERIALIZED)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID,
                   "MPI was started below MPI_THREAD_SERIALIZED, so that only the thread "
                   "that started it may open the network");
}

/* Where MPI is ours alone: MPICH raises the error of a request tested among others on one of these
 * two, not on the request's communicator, and would end the process. */
static sl_err errors_return(void) {
    SL_MPI_TRY(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    return sl_mpi_check(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN),
                        "MPI_Comm_set_errhandler");
}

static sl_err mpi_start(sl_mpi *mpi, bool multiple) {
    int running = 0, ended = 0, level;
    SL_MPI_TRY(MPI_Initialized(&running));
    SL_MPI_TRY(MPI_Finalized(&ended));
    if (ended)
        return sl_fail(SL_ERR_CLOSED, "MPI was finalized; a process cannot start it twice");
    if (!running) {
        sl_mpi_eager_limit_request();
        sl_mpi_one_host_request();
        SL_MPI_TRY(MPI_Init_thread(NULL, NULL, multiple ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED,
                                   &level));
        mpi->started = true;
        SL_TRY(errors_return());
    }
    SL_TRY(thread_level_check());
    SL_MPI_TRY(MPI_Query_thread(&level));
    if (multiple && level < MPI_THREAD_MULTIPLE)
        return sl_fail(SL_ERR_UNAVAILABLE,
                       "MPI gives thread level %d, less than MPI_THREAD_MULTIPLE", level);
    return SL_OK;
}

static sl_err duplicate(MPI_Comm from, MPI_Comm *to) {
    SL_MPI_TRY(MPI_Comm_dup(from, to));
    return sl_mpi_check(MPI_Comm_set_errhandler(*to, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

/* The largest 2^k - 1 that is allowed as a tag. */
static sl_err tag_mask_read(MPI_Comm comm, int *mask) {
    int *most = NULL, found = 0;
    SL_MPI_TRY(MPI_Comm_get_attr(comm, MPI_TAG_UB, &most, &found));
    int limit = found && *most >= 32767 ? *most : 32767; /* the standard's least */
    *mask = 32767;
    while (*mask <= (limit - 1) / 2)
        *mask = *mask * 2 + 1;
    return SL_OK;
}

/* The ranks that share memory with this one. */
static sl_err host_open(sl_mpi *mpi, uint32_t sharing_ranks) {
    MPI_Comm host;
    int local;
    SL_MPI_TRY(MPI_Comm_split_type(mpi->frames, MPI_COMM_TYPE_SHARED, (int)mpi->rank, MPI_INFO_NULL,
                                   &host));
    SL_MPI_TRY(MPI_Comm_rank(host, &local));
    if (sharing_ranks) {
        int group = local / (int)sharing_ranks;
        SL_MPI_TRY(MPI_Comm_split(host, group, local, &mpi->host_comm));
        SL_MPI_TRY(MPI_Comm_free(&host));
    } else {
        mpi->host_comm = host;
    }
    return sl_mpi_check(MPI_Comm_set_errhandler(mpi->host_comm, MPI_ERRORS_RETURN),
                        "MPI_Comm_set_errhandler");
}

static sl_err communicators_open(sl_mpi *mpi, const void *given, uint32_t sharing_ranks) {
    MPI_Comm base = given ? *(const MPI_Comm *)given : MPI_COMM_WORLD;
    int rank, count, inter = 0;
    if (base == MPI_COMM_NULL)
        return sl_fail(SL_ERR_INVALID, "the communicator is MPI_COMM_NULL");
    SL_MPI_TRY(MPI_Comm_test_inter(base, &inter));
    if (inter)
        return sl_fail(SL_ERR_INVALID, "the communicator is an intercommunicator");
    SL_TRY(duplicate(base, &mpi->frames));
    SL_TRY(duplicate(mpi->frames, &mpi->bulk));
    SL_MPI_TRY(MPI_Comm_rank(mpi->frames, &rank));
    SL_MPI_TRY(MPI_Comm_size(mpi->frames, &count));
    mpi->rank = (uint32_t)rank;
    mpi->count = (uint32_t)count;
    SL_TRY(host_open(mpi, sharing_ranks));
    return tag_mask_read(mpi->bulk, &mpi->tag_mask);
}

/* ---- facts ---- */

static sl_err hello_make(const sl_mpi *mpi, const sl_mpi_options *options, hello *mine) {
    sl_rng rng;
    int local_rank, local_size;
    SL_TRY(sl_rng_seed_from_system(&rng));
    SL_MPI_TRY(MPI_Comm_rank(mpi->host_comm, &local_rank));
    SL_MPI_TRY(MPI_Comm_size(mpi->host_comm, &local_size));
    memset(mine, 0, sizeof *mine);
    if (gethostname(mine->host, sizeof mine->host - 1) != 0)
        strcpy(mine->host, "unknown");
    mine->pid = getpid();
    mine->frame_bytes = or_default(options->frame_bytes, sl_mpi_eager_frame_bytes(mpi->started));
    mine->local_rank = (uint32_t)local_rank;
    mine->local_size = (uint32_t)local_size;
    mine->incarnation = (uint32_t)sl_rng_u64(&rng) >> 1; /* it grows: see sl_node_options */
    mine->data_bytes = (uint32_t)options->data_bytes;
    mine->no_sharing = options->no_sharing;
    return SL_OK;
}

static sl_err hello_check(const hello *h, uint32_t rank) {
    if (h->data_bytes <= SL_MPI_DATA_MAX_BYTES && h->local_rank < h->local_size &&
        h->frame_bytes >= SL_MPI_FRAME_MIN_BYTES && h->frame_bytes <= SL_MPI_FRAME_MAX_BYTES)
        return SL_OK;
    return sl_fail(SL_ERR_DECODE, "rank %u says of itself what cannot be: is it another version?",
                   rank);
}

static void fact_set(sl_mpi_facts *fact, const hello *h, uint32_t rank) {
    *fact = (sl_mpi_facts){.rank = rank,
                           .local_rank = h->local_rank,
                           .local_size = h->local_size,
                           .incarnation = h->incarnation,
                           .pid = h->pid,
                           .data_bytes = h->data_bytes};
    memcpy(fact->host, h->host, sizeof fact->host - 1);
    for (char *c = fact->host; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
}

/* Takes in all hellos: facts without data, the common frame size, whether memory is to be shared.
 */
static sl_err hellos_take(sl_mpi *mpi, const hello *all, bool *shared) {
    uint64_t frame_bytes = SL_MPI_FRAME_MAX_BYTES;
    *shared = true;
    for (uint32_t i = 0; i < mpi->count; i++) {
        SL_TRY(hello_check(&all[i], i));
        fact_set(&mpi->facts[i], &all[i], i);
        if (all[i].frame_bytes < frame_bytes)
            frame_bytes = all[i].frame_bytes;
        *shared &= !all[i].no_sharing;
    }
    mpi->frame_bytes = frame_bytes & ~(size_t)7;
    return SL_OK;
}

/* Gathers all data at places on 8-byte borders, in units of 8 bytes so that MPI's ints suffice. */
static sl_err data_gather(sl_mpi *mpi, const sl_mpi_options *options, int *counts, int *places) {
    uint64_t units = 0, mine[SL_MPI_DATA_MAX_BYTES / 8] = {0};
    for (uint32_t i = 0; i < mpi->count; i++) {
        counts[i] = (int)((mpi->facts[i].data_bytes + 7) / 8);
        places[i] = (int)units;
        units += (uint64_t)counts[i];
    }
    if (units > INT_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%llu bytes of the ranks' data",
                       (unsigned long long)units * 8);
    mpi->data = malloc(units * 8 + 8);
    if (!mpi->data)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the data of %u ranks", mpi->count);
    if (options->data_bytes)
        memcpy(mine, options->data, options->data_bytes);
    SL_MPI_TRY(MPI_Allgatherv(mine, counts[mpi->rank], MPI_UINT64_T, mpi->data, counts, places,
                              MPI_UINT64_T, mpi->frames));
    for (uint32_t i = 0; i < mpi->count; i++)
        mpi->facts[i].data = mpi->data + (size_t)places[i] * 8;
    return SL_OK;
}

static sl_err facts_gather(sl_mpi *mpi, const sl_mpi_options *options, bool *shared) {
    hello mine;
    SL_TRY(hello_make(mpi, options, &mine));
    hello *all = malloc(mpi->count * sizeof *all);
    int *numbers = malloc(2 * mpi->count * sizeof *numbers);
    mpi->facts = calloc(mpi->count, sizeof *mpi->facts);
    sl_err err = SL_OK;
    if (!all || !numbers || !mpi->facts)
        err = sl_fail(SL_ERR_NO_MEMORY, "no memory for the facts of %u ranks", mpi->count);
    if (err == SL_OK)
        err = sl_mpi_check(
            MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, mpi->frames),
            "MPI_Allgather of facts");
    if (err == SL_OK)
        err = hellos_take(mpi, all, shared);
    if (err == SL_OK)
        err = data_gather(mpi, options, numbers, numbers + mpi->count);
    free(all);
    free(numbers);
    return err;
}

/* ---- open and close ---- */

static sl_err join(sl_mpi *mpi, const sl_mpi_options *options) {
    bool shared = true;
    SL_TRY(settings_make(options, &mpi->settings));
    SL_TRY(mpi_start(mpi, options->thread_multiple));
    SL_TRY(communicators_open(mpi, options->communicator, options->sharing_ranks));
    SL_TRY(facts_gather(mpi, options, &shared));
    SL_TRY(sl_mpi_host_open(&mpi->host, mpi, shared));
    SL_TRY(sl_mpi_transport_open(mpi, &mpi->transport));
    sl_debug("mpi", "joined: rank %u of %u frame_bytes %zu far %u memory readable %d", mpi->rank,
             mpi->count, mpi->frame_bytes, mpi->host.far, mpi->host.readable);
    return SL_OK;
}

static void forget(sl_mpi *mpi, bool clean) {
    sl_mpi_host_close(&mpi->host, clean);
    free(mpi->facts);
    free(mpi->data);
    free(mpi);
}

sl_err sl_mpi_open(const sl_mpi_options *options, sl_mpi **out) {
    static const sl_mpi_options defaults;
    signals_ignore();
    sl_mpi *mpi = calloc(1, sizeof *mpi);
    if (!mpi)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to join the network");
    mpi->frames = mpi->bulk = mpi->host_comm = MPI_COMM_NULL;
    sl_err err = join(mpi, options ? options : &defaults);
    if (err != SL_OK) {
        forget(mpi, false);
        return err;
    }
    *out = mpi;
    return SL_OK;
}

uint32_t sl_mpi_rank(const sl_mpi *mpi) {
    return mpi->rank;
}

uint32_t sl_mpi_count(const sl_mpi *mpi) {
    return mpi->count;
}

const sl_mpi_facts *sl_mpi_peer(const sl_mpi *mpi, uint32_t rank) {
    return rank < mpi->count ? &mpi->facts[rank] : NULL;
}

uint32_t sl_mpi_ended(const sl_mpi *mpi) {
    for (uint32_t i = 0; i < mpi->count; i++)
        if (sl_mpi_host_ended(&mpi->host, i))
            return i;
    return SL_MPI_NONE;
}

sl_transport *sl_mpi_transport(sl_mpi *mpi) {
    return mpi->transport;
}

/* Receives one message that nobody asked for; false when there is none, or it is too large to
 * bother. */
static bool discard_one(MPI_Comm comm) {
    MPI_Status status;
    int found = 0, bytes = 0;
    if (MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &found, &status) != MPI_SUCCESS || !found)
        return false;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    void *place = bytes >= 0 && bytes <= DISCARD_MAX_BYTES ? malloc((size_t)bytes + 1) : NULL;
    bool taken = place && MPI_Recv(place, bytes, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, comm,
                                   MPI_STATUS_IGNORE) == MPI_SUCCESS;
    free(place);
    return taken;
}

/* What was sent and never received, some MPI libraries would hand to a later communicator that gets
 * the same context. */
static void communicator_close(MPI_Comm *comm) {
    for (uint32_t i = 0; i < DISCARD_MAX && discard_one(*comm); i++)
        continue;
    MPI_Comm_free(comm);
}

/* All have come to their end, and nobody sends any more: a barrier that the dead do not hold up. */
static void part(sl_mpi *mpi, int exit_code) {
    sl_mpi_gathering end = {.patience_ns = mpi->settings.finalize_timeout_s * SL_NS_PER_S / 2};
    sl_err err = sl_mpi_gather(mpi, &end);
    if (err == SL_OK && end.whole)
        return;
    sl_mpi_watchdog_bite("a rank was lost at the end: leaving MPI as it is", exit_code);
}

void sl_mpi_close(sl_mpi *mpi, bool clean, int exit_code) {
    sl_mpi_watchdog watchdog;
    if (!mpi)
        return;
    if (!clean) {
        forget(mpi, false);
        return;
    }
    sl_mpi_watchdog_start(&watchdog, "leaving MPI", mpi->settings.finalize_timeout_s, exit_code,
                          NULL);
    if (mpi->transport)
        mpi->transport->ops->close(mpi->transport);
    bool started = mpi->started;
    part(mpi, exit_code);
    MPI_Comm_free(&mpi->host_comm);
    communicator_close(&mpi->bulk);
    communicator_close(&mpi->frames);
    forget(mpi, true);
    if (started)
        MPI_Finalize();
    sl_mpi_watchdog_stop(&watchdog);
}

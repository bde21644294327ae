/* The MPI transport, bootstrap and collectives, as one MPI program: the first case starts MPI, the
 * last ends it. Every rank runs every case. */
#include <mpi.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mpi/bootstrap.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "tests/lib/collective_conformance.h"
#include "tests/lib/test.h"
#include "tests/lib/transport_conformance.h"

static sl_mpi *network;

/* Data that follows from the rank, of a length that differs too. */
static size_t data_make(uint32_t rank, uint8_t *data) {
    size_t bytes = (rank * 37) % 100 + (rank == 0 ? SL_MPI_DATA_MAX_BYTES - 100 : 0);
    memset(data, (int)rank + 1, bytes);
    return bytes;
}

/* This rank as the launcher says, before MPI does; 0 without one. */
static uint32_t launched_rank(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    const char *rank;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((rank = getenv(names[i])))
            return (uint32_t)atoi(rank);
    return 0;
}

TEST(opens) {
    uint8_t data[SL_MPI_DATA_MAX_BYTES];
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_INFO});
    size_t bytes = data_make(launched_rank(), data);
    sl_mpi_options options = {.data = data, .data_bytes = bytes};
    REQUIRE(sl_mpi_open(&options, &network) == SL_OK);
    CHECK_INT(sl_mpi_rank(network), launched_rank());
    CHECK(sl_mpi_count(network) == 1 || sl_mpi_launched());
}

TEST(peers_are_known) {
    uint8_t data[SL_MPI_DATA_MAX_BYTES];
    char host[SL_MPI_HOST_BYTES] = "";
    REQUIRE(network);
    uint32_t self = sl_mpi_rank(network), count = sl_mpi_count(network);
    gethostname(host, sizeof host - 1);
    CHECK(self < count);
    for (uint32_t i = 0; i < count; i++) {
        const sl_mpi_facts *peer = sl_mpi_peer(network, i);
        CHECK_INT(peer->rank, i);
        CHECK(peer->local_rank < peer->local_size && peer->local_size <= count && peer->pid > 0);
        CHECK_INT(peer->data_bytes, data_make(i, data));
        CHECK(memcmp(peer->data, data, peer->data_bytes) == 0 && (uintptr_t)peer->data % 8 == 0);
        for (uint32_t j = 0; j < i; j++)
            CHECK(peer->incarnation != sl_mpi_peer(network, j)->incarnation);
    }
    CHECK(sl_mpi_peer(network, count) == NULL);
    CHECK_INT(sl_mpi_peer(network, self)->pid, getpid());
    CHECK_STR(sl_mpi_peer(network, self)->host, host);
}

TEST(refuses_options_out_of_range) {
    sl_mpi *other = NULL;
    MPI_Comm none = MPI_COMM_NULL;
    CHECK(sl_mpi_open(&(sl_mpi_options){.data_bytes = 5000, .data = ""}, &other) == SL_ERR_INVALID);
    CHECK(sl_mpi_open(&(sl_mpi_options){.data_bytes = 5}, &other) == SL_ERR_INVALID);
    CHECK(sl_mpi_open(&(sl_mpi_options){.frame_bytes = 8}, &other) == SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "frame_bytes is 8");
    CHECK(sl_mpi_open(&(sl_mpi_options){.window = 5000}, &other) == SL_ERR_INVALID);
    CHECK(sl_mpi_open(&(sl_mpi_options){.receive_ring = 5000}, &other) == SL_ERR_INVALID);
    CHECK(sl_mpi_open(&(sl_mpi_options){.pause_min_ns = 2000000000}, &other) == SL_ERR_INVALID);
    CHECK(sl_mpi_open(&(sl_mpi_options){.communicator = &none}, &other) == SL_ERR_INVALID);
    CHECK(other == NULL);
}

TEST(conforms) {
    REQUIRE(network);
    uint64_t alive = sl_blob_alive_bytes();
    transport_conformance_run(
        sl_mpi_transport(network),
        &(transport_conformance_options){.seed = 1, .frames = 3000, .to_self = true});
    CHECK_INT(sl_blob_alive_bytes(), alive);
}

/* A network on `communicator` with options of its own, run through the suite and closed. */
static void conform_on(MPI_Comm communicator, sl_mpi_options options, uint32_t frames) {
    sl_mpi *mpi;
    options.communicator = &communicator;
    REQUIRE(sl_mpi_open(&options, &mpi) == SL_OK);
    sl_transport *t = sl_mpi_transport(mpi);
    CHECK_INT(t->self, sl_mpi_rank(mpi));
    CHECK_INT(t->count, sl_mpi_count(mpi));
    CHECK(!options.frame_bytes || t->frame_bytes == options.frame_bytes);
    transport_conformance_run(t, &(transport_conformance_options){
                                     .seed = 2, .frames = frames, .bulk_max_bytes = 2 << 20});
    t->ops->close(t);
    CHECK(sl_mpi_transport(mpi) == NULL);
    sl_mpi_close(mpi, true, 1);
}

TEST(conforms_without_sharing) {
    conform_on(MPI_COMM_WORLD, (sl_mpi_options){.no_sharing = true}, 1000);
}

/* Some peers through memory and some through MPI. */
TEST(conforms_on_several_hosts) {
    conform_on(MPI_COMM_WORLD, (sl_mpi_options){.sharing_ranks = 2}, 1000);
}

/* Small window, small ring, frames that go by rendezvous, blobs as derived datatypes. */
TEST(conforms_when_tight) {
    conform_on(
        MPI_COMM_WORLD,
        (sl_mpi_options){.window = 1, .receive_ring = 1, .frame_bytes = 65536, .large_bytes = 1000},
        300);
}

/* Only bells end a sleep here: no pause would within the test's time. */
TEST(bells_alone_wake) {
    uint64_t minute = 60 * SL_NS_PER_S;
    conform_on(MPI_COMM_WORLD, (sl_mpi_options){.pause_bells_ns = minute}, 500);
}

/* Two networks side by side, each on half of the ranks. */
TEST(networks_on_parts_of_the_ranks) {
    MPI_Comm half;
    int rank;
    MPI_Errhandler before, after;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half);
    MPI_Comm_get_errhandler(half, &before);
    conform_on(half, (sl_mpi_options){0}, 1000);
    MPI_Comm_get_errhandler(half, &after);
    CHECK(before == after); /* the caller's communicator is as it was */
    MPI_Errhandler_free(&before);
    MPI_Errhandler_free(&after);
    MPI_Comm_free(&half);
}

TEST(abandons) {
    sl_mpi *mpi;
    REQUIRE(sl_mpi_open(&(sl_mpi_options){0}, &mpi) == SL_OK);
    sl_transport *t = sl_mpi_transport(mpi);
    transport_conformance_abandon(t);
    t->ops->close(t);
    MPI_Barrier(MPI_COMM_WORLD);
    sl_mpi_close(mpi, true, 1);
}

static void readmit_with(sl_mpi_options options) {
    sl_mpi *mpi;
    REQUIRE(sl_mpi_open(&options, &mpi) == SL_OK);
    sl_transport *t = sl_mpi_transport(mpi);
    transport_conformance_readmit(t);
    t->ops->close(t);
    MPI_Barrier(MPI_COMM_WORLD);
    sl_mpi_close(mpi, true, 1);
}

TEST(readmits) {
    readmit_with((sl_mpi_options){0});
}

TEST(readmits_on_several_hosts) {
    readmit_with((sl_mpi_options){.sharing_ranks = 2});
}

TEST(readmits_without_sharing) {
    readmit_with((sl_mpi_options){.no_sharing = true, .window = 1});
}

TEST(tells_of_bulk_data_of_another_length) {
    sl_mpi *mpi;
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_ERROR});
    REQUIRE(sl_mpi_open(&(sl_mpi_options){0}, &mpi) == SL_OK);
    transport_conformance_misfit(sl_mpi_transport(mpi));
    sl_mpi_close(mpi, true, 1);
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_INFO});
}

static double cpu_s(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

static void nothing(void *context, uint32_t peer, const void *frame, size_t bytes) {
    (void)context, (void)peer, (void)frame, (void)bytes;
}

/* The share of a core that a loop with nothing to do takes, over `span_ns`. */
static double idle_share(sl_transport *t, uint64_t span_ns) {
    sl_transport_sink sink = {.frame = nothing};
    uint64_t start = sl_clock_now_ns(), now;
    double cpu = cpu_s();
    while ((now = sl_clock_now_ns()) - start < span_ns) {
        uint32_t ticket = t->ops->arm(t);
        if (t->ops->poll(t, &sink, 16))
            t->ops->disarm(t);
        else
            t->ops->sleep(t, ticket, 100 * SL_NS_PER_MS);
    }
    return (cpu_s() - cpu) / ((double)(now - start) * 1e-9);
}

TEST(idles) {
    sl_mpi *mpi;
    REQUIRE(network);
    transport_conformance_meet(sl_mpi_transport(network));
    double share = idle_share(sl_mpi_transport(network), 2 * SL_NS_PER_S);
    REQUIRE(sl_mpi_open(&(sl_mpi_options){.no_sharing = true}, &mpi) == SL_OK);
    transport_conformance_meet(sl_mpi_transport(mpi));
    double polling = idle_share(sl_mpi_transport(mpi), SL_NS_PER_S);
    if (sl_mpi_rank(mpi) == 0)
        printf("    idle: %.2f %% of a core with bells, %.2f %% polling\n", share * 100,
               polling * 100);
    CHECK(share < 0.02);
    CHECK(polling < 0.1); /* it sleeps at all; the figure itself is the benchmark's matter */
    sl_mpi_close(mpi, true, 1);
}

TEST(collectives_of_all) {
    sl_collective *collective;
    REQUIRE(network && sl_mpi_collective(network, NULL, 0, 1, &collective) == SL_OK);
    CHECK_INT(collective->self, sl_mpi_rank(network));
    collective_conformance_run(collective);
    sl_collective_close(collective);
}

/* Even and odd ranks at the same time; then who is not a member, or in no order, is refused. */
TEST(collectives_of_some) {
    sl_collective *collective;
    uint32_t members[64], count = 0;
    REQUIRE(network && sl_mpi_count(network) <= 64);
    uint32_t self = sl_mpi_rank(network);
    for (uint32_t i = self % 2; i < sl_mpi_count(network); i += 2)
        members[count++] = i;
    REQUIRE(sl_mpi_collective(network, members, count, 2 + self % 2, &collective) == SL_OK);
    CHECK_INT(collective->count, count);
    collective_conformance_run(collective);
    sl_collective_close(collective);
    uint32_t other[2] = {self + 1, self};
    CHECK(sl_mpi_collective(network, other, 1, 4, &collective) == SL_ERR_INVALID);
    CHECK(sl_mpi_collective(network, other, 2, 4, &collective) == SL_ERR_INVALID);
    CHECK(sl_mpi_collective(network, NULL, 0, 40000, &collective) == SL_ERR_INVALID);
}

/* Large parts and empty ones; the first rank has them all, and everybody knows. */
TEST(gathers_what_all_have) {
    enum { BYTES = 100000 };
    REQUIRE(network);
    uint32_t self = sl_mpi_rank(network), count = sl_mpi_count(network);
    uint8_t *part = malloc(BYTES), *all = malloc((size_t)BYTES * count);
    bool *here = calloc(count, sizeof *here);
    memset(part, (int)self + 1, BYTES);
    sl_mpi_gathering parts = {
        .part = part, .bytes = BYTES, .patience_ns = 60 * SL_NS_PER_S, .all = all, .here = here};
    CHECK(sl_mpi_gather(network, &parts) == SL_OK && parts.whole && parts.taken);
    for (uint32_t i = 0; self == 0 && i < count; i++)
        CHECK(here[i] && all[(size_t)BYTES * i] == i + 1 &&
              all[(size_t)BYTES * (i + 1) - 1] == i + 1);
    sl_mpi_gathering nothing = {.patience_ns = 60 * SL_NS_PER_S};
    CHECK(sl_mpi_gather(network, &nothing) == SL_OK && nothing.whole);
    parts.bytes = SL_MPI_GATHER_MAX_BYTES + 1;
    CHECK(sl_mpi_gather(network, &parts) == SL_ERR_TOO_LARGE);
    free(part);
    free(all);
    free(here);
}

/* The last rank comes when the others have given it up: it is missing, and hears so. Where the
 * first counts it as lost it is not waited for at all. */
TEST(gathers_without_a_rank) {
    REQUIRE(network);
    uint32_t self = sl_mpi_rank(network), count = sl_mpi_count(network), last = count - 1;
    bool *here = calloc(count, sizeof *here), *lost = calloc(count, sizeof *lost);
    int turn = 0;
    if (count > 1) {
        MPI_Barrier(MPI_COMM_WORLD);
        sl_mpi_gathering parts = {.part = "word", .bytes = 4, .patience_ns = SL_NS_PER_S};
        parts.all = calloc(count, 4);
        parts.here = here;
        if (self == last)
            MPI_Recv(&turn, 1, MPI_INT, 0, 99, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        CHECK(sl_mpi_gather(network, &parts) == SL_OK && !parts.whole);
        CHECK(parts.taken == (self != last));
        CHECK(self != 0 || !here[last]);
        if (self == 0)
            MPI_Send(&turn, 1, MPI_INT, (int)last, 99, MPI_COMM_WORLD);
        lost[last] = true;
        sl_mpi_gathering living = {.patience_ns = 60 * SL_NS_PER_S, .lost = lost, .here = here};
        if (self != last)
            CHECK(sl_mpi_gather(network, &living) == SL_OK && !living.whole && living.taken);
        free(parts.all);
    }
    CHECK(sl_mpi_ended(network) == SL_MPI_NONE);
    free(here);
    free(lost);
}

TEST(closes) {
    sl_mpi *again;
    int finalized = 0;
    REQUIRE(network);
    sl_transport *t = sl_mpi_transport(network);
    transport_conformance_meet(t);
    CHECK(t->ops->drained(t));
    t->ops->close(t);
    sl_mpi_close(network, true, 1);
    MPI_Finalized(&finalized);
    CHECK(finalized);
    CHECK(sl_mpi_open(NULL, &again) == SL_ERR_CLOSED);
}

/* Sealed tasks over the ranks of an MPI job: each rank has an identity of its own, the first one is
 * the client, which learns by whom tasks may be run, seals one to all of them, and opens the
 * result.
 */
#include <mpi.h>
#include <stdatomic.h>

#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "actors/secure/identity_file.h"
#include "runtime/clock.h"
#include "sdk/network.h"
#include "sdk/network_stop.h"
#include "sdk/sealed.h"
#include "tests/lib/sealing.h"

enum { MOST_RANKS = 16, BATCH = 64, BATCHES_MOST = 200 };

static const char argument[] = "0123456789";

/* ---- keys: an authority that whoever comes first makes, and an identity a rank ---- */

typedef struct keys {
    char folder[256], authority[300], own[300];
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    char fingerprint_text[2 * SL_KEY_FINGERPRINT_BYTES + 1];
} keys;

static void certify_own(const keys *k, const sl_identity *authority, int rank) {
    sl_identity *own;
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    sl_certificate c = {.role = SL_ROLE_NODE, .validity = {now_s - 100, now_s + 3600}};
    snprintf(c.name, sizeof c.name, "rank-%d", rank);
    sl_test_need(sl_identity_open(k->own, &own), "own identity");
    sl_test_need(sl_identity_request(own, &c), "request");
    sl_test_need(sl_identity_certify(authority, &c, c.validity, &c), "certificate");
    sl_test_need(sl_identity_adopt(own, &c), "certificate");
    sl_test_need(sl_identity_save_certificate(k->own, own), "certificate");
    sl_identity_destroy(own);
}

/* Collective. */
static void make_keys(keys *k, int rank, sl_identity **authority) {
    if (rank == 0)
        snprintf(k->folder, sizeof k->folder, "%s", sl_test_dir());
    MPI_Bcast(k->folder, sizeof k->folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(k->authority, sizeof k->authority, "%s/authority", k->folder);
    snprintf(k->own, sizeof k->own, "%s/rank-%d", k->folder, rank);
    sl_test_need(sl_identity_open(k->authority, authority), "authority");
    sl_fingerprint(sl_identity_key(*authority), k->fingerprint);
    sl_hex(k->fingerprint, sizeof k->fingerprint, k->fingerprint_text);
    certify_own(k, *authority, rank);
}

/* ---- the client ---- */

typedef struct client {
    sl_trust *trust;
    sl_identity *identity;
    sl_sealer *sealer;
    sl_opener *opener;
    sl_peer nodes[MOST_RANKS];
    uint32_t known, wanted, batches, open;
    uint64_t tag;
    uint8_t *envelope;
    uint8_t id[SL_ENVELOPE_ID_BYTES];
    uint8_t status;
    bool answered;
} client;

static sl_err submit(sl_actor *self, client *c, const char *function, const void *args, size_t size,
                     uint32_t count) {
    const executor_function call = {.name = sl_text_of(function),
                                    .arguments = {args, (uint32_t)size}};
    size_t bytes = sl_record_wire_bytes(&executor_function_record, &call);
    uint8_t *payload = malloc(bytes);
    scheduler_task tasks[BATCH];
    sl_record_encode(&executor_function_record, &call, payload, NULL);
    for (uint32_t i = 0; i < count; i++)
        tasks[i] = (scheduler_task){.tag = c->tag++,
                                    .kind = SL_TASK_FUNCTION,
                                    .cpus = 1,
                                    .payload = {payload, (uint32_t)bytes}};
    scheduler_submit message = {.tasks = {tasks, count}};
    c->open = count;
    sl_err err = scheduler_submit_send(self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &message);
    free(payload);
    return err;
}

static sl_err ask_credentials(sl_actor *self, client *c) {
    if (c->batches++ == BATCHES_MOST)
        return sl_fail(SL_ERR_TIMEOUT, "only %u of %u nodes have answered", c->known, c->wanted);
    return submit(self, c, SL_CREDENTIAL_FUNCTION, NULL, 0, BATCH);
}

static void learn(client *c, sl_bytes credential) {
    sl_peer peer;
    if (sl_trust_check(c->trust, credential.data, credential.bytes, (uint64_t)sl_clock_wall_s(),
                       &peer) != SL_OK) {
        sl_test_fail(__FILE__, __LINE__, "a node's credential: %s", sl_err_detail());
        return;
    }
    for (uint32_t i = 0; i < c->known; i++)
        if (memcmp(c->nodes[i].key_id, peer.key_id, sizeof peer.key_id) == 0)
            return;
    if (c->known < MOST_RANKS)
        c->nodes[c->known++] = peer;
}

static sl_err submit_sealed(sl_actor *self, client *c) {
    const sl_seal_request request = {.sender = c->identity,
                                     .recipients = c->nodes,
                                     .recipient_count = c->known,
                                     .now_s = (uint64_t)sl_clock_wall_s(),
                                     .lifetime_s = 600};
    size_t size;
    SL_TRY(sl_sealed_call(c->sealer, &request, "starlane.crc32", argument, strlen(argument),
                          &c->envelope, &size));
    memcpy(c->id, sl_sealer_id(c->sealer), sizeof c->id);
    return submit(self, c, SL_SEALED_FUNCTION, c->envelope, size, 1);
}

static void take_answer(client *c, const scheduler_outcome *outcome) {
    const sl_open_request request = {.recipient = c->identity,
                                     .trust = c->trust,
                                     .about = c->id,
                                     .now_s = (uint64_t)sl_clock_wall_s()};
    uint8_t *copy = malloc(outcome->output.bytes + 1);
    sl_sealed_answer answer;
    memcpy(copy, outcome->output.data, outcome->output.bytes);
    c->status = outcome->status;
    if (outcome->status != SL_TASK_DONE)
        sl_test_fail(__FILE__, __LINE__, "the sealed task: %s", outcome->message.data);
    else if (sl_sealed_open_answer(c->opener, &request, copy, outcome->output.bytes, &answer) !=
             SL_OK)
        sl_test_fail(__FILE__, __LINE__, "its answer: %s", sl_err_detail());
    else
        c->answered = answer.err == SL_OK && answer.output.bytes == 9 &&
                      memcmp(answer.output.data, "a684c7c6\n", 9) == 0;
    free(copy);
}

static sl_err client_start(sl_actor *self, void *state, const void *arguments) {
    client *c = *(client **)state = *(client *const *)arguments;
    return ask_credentials(self, c);
}

static sl_err client_receive(sl_actor *self, void *state, const sl_message *message) {
    client *c = *(client **)state;
    if (message->type != &scheduler_done_type)
        return SL_OK;
    const scheduler_done *done = message->body;
    for (uint32_t i = 0; i < done->outcomes.count; i++)
        if (c->envelope)
            take_answer(c, &done->outcomes.items[i]);
        else
            learn(c, done->outcomes.items[i].output);
    c->open -= done->outcomes.count;
    if (c->open)
        return SL_OK;
    if (c->envelope) {
        sl_network_stop_all(self, 0);
        return SL_OK;
    }
    return c->known < c->wanted ? ask_credentials(self, c) : submit_sealed(self, c);
}

static const sl_actor_class client_class = {.name = "client",
                                            .state_bytes = sizeof(client *),
                                            .start = client_start,
                                            .receive = client_receive};

/* ---- the network ---- */

static client client_create(const sl_identity *authority, const keys *k, uint32_t nodes) {
    client c = {.wanted = nodes};
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    sl_certificate name = {
        .role = SL_ROLE_CLIENT, .name = "alice", .validity = {now_s - 100, now_s + 3600}};
    sl_test_need(sl_trust_create(&c.trust), "trust");
    sl_test_need(sl_trust_pin(c.trust, k->fingerprint), "trust");
    sl_test_need(sl_identity_create(&c.identity), "client");
    sl_test_need(sl_identity_renew(c.identity, now_s, 3600), "client");
    sl_test_need(sl_identity_request(c.identity, &name), "client");
    sl_test_need(sl_identity_certify(authority, &name, name.validity, &name), "client");
    sl_test_need(sl_identity_adopt(c.identity, &name), "client");
    sl_test_need(sl_sealer_create(&c.sealer), "sealer");
    sl_test_need(sl_opener_create(&c.opener), "opener");
    return c;
}

static void client_destroy(client *c) {
    sl_sealer_destroy(c->sealer), sl_opener_destroy(c->opener);
    sl_identity_destroy(c->identity), sl_trust_destroy(c->trust);
    free(c->envelope);
}

TEST(starts) {
    int level;
    REQUIRE(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) == MPI_SUCCESS);
}

TEST(a_sealed_task_runs_on_a_rank_and_comes_back) {
    int rank, count;
    uint32_t code = 1;
    MPI_Comm all = MPI_COMM_WORLD;
    keys k;
    sl_identity *authority;
    sl_options *options;
    sl_network *network;
    MPI_Comm_rank(all, &rank);
    MPI_Comm_size(all, &count);
    REQUIRE(count <= MOST_RANKS);
    make_keys(&k, rank, &authority);
    client c = client_create(authority, &k, count > 1 ? (uint32_t)count - 1 : 1);
    client *p = &c;
    sl_identity_destroy(authority);
    REQUIRE(sl_options_create(&options) == 0);
    CHECK_INT(sl_options_set(options, "keys", k.own), 0);
    CHECK_INT(sl_options_set(options, "authority", k.fingerprint_text), 0);
    CHECK_INT(sl_options_set(options, "policy", "random"), 0);
    CHECK_INT(sl_options_set(options, "cpus", rank == 0 && count > 1 ? "0" : "1"), 0);
    REQUIRE(sl_network_open(options, &all, &network) == 0);
    const sl_network_setup setup = {.driver = rank == 0 ? &client_class : NULL,
                                    .driver_argument = &p,
                                    .driver_argument_bytes = sizeof p};
    REQUIRE(sl_network_start(network, &setup) == SL_OK);
    CHECK_INT(sl_network_loop(network, &code), SL_OK);
    sl_network_finish(network);
    sl_network_close(network, (int)code);
    sl_options_destroy(options);
    CHECK_INT(code, 0);
    CHECK(rank > 0 || c.answered);
    client_destroy(&c);
}

TEST(ends) {
    MPI_Barrier(MPI_COMM_WORLD); /* nobody's folder goes before all are done */
    CHECK_INT(MPI_Finalize(), MPI_SUCCESS);
}

/* Sealed tasks on a network of threads: every byte between the nodes, and every file of the ledger,
 * is searched for what was sealed; and it is found there when sealing is off. */
#include <dirent.h>
#include <sodium.h>
#include <sys/stat.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/clock.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "runtime/transport_thread.h"
#include "sdk/seal.h"
#include "sdk/sealed.h"
#include "tests/lib/fake_registry.h"
#include "tests/lib/files.h"
#include "tests/lib/recorder.h"
#include "tests/lib/sealing.h"

/* Node 0 is the client's and its scheduler's; it offers nothing, so that tasks leave it. */
enum { NODES = 3, CORES = 2, LARGE = 100000 };

static const char secret[] = "what nobody between the two ends may read, whoever they are";
static const char answer[] = "and what comes back to the client alone, sealed the same way";
static const char reason[] = "a reason that would give away what was computed, if told";

/* ---- functions ---- */

static sl_err check_secret(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    if (bytes < sizeof secret || memcmp(args, secret, sizeof secret) != 0)
        return sl_fail(SL_ERR_INVALID, "the function got something else");
    SL_TRY(sl_task_output_write(output, answer, sizeof answer));
    return sl_task_output_write(output, args, bytes);
}

static sl_err fail_telling(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)args, (void)bytes, (void)output, (void)user;
    return sl_fail(SL_ERR_NOT_FOUND, "%s", reason);
}

/* Answers with data that would go beside what is sealed. */
static sl_err answer_apart(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)args, (void)bytes, (void)user;
    return sl_blob_copy(secret, sizeof secret, &output->apart);
}

/* ---- the people ---- */

typedef struct people {
    sl_identity *authority, *client, *nodes[NODES];
    sl_trust *trust;
    sl_peer peers[NODES];
    sl_sealer *sealer;
    sl_opener *opener;
} people;

/* Valid now: nodes look at the machine's clock. */
static sl_identity *somebody(const sl_identity *authority, sl_role role, const char *project) {
    sl_identity *made;
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    sl_certificate c = {.role = role, .name = "n", .validity = {now_s - 10, now_s + 3600}};
    snprintf(c.project, sizeof c.project, "%s", project);
    sl_test_need(sl_identity_create(&made), "identity");
    sl_test_need(sl_identity_renew(made, now_s, 3600), "key");
    sl_test_need(sl_identity_request(made, &c), "request");
    sl_test_need(sl_identity_certify(authority, &c, c.validity, &c), "certificate");
    sl_test_need(sl_identity_adopt(made, &c), "certificate");
    return made;
}

static people meet(void) {
    people p = {.authority = sl_test_authority()};
    p.client = somebody(p.authority, SL_ROLE_CLIENT, "physics");
    p.trust = sl_test_trust(p.authority);
    for (int i = 0; i < NODES; i++) {
        uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
        size_t size;
        p.nodes[i] = somebody(p.authority, SL_ROLE_NODE, "");
        sl_test_need(sl_identity_credential(p.nodes[i], credential, &size), "credential");
        sl_test_need(
            sl_trust_check(p.trust, credential, size, (uint64_t)sl_clock_wall_s(), &p.peers[i]),
            "credential");
    }
    sl_test_need(sl_sealer_create(&p.sealer), "sealer");
    sl_test_need(sl_opener_create(&p.opener), "opener");
    return p;
}

static void part(people *p) {
    sl_sealer_destroy(p->sealer), sl_opener_destroy(p->opener);
    sl_trust_destroy(p->trust);
    sl_identity_destroy(p->authority), sl_identity_destroy(p->client);
    for (int i = 0; i < NODES; i++)
        sl_identity_destroy(p->nodes[i]);
}

/* ---- a task, and what came of it ---- */

typedef struct job {
    executor_function call;
    sl_bytes spec; /* as the ledger keeps it */
    uint32_t retries;
    uint8_t *output; /* owned */
    size_t output_bytes;
    sl_blob *apart;
    char message[256];
    scheduler_outcome outcome; /* what it points to is gone */
    bool accepted;
} job;

static sl_err driver_start(sl_actor *self, void *state, const void *arguments) {
    job *j = *(job **)state = *(job *const *)arguments;
    size_t room = sl_record_wire_bytes(&executor_function_record, &j->call);
    uint8_t *payload = malloc(room);
    sl_record_encode(&executor_function_record, &j->call, payload, NULL);
    scheduler_task task = {.kind = SL_TASK_FUNCTION,
                           .cpus = 1,
                           .retries = j->retries,
                           .name = sl_text_of("a-task"),
                           .record = j->spec,
                           .payload = {payload, (uint32_t)room}};
    scheduler_submit submit = {.tasks = {&task, 1}};
    sl_err err = scheduler_submit_send(self, sl_addr_well_known(0, SL_SLOT_SCHEDULER), &submit);
    free(payload);
    return err;
}

static void stop_network(sl_actor *self) {
    node_stop stop = {0};
    for (uint32_t node = 0; node < NODES; node++)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &stop), SL_OK);
}

static sl_err driver_receive(sl_actor *self, void *state, const sl_message *message) {
    job *j = *(job **)state;
    if (message->type == &scheduler_accepted_type) {
        const scheduler_accepted *accepted = message->body;
        j->accepted = !accepted->error;
        if (accepted->error) {
            sl_test_fail(__FILE__, __LINE__, "not accepted: %s", accepted->detail.data);
            stop_network(self);
        }
    } else if (message->type == &scheduler_done_type) {
        const scheduler_done *done = message->body;
        j->outcome = done->outcomes.items[0];
        j->output_bytes = j->outcome.output.bytes;
        j->output = malloc(j->output_bytes + 1);
        if (j->output_bytes)
            memcpy(j->output, j->outcome.output.data, j->output_bytes);
        j->apart = sl_blob_retain(done->apart);
        snprintf(j->message, sizeof j->message, "%s", j->outcome.message.data);
        stop_network(self);
    }
    return SL_OK;
}

static const sl_actor_class driver_class = {.name = "driver",
                                            .state_bytes = sizeof(job *),
                                            .start = driver_start,
                                            .receive = driver_receive};

/* ---- the network ---- */

typedef struct member {
    sl_node *node;
    sl_pool *pool;
    sl_functions *functions;
    sl_sealed *sealed;
    sl_sealed_place place;
    sl_replay *replay;
    pthread_t thread;
} member;

static void make_functions(member *m, const people *p, uint32_t node, const char *project) {
    sl_test_need(sl_functions_create(&m->functions), "functions");
    sl_test_need(sl_replay_create(16, &m->replay), "replay");
    const sl_sealed_options options = {.identity = p->nodes[node],
                                       .trust = p->trust,
                                       .replay = m->replay,
                                       .project = project,
                                       .result_lifetime_s = 600};
    sl_test_need(sl_sealed_create(&options, &m->sealed), "sealed");
    sl_test_need(sl_functions_register(m->functions, "check", check_secret, NULL), "check");
    sl_test_need(sl_functions_register(m->functions, "fail", fail_telling, NULL), "fail");
    sl_test_need(sl_functions_register(m->functions, "apart", answer_apart, NULL), "apart");
    m->place = (sl_sealed_place){.sealed = m->sealed};
    sl_test_need(sl_sealed_register(m->functions, &m->place), "sealed");
    sl_functions_freeze(m->functions);
}

static void make_actors(member *m, uint32_t node, sl_ledger *ledger, job *j) {
    sl_grant_core cores[CORES] = {{0, 1, {0}}, {0, 1, {1}}};
    sl_fake_registry registry = {NODES, CORES, 0, 1 << 30, 1000, NULL, 0};
    sl_executor_options executor = {.offer = {cores, node ? CORES : 0, 0, 1 << 30, 1000},
                                    .functions = m->functions,
                                    .pool = m->pool};
    sl_scheduler_options scheduler = {.ledger = node ? NULL : ledger, .seed = 1};
    sl_test_need(sl_node_spawn(m->node, SL_SLOT_REGISTRY, &sl_fake_registry_class, &registry,
                               sizeof registry, NULL),
                 "registry");
    sl_test_need(sl_node_spawn(m->node, SL_SLOT_EXECUTOR, &sl_executor_class, &executor,
                               sizeof executor, NULL),
                 "executor");
    sl_test_need(sl_node_spawn(m->node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &scheduler,
                               sizeof scheduler, NULL),
                 "scheduler");
    if (node == 0)
        sl_test_need(sl_node_spawn(m->node, SL_SLOT_DRIVER, &driver_class, &j, sizeof j, NULL),
                     "driver");
}

static void *run_node(void *argument) {
    member *m = argument;
    sl_err err = sl_node_run(m->node, NULL);
    if (err != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "a node ends with %s", sl_err_detail());
    return NULL;
}

static void run_network(const people *p, job *j, const char *project, const char *ledger_path,
                        sl_recording *recording) {
    sl_transport *transports[NODES];
    member members[NODES];
    sl_ledger *ledger;
    const sl_ledger_options ledger_options = {.mode = SL_LEDGER_CREATE};
    sl_test_need(sl_ledger_open(ledger_path, &ledger_options, &ledger), "ledger");
    sl_test_need(sl_thread_network_create(NODES, 0, transports), "network");
    for (uint32_t i = 0; i < NODES; i++) {
        member *m = &members[i];
        sl_node_options options = {.transport = sl_recorder_create(transports[i], recording),
                                   .incarnation = i + 1,
                                   .seed = i};
        sl_pool_options pool = {.threads = CORES};
        make_functions(m, p, i, project);
        sl_test_need(sl_node_create(&options, &m->node), "node");
        sl_test_need(sl_pool_create(m->node, &pool, &m->pool), "pool");
        make_actors(m, i, ledger, j);
    }
    for (uint32_t i = 0; i < NODES; i++)
        pthread_create(&members[i].thread, NULL, run_node, &members[i]);
    for (uint32_t i = 0; i < NODES; i++)
        pthread_join(members[i].thread, NULL);
    sl_test_need(sl_ledger_close(ledger, NULL), "ledger"); /* its thread tells nodes */
    for (uint32_t i = 0; i < NODES; i++) {
        member *m = &members[i];
        sl_pool_destroy(m->pool), sl_node_destroy(m->node), sl_functions_destroy(m->functions);
        sl_sealed_destroy(m->sealed), sl_replay_destroy(m->replay);
    }
}

/* ---- who looks ---- */

/* All that an attacker on the way and a thief of the disk get. */
typedef struct watched {
    sl_recording recording;
    char folder[300], ledger[320];
} watched;

static void watch(watched *w, const char *name) {
    *w = (watched){.recording = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    snprintf(w->folder, sizeof w->folder, "%s", sl_test_path(name));
    snprintf(w->ledger, sizeof w->ledger, "%s/ledger.db", w->folder);
    if (mkdir(w->folder, 0700) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s cannot be made", w->folder);
}

static bool file_has(const char *path, const char *what, size_t size) {
    static uint8_t bytes[4 << 20];
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    CHECK(got > 0 && got < sizeof bytes);
    if (file)
        fclose(file);
    return memmem(bytes, got, what, size) != NULL;
}

static bool disk_has(const watched *w, const char *what, size_t size) {
    bool has = false;
    uint32_t files = 0;
    DIR *entries = opendir(w->folder);
    for (struct dirent *e; entries && (e = readdir(entries));) {
        char path[600];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", w->folder, e->d_name);
        has |= file_has(path, what, size);
        files++;
    }
    if (entries)
        closedir(entries);
    CHECK(files > 0);
    return has;
}

/* Any 16 bytes of it: it might have been cut on its way. */
static bool saw(watched *w, const char *what, size_t size) {
    for (size_t at = 0; at + 16 <= size; at += 8)
        if (sl_recording_has(&w->recording, what + at, 16) || disk_has(w, what + at, 16))
            return true;
    return false;
}

static void stop_watching(watched *w) {
    free(w->recording.bytes);
}

/* ---- sealing a job ---- */

/* The argument of a function: the secret, and zeros up to `size`. */
static uint8_t *argument_of(size_t size) {
    uint8_t *bytes = calloc(1, size);
    memcpy(bytes, secret, sizeof secret);
    return bytes;
}

typedef struct sealed_job {
    job j;
    uint8_t *envelope;
    size_t size;
    uint8_t id[SL_ENVELOPE_ID_BYTES];
    char *spec;
} sealed_job;

/* The task as the sdk keeps it in the ledger. */
static char *spec_of(const char *function, const void *arguments, size_t size, bool text) {
    char *spec = malloc(3 * size + 200), *at = spec;
    at += sprintf(at, "{\"function\":\"%s\",\"args\":\"", function);
    if (text)
        at += sprintf(at, "%s", (const char *)arguments);
    else
        at +=
            strlen(sodium_bin2base64(at, 3 * size, arguments, size, sodium_base64_VARIANT_URLSAFE));
    sprintf(at, "\"}");
    return spec;
}

static void seal_job(people *p, sealed_job *s, const char *function, size_t argument_bytes,
                     const sl_peer *to, uint32_t count, uint32_t runs) {
    const sl_seal_request request = {.sender = p->client,
                                     .recipients = to,
                                     .recipient_count = count,
                                     .kind = SL_SEAL_TASK,
                                     .runs = (uint8_t)runs,
                                     .now_s = (uint64_t)sl_clock_wall_s(),
                                     .lifetime_s = 600,
                                     .open_part = {"cpus 1", 6}};
    sl_seal_request whole = request;
    uint8_t *arguments = argument_of(argument_bytes);
    const sl_part name = {function, strlen(function)}, given = {arguments, argument_bytes};
    const sl_sealing what = {.form = SL_BODY_CALL,
                             .sections = {{&name, 1, false}, {&given, 1, false}}};
    memset(s, 0, sizeof *s);
    sl_test_need(sl_sealing_measure(&whole, &what, &s->size), "seal");
    s->envelope = malloc(s->size);
    sl_test_need(sl_sealing_write(p->sealer, &whole, &what, s->envelope), "seal");
    free(arguments);
    memcpy(s->id, sl_sealer_id(p->sealer), sizeof s->id);
    s->spec = spec_of(SL_SEALED_FUNCTION, s->envelope, s->size, false);
    s->j.call = (executor_function){.name = sl_text_of(SL_SEALED_FUNCTION),
                                    .arguments = {s->envelope, (uint32_t)s->size}};
    s->j.spec = (sl_bytes){(const uint8_t *)s->spec, (uint32_t)strlen(s->spec)};
}

static sl_err open_answer(const people *p, sealed_job *s, sl_opened *out) {
    const sl_open_request request = {.recipient = p->client,
                                     .trust = p->trust,
                                     .kind = SL_SEAL_RESULT,
                                     .role = SL_ROLE_NODE,
                                     .about = s->id,
                                     .now_s = (uint64_t)sl_clock_wall_s()};
    return s->j.apart ? sl_opened_take(p->opener, &request, s->j.apart, out)
                      : sl_opened_copy(p->opener, &request, s->j.output, s->j.output_bytes, out);
}

static void drop(sealed_job *s) {
    free(s->envelope), free(s->spec), free(s->j.output);
    sl_blob_release(s->j.apart);
}

/* ---- tests ---- */

static void run_sealed(size_t argument_bytes, const char *name) {
    people p = meet();
    watched w;
    sealed_job s;
    sl_opened got = {0};
    watch(&w, name);
    seal_job(&p, &s, "check", argument_bytes, &p.peers[1], 2, 1);
    run_network(&p, &s.j, "physics", w.ledger, &w.recording);
    CHECK_INT(s.j.outcome.status, SL_TASK_DONE);
    CHECK(s.j.outcome.node == 1 || s.j.outcome.node == 2);
    CHECK(w.recording.frames > 0);
    CHECK(!saw(&w, secret, sizeof secret));
    CHECK(!saw(&w, answer, sizeof answer));
    CHECK(!sl_recording_has(&w.recording, "check", 5));
    /* But this is what travelled, and what the ledger has. */
    CHECK(sl_recording_has(&w.recording, s.envelope + s.size - 32, 32));
    CHECK(sl_recording_has(&w.recording, SL_SEALED_FUNCTION, sizeof SL_SEALED_FUNCTION - 1));
    CHECK(disk_has(&w, s.spec + 40, 64));
    if (open_answer(&p, &s, &got) != SL_OK) {
        sl_test_fail(__FILE__, __LINE__, "the answer does not open: %s", sl_err_detail());
    } else {
        const uint8_t *output = got.sections[1].data;
        CHECK_INT(got.code, SL_OK);
        CHECK_INT(got.sections[1].bytes, sizeof answer + argument_bytes);
        CHECK(memcmp(output, answer, sizeof answer) == 0);
        CHECK(memcmp(output + sizeof answer, secret, sizeof secret) == 0);
    }
    sl_opened_close(&got), drop(&s), stop_watching(&w), part(&p);
}

TEST(nobody_on_the_way_sees_a_sealed_task) {
    run_sealed(200, "sealed");
}

TEST(nobody_on_the_way_sees_a_large_one) {
    run_sealed(LARGE, "sealed-large");
}

/* The search finds it where it is: the same task, not sealed. */
TEST(everybody_sees_a_task_that_is_not_sealed) {
    people p = meet();
    watched w;
    watch(&w, "clear");
    uint8_t *arguments = argument_of(200);
    char *spec = spec_of("check", arguments, 200, true);
    job j = {.call = {.name = sl_text_of("check"), .arguments = {arguments, 200}},
             .spec = {(const uint8_t *)spec, (uint32_t)strlen(spec)}};
    run_network(&p, &j, NULL, w.ledger, &w.recording);
    CHECK_INT(j.outcome.status, SL_TASK_DONE);
    CHECK(sl_recording_has(&w.recording, secret, sizeof secret));
    CHECK(sl_recording_has(&w.recording, answer, sizeof answer));
    CHECK(disk_has(&w, secret, sizeof secret - 1));
    free(arguments), free(spec), free(j.output);
    stop_watching(&w), part(&p);
}

TEST(why_a_sealed_task_failed_is_sealed_too) {
    people p = meet();
    watched w;
    sealed_job s;
    sl_opened got = {0};
    watch(&w, "failing");
    seal_job(&p, &s, "fail", 200, &p.peers[1], 2, 2);
    s.j.retries = 1;
    run_network(&p, &s.j, NULL, w.ledger, &w.recording);
    CHECK_INT(s.j.outcome.status, SL_TASK_FAILED);
    CHECK_INT(s.j.outcome.attempts, 2);
    CHECK_CONTAINS(s.j.message, "sealed task failed");
    CHECK(!saw(&w, reason, sizeof reason));
    if (open_answer(&p, &s, &got) != SL_OK) {
        sl_test_fail(__FILE__, __LINE__, "the answer does not open: %s", sl_err_detail());
    } else {
        CHECK_INT(got.code, SL_ERR_NOT_FOUND);
        CHECK_INT(got.sections[0].bytes, sizeof reason - 1);
        CHECK(memcmp(got.sections[0].data, reason, sizeof reason - 1) == 0);
        CHECK_INT(got.sections[1].bytes, 0);
    }
    sl_opened_close(&got), drop(&s), stop_watching(&w), part(&p);
}

/* What is refused is refused by the node, and nothing of it is run. */
static void check_refused(people *p, sealed_job *s, const char *project, const char *name,
                          const char *why) {
    watched w;
    watch(&w, name);
    run_network(p, &s->j, project, w.ledger, &w.recording);
    CHECK_INT(s->j.outcome.status, SL_TASK_FAILED);
    CHECK_CONTAINS(s->j.message, why);
    CHECK_INT(s->j.output_bytes, 0);
    CHECK(!saw(&w, secret, sizeof secret));
    drop(s), stop_watching(&w);
}

TEST(what_a_node_refuses_to_run) {
    people p = meet();
    sealed_job s;
    seal_job(&p, &s, "check", 200, &p.peers[0], 1, 1);
    check_refused(&p, &s, NULL, "not-for-it", "not sealed to this identity");
    seal_job(&p, &s, "check", 200, &p.peers[1], 2, 1);
    check_refused(&p, &s, "chemistry", "other-project", "project");
    seal_job(&p, &s, "check", 200, &p.peers[1], 2, 1);
    s.envelope[s.size - 1] ^= 1;
    check_refused(&p, &s, NULL, "changed", "not the one its sender signed");
    seal_job(&p, &s, "check", 200, &p.peers[1], 2, 1);
    s.j.call.arguments.bytes = 100;
    check_refused(&p, &s, NULL, "cut", "ends too early");
    seal_job(&p, &s, "check", 200, &p.peers[1], 2, 1);
    s.j.call.name = sl_text_of(SL_SEALED_COMMAND);
    check_refused(&p, &s, NULL, "misnamed", "not what it travels as");
    part(&p);
}

/* An answer to another task, or from somebody who is no node, is not taken. */
TEST(what_a_client_refuses_to_take) {
    people p = meet();
    watched w;
    sealed_job s;
    sl_opened got = {0};
    watch(&w, "answers");
    seal_job(&p, &s, "check", 200, &p.peers[1], 2, 1);
    run_network(&p, &s.j, NULL, w.ledger, &w.recording);
    s.id[0] ^= 1;
    CHECK_INT(open_answer(&p, &s, &got), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "answers another one");
    s.id[0] ^= 1;
    CHECK(s.j.output_bytes > 0);
    s.j.output[s.j.output_bytes - 1] ^= 1;
    CHECK_INT(open_answer(&p, &s, &got), SL_ERR_SEAL);
    sl_opened_close(&got), drop(&s), stop_watching(&w), part(&p);
}

TEST(calls_within_calls_are_refused) {
    people p = meet();
    watched w;
    sealed_job s;
    sl_opened got = {0};
    watch(&w, "nested");
    seal_job(&p, &s, SL_SEALED_FUNCTION, 200, &p.peers[1], 2, 1);
    run_network(&p, &s.j, NULL, w.ledger, &w.recording);
    CHECK_INT(open_answer(&p, &s, &got), SL_OK);
    CHECK_INT(got.code, SL_ERR_INVALID);
    sl_opened_close(&got), drop(&s), stop_watching(&w), part(&p);
}

TEST(data_beside_an_answer_are_sealed_with_it) {
    people p = meet();
    watched w;
    sealed_job s;
    sl_opened got = {0};
    watch(&w, "apart");
    seal_job(&p, &s, "apart", 200, &p.peers[1], 2, 1);
    run_network(&p, &s.j, NULL, w.ledger, &w.recording);
    CHECK_INT(s.j.outcome.status, SL_TASK_DONE);
    CHECK(!saw(&w, secret, sizeof secret));
    CHECK_INT(open_answer(&p, &s, &got), SL_OK);
    CHECK_INT(got.code, SL_OK);
    CHECK_INT(got.sections[2].bytes, sizeof secret);
    CHECK(got.sections[2].bytes == sizeof secret &&
          memcmp(got.sections[2].data, secret, sizeof secret) == 0);
    sl_opened_close(&got), drop(&s);
    CHECK_INT(sl_blob_alive_bytes(), 0);
    memset(&s, 0, sizeof s);
    sl_opened_close(&got), drop(&s), stop_watching(&w), part(&p);
}

/* A node with its real actors, and peers that say well-formed messages of any content: registry,
 * scheduler and executor must take whatever decodes, and none may fail for it. The input is a list
 * of operations; messages are built field by field from it, so that each is one that a peer could
 * have encoded. How many there were in all is said at the end: an input has many, and a node of its
 * own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor.h"
#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry.h"
#include "actors/registry/registry_msgs.h"
#include "actors/scheduler/scheduler.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { NODES = 3, CORES = 2, COMMANDS_MOST = 64, OPERATIONS_MOST = 64 };

static void require(bool holds) {
    if (!holds)
        abort();
}

/* What an executor is to run, well-formed most of the time. */
static bool known(maker *m, const sl_record *record, const sl_field *field, void *at, int depth) {
    (void)record;
    if (field->kind != SL_KIND_BYTES || strcmp(field->name, "payload") != 0)
        return false;
    const sl_record *of = maker_byte(m) & 1 ? &executor_command_record : &executor_function_record;
    void *body = maker_take(m, of->bytes);
    if (!body)
        return false;
    maker_fill(m, of, body, depth + 1);
    size_t bytes = sl_record_wire_bytes(of, body);
    uint8_t *wire = maker_take(m, bytes);
    if (!wire || bytes > 1024 || sl_record_check(of, body) != SL_OK) {
        *(sl_bytes *)at = maker_bytes(m, 40);
        return true;
    }
    require(sl_record_encode(of, body, wire, NULL) == wire + bytes);
    *(sl_bytes *)at = (sl_bytes){wire, (uint32_t)bytes};
    return true;
}

/* ---- the node ---- */

typedef struct command {
    sl_minder_done done;
    void *context;
    sl_minder_handle handle;
    bool waits; /* it was given ahead */
} command;

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_pool *pool;
    sl_clock clock;
    uint64_t now_ns;
    uint64_t sequence[NODES][SL_LANES];
    command commands[COMMANDS_MOST];
    uint32_t command_count;
    sl_minder_handle handles;
} stage;

static uint64_t now_ns(const sl_clock *clock) {
    const stage *s = (const stage *)((uintptr_t)clock - offsetof(stage, clock));
    return s->now_ns;
}

static sl_err run_command(void *context, sl_minder_handle before, const sl_process_spec *spec,
                          sl_minder_done done, void *done_context, sl_minder_handle *handle) {
    stage *s = context;
    require(spec->argv != NULL);
    if (sl_process_check(spec) != SL_OK)
        return sl_fail(SL_ERR_INVALID, "no such command");
    if (s->command_count == COMMANDS_MOST)
        return sl_fail(SL_ERR_AGAIN, "too many commands");
    *handle = ++s->handles;
    s->commands[s->command_count++] = (command){done, done_context, *handle, before != 0};
    return SL_OK;
}

static void end_command(stage *s, uint32_t index, sl_process_status status) {
    command ended = s->commands[index];
    memmove(&s->commands[index], &s->commands[index + 1],
            (--s->command_count - index) * sizeof ended);
    sl_process_result result = {.status = status, .exit_code = (int)status, .end_s = 1};
    ended.done(ended.context, &result);
}

static void end_named(void *context, sl_minder_handle handle, sl_process_status status, bool all) {
    stage *s = context;
    for (uint32_t i = 0; i < s->command_count; i++)
        if (s->commands[i].handle == handle && (all || s->commands[i].waits)) {
            end_command(s, i, status);
            return;
        }
}

static void cancel_command(void *context, sl_minder_handle handle) {
    end_named(context, handle, SL_PROCESS_CANCELLED, true);
}

static void recall_command(void *context, sl_minder_handle handle) {
    end_named(context, handle, SL_PROCESS_WITHDRAWN, false);
}

static const sl_command_ops commands = {run_command, cancel_command, recall_command};

static void run_job(void *context, sl_job *job) {
    stage *s = context;
    job->run(job);
    sl_notify(s->node, &job->event);
}

static void spawn_all(stage *s) {
    static sl_grant_core cores[CORES] = {{.cpu_count = 1, .cpus = {0}},
                                         {.cpu_count = 1, .cpus = {1}}};
    sl_registry_options registry = {.hostname = "fuzz",
                                    .cores = CORES,
                                    .memory_bytes = 1 << 30,
                                    .ucu_milli = 5000,
                                    .incarnation = 1};
    sl_executor_options executor = {
        .offer = {.cores = cores, .core_count = CORES, .memory_bytes = 1 << 30, .ucu_milli = 5000},
        .commands = &commands,
        .commands_context = s,
        .pool = s->pool};
    sl_scheduler_options scheduler = {.seed = 1};
    require(sl_node_spawn(s->node, SL_SLOT_REGISTRY, &sl_registry_class, &registry, sizeof registry,
                          NULL) == SL_OK);
    require(sl_node_spawn(s->node, SL_SLOT_EXECUTOR, &sl_executor_class, &executor, sizeof executor,
                          NULL) == SL_OK);
    require(sl_node_spawn(s->node, SL_SLOT_SCHEDULER, &sl_scheduler_class, &scheduler,
                          sizeof scheduler, NULL) == SL_OK);
}

static unsigned long long said;

static void tell_said(void) {
    fprintf(stderr, "messages: %llu\n", said);
}

static void open_stage(stage *s) {
    static FILE *nowhere;
    *s = (stage){.fake = fake_transport_create(NODES), .clock = sl_clock_real, .now_ns = 1000};
    if (!nowhere) {
        nowhere = fopen("/dev/null", "w");
        atexit(tell_said);
    }
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_ERROR});
    s->clock.now_ns = now_ns;
    sl_node_options options = {
        .transport = fake_transport_base(s->fake), .incarnation = 1, .clock = &s->clock};
    sl_pool_options pool = {.threads = 1, .run = run_job, .context = s};
    require(sl_node_create(&options, &s->node) == SL_OK);
    require(sl_pool_create(s->node, &pool, &s->pool) == SL_OK);
    spawn_all(s);
}

/* An actor that fails ends its node: no peer may bring that about. */
static void turn(stage *s, int most) {
    sl_err err = SL_OK;
    uint32_t code;
    for (int i = 0; i < most && sl_node_turn(s->node); i++) {
    }
    if (sl_node_closed(s->node, &err, &code))
        require(err == SL_OK || err == SL_ERR_TIMEOUT);
}

static void close_stage(stage *s) {
    while (s->command_count)
        end_command(s, 0, SL_PROCESS_EXITED);
    turn(s, 20);
    while (s->command_count) /* what was given ahead, or started meanwhile */
        end_command(s, 0, SL_PROCESS_EXITED);
    sl_pool_destroy(s->pool);
    sl_node_destroy(s->node);
    require(sl_blob_alive_bytes() == 0);
}

/* ---- operations ---- */

static const sl_message_type *const types[] = {
    &registry_gossip_type,   &registry_watch_type,     &registry_describe_type,
    &scheduler_submit_type,  &scheduler_cancel_type,   &scheduler_drain_type,
    &scheduler_started_type, &scheduler_results_type,  &scheduler_refused_type,
    &executor_assign_type,   &executor_cancel_type,    &registry_free_type,
    &registry_view_type,     &scheduler_accepted_type, &scheduler_done_type,
    &registry_want_type};

static uint32_t slot_of(const sl_message_type *type) {
    return type->id >> 8 == 1   ? SL_SLOT_REGISTRY
           : type->id >> 8 == 2 ? SL_SLOT_SCHEDULER
                                : SL_SLOT_EXECUTOR;
}

static void say(stage *s, maker *in) {
    uint32_t peer = 1 + maker_byte(in) % (NODES - 1);
    const sl_message_type *type = types[maker_byte(in) % (sizeof types / sizeof *types)];
    if (type->lane >= SL_LANES)
        return;
    void *body = maker_begin(in, &type->record);
    size_t bytes = sl_record_wire_bytes(&type->record, body);
    if (sl_record_check(&type->record, body) != SL_OK || bytes > FAKE_FRAME_BYTES - 200)
        return;
    uint8_t wire[FAKE_FRAME_BYTES];
    sl_blob_parts parts = {.count = 0};
    require(sl_record_encode(&type->record, body, wire, &parts) == wire + bytes);
    fake_writer w;
    fake_begin(&w, type->lane, s->sequence[peer][type->lane]++);
    sl_addr to = {0, slot_of(type), 0};
    fake_record(&w, type->id, to, 0, wire, bytes);
    fake_frame(s->fake, peer, w.frame, w.bytes);
    said++;
}

static void operation(stage *s, maker *in) {
    uint8_t what = maker_byte(in) % 16;
    if (what < 11) {
        say(s, in);
        turn(s, 2);
    } else if (what < 13) {
        s->now_ns += (uint64_t)maker_byte(in) * 10 * SL_NS_PER_MS;
        turn(s, 10);
    } else if (what < 15) {
        if (s->command_count)
            end_command(s, maker_byte(in) % s->command_count,
                        maker_byte(in) % SL_PROCESS_STATUS_COUNT);
        turn(s, 5);
    } else {
        fake_lost(s->fake, 1 + maker_byte(in) % (NODES - 1));
        turn(s, 5);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static stage s;
    static maker in = {.nodes = NODES, .slots = 7, .known = known};
    in.at = data, in.end = data + bytes;
    open_stage(&s);
    for (int i = 0; i < OPERATIONS_MOST && in.at < in.end; i++)
        operation(&s, &in);
    close_stage(&s);
    return 0;
}

#include "tests/lib/gateway_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/roster/roster_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/heap_actors.h"
#include "tests/lib/heap_objects.h"
#include "tests/lib/made_keys.h"

enum { STRANGER_BYTES = 4096, MESSAGE_BYTES = 1 << 20, TURNS = 8 };

stage the_stage;

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct said {
    sl_visit visit; /* first */
    sl_blob *blob;
    bool done;
    uint8_t bytes[];
} said;

static sl_key_store *keys;
static unsigned long long messages;

static uint64_t now_ns(const sl_clock *clock) {
    (void)clock;
    return the_stage.now_ns;
}

static double wall_s(const sl_clock *clock) {
    (void)clock;
    return 1e6 + (double)the_stage.now_ns / SL_NS_PER_S;
}

/* ---- the scheduler ---- */

static void take_submit(const scheduler_submit *submit) {
    require(submit->tasks.count > 0 && the_stage.asked_count < UNANSWERED_MOST);
    const scheduler_task *tasks = submit->tasks.items;
    the_stage.asked[the_stage.asked_count++] = (asked){the_stage.tag_count, submit->tasks.count};
    for (uint32_t i = 0; i < submit->tasks.count; i++) {
        for (uint32_t j = 0; j < the_stage.tag_count; j++)
            require(the_stage.tags[j] != tasks[i].tag);
        require(the_stage.tag_count < TAGS_MOST);
        the_stage.tags[the_stage.tag_count++] = tasks[i].tag;
    }
}

/* `tags` holds, in the order they came, those accepted and then those that are not answered. */
static void forget_tags(uint32_t first, uint32_t count) {
    memmove(&the_stage.tags[first], &the_stage.tags[first + count],
            (the_stage.tag_count - first - count) * sizeof *the_stage.tags);
    the_stage.tag_count -= count;
}

static void answer(sl_actor *self, bool well) {
    scheduler_accepted accepted = {.count = the_stage.asked[0].count,
                                   .first_tag = the_stage.tags[the_stage.accepted_count],
                                   .error = well ? SL_OK : SL_ERR_TOO_LARGE,
                                   .detail = sl_text_of(well ? "" : "no")};
    memmove(the_stage.asked, the_stage.asked + 1,
            --the_stage.asked_count * sizeof *the_stage.asked);
    if (well)
        the_stage.accepted_count += accepted.count;
    else
        forget_tags(the_stage.accepted_count, accepted.count);
    require(scheduler_accepted_send(self, the_stage.gateway, &accepted) == SL_OK);
}

static void end_tag(sl_actor *self) {
    static const uint8_t output[] = "output", named[] = "Object";
    sl_blob *blob = NULL;
    scheduler_outcome outcome = {.tag = the_stage.tags[0],
                                 .start_s = 1,
                                 .end_s = 3,
                                 .attempts = 1,
                                 .status = (uint8_t)the_stage.status,
                                 .message = sl_text_of("why"),
                                 .output = {the_stage.with_object ? named : output, sizeof output}};
    scheduler_done done = {.outcomes = {&outcome, 1}};
    if (the_stage.with_data)
        require(sl_blob_copy(output, sizeof output, &blob) == SL_OK);
    done.apart = blob;
    forget_tags(0, 1);
    the_stage.accepted_count--;
    require(scheduler_done_send(self, the_stage.gateway, &done) == SL_OK);
    sl_blob_release(blob);
}

static sl_err scheduler_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id == scheduler_submit_id)
        take_submit(message->body);
    if (message->type->id != node_event_id)
        return SL_OK;
    if (the_stage.order.kind == ORDER_END && the_stage.accepted_count)
        end_tag(self);
    else if (the_stage.order.kind != ORDER_END && the_stage.asked_count)
        answer(self, the_stage.order.kind == ORDER_ACCEPT);
    the_stage.order.kind = 0;
    return SL_OK;
}

static const sl_actor_class scheduler_class = {.name = "scheduler", .receive = scheduler_receive};

/* The registry and the roster of a network of one node. */
static sl_err neighbour_receive(sl_actor *self, void *state, const sl_message *message) {
    const registry_offer offer = {.cores = 4, .memory_bytes = 1 << 30, .ucu_milli = 4000};
    const registry_member member = {
        .host = sl_text_of("host"), .region = sl_text_of("region"), .offer = {&offer, 1}};
    const roster_entry entry = {.credential = {(const uint8_t *)"credential", 10}};
    (void)state;
    if (message->type->id == registry_watch_id)
        return registry_view_send(self, message->from, &(registry_view){.members = {&member, 1}});
    if (message->type->id == roster_gather_id)
        return roster_list_send(self, message->from, &(roster_list){.nodes = {&entry, 1}});
    return SL_OK;
}

static const sl_actor_class neighbour_class = {.name = "neighbour", .receive = neighbour_receive};

void stage_turn(void) {
    sl_err err = SL_OK;
    uint32_t code;
    for (int i = 0; i < TURNS && sl_node_turn(the_stage.node); i++) {
    }
    if (sl_node_closed(the_stage.node, &err, &code))
        require(err == SL_OK);
}

void stage_order(order_kind kind) {
    const char *output = the_stage.with_object ? "Object" : "output";
    if (kind == ORDER_END) {
        (void)heap_actors_answer(the_stage.node, the_stage.status == SL_TASK_DONE ? output : NULL);
        if (the_stage.with_data)
            (void)heap_actors_end(the_stage.node, the_stage.status);
    }
    the_stage.order = (sl_event){.to = the_stage.scheduler, .kind = kind};
    sl_notify(the_stage.node, &the_stage.order);
    stage_turn();
}

/* ---- the door ---- */

static client *client_of(const sl_visitor *visitor) {
    return (client *)(uintptr_t)visitor;
}

static number *number_of(client *c, uint64_t value) {
    for (uint32_t i = 0; i < c->number_count; i++)
        if (c->numbers[i].number == value)
            return &c->numbers[i];
    if (c->number_count == NUMBERS_MOST)
        return NULL;
    c->numbers[c->number_count] = (number){.number = value};
    return &c->numbers[c->number_count++];
}

static void take_results(client *c, const gateway_results *results) {
    const gateway_result *all = results->results.items;
    for (uint32_t i = 0; i < results->results.count; i++) {
        number *n = number_of(c, all[i].number);
        require(n || c->lossy);
        if (n)
            require(++n->answered <= n->submitted + n->may || c->lossy);
        if (n && n->letter && all[i].error == SL_ERR_REFUSED)
            c->refusals++;
    }
}

static sl_err door_send(sl_visitor *visitor, const void *head, size_t bytes, sl_blob *data) {
    client *c = client_of(visitor);
    sl_gateway_parts parts;
    (void)data;
    require(c->here && !c->closed && !c->left);
    if (c->ended)
        return sl_fail(SL_ERR_CLOSED, "it has ended");
    if (c->deaf)
        return SL_ERR_AGAIN;
    require(sl_gateway_take_apart(head, bytes, &parts) == SL_OK);
    require(c->welcomed == (parts.kind != SL_GATEWAY_WELCOME));
    if (!sl_gateway_record(parts.kind)) { /* a part of a long message */
        c->lossy = true;
        return SL_OK;
    }
    void *record = sl_gateway_decode(&parts, parts.kind);
    require(record != NULL);
    if (parts.kind == SL_GATEWAY_WELCOME) {
        c->welcomed = true;
        snprintf(the_stage.session, sizeof the_stage.session, "%s",
                 ((gateway_welcome *)record)->session.data);
    }
    if (parts.kind == SL_GATEWAY_NAMED)
        the_stage.named = ((gateway_named *)record)->id;
    if (parts.kind == SL_GATEWAY_RESULTS)
        take_results(c, record);
    free(record);
    return SL_OK;
}

static void door_trust(sl_visitor *visitor) {
    client_of(visitor)->reader.limits = (sl_frame_limits){.frame_bytes = SL_FRAME_PAYLOAD_MOST,
                                                          .message_bytes = MESSAGE_BYTES,
                                                          .stream_bytes = MESSAGE_BYTES};
}

static void door_pause(sl_visitor *visitor, bool paused) {
    client_of(visitor)->paused = paused;
}

static void door_close(sl_visitor *visitor, const char *why) {
    client *c = client_of(visitor);
    require(why && !c->left);
    c->closed = true;
}

static const char *door_address(const sl_visitor *visitor) {
    return client_of(visitor)->host ? "192.0.2.1" : "2001:db8::1";
}

static void door_done(sl_event *event) {
    said *s = (said *)(void *)event;
    client *c = client_of(s->visit.visitor);
    if (event->kind == VISIT_LEFT) {
        sl_frame_reader_fini(&c->reader);
        *c = (client){0};
    }
    sl_blob_release(s->blob);
    free(s);
    the_stage.visits--;
}

static const sl_gateway_door door = {.send = door_send,
                                     .trust = door_trust,
                                     .pause = door_pause,
                                     .close = door_close,
                                     .address = door_address,
                                     .done = door_done};

static void tell(client *c, sl_visit_kind kind, const uint8_t *data, size_t bytes, sl_blob *blob) {
    said *s = calloc(1, sizeof *s + bytes);
    require(s != NULL);
    if (bytes)
        memcpy(s->bytes, data, bytes);
    s->blob = sl_blob_retain(blob);
    s->visit = (sl_visit){.event = {.to = the_stage.gateway, .kind = kind, .drop = door_done},
                          .visitor = &c->visitor,
                          .bytes = s->bytes,
                          .size = bytes};
    the_stage.visits++;
    sl_notify(the_stage.node, &s->visit.event);
}

static void note_object(client *c, const sl_gateway_parts *parts) {
    gateway_put *put = sl_gateway_decode(parts, SL_GATEWAY_PUT);
    if (put)
        c->put = put->number, c->put_bytes = put->bytes, c->put_got = 0;
    else if (parts->kind == SL_GATEWAY_PIECE)
        c->put_got += parts->data_bytes;
    free(put);
}

/* A letter may be refused, though nobody waits for its answer. */
static void note_actors(client *c, const sl_gateway_parts *parts) {
    gateway_spawn *spawn = sl_gateway_decode(parts, SL_GATEWAY_SPAWN);
    gateway_find *find = sl_gateway_decode(parts, SL_GATEWAY_FIND);
    gateway_letter *letter = sl_gateway_decode(parts, SL_GATEWAY_LETTER);
    gateway_collect *collect = sl_gateway_decode(parts, SL_GATEWAY_COLLECT);
    bool any = spawn || find || letter || collect;
    uint64_t value = spawn     ? spawn->number
                     : find    ? find->number
                     : letter  ? letter->number
                     : collect ? collect->number
                               : 0;
    number *n = any ? number_of(c, value) : NULL;
    if (n && letter)
        n->letter = true, n->may += !letter->asks;
    if (n)
        n->submitted += !letter || letter->asks;
    else
        c->lossy |= any;
    free(spawn), free(find), free(letter), free(collect);
}

/* What the client may hope for: the gateway will have read the same. */
static void note(client *c, const uint8_t *data, size_t bytes) {
    sl_gateway_parts parts;
    if (sl_gateway_take_apart(data, bytes, &parts) != SL_OK)
        return;
    note_object(c, &parts);
    note_actors(c, &parts);
    gateway_hello *hello = sl_gateway_decode(&parts, SL_GATEWAY_HELLO);
    c->lossy |= parts.kind == SL_GATEWAY_LONG || (hello && hello->session.bytes);
    free(hello);
    gateway_submit *submit = sl_gateway_decode(&parts, SL_GATEWAY_SUBMIT);
    const gateway_task *tasks = submit ? submit->tasks.items : NULL;
    for (uint32_t i = 0; submit && i < submit->tasks.count; i++) {
        number *n = number_of(c, tasks[i].number);
        if (n) /* of one that is detached the client hears only when it is refused */
            n->submitted += !tasks[i].detached, n->may += tasks[i].detached;
        else
            c->lossy = true;
    }
    free(submit);
}

static sl_err on_message(void *context, const uint8_t *data, size_t bytes, sl_blob *blob) {
    client *c = context;
    note(c, data, bytes);
    messages++;
    tell(c, VISIT_SAID, data, bytes, blob);
    return SL_OK;
}

static void on_bye(void *context, const char *why) {
    (void)why;
    ((client *)context)->ended = true;
}

static const sl_frame_ops frame_ops = {on_message, on_bye};

/* Bytes of a link. What cannot be read ends it. */
void stage_hear(client *c, const uint8_t *data, size_t bytes) {
    size_t used = 0;
    if (!c->here || c->closed || c->ended || c->left || c->paused)
        return;
    if (sl_frame_read(&c->reader, data, bytes, UINT64_MAX, &used) != SL_OK)
        c->ended = true;
    stage_turn();
}

void stage_come(client *c, uint8_t host) {
    const sl_frame_limits limits = {.frame_bytes = STRANGER_BYTES};
    if (c->here)
        return;
    *c = (client){.host = host & 1, .here = true};
    sl_frame_reader_init(&c->reader, &frame_ops, c, &limits);
    tell(c, VISIT_CAME, NULL, 0, NULL);
    stage_turn();
}

void stage_leave(client *c) {
    if (!c->here || c->left)
        return;
    c->left = true;
    tell(c, VISIT_LEFT, NULL, 0, NULL);
    stage_turn();
}

void stage_deafen(client *c, bool deaf) {
    if (!c->here || c->left || c->deaf == deaf)
        return;
    c->deaf = deaf;
    if (!deaf)
        tell(c, VISIT_ROOM, NULL, 0, NULL);
    stage_turn();
}

/* ---- opening and closing ---- */

static void end(void) {
    fprintf(stderr, "messages: %llu\n", messages);
}

static void run_job(void *context, sl_job *job) {
    (void)context;
    job->run(job);
    sl_notify(the_stage.node, &job->event);
}

void stage_open(void) {
    static FILE *nowhere;
    if (!nowhere) {
        nowhere = fopen("/dev/null", "we");
        require(nowhere != NULL);
        keys = made_keys();
        atexit(end);
    }
    the_stage = (stage){.fake = fake_transport_create(1), .clock = sl_clock_real, .now_ns = 1000};
    the_stage.clock.now_ns = now_ns;
    the_stage.clock.wall_s = wall_s;
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_ERROR});
    sl_node_options options = {.transport = fake_transport_base(the_stage.fake),
                               .incarnation = 1,
                               .clock = &the_stage.clock};
    sl_pool_options pool = {.threads = 1, .run = run_job};
    sl_gateway_options gateway = {.door = &door,
                                  .actors = &heap_actors,
                                  .objects = &heap_objects,
                                  .keys = keys,
                                  .audit_fd = fileno(nowhere),
                                  .output = made_keys_directory(),
                                  .keep_ended_ns = 5 * SL_NS_PER_S,
                                  .keep_ns = 5 * SL_NS_PER_S,
                                  .keep_bytes = 2000};
    require(sl_node_create(&options, &the_stage.node) == SL_OK);
    require(sl_pool_create(the_stage.node, &pool, &the_stage.pool) == SL_OK);
    gateway.pool = gateway.fetchers = the_stage.pool;
    for (uint32_t i = 0; i < 2; i++)
        require(sl_node_spawn(the_stage.node, i ? SL_SLOT_ROSTER : SL_SLOT_REGISTRY,
                              &neighbour_class, NULL, 0, NULL) == SL_OK);
    require(sl_node_spawn(the_stage.node, SL_SLOT_SCHEDULER, &scheduler_class, NULL, 0,
                          &the_stage.scheduler) == SL_OK);
    require(sl_node_spawn(the_stage.node, SL_SLOT_FIRST_FREE, &sl_gateway_class, &gateway,
                          sizeof gateway, &the_stage.gateway) == SL_OK);
    stage_turn();
}

/* All tasks end, and those who are still there have been told so. */
static void settle(void) {
    for (int i = 0; i < CLIENTS; i++)
        stage_deafen(&the_stage.clients[i], false);
    while (the_stage.asked_count)
        stage_order(ORDER_ACCEPT);
    the_stage.status = SL_TASK_DONE;
    the_stage.with_data = the_stage.with_object = false;
    while (the_stage.accepted_count || the_stage.asked_count)
        stage_order(the_stage.accepted_count ? ORDER_END : ORDER_ACCEPT);
    heap_actors_settle(the_stage.node);
    stage_turn();
    for (int i = 0; i < CLIENTS; i++) {
        const client *c = &the_stage.clients[i];
        for (uint32_t j = 0;
             c->here && !c->closed && !c->ended && c->welcomed && j < c->number_count; j++)
            require(c->lossy || (c->numbers[j].answered >= c->numbers[j].submitted));
    }
}

void stage_close(bool orderly) {
    if (orderly) {
        settle();
        for (int i = 0; i < CLIENTS; i++)
            stage_leave(&the_stage.clients[i]);
        stage_turn();
        require(the_stage.visits == 0);
    }
    sl_node_stop(the_stage.node, 0);
    stage_turn(); /* the actors end while there is a pool */
    heap_actors_settle(the_stage.node);
    sl_pool_destroy(the_stage.pool);
    sl_node_destroy(the_stage.node);
    for (int i = 0; i < CLIENTS; i++)
        if (the_stage.clients[i].here)
            sl_frame_reader_fini(&the_stage.clients[i].reader);
    require(sl_blob_alive_bytes() == 0 && heap_objects_alive() == 0);
}

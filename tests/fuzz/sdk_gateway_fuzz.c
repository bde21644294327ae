/* A whole gateway and clients that wish it ill: bytes of links, through the reader of frames and a
 * door that is all in memory, into the real actor, with a scheduler that does as the input says.
 * The input is a list of operations; what clients say is made of the table of messages, so a new
 * message is tried from its first day, or is any bytes.
 *
 * Whatever they say: what the gateway answers decodes; nothing follows a link's end; a task has at
 * most one result, and exactly one in the end, if its client is still there; the scheduler is asked
 * for no tag twice, and all it was asked for ends; objects are written and read within their
 * bounds, and all are released. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway.h"
#include "actors/gateway/gateway_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "net/frame.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/record.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/heap_objects.h"
#include "tests/lib/made_keys.h"
#include "tests/lib/maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MOST = 96, CLIENTS = 4, NUMBERS_MOST = 512, TAGS_MOST = 4096 };
enum { UNANSWERED_MOST = 256, SAID_BYTES = 1 << 15, DATA_MOST = 64, TURNS = 8 };
enum { STRANGER_BYTES = 4096, MESSAGE_BYTES = 1 << 20 };

static void require(bool holds) {
    if (!holds)
        abort();
}

/* ---- the stage ---- */

/* A task of a client: how often it was submitted, and answered. */
typedef struct number {
    uint64_t number;
    uint32_t submitted, answered;
} number;

typedef struct client {
    sl_visitor visitor; /* first */
    sl_frame_reader reader;
    uint32_t host;
    bool here, closed, ended, left; /* closed by the gateway; its link has ended */
    bool paused, deaf, welcomed, lossy;
    uint64_t put, put_bytes, put_got; /* the last object it brought */
    uint32_t number_count;
    number numbers[NUMBERS_MOST];
} client;

typedef struct said {
    sl_visit visit; /* first */
    sl_blob *blob;
    bool done;
    uint8_t bytes[];
} said;

/* What the scheduler was asked and has not answered. */
typedef struct asked {
    uint64_t first_tag;
    uint32_t count;
} asked;

typedef enum order_kind { ORDER_ACCEPT = 1, ORDER_REFUSE, ORDER_END } order_kind;

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_pool *pool;
    sl_clock clock;
    uint64_t now_ns;
    sl_addr gateway, scheduler;
    client clients[CLIENTS];
    uint32_t visits; /* told, and not dealt with */

    asked asked[UNANSWERED_MOST];
    uint32_t asked_count;
    uint32_t accepted_count, tag_count; /* of all that are under way */
    uint64_t tags[TAGS_MOST];
    sl_event order;
    sl_task_status status; /* of ORDER_END */
    bool with_data, with_object, is_slow;
} stage;

static stage the;
static sl_key_store *keys;
static unsigned long long messages;

static uint64_t now_ns(const sl_clock *clock) {
    (void)clock;
    return the.now_ns;
}

static double wall_s(const sl_clock *clock) {
    (void)clock;
    return 1e6 + (double)the.now_ns / SL_NS_PER_S;
}

/* ---- the scheduler ---- */

static void take_submit(const scheduler_submit *submit) {
    require(submit->tasks.count > 0 && the.asked_count < UNANSWERED_MOST);
    const scheduler_task *tasks = submit->tasks.items;
    the.asked[the.asked_count++] = (asked){the.tag_count, submit->tasks.count};
    for (uint32_t i = 0; i < submit->tasks.count; i++) {
        for (uint32_t j = 0; j < the.tag_count; j++)
            require(the.tags[j] != tasks[i].tag);
        require(tasks[i].kind == SL_TASK_FUNCTION && tasks[i].forget);
        require(the.tag_count < TAGS_MOST);
        the.tags[the.tag_count++] = tasks[i].tag;
    }
}

/* `tags` holds, in the order they came, those accepted and then those that are not answered. */
static void forget_tags(uint32_t first, uint32_t count) {
    memmove(&the.tags[first], &the.tags[first + count],
            (the.tag_count - first - count) * sizeof *the.tags);
    the.tag_count -= count;
}

static void answer(sl_actor *self, bool well) {
    scheduler_accepted accepted = {.count = the.asked[0].count,
                                   .first_tag = the.tags[the.accepted_count],
                                   .error = well ? SL_OK : SL_ERR_TOO_LARGE,
                                   .detail = sl_text_of(well ? "" : "no")};
    memmove(the.asked, the.asked + 1, --the.asked_count * sizeof *the.asked);
    if (well)
        the.accepted_count += accepted.count;
    else
        forget_tags(the.accepted_count, accepted.count);
    require(scheduler_accepted_send(self, the.gateway, &accepted) == SL_OK);
}

static void end_tag(sl_actor *self) {
    static const uint8_t output[] = "output", named[] = "Object";
    sl_blob *blob = NULL;
    scheduler_outcome outcome = {.tag = the.tags[0],
                                 .start_s = 1,
                                 .end_s = 3,
                                 .attempts = 1,
                                 .status = (uint8_t)the.status,
                                 .message = sl_text_of("why"),
                                 .output = {the.with_object ? named : output, sizeof output}};
    scheduler_done done = {.outcomes = {&outcome, 1}};
    if (the.with_data)
        require(sl_blob_copy(output, sizeof output, &blob) == SL_OK);
    done.apart = blob;
    forget_tags(0, 1);
    the.accepted_count--;
    require(scheduler_done_send(self, the.gateway, &done) == SL_OK);
    sl_blob_release(blob);
}

static sl_err scheduler_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id == scheduler_submit_id)
        take_submit(message->body);
    if (message->type->id != node_event_id)
        return SL_OK;
    if (the.order.kind == ORDER_END && the.accepted_count)
        end_tag(self);
    else if (the.order.kind != ORDER_END && the.asked_count)
        answer(self, the.order.kind == ORDER_ACCEPT);
    the.order.kind = 0;
    return SL_OK;
}

static const sl_actor_class scheduler_class = {.name = "scheduler", .receive = scheduler_receive};

static void turn(void) {
    sl_err err = SL_OK;
    uint32_t code;
    for (int i = 0; i < TURNS && sl_node_turn(the.node); i++) {
    }
    if (sl_node_closed(the.node, &err, &code))
        require(err == SL_OK);
}

static void order(order_kind kind) {
    the.order = (sl_event){.to = the.scheduler, .kind = kind};
    sl_notify(the.node, &the.order);
    turn();
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
            require(++n->answered <= n->submitted || c->lossy);
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
    void *record = sl_gateway_decode(&parts, parts.kind);
    require(record != NULL);
    require(c->welcomed == (parts.kind != SL_GATEWAY_WELCOME));
    if (parts.kind == SL_GATEWAY_WELCOME)
        c->welcomed = true;
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
    the.visits--;
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
    s->visit = (sl_visit){.event = {.to = the.gateway, .kind = kind, .drop = door_done},
                          .visitor = &c->visitor,
                          .bytes = s->bytes,
                          .size = bytes};
    the.visits++;
    sl_notify(the.node, &s->visit.event);
}

static void note_object(client *c, const sl_gateway_parts *parts) {
    gateway_put *put = sl_gateway_decode(parts, SL_GATEWAY_PUT);
    if (put)
        c->put = put->number, c->put_bytes = put->bytes, c->put_got = 0;
    else if (parts->kind == SL_GATEWAY_PIECE)
        c->put_got += parts->data_bytes;
    free(put);
}

/* What the client may hope for: the gateway will have read the same. */
static void note(client *c, const uint8_t *data, size_t bytes) {
    sl_gateway_parts parts;
    if (sl_gateway_take_apart(data, bytes, &parts) != SL_OK)
        return;
    note_object(c, &parts);
    gateway_submit *submit = sl_gateway_decode(&parts, SL_GATEWAY_SUBMIT);
    const gateway_task *tasks = submit ? submit->tasks.items : NULL;
    for (uint32_t i = 0; submit && i < submit->tasks.count; i++) {
        number *n = number_of(c, tasks[i].number);
        if (n)
            n->submitted++;
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
static void hear(client *c, const uint8_t *data, size_t bytes) {
    size_t used = 0;
    if (!c->here || c->closed || c->ended || c->left || c->paused)
        return;
    if (sl_frame_read(&c->reader, data, bytes, UINT64_MAX, &used) != SL_OK)
        c->ended = true;
    turn();
}

static void come(client *c, uint8_t host) {
    const sl_frame_limits limits = {.frame_bytes = STRANGER_BYTES};
    if (c->here)
        return;
    *c = (client){.host = host & 1, .here = true};
    sl_frame_reader_init(&c->reader, &frame_ops, c, &limits);
    tell(c, VISIT_CAME, NULL, 0, NULL);
    turn();
}

static void leave(client *c) {
    if (!c->here || c->left)
        return;
    c->left = true;
    tell(c, VISIT_LEFT, NULL, 0, NULL);
    turn();
}

/* ---- what clients say ---- */

/* Mostly what gets further: objects in their order, and of those there are. */
static bool known_of_object(client *c, const sl_record *record, const sl_field *field, void *at,
                            uint8_t first) {
    bool is_put = record == &gateway_put_record, is_piece = record == &gateway_piece_record;
    if (!is_put && !is_piece && record != &gateway_read_record && record != &gateway_release_record)
        return false;
    if (strcmp(field->name, "number") == 0 && is_put)
        *(uint64_t *)at = c->put + 1;
    else if (strcmp(field->name, "number") == 0)
        *(uint64_t *)at = is_piece || first % 4 ? c->put : SL_GATEWAY_OBJECT_OWN + 1 + first % 3;
    else if (strcmp(field->name, "offset") == 0 && is_piece)
        *(uint64_t *)at = c->put_got;
    else if (is_put && strcmp(field->name, "bytes") == 0)
        *(uint64_t *)at = first % DATA_MOST;
    else
        return false;
    return true;
}

/* A key that there is, tasks in their order. */
static bool known(maker *m, const sl_record *record, const sl_field *field, void *at, int depth) {
    client *c = m->context;
    uint8_t first = maker_byte(m);
    (void)depth;
    if (first >= 0xe0)
        return false;
    if (strcmp(field->name, "key") == 0)
        *(sl_text *)at = sl_text_of(made_key(first));
    else if (strcmp(field->name, "project") == 0)
        *(sl_text *)at = sl_text_of(first % 8 ? "p" : "q");
    else if (strcmp(field->name, "version") == 0)
        *(uint32_t *)at = SL_GATEWAY_VERSION;
    else if (record == &gateway_task_record && strcmp(field->name, "number") == 0)
        *(uint64_t *)at = c->number_count + 1 + first % 2;
    else if (strcmp(field->name, "arguments") == 0 && first % 2) {
        uint8_t *name = maker_take(m, 2);
        name[0] = HEAP_OBJECTS_NAME, name[1] = (uint8_t)c->put;
        *(sl_bytes *)at = (sl_bytes){name, 2};
    } else
        return known_of_object(c, record, field, at, first);
    return true;
}

static size_t put_frame(uint8_t *to, sl_frame_kind kind, uint16_t stream, const void *payload,
                        size_t bytes) {
    sl_frame_put_head(to, kind, stream, (uint32_t)bytes);
    memcpy(to + SL_FRAME_HEAD_BYTES, payload, bytes);
    return SL_FRAME_HEAD_BYTES + bytes;
}

/* In one frame, or as a stream of several. */
static void hear_framed(client *c, maker *in, const uint8_t *message, size_t bytes) {
    static uint8_t frames[2 * SAID_BYTES];
    uint8_t how = maker_byte(in);
    size_t at, some = 0;
    uint16_t stream = how % SL_FRAME_STREAMS;
    if (how < 0xc0) {
        hear(c, frames, put_frame(frames, SL_FRAME_WHOLE, 0, message, bytes));
        return;
    }
    uint64_t whole = bytes;
    uint8_t *first = frames + SAID_BYTES;
    memcpy(first, &whole, sizeof whole);
    some = bytes / 2;
    memcpy(first + sizeof whole, message, some);
    at = put_frame(frames, SL_FRAME_BEGIN, stream, first, sizeof whole + some);
    at += put_frame(frames + at, SL_FRAME_MORE, stream, message + some, bytes - some);
    hear(c, frames, at);
}

static void say_message(client *c, maker *in) {
    static uint8_t said_bytes[SAID_BYTES];
    uint8_t which = maker_byte(in), data = maker_byte(in);
    sl_gateway_kind kind = 1 + which % (SL_GATEWAY_KINDS - 1);
    if (which >= 0x80)
        kind = c->welcomed ? SL_GATEWAY_SUBMIT : SL_GATEWAY_HELLO;
    const sl_record *record = sl_gateway_record(kind);
    require(record != NULL);
    in->context = c;
    void *body = maker_begin(in, record);
    size_t bytes;
    if (sl_record_check(record, body) != SL_OK ||
        sl_record_wire_bytes(record, body) > SAID_BYTES / 2)
        return;
    uint8_t *message = sl_gateway_encode(kind, body, &bytes);
    require(message != NULL);
    memcpy(said_bytes, message, bytes);
    free(message);
    size_t behind = data >= 0x80 ? data % DATA_MOST : 0;
    if (kind == SL_GATEWAY_PIECE && data % 4 && c->put_bytes - c->put_got <= DATA_MOST)
        behind = c->put_bytes - c->put_got;
    while (behind-- > 0)
        said_bytes[bytes++] = maker_byte(in);
    hear_framed(c, in, said_bytes, bytes);
}

/* Any bytes: of a message, or of the link. */
static void say_bytes(client *c, maker *in, bool framed) {
    size_t bytes = maker_byte(in), left = (size_t)(in->end - in->at);
    bytes = bytes < left ? bytes : left;
    const uint8_t *data = in->at;
    in->at += bytes;
    if (framed)
        hear_framed(c, in, data, bytes);
    else
        hear(c, data, bytes);
}

static void deafen(client *c, bool deaf) {
    if (!c->here || c->left || c->deaf == deaf)
        return;
    c->deaf = deaf;
    if (!deaf)
        tell(c, VISIT_ROOM, NULL, 0, NULL);
    turn();
}

/* The scheduler answers at once, or is slow. */
static void answer_as(uint8_t how) {
    if (how % 4 < 2)
        the.is_slow = how % 4;
    else
        order(how % 4 == 2 ? ORDER_ACCEPT : ORDER_REFUSE);
}

static void operation(maker *in) {
    uint8_t what = maker_byte(in);
    client *c = &the.clients[what >> 4 & (CLIENTS - 1)];
    what %= 16;
    if (what < 2)
        come(c, maker_byte(in));
    else if (what < 8)
        say_message(c, in);
    else if (what < 10)
        say_bytes(c, in, what == 8);
    else if (what == 10)
        deafen(c, maker_byte(in) & 1);
    else if (what == 11)
        leave(c);
    else if (what == 12)
        answer_as(maker_byte(in));
    else if (what < 15) {
        the.status = maker_byte(in) % SL_TASK_STATUSES;
        the.with_data = what == 14;
        the.with_object = maker_byte(in) & 1;
        order(ORDER_END);
    } else {
        the.now_ns += (uint64_t)maker_byte(in) * 100 * SL_NS_PER_MS;
        turn();
    }
    if (the.asked_count && !the.is_slow)
        order(ORDER_ACCEPT);
}

/* ---- opening and closing ---- */

static void end(void) {
    fprintf(stderr, "messages: %llu\n", messages);
}

static void run_job(void *context, sl_job *job) {
    (void)context;
    job->run(job);
    sl_notify(the.node, &job->event);
}

static void open_stage(void) {
    static FILE *nowhere;
    if (!nowhere) {
        nowhere = fopen("/dev/null", "we");
        require(nowhere != NULL);
        keys = made_keys();
        atexit(end);
    }
    the = (stage){.fake = fake_transport_create(1), .clock = sl_clock_real, .now_ns = 1000};
    the.clock.now_ns = now_ns;
    the.clock.wall_s = wall_s;
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_ERROR});
    sl_node_options options = {
        .transport = fake_transport_base(the.fake), .incarnation = 1, .clock = &the.clock};
    sl_pool_options pool = {.threads = 1, .run = run_job};
    sl_gateway_options gateway = {
        .door = &door, .objects = &heap_objects, .keys = keys, .audit_fd = fileno(nowhere)};
    require(sl_node_create(&options, &the.node) == SL_OK);
    require(sl_pool_create(the.node, &pool, &the.pool) == SL_OK);
    gateway.pool = gateway.fetchers = the.pool;
    require(sl_node_spawn(the.node, SL_SLOT_SCHEDULER, &scheduler_class, NULL, 0, &the.scheduler) ==
            SL_OK);
    require(sl_node_spawn(the.node, SL_SLOT_FIRST_FREE, &sl_gateway_class, &gateway, sizeof gateway,
                          &the.gateway) == SL_OK);
    turn();
}

/* All tasks end, and those who are still there have been told so. */
static void settle(void) {
    for (int i = 0; i < CLIENTS; i++)
        deafen(&the.clients[i], false);
    while (the.asked_count)
        order(ORDER_ACCEPT);
    the.status = SL_TASK_DONE;
    the.with_data = the.with_object = false;
    while (the.accepted_count || the.asked_count)
        order(the.accepted_count ? ORDER_END : ORDER_ACCEPT);
    turn();
    for (int i = 0; i < CLIENTS; i++) {
        const client *c = &the.clients[i];
        for (uint32_t j = 0;
             c->here && !c->closed && !c->ended && c->welcomed && j < c->number_count; j++)
            require(c->lossy || c->numbers[j].answered == c->numbers[j].submitted);
    }
}

static void close_stage(bool orderly) {
    if (orderly) {
        settle();
        for (int i = 0; i < CLIENTS; i++)
            leave(&the.clients[i]);
        turn();
        require(the.visits == 0);
    }
    sl_pool_destroy(the.pool);
    sl_node_destroy(the.node);
    for (int i = 0; i < CLIENTS; i++)
        if (the.clients[i].here)
            sl_frame_reader_fini(&the.clients[i].reader);
    require(sl_blob_alive_bytes() == 0 && heap_objects_alive() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static maker in = {.nodes = 1, .slots = 8, .known = known};
    in.at = data, in.end = data + size;
    open_stage();
    for (int i = 0; i < OPERATIONS_MOST && in.at < in.end; i++)
        operation(&in);
    close_stage(size % 4 != 0);
    return 0;
}

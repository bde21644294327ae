#include "tests/lib/scenario_pressure.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime_msgs.h"
#include "tests/lib/test.h"
#include "tests/lib/test_msgs.h"

typedef struct arguments {
    scenario_pressure_options options;
    scenario_pressure_result *result;
} arguments;

static void most(uint64_t *value, uint64_t now) {
    if (now > *value)
        *value = now;
}

static void look(sl_actor *self, scenario_pressure_result *result) {
    sl_node_load load = sl_node_loads(sl_actor_node(self));
    most(&result->waiting_most, load.messages);
    most(&result->queued_most, load.queued_bytes);
    most(&result->memory_most, load.memory_bytes);
    most(&result->blobs_most, sl_blob_alive_bytes());
}

/* ---- the slow one ---- */

typedef struct slow {
    arguments given;
    uint64_t *next; /* of each sender of the network */
    uint64_t left;
} slow;

static uint64_t *next_of(const slow *s, sl_addr from) {
    return &s->next[from.node * s->given.options.senders + from.slot - SL_SLOT_FIRST_FREE];
}

static sl_err slow_start(sl_actor *self, void *state, const void *given) {
    slow *s = state;
    s->given = *(const arguments *)given;
    uint32_t senders = sl_node_count(sl_actor_node(self)) * s->given.options.senders;
    s->next = calloc(senders, sizeof *s->next);
    s->left = (uint64_t)senders * s->given.options.messages;
    return SL_OK;
}

static void stop_all(sl_actor *self) {
    node_stop body = {0};
    for (uint32_t node = 0; node < sl_node_count(sl_actor_node(self)); node++)
        CHECK_INT(node_stop_send(self, sl_addr_well_known(node, SL_SLOT_NODE), &body), SL_OK);
}

static void work(void) {
    for (volatile int i = 0; i < 300; i++) {
    }
}

static sl_err slow_receive(sl_actor *self, void *state, const sl_message *message) {
    slow *s = state;
    uint64_t *next = next_of(s, message->from);
    if (message->type == &test_urgent_type) {
        s->given.result->urgent++;
        s->given.result->overtaken += *next < ((const test_urgent *)message->body)->value;
        return SL_OK;
    }
    const test_parcel *parcel = message->body;
    CHECK_INT(parcel->sequence, *next);
    CHECK_INT(parcel->filler.bytes, s->given.options.body_bytes);
    CHECK_INT(parcel->blob ? parcel->blob->bytes : 0, s->given.options.blob_bytes);
    *next = parcel->sequence + 1;
    s->given.result->received++;
    work();
    look(self, s->given.result);
    if (--s->left == 0)
        stop_all(self);
    return SL_OK;
}

static void slow_stop(sl_actor *self, void *state) {
    (void)self;
    free(((slow *)state)->next);
}

/* ---- the senders ---- */

typedef struct sender {
    arguments given;
    uint64_t sent;
    uint8_t *filler;
    bool urgent_sent;
} sender;

static sl_err sender_start(sl_actor *self, void *state, const void *given) {
    sender *s = state;
    s->given = *(const arguments *)given;
    s->filler = calloc(1, s->given.options.body_bytes + 1);
    sl_timer_start(self, 0, 0);
    return SL_OK;
}

static sl_err send_one(sl_actor *self, sender *s) {
    test_parcel parcel = {.sequence = s->sent, .filler = {s->filler, s->given.options.body_bytes}};
    if (s->given.options.blob_bytes)
        SL_TRY(sl_blob_create(s->given.options.blob_bytes, &parcel.blob));
    sl_err err = test_parcel_send(self, sl_addr_well_known(0, SL_SLOT_DRIVER), &parcel);
    sl_blob_release(parcel.blob);
    return err;
}

/* A control message right after a refusal: what was sent before waits, and it must not. */
static void send_urgent(sl_actor *self, sender *s) {
    test_urgent urgent = {s->sent};
    if (s->urgent_sent)
        return;
    s->urgent_sent = true;
    CHECK_INT(test_urgent_send(self, sl_addr_well_known(0, SL_SLOT_DRIVER), &urgent), SL_OK);
}

static sl_err sender_receive(sl_actor *self, void *state, const sl_message *message) {
    sender *s = state;
    sl_err err = SL_OK;
    (void)message; /* the first timer, or room */
    while (err == SL_OK && s->sent < s->given.options.messages) {
        err = send_one(self, s);
        s->sent += err == SL_OK;
    }
    look(self, s->given.result);
    if (err == SL_ERR_AGAIN) {
        s->given.result->refused++;
        send_urgent(self, s);
        sl_await_room(self, sl_addr_well_known(0, SL_SLOT_DRIVER));
        return SL_OK;
    }
    CHECK_STR(err == SL_OK ? "" : sl_err_detail(), "");
    return SL_OK;
}

static void sender_stop(sl_actor *self, void *state) {
    (void)self;
    free(((sender *)state)->filler);
}

static const sl_actor_class sender_class = {.name = "sender",
                                            .state_bytes = sizeof(sender),
                                            .start = sender_start,
                                            .receive = sender_receive,
                                            .stop = sender_stop};

void scenario_pressure_spawn(sl_node *node, const scenario_pressure_options *options,
                             scenario_pressure_result *result) {
    static sl_actor_class slow_class;
    arguments given = {*options, result};
    *result = (scenario_pressure_result){.received = 0};
    if (sl_node_id(node) == 0) {
        slow_class = (sl_actor_class){.name = "slow",
                                      .state_bytes = sizeof(slow),
                                      .start = slow_start,
                                      .receive = slow_receive,
                                      .stop = slow_stop,
                                      .mailbox_limit = options->mailbox_limit};
        CHECK_INT(sl_node_spawn(node, SL_SLOT_DRIVER, &slow_class, &given, sizeof given, NULL),
                  SL_OK);
    }
    for (uint32_t i = 0; i < options->senders; i++) {
        sl_addr at = SL_NO_ADDR;
        CHECK_INT(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &sender_class, &given, sizeof given, &at),
                  SL_OK);
        CHECK_INT(at.slot, SL_SLOT_FIRST_FREE + i);
    }
}

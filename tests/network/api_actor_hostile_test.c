/* Words between hosts of actors that no host would say: nothing crashes, and actors that are
 * spawned afterwards are as good as any. */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "runtime/node.h"
#include "sdk/host.h"

enum { NODES = 3, WORDS = 20000, NUMBERS = 6 };

typedef struct tally_state {
    int64_t sum;
} tally_state;

SL_ACTOR(honest, .state_bytes = sizeof(tally_state)) {
    tally_state *t = state;
    t->sum += sl_call_is(call, "add");
    return sl_return_i64(call, t->sum);
}

SL_ACTOR(honest_brief, .state_bytes = sizeof(tally_state), .brief = 1) {
    tally_state *t = state;
    t->sum += sl_call_is(call, "add");
    return sl_return_i64(call, t->sum);
}

/* Near enough to what is there that more than the first check looks at it. */
static void bend(const sl_message_type *type, uint8_t *body, uint64_t life, sl_rng *rng) {
    for (uint32_t i = 0; i < type->record.field_count; i++) {
        const sl_field *field = &type->record.fields[i];
        uint64_t random = sl_rng_u64(rng), near = random % NUMBERS;
        if (random >> 60 == 0)
            continue;
        if (field->kind == SL_KIND_U32)
            *(uint32_t *)(void *)(body + field->offset) = (uint32_t)near % (NODES + 1);
        else if (field->kind == SL_KIND_U64)
            *(uint64_t *)(void *)(body + field->offset) =
                strcmp(field->name, "life") == 0 ? life : near;
        else if (field->kind == SL_KIND_TEXT && strcmp(field->name, "kind") == 0)
            *(sl_text *)(void *)(body + field->offset) =
                sl_text_of(near % 2 ? "honest" : "honest_brief");
    }
}

static const sl_message_type *const words[] = {
    &actor_tell_type,  &actor_answer_type, &actor_handled_type, &actor_moved_type,
    &actor_where_type, &actor_lost_type,   &actor_come_type,    &actor_here_type,
    &actor_ended_type, &actor_quit_type,   &actor_name_type,    &actor_find_type,
    &actor_named_type, &actor_go_type,     &actor_failed_type,  &actor_saved_type,
    &actor_kept_type,  &actor_watch_type};

/* Runs on the loop of the first node, and speaks in its name. */
SL_ACTOR(attacker, .brief = 1) {
    sl_client *client = sl_client_enter();
    uint64_t life = sl_call_self(call).life;
    sl_rng rng;
    sl_rng_seed(&rng, (uint64_t)sl_arg_i64(call, 0));
    for (int i = 0; i < 100 && client; i++) {
        const sl_message_type *type = words[sl_rng_u64(&rng) % (sizeof words / sizeof *words)];
        uint8_t *body = sl_record_generate(&type->record, &rng);
        bend(type, body, life, &rng);
        (void)sl_node_send(client->node, sl_host_at((uint32_t)sl_rng_u64(&rng) % NODES), type,
                           body);
        sl_record_release(&type->record, body);
        free(body);
    }
    if (client)
        sl_client_leave(client);
    return 0;
}

static sl_actor_ref spawn(const sl_actor_kind *kind, uint32_t node) {
    sl_actor_ref actor = {0};
    sl_spawn_options on = {.on_node = 1,
                           .node = node,
                           .restart_on_error = node == 1,
                           .restart_on_loss = node == 1,
                           .save_every = node == 1 ? 2 : 0};
    CHECK_INT(sl_actor_spawn(kind, SL_NO_ARGS, &on, &actor), 0);
    return actor;
}

TEST(hosts_stand_words_that_no_host_says) {
    sl_future *futures[NUMBERS];
    CHECK_INT(sl_init(NULL, NULL, &(sl_init_options){.nodes = NODES}), 0);
    for (uint32_t i = 0; i < NUMBERS; i++) { /* these are spoken of */
        sl_actor_ref actor = spawn(i % 2 ? &honest : &honest_brief, i % NODES);
        futures[i] = i % 3 ? sl_actor_ask(&actor, "add", SL_NO_ARGS) : sl_actor_monitor(&actor);
    }
    sl_actor_ref other = spawn(&honest, 1), attack = spawn(&attacker, 0);
    for (int i = 0; i < WORDS / 100; i++) {
        sl_future *future = sl_actor_ask(&attack, "", SL_ARGS(sl_i64(i)));
        CHECK_INT(sl_wait(future, 30), 0);
        sl_release(future);
    }
    for (uint32_t i = 0; i < NUMBERS; i++)
        sl_release(futures[i]);
    for (int i = 0; i < 100; i++)
        CHECK_INT(sl_actor_send(&other, "add", SL_NO_ARGS), 0);
    sl_release(sl_actor_migrate(&other, 2));
    sl_future *sum = sl_actor_ask(&other, "", SL_NO_ARGS);
    CHECK_INT(sl_wait(sum, 30), 0);
    CHECK_INT(sl_result_i64(sum), 100);
    sl_release(sum);
    CHECK_INT(sl_shutdown(), 0);
}

/* User actors over ranks that all drive: each sends numbered rows to actors that anybody may move.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "starlane.h"

enum { RANKS_MOST = 16, ROWS = 3000, MOVES = 200, PADDING = 100000 };

typedef struct rows {
    int64_t next[RANKS_MOST];
    int64_t wrong;
    int64_t taken;
    unsigned char padding[PADDING]; /* so that the state goes by bulk transfer */
} rows;

static int take_row(sl_call *call, rows *r) {
    if (sl_call_is(call, "row")) {
        int64_t *next = &r->next[sl_arg_i64(call, 0) % RANKS_MOST];
        r->wrong += sl_arg_i64(call, 1) != (*next)++;
        r->taken++;
        r->padding[r->taken % PADDING]++;
        return 0;
    }
    return sl_return_i64(call, sl_call_is(call, "wrong") ? r->wrong : r->taken);
}

SL_ACTOR(slow_rows, .state_bytes = sizeof(rows)) {
    return take_row(call, state);
}

SL_ACTOR(brief_rows, .state_bytes = sizeof(rows), .brief = 1) {
    return take_row(call, state);
}

static int64_t ask(const sl_actor_ref *actor, const char *method) {
    sl_future *future = sl_actor_ask(actor, method, SL_NO_ARGS);
    int64_t answer = sl_wait(future, 60) == 0 ? sl_result_i64(future) : -1;
    if (answer < 0)
        fprintf(stderr, "%s: %s\n", method, sl_error_text());
    sl_release(future);
    return answer;
}

static sl_actor_ref find(const char *name) {
    sl_actor_ref actor = {0};
    int error = SL_ERROR_NOT_FOUND;
    for (int tries = 0; tries < 20000 && error == SL_ERROR_NOT_FOUND; tries++) {
        sl_future *future = sl_actor_look_up(name);
        error = sl_wait(future, 60);
        if (error == 0)
            error = sl_result_actor(future, &actor);
        sl_release(future);
        usleep(1000);
    }
    CHECK_INT(error, 0);
    return actor;
}

static void traffic(const sl_actor_ref *actor, int64_t rank) {
    srandom((unsigned)(rank + 1));
    for (int64_t i = 0; i < ROWS; i++) {
        CHECK_INT(sl_actor_send(actor, "row", SL_ARGS(sl_i64(rank), sl_i64(i))), 0);
        if (i % (ROWS / MOVES) == 0)
            sl_release(sl_actor_migrate(actor, (uint32_t)random() % sl_size()));
    }
    CHECK_INT(ask(actor, "wrong"), 0);
}

TEST(rows_stay_in_order_while_all_move_the_actors) {
    static const char *const names[] = {"slow rows", "brief rows"};
    int error = sl_init(NULL, NULL, &(sl_init_options){.all_drive = 1});
    if (error)
        fprintf(stderr, "%s\n", sl_error_text());
    REQUIRE(error == 0);
    int64_t rank = sl_rank(), size = sl_size();
    sl_actor_ref mine[2], actors[2];
    for (int i = 0; i < 2 && rank == 0; i++)
        CHECK_INT(sl_actor_spawn(i ? &brief_rows : &slow_rows, SL_NO_ARGS,
                                 &(sl_spawn_options){.name = names[i]}, &mine[i]),
                  0);
    for (int i = 0; i < 2; i++) {
        actors[i] = find(names[i]);
        traffic(&actors[i], rank);
    }
    for (int i = 0; i < 2; i++) /* nobody leaves before all have been taken: moves go anywhere */
        for (int tries = 0; tries < 60000 && ask(&actors[i], "taken") < ROWS * size; tries++)
            usleep(1000);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(ask(&actors[i], "taken"), ROWS * size);
        CHECK_INT(ask(&actors[i], "wrong"), 0);
    }
    usleep(200000);
    CHECK_INT(sl_shutdown(), 0);
}

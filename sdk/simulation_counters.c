/* User actors of a simulated network. Each counts what each program has sent it, by numbers that
 * grow by one: so it sees, at every message, whether one was lost, doubled, or overtaken. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/simulation.h"
#include "sdk/task_call.h"

enum { NAMES = 3, OWN_MOST = 6, BURST_MOST = 6, BODY_MOST_MS = 20 };

/* What a message asks for besides being counted. */
enum { FAILS = 1, SAVES = 2, MOVES = 4, RESTS = 8 };

typedef struct counts {
    uint32_t counter; /* 1 + its number; 0: it has not started */
    uint64_t last[SL_SIM_WRITERS_MOST];
    uint64_t had[SL_SIM_WRITERS_MOST]; /* a bit for each number up to 64 */
    uint64_t sum;
} counts;

static void note(sl_simulation *simulation, uint32_t node, const char *what, uint32_t index,
                 uint64_t number) {
    sl_simulator *simulator = simulation->simulator;
    sl_simulator_note(simulator, node, sl_simulator_now_ns(simulator), 0,
                      "%s actor %u (%" PRIu64 ")", what, index, number);
}

/* ---- the body ---- */

static bool is_strict(const sl_simulation *simulation, const sl_sim_counter *counter) {
    return !simulation->losses && counter->starts == 1 && !counter->failures;
}

static uint64_t answer_of(uint64_t writer, uint64_t number) {
    return 1000 * number + writer;
}

static uint64_t bit_of(uint64_t number) {
    return number <= 64 ? UINT64_C(1) << (number - 1) : 0;
}

/* Of one that saves its state after each message: what it answered is never lost. At the end alone:
 * a life that was given up may go on for a while where that is not known, unheard. */
static void check_told(sl_simulation *simulation, uint32_t index, const counts *c,
                       uint64_t writer) {
    const sl_sim_counter *counter = &simulation->counters[index];
    uint64_t lost = counter->told[writer] & ~c->had[writer];
    if (counter->options.save_every == 1 && lost)
        sl_sim_violate(simulation,
                       "actor %u has lost message %d of program %" PRIu64 ", which it had answered",
                       index, __builtin_ctzll(lost) + 1, writer);
}

static void check_number(sl_simulation *simulation, uint32_t index, const counts *c,
                         uint64_t writer, uint64_t number) {
    const sl_sim_counter *counter = &simulation->counters[index];
    uint64_t last = c->last[writer];
    if (number <= last)
        sl_sim_violate(simulation,
                       "actor %u gets message %" PRIu64 " of program %" PRIu64 " after %" PRIu64,
                       index, number, writer, last);
    else if (number != last + 1 && is_strict(simulation, counter))
        sl_sim_violate(simulation,
                       "actor %u gets message %" PRIu64 " of program %" PRIu64 " after %" PRIu64
                       ", and nobody died",
                       index, number, writer, last);
    else if (number > counter->sent[writer])
        sl_sim_violate(simulation, "actor %u gets a message that nobody sent", index);
}

static int add(sl_call *call, counts *c, bool brief) {
    sl_simulation *simulation = sl_sim_here();
    uint64_t writer = (uint64_t)sl_arg_i64(call, 0), number = (uint64_t)sl_arg_i64(call, 1);
    int64_t wants = sl_arg_i64(call, 2);
    uint32_t node = sl_call_node(call), index = c->counter - 1;
    if (!c->counter || writer >= SL_SIM_WRITERS_MOST) {
        sl_sim_violate(simulation, "an actor runs that has not started");
        return sl_call_fail(call, "it has not started");
    }
    note(simulation, node, "runs", index, number);
    sl_sim_pass(simulation, SL_SIM_AT_ASSIGNED, node);
    check_number(simulation, index, c, writer, number);
    if (wants & RESTS && !brief)
        sl_simulator_sleep((1 + number % BODY_MOST_MS) * SL_NS_PER_MS);
    c->last[writer] = number;
    c->had[writer] |= bit_of(number);
    c->sum += answer_of(writer, number);
    if (wants & SAVES)
        sl_call_save(call);
    if (wants & MOVES)
        sl_call_migrate(call, (uint32_t)(number % simulation->options.nodes));
    sl_sim_pass(simulation, SL_SIM_AT_ENDED, node);
    if (wants & FAILS) {
        simulation->counters[index].failures++;
        return sl_call_fail(call, "it is to fail");
    }
    return sl_return_i64(call, (int64_t)answer_of(writer, number));
}

static int run(sl_call *call, counts *c, bool brief) {
    return sl_call_is(call, "get") ? sl_return_bytes(call, c, sizeof *c) : add(call, c, brief);
}

/* Of those by one name at most one lives. */
static void check_name(sl_simulation *simulation, const sl_sim_counter *starting) {
    for (uint32_t i = 0; i < simulation->counter_count; i++) {
        const sl_sim_counter *other = &simulation->counters[i];
        if (other != starting && other->starts && !other->stopped && starting->name[0] &&
            !starting->stopped && strcmp(other->name, starting->name) == 0 && !simulation->losses)
            sl_sim_violate(simulation, "two actors have the name %s", starting->name);
    }
}

static int begin(sl_call *call, counts *c) {
    sl_simulation *simulation = sl_sim_here();
    uint64_t index = (uint64_t)sl_arg_i64(call, 0);
    if (index >= simulation->counter_count)
        return sl_call_fail(call, "nobody spawned it");
    sl_sim_counter *counter = &simulation->counters[index];
    counter->starts++;
    note(simulation, sl_call_node(call), "starts", (uint32_t)index, counter->starts);
    check_name(simulation, counter);
    if (counter->starts > 1 && !counter->failures && !simulation->losses)
        sl_sim_violate(simulation, "actor %" PRIu64 " starts again, and nothing failed", index);
    c->counter = 1 + (uint32_t)index;
    return 0;
}

/* ---- kinds: whose state moves as it is, on the loop or not; and one that says how ---- */

static int plain_body(sl_call *call, void *state) {
    return run(call, state, false);
}

static int brief_body(sl_call *call, void *state) {
    return run(call, state, true);
}

static int plain_start(sl_call *call, void *state) {
    return begin(call, state);
}

static int heap_body(sl_call *call, void *state) {
    return run(call, *(counts **)state, false);
}

static int heap_start(sl_call *call, void *state) {
    counts *c = *(counts **)state = calloc(1, sizeof *c);
    return c ? begin(call, c) : sl_call_fail(call, "no memory");
}

static void heap_stop(void *state) {
    free(*(counts **)state);
}

static size_t heap_save(const void *state, void *to) {
    if (to)
        memcpy(to, *(counts *const *)state, sizeof(counts));
    return sizeof(counts);
}

static int heap_load(void *state, const void *data, size_t bytes) {
    counts *c = *(counts **)state = malloc(sizeof *c);
    if (!c || bytes != sizeof *c)
        return 1;
    memcpy(c, data, sizeof *c);
    return 0;
}

static sl_actor_kind kinds[] = {
    {.name = "simulated.plain",
     .body = plain_body,
     .options = {.state_bytes = sizeof(counts), .start = plain_start}},
    {.name = "simulated.brief",
     .body = brief_body,
     .options = {.state_bytes = sizeof(counts), .start = plain_start, .brief = 1}},
    {.name = "simulated.heap",
     .body = heap_body,
     .options = {.state_bytes = sizeof(counts *),
                 .start = heap_start,
                 .stop = heap_stop,
                 .save = heap_save,
                 .load = heap_load}}};

enum { KINDS = sizeof kinds / sizeof *kinds };

void sl_sim_counters_define(void) {
    for (uint32_t i = 0; i < KINDS; i++)
        sl_actor_define(&kinds[i]);
}

/* ---- the program's side ---- */

static bool is_own(const sl_sim_program *program, const sl_sim_counter *counter) {
    return counter->ref.home == program->host->number && !counter->gone;
}

static uint32_t own_count(const sl_sim_program *program) {
    const sl_simulation *simulation = program->host->simulation;
    uint32_t count = 0;
    for (uint32_t i = 0; i < simulation->counter_count; i++)
        count += is_own(program, &simulation->counters[i]);
    return count;
}

static void note_name(sl_simulation *simulation, sl_sim_counter *counter) {
    for (uint32_t i = 0; i < simulation->counter_count; i++) {
        sl_sim_counter *other = &simulation->counters[i];
        if (other == counter || !counter->name[0] || strcmp(other->name, counter->name) != 0)
            continue;
        counter->contested = true;
        other->contested = true;
    }
}

static sl_spawn_options draw_options(sl_sim_program *program) {
    uint32_t nodes = program->host->simulation->options.nodes;
    static const uint32_t every[] = {0, 1, 1, 3};
    sl_spawn_options options = {.restarts_most = 1000};
    options.on_node = sl_sim_draw(program, 2) == 0;
    options.node = (uint32_t)sl_sim_draw(program, nodes);
    options.restart_on_loss = sl_sim_draw(program, 3) != 0;
    options.restart_on_error = sl_sim_draw(program, 4) == 0;
    if (options.restart_on_error || options.restart_on_loss)
        options.save_every = every[sl_sim_draw(program, 4)];
    return options;
}

static void spawn(sl_sim_program *program) {
    sl_simulation *simulation = program->host->simulation;
    uint32_t index = simulation->counter_count;
    if (index == SL_SIM_COUNTERS_MOST || own_count(program) == OWN_MOST)
        return;
    sl_sim_counter *counter = &simulation->counters[index];
    sl_spawn_options options = draw_options(program);
    *counter = (sl_sim_counter){.options = options};
    if (sl_sim_draw(program, 3) == 0)
        snprintf(counter->name, sizeof counter->name, "%c",
                 (char)('a' + sl_sim_draw(program, NAMES)));
    simulation->counter_count++;
    options.name = counter->name[0] ? counter->name : NULL;
    if (sl_actor_spawn(&kinds[sl_sim_draw(program, KINDS)], SL_ARGS(sl_i64(index)), &options,
                       &counter->ref) != SL_OK) {
        counter->stopped = counter->gone = true;
        if (!sl_sim_program_is_over(program))
            sl_sim_violate(simulation, "program %u cannot spawn an actor: %s", program->writer,
                           sl_error_text());
    }
    note(simulation, program->host->number, counter->name[0] ? "spawns, by a name," : "spawns",
         index, counter->ref.place);
    note_name(simulation, counter);
}

/* Some counter that is not known to have ended; UINT32_MAX: none. */
static uint32_t choose(sl_sim_program *program) {
    const sl_simulation *simulation = program->host->simulation;
    uint32_t count = simulation->counter_count;
    uint32_t first = count ? (uint32_t)sl_sim_draw(program, count) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (!simulation->counters[(first + i) % count].stopped)
            return (first + i) % count;
    return UINT32_MAX;
}

static int64_t draw_wants(sl_sim_program *program) {
    int64_t wants = 0;
    if (sl_sim_draw(program, 24) == 0)
        wants |= FAILS;
    if (sl_sim_draw(program, 8) == 0)
        wants |= SAVES;
    if (sl_sim_draw(program, 10) == 0)
        wants |= MOVES;
    if (sl_sim_draw(program, 4) == 0)
        wants |= RESTS;
    return wants;
}

static void send_number(sl_sim_program *program, uint32_t index, bool asks, int64_t wants) {
    sl_simulation *simulation = program->host->simulation;
    sl_sim_counter *counter = &simulation->counters[index];
    uint64_t number = ++counter->sent[program->writer];
    sl_args args = SL_ARGS(sl_i64(program->writer), sl_i64((int64_t)number), sl_i64(wants));
    bool sent;
    note(simulation, program->host->number, asks ? "asks" : "tells", index, number);
    if (asks)
        sent = sl_sim_await(program,
                            (sl_sim_pending){.future = sl_actor_ask(&counter->ref, "add", args),
                                             .wish = SL_SIM_ADD,
                                             .index = index,
                                             .number = number,
                                             .fails = wants & FAILS});
    else
        sent = sl_actor_send(&counter->ref, "add", args) == SL_OK;
    if (!sent && !sl_sim_program_is_over(program))
        sl_sim_violate(simulation, "program %u cannot send to actor %u: %s", program->writer, index,
                       sl_error_text());
}

static void send_some(sl_sim_program *program, uint32_t index) {
    uint64_t count = 1 + sl_sim_draw(program, BURST_MOST);
    for (uint64_t i = 0; i < count && !sl_sim_program_is_over(program); i++) {
        bool asks = sl_sim_draw(program, 3) == 0; /* one draw a statement: their order counts */
        send_number(program, index, asks, draw_wants(program));
    }
}

static void move(sl_sim_program *program, uint32_t index) {
    sl_simulation *simulation = program->host->simulation;
    uint32_t to = (uint32_t)sl_sim_draw(program, simulation->options.nodes);
    note(simulation, program->host->number, "moves", index, to);
    (void)sl_sim_await(
        program, (sl_sim_pending){.future = sl_actor_migrate(&simulation->counters[index].ref, to),
                                  .wish = SL_SIM_MOVE,
                                  .index = index});
}

static void look_up(sl_sim_program *program) {
    char name[2] = {(char)('a' + sl_sim_draw(program, NAMES)), '\0'};
    (void)sl_sim_await(program, (sl_sim_pending){.future = sl_actor_look_up(name),
                                                 .wish = SL_SIM_FIND,
                                                 .index = (uint32_t)(name[0] - 'a')});
}

static void stop(sl_sim_program *program, uint32_t index) {
    sl_sim_counter *counter = &program->host->simulation->counters[index];
    counter->stopped = true;
    note(program->host->simulation, program->host->number, "stops", index, 0);
    (void)!sl_actor_stop(&counter->ref);
}

void sl_sim_counters_step(sl_sim_program *program) {
    uint32_t index = choose(program);
    uint64_t what = sl_sim_draw(program, 20);
    if (index == UINT32_MAX || what < 3)
        spawn(program);
    else if (what < 13)
        send_some(program, index);
    else if (what < 17)
        move(program, index);
    else if (what < 19)
        look_up(program);
    else
        stop(program, index);
}

/* ---- what it is told ---- */

/* May it be that it has ended? */
static bool may_be_gone(const sl_simulation *simulation, const sl_sim_counter *counter) {
    return counter->stopped || counter->contested || simulation->losses;
}

static void check_found(sl_sim_program *program, const sl_sim_pending *pending) {
    sl_simulation *simulation = program->host->simulation;
    char name[2] = {(char)('a' + pending->index), '\0'};
    sl_actor_ref found;
    if (sl_result_actor(pending->future, &found) != SL_OK) {
        sl_sim_violate(simulation, "a name is resolved to no actor");
        return;
    }
    for (uint32_t i = 0; i < simulation->counter_count; i++) {
        const sl_sim_counter *counter = &simulation->counters[i];
        if (counter->ref.home == found.home && counter->ref.life == found.life &&
            counter->ref.number == found.number && strcmp(counter->name, name) == 0)
            return;
    }
    sl_sim_violate(simulation, "the name %s is resolved to another actor", name);
}

static void check_answer(sl_sim_program *program, const sl_sim_pending *pending) {
    sl_simulation *simulation = program->host->simulation;
    sl_sim_counter *counter = &simulation->counters[pending->index];
    uint64_t answer = (uint64_t)sl_result_i64(pending->future);
    if (pending->fails)
        sl_sim_violate(simulation, "actor %u answers what was to fail", pending->index);
    else if (answer != answer_of(program->writer, pending->number))
        sl_sim_violate(simulation,
                       "actor %u answers %" PRIu64 " to message %" PRIu64 " of program %u",
                       pending->index, answer, pending->number, program->writer);
    counter->told[program->writer] |= bit_of(pending->number);
}

void sl_sim_counter_answered(sl_sim_program *program, const sl_sim_pending *pending) {
    sl_simulation *simulation = program->host->simulation;
    const sl_sim_counter *counter = &simulation->counters[pending->index];
    bool done = sl_state_of(pending->future) == SL_FUTURE_DONE;
    if (pending->wish == SL_SIM_FIND) {
        if (done)
            check_found(program, pending);
    } else if (done && pending->wish == SL_SIM_ADD) {
        check_answer(program, pending);
    } else if (!done && !pending->fails && !may_be_gone(simulation, counter)) {
        sl_sim_violate(simulation, "actor %u does not %s program %u: %s", pending->index,
                       pending->wish == SL_SIM_ADD ? "answer" : "move for", program->writer,
                       sl_error_text());
    }
}

/* ---- the end ---- */

/* Behind all that it has sent: when that is answered they were handled. */
void sl_sim_counters_flush(sl_sim_program *program) {
    sl_simulation *simulation = program->host->simulation;
    for (uint32_t i = 0; i < simulation->counter_count && !sl_sim_program_is_over(program); i++)
        if (!simulation->counters[i].stopped && simulation->counters[i].sent[program->writer])
            send_number(program, i, true, 0);
    sl_sim_settle_pending(program);
}

static void check_counts(sl_simulation *simulation, uint32_t index, const counts *c) {
    const sl_sim_counter *counter = &simulation->counters[index];
    uint64_t sum = 0;
    for (uint32_t writer = 0; writer < SL_SIM_WRITERS_MOST; writer++) {
        uint64_t last = c->last[writer];
        if (last > counter->sent[writer] ||
            (is_strict(simulation, counter) && last != counter->sent[writer]))
            sl_sim_violate(simulation,
                           "actor %u has %" PRIu64 " messages of program %u, which sent %" PRIu64,
                           index, last, writer, counter->sent[writer]);
        check_told(simulation, index, c, writer);
        for (uint64_t number = 1; number <= last; number++)
            sum += answer_of(writer, number);
    }
    if (c->counter != index + 1 || (is_strict(simulation, counter) && sum != c->sum))
        sl_sim_violate(simulation, "actor %u has the state of another", index);
}

static void check_state(sl_sim_program *program, uint32_t index) {
    sl_simulation *simulation = program->host->simulation;
    const sl_sim_counter *counter = &simulation->counters[index];
    sl_future *future = sl_actor_ask(&counter->ref, "get", SL_NO_ARGS);
    int error = sl_wait(future, SL_FOREVER);
    size_t bytes = 0;
    const void *data = error == SL_OK ? sl_result_bytes(future, &bytes) : NULL;
    counts c;
    if (sl_sim_program_is_over(program)) {
        sl_release(future);
        return;
    }
    if (data && bytes == sizeof c)
        check_counts(simulation, index, memcpy(&c, data, sizeof c));
    else if (!counter->stopped && !counter->contested &&
             (counter->options.restart_on_loss || !simulation->losses))
        sl_sim_violate(simulation, "actor %u is not there any more: %s", index, sl_error_text());
    sl_release(future);
}

static void end_one(sl_sim_program *program, uint32_t index) {
    const sl_sim_counter *counter = &program->host->simulation->counters[index];
    sl_future *end = sl_actor_monitor(&counter->ref);
    stop(program, index);
    (void)!sl_wait(end, SL_FOREVER);
    sl_release(end);
}

void sl_sim_counters_end(sl_sim_program *program) {
    const sl_simulation *simulation = program->host->simulation;
    for (uint32_t i = 0; i < simulation->counter_count && !sl_sim_program_is_over(program); i++) {
        if (!is_own(program, &simulation->counters[i]))
            continue;
        if (!simulation->counters[i].stopped)
            check_state(program, i);
        if (!sl_sim_program_is_over(program))
            end_one(program, i);
    }
}

/* Clients whose connection breaks: at any byte, a thousand times, for too long. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/cutter.h"
#include "tests/lib/outside.h"

enum { CUTS = 1000, AT_ONCE = 200, NUMBERS = 1 << 20 };

/* How often each number was worked on: once, whatever happens to the connection. */
static _Atomic uint8_t runs[NUMBERS];
static _Atomic int waiting, given_up, go_on;

SL_TASK(work_on, .brief = 1) {
    int64_t number = sl_arg_i64(call, 0);
    atomic_fetch_add(&runs[number % NUMBERS], 1);
    return sl_return_i64(call, 3 * number);
}

SL_TASK(echo_all) {
    size_t bytes;
    const void *data = sl_arg_bytes(call, 0, &bytes);
    return sl_return_bytes(call, data, bytes);
}

SL_TASK(hold_on) {
    atomic_fetch_add(&waiting, 1);
    while (!atomic_load(&go_on) && !sl_call_cancelled(call))
        usleep(1000);
    atomic_fetch_add(&given_up, sl_call_cancelled(call));
    return sl_return_i64(call, 7);
}

/* ---- a client behind a cutter ---- */

static cutter *between;
static char cut_url[600];

static void put_between(void) {
    uint16_t to, from;
    sscanf(outside_url, "starlane://127.0.0.1:%hu", &to);
    between = cutter_start(to, &from);
    snprintf(cut_url, sizeof cut_url, "starlane://127.0.0.1:%u%s", from, strchr(outside_url, '#'));
}

static sl_remote *join_behind(const char *project) {
    char *key = outside_key(project, "submit,read");
    sl_remote *remote = NULL;
    if (sl_connect(cut_url, key, project, NULL, &remote) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    sl_free(key);
    return remote;
}

/* ---- cut again and again ---- */

typedef struct flight {
    sl_future *futures[AT_ONCE];
    int64_t numbers[AT_ONCE];
    int64_t next;
    uint64_t wrong, ended;
} flight;

static void start(sl_remote *remote, flight *of, int i) {
    of->numbers[i] = of->next++;
    of->futures[i] = sl_remote_submit(remote, "work_on", SL_ARGS(sl_i64(of->numbers[i])), NULL);
}

static void end(flight *of, int i) {
    if (sl_wait(of->futures[i], SL_FOREVER) != 0 ||
        sl_result_i64(of->futures[i]) != 3 * of->numbers[i])
        if (!of->wrong++)
            sl_test_fail(__FILE__, __LINE__, "%s", sl_error_text());
    of->ended++;
    sl_release(of->futures[i]);
    of->futures[i] = NULL;
}

static void tasks_in_flight(void) {
    static flight of;
    sl_remote *remote = join_behind("physics");
    uint64_t before = cutter_cuts(between);
    cutter_set(between, 40000);
    cutter_cut(between);
    for (int i = 0; i < AT_ONCE; i++)
        start(remote, &of, i);
    while (cutter_cuts(between) - before < CUTS && !of.wrong) {
        size_t i;
        CHECK_INT(sl_wait_any(of.futures, AT_ONCE, SL_FOREVER, &i), 0);
        end(&of, (int)i);
        start(remote, &of, (int)i);
    }
    for (int i = 0; i < AT_ONCE; i++)
        end(&of, i);
    cutter_set(between, 0);
    cutter_cut(between);
    uint64_t lost = 0, doubled = 0;
    for (int64_t n = 0; n < of.next; n++) {
        lost += runs[n % NUMBERS] == 0;
        doubled += runs[n % NUMBERS] > 1;
    }
    CHECK(of.next < NUMBERS);
    CHECK_INT(of.wrong, 0);
    CHECK_INT(lost, 0);
    CHECK_INT(doubled, 0);
    CHECK_INT(of.ended, of.next);
    CHECK_INT(outside_field(remote, "running"), 0);
    printf("# %llu cuts, %lld tasks, %llu lost, %llu doubled\n",
           (unsigned long long)(cutter_cuts(between) - before), (long long)of.next,
           (unsigned long long)lost, (unsigned long long)doubled);
    sl_disconnect(remote);
}

/* Large arguments, results and objects, cut in their midst. */
static void large_things(void) {
    enum { BYTES = 3 << 20 };
    sl_remote *remote = join_behind("physics");
    uint8_t *data = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    cutter_set(between, 6 << 20);
    cutter_cut(between);
    for (int i = 0; i < 12; i++) {
        size_t bytes, size = BYTES - (size_t)i;
        sl_view view;
        sl_future *large =
            sl_remote_submit(remote, "echo_all", SL_ARGS(sl_bytes(data, size)), NULL);
        /* A small one does not overtake it. */
        sl_future *small = sl_remote_submit(remote, "work_on", SL_ARGS(sl_i64(i)), NULL);
        sl_object *object = sl_remote_put(remote, sl_value_bytes(data, size));
        REQUIRE(object != NULL);
        CHECK_INT(sl_wait(small, SL_FOREVER), 0);
        CHECK_INT(sl_wait(large, SL_FOREVER), 0);
        const void *back = sl_result_bytes(large, &bytes);
        CHECK_INT(bytes, size);
        CHECK(back && memcmp(back, data, size) == 0);
        CHECK_INT(sl_get(object, SL_FOREVER, &view), 0);
        CHECK(view.value.bytes == size && memcmp(view.value.data, data, size) == 0);
        sl_view_release(&view);
        sl_object_release(object);
        sl_release(large), sl_release(small);
    }
    cutter_set(between, 0);
    cutter_cut(between);
    CHECK_INT(outside_field(remote, "held_bytes"), 0);
    sl_disconnect(remote);
    free(data);
}

/* ---- what ends, and what does not ---- */

static void tasks_go_on_meanwhile(void) {
    sl_remote *remote = join_behind("physics"), *other = outside_join("physics", "read");
    atomic_store(&waiting, 0);
    atomic_store(&go_on, 0);
    sl_future *task = sl_remote_submit(remote, "hold_on", SL_NO_ARGS, NULL);
    while (!atomic_load(&waiting))
        usleep(1000);
    cutter_block(between, 1);
    while (outside_field(other, "clients") != 1)
        usleep(1000);
    sl_future *later = sl_remote_submit(remote, "work_on", SL_ARGS(sl_i64(5)), NULL);
    CHECK(later != NULL); /* it waits here */
    CHECK_INT(sl_wait(later, 0.05), SL_ERROR_TIMEOUT);
    atomic_store(&go_on, 1);
    while (outside_field(other, "running"))
        usleep(1000);
    CHECK_INT(sl_wait(task, 0.05), SL_ERROR_TIMEOUT);
    cutter_block(between, 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), 0);
    CHECK_INT(sl_result_i64(task), 7);
    CHECK_INT(sl_wait(later, SL_FOREVER), 0);
    CHECK_INT(outside_field(other, "clients"), 2);
    sl_release(task), sl_release(later);
    sl_disconnect(remote);
    sl_disconnect(other);
}

/* Longer than the gateway keeps it: the tasks are taken back, and the client is told. */
static void who_stays_away(void) {
    sl_remote *remote = join_behind("physics"), *other = outside_join("physics", "read");
    atomic_store(&waiting, 0);
    atomic_store(&go_on, 0);
    atomic_store(&given_up, 0);
    sl_future *task = sl_remote_submit(remote, "hold_on", SL_NO_ARGS, NULL);
    static uint8_t data[1000];
    sl_object *object = sl_remote_put(remote, sl_value_bytes(data, sizeof data));
    while (!atomic_load(&waiting))
        usleep(1000);
    cutter_block(between, 1);
    while (!atomic_load(&given_up) || outside_field(other, "held_bytes"))
        usleep(1000);
    cutter_block(between, 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK(!sl_remote_submit(remote, "work_on", SL_ARGS(sl_i64(1)), NULL));
    sl_release(task);
    sl_disconnect(remote);
    sl_object_release(object);
    sl_disconnect(other);
}

/* ---- sessions of others ---- */

static void greet(raw *of, const char *key, const char *project, const char *session,
                  uint64_t taken) {
    gateway_hello hello = {.version = SL_GATEWAY_VERSION,
                           .key = sl_text_of(key),
                           .project = sl_text_of(project),
                           .session = sl_text_of(session),
                           .taken = taken};
    raw_dial(of);
    raw_say(of, SL_GATEWAY_HELLO, &hello, NULL, 0);
}

static void sessions_of_others(void) {
    char *one = outside_key("alpha", "submit"), *same = outside_key("alpha", "submit"),
         *other = outside_key("beta", "submit");
    static const char none[] = "00000000000000000000000000000000";
    gateway_taken taken = {.count = 99};
    char name[SL_GATEWAY_SESSION_BYTES];
    raw r, s;
    greet(&r, one, "alpha", none, 0);
    raw_refused(&r, "no such session");
    greet(&r, one, "alpha", "", 0);
    raw_await(&r, &r.messages);
    memcpy(name, r.session, sizeof name);
    greet(&s, same, "alpha", name, 0); /* another key of the project */
    raw_refused(&s, "no such session");
    greet(&s, other, "beta", name, 0);
    raw_refused(&s, "no such session");
    greet(&s, one, "alpha", name, 5); /* it was sent nothing yet */
    raw_refused(&s, "no such session");
    greet(&s, one, "alpha", name, 0); /* takes it over from the connection that stands */
    raw_await(&s, &s.messages);
    raw_refused(&r, "by another connection");
    raw_say(&s, SL_GATEWAY_TAKEN, &taken, NULL, 0);
    raw_refused(&s, "99 messages were taken of 0");
    sl_free(one), sl_free(same), sl_free(other);
}

/* Parts of messages that do not fit. */
static void odd_parts(void) {
    uint8_t part[100] = {SL_GATEWAY_LONG};
    uint64_t bytes = (uint64_t)1 << 40;
    raw r;
    raw_enter(&r, "epsilon");
    part[0] = SL_GATEWAY_MORE;
    CHECK_INT(sl_link_send(r.link, part, 40, NULL), SL_OK);
    raw_refused(&r, "more of a long message than there is");
    raw_enter(&r, "epsilon");
    part[0] = SL_GATEWAY_LONG;
    memcpy(part + SL_GATEWAY_HEAD_BYTES, &bytes, sizeof bytes);
    CHECK_INT(sl_link_send(r.link, part, 16, NULL), SL_OK);
    raw_refused(&r, "a message of 1099511627776 bytes");
    raw_enter(&r, "epsilon");
    bytes = 50;
    memcpy(part + SL_GATEWAY_HEAD_BYTES, &bytes, sizeof bytes);
    CHECK_INT(sl_link_send(r.link, part, 16, NULL), SL_OK);
    gateway_ask ask = {};
    raw_say(&r, SL_GATEWAY_ASK, &ask, NULL, 0);
    raw_refused(&r, "in the midst of a long one");
    raw_enter(&r, "epsilon");
    CHECK_INT(sl_link_send(r.link, part, 16, NULL), SL_OK);
    CHECK_INT(sl_link_send(r.link, part, 16, NULL), SL_OK);
    raw_refused(&r, "begins in another");
    raw_enter(&r, "epsilon");
    CHECK_INT(sl_link_send(r.link, part, 16, NULL), SL_OK);
    part[0] = SL_GATEWAY_MORE;
    CHECK_INT(sl_link_send(r.link, part, 58, NULL), SL_OK); /* all zeros: no message */
    raw_refused(&r, "no message of a gateway");
}

TEST(connections_that_break) {
    REQUIRE(outside_begin() == 0);
    put_between();
    tasks_in_flight();
    large_things();
    tasks_go_on_meanwhile();
    sessions_of_others();
    odd_parts();
    cutter_stop(between);
    CHECK_INT(sl_shutdown(), 0);
}

TEST(clients_that_stay_away) {
    const char *const options[] = {"gateway-keep", "2s", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    put_between();
    who_stays_away();
    cutter_stop(between);
    CHECK_INT(sl_shutdown(), 0);
}

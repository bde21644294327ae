/* Who runs a network, from outside: what a key with the scope `admin` may, what it may not, and how
 * the network ends by it. */
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/outside.h"

#define ALL "submit,read,command"

static _Atomic int waiting;

SL_ACTOR(stays) {
    return 0;
}

SL_TASK(wait_long) {
    atomic_fetch_add(&waiting, 1);
    while (!sl_call_cancelled(call))
        usleep(1000);
    return sl_call_fail(call, "given up");
}

static sl_future *shell(sl_remote *remote, const char *text, int detached) {
    sl_command command = {.shell = text, .detached = detached};
    const sl_task_options no_cores = {.cpus = SL_NO_CPUS}; /* more run at once than there are */
    sl_future *future = sl_remote_command(remote, &command, &no_cores);
    CHECK(future != NULL);
    return future;
}

static uint64_t detach(sl_remote *remote, const char *text) {
    sl_command_state state = {};
    sl_future *future = shell(remote, text, 1);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(sl_result_command(future, &state), 0);
    sl_release(future);
    return state.id;
}

static sl_command_stands await(sl_remote *remote, uint64_t id, sl_command_stands not_yet) {
    sl_command_state state = {};
    do
        CHECK_INT(sl_remote_commands(remote, &id, 1, &state), 0);
    while ((state.stands == SL_COMMAND_WAITS || state.stands == not_yet) && usleep(2000) == 0);
    return state.stands;
}

/* Its end, well or not. */
static void refused(sl_future *future, const char *why) {
    REQUIRE(future != NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), why);
    sl_release(future);
}

/* ---- what it may ---- */

static void sees_all(sl_remote *admin, sl_remote *one, sl_remote *two) {
    char *text = NULL;
    CHECK_INT(sl_api_quota(outside_directory, "later", 0, 7, 0, 0), 0);
    atomic_store(&waiting, 0);
    sl_future *mine = sl_remote_submit(one, "wait_long", SL_NO_ARGS, NULL),
              *theirs = sl_remote_submit(two, "wait_long", SL_NO_ARGS, NULL);
    while (atomic_load(&waiting) < 2)
        usleep(1000);
    REQUIRE(sl_remote_projects(admin, 1, &text) == 0);
    CHECK_CONTAINS(text, "{\"project\":\"alpha\",\"clients\":1,\"running\":1,");
    CHECK_CONTAINS(text, "{\"project\":\"beta\",\"clients\":1,\"running\":1,");
    CHECK_CONTAINS(text, "{\"project\":\"later\",\"clients\":0,\"running\":0,"); /* never here */
    CHECK_CONTAINS(text, "\"quota_tasks\":7,");
    sl_free(text);
    REQUIRE(sl_remote_projects(admin, 0, &text) == 0);
    CHECK_CONTAINS(text, "alpha");
    sl_free(text);
    sl_cancel(mine), sl_cancel(theirs);
    CHECK_INT(sl_wait(mine, SL_FOREVER), SL_ERROR_CANCELLED);
    CHECK_INT(sl_wait(theirs, SL_FOREVER), SL_ERROR_CANCELLED);
    sl_release(mine), sl_release(theirs);
}

static void cancels_all(sl_remote *admin, sl_remote *one, sl_remote *two) {
    uint64_t count = 0;
    atomic_store(&waiting, 0);
    sl_future *mine = sl_remote_submit(one, "wait_long", SL_NO_ARGS, NULL),
              *theirs = sl_remote_submit(two, "wait_long", SL_NO_ARGS, NULL);
    uint64_t runs = detach(one, "sleep 100"), single = detach(two, "sleep 100");
    while (atomic_load(&waiting) < 2)
        usleep(1000);
    CHECK_INT(await(admin, runs, SL_COMMAND_WAITS), SL_COMMAND_RUNS); /* of whatever project */
    CHECK_INT(sl_remote_cancel_project(admin, "alpha", &count), 0);
    CHECK_INT(count, 2);
    CHECK_INT(sl_wait(mine, SL_FOREVER), SL_ERROR_CANCELLED);
    CHECK_INT(await(one, runs, SL_COMMAND_RUNS), SL_COMMAND_CANCELLED);
    CHECK_INT(sl_wait(theirs, 0.05), SL_ERROR_TIMEOUT);
    CHECK_INT(await(admin, single, SL_COMMAND_WAITS), SL_COMMAND_RUNS);
    CHECK_INT(sl_remote_cancel_command(admin, single), 0);
    CHECK_INT(await(admin, single, SL_COMMAND_RUNS), SL_COMMAND_CANCELLED);
    CHECK_INT(sl_remote_cancel_project(admin, "nosuch", &count), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_remote_cancel_project(admin, "alpha", &count), 0);
    CHECK_INT(count, 0);
    sl_cancel(theirs);
    CHECK_INT(sl_wait(theirs, SL_FOREVER), SL_ERROR_CANCELLED);
    sl_release(mine), sl_release(theirs);
}

static void id_of(const char *key, char id[17]) {
    memcpy(id, key + 4, 16);
    id[16] = '\0';
}

static void lists_and_revokes(sl_remote *admin) {
    sl_remote *remote = NULL;
    char *text = NULL, *key = outside_key("delta", "submit"), id[17];
    id_of(key, id);
    REQUIRE(sl_connect(outside_url, key, "delta", NULL, &remote) == 0);
    sl_future *task = sl_remote_submit(remote, "wait_long", SL_NO_ARGS, NULL);
    REQUIRE(sl_remote_keys(admin, 1, &text) == 0);
    CHECK_CONTAINS(text, id);
    CHECK(!strstr(text, key + 21)); /* nor a hash: */
    CHECK(strspn(strstr(text, id), "0123456789abcdef") == 16);
    CHECK_CONTAINS(strstr(text, id), "\"project\":\"delta\",\"scopes\":\"submit\"");
    sl_free(text);
    CHECK_INT(sl_remote_revoke(admin, id), 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "was revoked");
    CHECK_INT(sl_remote_revoke(admin, id), SL_ERROR_EXISTS); /* the same again */
    CHECK_INT(sl_remote_revoke(admin, "0123456789abcdef"), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_remote_revoke(admin, ""), SL_ERROR_NOT_FOUND);
    CHECK_INT(sl_remote_revoke(admin, "../../etc/passwd"), SL_ERROR_NOT_FOUND);
    REQUIRE(sl_remote_keys(admin, 0, &text) == 0);
    CHECK_CONTAINS(text, "revoked");
    sl_free(text);
    sl_release(task);
    sl_disconnect(remote);
    sl_free(key);
}

static void reads_the_audit_log(sl_remote *admin) {
    char *text = NULL;
    REQUIRE(sl_remote_audit(admin, &text) == 0);
    CHECK_CONTAINS(text, "\"project\":\"ops\",\"what\":\"projects\",\"result\":\"ok\"");
    CHECK_CONTAINS(text, "\"what\":\"cancel all\",\"result\":\"ok\",\"detail\":\"alpha: 2 tasks\"");
    CHECK_CONTAINS(text,
                   "\"what\":\"revoke\",\"result\":\"refused\",\"detail\":\"0123456789abcdef: ");
    CHECK(text[0] == '{' && strlen(text) && text[strlen(text) - 1] == '\n');
    sl_free(text);
}

/* ---- what it may not, and who may not ---- */

static void may_no_more(sl_remote *admin, sl_remote *one) {
    char part[100];
    size_t bytes = sizeof part;
    int ended;
    sl_command command = {.shell = "true"};
    refused(sl_remote_submit(admin, "wait_long", SL_NO_ARGS, NULL), "lacks the scope submit");
    refused(sl_remote_call(admin, "mine/f", "", 0, NULL), "lacks the scope submit");
    refused(sl_remote_command(admin, &command, NULL), "lacks the scope command");
    CHECK(!sl_remote_put(admin, sl_string("x")));
    CHECK_CONTAINS(sl_error_text(), "lacks the scope submit");
    uint64_t id = detach(one, "echo secret; sleep 100");
    CHECK(sl_remote_output(admin, id, 0, 0, part, &bytes, &ended) != 0);
    CHECK_CONTAINS(sl_error_text(), "there is no command");
    CHECK_INT(sl_remote_cancel_command(admin, id), 0);
    CHECK_INT(await(one, id, SL_COMMAND_RUNS), SL_COMMAND_CANCELLED);
    CHECK_INT(sl_remote_down(admin, -1), SL_ERROR_INVALID);
    CHECK_INT(sl_remote_down(admin, 0), SL_ERR_UNAVAILABLE); /* sl_init() began it */
    CHECK_CONTAINS(sl_error_text(), "not started by starlane up");
}

static int one_act(sl_remote *remote, int act) {
    char *text = NULL;
    uint64_t count;
    int err = act == 0   ? sl_remote_projects(remote, 1, &text)
              : act == 1 ? sl_remote_keys(remote, 1, &text)
              : act == 2 ? sl_remote_revoke(remote, "0123456789abcdef")
              : act == 3 ? sl_remote_cancel_project(remote, "alpha", &count)
              : act == 4 ? sl_remote_audit(remote, &text)
                         : sl_remote_down(remote, 0);
    sl_free(text);
    return err;
}

static void without_the_scope(void) {
    for (int act = 0; act < 6; act++) {
        sl_remote *remote = outside_join("alpha", "submit,read,command,module");
        CHECK_INT(one_act(remote, act), SL_ERROR_CLOSED);
        CHECK_CONTAINS(sl_error_text(), "lacks the scope admin");
        sl_disconnect(remote);
    }
}

/* At once, not only when keys are looked at again. */
static void revoked_meanwhile(void) {
    for (int act = 0; act < 6; act++) {
        sl_remote *remote = NULL;
        char *key = outside_key("ops", "admin"), id[17];
        id_of(key, id);
        REQUIRE(sl_connect(outside_url, key, "ops", NULL, &remote) == 0);
        CHECK_INT(sl_api_key_revoke(outside_directory, id), 0);
        CHECK(one_act(remote, act) != 0);
        CHECK(strstr(sl_error_text(), "holds no more") || strstr(sl_error_text(), "was revoked"));
        sl_disconnect(remote);
        sl_free(key);
    }
}

static void enter_with(raw *of, const char *key, const char *project, const char *session) {
    gateway_hello hello = {.version = SL_GATEWAY_VERSION,
                           .key = sl_text_of(key),
                           .project = sl_text_of(project),
                           .session = sl_text_of(session)};
    raw_dial(of);
    raw_say(of, SL_GATEWAY_HELLO, &hello, NULL, 0);
}

static void hostile(sl_remote *admin) {
    char *key = outside_key("ops", "admin"), *other = outside_key("ops", "submit"), *text = NULL;
    gateway_order order = {.number = 1, .act = SL_ACT_PROJECTS};
    gateway_ordered ordered = {};
    raw r, thief;
    raw_dial(&r);
    raw_say(&r, SL_GATEWAY_ORDER, &order, NULL, 0); /* before it was welcome */
    raw_refused(&r, "where 1 is due");
    enter_with(&r, key, "ops", "");
    raw_await(&r, &r.messages);
    enter_with(&thief, other, "ops", r.session); /* the session of an admin, by another key */
    raw_refused(&thief, "there is no such session");
    for (int i = 0; i < 400; i++) { /* what is no order, too long, and too many at once */
        order.act = (uint8_t)(i % 2 ? i : 0);
        order.wait_ns = i % 3 ? 0 : UINT64_MAX;
        if (order.act == SL_ACT_DOWN || order.act == SL_ACT_REVOKE || order.act == SL_ACT_CANCEL)
            order.act = SL_ACT_KEYS;
        raw_say(&r, SL_GATEWAY_ORDER, &order, NULL, 0);
    }
    CHECK_INT(sl_remote_projects(admin, 1, &text), 0); /* others are served meanwhile */
    sl_free(text);
    raw_say(&r, SL_GATEWAY_ORDERED, &ordered, NULL, 0);
    raw_refused(&r, "is not for a gateway");
    sl_free(key), sl_free(other);
}

TEST(who_runs_the_network) {
    REQUIRE(outside_begin() == 0);
    sl_remote *admin = outside_join("ops", "admin"), *one = outside_join("alpha", ALL),
              *two = outside_join("beta", ALL);
    sees_all(admin, one, two);
    cancels_all(admin, one, two);
    lists_and_revokes(admin);
    reads_the_audit_log(admin);
    may_no_more(admin, one);
    without_the_scope();
    revoked_meanwhile();
    hostile(admin);
    sl_disconnect(admin), sl_disconnect(one), sl_disconnect(two);
    CHECK_INT(sl_shutdown(), 0);
}

/* ---- the end ---- */

typedef struct upped {
    pthread_t thread;
    FILE *told; /* what it says */
    sl_options *options;
    int err, code;
} upped;

static void *keep_up(void *of) {
    upped *up = of;
    sl_network *network = NULL;
    up->code = -1;
    up->err = sl_network_open(up->options, NULL, &network);
    if (up->err == 0)
        up->err = sl_up(network, up->told, &up->code);
    sl_network_close(network, up->code);
    fclose(up->told);
    return NULL;
}

/* As starlane up does it. */
static void begin_up(upped *up) {
    int ends[2];
    snprintf(outside_directory, sizeof outside_directory, "%s/up", sl_test_dir());
    REQUIRE(pipe(ends) == 0 && (up->told = fdopen(ends[1], "w")) != NULL);
    REQUIRE(sl_options_create(&up->options) == 0);
    REQUIRE(sl_options_set(up->options, "listen", "127.0.0.1:0") == 0);
    REQUIRE(sl_options_set(up->options, "nodes", "2") == 0);
    REQUIRE(sl_options_set(up->options, "gateway", outside_directory) == 0);
    REQUIRE(pthread_create(&up->thread, NULL, keep_up, up) == 0);
    FILE *heard = fdopen(ends[0], "r");
    do
        REQUIRE(heard && fgets(outside_url, sizeof outside_url, heard));
    while (strncmp(outside_url, "starlane://", 11) != 0);
    outside_url[strcspn(outside_url, "\n")] = '\0';
    fclose(heard);
}

static void end_up(upped *up) {
    pthread_join(up->thread, NULL);
    CHECK_INT(up->err, 0);
    CHECK_INT(up->code, 0);
    sl_options_destroy(up->options);
}

/* Tries until no more are taken. */
static void *submit_meanwhile(void *remote) {
    int err;
    do {
        sl_future *future = sl_remote_call(remote, "starlane.echo", "x", 1, NULL);
        err = future ? sl_wait(future, SL_FOREVER) : SL_ERROR_CLOSED;
        sl_release(future);
    } while (err == 0 && usleep(1000) == 0);
    CHECK_INT(err, SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "it takes no more tasks");
    char path[600];
    snprintf(path, sizeof path, "%s/go", sl_test_dir());
    fclose(fopen(path, "w"));
    return NULL;
}

TEST(the_end_waits_for_tasks) {
    char text[700];
    size_t bytes;
    upped up = {};
    pthread_t thread;
    begin_up(&up);
    sl_remote *admin = outside_join("ops", "admin"), *remote = outside_join("alpha", ALL);
    snprintf(text, sizeof text, "while [ ! -e %s/go ]; do sleep 0.01; done; echo came",
             sl_test_dir());
    sl_future *task = shell(remote, text, 0);
    while (outside_field(remote, "begun") != 1)
        usleep(1000);
    sl_actor_ref actor; /* which would never end is not waited for */
    CHECK_INT(sl_remote_actor_spawn(remote, "stays", SL_NO_ARGS, NULL, &actor), 0);
    sl_future *end = sl_remote_actor_monitor(remote, &actor);
    while (outside_field(remote, "running") != 3)
        usleep(1000);
    pthread_create(&thread, NULL, submit_meanwhile, remote);
    CHECK_INT(sl_remote_down(admin, 1e6), 0);
    pthread_join(thread, NULL);
    CHECK_INT(sl_wait(task, SL_FOREVER), 0); /* it is there, though the network is not */
    const void *came = sl_result_bytes(task, &bytes);
    CHECK(came && bytes == 5 && memcmp(came, "came\n", 5) == 0);
    end_up(&up);
    sl_future *none = sl_remote_call(remote, "starlane.echo", "x", 1, NULL);
    CHECK(!none || sl_wait(none, SL_FOREVER) == SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "the network was ended by who runs it");
    CHECK_INT(sl_wait(end, SL_FOREVER), SL_ERROR_CLOSED);
    sl_release(none), sl_release(task), sl_release(end);
    sl_disconnect(admin), sl_disconnect(remote);
}

TEST(the_end_does_not_wait_for_ever) {
    upped up = {};
    begin_up(&up);
    sl_remote *admin = outside_join("ops", "admin"), *remote = outside_join("alpha", ALL);
    sl_future *task = sl_remote_submit(remote, "wait_long", SL_NO_ARGS, NULL),
              *command = shell(remote, "sleep 100", 0);
    while (outside_field(remote, "running") != 2)
        usleep(1000);
    CHECK_INT(sl_remote_down(admin, 0.2), 0);
    CHECK_INT(sl_wait(task, SL_FOREVER), SL_ERROR_CLOSED);
    CHECK_CONTAINS(sl_error_text(), "the network was ended by who runs it");
    CHECK_INT(sl_wait(command, SL_FOREVER), SL_ERROR_CLOSED);
    end_up(&up);
    sl_release(task), sl_release(command);
    sl_disconnect(admin), sl_disconnect(remote);
}

/* How much commands from outside may write: a quota of their project's, and the disk. */
#include "tests/lib/test.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/outside_commands.h"

#define ALL "submit,read,command"

static uint64_t detach(sl_remote *remote, const char *text, const uint64_t *after, size_t count) {
    sl_command command = {.shell = text, .detached = 1, .after = after, .after_count = count};
    sl_future *future = sl_remote_command(remote, &command, NULL);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    uint64_t id = state_of(future).id;
    CHECK(id != 0);
    sl_release(future);
    return id;
}

static sl_command_state await(sl_remote *remote, uint64_t id) {
    sl_command_state state = {};
    do
        CHECK_INT(sl_remote_commands(remote, &id, 1, &state), 0);
    while ((state.stands == SL_COMMAND_WAITS || state.stands == SL_COMMAND_RUNS) &&
           usleep(2000) == 0);
    return state;
}

static void await_begun(sl_remote *remote, uint64_t id) {
    sl_command_state state = {};
    do
        CHECK_INT(sl_remote_commands(remote, &id, 1, &state), 0);
    while (state.stands == SL_COMMAND_WAITS && usleep(1000) == 0);
}

static char *file_text(const char *directory, const char *name) {
    static char text[200000];
    char path[700];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[bytes] = '\0';
    if (file)
        fclose(file);
    return text;
}

enum { QUOTA = 1 << 20 };

static uint64_t on_disk(void) {
    char path[1200];
    uint64_t bytes = 0;
    struct stat info;
    snprintf(path, sizeof path, "%s/output", outside_directory);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "%s/output/%s", outside_directory, entry->d_name);
        if (strchr(entry->d_name, '.') && stat(path, &info) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    }
    if (directory)
        closedir(directory);
    return bytes;
}

/* It would write for ever, and does not heed SIGTERM; another of the project goes on. */
static void the_largest_is_ended(sl_remote *remote) {
    char text[700], path[600];
    size_t bytes;
    snprintf(path, sizeof path, "%s/bounded", sl_test_dir());
    snprintf(text, sizeof text, "echo small; while [ ! -e %s ]; do sleep 0.02; done; echo end",
             path);
    sl_future *small = shell(remote, text, 0),
              *endless = shell(remote, "trap '' TERM; while :; do seq 1 100000; done", 0);
    CHECK_INT(sl_wait(endless, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "more than the project's quota of output (1048576 bytes)");
    sl_command_state state = state_of(endless);
    CHECK_INT(state.stands, SL_COMMAND_FAILED);
    CHECK_INT(state.output_cut, 1);
    CHECK(state.stdout_bytes + 6 >= QUOTA && state.stdout_bytes <= QUOTA);
    const char *all = read_all(remote, state.id, 0, &bytes); /* what is there is as it was */
    CHECK(bytes <= QUOTA && memcmp(all, "1\n2\n3\n", 6) == 0);
    while (on_disk() > QUOTA)
        usleep(1000);
    CHECK(outside_field(remote, "output_bytes") <= QUOTA);
    /* All that is left for the project is held by its client: no more are taken. */
    sl_future *none = shell(remote, "echo no", 0);
    CHECK_INT(sl_wait(none, SL_FOREVER), SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "as much as its quota allows");
    sl_release(none);
    sl_release(endless);
    REQUIRE(mkdir(path, 0700) == 0);
    CHECK_INT(sl_wait(small, SL_FOREVER), 0);
    CHECK_INT(state_of(small).output_cut, 0);
    sl_release(small);
    rmdir(path);
}

/* Done before anybody looked: it fails all the same, and so do those that come after it. */
static void one_that_was_quick(sl_remote *remote) {
    uint64_t quick = detach(remote, "head -c 3000000 /dev/zero; head -c 10 /dev/zero >&2", NULL, 0),
             after = detach(remote, "echo never", &quick, 1);
    CHECK_INT(await(remote, after).stands, SL_COMMAND_SKIPPED);
    sl_command_state state = await(remote, quick);
    CHECK_INT(state.stands, SL_COMMAND_FAILED);
    CHECK_INT(state.output_cut, 1);
    CHECK_INT(state.stdout_bytes + state.stderr_bytes, QUOTA);
    while (on_disk() > QUOTA)
        usleep(1000);
}

/* What is kept of earlier ones makes room. */
static void old_makes_room(sl_remote *remote) {
    uint64_t ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = detach(remote, "head -c 500000 /dev/zero", NULL, 0);
        CHECK_INT(await(remote, ids[i]).stands, SL_COMMAND_DONE);
    }
    CHECK_INT(await(remote, ids[0]).stands, SL_COMMAND_UNKNOWN);
    CHECK_INT(await(remote, ids[1]).stands, SL_COMMAND_DONE);
    CHECK_INT(outside_field(remote, "output_bytes"), 1000000);
    uint64_t more = detach(remote, "head -c 900000 /dev/zero; sleep 100", NULL, 0);
    while (await_begun(remote, more), outside_field(remote, "output_bytes") != 900000)
        usleep(1000); /* also for one that runs */
    CHECK_INT(await(remote, ids[2]).stands, SL_COMMAND_UNKNOWN);
    CHECK_INT(sl_remote_cancel_command(remote, more), 0);
    CHECK_INT(await(remote, more).output_cut, 0);
}

/* Of another project, without a quota. */
static void others_write_on(void) {
    sl_remote *remote = outside_join("free", ALL);
    sl_future *future = shell(remote, "head -c 3000000 /dev/zero", 0);
    CHECK_INT(sl_wait(future, SL_FOREVER), 0);
    CHECK_INT(state_of(future).stdout_bytes, 3000000);
    CHECK_INT(outside_field(remote, "output_bytes"), 3000000);
    CHECK_INT(outside_field(remote, "quota_output_bytes"), 0);
    sl_release(future);
    while (outside_field(remote, "output_bytes"))
        usleep(1000);
    sl_disconnect(remote);
}

TEST(what_is_written_has_a_bound) {
    REQUIRE(outside_begin() == 0);
    CHECK_INT(sl_api_quota(outside_directory, "physics", 0, 0, 0, QUOTA), 0);
    sl_remote *remote = outside_join("physics", ALL);
    CHECK_INT(outside_field(remote, "quota_output_bytes"), QUOTA);
    the_largest_is_ended(remote);
    one_that_was_quick(remote);
    old_makes_room(remote);
    others_write_on();
    sl_disconnect(remote);
    CHECK_CONTAINS(file_text(outside_directory, "audit.jsonl"),
                   "\"what\":\"output\",\"result\":\"cut\"");
    CHECK_INT(sl_shutdown(), 0);
}

/* A disk that has no room for what is asked to be kept free. */
TEST(a_disk_that_is_full) {
    static const char *const options[] = {"gateway-reserve", "900TB", NULL};
    REQUIRE(outside_begin_with(options) == 0);
    sl_remote *remote = outside_join("physics", ALL);
    int err;
    do { /* until it has been looked at, soon after the start */
        usleep(10000);
        sl_future *future = shell(remote, "true", 0);
        err = sl_wait(future, SL_FOREVER);
        sl_release(future);
    } while (!err);
    CHECK_INT(err, SL_ERROR_FAILED);
    CHECK_CONTAINS(sl_error_text(), "the disk for what commands write is nearly full");
    CHECK_CONTAINS(file_text(outside_directory, "audit.jsonl"), "disk full");
    sl_disconnect(remote);
    CHECK_INT(sl_shutdown(), 0);
}

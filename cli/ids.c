/* What starlane wait, cancel and logs share: commands of a project, by their ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

enum { PART_BYTES = 262144, IDS_MOST = 65536 };

uint64_t cli_id(const char *text) {
    char *end;
    errno = 0;
    uint64_t id = strtoull(text, &end, 16);
    return errno || *end || !*text || strchr(text, '-') ? 0 : id;
}

static void sleep_ms(long ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Longer each time, up to half a second. */
void cli_pause(long *ms) {
    sleep_ms(*ms);
    *ms = *ms < 400 ? *ms * 2 : 500;
}

static int with_ids(const cli_command *command, const sl_options *options, char **words, int count,
                    cli_action action) {
    uint64_t *ids = calloc((size_t)count + 1, sizeof *ids);
    int code = CLI_BAD_USAGE, good = ids && count > 0 && count <= IDS_MOST;
    for (int i = 0; good && i < count; i++)
        good = (ids[i] = cli_id(words[i])) != 0;
    if (!good) {
        cli_fail(command, 0, "it takes ids, as starlane submit --detach prints them");
    } else {
        sl_remote *remote = cli_connect(command, options);
        if (remote)
            code = action(command, options, remote, ids, (size_t)count);
        sl_disconnect(remote);
    }
    free(ids);
    return code;
}

static int with_remote(const cli_command *command, const sl_options *options, cli_ask ask) {
    sl_remote *remote = cli_connect(command, options);
    int code = remote ? ask(command, options, remote) : CLI_BAD_USAGE;
    sl_disconnect(remote);
    return code;
}

int cli_with_remote(const cli_command *command, int argc, char **argv, cli_ask ask) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc > 1)
        code = cli_fail(command, CLI_BAD_USAGE, "it takes no argument; %s is one", argv[1]);
    else
        code = with_remote(command, options, ask);
    sl_options_destroy(options);
    return code;
}

int cli_with_ids(const cli_command *command, int argc, char **argv, cli_action action,
                 cli_ask otherwise) {
    sl_options *options;
    int code = cli_load(command, &argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (argc == 1 && otherwise && sl_options_is_set(options, "all-of"))
        code = with_remote(command, options, otherwise);
    else
        code = with_ids(command, options, argv + 1, argc - 1, action);
    sl_options_destroy(options);
    return code;
}

int cli_print_result(const cli_command *command, sl_future *future) {
    char *text = NULL;
    size_t bytes = 0;
    sl_view view = {.object_ = NULL};
    const sl_value *value = sl_result(future);
    if (value && value->type == SL_TYPE_OBJECT)
        value = sl_get(sl_result_object(future), SL_FOREVER, &view) == 0 ? &view.value : NULL;
    int failed = !value || sl_value_text(value, &text, &bytes) != 0;
    if (failed)
        cli_fail(command, 0, "%s", sl_error_text());
    else if ((bytes && fwrite(text, 1, bytes, stdout) != bytes) || fflush(stdout) != 0)
        failed = cli_fail(command, 1, "the result cannot be written");
    sl_free(text);
    sl_view_release(&view);
    return failed;
}

int cli_print_output(const cli_command *command, sl_remote *remote, uint64_t id, int errors,
                     int follow) {
    static char part[PART_BYTES];
    uint64_t offset = 0;
    long ms = 20;
    FILE *to = errors ? stderr : stdout;
    for (;;) {
        size_t bytes = sizeof part;
        int ended;
        if (sl_remote_output(remote, id, errors, offset, part, &bytes, &ended) != 0)
            return cli_fail(command, 1, "%s", sl_error_text());
        if ((bytes && fwrite(part, 1, bytes, to) != bytes) || fflush(to) != 0)
            return 1;
        offset += bytes;
        ms = bytes ? 20 : ms;
        if (bytes < sizeof part && (ended || !follow))
            return 0;
        if (bytes < sizeof part)
            cli_pause(&ms);
    }
}

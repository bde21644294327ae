/* starlane submit --module: a task of a shared object that is brought along. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* ---- arguments from words ---- */

/* What the arguments point to. */
typedef struct words_given {
    sl_value *values;
    char **files; /* contents, or NULL, of each */
    size_t count;
} words_given;

static char *behind(char *word, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(word, prefix, length) == 0 ? word + length : NULL;
}

static int read_file(const char *path, char **bytes, sl_value *value) {
    long size = -1;
    FILE *file = fopen(path, "rb");
    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size >= 0)
        *bytes = malloc((size_t)size + 1);
    if (*bytes)
        rewind(file);
    int whole = *bytes && fread(*bytes, 1, (size_t)size, file) == (size_t)size;
    if (file)
        fclose(file);
    if (whole)
        *value = sl_bytes(*bytes, (size_t)size);
    return whole;
}

static int take_i64(const char *text, sl_value *value) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *value = sl_i64(number);
    return end != text && !*end && !errno;
}

static int take_f64(const char *text, sl_value *value) {
    char *end;
    double number = strtod(text, &end);
    *value = sl_f64(number);
    return end != text && !*end;
}

static int take_f32(const char *text, sl_value *value) {
    char *end;
    float number = strtof(text, &end);
    *value = sl_f32(number);
    return end != text && !*end;
}

/* A word such as `inf`, or a hexadecimal number, is more likely meant as text. */
static int looks_like_number(const char *text) {
    return *text && text[strspn(text, "0123456789+-.eE")] == '\0';
}

static int take_word(char *word, char **file, sl_value *value) {
    char *rest;
    if ((rest = behind(word, "file:")))
        return read_file(rest, file, value);
    if ((rest = behind(word, "i64:")))
        return take_i64(rest, value);
    if ((rest = behind(word, "f64:")))
        return take_f64(rest, value);
    if ((rest = behind(word, "f32:")))
        return take_f32(rest, value);
    if ((rest = behind(word, "string:"))) {
        *value = sl_string(rest);
        return 1;
    }
    if (looks_like_number(word) && (take_i64(word, value) || take_f64(word, value)))
        return 1;
    *value = sl_string(word);
    return 1;
}

static void forget(words_given *given) {
    for (size_t i = 0; given->files && i < given->count; i++)
        free(given->files[i]);
    free(given->files);
    free(given->values);
}

static int take_words(const cli_command *command, int count, char **words, words_given *given) {
    given->values = calloc((size_t)count + 1, sizeof *given->values);
    given->files = calloc((size_t)count + 1, sizeof *given->files);
    if (!given->values || !given->files)
        return cli_fail(command, 1, "no memory for %d arguments", count);
    for (; given->count < (size_t)count; given->count++)
        if (!take_word(words[given->count], &given->files[given->count],
                       &given->values[given->count])) {
            const char *word = words[given->count++];
            return cli_fail(command, CLI_BAD_USAGE, "the argument %.100s: no such %s", word,
                            behind((char *)(uintptr_t)word, "file:") ? "file can be read"
                                                                     : "number");
        }
    return CLI_GO_ON;
}

/* ---- the task ---- */

static const sl_task *choose(const cli_command *command, const sl_module *module,
                             const char *function) {
    const sl_task *task =
        *function ? sl_module_task(module, function) : sl_module_task_at(module, 0);
    if (!task)
        cli_fail(command, 0, "%s", sl_error_text());
    if (*function || !task || !sl_module_task_at(module, 1))
        return task;
    cli_fail(command, 0, "the module has several tasks; say which: --function NAME");
    return NULL;
}

static int run(const cli_command *command, sl_remote *remote, sl_keys *keys, const sl_task *task,
               const words_given *given) {
    const sl_seal seal = {.keys = keys};
    sl_task_options how = task->options;
    how.sealed = keys ? &seal : NULL;
    sl_future *future =
        sl_remote_submit_task(remote, task, (sl_args){given->values, given->count}, &how);
    int code = 1;
    if (sl_wait(future, SL_FOREVER) == 0)
        code = cli_print_result(command, future);
    else
        cli_fail(command, 0, "%s", sl_error_text());
    sl_release(future);
    return code;
}

static int load(sl_remote *remote, sl_keys *keys, const char *path, sl_module **module) {
    return keys ? sl_remote_module_load_sealed(remote, path, module)
                : sl_remote_module_load(remote, path, module);
}

int cli_submit_module(const cli_command *command, sl_remote *remote, const sl_options *options,
                      sl_keys *keys, int count, char **words) {
    words_given given = {.count = 0};
    sl_module *module = NULL;
    const sl_task *task = NULL;
    int code = take_words(command, count, words, &given);
    if (code == CLI_GO_ON) {
        code = CLI_BAD_USAGE;
        if (load(remote, keys, sl_options_get(options, "module"), &module) != 0)
            cli_fail(command, 0, "%s", sl_error_text());
        else if ((task = choose(command, module, sl_options_get(options, "function"))))
            code = run(command, remote, keys, task, &given);
    }
    sl_module_release(module);
    forget(&given);
    return code;
}

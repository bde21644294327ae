/* Map and reduce over real files: counts words.
 *
 *     ./words FILE...
 *     mpirun -n 4 ./words FILE...      # the files are read where the tasks run
 *
 * A task per file counts the words in it; tasks merge two counts into one, until one is left. A
 * count travels as text, a line `number word` each. */
#include <ctype.h>
#include <starlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, SHOWN = 10 };

typedef struct word {
    struct word *next;
    long count;
    char text[];
} word;

typedef struct table {
    word *buckets[BUCKETS];
} table;

static int add(table *words, const char *text, size_t length, long count) {
    unsigned hash = 5381;
    for (size_t i = 0; i < length; i++)
        hash = hash * 33 + (unsigned char)text[i];
    word **at = &words->buckets[hash % BUCKETS];
    while (*at && (strlen((*at)->text) != length || memcmp((*at)->text, text, length) != 0))
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at + length + 1);
        if (!*at)
            return -1;
        memcpy((*at)->text, text, length);
    }
    (*at)->count += count;
    return 0;
}

static void clear(table *words) {
    for (int i = 0; i < BUCKETS; i++)
        for (word *one = words->buckets[i], *next; one; one = next) {
            next = one->next;
            free(one);
        }
    free(words);
}

/* Returns the table as the task's result, and frees it. */
static int give(sl_call *call, table *words) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (int i = 0; out && i < BUCKETS; i++)
        for (const word *one = words->buckets[i]; one; one = one->next)
            fprintf(out, "%ld %s\n", one->count, one->text);
    clear(words);
    if (!out || fclose(out) != 0)
        return sl_call_fail(call, "out of memory");
    int error = sl_return_string(call, text);
    free(text);
    return error;
}

static int take(table *words, const char *text) {
    for (const char *end; *text && (end = strchr(text, '\n')); text = end + 1) {
        char *name;
        long count = strtol(text, &name, 10);
        if (add(words, name + 1, (size_t)(end - name - 1), count) != 0)
            return -1;
    }
    return 0;
}

SL_TASK(count_words, .retries = 1) {
    const char *path = sl_arg_string(call, 0);
    FILE *file = fopen(path, "r");
    table *words = calloc(1, sizeof *words);
    char text[64];
    size_t length = 0;
    if (!file || !words) {
        free(words);
        return sl_call_fail(call, "cannot read %s on node %u", path, sl_call_node(call));
    }
    for (int c = 0; c != EOF;) {
        c = fgetc(file);
        if (c != EOF && isalpha(c) && length < sizeof text - 1)
            text[length++] = (char)tolower(c);
        else if (length && !isalpha(c)) {
            add(words, text, length, 1);
            length = 0;
        }
    }
    fclose(file);
    return give(call, words);
}

SL_TASK(merge) {
    table *words = calloc(1, sizeof *words);
    if (!words || take(words, sl_arg_string(call, 0)) != 0 ||
        take(words, sl_arg_string(call, 1)) != 0)
        return sl_call_fail(call, "out of memory");
    return give(call, words);
}

static int by_count(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    long difference = strtol(y, NULL, 10) - strtol(x, NULL, 10);
    return difference ? (difference > 0) - (difference < 0)
                      : strcmp(strchr(x, ' '), strchr(y, ' '));
}

static void show(const char *result) {
    size_t count = 0, most = strlen(result) / 3 + 1;
    char *copy = strdup(result), **lines = malloc(most * sizeof *lines);
    for (char *line = copy ? strtok(copy, "\n") : NULL; lines && line; line = strtok(NULL, "\n"))
        lines[count++] = line;
    if (lines)
        qsort(lines, count, sizeof *lines, by_count);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        puts(lines[i]);
    free(lines);
    free(copy);
}

/* The first half of what is left takes in the second, again and again. */
static sl_future *reduce(sl_future **counts, int count) {
    while (count > 1) {
        int half = (count + 1) / 2;
        for (int i = 0; half + i < count; i++) {
            sl_future *both =
                sl_submit(&merge, SL_ARGS(sl_wait_for(counts[i]), sl_wait_for(counts[half + i])));
            sl_release(counts[i]);
            sl_release(counts[half + i]);
            counts[i] = both;
        }
        count = half;
    }
    return counts[0];
}

int main(int argc, char **argv) {
    if (sl_init(&argc, &argv, NULL) != 0) {
        fprintf(stderr, "words: %s\n", sl_error_text());
        return 1;
    }
    int files = argc - 1;
    sl_future **counts = calloc((size_t)files + 1, sizeof(sl_future *));
    for (int i = 0; counts && i < files; i++)
        counts[i] = sl_submit(&count_words, SL_ARGS(sl_string(argv[i + 1])));
    sl_future *all = counts && files ? reduce(counts, files) : NULL;
    int error = sl_wait(all, SL_FOREVER);
    if (error == 0)
        show(sl_result_string(all));
    else
        fprintf(stderr, "words: %s\n", files ? sl_error_text() : "give the files to count in");
    sl_release(all);
    free(counts);
    return sl_shutdown() != 0 || error != 0;
}

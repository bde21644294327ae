#include "tests/lib/test.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

static sl_test_case *first;
static sl_test_case **last = &first;
static int failures; /* of the running case */
static char directory[64];

void sl_test_register(sl_test_case *test) {
    *last = test;
    last = &test->next;
}

void sl_test_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "    %s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void remove_directory(void) {
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *sl_test_dir(void) {
    if (!directory[0]) {
        strcpy(directory, "/tmp/starlane-test-XXXXXX");
        if (!mkdtemp(directory)) {
            perror("mkdtemp");
            exit(2);
        }
        atexit(remove_directory);
    }
    return directory;
}

/* With arguments, only the cases named run. */
static bool wanted(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    for (sl_test_case *test = first; test; test = test->next) {
        if (!wanted(test->name, argc, argv))
            continue;
        failures = 0;
        test->run();
        if (failures)
            failed++, fprintf(stderr, "not ok %s\n", test->name);
        else
            passed++, printf("ok %s\n", test->name);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}

/* The test harness: TEST() defines and registers a case, CHECK() and its kin record failures and go
 * on, and the program ends with one line `N passed, N failed` that ctest and a person read alike.
 */
#ifndef SL_TESTS_TEST_H
#define SL_TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sl_test_case {
    const char *name;
    void (*run)(void);
    struct sl_test_case *next;
} sl_test_case;

void sl_test_register(sl_test_case *test);
void sl_test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A directory of this test program's own, removed with everything in it when the program ends. */
const char *sl_test_dir(void);

#define TEST(id)                                                                                   \
    static void test_##id(void);                                                                   \
    static sl_test_case case_##id = {#id, test_##id, NULL};                                        \
    __attribute__((constructor)) static void register_##id(void) {                                 \
        sl_test_register(&case_##id);                                                              \
    }                                                                                              \
    static void test_##id(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sl_test_fail(__FILE__, __LINE__, "%s", #condition);                                    \
    } while (0)
/* Like CHECK, but leaves the test: for what the rest of it stands on. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            sl_test_fail(__FILE__, __LINE__, "%s", #condition);                                    \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_INT(actual, expected)                                                                \
    do {                                                                                           \
        long long a_ = (long long)(actual), e_ = (long long)(expected);                            \
        if (a_ != e_)                                                                              \
            sl_test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #actual, a_, e_);             \
    } while (0)
#define CHECK_STR(actual, expected)                                                                \
    do {                                                                                           \
        const char *a_ = (actual), *e_ = (expected);                                               \
        if (!a_ || strcmp(a_, e_) != 0)                                                            \
            sl_test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #actual,                  \
                         a_ ? a_ : "(null)", e_);                                                  \
    } while (0)
#define CHECK_CONTAINS(actual, part)                                                               \
    do {                                                                                           \
        const char *a_ = (actual), *p_ = (part);                                                   \
        if (!a_ || !strstr(a_, p_))                                                                \
            sl_test_fail(__FILE__, __LINE__, "%s is \"%s\", without \"%s\"", #actual,              \
                         a_ ? a_ : "(null)", p_);                                                  \
    } while (0)
#define CHECK_DOUBLE(actual, expected, tolerance)                                                  \
    do {                                                                                           \
        double a_ = (actual), e_ = (expected);                                                     \
        if (!(fabs(a_ - e_) <= (tolerance)))                                                       \
            sl_test_fail(__FILE__, __LINE__, "%s is %.17g, not %.17g", #actual, a_, e_);           \
    } while (0)

#endif

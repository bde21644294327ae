/* Errors: one enum for the whole runtime, and a per-thread sentence that says what exactly went
 * wrong.
 *
 * A function that can fail returns sl_err (SL_OK is 0), sets its outputs only on success, and
 * before it returns an error of its own makes says the cause with sl_fail(). Callers pass the code
 * up unchanged. */
#ifndef SL_RUNTIME_ERR_H
#define SL_RUNTIME_ERR_H

#include <stdbool.h>

typedef enum sl_err {
#define SL_ERR(name, text, retryable) SL_ERR_##name,
#include "runtime/err.def"
#undef SL_ERR
    SL_ERR_COUNT
} sl_err;

#define SL_OK           SL_ERR_OK
#define SL_CHECKED      __attribute__((warn_unused_result))
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* The fixed text of a code ("unknown error" when out of range). Static storage. */
const char *sl_err_text(sl_err err);

/* The code's name without prefix, as in logs and JSON ("TIMEOUT"). Static storage. */
const char *sl_err_name(sl_err err);

/* True when the same call may succeed later without a change by the caller. */
bool sl_err_retryable(sl_err err);

/* Records the cause (printf style, at most 1023 bytes kept) for this thread and returns `err`. */
sl_err sl_fail(sl_err err, const char *format, ...) SL_PRINTF(2, 3);
/* Lets compilers see, without reading err.c, that the code given is the code returned: else they
 * take an output that is set only on success for uninitialised. */
static inline sl_err sl_err_given(sl_err err, sl_err recorded) {
    (void)recorded;
    return err;
}
#define sl_fail(err, ...) sl_err_given((err), (sl_fail)((err), __VA_ARGS__))

/* Forgets the cause recorded last on this thread. */
void sl_err_clear(void);

/* The cause recorded last on this thread, or "" — valid until the thread's next sl_fail(). */
const char *sl_err_detail(void);

/* Exchanges it with `other`: for what takes turns on one thread. */
enum { SL_ERR_DETAIL_BYTES = 1024 };
void sl_err_swap(char other[SL_ERR_DETAIL_BYTES]);

/* Returns from the calling function when `expression` yields an error. */
#define SL_TRY(expression)                                                                         \
    do {                                                                                           \
        sl_err sl_try_err_ = (expression);                                                         \
        if (sl_try_err_ != SL_OK)                                                                  \
            return sl_try_err_;                                                                    \
    } while (0)

#endif

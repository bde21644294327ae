/* Who has which of the attempts that one thread calls one after another, numbered from 1: that
 * thread, which takes one after the other, or the loop, which may take all but one away at any
 * moment (executor_row.c).
 *
 * Both sides meet in one word, `begun`, that they change by one atomic step each. The thread counts
 * it up as a call has returned; the loop sets a bit in it. All changes of a word have one order,
 * and each sees the one before it. If the bit comes first, the thread learns of it from its next
 * step and has only the attempt it has just called. If the step comes first, the loop sees from the
 * count which attempt is being called; those before it have ended, those after it have not begun.
 * So each attempt has exactly one owner, whatever the order is.
 *
 * The thread's step releases and the loop's acquires: what calls have left in attempts that have
 * ended is there when the loop reads it, and the thread has read where the next one is (`next`,
 * read before the step) when the loop links it elsewhere. The thread needs to acquire nothing: the
 * attempts were published with the whole row, and it looks at none that the loop has taken. */
#ifndef SL_EXECUTOR_ROW_H
#define SL_EXECUTOR_ROW_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct sl_row {
    _Atomic uint32_t begun; /* attempts the thread has taken; above `length`: it is through */
    uint32_t length;        /* does not change while the row is called */
} sl_row;

#define SL_ROW_CLOSED 0x80000000u

typedef enum sl_row_turn {
    SL_ROW_NEXT, /* the next attempt is the thread's */
    SL_ROW_OVER, /* there is none, and all of the row are the thread's until it says so */
    SL_ROW_ALONE /* the loop has all others, those before this one too */
} sl_row_turn;

/* Before the row is handed to the thread, which has the first attempt then. */
static inline void sl_row_open(sl_row *row, uint32_t length) {
    row->length = length;
    atomic_init(&row->begun, 1);
}

/* The thread: the call of the attempt it took last has returned. */
static inline sl_row_turn sl_row_step(sl_row *row) {
    if (row->length == 1) /* nobody takes anything from it */
        return SL_ROW_OVER;
    uint32_t begun = atomic_fetch_add_explicit(&row->begun, 1, memory_order_release);
    if (begun & SL_ROW_CLOSED)
        return SL_ROW_ALONE;
    return begun == row->length ? SL_ROW_OVER : SL_ROW_NEXT;
}

/* The loop: takes all but the attempt that is being called, and returns its number. 0: it takes
 * nothing, as there is no other, or the thread is through, or it was closed before. */
static inline uint32_t sl_row_close(sl_row *row) {
    if (row->length == 1)
        return 0;
    uint32_t begun = atomic_fetch_or_explicit(&row->begun, SL_ROW_CLOSED, memory_order_acquire);
    return begun > row->length ? 0 : begun;
}

#endif

/* Signals, which a process has only once: the state is static. The handler stores the first one and
 * tells the loop by sl_notify(), which is atomic operations and a futex call. */
#include "sdk/run.h"

#include <signal.h>
#include <string.h>

#include "sdk/launch_state.h"

static const int taken[] = {SIGINT, SIGTERM, SIGUSR2};
enum { TAKEN = sizeof taken / sizeof *taken };

static struct sigaction before[TAKEN];
static _Atomic int first;
static _Atomic(sl_node *) told;
static _Atomic bool telling;
static sl_event event;

static void tell(sl_node *node) {
    if (node && !atomic_exchange(&telling, true))
        sl_notify(node, &event);
}

static void on_signal(int number) {
    int none = 0;
    atomic_compare_exchange_strong(&first, &none, number);
    tell(atomic_load(&told));
}

void sl_run_signals_take(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    atomic_store(&first, 0);
    atomic_store(&telling, false);
    for (int i = 0; i < TAKEN; i++) {
        action.sa_flags = SA_RESTART | (taken[i] == SIGINT ? (int)SA_RESETHAND : 0);
        sigaction(taken[i], &action, &before[i]);
    }
}

void sl_run_signals_to(sl_node *node, sl_addr to) {
    event.to = to;
    atomic_store(&told, node);
    if (atomic_load(&first))
        tell(node);
}

void sl_run_signals_release(void) {
    atomic_store(&told, NULL);
    for (int i = 0; i < TAKEN; i++)
        sigaction(taken[i], &before[i], NULL);
}

int sl_run_signal(void) {
    return sl_launch_signal(atomic_load(&first));
}

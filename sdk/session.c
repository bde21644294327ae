/* Design notes
 * The network has a thread of its own: it opens the network (with MPI: starts MPI, which makes it
 * the one that may call it), runs the first node's loop, and closes. The program's threads talk to
 * the client actor. A process has one session at a time, so its state is static; and its client's
 * memory outlives it, so that a thread that comes late finds it closed. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/futex.h"
#include "runtime/log.h"
#include "runtime/thread.h"
#include "sdk/client.h"
#include "sdk/options.h"
#include "sdk/seal.h"

#define FLAG      "--starlane-"
#define ROSTER_NS (15 * SL_NS_PER_S)
#define STUCK_NS  (10 * SL_NS_PER_S) /* a body that does not end is not waited for longer */

enum { ARGUMENTS_MOST = 256 };

/* How far the network's thread has come. */
enum stage { OPENING, REFUSED, RUNNING, STOPPED, CLOSED };

static struct {
    _Atomic uint32_t open; /* there is a client to submit to */
    _Atomic uint32_t stage;
    _Atomic uint32_t rank, size;
    bool begun;
    pthread_t thread;
    sl_options *own_options;
    const sl_options *options;
    sl_client client;
    sl_err err; /* of opening, then of the loop */
    char cause[1024];
    int code;
    bool clean;
} session;

static _Thread_local struct {
    sl_client_finder *find;
    void *context;
} stand_in;

void sl_session_stand_in(sl_client_finder *find, void *context) {
    stand_in.find = find;
    stand_in.context = context;
}

static sl_err refuse_closed(void) {
    return sl_fail(SL_ERR_CLOSED, "there is no network: sl_init() comes before, sl_shutdown() "
                                  "after");
}

static sl_client *enter(sl_client *client, const _Atomic uint32_t *open) {
    atomic_fetch_add(&client->users, 1);
    if (atomic_load(open) && !atomic_load(&client->closed))
        return client;
    atomic_fetch_sub(&client->users, 1);
    (void)refuse_closed();
    return NULL;
}

static sl_client *enter_other(void) {
    static const _Atomic uint32_t open = 1;
    sl_client *client = stand_in.find(stand_in.context);
    if (client)
        return enter(client, &open);
    (void)refuse_closed();
    return NULL;
}

sl_client *sl_client_enter(void) {
    return stand_in.find ? enter_other() : enter(&session.client, &session.open);
}

void sl_client_leave(sl_client *client) {
    atomic_fetch_sub(&client->users, 1);
}

/* Of a client that stands in. */
static const sl_network_node *node_of(const sl_client *client) {
    return client ? &client->network->nodes[0] : NULL;
}

sl_store *sl_session_store(uint32_t node) {
    const sl_network_node *here =
        stand_in.find ? node_of(stand_in.find(stand_in.context)) : sl_network_node_here(node);
    return here && here->rank == node ? here->store : NULL;
}

static sl_err fetch_nodes(void *context, sl_roster_node **list, uint32_t *count) {
    const sl_network *network = context;
    return sl_roster_gather(network->nodes[0].roster, ROSTER_NS, list, count);
}

sl_seal_source sl_session_source(void) {
    return (sl_seal_source){session.client.source, fetch_nodes, session.client.network};
}

uint32_t sl_rank(void) {
    if (stand_in.find) {
        const sl_network_node *here = node_of(stand_in.find(stand_in.context));
        return here ? here->rank : 0;
    }
    return atomic_load(&session.rank);
}

const char *sl_listening_at(void) {
    return atomic_load(&session.open) ? sl_gateway_url(session.client.network) : NULL;
}

uint32_t sl_size(void) {
    if (stand_in.find) {
        const sl_client *client = stand_in.find(stand_in.context);
        return client ? client->ranks : 0;
    }
    return atomic_load(&session.size);
}

/* ---- the network's thread ---- */

static void enter_stage(enum stage stage) {
    atomic_store(&session.stage, (uint32_t)stage);
    sl_futex_wake(&session.stage);
}

static void keep_error(sl_err err) {
    session.err = err;
    snprintf(session.cause, sizeof session.cause, "%s", err == SL_OK ? "" : sl_err_detail());
}

static sl_err start_with_client(sl_network *network) {
    sl_client *client = &session.client;
    client->network = network;
    client->ranks = network->count;
    atomic_store(&session.rank, sl_network_rank(network));
    atomic_store(&session.size, sl_network_size(network));
    sl_network_setup setup = {.driver = &sl_client_class,
                              .driver_argument = &client,
                              .driver_argument_bytes = sizeof client,
                              .client = client};
    SL_TRY(sl_network_start(network, &setup));
    atomic_store(&session.open, 1); /* also where only bodies submit and send */
    return SL_OK;
}

static sl_err open_and_start(sl_network **network) {
    SL_TRY(sl_network_open(session.options, NULL, network));
    return start_with_client(*network);
}

/* Calls under way may still tell the node something. */
static void take_no_more(void) {
    atomic_store(&session.open, 0);
    while (atomic_load(&session.client.users))
        sched_yield();
}

static void *network_thread(void *unused) {
    sl_network *network = NULL;
    uint32_t code = SL_RUN_FAILED;
    (void)unused;
    keep_error(open_and_start(&network));
    if (session.err != SL_OK) {
        sl_network_close(network, SL_RUN_FAILED);
        free(atomic_exchange(&session.client.host, NULL));
        enter_stage(REFUSED);
        return NULL;
    }
    enter_stage(RUNNING);
    keep_error(sl_network_loop(network, &code));
    session.code = (int)code;
    take_no_more();
    enter_stage(STOPPED);
    sl_network_finish(network);
    free(atomic_exchange(&session.client.host, NULL));
    session.clean = sl_network_is_clean(network);
    sl_network_close(network, session.code);
    enter_stage(CLOSED);
    return NULL;
}

/* The first stage beyond `stage`, or that after so long. */
static enum stage wait_beyond(enum stage stage, uint64_t most_ns) {
    uint64_t begin_ns = sl_clock_now_ns(), spent_ns = 0;
    for (;;) {
        uint32_t now = atomic_load(&session.stage);
        if (now > (uint32_t)stage || spent_ns >= most_ns)
            return (enum stage)now;
        sl_futex_wait(&session.stage, now,
                      most_ns == SL_FUTEX_FOREVER ? most_ns : most_ns - spent_ns);
        if (most_ns != SL_FUTEX_FOREVER)
            spent_ns = sl_clock_now_ns() - begin_ns;
    }
}

/* False: something does not end, and the process can only be left by _exit(). */
static bool join_network(void) {
    wait_beyond(RUNNING, SL_FUTEX_FOREVER);
    if (wait_beyond(STOPPED, STUCK_NS) != CLOSED) {
        sl_error("session", "a task does not end; its thread is left behind");
        return false;
    }
    pthread_join(session.thread, NULL);
    sl_options_destroy(session.own_options);
    session.own_options = NULL;
    session.begun = false;
    return true;
}

/* ---- a network that somebody else opened, loops and ends ---- */

sl_err sl_session_start(sl_network *network) {
    if (session.begun)
        return sl_fail(SL_ERR_EXISTS, "this process has joined a network already");
    memset(&session.client, 0, sizeof session.client);
    return start_with_client(network);
}

void sl_session_stop(void) {
    take_no_more();
    atomic_store(&session.rank, 0);
    atomic_store(&session.size, 0);
}

void sl_session_forget(void) {
    free(atomic_exchange(&session.client.host, NULL));
}

/* ---- sl_init ---- */

/* Takes the flags that are ours, without their prefix, out of the program's. */
static sl_err take_flags(int *argc, char **argv, int *count, char **taken) {
    int kept = 1;
    *count = 0;
    taken[(*count)++] = argv[0];
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], FLAG, sizeof FLAG - 1) != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (*count == ARGUMENTS_MOST - 1)
            return sl_fail(SL_ERR_TOO_LARGE, "more than %d flags " FLAG "…", ARGUMENTS_MOST - 2);
        taken[(*count)++] = argv[i] + sizeof FLAG - 3; /* "--" and the name */
    }
    argv[kept] = NULL;
    *argc = kept;
    return SL_OK;
}

static void put_dashes(int count, char **taken) {
    for (int i = 1; i < count; i++)
        taken[i][0] = taken[i][1] = '-';
}

static sl_err make_options(int *argc, char ***argv) {
    char *taken[ARGUMENTS_MOST + 1], empty[] = "program";
    int count = 1;
    taken[0] = empty;
    SL_TRY((sl_err)sl_options_create(&session.own_options));
    if (argc && argv && *argc > 0)
        SL_TRY(take_flags(argc, *argv, &count, taken));
    put_dashes(count, taken);
    taken[count] = NULL;
    SL_TRY((sl_err)sl_options_load(session.own_options, "network", &count, taken));
    session.options = session.own_options;
    if (sl_options_is_set(session.options, "log-level")) /* somebody wants to read it */
        sl_options_start_log(session.options);
    return SL_OK;
}

static sl_err choose_options(int *argc, char ***argv, const sl_init_options *options) {
    char number[16];
    session.options = options ? options->options : NULL;
    if (!session.options)
        SL_TRY(make_options(argc, argv));
    if (!options || !options->nodes || sl_options_is_set(session.options, "nodes"))
        return SL_OK;
    snprintf(number, sizeof number, "%u", options->nodes);
    return (sl_err)sl_options_set(session.own_options ? session.own_options : options->options,
                                  "nodes", number);
}

static sl_err begin(void) {
    SL_TRY(sl_mpi_may_share());
    SL_TRY(sl_thread_start(&session.thread, network_thread, NULL));
    if (wait_beyond(OPENING, SL_FUTEX_FOREVER) != REFUSED)
        return SL_OK;
    pthread_join(session.thread, NULL);
    return sl_fail(session.err, "%s", session.cause);
}

static void wait_until_known(void) {
    sl_client *client = &session.client;
    while (!atomic_load(&client->ready))
        sl_futex_wait(&client->ready, 0, SL_FUTEX_FOREVER);
}

/* A rank that does not drive: its program goes no further than this. */
static void serve(void) {
    bool ended = join_network();
    int code = session.err == SL_OK ? session.code : SL_RUN_FAILED;
    if (session.err != SL_OK)
        sl_error("session", "%s", session.cause);
    if (ended && session.clean)
        exit(code);
    fflush(NULL);
    _exit(code);
}

int sl_init(int *argc, char ***argv, const sl_init_options *options) {
    if (session.begun)
        return sl_fail(SL_ERR_EXISTS, "the network was joined already");
    memset(&session.client, 0, sizeof session.client);
    session.client.source = sl_seal_source_id();
    session.client.all_drive = options && options->all_drive;
    session.begun = true;
    atomic_store(&session.stage, OPENING);
    sl_err err = choose_options(argc, argv, options);
    if (err == SL_OK)
        err = begin();
    if (err != SL_OK) {
        sl_options_destroy(session.own_options);
        session.own_options = NULL;
        session.begun = false;
        return err;
    }
    if (sl_rank() != 0 && !session.client.all_drive)
        serve();
    wait_until_known();
    return SL_OK;
}

/* ---- sl_shutdown ---- */

int sl_shutdown(void) {
    if (!session.begun)
        return refuse_closed();
    sl_client *client = sl_client_enter();
    if (client) {
        atomic_store(&client->leaving, 1);
        if (!atomic_exchange(&client->told, 1))
            sl_notify(client->node, &client->event);
        sl_client_leave(client);
    }
    if (!join_network())
        return sl_fail(SL_ERR_TIMEOUT, "a task does not end; end the process with _exit()");
    atomic_store(&session.rank, 0);
    atomic_store(&session.size, 0);
    if (session.err != SL_OK)
        return sl_fail(session.err, "%s", session.cause);
    return session.clean ? SL_OK
                         : sl_fail(SL_ERR_DEAD, "a rank was lost; end the process with _exit()");
}

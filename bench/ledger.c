/* The ledger: durable records a second with group commit, and one alone. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/scheduler/ledger.h"
#include "bench/bench.h"
#include "bench/machine.h"

enum { APPEND_BYTES = 200, GROUP = 1024 };

#define SPEC                                                                                       \
    "{\"name\": \"simulate-%06u\", \"command\": [\"./simulate\", \"--seed\", \"%u\"], \"cpus\": "  \
    "1}"

/* Posts called back, and the first error of any. */
typedef struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t done;
    uint64_t awaited; /* signal only when so many are done */
    sl_err err;
} tally;

static void check(sl_err err, const char *what) {
    if (err != SL_OK)
        bench_die("%s: %s: %s", what, sl_err_text(err), sl_err_detail());
}

static void on_durable(void *context, sl_err err) {
    tally *t = context;
    pthread_mutex_lock(&t->lock);
    if (err != SL_OK)
        t->err = err;
    if (++t->done == t->awaited)
        pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void await(tally *t, uint64_t count) {
    pthread_mutex_lock(&t->lock);
    t->awaited = count;
    while (t->done < count)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    check(t->err, "a record");
}

/* ---- places ---- */

typedef struct place {
    char folder[PATH_MAX];
    char file[PATH_MAX + 16];
} place;

static void place_make(const bench *b, place *p) {
    snprintf(p->folder, sizeof p->folder, "%.4000s/starlane-ledger-XXXXXX", b->directory);
    if (!mkdtemp(p->folder))
        bench_die("no folder can be made in %s", b->directory);
    snprintf(p->file, sizeof p->file, "%s/ledger.db", p->folder);
}

static void place_remove(const place *p) {
    char line[PATH_MAX + 16];
    snprintf(line, sizeof line, "rm -rf '%s'", p->folder);
    machine_run_shell(line);
}

static sl_ledger *ledger_open(const place *p) {
    sl_ledger *ledger;
    check(sl_ledger_open(p->file, &(sl_ledger_options){.mode = SL_LEDGER_CREATE}, &ledger),
          "a ledger");
    return ledger;
}

/* ---- records ---- */

static void post(sl_ledger *ledger, const sl_ledger_record *record, tally *t) {
    sl_err err;
    while ((err = sl_ledger_post(ledger, record, 1, on_durable, t)) == SL_ERR_AGAIN)
        machine_sleep_s(0.0005);
    check(err, "a post");
}

static void post_task(sl_ledger *ledger, uint32_t id, tally *t) {
    char name[32], spec[256];
    snprintf(name, sizeof name, "simulate-%06u", id);
    snprintf(spec, sizeof spec, SPEC, id, id);
    post(ledger,
         &(sl_ledger_record){
             .kind = SL_LEDGER_TASK,
             .task = {.id = id, .name = name, .spec = spec, .accepted_s = 1.7e9, .cpus = 1}},
         t);
}

static void post_result(sl_ledger *ledger, uint32_t id, tally *t) {
    post(ledger,
         &(sl_ledger_record){.kind = SL_LEDGER_RESULT,
                             .outcome = {.task = id,
                                         .attempt = 1,
                                         .state = SL_LEDGER_DONE,
                                         .rank = 1,
                                         .start_s = 1.7e9,
                                         .end_s = 1.7e9 + 1,
                                         .user_s = 0.9,
                                         .sys_s = 0.1,
                                         .max_rss_bytes = 1 << 22,
                                         .host = "n1",
                                         .region = "us-west"}},
         t);
}

/* ---- many ---- */

/* `tasks` accepted, then `tasks` results, each a post of its own. */
static double records_per_s(const bench *b, uint32_t tasks) {
    tally t = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    place p;
    place_make(b, &p);
    sl_ledger *ledger = ledger_open(&p);
    double begin_s = machine_now_s();
    for (uint32_t id = 0; id < tasks; id++)
        post_task(ledger, id, &t);
    for (uint32_t id = 0; id < tasks; id++)
        post_result(ledger, id, &t);
    await(&t, 2 * (uint64_t)tasks);
    double seconds = machine_now_s() - begin_s;
    check(sl_ledger_close(ledger, NULL), "closing a ledger");
    place_remove(&p);
    return 2.0 * tasks / seconds;
}

static int log_open(const place *p) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/log", p->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_die("%s cannot be made", path);
    return fd;
}

static void append_durably(int fd, const char *bytes, size_t size) {
    if (write(fd, bytes, size) != (ssize_t)size || fdatasync(fd) != 0)
        bench_die("an append failed");
}

static double appends_per_s(const bench *b, uint32_t records) {
    static char group[GROUP * APPEND_BYTES];
    place p;
    place_make(b, &p);
    int fd = log_open(&p);
    uint32_t groups = (records + GROUP - 1) / GROUP;
    double begin_s = machine_now_s();
    for (uint32_t i = 0; i < groups; i++)
        append_durably(fd, group, sizeof group);
    double seconds = machine_now_s() - begin_s;
    close(fd);
    place_remove(&p);
    return (double)groups * GROUP / seconds;
}

static void measure_many(bench *b) {
    samples ours = {0}, floor = {0};
    uint32_t tasks = (uint32_t)bench_amount(b, 50000);
    for (uint32_t round = 0; round < b->rounds; round++) {
        samples_add(&floor, appends_per_s(b, 2 * tasks));
        samples_add(&ours, records_per_s(b, tasks));
    }
    report_print(&b->report, &(report_row){.bench = "ledger",
                                           .what = "durable records, accepted and result",
                                           .unit = REPORT_PER_S,
                                           .ours = &ours,
                                           .floor_name = "200 B appended, fdatasync every 1024",
                                           .floor = &floor,
                                           .goal = 50e3});
    samples_fini(&ours), samples_fini(&floor);
}

/* ---- one alone ---- */

static void alone_rounds(sl_ledger *ledger, int fd, uint32_t count, samples *ours, samples *floor) {
    tally t = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    char record[APPEND_BYTES] = {0};
    for (uint32_t id = 0; id < count; id++) {
        double begin_s = machine_now_s();
        append_durably(fd, record, sizeof record);
        samples_add(floor, machine_now_s() - begin_s);
        begin_s = machine_now_s();
        post_task(ledger, id, &t);
        await(&t, id + 1);
        samples_add(ours, machine_now_s() - begin_s);
    }
}

static void measure_alone(bench *b) {
    samples ours = {0}, floor = {0};
    place p;
    place_make(b, &p);
    sl_ledger *ledger = ledger_open(&p);
    int fd = log_open(&p);
    alone_rounds(ledger, fd, (uint32_t)bench_amount(b, 500), &ours, &floor);
    close(fd);
    check(sl_ledger_close(ledger, NULL), "closing a ledger");
    place_remove(&p);
    report_print(&b->report, &(report_row){.bench = "ledger",
                                           .what = "one record alone, until it is durable",
                                           .unit = REPORT_SECONDS,
                                           .ours = &ours,
                                           .floor_name = "200 B appended and fdatasync",
                                           .floor = &floor,
                                           .less_is_better = true});
    samples_fini(&ours), samples_fini(&floor);
}

void bench_ledger(bench *b) {
    if (b->ranks > 1)
        return;
    measure_many(b);
    measure_alone(b);
}

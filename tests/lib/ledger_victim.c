/* A program made to be killed: it accepts tasks and results into the ledger named, in posts of two,
 * and writes a ledger_victim_word for each record once its callback said it is durable.
 *   ledger_victim PATH         makes the ledger, or goes on with it, for ever
 *   ledger_victim PATH hold    opens it, writes one word, and holds it until its input ends */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actors/scheduler/ledger_reader.h"
#include "tests/lib/ledger_support.h"

#define IN_FLIGHT 64 /* posts */

static sl_ledger *ledger;
static atomic_uint answered;

static void tell(uint32_t task, uint32_t result) {
    ledger_victim_word word = {task, result};
    if (write(1, &word, sizeof word) != sizeof word)
        _exit(3);
}

/* `context`: twice the even task of the pair, plus one for results. */
static void durable(void *context, sl_err err) {
    uint32_t code = (uint32_t)(uintptr_t)context;
    if (err != SL_OK)
        _exit(4);
    tell(code / 2, code % 2);
    tell(code / 2 + 1, code % 2);
    atomic_fetch_add(&answered, 1);
}

static void post(const sl_ledger_record *records, uint32_t code) {
    sl_err err;
    while ((err = sl_ledger_post(ledger, records, 2, durable, (void *)(uintptr_t)code)) ==
           SL_ERR_AGAIN)
        usleep(100);
    if (err != SL_OK)
        _exit(5);
}

static void post_tasks(uint32_t task) {
    char names[2][32];
    sl_ledger_record records[2];
    for (uint32_t i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "task %u", task + i);
        records[i] = (sl_ledger_record){
            .kind = SL_LEDGER_TASK,
            .task = {.id = task + i, .name = names[i], .spec = "{\"shell\":\"true\"}", .cpus = 1}};
    }
    post(records, task * 2);
}

static void post_results(uint32_t task) {
    sl_ledger_record records[2];
    for (uint32_t i = 0; i < 2; i++)
        records[i] = (sl_ledger_record){.kind = SL_LEDGER_RESULT,
                                        .outcome = {.task = task + i,
                                                    .attempt = 1,
                                                    .state = SL_LEDGER_DONE,
                                                    .rank = 0,
                                                    .message = "fine"}};
    post(records, task * 2 + 1);
}

/* Where the last victim was cut off: tasks and results are without gaps, so counts say it. */
static sl_ledger_counts found(const char *path) {
    sl_ledger_counts counts = {0};
    sl_ledger_reader *reader = NULL;
    if (sl_ledger_reader_open(path, &reader) != SL_OK)
        return counts;
    if (sl_ledger_read_counts(reader, &counts) != SL_OK)
        _exit(6);
    sl_ledger_reader_close(reader);
    return counts;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    sl_ledger_counts before = found(argv[1]);
    sl_ledger_options options = {.mode = SL_LEDGER_RESUME, .command = "victim"};
    sl_err err = sl_ledger_open(argv[1], &options, &ledger);
    options.mode = SL_LEDGER_CREATE;
    if (err == SL_ERR_NOT_FOUND)
        err = sl_ledger_open(argv[1], &options, &ledger);
    if (err != SL_OK) {
        fprintf(stderr, "victim: %s\n", sl_err_detail());
        return 7;
    }
    if (argc > 2) {
        char byte;
        tell(0, 0);
        return read(0, &byte, 1) < 0;
    }
    uint32_t task = (uint32_t)before.tasks, result = (uint32_t)before.by_state[SL_LEDGER_DONE];
    for (unsigned posted = 0;; task += 2) {
        while (posted - atomic_load(&answered) >= IN_FLIGHT)
            usleep(50);
        post_tasks(task);
        posted++;
        for (; result + 20 < task; result += 2, posted++)
            post_results(result);
    }
}

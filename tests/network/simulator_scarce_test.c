/* Simulated networks in which memory fails once, at some call of all that a seed makes. A peer may
 * be given up for it, a task refused, or a node end, and say so; but nothing crashes, is left
 * behind, or waits for ever. */
#include <inttypes.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "sdk/simulation.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"

/* What want of memory may come to, in the words of the simulation's checks. */
static const char *const consequences[] = {
    "gave node", /* a peer that it could not follow */
    "has lost node",
    "keeps its link to node", /* likewise, seen from the other end */
    "sees node",
    "runs twice at once", /* … and its task was placed anew meanwhile */
    " failed after ",     /* … which was an attempt more than its retries */
    "ended badly: out of memory",
    "cannot open its ledger",
    "the ledger cannot be read",
    "a submit was answered wrongly: ",
    "cannot take an object: no memory",
    "ended as 5 without a cause: " /* not started */
};

typedef struct outcome {
    bool failed; /* it came to a failure of memory */
    unsigned calls;
    sl_err err;
    sl_simulation_result result;
    char *log;
} outcome;

static outcome run(uint64_t seed, unsigned n) {
    static const bool no_faults[SL_SIM_FAULTS_MOST];
    sl_simulation_options options = {.nodes = 3, .seed = seed, .faults = no_faults};
    outcome out = {.calls = 0};
    size_t bytes;
    FILE *stream = open_memstream(&out.log, &bytes);
    sl_log_configure(&(sl_log_options){.stream = stream, .level = SL_LOG_WARN});
    scarce_begin(SCARCE_MEMORY, n, false);
    out.err = sl_simulation_run(&options, &out.result);
    out.calls = scarce_calls();
    out.failed = scarce_end();
    sl_log_configure(&(sl_log_options){.stream = stderr, .level = SL_LOG_WARN});
    fclose(stream);
    return out;
}

static bool is_consequence(const outcome *out) {
    const char *violation = out->result.violation;
    for (size_t i = 0; i < sizeof consequences / sizeof *consequences; i++)
        if (strstr(violation, consequences[i]))
            return true;
    return strstr(violation, "never ended") && strstr(out->log, "the node ends");
}

static void check(uint64_t seed, unsigned n, const outcome *out) {
    if (out->err != SL_OK)
        CHECK_INT(out->err, SL_ERR_NO_MEMORY);
    else if (out->result.failed && !is_consequence(out))
        sl_test_fail(__FILE__, __LINE__, "seed %" PRIu64 ", memory fails at call %u: %s", seed, n,
                     out->result.violation);
    CHECK(out->failed);
}

static void fail_along(uint64_t seed, unsigned step) {
    outcome whole = run(seed, 0);
    CHECK(!whole.failed && whole.err == SL_OK && !whole.result.failed);
    CHECK(whole.calls > 500);
    free(whole.log);
    for (unsigned n = 1; n <= whole.calls; n += step) {
        outcome out = run(seed, n);
        check(seed, n, &out);
        free(out.log);
    }
}

TEST(memory_fails_all_along_a_seed) {
    fail_along(1, 5);
}

TEST(memory_fails_at_some_call_of_other_seeds) {
    for (uint64_t seed = 2; seed <= 6; seed++)
        fail_along(seed, 307);
}

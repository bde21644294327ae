/* sl_simulate(): seeds one after another, and what to do with one that fails.
 *
 * The shrinker leaves out one fault after another, as long as something still goes wrong: what
 * remains is what it takes. Plans are drawn before anything runs, so leaving one fault out does not
 * change the others. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/strbuf.h"
#include "sdk/simulation.h"
#include "starlane.h"

enum { DEFAULT_NODES = 5, NODES_MOST = 1024 };

typedef struct simulate {
    const sl_simulate_request *request;
    uint32_t nodes;
    uint64_t seed;
    bool wanted[SL_SIM_FAULTS_MOST];
    FILE *trace;
    uint64_t seeds, failed, events, virtual_ns, tasks, faults;
} simulate;

/* ---- which faults ---- */

static sl_err take_faults(simulate *s, const char *list) {
    bool all = !list || !*list;
    for (int i = 0; i < SL_SIM_FAULTS_MOST; i++)
        s->wanted[i] = all;
    if (all || strcmp(list, "none") == 0)
        return SL_OK;
    for (const char *at = list;; at++) {
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        if (end == at || number >= SL_SIM_FAULTS_MOST || (*end && *end != ','))
            return sl_fail(SL_ERR_INVALID,
                           "faults \"%s\": numbers from 0 to %d with commas between, or none", list,
                           SL_SIM_FAULTS_MOST - 1);
        s->wanted[number] = true;
        if (!*end)
            return SL_OK;
        at = end;
    }
}

static void print_faults(const bool *wanted, uint32_t count, sl_strbuf *out) {
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (wanted[i])
            sl_strbuf_printf(out, "%s%u", any ? "," : "", i);
        any |= wanted[i];
    }
    if (!any)
        sl_strbuf_append(out, "none");
}

/* ---- one seed ---- */

static sl_err run_one(const simulate *s, uint64_t seed, const bool *wanted, FILE *trace,
                      sl_simulation_result *result) {
    sl_simulation_options options = {
        .nodes = s->nodes, .seed = seed, .trace = trace, .faults = wanted};
    return sl_simulation_run(&options, result);
}

static sl_err shrink(const simulate *s, uint64_t seed, bool *wanted, sl_simulation_result *result) {
    for (uint32_t i = 0; i < result->plan.count; i++)
        wanted[i] &= result->plan.faults[i].begun;
    for (uint32_t i = 0; i < SL_SIM_FAULTS_MOST; i++) {
        sl_simulation_result without;
        if (!wanted[i])
            continue;
        wanted[i] = false;
        SL_TRY(run_one(s, seed, wanted, NULL, &without));
        if (without.failed)
            *result = without;
        else
            wanted[i] = true;
    }
    return SL_OK;
}

static sl_err tell_failure(simulate *s, uint64_t seed, sl_simulation_result *result) {
    bool wanted[SL_SIM_FAULTS_MOST];
    uint32_t count = result->plan.count;
    char storage[SL_SIM_TEXT];
    sl_strbuf line;
    memcpy(wanted, s->wanted, sizeof wanted);
    SL_TRY(shrink(s, seed, wanted, result));
    if (!s->request->messages)
        return SL_OK;
    sl_strbuf_init_fixed(&line, storage, sizeof storage);
    print_faults(wanted, count, &line);
    fprintf(s->request->messages,
            "starlane simulate --nodes %u --seed %" PRIu64 " --faults %s: %s\n", s->nodes, seed,
            line.data, result->violation);
    for (uint32_t i = 0; i < count; i++) {
        char text[SL_SIM_TEXT];
        sl_sim_fault_describe(&result->plan.faults[i], text, sizeof text);
        if (wanted[i])
            fprintf(s->request->messages, "  fault %u: %s\n", i, text);
    }
    fflush(s->request->messages);
    return SL_OK;
}

static sl_err run_seed(simulate *s, uint64_t seed) {
    sl_simulation_result result;
    SL_TRY(run_one(s, seed, s->wanted, s->trace, &result));
    s->seeds++;
    s->failed += result.failed;
    s->events += result.events;
    s->virtual_ns += result.virtual_ns;
    s->tasks += result.tasks;
    s->faults += result.faults;
    if (s->request->seeds <= 1 && s->request->minutes <= 0 && s->request->messages)
        fprintf(s->request->messages,
                "seed %" PRIu64 ": %" PRIu64 " events, %.3f s, %" PRIu64 " tasks, %" PRIu64
                " frames, %u faults, %u sessions, trace hash %016" PRIx64 "\n",
                seed, result.events, (double)result.virtual_ns / 1e9, result.tasks, result.frames,
                result.faults, result.sessions, result.hash);
    return result.failed ? tell_failure(s, seed, &result) : SL_OK;
}

static sl_err run_seeds(simulate *s) {
    const sl_simulate_request *request = s->request;
    uint64_t start_ns = sl_clock_now_ns();
    double limit_s = request->minutes * 60, spent_s = 0;
    uint64_t most = request->seeds ? request->seeds : limit_s > 0 ? UINT64_MAX : 1;
    for (uint64_t i = 0; i < most && (limit_s <= 0 || spent_s < limit_s); i++) {
        SL_TRY(run_seed(s, s->seed + i));
        spent_s = (double)(sl_clock_now_ns() - start_ns) / 1e9;
    }
    if (request->messages && s->seeds > 1)
        fprintf(request->messages,
                "%" PRIu64 " seeds from %" PRIu64 " of %u nodes: %" PRIu64 " failed; %" PRIu64
                " tasks, %" PRIu64 " faults; %.0f seeds/s, %.2f M events/s, %.0f times real time\n",
                s->seeds, s->seed, s->nodes, s->failed, s->tasks, s->faults,
                (double)s->seeds / spent_s, (double)s->events / spent_s / 1e6,
                (double)s->virtual_ns / 1e9 / spent_s);
    return SL_OK;
}

/* ---- the request ---- */

static sl_err begin(simulate *s) {
    const sl_simulate_request *request = s->request;
    sl_rng rng;
    s->nodes = request->nodes ? request->nodes : DEFAULT_NODES;
    if (s->nodes > NODES_MOST)
        return sl_fail(SL_ERR_INVALID, "%u nodes: at most %d are simulated", s->nodes, NODES_MOST);
    s->seed = request->seed;
    if (request->random_seed) {
        SL_TRY(sl_rng_seed_from_system(&rng));
        s->seed = sl_rng_below(&rng, UINT64_C(1000000000000));
    }
    SL_TRY(take_faults(s, request->faults));
    if (!request->trace || !*request->trace)
        return SL_OK;
    if (request->seeds > 1 || request->minutes > 0)
        return sl_fail(SL_ERR_INVALID, "a trace is of one seed");
    s->trace = fopen(request->trace, "w");
    return s->trace ? SL_OK : sl_fail(SL_ERR_IO, "cannot write %s: %m", request->trace);
}

int sl_simulate(const sl_simulate_request *request, int *code) {
    simulate s = {.request = request};
    sl_err err = begin(&s);
    *code = err == SL_OK ? SL_RUN_FAILED : SL_RUN_BAD_INPUT;
    if (err == SL_OK)
        err = run_seeds(&s);
    if (s.trace && (ferror(s.trace) | fclose(s.trace)) && err == SL_OK)
        err = sl_fail(SL_ERR_IO, "cannot write %s", request->trace);
    if (err == SL_OK)
        *code = s.failed ? SL_RUN_FAILED : SL_RUN_DONE;
    return err;
}

/* Design notes
 * Sealers and openers are many small maps of memory, so each pool thread borrows a pair to open and
 * to seal, and gives it back; there are as many as did so at once.
 * What was opened, and what the function wrote, is wiped before its memory is free.
 */
#include "sdk/seal.h"
#include "sdk/sealed.h"
#include "sdk/sealed_command.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/secret.h"
#include "runtime/address.h"
#include "runtime/clock.h"
#include "sdk/module.h"
#include "sdk/seal_tools.h"
#include "sdk/task_call.h"

enum { OUTPUT_MOST = 64 << 20, MESSAGE_MOST = 1023 };

struct sl_sealed {
    sl_sealed_options options;
    sl_seal_toolbox tools;
};

/* One call, on its pool thread. */
typedef struct call {
    sl_sealed *sealed;
    const sl_functions *functions;
    uint64_t now_s;
    const void *object; /* the name of the module's file */
    sl_opened opened;
} call;

/* ---- opening ---- */

static sl_err open_envelope(call *c, const void *envelope, size_t size, sl_blob *apart) {
    const sl_sealed_options *o = &c->sealed->options;
    const sl_open_request request = {.recipient = o->identity,
                                     .trust = o->trust,
                                     .replay = o->replay,
                                     .kind = SL_SEAL_TASK,
                                     .project = o->project,
                                     .now_s = c->now_s};
    sl_seal_tools *t;
    SL_TRY(sl_seal_tools_borrow(&c->sealed->tools, &t));
    sl_err err = apart ? sl_opened_take(t->opener, &request, apart, &c->opened)
                       : sl_opened_copy(t->opener, &request, envelope, size, &c->opened);
    sl_seal_tools_give_back(&c->sealed->tools, t);
    return err;
}

/* ---- running ---- */

static sl_err run_module(const call *c, sl_task_output *output) {
    const sl_part *arguments = &c->opened.sections[1];
    sl_module_sealed sealed = {.object = c->object};
    SL_TRY(sl_module_sealed_read(c->opened.sections[0], &sealed));
    return sl_call_sealed_module(&sealed, arguments->data, arguments->bytes, output);
}

static sl_err run_call(const call *c, sl_task_output *output) {
    char name[SL_FUNCTION_NAME_MAX_BYTES + 1];
    const sl_part *first = &c->opened.sections[0], *arguments = &c->opened.sections[1];
    uint32_t id;
    if (first->bytes >= sizeof name)
        return sl_fail(SL_ERR_NOT_FOUND, "a function's name has at most %zu bytes",
                       sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", (int)first->bytes, (const char *)first->data);
    if (strncmp(name, SL_SEALED_FUNCTION, sizeof SL_SEALED_FUNCTION - 1) == 0)
        return sl_fail(SL_ERR_INVALID, "a sealed task inside a sealed task");
    if (sl_functions_is_family(c->functions, name)) /* whether its client may was not asked */
        return sl_fail(SL_ERR_REFUSED, "a task of a module that travels as if it were none");
    SL_TRY(sl_functions_find(c->functions, name, &id));
    return sl_functions_call(c->functions, id, arguments->data, arguments->bytes, output);
}

/* With its large data, and facts that say that it is sealed. */
static sl_err run_inside(const call *c, const sl_task_facts *outer, sl_task_output *output) {
    sl_blob *apart;
    sl_task_facts facts = {.owner = SL_NO_NODE};
    if (outer)
        facts = *outer;
    facts.function = NULL;
    SL_TRY(sl_opened_apart(&c->opened, &apart));
    facts.apart = apart;
    facts.is_sealed = true; /* nothing of it comes beside its answer, and nothing stays */
    facts.holds_objects = false;
    facts.keep_bytes = UINT64_MAX;
    output->facts = &facts;
    sl_err err = c->opened.form == SL_BODY_MODULE ? run_module(c, output) : run_call(c, output);
    output->facts = NULL;
    sl_blob_release(apart);
    return err;
}

/* Where a sealed result is written: behind others of its kind, or, when it is large, apart. */
static uint8_t *place_result(sl_task_output *output, size_t size) {
    if (size < SL_SEALED_APART_BYTES)
        return malloc(size);
    return sl_blob_create(size, &output->apart) == SL_OK ? output->apart->data : NULL;
}

static sl_err seal_result(const call *c, sl_sealer *sealer, const sl_sealing *what,
                          sl_task_output *output) {
    size_t size;
    sl_seal_request request = {.sender = c->sealed->options.identity,
                               .recipients = &c->opened.sender,
                               .recipient_count = 1,
                               .kind = SL_SEAL_RESULT,
                               .now_s = c->now_s,
                               .lifetime_s = c->sealed->options.result_lifetime_s,
                               .about = c->opened.id};
    SL_TRY(sl_sealing_measure(&request, what, &size));
    uint8_t *bytes = place_result(output, size);
    if (!bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed result of %zu bytes", size);
    sl_err err = sl_sealing_write(sealer, &request, what, bytes);
    output->of_failure = output->apart != NULL;
    if (output->apart)
        return err;
    if (err == SL_OK)
        err = sl_task_output_write(output, bytes, size);
    free(bytes);
    return err;
}

static sl_err seal_answer(const call *c, const sl_sealing *what, sl_task_output *output) {
    sl_seal_tools *t;
    SL_TRY(sl_seal_tools_borrow(&c->sealed->tools, &t));
    sl_err err = seal_result(c, t->sealer, what, output);
    sl_seal_tools_give_back(&c->sealed->tools, t);
    return err;
}

static void wipe_output(sl_task_output *output) {
    if (output->data)
        sl_secret_wipe(output->data, output->size_bytes);
    if (output->apart && atomic_load(&output->apart->references) == 1)
        sl_secret_wipe(output->apart->data, (size_t)output->apart->bytes);
}

/* What the executor passes on, in place of what was said. */
static sl_err failed(sl_err err) {
    return sl_fail(err, "a sealed task failed; why is in its sealed result");
}

static sl_err run_and_seal(const call *c, sl_task_output *output) {
    sl_task_output inside;
    char message[MESSAGE_MOST + 1] = "";
    sl_task_output_init(&inside, OUTPUT_MOST);
    sl_err_clear();
    sl_err err = run_inside(c, output->facts, &inside);
    if (err != SL_OK)
        strncpy(message, *sl_err_detail() ? sl_err_detail() : sl_err_text(err), MESSAGE_MOST);
    const sl_part why = {message, strlen(message)}, said = {inside.data, inside.size_bytes},
                  large = {inside.apart ? inside.apart->data : NULL,
                           inside.apart ? (size_t)inside.apart->bytes : 0};
    sl_sealing what = {.form = SL_BODY_ANSWER, .code = err, .sections = {{&why, 1, false}}};
    if (err == SL_OK) {
        bool own = inside.apart && atomic_load(&inside.apart->references) == 1;
        what.sections[1] = (sl_section){&said, 1, true};
        what.sections[2] = (sl_section){&large, 1, own};
    }
    sl_err sealing = seal_answer(c, &what, output);
    if (err != SL_OK || sealing != SL_OK)
        wipe_output(&inside);
    sl_task_output_fini(&inside);
    sl_secret_wipe(message, sizeof message);
    SL_TRY(sealing);
    return err == SL_OK ? SL_OK : failed(err);
}

/* ---- commands ---- */

static sl_err seal_ended(const call *c, const sl_command_run *run, sl_task_output *output) {
    const sl_process_result *result = &run->result;
    uint8_t fixed[SL_ENDED_BYTES];
    const sl_ended ended = {.status = result->status,
                            .exit_code = result->exit_code,
                            .signal = result->signal,
                            .user_us = (uint64_t)(result->user_s * 1e6),
                            .system_us = (uint64_t)(result->sys_s * 1e6),
                            .max_rss_bytes = result->max_rss_bytes};
    const sl_part how[] = {{fixed, sizeof fixed}, {result->message, strlen(result->message)}};
    sl_part *parts = malloc((run->out.blocks + run->err.blocks + 1) * sizeof *parts);
    if (!parts)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for what a sealed command wrote");
    sl_ended_write(&ended, fixed);
    sl_written_parts(&run->out, parts);
    sl_written_parts(&run->err, parts + run->out.blocks);
    const sl_sealing what = {.form = SL_BODY_ENDED,
                             .code = (uint32_t)result->exit_code,
                             .sections = {{how, 2, false},
                                          {parts, run->out.blocks, true},
                                          {parts + run->out.blocks, run->err.blocks, true}}};
    sl_err err = seal_answer(c, &what, output);
    free(parts);
    return err;
}

static sl_err seal_reason(const call *c, sl_task_output *output) {
    const char *detail = sl_err_detail();
    const sl_part why = {detail, strlen(detail)};
    const sl_sealing what = {
        .form = SL_BODY_ANSWER, .code = SL_ERR_FAILED, .sections = {{&why, 1, false}}};
    return seal_answer(c, &what, output);
}

static sl_err run_command_and_seal(const call *c, sl_task_output *output) {
    const sl_sealed_options *o = &c->sealed->options;
    sl_command_run run = {0};
    const sl_task_facts *facts = output->facts;
    sl_minder *minder = o->minder_of && facts ? o->minder_of(o->context, facts->node) : NULL;
    sl_err err = minder ? sl_sealed_command_run(minder, facts, c->opened.sections[0],
                                                c->opened.sections[1], &run)
                        : sl_fail(SL_ERR_UNAVAILABLE, "this node runs no commands");
    sl_err sealing = err == SL_OK ? seal_ended(c, &run, output) : seal_reason(c, output);
    bool well = err == SL_OK && run.result.status == SL_PROCESS_EXITED && !run.result.exit_code;
    sl_command_run_fini(&run, err == SL_OK && sealing == SL_OK);
    SL_TRY(sealing);
    return well ? SL_OK : failed(SL_ERR_FAILED);
}

static sl_err find_node(const sl_sealed_place *place, sl_sealed **sealed) {
    *sealed = atomic_load(&place->sealed);
    return *sealed ? SL_OK
                   : sl_fail(SL_ERR_UNAVAILABLE, "this node has no identity, so nothing can be "
                                                 "sealed to it: start it with --keys");
}

/* What is asked for must be of the form that its name says: by that it was let in. */
static sl_err run_form(const call *c, sl_body_form form, sl_task_output *output) {
    if (c->opened.form != form)
        return sl_fail(SL_ERR_REFUSED, "a sealed task that is not what it travels as");
    return form == SL_BODY_COMMAND ? run_command_and_seal(c, output) : run_and_seal(c, output);
}

/* `object`: of a module, else NULL. */
static sl_err call_sealed(const sl_sealed_place *place, sl_body_form form, const void *object,
                          const void *arguments, size_t bytes, sl_blob *apart,
                          sl_task_output *output) {
    call c = {
        .functions = place->functions, .now_s = (uint64_t)sl_clock_wall_s(), .object = object};
    SL_TRY(find_node(place, &c.sealed));
    SL_TRY(open_envelope(&c, arguments, bytes, apart));
    sl_err err = run_form(&c, form, output);
    sl_opened_close(&c.opened);
    return err;
}

static sl_blob *apart_of(const sl_task_output *output) {
    return output->facts ? (sl_blob *)(uintptr_t)output->facts->apart : NULL;
}

static sl_err call_function(const void *arguments, size_t bytes, sl_task_output *output,
                            void *user) {
    return call_sealed(user, SL_BODY_CALL, NULL, arguments, bytes, apart_of(output), output);
}

static sl_err call_command(const void *arguments, size_t bytes, sl_task_output *output,
                           void *user) {
    return call_sealed(user, SL_BODY_COMMAND, NULL, arguments, bytes, apart_of(output), output);
}

static sl_err call_module(const void *arguments, size_t bytes, sl_task_output *output, void *user) {
    sl_value values[2];
    sl_blob *apart = apart_of(output);
    SL_TRY(sl_seal_carrier_read(arguments, bytes, apart, values));
    bool all = apart && values[1].data == apart->data && values[1].bytes == apart->bytes;
    return call_sealed(user, SL_BODY_MODULE, values[0].data, values[1].data, values[1].bytes,
                       all ? apart : NULL, output);
}

/* ---- a node's side ---- */

sl_err sl_sealed_create(const sl_sealed_options *options, sl_sealed **sealed) {
    sl_sealed *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for sealed tasks");
    made->options = *options;
    sl_seal_toolbox_init(&made->tools);
    *sealed = made;
    return SL_OK;
}

void sl_sealed_destroy(sl_sealed *sealed) {
    if (!sealed)
        return;
    sl_seal_toolbox_fini(&sealed->tools);
    free(sealed);
}

sl_err sl_sealed_register(sl_functions *functions, sl_sealed_place *place) {
    SL_TRY(sl_functions_register_slow(functions, SL_SEALED_FUNCTION, call_function, place));
    SL_TRY(sl_functions_register_slow(functions, SL_SEALED_COMMAND, call_command, place));
    SL_TRY(sl_functions_register_slow(functions, SL_SEALED_MODULE, call_module, place));
    place->functions = functions;
    return SL_OK;
}

sl_err sl_sealed_credential(const sl_sealed_place *place,
                            uint8_t credential[SL_CREDENTIAL_MOST_BYTES], size_t *bytes) {
    sl_sealed *sealed;
    SL_TRY(find_node(place, &sealed));
    return sl_identity_credential(sealed->options.identity, credential, bytes);
}

/* Runs what an actor has to run, on a pool thread or, of kinds that are brief, on the loop. Touches
 * the resident alone, which is this thread's meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "sdk/host.h"
#include "sdk/module_load.h"

#define OUTPUT_MOST ((size_t)64 << 20)

/* ---- kinds of actors ---- */

static sl_actor_kind *kinds; /* before main(): one thread */

void sl_actor_define(sl_actor_kind *kind) {
    if (sl_module_takes(NULL, kind->name))
        return;
    kind->task = (sl_task){.name = kind->name, .options = {.brief = kind->options.brief}};
    kind->options.last_ = 1;
    kind->next = kinds;
    kinds = kind;
}

const sl_actor_kind *sl_actor_kind_of(const char *name) {
    const sl_actor_kind *kind = kinds;
    while (kind && strcmp(kind->name, name) != 0)
        kind = kind->next;
    return kind;
}

/* ---- one turn ---- */

static void keep_failure(sl_resident *resident, sl_err err) {
    resident->failed = err;
    free(resident->failure);
    resident->failure = strdup(sl_err_detail());
}

static sl_actor_ref ref_of(const sl_resident *resident) {
    sl_actor_id id = resident->node.id;
    return (sl_actor_ref){id.home, resident->rank, id.life, id.number};
}

static sl_err run_body(sl_resident *resident, sl_letter *letter,
                       int (*body)(sl_call *call, void *state)) {
    sl_task_output output;
    sl_actor_turn turn = {.kind = resident->kind,
                          .body = body,
                          .state = resident->state,
                          .method = letter->method,
                          .self = ref_of(resident),
                          .facts = {.node = resident->rank,
                                    .owner = letter->tag ? letter->from : SL_NO_NODE,
                                    .attempt = 1,
                                    .holds_objects = true,
                                    .apart = letter->apart},
                          .pool = resident->pool};
    sl_err_clear();
    sl_task_output_init(&output, OUTPUT_MOST);
    sl_err err = sl_actor_turn_run(&turn, letter->arguments, letter->argument_bytes, &output);
    resident->save_due |= turn.saves && resident->saves;
    if (turn.moves && turn.move_to != resident->rank) {
        resident->moves = true;
        resident->move_to = turn.move_to;
        resident->answer_tag = 0;
    }
    if (err == SL_OK && letter->tag) {
        letter->output_apart = output.apart;
        letter->settle = output.settle;
        letter->settled = output.settled;
        output.apart = NULL;
        output.settle = NULL;
        letter->output = sl_task_output_take(&output, &letter->output_bytes);
    } else if (err != SL_OK) {
        letter->error = err;
        letter->message = strdup(sl_err_detail());
    }
    sl_task_output_fini(&output);
    return err;
}

static sl_err load(sl_resident *resident) {
    const sl_actor_options *options = &resident->kind->options;
    const sl_blob *saved = resident->saved;
    size_t bytes = saved ? saved->bytes : 0;
    if (options->load) {
        int error = options->load(resident->state, saved ? saved->data : NULL, bytes);
        return error ? sl_fail(SL_ERR_FAILED, "actor %.80s cannot load its state: %d",
                               resident->kind->name, error)
                     : SL_OK;
    }
    if (bytes != options->state_bytes)
        return sl_fail(SL_ERR_DECODE, "a state of %zu bytes for actor %.80s, which has %zu", bytes,
                       resident->kind->name, options->state_bytes);
    if (bytes)
        memcpy(resident->state, saved->data, bytes);
    return SL_OK;
}

static sl_err begin(sl_resident *resident) {
    const sl_actor_options *options = &resident->kind->options;
    resident->state = calloc(1, options->state_bytes ? options->state_bytes : 1);
    if (!resident->state)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an actor of %zu bytes",
                       options->state_bytes);
    if (!resident->start)
        SL_TRY(load(resident));
    else if (options->start)
        SL_TRY(run_body(resident, resident->start, options->start));
    sl_letter_destroy(resident->start);
    resident->start = NULL;
    sl_blob_release(resident->saved);
    resident->saved = NULL;
    resident->started = true;
    return SL_OK;
}

static void save(sl_resident *resident) {
    const sl_actor_options *options = &resident->kind->options;
    size_t bytes = options->save ? options->save(resident->state, NULL) : options->state_bytes;
    if (bytes > SL_BLOB_MAX_BYTES || sl_blob_create(bytes, &resident->saved) != SL_OK) {
        resident->saved = NULL; /* it stays, and who wanted the move is told */
        return;
    }
    if (options->save)
        options->save(resident->state, resident->saved->data);
    else if (bytes)
        memcpy(resident->saved->data, resident->state, bytes);
}

static void run_letter(sl_resident *resident, sl_letter *letter) {
    switch (letter->what) {
    case SL_LETTER_CALL:
        resident->since_save++;
        if (run_body(resident, letter, resident->kind->body) != SL_OK && resident->supervised)
            resident->fails = true;
        break;
    case SL_LETTER_MOVE:
        if (letter->to == resident->rank)
            break;
        resident->moves = true;
        resident->move_to = letter->to;
        resident->answer_node = letter->from;
        resident->answer_tag = letter->tag;
        letter->tag = 0; /* told where it comes to */
        break;
    case SL_LETTER_STOP:
        resident->ends = true;
        break;
    default:
        break;
    }
}

/* The state of now is to be kept, before anybody hears of what led to it. */
static bool is_save_due(const sl_resident *resident) {
    return resident->save_due || (resident->saves && resident->save_every &&
                                  resident->since_save >= resident->save_every);
}

void sl_resident_run(sl_resident *resident) {
    sl_err err = resident->started ? SL_OK : begin(resident);
    if (err != SL_OK) {
        keep_failure(resident, err);
        return;
    }
    while (!resident->moves && !resident->ends && !resident->fails && !is_save_due(resident) &&
           resident->batch.head) {
        sl_letter *letter = sl_letters_pop(&resident->batch);
        run_letter(resident, letter);
        sl_letters_push(&resident->ran, letter);
    }
    resident->save_due = is_save_due(resident) && !resident->ends && !resident->fails;
    if (resident->save_due || (resident->moves && !resident->ends && !resident->fails))
        save(resident);
}

/* Actors that live here: they come, take what is sent to them, run, and go.
 *
 * Design notes
 * A message for an actor that is not here is answered by where it is, if this host knows of a later
 * place than the sender does. Else the actor is on its way here, or long gone: the message waits,
 * and the actor's home is asked. Entries of those that have gone are kept, the newest GONE_MOST of
 * them, to answer at once. */
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "runtime/plant.h"
#include "runtime/pool.h"
#include "sdk/host.h"

enum { BATCH = 64, ACK_EVERY = 64, RESIDENTS_A_TURN = 32, GONE_MOST = 65536, HELD_MOST = 65536 };

/* ---- words to others ---- */

static void say_handled(sl_host *host, const sl_resident *resident, sl_sender *sender) {
    sl_actor_id id = resident->node.id;
    actor_handled body = {id.home, id.life, id.number, sender->done};
    sender->told = sender->done;
    (void)actor_handled_send(host->self, sl_host_at(sender->node), &body);
}

void sl_resident_say_here(sl_host *host, const sl_resident *resident, uint32_t place,
                          uint64_t epoch) {
    sl_actor_id id = resident->node.id;
    actor_here body = {id.life, id.number, epoch, place};
    (void)actor_here_send(host->self, sl_host_at(id.home), &body);
}

/* ---- life of an entry ---- */

static sl_resident *resident_create(sl_host *host, sl_actor_id id) {
    sl_resident *resident = calloc(1, sizeof *resident);
    if (!resident)
        return NULL;
    resident->node.id = id;
    resident->host = host;
    resident->rank = host->rank;
    resident->stage = SL_COMING;
    if (sl_id_add(&host->residents, &resident->node) == SL_OK)
        return resident;
    free(resident);
    return NULL;
}

/* What a life here had; the entry stays. */
static void resident_clear(sl_resident *resident) {
    if (resident->started && resident->kind->options.stop)
        resident->kind->options.stop(resident->state);
    free(resident->state);
    resident->state = NULL;
    resident->started = resident->moves = resident->ends = resident->fails = false;
    resident->given_up = resident->dismissed = resident->saves = resident->save_due =
        resident->awaits = false;
    resident->save_every = resident->since_save = 0;
    sl_letters_free(&resident->mailbox);
    sl_letters_free(&resident->batch);
    sl_letters_free(&resident->ran);
    free(resident->senders);
    resident->senders = NULL;
    resident->sender_count = resident->sender_capacity = 0;
    sl_letter_destroy(resident->start);
    resident->start = NULL;
    sl_blob_release(resident->saved);
    resident->saved = NULL;
    free(resident->failure);
    resident->failure = NULL;
    resident->failed = SL_OK;
}

static void unqueue(sl_host *host, sl_resident *resident) {
    for (sl_resident **at = &host->ready; *at; at = &(*at)->next_ready)
        if (*at == resident) {
            *at = resident->next_ready;
            if (!*at)
                host->ready_end = at;
            break;
        }
    resident->queued = false;
}

void sl_resident_destroy(sl_host *host, sl_resident *resident) {
    if (resident->queued)
        unqueue(host, resident);
    sl_id_remove(&host->residents, &resident->node);
    resident_clear(resident);
    free(resident);
}

static void remember_gone(sl_host *host, sl_actor_id id) {
    if (!host->gone)
        host->gone = calloc(GONE_MOST, sizeof *host->gone);
    if (!host->gone)
        return;
    sl_actor_id *at = &host->gone[host->gone_count++ % GONE_MOST];
    sl_resident *old = host->gone_count > GONE_MOST ? sl_id_find(&host->residents, *at) : NULL;
    if (old && old->stage == SL_GONE && !sl_id_equal(*at, id))
        sl_resident_destroy(host, old);
    *at = id;
}

void sl_resident_become_gone(sl_host *host, sl_resident *resident, uint32_t place, uint64_t epoch) {
    resident_clear(resident);
    resident->stage = SL_GONE;
    resident->place = place;
    resident->epoch = epoch;
    remember_gone(host, resident->node.id);
}

static void tell_all(sl_host *host, const sl_resident *resident, sl_err err, const char *message) {
    for (uint32_t i = 0; i < resident->sender_count; i++)
        sl_host_say_lost(host, resident->senders[i].node, resident->node.id, resident->epoch, err,
                         true, message);
}

/* The actor ends: its home, and all that have sent to it, are told. */
static void end_resident(sl_host *host, sl_resident *resident, sl_err err, const char *message) {
    sl_actor_id id = resident->node.id;
    actor_ended body = {id.life, id.number, resident->epoch, false, sl_text_of(message)};
    (void)actor_ended_send(host->self, sl_host_at(id.home), &body);
    tell_all(host, resident, err, message);
    sl_resident_destroy(host, resident);
}

/* ---- taking messages ---- */

/* A sender that is new, to this life of the actor, begins with `oldest`. */
static sl_sender *sender_of(sl_resident *resident, uint32_t node, uint64_t life, uint64_t oldest) {
    sl_sender *sender = NULL;
    for (uint32_t i = 0; i < resident->sender_count && !sender; i++)
        if (resident->senders[i].node == node)
            sender = &resident->senders[i];
    if (sender && sender->life == life)
        return sender;
    if (!sender && resident->sender_count == resident->sender_capacity) {
        uint32_t capacity = resident->sender_capacity ? 2 * resident->sender_capacity : 2;
        sl_sender *grown = realloc(resident->senders, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        resident->senders = grown;
        resident->sender_capacity = capacity;
    }
    if (!sender)
        sender = &resident->senders[resident->sender_count++];
    *sender = (sl_sender){node, life, oldest, oldest, oldest};
    return sender;
}

static void make_ready(sl_host *host, sl_resident *resident) {
    if (resident->queued || resident->running || resident->awaits || resident->stage != SL_HERE)
        return;
    resident->queued = true;
    resident->next_ready = NULL;
    *host->ready_end = resident;
    host->ready_end = &resident->next_ready;
}

/* Only the next of its sender's: what is beyond comes again, once its sender knows where to. What
 * is before the sender's oldest will not come: it has given that up, or an earlier life handled it.
 */
static void take(sl_host *host, sl_resident *resident, sl_letter *letter) {
    sl_sender *sender = sender_of(resident, letter->from, letter->from_life, letter->oldest);
    if (sender && letter->oldest > sender->expected)
        sender->expected = letter->oldest;
    bool twice = SL_PLANT(letter_twice) && sender && letter->sequence + 1 == sender->expected;
    if (!sender || (letter->sequence != sender->expected && !twice)) {
        if (sender && letter->sequence < sender->done)
            say_handled(host, resident, sender);
        sl_letter_destroy(letter);
        return;
    }
    sender->expected = letter->sequence + 1;
    sl_letters_push(&resident->mailbox, letter);
    make_ready(host, resident);
}

static sl_letter *letter_of(uint32_t from, const actor_tell *tell) {
    sl_letter *letter = sl_letter_create(tell->method.data, tell->arguments.bytes);
    if (!letter)
        return NULL;
    letter->id = (sl_actor_id){tell->home, tell->life, tell->number};
    letter->from = from;
    letter->from_life = tell->from_life;
    letter->epoch = tell->epoch;
    letter->sequence = tell->sequence;
    letter->oldest = tell->oldest;
    letter->tag = tell->tag;
    letter->to = tell->to;
    letter->what = tell->what;
    if (tell->arguments.bytes)
        memcpy(letter->arguments, tell->arguments.data, tell->arguments.bytes);
    letter->apart = sl_blob_retain(tell->apart);
    return letter;
}

static void hold(sl_host *host, sl_resident *resident, uint32_t from, const actor_tell *tell) {
    sl_letter *letter = resident->mailbox.count < HELD_MOST ? letter_of(from, tell) : NULL;
    if (letter)
        sl_letters_push(&resident->mailbox, letter);
    if (resident->stage == SL_GONE || resident->mailbox.count <= 1) {
        resident->stage = SL_COMING;
        sl_host_ask_where(host, resident->node.id);
    }
}

void sl_host_on_tell(sl_host *host, uint32_t from, const actor_tell *tell) {
    sl_actor_id id = {tell->home, tell->life, tell->number};
    if (tell->home >= host->count || tell->what > SL_LETTER_NOTHING ||
        (tell->what == SL_LETTER_MOVE && tell->to >= host->count)) {
        sl_warn("host", "node %u sends what no host sends", from);
        return;
    }
    sl_resident *resident = sl_id_find(&host->residents, id);
    if (resident && resident->stage == SL_HERE) {
        sl_letter *letter = letter_of(from, tell);
        if (letter)
            take(host, resident, letter);
        return;
    }
    if (resident && resident->stage == SL_GONE && resident->epoch > tell->epoch &&
        resident->place != host->rank) {
        sl_host_say_moved(host, from, id, resident->epoch, resident->place);
        return;
    }
    if (!resident)
        resident = resident_create(host, id);
    if (resident)
        hold(host, resident, from, tell);
}

/* ---- coming ---- */

static sl_err take_passed(sl_resident *resident, const actor_come *come) {
    for (uint32_t i = 0; i < come->passed.count; i++) {
        const actor_passed *passed = &come->passed.items[i];
        if (passed->node >= resident->host->count)
            return sl_fail(SL_ERR_DECODE, "an actor comes with a sender that cannot be");
        sl_sender *sender = sender_of(resident, passed->node, passed->life, passed->next);
        if (!sender)
            return sl_fail(SL_ERR_NO_MEMORY, "no memory for an actor");
        sender->expected = sender->done = sender->told = passed->next;
    }
    return SL_OK;
}

static sl_err settle(sl_host *host, sl_resident *resident, const actor_come *come) {
    resident->kind = sl_actor_kind_of(come->kind.data);
    resident->epoch = come->epoch;
    resident->supervised = come->supervised;
    resident->saves = come->saves;
    resident->save_every = come->save_every;
    SL_TRY(take_passed(resident, come));
    if (!resident->kind)
        return sl_fail(SL_ERR_NOT_FOUND, "node %u knows no actor %.100s", host->rank,
                       come->kind.data);
    resident->pool = resident->kind->options.brief ? NULL : host->of->pool;
    if (!resident->pool && !resident->kind->options.brief)
        return sl_fail(SL_ERR_UNAVAILABLE, "no actors live on node %u", host->rank);
    resident->saved = sl_blob_retain(come->state);
    if (come->moves)
        return SL_OK;
    resident->start = sl_letter_create("", come->arguments.bytes);
    if (!resident->start)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an actor");
    if (come->arguments.bytes)
        memcpy(resident->start->arguments, come->arguments.data, come->arguments.bytes);
    resident->start->apart = sl_blob_retain(come->apart);
    return SL_OK;
}

static void answer_come(sl_host *host, const actor_come *come, sl_err err, const char *message) {
    actor_answer body = {.tag = come->answer_tag, .error = err, .message = sl_text_of(message)};
    if (come->answer_tag)
        sl_host_answer(host, come->answer_node, &body);
}

void sl_host_on_come(sl_host *host, uint32_t from, const actor_come *come) {
    sl_actor_id id = {come->home, come->life, come->number};
    sl_resident *resident = sl_id_find(&host->residents, id);
    if (come->home >= host->count || come->answer_node >= host->count) {
        sl_warn("host", "node %u sends an actor that cannot come", from);
        return;
    }
    if (resident && (resident->stage == SL_HERE || come->epoch <= resident->epoch)) {
        answer_come(host, come, SL_ERR_DEAD, "another life of the actor has begun");
        return;
    }
    if (!resident && !(resident = resident_create(host, id)))
        return;
    if (!sl_host_is_alive(host, come->home)) {
        answer_come(host, come, SL_ERR_DEAD, "the actor's home was lost");
        sl_resident_refuse_held(host, resident, SL_ERR_DEAD, false, "the actor's home was lost");
        sl_resident_bury(host, resident, come->epoch);
        return;
    }
    sl_letters held = resident->mailbox;
    resident->mailbox = (sl_letters){NULL, NULL, 0};
    resident_clear(resident);
    if (come->epoch >> SL_EPOCH_LIFE > resident->epoch >> SL_EPOCH_LIFE)
        sl_resident_unsure_no_more(host, resident, "another life of the actor has begun");
    resident->unsure = false;
    resident->stage = SL_HERE;
    sl_err err = settle(host, resident, come);
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    answer_come(host, come, err, cause);
    for (sl_letter *letter; (letter = sl_letters_pop(&held));)
        take(host, resident, letter);
    if (err != SL_OK) {
        end_resident(host, resident, err, cause);
        return;
    }
    if (come->moves)
        sl_resident_say_here(host, resident, host->rank, resident->epoch);
    if (from != come->home) /* who may wonder whether it has */
        sl_host_say_moved(host, from, id, resident->epoch, host->rank);
    make_ready(host, resident);
}

/* ---- running ---- */

static void put_back(sl_resident *resident) {
    if (!resident->batch.head)
        return;
    resident->batch.tail->next = resident->mailbox.head;
    if (!resident->mailbox.head)
        resident->mailbox.tail = resident->batch.tail;
    resident->mailbox.head = resident->batch.head;
    resident->mailbox.count += resident->batch.count;
    resident->batch = (sl_letters){NULL, NULL, 0};
}

static void answer_letter(sl_host *host, sl_letter *letter) {
    actor_answer body = {.tag = letter->tag,
                         .error = (uint32_t)letter->error,
                         .message = sl_text_of(letter->message),
                         .output = {letter->output, (uint32_t)letter->output_bytes},
                         .apart = letter->output_apart};
    bool sent = sl_host_answer(host, letter->from, &body);
    if (letter->settle)
        letter->settle(letter->settled, sent);
    letter->settle = NULL;
}

/* Answers, and says how far it is: seldom while more is waiting. */
static void report(sl_host *host, sl_resident *resident) {
    for (sl_letter *letter = resident->ran.head; letter; letter = letter->next) {
        sl_sender *sender = sender_of(resident, letter->from, letter->from_life, letter->oldest);
        if (sender)
            sender->done = letter->sequence + 1;
        if (letter->tag)
            answer_letter(host, letter);
    }
    bool rests = !resident->mailbox.head || resident->moves || resident->ends || resident->fails;
    for (uint32_t i = 0; i < resident->sender_count; i++) {
        sl_sender *sender = &resident->senders[i];
        if (sender->done != sender->told && (rests || sender->done - sender->told >= ACK_EVERY))
            say_handled(host, resident, sender);
    }
    sl_letters_free(&resident->ran);
}

/* This life ends here; what is not handled waits for the home's judgement, as for one to come. */
static void fail(sl_host *host, sl_resident *resident) {
    sl_actor_id id = resident->node.id;
    actor_passed *passed;
    if (sl_resident_passed(resident, &passed) != SL_OK) {
        end_resident(host, resident, SL_ERR_NO_MEMORY, "no memory to start the actor again");
        return;
    }
    actor_failed body = {.life = id.life,
                         .number = id.number,
                         .epoch = resident->epoch,
                         .passed = {passed, resident->sender_count}};
    sl_err err = sl_host_post(host, id.home, &actor_failed_type, &body);
    free(passed);
    if (err != SL_OK) {
        end_resident(host, resident, SL_ERR_DEAD, "the actor failed, and its home was lost");
        return;
    }
    sl_letters held = resident->mailbox;
    resident->mailbox = (sl_letters){NULL, NULL, 0};
    resident_clear(resident);
    resident->mailbox = held;
    resident->stage = SL_COMING;
    sl_host_tick(host);
}

/* True: it waits for its home to have the state, and nobody hears of what led to it before. */
static bool send_saved(sl_host *host, sl_resident *resident) {
    sl_actor_id id = resident->node.id;
    actor_saved body = {
        .life = id.life, .number = id.number, .epoch = resident->epoch, .state = resident->saved};
    actor_passed *passed = NULL;
    sl_err err = SL_ERR_NO_MEMORY;
    resident->save_due = false;
    resident->since_save = 0;
    if (resident->saved && sl_resident_passed(resident, &passed) == SL_OK) {
        body.passed.items = passed;
        body.passed.count = resident->sender_count;
        err = sl_host_post(host, id.home, &actor_saved_type, &body);
    }
    free(passed);
    if (err != SL_OK)
        sl_warn("host", "the state of an actor could not be saved: %s", sl_err_text(err));
    resident->awaits = err == SL_OK;
    if (!resident->moves) {
        sl_blob_release(resident->saved);
        resident->saved = NULL;
    }
    return resident->awaits;
}

/* Its home has begun its next life, or wants it to end; or is lost: what that makes of it is its
 * own to say, should it only seem so. */
static void lay_down(sl_host *host, sl_resident *resident) {
    sl_actor_id id = resident->node.id;
    actor_ended body = {id.life, id.number, resident->epoch, !resident->dismissed,
                        sl_text_of("the actor was given up")};
    (void)actor_ended_send(host->self, sl_host_at(id.home), &body);
    tell_all(host, resident, SL_ERR_DEAD, "the actor was given up");
    sl_resident_bury(host, resident, resident->epoch);
}

static void finish(sl_host *host, sl_resident *resident) {
    if (resident->given_up) {
        lay_down(host, resident);
        return;
    }
    put_back(resident);
    if (resident->save_due && !resident->ends && resident->failed == SL_OK &&
        send_saved(host, resident))
        return;
    report(host, resident);
    if (resident->failed != SL_OK) {
        char cause[512];
        snprintf(cause, sizeof cause, "%s", resident->failure ? resident->failure : "");
        end_resident(host, resident, resident->failed, cause);
        return;
    }
    if (resident->ends) {
        end_resident(host, resident, SL_ERR_DEAD, "the actor has ended");
        return;
    }
    if (resident->fails) {
        fail(host, resident);
        return;
    }
    if (resident->moves)
        sl_resident_depart(host, resident);
    if (resident->stage == SL_HERE && resident->mailbox.head)
        make_ready(host, resident);
}

static void run_job(sl_job *job) {
    sl_resident_run((sl_resident *)(void *)((char *)job - offsetof(sl_resident, job)));
}

/* The host is gone: nobody else has it any more. */
static void dropped(sl_event *event) {
    sl_resident *resident =
        (sl_resident *)(void *)((char *)event - offsetof(sl_resident, job.event));
    resident_clear(resident);
    free(resident);
}

static void run(sl_host *host, sl_resident *resident) {
    while (resident->batch.count < BATCH && resident->mailbox.head)
        sl_letters_push(&resident->batch, sl_letters_pop(&resident->mailbox));
    if (!resident->pool) {
        sl_resident_run(resident);
        finish(host, resident);
        return;
    }
    resident->running = true;
    resident->job = (sl_job){.event = {.to = sl_self(host->self), .drop = dropped}, .run = run_job};
    sl_pool_post(resident->pool, &resident->job);
}

void sl_host_ran(sl_resident *resident) {
    resident->running = false;
    finish(resident->host, resident);
}

void sl_host_run_ready(sl_host *host) {
    for (uint32_t i = 0; host->ready; i++) {
        if (i == RESIDENTS_A_TURN) {
            sl_host_again(host);
            return;
        }
        sl_resident *resident = host->ready;
        unqueue(host, resident);
        run(host, resident);
    }
}

/* ---- the home's word, and its end ---- */

void sl_host_on_kept(sl_host *host, uint32_t from, const actor_kept *kept) {
    sl_resident *resident =
        sl_id_find(&host->residents, (sl_actor_id){from, kept->life, kept->number});
    if (!resident || !resident->awaits || resident->epoch != kept->epoch)
        return;
    resident->awaits = false;
    finish(host, resident);
}

static void give_up(sl_host *host, sl_resident *resident, bool dismissed) {
    resident->given_up = true;
    resident->dismissed = dismissed;
    if (resident->running)
        return;
    if (resident->queued)
        unqueue(host, resident);
    lay_down(host, resident);
}

void sl_host_on_quit(sl_host *host, uint32_t from, const actor_quit *quit) {
    sl_resident *resident =
        sl_id_find(&host->residents, (sl_actor_id){from, quit->life, quit->number});
    if (resident && resident->stage == SL_HERE && resident->epoch < quit->epoch)
        give_up(host, resident, true);
}

void sl_host_on_dismiss(sl_host *host, uint32_t from, const actor_dismiss *dismiss) {
    actor_quit quit = {dismiss->life, dismiss->number, UINT64_MAX};
    sl_host_on_quit(host, from, &quit);
}

void sl_host_residents_peer(sl_host *host, uint32_t node) {
    for (uint32_t i = 0; i < host->residents.capacity; i++)
        for (sl_id_node *at = host->residents.buckets[i], *next; at; at = next) {
            sl_resident *resident = (sl_resident *)(void *)at;
            next = at->next;
            if (resident->unsure && resident->place == node)
                sl_resident_stray(host, resident, resident->epoch);
            if (at->id.home != node)
                continue;
            if (resident->stage == SL_HERE)
                give_up(host, resident, false);
            else
                sl_resident_end_held(host, resident, SL_ERR_DEAD, false,
                                     "the actor's home was lost");
        }
}

void sl_host_live_stop(sl_host *host) {
    for (uint32_t i = 0; i < host->residents.capacity; i++)
        for (sl_id_node *at = host->residents.buckets[i], *next; at; at = next) {
            sl_resident *resident = (sl_resident *)(void *)at;
            next = at->next;
            if (resident->running) /* dropped() has it once it has run */
                continue;
            resident_clear(resident);
            free(resident);
        }
    free(host->residents.buckets);
}

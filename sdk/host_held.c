/* Actors that are not here, or no more: messages that wait for them until their homes have said
 * where they are, and what a home is to be told of those that were lost. */
#include "sdk/host.h"

void sl_host_ask_where(sl_host *host, sl_actor_id id) {
    actor_where body = {id.life, id.number};
    (void)actor_where_send(host->self, sl_host_at(id.home), &body);
    sl_host_tick(host);
}

/* Its home is lost, or the link to it. In that case the home may believe that it is here, and is to
 * be told once it can be. */
void sl_resident_bury(sl_host *host, sl_resident *resident, uint64_t epoch) {
    resident->given_up_at = epoch;
    sl_resident_become_gone(host, resident, host->rank, epoch);
}

/* Who wanted it moved is told, if it is not known to have come. */
void sl_resident_unsure_no_more(sl_host *host, sl_resident *resident, const char *why) {
    actor_answer answer = {
        .tag = resident->answer_tag, .error = SL_ERR_DEAD, .message = sl_text_of(why)};
    if (resident->unsure && answer.tag)
        sl_host_answer(host, resident->answer_node, &answer);
    resident->unsure = false;
}

/* It was on its way to a node that is lost, or to which the link is; or was given up here. */
void sl_resident_stray(sl_host *host, sl_resident *resident, uint64_t epoch) {
    static const char why[] = "the actor was lost on its way to another node";
    sl_actor_id id = resident->node.id;
    actor_ended body = {.life = id.life,
                        .number = id.number,
                        .epoch = epoch,
                        .strayed = true,
                        .message = sl_text_of(why)};
    (void)actor_ended_send(host->self, sl_host_at(id.home), &body);
    sl_resident_unsure_no_more(host, resident, why);
}

void sl_host_resident_moved(sl_host *host, uint32_t from, const actor_moved *moved) {
    sl_actor_id id = {moved->home, moved->life, moved->number};
    sl_resident *resident = sl_id_find(&host->residents, id);
    if (resident && from == moved->place && moved->epoch >= resident->epoch)
        resident->unsure = false;
    if (!resident || resident->stage != SL_COMING)
        return;
    if (moved->place == host->rank) {
        if (moved->epoch <= resident->given_up_at)
            sl_resident_stray(host, resident, moved->epoch);
        return;
    }
    sl_letters held = resident->mailbox;
    resident->mailbox = (sl_letters){NULL, NULL, 0};
    for (sl_letter *letter; (letter = sl_letters_pop(&held));) {
        if (letter->epoch >= moved->epoch) { /* the home has not heard of it yet */
            sl_letters_push(&resident->mailbox, letter);
            continue;
        }
        sl_host_say_moved(host, letter->from, id, moved->epoch, moved->place);
        sl_letter_destroy(letter);
    }
    if (!resident->mailbox.head)
        sl_resident_become_gone(host, resident, moved->place, moved->epoch);
}

void sl_resident_refuse_held(sl_host *host, const sl_resident *resident, sl_err err, bool final,
                             const char *message) {
    for (sl_letter *letter = resident->mailbox.head; letter; letter = letter->next)
        sl_host_say_lost(host, letter->from, resident->node.id, 0, err, final, message);
}

/* What was given up here is remembered. */
void sl_resident_end_held(sl_host *host, sl_resident *resident, sl_err err, bool final,
                          const char *message) {
    sl_resident_refuse_held(host, resident, err, final, message);
    if (resident->given_up_at)
        sl_resident_bury(host, resident, resident->given_up_at);
    else
        sl_resident_destroy(host, resident);
}

void sl_host_resident_lost(sl_host *host, uint32_t from, const actor_lost *lost) {
    sl_resident *resident =
        sl_id_find(&host->residents, (sl_actor_id){lost->home, lost->life, lost->number});
    if (resident && resident->stage == SL_COMING && from == lost->home)
        sl_resident_end_held(host, resident,
                             lost->error < SL_ERR_COUNT ? (sl_err)lost->error : SL_ERR_DEAD, true,
                             lost->message.data);
}

void sl_host_residents_tick(sl_host *host) {
    for (uint32_t i = 0; i < host->residents.capacity; i++)
        for (sl_id_node *at = host->residents.buckets[i], *next; at; at = next) {
            sl_resident *resident = (sl_resident *)(void *)at;
            next = at->next;
            if (resident->stage != SL_COMING)
                continue;
            if (sl_host_is_alive(host, at->id.home))
                sl_host_ask_where(host, at->id);
            else
                sl_resident_end_held(host, resident, SL_ERR_DEAD, false,
                                     "the actor's home was lost");
        }
}

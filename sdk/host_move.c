/* Actors that leave for another node, or for their next life. */
#include <stdlib.h>

#include "runtime/log.h"
#include "sdk/host.h"

static void stay(sl_host *host, sl_resident *resident, sl_err err, const char *message) {
    actor_answer body = {
        .tag = resident->answer_tag, .error = (uint32_t)err, .message = sl_text_of(message)};
    if (resident->answer_tag)
        sl_host_answer(host, resident->answer_node, &body);
    else
        sl_warn("host", "an actor could not move to node %u: %s", resident->move_to, message);
    resident->moves = false;
    sl_blob_release(resident->saved);
    resident->saved = NULL;
}

static actor_passed *passed_of(actor_passed *list, uint32_t count, const sl_letter *letter) {
    for (uint32_t i = 0; i < count; i++)
        if (list[i].node == letter->from && list[i].life == letter->from_life)
            return &list[i];
    return NULL;
}

sl_err sl_resident_passed(const sl_resident *resident, actor_passed **list) {
    uint32_t count = resident->sender_count;
    actor_passed *passed = calloc(count + 1, sizeof *passed), *of;
    if (!passed)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to move an actor");
    for (uint32_t i = 0; i < count; i++) {
        const sl_sender *sender = &resident->senders[i];
        passed[i] = (actor_passed){sender->node, sender->life, sender->done};
    }
    for (const sl_letter *letter = resident->ran.head; letter; letter = letter->next)
        if ((of = passed_of(passed, count, letter)))
            of->next = letter->sequence + 1;
    *list = passed;
    return SL_OK;
}

static sl_err send_away(sl_host *host, sl_resident *resident) {
    sl_actor_id id = resident->node.id;
    actor_passed *passed;
    SL_TRY(sl_resident_passed(resident, &passed));
    actor_come body = {.home = id.home,
                       .life = id.life,
                       .number = id.number,
                       .epoch = resident->epoch + 1,
                       .answer_node = resident->answer_node,
                       .answer_tag = resident->answer_tag,
                       .kind = sl_text_of(resident->kind->name),
                       .supervised = resident->supervised,
                       .saves = resident->saves,
                       .save_every = resident->save_every,
                       .moves = true,
                       .passed = {passed, resident->sender_count},
                       .state = resident->saved};
    sl_err err = sl_host_post(host, resident->move_to, &actor_come_type, &body);
    free(passed);
    return err;
}

void sl_resident_depart(sl_host *host, sl_resident *resident) {
    uint32_t to = resident->move_to;
    if (!resident->saved) {
        stay(host, resident, SL_ERR_NO_MEMORY, "its state could not be saved");
        return;
    }
    if (!sl_host_serves(host, to)) {
        stay(host, resident, SL_ERR_INVALID, "no actors live on that node");
        return;
    }
    sl_err err = send_away(host, resident);
    if (err != SL_OK) {
        stay(host, resident, err, sl_err_text(err));
        return;
    }
    sl_resident_say_here(host, resident, to, resident->epoch + 1);
    for (uint32_t i = 0; i < resident->sender_count; i++)
        if (resident->senders[i].expected != resident->senders[i].done)
            sl_host_say_moved(host, resident->senders[i].node, resident->node.id,
                              resident->epoch + 1, to);
    sl_resident_become_gone(host, resident, to, resident->epoch + 1);
    resident->unsure = true;
}

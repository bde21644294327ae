/* What hosts say to each other in more than one place. */
#include "sdk/host.h"

bool sl_host_is_alive(const sl_host *host, uint32_t node) {
    return node == host->rank || sl_node_peer_alive(sl_actor_node(host->self), node);
}

void sl_host_say_moved(sl_host *host, uint32_t to, sl_actor_id id, uint64_t epoch, uint32_t place) {
    actor_moved body = {id.home, id.life, id.number, epoch, place};
    (void)actor_moved_send(host->self, sl_host_at(to), &body);
}

void sl_host_say_lost(sl_host *host, uint32_t to, sl_actor_id id, uint64_t epoch, sl_err err,
                      bool final, const char *message) {
    actor_lost body = {.home = id.home,
                       .life = id.life,
                       .number = id.number,
                       .epoch = epoch,
                       .error = (uint32_t)err,
                       .final = final,
                       .message = sl_text_of(message)};
    (void)actor_lost_send(host->self, sl_host_at(to), &body);
}

bool sl_host_answer(sl_host *host, uint32_t to, const actor_answer *body) {
    sl_err err = sl_host_post(host, to, &actor_answer_type, body);
    if (err == SL_OK || err == SL_ERR_DEAD)
        return err == SL_OK;
    actor_answer less = {.tag = body->tag,
                         .error = (uint32_t)err,
                         .message = sl_text_of("the answer could not be sent")};
    (void)sl_host_post(host, to, &actor_answer_type, &less);
    return false;
}

bool sl_host_serves(const sl_host *host, uint32_t node) {
    return node < host->count && atomic_load(&host->serves[node]);
}

size_t sl_host_encode_text(const char *text, uint8_t *wire, size_t size) {
    sl_value value = sl_string(text);
    sl_value_size measured;
    if (sl_values_measure(&value, 1, &measured) != SL_OK || measured.bytes > size)
        return 0;
    sl_values_encode(&value, 1, wire, NULL);
    return measured.bytes;
}

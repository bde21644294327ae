#include "runtime/arrivals.h"

#include <stdbool.h>
#include <stdlib.h>

sl_arrival *sl_arrival_create(uint32_t peer, uint64_t id, uint64_t bytes, sl_blob *blob) {
    sl_arrival *arrival = malloc(sizeof *arrival);
    if (arrival)
        *arrival = (sl_arrival){.id = id, .bytes = bytes, .blob = blob, .peer = peer};
    return arrival;
}

void sl_arrival_free(sl_arrival *arrival) {
    if (!arrival)
        return;
    sl_blob_release(arrival->blob);
    free(arrival);
}

void sl_arrivals_push(sl_arrivals *list, sl_arrival *arrival) {
    arrival->next = NULL;
    if (list->tail)
        list->tail->next = arrival;
    else
        list->head = arrival;
    list->tail = arrival;
}

sl_arrival *sl_arrivals_pop(sl_arrivals *list) {
    sl_arrival *first = list->head;
    if (first) {
        list->head = first->next;
        if (!list->head)
            list->tail = NULL;
    }
    return first;
}

sl_arrival *sl_arrivals_take(sl_arrivals *list, uint64_t id) {
    sl_arrival *before = NULL, *arrival = list->head;
    for (; arrival && arrival->id != id; arrival = arrival->next)
        before = arrival;
    if (!arrival || !before)
        return arrival ? sl_arrivals_pop(list) : NULL;
    before->next = arrival->next;
    if (list->tail == arrival)
        list->tail = before;
    return arrival;
}

void sl_arrivals_clear(sl_arrivals *list) {
    for (sl_arrival *arrival; (arrival = sl_arrivals_pop(list));)
        sl_arrival_free(arrival);
}

typedef bool gone(const sl_arrival *arrival, uint64_t number);

static bool is_of(const sl_arrival *arrival, uint64_t peer) {
    return arrival->peer == peer;
}

static bool is_below(const sl_arrival *arrival, uint64_t id) {
    return arrival->id < id;
}

static void drop(sl_arrivals *list, gone *is_gone, uint64_t number) {
    sl_arrivals all = *list;
    *list = (sl_arrivals){NULL, NULL};
    for (sl_arrival *arrival; (arrival = sl_arrivals_pop(&all));) {
        if (is_gone(arrival, number))
            sl_arrival_free(arrival);
        else
            sl_arrivals_push(list, arrival);
    }
}

void sl_arrivals_drop_peer(sl_arrivals *list, uint32_t peer) {
    drop(list, is_of, peer);
}

void sl_arrivals_drop_below(sl_arrivals *list, uint64_t id) {
    drop(list, is_below, id);
}

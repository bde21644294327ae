#include "actors/registry/watchers.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry.h"
#include "runtime/log.h"

enum { VIEW_MEMBERS = 256 }; /* in one message, so that none is very large */

void sl_watchers_fini(sl_watchers *watchers) {
    for (uint32_t i = 0; i < watchers->count; i++)
        sl_node_set_fini(&watchers->all[i].due);
    free(watchers->all);
    memset(watchers, 0, sizeof *watchers);
}

static sl_watcher *find(const sl_watchers *watchers, sl_addr at) {
    for (uint32_t i = 0; i < watchers->count; i++) {
        if (sl_addr_equal(watchers->all[i].at, at))
            return &watchers->all[i];
    }
    return NULL;
}

static void owe_all(sl_watcher *watcher, uint32_t nodes) {
    for (uint32_t node = 0; node < nodes; node++)
        sl_node_set_add(&watcher->due, node);
    watcher->seen = 0;
}

sl_err sl_watchers_add(sl_watchers *watchers, sl_addr at, uint32_t nodes) {
    sl_watcher *watcher = find(watchers, at);
    if (watcher) {
        owe_all(watcher, nodes);
        return SL_OK;
    }
    if (watchers->count == SL_REGISTRY_WATCHERS_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%u actors watch the registry already", watchers->count);
    sl_watcher *all = realloc(watchers->all, (watchers->count + 1) * sizeof *all);
    if (!all)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a watcher");
    watchers->all = all;
    watcher = &all[watchers->count];
    *watcher = (sl_watcher){.at = at};
    if (!sl_node_set_init(&watcher->due, nodes))
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a watcher");
    owe_all(watcher, nodes);
    watchers->count++;
    return SL_OK;
}

typedef struct view_page {
    registry_member entries[VIEW_MEMBERS];
    registry_offer offers[VIEW_MEMBERS];
    registry_age ages[VIEW_MEMBERS];
} view_page;

/* Whom this node does not hear is no better for it than a suspect, whatever others know. */
static registry_member seen(const sl_members *members, uint32_t node, registry_offer *offer) {
    registry_member entry = sl_member_wire(members, node, offer);
    if (sl_node_set_has(&members->held, node) && entry.state < SL_MEMBER_SUSPECTED)
        entry.state = SL_MEMBER_SUSPECTED;
    return entry;
}

/* Up to VIEW_MEMBERS members not yet told, from *next on, which moves on. What is not known is owed
 * when it is. */
static uint32_t collect(const sl_watcher *watcher, const sl_members *members, uint64_t now_ns,
                        uint32_t *next, view_page *page) {
    uint32_t count = 0;
    while (count < VIEW_MEMBERS && *next < members->count) {
        uint32_t node = sl_node_set_next(&watcher->due, *next);
        if (node == UINT32_MAX)
            break;
        *next = node + 1;
        if (!members->all[node].known)
            continue;
        page->entries[count] = seen(members, node, &page->offers[count]);
        page->ages[count].ms =
            node == members->self ? 0 : sl_member_ms(now_ns) - members->all[node].spoke_ms;
        count++;
    }
    return count;
}

static sl_err tell(sl_watcher *watcher, const sl_members *members, sl_actor *self,
                   uint64_t now_ns) {
    view_page page;
    uint32_t next = 0;
    while (watcher->seen < members->changes) {
        uint32_t count = collect(watcher, members, now_ns, &next, &page);
        if (!count) {
            watcher->seen = members->changes;
            break;
        }
        registry_view view = {.members = {page.entries, count}, .ages = {page.ages, count}};
        SL_TRY(registry_view_send(self, watcher->at, &view));
        for (uint32_t i = 0; i < count; i++)
            sl_node_set_remove(&watcher->due, page.entries[i].node);
    }
    return SL_OK;
}

static void take_news(sl_watchers *watchers, sl_members *members) {
    for (uint32_t word = 0; word < members->news.count; word++) {
        uint64_t news = members->news.words[word];
        if (!news)
            continue;
        for (uint32_t i = 0; i < watchers->count; i++)
            watchers->all[i].due.words[word] |= news;
        members->news.words[word] = 0;
    }
}

void sl_watchers_tell(sl_watchers *watchers, sl_members *members, sl_actor *self, uint64_t now_ns) {
    uint32_t kept = 0;
    take_news(watchers, members);
    for (uint32_t i = 0; i < watchers->count; i++) {
        sl_watcher watcher = watchers->all[i];
        sl_err err = tell(&watcher, members, self, now_ns);
        if (err == SL_ERR_DEAD) {
            sl_node_set_fini(&watcher.due);
            continue;
        }
        if (err == SL_ERR_AGAIN)
            sl_await_room(self, watcher.at);
        else if (err != SL_OK)
            sl_warn("registry", "cannot tell an actor of the network: %s", sl_err_detail());
        watchers->all[kept++] = watcher;
    }
    watchers->count = kept;
}

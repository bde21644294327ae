#include "actors/registry/watchers.h"

#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry.h"
#include "runtime/log.h"

enum { VIEW_MEMBERS = 256 }; /* in one message, so that none is very large */

void sl_watchers_fini(sl_watchers *watchers) {
    for (uint32_t i = 0; i < watchers->count; i++)
        free(watchers->all[i].told);
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

sl_err sl_watchers_add(sl_watchers *watchers, sl_addr at, uint32_t nodes) {
    sl_watcher *watcher = find(watchers, at);
    if (watcher) {
        memset(watcher->told, 0, nodes * sizeof *watcher->told);
        watcher->seen = 0;
        return SL_OK;
    }
    if (watchers->count == SL_REGISTRY_WATCHERS_MAX)
        return sl_fail(SL_ERR_TOO_LARGE, "%u actors watch the registry already", watchers->count);
    sl_watcher *all = realloc(watchers->all, (watchers->count + 1) * sizeof *all);
    if (!all)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a watcher");
    watchers->all = all;
    uint64_t *told = calloc(nodes, sizeof *told);
    if (!told)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a watcher");
    all[watchers->count++] = (sl_watcher){.at = at, .told = told};
    return SL_OK;
}

/* Whom this node does not hear is no better for it than a suspect, whatever others know. */
static registry_member seen(const sl_members *members, uint32_t node) {
    registry_member entry = sl_member_wire(members, node);
    if (members->all[node].held && entry.state < SL_MEMBER_SUSPECTED)
        entry.state = SL_MEMBER_SUSPECTED;
    return entry;
}

/* Up to VIEW_MEMBERS members not yet told, from *next on, which moves on. */
static uint32_t collect(const sl_watcher *watcher, const sl_members *members, uint32_t *next,
                        registry_member *entries) {
    uint32_t count = 0;
    for (; *next < members->count && count < VIEW_MEMBERS; ++*next) {
        const sl_member *member = &members->all[*next];
        if (member->known && member->changed > watcher->told[*next])
            entries[count++] = seen(members, *next);
    }
    return count;
}

static sl_err tell(sl_watcher *watcher, const sl_members *members, sl_actor *self) {
    registry_member entries[VIEW_MEMBERS];
    uint32_t next = 0;
    while (watcher->seen < members->changes) {
        uint32_t count = collect(watcher, members, &next, entries);
        if (!count) {
            watcher->seen = members->changes;
            break;
        }
        registry_view view = {.members = {entries, count}};
        SL_TRY(registry_view_send(self, watcher->at, &view));
        for (uint32_t i = 0; i < count; i++)
            watcher->told[entries[i].node] = members->changes;
    }
    return SL_OK;
}

void sl_watchers_tell(sl_watchers *watchers, const sl_members *members, sl_actor *self) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < watchers->count; i++) {
        sl_watcher watcher = watchers->all[i];
        sl_err err = tell(&watcher, members, self);
        if (err == SL_ERR_DEAD) {
            free(watcher.told);
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

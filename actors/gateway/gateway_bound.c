/* How much commands write: of each project as much as its quota says, and nothing into the last of
 * the disk.
 *
 * Design notes
 * A command writes its files itself, so that nobody stands between it and them: they are looked at,
 * five times a second, while commands of projects with a quota run. Beyond the quota what is kept
 * of ended commands goes first; then the command that has written most is ended, and its files are
 * cut to what is left for them, again and again until it is gone, as it may go on writing. So there
 * is more than the quota for the time between two looks. A command that is done before anybody
 * looked is treated alike, and fails: half an output must not look like a whole one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"

#define LOOK_NS (SL_NS_PER_S / 5)

/* ---- what is counted ---- */

static uint64_t all_of(const gw_entry *entry) {
    return entry->written[0] + entry->written[1];
}

static void count_output(gw_entry *entry, uint64_t out, uint64_t err) {
    entry->project->written_bytes -= all_of(entry);
    entry->written[0] = out;
    entry->written[1] = err;
    entry->project->written_bytes += all_of(entry);
}

void gw_uncount_output(gw_entry *entry) {
    count_output(entry, 0, 0);
}

void gw_watch(gateway *gw, gw_entry *entry) {
    if (entry->watched)
        return;
    entry->watched = true;
    entry->before_watched = NULL;
    entry->next_watched = gw->watched;
    if (gw->watched)
        gw->watched->before_watched = entry;
    gw->watched = entry;
}

void gw_unwatch(gateway *gw, gw_entry *entry) {
    if (!entry->watched)
        return;
    entry->watched = false;
    if (entry->before_watched)
        entry->before_watched->next_watched = entry->next_watched;
    else
        gw->watched = entry->next_watched;
    if (entry->next_watched)
        entry->next_watched->before_watched = entry->before_watched;
}

const char *gw_no_room(const gateway *gw, const gw_project *project) {
    uint64_t most = project->quota.output_bytes;
    if (gw->disk_is_full)
        return "the disk for what commands write is nearly full: ask who runs the network";
    uint64_t kept = project->output_bytes; /* it can go */
    if (most && project->written_bytes >= kept && project->written_bytes - kept >= most)
        return "the project's commands have written as much as its quota allows: wait for some, or "
               "let go of some that have ended";
    return NULL;
}

/* ---- too much ---- */

static gw_entry *largest_of(const gateway *gw, const gw_project *project) {
    gw_entry *found = NULL;
    for (gw_entry *entry = gw->watched; entry; entry = entry->next_watched)
        if (entry->project == project && !entry->full && all_of(entry) &&
            (!found || all_of(entry) > all_of(found)))
            found = entry;
    return found;
}

/* It is to be `excess` bytes smaller, or empty: of the larger of the two files first. */
static void fill(gateway *gw, gw_entry *entry, uint64_t excess) {
    char why[160];
    uint64_t had = all_of(entry), left[2] = {entry->written[0], entry->written[1]};
    for (int n = 0; n < 2; n++) {
        int i = (left[1] > left[0]) != n;
        uint64_t less = excess < left[i] ? excess : left[i];
        left[i] -= less;
        excess -= less;
    }
    entry->full = true;
    count_output(entry, left[0], left[1]);
    snprintf(why, sizeof why,
             "it wrote %llu bytes, more than the project's quota of output (%llu bytes) has room "
             "for: the rest was cut off",
             (unsigned long long)had, (unsigned long long)entry->project->quota.output_bytes);
    free(entry->message);
    entry->message = strdup(why);
    gw_audit_of(gw, entry->project, "output", "cut", "command %llx: %s",
                (unsigned long long)entry->id, why);
    if (entry->task)
        gw_cancel_task(gw, entry->task);
}

/* True when there is something to be cut. */
static bool keep_within(gateway *gw, const gw_project *project) {
    uint64_t most = project->quota.output_bytes;
    bool cut = false;
    while (most && project->written_bytes > most) {
        if (project->output_bytes && gw_drop_oldest(gw, project))
            continue;
        gw_entry *entry = largest_of(gw, project);
        if (!entry)
            return cut; /* those who ended hold it, and their clients them */
        fill(gw, entry, project->written_bytes - most);
        cut = true;
    }
    return cut;
}

/* ---- looking ---- */

typedef struct looked_at {
    uint64_t id;
    uint64_t bytes[2]; /* that are there; of one that is full: that may be */
    bool cut;
} looked_at;

typedef struct gw_looks {
    sl_job job; /* first */
    char *directory;
    uint64_t reserve_bytes;
    bool disk_is_full;
    uint32_t count;
    looked_at list[];
} gw_looks;

static void drop_looks(sl_event *event) {
    gw_looks *looks = (gw_looks *)(void *)event;
    free(looks->directory);
    free(looks);
}

/* On a thread of the pool. */
static void look(gw_looks *looks, looked_at *at) {
    char path[GW_PATH_BYTES];
    struct stat info;
    for (int stream = 0; stream < 2; stream++) {
        snprintf(path, sizeof path, "%.4000s/%llx.%s", looks->directory, (unsigned long long)at->id,
                 stream ? "err" : "out");
        if (at->cut)
            gw_cut_file(path, at->bytes[stream]);
        else
            at->bytes[stream] =
                stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    }
}

static void run_looks(sl_job *job) {
    gw_looks *looks = (gw_looks *)(void *)job;
    struct statvfs disk;
    for (uint32_t i = 0; i < looks->count; i++)
        look(looks, &looks->list[i]);
    looks->disk_is_full = statvfs(looks->directory, &disk) == 0 &&
                          (uint64_t)disk.f_bavail * disk.f_frsize < looks->reserve_bytes;
}

static bool is_bounded(const gw_entry *entry) {
    return entry->project->quota.output_bytes || entry->full;
}

static gw_looks *make_looks(const gateway *gw) {
    uint32_t count = 0;
    for (const gw_entry *entry = gw->watched; entry; entry = entry->next_watched)
        count += is_bounded(entry);
    gw_looks *looks = calloc(1, sizeof *looks + count * sizeof looks->list[0]);
    char *directory = strdup(gw->options.output);
    if (!looks || !directory) {
        free(looks);
        free(directory);
        return NULL;
    }
    *looks = (gw_looks){
        .job = {.event = {.to = sl_self(gw->self), .kind = GW_EVENT_LOOKED, .drop = drop_looks},
                .run = run_looks},
        .directory = directory,
        .reserve_bytes = gw->options.reserve_bytes};
    for (const gw_entry *entry = gw->watched; entry; entry = entry->next_watched)
        if (is_bounded(entry))
            looks->list[looks->count++] = (looked_at){
                entry->id,
                {entry->full ? entry->written[0] : 0, entry->full ? entry->written[1] : 0},
                entry->full};
    return looks;
}

void gw_look_at_disk(gateway *gw) {
    if (gw->looking || gw->will_look || !gw->options.output)
        return;
    gw_looks *looks = make_looks(gw);
    if (!looks)
        return; /* a second later */
    gw->looking = true;
    sl_pool_post(gw->options.fetchers, &looks->job);
}

void gw_on_looked(gateway *gw, sl_event *event) {
    gw_looks *looks = (gw_looks *)(void *)event;
    bool cut = false;
    gw->looking = false;
    for (uint32_t i = 0; i < looks->count; i++) {
        gw_entry *entry = gw_find_entry(gw, looks->list[i].id);
        if (entry && entry->watched && !entry->full)
            count_output(entry, looks->list[i].bytes[0], looks->list[i].bytes[1]);
    }
    for (gw_project *project = gw->projects; project; project = project->next)
        cut |= keep_within(gw, project);
    if (looks->disk_is_full != gw->disk_is_full)
        gw_audit_of(gw, NULL, "output", looks->disk_is_full ? "disk full" : "ok",
                    "less than %llu bytes free: %s", (unsigned long long)gw->options.reserve_bytes,
                    looks->disk_is_full ? "no commands are taken" : "not any more");
    gw->disk_is_full = looks->disk_is_full;
    if (gw->disk_is_full)
        (void)gw_drop_oldest(gw, NULL); /* one for each look: what it frees is seen by the next */
    if (cut)
        gw_look_at_disk(gw);
    else if (looks->count || gw->disk_is_full)
        gw->will_look = sl_timer_start(gw->self, LOOK_NS, GW_TIMER_LOOK) != 0;
    drop_looks(event);
}

/* ---- the end ---- */

static void clip(uint64_t bytes, uint64_t *all, uint32_t *head) {
    *all = *all < bytes ? *all : bytes;
    *head = *head < bytes ? *head : (uint32_t)bytes;
}

void gw_bound_output(gateway *gw, gw_entry *entry, gw_heads *heads) {
    gw_watch(gw, entry);
    if (!entry->full)
        count_output(entry, heads->out_bytes, heads->err_bytes);
    (void)keep_within(gw, entry->project);
    if (!entry->full)
        return;
    clip(entry->written[0], &heads->out_bytes, &heads->out_count);
    clip(entry->written[1], &heads->err_bytes, &heads->err_count);
    count_output(entry, heads->out_bytes, heads->err_bytes);
    gw_cut_output(gw, entry);
    if (entry->ended.status == SL_TASK_DONE)
        entry->project->failed++;
    entry->ended.status = SL_TASK_FAILED;
}

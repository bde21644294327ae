/* How long a node may be silent, by the link to it: kinds of links have defaults, the options
 * --suspect-ms and --dead-ms set them for all, and --link-timing for a kind or a pair of regions.
 *
 * The defaults, and what they stand up to:
 *   same-host    suspected after 2 s, dead after 10 s. The kernel tells at once of a rank that has
 *                ended; one that is merely silent waits for a core, or is frozen.
 *   same-region  0.3 s and 0.45 s for a node that is alone on its host: between hosts silence is
 *                all there is. Of ten beats a second two may be lost, or late by what the kernel
 *                lets a waking thread wait, before anybody is suspected; all who listen ask it
 *                then, and it has the time of another beat and a half to answer one of them.
 *                Where other nodes share its host, these tell at once when its process ends; so
 *                silence means a host that stands still or is starved, and that counts after 1.5
 *                s only. A node that stood still itself does not count that time, one whose peers
 *                stutter waits longer (see SL_TIMING_GAPS), and no node is dead while another one
 *                hears it.
 *   regions      0.9 s and 3 s, and three times the measured way there and back beyond the
 *                suspicion: a lost packet may cost two or three of these. */
#ifndef SL_REGISTRY_TIMING_H
#define SL_REGISTRY_TIMING_H

#include "actors/registry/location.h"
#include "actors/registry/members.h"

enum {
    SL_TIMING_RULES_MAX = 32,
    SL_TIMING_GAPS = 2, /* dead is at least so many times the longest gap between its beats … */
    SL_TIMING_STRETCH = 10 /* … but at most so many times what is set */
};

typedef enum sl_link_kind {
    SL_LINK_SAME_HOST,
    SL_LINK_SAME_REGION,
    SL_LINK_REGIONS,
    SL_LINK_KINDS
} sl_link_kind;

/* 0: as the kind of the link, or its default. */
typedef struct sl_link_timing {
    uint64_t suspect_ns;
    uint64_t dead_ns;
} sl_link_timing;

typedef struct sl_link_rule {
    char regions[2 * SL_LOCATION_NAME_MAX]; /* "eu-us": of these two, either way */
    sl_link_timing timing;
} sl_link_rule;

/* Plain data: copied by value. Zeroed: the defaults. */
typedef struct sl_link_timings {
    sl_link_timing all;
    sl_link_timing kinds[SL_LINK_KINDS];
    sl_link_rule rules[SL_TIMING_RULES_MAX];
    uint32_t rule_count;
} sl_link_timings;

/* Adds what `text` says: LINK:suspect=TIME,dead=TIME;LINK:…, where LINK is same-host, same-region,
 * regions, or two regions' names with a - between, and TIME as a duration option's, bare numbers in
 * ms. INVALID with a text for the user. */
sl_err sl_link_timings_parse(sl_link_timings *timings, const char *text) SL_CHECKED;

/* INVALID when some link would be dead before it is suspected, or suspected sooner than after two
 * beats of `period_ns`. */
sl_err sl_link_timings_check(const sl_link_timings *timings, uint64_t period_ns) SL_CHECKED;

/* The longest dead time of any link, as set. */
uint64_t sl_link_timings_longest_ns(const sl_link_timings *timings);

sl_link_kind sl_link_kind_of(const sl_member *a, const sl_member *b);

/* Of the link between two nodes, as set. `witnessed`: others share the host of the node that is
 * listened to. */
sl_link_timing sl_link_timing_of(const sl_link_timings *timings, const sl_member *a,
                                 const sl_member *b, bool witnessed);

/* The same, with what was measured on it: the longest gap between two beats, and the way there and
 * back (0: not known). */
sl_link_timing sl_link_timing_stretch(sl_link_timing timing, uint64_t gap_ns, uint64_t rtt_ns,
                                      uint64_t period_ns);

#endif

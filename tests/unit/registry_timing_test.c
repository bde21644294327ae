/* How long a node may be silent, by the link to it. */
#include "actors/registry/timing.h"
#include "tests/lib/test.h"

#include <stdlib.h>

#include "runtime/clock.h"

#define MS SL_NS_PER_MS

static sl_member member_of(const char *host, const char *region) {
    registry_offer offer = {.cores = 1};
    registry_member entry = {.host = sl_text_of(host),
                             .region = sl_text_of(region),
                             .zone = sl_text_of(""),
                             .offer = {&offer, 1}};
    sl_member member = {.profile = sl_profile_take(&entry)};
    if (!member.profile)
        exit(1);
    return member;
}

static void check_link(const sl_link_timings *timings, const char *host, const char *region,
                       bool witnessed, uint64_t suspect_ms, uint64_t dead_ms) {
    sl_member here = member_of("a", "us-west"), there = member_of(host, region);
    sl_link_timing timing = sl_link_timing_of(timings, &here, &there, witnessed);
    CHECK_INT(timing.suspect_ns, suspect_ms * MS);
    CHECK_INT(timing.dead_ns, dead_ms * MS);
    timing = sl_link_timing_of(timings, &there, &here, witnessed); /* the same from the other end */
    CHECK_INT(timing.suspect_ns, suspect_ms * MS);
    sl_profile_drop(here.profile);
    sl_profile_drop(there.profile);
}

TEST(each_kind_of_link_has_its_defaults) {
    sl_link_timings none = {.rule_count = 0};
    check_link(&none, "a", "us-west", true, 2000, 10000);
    check_link(&none, "b", "us-west", false, 300, 450);
    check_link(&none, "b", "us-west", true, 300, 1500);
    check_link(&none, "b", "eu", false, 900, 3000);
    check_link(&none, "", "us-west", false, 300, 450);
    CHECK_INT(sl_link_timings_check(&none, 100 * MS), SL_OK);
}

TEST(what_is_set_for_all_holds_for_all_and_a_link_of_its_own_before_it) {
    sl_link_timings timings = {.all = {400 * MS, 900 * MS}};
    CHECK_INT(
        sl_link_timings_parse(
            &timings, "same-host:suspect=1s,dead=10000;us-west-eu:suspect=700;eu-us-west:dead=2s;"),
        SL_OK);
    check_link(&timings, "a", "us-west", false, 1000, 10000);
    check_link(&timings, "b", "us-west", true, 400, 900);
    check_link(&timings, "b", "eu", false, 700, 2000);
    check_link(&timings, "b", "asia", false, 400, 900);
    CHECK_INT(sl_link_timings_check(&timings, 100 * MS), SL_OK);
    CHECK_INT(sl_link_timings_longest_ns(&timings), 10000 * MS);
}

TEST(what_is_no_timing_is_refused_with_the_reason) {
    static const struct {
        const char *text, *why;
    } bad[] = {{"same-host", "no :"},
               {"nowhere:suspect=1s", "not same-host"},
               {"same-host:dead=soon", "not a time"},
               {"same-host:dead=1ms", "not a time from 20ms"},
               {"same-host:dead=", "neither"},
               {"same-host:dies=3s", "neither"},
               {"same-host:", "neither"},
               {";same-host:dead=3s", "no :"},
               {":dead=3s", "not same-host"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sl_link_timings timings = {.rule_count = 0};
        CHECK_INT(sl_link_timings_parse(&timings, bad[i].text), SL_ERR_INVALID);
        CHECK_CONTAINS(sl_err_detail(), bad[i].why);
    }
    sl_link_timings timings = {.rule_count = 0};
    char text[64];
    for (int i = 0; i < SL_TIMING_RULES_MAX; i++) {
        snprintf(text, sizeof text, "a-%d:dead=9s", i);
        CHECK_INT(sl_link_timings_parse(&timings, text), SL_OK);
        CHECK_INT(sl_link_timings_parse(&timings, text), SL_OK); /* the same again takes no room */
    }
    CHECK_INT(sl_link_timings_parse(&timings, "a-b:dead=9s"), SL_ERR_INVALID);
}

TEST(times_that_contradict_each_other_are_refused) {
    sl_link_timings soon = {.all = {150 * MS, 900 * MS}}, late = {.all = {900 * MS, 900 * MS}};
    sl_link_timings pair = {.rule_count = 0};
    CHECK_INT(sl_link_timings_check(&soon, 100 * MS), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "two beats");
    CHECK_INT(sl_link_timings_check(&late, 100 * MS), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "time to answer");
    CHECK_INT(sl_link_timings_parse(&pair, "eu-us:dead=500"), SL_OK);
    CHECK_INT(sl_link_timings_check(&pair, 100 * MS), SL_ERR_INVALID); /* suspected after 900 */
    CHECK_CONTAINS(sl_err_detail(), "eu-us");
}

TEST(a_link_that_stutters_or_is_long_is_given_more_time) {
    sl_link_timing timing = {300 * MS, 500 * MS};
    CHECK_INT(sl_link_timing_stretch(timing, 0, 0, 100 * MS).dead_ns, 500 * MS);
    CHECK_INT(sl_link_timing_stretch(timing, 200 * MS, 0, 100 * MS).dead_ns, 500 * MS);
    CHECK_INT(sl_link_timing_stretch(timing, 800 * MS, 0, 100 * MS).dead_ns, 1600 * MS);
    CHECK_INT(sl_link_timing_stretch(timing, 60000 * MS, 0, 100 * MS).dead_ns, 5000 * MS);
    CHECK_INT(sl_link_timing_stretch(timing, 0, 200 * MS, 100 * MS).dead_ns, 1000 * MS);
    CHECK_INT(sl_link_timing_stretch(timing, 0, 200 * MS, 100 * MS).suspect_ns, 300 * MS);
}

#include "mpi/regions.h"

#include "tests/lib/test.h"

/* An environment of name, value pairs, NULL at the end. */
static const char *from_pairs(void *context, const char *name) {
    for (const char *const *pair = context; *pair; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}
#define ENV(...) (&(sl_env){from_pairs, (const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL}})

/* "region region …" of all ranks, or the error's cause. */
static const char *spread(const char *flag, uint32_t count) {
    static char text[1024];
    size_t used = 0;
    for (uint32_t rank = 0; rank < count; rank++) {
        sl_regions_place place;
        sl_regions_query query = {flag, NULL, "n1", rank, count, ENV(NULL)};
        if (sl_regions_locate(&query, &place) != SL_OK)
            return sl_err_detail();
        CHECK_STR(place.source, "--regions");
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", rank ? " " : "",
                                 place.region);
    }
    return text;
}

TEST(flag_counts) {
    CHECK_STR(spread("us-west:2,eu-central:1", 3), "us-west us-west eu-central");
    CHECK_STR(spread("a:1,b:1,a:1", 3), "a b a");
    CHECK_STR(spread("a:1,b", 4), "a b b b");
    CHECK_STR(spread("a:4", 4), "a a a a");
}

TEST(flag_blocks) {
    CHECK_STR(spread("a", 3), "a a a");
    CHECK_STR(spread("a,b", 5), "a a a b b");
    CHECK_STR(spread("a,b,c", 7), "a a a b b c c");
    CHECK_STR(spread("a,b,c,d", 4), "a b c d");
    CHECK_STR(spread("a,b,a,b", 4), "a b a b");
}

TEST(flag_that_does_not_fit) {
    CHECK_STR(spread("a:2,b:2", 5), "--regions places 4 ranks, and there are 5");
    CHECK_STR(spread("a:2,b:2", 3), "--regions places 4 ranks, and there are 3");
    CHECK_STR(spread("a:3,b", 3),
              "--regions places 3 of 3 ranks before the last region: none is left for it");
    CHECK_STR(spread("a,b,c", 2), "--regions names 3 regions for 2 ranks: each needs one at least");
}

TEST(flag_syntax) {
    static const char *const bad[] = {
        "",      ",",       "a,",           ",a",   "a,,b",    "a:",  "a:0",
        "a:x",   "a:-1",    "a:1:2",        "a b",  "-a",      "a/b", "a:1,b,c:1",
        "a,b:1", "a:1,b,c", "a:4294967297", "a: 1", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sl_regions_check(bad[i]) != SL_ERR_SYNTAX)
            sl_test_fail(__FILE__, __LINE__, "\"%s\" was accepted", bad[i]);
    CHECK_INT(sl_regions_check("a:1,b"), SL_OK);
    CHECK_INT(sl_regions_check("a.1_x-y,B"), SL_OK);
    char name[80];
    memset(name, 'n', sizeof name);
    name[63] = '\0';
    CHECK_INT(sl_regions_check(name), SL_OK);
    name[63] = 'n', name[64] = '\0';
    CHECK_INT(sl_regions_check(name), SL_ERR_SYNTAX);
    static char many[2 * SL_REGIONS_MAX + 2];
    for (int i = 0; i <= SL_REGIONS_MAX; i++)
        memcpy(many + 2 * i, i < SL_REGIONS_MAX ? "a," : "a", 2);
    CHECK_INT(sl_regions_check(many), SL_ERR_TOO_LARGE);
    many[2 * SL_REGIONS_MAX - 1] = '\0';
    CHECK_INT(sl_regions_check(many), SL_OK);
}

/* Region and source of a rank with no flag, as "region <source". */
static const char *found(const sl_topology_file *file, const char *host, const sl_env *env) {
    static char text[512];
    sl_regions_place place;
    sl_regions_query query = {NULL, file, host, 0, 1, env};
    if (sl_regions_locate(&query, &place) != SL_OK)
        return sl_err_detail();
    snprintf(text, sizeof text, "%s <%s", place.region, place.source);
    return text;
}

#define TOPOLOGY                                                                                   \
    "SLURM_TOPOLOGY_ADDR", "wan.us-west.n1", "SLURM_TOPOLOGY_ADDR_PATTERN", "switch.switch.node"

TEST(order_of_sources) {
    sl_topology_file *file = NULL;
    const char *text = "n1 rule\n";
    REQUIRE(sl_topology_file_parse(text, strlen(text), "f.txt", &file) == SL_OK);
    CHECK_STR(found(file, "n1", ENV("STARLANE_NODE_REGION", "mine", TOPOLOGY)),
              "mine <STARLANE_NODE_REGION");
    CHECK_STR(found(file, "n1", ENV(TOPOLOGY)), "rule <f.txt:1");
    CHECK_STR(found(file, "n2", ENV(TOPOLOGY, "SLURM_JOB_PARTITION", "p")),
              "us-west <SLURM_TOPOLOGY_ADDR");
    CHECK_STR(found(file, "n2", ENV("SLURM_JOB_PARTITION", "p")), "p <SLURM_JOB_PARTITION");
    CHECK_STR(found(file, "n2", ENV(NULL)), "local <default");
    CHECK_STR(found(NULL, "n1", ENV("STARLANE_NODE_REGION", "")), "local <default");
    sl_regions_place place;
    sl_regions_query query = {"flag", file, "n1", 0, 1, ENV("STARLANE_NODE_REGION", "mine")};
    REQUIRE(sl_regions_locate(&query, &place) == SL_OK);
    CHECK_STR(place.region, "flag");
    CHECK_STR(place.source, "--regions");
    sl_topology_file_destroy(file);
}

TEST(coordinates_follow_the_region) {
    sl_topology_file *file = NULL;
    const char *text = "n1 us-west zone=a lat=45.5 lon=-121\n";
    REQUIRE(sl_topology_file_parse(text, strlen(text), "f.txt", &file) == SL_OK);
    sl_regions_place place;
    sl_regions_query query = {"us-west", file, "n1", 0, 1, ENV(NULL)};
    REQUIRE(sl_regions_locate(&query, &place) == SL_OK);
    CHECK_STR(place.zone, "a");
    CHECK(place.has_coordinates);
    CHECK_DOUBLE(place.latitude, 45.5, 0);
    CHECK_DOUBLE(place.longitude, -121, 0);
    query.flag = "elsewhere";
    REQUIRE(sl_regions_locate(&query, &place) == SL_OK);
    CHECK_STR(place.zone, "");
    CHECK(!place.has_coordinates);
    sl_topology_file_destroy(file);
}

static const char *by_topology(const char *address, const char *pattern) {
    return found(NULL, "n1",
                 ENV("SLURM_TOPOLOGY_ADDR", address, "SLURM_TOPOLOGY_ADDR_PATTERN", pattern));
}

TEST(topology) {
    CHECK_STR(by_topology("wan.eu.rack7.n1", "switch.switch.switch.node"),
              "eu <SLURM_TOPOLOGY_ADDR");
    /* One switch, or none (topology/none), tells no region. */
    CHECK_STR(by_topology("leaf.n1", "switch.node"), "local <default");
    CHECK_STR(by_topology("n1", "node"), "local <default");
    /* An address that does not keep its pattern's word. */
    CHECK_STR(by_topology("n1", "switch.switch.node"), "local <default");
    CHECK_STR(by_topology("wan.us-west", "switch.switch.node"), "local <default");
    CHECK_STR(by_topology("wan.s[0-1].n1", "switch.switch.node"), "local <default");
    CHECK_STR(by_topology("wan..n1", "switch.switch.node"), "local <default");
    CHECK_STR(found(NULL, "n1", ENV("SLURM_TOPOLOGY_ADDR", "wan.us-west.n1")), "local <default");
}

/* What a task of a het step sees under Slurm 22.05, SLURM_JOB_PARTITION included: it is another
 * component's. */
#define HET_NODES                                                                                  \
    "SLURM_HET_SIZE", "2", "SLURM_JOB_PARTITION", "wrong", "SLURM_JOB_NODELIST_HET_GROUP_0",       \
        "n[1-2]", "SLURM_JOB_NODELIST_HET_GROUP_1", "n3"
#define HET_NAMES(stem, first, second) stem "_HET_GROUP_0", first, stem "_HET_GROUP_1", second

TEST(het_groups) {
    CHECK_STR(found(NULL, "n3", ENV(HET_NODES, HET_NAMES("SLURM_JOB_PARTITION", "us", "eu"))),
              "eu <SLURM_JOB_PARTITION_HET_GROUP_1");
    CHECK_STR(found(NULL, "other",
                    ENV(HET_NODES, "SLURMD_NODENAME", "n2",
                        HET_NAMES("SLURM_JOB_PARTITION", "us", "eu"))),
              "us <SLURM_JOB_PARTITION_HET_GROUP_0");
    CHECK_STR(found(NULL, "n2",
                    ENV(HET_NODES, HET_NAMES("SLURM_JOB_PARTITION", "all", "all"),
                        HET_NAMES("SLURM_JOB_NAME", "west", "east"))),
              "west <SLURM_JOB_NAME_HET_GROUP_0");
    CHECK_STR(found(NULL, "n3",
                    ENV(HET_NODES, HET_NAMES("SLURM_JOB_PARTITION", "all", "all"),
                        HET_NAMES("SLURM_JOB_NAME", "job", "job"))),
              "het-group-1 <SLURM_JOB_NODELIST_HET_GROUP_*");
    CHECK_STR(found(NULL, "n3", ENV(HET_NODES, HET_NAMES("SLURM_JOB_PARTITION", "us", "e u"))),
              "het-group-1 <SLURM_JOB_NODELIST_HET_GROUP_*");
}

TEST(het_group_unknown) {
    CHECK_STR(found(NULL, "n9", ENV(HET_NODES, HET_NAMES("SLURM_JOB_PARTITION", "us", "eu"))),
              "local <default");
    CHECK_STR(found(NULL, "n1",
                    ENV("SLURM_JOB_NODELIST_HET_GROUP_0", "n1", "SLURM_JOB_NODELIST_HET_GROUP_1",
                        "n[1-2]", "SLURM_HET_SIZE", "2")),
              "local <default");
}

TEST(environment_errors) {
    CHECK_CONTAINS(found(NULL, "n1", ENV("STARLANE_NODE_REGION", "a b")),
                   "STARLANE_NODE_REGION is \"a b\"");
    CHECK_STR(found(NULL, "n1", ENV("SLURM_JOB_PARTITION", "a b")), "local <default");
}

#include "mpi/topology_file.h"

#include "tests/lib/test.h"

static sl_err parse(const char *text, sl_topology_file **file) {
    return sl_topology_file_parse(text, strlen(text), "topology.txt", file);
}

/* The text is refused with `err`, and the cause is exactly `cause`. */
static void check_refused(const char *text, sl_err err, const char *cause) {
    sl_topology_file *file = NULL;
    CHECK_INT(parse(text, &file), err);
    CHECK(file == NULL);
    CHECK_CONTAINS(sl_err_detail(), cause);
}

TEST(rules) {
    sl_topology_file *file = NULL;
    REQUIRE(parse("# who is where\n"
                  "n[1-2]\tus-west  zone=a lat=45.6 lon=-121.2 # Oregon\r\n"
                  "\n"
                  "  *.fra.example eu-central lon=8.7 lat=50.1\n"
                  "n*.fra.example never\n"
                  "n* sa-east",
                  &file) == SL_OK);
    const sl_topology_rule *rule = sl_topology_file_find(file, "n2.oregon.example");
    REQUIRE(rule != NULL);
    CHECK_STR(rule->region, "us-west");
    CHECK_STR(rule->zone, "a");
    CHECK(rule->has_coordinates);
    CHECK_DOUBLE(rule->latitude, 45.6, 0);
    CHECK_DOUBLE(rule->longitude, -121.2, 0);
    CHECK_INT(rule->line, 2);
    rule = sl_topology_file_find(file, "N3.FRA.example");
    REQUIRE(rule != NULL);
    CHECK_STR(rule->region, "eu-central");
    CHECK_STR(rule->zone, "");
    CHECK_DOUBLE(rule->latitude, 50.1, 0);
    rule = sl_topology_file_find(file, "n9");
    REQUIRE(rule != NULL);
    CHECK_STR(rule->region, "sa-east");
    CHECK(!rule->has_coordinates);
    CHECK(sl_topology_file_find(file, "login") == NULL);
    CHECK(sl_topology_file_find(NULL, "n1") == NULL);
    CHECK_STR(sl_topology_file_name(file), "topology.txt");
    sl_topology_file_destroy(file);
}

TEST(errors_name_the_line) {
    check_refused("n1 a\nn2\n", SL_ERR_SYNTAX,
                  "topology.txt:2: no region after the host pattern \"n2\"");
    check_refused("n1 a b\n", SL_ERR_SYNTAX, "topology.txt:1: \"b\" is not key=value");
    check_refused("n1 a town=x\n", SL_ERR_SYNTAX, "topology.txt:1: unknown key \"town\"");
    check_refused("n1 a zone=x zone=y\n", SL_ERR_SYNTAX, "topology.txt:1: zone is given twice");
    check_refused("n1 a lat=3\n", SL_ERR_SYNTAX, "topology.txt:1: lat and lon belong together");
    check_refused("n1 a lon=3\n", SL_ERR_SYNTAX, "topology.txt:1: lat and lon belong together");
    check_refused("n1 a lat=90.5 lon=3\n", SL_ERR_SYNTAX,
                  "topology.txt:1: lat \"90.5\" is not a number of degrees");
    check_refused("n1 a lat=9 lon=-181\n", SL_ERR_SYNTAX, "topology.txt:1: lon \"-181\" is not");
    check_refused("n1 a lat=nan lon=1\n", SL_ERR_SYNTAX, "topology.txt:1: lat \"nan\" is not");
    check_refused("n1 a lat= lon=1\n", SL_ERR_SYNTAX, "topology.txt:1: lat \"\" is not");
    check_refused("n1 a lat=1x lon=1\n", SL_ERR_SYNTAX, "topology.txt:1: lat \"1x\" is not");
    check_refused("n1 -a\n", SL_ERR_SYNTAX, "topology.txt:1: region \"-a\" is not a name");
    check_refused("n1 a/b\n", SL_ERR_SYNTAX, "topology.txt:1: region \"a/b\" is not a name");
    check_refused("n1 a zone=\n", SL_ERR_SYNTAX, "topology.txt:1: zone \"\" is not a name");
    check_refused("n1 a\x01\n", SL_ERR_SYNTAX, "topology.txt:1: control character 0x01");
    check_refused("*a*b*c*d*e a\n", SL_ERR_SYNTAX,
                  "topology.txt:1: the host pattern is too long or has too many");
    check_refused("# nothing\n", SL_ERR_SYNTAX, "topology.txt: no rules");
    check_refused("", SL_ERR_SYNTAX, "topology.txt: no rules");
}

TEST(bounds) {
    static char line[2000];
    memset(line, 'x', sizeof line - 1);
    check_refused(line, SL_ERR_TOO_LARGE, "topology.txt:1: the line has more than");
    line[200] = '\0';
    check_refused(line, SL_ERR_SYNTAX, "topology.txt:1: the host pattern is too long");
    char name[80];
    snprintf(name, sizeof name, "n1 %.63s\n", line);
    sl_topology_file *file = NULL;
    REQUIRE(parse(name, &file) == SL_OK);
    CHECK_INT(strlen(sl_topology_file_find(file, "n1")->region), 63);
    sl_topology_file_destroy(file);
    snprintf(name, sizeof name, "n1 %.64s\n", line);
    check_refused(name, SL_ERR_SYNTAX, "is not a name");
}

TEST(too_many_rules) {
    size_t rules = SL_TOPOLOGY_FILE_RULES_MAX + 1;
    char *text = malloc(rules * 4 + 1);
    REQUIRE(text != NULL);
    for (size_t i = 0; i < rules; i++)
        memcpy(text + i * 4, "a b\n", 5);
    check_refused(text, SL_ERR_TOO_LARGE, "topology.txt:16385: more than 16384 rules");
    sl_topology_file *file = NULL;
    CHECK_INT(sl_topology_file_parse(text, (rules - 1) * 4, "topology.txt", &file), SL_OK);
    sl_topology_file_destroy(file);
    free(text);
}

TEST(files) {
    char path[256];
    sl_topology_file *file = NULL;
    snprintf(path, sizeof path, "%s/file", sl_test_dir());
    CHECK_INT(sl_topology_file_load(path, &file), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), path);
    CHECK_INT(sl_topology_file_load(sl_test_dir(), &file), SL_ERR_IO);
    FILE *stream = fopen(path, "w");
    REQUIRE(stream != NULL);
    fputs("n1 us-west\n", stream);
    fclose(stream);
    REQUIRE(sl_topology_file_load(path, &file) == SL_OK);
    CHECK_STR(sl_topology_file_find(file, "n1")->region, "us-west");
    sl_topology_file_destroy(file);
    stream = fopen(path, "w");
    REQUIRE(stream != NULL);
    for (unsigned i = 0; i <= SL_TOPOLOGY_FILE_MAX; i++)
        fputc('\n', stream);
    fclose(stream);
    CHECK_INT(sl_topology_file_load(path, &file), SL_ERR_TOO_LARGE);
}

#include "mpi/sites.h"

#include "tests/lib/test.h"

static sl_err parse(const char *text, sl_sites **sites) {
    return sl_sites_parse(text, strlen(text), "sites.txt", sites);
}

/* The text is refused with `err`, and the cause is exactly `cause`. */
static void check_refused(const char *text, sl_err err, const char *cause) {
    sl_sites *sites = NULL;
    CHECK_INT(parse(text, &sites), err);
    CHECK(sites == NULL);
    CHECK_CONTAINS(sl_err_detail(), cause);
}

TEST(rules) {
    sl_sites *sites = NULL;
    REQUIRE(parse("# who is where\n"
                  "n[1-2]\tus-west  zone=a lat=45.6 lon=-121.2 # Oregon\r\n"
                  "\n"
                  "  *.fra.example eu-central lon=8.7 lat=50.1\n"
                  "n*.fra.example never\n"
                  "n* sa-east",
                  &sites) == SL_OK);
    const sl_site *site = sl_sites_find(sites, "n2.oregon.example");
    REQUIRE(site != NULL);
    CHECK_STR(site->region, "us-west");
    CHECK_STR(site->zone, "a");
    CHECK(site->has_coordinates);
    CHECK_DOUBLE(site->latitude, 45.6, 0);
    CHECK_DOUBLE(site->longitude, -121.2, 0);
    CHECK_INT(site->line, 2);
    site = sl_sites_find(sites, "N3.FRA.example");
    REQUIRE(site != NULL);
    CHECK_STR(site->region, "eu-central");
    CHECK_STR(site->zone, "");
    CHECK_DOUBLE(site->latitude, 50.1, 0);
    site = sl_sites_find(sites, "n9");
    REQUIRE(site != NULL);
    CHECK_STR(site->region, "sa-east");
    CHECK(!site->has_coordinates);
    CHECK(sl_sites_find(sites, "login") == NULL);
    CHECK(sl_sites_find(NULL, "n1") == NULL);
    CHECK_STR(sl_sites_name(sites), "sites.txt");
    sl_sites_destroy(sites);
}

TEST(errors_name_the_line) {
    check_refused("n1 a\nn2\n", SL_ERR_SYNTAX,
                  "sites.txt:2: no region after the host pattern \"n2\"");
    check_refused("n1 a b\n", SL_ERR_SYNTAX, "sites.txt:1: \"b\" is not key=value");
    check_refused("n1 a town=x\n", SL_ERR_SYNTAX, "sites.txt:1: unknown key \"town\"");
    check_refused("n1 a zone=x zone=y\n", SL_ERR_SYNTAX, "sites.txt:1: zone is given twice");
    check_refused("n1 a lat=3\n", SL_ERR_SYNTAX, "sites.txt:1: lat and lon belong together");
    check_refused("n1 a lon=3\n", SL_ERR_SYNTAX, "sites.txt:1: lat and lon belong together");
    check_refused("n1 a lat=90.5 lon=3\n", SL_ERR_SYNTAX,
                  "sites.txt:1: lat \"90.5\" is not a number of degrees");
    check_refused("n1 a lat=9 lon=-181\n", SL_ERR_SYNTAX, "sites.txt:1: lon \"-181\" is not");
    check_refused("n1 a lat=nan lon=1\n", SL_ERR_SYNTAX, "sites.txt:1: lat \"nan\" is not");
    check_refused("n1 a lat= lon=1\n", SL_ERR_SYNTAX, "sites.txt:1: lat \"\" is not");
    check_refused("n1 a lat=1x lon=1\n", SL_ERR_SYNTAX, "sites.txt:1: lat \"1x\" is not");
    check_refused("n1 -a\n", SL_ERR_SYNTAX, "sites.txt:1: region \"-a\" is not a name");
    check_refused("n1 a/b\n", SL_ERR_SYNTAX, "sites.txt:1: region \"a/b\" is not a name");
    check_refused("n1 a zone=\n", SL_ERR_SYNTAX, "sites.txt:1: zone \"\" is not a name");
    check_refused("n1 a\x01\n", SL_ERR_SYNTAX, "sites.txt:1: control character 0x01");
    check_refused("*a*b*c*d*e a\n", SL_ERR_SYNTAX,
                  "sites.txt:1: the host pattern is too long or has too many");
    check_refused("# nothing\n", SL_ERR_SYNTAX, "sites.txt: no rules");
    check_refused("", SL_ERR_SYNTAX, "sites.txt: no rules");
}

TEST(bounds) {
    static char line[2000];
    memset(line, 'x', sizeof line - 1);
    check_refused(line, SL_ERR_TOO_LARGE, "sites.txt:1: the line has more than");
    line[200] = '\0';
    check_refused(line, SL_ERR_SYNTAX, "sites.txt:1: the host pattern is too long");
    char name[80];
    snprintf(name, sizeof name, "n1 %.63s\n", line);
    sl_sites *sites = NULL;
    REQUIRE(parse(name, &sites) == SL_OK);
    CHECK_INT(strlen(sl_sites_find(sites, "n1")->region), 63);
    sl_sites_destroy(sites);
    snprintf(name, sizeof name, "n1 %.64s\n", line);
    check_refused(name, SL_ERR_SYNTAX, "is not a name");
}

TEST(too_many_rules) {
    size_t rules = SL_SITES_RULES_MAX + 1;
    char *text = malloc(rules * 4 + 1);
    REQUIRE(text != NULL);
    for (size_t i = 0; i < rules; i++)
        memcpy(text + i * 4, "a b\n", 5);
    check_refused(text, SL_ERR_TOO_LARGE, "sites.txt:16385: more than 16384 rules");
    sl_sites *sites = NULL;
    CHECK_INT(sl_sites_parse(text, (rules - 1) * 4, "sites.txt", &sites), SL_OK);
    sl_sites_destroy(sites);
    free(text);
}

TEST(files) {
    char path[256];
    sl_sites *sites = NULL;
    snprintf(path, sizeof path, "%s/sites", sl_test_dir());
    CHECK_INT(sl_sites_load(path, &sites), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), path);
    CHECK_INT(sl_sites_load(sl_test_dir(), &sites), SL_ERR_IO);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fputs("n1 us-west\n", file);
    fclose(file);
    REQUIRE(sl_sites_load(path, &sites) == SL_OK);
    CHECK_STR(sl_sites_find(sites, "n1")->region, "us-west");
    sl_sites_destroy(sites);
    file = fopen(path, "w");
    REQUIRE(file != NULL);
    for (unsigned i = 0; i <= SL_SITES_FILE_MAX; i++)
        fputc('\n', file);
    fclose(file);
    CHECK_INT(sl_sites_load(path, &sites), SL_ERR_TOO_LARGE);
}

/* What a node and its spawner say to each other. */
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "actors/executor/process_wire.h"
#include "runtime/rng.h"
#include "tests/lib/test.h"

static const uint32_t cpus[] = {3, 5, 8191};
static const char *const argv[] = {"echo", "", "two words", NULL};
static const char *const env[] = {"A=1", "B", NULL};

static sl_process_spec full_spec(void) {
    return (sl_process_spec){.argv = argv,
                             .env = env,
                             .cwd = "/somewhere",
                             .stdin_path = "in",
                             .stdout_path = "out",
                             .stderr_path = "err",
                             .outputs_anew = true,
                             .timeout_ns = 1234567890123,
                             .kill_grace_ns = 5,
                             .cpus = cpus,
                             .cpu_count = 3,
                             .cuda_visible_devices = ""};
}

TEST(spec_round_trip) {
    sl_process_spec spec = full_spec(), back;
    unsigned char *bytes;
    size_t size;
    void *arrays;
    REQUIRE(sl_process_spec_encode(&spec, &bytes, &size) == SL_OK);
    REQUIRE(sl_process_spec_decode(bytes, size, &back, &arrays) == SL_OK);
    for (int i = 0; i < 3; i++)
        CHECK_STR(back.argv[i], argv[i]);
    CHECK(!back.argv[3]);
    CHECK_STR(back.env[0], "A=1");
    CHECK_STR(back.env[1], "B");
    CHECK(!back.env[2]);
    CHECK_STR(back.cwd, "/somewhere");
    CHECK_STR(back.stdin_path, "in");
    CHECK_STR(back.stdout_path, "out");
    CHECK_STR(back.stderr_path, "err");
    CHECK(back.outputs_anew);
    CHECK_STR(back.cuda_visible_devices, "");
    CHECK(back.timeout_ns == spec.timeout_ns && back.kill_grace_ns == spec.kill_grace_ns);
    CHECK(back.cpu_count == 3 && memcmp(back.cpus, cpus, sizeof cpus) == 0);
    free(arrays);
    free(bytes);
}

TEST(the_least_spec) {
    sl_process_spec spec = {.argv = (const char *const[]){"x", NULL}}, back;
    unsigned char *bytes;
    size_t size;
    void *arrays;
    REQUIRE(sl_process_spec_encode(&spec, &bytes, &size) == SL_OK);
    REQUIRE(sl_process_spec_decode(bytes, size, &back, &arrays) == SL_OK);
    CHECK(!back.cwd && !back.stdin_path && !back.stdout_path && !back.cuda_visible_devices);
    CHECK(!back.outputs_anew);
    CHECK(!back.env[0] && !back.argv[1] && back.cpu_count == 0);
    free(arrays);
    free(bytes);
}

/* Every prefix, and every byte changed, in an allocation of exactly that size: a read past the end
 * is seen by the sanitizer. */
TEST(cut_and_flipped_specs_do_no_harm) {
    sl_process_spec spec = full_spec(), back;
    unsigned char *bytes;
    size_t size;
    sl_rng rng;
    sl_rng_seed(&rng, 7);
    REQUIRE(sl_process_spec_encode(&spec, &bytes, &size) == SL_OK);
    for (size_t length = 0; length < size; length++) {
        unsigned char *cut = malloc(length ? length : 1);
        void *arrays = NULL;
        memcpy(cut, bytes, length);
        CHECK_INT(sl_process_spec_decode(cut, length, &back, &arrays), SL_ERR_DECODE);
        CHECK(!arrays);
        free(cut);
    }
    for (int i = 0; i < 20000; i++) {
        void *arrays = NULL;
        size_t at = sl_rng_below(&rng, size);
        unsigned char kept = bytes[at];
        bytes[at] = (unsigned char)sl_rng_u64(&rng);
        if (sl_process_spec_decode(bytes, size, &back, &arrays) == SL_OK)
            CHECK(back.argv[0] && back.cpu_count == 3);
        free(arrays);
        bytes[at] = kept;
    }
    free(bytes);
}

static void check_request(int ends[2], size_t size, bool with_stdin) {
    unsigned char *spec = malloc(size ? size : 1), *got = NULL;
    char text[8] = {0};
    int file = -1, received = -1;
    memset(spec, 0xa5, size);
    if (with_stdin)
        CHECK_INT(sl_process_memory_file("hello", 5, &file), SL_OK);
    sl_spawner_request back, request = {7, 6, SL_SPAWNER_RUN, (uint32_t)size};
    CHECK_INT(sl_spawner_send_request(ends[0], &request, spec, file), SL_OK);
    CHECK_INT(sl_spawner_receive_request(ends[1], &back, &got, &received), SL_OK);
    CHECK(back.handle == 7 && back.after == 6 && back.order == SL_SPAWNER_RUN &&
          back.spec_bytes == size);
    CHECK(size == 0 || (got && memcmp(got, spec, size) == 0));
    CHECK((received >= 0) == with_stdin);
    if (received >= 0) {
        CHECK_INT(read(received, text, sizeof text), 5);
        CHECK_STR(text, "hello");
        CHECK(fcntl(received, F_GETFD) & FD_CLOEXEC);
        close(received);
        close(file);
    }
    free(spec);
    free(got);
}

TEST(requests_of_every_size) {
    static const size_t sizes[] = {0, 1, 100, 16383, 16384, 16385, 100000, 3000000};
    int ends[2];
    REQUIRE(sl_spawner_pair(ends) == SL_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_request(ends, sizes[i], false);
        check_request(ends, sizes[i], true);
    }
    close(ends[0]);
    close(ends[1]);
}

TEST(full_and_closed_sockets) {
    int ends[2], sent = 0, stdin_fd;
    unsigned char *spec = NULL;
    sl_spawner_request request = {.handle = 1, .order = SL_SPAWNER_CANCEL}, back;
    sl_spawner_reply reply = {.handle = 5}, got;
    sl_err err;
    REQUIRE(sl_spawner_pair(ends) == SL_OK);
    CHECK_INT(sl_spawner_receive_request(ends[1], &back, &spec, &stdin_fd), SL_ERR_AGAIN);
    CHECK_INT(sl_spawner_receive_reply(ends[0], &got), SL_ERR_AGAIN);
    while ((err = sl_spawner_send_request(ends[0], &request, NULL, -1)) == SL_OK && sent < 1000000)
        sent++;
    CHECK_INT(err, SL_ERR_AGAIN);
    for (int i = 0; i < sent; i++)
        CHECK_INT(sl_spawner_receive_request(ends[1], &back, &spec, &stdin_fd), SL_OK);
    CHECK_INT(sl_spawner_send_reply(ends[1], &reply), SL_OK);
    CHECK_INT(sl_spawner_receive_reply(ends[0], &got), SL_OK);
    CHECK_INT(got.handle, 5);
    close(ends[1]);
    CHECK_INT(sl_spawner_send_request(ends[0], &request, NULL, -1), SL_ERR_CLOSED);
    CHECK_INT(sl_spawner_receive_reply(ends[0], &got), SL_ERR_CLOSED);
    close(ends[0]);
}

TEST(garbage_packets_are_refused) {
    int ends[2], stdin_fd;
    unsigned char *spec = NULL, bytes[600] = {0};
    sl_spawner_request back;
    sl_spawner_reply got;
    REQUIRE(sl_spawner_pair(ends) == SL_OK);
    for (size_t size = 1; size < sizeof bytes; size += 7) {
        memset(bytes, 0xff, size);
        CHECK_INT(write(ends[0], bytes, size), size);
        CHECK_INT(sl_spawner_receive_request(ends[1], &back, &spec, &stdin_fd), SL_ERR_DECODE);
        CHECK_INT(write(ends[1], bytes, size), size);
        CHECK_INT(sl_spawner_receive_reply(ends[0], &got), SL_ERR_DECODE);
    }
    CHECK(!spec);
    close(ends[0]);
    close(ends[1]);
}

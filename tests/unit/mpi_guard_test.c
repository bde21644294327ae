#include "mpi/guard.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

TEST(addresses) {
    char address[14] = "";
    REQUIRE(sl_mpi_guard_address("pmix-server.12;tcp4://127.0.0.1:4711", address));
    CHECK_STR(address, "0100007F:1267");
    REQUIRE(sl_mpi_guard_address("x;tcp4://255.254.253.252:65535;more", address));
    CHECK_STR(address, "FCFDFEFF:FFFF");
}

TEST(no_addresses) {
    static const char *const bad[] = {"",
                                      "x;tcp6://[::1]:4711",
                                      "tcp4://",
                                      "tcp4://1.2.3:4",
                                      "tcp4://256.0.0.1:4",
                                      "tcp4://1.2.3.4:0",
                                      "tcp4://1.2.3.4:65536",
                                      "tcp4://1.2.3.4"};
    char address[14];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!sl_mpi_guard_address(bad[i], address));
}

#define LINE(remote, state)                                                                        \
    "   3: 0100007F:C35A " remote " " state " 00000000:00000000 00:00000000 00000000     0       " \
    " 0 31337 1 0000000000000000 20 4 30 10 -1"

TEST(lines) {
    CHECK_INT(sl_mpi_guard_inode(LINE("0100007F:1267", "01"), "0100007F:1267"), 31337);
    CHECK_INT(sl_mpi_guard_inode(LINE("0100007F:1268", "01"), "0100007F:1267"), 0);
    CHECK_INT(sl_mpi_guard_inode(LINE("0100007F:1267", "06"), "0100007F:1267"), 0);
    CHECK_INT(sl_mpi_guard_inode("  sl  local_address rem_address   st", "0100007F:1267"), 0);
    CHECK_INT(sl_mpi_guard_inode("", "0100007F:1267"), 0);
}

/* Without a PMIx server the child is only started, and its end is passed on. */
TEST(children) {
    int code = -1;
    const char *exits[] = {"sh", "-c", "exit 7", NULL};
    REQUIRE(sl_mpi_guard(exits, &code) == SL_OK);
    CHECK_INT(code, 7);
    const char *killed[] = {"sh", "-c", "kill -KILL $$", NULL};
    REQUIRE(sl_mpi_guard(killed, &code) == SL_OK);
    CHECK_INT(code, 128 + SIGKILL);
    const char *none[] = {"/nonexistent/program", NULL};
    CHECK(sl_mpi_guard(none, &code) == SL_ERR_NOT_FOUND);
}

TEST(signals_go_on) {
    int status = 0;
    pid_t guard = fork();
    if (guard == 0) {
        int code = 1;
        const char *waits[] = {
            "sh", "-c", "trap 'exit 9' USR2; kill -USR2 $PPID; while :; do sleep 0.01; done", NULL};
        _exit(sl_mpi_guard(waits, &code) == SL_OK ? code : 1);
    }
    REQUIRE(waitpid(guard, &status, 0) == guard);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 9);
}

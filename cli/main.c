/* The command `starlane`: finds the subcommand and runs it. */
#include <string.h>
#include <time.h>

#include "cli/cli.h"

const cli_command cli_commands[] = {
    {"run", "[OPTION...] FILE | - | -- COMMAND [ARGUMENT...]", "run a list of tasks",
     "FILE holds JSON Lines, an object a task, or with --shell a shell command a line; - is "
     "standard\n"
     "input. --array and --each-line make many tasks of one. Exit code: 0 every task succeeded,\n"
     "1 some did not, 2 bad input (nothing was run), 75 ended early and can be resumed, 130 "
     "Ctrl-C.\n"
     "With --connect the tasks run in a network that is up; without its ledger.\n",
     "run network remote", cli_run},
    {"launch", "[-n RANKS] [OPTION...] -- PROGRAM [ARGUMENT...]", "start the ranks of a job",
     "Starts PROGRAM, such as starlane run, with mpirun or srun, and with the flags with which "
     "the\n"
     "other ranks go on when one dies. A run whose first rank dies is started again, with the "
     "rest\n"
     "of its tasks. Exit code: the run's, or the launcher's where there was none.\n",
     "launch", cli_launch},
    {"rerun", "[OPTION...] DIR", "run tasks of an earlier run again",
     "Runs the finished tasks of the run in DIR again, with --failed only those that failed, were\n"
     "cancelled or skipped, and then what was not finished.\n",
     "rerun network", cli_rerun},
    {"explain", "[OPTION...] DIR [TASK]", "say why a task waits, or ran where it did",
     "Reads the run in DIR, live or ended. Without TASK it tells of the run as a whole.\n",
     "explain", cli_explain},
    {"topo", "[OPTION...]", "show the nodes of the network: hardware, UCU, offer", NULL,
     "topo network", cli_topo},
    {"simulate", "[OPTION...]", "run whole networks in virtual time, with faults from a seed",
     "Each seed decides what there is to do and what goes wrong; a seed that fails prints the "
     "line\n"
     "that replays it. Exit code: 0 nothing was lost, doubled or left over, 1 a seed failed, 2 "
     "bad\n"
     "input.\n",
     "simulate", cli_simulate},
    {"guard", "-- PROGRAM [ARGUMENT...]",
     "keep srun or hydra from ending a job whose rank has died",
     "What starlane launch puts before PROGRAM under srun: runs it, and holds its connection to\n"
     "Slurm's PMIx server as long as the job may need it. Exit code: PROGRAM's.\n",
     "guard", cli_guard},
    {"identity",
     "create DIR ROLE [NAME [PROJECT]] | show DIR | sign DIR REQUEST CERTIFICATE [DAYS] | renew "
     "DIR "
     "[DAYS]",
     "make and certify the keys of nodes and clients",
     "create makes the identity of a node, a client or an authority (ROLE) in DIR, and a request\n"
     "for a certificate in DIR/certificate. sign has the authority in DIR sign a REQUEST, for "
     "DAYS\n"
     "(365): the new file CERTIFICATE then takes the place of the request. show tells what is "
     "public,\n"
     "also the fingerprint that others pin. renew gives a client a new encryption key, for DAYS; "
     "what "
     "was\n"
     "sealed to the one before opens no more.\n",
     "identity", cli_identity},
    {"up", "[OPTION...]", "keep a network running, for clients from outside",
     "Prints the URL that clients connect to; they need an API key (starlane key). Ends by SIGINT "
     "or\n"
     "SIGTERM, with exit code 0; tasks under way are cancelled then.\n",
     "network", cli_up},
    {"down", "--connect URL --project NAME [--drain TIME]",
     "end a network that starlane up keeps running",
     "It takes no more tasks, lets those under way go on for --drain, and stops. The API key must "
     "have\n"
     "the scope admin. Ends when the network has.\n",
     "remote down", cli_down},
    {"audit", "--connect URL --project NAME [--lines N]",
     "show the last lines of a gateway's audit log", "The API key must have the scope admin.\n",
     "remote audit", cli_audit},
    {"key", "create --project NAME | list | revoke ID | quota --project NAME",
     "make, list and revoke API keys, and set quotas",
     "create prints a new key, once; only a hash of it is kept. quota sets what a project may use: "
     "the\n"
     "four quotas, those not given to none. A gateway heeds changes within a second or two. list "
     "and\n"
     "revoke are done from outside with --connect URL --project NAME and an API key with the scope "
     "admin.\n",
     "key remote", cli_key},
    {"submit",
     "--connect URL --project NAME {FUNCTION [TEXT] | --module FILE [--function NAME] "
     "[ARGUMENT...] | "
     "-- COMMAND [ARGUMENT...]}",
     "run a function or a command in a network, from outside",
     "Prints what the function answers, or the command writes, and ends with the command's exit "
     "code.\n"
     "With --detach it prints an id, and leaves: starlane wait and logs take that. The API key\n"
     "is in STARLANE_API_KEY. With\n"
     "--module the function is a task of a shared object of your own: an ARGUMENT that is a number "
     "is\n"
     "given as one (i64, or f64 with a point or an exponent), i64:, f64:, f32: and string: before "
     "it "
     "say\n"
     "which, file:PATH gives the bytes of a file, and all else is a string. The key must have the "
     "scope\n"
     "module; for a command the scope command.\n",
     "remote submit", cli_submit},
    {"wait", "--connect URL --project NAME ID...", "wait for what was detached to end",
     "Prints a line for each: id, how it ended, exit code. Exit code: 0 all are done, 1 some are "
     "not.\n",
     "remote", cli_wait},
    {"cancel", "--connect URL --project NAME {ID... | --all-of NAME}",
     "take commands of the project back",
     "With a key that has the scope admin those of any project, or with --all-of all tasks of "
     "one.\n",
     "remote cancel", cli_cancel},
    {"logs", "--connect URL --project NAME [--follow] [--errors] ID...",
     "show what commands have written so far, and calls answered", NULL, "remote logs", cli_logs},
    {"top", "--connect URL --project NAME", "show a project and the network's nodes, live",
     "Again each second on a terminal, else once.\n", "remote top", cli_top},
    {"status", "--connect URL --project NAME [--all]", "show how a project is doing in a network",
     "The API key is in STARLANE_API_KEY; for --all it must have the scope admin.\n",
     "remote status", cli_status},
    {"config", "[OPTION...]", "show every option, its value, and where it came from",
     "With flags, shows what would be in force with them.\n", "config run network", cli_config},
    {"version", "", "show the version", NULL, "version", cli_version},
    {"help", "[COMMAND]", "show this list, or the help of a command", NULL, "help", cli_help},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

static int unknown(const char *word, const char *nearest) {
    if (!cli_speaks())
        return CLI_BAD_USAGE;
    fprintf(stderr, "starlane: there is no command %.80s", word);
    if (nearest)
        fprintf(stderr, "; did you mean %s?\n", nearest);
    else
        fprintf(stderr, "; starlane help lists them\n");
    return CLI_BAD_USAGE;
}

/* A launcher ends the job at the first rank that fails, which must not be before the one that
 * speaks has said why. Where that one has ended, the launcher ends this wait too. */
static void let_it_be_said(void) {
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
}

int main(int argc, char **argv) {
    const char *nearest = NULL;
    if (argc < 2) {
        if (cli_speaks())
            cli_print_commands(stderr);
        else
            let_it_be_said();
        return CLI_BAD_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    if (strcmp(word, "--version") == 0)
        word = "version";
    const cli_command *command = cli_find(word, &nearest);
    int code = command ? command->run(command, argc - 1, argv + 1) : unknown(word, nearest);
    if (!command || command->run != cli_guard) /* the guarded program tells of itself */
        sl_launch_exits(code);
    if (code == CLI_BAD_USAGE && !cli_speaks())
        let_it_be_said();
    return code;
}

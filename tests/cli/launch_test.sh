#!/usr/bin/env bash
# starlane launch: the words it makes, the codes it ends with, and signals on their way to the ranks.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
export TMPDIR=$scratch/tmp # what other launches leave there is not this test's
mkdir "$TMPDIR"

# --- what it is asked for ---
code 0 starlane launch -n 3 --dry-run -- true "two words" && shows "mpirun " && shows " -n 3 " && shows "'two words'"
code 0 starlane launch --ranks 3 --launcher-args "--tag-output" --dry-run -- true && shows " --tag-output true"
code 0 starlane launch -n 3 --spares 2 --dry-run -- true && shows " -x STARLANE_SPARES=2 -n 5 "
code 0 starlane launch --help && shows "--restarts"
code 2 starlane launch -n 0 -- true && says "--ranks"
code 2 starlane launch -n many -- true && says "--ranks"
code 2 starlane launch --launcher lamboot -- true && says "is not one of"
code 2 starlane launch -n 2 && says "no program"
code 2 starlane launch -n 2 -- && says "no program"
code 2 starlane launch -n 2 run list && says "behind --"
code 2 starlane launch -- nosuchprogram && says "no program nosuchprogram"
code 2 starlane launch -- ./nosuchprogram && says "cannot be run"
code 2 starlane launch --launcher srun -- true && says "allocation"
code 2 env PATH="$scratch" "$command_path" launch -- "$command_path" && says "no mpirun"
code 2 starlane guard && says "behind --"
code 127 starlane guard -- nosuchprogram && says "cannot be started"
code 5 starlane guard -- sh -c 'exit 5'

# --- what the ranks end with is what launch ends with ---
job() { "$command_path" launch -n 3 -- "$command_path" "$@"; }
printf 'true\nsleep 0.1\n' >good
code 0 job run --shell --output good.out good && says "2 done"
holds "it says nothing of dying ranks" -z "$(grep 'should a rank die' "$err")"
code 0 ranks 2 run --shell --output plain.out good && says "should a rank die"
code 1 job run --output bad.out -- false && says "1 failed"
code 2 job run nosuch && says "nosuch"
code 2 job run --spares 3 -- true && says "only 2 can stand by" # a bare mpirun may end the first rank before it says so
code 0 "$command_path" launch -n 2 --spares 1 -- "$command_path" topo && shows "spare: "
code 2 job run --nosuch && says "unknown flag"
code 0 job topo --json && shows '"rank": 2'
code 2 job launch -- true && says "rank of a job already"
holds "nothing is left" -z "$(ls -d .starlane-launch-* "$TMPDIR"/.starlane-launch-* 2>/dev/null)"

# --- the ranks offer each core of the machine, and none twice ---
cores() {
    python3 -c 'import json, sys
offers = [rank["offer"] for rank in json.load(open(sys.argv[1]))]
print(sorted(c for o in offers for c in o["core_ids"]), round(sum(o["core_shares"] for o in offers), 3))' "$out"
}
code 0 starlane topo --json
all=$(cores)
code 0 starlane launch -n 1 -- "$command_path" topo --json && holds "one rank's cores" "$(cores)" = "$all"
if [ "$(nproc)" -gt 1 ]; then
    code 0 starlane launch -n 2 -- "$command_path" topo --json && holds "two ranks' cores" "$(cores)" = "$all"
fi
code 0 env OMPI_MCA_hwloc_base_binding_policy=core "$command_path" launch -n 1 -- "$command_path" topo --json
holds "a binding that was chosen" "$(cores | tr -cd , | wc -c)" = 0

# --- a task is no rank of the job, and what it starts tells launch nothing ---
env="env | grep STARLANE_LAUNCH"
code 1 job run --output env.out -- sh -c "$env" && says "1 failed"
code 0 job run --output outer -- "$command_path" run --output inner -- true
contains outer/summary.json '"done": 1'

# --- signals ---
launch() {
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$command_path" launch -n 3 -- "$command_path" "$@" >"$out" 2>"$err" </dev/null &
    process=$!
}
ended_with() {
    wait "$process"
    holds "exit code" "$?" = "$1"
}
for signal in INT:130 TERM:75 USR2:75; do
    name=${signal%:*}
    echo "touch $name.on; sleep 60" >"$name.list"
    launch run --shell --output "$name" "$name.list"
    await test -e "$name.on"
    kill -"$name" "$process"
    ended_with "${signal#*:}"
    says "to go on: starlane run --resume"
    holds "$name: the ledger is closed" ! -e "$name/ledger.db-wal"
done
echo 'trap "" TERM INT; touch stays.on; while :; do sleep 0.1; done' >stays.list
launch run --shell --output stays stays.list
await test -e stays.on
kill -INT "$process"
await grep -q "interrupted" "$err"
kill -INT "$process"
ended_with 130
holds "no rank is left" -z "$(pgrep -f "^$command_path run --shell --output stays")"

# --- a rank that dies before all have begun: nobody waits for it ---
mkfifo early
rank() { # N of the job that was launched
    local pid
    for pid in $(pgrep -f "^$command_path run --shell --output early.out"); do
        tr '\0' '\n' <"/proc/$pid/environ" | grep -q "^OMPI_COMM_WORLD_RANK=$1$" && echo "$pid" && return
    done
    return 1
}
joined() { # they have found each other, and wait for the first one's word
    local pid
    pid=$(rank 1) && [ "$(find "/proc/$pid/fd" -lname '*pidfd*' | wc -l)" -ge 2 ]
}
for victim in 1 0; do
    launch run --shell --output early.out early
    exec 7>early
    await joined
    kill -KILL "$(rank $victim)"
    await grep -q "rank $victim on .* was lost before all had begun" "$err"
    exec 7>&-
    ended_with 1
done
says "the first rank is lost"

# --- one that dies while MPI starts, which MPI would wait for ---
cat >dies_early <<'RANK'
#!/bin/sh
[ "$OMPI_COMM_WORLD_RANK" = 1 ] && kill -KILL $$
exec "$@"
RANK
chmod +x dies_early
code 1 starlane launch -n 3 -- ./dies_early "$command_path" run --start-timeout 3s --array 1-4 -- true
says "--start-timeout" && says "not over after 3 s"

# --- what the launcher says of programs that do not tell ---
code 0 starlane launch -n 2 -- true

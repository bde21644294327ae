#!/usr/bin/env bash
# Ctrl-C, SIGTERM and SIGUSR2: running tasks are ended, the ledger is closed, the run can be resumed.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

# An interactive shell's jobs may be interrupted; a script's background jobs ignore SIGINT.
launch() {
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$@" >"$out" 2>"$err" </dev/null &
    process=$!
}
ended_with() {
    wait "$process"
    holds "exit code" "$?" = "$1"
}
tasks() { # KEY
    cat <<TASKS
{"name": "quick", "shell": "echo quick >>$1.trail"}
{"name": "long", "shell": "echo long >>$1.trail; touch $1.on; sleep \${LONG:-60}; touch $1.off"}
{"name": "next", "shell": "echo next >>$1.trail", "after": ["long"]}
TASKS
}

for signal in INT:130 TERM:75 USR2:75; do
    name=${signal%:*}
    tasks "$name" >"$name.jsonl"
    launch "$command_path" run --nodes 2 --output "$name" "$name.jsonl"
    await test -e "$name.on"
    await grep -q '"quick"' "$name/results.jsonl"
    kill -"$name" "$process"
    ended_with "${signal#*:}"
    says "to go on: starlane run --resume"
    holds "$name: the task was ended" -z "$(pgrep -f "touch $name.off")"
    holds "$name: it is not counted" "$(wc -l <"$name/results.jsonl")" = 1
    contains "$name/summary.json" '"unfinished": 2'
    holds "$name: the ledger is closed" ! -e "$name/ledger.db-wal"
    code 0 env LONG=0 "$command_path" run --resume "$name"
    holds "$name: resumed" "$(sort "$name.trail" | tr '\n' ' ')" = "long long next quick "
    holds "$name: all have a result" "$(wc -l <"$name/results.jsonl")" = 3
done

# --- tasks that will not go are killed; a second Ctrl-C ends the run at once ---
echo '{"name": "stays", "shell": "trap \"\" TERM INT; touch stays.on; while :; do sleep 0.1; done"}' >stays.jsonl
launch "$command_path" run --output stays stays.jsonl
await test -e stays.on
kill -TERM "$process"
ended_with 75
rm stays.on
launch "$command_path" run --output twice stays.jsonl
await test -e stays.on
kill -INT "$process"
await grep -q "interrupted" "$err"
kill -INT "$process"
ended_with 130
await test -z "$(pgrep -f 'touch stays.on')"
echo '{"name": "pause", "function": "starlane.sleep", "args": "0.3"}' >function.jsonl
launch "$command_path" run --output function function.jsonl
await test -e function/ledger.db
kill -TERM "$process"
wait "$process"
holds "a function ends or is left" "$?" -lt 76

# --- functions that run for long and do not look whether they are cancelled are left, and those behind them ---
for which in nodes ranks; do
    for i in {1..8}; do
        echo "{\"name\": \"$i\", \"function\": \"starlane.sleep\", \"args\": \"600\"}"
    done >left.jsonl
    echo "{\"name\": \"stays\", \"shell\": \"trap '' TERM INT; touch $which.on; while :; do sleep 0.1; done\", \"priority\": 9}" >>left.jsonl
    starts=("$command_path" run --nodes 2)
    [ "$which" = ranks ] && starts=("${launcher[@]}" -n 2 "$command_path" run)
    launch "${starts[@]}" --output "left-$which" left.jsonl
    await test -e "$which.on"
    mapfile -t pids < <(pgrep -f "^$command_path run .*--output left-$which ")
    kill -TERM "${pids[@]}"
    ended_with 75
    says "to go on: starlane run --resume"
    contains "left-$which/summary.json" '"unfinished": 9'
    holds "the ledger is closed" ! -e "left-$which/ledger.db-wal"
    await test -z "$(pgrep -f "output left-$which ")"
done

# --- a rank that does not lead is signalled; then all of them, as srun does ---
for which in one all; do
    tasks "$which" >"$which.jsonl"
    launch "${launcher[@]}" -n 3 "$command_path" run --output "$which" "$which.jsonl"
    await test -e "$which.on"
    mapfile -t pids < <(pgrep -f "^$command_path run --output $which ")
    holds "three ranks" "${#pids[@]}" = 3
    [ "$which" = one ] && pids=("${pids[2]}")
    kill -USR2 "${pids[@]}"
    ended_with 75
    says "to go on: starlane run --resume"
    code 0 env LONG=0 "${launcher[@]}" -n 2 "$command_path" run --resume "$which"
    holds "all have a result" "$(wc -l <"$which/results.jsonl")" = 3
done

# --- Ctrl-C to mpirun itself: it gives its ranks little time, and nothing is lost ---
tasks mpirun >mpirun.jsonl
launch "${launcher[@]}" -n 2 "$command_path" run --output mpirun mpirun.jsonl
await test -e mpirun.on
kill -INT "$process"
wait "$process"
await test -z "$(pgrep -f 'touch mpirun.off')"
code 0 env LONG=0 "${launcher[@]}" -n 2 "$command_path" run --resume mpirun
holds "all have a result" "$(wc -l <mpirun/results.jsonl)" = 3

#!/usr/bin/env bash
# SIGKILL at random moments, twenty times: what was reported done is never run again, nothing is lost,
# and in the end every task has run to its end.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

tasks=240
for ((i = 0; i < tasks; i++)); do
    after=
    [ $((i % 10)) = 0 ] && [ "$i" -gt 0 ] && after=", \"after\": [\"t$((i - 1))\"]"
    printf '{"name": "t%d", "shell": "echo t%d >>begun; sleep 0.0%d; echo t%d >>ended"%s}\n' \
        "$i" "$i" $((i % 4)) "$i" "$after"
done >list.jsonl

# What a reader of results.jsonl has been told.
reported() { sed -n 's/^{"name":"\([^"]*\)","status":"done".*/\1/p' run/results.jsonl | sort; }

# How often the tasks named in FILE have begun. (The slash is for grep, which wants a pattern.)
begun_of() { cat begun 2>/dev/null | grep -cxFf <(cat "$1" && echo /); }

RANDOM=${SEED:=$$}
echo "SEED=$SEED"
first=(run --nodes 3 --output run list.jsonl)
kills=0 begun_before=0
: >told
: >told.before
for ((kill = 0; kill < 20; kill++)); do
    if [ -e run/ledger.db ]; then
        first=(run --nodes 3 --resume run)
    else
        rm -rf run
    fi
    "$command_path" "${first[@]}" >"$out" 2>"$err" </dev/null &
    process=$!
    sleep "0.$(printf %03d $((20 + RANDOM % 150)))"
    kill -KILL $process 2>/dev/null && kills=$((kills + 1))
    wait $process 2>/dev/null
    [ -e run/results.jsonl ] || continue
    reported >now
    holds "kill $kill: no line twice" -z "$(uniq -d now)"
    holds "kill $kill: what was told stays told" -z "$(comm -23 told now)"
    mv now told
    # Those that were told done after the last kill have not begun since.
    holds "kill $kill: nothing told runs again" "$(begun_of told.before)" = "$begun_before"
    cp told told.before
    begun_before=$(begun_of told)
done
holds "most kills hit" "$kills" -ge 10
[ -e run/ledger.db ] || first=(run --nodes 3 --output run list.jsonl)
[ -e run/ledger.db ] && first=(run --nodes 3 --resume run)
code 0 starlane "${first[@]}"
holds "all have a result" "$(reported | wc -l)" = "$tasks"
holds "all have ended" "$(sort -u ended | wc -l)" = "$tasks"
holds "told tasks ran to their end" -z "$(comm -23 <(reported) <(sort -u ended))"
code 0 starlane run --nodes 3 --resume run
holds "a finished run runs nothing" "$(reported | wc -l)" = "$tasks"
code 0 starlane explain run && shows "was killed" && shows "$tasks done"

# --- the same on ranks of MPI: all of them and their launcher at once ---
rm -f begun ended
"${launcher[@]}" -n 4 "$command_path" run --output mpi list.jsonl >"$out" 2>"$err" </dev/null &
process=$!
await test -e ended
mapfile -t pids < <(pgrep -f "^$command_path run --output mpi ")
holds "four ranks" "${#pids[@]}" = 4
kill -KILL "$process" "${pids[@]}"
wait "$process" 2>/dev/null
sort -u begun >before
sed -n 's/^{"name":"\([^"]*\)","status":"done".*/\1/p' mpi/results.jsonl | sort >told
code 0 ranks 4 run --resume mpi
holds "nothing told ran again" -z "$(comm -12 told <(sort begun | uniq -d))"
holds "all have ended" "$(sort -u ended | wc -l)" = "$tasks"
holds "all have a result" "$(wc -l <mpi/results.jsonl)" = "$tasks"

# --- a disk that fills up while results are written: the run ends, and goes on where there is room ---
cramped() { (
    trap '' XFSZ
    ulimit -f "$1"
    shift
    exec "$command_path" "$@"
); }
for i in {1..1000}; do echo "echo $i"; done >many
code 1 cramped 400 run --nodes 2 --shell --output cramped many
says "the ledger failed" && says "resume it when the cause is mended"
code 0 starlane run --nodes 2 --resume cramped && says "1000 done"
holds "all have a result" "$(wc -l <cramped/results.jsonl)" = 1000

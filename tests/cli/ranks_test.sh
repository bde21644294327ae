#!/usr/bin/env bash
# As ranks of MPI jobs: of several sizes, several at once, from several directories, without sockets.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

cat >list.jsonl <<'TASKS'
{"name": "a", "shell": "echo A >a"}
{"name": "b", "shell": "cat a", "after": ["a"]}
{"name": "c", "function": "starlane.echo", "args": "C", "after": ["b"]}
TASKS
for count in 1 2 4 7; do
    code 0 ranks "$count" run --output "run$count" list.jsonl && says "3 tasks: 3 done"
    holds "one rank speaks" "$(grep -c '3 done' "$err")" = 1
    holds "outputs" "$(cat "run$count/stdout/b" "run$count/stdout/c")" = "A
C"
done
code 0 ranks 4 run --regions us,eu,asia,africa --output places --array 0-39 -- sleep 0.01
holds "work is spread" "$(sed 's/.*"region":"\([a-z]*\)".*/\1/' places/results.jsonl | sort -u | wc -l)" = 4
holds "cores are not shared out twice" "$(python3 -c 'import json
print(all(0 <= r["busy_fraction"] <= 1.05 for r in json.load(open("places/summary.json"))["ranks"]))')" = True
code 0 ranks 3 topo --regions a,b,c --json
holds "three nodes" "$(python3 -c 'import json, sys
print([(n["rank"], n["region"]) for n in json.load(open(sys.argv[1]))])' "$out")" = \
    "[(0, 'a'), (1, 'b'), (2, 'c')]"
code 0 ranks 2 run --trace trace.json --metrics "$PWD/metrics.prom" --output records --array 1-8 -- true
holds "a trace of both" "$(python3 -c 'import json
events = json.load(open("trace.json"))
events = events["traceEvents"] if isinstance(events, dict) else events
print(len({e["pid"] for e in events}))')" = 2
contains metrics.prom 'node="1"'

# --- every rank ends alike ---
code 1 ranks 3 run --output fails -- false && says "1 failed"
code 2 ranks 3 run --output nothing nosuch && says "nosuch"
holds "told once" "$(grep -c "nosuch: " "$err")" = 1
code 2 ranks 3 run --nosuch && says "unknown flag"
holds "told once" "$(grep -c "unknown flag" "$err")" = 1
code 2 ranks 3 run --regions a:1,b:1 --output nothing list.jsonl
holds "nothing is left" ! -e nothing
code 2 ranks 2 run --output run2 list.jsonl && says "holds a run already"
if command -v unshare >/dev/null && unshare --mount true 2>/dev/null; then
    # The second rank has a /var/tmp of its own.
    shared=$(mktemp -d /var/tmp/starlane-cli-XXXXXX)
    code 2 "${launcher[@]}" -n 1 "$command_path" run --output "$shared/run" list.jsonl : \
        -n 1 unshare --mount sh -c 'mount -t tmpfs none /var/tmp && exec "$@"' - \
        "$command_path" run --output "$shared/run" list.jsonl
    says "rank 1 on" && says "does not see the output directory"
    holds "nothing is left" -z "$(ls "$shared")"
    rm -rf "$shared"
fi

# --- four networks of one user at once, no listening socket, and the lock of a directory ---
for n in 1 2 3 4; do
    ranks 2 run --output "net$n" --array "1-$((10 + n))" -- sleep 0.2 >"out$n" 2>&1 </dev/null &
    networks[n]=$!
done
await test -e net1/ledger.db -a -e net2/ledger.db -a -e net3/ledger.db -a -e net4/ledger.db
code 2 starlane run --resume net1 && says "another run uses this directory"
if command -v ss >/dev/null; then
    mapfile -t pids < <(pgrep -f "^$command_path run --output net")
    holds "their ranks are seen" "${#pids[@]}" -ge 6
    for pid in "${pids[@]}"; do
        holds "rank $pid listens to nobody" -z "$(ss -Hltnp | grep -F "pid=$pid,")"
    done
fi
for n in 1 2 3 4; do
    wait "${networks[n]}"
    holds "network $n" "$?" = 0
    holds "results of network $n" "$(wc -l <"net$n/results.jsonl")" = $((10 + n))
done

#!/usr/bin/env bash
# Usage: help, suggestions, what is refused before anything is run, and what is shown.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

# --- help and version ---
code 0 starlane --help && shows "commands:" && shows "starlane COMMAND --help"
code 0 starlane help run && shows "--resume" && shows "75 ended early"
for command in run rerun explain topo simulate config version help; do
    code 0 starlane "$command" --help && shows "usage: starlane" && shows "$command"
done
code 0 starlane --version && shows "starlane 0."
code 0 starlane version && shows "starlane 0."
code 2 starlane && says "commands:"

# --- what was meant ---
code 2 starlane rnu && says "did you mean run?"
code 2 starlane frobnicate && says "starlane help lists them"
code 2 starlane help tpoo && says "did you mean topo?"
code 2 starlane run --outptu x f && says "did you mean --output?"
code 2 starlane run --nodes many f && says "--nodes"
code 2 starlane run --policy worst f && says "earliest-completion"
code 2 starlane topo --shell && says "not for this command"
code 2 starlane run -x f && says "flags begin with two dashes"
code 2 env STARLANE_NODES=zero "$command_path" topo && says "STARLANE_NODES"
code 0 env STARLANE_NOSUCH=1 "$command_path" version && says "STARLANE_NOSUCH"

# --- words that do not fit ---
code 2 starlane run && says "no tasks"
code 2 starlane run a b && says "one FILE"
code 2 starlane run a -- b && says "not both"
code 2 starlane run --resume d f && says "has its tasks already"
code 2 starlane rerun && says "directory"
code 2 starlane explain && says "directory"
code 2 starlane topo x && says "no argument"
code 2 starlane config x && says "no argument"
code 2 starlane simulate x && says "no argument"
code 2 starlane simulate --faults one && says "numbers from 0"
code 2 starlane simulate --seeds 2 --trace t.json && says "a trace is of one seed"
code 0 starlane simulate --seed 7 --trace t.json && shows "trace hash"
python3 -m json.tool t.json >/dev/null || failed "the trace is no JSON"

# --- bad input: every bad line is named, nothing is run, nothing is left behind ---
code 2 starlane run nosuch && says "nosuch"
code 2 starlane run . && says "directory"
cat >bad.jsonl <<'TASKS'
{"name": "good", "shell": "touch ran"}
{"name": "open", "shell": "true"
{"name": "a", "command": []}
{"name": "b", "shell": "true", "cpus": -1}
{"name": "c", "shell": "true", "color": "red"}
{"name": "good", "shell": "true"}
{"name": "d", "function": "nosuch"}
TASKS
code 2 starlane run --output bad bad.jsonl
for line in 2 3 4 5 6; do says "bad.jsonl:$line:"; done
holds "nothing ran" ! -e ran
holds "no directory is left" ! -e bad
printf '{"name":"d","function":"nosuch"}\n' >function.jsonl
code 2 starlane run --output bad function.jsonl && says "nosuch" && says "nothing was run"
for ((i = 0; i < 30; i++)); do echo 'x'; done >many.jsonl
code 2 starlane run many.jsonl && says "many.jsonl:20:" && says "10 more"
printf '{"name":"a","shell":"true","after":["b"]}\n{"name":"b","shell":"true","after":["a"]}\n' >cycle.jsonl
code 2 starlane run cycle.jsonl && says "a -> b -> a"
printf '{"name":"a","shell":"true","after":["nobody"]}\n' >unknown.jsonl
code 2 starlane run unknown.jsonl && says "nobody"
code 2 starlane run --array 3-1 -- true && says "3-1"
code 2 starlane run --each-line nosuch -- true && says "nosuch"
code 2 starlane run --regions 'a:1,b:2' --nodes 2 -- true && says "regions"
code 2 starlane run --resume nosuch && says "nosuch"
mkdir foreign && touch foreign/file
code 2 starlane run --output foreign -- true && says "not empty"
code 2 starlane run --resume foreign && says "holds no run"
code 2 starlane explain foreign && says "holds no run"
code 2 starlane run --topology-file nosuch -- true && says "nosuch"
code 2 starlane run --spec-file bad.jsonl -- true && says "bad.jsonl"
holds "nothing ran" ! -e ran

# --- what is in force ---
printf 'retries = 3 # more\nnodes = 2\n' >my.conf
code 0 env STARLANE_RETRIES=4 "$command_path" config --config my.conf --policy random --json
shows '"retries": {"value": 4' && shows '"nodes": {"value": 2' && shows '"policy": {"value": "random"'
shows 'environment STARLANE_RETRIES' && shows 'my.conf:2' && shows 'flag --policy'
code 0 starlane config && shows "default"

# --- the network ---
code 0 starlane topo --nodes 3 --regions us:1,eu:2 --ucu 7 && shows "3 nodes, 21 UCU" && shows "us" && shows "eu"
code 0 starlane topo --nodes 2 --json
holds "two nodes as JSON" "$(python3 -c 'import json, sys
nodes = json.load(open(sys.argv[1]))
print(len(nodes), nodes[1]["rank"], nodes[0]["hardware"]["cpu"]["cores"] > 0,
      nodes[0]["hardware"]["ucu"]["terms"][0]["type"], nodes[0]["offer"]["total_ucu"] > 0)' "$out")" = \
    "2 1 True CPU True"

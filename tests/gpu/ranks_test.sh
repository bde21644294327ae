#!/usr/bin/env bash
# Ranks of one machine share its GPUs out: each GPU is offered once, whoever starts the ranks.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
need_gpu

for count in 2 3; do
    code 0 starlane topo --nodes $count --json && cp "$out" topo.json && compare shared topo.json
    code 0 ranks $count topo --json && cp "$out" topo.json && compare shared topo.json
done

# --- tasks of two ranks that both see every GPU ---
for ((i = 0; i < 4 * gpus; i++)); do
    # shellcheck disable=SC2016 # the task's shell expands it
    gpu_task "one$i" 1 \
        'mkdir lock.$CUDA_VISIBLE_DEVICES && ./probe run 0.2 && rmdir lock.$CUDA_VISIBLE_DEVICES'
done >tasks.jsonl
code 0 ranks 2 run --output ranks tasks.jsonl && says "$((4 * gpus)) done"
code 0 starlane run --nodes 2 --output nodes tasks.jsonl && says "$((4 * gpus)) done"
for run in ranks nodes; do
    holds "$run: ran on a GPU" "$(cat $run/stdout/* | grep -cE '^1 GPU-[0-9a-f-]{36} ok$')" = $((4 * gpus))
    holds "$run: never again" "$(grep -c '"attempts":1,' $run/results.jsonl)" = $((4 * gpus))
    [ "$gpus" != 1 ] || holds "$run: one rank has it" \
        "$(sed 's/.*"rank":\([0-9]*\).*/\1/' $run/results.jsonl | sort -u | wc -l)" = 1
done
gpu_task more $((gpus + 1)) true >more.jsonl
code 1 ranks 2 run --output more more.jsonl && says "no node of the network could ever run it"

# --- ranks to which the launcher gave different GPUs: none, and the first ---
code 0 "${launcher[@]}" -n 1 env CUDA_VISIBLE_DEVICES= "$command_path" topo --json : \
    -n 1 env CUDA_VISIBLE_DEVICES=0 "$command_path" topo --json
holds "GPUs of each" "$(python3 -c 'import json, sys
print([node["offer"]["gpus"] for node in json.load(open(sys.argv[1]))])' "$out")" = "[0, 1]"

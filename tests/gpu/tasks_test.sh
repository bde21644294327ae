#!/usr/bin/env bash
# Tasks with GPUs: each gets its own, computes on it, and no other task has it meanwhile.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
need_gpu
more=$((gpus + 1))

# Which GPU each "1 GPU-… ok" of the outputs DIR/stdout/NAME* was; none may say anything else.
ran_on() {
    cat "$1"/stdout/"$2"* | grep -vE '^1 GPU-[0-9a-f-]{36} ok$' && return 1
    cat "$1"/stdout/"$2"* | cut -d' ' -f2
}

# --- three tasks for each GPU, which hold it by a folder that only one can make ---
for ((i = 0; i < 3 * gpus; i++)); do
    # shellcheck disable=SC2016 # the task's shell expands it
    gpu_task "one$i" 1 \
        'mkdir lock.$CUDA_VISIBLE_DEVICES && ./probe run 0.4 && rmdir lock.$CUDA_VISIBLE_DEVICES'
done >tasks.jsonl
# shellcheck disable=SC2016
{
    gpu_task all "$gpus" './probe run 0.1 | cut -d\" \" -f1,3'
    gpu_task without 0 '[ \"${CUDA_VISIBLE_DEVICES-unset}\" = \"\" ] && ./probe run 0; echo $?'
    echo '{"name": "thief", "env": {"CUDA_VISIBLE_DEVICES": "0"}, "shell": "./probe run 0; echo $?"}'
} >>tasks.jsonl
code 0 starlane run --output own tasks.jsonl && says "$((3 * gpus + 3)) done"
holds "tasks with a GPU that ran on it" "$(ran_on own one | wc -l)" = $((3 * gpus))
holds "none ran on a GPU the driver does not list" \
    -z "$(ran_on own one | while read -r uuid; do grep -qF "\"$uuid\"" "$facts" || echo "$uuid"; done)"
holds "no lock is left" -z "$(ls -d lock.* 2>/dev/null)"
holds "attempts" "$(grep -c '"attempts":1,' own/results.jsonl)" = $((3 * gpus + 3))
holds "a task with all GPUs sees all" "$(cat own/stdout/all)" = "$gpus ok"
holds "a task without a GPU finds none" "$(cat own/stdout/without)" = 3
holds "nor by setting the variable" "$(cat own/stdout/thief)" = 3

# --- the trail of start and end: at no time more tasks than GPUs ---
for ((i = 0; i < 4 * gpus; i++)); do
    gpu_task "trail$i" 1 'echo start >>trail; ./probe run 0.1; echo end >>trail'
done >trail.jsonl
code 0 starlane run --output trailed trail.jsonl
most=$(awk '{ now += $1 == "start" ? 1 : -1; if (now > most) most = now } END { print most }' trail)
holds "starts and ends" "$(sort trail | uniq -c | xargs)" = "$((4 * gpus)) end $((4 * gpus)) start"
holds "tasks at once" "$most" -le "$gpus"

# --- more than there are: refused, and why ---
gpu_task many "$more" true >many.jsonl
code 1 starlane run --output many many.jsonl && says "no node of the network could ever run it" &&
    says " $more gpus"
holds "never tried" "$(result many many status) $(result many many attempts)" = "failed 0"
code 0 starlane explain many many && shows "$more gpus"
gpu_task one 1 true >one.jsonl
code 1 starlane run --gpus 0 --output limited one.jsonl && says "no node of the network could ever run it"
code 2 starlane topo --gpus "$more" && says "gpus $more" && says "$gpus of $gpus usable GPUs"

# --- what the launcher left to this process ---
# shellcheck disable=SC2016
gpu_task seen 1 'echo $CUDA_VISIBLE_DEVICES; ./probe run 0.1' >seen.jsonl
uuid=$(grep -o 'GPU-[0-9a-f-]*' "$facts" | tail -n 1)
code 0 env CUDA_VISIBLE_DEVICES="$uuid" "$command_path" run --output seen seen.jsonl
holds "by its UUID" "$(cat seen/stdout/seen)" = "$uuid
1 $uuid ok"
for hidden in "" -1; do
    code 0 env CUDA_VISIBLE_DEVICES="$hidden" "$command_path" topo --json && cp "$out" hidden.json &&
        compare none hidden.json
    code 1 env CUDA_VISIBLE_DEVICES="$hidden" "$command_path" run --output "hidden$hidden" one.jsonl &&
        says "no node of the network could ever run it"
done

#!/usr/bin/env bash
# Jobs on a real Slurm (cluster.sh), submitted with the templates of slurm/.
#
#   run.sh PROBE [STARLANE]    PROBE: probe.c, built. Without STARLANE only the cluster is proven.
#
# All jobs but one are submitted together, Slurm runs them side by side, and each is judged when it
# has ended. Exit code 77: Slurm cannot be started here, and standard error says why.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
probe=${1:?usage: run.sh PROBE [STARLANE]}
starlane=${2:-}
templates=$here/../../slurm
passed=0 failed=0
declare -A most=([requeue]=150) # seconds a job may take, from when it is submitted; others: 90

cluster() { "$here/cluster.sh" "$@"; }
slurm() { cluster run "$@"; }

# --- one test: a folder on the shared file system, a job or none, and check_NAME -----------------

# submit NAME ARGUMENTS OF sbatch…: from the test's folder.
submit() {
    local name=$1
    shift
    echo $SECONDS >"$shared/$name/since"
    (cd "$shared/$name" && slurm sbatch --parsable "$@" >job) || echo "cannot submit $name" >&2
}

# A rank was killed before MPI_Init returned: Starlane had not said a word (since the job was queued
# again, if it was), and its only frame in the backtrace, if any, is the call. The other ranks then
# wait for ever.
died_in_mpi_init() {
    local log text
    for log in "$shared/$1"/*.log; do
        text=$(tac "$log" 2>/dev/null | sed '/DUE TO JOB REQUEUE/q')
        grep -qE 'Process received signal|: (Segmentation fault|Aborted|Bus error)' <<<"$text" &&
            ! grep -qE '^starlane: |^[0-9]+/[0-9]+ ' <<<"$text" &&
            { grep -q MPI_Init <<<"$text" || ! grep -q 'starlane(' <<<"$text"; } && return 0
    done
    return 1
}

# Waits until every part of the job has ended, or it is plain that it will not; prints their
# "STATE EXITCODE" lines.
ended() {
    local job states="" since
    job=$(cat "$shared/$1/job")
    since=$(cat "$shared/$1/since")
    while true; do
        states=$(slurm scontrol --oneliner show job "$job" |
            sed -E 's/.* JobState=([A-Z_]+) .* ExitCode=([0-9:]+) .*/\1 \2/')
        if [ -n "$states" ] && ! grep -qvE '^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL) ' \
            <<<"$states"; then
            echo "$states"
            return 0
        fi
        [ $((SECONDS - since)) -lt "${most[$1]:-90}" ] && ! died_in_mpi_init "$1" || break
        sleep 0.5
    done
    if died_in_mpi_init "$1"; then
        echo "job $job died in MPI_Init"
    else
        echo "job $job hangs: $((SECONDS - since)) s after it was submitted it is: $states"
    fi
    slurm scancel --signal=KILL "$job"
    slurm scancel "$job"
    return 1
}

succeeded() {
    local states
    states=$(ended "$1" | sort -u) || { echo "$states" && return 1; }
    [ "$states" = "COMPLETED 0:0" ] || { echo "job ended as: $states" && return 1; }
}

# What must hold for an output directory, in Python.
results() { python3 "$here/results.py" "$@"; }

same() { [ "$1" = "$2" ] || { printf 'is:\n%s\nshould be:\n%s\n' "$1" "$2" && return 1; }; }

check() { # NAME
    (set -e; cd "$shared/$1"; "check_$1") >"$shared/$1/verdict" 2>&1
}

# All of a job's test from its beginning; what there was goes aside.
again() { # NAME
    echo "$1: the job died in MPI_Init, before Starlane did anything; submitted once more:" >&2
    grep -shE 'Signal|signal|Segmentation|MPI_Init' "$shared/$1"/*.log | sed 's/^/    /' >&2
    mv "$shared/$1" "$shared/$1.died"
    mkdir "$shared/$1"
    (cd "$shared/$1" && "submit_$1")
}

judge() {
    local name=$1 start=$SECONDS passes
    check "$name"
    passes=$?
    if [ $passes != 0 ] && died_in_mpi_init "$name"; then
        again "$name"
        check "$name"
        passes=$?
    fi
    # Not `if check …`: inside an `if` set -e would not hold.
    if [ $passes = 0 ]; then
        passed=$((passed + 1))
        echo "ok $name ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        echo "not ok $name"
        tail -n 40 "$shared/$name"/{verdict,*.log} 2>/dev/null | sed 's/^/    /'
    fi >&2
}

task() { # NAME SHELL [MORE MEMBERS]
    printf '{"name": "%s", "shell": "%s"%s}\n' "$1" "$2" "${3:+, $3}"
}

# --- the cluster itself ---------------------------------------------------------------------------

probe_words() { sed -E 's/^rank //' | sort -n | cut -d' ' -f"$1"; }

check_step_over_nodes() {
    slurm timeout 60 srun --mpi=pmix --nodes=4 --ntasks-per-node=2 "$shared/probe" >seen
    same "$(probe_words 3,5,7,9 <seen | sort -u)" "8 n1 ok wan.us-west.n1
8 n2 ok wan.us-west.n2
8 n3 ok wan.eu-central.n3
8 n4 ok wan.ap-southeast.n4"
    same "$(probe_words 11 <seen | uniq -c | xargs)" "8 switch.switch.node"
}

# One MPI_COMM_WORLD over both components. Before Slurm 24.05.4, srun sometimes hangs when all ranks
# of such a step have ended (Slurm's ticket 16817): what counts is what they wrote.
check_step_of_components() {
    slurm timeout -s KILL 20 srun --mpi=pmix --partition=us-west --nodes=2 "$shared/probe" : \
        --partition=eu-central --ntasks=2 "$shared/probe" >seen || [ $? = 137 ]
    same "$(probe_words 1,3,5,7 <seen)" "0 4 n1 ok
1 4 n2 ok
2 4 n3 ok
3 4 n3 ok"
}

check_step_with_gpus() {
    slurm timeout 60 srun --mpi=pmix --nodelist=n1,n2 --ntasks-per-node=2 --gpus-per-task=1 \
        "$shared/probe" >seen
    same "$(probe_words 5,15 <seen | sort)" "n1 0
n1 1
n2 0
n2 1"
}

# --- starlane in jobs -----------------------------------------------------------------------------

submit_one_node() {
    {
        task first 'sleep 1 && echo first >>order'
        task second 'echo second >>order' '"after": ["first"]'
        task third 'cat order' '"after": ["second"]'
    } >tasks.jsonl
    submit one_node --cpus-per-task=2 "$templates/one-node.sbatch" tasks.jsonl out
}
check_one_node() {
    succeeded one_node
    results out 'len(tasks) == 3' 'tasks["third"]["out"] == "first\nsecond\n"' \
        'all(t["exit_code"] == 0 and t["attempts"] == 1 for t in tasks.values())' \
        'len({t["host"] for t in tasks.values()}) == 1' 'summary["tasks"] == 3'
}

# Regions from the switches of topology/tree; and what the whole job asked of slurmctld.
submit_many_nodes() {
    local region i
    for region in us-west eu-central ap-southeast; do
        for i in {1..20}; do
            task "$region.$i" 'uname -n' "\"region\": \"$region\""
        done
    done >tasks.jsonl
    slurm sdiag --reset >/dev/null
    submit many_nodes --cpus-per-task=2 "$templates/many-nodes.sbatch" tasks.jsonl out
    # Not by asking Slurm, whose count of questions is what this is about.
    local end=$((SECONDS + 60))
    until [ -s out/summary.json ] || [ $SECONDS -ge $end ] || died_in_mpi_init many_nodes; do
        sleep 0.2
    done
    sleep 1
    slurm sdiag >sdiag
}
check_many_nodes() {
    succeeded many_nodes
    local where='{"us-west": ["n1", "n2"], "eu-central": ["n3"], "ap-southeast": ["n4"]}'
    results out 'len(tasks) == 60' 'all(t["exit_code"] == 0 for t in tasks.values())' \
        'all(n.split(".")[0] == t["region"] for n, t in tasks.items())' \
        "all(t['host'] in ${where}[t['region']] for t in tasks.values())" \
        'all(t["out"].strip() == t["host"] for t in tasks.values())'
    # Questions and orders of sbatch, squeue, srun, sdiag: each once, however many ranks and tasks.
    sed -nE 's/^\s*(REQUEST_[A-Z_]*)\s.*count:([0-9]+).*/\1 \2/p' sdiag |
        grep -E '_INFO|STEP_CREATE|SUBMIT|SIGNAL|UPDATE|KILL' >asked
    same "$(grep -cE '^REQUEST_(JOB_INFO_SINGLE|JOB_STEP_CREATE|SUBMIT_BATCH_JOB) 1$' asked)" 3
    same "$(grep -v ' 1$' asked)" ""
}

submit_array() {
    local i
    for i in 0 1 2; do
        task "name$i" "echo element $i" >"part.$i"
        task "next$i" "echo \$SLURM_ARRAY_TASK_ID" "\"after\": [\"name$i\"]" >>"part.$i"
    done
    submit array --array=0-2 --cpus-per-task=2 "$templates/array.sbatch" part.%a out
}
check_array() {
    local i
    succeeded array
    for i in 0 1 2; do
        results "out/$i" 'len(tasks) == 2' "tasks['name$i']['out'] == 'element $i\\n'" \
            "tasks['next$i']['out'] == '$i\\n'"
    done
}

submit_regions() {
    local region
    for region in us-west eu-central; do
        task "$region" 'uname -n' "\"region\": \"$region\""
    done >tasks.jsonl
    submit "${1:-regions}" "$templates/regions.sbatch" tasks.jsonl out
}
check_regions() {
    succeeded "${1:-regions}"
    results out 'len(tasks) == 2' 'all(n == t["region"] for n, t in tasks.items())' \
        'tasks["us-west"]["out"].strip() in ("n1", "n2")' 'tasks["eu-central"]["out"] == "n3\n"'
}

# The same on a Slurm that knows no switches: the components' partitions are the regions.
submit_components() {
    printf '#!/bin/sh\nunset SLURM_TOPOLOGY_ADDR\nexec "%s" "$@"\n' "$starlane" >no-switches
    chmod +x no-switches
    STARLANE=$PWD/no-switches submit_regions components
}
check_components() { check_regions components; }

# Four ranks on two nodes, a GPU each: fake ones, which the spec file vouches for.
submit_gpus() {
    local i
    echo '{"nodes": [{"hosts": "n*", "accelerators": [
        {"type": "GPU", "name": "null", "count": 2, "cuda_cores": 64, "memory_gb": 1}
    ]}]}' >spec.json
    for i in {1..4}; do
        task "gpu$i" 'sleep 3; echo $SLURM_LOCALID $CUDA_VISIBLE_DEVICES' '"gpus": 1'
    done >tasks.jsonl
    STARLANE_SPEC_FILE=$PWD/spec.json submit gpus --nodes=2 --ntasks-per-node=2 --cpus-per-task=2 \
        --gpus-per-task=1 "$templates/many-nodes.sbatch" tasks.jsonl out
}
check_gpus() {
    succeeded gpus
    results out 'len(tasks) == 4' 'len({t["rank"] for t in tasks.values()}) == 4' \
        'all(t["out"] in ("0 0\n", "1 1\n") for t in tasks.values())'
}

# Two minutes: there is time for one task, and never for the other, which must not be started.
submit_end_time() {
    task short 'touch short' '"timeout_s": 20' >tasks.jsonl
    task long 'touch long' '"timeout_s": 600' >>tasks.jsonl
    submit end_time --time=2 --cpus-per-task=2 "$templates/one-node.sbatch" tasks.jsonl out
}
check_end_time() {
    same "$(ended end_time)" "FAILED 75:0"
    [ -e short ]
    [ ! -e long ] || { echo "a task was started that could not finish" && return 1; }
    submit end_time --time=30 --output=resume.log \
        --wrap "exec srun --mpi=pmix '$STARLANE' run --resume out"
    succeeded end_time
    [ -e long ]
    results out 'len(tasks) == 2' 'all(t["exit_code"] == 0 for t in tasks.values())'
}

# A rank that a task of its own kills: the others finish its tasks. Under srun the guard keeps Slurm
# from ending the step, and launch ends it; mpirun's ranks are told to recover, and launch ends mpirun.
submit_guard() {
    submit_killed guard srun
}
submit_recovery() {
    submit_killed recovery mpirun
}
submit_killed() { # NAME LAUNCHER
    local i
    cat >task.sh <<'TASK'
#!/bin/sh
rank() {
    pid=$$
    until [ "$(ps -o comm= -p "$pid")" = starlane ]; do pid=$(ps -o ppid= -p "$pid" | tr -d ' '); done
    echo "$pid"
}
echo "$1 $(uname -n)" >>started
if [ "$(uname -n)" = n3 ] && [ "$(grep -c n3 started)" -ge 4 ] && mkdir killed 2>/dev/null; then
    kill -KILL "$(rank)"
    sleep 60
fi
sleep 0.1
echo "$1" >>ended
TASK
    chmod +x task.sh
    for i in {1..100}; do
        task "t$i" "./task.sh $i"
    done >tasks.jsonl
    submit "$1" --nodes=4 --ntasks-per-node=1 --no-kill --output="$1.log" --wrap \
        "exec '$starlane' launch --launcher $2 -- '$starlane' run --cpus 1 --suspect-ms 300 --dead-ms 1500 \
            --output out tasks.jsonl"
}
check_guard() { check_killed guard; }
check_recovery() { check_killed recovery; }
check_killed() {
    succeeded "$1"
    [ -d killed ] || { echo "no rank was killed" && return 1; }
    same "$(sort ended | uniq -c | awk '{print $1}' | sort | uniq -c | xargs)" "100 1"
    results out 'len(tasks) == 100' 'all(t["exit_code"] == 0 for t in tasks.values())' \
        'summary["reason"] == "finished"'
    [ -z "$(ls -d .starlane-launch-* 2>/dev/null)" ]
}

# A node all of whose processes end at once, and that Slurm then takes for down; at the same moment for
# a job of mpirun's and one of srun's. What had ended there and was not told yet is done again.
submit_lost_to_mpirun() {
    submit_lost lost_to_mpirun mpirun
}
submit_lost_to_srun() {
    submit_lost lost_to_srun srun
}
submit_lost() { # NAME LAUNCHER
    local i
    printf '#!/bin/sh\necho "$1 $(uname -n)" >>started\nsleep 0.2\necho "$1 $(uname -n)" >>ended\n' >task.sh
    chmod +x task.sh
    touch started
    for i in {1..200}; do
        task "t$i" "./task.sh $i"
    done >tasks.jsonl
    submit "$1" --nodes=4 --ntasks-per-node=1 --no-kill --output="$1.log" --wrap \
        "exec '$starlane' launch --launcher $2 -- '$starlane' run --cpus 1 --suspect-ms 300 --dead-ms 1500 \
            --output out tasks.jsonl"
}
lose_node() { # NODE, when all jobs whose names follow work there
    local node=$1 name end=$((SECONDS + 60))
    shift
    for name; do
        until [ "$(grep -c "$node" "$shared/$name/started")" -ge 4 ] || [ $SECONDS -ge $end ]; do
            sleep 0.1
        done
    done
    cluster lose "$node"
    sleep 1
    slurm scontrol update "nodename=$node" state=down reason=lost
}
check_lost() {
    succeeded "$1"
    grep -q "n4$" started || { echo "nothing ran on the node" && return 1; }
    results out 'len(tasks) == 200' 'all(t["exit_code"] == 0 for t in tasks.values())' \
        'summary["reason"] == "finished"'
    same "$(cut -d' ' -f1 ended | sort -u | wc -l)" 200
    same "$(cut -d' ' -f1 ended | sort | uniq -d | while read -r i; do grep -q "^$i n4$" ended || echo "$i"; done)" ""
    [ "$(wc -l <ended)" -le 208 ]
    [ -z "$(ls -d .starlane-launch-* 2>/dev/null)" ]
}
check_lost_to_mpirun() { check_lost lost_to_mpirun; }
check_lost_to_srun() { check_lost lost_to_srun; }

# 160 s of work for four cores, and a signal within 30 s (100 s before a limit of 2 min is due at
# once, and Slurm looks every 30 s): saved, queued again, resumed, until all is done.
submit_requeue() {
    local i
    printf '#!/bin/sh\necho $(date +%%s.%%N) $* >>%s/trail\n' "$PWD" >leave
    chmod +x leave
    for i in {1..160}; do
        task "t$i" "$PWD/leave start $i; sleep 1; $PWD/leave end $i"
    done >tasks.jsonl
    STARLANE_CPUS=2 submit requeue --time=2 --signal=USR2@100 --cpus-per-task=2 \
        "$templates/requeue.sbatch" tasks.jsonl out
}
check_requeue() {
    succeeded requeue
    results out 'len(tasks) == 160' 'all(t["exit_code"] == 0 for t in tasks.values())'
    slurm scontrol --oneliner show job "$(cat job)" | grep -E ' Restarts=[1-9]'
    python3 "$here/trail.py" trail 160 4
}

# --- all of it ------------------------------------------------------------------------------------

export STARLANE_SLURM_OWNER=$$
cluster sweep
STARLANE_SLURM_DIR=$(mktemp -d /var/tmp/starlane-slurm.XXXXXX)
export STARLANE_SLURM_DIR
trap 'cluster down; rmdir "$STARLANE_SLURM_DIR" 2>/dev/null' EXIT
trap 'exit 143' INT TERM HUP
cluster up || exit $?
shared=$STARLANE_SLURM_DIR/shared
cp "$probe" "$shared/probe"

tests=(step_over_nodes step_of_components step_with_gpus)
alone=() jobs=() lost=()
if [ -n "$starlane" ]; then
    export STARLANE=$starlane
    alone=(many_nodes) # as Slurm counts the questions of all jobs
    jobs=(requeue guard recovery one_node array regions components gpus end_time)
    lost=(lost_to_mpirun lost_to_srun) # last, as the node stays lost
fi
for name in "${tests[@]}" "${alone[@]}" "${jobs[@]}" "${lost[@]}"; do
    mkdir "$shared/$name"
done
for name in "${tests[@]}"; do
    judge "$name"
done
for name in "${alone[@]}"; do
    cd "$shared/$name" && "submit_$name"
    judge "$name"
done
for name in "${jobs[@]}"; do
    cd "$shared/$name" && "submit_$name"
done
for name in "${jobs[@]}"; do
    judge "$name"
done
for name in "${lost[@]}"; do
    cd "$shared/$name" && "submit_$name"
done
[ ${#lost[@]} = 0 ] || lose_node n4 "${lost[@]}"
for name in "${lost[@]}"; do
    judge "$name"
done
cd /
echo "$passed passed, $failed failed"
[ $failed = 0 ]

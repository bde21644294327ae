#!/bin/sh
# tasks_test.sh STARLANE EXAMPLES WORK: runs every small task file of examples/tasks as its README says, on nodes within
# one process, and looks at what came of it.
set -eu
starlane=$1 tasks=$2/tasks work=$3
failed=0
# A test that is itself part of an MPI job is no rank of the networks it starts.
unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK 2>/dev/null || true
rm -rf "$work"
mkdir -p "$work"
cd "$work"

wrong() {
    echo "$*" >&2
    failed=1
}

# run CODE ARGUMENT...: the run must end with CODE. Its outputs are in ./run.
run() {
    expected=$1
    shift
    rm -rf run
    code=0
    "$starlane" run --output run "$@" >said 2>&1 || code=$?
    [ "$code" = "$expected" ] || {
        wrong "exit code $code, not $expected: starlane run $*"
        cat said >&2
    }
}

# is NAME TEXT: the task's standard output.
is() {
    [ "$(cat "run/stdout/$1" 2>&1)" = "$2" ] || wrong "task $1 printed \"$(cat "run/stdout/$1" 2>&1)\", not \"$2\""
}

# has NAME PART: what results.jsonl says of the task.
has() {
    grep -F "{\"name\":\"$1\"," run/results.jsonl | grep -qF "$2" ||
        wrong "results.jsonl does not say $2 of $1: $(grep -F "{\"name\":\"$1\"," run/results.jsonl)"
}

run 0 --nodes 4 "$tasks/graph.jsonl"
is even 20
is odd 25
is together "all of them are done"

run 0 --nodes 2 --array 1-12:5 "$tasks/square.jsonl"
is square.11 "11 squared is 121"
is sum.6 "after square.6, as sum.6"
[ "$(wc -l <run/results.jsonl)" = 6 ] || wrong "an array of 3 made $(wc -l <run/results.jsonl) tasks of 2"

printf 'a\nb\nc\n' >"three lines"
: >none
printf '%s\n' "three lines" none >files
run 1 --nodes 2 --each-line files "$tasks/count.jsonl"
is count.0 3
is count.1 0

run 0 --shell "$tasks/commands.txt"
is t0 first
is t1 "$(uname -r)"
is t2 42

run 0 --cpus 1 "$tasks/priorities.jsonl"
for name in sooner usual later; do
    cat "run/stdout/$name"
done >started.txt
sort -n started.txt | cmp -s - started.txt || wrong "tasks did not start by priority: $(cat started.txt)"

run 1 --nodes 2 "$tasks/retries.jsonl"
is flaky "the second try"
has flaky '"attempts":2'
has slow '"signal":15'
has wrong '"exit_code":3'
has never '"status":"skipped"'
[ "$(cat run/stderr/wrong)" = "this goes wrong" ] || wrong "stderr/wrong: $(cat run/stderr/wrong)"

run 0 --nodes 3 --regions us-west,eu-central,sa-east "$tasks/regions.jsonl"
has west '"region":"us-west"'
has europe '"region":"eu-central"'

run 0 "$tasks/functions.jsonl"
is echo '{"any":["JSON",1,true]}'
is checksum cbf43926

# With no GPU offered the tasks can run nowhere, and that is said.
run 1 --gpus 0 "$tasks/gpu.jsonl"
has mine '"status":"failed"'
grep -q "no node of the network could ever run it" said || wrong "the reason is not told: $(cat said)"

exit "$failed"

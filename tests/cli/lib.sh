# What the tests of the command share; sourced with the test's own arguments.
# shellcheck shell=bash
#
#   starlane ARGUMENT…          the command under test
#   ranks N ARGUMENT…           the same as N ranks of an MPI job
#   code WANT COMMAND…          runs it; stdout and stderr to $out and $err; its exit code must be WANT
#   says TEXT, shows TEXT       $err, $out hold TEXT
#   holds WHAT CONDITION…       [ CONDITION… ]
#   result DIR NAME FIELD       one field of a task's line in results.jsonl
#   identities WHO…             an authority, whose fingerprint is $pin, and those of the names that it certifies; `node` is a node's
#   url_in LOG                  the URL that `starlane up` writes there, once it has
set -uo pipefail

command_path=$(readlink -f "${1:?usage: TEST STARLANE [LAUNCHER]}")
read -ra launcher <<<"${2:-mpirun}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/starlane-cli-XXXXXX")
out=$scratch/.out err=$scratch/.err
checks=0 failures=0
unset "${!STARLANE_@}"
cd "$scratch" || exit 1

finish() {
    rm -rf "$scratch"
    echo "$((checks - failures)) passed, $failures failed"
    [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
    exit $? # a bare exit in a trap means the code from before the trap
}
trap finish EXIT
trap 'exit 130' INT TERM

starlane() { "$command_path" "$@"; }
ranks() {
    local count=$1
    shift
    "${launcher[@]}" -n "$count" "$command_path" "$@"
}

failed() {
    failures=$((failures + 1))
    echo "${BASH_SOURCE[2]##*/}:${BASH_LINENO[1]}: $*"
}

code() {
    local want=$1 got
    shift
    "$@" >"$out" 2>"$err" </dev/null
    got=$?
    checks=$((checks + 1))
    [ "$got" = "$want" ] && return 0
    failed "$* ended with $got, not $want"
    tail -n 20 "$err" | sed 's/^/    /'
    return 1
}

contains() {
    checks=$((checks + 1))
    grep -qF -e "$2" "$1" && return 0
    failures=$((failures + 1))
    echo "${BASH_SOURCE[2]##*/}:${BASH_LINENO[1]}: does not hold \"$2\":"
    head -n 20 "$1" | sed 's/^/    /'
    return 1
}
says() { contains "$err" "$1"; }
shows() { contains "$out" "$1"; }

holds() {
    local what=$1
    shift
    checks=$((checks + 1))
    [ "$@" ] && return 0
    failed "$what: [ $* ]"
    return 1
}

result() {
    grep -F "{\"name\":\"$2\"," "$1/results.jsonl" |
        sed -E "s/.*\"$3\":(\"([^\"]*)\"|([^,}]*)).*/\2\3/"
}

# Waits up to 10 s for COMMAND… to succeed.
await() {
    local i
    for ((i = 0; i < 500; i++)); do
        "$@" 2>/dev/null && return 0
        sleep 0.02
    done
    checks=$((checks + 1))
    failed "waited in vain for: $*"
    return 1
}

# "NAME": each name of the trail file exactly once, COUNT of them, when COUNT is given.
once_each() {
    local what=$1 trail=$2 count=$3
    holds "$what: tasks that ran" "$(sort -u "$trail" | wc -l)" = "$count"
    holds "$what: runs of tasks" "$(wc -l <"$trail")" = "$count"
}

identities() {
    local who role
    code 0 starlane identity create authority authority
    for who in "$@"; do
        role=client
        [ "$who" != node ] || role=node
        code 0 starlane identity create "$who" "$role" "$who"
        code 0 starlane identity sign authority "$who/certificate" signed
        mv signed "$who/certificate"
    done
    # shellcheck disable=SC2034 # for who calls
    pin=$(starlane identity show authority | awk '$1 == "fingerprint" { print $2 }')
}

url_in() {
    for _ in $(seq 200); do
        grep -s '^starlane://' "$1" && return 0
        sleep 0.1
    done
    return 1
}

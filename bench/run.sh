#!/usr/bin/env bash
# Runs benchmarks: bench/run.sh BUILD [OPTION...] [NAME...]. Without a name, all of them, one table.
# Options are starlane-bench's (--json, --rounds N, --quick).
set -euo pipefail

build=${1:?usage: bench/run.sh BUILD [OPTION...] [NAME...]}
shift
program=$(readlink -f "$build/bin/starlane-bench")

options=()
names=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --transport | --only) options+=("$1" "$2") && shift ;;
    --*) options+=("$1") ;;
    *) names+=("$1") ;;
    esac
    shift
done
[ ${#names[@]} -gt 0 ] || names=(message spawn tasks api objects command ledger overload idle simulate seal start)

# How ranks are started here; Open MPI wants to be told that root and few cores are fine.
mpirun=(mpirun)
if mpirun --version 2>/dev/null | grep -q 'Open MPI\|Open RTE'; then
    mpirun+=(--oversubscribe)
    [ "$(id -u)" != 0 ] || mpirun+=(--allow-run-as-root)
fi
pinned=()
if [ ${#mpirun[@]} -gt 1 ] && [ "$(nproc)" -ge 2 ]; then
    pinned=(--bind-to core)
fi

# Beside the build: a temporary folder may be memory, which would make a disk's figures too good.
directory=$(mktemp -d "$(readlink -f "$build")/bench-XXXXXX")
trap 'rm -rf "$directory"' EXIT
options+=(--directory "$directory" --mpirun "${mpirun[*]}")

bench() {
    "$program" "${options[@]}" "$1"
    head_once
}

ranks() {
    local count=$1 name=$2
    shift 2
    "${mpirun[@]}" -n "$count" "$@" "$program" "${options[@]}" "$name"
    head_once
}

# The heading stands above the first rows alone.
head_once() {
    [[ " ${options[*]} " == *" --no-heading "* ]] || options+=(--no-heading)
}

for name in "${names[@]}"; do
    case $name in
    message)
        bench message
        ranks 2 message "${pinned[@]}"
        ;;
    tasks) ranks 2 tasks ;;
    overload)
        bench overload
        ranks 2 overload
        ;;
    idle)
        bench idle
        ranks 4 idle
        ;;
    *) bench "$name" ;;
    esac
done

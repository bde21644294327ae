#!/usr/bin/env bash
# run.sh [--need-gpu] [RESULTS]: runs the GPU tests that lie in this folder (pack.sh made it), with the
# libraries that lie here, and says how each went. RESULTS is a file that gets the same words.
#
# Exit code: 0 all that ran have passed, 1 one failed (with --need-gpu: or was skipped), 2 bad usage.
set -uo pipefail

usage() {
    echo "usage: run.sh [--need-gpu] [RESULTS]" >&2
    exit 2
}

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
need_gpu=false results=/dev/null
for argument; do
    case $argument in
    --need-gpu) need_gpu=true ;;
    -*) usage ;;
    *) [ "$results" = /dev/null ] && results=$argument || usage ;;
    esac
done
: >"$results" || exit 2
results=$(readlink -f "$results")
[ -x "$here/bin/starlane" ] || { echo "run.sh: $here is not what pack.sh makes: no bin/starlane" >&2 && exit 2; }
export PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
command -v python3 >/dev/null || { echo "run.sh: there is no python3 in PATH" >&2 && exit 2; }

# --- this folder's libraries before the machine's, and the driver where containers put it ---
export LD_LIBRARY_PATH=$here/packed${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
for nvidia in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
    [ ! -e $nvidia/libcuda.so.1 ] || LD_LIBRARY_PATH+=:$nvidia
done
PATH+=:/usr/local/nvidia/bin
unset "${!OMPI_@}" "${!PMIX_@}" "${!OPAL_@}"
if [ -d "$here/mpi" ]; then
    export PATH=$here/mpi/bin:$PATH
    export OPAL_PREFIX=$here/mpi OPAL_LIBDIR=$here/mpi/lib OPAL_SYSCONFDIR=$here/mpi/etc
    export PMIX_PREFIX=$here/mpi PMIX_PKGLIBDIR=$here/mpi/lib/pmix
    export OMPI_MCA_plm=isolated # all ranks on this machine: no ssh is looked for
fi

# --- one test after the other ---
passed=0 failed=0 skipped=0
output=$(mktemp) || exit 2
trap 'rm -f "$output"' EXIT

judge() { # NAME COMMAND...
    local name=$1 code start=$SECONDS
    shift
    timeout -k 5 240 "$@" >"$output" 2>&1 </dev/null
    code=$?
    case $code in
    0) passed=$((passed + 1)) && echo "ok       $name ($((SECONDS - start)) s)" ;;
    77) skipped=$((skipped + 1)) && echo "skipped  $name" ;;
    124 | 137) failed=$((failed + 1)) && echo "FAILED   $name: it did not end within 240 s" ;;
    *) failed=$((failed + 1)) && echo "FAILED   $name: exit code $code" ;;
    esac
    sed 's/^/         /' "$output"
}

machine() {
    echo "machine  $(uname -srm), glibc $(ldd --version | sed -n '1s/.* //p'), $(nproc) cores"
    if nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$output" 2>&1; then
        sed 's/^/gpu      /' "$output"
    else
        echo "gpu      none that nvidia-smi could tell"
    fi
}

all() {
    local test name
    machine
    judge unit.registry_accelerator_test "$here/unit/registry_accelerator_test"
    for test in "$here"/tests/gpu/*_test.sh; do
        name=$(basename "$test" _test.sh)
        judge "gpu.$name" "$test" "$here/bin/starlane" "mpirun --allow-run-as-root --oversubscribe" "$here/built"
    done
    echo "$passed passed, $failed failed, $skipped skipped, in $SECONDS s"
    [ $failed = 0 ] && { [ $skipped = 0 ] || ! $need_gpu; }
}

all 2>&1 | tee "$results"
exit "${PIPESTATUS[0]}"

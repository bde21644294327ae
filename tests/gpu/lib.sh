# What the GPU tests share, on top of the command's; sourced with the test's own arguments.
# shellcheck shell=bash disable=SC2034,SC2154 # its readers use them; cli/lib.sh sets them
#
#   TEST STARLANE LAUNCHER BUILT    BUILT: the folder with gpu_probe, the plug-in of another version and the
#                                   folder no_driver, as far as they could be built
#
#   need_gpu                        skips the test (exit code 77), and says why, where there is no GPU; else
#                                   sets $gpus, their number; what the driver says of them is in $facts
#   compare CHECK TOPO              one of compare.py's checks of what `topo --json` printed must hold
#   gpu_task NAME GPUS SHELL        a line of a task list
# shellcheck source=../cli/lib.sh
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=${3:?usage: TEST STARLANE LAUNCHER BUILT}
built=$(readlink -f "$built")
source "$here/../cli/lib.sh" "$1" "$2"

probe=$built/gpu_probe
facts=$scratch/.facts smi=$scratch/.smi
gpus=0

skip() {
    trap - EXIT
    rm -rf "$scratch"
    echo "skipped: $*"
    exit 77
}

# A second witness, where there is one: its list does not heed CUDA_VISIBLE_DEVICES.
ask_smi() {
    nvidia-smi --format=csv,noheader,nounits \
        --query-gpu=uuid,name,pci.bus_id,memory.total,clocks.max.sm,compute_cap,pci.device_id \
        >"$smi" 2>"$err" || : >"$smi"
}

need_gpu() {
    local got
    [ -x "$probe" ] || skip "no GPU programs: built without a CUDA compiler"
    ask_smi
    "$probe" facts >"$facts" 2>"$err"
    got=$?
    if [ $got = 3 ] && [ -s "$smi" ] && [ -z "${CUDA_VISIBLE_DEVICES+set}" ]; then
        failed "nvidia-smi lists GPUs, and CUDA none: $(cat "$err")"
        exit
    fi
    [ $got != 3 ] || skip "no GPU ($(cat "$err"))"
    [ $got = 0 ] || { failed "gpu_probe facts ended with $got: $(cat "$err")" && exit; }
    gpus=$(grep -c '"uuid"' "$facts")
    ln -s "$probe" probe
}

compare() {
    checks=$((checks + 1))
    python3 "$here/compare.py" "$1" "$2" "$facts" "$smi" >.compared 2>&1 && { cat .compared && return 0; }
    failed "$1: $2 differs from what the driver says:"
    sed 's/^/    /' .compared
    return 1
}

gpu_task() {
    printf '{"name": "%s", "gpus": %s, "shell": "%s"}\n' "$@"
}

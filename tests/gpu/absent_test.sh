#!/usr/bin/env bash
# Without the CUDA plug-in, without the driver, with a plug-in of another version: GPUs are then found as far
# as PCI tells, nothing fails, and none is offered that cannot be used. Needs no GPU; with one, it looks closer.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
ask_smi
[ ! -x "$probe" ] || "$probe" facts >"$facts" 2>"$err" || : >"$facts"

check_pci() {
    cp "$out" topo.json && compare pci topo.json
}

# --- the user wants no plug-in; it is not there; it is of another version ---
code 0 env STARLANE_CUDA_PLUGIN= "$command_path" topo --json && check_pci
code 0 env STARLANE_CUDA_PLUGIN=/nonexistent/plugin.so "$command_path" topo --json && check_pci &&
    shows "the CUDA plug-in cannot be loaded"
code 0 env STARLANE_CUDA_PLUGIN="$built/other_plugin.so" "$command_path" topo --json && check_pci &&
    shows "the CUDA plug-in has version " && shows ": it is not used"

# --- ranks of one machine still offer each GPU once ---
export STARLANE_CUDA_PLUGIN=
code 0 ranks 2 topo --json && cp "$out" topo.json && compare once topo.json
code 0 starlane topo --nodes 3 --json && cp "$out" topo.json && compare once topo.json
unset STARLANE_CUDA_PLUGIN

# --- the plug-in finds no CUDA driver: no error, and no warning either ---
without_driver() {
    env LD_LIBRARY_PATH="$built/no_driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"
}
code 0 without_driver "$command_path" topo --json && cp "$out" topo.json && compare quiet topo.json

# --- nor is the driver in the kernel: what is on the bus is described, and not offered ---
if [ ! -e /proc/driver/nvidia ]; then
    echo '{"name": "one", "gpus": 1, "shell": "true"}' >one.jsonl
    code 0 without_driver "$command_path" topo --json && cp "$out" topo.json && compare none topo.json
    code 1 without_driver "$command_path" run --output one one.jsonl &&
        says "no node of the network could ever run it"
elif unshare --mount sh -c 'mount -t tmpfs none /proc/driver/nvidia' 2>"$err"; then
    # shellcheck disable=SC2016 # the inner shell expands it
    code 0 without_driver unshare --mount sh -c 'mount -t tmpfs none /proc/driver/nvidia && exec "$0" "$@"' \
        "$command_path" topo --json && cp "$out" topo.json && compare none topo.json
else
    echo "note: not seen without the kernel's driver: $(cat "$err")"
fi

#!/usr/bin/env bash
# What discovery says of every GPU, against the CUDA driver API, nvidia-smi, the data sheet, and the GPU itself.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
need_gpu

code 0 starlane topo --json && cp "$out" topo.json && compare figures topo.json

# Blocks read the number of the SM they run on: as many were seen as discovery counts.
if code 0 "$probe" sms; then
    counted=$(python3 -c 'import json; print(json.load(open("topo.json"))[0]["hardware"]["accelerators"][0]["sms"])')
    holds "SMs that blocks ran on" "$(cat "$out")" = "$counted"
fi

# nvidia-smi is not asked, nor any other program.
code 0 env PATH=/nonexistent "$command_path" topo --json && cp "$out" alone.json && compare figures alone.json

# The table for people.
name=$(sed -n '1s/.*"name": "\([^"]*\)".*/\1/p' "$facts")
code 0 starlane topo && shows "GPU     $name, " && shows " CUDA cores * 0.8 + " && shows "(cuda)"

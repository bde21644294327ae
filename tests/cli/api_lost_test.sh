#!/usr/bin/env bash
# A rank that dies while it runs tasks of a program on the API: they are run again on those that live.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"
victim=$(dirname "$command_path")/../tests/api_victim

# The rank that dies is one of region b, of which two are left, or one.
for ranks in 4 3; do
    code 0 starlane launch -n "$ranks" -- "$victim" "--starlane-regions=a:1,b:$((ranks - 1))" && shows "sum 19900, shutdown DEAD"
done

# Actors of a rank that dies end with it, or are started again elsewhere; the others go on.
victim=$(dirname "$command_path")/../tests/api_actor_victim
code 0 starlane launch -n 3 -- "$victim" && shows "asked DEAD DEAD DEAD DEAD, name NOT_FOUND, sum 100" && shows "anew 1" && shows "shutdown DEAD"

# Results that stayed at a rank that dies; copied between ranks, as over hosts, so that none is mapped before.
victim=$(dirname "$command_path")/../tests/api_kept_victim
code 0 starlane launch -n 4 -- "$victim" --starlane-regions=a:1,b:3 --starlane-store-share=false --starlane-result-inline=32KiB &&
    shows "right 12, added 12, lost some, told all" && shows "shutdown DEAD"

# Actors go on from the state that was saved; who watches one is told; they live on spares that have taken a place.
victim=$(dirname "$command_path")/../tests/api_actor_saved_victim
code 0 starlane launch -n 3 --spares 1 -- "$victim" && shows "its end: its node was lost" &&
    shows "answered 10, saved 10 5 0" && shows "spare refused, then taken" && shows "shutdown DEAD"

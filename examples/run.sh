#!/usr/bin/env bash
# run.sh BUILD [OPTION...]: audits the software installed on this machine, as tasks on a network of 4 ranks in 4
# regions. BUILD is a build folder or an installed prefix (it holds bin/starlane); options go to `starlane run`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
regions=us-west,eu-central,ap-southeast,sa-east

[ $# -ge 1 ] || { sed -n '2,3s/^# //p' "$0" >&2 && exit 2; }
build=$(cd "$1" && pwd)
shift
[ -x "$build/bin/starlane" ] || { echo "run.sh: there is no $build/bin/starlane: ./dev build" >&2 && exit 2; }

runs=$build/runs
[ -w "$build" ] || runs=${TMPDIR:-/tmp}/starlane-runs
mkdir -p "$runs"
output=$(mktemp -d "$runs/audit-$(date +%Y%m%d-%H%M%S)-XXXX")
tasks=$output.jsonl
"$here/audit/make_tasks.sh" "$output" "$regions" >"$tasks"
printf '%d tasks: %s\n' "$(wc -l <"$tasks")" "$tasks"

code=0
"$build/bin/starlane" launch --launcher mpirun -n 4 -- "$build/bin/starlane" run --regions "$regions" --output "$output" "$@" "$tasks" || code=$?

if [ -s "$output/stdout/report" ]; then
    echo
    cat "$output/stdout/report"
    "$here/audit/where.sh" "$output"
    printf '\nThe report:   %s\n' "$output/stdout/report"
fi
printf 'All outputs:  %s\n' "$output"
[ "$code" = 0 ] || printf 'What failed:  starlane explain %s TASK\n' "$output"
exit "$code"

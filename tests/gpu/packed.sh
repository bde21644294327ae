#!/usr/bin/env bash
# packed.sh BUILD: packs the GPU tests of BUILD, moves the folder, and runs them there with an empty environment,
# each library from the folder. What there is no GPU for is skipped there as here.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/starlane-packed-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "packed.sh: $*"
    exit 1
}

"$here/pack.sh" "$work/first" "$1" || fail "it cannot be packed"
mv "$work/first" "$work/moved there"
folder=$(echo "$work/moved"*)

# What the loader would take from elsewhere: glibc alone.
elsewhere=$(find "$folder" -name '*.so*' -print0 -o -path '*/bin/*' -type f -print0 |
    LD_LIBRARY_PATH=$folder/packed xargs -0 -n 1 ldd 2>/dev/null |
    awk -v folder="$folder/" '$2 == "=>" && index($0, folder) == 0 { print $1 }' | sort -u |
    grep -vE '^(lib(c|m|dl|pthread|rt|resolv)\.so\.|ld-linux)')
[ -z "$elsewhere" ] || fail "not packed: $(xargs <<<"$elsewhere")"

cd /
env -i "$folder/run.sh" "$work/results" >"$work/out" 2>&1
code=$?
cat "$work/out"
[ $code = 0 ] || fail "run.sh ended with $code"
cmp "$work/out" "$work/results" || fail "the results file says something else"
grep -qE '^ok +gpu\.absent' "$work/out" || fail "not even the test that needs no GPU has passed"
grep -qE '^[0-9]+ passed, 0 failed, [0-9]+ skipped' "$work/out" || fail "no summary"

"$here/pack.sh" "$here" "$1" 2>/dev/null && fail "pack.sh took a folder that holds something else"
if grep -q '^skipped' "$work/out" && env -i "$folder/run.sh" --need-gpu >"$work/out" 2>&1; then
    fail "with --need-gpu a skipped test must fail"
fi
exit 0

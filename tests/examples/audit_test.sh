#!/bin/sh
# audit_test.sh STARLANE EXAMPLES WORK: audits two packages made for the purpose, of which it is known what is wrong.
set -eu
starlane=$1 examples=$2 work=$3
command -v dpkg-query >/dev/null || {
    echo "there is no dpkg here"
    exit 77
}
unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK 2>/dev/null || true
rm -rf "$work"
mkdir -p "$work/dpkg/info" "$work/files/stray dir" && cd "$work"
files=$PWD/files
failed=0

expect() {
    grep -qF -- "$1" report || {
        echo "the report lacks: $1" >&2
        failed=1
    }
}

# sums PACKAGE FILE...: what the package says of its files.
sums() {
    package=$1
    shift
    for file; do
        printf '%s  %s\n' "$(md5sum <"$files/$file" | cut -c 1-32)" "${files#/}/$file"
        printf '%s\n' "$files/$file" >>"dpkg/info/$package.list"
    done >"dpkg/info/$package.md5sums"
}

for package in sound broken; do
    printf 'Package: %s\nStatus: install ok installed\nPriority: optional\nSection: misc\nInstalled-Size: 12\n' $package
    printf 'Maintainer: none <none@example.org>\nArchitecture: all\nVersion: 1.0-1\nDescription: for a test\n\n'
done >dpkg/status
printf '%s\n%s\n%s\n' "$files/diverted" "$files/moved" broken >dpkg/diversions

for file in "with a space" plain elevated changed gone moved; do
    printf 'this is %s\n' "$file" >"$files/$file"
done
cp "$files/moved" "$files/diverted"
cp "$(readlink -f /proc/self/exe)" "$files/program"
sums sound "with a space" plain program diverted
sums broken elevated changed gone
echo "something else" >"$files/diverted" # broken's own, which put sound's at `moved`
echo "tampered with" >"$files/changed"
rm "$files/gone"
chmod 4755 "$files/elevated"
chmod 666 "$files/plain"
echo "of no package" >"$files/stray dir/file"

DPKG_ADMINDIR=$PWD/dpkg AUDIT_PLACES=$files "$examples/audit/make_tasks.sh" "$PWD/run" east,west >tasks.jsonl
"$starlane" run --nodes 2 --regions east,west --output run tasks.jsonl
cp run/stdout/report report
"$examples/audit/where.sh" "$PWD/run" >>report

expect "2 packages with 7 files"
expect "| sound | 1.0-1 | 0.0 |"
expect "6 of 7 files"
expect "1 altered, 1 missing, 0 left out"
expect "| altered | broken | \`$files/changed\` |"
expect "| missing | broken | \`$files/gone\` |"
expect "1 executables and 0 shared libraries"
expect "| \`$files/elevated\` | 4755 | $(id -un):$(id -gn) | broken |"
expect "1 files or directories may be written by everyone: \`$files/plain\`"
expect "| libc.so.6 | - | 1 | 1 |"
expect "2 packages have no copyright file: broken, sound"
expect "| 0 | $(uname -n) | east |"
expect "$(wc -l <tasks.jsonl) tasks in"
[ "$failed" = 0 ] || cat report >&2
exit "$failed"

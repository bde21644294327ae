#!/bin/sh
# make_tasks.sh OUTPUT [REGION,REGION...]: writes, as JSON Lines, the tasks of an audit of the software installed
# on this machine. OUTPUT is the directory they will run in (`starlane run --output`): later tasks read there what
# earlier ones printed. With regions, the tasks that bring results together are pinned to them in turn.
#
#   package.NAME  one per installed package: files, checksums, licences, libraries         (several hundred)
#   group.LETTER  after its packages: brings their facts together                          (one per letter, and lib?)
#   owned, scan.* files of no package, programs that run as their owner
#   section.*     after all groups and scans: one section of the report
#   report        after the sections: the report
#
# From the environment: AUDIT_MB, how much of one package is read at most (default 32); AUDIT_PLACES, the directories
# that are scanned; DPKG_ADMINDIR, where dpkg keeps its records, as dpkg itself takes it.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
output=$1 regions=${2-}
admin=${DPKG_ADMINDIR:-/var/lib/dpkg}
places=${AUDIT_PLACES-/usr/bin /usr/sbin /usr/lib /usr/libexec /usr/share /usr/local /opt /etc /var/lib}
here=$(cd "$(dirname "$0")" && pwd)
case $output in /*) ;; *) output=$PWD/$output ;; esac
if ! command -v dpkg-query >/dev/null || [ ! -d "$admin/info" ]; then
    echo "make_tasks.sh: there is no dpkg database here; this audit is for Debian and its relatives" >&2
    exit 2
fi

dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Installed-Size}\n' | LC_ALL=C sort |
    OUTPUT=$output HERE=$here ADMIN=$admin PLACES=$places awk -F '\t' -v regions="$regions" -v mb="${AUDIT_MB:-32}" '
    function quote(text) {
        gsub(/\\/, "\\\\", text)
        gsub(/"/, "\\\"", text)
        return "\"" text "\""
    }
    function command(script, words) {
        return "\"command\":[" quote(here "/" script) words "],"
    }
    # The part of every task: where results lie, how long one may take, one more try.
    function common(timeout_s) {
        return "\"env\":{\"AUDIT_RUN\":" quote(output) ",\"AUDIT_MB\":" quote(mb) ",\"DPKG_ADMINDIR\":" quote(admin) \
            "},\"timeout_s\":" timeout_s ",\"retries\":1}"
    }
    function pinned() {
        return region_count ? "\"region\":" quote(region[turn++ % region_count + 1]) "," : ""
    }
    function task(name, does, more, timeout_s) {
        print "{\"name\":" quote(name) "," does more common(timeout_s)
    }
    # As the Debian archive is laid out: libc6 in libc, bash in b.
    function group_of(package) {
        return substr(package, 1, package ~ /^lib./ ? 4 : 1)
    }
    # Large packages first: the last tasks to end are then short ones.
    function priority(size_kb) {
        return size_kb > 100000 ? 3 : size_kb > 10000 ? 2 : size_kb > 1000 ? 1 : 0
    }
    BEGIN {
        output = ENVIRON["OUTPUT"]
        admin = ENVIRON["ADMIN"]
        here = ENVIRON["HERE"]
        region_count = split(regions, region, ",")
    }
    $1 == "installed" {
        package = $2
        group = group_of(package)
        task("package." package, command("package.sh", "," quote(package)),
             "\"memory_gb\":0.1,\"priority\":" priority($3) ",", 300)
        if (!(group in members)) groups[++group_count] = group
        members[group] = members[group] "," quote(package)
        after[group] = after[group] (after[group] == "" ? "" : ",") quote("package." package)
    }
    END {
        task("inventory", command("inventory.sh", ""), "\"priority\":10,", 60)
        task("owned", command("owned.sh", ""), "\"priority\":10,\"memory_gb\":0.2,", 60)
        inputs = quote("inventory")
        for (i = 1; i <= group_count; i++) {
            group = groups[i]
            task("group." group, command("group.sh", members[group]),
                 pinned() "\"priority\":4,\"after\":[" after[group] "],", 60)
            inputs = inputs "," quote("group." group)
        }
        place_count = split(ENVIRON["PLACES"], places, " ")
        for (i = 1; i <= place_count; i++) {
            name = substr(places[i], 2)
            gsub("/", "-", name)
            task("scan." name, command("scan.sh", "," quote(places[i])),
                 "\"priority\":5,\"memory_gb\":0.2,\"after\":[\"owned\"],", 120)
            inputs = inputs "," quote("scan." name)
        }
        section_count = split("sizes integrity programs libraries licences", sections, " ")
        for (i = 1; i <= section_count; i++) {
            task("section." sections[i], command("section.sh", "," quote(sections[i])),
                 pinned() "\"memory_gb\":0.2,\"after\":[" inputs "],", 60)
            ends = ends (i > 1 ? "," : "") quote("section." sections[i])
        }
        task("report", command("report.sh", ""), pinned() "\"after\":[" ends "],", 60)
    }'

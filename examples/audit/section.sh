#!/bin/sh
# section.sh NAME: one section of the report, out of what the groups, the scans and the inventory found.
set -eu
LC_ALL=C
export LC_ALL
name=$1
here=$(cd "$(dirname "$0")" && pwd)
cd "$AUDIT_RUN/stdout"
case $name in
sizes) set -- inventory group.* ;;
programs) set -- group.* scan.* ;;
*) set -- group.* ;;
esac
exec awk -F '\t' -v limit_mb="${AUDIT_MB:-32}" -f "$here/table.awk" -f "$here/$name.awk" "$@"

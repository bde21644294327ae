#!/bin/sh
# owned.sh: every path that belongs to some package, sorted. Where /bin, /lib … are links into /usr, so are they here.
set -eu
LC_ALL=C
export LC_ALL
admin=${DPKG_ADMINDIR:-/var/lib/dpkg}
merged=
for name in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "/$name" ] || merged="$merged;s,^/$name/,/usr/$name/,"
done
{
    cat "$admin"/info/*.list
    # What a package diverted away is still there, under another name.
    awk 'NR % 3 == 2' "$admin/diversions" 2>/dev/null || true
} | sed "$merged" | sort -u

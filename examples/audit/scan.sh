#!/bin/sh
# scan.sh DIRECTORY: what lies there that a person should know of, whoever put it there. A fact a line:
#   setuid MODE OWNER PATH OWNED    a program that runs as its owner or group; OWNED: package or none
#   open PATH                       a directory or file that everyone may write (no sticky bit)
#   unowned COUNT                   files of no package; and where most of them lie: stray COUNT DIRECTORY
# Of /usr/local, /opt, /etc and /var, no file needs to belong to a package: they are not counted.
set -eu
LC_ALL=C
export LC_ALL
place=$1
owned=$AUDIT_RUN/stdout/owned
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
[ -d "$place" ] || exit 0

# Directories that may not be read are passed over: a user who is not root sees less.
find "$place" -xdev -type f -perm /6000 -printf '%p\t%m\t%u:%g\n' 2>/dev/null | sort >special || true
cut -f 1 special | comm -12 - "$owned" >packaged
awk -F '\t' '
    FILENAME == "packaged" { packaged[$0] = 1; next }
    { print "setuid\t" $2 "\t" $3 "\t" $1 "\t" ($1 in packaged ? "package" : "none") }' packaged special
find "$place" -xdev \( -type f -o -type d ! -perm -1000 \) -perm -0002 -printf 'open\t%p\n' 2>/dev/null || true

case $place in /usr/local | /opt | /etc | /var*) exit 0 ;; esac
# Python writes its own compiled files beside those of packages; caches are made on installation.
find "$place" -xdev -path /usr/lib/debug -prune -o -name __pycache__ -prune -o -type f -print 2>/dev/null |
    sort | comm -23 - "$owned" >stray || true
# Directories of the third level (/usr/lib/jvm); files that lie higher count for theirs.
awk -F / '
    { count["/" $2 "/" $3 (NF > 4 ? "/" $4 : "")]++ }
    END {
        printf "unowned\t%d\n", NR
        for (directory in count) print "stray\t" count[directory] "\t" directory
    }' stray

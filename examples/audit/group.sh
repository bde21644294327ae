#!/bin/sh
# group.sh PACKAGE...: what the tasks package.PACKAGE printed, each line with its package before it.
set -eu
cd "$AUDIT_RUN/stdout"
for package; do
    awk -v package="$package" '{ print package "\t" $0 }' "package.$package"
done

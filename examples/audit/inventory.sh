#!/bin/sh
# inventory.sh: the installed packages, PACKAGE<tab>VERSION<tab>SECTION<tab>KIB a line.
set -eu
dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Version}\t${Section}\t${Installed-Size}\n' |
    sed -n 's/^installed\t//p'

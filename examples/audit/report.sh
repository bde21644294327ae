#!/bin/sh
# report.sh: the report, out of its sections.
set -eu
cd "$AUDIT_RUN/stdout"
system=$(. /etc/os-release && printf %s "$PRETTY_NAME")
cat <<TEXT
# Audit of the software installed on $(uname -n)

$system, $(uname -r), $(date -u '+%Y-%m-%d %H:%M UTC'). Everything below was read on this machine: checksums by
reading the files, libraries and protections from the ELF headers, licences from the copyright files.
TEXT
for section in sizes integrity programs libraries licences; do
    echo
    cat "section.$section"
done

#!/bin/sh
# package.sh PACKAGE: looks at what one installed Debian package put on this machine.
#
# Writes one fact a line, fields separated by tabs:
#   files COUNT BYTES          what the package lists, by /var/lib/dpkg/info/PACKAGE.md5sums
#   verified COUNT BYTES       how much of it was read and compared with its checksum
#   altered|missing|unreadable|excluded PATH
#   setuid MODE OWNER PATH     a program that runs as its owner or group; writable: anyone may write
#   elf KIND COUNT             executables, libraries
#   weak REASON PATH           an ELF file built without a usual protection
#   needs SONAME COUNT         shared libraries, and how many files here need each; 32-bit ones are marked
#   provides SONAME
#   licence NAME
# AUDIT_MB bounds what is read: of a larger package, a sample of that size is verified.
set -eu
LC_ALL=C
export LC_ALL
package=$1
admin=${DPKG_ADMINDIR:-/var/lib/dpkg}
sums=$admin/info/$package.md5sums
bound=$((${AUDIT_MB:-32} * 1024 * 1024))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"

# DIGEST<tab>PATH of every file. Where another package diverted a path, the file lies elsewhere.
list_files() {
    cp "$admin/diversions" diversions 2>/dev/null || : >diversions
    awk -v package="${package%%:*}" '
        FILENAME == "diversions" {
            line[FNR % 3] = $0
            if (FNR % 3 == 0 && line[0] != package)
                moved[line[1]] = line[2]
            next
        }
        length($0) > 34 {
            path = "/" substr($0, 35)
            print substr($0, 1, 32) "\t" (path in moved ? moved[path] : path)
        }' diversions "$1"
}

# Counts; notes modes; writes absent (paths), binaries (likely ELF), check (what md5sum shall verify).
# The sample is by order of checksum: as good as random, and the same each time.
choose() {
    sort listed | awk -F '\t' -v bound="$bound" '
        FILENAME == "found" { size[$4] = $1; mode[$4] = $2; owner[$4] = $3; next }
        { files++ }
        !($2 in size) { print $2 >"absent"; next }
        {
            path = $2
            bytes += size[path]
            if (mode[path] ~ /^[2-7]...$/)
                print "setuid\t" mode[path] "\t" owner[path] "\t" path
            if (mode[path] ~ /[2367]$/)
                print "writable\t" path
            if (mode[path] ~ /[1357]/ || path ~ /\.so(\.|$)/)
                print path >"binaries"
            if (taken + size[path] <= bound) {
                taken += size[path]
                verified++
                print $1 "  " path >"check"
            }
        }
        END {
            printf "files\t%d\t%.0f\nverified\t%d\t%.0f\n", files, bytes, verified, taken
        }' found -
}

compare() {
    { md5sum --check --quiet check 2>/dev/null || true; } | awk '
        sub(/: FAILED open or read$/, "") { print "unreadable\t" $0; next }
        sub(/: FAILED$/, "") { print "altered\t" $0 }'
}

# Does the path lie in a directory that may not be looked into?
hidden() {
    directory=${1%/*}
    while [ -n "$directory" ] && [ ! -d "$directory" ]; do
        directory=${directory%/*}
    done
    [ ! -x "$directory/" ]
}

# Files that dpkg was told to leave out are no loss. The last rule that fits counts.
absent_files() {
    cat /etc/dpkg/dpkg.cfg /etc/dpkg/dpkg.cfg.d/* 2>/dev/null |
        sed -n 's/^[ \t]*path-\(exclude\|include\)[ \t=]*/\1 /p' >rules
    while IFS= read -r path; do
        verdict=missing
        while read -r rule pattern; do
            # shellcheck disable=SC2254 # a pattern, as dpkg means it
            case $path in $pattern) [ "$rule" = exclude ] && verdict=excluded || verdict=missing ;; esac
        done <rules
        ! hidden "$path" || verdict=unreadable
        printf '%s\t%s\n' "$verdict" "$path"
    done <absent
}

elf_files() {
    command -v readelf >/dev/null || return 0
    # With two names, readelf says which file it speaks of.
    { xargs -d '\n' -r readelf -hldW /dev/null <binaries 2>/dev/null || true; } | awk '
        function weak(reason) { print "weak\t" reason "\t" file }
        function done() {
            if (type == "" || type == "REL" || type == "CORE")
                return
            program = type == "EXEC" || pie || (interpreter && soname == "")
            count[program ? "executables" : "libraries"]++
            if (program && type == "EXEC")
                weak("fixed-address")
            if (stack)
                weak("executable-stack")
            if (!relro && dynamic)
                weak("no-relro")
        }
        sub(/^File: /, "") {
            done()
            file = $0
            type = soname = bits = ""
            pie = interpreter = stack = relro = dynamic = 0
        }
        $1 == "Class:" && $2 == "ELF32" { bits = " (32 bit)" }
        $1 == "Type:" { type = $2 }
        $1 == "INTERP" { interpreter = 1 }
        $1 == "DYNAMIC" { dynamic = 1 }
        $1 == "GNU_STACK" && $0 ~ / RWE / { stack = 1 }
        $1 == "GNU_RELRO" { relro = 1 }
        /\(FLAGS_1\).* PIE/ { pie = 1 }
        /\((NEEDED|SONAME)\)/ {
            name = $0
            gsub(/^.*\[|\].*$/, "", name)
            if ($0 ~ /\(NEEDED\)/) needs[name bits]++
            else { soname = name; provides[name bits] = 1 }
        }
        END {
            done()
            for (kind in count) print "elf\t" kind "\t" count[kind]
            for (name in needs) print "needs\t" name "\t" needs[name]
            for (name in provides) print "provides\t" name
        }'
}

# Machine-readable copyright files name licences; of the others, well-known words are looked for.
licences() {
    copyright=/usr/share/doc/${package%%:*}/copyright
    if [ ! -r "$copyright" ]; then
        printf 'licence\t(no copyright file)\n'
        return
    fi
    awk '
        function found(name) { if (!(name in seen)) { seen[name] = 1; n++; print "licence\t" name } }
        NR <= 5 && /^Format(-Specification)?:/ { machine = 1 }
        machine && /^License:/ {
            count = split(substr($0, 9), names, /[ \t]+(and|or|with)[ \t]+|[,|][ \t]*/)
            for (i = 1; i <= count; i++) {
                name = names[i]
                gsub(/^[ \t]+|[ \t]+$|[()]/, "", name)
                if (name ~ /^[A-Za-z0-9][A-Za-z0-9.+-]*$/) found(name)
            }
        }
        machine { next }
        {
            text = $0
            while (match(text, /common-licenses\/[A-Za-z]+[A-Za-z0-9.-]*[A-Za-z0-9]/)) {
                found(substr(text, RSTART + 16, RLENGTH - 16))
                text = substr(text, RSTART + RLENGTH)
            }
        }
        /[Pp]ermission is hereby granted, free of charge/ { found("Expat/MIT-like") }
        /[Rr]edistribution and use in source and binary/ { found("BSD-like") }
        /[Pp]ublic [Dd]omain/ { found("public-domain") }
        /Mozilla Public License/ { found("MPL") }
        END { if (!n) print "licence\t(in words of its own)" }' "$copyright"
}

: >absent
: >binaries
: >check
: >listed
[ ! -r "$sums" ] || list_files "$sums" >listed
cut -f 2 listed | xargs -d '\n' -r stat -L --printf='%s\t%a\t%U:%G\t%n\n' >found 2>/dev/null || true
choose
[ ! -s check ] || compare
[ ! -s absent ] || absent_files
[ ! -s binaries ] || elf_files
licences

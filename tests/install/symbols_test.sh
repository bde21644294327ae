#!/usr/bin/env bash
# symbols_test.sh LIBRARY HEADER: the library exports what the header declares with SL_API, and nothing else.
set -euo pipefail
library=$1 header=$2

exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sort -u)
declared=$(sed -n '/^#define/d; /SL_API/,/;/p' "$header" | tr '\n' ' ' | sed 's/;/;\n/g' |
    grep -oE 'SL_API[^;(]*\b(sl_[a-z0-9_]+) *\(' | grep -oE 'sl_[a-z0-9_]+ *\($' | tr -d ' (' | sort -u)

[ -n "$declared" ] || { echo "$header declares nothing with SL_API"; exit 1; }
if difference=$(diff <(echo "$exported") <(echo "$declared")); then
    echo "$(wc -l <<<"$declared") symbols, all declared"
else
    printf 'exported (<) but not declared, or declared (>) but not exported:\n%s\n' "$difference"
    exit 1
fi

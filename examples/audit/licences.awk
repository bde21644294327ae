# Section: under which licences?
{ packages[$1] = 1 }
$2 == "licence" { count[$3]++; last[$3] = $1 }
$2 == "licence" && $3 ~ /^\(/ { unclear[$3, ++unclear_count] = $1; if ($3 ~ /no copyright/) none[$1] = 1; else words[$1] = 1 }
END {
    for (name in packages) total++
    for (name in count) if (name !~ /^\(/) { named[name] = count[name]; names++ }
    print "## Licences\n"
    printf "%d different names of licences in the copyright files of %d packages. The most frequent (a package may name several):\n\n", names, total
    print "| licence | packages | share |\n| --- | ---: | ---: |"
    n = greatest(named, 15, top)
    for (i = 1; i <= n; i++) print "| " cell(top[i]) " | " named[top[i]] " | " share(named[top[i]], total) " |"
    printf "\n%d packages have no copyright file", count["(no copyright file)"] + 0
    print (count["(no copyright file)"] ? ": " some(none, 8) : "") "."
    printf "%d state their licence in words that this audit does not know", count["(in words of its own)"] + 0
    print (count["(in words of its own)"] ? ": " some(words, 8) : "") "."
}

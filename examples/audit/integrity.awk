# Section: are the files what the packages say they are?
$2 == "files" { files += $3; bytes += $4; all[$1] = $4 }
$2 == "verified" { verified += $3; read += $4; if ($4 < all[$1]) sampled[$1] = all[$1] }
$2 == "altered" || $2 == "missing" { bad[++bad_count] = "| " $2 " | " cell($1) " | " cell(code($3)) " |" }
$2 ~ /^(altered|missing|unreadable|excluded)$/ { count[$2]++ }
END {
    print "## Are the files as their packages brought them?\n"
    printf "%d of %d files, %s of %s MB (%s), were read and compared with their packages' checksums.\n", verified, files,
        mb(read), mb(bytes), share(read, bytes)
    n = greatest(sampled, 1e9, top)
    if (n) {
        printf "Of %d packages larger than %d MiB, a sample was read: ", n, limit_mb
        for (i = 1; i <= n && i <= 5; i++) printf "%s%s", (i > 1 ? ", " : ""), top[i]
        print (n > 5 ? " …" : "") "."
    }
    printf "\n%d altered, %d missing, %d left out on purpose by dpkg's configuration, %d not readable.\n",
        count["altered"], count["missing"], count["excluded"], count["unreadable"]
    if (bad_count) print "\n| what | package | file |\n| --- | --- | --- |"
    for (i = 1; i <= bad_count && i <= 20; i++) print bad[i]
    if (bad_count > 20) printf "\n… and %d more.\n", bad_count - 20
}

# Section: what is installed, and what of it is large.
FILENAME == "inventory" {
    packages++
    version[$1] = $2
    part = $3
    sub(/^.*\//, "", part)
    in_section[part]++
    size[$1] += $4 * 1024
    total += $4 * 1024
    section_size[part] += $4 * 1024
    next
}
$2 == "files" { files += $3 }
END {
    print "## What is installed\n"
    printf "%d packages with %d files, %s MB.\n\n", packages, files, mb(total)
    print "| package | version | MB |\n| --- | --- | ---: |"
    n = greatest(size, 10, top)
    for (i = 1; i <= n; i++) print "| " cell(top[i]) " | " cell(version[top[i]]) " | " mb(size[top[i]]) " |"
    print "\n| section | packages | MB |\n| --- | ---: | ---: |"
    n = greatest(section_size, 8, top)
    for (i = 1; i <= n; i++) print "| " cell(top[i]) " | " in_section[top[i]] " | " mb(section_size[top[i]]) " |"
}

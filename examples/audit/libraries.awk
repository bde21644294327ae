# Section: who needs which shared library, and does anybody bring it?
$2 == "needs" { users[$3]++; files[$3] += $4; who[$3] = who[$3] (who[$3] == "" ? "" : ", ") $1 }
$2 == "provides" && !($3 in from) { from[$3] = $1 }
END {
    for (name in users) { needed++; if (!(name in from)) { lacking[name] = users[name]; lacking_count++ } }
    print "## Shared libraries\n"
    printf "%d libraries are needed by programs or libraries here. The most needed:\n\n", needed
    print "| library | from | packages | files |\n| --- | --- | ---: | ---: |"
    n = greatest(users, 12, top)
    for (i = 1; i <= n; i++)
        print "| " cell(top[i]) " | " (top[i] in from ? cell(from[top[i]]) : "-") " | " users[top[i]] " | " files[top[i]] " |"
    if (!lacking_count) { print "\nEvery one of them is in some package."; exit }
    printf "\nIn no package by that name (a program brings its own, or something is missing): %d.\n\n", lacking_count
    print "| library | needed by |\n| --- | --- |"
    n = greatest(lacking, 10, top)
    for (i = 1; i <= n; i++) print "| " cell(top[i]) " | " cell(length(who[top[i]]) > 60 ? substr(who[top[i]], 1, 57) "…" : who[top[i]]) " |"
    if (lacking_count > 10) printf "\n… and %d more.\n", lacking_count - 10
}

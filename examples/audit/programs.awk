# Section: programs with powers, and programs without protection.
# Groups come first. A path is known without the /usr before it, wherever /bin is a link into /usr.
FILENAME ~ /^scan\./ && $1 == "setuid" {
    key = $4
    sub(/^\/usr\//, "/", key)
    from = $5 == "none" ? "**no package**" : key in bringer ? bringer[key] : "a package"
    special[++special_count] = "| " cell(code($4)) " | " $2 " | " $3 " | " cell(from) " |"
}
FILENAME ~ /^scan\./ && $1 == "open" { open_place[++open_count] = $2 }
FILENAME ~ /^scan\./ && $1 == "unowned" { unowned += $2 }
FILENAME ~ /^scan\./ && $1 == "stray" { stray[$3] = $2 }
FILENAME ~ /^scan\./ { next }
$2 == "elf" { elf[$3] += $4 }
$2 == "setuid" { key = $5; sub(/^\/usr\//, "/", key); bringer[key] = $1 }
$2 == "weak" { weak[$3]++; if ($3 == "executable-stack") stack[++stack_count] = $4 }
END {
    print "## Programs\n"
    printf "%d executables and %d shared libraries in packages. Without protection:\n\n", elf["executables"], elf["libraries"]
    print "| what is lacking | files |\n| --- | ---: |"
    print "| loads at a fixed address (no PIE) | " weak["fixed-address"] + 0 " |"
    print "| tables stay writable (no RELRO) | " weak["no-relro"] + 0 " |"
    print "| executable stack | " weak["executable-stack"] + 0 " |"
    for (i = 1; i <= stack_count && i <= 5; i++) print (i == 1 ? "\nWith an executable stack: " : "") code(stack[i]) (i == stack_count ? "." : i < 5 ? "," : ", …")

    printf "\n%d programs run as their owner or group, whoever starts them:\n\n", special_count
    print "| program | mode | owner | comes from |\n| --- | ---: | --- | --- |"
    for (i = 1; i <= special_count && i <= 30; i++) print special[i]
    if (special_count > 30) printf "\n… and %d more.\n", special_count - 30

    printf "\n%d files or directories may be written by everyone", open_count
    for (i = 1; i <= open_count && i <= 5; i++) printf "%s%s", (i > 1 ? ", " : ": "), code(open_place[i])
    print (open_count > 5 ? " …" : "") "."
    printf "%d files below `/usr` (not `/usr/local`) belong to no package", unowned
    n = greatest(stray, 5, top)
    for (i = 1; i <= n; i++) printf "%s%d in %s", (i > 1 ? ", " : ": "), stray[top[i]], code(top[i])
    print "."
}

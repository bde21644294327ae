#!/bin/sh
# where.sh OUTPUT: of a finished audit, which rank verified how much and what the run took. Made from results.jsonl
# and summary.json, after the run: the report itself is one of its tasks.
set -eu
LC_ALL=C
export LC_ALL
cd "$1"
awk '
    # results.jsonl is flat and its keys are known: a value ends at the next comma or brace.
    function field(name,    at, text) {
        at = index($0, "\"" name "\":")
        text = substr($0, at + length(name) + 3)
        if (substr(text, 1, 1) != "\"") { sub(/[,}].*$/, "", text); return text }
        text = substr(text, 2)
        sub(/".*$/, "", text)
        return text
    }
    {
        rank = field("rank")
        if (rank == "null") next
        place[rank] = field("host") " | " field("region")
        tasks[rank]++
        all++
        again += field("attempts") - 1
        seconds[rank] += end - start
        cpu[rank] += field("user_s") + field("sys_s")
        start = field("start_s") + 0
        end = field("end_s") + 0
        if (!first || start < first) first = start
        if (end > last) last = end
        name = field("name")
        if (name !~ /^package\./) next
        path = "stdout/" name
        while ((getline line <path) > 0)
            if (split(line, part, "\t") == 3 && part[1] == "verified") bytes[rank] += part[3]
        close(path)
    }
    END {
        print "\n## Who did the work\n"
        print "| rank | host | region | tasks | MB verified | s in tasks | s of CPU |"
        print "| ---: | --- | --- | ---: | ---: | ---: | ---: |"
        for (rank = 0; all && rank < 100000; rank++)
            if (rank in tasks) {
                printf "| %d | %s | %d | %.1f | %.1f | %.1f |\n", rank, place[rank], tasks[rank], bytes[rank] / 1e6,
                    seconds[rank], cpu[rank]
                sum += seconds[rank]
                cpu_sum += cpu[rank]
                shown += tasks[rank]
                if (shown == all) break
            }
        printf "\n%d tasks in %.1f s (%.0f a second), %d tried again. The tasks took %.1f s in all, %.1f s of CPU.\n", all,
            last - first, all / (last - first > 0 ? last - first : 1), again, sum, cpu_sum
    }' results.jsonl

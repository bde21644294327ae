#!/usr/bin/env bash
# Tasks of every kind, and what a run leaves of them.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

# --- every field of a task, on four nodes of two regions ---
mkdir sub && echo "from a file" >input
cat >all.jsonl <<'TASKS'
{"name": "last", "shell": "cat out.first && echo last", "after": ["first", "argv"]}
{"name": "first", "shell": "echo first >out.first"}
{"name": "argv", "command": ["printf", "%s|", "a b", "$HOME", "c"]}
{"name": "where", "shell": "basename $PWD", "cwd": "sub"}
{"name": "env", "shell": "echo $COLOR $STARLANE_TASK_NAME", "env": {"COLOR": "red"}}
{"name": "text", "command": ["cat"], "stdin": "given"}
{"name": "file", "command": ["cat"], "stdin": {"file": "input"}}
{"name": "fails", "shell": "echo oops >&2; exit 7", "retries": 2}
{"name": "never", "shell": "touch never", "after": ["fails"]}
{"name": "dies", "shell": "kill -KILL $$"}
{"name": "slow", "shell": "sleep 60", "timeout_s": 0.2}
{"name": "nosuch", "command": ["nosuch-program"]}
{"name": "far", "shell": "true", "region": "eu"}
{"name": "nowhere", "shell": "true", "region": "mars"}
{"name": "huge", "shell": "true", "cpus": 4096}
{"name": "echo", "function": "starlane.echo", "args": "said"}
{"name": "crc", "function": "starlane.crc32", "args": "123456789"}
{"name": "no", "function": "starlane.fail", "args": "because"}
TASKS
code 1 starlane run --nodes 4 --regions us,eu --output all --joblog log all.jsonl
says "task fails failed" && says "10 done, 7 failed, 1 skipped"
holds "a line each" "$(wc -l <all/results.jsonl)" = 18
holds "each once" "$(sed 's/","status.*//' all/results.jsonl | sort | uniq -d | wc -l)" = 0
holds "order" "$(cat all/stdout/last)" = "first
last"
holds "arguments" "$(cat all/stdout/argv)" = 'a b|$HOME|c|'
holds "directory" "$(cat all/stdout/where)" = sub
holds "environment" "$(cat all/stdout/env)" = "red env"
holds "stdin text" "$(cat all/stdout/text)" = given
holds "stdin file" "$(cat all/stdout/file)" = "from a file"
holds "stderr" "$(sort -u all/stderr/fails)" = oops
holds "exit code" "$(result all fails exit_code) $(result all fails attempts)" = "7 3"
holds "signal" "$(result all dies signal) $(result all dies exit_code)" = "9 null"
holds "timeout" "$(result all slow status)" = failed
holds "not found" "$(result all nosuch status) $(result all nosuch exit_code)" = "failed 127"
holds "skipped" "$(result all never status)" = skipped
holds "it did not run" ! -e never
holds "region" "$(result all far region) $(result all far status)" = "eu done"
holds "no such region" "$(result all nowhere status) $(result all nowhere rank)" = "failed null"
holds "too large" "$(result all huge status) $(result all huge attempts)" = "failed 0"
holds "function" "$(cat all/stdout/echo) $(cat all/stdout/crc)" = "said cbf43926"
holds "function fails" "$(result all no status)" = failed
holds "joblog" "$(head -1 log | cut -f1,7,9)" = "Seq	Exitval	Command"
holds "joblog of a failure" "$(grep 'exit 7' log | cut -f1,7,8)" = "8	7	0"
holds "joblog lists what ran" "$(tail -n +2 log | wc -l)" = 15
for word in '"tasks": 18' '"failed": 7' '"skipped": 1' '"busy_fraction"' '"reason": "finished"'; do
    contains all/summary.json "$word"
done

# --- why? ---
code 0 starlane explain all && shows "10 done, 7 failed"
code 0 starlane explain all last && shows "placed on rank" && shows "policy earliest-completion"
code 0 starlane explain all huge && shows "asks for 4096 cpus"
code 0 starlane explain all never && shows "skipped"
code 0 starlane explain --json all fails
holds "attempts" "$(python3 -c 'import json, sys
task = json.load(open(sys.argv[1]))
print(task["state"], [(a["attempt"], a["status"], a["exit_code"]) for a in task["attempts"]])' "$out")" = \
    "failed [(1, 'failed', 7), (2, 'failed', 7), (3, 'failed', 7)]"
code 2 starlane explain all nobody && says "nobody"

# --- and once more ---
code 1 starlane rerun --failed --nodes 4 --regions us,eu all && says "10 done, 7 failed, 1 skipped"
holds "still a line each" "$(wc -l <all/results.jsonl)" = 18
holds "attempts go on" "$(result all fails attempts) $(result all argv attempts)" = "6 1"
code 0 starlane run --output one --shell - && says "0 tasks"

# --- lines, arrays ---
printf '# a comment\necho one\n\necho two | tr a-z A-Z\n' >lines
code 0 starlane run --shell --output lines.out --json lines && shows '"done": 2'
holds "a pipe" "$(cat lines.out/stdout/t1)" = TWO
# shellcheck disable=SC2016
code 0 starlane run --output array --array 0-9,20 -- sh -c 'echo {#} $STARLANE_TASK_INDEX'
holds "eleven members" "$(cat array/stdout/* | sort -n | tail -1)" = "20 20"
holds "eleven results" "$(wc -l <array/results.jsonl)" = 11
printf "a b\nc'd\n" >each
code 0 starlane run --output each.out --each-line each --nodes 2 -- echo '<{}>'
holds "lines as arguments" "$(cat each.out/stdout/*)" = "<a b>
<c'd>"
starlane run --shell --output stdin - >"$out" 2>"$err" < <(for i in {1..300}; do echo "echo $i >>numbers"; done)
holds "300 from a pipe" "$(sort -n numbers | uniq | wc -l) $(wc -l <stdin/results.jsonl)" = "300 300"
code 0 starlane run -- true && says "starlane-run-"
holds "a directory of its own" -n "$(ls -d starlane-run-*)"

# --- limits: never two at once on one core ---
code 0 starlane run --cpus 1 --output single --array 1-6 -- sh -c 'mkdir lock && sleep 0.02 && rmdir lock'
code 1 starlane run --cpus 1 --output pair --array 1-2 --default-cpus 2 -- true
says "no node of the network could ever run it"

# --- time: what cannot end in time is not started ---
printf '{"name":"short","shell":"touch short"}\n{"name":"long","shell":"touch long","timeout_s":3600}\n' >timed
echo '{"name":"later","shell":"true","after":["short","long"]}' >>timed
code 75 starlane run --time-limit 60 --output timed.out timed && says "to go on: starlane run --resume"
holds "the short one ran" -e short
holds "the long one did not" ! -e long
code 0 starlane explain timed.out long && shows "the run ended before it started"
code 0 starlane explain timed.out later && shows "it waits for 1 task to end" && shows "long"
code 0 starlane run --resume timed.out && says "3 done"
holds "and now it did" -e long
code 0 starlane run --resume timed.out && says "3 done"

# --- records ---
code 0 starlane run --nodes 2 --trace trace.json --metrics metrics.json --output records --array 1-20 -- true
holds "a trace" "$(python3 -c 'import json, sys
events = json.load(open(sys.argv[1]))
events = events["traceEvents"] if isinstance(events, dict) else events
print(len({e["pid"] for e in events}), len(events) > 20)' trace.json)" = "2 True"
holds "no parts" ! -e trace.json.part-0
holds "metrics" "$(python3 -c 'import json
nodes = json.load(open("metrics.json"))
print(len(nodes), sum(n["metrics"]["tasks_finished"] for n in nodes))')" = "2 20"

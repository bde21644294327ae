#!/usr/bin/env bash
# Sealed runs: nothing of their tasks is on disk but what the client wrote for itself; resumed, run again,
# over ranks; and what is refused.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

# --- keys: one identity of the hosts' nodes, one client ---
identities node client other
keys=(--keys node --authority "$pin")
printf 'secret of a file' >input
cat >tasks.jsonl <<'END'
{"name":"words","command":["sh","-c","printf '%s\\n' \"$0\" \"$TOLD\" \"$STARLANE_TASK_NAME\"; cat","secret of an argument"],"env":{"TOLD":"secret of a variable"},"stdin":"secret of an input"}
{"name":"reads","shell":"cat; echo secret of an error >&2; exit 3","stdin":{"file":"input"},"after":["words"]}
{"name":"sums","function":"starlane.crc32","args":"hello"}
{"name":"fails","function":"starlane.fail","args":"secret of a reason"}
{"name":"large","command":["sh","-c","yes secret of a large output | head -c 300000"]}
{"name":"never","command":["true"],"after":["reads"]}
END

# Files of a run that hold what is sealed, without those that the client wrote for itself.
leaks() {
    find "$1" -type f -not -path '*/stdout/*' -not -path '*/stderr/*' -exec grep -la 'secret of\|printf\|crc32\|starlane\.fail' {} +
}

# --- not sealed: the search finds it ---
code 1 starlane run "${keys[@]}" --output clear tasks.jsonl
holds "what the search finds" "$(leaks clear | wc -l)" -ge 2

# --- sealed ---
check_run() {
    holds "words in $1" "$(cat "$1/stdout/words")" = $'secret of an argument\nsecret of a variable\nwords\nsecret of an input'
    holds "a file in $1" "$(cat "$1/stdout/reads" "$1/stderr/reads")" = 'secret of a filesecret of an error'
    holds "a function in $1" "$(cat "$1/stdout/sums")" = 3610a686
    holds "a large output in $1" "$(wc -c <"$1/stdout/large")" = 300000
    holds "exit code in $1" "$(result "$1" reads exit_code)" = 3
    holds "status in $1" "$(result "$1" never status)" = skipped
    holds "memory in $1" "$(result "$1" words max_rss_bytes)" -gt 100000
    holds "no leak in $1" -z "$(leaks "$1")"
}
code 1 starlane run "${keys[@]}" --sealed client --log-level debug --joblog jobs --output sealed tasks.jsonl
says "secret of a reason" # told to the client alone: from here on its standard error is searched for the rest
holds "nothing else is told" "$(grep -c 'secret of an\|printf' "$err")" = 0
check_run sealed
holds "nothing in the joblog" "$(grep -c 'secret of\|printf\|crc32' jobs)" = 0
holds "jobs in the joblog" "$(wc -l <"jobs")" = 6
code 0 starlane explain sealed reads

# --- over ranks ---
code 1 ranks 3 run "${keys[@]}" --sealed client --output ranked tasks.jsonl
check_run ranked

# --- again ---
rm sealed/stdout/words
code 1 starlane rerun "${keys[@]}" --sealed client --failed sealed
check_failed() { holds "attempts of $2" "$(result "$1" "$2" attempts)" = "$3"; }
check_failed sealed reads 2
check_failed sealed sums 1
holds "no leak again" -z "$(leaks sealed)"
code 1 starlane run "${keys[@]}" --sealed client --resume sealed
code 2 starlane run "${keys[@]}" --resume sealed && says "this run is sealed"
code 2 starlane run "${keys[@]}" --sealed other --resume sealed && says "not sealed to this identity"
code 2 starlane run "${keys[@]}" --sealed client --resume clear && says "this run is not sealed"

# --- killed, and resumed ---
for i in $(seq 20); do echo "{\"name\":\"t$i\",\"shell\":\"sleep 0.2; echo secret of task $i\"}"; done >many.jsonl
"$command_path" run "${keys[@]}" --sealed client --cpus 2 --output killed many.jsonl 2>/dev/null &
victim=$!
for _ in $(seq 100); do
    [ "$(cat killed/results.jsonl 2>/dev/null | wc -l)" -ge 4 ] && break
    sleep 0.1
done
kill -9 "$victim"
wait "$victim" 2>/dev/null
code 0 starlane run "${keys[@]}" --sealed client --resume killed
holds "all done" "$(grep -c '"status":"done"' killed/results.jsonl)" = 20
holds "an output" "$(cat killed/stdout/t20)" = "secret of task 20"
holds "no leak when killed" -z "$(leaks killed)"

# --- large inputs: more than a message holds, and more together than may be under way ---
truncate -s 100M large && truncate -s 20M medium
echo '{"name":"large","shell":"wc -c","stdin":{"file":"large"}}' >inputs.jsonl
for i in $(seq 20); do echo "{\"name\":\"m$i\",\"shell\":\"wc -c\",\"stdin\":{\"file\":\"medium\"}}"; done >>inputs.jsonl
code 0 starlane run "${keys[@]}" --sealed client --output inputs inputs.jsonl
holds "a large input" "$(cat inputs/stdout/large)" = 104857600
holds "many inputs" "$(cat inputs/stdout/m* | sort -u)" = 20971520

# --- modules: their bytes, names and answers ---
modules=$(dirname "$command_path")/../tests/modules
cat "$modules/keen.so" - <<<'secret of a module' >keen.so
cat >modules.jsonl <<'END'
{"name":"word","module":"keen.so","function":"keen_word","args":"secret of a call"}
{"name":"half","module":"keen.so","function":"keen_halve","args":[[3.0,5.0]],"after":["word"]}
{"name":"refuses","module":"keen.so","function":"keen_refusal","args":"secret of a refusal"}
{"name":"object","module":"keen.so","function":"keen_object"}
END
module_leaks() {
    find "$1" spilled -type f -not -path '*/stdout/*' -exec grep -la 'secret of\|keen_' {} +
}
check_modules() {
    says "secret of a refusal"
    says "an object is not sealed"
    holds "an answer in $1" "$(cat "$1/stdout/word")" = "secret of a call"
    holds "an array in $1" "$(cat "$1/stdout/half")" = "[1.5, 2.5]"
    holds "no leak of a module in $1" -z "$(module_leaks "$1")"
}
mkdir spilled
code 1 starlane run "${keys[@]}" --sealed client --nodes 3 --store-spill spilled --output modules modules.jsonl && check_modules modules
code 1 ranks 3 run "${keys[@]}" --sealed client --store-spill "$PWD/spilled" --output ranked.modules modules.jsonl && check_modules ranked.modules
code 1 starlane rerun "${keys[@]}" --sealed client --failed modules && says "secret of a refusal"
code 1 starlane run "${keys[@]}" --output clear.modules modules.jsonl
holds "what that search finds" "$(module_leaks clear.modules | wc -l)" -ge 2
code 2 starlane run "${keys[@]}" --sealed client --modules off --output no modules.jsonl && says "takes no modules"

# --- refused ---
code 2 starlane run --sealed client --output no tasks.jsonl && says "goes with --authority"
code 2 starlane run "${keys[@]}" --sealed nowhere --output no tasks.jsonl && says "no identity"
code 2 starlane run "${keys[@]}" --sealed node --output no tasks.jsonl && says "not the identity of a client"
code 1 starlane run --authority "$pin" --sealed client --output none tasks.jsonl && says "no node of the network has"
echo '{"name":"gpu","command":["true"],"gpus":1}' >gpu.jsonl
code 2 starlane run "${keys[@]}" --sealed client --output no gpu.jsonl && says "cannot be given GPUs"
echo '{"name":"fifo","command":["true"],"stdin":{"file":"/dev/null"}}' >fifo.jsonl
code 1 starlane run "${keys[@]}" --sealed client --output fifo fifo.jsonl && says "no regular file"
holds "nothing ran" ! -e no

#!/usr/bin/env bash
# Sealed from outside: tasks of modules, and whole lists, over a connection; nothing of them is in a file of the network's.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

modules=$(dirname "$command_path")/../tests/modules

# --- keys, and a network ---
identities node client
key_for() { starlane key create --project physics --scope "$1" 2>/dev/null; }
STARLANE_API_KEY=$(key_for submit,read,command,module)
export STARLANE_API_KEY
mkdir network spilled
start_up() {
    (cd network && exec "$command_path" up --nodes 2 --listen 127.0.0.1:0 --gateway ../starlane-gateway \
        --keys ../node --authority "$pin" --log-level debug --store-spill ../spilled "$@" 2>../up.log) &
    up=$!
    url=$(url_in up.log)
    holds "a URL" -n "$url"
    outside=(--connect "$url" --project physics)
    at=("${outside[@]}" --sealed client --authority "$pin")
}
end_up() {
    kill -TERM "$up"
    wait "$up"
}
start_up

# What the network, its gateway and its log have in files.
leaks() {
    grep -rla 'secret of\|printf\|crc32\|starlane\.fail\|keen_' network starlane-gateway up.log spilled
}

cat "$modules/keen.so" - <<<'secret of a module' >keen.so
cat >tasks.jsonl <<'END'
{"name":"words","command":["sh","-c","printf '%s\\n' \"$0\" \"$TOLD\" \"$STARLANE_TASK_NAME\" \"$PWD\"; cat","secret of an argument"],"env":{"TOLD":"secret of a variable"},"cwd":"/","stdin":"secret of an input"}
{"name":"reads","shell":"cat; echo secret of an error >&2; exit 3","stdin":{"file":"input"},"after":["words"]}
{"name":"sums","function":"starlane.crc32","args":"hello"}
{"name":"fails","function":"starlane.fail","args":"secret of a reason","after":["sums"]}
{"name":"large","command":["sh","-c","yes secret of a large output | head -c 300000"]}
{"name":"never","command":["true"],"after":["reads"]}
{"name":"killed","shell":"kill -9 $$"}
{"name":"again","shell":"echo secret of attempt; exit 1","retries":2}
{"name":"late","shell":"echo secret of patience; sleep 100","timeout_s":0.3}
{"name":"module","module":"keen.so","function":"keen_word","args":"secret of a call","after":["sums"]}
{"name":"half","module":"keen.so","function":"keen_halve","args":[[3.0,5.0]],"after":["module"]}
{"name":"refuses","module":"keen.so","function":"keen_refusal","args":"secret of a refusal"}
END
printf 'secret of a file' >input

check_run() {
    holds "words in $1" "$(cat "$1/stdout/words")" = $'secret of an argument\nsecret of a variable\nwords\n/\nsecret of an input'
    holds "a file in $1" "$(cat "$1/stdout/reads" "$1/stderr/reads")" = 'secret of a filesecret of an error'
    holds "a function in $1" "$(cat "$1/stdout/sums")" = 3610a686
    holds "a large output in $1" "$(wc -c <"$1/stdout/large")" = 300000
    holds "exit code in $1" "$(result "$1" reads exit_code)" = 3
    holds "no exit code in $1" "$(result "$1" killed exit_code)" = null
    holds "signal in $1" "$(result "$1" killed signal)" = 9
    holds "status in $1" "$(result "$1" never status)" = skipped
    holds "failed in $1" "$(result "$1" fails status)" = failed
    holds "memory in $1" "$(result "$1" words max_rss_bytes)" -gt 100000
    holds "attempts in $1" "$(result "$1" words attempts)" = 1
    holds "a module in $1" "$(cat "$1/stdout/module")" = "secret of a call"
    holds "an array in $1" "$(cat "$1/stdout/half")" = "[1.5, 2.5]"
    holds "attempts of another in $1" "$(result "$1" again attempts)" = 3
    holds "what is late in $1" "$(result "$1" late status)" = failed
    holds "a host in $1" -n "$(result "$1" half host)"
    holds "results in $1" "$(wc -l <"$1/results.jsonl")" = 12
}

# --- sealed ---
code 1 starlane run "${at[@]}" --output sealed --joblog jobs tasks.jsonl
says "secret of a reason" # told to the client alone
says "secret of a refusal"
check_run sealed
holds "no leak" -z "$(leaks)"
holds "no leak of the client's" -z "$(find sealed jobs -type f -not -path '*/stdout/*' -not -path '*/stderr/*' -exec grep -la 'secret of\|printf\|crc32\|keen_' {} +)"
code 0 starlane run "${at[@]}" --output array --array 0-99 -- sh -c 'echo secret of {#}'
holds "an array" "$(cat array/stdout/* | sort -u | wc -l)" = 100
holds "no leak of an array" -z "$(leaks)"
code 0 starlane submit "${at[@]}" --module keen.so --function keen_word "secret of a word" && shows "secret of a word"
code 0 starlane submit "${at[@]}" --module keen.so --function keen_echo file:input && shows "secret of a file"
code 1 starlane submit "${at[@]}" --module keen.so --function keen_refusal "secret of a no" && says "secret of a no"
code 1 starlane submit "${at[@]}" --module keen.so --function keen_object && says "an object is not sealed"
code 2 starlane submit "${at[@]}" --module keen.so --function keen_nothing && says 'no task "keen_nothing"'
holds "no leak of a module" -z "$(leaks)"
holds "what the audit log says" -n "$(grep '"what":"module","result":"ok".*starlane.sealed_module' starlane-gateway/audit.jsonl)"

# --- Ctrl-C ---
printf '{"name":"t%d","command":["sleep","100"]}\n' 1 2 3 >sleeps.jsonl
"$command_path" run "${at[@]}" --output cut sleeps.jsonl 2>cut.log &
cut=$!
for _ in $(seq 100); do
    starlane top "${outside[@]}" >top.txt && grep -q 'running     [23]' top.txt && break
    sleep 0.1
done
kill -INT "$cut"
wait "$cut"
holds "code of a run that was cut" "$?" = 130
holds "its reason" -n "$(grep '"reason": "interrupted"' cut/summary.json)"

# --- refused ---
code 2 starlane run "${outside[@]}" --sealed client --output no tasks.jsonl && says "goes with --authority"
code 2 starlane run "${at[@]}" --sealed node --output no tasks.jsonl && says "not the identity of a client"
code 2 starlane run "${at[@]}" --resume sealed && says "cannot be resumed"
echo '{"name":"gpu","command":["true"],"gpus":1}' >gpu.jsonl
code 2 starlane run "${at[@]}" --output no gpu.jsonl && says "cannot be given GPUs"
holds "nothing ran" ! -e no
STARLANE_API_KEY=$(key_for submit,read)
code 1 starlane run "${at[@]}" --output refused tasks.jsonl
says "lacks the scope command" && says "lacks the scope module"
holds "a function that was allowed" "$(cat refused/stdout/sums)" = 3610a686
holds "what was not" "$(result refused words status)$(result refused refuses status)" = failedfailed
code 1 starlane submit "${at[@]}" --module keen.so --function keen_word x && says "lacks the scope module"
holds "no leak of what was refused" -z "$(leaks)"
STARLANE_API_KEY=$(key_for submit,read,command,module)
starlane identity show node | awk '$1 == "fingerprint" { print $2 }' >revoked
code 1 starlane run "${at[@]}" --revoked revoked --output revoked.out tasks.jsonl && says "no node of the network has"

# --- not sealed: the search finds it ---
code 1 starlane run "${outside[@]}" --output clear tasks.jsonl
check_run clear
end_up
holds "what the search finds" "$(leaks | wc -l)" -ge 1

# --- a network that takes no modules ---
start_up --modules off
code 1 starlane submit "${at[@]}" --module keen.so --function keen_word x && says "takes no modules"
end_up

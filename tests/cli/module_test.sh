#!/usr/bin/env bash
# Modules: a network that was started without them runs their tasks, of clients whose key may bring code along.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

modules=$(dirname "$command_path")/../tests/modules

start_up() { # URL and `up`, with these options
    "$command_path" up --listen 127.0.0.1:0 "$@" 2>up.log &
    up=$!
    url=$(url_in up.log)
    holds "a URL" -n "$url"
}

end_up() {
    kill -TERM "$up"
    wait "$up"
    holds "how it ended" "$?" = 0
}

submit() {
    starlane submit --connect "$url" --project physics "$@"
}

prints() { # all that was printed
    holds "what was printed" "$(cat "$out")" = "$1"
}

# --- a key that may, and one that may not ---
code 0 starlane key create --project physics --scope submit,read,module
may=$(cat "$out")
code 0 starlane key create --project physics
may_not=$(cat "$out")
code 0 starlane key list && shows submit,read,module

start_up --nodes 3
export STARLANE_API_KEY=$may
code 0 submit --module "$modules/one.so" --function square 3.0 && prints "9"
code 0 submit --module "$modules/one.so" --function square f64:12 && prints "144"
code 0 submit --module "$modules/one.so" --function who && prints "one"
code 0 submit --module "$modules/two.so" --function who && prints "two"
code 0 submit --module "$modules/one.so" --function sum_of_squares 10 && prints "285"
code 0 submit --module "$modules/one.so" --function make_object 3 && prints "[1, 1, 1]"
code 1 submit --module "$modules/one.so" --function refuse string:12 && says "I refuse 12"
code 1 submit --module "$modules/one.so" --function square 3 && says "argument 0 of task square is a number i64"
code 1 submit --module "$modules/refusing.so" --function who && says "the licence of 1999 has expired"
code 1 submit --module "$modules/lacking.so" --function who && says nobody_has_this
code 1 submit --module "$modules/acting.so" --function who && says "modules have tasks alone"
code 1 submit nosuch/function && says "do not decode"

# --- what is no module, or says no task ---
code 2 submit --module "$modules/one.so" && says "several tasks"
code 2 submit --module "$modules/one.so" --function cube && says 'no task "cube"; it has'
code 2 submit --module "$modules/nosuch.so" --function who && says "No such file"
code 2 submit --module "$command_path" --function who && says "no shared object"
code 2 submit --module "$modules/one.so" --function square f64:x && says "no such number"
code 2 submit --module "$modules/one.so" --function square file:nosuch && says "no such file"
head -c 5000 "$modules/one.so" >cut.so
code 2 submit --module cut.so --function who && says "is it cut?"
code 0 submit starlane.crc32 hello && shows 3610a686 # nothing was harmed

# --- lists of tasks over the connection ---
cp "$modules/one.so" mine.so
cat >list.jsonl <<'TASKS'
{"name": "nine", "module": "mine.so", "function": "square", "args": [3.0]}
{"name": "who", "module": "mine.so", "function": "who", "after": ["nine"]}
{"name": "vector", "module": "mine.so", "function": "make_object", "args": 3}
{"name": "refused", "module": "mine.so", "function": "refuse", "args": "that"}
{"name": "plain", "function": "starlane.crc32", "args": "hello"}
TASKS
code 1 starlane run --connect "$url" --project physics --output outside list.jsonl && says "I refuse that"
holds "answers from outside" "$(cat outside/stdout/nine outside/stdout/who outside/stdout/vector outside/stdout/plain | tr '\n' ' ')" = \
    "9 one [1, 1, 1] 3610a686 "
echo '{"module": "mine.so", "function": "cube"}' >bad.jsonl
code 2 starlane run --connect "$url" --project physics bad.jsonl && says 'the module has no task "cube"'

# --- the scope ---
STARLANE_API_KEY=$may_not
code 1 submit --module "$modules/one.so" --function who && says "lacks the scope module"
code 1 submit nosuch/function && says "lacks the scope module"
code 1 starlane run --connect "$url" --project physics --output refused list.jsonl && says "lacks the scope module"
holds "an audit log" -n "$(grep -c '"what":"module","result":"refused"' starlane-gateway/audit.jsonl)"
holds "what it says" -n "$(grep -c '"what":"module","result":"ok".*/sum_of_squares' starlane-gateway/audit.jsonl)"
end_up

# --- a network that takes none ---
start_up --modules off
STARLANE_API_KEY=$may
code 1 submit --module "$modules/one.so" --function who && says "takes no modules"
end_up

# --- lists of tasks ---
cp "$modules/one.so" mine.so
cat >list.jsonl <<'TASKS'
{"name": "nine", "module": "mine.so", "function": "square", "args": [3.0]}
{"name": "who", "module": "mine.so", "function": "who", "after": ["nine"]}
{"name": "vector", "module": "mine.so", "function": "make_object", "args": 3}
{"name": "refused", "module": "mine.so", "function": "refuse", "args": "that"}
{"name": "wrong", "module": "mine.so", "function": "square", "args": ["text"]}
{"name": "object", "module": "mine.so", "function": "square", "args": [{"x": 1}]}
{"name": "plain", "function": "starlane.crc32", "args": "hello"}
TASKS
code 1 starlane run --nodes 2 --output here list.jsonl && says "I refuse that"
holds "answers" "$(cat here/stdout/nine here/stdout/who here/stdout/vector here/stdout/plain | tr '\n' ' ')" = \
    "9 one [1, 1, 1] 3610a686 "
says "argument 0 of task square is a string"
says "an object is no argument of a task"
code 1 ranks 3 run --output there list.jsonl
holds "answers over ranks" "$(cat there/stdout/nine there/stdout/vector | tr '\n' ' ')" = "9 [1, 1, 1] "
mkdir below
code 1 starlane rerun --failed here && says "3 failed" # the module is found again
cd below || exit 1
code 0 starlane run --output each --array 1-4 <(echo '{"module": "../mine.so", "function": "who"}')
cd ..
holds "an array of them" "$(cat below/each/stdout/* | sort | uniq -c | tr -s ' ')" = " 4 one"
echo '{"module": "nosuch.so", "function": "f"}' >bad.jsonl
echo '{"module": "mine.so", "function": "cube"}' >>bad.jsonl
code 2 starlane run bad.jsonl && says "bad.jsonl:1: module: nosuch.so: No such file" && says 'bad.jsonl:2: module: the module has no task "cube"'
echo '{"module": "mine.so", "command": ["true"]}' >bad.jsonl
code 2 starlane run bad.jsonl && says "a module has functions"
code 2 starlane run --modules off list.jsonl && says "takes no modules"

#!/usr/bin/env bash
# From outside: keys, starlane up, submit and status; who is refused.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

# --- keys ---
code 0 starlane key create --project physics
key=$(cat "$out")
holds "a key" "${#key}" = 85
id=${key:4:16}
holds "mode of the directory" "$(stat -c %a starlane-gateway)" = 700
holds "no key on disk" -z "$(grep -rl "${key:21}" starlane-gateway)"
code 0 starlane key list && shows "$id" && shows holds
code 2 starlane key create && says "no name of a project"
code 2 starlane key create --project p --scope root && says "no scope"
code 2 starlane key revoke nosuch && says "there is no key"
code 2 starlane key && says "say create"
code 0 starlane key create --project later --expires 12h
code 0 starlane key list --json
holds "half a day" "$(python3 -c '
import datetime, json, sys
key = json.load(open(sys.argv[1]))["keys"][-1]
of = lambda name: datetime.datetime.fromisoformat(key[name].rstrip("Z"))
print(0 <= (of("expires") - of("created")).total_seconds() - 43200 < 5)' "$out")" = True
code 0 starlane key quota --project physics --quota-tasks 5 --quota-bytes 1GiB
code 0 starlane key list && shows "1073741824 bytes"
code 0 starlane key list --json
holds "a quota" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["quotas"][0]["tasks"])' "$out")" = 5

# --- up ---
code 1 starlane up --listen 'no host' && says "is no host"
"$command_path" up --nodes 2 --listen 127.0.0.1:0 2>up.log &
up=$!
url=$(url_in up.log)
holds "a URL" -n "$url"
export STARLANE_API_KEY=$key
code 0 starlane submit --connect "$url" --project physics starlane.crc32 hello && shows 3610a686
code 1 starlane submit --connect "$url" --project physics starlane.fail because && says because
code 0 starlane status --connect "$url" --project physics && shows "nodes       2" && shows "failed      1"
code 2 starlane submit --connect "$url" --project other starlane.echo x && says "not for project 'other'"
code 2 starlane submit --connect "${url%??}00" --project physics starlane.echo x && says "Compare fingerprints"
code 2 starlane submit --connect "${url%#*}" --project physics starlane.echo x && says "fingerprint"
code 2 starlane submit starlane.echo x && says "takes --connect URL"

# --- sealed ---
identities node client
"$command_path" up --nodes 2 --listen 127.0.0.1:0 --gateway sealed-gateway --keys node --authority "$pin" 2>sealed.log &
sealed_up=$!
sealed_url=$(url_in sealed.log)
sealed_key=$(starlane key create --gateway sealed-gateway --project physics 2>/dev/null)
at=(--connect "$sealed_url" --project physics --sealed client --authority "$pin")
STARLANE_API_KEY=$sealed_key code 0 starlane submit "${at[@]}" starlane.crc32 hello && shows 3610a686
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" starlane.fail "the reason" && says "the reason"
holds "no function in the audit log" "$(grep -c crc32 sealed-gateway/audit.jsonl)" = 0
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" -- echo word && says "lacks the scope command"
sealed_key=$(starlane key create --gateway sealed-gateway --project physics --scope submit,read,command 2>/dev/null)
STARLANE_API_KEY=$sealed_key code 3 starlane submit "${at[@]}" -- sh -c 'echo a-sealed-word; exit 3' && shows a-sealed-word && says "exit code 3"
STARLANE_API_KEY=$sealed_key code 0 starlane submit "${at[@]}" --shell -- 'echo $((6 * 7))' && shows 42
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" --detach -- true && says "is not detached"
STARLANE_API_KEY=$sealed_key code 0 starlane run "${at[@]}" --output run.sealed -- echo a-sealed-word
holds "what it wrote" "$(cat run.sealed/stdout/t0)" = a-sealed-word
holds "no word of it in the gateway" "$(grep -rl a-sealed-word sealed-gateway | wc -l)" = 0
code 1 starlane submit --connect "$url" --project physics --sealed client --authority "$pin" starlane.echo x && says "no node of the network has"
code 2 starlane submit --connect "$url" --project physics --sealed client starlane.echo x && says "goes with --authority"
code 2 starlane submit --connect "$url" --project physics --sealed nowhere --authority "$pin" starlane.echo x && says "no identity"
starlane identity show node | awk '$1 == "fingerprint" { print $2 }' >revoked
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" --revoked revoked starlane.echo x && says "no node of the network has"
kill -TERM "$sealed_up"
wait "$sealed_up"

# --- commands ---
outside=(--connect "$url" --project physics)
code 1 starlane submit "${outside[@]}" -- true && says "lacks the scope command"
code 0 starlane key create --project physics --scope submit,read,command
STARLANE_API_KEY=$(cat "$out")
code 0 starlane submit "${outside[@]}" -- echo hello world && shows "hello world"
code 7 starlane submit "${outside[@]}" -- sh -c 'echo out; echo err >&2; exit 7' && shows out && says err
code 137 starlane submit "${outside[@]}" -- sh -c 'kill -9 $$' && says "signal 9"
code 127 starlane submit "${outside[@]}" -- /nosuch/program && says "/nosuch/program"
code 3 starlane submit "${outside[@]}" --shell --cwd / -- 'pwd; exit 3' && shows "/"
code 2 starlane submit "${outside[@]}" --shell -- two words && says "one word"
code 2 starlane submit "${outside[@]}" --detach --module nosuch.so f && says "not for tasks of modules"

# --- detached calls ---
code 0 starlane submit "${outside[@]}" --detach starlane.crc32 hello
call=$(cat "$out")
code 0 starlane wait "${outside[@]}" "$call" && shows "$call done 0"
code 0 starlane logs "${outside[@]}" "$call" && shows 3610a686
code 0 starlane logs "${outside[@]}" "$call" && shows 3610a686 # it is kept
code 0 starlane submit "${outside[@]}" --detach starlane.fail because
call=$(cat "$out")
code 1 starlane logs "${outside[@]}" --follow "$call" && says because
code 1 starlane wait "${outside[@]}" "$call" && shows "$call failed"
code 0 starlane submit "${outside[@]}" --detach starlane.sleep 2
call=$(cat "$out")
code 0 starlane logs "${outside[@]}" "$call"
holds "no result yet" ! -s "$out"
code 0 starlane cancel "${outside[@]}" "$call"
code 1 starlane wait "${outside[@]}" "$call" && shows "$call cancelled"

# --- detached commands ---
code 0 starlane submit "${outside[@]}" --detach -- sh -c 'seq 1 3; while [ ! -e '"$PWD"'/go ]; do sleep 0.05; done; echo four'
first=$(cat "$out")
code 0 starlane submit "${outside[@]}" --detach --after "$first" -- echo after
then=$(cat "$out")
code 2 starlane submit "${outside[@]}" --after nonsense -- true && says "takes ids"
code 0 starlane top "${outside[@]}" && shows "running     2" && shows alive
code 0 starlane top "${outside[@]}" --json && python3 -m json.tool "$out" >/dev/null
"$command_path" logs "${outside[@]}" --follow "$first" >followed &
follower=$!
touch go
code 0 starlane wait "${outside[@]}" "$first" "$then" && shows "$first done 0" && shows "$then done 0"
wait "$follower"
holds "what was followed" "$(tr '\n' ' ' <followed)" = "1 2 3 four "
code 0 starlane logs "${outside[@]}" "$then" && shows after
code 0 starlane wait "${outside[@]}" --json "$then" && python3 -m json.tool "$out" >/dev/null
code 0 starlane submit "${outside[@]}" --detach -- sleep 100
code 0 starlane cancel "${outside[@]}" "$(cat "$out")"
code 1 starlane cancel "${outside[@]}" 123 && says "no command 123"
code 1 starlane wait "${outside[@]}" 123 && shows "123 unknown"
code 1 starlane logs "${outside[@]}" 123 && says "no command 123"
code 2 starlane wait "${outside[@]}" && says "takes ids"

# --- how much they write ---
code 0 starlane key create --project bounded --scope submit,read,command
bounded_key=$(cat "$out")
code 0 starlane key quota --project bounded --quota-output 64KiB
code 0 starlane key list && shows "65536 bytes of output"
bounded=(--connect "$url" --project bounded)
STARLANE_API_KEY=$bounded_key code 0 starlane status "${bounded[@]}" && shows "65536 bytes of output"
STARLANE_API_KEY=$bounded_key code 143 starlane submit "${bounded[@]}" -- sh -c 'while :; do seq 1 1000; done' && says "more than the project's quota of output"
holds "what was left of it" "$(stat -c %s "$out")" -le 65536
STARLANE_API_KEY=$bounded_key code 0 starlane submit "${bounded[@]}" --detach -- sh -c 'while :; do seq 1 1000; done'
first=$(cat "$out")
STARLANE_API_KEY=$bounded_key code 1 starlane wait "${bounded[@]}" "$first" && shows "$first failed -1 output cut"
STARLANE_API_KEY=$bounded_key code 1 starlane wait "${bounded[@]}" --json "$first" && shows '"output_cut":true'
STARLANE_API_KEY=$bounded_key code 1 starlane logs "${bounded[@]}" "$first" && says "was cut"

# --- who runs the network ---
code 1 starlane status "${outside[@]}" --all && says "lacks the scope admin"
code 1 starlane down "${outside[@]}" && says "lacks the scope admin"
code 0 starlane key create --project ops --scope admin
ops_key=$(cat "$out")
ops=(--connect "$url" --project ops)
STARLANE_API_KEY=$ops_key code 0 starlane status "${ops[@]}" --all && shows physics && shows bounded
STARLANE_API_KEY=$ops_key code 0 starlane status "${ops[@]}" --all --json && python3 -m json.tool "$out" >/dev/null
code 0 starlane submit "${outside[@]}" --detach -- sleep 100
first=$(cat "$out")
STARLANE_API_KEY=$ops_key code 0 starlane cancel "${ops[@]}" "$first"
code 1 starlane wait "${outside[@]}" "$first" && shows "$first cancelled"
code 0 starlane submit "${outside[@]}" --detach -- sleep 100
STARLANE_API_KEY=$ops_key code 0 starlane cancel "${ops[@]}" --all-of physics && shows "1 tasks"
STARLANE_API_KEY=$ops_key code 1 starlane cancel "${ops[@]}" --all-of nosuch && says "no project"
STARLANE_API_KEY=$ops_key code 1 starlane submit "${ops[@]}" starlane.echo x && says "lacks the scope submit"
STARLANE_API_KEY=$ops_key code 0 starlane key list "${ops[@]}" && shows "${bounded_key:4:16}"
STARLANE_API_KEY=$ops_key code 0 starlane key revoke "${ops[@]}" "${bounded_key:4:16}"
STARLANE_API_KEY=$ops_key code 1 starlane key revoke "${ops[@]}" "${bounded_key:4:16}" && says "revoked before"
STARLANE_API_KEY=$ops_key code 2 starlane key create "${ops[@]}" && says "on the gateway's host"
STARLANE_API_KEY=$bounded_key code 2 starlane status "${bounded[@]}" && says "was revoked"
STARLANE_API_KEY=$ops_key code 0 starlane audit "${ops[@]}" --lines 1 && shows '"what":'
holds "one line" "$(wc -l <"$out")" = 1
STARLANE_API_KEY=$ops_key code 0 starlane audit "${ops[@]}" --lines 1000 && shows "\"what\":\"revoke\",\"result\":\"ok\",\"detail\":\"${bounded_key:4:16}"

# --- whole lists, as starlane run does them in the job ---
cat >tasks.jsonl <<'TASKS'
{"name": "one", "shell": "echo 1; echo e >&2"}
{"name": "two", "shell": "cat; echo $X", "stdin": {"file": "tasks.in"}, "env": {"X": "x"}, "after": ["one"]}
{"name": "crc", "function": "starlane.crc32", "args": "hello", "after": ["two"]}
{"name": "long", "command": ["seq", "1", "9000"], "after": ["crc"]}
TASKS
echo in >tasks.in
code 0 starlane run --output here tasks.jsonl
code 0 starlane run "${outside[@]}" --output there tasks.jsonl && says "4 done"
for name in stdout/one stderr/one stdout/two stdout/crc stdout/long tasks.jsonl; do
    cmp "here/$name" "there/$name" || failed "$name differs"
done
holds "as many results" "$(wc -l <there/results.jsonl)" = 4
holds "no ledger" ! -e there/ledger.db
code 1 starlane run "${outside[@]}" --output bad -- false && says "1 failed"
code 2 starlane run "${outside[@]}" --output none nosuch && says nosuch
code 2 starlane run "${outside[@]}" --resume there && says "cannot be resumed"
code 0 starlane run "${outside[@]}" --array 0-9 --output array -- sh -c 'echo {#}'
holds "an array" "$(cat array/stdout/*)" = "$(seq 0 9)" # also with a quota of 5 tasks

# --- Ctrl-C ---
printf '{"name":"t%d","command":["sleep","100"]}\n' 1 2 3 >sleeps.jsonl
"$command_path" run "${outside[@]}" --output cut sleeps.jsonl 2>cut.log &
cut=$!
for _ in $(seq 100); do
    "$command_path" top "${outside[@]}" >top.txt && grep -q 'begun       2' top.txt && break
    sleep 0.1
done
kill -INT "$cut"
wait "$cut"
holds "code of a run that was cut" "$?" = 130
holds "its reason" -n "$(grep '"reason": "interrupted"' cut/summary.json)"
for _ in $(seq 100); do
    "$command_path" top "${outside[@]}" >top.txt && grep -q 'running     0' top.txt && break
    sleep 0.1
done
holds "nothing runs on" -n "$(grep 'running     0' top.txt)"

# --- the same certificate, and a port that is taken ---
STARLANE_API_KEY=$key
port=${url%#*}
code 1 starlane run --listen 127.0.0.1:0 --output run -- true && says "is for starlane up"
code 1 starlane up --listen "127.0.0.1:${port##*:}" && says "another gateway keeps the output"
code 1 starlane up --gateway other --listen "127.0.0.1:${port##*:}" && says "another program has this port"

# --- revoked ---
code 0 starlane key revoke "$id"
code 2 starlane submit --connect "$url" --project physics starlane.echo x && says "was revoked"
code 2 starlane down "${ops[@]}" more && says "takes no argument"
STARLANE_API_KEY=$ops_key code 0 starlane down "${ops[@]}" --drain 10
wait "$up"
holds "how it ended" "$?" = 0
holds "commands in the audit log" -n "$(grep -c '"what":"run","result":"ok"' starlane-gateway/audit.jsonl)"
holds "no output is left" "$(ls starlane-gateway/output)" = lock
holds "the end in the audit log" -n "$(grep -c '"what":"down","result":"ok"' starlane-gateway/audit.jsonl)"
holds "an audit log" -n "$(grep -c '"what":"submit","result":"ok"' starlane-gateway/audit.jsonl)"
code 2 starlane submit --connect "$url" --project physics starlane.echo x && says "cannot be reached"

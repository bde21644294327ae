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
code 0 starlane key quota --project physics --quota-tasks 5
code 0 starlane key list --json
holds "a quota" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["quotas"][0]["tasks"])' "$out")" = 5

# --- up ---
code 1 starlane up --listen 'no host' && says "is no host"
"$command_path" up --nodes 2 --listen 127.0.0.1:0 2>up.log &
up=$!
for _ in $(seq 200); do
    url=$(grep -s '^starlane://' up.log) && break
    sleep 0.1
done
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
code 0 starlane identity create authority authority
for who in node client; do
    code 0 starlane identity create "$who" "$who" "$who"
    code 0 starlane identity sign authority "$who/certificate" signed
    mv signed "$who/certificate"
done
pin=$(starlane identity show authority | awk '$1 == "fingerprint" { print $2 }')
"$command_path" up --nodes 2 --listen 127.0.0.1:0 --gateway sealed-gateway --keys node --authority "$pin" 2>sealed.log &
sealed_up=$!
for _ in $(seq 200); do
    sealed_url=$(grep -s '^starlane://' sealed.log) && break
    sleep 0.1
done
sealed_key=$(starlane key create --gateway sealed-gateway --project physics 2>/dev/null)
at=(--connect "$sealed_url" --project physics --sealed client --authority "$pin")
STARLANE_API_KEY=$sealed_key code 0 starlane submit "${at[@]}" starlane.crc32 hello && shows 3610a686
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" starlane.fail "the reason" && says "the reason"
holds "no function in the audit log" "$(grep -c crc32 sealed-gateway/audit.jsonl)" = 0
code 1 starlane submit --connect "$url" --project physics --sealed client --authority "$pin" starlane.echo x && says "no node of the network has"
code 2 starlane submit --connect "$url" --project physics --sealed client starlane.echo x && says "goes with --authority"
code 2 starlane submit --connect "$url" --project physics --sealed nowhere --authority "$pin" starlane.echo x && says "no identity"
starlane identity show node | awk '$1 == "fingerprint" { print $2 }' >revoked
STARLANE_API_KEY=$sealed_key code 1 starlane submit "${at[@]}" --revoked revoked starlane.echo x && says "no node of the network has"
kill -TERM "$sealed_up"
wait "$sealed_up"

# --- the same certificate, and a port that is taken ---
port=${url%#*}
code 1 starlane run --listen 127.0.0.1:0 --output run -- true && says "is for starlane up"
code 1 starlane up --gateway other --listen "127.0.0.1:${port##*:}" && says "another program has this port"

# --- revoked ---
code 0 starlane key revoke "$id"
code 2 starlane submit --connect "$url" --project physics starlane.echo x && says "was revoked"
kill -TERM "$up"
wait "$up"
holds "how it ended" "$?" = 0
holds "an audit log" -n "$(grep -c '"what":"submit","result":"ok"' starlane-gateway/audit.jsonl)"
code 2 starlane submit --connect "$url" --project physics starlane.echo x && says "cannot be reached"

#!/usr/bin/env bash
# Identities: an authority, a client and a node that it certifies; what is refused.
# shellcheck source=lib.sh disable=SC2154 # lib.sh sets them
source "$(dirname "$0")/lib.sh" "$@"

field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$out" "$1"; }

code 0 starlane identity create authority authority
code 0 starlane identity create alice client alice physics
code 0 starlane identity create node node node-1.site
holds "mode of the directory" "$(stat -c %a alice)" = 700
holds "mode of the identity" "$(stat -c %a alice/identity)" = 600
holds "the authority asks for nothing" ! -e authority/certificate

# --- what is shown ---
code 0 starlane identity show --json authority
authority=$(field fingerprint)
holds "a fingerprint" "${#authority}" = 64
code 0 starlane identity show alice && shows "physics" && shows "requested" && shows "client"
code 0 starlane identity show --json node
node=$(field fingerprint)
holds "a node has no key on disk" "$(field encryption_key)" = ""
holds "its certificate" "$(field certificate)" = requested

# --- signing, and putting in place ---
code 0 starlane identity sign authority alice/certificate signed && [ -s signed ]
mv signed alice/certificate
code 0 starlane identity show --json alice
holds "who signed" "$(field authority)" = "$authority"
holds "whose key" "$(field encryption_key | wc -c)" = 33
code 0 starlane identity sign authority node/certificate node/new 30 && mv node/new node/certificate
code 0 starlane identity show --json node
holds "the same identity" "$(field fingerprint)" = "$node"
days=$((($(date -d "$(field valid_to)" +%s) - $(date -d "$(field valid_from)" +%s)) / 86400))
holds "days" "$days" = 30

# --- no key in what is shown ---
for directory in authority alice node; do
    starlane identity show --json "$directory" >shown
    secret=$(od -An -tx1 -j8 -N32 "$directory/identity" | tr -d ' \n')
    holds "length of a seed" "${#secret}" = 64
    holds "$directory shows a secret" "$(grep -c "${secret:0:16}" shown)" = 0
done

# --- what is refused ---
code 2 starlane identity && says "create, show, sign or renew"
code 2 starlane identity dance && says "not dance"
code 2 starlane identity show && says "one DIR"
code 2 starlane identity show nowhere && says "no identity"
code 2 starlane identity create x king && says "no role"
code 2 starlane identity create x node && says "a name"
code 2 starlane identity create x node "a b" && says "letters, digits"
code 2 starlane identity create x authority name && says "no name"
holds "nothing is left" ! -e x
code 2 starlane identity create alice client bob && says "certificate for alice"
code 2 starlane identity sign authority alice/certificate y && says "not a request"
code 0 starlane identity create bob client bob
code 2 starlane identity sign authority bob/certificate z 0 && says "days"
code 2 starlane identity sign authority bob/certificate z many && says "no number of days"
code 0 starlane identity sign authority bob/certificate z
code 2 starlane identity sign authority bob/certificate z && says "cannot be created"
code 2 starlane identity sign authority bob/identity y && says "no certificate"
head -c 100 bob/certificate >short
code 2 starlane identity sign authority short y && says "short"
cp node/certificate bob/certificate
code 2 starlane identity show bob && says "another identity"
chmod 644 alice/identity
code 2 starlane identity show alice && says "chmod 600"
chmod 600 alice/identity

# --- renewing ---
was=$(starlane identity show alice | awk '$1 == "encryption_key" { print $2 }')
code 0 starlane identity renew alice 30
holds "another encryption key" "$(starlane identity show alice | awk '$1 == "encryption_key" { print $2 }')" != "$was"
code 2 starlane identity renew alice 0 && says "more than 0"
code 2 starlane identity renew alice soon && says "no number of days"
code 2 starlane identity renew node && says "not the identity of a client"
code 2 starlane identity renew authority && says "not the identity of a client"
code 2 starlane identity renew && says "renew takes DIR"

# --- nodes with an identity ---
fingerprint_of() { starlane identity show --json "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["fingerprint"])'; }
pin=$(fingerprint_of authority)
printf '{"name":"bad","function":"starlane.sealed","args":"SLSEAL"}\n' >ask.jsonl
code 1 starlane run --keys node --authority "$pin" --output asked ask.jsonl && says "head ends too early"
fingerprint_of node >revoked
code 2 starlane run --keys node --authority "$pin" --revoked revoked --output no ask.jsonl && says "revoked"
code 2 starlane run --keys node --authority "$pin" --revoked nosuch --output no ask.jsonl && says "nosuch"
code 1 starlane run --output unasked ask.jsonl && says "start it with --keys"
code 2 starlane run --keys node --output no ask.jsonl && says "--keys goes with --authority"
code 2 starlane run --keys node --authority 00ff --output no ask.jsonl && says "64 hexadecimal digits"
code 2 starlane run --keys node --authority "$pin," --output no ask.jsonl && says "64 hexadecimal digits"
code 2 starlane run --keys node --authority "$(fingerprint_of alice)" --output no ask.jsonl && says "not pinned here"
code 2 starlane run --keys alice --authority "$pin" --output no ask.jsonl && says "that of a client"
code 2 starlane run --keys nowhere --authority "$pin" --output no ask.jsonl && says "no identity"
code 0 starlane identity create fresh node fresh
code 2 starlane run --keys fresh --authority "$pin" --output no ask.jsonl && says "identity sign"
holds "nothing ran" ! -e no

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
    python3 - "$directory/identity" shown <<'PYTHON' || failed "$directory shows a secret"
import sys
secret, shown = open(sys.argv[1], "rb").read()[8:40], open(sys.argv[2]).read()
sys.exit(secret.hex()[:16] in shown)
PYTHON
done

# --- what is refused ---
code 2 starlane identity && says "create, show or sign"
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
head -c 100 bob/certificate >cut
code 2 starlane identity sign authority cut y && says "cut"
cp node/certificate bob/certificate
code 2 starlane identity show bob && says "another identity"
chmod 644 alice/identity
code 2 starlane identity show alice && says "chmod 600"

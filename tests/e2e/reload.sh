#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A running center takes what changes: files as they are renewed, keys from a URL, a configuration that is read
# again. All of it or nothing, and whoever is connected stays.
. "$(dirname "$0")/tap"

# Reads the log until an event of that id with that text; a center that says nothing ends by itself.
await() { # id text
    while IFS= read -r line <&7; do
        printf '%s\n' "$line" >>center.log
        case $line in *"\"$1\""*"$2"*) return 0 ;; esac
    done
    return 1
}
awaits() { # description id text
    if await "$2" "$3"; then pass "$1"; else fail "$1" center.log; fi
}

begin() { # option...
    rm -f log port center.log
    mkfifo log port
    # shellcheck disable=SC2016 # the inner shell's number becomes the center's
    timeout 60 sh -c 'echo $$ >pid; exec posthouse serve --config c.yaml --port-file port "$@"' sh "$@" 2>log &
    timeout_pid=$!
    pids="$pids $timeout_pid"
    exec 7<log
    POSTHOUSE_CENTER=$(timeout 20 head -n 1 port)
    export POSTHOUSE_CENTER
    center_pid=$(cat pid)
}
finish_center() {
    kill -USR2 "$center_pid"
    await PA0004 '' # the counters
    kill "$center_pid"
    cat <&7 >>center.log
    exec 7<&-
    wait "$timeout_pid"
}

umask 077
key() { # name
    posthouse token key --id "$1" --private "$1.key" --public "$1.json" >/dev/null 2>&1
}
token() { # key subject
    posthouse token issue --key "$1.key" --subject "$2" --audience here >"$1-$2.token"
}
for name in one two three; do
    key "$name"
    token "$name" orders
    token "$name" echo
done

# ---- files

# As Kubernetes mounts them: the name leads to a link in the middle that is swapped.
mkdir -p keys/1 keys/2
cp one.json keys/1/keys.json
cp two.json keys/2/keys.json
ln -s 1 keys/..data
ln -s ..data/keys.json keys/keys.json
configure() { # rule that says what orders may
    cat >c.yaml <<EOF
listen: 127.0.0.1:0
anonymous: never
log: {level: info, format: json}
tokens: {keys: keys/keys.json, audience: here}
rules:
  - who: orders
    may: {call: "$1", see: "*"}
EOF
}
configure '*'
begin --workers 2
expect 0 'a token of the first key is good' posthouse ls --token-file one-orders.token
expect 4 'one of the second is not yet' posthouse ls --token-file two-orders.token
start posthouse reply --token-file one-echo.token --account echo --echo
echo_pid=$started
expect 0 'who may call does' posthouse call echo say hello --token-file one-orders.token

cat one.json two.json | python3 -c 'import json, sys
decoder, text, keys = json.JSONDecoder(), sys.stdin.read().strip(), []
while text:
    value, at = decoder.raw_decode(text)
    keys, text = keys + value["keys"], text[at:].strip()
print(json.dumps({"keys": keys}))' >both.json
mkdir keys/3 && cp both.json keys/3/keys.json
ln -s 3 keys/..data_tmp && mv -T keys/..data_tmp keys/..data
awaits 'a link that is swapped is seen' PA0010 'file changed'
expect 0 'a token of the second key is good now' posthouse ls --token-file two-orders.token
expect 0 'and one of the first still is' posthouse call echo say hello --token-file one-orders.token

printf '{"keys": [{"kty": "EC", "cr' >keys/3/keys.json
awaits 'a file that is half written is refused' PA0011 'keys/keys.json: no key set'
expect 0 'and what was in force stays' posthouse ls --token-file two-orders.token
cp both.json keys/3/keys.json
awaits 'when it is whole it is taken' PA0010 'file changed'

chmod 666 keys/3/keys.json
awaits 'a file that everybody may write now is refused' PA0011 'chmod 644 keys/keys.json'
expect 0 'and what was in force stays' posthouse ls --token-file two-orders.token
chmod 644 keys/3/keys.json
awaits 'until it is kept well again' PA0010 'file changed'

# ---- the configuration

configure 'service:none'
awaits 'rules are in force when the file was saved' PA0006 'c.yaml'
expect 4 'who may no longer call does not' posthouse call echo say hello --token-file two-orders.token

cat >c.yaml <<EOF
listen: 127.0.0.1:0
anonymous: never
log: {level: info, format: json}
tokens: {keys: keys/nowhere.json, audience: here}
rules:
  - who: orders
    may: {call: "*", see: "*"}
EOF
kill -HUP "$center_pid"
awaits 'a configuration whose files are not there is refused' PA0011 'cannot read keys/nowhere.json'
expect 4 'its rules are not in force' posthouse call echo say hello --token-file two-orders.token
cp both.json keys/nowhere.json
awaits 'when they have come, it is' PA0006 'c.yaml'
expect 0 'and its rules are in force' posthouse call echo say hello --token-file two-orders.token

printf 'listen: 127.0.0.1:0\nanonymous: never\n' >c.yaml
kill -HUP "$center_pid"
awaits 'one with which nobody could join is refused' PA0007 'nobody could join'
expect 0 'and all is as it was' posthouse ls --token-file two-orders.token

configure '*'
sed -i 's/listen: .*/listen: 127.0.0.1:1/' c.yaml
kill -HUP "$center_pid"
awaits 'an address needs a restart, and that is said' PA0008 'listen'
awaits 'the rest is taken' PA0006 'c.yaml'
expect 0 'who may call again does' posthouse call echo say hello --token-file two-orders.token

finish_center
json center.log 'each refusal was told once' \
    'sum(l["event"] == "PA0011" for l in x) == 3 and sum(l["event"] == "PA0007" for l in x) == 1'
json center.log 'renewals and refusals are counted' \
    '[(l["security_reloads_total"], l["security_reloads_failed_total"], l["rules"], l["token_keys"]) for l in x if l["event"] == "PA0004"] == [(6, 4, 1, 2)]'
json center.log 'nobody who was connected was lost' 'not any(l.get("account") == "echo" and "why" in l and l["why"] != "center_stopping" for l in x)'
kill "$echo_pid" 2>/dev/null
wait "$echo_pid"

# ---- certificates

posthouse cert dev --dir c --account orders --account echo --account mallory >/dev/null 2>&1
posthouse cert revoke mallory --dir c >/dev/null 2>&1
cat >c.yaml <<EOF
listen: "tls:127.0.0.1:0"
log: {level: info, format: json}
tls: {certificate: c/center.crt, key: c/center.key, authorities: c/ca.crt, revoked: c/crl.pem}
rules: [{who: "*", may: {call: "*", see: "*"}}]
EOF
begin
POSTHOUSE_CENTER=tls:localhost:${POSTHOUSE_CENTER##*:}
with() { # account: whose certificate
    printf -- '--tls-ca c/ca.crt --tls-cert c/%s.crt --tls-key c/%s.key' "$1" "$1"
}
# shellcheck disable=SC2046 # lists of words
{
    start posthouse reply --account echo --echo $(with echo)
    echo_pid=$started
    expect 0 'a certificate is good' posthouse call echo say hello $(with orders)
    expect 4 'one that was revoked is not' posthouse ls $(with mallory)
    posthouse cert dev --dir c --host more.example --days 10 >/dev/null 2>&1
    awaits 'a certificate that was renewed is taken' PA0010 '"file":"c/center.crt"'
    awaits 'and warned of, when it ends soon' PA0017 '"certificate_days_left":'
    expect 0 'connections go on, and new ones come' posthouse call echo say hello $(with orders)
    cp c/center.key kept.key && cp c/orders.key c/center.key
    awaits 'a key that does not fit is refused' PA0011 'does not belong to the certificate'
    expect 0 'and what was in force stays' posthouse call echo say hello $(with orders)
    cp kept.key c/center.key
    awaits 'until it fits again' PA0010 'file changed'
    if grep -q PA0018 center.log; then fail 'a list that lasts is not warned of' center.log; fi
    posthouse cert revoke echo --dir c --days 2 >/dev/null 2>&1
    awaits 'a list that ends soon is warned of' PA0018 '"revocations_days_left":1'
    awaits 'who is revoked is cut off' CE0003 '"id":"echo@local"'
    expect 0 'and shown' posthouse check-config c.yaml --output json
    json out 'with its days, and the warning' \
        'x[0]["revocations"] == {"days_left": 1} and "PA0018" in [w["event"] for w in x[0]["warnings"]]'
    expect 6 'and is gone' posthouse call echo say hello $(with orders)
}
finish_center
kill "$echo_pid" 2>/dev/null
wait "$echo_pid"

# ---- keys from a URL

mkdir served
cp one.json served/keys.json
cp two.json served/other.json
mkfifo server_port
python3 "$root/tests/e2e/keys_server.py" served >server_port &
pids="$pids $!"
url=http://127.0.0.1:$(timeout 20 head -n 1 server_port)
cat >c.yaml <<EOF
listen: 127.0.0.1:0
anonymous: never
log: {level: info, format: json}
tokens: {keys: "$url/keys.json", audience: here, refetch: 24h, refetch_min: 1s}
rules: [{who: "*", may: {see: "*"}}]
EOF
begin
expect 0 'a token of a fetched key is good' posthouse ls --token-file one-orders.token
cp two.json served/keys.json
expect 4 'one of a key that is not known is refused' posthouse ls --token-file two-orders.token
awaits 'and has the keys fetched' PA0010 'keys fetched'
expect 0 'after which it is good' posthouse ls --token-file two-orders.token
expect 4 'and one of a key that is gone is not' posthouse ls --token-file one-orders.token

printf 'not a key set' >served/keys.json
expect 4 'a key that nobody knows' posthouse ls --token-file three-orders.token
awaits 'an answer that is none is refused' PA0011 'no key set'
expect 0 'and the keys that were stay' posthouse ls --token-file two-orders.token
rm served/keys.json
expect 4 'again' posthouse ls --token-file three-orders.token
awaits 'and so when there is none' PA0012 'answers 404'
expect 0 'they stay' posthouse ls --token-file two-orders.token

sed -i 's/keys.json/other.json/' c.yaml
cp three.json served/other.json
kill -HUP "$center_pid"
awaits 'another URL is fetched before it is taken' PA0006 'c.yaml'
expect 0 'and its keys are in force' posthouse ls --token-file three-orders.token
sed -i 's/other.json/none.json/' c.yaml
kill -HUP "$center_pid"
awaits 'a URL without keys is refused' PA0011 'answers 404'
expect 0 'and those of the other stay' posthouse ls --token-file three-orders.token
finish_center
json center.log 'fetches are counted' \
    '[(l["key_fetches_total"] >= 6, l["key_fetches_failed_total"] >= 2) for l in x if l["event"] == "PA0004"] == [(True, True)]'

# Peers decide how often an unknown key comes: not how often keys are fetched.
cp one.json served/keys.json
sed -i 's/none.json/keys.json?slowly/; s/refetch_min: 1s/refetch_min: 1h/' c.yaml
begin
for i in 1 2 3 4 5; do
    expect 4 "an unknown key, time $i" posthouse ls --token-file two-orders.token
done
expect 0 'a known one' posthouse ls --token-file one-orders.token
finish_center
if [ "$(grep -c slowly served/requests)" = 1 ]; then
    pass 'keys are fetched at the start, and not for each of them'
else
    fail 'keys are fetched at the start, and not for each of them' "$work/served/requests"
fi
sed 's/[ ?].*//' served/requests | sort -u >asked
is asked 'nothing else was ever asked of that server' "/keys.json
/none.json
/other.json"

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What one account and one address may do, and until when a token is good, as an operator and a user see it.
. "$(dirname "$0")/tap"

# ---- messages of an account

cat >center.yaml <<'YAML'
client_messages_per_second: 100
YAML
start_center --config center.yaml
start posthouse reply --account echo --echo
expect 0 'calls over the limit all end in replies' posthouse bench rr --to echo -n 170 --account fast --output json
# A second's worth at once, and 70 at the rate; the responder has a limit of its own.
json out 'at the rate that is allowed' 'x[0]["failures"] == 0 and 0.6 < x[0]["seconds"] < 5'
json center.log 'the log says who is read more slowly' \
    'any(line["event"] == "CE0015" and line["id"] in ("fast@local", "echo@local") for line in x)'
expect 0 'another client notices nothing' posthouse call echo hello --account other
kill -USR2 "$center_pid"
expect 0 'the center goes on' posthouse ls
json center.log 'the counters say how often' \
    'all(line["pauses_total"] > 0 for line in x if line["msg"] == "counters")'

# ---- a program that dies while it is not read

# It owes for a minute, and is found out at once: it does not take the signs of life that the center gives.
kill "$started"
wait "$started" 2>/dev/null
stop_center
cat >center.yaml <<'YAML'
client_messages_per_second: 1
heartbeat_grace: 200ms
YAML
start_center --config center.yaml
posthouse bench rr --to nobody --account fast -w 1000 -n 1000000 >flood.out 2>&1 </dev/null &
flood=$!
pids="$pids $flood"
tail -n +1 -f center.log | grep -m 1 CE0015 >slowed.log
kill -9 "$flood"
wait "$flood" 2>/dev/null
tail -n +1 -f center.log | timeout 20 grep -m 1 'client left.*connection_lost' >left.log
json left.log 'its account is free again at once' 'x[0]["id"] == "fast@local"'
stop_center

# ---- connections of an address

printf 'address_connections_max: 3\n' >center.yaml
start_center --config center.yaml
pids_of_watchers=
for name in one two three; do
    start posthouse reply --account "$name" --echo
    pids_of_watchers="$pids_of_watchers $started"
    last=$started
done
expect 4 'a fourth connection of the address finds no place' posthouse ls --timeout 300ms
holds err 'and hears why' 'as many connections as it may'
json center.log 'the log names the limit' \
    'any(line["event"] == "CE0016" and line["limit"] == "address_connections_max" for line in x)'
kill "$last"
wait "$last" 2>/dev/null
expect 0 'who leaves makes room' posthouse ls --output json
# shellcheck disable=SC2086 # a list of numbers
kill $pids_of_watchers 2>/dev/null
stop_center

# ---- behind TLS

posthouse cert dev --domain home --account alice >made 2>err || fail 'certificates are made' err
cat >center.yaml <<'YAML'
domain: home
listen: ["tls:127.0.0.1:0"]
tls: {certificate: certificates/center.crt, key: certificates/center.key, authorities: certificates/ca.crt}
address_connections_max: 1
rules: [{name: all, who: "*", may: {call: "*", see: "*"}}]
YAML
rm -f port
mkfifo port
posthouse serve --config center.yaml --port-file port --log-format json 2>center.log &
center_pid=$!
pids="$pids $center_pid"
IFS= read -r POSTHOUSE_CENTER <port
export POSTHOUSE_CENTER
export POSTHOUSE_TLS_CA=certificates/ca.crt POSTHOUSE_TLS_CERT=certificates/alice.crt POSTHOUSE_TLS_KEY=certificates/alice.key
start posthouse reply --account alice --echo
expect 3 'behind TLS, too' posthouse ls --timeout 300ms --account alice-0001
json center.log 'and before a handshake' \
    'any(line["event"] == "CE0016" for line in x) and sum(line["msg"] == "client joined" for line in x) == 1'
kill "$started"
wait "$started" 2>/dev/null
stop_center
unset POSTHOUSE_TLS_CA POSTHOUSE_TLS_CERT POSTHOUSE_TLS_KEY

# ---- the end of a token

posthouse token key --algorithm ES256 >made 2>err || fail 'a key for tokens is made' err
cat >center.yaml <<'YAML'
tokens: {keys: token-keys.json, leeway: 0s}
anonymous: never
YAML
start_center --config center.yaml
(umask 077 && posthouse token issue --key token-key.json --subject alice --expires 2s >token 2>err)
mkfifo said.alice
posthouse reply --account alice --echo --token-file token >started.out 2>said.alice </dev/null &
pid=$!
pids="$pids $pid"
{
    IFS= read -r first_line
    IFS= read -r second_line
    IFS= read -r third_line
} <said.alice
printf '%s\n' "$first_line" "$second_line" "$third_line" >heard
holds heard 'a client with a token is in' 'answering as alice@local'
holds heard 'is out when that ends' 'what it proved who it is with has ended'
holds heard 'and does not come back with it' 'the token has expired'
kill "$pid"
wait "$pid" 2>/dev/null
json center.log 'the log says that it was in, and that its token ended' \
    'any(line["msg"] == "client joined" for line in x) and any(line["event"] == "CE0018" and line["id"] == "alice@local" for line in x)'
stop_center
finish

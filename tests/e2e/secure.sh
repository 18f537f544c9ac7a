#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Commands and the example whoami against a center that speaks TLS: certificates, tokens, rules; and what is said when
# somebody is not believed.
. "$(dirname "$0")/tap"

posthouse cert dev --domain home --account alice,whoami >made 2>err || fail 'certificates are made' err
posthouse cert dev --domain home --dir strange --account alice >made 2>err || fail 'strange ones, too' err
posthouse token key --algorithm ES256 >made 2>err || fail 'a key for tokens is made' err
token_of() { # subject time file
    (umask 077 && posthouse token issue --key token-key.json --subject "$1" --expires "$2" >"$3" 2>err)
}
cat >center.yaml <<'YAML'
domain: home
listen: ["tls:127.0.0.1:0", "127.0.0.1:0"]
tls: {certificate: certificates/center.crt, key: certificates/center.key, authorities: certificates/ca.crt}
tokens: {keys: token-keys.json}
anonymous: never
rules:
  - name: all
    who: "*"
    may: {call: "*", see: "*", subscribe: ">"}
    may_not: {call: "* secret", subscribe: "secret.>"}
YAML

mkfifo port
posthouse serve --config center.yaml --port-file port --log-format json 2>center.log &
center_pid=$!
pids="$pids $center_pid"
{
    IFS= read -r secure
    IFS= read -r plain
} <port
export POSTHOUSE_CENTER="$secure"
export POSTHOUSE_TLS_CA=certificates/ca.crt

# ---- who one is

as_alice() {
    POSTHOUSE_TLS_CERT=certificates/alice.crt POSTHOUSE_TLS_KEY=certificates/alice.key "$@"
}
expect 0 'ping over TLS, with a certificate' as_alice posthouse ping
start env POSTHOUSE_TLS_CERT=certificates/whoami.crt POSTHOUSE_TLS_KEY=certificates/whoami.key "$PH_BUILD/examples/whoami"
printf '%s\n' "$first_line" >first
holds first 'the example joins with its certificate' 'whoami: online as whoami@home'
expect 0 'the example is called' as_alice posthouse call whoami me --account alice
is out 'and says whose certificate the caller has' 'alice@home'
kill "$started" && wait "$started" 2>/dev/null

token_of whoami 1h token
start env POSTHOUSE_TOKEN_FILE=token "$PH_BUILD/examples/whoami"
printf '%s\n' "$first_line" >first
holds first 'or with a token, for which it is asked' 'whoami: online as whoami@home'
token_of bob 1h bob.token
expect 0 'a token in a file' posthouse call service:whoami me --token-file bob.token --account bob
is out 'says who has it' 'bob@home'
token=$(cat bob.token)
expect 0 'or in the environment' env POSTHOUSE_TOKEN="$token" posthouse call whoami me --account bob
is out 'which says the same' 'bob@home'
expect 0 'the list, with a token' posthouse ls --token-file bob.token
holds out 'has the example in it' 'whoami@home'

# ---- what is refused

expect 4 'who proves nothing: 4' posthouse ls
holds err 'hears what is needed' 'a token or a certificate'
holds err 'and how it is given' '--token-file'
expect 4 'another account than the token says: 4' posthouse ls --token-file bob.token --account alice
holds err 'is told with both names' 'bob'
holds err 'and what could allow it' 'may: register'
mkdir stranger
(cd stranger && posthouse token key --private key.json >keys.json 2>/dev/null && umask 077 &&
    posthouse token issue --key key.json --subject bob >token 2>/dev/null)
expect 4 'a token of another issuer: 4' posthouse ls --token-file stranger/token
holds err 'is told who explains it' 'posthouse token inspect'
expect 4 'a call that rules forbid: 4' posthouse call whoami secret --token-file bob.token
holds err 'says who knows why' 'posthouse may'
holds err 'with the name of the failure' 'refused_by_policy'
expect 4 'a subscription that rules forbid: 4' posthouse subscribe 'secret.x' --token-file bob.token
expect 2 'a certificate without its key: 2' posthouse ls --tls-cert certificates/alice.crt
holds err 'names both' '--tls-cert and --tls-key'
cp bob.token open.token && chmod 644 open.token
expect 2 'a token that others can read: 2' posthouse ls --token-file open.token
holds err 'is mended by' 'chmod 640 open.token'
expect 2 'a file that holds no token: 2' posthouse ls --token-file center.yaml

# ---- who is not believed

expect 3 'a center of another CA: 3' as_alice posthouse ls --tls-ca strange/ca.crt
holds err 'names the file that decided' 'strange/ca.crt'
expect 3 'a center of another name: 3' as_alice posthouse ls --tls-name center.example
holds err 'names the one that was wanted' 'center.example'
holds err 'and those it has' 'localhost'
expect 4 'a certificate that the center does not believe: 4' posthouse ls --tls-cert strange/alice.crt --tls-key strange/alice.key
holds err 'is said to be ours' 'refused our certificate'
expect 3 'TLS to a plain listener: 3' as_alice posthouse ls --center "tls:$plain"
holds err 'is told' 'it does not speak TLS'
holds err 'and not to leave it away' 'at another address'
holds center.log 'and the log says what came there' 'TLS is not spoken at this address'
expect 4 'plain to a listener of TLS: 4' posthouse ls --center "${secure#tls:}"
holds err 'is told, with what to write' "TLS is spoken at this address; write $secure"
holds center.log 'and the log says who was there' 'it says nothing, as who was not told to speak TLS'
expect 4 'each command is' posthouse call whoami me --center "${secure#tls:}"
holds err 'told so' "write $secure"

# ---- secrets

start env POSTHOUSE_TOKEN="$token" posthouse reply --account bob --command 'echo "${POSTHOUSE_TOKEN-unset}"; tr "\0" "\n" </proc/$PPID/environ; tr "\0" "\n" </proc/$PPID/cmdline'
expect 0 'is asked what it knows' as_alice posthouse call bob tell
if grep -qF "$token" out; then fail 'the token is not in its environment, nor its parent'"'"'s' out; else pass 'the token is not in its environment, nor its parent'"'"'s'; fi
holds out 'and its variable is not there' unset
kill "$started" && wait "$started" 2>/dev/null
if grep -qF "$token" center.log; then fail 'no token is in the log' center.log; else pass 'no token is in the log'; fi
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No secret shows: secrets are planted wherever a center and its clients take them from, good and bad; then all
# that was ever printed, logged, counted, passed as an argument or inherited by a child is searched for them.
. "$(dirname "$0")/tap"

mkdir planted seen
plant() { # name: what stands on standard input is a secret from now on
    tr -d '\n' >"planted/$1"
}

# ---- secrets

printf 'b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56' | plant file
printf '9e3779b97f4a7c15f39cc0605cedc8341082276bf3a27251' | plant environment
printf '243f6a8885a308d313198a2e03707344a4093822299f31d0' | plant credential
printf 'hunter2hunter2hunter2' | plant weak
printf 'swordfish-in-a-url' | plant url
printf 'c2VjcmV0LWluLWEtYnJva2VuLWtleS1zZXQtZmlsZS0wMDE' | plant broken
printf 'ZGF0YS1vZi1hLXNoYXJlZC1zZWNyZXQtaW4tYS1zZXQtMDI' | plant shared
printf 'literally-the-secret-in-the-wrong-place-61803398' | plant literal
cp planted/file secret && chmod 600 secret
cp planted/weak weak && chmod 600 weak
cp planted/file readable && chmod 644 readable
mkdir credentials && cp planted/credential credentials/tokens && chmod 400 credentials/tokens
posthouse cert dev --dir c --account orders --account echo >seen/cert 2>&1
sed -n 2p c/center.key | plant center_key
sed -n 2p c/orders.key | plant orders_key
sed -n 2p c/ca.key | plant ca_key
head -n 2 c/center.key >half.key && chmod 600 half.key
umask 077
posthouse token key --id k >seen/token_key 2>&1
python3 -c 'import json; print(json.load(open("token-key.json")).get("d") or json.load(open("token-key.json"))["keys"][0]["d"])' |
    plant token_key
for who in orders echo; do
    posthouse token issue --key token-key.json --subject $who >$who.token
    chmod 600 $who.token
    plant "token_$who" <$who.token
    cut -d. -f3 $who.token | plant "signature_$who"
done
POSTHOUSE_TEST_SECRET=$(cat planted/environment) posthouse token issue --secret env:POSTHOUSE_TEST_SECRET --subject orders >shared.token 2>seen/issue
chmod 600 shared.token
plant token_shared <shared.token
printf '{"keys": [{"kty": "oct", "alg": "HS256", "kid": "a", "k": "%s", }' "$(cat planted/broken)" >broken.json
chmod 600 broken.json
printf '{"keys": [{"kty": "oct", "alg": "HS256", "kid": "a", "k": "%s"}]}' "$(cat planted/shared)" >shared.json
chmod 644 shared.json

# ---- centers that take them, watched from all sides

watch_center() { # name option...
    name=$1
    shift
    rm -f port
    mkfifo port
    posthouse serve --port-file port --log-format json --log-level debug --verbose "$@" 2>"seen/$name.log" &
    center_pid=$!
    pids="$pids $center_pid"
    POSTHOUSE_CENTER=$(timeout 20 head -n 1 port)
    export POSTHOUSE_CENTER
    tr '\0' '\n' <"/proc/$center_pid/cmdline" >"seen/$name.cmdline"
    cat /proc/$center_pid/task/*/comm >"seen/$name.threads"
    if grep -q 'Max core file size *0 *0 ' "/proc/$center_pid/limits"; then
        pass "$name: would leave no core"
    else
        fail "$name: would leave no core"
    fi
}
end_center() { # it goes on working until here
    kill -USR2 "$center_pid"
    kill -HUP "$center_pid"
    if posthouse ls "$@" >>seen/ls 2>&1 && kill "$center_pid" && wait "$center_pid"; then
        pass "$name: works to its end"
    else
        fail "$name: works to its end" "$work/seen/$name.log" "$work/seen/ls"
    fi
}
tries() { # command...: whatever comes of it
    timeout 20 "$@" >>seen/tried 2>&1 </dev/null || true
}

tls='--listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key c/center.key --tls-authorities c/ca.crt'
client='--tls-ca c/ca.crt --tls-cert c/orders.crt --tls-key c/orders.key'
cat >rules.yaml <<EOF
anonymous: never
rules: [{who: "*", may: {call: "*", send: "*", see: "*", publish: ">", subscribe: ">"}}]
EOF

# shellcheck disable=SC2086 # lists of words
{
    watch_center tls --config rules.yaml $tls --tokens-keys token-keys.json --workers 2
    port=${POSTHOUSE_CENTER##*:}
    POSTHOUSE_CENTER=tls:localhost:$port
    export POSTHOUSE_CENTER

    # A command that answers inherits none of it.
    POSTHOUSE_TOKEN=$(cat echo.token)
    export POSTHOUSE_TOKEN
    start posthouse reply --account echo --tls-ca c/ca.crt --command "env; tr '\\0' '\\n' </proc/\$PPID/cmdline" --verbose
    replier=$started
    unset POSTHOUSE_TOKEN
    printf '%s\n' "$first_line" >seen/reply
    tr '\0' '\n' <"/proc/$replier/cmdline" >seen/reply.cmdline
    expect 0 'a command answers' posthouse call echo say hello $client --verbose
    cp out seen/child_environment
    holds out 'with its environment' PH_METHOD=say
    cp err seen/call

    tries posthouse ls $client --verbose
    tries posthouse ls --tls-ca c/ca.crt --token-file orders.token --verbose
    tries posthouse ls --tls-ca c/ca.crt --token-file shared.token --verbose # signed by somebody else
    tries env POSTHOUSE_TOKEN="$(cat planted/literal)" posthouse ls --tls-ca c/ca.crt --verbose
    tries env POSTHOUSE_TOKEN="$(cat orders.token)x" posthouse ls --tls-ca c/ca.crt --verbose
    tries posthouse ls --tls-ca c/ca.crt --account bank --token-file orders.token --verbose
    tries posthouse ls --tls-ca c/ca.crt --tls-cert c/orders.crt --tls-key c/echo.key
    tries posthouse ls --tls-ca c/ca.crt --tls-cert c/orders.crt --tls-key half.key
    tries posthouse ls --tls-ca c/ca.crt --token-file readable
    tries posthouse ls --tls-ca c/ca.crt --token-file secret
    cp c/center.key kept.key
    head -n 2 kept.key >c/center.key # seen half written, refused and logged
    end_center $client
    cp kept.key c/center.key
    kill "$replier"
    wait "$replier"
    cat said.log started.out >>seen/reply

    watch_center file --listen 127.0.0.1:0 --tokens-secret file:secret
    tries posthouse ls --token-file orders.token
    end_center
    POSTHOUSE_TEST_SECRET=$(cat planted/environment)
    export POSTHOUSE_TEST_SECRET
    watch_center environment --listen 127.0.0.1:0 --tokens-secret env:POSTHOUSE_TEST_SECRET
    expect 0 'the secret is the right one' posthouse ls --token-file shared.token
    end_center
    unset POSTHOUSE_TEST_SECRET
    CREDENTIALS_DIRECTORY=$work/credentials
    export CREDENTIALS_DIRECTORY
    watch_center credential --listen 127.0.0.1:0 --tokens-secret credential:tokens
    end_center

    # ---- what is refused, and says so

    for command in serve check-config; do
        tries posthouse $command --tokens-secret file:weak
        tries posthouse $command --tokens-secret file:readable
        tries posthouse $command --tokens-secret "file:secret$(printf '\t')"
        tries posthouse $command --tokens-keys broken.json
        tries posthouse $command --tokens-keys shared.json
        tries posthouse $command --tokens-keys token-key.json
        tries posthouse $command --tls-certificate c/center.crt --tls-key half.key
        tries posthouse $command --tls-certificate c/center.key --tls-key c/center.crt
        tries posthouse $command --tls-certificate c/center.crt --tls-key c/orders.key
        tries posthouse $command --tls-certificate c/center.crt --tls-key c/center.key --tls-authorities c/ca.key
        printf 'tokens: {secret: "%s"}\n' "$(cat planted/literal)" >wrong.yaml
        tries posthouse $command --config wrong.yaml
        printf 'tokens: {keys: "https://me:%s@localhost/keys"}\n' "$(cat planted/url)" >wrong.yaml
        tries posthouse $command --config wrong.yaml
        { printf 'tls: {key: "' && tr '\n' ' ' <c/center.key && printf '"}\n'; } >wrong.yaml
        tries posthouse $command --config wrong.yaml
        { printf 'tokens: {keys: '"'" && cat shared.json && printf "'}\n"; } >wrong.yaml
        tries posthouse $command --config wrong.yaml
        tries env POSTHOUSE_TOKENS_SECRET="$(cat planted/literal)" posthouse $command
    done
    for form in table json; do
        expect 0 "check-config as $form" posthouse check-config $tls --tokens-keys token-keys.json --output $form
        cat out err >>seen/check_config
    done
    expect 0 'and with a secret' posthouse check-config --tokens-secret file:secret --output json
    cat out err >>seen/check_config
    tries posthouse token inspect half.key
    tries posthouse token inspect --secret file:weak shared.token
    tries posthouse token issue --key half.key --subject a
    tries posthouse cert show c/center.key
    tries posthouse cert show half.key
}

# ---- the search

cat planted/* >seen/canary # the search finds what is there
for file in planted/*; do
    found=$(grep -rlF -f "$file" seen)
    if [ "$found" = seen/canary ]; then
        pass "$(basename "$file") shows nowhere"
    else
        printf '%s\n' "$found" >found
        fail "$(basename "$file") shows nowhere" found
    fi
done
if [ "$(wc -l <seen/tried)" -gt 40 ]; then
    pass 'and much was said'
else
    fail 'and much was said' "$work/seen/tried"
fi

finish

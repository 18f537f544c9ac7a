#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse token: keys, tokens, and what one says. What is private stays so; what is refused has a reason.
. "$(dirname "$0")/tap"

mode() { # file
    stat -c %a "$work/$1"
}

judged() { # description expression on the verdict
    json out "$1" "(lambda v: $2)(x[0]['verdict'])"
}

# ---- every algorithm: a key, a token of it, the center's verdict

for algorithm in ES256 EdDSA RS256 PS256; do
    expect 0 "$algorithm: a key is made" posthouse token key --algorithm "$algorithm" --private "$algorithm.key" --public "$algorithm.keys"
    [ "$(mode "$algorithm.key")" = 600 ] && pass "$algorithm: only its owner reads it" || fail "$algorithm: only its owner reads it"
    [ "$(mode "$algorithm.keys")" = 644 ] && pass "$algorithm: everybody may read the public one" || fail "$algorithm: everybody may read the public one"
    grep -q '"d"' "$algorithm.keys" && fail "$algorithm: nothing private in the public one" "$algorithm.keys" ||
        pass "$algorithm: nothing private in the public one"
    expect 0 "$algorithm: a token is issued" posthouse token issue --key "$algorithm.key" --subject orders --issuer me --audience shop
    cp out "$algorithm.token"
    expect 0 "$algorithm: and would be accepted" \
        posthouse token inspect "$algorithm.token" --keys "$algorithm.keys" --issuer me --audience shop --output json
    judged "$algorithm: for its subject" "v['is_good'] and v['principal'] == 'orders'"
    json out "$algorithm: with nothing to warn of" 'x[0]["warnings"] == []'
    json out "$algorithm: under its own name" "x[0]['header']['alg'] == '$algorithm'"
done
expect 0 'HS256: a key is made' posthouse token key --algorithm hs256 --private HS256.key --id shared
[ ! -e token-keys.json ] && pass 'HS256: there is no public key' || fail 'HS256: there is no public key'
expect 0 'HS256: a token is issued' posthouse token issue --key HS256.key --subject orders
cp out HS256.token
expect 0 'HS256: and would be accepted' posthouse token inspect HS256.token --keys HS256.key
holds out 'HS256: for people, too' "Good for 'orders' until"
holds out 'with what makes up the moment' ': its `exp`, and the leeway of 1m'
expect 4 'another key does not verify it' posthouse token inspect HS256.token --keys ES256.keys
holds out 'and says why' "the token's key is not known here"

chmod 644 HS256.key
expect 2 'nor does a shared one that everybody can read' posthouse token inspect HS256.token --keys HS256.key
holds err 'and says what to do' 'chmod'
chmod 600 HS256.key

# ---- a secret, from where it is

head -c 32 /dev/urandom | base64 >secret
chmod 600 secret
expect 0 'a token is signed with a shared secret' posthouse token issue --secret file:secret --subject orders
cp out secret.token
expect 0 'the same secret from the environment verifies it' \
    env SHARED="$(cat secret)" posthouse token inspect --secret env:SHARED secret.token
mkdir credentials
cp secret credentials/jwt
expect 0 'and as a credential of systemd' \
    env CREDENTIALS_DIRECTORY="$work/credentials" posthouse token inspect --secret credential:jwt secret.token
head -c 32 /dev/urandom | base64 >other
chmod 600 other
expect 4 'another does not' posthouse token inspect --secret file:other secret.token
holds out 'and says why' "the token's signature is wrong"

# ---- whoever can read a token is its subject

(umask 022 && posthouse token issue --key ES256.key --subject orders >open.token 2>err)
holds err 'a file that everybody can read is warned of' 'chmod 600'
(umask 077 && posthouse token issue --key ES256.key --subject orders >closed.token 2>err)
is err 'one that nobody else can is not' ''

# ---- nothing is written over, nothing is half made

cp ES256.key before
expect 2 'a key is not written over' posthouse token key --private ES256.key --public new.keys
holds err 'and said so' 'ES256.key: there is one already, and it stays'
cmp -s before ES256.key && pass 'it is as it was' || fail 'it is as it was'
expect 2 'nor is a public one' posthouse token key --private new.key --public ES256.keys
[ ! -e new.key ] && pass 'and no private key is left without it' || fail 'and no private key is left without it'
expect 1 'a folder that is not there' posthouse token key --private nowhere/key
holds err 'is said' 'nowhere/key: No such file or directory'

# ---- what is private must be kept so

chmod 644 secret
expect 2 'a secret that others can read is refused' posthouse token issue --secret file:secret --subject orders
holds err 'with what to do' 'chmod'
chmod 640 ES256.key
expect 0 'its group may read a key' posthouse token issue --key ES256.key --subject orders
chmod 644 ES256.key
expect 2 'a key that others can read is refused' posthouse token issue --key ES256.key --subject orders
holds err 'with what to do' 'chmod'
chmod 600 ES256.key
expect 2 'a public set signs nothing, whoever may read it' posthouse token issue --key ES256.keys --subject orders
holds err 'and is called what it is' 'ES256.keys: that is the public set, for centers'
grep -q chmod err && fail 'its mode is no matter' err || pass 'its mode is no matter'
printf 'secretsecretsecretsecretsecretsecret' >weak
chmod 600 weak
expect 2 'a secret that would be guessed is refused' posthouse token issue --secret file:weak --subject orders
holds err 'with advice' 'openssl rand -base64 32'
grep -q 'secretsecret' err && fail 'and is not shown' err || pass 'and is not shown'
expect 2 'a secret is no argument' posthouse token issue --secret "$(cat secret)" --subject orders
grep -qF "$(cat secret)" err && fail 'and is not repeated' err || pass 'and is not repeated'
expect 2 'a token is no argument' posthouse token inspect "$(cat ES256.token)"
grep -qF "$(cat ES256.token)" err && fail 'and is not repeated either' err || pass 'and is not repeated either'
expect 2 'keys to verify with are not private' posthouse token inspect --keys ES256.key ES256.token
holds err 'and it is said where they belong' 'it is a private key, and this is to verify with'
expect 2 'a public key signs nothing' posthouse token issue --key ES256.keys --subject orders

# ---- who gets one, for how long

for name in '' Orders 'or ders' orders-7f3a orders@home ../orders; do
    expect 2 "no token for '$name'" posthouse token issue --key ES256.key --subject "$name"
done
expect 2 'no token for nobody' posthouse token issue --key ES256.key
expect 2 'no token without a key' posthouse token issue --subject orders
expect 2 'no token that never ends' posthouse token issue --key ES256.key --subject orders --expires 10000h
expect 2 'no token for no time' posthouse token issue --key ES256.key --subject orders --expires 0s
expect 0 'a token for a day and a second' posthouse token issue --key ES256.key --subject orders --expires 86401s
holds err 'is given with a warning' 'nobody can take this token back'
cp out long.token
expect 0 'inspect warns, too' posthouse token inspect long.token
holds out 'that it is long' 'it lives for more than a day'
holds out 'that it is for everybody' 'it has no `aud`'
holds out 'and does not claim to have verified it' 'Not verified'

# ---- inspecting what is none, or is hostile

encode() { printf '%b' "$1" | base64 -w0 | tr '+/' '-_' | tr -d '='; }
token_of() { printf '%s.%s.AAAA\n' "$(encode "$1")" "$(encode "$2")" >made.token; }
refused() { # description text
    expect 1 "$1: refused" posthouse token inspect made.token
    holds err "$1: says why" "$2"
}
printf 'hello\n' >made.token
refused 'a word' 'it must have three parts'
: >made.token
refused 'nothing' 'it must have three parts'
printf 'e30=.e30.AAAA' >made.token
refused 'padding' 'its header is no base64url'
token_of '{"alg":"ES256","alg":"none"}' '{}'
refused 'a name twice' 'its header is not one JSON object'
token_of '{"alg":"ES256"}' '[]'
refused 'claims in a list' 'its payload is not one JSON object'
head -c 70000 /dev/zero >made.token
refused 'what does not end' 'longer than 65536 bytes'
expect 1 'a file that is not there' posthouse token inspect nowhere.token
holds err 'is said' 'nowhere.token: No such file or directory'
token_of '{"alg":"none","jku":"http://127.0.0.1:9/","crit":["x"],"kid":"\\u001b[2J\\u202e"}' '{"sub":"a\\nb","exp":"soon"}'
expect 0 'a forged one is shown' posthouse token inspect made.token
holds out 'with warnings: algorithm' 'its algorithm is none of'
holds out 'crit' 'it has `crit`'
holds out 'jku' 'a center does not look there'
holds out 'exp' 'it has no good `exp`'
holds out 'control characters are made harmless' 'kid     \x1b[2J\xe2\x80\xae'
LC_ALL=C grep -q "$(printf '\033')" out && fail 'no escape sequence gets out' out || pass 'no escape sequence gets out'
expect 0 'for programs, too' posthouse token inspect made.token --output json
LC_ALL=C grep -q '[^ -~]' out && fail 'its JSON is plain ASCII' out || pass 'its JSON is plain ASCII'
json out 'and nothing is lost' 'x[0]["header"]["kid"] == "\x1b[2J\u202e" and x[0]["verdict"] is None'

# ---- usage

expect 2 'what token can do is said' posthouse token sign
holds err 'by name' 'there are: key, issue, inspect'
expect 2 'options of another deed mean nothing' posthouse token key --subject orders
holds err 'and that is said' 'key: --subject means nothing here'
expect 2 'one way to verify' posthouse token inspect --keys ES256.keys --secret file:other ES256.token
finish

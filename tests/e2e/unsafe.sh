#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No unsafe start: serve and check-config refuse each of these, with exit status 2, and say what to do.
# Each row differs in one thing from a start that is safe; those are tested, too, or refusing everything would do.
. "$(dirname "$0")/tap"

# ---- what is needed: certificates, and what somebody else might have put in their place

expect 0 'certificates to begin with' posthouse cert dev --dir c --account orders
expect 0 'and of somebody else' posthouse cert dev --dir other --account orders
printf 'b7e151628aed2a6abf7158809cf4f3c762e7160f\n' >secret && chmod 600 secret
python3 - <<'EOF'
import datetime, json, base64, os
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

def write(path, data, mode=0o600):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)

def b64(number, size=32):
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()

now = datetime.datetime(2020, 1, 1)
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
key = ec.generate_private_key(ec.SECP256R1())
old = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
       .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=30))
       .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(key, hashes.SHA256()))
write("expired.crt", old.public_bytes(s.Encoding.PEM), 0o644)
write("expired.key", key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
write("encrypted.key", key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x")))
public = key.public_key().public_numbers()
jwk = {"kty": "EC", "crv": "P" "-256", "kid": "a", "x": b64(public.x), "y": b64(public.y)}
weak = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
sets = {
    "keys.json": {"keys": [jwk]},
    "private.json": {"keys": [dict(jwk, d=b64(key.private_numbers().private_value))]},
    "weak.json": {"keys": [{"kty": "RSA", "alg": "RS256", "kid": "w", "n": b64(weak.n, 128), "e": "AQAB"}]},
    "open.json": {"keys": [{"kty": "oct", "kid": "o", "k": b64(key.private_numbers().private_value)}]},
    "shared.json": {"keys": [{"kty": "oct", "alg": "HS256", "kid": "s", "k": b64(key.private_numbers().private_value)}]},
    "empty.json": {"keys": []},
}
for path, value in sets.items():
    write(path, json.dumps(value).encode(), 0o644)
write("half.json", b'{"keys": [{"kty": "EC", "crv"', 0o644)
write("short", b"tooshort")
write("word", b"secret" * 8)
write("alike", b"a" * 64)
write("readable", b"b7e151628aed2a6abf7158809cf4f3c762e7160f", 0o644)
write("empty", b"")
write("big", b"x" * 2_000_000, 0o644)
EOF
cp c/center.key readable.key && chmod 644 readable.key
cp c/center.key writable.key && chmod 660 writable.key
cp c/ca.crt loose.crt && chmod 666 loose.crt
head -c 100 c/center.key >half.key && chmod 600 half.key
mkfifo pipe.key

mkdir served && cp ./*.json served/
mkfifo server_port
python3 "$root/tests/e2e/keys_server.py" served >server_port &
pids="$pids $!"
port=$(timeout 20 head -n 1 server_port)
url=http://127.0.0.1:$port
mkfifo secure_port
python3 "$root/tests/e2e/keys_server.py" served c/center.crt c/center.key >secure_port &
pids="$pids $!"
secure_url=https://localhost:$(timeout 20 head -n 1 secure_port)

# What every row has, and what it takes to be safe.
tls="--listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key c/center.key"
safe="$tls --tls-authorities c/ca.crt"
plain='--listen 127.0.0.1:0'

# shellcheck disable=SC2086 # lists of words, on purpose
starts() { # description argument...
    row=$1
    shift
    expect 0 "$row: check-config agrees" posthouse check-config "$@"
    rm -f port
    mkfifo port
    posthouse serve "$@" --port-file port --log-level error 2>err &
    pid=$!
    if timeout 20 head -n 1 port >out && kill "$pid" && wait "$pid"; then
        pass "$row: it starts"
    else
        fail "$row: it starts" err
    fi
}

rows=0
refuses() { # description expected-text argument...
    row=$1
    says=$2
    shift 2
    rows=$((rows + 1))
    expect 2 "$row: serve refuses" timeout 20 posthouse serve --port-file /dev/null "$@"
    holds err "$row: and says what to do" "$says"
    expect 2 "$row: check-config, too" timeout 20 posthouse check-config "$@"
    holds err "$row: with the same words" "$says"
}

# shellcheck disable=SC2086
warns() { # description event-or-none argument...
    row=$1
    wanted=$2
    shift 2
    expect 0 "$row: check-config" posthouse check-config "$@" --output json
    json out "$row: warns of $wanted" \
        "[w['event'] for w in x[0]['warnings'] if w['event'] == 'PA0019'] == $wanted"
}

# ---- starts that are safe

# shellcheck disable=SC2086
{
    starts 'loopback, as it comes' --listen 127.0.0.1:0
    starts 'TLS with certificates' $safe
    starts 'TLS with a secret for tokens' $tls --tokens-secret file:secret
    starts 'TLS with keys from a file' $tls --tokens-keys keys.json
    starts 'TLS with keys from this machine' $tls --tokens-keys "$url/keys.json"
    starts 'keys from a server of that CA' $plain --tokens-keys "$secure_url/keys.json" \
        --tokens-keys-authorities c/ca.crt
    starts 'centers' $tls --listen centers:127.0.0.1:0 --tls-authorities c/ca.crt
    chmod 600 shared.json
    starts 'a shared secret in a private file' $plain --tokens-keys shared.json
    chmod 644 shared.json
    ln -s c/center.key link.key
    starts 'a link to a key' --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key link.key \
        --tls-authorities c/ca.crt
    mkdir credentials && cp secret credentials/tokens && chmod 400 credentials/tokens
    CREDENTIALS_DIRECTORY=$work/credentials
    export CREDENTIALS_DIRECTORY
    starts 'a credential of systemd' $plain --tokens-secret credential:tokens
    unset CREDENTIALS_DIRECTORY
}

# ---- who may join there: what check-config says has to be all that there is, or it would calm for nothing

joins() { # description expected-words argument...
    row=$1
    says=$2
    shift 2
    expect 0 "$row: check-config tells" posthouse check-config --output json "$@"
    holds out "$row: who may join" "\"may_join\":[$says]"
}

# shellcheck disable=SC2086
{
    joins 'loopback, as it comes' '"anybody"' $plain
    joins 'loopback with proofs only' '"token"' $plain --tokens-secret file:secret --anonymous never
    joins 'TLS, where this machine need prove nothing' '"certificate","anybody of this machine"' $safe
    joins 'TLS with proofs only' '"certificate","token"' $safe --tokens-secret file:secret --anonymous never
    joins 'TLS with certificates only' '"certificate"' $safe --tls-peers required
    joins 'TLS for anybody' '"certificate","anybody"' $safe --insecure-allow-anonymous
    joins 'centers' '"certificate"' --listen centers:127.0.0.1:0 --tls-certificate c/center.crt \
        --tls-key c/center.key --tls-authorities c/ca.crt
}

# ---- and those that are not

# shellcheck disable=SC2086
{
    refuses 'plain on a public address' 'write tls:0.0.0.0:0, or set insecure_allow_remote' --listen 0.0.0.0:0
    refuses 'suite paper on a public address' 'write tls:[::]:0' --listen '[::]:0' --suite paper
    refuses 'TLS without a certificate' 'set tls.certificate and tls.key; posthouse cert dev' \
        --listen tls:127.0.0.1:0 --tokens-secret file:secret
    refuses 'a certificate without its key' 'set tls.key, too' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-authorities c/ca.crt
    refuses 'nobody could prove who he is' 'set tls.authorities) or a token (set tokens.keys' $tls
    refuses 'anonymous: never, and no way to prove' 'nobody could join: set tls.authorities' \
        --listen 127.0.0.1:0 --anonymous never
    refuses 'a key that does not fit' 'does not belong to' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key other/center.key --tls-authorities c/ca.crt
    refuses 'an expired certificate' 'expired' \
        --listen tls:127.0.0.1:0 --tls-certificate expired.crt --tls-key expired.key --tls-authorities c/ca.crt
    refuses 'an encrypted key' 'encrypted' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key encrypted.key --tls-authorities c/ca.crt
    refuses 'half a key' 'key' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key half.key --tls-authorities c/ca.crt
    refuses 'a key that everybody may read' 'chmod 640 readable.key' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key readable.key --tls-authorities c/ca.crt
    cp c/center.key "a key" && chmod 644 "a key"
    refuses 'one with a space in its name' "chmod 640 'a key'" \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key 'a key' --tls-authorities c/ca.crt
    refuses 'a key that its group may write' 'chmod 640 writable.key' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key writable.key --tls-authorities c/ca.crt
    refuses 'a key that is a pipe' 'pipe.key is no regular file' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key pipe.key --tls-authorities c/ca.crt
    refuses 'a key that is not there' 'cannot read nowhere.key: No such file' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key nowhere.key --tls-authorities c/ca.crt
    refuses 'CAs that everybody may write' 'chmod 644 loose.crt' $tls --tls-authorities loose.crt
    refuses 'CAs that are none' 'authorities' $tls --tls-authorities keys.json
    refuses 'CAs of more than a MiB' 'big is longer than' $tls --tls-authorities big
    refuses 'revoked, but by whom?' 'set that' $tls --tokens-secret file:secret --tls-revoked c/ca.crt
    refuses 'certificates required, none believed' 'set that' $tls --tokens-secret file:secret --tls-peers required
    refuses 'CAs of clients who are not asked' 'take one of them away' $safe --tls-peers unasked
    refuses 'centers without CAs' 'set tls.centers_authorities, or tls.authorities' $tls --tokens-secret file:secret \
        --listen centers:127.0.0.1:0
    refuses 'no secret in the environment' 'env:NO_SUCH: there is no such variable' $plain --tokens-secret env:NO_SUCH
    refuses 'no credentials of systemd' 'LoadCredential=tokens:PATH' $plain --tokens-secret credential:tokens
    refuses 'the secret itself in the configuration' 'file:PATH, env:NAME or credential:NAME' $tls \
        --tokens-secret b7e151628aed2a6abf7158809cf4f3c762e7160f
    if grep -qF b7e151628aed "$work/err"; then fail 'and it is not repeated' err; else pass 'and it is not repeated'; fi
    refuses 'a short secret' '32' $plain --tokens-secret file:short
    refuses 'a word as a secret' 'openssl rand -base64 32' $plain --tokens-secret file:word
    refuses 'one letter as a secret' 'again and again' $plain --tokens-secret file:alike
    refuses 'an empty secret' 'empty is empty' $plain --tokens-secret file:empty
    refuses 'a secret that everybody may read' 'chmod 640 readable' $plain --tokens-secret file:readable
    refuses 'a secret and keys' 'choose one' $plain --tokens-secret file:secret --tokens-keys keys.json
    refuses 'private keys among the public ones' 'private' $plain --tokens-keys private.json
    refuses 'a shared secret in a public file' 'chmod 640 shared.json' $plain --tokens-keys shared.json
    refuses 'weak keys' '2048' $plain --tokens-keys weak.json
    refuses 'a shared secret without an algorithm' 'alg' $plain --tokens-keys open.json
    refuses 'half a key set' 'no key set' $plain --tokens-keys half.json
    refuses 'an empty key set' 'keys' $plain --tokens-keys empty.json
    refuses 'keys by http:// from elsewhere' 'write https://' $plain --tokens-keys http://192.0.2.1/keys.json
    refuses 'keys by another way' 'keys are fetched by https://' $plain --tokens-keys ftp://127.0.0.1/keys.json
    refuses 'a password in the URL' 'a user or password' $plain --tokens-keys https://a:hunter2@localhost/keys.json
    if grep -qF hunter2 "$work/err"; then fail 'and it is not repeated' err; else pass 'and it is not repeated'; fi
    refuses 'no keys at the URL' 'answers 404; a center does not start without' $plain --tokens-keys "$url/none"
    refuses 'a URL that leads elsewhere' 'redirects are not followed' $plain --tokens-keys "$url/redirect"
    refuses 'a URL without an end' 'no whole answer within 5000 ms' $plain --tokens-keys "$url/slow"
    refuses 'a URL with too much' 'answers with more than 65536 bytes' $plain --tokens-keys "$url/huge"
    refuses 'a URL that announces too much' 'answers with more than 65536 bytes' $plain --tokens-keys "$url/long"
    refuses 'a URL that breaks off' 'a center does not start without' $plain --tokens-keys "$url/broken"
    refuses 'a server that nobody vouches for' 'certificate' $plain --tokens-keys "$secure_url/keys.json"
    refuses 'a server that another CA vouches for' 'certificate' $plain --tokens-keys "$secure_url/keys.json" \
        --tokens-keys-authorities other/ca.crt
    refuses 'nobody at the URL' 'a center does not start without' $plain --tokens-keys http://127.0.0.1:1/keys.json
    refuses 'a shared secret from a URL' 'is not fetched from a URL' $plain --tokens-keys "$url/shared.json"
    refuses 'private keys from a URL' 'private' $plain --tokens-keys "$url/private.json"
    refuses 'CAs for a URL that has none' 'https:// URL' $plain --tokens-keys keys.json --tokens-keys-authorities c/ca.crt
    refuses 'an issuer without keys' 'set one of them' $safe --tokens-issuer https://id.example
    refuses 'anybody, but nobody can come' 'take it away' --listen 127.0.0.1:0 --insecure-allow-anonymous
    printf 'domain: home\n' >open.yaml && chmod 666 open.yaml
    refuses 'a configuration that everybody may write' 'chmod 644 open.yaml' --config open.yaml
    refuses 'a leeway of an hour' 'out of range' $plain --tokens-secret file:secret --tokens-leeway 1h
    refuses 'a user without a name' '1000=alice' --users 1000
    refuses 'a user by a name that a center makes up' 'makes up' --users 1000=orders-1f3a
}
printf '# %d unsafe starts\n' "$rows"

# ---- one that lets in whoever is on this machine, or comes through a tunnel on it, says so

# shellcheck disable=SC2086
{
    warns 'TLS, as it comes' "['PA0019']" $safe
    warns 'TLS, and everybody proves' '[]' $safe --anonymous never
    warns 'loopback without TLS' '[]' $plain
    posthouse check-config $safe >out 2>err
    holds err 'a person is told what closes it' 'anonymous: never'
    rm -f port
    mkfifo port
    posthouse serve $safe --port-file port --log-format json 2>err &
    pid=$!
    timeout 20 head -n 1 port >out
    kill "$pid" && wait "$pid"
    holds err 'serve logs it at its start' '"event":"PA0019"'
}

# An existing file that somebody else owns, where that can be tried.
if [ "$(id -u)" = 0 ]; then
    cp c/center.key foreign.key && chmod 600 foreign.key && chown 12345 foreign.key
    # shellcheck disable=SC2086
    refuses 'a key of another user' 'chown 0 foreign.key' \
        --listen tls:127.0.0.1:0 --tls-certificate c/center.crt --tls-key foreign.key --tls-authorities c/ca.crt
fi

# All mistakes are told at once.
expect 2 'three mistakes' posthouse serve --listen 0.0.0.0:0 --listen tls:127.0.0.1:0 --tokens-issuer x
holds err 'the first' 'other machines could connect'
holds err 'the second' 'set tls.certificate and tls.key'
holds err 'the third' 'no token is accepted without'

finish

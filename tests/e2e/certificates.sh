#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse cert: makes an authority for development, adds to it, renews, revokes, shows.
. "$(dirname "$0")/tap"

# ---- dev

expect 0 'cert dev makes all that a first try needs' posthouse cert dev --dir pki --output json
json out 'a center with the names of this machine, and an account by URI' \
    '[(p["names"], p["done"]) for p in x[0]] == [(["localhost", "127.0.0.1", "::1"], "made"), (["posthouse://local/client"], "made")]'
holds err 'what to type next is said' '--tls-ca pki/ca.crt'
expect 0 'openssl believes the center as a server' openssl verify -x509_strict -purpose sslserver -CAfile pki/ca.crt pki/center.crt
expect 0 'openssl believes the account as a client' openssl verify -x509_strict -purpose sslclient -CAfile pki/ca.crt pki/client.crt
expect 2 'openssl does not believe the account as a server' openssl verify -purpose sslserver -CAfile pki/ca.crt pki/client.crt
find pki -name '*.key' ! -perm 600 >out
is out 'keys are their owner'\''s alone' ''

cat pki/*.crt pki/*.key >before
expect 0 'a second run' posthouse cert dev --dir pki
cat pki/*.crt pki/*.key >after
if cmp -s before after; then pass 'changes nothing'; else fail 'changes nothing' out; fi

cp pki/center.key center.key
expect 0 'accounts and hosts are added later' posthouse cert dev --dir pki --account orders,stock \
    --account bank --host center.lan,10.0.0.7 --output json
json out 'with all the names of before, under their domain' \
    '([p["name"] for p in x[0]] == ["center", "bank", "client", "orders", "stock"]
      and x[0][0]["names"] == ["localhost", "127.0.0.1", "::1", "center.lan", "10.0.0.7"]
      and x[0][2]["names"] == ["posthouse://local/client"] and x[0][3]["names"] == ["posthouse://local/orders"])'
if cmp -s center.key pki/center.key; then pass 'a certificate made anew keeps its key'; else fail 'a certificate made anew keeps its key'; fi

# The domain is the authority's, and a host alone asks for no account.
expect 0 'an authority of a domain' posthouse cert dev --dir lasting --domain shop --account orders
expect 0 'a run that names none' posthouse cert dev --dir lasting --account stock --output json
json out 'takes the domain of before' '[n for p in x[0][1:] for n in p["names"]] == ["posthouse://shop/orders", "posthouse://shop/stock"]'
holds err 'and says so in what to type next' 'serve --domain shop'
expect 2 'another domain is refused' posthouse cert dev --dir lasting --domain other --account bank
holds err 'with what to do' "the accounts of lasting are of the domain 'shop', not 'other': leave --domain out"
expect 2 'that of the environment, too' env POSTHOUSE_DOMAIN=other posthouse cert dev --dir lasting
expect 0 'a host more' posthouse cert dev --dir lasting --host center.lan --output json
json out 'makes no account' '[p["name"] for p in x[0]] == ["center", "orders", "stock"]'
echo 'A/B' >lasting/domain.txt
expect 2 'what is no domain is not believed' posthouse cert dev --dir lasting
holds err 'but named' 'lasting/domain.txt: it must hold the name of a domain'

# One with 29 days left of 90 is renewed, one with 31 is not.
again() { # days back, days
    openssl x509 -in pki/stock.crt -x509toreq -signkey pki/stock.key -copy_extensions copyall -out stock.req 2>err &&
        openssl ca -batch -notext -in stock.req -out pki/stock.crt -cert pki/ca.crt -keyfile pki/ca.key -md sha256 -config ca.cnf \
            -startdate "$(date -u -d "-$1 days" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$2 days" +%Y%m%d%H%M%SZ)" 2>err || cat err
}
printf '%s\n' '[ca]' default_ca=x '[x]' database=index new_certs_dir=. serial=serial rand_serial=yes copy_extensions=copyall \
    unique_subject=no policy=p '[p]' commonName=supplied >ca.cnf
: >index
again 59 31
expect 0 'one that has more than a third of its time' posthouse cert dev --dir pki --output json
json out 'is kept' '[p["done"] for p in x[0] if p["name"] == "stock"] == ["kept"]'
again 61 29
expect 0 'one that has less' posthouse cert dev --dir pki --output json
json out 'is renewed, with its names' \
    '[(p["done"], p["names"]) for p in x[0] if p["name"] == "stock"] == [("renewed", ["posthouse://local/stock"])]'

# ---- what it says to type next, typed; with another port

posthouse cert dev --dir 'with a space' --account orders >/dev/null 2>next
serve=$(sed -n 's/^ *\(posthouse serve .*\)/\1/p' next | sed 's/tls:127.0.0.1/&:0/')
rm -f port
mkfifo port
eval "$serve --port-file port --log-level error 2>center.log &"
pids="$pids $!"
IFS= read -r address <port
ls=$(sed -n 's/^ *\(posthouse ls .*\)/\1/p' next | sed "s/tls:localhost/&:${address##*:}/")
expect 0 'what cert dev says to type next works' sh -c "$ls"
expect 3 'without the authority the center is not believed' posthouse ls --center "tls:localhost:${address##*:}"
holds err 'and it says why' 'an authority that is not known here'
cert='with a space/orders.crt'
expect 3 'nor is it by another name' posthouse ls --center "tls:localhost:${address##*:}" --tls-ca 'with a space/ca.crt' --tls-name elsewhere
holds err 'and it says which it has' "its certificate is for 'localhost'"
expect 0 'variables stand in for the options' env POSTHOUSE_CENTER="tls:127.0.0.1:${address##*:}" POSTHOUSE_TLS_CA='with a space/ca.crt' \
    POSTHOUSE_TLS_CERT="$cert" POSTHOUSE_TLS_KEY='with a space/orders.key' posthouse ls

# ---- the first minute of docs/security.md, typed; with another port

sed -n '/^## In one minute/,/^The variables/p' "$root/docs/security.md" | sed -n '/^```$/,/^```$/p' | sed '/^```/d' |
    sed -e ':a' -e '/\\$/{N;s/\\\n *//;ta' -e '}' >minute
expect 0 'the authority' sh -c "$(sed -n '/^posthouse cert dev/p' minute)"
rm -f port
mkfifo port
serve=$(sed -n '/^posthouse serve/p' minute | sed 's/tls:127.0.0.1/&:0/')
eval "$serve --port-file port --log-level error 2>center.log &"
pids="$pids $!"
IFS= read -r address <port
sed -i "s/tls:localhost/&:${address##*:}/" minute
eval "start $(sed -n '/^posthouse reply/p' minute)"
expect 0 'the call' sh -c "$(sed -n '/^posthouse call/p' minute)"
is out 'is answered, as docs/security.md has it' hello

mkdir whole && cd whole || exit 1
posthouse cert dev --domain shop --account orders,stock >../out 2>../err && posthouse token key >../out 2>../err
sed -n '/^# posthouse.yaml/,/^```$/p' "$root/docs/security.md" | sed '/^```/d' >posthouse.yaml
expect 0 'its whole center is a configuration' posthouse check-config posthouse.yaml --output json
holds out 'where each has to prove who it is' '"may_join":["certificate","token"]'
expect 0 'who may call the stock' posthouse may orders call service:stock get --config posthouse.yaml
expect 4 'who may not' posthouse may gateway call service:stock get --config posthouse.yaml
expect 0 'a service of its own name needs no rule' posthouse may stock register service:stock --config posthouse.yaml
cd .. || exit 1

# ---- what it refuses

expect 0 'another authority' posthouse cert dev --dir short
expect 2 'a wildcard is refused' posthouse cert dev --dir pki --host '*.lan'
holds err 'and why' 'no client of posthouse believes a wildcard'
expect 2 'the form of names that centers make up is refused' posthouse cert dev --dir pki --account orders-7f3a
expect 2 'an account whose files would be those of the authority is refused' posthouse cert dev --dir pki --account ca
cp -r pki half
rm half/orders.key
expect 2 'a certificate whose key is lost is not made anew silently' posthouse cert dev --dir half --account orders
holds err 'but named' 'half/orders.crt is there without half/orders.key'
rm half/ca.key
expect 2 'nor is an authority' posthouse cert dev --dir half
cp -r pki mixed
cp short/client.crt mixed/client.crt
expect 2 'a certificate of another authority stays' posthouse cert dev --dir mixed
holds err 'and is named' 'mixed/client.crt was not signed by mixed/ca.crt'
cp -r pki swapped
cp swapped/bank.key swapped/stock.key
expect 2 'a key of another is noticed' posthouse cert dev --dir swapped
expect 2 'dev takes no further words' posthouse cert dev orders
expect 2 'show takes no --host' posthouse cert show --host a pki/ca.crt

# ---- revoke

cp pki/orders.crt orders.1
rm pki/orders.crt
expect 0 'another certificate for one account' posthouse cert dev --dir pki --account orders
expect 0 'an account is revoked' posthouse cert revoke orders --dir pki
for one in orders.1 pki/orders.crt; do
    expect 2 "$one is revoked: of before as well as of now" openssl verify -crl_check -CRLfile pki/crl.pem -CAfile pki/ca.crt "$one"
    holds err 'so says openssl' 'certificate revoked'
done
expect 0 'another account is not' openssl verify -crl_check -CRLfile pki/crl.pem -CAfile pki/ca.crt pki/bank.crt
expect 0 'a second one is revoked' posthouse cert revoke bank --dir pki
expect 2 'and the first remains so' openssl verify -crl_check -CRLfile pki/crl.pem -CAfile pki/ca.crt pki/orders.crt
expect 2 'what is revoked is not made anew with its key' posthouse cert dev --dir pki --account orders
expect 6 'nobody of that name' posthouse cert revoke nobody --dir pki
expect 6 'no authority there' posthouse cert revoke orders --dir nowhere
expect 0 'a list says how many it names' posthouse cert show pki/crl.pem --output json
json out 'three: two certificates of one, one of the other' 'x[0][0]["revoked"] == 3 and x[0][0]["what"] == "revoked"'

# ---- show

expect 0 'show: an account' posthouse cert show pki/client.crt
holds out 'says its name' 'URI posthouse://local/client'
holds out 'and what it is good for' 'good for    a client'
openssl req -x509 -newkey rsa:1024 -nodes -keyout weak.key -sha1 -days 2 -out weak.crt \
    -subj "/CN=$(printf 'a\033[31mb')" -addext 'subjectAltName=DNS:*.lan,URI:https://local/orders' -addext basicConstraints=CA:FALSE 2>err
expect 0 'show: what is wrong with one' posthouse cert show weak.crt --output json
json out 'each thing is said' \
    'all(any(w in said for said in x[0][0]["warnings"]) for w in
         ("it ends in", "key is too weak", "signed with sha1", "wildcard", "names no account", "signed itself", "neither serverAuth"))'
posthouse cert show weak.crt >out
if grep -q "$(printf '\033')" out; then fail 'no escape sequence of a certificate reaches the terminal' out; else
    pass 'no escape sequence of a certificate reaches the terminal'; fi
expect 1 'a key is not shown' posthouse cert show pki/client.key
holds err 'and called what it is' 'pki/client.key: that is a private key'
holds err 'with the command that shows its certificate' 'posthouse cert show pki/client.crt'
expect 1 'nor is what is not there' posthouse cert show nothing.crt
expect 0 'a chain is shown whole' sh -c 'cat pki/center.crt pki/ca.crt >chain && posthouse cert show chain --output json'
json out 'in its order' '[c["good_for"] for c in x[0]] == ["a center", "signing certificates (0 authorities below it)"]'
finish

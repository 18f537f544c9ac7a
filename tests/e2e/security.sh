#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rules of a running center: what they allow, what they refuse, and what becomes of it when they change. docs/security.md
. "$(dirname "$0")/tap"

# The rules of the moment: those that all have, and those given.
rules() { # line...
    {
        printf 'domain: home\nrules:\n'
        printf '  - {who: "stock-*", may: {register: "service:stock"}}\n'
        for line in "$@"; do
            printf '  - %s\n' "$line"
        done
    } >"$work/c.yaml"
}

# How often security was taken on so far.
secured() {
    grep -c '"event":"CE0013"' "$work/center.log"
}

# The center reads its rules again; returns when they are in force. Each ping is a round trip.
reload() {
    before=$(secured)
    kill -HUP "$center_pid"
    tries=0
    while [ "$(secured)" = "$before" ] && [ "$tries" -lt 500 ]; do
        tries=$((tries + 1))
        posthouse ping --count 1 --account pinger >/dev/null 2>&1
    done
}

shop='{name: shop, who: [orders], may: {call: ["service:stock get echo"], publish: "orders.>", see: "service:stock"}}'
audit='{name: audit, who: audit, may: {subscribe: "orders.>", see: "*"}}'
alice='{name: operators, who: alice, may: {see: "*", call: "*", send: "*", drain: "*", subscribe: ">"}}'
rules "$shop" "$audit" "$alice"
start_center --config c.yaml
start posthouse reply --account stock-1 --service stock --echo --events
stock_pid=$started

# ---- what they allow, and refuse; posthouse may says the same

as() { # account command...
    who=$1
    verb=$2
    shift 2
    posthouse "$verb" "$@" --account "$who"
}
agree() { # status account action words...
    wanted=$1
    shift
    expect "$wanted" "posthouse may agrees: $*" posthouse may "$@" --config c.yaml
}
expect 0 'a call that a rule allows' as orders call service:stock get hello
is out 'is answered' hello
agree 0 orders call stock-1 get --service stock
expect 4 'another method' as orders call service:stock put hello
holds err 'is refused by policy' 'refused_by_policy'
agree 4 orders call stock-1 put --service stock
expect 4 'a stranger' as mallory call service:stock get hello
agree 4 mallory call stock-1 get --service stock
expect 4 'a stranger who calls an account that is not there' as mallory call nobody get
holds err 'hears the same' 'refused_by_policy'
expect 6 'who may call everybody' as alice call nobody get
holds err 'hears that there is none' 'no_such_account'
expect 6 'a service that is not there, of one who might call it' as alice call service:nothing get
expect 4 'an instance of a service without a right to it' as mallory reply --echo --service stock
holds err 'is told why' "principal 'mallory' may not be an instance of service 'stock'"
expect 4 'an event' as orders send stock-1 hello
expect 0 'an event that is allowed' as alice send stock-1 hello
expect 4 'a drain' as orders drain stock-1
expect 0 'an operator drains' as alice drain stock-1
expect 0 'and takes it back' as alice drain stock-1 --undo
expect 4 'a topic' as mallory publish orders.eu.created x
expect 4 'another topic' as orders publish stock.eu x
expect 4 'a subscription' as orders subscribe 'orders.>' --count 1
expect 4 'a subscription to more' as audit subscribe '>' --count 1
holds err 'is refused as a whole' 'refused_by_policy'
as alice ls --output json >out 2>err
json out 'who may see everybody does' '[p["id"] for p in x[0]] == ["stock-1@home"]'
as mallory ls --output json >out 2>err
json out 'who may see nobody sees nobody' 'x[0] == []'

# ---- in mid-session: taken away, and given back

mkfifo events watched
posthouse subscribe 'orders.>' --account audit --output json >events 2>said-by-audit &
pids="$pids $!"
exec 7<events
posthouse watch --account orders-0001 --output json >watched 2>/dev/null &
pids="$pids $!"
exec 8<watched
IFS= read -r line <&8
printf '%s\n' "$line" >seen
holds seen 'a watcher sees what it may' '"change":"online","reason":"","id":"stock-1@home"'
until [ -s said-by-audit ]; do posthouse ping --count 1 --account pinger >/dev/null 2>&1; done
expect 0 'an event on a topic' as orders publish orders.eu.created first
IFS= read -r line <&7
printf '%s\n' "$line" >heard
holds heard 'reaches who subscribed' '"body":"first"'

rules "$alice" '{who: orders, may: {publish: "orders.>"}}'
reload
expect 4 'a right that was taken away' as orders call service:stock get hello
IFS= read -r line <&8
printf '%s\n' "$line" >seen
holds seen 'who is not to be seen any more is gone for who watches' '"change":"offline","reason":"unknown","id":"stock-1@home"'
expect 0 'an event that may still be published' as orders publish orders.eu.created second
rules "$shop" "$audit" "$alice"
reload
IFS= read -r line <&8
printf '%s\n' "$line" >seen
holds seen 'who is to be seen again is there again' '"change":"online","reason":"","id":"stock-1@home"'
expect 0 'a right that was given back' as orders call service:stock get hello
expect 0 'an event on a topic, again' as orders publish orders.eu.created third
IFS= read -r line <&7
printf '%s\n' "$line" >heard
holds heard 'the subscription was silent in between, and is no more' '"body":"third"'

# Who may not be here any more goes, and is told why.
rules "$shop" "$alice"
sed -i '/stock-\*/d' c.yaml
reload
status=0
wait "$stock_pid" || status=$?
printf '%s\n' "$status" >status
is status 'an instance that may not be one any more ends' 4
until grep -q ended said.log; do posthouse ping --count 1 --account pinger >/dev/null 2>&1; done # it is written by a process of its own
holds said.log 'and is told why' "principal 'stock-1' may not be an instance of service 'stock'"
expect 6 'nobody is asked in its place' as alice call service:stock get

# All or nothing.
before=$(secured)
printf 'domain: home\nrules:\n  - {who: orders, may: {call: "service:"}}\n' >c.yaml
kill -HUP "$center_pid"
until grep -q '"event":"PA0007"' center.log; do posthouse ping --count 1 --account pinger >/dev/null 2>&1; done
json center.log 'rules with a mistake are not taken on, and it is told where it is' \
    'any(l["event"] == "PA0007" and l["line"] == 3 and "needs a name" in l["error"] for l in x)'
expect 6 'the rules before are in force' as alice call nobody get
stop_center
json center.log 'who was put out is in the log, with the reason' \
    'any("stock-1@home" == l.get("id") and "may not be an instance" in l.get("reason", "") for l in x)'
json center.log 'and whom it let in, and why not' \
    'any(l.get("account") == "mallory" and "service" in l for l in x)'

# ---- what docs/security.md shows is so

sed -n '/^```yaml$/,/^```$/p' "$root/docs/security.md" | sed -n '/^rules:/,/^```$/p' | sed '/^```/d' >posthouse.yaml
sed -n '/^\$ posthouse may /,/^```$/p' "$root/docs/security.md" | sed '/^```/d' >shown
grep '^\$' shown | cut -c3- | while IFS= read -r line; do
    printf '$ %s\n' "$line"
    eval "$line" 2>/dev/null || :
done >now
if [ -s shown ] && cmp -s shown now; then
    pass 'the answers in docs/security.md are those of posthouse may'
else
    diff shown now >differences
    fail 'the answers in docs/security.md are those of posthouse may' differences
fi

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Services, topics, gathers, inquiries and draining, as a person at a terminal meets them. [P-62] [P-64] [P-65] [P-69] [P-73]
. "$(dirname "$0")/tap"

start_center --domain home
start posthouse reply --account one --service shop --command 'echo one'
start posthouse reply --account two --service shop --command 'echo two' --weight 200
start posthouse reply --account fails --service sick --command 'echo "out of order" >&2; exit 1'

# ---- services

expect 0 'a service is an address' posthouse call service:shop say
if [ "$(cat out)" = one ] || [ "$(cat out)" = two ]; then pass 'one of its instances answers'; else fail 'one of its instances answers' out; fi
expect 6 'a service without an instance: 6' posthouse call service:nothing say
holds err 'with its reason' 'no_ready_instance'
expect 0 'an event to one instance' posthouse send service:shop notice --output json
json out 'is queued for one' 'x[0]["delivered"] == 1'
expect 0 'an event to all of them' posthouse send all:shop notice --output json
json out 'is queued for two' 'x[0]["delivered"] == 2'

# ---- gather

head -c 3000000 /dev/urandom >body
expect 0 'a gather' posthouse gather shop say
sort out >sorted
is sorted 'has a line for each, without the newline that a command ends with' \
    "$(printf 'INSTANCE  RESULT   BODY\none@home  replied  one\ntwo@home  replied  two')"
holds err 'and says how many' '2 of 2 replied'
expect 0 'a gather that wants one' posthouse gather shop say --want 1 --output json
json out 'has that one among its lines' '[p["result"] for p in x[0]].count("replied") >= 1'
expect 1 'a gather in which one fails: 1' posthouse gather sick say --output json
json out 'says who and why' 'x[0] == [{"id": "fails@home", "result": "responder_failed", "body": "out of order"}]'
expect 6 'a gather from nobody: 6' posthouse gather nothing say
expect 2 'a gather from what is no name: 2' posthouse gather 'No Name' say
expect 2 'a gather from an address: 2' posthouse gather service:shop say
holds err 'which is no name' "service 'service:shop' is no name"
expect 2 'a body that does not fit into a packet: 2' posthouse gather shop say @body
holds err 'with what fits' 'less than 64 KiB'
expect 2 'a call to every instance: 2' posthouse call all:shop say
holds err 'is a gather' 'posthouse gather shop say'

# ---- topics

start posthouse subscribe 'orders.*.created' 'orders.>' --output json --count 2
subscriber=$started
expect 0 'an event on a topic' posthouse publish orders.eu.created 'A-17' --method new --account shop-1 --output json
json out 'is queued for the one who subscribed' 'x == [{"delivered": 1, "dropped": 0, "reason": ""}]'
expect 0 'another' posthouse publish orders.eu 'x' --account shop-1
wait "$subscriber"
json started.out 'comes once to who subscribed twice' \
    'x == [{"topic": "orders.eu.created", "from": "shop-1@home", "method": "new", "body": "A-17"},
           {"topic": "orders.eu", "from": "shop-1@home", "method": "", "body": "x"}]'
expect 0 'a topic that nobody wants' posthouse publish stock.changed x
holds err 'and said so' 'nobody is there to get it'
expect 0 'an address is a topic like another' posthouse publish topic:orders x
holds err 'but surely not meant' "'topic:orders' is taken as the topic's whole name"
expect 2 'a pattern is no topic: 2' posthouse publish 'orders.*' x
expect 2 'a pattern that is none: 2' posthouse subscribe 'orders..x'
holds err 'with the rule' '* stands for one word'
start posthouse subscribe 'notes.>' --output json --count 1
posthouse send all: notice 'for everybody' --account shop-1
posthouse publish notes.one x --account shop-1
wait "$started"
json started.out 'what is sent to everybody is not published' \
    'x == [{"topic": "notes.one", "from": "shop-1@home", "method": "", "body": "x"}]'

# ---- large bodies

start posthouse reply --account echo --echo
posthouse call echo say @body >back 2>err
if cmp -s body back; then pass 'a body of 3 MB comes back as it went'; else fail 'a body of 3 MB comes back as it went' err; fi

# ---- drain

expect 0 'an account is drained' posthouse drain two --wait 20s --output json
json out 'when everybody knows and nothing is open' 'x[0]["is_done"] and x[0]["calls_open"] == 0 and x[0]["behind"] == []'
expect 0 'the list shows it' posthouse ls --service shop --output json
json out 'as draining' '{p["id"]: p["state"] for p in x[0]} == {"one@home": "ready", "two@home": "draining"}'
for i in 1 2 3 4; do
    posthouse call service:shop say >>answers
done
is answers 'and it gets no work' "$(printf 'one\none\none\none')"
expect 0 'draining can be taken back, by id' posthouse drain two@home --undo
expect 6 'of another domain: 6' posthouse drain two@elsewhere
holds err 'with the right one' "it is 'home'"
expect 0 'then the list' posthouse ls --service shop --output json
json out 'shows it ready' 'all(p["state"] == "ready" for p in x[0])'
mkfifo go begun
start posthouse reply --account busy --command 'echo begun >begun; cat go'
posthouse call busy say --timeout 30s >slow 2>&1 &
slow=$!
pids="$pids $slow"
timeout 30 head -n 1 begun >/dev/null # it works on the call now
expect 5 'one that works on: 5' posthouse drain busy --wait 300ms
holds err 'and what it works on' 'calls open: 1'
printf done >go
wait "$slow"
is slow 'its work is not lost' 'done'
expect 6 'nobody to drain: 6' posthouse drain nobody

# ---- a center that takes one subscription of each

stop_center
start_center --subscriptions-per-client-max 1
expect 1 'a subscription too many: 1' posthouse subscribe a.b 'c.>'
holds err 'with its pattern' "cannot subscribe to 'c.>': too_many_calls: the center takes no more patterns"

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse serve --workers: what is promised of one center holds for clients of different workers.
. "$(dirname "$0")/tap"

# Connections are dealt out in turn: of three in a row each is another worker's.
start_center --workers 3 --domain home
start posthouse reply --account echo --echo
expect 0 'a call from the second worker' posthouse call echo say 'hello'
is out 'its reply is whole' hello
expect 0 'a call from the third worker' posthouse call echo say 'again'
is out 'and whole again' again
expect 0 'a call from the worker of the responder' posthouse call echo say 'home'
is out 'and at home' home
head -c 3000000 /dev/zero | tr '\0' a >big
posthouse call echo say - <big >big.out 2>err
if cmp -s big big.out; then pass 'a body in fragments crosses workers whole'; else fail 'a body in fragments crosses workers whole' err; fi

# Whoever joins, and wherever: one list. The name of one worker's client is taken for all.
for n in 1 2 3; do
    expect 0 "the list of worker $n" posthouse ls --output json
    json out "the list of worker $n holds who is there" '[line["id"] for line in x[0]] == ["echo@home"]'
    expect 4 "a name in use is taken at worker $n" posthouse ping --account echo --count 1
done

# A responder that is killed is known everywhere at once.
echo_pid=$started
start posthouse reply --service work --account work1 --echo
kill -9 "$echo_pid"
wait "$echo_pid" 2>/dev/null
for n in 1 2 3; do # whoever joins a worker joins after what that worker saw before
    expect 0 "a client at worker $n after the kill" posthouse ping --count 1
done
for n in 1 2 3; do
    expect 6 "worker $n: nobody of that name" posthouse call echo say 'there?'
    holds err "worker $n says so" 'no_such_account'
    expect 0 "worker $n: the service answers" posthouse call service:work say 'yes'
done
kill "$started"
wait "$started"

# Signals are for all of them together.
kill -USR2 "$center_pid"
expect 0 'a center of three workers goes on after SIGUSR2' posthouse ls
stop_center
if [ "$status" = 0 ]; then pass 'SIGTERM ends three workers with 0'; else fail 'SIGTERM ends three workers with 0' "$work/center.log"; fi
json center.log 'each worker stopped' 'sorted(line["worker"] for line in x if line["msg"] == "stopped") == [0, 1, 2]'
json center.log 'each worker had clients' '{line["worker"] for line in x if line["msg"] == "client joined"} == {0, 1, 2}'
json center.log 'the counters are those of all together' \
    '[line["joins_total"] for line in x if line["msg"] == "counters"] == [sum(line["msg"] == "client joined" for line in x[:[line["msg"] for line in x].index("counters")])]'

# One worker is as it always was.
start_center
expect 0 'a center of one worker' posthouse ls
stop_center
json center.log 'events of the only worker do not name it' 'not any("worker" in line for line in x)'

# ---- what cannot be

expect 2 'no workers' posthouse serve --workers 0
holds err 'how many there may be' '1'
expect 2 'too many workers' posthouse serve --workers 65

# ---- the log's level reaches all of them

cat >c.yaml <<EOF
workers: 3
log: {level: warn, format: json}
listen: ['127.0.0.1:0']
EOF
rm -f port
mkfifo port
posthouse serve --config c.yaml --port-file port 2>log &
pid=$!
pids="$pids $pid"
IFS= read -r address <port
posthouse ls --center "$address" >/dev/null 2>&1
printf 'workers: 3\nlog: {level: info}\nlisten: [127.0.0.1:0]\n' >c.yaml
kill -HUP "$pid"
for n in 1 2 3 4 5 6; do # what the first three find is between
    posthouse ping --center "$address" --count 1 >/dev/null
done
kill "$pid"
wait "$pid"
json log 'the reloaded level is in force at each worker' \
    '{line["worker"] for line in x if line["msg"] == "client joined"} == {0, 1, 2}'

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# call, send, reply, ping and bench against a running center: what they print and how they end.
. "$(dirname "$0")/tap"

start_center --domain home
start posthouse reply --account echo --echo
printf '%s\n' "$first_line" >first
holds first 'reply says who it is' 'answering as echo@home'

# ---- call

expect 0 'a call is answered' posthouse call echo say 'hello there'
is out 'the reply is the body and nothing else' 'hello there'
expect 0 'a full id is an address' posthouse call echo@home say x
expect 0 'no body is an empty body' posthouse call echo say
is out 'and so is its reply' ''
head -c 60000 /dev/urandom >body
expect 0 'a file is a body' posthouse call echo say @body
if cmp -s "$work/out" body; then pass 'any bytes come back as they went'; else fail 'any bytes come back as they went'; fi
posthouse call echo say - <body >out 2>err
if cmp -s out body; then pass 'standard input is a body'; else fail 'standard input is a body' err; fi
expect 0 'JSON for programs' posthouse call echo say 'a "quoted" word' --output json
json out 'is valid and complete' \
    'x[0]["from"] == "echo@home" and x[0]["body"] == "a \"quoted\" word" and x[0]["took_us"] > 0'
expect 0 'bytes that are no text' posthouse call echo say @body --output json
json out 'are valid JSON all the same' 'len(x) == 1'
expect 0 'options may stand before the command' posthouse --timeout 2s call echo say x
expect 0 'and their values behind =' posthouse call --timeout=2s echo say x

expect 6 'nobody of that name: 6' posthouse call nobody say x
holds err 'with the name of the failure' 'no_such_account'
holds err 'and advice' 'posthouse ls shows who is online'
is out 'and nothing on standard output' ''
expect 6 'another domain: 6' posthouse call echo@elsewhere say x
expect 2 'an address of no known form: 2' posthouse call queue:jobs say x
for command in call send ping; do
    [ "$command" = ping ] && set -- || set -- say
    expect 2 "$command: an address that is none: 2" posthouse "$command" 'Bad Name' "$@" --center "unix:$work/nobody.sock"
    holds err "$command: found before connecting" "'Bad Name' is no address"
    holds err "$command: with the rule" '1 to 64 of a-z 0-9 . _ -'
done
expect 2 'an empty address: 2' posthouse call '' say
expect 1 'a call to everybody: 1' posthouse call all: say x
holds err 'is not supported' 'unsupported'
expect 2 'a file that is not there: 2' posthouse call echo say @nowhere
expect 2 'a body too large: 2' posthouse call echo say @/dev/zero
expect 3 'no center: 3' posthouse call echo say x --center "unix:$work/nobody.sock"
expect 4 'an account that is taken: 4' posthouse call echo say x --account echo
holds err 'and said so' 'already online'
expect 2 'an account that is no name: 2' posthouse call echo say x --account 'Not A Name'
holds err 'and said so' "'Not A Name' is no name"
expect 2 'a center that is no address: 2' posthouse call echo say x --center 'no where'
holds err 'and said so' "address 'no where': a host has letters"

# ---- usage

expect 2 'an unknown command: 2' posthouse cal echo
holds err 'with a suggestion' "unknown command 'cal'; did you mean 'call'?"
expect 2 'an unknown option: 2' posthouse call echo say x --timout 1s
holds err 'with a suggestion' "unknown option '--timout'; did you mean '--timeout'?"
expect 2 'missing arguments: 2' posthouse call echo
expect 2 'too many arguments: 2' posthouse call echo say x y
expect 2 'an option without its argument: 2' posthouse call echo say --timeout
expect 2 'a time without a unit: 2' posthouse call echo say x --timeout 5
expect 2 'an option that means nothing: 2' posthouse version --center 127.0.0.1:1
expect 2 'no command: 2' posthouse
for command in serve ls watch call send reply ping bench check-config version; do
    expect 0 "$command --help explains" posthouse "$command" --help
    holds out "$command --help has examples" Examples
done
expect 0 'help of a command' posthouse help call
expect 2 'help of an option: 2' posthouse help -o json
holds err 'says what it takes' 'help takes the name of a command'
expect 0 'help of the program' posthouse --help
holds out 'lists the exit statuses' '6 nobody of that name'
expect 0 'version' posthouse version --output json
json out 'version is valid JSON' 'x[0]["protocol"] == 1 and x[0]["posthouse"]'

# A reader that has enough must not be an error; a full disk must be one.
(posthouse version; echo $? >status) | :
is status 'a reader that went away is no failure' 0
posthouse version >/dev/full 2>err
printf '%s\n' $? >status
is status 'a full disk is a failure' 1
holds err 'and said so' 'cannot write to standard output'

# ---- reply --command

start posthouse reply --account shouter --command 'tr a-z A-Z'
expect 0 'a command answers' posthouse call shouter say 'hello'
is out 'with what it prints' HELLO
expect 0 'a command that reads nothing does no harm' posthouse call shouter say @body
start posthouse reply --account who --command 'printf "%s %s" "$PH_METHOD" "$PH_FROM"'
expect 0 'a command knows method and caller' posthouse call who 'a method; with * all' x --account caller
is out 'as they were sent' 'a method; with * all caller@home'
start posthouse reply --account broken --command 'echo one >&2; echo the reason >&2; exit 3'
expect 1 'a command that fails is a failure' posthouse call broken say x
holds err 'responder_failed' 'responder_failed'
holds err 'with its last line' 'the reason'
start posthouse reply --account hostile --command 'printf "\033[2Jgone" >&2; exit 1'
expect 1 'what a peer says' posthouse call hostile say x
holds err 'reaches a terminal harmless' '\x1b[2Jgone'
start posthouse reply --account silent --command 'exit 7'
expect 1 'one that fails silently too' posthouse call silent say x
holds err 'with its status' 'status 7'
start posthouse reply --account loud --command 'head -c 17000000 /dev/zero'
expect 1 'one that prints more than a reply holds too' posthouse call loud say x
holds err 'and it is said' 'printed more than 16777216 bytes'

# When the caller gives up, the command is killed, and what it started.
mkfifo never
start posthouse reply --account slow --jobs 1 --command "echo \$\$ >'$work/slow.pid'; cat '$work/never'; true"
expect 5 'no reply in time: 5' posthouse call slow say x --timeout 300ms
holds err 'with the advice' 'may or may not have been done'
slow=$(cat slow.pid)
if timeout 10 tail -s 0.01 --pid="$slow" -f /dev/null; then
    pass 'the command of a caller that gave up is killed'
else
    fail 'the command of a caller that gave up is killed'
fi
# With all places taken the answer is a failure, at once.
rm -f slow.pid && mkfifo slow.pid
posthouse call slow say x --timeout 5s >/dev/null 2>&1 &
caller=$!
IFS= read -r ignored <slow.pid
expect 1 'more than --jobs commands: a failure at once' posthouse call slow say x
holds err 'that says so' 'all 1 commands are running'
kill -KILL "$started" # the responder dies in the middle of a call
status=0
wait "$caller" || status=$?
printf '%s\n' "$status" >status
is status 'a call whose responder died ends at once, with 1' 1
: >never # its command outlived it and ends now
expect 2 'reply wants a way to answer' posthouse reply --account x
expect 2 'and only one' posthouse reply --echo --command cat
holds err 'and said so' 'exclude each other'
expect 2 'a service that is no name: 2' posthouse reply --echo --service 'No Name'
holds err 'and not blamed on the center' "--service 'No Name' is no name"

# ---- send, ping, bench

expect 0 'an event to one' posthouse send echo notice hello --output json
json out 'is queued for one' 'x == [{"delivered": 1, "dropped": 0, "reason": ""}]'
expect 0 'an event to all' posthouse send all: notice hello
expect 6 'an event to nobody: 6' posthouse send nobody notice hello
holds err 'with the reason' 'no_such_account'
expect 2 'an event too large: 2' posthouse send echo notice @/dev/zero
kill -USR2 "$center_pid"

# A receiver that can be watched. A call comes behind the events that were sent before it, so its end
# tells that they were printed.
printf 'two\nlines \033[2J' >lines
start posthouse reply --account listener --events
printf '%s\n' "$first_line" >first
holds first 'reply --events says who it is' 'listening as listener@home'
posthouse send listener notice 'hello there' --account sender
posthouse send all: notice - --account sender <lines
expect 1 'with --events alone a request is answered' posthouse call listener say x
holds err 'with no_handler' 'no_handler'
is started.out 'each event is one line, harmless on a terminal' \
    "$(printf '%-24s  %-16s  %s\n' sender@home notice 'hello there' sender@home notice 'two\x0alines \x1b[2J')"
start posthouse reply --account listener2 --events --echo --output json
posthouse send listener2 notice - --account sender <lines
expect 0 'with --echo requests are answered beside it' posthouse call listener2 say x
json started.out 'events for programs' \
    'x == [{"from": "sender@home", "method": "notice", "body": "two\nlines \x1b[2J"}]'
start sh -c 'posthouse reply --account listener3 --events >/dev/full; echo $? >status'
posthouse send listener3 notice hello
wait "$started"
is status 'who cannot print events any more ends' 1

expect 0 'ping of the center' posthouse ping --count 5 --output json
json out 'has its figures' 'x[0]["count"] == 5 and 0 < x[0]["min_us"] <= x[0]["p50_us"] <= x[0]["max_us"]'
json center.log 'the events went to one, then to all but the sender' \
    '[line for line in x if line["msg"] == "counters"][-1]["events_delivered_total"] >= 5'
json center.log 'and the one to nobody was dropped and counted' \
    '[line for line in x if line["msg"] == "counters"][-1]["events_dropped_total"] == 1'
expect 0 'ping of a client' posthouse ping echo --count 3
holds out 'for people' 'echo: 3 round trips'
expect 6 'ping of nobody: 6' posthouse ping nobody
expect 0 'bench' posthouse bench rr --to echo --count 500 --in-flight 16 --output json
json out 'counts every call' 'x[0]["replies"] == 500 and x[0]["failures"] == 0 and x[0]["p50_us"] <= x[0]["p99_us"]'
printf 'one\ntwo\nthree\n' >lines
expect 0 'bench with bodies of a file' posthouse bench rr --to echo --bodies lines --output json
json out 'makes a call for each' 'x[0]["replies"] == 3'
expect 1 'bench of nobody fails' posthouse bench rr --to nobody --count 10 --until-failure --output json
json out 'and stops at the first failure' 'x[0]["failed"] == [dict(x[0]["failed"][0], reason="no_such_account", count=1)]'
expect 2 'bench wants to know whom' posthouse bench rr

# When the center dies, nobody waits any more for what the commands print: they are killed, or the
# responder would come back with all its places taken.
rm -f slow.pid never && mkfifo slow.pid never
start posthouse reply --account stuck --jobs 1 --command "echo \$\$ >'$work/slow.pid'; cat '$work/never'; true"
posthouse call stuck say x --timeout 60s >/dev/null 2>&1 &
caller=$!
IFS= read -r slow <slow.pid
kill -KILL "$center_pid"
if timeout 10 tail -s 0.01 --pid="$slow" -f /dev/null; then
    pass 'the command of a call that died with the center is killed'
else
    fail 'the command of a call that died with the center is killed'
fi
wait "$caller" || true
kill "$started"

finish

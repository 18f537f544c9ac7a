#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ls and watch: who is there, who came and went, and why. [P-41] [P-47]
. "$(dirname "$0")/tap"

start_center --domain home
start posthouse reply --account one --service echo --echo
start posthouse reply --account two --service echo --echo
two=$started
start posthouse reply --account three --echo

expect 0 'ls' posthouse ls
holds out 'has a head' 'ID          SERVICE'
holds out 'has a line for each' 'one@home    echo'
if [ "$(grep -c '' out)" = 4 ]; then pass 'ls leaves itself out'; else fail 'ls leaves itself out' out; fi
expect 0 'ls for programs' posthouse ls --output json
json out 'is one array, sorted by id' '[p["id"] for p in x[0]] == ["one@home", "three@home", "two@home"]'
json out 'with every field' \
    'all({"id", "service", "type", "state", "software", "session", "revision", "round_trip_us", "metadata"} <= set(p) for p in x[0])'
expect 0 'ls of a service' posthouse ls --service echo --output json
json out 'has only its instances' '[p["id"] for p in x[0]] == ["one@home", "two@home"]'
expect 0 'ls of a type that nobody is' posthouse ls --type gateway --output json
is out 'is empty' '[]'
expect 0 'a type in any case' posthouse ls --type GateWay --output JSON
is out 'is the same type' '[]'
expect 0 'nobody passes the filter' posthouse ls --service nothing
holds err 'is said' 'nobody else whom you may see is online and passes the filter'
expect 0 'quiet says nothing' posthouse ls --service nothing --quiet
is err 'on standard error' ''
expect 2 'a service that is no name: 2' posthouse ls --service 'No Name'
holds err 'and said so' "--service 'No Name' is no name"

# ---- watch

mkfifo said-by-watch
posthouse watch --output json --count 4 >changes 2>said-by-watch &
watch=$!
pids="$pids $watch"
exec 8<said-by-watch
IFS= read -r line <&8
printf '%s\n' "$line" >first
holds first 'watch says how many are online' '3 online at revision'
start posthouse reply --account four --echo
kill "$started" # leaves with a bye
wait "$started"
kill -KILL "$two"
posthouse call one say x --account caller >/dev/null
status=0
wait "$watch" || status=$?
exec 8<&-
printf '%s\n' "$status" >status
is status 'watch ends after --count changes' 0
json changes 'first those who were there, then the changes' \
    '[(c["change"], c["id"].split("@")[0]) for c in x if not c["is_change"]] == [("online", n) for n in ("one", "two", "three")] and sum(c["is_change"] for c in x) == 4'
json changes 'who said bye left' '("offline", "four@home", "left") in [(c["change"], c["id"], c["reason"]) for c in x]'
json changes 'who was killed lost its connection' \
    '("offline", "two@home", "connection_lost") in [(c["change"], c["id"], c["reason"]) for c in x]'
json changes 'revisions only grow' '[c["revision"] for c in x] == sorted(c["revision"] for c in x)'
json changes 'times only grow' '[c["unix_us"] for c in x] == sorted(c["unix_us"] for c in x)'

expect 0 'watch ends after --for' posthouse watch --for 20ms
holds out 'and is readable' 'is online  one@home'
expect 0 'watch can leave out who is there' posthouse watch --for 20ms --changes
is out 'then it is silent' ''
mkfifo lines
posthouse watch >lines 2>/dev/null &
watch=$!
pids="$pids $watch"
head -n 1 lines >first # and closes it
start posthouse reply --account five --echo # a change: watch notices that nobody reads
status=0
wait "$watch" || status=$?
printf '%s\n' "$status" >status
is status 'watch ends when nobody reads any more' 0
posthouse watch >/dev/null 2>said-by-watch &
watch=$!
IFS= read -r line <said-by-watch
kill -INT "$watch"
status=0
wait "$watch" || status=$?
printf '%s\n' "$status" >status
is status 'watch ends with 0 on a signal' 0

# ---- a center that goes away and comes back

# ---- drain, and a service that is lost [P-49] [P-69]

expect 0 'drain' posthouse drain one --wait 5s
holds err 'says that everybody knows' 'one is drained: everybody knows it'
expect 0 'ls after it' posthouse ls --output json
json out 'shows it as draining' '[p["state"] for p in x[0] if p["id"] == "one@home"] == ["draining"]'
expect 0 'drain taken back' posthouse drain one --undo
expect 0 'ls after that' posthouse ls --output json
json out 'shows it as ready' '[p["state"] for p in x[0] if p["id"] == "one@home"] == ["ready"]'
mass=
for n in 1 2 3 4 5; do
    start posthouse reply --account "mass$n" --service mass --echo
    mass="$mass $started"
done
kill -KILL $mass
wait $mass || :
expect 0 'ls when a service is lost at once' posthouse ls --service mass --output json
json out 'shows those as suspect that are not believed to be gone' '[p["state"] for p in x[0]] == ["suspect"] * 3'
expect 0 'ls for people' posthouse ls --service mass
holds err 'says what that means' '3 suspect: silent, or lost together with most of their service'

mkfifo said-by-watch2
posthouse watch --output json --count 100 >changes 2>said-by-watch2 &
watch=$!
pids="$pids $watch"
exec 8<said-by-watch2
IFS= read -r line <&8
stop_center
IFS= read -r line <&8
printf '%s\n' "$line" >first
holds first 'watch says that the center is gone' 'the center is stopping'
kill "$watch"
exec 8<&-

# A watcher without an account has another id after each reconnect; of its old one it says nothing.
here="unix:$work/center"
restart_center() {
    rm -f port
    mkfifo port
    posthouse serve --listen "$here" --port-file port 2>/dev/null &
    center_pid=$!
    pids="$pids $center_pid"
    IFS= read -r line <port
}
restart_center
mkfifo said-by-watch3
posthouse watch --center "$here" --count 1 >changes 2>said-by-watch3 &
watch=$!
pids="$pids $watch"
exec 8<said-by-watch3
IFS= read -r line <&8
kill -KILL "$center_pid"
restart_center
while IFS= read -r line <&8; do
    case $line in 'connected again as '*) break ;; esac
done
start posthouse reply --center "$here" --account six --echo
status=0
wait "$watch" || status=$?
exec 8<&-
printf '%s\n' "$status" >status
is status 'watch goes on at a new center' 0
holds changes 'and its first news is of others' 'online     six@local'

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse serve: listening, signals, logs, and what it refuses.
. "$(dirname "$0")/tap"

# ---- listening

start_center --domain home
expect 0 'a center that just started lists nobody' posthouse ls --output json
is out 'an empty list is an empty JSON array' '[]'
expect 1 'a port in use is an error' posthouse serve --listen "$POSTHOUSE_CENTER"
holds err 'a port in use is named' "$POSTHOUSE_CENTER"
holds err 'a port in use has advice' 'is another center running?'

# SIGUSR2 must tell the counters without touching anything else.
kill -USR2 "$center_pid"
expect 0 'a center goes on after SIGUSR2' posthouse ls
stop_center
if [ "$status" = 0 ]; then pass 'SIGTERM ends with 0'; else fail 'SIGTERM ends with 0' "$work/center.log"; fi
json center.log 'every line of the log is JSON with time, level, event and message' \
    'len(x) > 3 and all(k in line for line in x for k in ("ts", "level", "event", "msg"))'
json center.log 'times of the log are RFC 3339 in UTC with nanoseconds' \
    'all(len(line["ts"]) == 30 and line["ts"].endswith("Z") for line in x)'
json center.log 'SIGUSR2 logs the counters as one event' \
    'sum(line["msg"] == "counters" and line["joins_total"] >= 1 for line in x) == 1'
json center.log 'the log says which signal asked to stop' 'any(line.get("signal") == "TERM" for line in x)'
expect 3 'nobody answers when the center has stopped' posthouse ls
holds err 'the address that did not answer is named' "$POSTHOUSE_CENTER"
holds err 'no center has advice' 'posthouse serve starts one'

# As many addresses as a configuration may name can be listened on.
set --
while [ $# -lt 30 ]; do # and the one of start_center
    set -- "$@" --listen 127.0.0.1:0
done
start_center "$@"
expect 0 'a center of 16 addresses' posthouse ls
json center.log 'listens on each' 'sum(line["msg"] == "listening" for line in x) == 16'
stop_center

# Clients must be told, not cut off.
start_center
start posthouse reply --account echo --echo
stop_center
[ "$status" = 0 ] && pass 'SIGTERM with clients ends with 0'
json center.log 'a client of a stopping center left because of it' \
    'any(line.get("why") == "center_stopping" for line in x)'
kill "$started"
wait "$started"

# ---- several addresses, Unix sockets, descriptors

rm -f port
mkfifo port
posthouse serve --listen 127.0.0.1:0 --listen "unix:$work/center.sock" --port-file port --log-level error 2>err &
pid=$!
pids="$pids $pid"
{ IFS= read -r first && IFS= read -r second; } <port
expect 0 'the first of two addresses answers' posthouse ls --center "$first"
expect 0 'the Unix socket answers' posthouse ls --center "unix:$work/center.sock"
printf '%s\n' "$second" >second
is second 'the port file has a line for each address' "unix:$work/center.sock"
kill "$pid"
wait "$pid"
if [ -e center.sock ]; then fail 'the Unix socket is gone with the center'; else pass 'the Unix socket is gone with the center'; fi

mkfifo ready
posthouse serve --listen 127.0.0.1:0 --ready-fd 3 3>ready --log-level error &
pid=$!
pids="$pids $pid"
IFS= read -r address <ready
expect 0 '--ready-fd tells where it listens' posthouse ls --center "$address"
kill "$pid"
wait "$pid"

expect 2 'an address others can reach is refused' posthouse serve --listen 0.0.0.0:0
holds err 'the refusal names the setting' insecure_allow_remote
rm -f port
mkfifo port
posthouse serve --listen 0.0.0.0:0 --insecure-allow-remote --port-file port --log-level error &
pid=$!
pids="$pids $pid"
IFS= read -r address <port
expect 0 'insecure_allow_remote allows it' posthouse ls --center "127.0.0.1:${address##*:}"
kill "$pid"
wait "$pid"

expect 2 'an address that does not parse is refused' posthouse serve --listen nonsense
expect 1 'a port file that cannot be written ends it' posthouse serve --listen 127.0.0.1:0 --port-file /nowhere/port

# ---- suites [P-20] [P-22]

for suite in check paper; do
    start_center --suite "$suite"
    start posthouse reply --account echo --echo --suite-floor "$suite"
    expect 0 "a call passes in suite $suite" posthouse call echo say 'hello' --suite-floor "$suite"
    is out "its reply is whole in suite $suite" hello
    kill "$started"
    stop_center
done
start_center
expect 4 'a suite below the floor is refused' posthouse ls --suite-floor check
holds err 'the refusal says so' 'weaker'
stop_center

# ---- logs and reload

cat >c.yaml <<EOF
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
printf 'log: {level: info}\nheartbeat_idle: 7s\n' >c.yaml
kill -HUP "$pid"
kill -HUP "$pid" # merged or not, it is read
posthouse ping --center "$address" --count 1 >/dev/null # it has handled what came before
printf 'log: {level: loud}\n' >c.yaml
kill -HUP "$pid"
posthouse ls --center "$address" >/dev/null 2>&1
kill "$pid"
wait "$pid"
json log 'below its level nothing was logged' 'x[0]["msg"] != "ready" and x[0]["msg"] != "listening"'
json log 'SIGHUP reads the configuration again' 'any(line["msg"] == "configuration reloaded" for line in x)'
json log 'what needs a restart is named' 'any(line.get("key") == "heartbeat_idle" for line in x)'
json log 'a broken file changes nothing and says where it is broken' \
    'any(line.get("line") == 1 and line.get("column") == 14 and "loud" in line.get("error", "") for line in x)'
json log 'the reloaded level is in force' 'any(line["msg"] == "client joined" for line in x)'

# Who sends SIGHUP cannot know that the center has been told to stop.
rm -f port
mkfifo port
posthouse serve --listen 127.0.0.1:0 --port-file port 2>log &
pid=$!
pids="$pids $pid"
IFS= read -r address <port
kill "$pid"
while kill -HUP "$pid" 2>/dev/null; do :; done
if wait "$pid"; then pass 'SIGHUP while it stops ends nothing'; else fail 'SIGHUP while it stops ends nothing' log; fi

rm -f port
mkfifo port
posthouse serve --listen 127.0.0.1:0 --log-format text --port-file port 2>log &
pid=$!
pids="$pids $pid"
IFS= read -r address <port
kill "$pid"
wait "$pid"
holds log 'the readable format has no JSON and no colours in a file' 'info  ready'
if grep -q "$(printf '\033')" log; then fail 'no colours in a file' log; else pass 'no colours in a file'; fi

# Fewer descriptors than connections_max needs are worth a warning to who set it, and to nobody else.
# Root may raise its limit, unless it gives that right away.
cat >few <<'END'
#!/bin/sh
[ "$(id -u)" != 0 ] || set -- setpriv --bounding-set -sys_resource "$@"
ulimit -n 200 && exec "$@"
END
chmod +x few
serve_with_few() { # option...
    rm -f port
    mkfifo port
    ./few posthouse serve --listen 127.0.0.1:0 --port-file port --log-format json "$@" 2>log &
    pid=$!
    pids="$pids $pid"
    IFS= read -r address <port
    kill "$pid"
    wait "$pid"
}
few='line["descriptors"] for line in x if line["event"]'
serve_with_few
json log 'few descriptors and the default of connections_max: no warning' \
    "[$few == 'PA0009' and line['level'] == 'info'] == [200] and not [$few == 'PA0005']"
serve_with_few --connections-max 500
json log 'few descriptors and a connections_max of somebody: a warning' \
    "[$few == 'PA0005' and line['level'] == 'warn'] == [200] and not [$few == 'PA0009']"
serve_with_few --connections-max 100
json log 'enough descriptors: neither' "not [$few in ('PA0005', 'PA0009')]"
start_center
expect 1 'with few descriptors a port in use' ./few posthouse serve --listen "$POSTHOUSE_CENTER" --connections-max 500
holds err 'is told' 'is another center running?'
if grep -q descriptors err; then fail 'and nothing else' err; else pass 'and nothing else'; fi
stop_center

# A second signal must not wait for anybody.
start_center
kill -STOP "$center_pid"
kill -TERM "$center_pid"
kill -INT "$center_pid"
kill -CONT "$center_pid"
status=0
wait "$center_pid" || status=$?
case $status in 0 | 1) pass 'two signals at once end it' ;; *) fail 'two signals at once end it' center.log ;; esac

finish

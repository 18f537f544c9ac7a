#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse status, as an operator at a terminal meets it. [P-69] [P-80]
. "$(dirname "$0")/tap"

start_center --workers 3 --domain home
start posthouse reply --account one --service shop --echo
start posthouse reply --account two --service shop --echo
posthouse call service:shop say x >/dev/null

expect 0 'the status of a center' posthouse status
holds out 'says what it is' 'center of home: posthouse 0.1.0, up for'
holds out 'and how many workers it has' '3 workers'
if grep -q '^now  *services  *1$' out; then pass 'what is there now'; else fail 'what is there now' out; fi
if grep -Eq '^memory +together +[0-9.]+ (KiB|MiB)$' out; then pass 'what its memory is taken by'; else fail 'what its memory is taken by' out; fi
if grep -q '^since start  *joins_total  *[4-9]$' out; then pass 'what has happened'; else fail 'what has happened' out; fi
if [ "$(awk '{ print length }' out | sort -u | wc -l)" -le 3 ]; then pass 'numbers line up'; else fail 'numbers line up' out; fi
if grep -q streams_done_total out; then fail 'what is 0 is left out' out; else pass 'what is 0 is left out'; fi
expect 0 'all of it' posthouse status --all
holds out 'has what is 0, too' 'streams_done_total'
expect 0 'explained' posthouse status --explain
holds out 'each line says what it is' 'Accounts on the online list.'
expect 0 'for programs' posthouse status --output json
json out 'is one object' 'x[0]["domain"] == "home" and x[0]["workers"] == x[0]["workers_counted"] == 3 and x[0]["uptime_ms"] > 0'
json out 'of the whole center, whoever asks' '(x[0]["gauges"]["sessions"], x[0]["gauges"]["listed"], x[0]["gauges"]["services"]) == (3, 3, 1)'
json out 'with its counters, of the calls of this command, too' 'x[0]["counters"]["calls_replied_total"] == 4'
json out 'and memory by kind' 'all(x[0]["gauges"][k + "_memory"] > 0 for k in ("session", "call", "registry", "presence"))'

# The same that it logs when it is asked by a signal: by name, and all of them.
kill -USR2 "$center_pid"
posthouse ping --count 1 >/dev/null
cp out status.json
stop_center
grep '"msg":"counters"' center.log >counters
python3 - >missing 2>&1 <<'EOF'
import json
told = json.load(open("status.json"))
logged = json.load(open("counters"))
names = {**told["gauges"], **told["counters"]}
print(sorted(n for n in logged if n.endswith(("_total", "_memory")) and n not in names))
EOF
is missing 'but for those of the program around it' \
    "['key_fetches_failed_total', 'key_fetches_total', 'log_lines_lost_total', 'security_reloads_failed_total', 'security_reloads_total']"
expect 3 'no center: 3' posthouse status

# ---- who may

cat >c.yaml <<EOF
domain: home
rules:
  - {who: oper, may: {status: home}}
  - {who: "*", may: {call: "*", see: "*", drain: "*"}}
EOF
start_center --config c.yaml
expect 0 'a rule allows it' posthouse status --account oper
expect 4 'without one: 4' posthouse status --account orders
holds err 'with the reason' 'refused_by_policy'
holds err 'and how to find out' 'posthouse may'
expect 0 'posthouse may agrees' posthouse may oper status home --config c.yaml
expect 4 'with both' posthouse may orders status home --config c.yaml
holds out 'in its words' 'no rule says that orders may ask the status of home'
expect 2 'a target that is no domain: 2' posthouse may oper status service:x --config c.yaml

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The configuration: every mistake has its place and its advice; every value says where it comes from.
. "$(dirname "$0")/tap"

# Status 2, and the text on standard error.
refuses() { # description yaml expected-text
    printf '%b' "$2" >c.yaml
    expect 2 "$1: refused" posthouse check-config c.yaml
    holds err "$1: says what and where" "$3"
}

refuses 'unknown key' 'domain: a\nlisen: x\n' "c.yaml:2:1: unknown key 'lisen'; did you mean 'listen'?"
refuses 'unknown key in a section' 'log: {levle: info}\n' "c.yaml:1:7: unknown key 'log.levle'; did you mean 'log.level'?"
refuses 'key without its section' 'level: info\n' "did you mean 'log.level'?"
refuses 'dotted key' 'log.level: info\n' "c.yaml:1:1: unknown key 'log.level'; write log: {level: ...}"
refuses 'wrong type: word for a number' 'calls_max: many\n' "c.yaml:1:12: calls_max: 'many' is not a whole number"
refuses 'wrong type: list for a value' 'domain: [a, b]\n' 'c.yaml:1:9: domain: expected one value, found a list'
refuses 'wrong type: value for a section' 'log: info\n' 'c.yaml:1:6: log: expected keys and values, found a single value'
refuses 'wrong type: keys for an address' 'listen: [{a: b}]\n' 'c.yaml:1:10: listen: expected an address, found keys and values'
refuses 'out of range' 'calls_max: 0\n' 'calls_max: 0 is out of range: 1 to 16777216'
refuses 'far out of range' 'calls_max: 99999999999999999999999\n' 'is out of range'
refuses 'polling without an end' 'busy_poll: 1001\n' 'busy_poll: 1001 is out of range: 0 to 1000'
refuses 'time without a unit' 'join_timeout: 10\n' "join_timeout: '10' is not a time such as 500ms, 10s, 5m or 1h"
refuses 'time of a strange unit' 'join_timeout: 10sec\n' 'is not a time'
refuses 'size of a strange unit' 'packet_max: 64KB\n' "packet_max: '64KB' is not a size such as 65536, 64KiB or 1MiB"
refuses 'negative number' 'calls_max: -1\n' 'is not a whole number'
refuses 'choice' 'suite: chek\n' "suite: 'chek' is none of plain|check|paper; did you mean 'check'?"
refuses 'neither true nor false' 'insecure_allow_remote: maybe\n' "'maybe' is neither true nor false"
refuses 'name with a capital' 'domain: Home\n' "domain: 'Home' is no name"
refuses 'duplicate key' 'domain: a\nsuite: plain\ndomain: b\n' 'c.yaml:3:1: domain: stands there twice; first in line 1'
refuses 'duplicate key in two sections' 'log: {level: info}\nlog: {level: warn}\n' 'stands there twice'
refuses 'alias' 'domain: &a home\nsuite: *a\n' 'anchors, aliases and tags are not accepted'
refuses 'tag' 'domain: !!str home\n' 'anchors, aliases and tags are not accepted'
refuses 'broken YAML' 'domain: "home\n' 'not valid YAML'
refuses 'tab' '\tdomain: home\n' 'c.yaml:1:1: not valid YAML'
refuses 'not UTF-8' 'domain: \0377\n' 'not valid YAML'
refuses 'a list of documents' 'domain: a\n---\ndomain: b\n' 'a second document'
refuses 'no keys' '[1, 2]\n' 'expected keys and values'
refuses 'remote address' 'listen: [0.0.0.0:7678]\n' 'c.yaml:1:1: listen: other machines could connect to 0.0.0.0:7678'
refuses 'address twice' 'listen: [127.0.0.1:1, 127.0.0.1:1]\n' "'127.0.0.1:1' stands there twice"
refuses 'no address' 'listen: []\n' 'at least one address'
refuses 'address that does not parse' 'listen: [here]\n' 'c.yaml:1:10: listen:'
refuses 'default above its limit' 'call_time_max: 10s\ncall_time_default: 20s\n' \
    'c.yaml:2:1: call_time_default: 20s is more than call_time_max, 10s (c.yaml:1)'
# What rules may be: config_rules_test.c and rules_test.c. Here, that their places are told, too.
refuses 'rule for nobody' 'rules:\n  - may: {call: "*"}\n' 'c.yaml:2:5: rules: this one does not say whom it is for'
printf 'call_time_max: 10s\n' >c.yaml
POSTHOUSE_CALL_TIME_DEFAULT=20s expect 2 'also when one is from elsewhere' posthouse serve --config c.yaml
holds err 'and said where from' 'POSTHOUSE_CALL_TIME_DEFAULT: 20s is more than call_time_max, 10s (c.yaml:1)'
expect 0 'a default yields to a limit that was set' posthouse check-config c.yaml --output json
json out 'and shows it' \
    '[(v["value"], v["line"]) for v in x[0]["keys"] if v["key"] == "call_time_default"] == [(10000, 1)]'

# All mistakes of a file in one run, and no more than ten.
refuses 'several mistakes' 'a: 1\nsuite: x\ncalls_max: 0\n' 'c.yaml:3:12'
holds err 'several mistakes: the first is told too' 'c.yaml:1:1'
i=0
while [ "$i" -lt 30 ]; do
    i=$((i + 1))
    printf 'nonsense%d: 1\n' "$i"
done >many.yaml
expect 2 'thirty mistakes are refused' posthouse check-config many.yaml
holds err 'thirty mistakes: ten are told, and that there are 20 more' 'and 20 more'

# What a file claims must not cost more than what it is.
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "["; }' >deep.yaml
expect 2 'twenty thousand levels are refused' posthouse check-config deep.yaml
awk 'BEGIN { for (i = 0; i < 20000; i++) print "# 0123456789012345678901234567890" }' >long.yaml
expect 2 'a file that is too large is refused' posthouse check-config long.yaml
holds err 'and said so' 'longer than'
expect 2 'a file that never ends is refused' posthouse check-config /dev/zero
expect 2 'a file that does not exist is refused' posthouse check-config nowhere.yaml
holds err 'and named' 'nowhere.yaml'
expect 2 'a folder is refused' posthouse check-config .
: >empty.yaml
expect 0 'an empty file is all defaults' posthouse check-config empty.yaml
printf 'busy_poll: 0\n' >c.yaml
expect 0 'no polling' posthouse check-config c.yaml --output json
json out 'is not the default' '[v["value"] for v in x[0]["keys"] if v["key"] == "busy_poll"] == [0]'
expect 0 'for people' posthouse check-config c.yaml --suite check
sed -n '2,4s/  */ /gp' out >first
is first 'what was set stands first, with where, then the defaults' "$(printf 'suite check --suite\nbusy_poll 0 c.yaml:1\nlisten 127.0.0.1:7678 default')"
expect 0 'all defaults' posthouse check-config empty.yaml --output json
json out 'poll as the client library does' '[v["value"] for v in x[0]["keys"] if v["key"] == "busy_poll"] == [50]'
expect 2 'serve refuses what check-config refuses' posthouse serve --config many.yaml

# ---- precedence: flag, environment, file, default

printf 'domain: file\nsuite: check\njoin_timeout: 7s\n' >c.yaml
POSTHOUSE_DOMAIN=environment POSTHOUSE_SUITE=paper posthouse check-config c.yaml --domain flag --output json >out 2>err
json out 'flag before environment before file before default' \
    '{v["key"]: (v["value"], v["from"]) for v in x[0]["keys"]}.items() >= {"domain": ("flag", "flag"), "suite": ("paper", "environment"), "join_timeout": (7000, "file"), "calls_max": (1048576, "default")}.items()'
json out 'a value of the file has its line' '[v["line"] for v in x[0]["keys"] if v["key"] == "join_timeout"] == [3]'
POSTHOUSE_LISTEN=127.0.0.1:1,127.0.0.1:2 posthouse check-config --output json >out 2>err
json out 'a list from the environment' '[v["value"] for v in x[0]["keys"] if v["key"] == "listen"] == [["127.0.0.1:1", "127.0.0.1:2"]]'
posthouse check-config --listen 127.0.0.1:3 --listen 127.0.0.1:4 --output json >out 2>err
json out 'a list from flags' '[v["value"] for v in x[0]["keys"] if v["key"] == "listen"] == [["127.0.0.1:3", "127.0.0.1:4"]]'
POSTHOUSE_CALLS_MAX=none expect 2 'a wrong variable is refused' posthouse check-config
holds err 'and named' 'POSTHOUSE_CALLS_MAX'
expect 2 'a wrong flag is refused' posthouse check-config --calls-max none
holds err 'and named' '--calls-max'
expect 0 'the table for people' posthouse check-config c.yaml
holds out 'says where a value comes from' 'c.yaml:3'
printf 'domain: other\n' >other.yaml
expect 2 'two files are refused' posthouse check-config c.yaml --config other.yaml
holds err 'and both named' "one file at a time: 'c.yaml', or --config 'other.yaml'"
POSTHOUSE_CONFIG=other.yaml expect 0 'a file as an argument goes before POSTHOUSE_CONFIG' posthouse check-config c.yaml
holds out 'and is the one that is read' 'c.yaml:3'

# ---- what is made from the schema

expect 0 'docs/limits.md can be made' posthouse doc limits
if cmp -s "$work/out" "$root/docs/limits.md"; then
    pass 'docs/limits.md is what the schema says (posthouse doc limits >docs/limits.md)'
else
    diff "$work/out" "$root/docs/limits.md" >diff
    fail 'docs/limits.md is what the schema says (posthouse doc limits >docs/limits.md)' diff
fi
expect 0 'the sample can be made' posthouse doc sample
if cmp -s "$work/out" "$root/packaging/posthouse.yaml"; then
    pass 'packaging/posthouse.yaml is what the schema says (posthouse doc sample)'
else
    fail 'packaging/posthouse.yaml is what the schema says (posthouse doc sample)'
fi
expect 0 'the sample is valid' posthouse check-config "$root/packaging/posthouse.yaml"
sed -n '/^# rules:/,$s/^# //p' "$root/packaging/posthouse.yaml" >rules.yaml
expect 0 'and so are the rules that it shows' posthouse check-config rules.yaml
holds out 'which are counted' '2 rules'

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# posthouse may: what the rules say, which of them says it, and what comes nearest to what none says.
. "$(dirname "$0")/tap"

cat >c.yaml <<'END'
domain: home
rules:
  - name: shop
    who: [orders, "checkout-*"]
    may:
      register: ["service:orders"]
      call: ["service:stock get reserve", "service:bank pay.*"]
      publish: ["orders.>"]
      subscribe: ["orders.*.created"]
      see: ["service:stock"]
    may_not:
      call: ["service:bank pay.salary"]
  - who: alice
    may: {see: "*", call: "*", subscribe: ">", drain: "service:*", center: "eu-*"}
END
export POSTHOUSE_CONFIG=c.yaml

allowed() { # words text
    # shellcheck disable=SC2086 # words
    expect 0 "allowed: $1" posthouse may $1
    holds out "and said why: $1" "$2"
}
refused() { # words text
    # shellcheck disable=SC2086 # words
    expect 4 "refused: $1" posthouse may $1
    holds out "and said why: $1" "$2"
}
wrong() { # words text
    # shellcheck disable=SC2086 # words
    expect 2 "no question: $1" posthouse may $1
    holds err "and said why: $1" "$2"
}

set -f # * is a pattern here
allowed 'orders call service:stock get' "allowed: rule 'shop' (c.yaml:7) says that orders may call service:stock get"
allowed 'checkout-eu call service:bank pay.card' 'may call service:bank pay.*'
allowed 'orders call stock-1 get --service stock' 'may call service:stock get'
allowed 'orders call all:stock get' 'may call service:stock get'
allowed 'orders register service:orders' 'may register as service:orders'
allowed 'orders publish orders.eu.created' 'may publish orders.>'
allowed 'orders publish topic:orders.eu' 'may publish orders.>'
allowed 'orders subscribe orders.eu.created' 'may subscribe to orders.*.created'
allowed 'alice drain service:stock' "rule 'rule 2' (c.yaml:14) says that alice may drain service:*"
allowed 'alice center eu-west' 'may be the center of eu-*'
refused 'orders call service:bank pay.salary' "refused: rule 'shop' (c.yaml:12) says that orders may not call service:bank pay.salary"
refused 'orders call service:stock put' 'refused: no rule says that orders may call service:stock put'
holds out 'the methods that there are' 'the methods that orders may call there: get, reserve'
holds out 'what else may be done there' 'what orders may do there: see'
holds out 'who may' "rule 'rule 2' (c.yaml:14) allows it for alice"
refused 'orders call stock get' 'that is an account; service:stock would be allowed'
holds out 'and how to ask about its instance' 'posthouse may orders call stock get --service stock --config c.yaml'
allowed 'orders call stock get --service stock --config c.yaml' 'may call service:stock get'
refused 'orders call service:bank' 'the methods that orders may call there: pay.*; but not: pay.salary'
refused 'orders call service:stokc get' "did you mean 'service:stock'?"
refused 'order call service:stock get' "no rule is about 'order'; did you mean 'orders'?"
refused 'orders subscribe orders.>' 'no single entry covers all of it; part of it is allowed by: orders.*.created'
refused 'mallory see bank' "no rule is about 'mallory'"

# What is somebody's own needs no rule; an account that was made up is its principal's.
allowed 'mallory register mallory' 'no rule is needed: mallory is its own'
allowed 'mallory register mallory-7f3a' 'mallory-7f3a is its own'
allowed 'mallory see mallory' 'is its own'
allowed 'mallory-7f3a see mallory-7f3a' 'is its own'
refused 'mallory-7f3a see mallory' 'no rule says that mallory may see mallory'
refused 'mallory see mallory-7f3a' 'no rule says that mallory may see mallory-7f3a'
refused 'us center us' 'no rule says that us may be the center of us'
refused 'mallory register orders' 'no rule says that mallory may register as orders'
refused 'mallory register service:orders' 'no rule says'
allowed 'orders-7f3a call service:stock get' 'says that orders may call'
holds err 'whose account that is' 'orders-7f3a is a made-up account of orders'

# Without rules it matters where somebody comes from.
printf 'domain: home\n' >none.yaml
POSTHOUSE_CONFIG=none.yaml refused 'orders call stock' 'none.yaml has no rules; so whoever connects from another machine may do nothing'
POSTHOUSE_CONFIG=none.yaml allowed 'orders call stock --local' 'may do everything'
printf 'rules: []\n' >closed.yaml
POSTHOUSE_CONFIG=closed.yaml refused 'orders call stock --local' 'no rule says that orders may call stock'

wrong 'orders cal stock' "no action 'cal' (did you mean 'call'?); there are: call, send"
wrong 'orders see stock get' "'see' has no methods: what is 'get'?"
wrong 'orders publish a.*' "'a.*' is no topic"
wrong 'orders call all:' 'everyone is judged one by one'
wrong 'orders call topic:a' "posthouse may orders publish TOPIC"
wrong 'orders call stock@eu' "leave out '@...'"
wrong 'Orders call stock' "'Orders' is no name of an account"
wrong 'orders call service:stock --service bank' 'is a service already'
wrong 'orders publish a.b --service bank' "--service means nothing for 'publish'"
wrong 'orders center a/b' "'a/b' is no name of a domain"
wrong 'orders call' 'TARGET'
printf 'rules: [{who: a, may: {call: "service:"}}]\n' >bad.yaml
POSTHOUSE_CONFIG=bad.yaml wrong 'a call b' "bad.yaml:1:30: rules: may: call: 'service:' needs a name"

# For programs.
expect 4 'JSON: refused' posthouse may orders call service:stock put --output json
json out 'says all that the text says' '(x[0]["allowed"], x[0]["principal"], x[0]["action"], x[0]["target"], len(x[0]["hints"])) == (False, "orders", "call", "service:stock put", 3)'
expect 0 'JSON: allowed' posthouse may orders call service:stock get -o json
json out 'names the rule and its place' '(x[0]["rule"], x[0]["entry"], x[0]["file"], x[0]["line"]) == ("shop", "service:stock get", "c.yaml", 7)'

finish

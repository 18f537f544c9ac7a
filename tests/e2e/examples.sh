#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The three programs of examples/, on the tables of iso-codes, and what they answer.
. "$(dirname "$0")/tap"

start_center
for example in countries currencies profile; do
    start "$PH_BUILD/examples/$example"
    printf '%s\n' "$first_line" >first
    holds first "$example says that it is online" "$example: online as $example@local"
done
profile=$started

expect 0 'a country by its code' posthouse call countries by_code FR
json out 'is the table'"'"'s own line' 'x[0]["name"] == "France" and x[0]["numeric"] == "250"'
expect 0 'by its three letters, in any case' posthouse call countries by_code deu
json out 'is the same table' 'x[0]["alpha_2"] == "DE"'
expect 0 'by its name' posthouse call countries by_name 'côte d'"'"'ivoire'
json out 'which need not be ASCII' 'x[0]["alpha_2"] == "CI"'
expect 0 'all whose name begins so' posthouse call countries find guinea
json out 'are all of them' '[c["alpha_2"] for c in x[0]] == ["GN", "GW"]'
expect 1 'no such country' posthouse call countries by_code XX
holds err 'is a failure of its own' "application 1000"
holds err 'with its own words' "no country 'XX'"
expect 1 'no such method' posthouse call countries everything
holds err 'is no_handler' 'no_handler'
expect 0 'all countries' posthouse call countries list
total=$(python3 -c 'import json; print(len(json.load(open("/usr/share/iso-codes/json/iso_3166-1.json"))["3166-1"]))')
if [ "$(grep -c '' out)" = "$total" ]; then pass 'are as many as the table has'; else fail 'are as many as the table has' out; fi
expect 0 'a currency' posthouse call currencies by_code CHF
json out 'has its name' 'x[0]["name"] == "Swiss Franc"'
for pair in JP:JPY:numeric PL:PLN:letters HR:EUR:euro ME:EUR:euro CH:CHF:numeric; do
    country=${pair%%:*}
    rule=${pair##*:}
    code=${pair#*:}
    code=${code%:*}
    expect 0 "the profile of $country" posthouse call profile by_code "$country"
    json out "has $code by rule $rule" "(x[0]['alpha_2'], x[0]['currency']['alpha_3'], x[0]['currency']['rule']) == ('$country', '$code', '$rule')"
done
expect 0 'the profile of a territory whose currency no table tells' posthouse call profile by_code AI
json out 'says so' 'x[0]["currency"] is None'
expect 0 'a profile by name' posthouse call profile by_name iceland
json out 'is that of the only one' 'x[0]["alpha_2"] == "IS" and x[0]["currency"]["alpha_3"] == "ISK"'
expect 1 'a name that two have, from who answers no inquiries' posthouse call profile by_name Guinea
holds err 'is a failure that names both' 'which of these: GN Guinea, GW Guinea-Bissau'
expect 0 'from who does, the profile that was asked for' posthouse call profile by_name Guinea --on-inquiry 'grep Bissau'
json out 'is that of the one chosen' 'x[0]["alpha_2"] == "GW"'
expect 1 'an answer that is none of them' posthouse call profile by_name Korea --on-inquiry 'echo XX'
holds err 'is the same failure' 'which of these: KR South Korea, KP North Korea'
expect 1 'a command that cannot answer' posthouse call profile by_name Korea --on-inquiry 'echo no idea >&2; exit 3'
holds err 'is told to who gave it' 'the command gave no answer to an inquiry: no idea'
expect 1 'no such method of profile' posthouse call profile everything
holds err 'is no_handler there, too' 'no_handler'
expect 1 'a failure passes through' posthouse call profile by_code XX
holds err 'with the name of the service' "countries: no country 'XX'"
expect 2 'what is too large is refused before it is sent' posthouse call profile by_code @/dev/zero
expect 1 'what is no country is a failure' posthouse call currencies for_country '{"alpha_2":7}'
expect 1 'nor is what is no JSON' posthouse call currencies for_country '{'

posthouse call countries list >codes
expect 0 'every country has a profile' posthouse bench rr --to profile --method by_code --bodies codes --in-flight 16 --output json
json out 'and no call fails' "x[0]['replies'] == $total and x[0]['failures'] == 0"

# Leaves on purpose: everybody is to see a bye, not a broken connection.
kill "$profile"
status=0
wait "$profile" || status=$?
printf '%s\n' "$status" >status
is status 'an example ends with 0 on SIGTERM' 0
stop_center
json center.log 'and said bye' 'any(line.get("id") == "profile@local" and line.get("why") == "left" for line in x)'

finish

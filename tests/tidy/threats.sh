#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/threat-model.md: each defence names a file, and a test that would fail without it. Both must be there, or the page
# promises what nobody keeps.
cd "$(dirname "$0")/../.." || exit 1

tests=0
bad=0
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
# The rows of the tables of attacks: | attack | what happens | where | test |
sed -n '/^## Attacks/,/^## What is not/p' docs/threat-model.md | grep '^| ' | grep -v '^| attack ' >"$rows"
while IFS= read -r row; do
    tests=$((tests + 1))
    what=$(printf '%s' "$row" | cut -d '|' -f 2 | sed 's/^ *//; s/ *$//')
    lacks=
    for column in 4 5; do
        named=$(printf '%s' "$row" | cut -d '|' -f "$column" | grep -o '`[a-z_]*/[^` ]*' | tr -d '`')
        [ -n "$named" ] || lacks="$lacks nothing-named-in-column-$column"
        for file in $named; do
            [ -e "$file" ] || [ -e "src/$file" ] || lacks="$lacks $file"
        done
    done
    if [ -z "$lacks" ]; then
        printf 'ok %d - threats: %s\n' "$tests" "$what"
    else
        bad=1
        printf 'not ok %d - threats: %s\n# not there:%s\n' "$tests" "$what" "$lacks"
    fi
done <"$rows"
printf '1..%d\n' "$tests"
[ "$bad" = 0 ] && [ "$tests" -gt 15 ]

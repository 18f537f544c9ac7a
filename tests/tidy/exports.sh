#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The shared library exports what the public headers declare with PH_API, and nothing else.
#
#   tests/tidy/exports.sh LIBRARY HEADERS    prints findings; exit 1 when there are any
set -eu
library=$1
headers=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$library" | awk '{ sub("@.*", "", $NF); print $NF }' | sort -u >"$work/exported"

# A declaration may go over lines; its name stands before its first parenthesis.
cat "$headers"/*.h | tr '\n' ' ' | grep -o 'PH_API [^;(]*(' | sed 's/ *($//; s/.*[ *]//' |
    grep '^ph_' | sort -u >"$work/declared"

comm -13 "$work/exported" "$work/declared" | while IFS= read -r name; do
    place=$(grep -nHw "$name" "$headers"/*.h | head -n 1 | cut -d: -f1,2)
    printf '%s: exports: %s is declared, but not exported\n' "$place" "$name"
done >"$work/findings"
comm -23 "$work/exported" "$work/declared" | while IFS= read -r name; do
    printf '%s:1: exports: %s is exported, but in no public header\n' "$library" "$name"
done >>"$work/findings"

cat "$work/findings"
[ ! -s "$work/findings" ]

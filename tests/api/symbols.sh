#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The library exports what the headers declare and nothing else; each of these functions is called in a test; and none of
# the archive's other symbols could clash with a program's own. PH_BUILD: the build directory.
set -eu
cd "$(dirname "$0")/../.."
: "${PH_BUILD:=$PWD/build/release}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

result() { # number name; what is wrong in $work/wrong
    if [ -s "$work/wrong" ]; then
        echo "not ok $1 - $2"
        sed 's/^/# /' "$work/wrong"
        failed=1
    else
        echo "ok $1 - $2"
    fi
}

library=$(find "$PH_BUILD" -name libposthouse.so | head -n 1)
archive=$(find "$PH_BUILD" -name libposthouse.a | head -n 1)

{ sh tests/tidy/exports "$library" include/posthouse || true; } >"$work/wrong" 2>&1
result 1 "exports are the declarations"

nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | while IFS= read -r name; do
    grep -q "\\<$name(" src/client/*_test.c tests/client/stage.c src/base/*_test.c tests/api/*.c || echo "$name is called in no test"
done >"$work/wrong"
result 2 "every function is called in a test"

# A program that links the archive has its own names: ours begin with ph_ or phi_.
nm --defined-only --extern-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u |
    grep -v -e '^phi\{0,1\}_' >"$work/wrong" || true
result 3 "the archive's names begin with ph_ or phi_"

objdump -p "$library" | awk '$1 == "SONAME" { print $2 }' | grep -vx 'libposthouse\.so\.0' >"$work/wrong" || true
result 4 "soname"

# What else it pulls into a program.
objdump -p "$library" | awk '$1 == "NEEDED" { print $2 }' |
    grep -v -e '^libuv\.so' -e '^libssl\.so' -e '^libcrypto\.so' -e '^libcares\.so' -e '^libc\.so' -e '^lib[at]san\.so' >"$work/wrong" || true
result 5 "needs libuv, libssl, libcrypto, libcares and libc only"
echo 1..5
exit $failed

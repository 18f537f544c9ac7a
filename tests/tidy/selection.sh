#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Whoever mistypes what to test must not be told that nothing failed: a selection that selects
# nothing is an error that says what there is.
set -u
cd "$(dirname "$0")/../.."
build=${PH_BUILD:-build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

refuses() { # name, what it must say, command...
    name=$1
    said=$2
    shift 2
    code=0
    "$@" >"$work/out" 2>&1 </dev/null || code=$?
    count=$((count + 1))
    if [ "$code" = 2 ] && grep -qF -- "$said" "$work/out" && ! grep -qE '^ok |, 0 failed|^0 findings' "$work/out"; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        failed=1
        echo "# exit code $code"
        sed 's/^/# /' "$work/out"
    fi
}

echo 1..7
refuses test_part_behind_a_part "there is no part 'lnit'; there are: unit e2e" ./script/test unit lnit
refuses test_part_takes_no_test "script/test wire_test vectors" ./script/test unit vectors
refuses test_long_takes_no_part "takes no names" ./script/test --long unit
refuses test_unknown_option "script/test PART..." ./script/test --lnog
refuses test_name_in_no_test "these are all: none has 'no_such' in its name" "$build/src/base/base_test" slots no_such
refuses lint_rule "there is no rule 'lines'; there are: format exports" ./script/lint lines
refuses bench_name "there is no benchmark rrr; there are:" ./script/bench rrr
exit $failed

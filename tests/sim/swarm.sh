#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The swarm as tests: many random worlds without a fault, each twice the same, and the canary caught.
#
#   PH_BUILD         the build directory; build/release if not set
#   PH_SWARM_SEEDS   how many worlds; 1000 if not set
#   PH_SWARM_FIRST   the first seed; 1 if not set, so that everybody runs the same
set -u
cd "$(dirname "$0")/../.."
build=${PH_BUILD:-build/release}
seeds=${PH_SWARM_SEEDS:-1000}
first=${PH_SWARM_FIRST:-1}
twice_seeds=100
canary_seeds=100
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

tell() { # code name: what is in $work/out explains it
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failed=1
        sed 's/^/# /' "$work/out"
    fi
}

echo 1..5

code=0
"$build/sim/swarm" --seeds "$seeds" --first "$first" --census >"$work/out" 2>&1 || code=$?
grep -q ' no fault, ' "$work/out" && found=0 || found=1
tell $found swarm_finds_no_fault
grep ' no fault, ' "$work/out" | sed 's/^/# /'

# What never happened in so many worlds was never tested.
[ "$seeds" -ge 500 ] || code=$found
grep MISSING "$work/out" >"$work/missing"
mv "$work/missing" "$work/out"
tell $code swarm_reaches_every_end

# A seed that gave another trace the second time could not be repeated when it fails.
code=0
"$build/sim/swarm" --seeds $twice_seeds --first "$first" --twice >"$work/out" 2>&1 || code=$?
tell $code swarm_same_seed_gives_the_same_trace

# Also from one process to the next, where addresses differ.
code=0
for run in 1 2; do
    "$build/sim/swarm" --seeds 20 --first "$first" --verbose 2>&1 | grep '^seed ' >"$work/hashes$run"
done
{ [ -s "$work/hashes1" ] && diff "$work/hashes1" "$work/hashes2"; } >"$work/out" 2>&1 || code=1
tell $code swarm_next_process_gives_the_same_traces

# A center that takes answers from anybody must be found out, by the check that is there for it.
code=0
if "$build/sim/swarm_canary" --seeds $canary_seeds --first 1 >"$work/out" 2>&1; then
    code=1
fi
grep -qE '^FAULT .* (answered it|who was not asked)$' "$work/out" || code=1
tell $code swarm_canary_is_caught
grep '^FAULT' "$work/out" | sed 's/^/# canary: /'

exit $failed

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every public header stands alone, in C11 and C++17, with warnings that a user may have on; and all of them together,
# twice. A header that needs another one first, or C++ that needs a compiler's leave, would break somebody's build.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'
count=0
failed=0

check() { # name command...
    label=$1
    shift
    count=$((count + 1))
    if "$@" >"$work/out" 2>&1; then
        echo "ok $count - $label"
    else
        echo "not ok $count - $label"
        sed 's/^/# /' "$work/out"
        failed=1
    fi
}

initialisers='
int use(void);
int use(void)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    ph_watch watch = PH_WATCH_INIT;
    ph_peer peer = PH_PEER_INIT;
    ph_own_state own = PH_OWN_STATE_INIT;
    ph_gather gather = PH_GATHER_INIT;
    return options.struct_size == sizeof options && outgoing.struct_size == sizeof outgoing &&
           watch.struct_size == sizeof watch && peer.struct_size == sizeof peer && own.struct_size == sizeof own &&
           gather.struct_size == sizeof gather;
}'

for header in include/posthouse/*.h; do
    name=posthouse/$(basename "$header")
    printf '#include <%s>\ntypedef int not_empty;\n' "$name" >"$work/alone.c"
    cp "$work/alone.c" "$work/alone.cc"
    # shellcheck disable=SC2086 # a list of words
    check "$name in C11" "${CC:-cc}" -std=c11 $warnings -Iinclude -fsyntax-only "$work/alone.c"
    # shellcheck disable=SC2086
    check "$name in C++17" "${CXX:-c++}" -std=c++17 $warnings -Iinclude -fsyntax-only "$work/alone.cc"
done

for round in 1 2; do
    for header in include/posthouse/*.h; do
        echo "#include <posthouse/$(basename "$header")> // $round"
    done
done >"$work/all.c"
echo "$initialisers" >>"$work/all.c"
cp "$work/all.c" "$work/all.cc"
# shellcheck disable=SC2086
check "all together in C11" "${CC:-cc}" -std=c11 $warnings -Iinclude -fsyntax-only "$work/all.c"
# shellcheck disable=SC2086
check "all together in C++17" "${CXX:-c++}" -std=c++17 $warnings -Iinclude -fsyntax-only "$work/all.cc"
echo "1..$count"
exit $failed

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What README.md tells a newcomer to type does what it says: its commands in their order, and its program in C, taken from
# the text as it is. PH_BUILD: the build directory.
PH_BUILD=${PH_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build/release}
. "$(dirname "$0")/../e2e/tap"

# The first block of code behind that heading.
block() { # heading
    awk -v heading="## $1" '$0 == heading { on = 1 } on && /^```/ { if (fenced++) exit; next } on && fenced' "$root/README.md"
}

# One command a line, without comments.
commands() { # heading file
    block "$1" | awk '{ sub(/ +# .*/, "") } /\\$/ { sub(/ *\\$/, ""); printf "%s", $0; next } NF' >"$2"
}

# What goes on until it is ended is started, all else must succeed.
run() { # file
    while IFS= read -r line <&8; do
        case $line in
        'export PATH='*) ;; # that of the build under test is first already
        'posthouse serve') start_center ;;
        'posthouse reply '* | 'posthouse subscribe '* | 'posthouse watch') eval "start $line" ;;
        *) expect 0 "$line" eval "$line" ;;
        esac
        [ "$line" != "posthouse call shouter say 'hello'" ] || is out 'answers' HELLO
    done 8<"$1"
}

commands 'A first call by hand' first
expect 0 'the first commands are found' grep -qxF "posthouse call shouter say 'hello'" first
expect 0 'all of them' grep -qxF 'posthouse status' first
run first

commands 'To other machines' others
expect 0 'those for other machines are found' grep -q '^posthouse check-config .*--tls-key' others
run others

# Where the center is by default may be somebody else's; so the program that runs is told where this one is.
block 'From C' >shout.c
sed 's|ph_client_new(&client, NULL)|ph_client_new(\&client, \&options)|
     s|ph_client \*client = NULL;|&\n    ph_client_options options = PH_CLIENT_OPTIONS_INIT;\n    options.centers = getenv("POSTHOUSE_CENTER");|
     1i #include <stdlib.h>' shout.c >told.c
place=$(mktemp -d) # without a space: pkg-config's words are options
expect 0 'the library is installed' cmake --install "$PH_BUILD" --component library --prefix "$place"
PKG_CONFIG_PATH=$(dirname "$(find "$place" -name posthouse.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
# shellcheck disable=SC2046 # a list of words
expect 0 'the program compiles as it is' cc -Wall -Werror shout.c -o shout $(pkg-config --cflags --libs posthouse)
# shellcheck disable=SC2046
expect 0 'and told where the center is' cc -Wall -Werror told.c -o told $(pkg-config --cflags --libs posthouse)
expect 0 'it calls the responder' ./told
is out 'prints what that says' HELLO
rm -rf "$place"
finish

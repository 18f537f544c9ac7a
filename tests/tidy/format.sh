#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang-format decides how C looks. Prints the first place of each file that looks different.
#
#   tests/tidy/format.sh FOLDER    exit 1 when there are any
set -eu
cd "$1"

findings=$(find . \( -name .git -o -name build \) -prune -o \( -name '*.c' -o -name '*.h' \) -type f -print0 |
    xargs -0 -r -n 20 -P 2 clang-format --style=file --dry-run 2>&1 |
    sed -n 's|^\./\(.*\):\([0-9]*\):[0-9]*: warning: code should be clang-formatted.*|\1:\2: format: run clang-format -i|p' |
    sort -t : -k 1,1 -k 2,2n | awk -F : '!seen[$1]++')
if [ -n "$findings" ]; then
    printf '%s\n' "$findings"
    exit 1
fi

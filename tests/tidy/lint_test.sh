#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rules of script/lint find what they are for: each gets a small tree that breaks it and one
# that nearly does. A rule that finds nothing is worse than none.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${PH_BUILD:-$here/../../build/debug}
tidy=$build/tests/tidy/tidy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0
allow='lint:'' allow' # in two, so that this file waives nothing
licence='// SPDX-License-Identifier: Apache-2.0'

result() { # is_good text
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        printf 'ok %d - %s\n' "$count" "$2"
    else
        failed=1
        printf 'not ok %d - %s\n' "$count" "$2"
        sed 's/^/# /' "$work/said"
    fi
}

fresh() {
    rm -rf "$work/tree"
    mkdir "$work/tree"
}

put() { # path; the text comes on stdin
    mkdir -p "$work/tree/$(dirname "$1")"
    cat >"$work/tree/$1"
}

lint() { # rule; or none: all
    (cd "$work/tree" && find . -type f) | "$tidy" "$work/tree" ${1:+--rule "$1"} >"$work/said" 2>&1
}

# Exactly one finding, of this rule, at this place.
finds() { # rule place about
    code=0
    lint "$1" || code=$?
    good=1
    if [ "$code" = 1 ] && [ "$(wc -l <"$work/said")" = 1 ] && grep -q "^$2: $1: " "$work/said"; then
        good=0
    fi
    result "$good" "$1 finds $3"
}

passes() { # rule about
    code=0
    lint "$1" || code=$?
    result "$code" "$1 lets pass $2"
}

repeat() { # times line
    awk -v n="$1" -v line="$2" 'BEGIN { for (i = 0; i < n; i++) print line }'
}

# ---- text

wide=$(printf '// %097d' 0)
fresh
printf '%s\n%s0\n' "$licence" "$wide" | put src/base/a.c
finds line-length src/base/a.c:2 'a line of 101 columns'
printf '%s\n%s\n// %s%096d\n' "$licence" "$wide" 'é' 0 | put src/base/a.c
printf '%s0\n' "$wide" | put src/base/rows.def
passes line-length '100 columns, umlauts counted once, and tables'

fresh
printf 'int a; \n' | put src/base/a.c
finds blanks src/base/a.c:1 'a blank at the end of a line'
printf 'int a;\n\tint b;\n' | put src/base/a.c
finds blanks src/base/a.c:2 'a tab in C'
printf 'int a;' | put src/base/a.c
finds blanks src/base/a.c:1 'a last line without an end'
printf 'int a;\n\n' | put src/base/a.c
finds blanks src/base/a.c:2 'an empty line at the end'
printf 'int a;\r\n' | put src/base/a.c
finds blanks src/base/a.c:1 'a carriage return'
printf 'int a;\n\nint b;\n' | put src/base/a.c
passes blanks 'an empty line inside'

fresh
printf 'int a;\n' | put src/base/a.c
finds spdx src/base/a.c:1 'a source without a licence'
printf '#!/bin/sh\ntrue\n' | put script/run
rm "$work/tree/src/base/a.c"
finds spdx script/run:2 'a script without a licence'
printf '#!/bin/sh\n# %s\n' "${licence#// }" | put script/run
printf '# A document\n' | put docs/a.md
passes spdx 'a script with one behind its interpreter, and documents'

fresh
printf '// TO''DO later\n' | put src/base/a.c
finds todo src/base/a.c:1 'a to-do without an issue'
printf '// FIX''ME\n' | put src/base/a.c
finds todo src/base/a.c:1 'the other word for it'
printf '// TO''DO(#12): later\nint TO''DOS;\n' | put src/base/a.c
passes todo 'a to-do with its issue'

fresh
repeat 801 'int a;' | put src/base/a.c
finds file-size src/base/a.c:1 'a source of 801 lines'
fresh
repeat 401 'int a;' | put src/base/a.h
finds file-size src/base/a.h:1 'a header of 401 lines'
fresh
repeat 31 '#' | put src/base/CMakeLists.txt
finds file-size src/base/CMakeLists.txt:1 'a list of 31 lines'
fresh
repeat 800 'int a;' | put src/base/a.c
repeat 1500 'int a;' | put src/base/a_test.c
repeat 400 'int a;' | put src/base/a.h
repeat 30 '#' | put src/base/CMakeLists.txt
repeat 900 'text' | put docs/long.md
passes file-size 'the limits themselves, and long documents'

# ---- C files

guard() { printf '#ifndef %s\n#define %s\n#endif // %s\n' "$1" "$1" "$1"; }
fresh
guard PHI_BUF_H | put src/base/buf.h
finds guard src/base/buf.h:1 'a guard that is not named after its path'
fresh
printf '#ifndef PHI_BASE_BUF_H\n#define PHI_BASE_BUF_H\n#endif\n' | put src/base/buf.h
finds guard src/base/buf.h:1 'an end that does not say what ends'
guard PHI_BASE_BUF_H | put src/base/buf.h
guard PH_ERR_H | put include/posthouse/err.h
guard CENTER_CENTER_H | put src/center/center.h
guard TESTS_HARNESS_TEST_H | put tests/harness/test.h
passes guard 'the names of all kinds of folders'

fresh
printf '#include "wire/packet.h"\n' | put src/base/a.c
finds include src/base/a.c:1 'a lower folder that uses a higher one'
printf '#  include "io/io.h"\n' | put src/base/a.c
finds include src/base/a.c:1 'the same, spaced'
fresh
printf '#include "client/client.h"\n' | put src/center/a.c
finds include src/center/a.c:1 'a sibling'
fresh
printf '#include "../base/buf.h"\n' | put src/base/a.c
finds include src/base/a.c:1 'a path that climbs'
fresh
printf '#include "sim/sim.h"\n' | put src/link/a.c
finds include src/link/a.c:1 'production code that uses the simulator'
fresh
printf '#include "base/buf.h"\n' | put include/posthouse/a.h
finds include include/posthouse/a.h:1 'a public header that uses an internal one'
fresh
printf '#include "client/client.h"\n' | put examples/a.c
finds include examples/a.c:1 'an example that uses an internal header'
fresh
printf '#include "base/buf.h"\n' | put src/newcomer/a.c
finds include src/newcomer/a.c:1 'a folder without a level'
fresh
printf '#include <posthouse/err.h>\n#include "base/buf.h"\n#include "io/io.h"\n' | put src/link/a.c
printf '#include "base/buf.h"\n' | put src/obs/a.c
printf '#include "sim/sim.h"\n#include "tests/harness/test.h"\n' | put src/link/a_test.c
passes include 'lower folders, obs on base, and tests that use the simulator'

fresh
printf 'int x;\n' | put src/base/a.h
printf '#include <stdio.h>\n\n#include "base/a.h"\n' | put src/base/a.c
finds own-header src/base/a.c:1 'a source whose own header is not first'
printf '#include "base/a.h"\n\n#include <stdio.h>\n' | put src/base/a.c
printf '#include <stdio.h>\n' | put src/base/b.c
passes own-header 'one whose is, and one without'

fresh
printf 'void f(void)\n{\n    g(malloc (3));\n}\n' | put src/wire/a.c
finds banned src/wire/a.c:3 'memory from the heap in wire'
printf '#define NOW() time(NULL)\n' | put src/wire/a.c
finds banned src/wire/a.c:1 'a clock in a macro'
fresh
printf 'void f(char *a, char *b)\n{\n    strcpy(a, b);\n}\n' | put src/io/a.c
finds banned src/io/a.c:3 'what is never right, in the shell'
fresh
cat <<'C' | put src/wire/a.c
// malloc(1) in a comment
/* free(a)
 * over lines */
void f(struct s *s)
{
    s->read(1);
    s->ops.write("printf(1)");
    int time = 3;
    phi_free(time);
}
C
printf 'void f(void)\n{\n    free(0);\n}\n' | put src/io/a.c
printf 'void f(void)\n{\n    free(0);\n}\n' | put src/wire/a_test.c
printf 'void f(void)\n{\n    free(0);\n}\n' | put tests/wire/world.c
passes banned 'comments, strings, members, longer names, the shell, tests and what they share'
printf '#include "tests/harness/test.h"\nvoid f(void)\n{\n    free(0);\n}\n' | put src/wire/world.c
finds banned src/wire/world.c:4 'what only tests use, among the sources'
finds include src/wire/world.c:1 'and that it sees the tests'

fresh
printf 'static pthread_mutex_t m;\n' | put src/center/a.c
finds threads src/center/a.c:1 'a lock'
printf 'int f(void)\n{\n    return atomic_load(&x);\n}\n' | put src/center/a.c
finds threads src/center/a.c:3 'an atomic'
fresh
printf 'static pthread_t t;\n' | put src/io/a.c
printf '// pthread_create\nint my_pthread_t;\n' | put src/center/a.c
passes threads 'the shell, comments and longer names'

fresh
printf '#ifdef __linux__\n#endif\n' | put src/link/a.c
finds conditional src/link/a.c:1 'an #ifdef'
printf '#if defined(__linux__)\n#endif\n' | put src/link/a.c
finds conditional src/link/a.c:1 'the long form'
printf '#ifndef A\n#endif\n#if PHI_CANARY\n#endif\n' | put src/link/a.c
printf '// a feature header\n#ifdef X\n#endif\n' | put src/link/a.h
printf '#ifdef X\n#endif\n' | put src/io/a.c
passes conditional 'guards, values that are always defined, feature headers, the shell'

fresh
printf 'typedef struct a *a_ptr;\n' | put src/base/a.h
finds pointer-typedef src/base/a.h:1 'a hidden pointer'
printf 'typedef struct a {\n    int b;\n} *a_ptr;\n' | put src/base/a.h
finds pointer-typedef src/base/a.h:3 'one behind a body'
printf 'typedef struct a {\n    int *b;\n} a;\ntypedef void *f(void *x);\ntypedef void (*g)(int *);\n' |
    put src/base/a.h
passes pointer-typedef 'members, and types of functions'

# ---- functions

long_function() { # lines
    printf 'static int f(int a)\n{\n'
    repeat $(($1 - 3)) '    a++;'
    printf '}\n'
}
fresh
long_function 71 | put src/base/a.c
finds function-length src/base/a.c:1 'a function of 71 lines'
{ printf 'struct s {\n' && repeat 80 '    int a;' && printf '} s;\n\n' && long_function 71; } | put src/base/a.c
finds function-length src/base/a.c:84 'one behind a struct'
{ printf '#ifdef __cplusplus\nextern "C" {\n#endif\n\nint g(void);\n' && long_function 71 && printf '}\n'; } |
    put src/base/a.c
finds function-length src/base/a.c:6 'one in extern "C"'
{ printf 'TEST(a, b)\n{\n' && repeat 70 '    a++;' && printf '}\n'; } | put src/base/a.c
finds function-length src/base/a.c:1 'a test'
{ long_function 70 && printf 'static const int t[] = {\n' && repeat 80 '    1,' && printf '};\n' && long_function 70; } |
    put src/base/a.c
passes function-length 'two of 70 lines, and a long table'

fresh
printf 'int f(int a, int b, int c,\n      int d, int e, int f, int g)\n{\n}\n' | put src/base/a.c
finds parameters src/base/a.c:1 'seven parameters'
printf 'int f(int a, int b, int c, int d, int e, int f, int g);\n' | put src/base/a.c
finds parameters src/base/a.c:1 'seven in a prototype'
printf 'int f(int (*a)(int, int), int b, int c, int d, int e, int f);\nint g(void);\n' | put src/base/a.c
passes parameters 'six, one of them with its own'

nested() { # levels
    printf 'void f(void)\n{\n'
    repeat "$1" '    if (a) {'
    repeat "$1" '    }'
    printf '}\n'
}
fresh
nested 5 | put src/base/a.c
finds nesting src/base/a.c:7 'five levels'
cat <<'C' | put src/base/a.c
void f(void)
{
    do {
        FOR_EACH(x) {
            switch (x) {
            case 1: {
                for (;;) {
                }
            }
            }
        }
    } while (1);
}
C
finds nesting src/base/a.c:7 'five of different kinds'
cat <<'C' | put src/base/a.c
void f(void)
{
    if (a) {
        while (b) {
            for (;;) {
                if (c) {
                    s = (struct s){ .a = { { 1 } }, .b = { 2 } };
                    int t[2][2] = { { 1, 2 }, { 3, 4 } };
                } else {
                    g(&(struct s){ { { 0 } } });
                }
            }
        }
    }
}
C
passes nesting 'four levels with lists of values inside'

fresh
printf 'void f(void)\n{\n    if (a)\n        b();\n}\n' | put src/base/a.c
finds braces src/base/a.c:3 'an if without'
printf 'void f(void)\n{\n    for (;;)\n        b();\n}\n' | put src/base/a.c
finds braces src/base/a.c:3 'a for without'
printf 'void f(void)\n{\n    if (a) {\n    } else\n        b();\n}\n' | put src/base/a.c
finds braces src/base/a.c:4 'an else without'
printf 'void f(void)\n{\n    if (a) {\n    } else if (b) {\n    } else {\n    }\n    do {\n    } while (c);\n}\n' |
    put src/base/a.c
passes braces 'chains and do-while'

# ---- tests

fresh
printf 'void f(void)\n{\n    usleep(1000);\n}\n' | put src/link/a_test.c
finds sleep src/link/a_test.c:3 'a sleep in a unit test'
fresh
printf 'while true; do sle''ep 1; done\n' | put tests/e2e/a.sh
finds sleep tests/e2e/a.sh:1 'a sleep in a shell test'
fresh
printf 'time.sle''ep(1)\n' | put tests/interop/a.py
finds sleep tests/interop/a.py:1 'a sleep in a Python test'
fresh
printf '// sleep(1)\nint sleeping;\n' | put src/link/a_test.c
printf '# sle''ep 1 would be wrong\n' | put tests/e2e/a.sh
printf 'sle''ep 1\n' | put script/demo
passes sleep 'comments, and what is no test'

fresh
printf '\nTEST(a, b)\n{\n}\n' | put src/link/a_test.c
finds test-says src/link/a_test.c:2 'a test without a sentence'
printf '// It would break.\nTEST(a, b)\n{\n}\n' | put src/link/a_test.c
passes test-says 'one with a sentence'

# ---- the tree

fresh
printf 'ph_library(base SOURCES ab.c b.c)\n' | put src/base/CMakeLists.txt
printf 'int a;\n' | put src/base/b.c
printf 'int a;\n' | put src/base/a.c
printf 'int a;\n' | put src/base/ab.c
finds listed src/base/a.c:1 'a source that nobody builds'
printf 'ph_library(base SOURCES\n    ab.c a.c\n    b.c)\n' | put src/base/CMakeLists.txt
printf 'add_executable(x sub/c.c)\n' | put tests/CMakeLists.txt
printf 'int a;\n' | put tests/sub/c.c
printf 'ph_test(x SOURCES ${PROJECT_SOURCE_DIR}/tests/judge.c)\n' | put src/wire/CMakeLists.txt
printf 'int a;\n' | put tests/judge.c
passes listed 'lists over lines, of a folder above, and of whole paths'
printf 'int a;\n' | put fuzz/a.c
finds listed fuzz/a.c:1 'a source without a list'

row() { printf 'CENTER_LIMIT(%s, COUNT, 1, 0, 2, "", %s)\n' "$1" "$2"; }
fresh
printf '| `calls_max` | 1 |\n' | put docs/limits.md
row calls_max '""' | put src/center/limits.def
finds defs src/center/limits.def:1 'a limit without help'
row calls_max '"no full stop"' | put src/center/limits.def
finds defs src/center/limits.def:1 'help that is no sentence'
row calls '"Calls open at a time."' | put src/center/limits.def
finds defs src/center/limits.def:1 'a limit that is not documented'
fresh
printf 'nothing\n' | put docs/limits.md
printf 'CENTER_METRIC(calls, GAUGE, "Calls open.")\n' | put src/center/metrics.def
finds defs src/center/metrics.def:1 'a metric that is not documented'
printf 'CONFIG(lease, DUR, "15s", "1s", "10m", "", RELOAD, "How long it stays.")\n' | put src/app/config.def
rm "$work/tree/src/center/metrics.def"
finds defs src/app/config.def:1 'a setting that is not documented'
printf '`calls` `calls_max` `lease`\n' | put docs/limits.md
printf '// CENTER_LIMIT(name, help)\n%s' "$(row calls_max '"More end in \"failure\"."')" | put src/center/limits.def
printf '\n' >>"$work/tree/src/center/limits.def"
printf 'CENTER_METRIC(calls, GAUGE, "Calls open.")\n' | put src/center/metrics.def
passes defs 'tables with help that stand in the document'

fresh
printf '**[P-1]** One.\n\n**[P-2]** Two.\n' | put docs/protocol.md
printf '// [P-1] and not [P-22]0\n' | put src/link/link.c
printf '// [P-1]\n' | put src/link/link_test.c
sed -i 's/ and not .*//' "$work/tree/src/link/link.c"
finds clauses docs/protocol.md:3 'a clause that no test cites'
printf '// docs/protocol.md P-2\n' | put src/link/link.c
finds clauses docs/protocol.md:3 'that code is no test'
printf '// [P-1], [P-2], [P-3]\n' | put src/link/link_test.c
finds clauses src/link/link_test.c:1 'a citation of what there is not'
printf '// [P-1], [P-2]\n' | put src/link/link_test.c
printf -- '- P-2: needs a second machine\n' | put docs/protocol-coverage.md
finds clauses docs/protocol-coverage.md:1 'an open clause that is cited'
printf '// [P-1]\n' | put src/link/link_test.c
passes clauses 'cited and open clauses'
printf -- '- P-2\n' | put docs/protocol-coverage.md
finds clauses docs/protocol-coverage.md:1 'an open clause without a reason'
printf '**[P-1]** One.\n\n**[P-1]** Two.\n' | put docs/protocol.md
rm "$work/tree/docs/protocol-coverage.md"
printf '// [P-1]\n' | put src/link/link.c
finds clauses docs/protocol.md:3 'a number that is used twice'

fresh
{ repeat 2 'PH_ASSERT(x);' && repeat 98 'a++;' && repeat 50 '// PH_ASSERT(x);'; } | put src/link/a.c
repeat 50 'PH_ASSERT(x);' | put src/link/a_test.c
printf '# list\n' | put src/link/CMakeLists.txt
finds assertions src/link/CMakeLists.txt:1 'a folder with too few, tests and comments not counted'
{ repeat 3 'PH_ASSERT(x);' && repeat 97 'a++;' && repeat 50 '// why'; } | put src/link/a.c
repeat 200 'a++;' | put src/app/a.c
passes assertions 'one with enough, and folders above'

# ---- waivers

fresh
printf '%s\n// %s line-length, because the table is wide\n%s0\n' "$licence" "$allow" "$wide" | put src/base/a.c
passes line-length 'what the comment above allows'
printf '%s\n// %s line-length, because the table is wide\n// so it is.\n\n%s0\n' "$licence" "$allow" "$wide" |
    put src/base/a.c
finds line-length src/base/a.c:5 'what a comment further up allows'
fresh
{ printf '%s\n//\n// %s file-size, because it is one table\n' "$licence" "$allow" && repeat 800 'int a;'; } |
    put src/base/a.c
passes file-size 'what the opening comment allows'

waiver() { # line about
    fresh
    printf '%s\n%s\n' "$licence" "$1" | put src/base/a.c
    printf 'a.c\n' | put src/base/CMakeLists.txt
    sed -i "1i# ${licence#// }" "$work/tree/src/base/CMakeLists.txt"
    code=0
    lint || code=$?
    good=1
    if [ "$code" = 1 ] && [ "$(wc -l <"$work/said")" = 1 ] &&
        grep -q '^src/base/a.c:2: waiver: ' "$work/said"; then
        good=0
    fi
    result "$good" "waiver finds $2"
}
waiver "// $allow everything, because I can" 'a rule that there is not'
waiver "// $allow blanks" 'a missing reason'
waiver "// $allow blanks, because there were some" 'that it waives nothing'

# ---- what is not in tidy

fresh
mkdir "$work/tree/include"
cat >"$work/tree/include/a.h" <<'C'
#define PH_API __attribute__((visibility("default")))
PH_API int ph_one(void);
PH_API const char *
ph_two(int a, int b);
int ph_hidden(void);
C
library() { # source
    printf '%s\n' "$1" | cc -shared -fPIC -fvisibility=hidden -I"$work/tree/include" -include a.h -x c - \
        -o "$work/tree/liba.so"
}
exports() { sh "$here/exports" "$work/tree/liba.so" "$work/tree/include" >"$work/said" 2>&1; }
one='int ph_one(void) { return 1; }'
two='const char *ph_two(int a, int b) { return a < b ? "" : 0; }'
library "$one $two int ph_hidden(void) { return 1; }"
code=0
exports || code=$?
result "$code" 'exports lets pass a library that exports what is declared'
library "$one"
good=1
if ! exports && grep -q 'a.h:4: exports: ph_two' "$work/said"; then good=0; fi
result "$good" 'exports finds what is declared but not exported'
library "$one $two PH_API int phi_leak(void); int phi_leak(void) { return 1; }"
good=1
if ! exports && grep -q 'liba.so:1: exports: phi_leak' "$work/said"; then good=0; fi
result "$good" 'exports finds what is exported but not declared'

fresh
cp "$here/../../.clang-format" "$work/tree/"
printf 'int a;\nint  b;\nint  c;\n' | put 'src/base/a.c'
printf 'int a;\n' | put 'src/base/b.c'
good=1
if ! sh "$here/format" "$work/tree" >"$work/said" 2>&1 &&
    [ "$(cat "$work/said")" = 'src/base/a.c:2: format: run clang-format -i' ]; then
    good=0
fi
result "$good" 'format finds the first place of a file that looks different'
printf 'int a;\n' | put 'src/base/a.c'
code=0
sh "$here/format" "$work/tree" >"$work/said" 2>&1 || code=$?
result "$code" 'format lets pass what clang-format writes'

# ---- completeness

printf '%s\n' "$licence" | put src/base/a.c
(cd "$work/tree" && find . -type f) | "$tidy" "$work/tree" --tap |
    sed -n 's/^\(not \)\{0,1\}ok [0-9]* - lint \([a-z-]*\):.*/\2/p' >"$work/rules"
: >"$work/said"
while IFS= read -r rule; do
    grep -q -E "^(finds )?$rule " "$0" || printf '%s\n' "$rule" >>"$work/said"
done <"$work/rules"
good=1
[ -s "$work/rules" ] && [ ! -s "$work/said" ] && good=0
result "$good" 'every rule is tested here'

printf '1..%d\n' "$count"
exit "$failed"

// SPDX-License-Identifier: Apache-2.0
//
// tests/harness/test.c - collects the tests of a program and runs them under cmocka.

#include "tests/harness/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TESTS_MAX 1024

static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;

void test_register(const char *name, CMUnitTestFunction run)
{
    if (test_count == TESTS_MAX) {
        fprintf(stderr, "more than %d tests in one program\n", TESTS_MAX);
        abort();
    }
    tests[test_count++] = (struct CMUnitTest){ .name = name, .test_func = run };
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) {
            return true;
        }
    }
    return argc < 2;
}

static bool is_in_a_name(const char *part)
{
    for (size_t i = 0; i < test_count; i++) {
        if (strstr(tests[i].name, part) != NULL) {
            return true;
        }
    }
    return false;
}

// Whoever mistypes a name must not be told that nothing failed.
static void check_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_in_a_name(argv[i])) {
            continue;
        }
        for (size_t j = 0; j < test_count; j++) {
            fprintf(stderr, "  %s\n", tests[j].name);
        }
        fprintf(stderr, "these are all: none has '%s' in its name\n", argv[i]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    check_wanted(argc, argv);
    size_t kept = 0;
    for (size_t i = 0; i < test_count; i++) {
        if (is_wanted(tests[i].name, argc, argv)) {
            tests[kept++] = tests[i];
        }
    }
    const char *slash = strrchr(argv[0], '/');
    cmocka_set_message_output(CM_OUTPUT_TAP);
    // The array is longer than what is used, so the counting macro of cmocka.h does not fit.
    return _cmocka_run_group_tests(slash == NULL ? argv[0] : slash + 1, tests, kept, NULL, NULL);
}

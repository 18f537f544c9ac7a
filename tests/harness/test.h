// SPDX-License-Identifier: Apache-2.0
//
// tests/harness/test.h - one macro registers a test; the program prints TAP ("ok 1 -
// link_hello_twice_is_protocol_error"), which script/test counts.
//
// A test opens with a sentence on what would be broken if it failed, and names the clause of
// docs/protocol.md it holds: // [P-20]. Arguments of the program: parts of names; only tests that
// contain one run, and a part that is in no name is an error.

#ifndef TESTS_HARNESS_TEST_H
#define TESTS_HARNESS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void test_register(const char *name, CMUnitTestFunction run);

#define TEST(object, situation_outcome)                                                            \
    static void test_##object##_##situation_outcome(void **state);                                 \
    __attribute__((constructor)) static void test_register_##object##_##situation_outcome(void)    \
    {                                                                                              \
        test_register(#object "_" #situation_outcome, test_##object##_##situation_outcome);        \
    }                                                                                              \
    static void test_##object##_##situation_outcome(__attribute__((unused)) void **state)

#define EXPECT(x) assert_true(x)
#define EXPECT_EQ(a, b) assert_int_equal((a), (b))
#define EXPECT_ERR(err, expected) assert_int_equal((int)(err), (int)(expected))
#define EXPECT_TEXT(a, b) assert_string_equal((a), (b))
#define EXPECT_BYTES(a, b, size) assert_memory_equal((a), (b), (size))

#endif // TESTS_HARNESS_TEST_H

// SPDX-License-Identifier: Apache-2.0

#include "base/assert.h"

#include <string.h>

#include "tests/harness/death.h"
#include "tests/harness/test.h"

static void fail_with_note(void *arg)
{
    int one = 1;
    phi_assert_note(arg);
    PH_ASSERT(one == 2);
}

// A crash report that lacks the place, the condition or the seed can not be followed up.
TEST(assert, failed_says_where_what_and_the_note)
{
    char said[1024];
    EXPECT(death_of(fail_with_note, "seed 4711", said, sizeof said));
    assert_non_null(strstr(said, "assert_test.c:"));
    assert_non_null(strstr(said, "one == 2"));
    assert_non_null(strstr(said, "seed 4711"));

    EXPECT(death_of(fail_with_note, NULL, said, sizeof said));
    assert_null(strstr(said, "seed"));
}

static void reach(void *arg)
{
    (void)arg;
    PH_UNREACHABLE("the moon");
}

// An unreachable branch that is reached must end the process in every build.
TEST(assert, unreachable_aborts)
{
    char said[1024];
    EXPECT(death_of(reach, NULL, said, sizeof said));
    assert_non_null(strstr(said, "the moon"));
}

// An assertion that evaluates its condition twice would repeat side effects.
TEST(assert, condition_is_evaluated_once)
{
    int count = 0;
    PH_ASSERT(++count == 1);
    EXPECT_EQ(count, 1);
}

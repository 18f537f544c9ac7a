// SPDX-License-Identifier: Apache-2.0
//
// app/value_test.c - counts, sizes and times as people write them.

#include "app/value.h"

#include <string.h>

#include "tests/harness/test.h"

static ph_err parse(value_kind kind, const char *chars, uint64_t *out)
{
    return value_parse(kind, chars, 0, UINT64_MAX, out, NULL);
}

// A limit set to the wrong number is worse than none.
TEST(value, every_unit_has_its_factor)
{
    static const struct {
        value_kind kind;
        const char *chars;
        uint64_t value;
    } cases[] = {
        { VALUE_COUNT, "0", 0 },
        { VALUE_COUNT, "1048576", 1048576 },
        { VALUE_BYTES, "100", 100 },
        { VALUE_BYTES, "100B", 100 },
        { VALUE_BYTES, "64KiB", 65536 },
        { VALUE_BYTES, "3MiB", 3145728 },
        { VALUE_BYTES, "1GiB", 1073741824 },
        { VALUE_TIME, "0", 0 },
        { VALUE_TIME, "250ms", 250 },
        { VALUE_TIME, "10s", 10000 },
        { VALUE_TIME, "5m", 300000 },
        { VALUE_TIME, "24h", 86400000 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        uint64_t value = 77;
        EXPECT_ERR(parse(cases[i].kind, cases[i].chars, &value), PH_OK);
        EXPECT_EQ(value, cases[i].value);
    }
}

// What is not understood must be refused, not guessed; and nothing written.
TEST(value, what_is_not_understood_is_refused)
{
    static const struct {
        value_kind kind;
        const char *chars;
    } cases[] = {
        { VALUE_COUNT, "" },      { VALUE_COUNT, "-1" },   { VALUE_COUNT, "+1" },
        { VALUE_COUNT, " 1" },    { VALUE_COUNT, "1 " },   { VALUE_COUNT, "0x10" },
        { VALUE_COUNT, "1k" },    { VALUE_COUNT, "1.5" },  { VALUE_BYTES, "64KB" },
        { VALUE_BYTES, "64kib" }, { VALUE_BYTES, "KiB" },  { VALUE_TIME, "10" },
        { VALUE_TIME, "10 s" },   { VALUE_TIME, "1m30s" }, { VALUE_TIME, "1d" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        uint64_t value = 77;
        EXPECT_ERR(parse(cases[i].kind, cases[i].chars, &value), PH_EINVAL);
        EXPECT_EQ(value, 77);
    }
}

// A number too large for its type must not come back as a small one.
TEST(value, overflow_is_out_of_range)
{
    uint64_t value = 77;
    EXPECT_ERR(parse(VALUE_COUNT, "18446744073709551615", &value), PH_OK);
    EXPECT(value == UINT64_MAX);
    phi_diag diag = { { 0 } };
    EXPECT_ERR(value_parse(VALUE_COUNT, "18446744073709551616", 0, 10, &value, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "out of range: 0 to 10") != NULL);
    EXPECT_ERR(value_parse(VALUE_BYTES, "18446744073709551615KiB", 0, 10, &value, NULL), PH_EINVAL);
    EXPECT_ERR(value_parse(VALUE_TIME, "18446744073709551615h", 0, 10, &value, NULL), PH_EINVAL);
}

// The bounds themselves belong to the range.
TEST(value, range_includes_its_ends)
{
    uint64_t value = 0;
    EXPECT_ERR(value_parse(VALUE_TIME, "100ms", 100, 1000, &value, NULL), PH_OK);
    EXPECT_ERR(value_parse(VALUE_TIME, "1s", 100, 1000, &value, NULL), PH_OK);
    EXPECT_ERR(value_parse(VALUE_TIME, "99ms", 100, 1000, &value, NULL), PH_EINVAL);
    EXPECT_ERR(value_parse(VALUE_TIME, "1001ms", 100, 1000, &value, NULL), PH_EINVAL);
}

// check-config prints what a file may hold: printing and reading must be inverse.
TEST(value, what_is_printed_can_be_read)
{
    static const uint64_t values[] = { 0,
                                       1,
                                       999,
                                       1000,
                                       1024,
                                       1500,
                                       60000,
                                       65536,
                                       90000,
                                       3600000,
                                       1048576,
                                       86400000,
                                       UINT64_C(1) << 30,
                                       UINT64_MAX };
    for (value_kind kind = VALUE_COUNT; kind <= VALUE_TIME; kind++) {
        for (size_t i = 0; i < PHI_COUNT_OF(values); i++) {
            char chars[VALUE_TEXT_BYTES];
            uint64_t again = 77;
            value_format(kind, values[i], chars);
            EXPECT_ERR(parse(kind, chars, &again), PH_OK);
            EXPECT(again == values[i]);
        }
    }
    char chars[VALUE_TEXT_BYTES];
    value_format(VALUE_TIME, 90000, chars);
    EXPECT_TEXT(chars, "90s"); // the largest unit without a rest
}

// SPDX-License-Identifier: Apache-2.0

#include "text/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/random.h"
#include "base/utf8.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

static char room[4096];

static phi_json fixture(void)
{
    phi_json json;
    memset(room, 0, sizeof room);
    phi_json_init_span(&json, (phi_span){ (uint8_t *)room, sizeof room - 1 });
    return json;
}

static const char *finished(phi_json *json)
{
    EXPECT(phi_json_finish(json));
    EXPECT_EQ(phi_json_view(json).size, strlen(room));
    return room;
}

// Commas and colons decide whether any reader takes it.
TEST(json, nesting_and_separators)
{
    phi_json json = fixture();
    phi_json_object_begin(&json);
    phi_json_key(&json, "empty");
    phi_json_object_begin(&json);
    phi_json_object_end(&json);
    phi_json_key(&json, "list");
    phi_json_array_begin(&json);
    phi_json_u64(&json, 0);
    phi_json_u64(&json, UINT64_MAX);
    phi_json_array_begin(&json);
    phi_json_array_end(&json);
    phi_json_bool(&json, true);
    phi_json_bool(&json, false);
    phi_json_null(&json);
    phi_json_object_begin(&json);
    phi_json_key(&json, "a");
    phi_json_text(&json, "b");
    phi_json_object_end(&json);
    phi_json_array_end(&json);
    phi_json_key_bytes(&json, phi_bytes_text("last"));
    phi_json_decimal(&json, 1.5, 2);
    phi_json_object_end(&json);
    EXPECT_TEXT(finished(&json),
                "{\"empty\":{},\"list\":[0,18446744073709551615,[],true,false,null,"
                "{\"a\":\"b\"}],\"last\":1.50}");
}

static const char *string_of(const char *bytes, size_t size)
{
    phi_json json = fixture();
    phi_json_string(&json, phi_bytes_of(bytes, size));
    return finished(&json);
}

// What a peer named itself must not break a line of the log, a terminal, or the JSON around it.
TEST(json, strings_are_escaped)
{
    EXPECT_TEXT(string_of("", 0), "\"\"");
    EXPECT_TEXT(string_of("say \"hi\" \\ /", 12), "\"say \\\"hi\\\" \\\\ /\"");
    EXPECT_TEXT(string_of("\b\f\n\r\t", 5), "\"\\b\\f\\n\\r\\t\"");
    EXPECT_TEXT(string_of("\0\x01\x1b\x1f\x7f", 5), "\"\\u0000\\u0001\\u001b\\u001f\\u007f\"");
    EXPECT_TEXT(string_of("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", 8),
                "\"\\u0080\\u009b\\u009f\xc2\xa0\"");
    EXPECT_TEXT(string_of("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 12),
                "\"\xe2\x80\xa7\\u2028\\u2029\\u202a\"");
    EXPECT_TEXT(string_of("\xd8\x9c\xef\xbb\xbf\xe2\x81\xa9\xe2\x81\xaa", 11),
                "\"\\u061c\\ufeff\\u2069\xe2\x81\xaa\"");
    EXPECT_TEXT(string_of("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80!", 12),
                "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80!\"");
}

#define FFFD "\xef\xbf\xbd"

// Bytes that are no UTF-8 must be seen as such, each piece once, and swallow nothing behind them.
TEST(json, invalid_utf8_becomes_replacement_characters)
{
    EXPECT_TEXT(string_of("a\xff"
                          "b",
                          3),
                "\"a" FFFD "b\"");
    EXPECT_TEXT(string_of("\xc3", 1), "\"" FFFD "\"");
    EXPECT_TEXT(string_of("\xc3\"", 2), "\"" FFFD "\\\"\"");
    EXPECT_TEXT(string_of("\xe2\x82", 2), "\"" FFFD "\"");
    EXPECT_TEXT(string_of("\xed\xa0\x80", 3), "\"" FFFD FFFD FFFD "\"");
    // The example of Unicode 15, table 3-11.
    EXPECT_TEXT(string_of("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
                          "A",
                          9),
                "\"" FFFD FFFD FFFD FFFD "A\"");
}

// Whatever bytes go in, an independent parser must accept the line and give back the same text.
TEST(json, random_bytes_are_read_back_by_jansson)
{
    phi_random random = phi_random_seeded(5);
    static const uint8_t likely[] = { 0,    '"',  '\\', '\n', 0x1b, 'a',  0xc2, 0x9b, 0xe2,
                                      0x80, 0xa8, 0xf0, 0x9f, 0x98, 0xed, 0xa0, 0xbf };
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[40];
        size_t size = phi_random_below(&random, sizeof bytes + 1);
        for (size_t k = 0; k < size; k++) {
            bytes[k] = likely[phi_random_below(&random, PHI_COUNT_OF(likely))];
        }
        phi_bytes text = phi_bytes_of(bytes, size);
        phi_json json = fixture();
        phi_json_array_begin(&json);
        phi_json_string(&json, text);
        phi_json_array_end(&json);
        const char *line = finished(&json);
        for (const char *at = line; *at != '\0'; at++) {
            EXPECT((uint8_t)*at >= 0x20 && *at != 0x7f);
        }
        EXPECT(phi_utf8_is_valid(phi_bytes_text(line)));

        json_t *parsed = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(parsed);
        json_t *string = json_array_get(parsed, 0);
        if (phi_utf8_is_valid(text)) {
            EXPECT_EQ(json_string_length(string), size);
            EXPECT_BYTES(json_string_value(string), bytes, size);
        } else {
            assert_non_null(memmem(json_string_value(string), json_string_length(string), FFFD, 3));
        }
        json_decref(parsed);
    }
}

static const char *decimal_of(double value, unsigned decimals)
{
    phi_json json = fixture();
    phi_json_decimal(&json, value, decimals);
    return finished(&json);
}

// Latencies and rates are written with this; a wrong carry or sign is off by orders of magnitude.
TEST(json, decimals_are_rounded_and_carried)
{
    EXPECT_TEXT(decimal_of(0, 0), "0");
    EXPECT_TEXT(decimal_of(0, 3), "0.000");
    EXPECT_TEXT(decimal_of(0.05, 2), "0.05");
    EXPECT_TEXT(decimal_of(1.005e2, 1), "100.5");
    EXPECT_TEXT(decimal_of(2.5, 0), "3");
    EXPECT_TEXT(decimal_of(-2.5, 0), "-3");
    EXPECT_TEXT(decimal_of(9.9996, 3), "10.000");
    EXPECT_TEXT(decimal_of(-0.0004, 3), "0.000"); // no negative zero
    EXPECT_TEXT(decimal_of(-0.0006, 3), "-0.001");
    EXPECT_TEXT(decimal_of(123456789.123456789, 9), "123456789.123456791");
    EXPECT_TEXT(decimal_of(999999999999999.0, 2), "999999999999999.00");
    EXPECT_TEXT(decimal_of(1e15, 2), "1000000000000000");
    EXPECT_TEXT(decimal_of(NAN, 2), "null");
    EXPECT_TEXT(decimal_of(-INFINITY, 2), "null");
    EXPECT_EQ(strlen(decimal_of(-1.7976931348623157e308, 2)), 310);

    phi_random random = phi_random_seeded(6);
    for (int i = 0; i < 20000; i++) {
        double value = ((double)phi_random_below(&random, UINT64_C(1) << 40) - 5e11) / 1024;
        char expected[64];
        snprintf(expected, sizeof expected, "%.4f", value);  // the C locale
        if (fabs(fabs(fmod(value * 1e4, 1)) - 0.5) > 1e-3) { // printf rounds halves to even
            EXPECT_TEXT(decimal_of(value, 4),
                        strcmp(expected, "-0.0000") == 0 ? "0.0000" : expected);
        }
    }
}

// One byte too few at any place must be told, and a half-written line must not go out.
TEST(json, what_does_not_fit_fails_and_leaves_the_buffer_as_it_was)
{
    size_t whole = 0;
    for (size_t max = 0; max < 100; max++) {
        phi_buf buf;
        phi_buf_init(&buf, &phi_alloc_heap, max + 3);
        EXPECT(phi_buf_append(&buf, phi_bytes_text("abc")));
        phi_json json;
        phi_json_init_buf(&json, &buf);
        phi_json_object_begin(&json);
        phi_json_key(&json, "k");
        phi_json_text(&json, "a\nb");
        phi_json_key(&json, "n");
        phi_json_decimal(&json, -12.25, 2);
        phi_json_object_end(&json);
        bool fits = phi_json_finish(&json);
        phi_span view = phi_buf_view(&buf);
        EXPECT_EQ(fits, max >= 23);
        EXPECT_EQ(view.size, fits ? 26 : 3);
        if (fits) {
            EXPECT_BYTES(view.data, "abc{\"k\":\"a\\nb\",\"n\":-12.25}", 26);
            whole++;
        }

        uint8_t fixed[100];
        memset(fixed, 0xee, sizeof fixed);
        phi_json_init_span(&json, (phi_span){ fixed, max });
        phi_json_text(&json, "twenty bytes, quoted");
        EXPECT_EQ(phi_json_finish(&json), max >= 22);
        EXPECT_EQ(fixed[max], 0xee);
        phi_buf_fini(&buf);
    }
    EXPECT_EQ(whole, 100 - 23);
}

// No memory is the same as no room.
TEST(json, nth_allocation_failing_leaves_the_buffer_as_it_was)
{
    size_t failures = 0;
    for (size_t n = 1; failures + 1 == n; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_buf buf;
        phi_buf_init(&buf, &counter.alloc, 1 << 20);
        phi_json json;
        phi_json_init_buf(&json, &buf);
        phi_json_array_begin(&json);
        for (uint64_t i = 0; i < 1000; i++) {
            phi_json_u64(&json, i);
        }
        phi_json_array_end(&json);
        if (!phi_json_finish(&json)) {
            failures++;
            EXPECT_EQ(phi_buf_size(&buf), 0);
        }
        phi_buf_fini(&buf);
        EXPECT_EQ(counter.bytes, 0);
    }
    EXPECT_EQ(failures, 5); // 32, 512, 1024, 2048, 4096
}

static void misuse(void *arg)
{
    phi_json json = fixture();
    switch (*(int *)arg) {
    case 0: // a value without a key
        phi_json_object_begin(&json);
        phi_json_u64(&json, 1);
        break;
    case 1: // a key in an array
        phi_json_array_begin(&json);
        phi_json_key(&json, "k");
        break;
    case 2: // the wrong end
        phi_json_array_begin(&json);
        phi_json_object_end(&json);
        break;
    case 3: // a key without a value
        phi_json_object_begin(&json);
        phi_json_key(&json, "k");
        phi_json_object_end(&json);
        break;
    case 4: // two values
        phi_json_u64(&json, 1);
        phi_json_u64(&json, 2);
        break;
    case 5: // not ended
        phi_json_array_begin(&json);
        assert_false(phi_json_finish(&json)); // does not come back
        break;
    case 6:                                   // nothing
        assert_false(phi_json_finish(&json)); // does not come back
        break;
    default: // too deep
        for (int i = 0; i <= PHI_JSON_DEPTH_MAX; i++) {
            phi_json_array_begin(&json);
        }
    }
}

// A writer that lets invalid JSON pass is found by the reader, in another team, in production.
TEST(json, misuse_aborts)
{
    for (int i = 0; i < 8; i++) {
        char said[1024];
        EXPECT(death_of(misuse, &i, said, sizeof said));
        assert_non_null(strstr(said, "json.c"));
    }
}

// The deepest nesting uses every bit.
TEST(json, deepest_nesting_is_written)
{
    phi_json json = fixture();
    for (int i = 0; i < PHI_JSON_DEPTH_MAX; i++) {
        phi_json_array_begin(&json);
        phi_json_u64(&json, 1);
    }
    for (int i = 0; i < PHI_JSON_DEPTH_MAX; i++) {
        phi_json_array_end(&json);
    }
    json_t *parsed = json_loads(finished(&json), 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
}

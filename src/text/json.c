// SPDX-License-Identifier: Apache-2.0
//
// text/json.c - the streaming writer.
//
// Where a comma goes is known from two bits per open object or array: which of the two it is, and
// whether it has an item already. A failed write keeps the state machine going, so that callers
// need not look before finish.

#include "text/json.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/utf8.h"

#define DOUBLE_BYTES_MAX 320 // the longest double has 309 digits
#define WHOLE_FROM 1e15      // from here on a double has no decimals worth writing

PH_STATIC_ASSERT(PHI_JSON_DEPTH_MAX <= 31); // bits of has_items, which has one for depth 0, too

// ---- life

void phi_json_init_buf(phi_json *json, phi_buf *buf)
{
    PH_ASSERT(json != NULL);
    PH_ASSERT(buf != NULL);
    *json = (phi_json){ .buf = buf };
}

void phi_json_init_span(phi_json *json, phi_span span)
{
    PH_ASSERT(json != NULL);
    *json = (phi_json){ .fixed = phi_writer_of(span) };
}

bool phi_json_finish(phi_json *json)
{
    PH_ASSERT(json->depth == 0);
    PH_ASSERT((json->has_items & 1) != 0); // a value was written
    if (!json->failed) {
        return true;
    }
    if (json->buf != NULL) {
        phi_buf_uncommit(json->buf, json->size);
    }
    json->size = 0;
    return false;
}

// ---- output

static void put(phi_json *json, const void *data, size_t size)
{
    if (json->failed) {
        return;
    }
    if (json->buf != NULL) {
        json->failed = !phi_buf_append(json->buf, phi_bytes_of(data, size));
    } else {
        phi_write_bytes(&json->fixed, phi_bytes_of(data, size));
        json->failed = json->fixed.failed;
    }
    if (!json->failed) {
        json->size += size;
    }
}

static inline uint32_t bit_of(unsigned depth)
{
    return UINT32_C(1) << depth;
}

static bool is_in_object(const phi_json *json)
{
    return json->depth > 0 && (json->is_object & bit_of(json->depth - 1u)) != 0;
}

static void separate(phi_json *json)
{
    PH_ASSERT(json->depth > 0 || json->has_items == 0); // one value at the top
    if ((json->has_items & bit_of(json->depth)) != 0) {
        put(json, ",", 1);
    }
    json->has_items |= bit_of(json->depth);
}

// What stands in front of a value.
static void begin_value(phi_json *json)
{
    PH_ASSERT(json->has_key == is_in_object(json));
    if (json->has_key) {
        json->has_key = false;
    } else {
        separate(json);
    }
}

// ---- objects and arrays

static void begin(phi_json *json, bool is_object)
{
    begin_value(json);
    PH_ASSERT(json->depth < PHI_JSON_DEPTH_MAX);
    put(json, is_object ? "{" : "[", 1);
    if (is_object) {
        json->is_object |= bit_of(json->depth);
    } else {
        json->is_object &= ~bit_of(json->depth);
    }
    json->depth++;
    json->has_items &= ~bit_of(json->depth);
}

static void end(phi_json *json, bool is_object)
{
    PH_ASSERT(json->depth > 0);
    PH_ASSERT(!json->has_key);
    PH_ASSERT(is_in_object(json) == is_object);
    json->depth--;
    put(json, is_object ? "}" : "]", 1);
}

void phi_json_object_begin(phi_json *json)
{
    begin(json, true);
}

void phi_json_object_end(phi_json *json)
{
    end(json, true);
}

void phi_json_array_begin(phi_json *json)
{
    begin(json, false);
}

void phi_json_array_end(phi_json *json)
{
    end(json, false);
}

// ---- strings

// What stands for the character at some place.
typedef struct escape {
    size_t used; // bytes of the text it covers
    size_t size; // of `text`; 0: the character goes as it is
    char text[6];
} escape;

static escape escape_short(char letter)
{
    return (escape){ .used = 1, .size = 2, .text = { '\\', letter } };
}

static escape escape_code(size_t used, unsigned code)
{
    static const char digits[] = "0123456789abcdef";
    escape e = { .used = used, .size = 6, .text = { '\\', 'u' } };
    for (unsigned i = 0; i < 4; i++) {
        e.text[2 + i] = digits[(code >> (12 - 4 * i)) & 15];
    }
    return e;
}

static escape escape_ascii(uint8_t byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return escape_short((char)byte);
    case '\b':
        return escape_short('b');
    case '\f':
        return escape_short('f');
    case '\n':
        return escape_short('n');
    case '\r':
        return escape_short('r');
    case '\t':
        return escape_short('t');
    default:
        return byte < 0x20 || byte == 0x7f ? escape_code(1, byte) : (escape){ .used = 1 };
    }
}

// Beyond ASCII, some characters are not written as they are: U+0080 to U+009F, because terminals
// obey some of them, U+2028 and U+2029, because some readers of lines end one there, and those that
// reorder or hide what stands around them on a screen. All have at most four digits.
static escape escape_at(phi_bytes rest)
{
    const uint8_t *at = rest.data;
    if (at[0] < 0x80) {
        return escape_ascii(at[0]);
    }
    size_t skip = 0;
    size_t length = phi_utf8_char(rest, &skip);
    if (length == 0) {
        return (escape){ .used = skip, .size = 3, .text = "\xef\xbf\xbd" }; // U+FFFD
    }
    uint32_t code = phi_utf8_code(at, length);
    if (!phi_utf8_is_harmless(code)) {
        PH_ASSERT(code <= 0xffff);
        return escape_code(length, code);
    }
    return (escape){ .used = length };
}

static inline bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void put_string(phi_json *json, phi_bytes text)
{
    put(json, "\"", 1);
    size_t kept = 0; // what stands before it is written; what stands from there goes as it is
    for (size_t at = 0; at < text.size;) {
        if (is_plain(text.data[at])) {
            at++;
            continue;
        }
        escape e = escape_at(phi_bytes_of(text.data + at, text.size - at));
        if (e.size != 0) {
            put(json, text.data + kept, at - kept);
            put(json, e.text, e.size);
            kept = at + e.used;
        }
        at += e.used;
    }
    if (kept < text.size) {
        put(json, text.data + kept, text.size - kept);
    }
    put(json, "\"", 1);
}

void phi_json_key_bytes(phi_json *json, phi_bytes key)
{
    PH_ASSERT(is_in_object(json));
    PH_ASSERT(!json->has_key);
    separate(json);
    put_string(json, key);
    put(json, ":", 1);
    json->has_key = true;
}

void phi_json_key(phi_json *json, const char *key)
{
    PH_ASSERT(key != NULL);
    phi_json_key_bytes(json, phi_bytes_text(key));
}

void phi_json_string(phi_json *json, phi_bytes text)
{
    begin_value(json);
    put_string(json, text);
}

void phi_json_text(phi_json *json, const char *text)
{
    PH_ASSERT(text != NULL);
    phi_json_string(json, phi_bytes_text(text));
}

// ---- other values

static void put_u64(phi_json *json, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(json, digits + first, sizeof digits - first);
}

void phi_json_u64(phi_json *json, uint64_t value)
{
    begin_value(json);
    put_u64(json, value);
}

void phi_json_bool(phi_json *json, bool value)
{
    begin_value(json);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void phi_json_null(phi_json *json)
{
    begin_value(json);
    put(json, "null", 4);
}

void phi_json_decimal(phi_json *json, double value, unsigned decimals)
{
    PH_ASSERT(decimals <= PHI_JSON_DECIMALS_MAX);
    if (!isfinite(value)) {
        phi_json_null(json);
        return;
    }
    begin_value(json);
    double size = fabs(value);
    if (size >= WHOLE_FROM) {
        char text[DOUBLE_BYTES_MAX];
        int used = snprintf(text, sizeof text, "%.0f", value);
        PH_ASSERT(used > 0 && (size_t)used < sizeof text);
        put(json, text, (size_t)used);
        return;
    }

    // Not by printf: it would write a comma where the process's locale has one.
    uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; i++) {
        scale *= 10;
    }
    uint64_t whole = (uint64_t)size; // exact, and so is the difference below
    uint64_t fraction = (uint64_t)((size - (double)whole) * (double)scale + 0.5);
    if (fraction >= scale) {
        fraction -= scale;
        whole++;
    }
    if (value < 0 && (whole != 0 || fraction != 0)) {
        put(json, "-", 1);
    }
    put_u64(json, whole);
    if (decimals > 0) {
        char text[1 + PHI_JSON_DECIMALS_MAX] = ".";
        for (unsigned i = decimals; i > 0; i--) {
            text[i] = (char)('0' + fraction % 10);
            fraction /= 10;
        }
        put(json, text, 1 + decimals);
    }
}

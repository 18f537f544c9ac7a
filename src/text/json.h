// SPDX-License-Identifier: Apache-2.0
//
// text/json.h - writes JSON (RFC 8259) as it goes, into a buffer or a fixed piece of memory. No
// tree is built and nothing is allocated but the buffer's own growth.
//
// The result is always valid JSON in valid UTF-8, on one line: control characters and line
// separators are escaped, bytes that are no UTF-8 become U+FFFD. So anything a peer sent may be
// written.
//
// Life     init -> (begin, key, value, end)* -> finish
// Limits   PHI_JSON_DEPTH_MAX open objects and arrays; what does not fit fails, told by finish
// Use      A value in an object follows a key; each begin has its end. Anything else is a bug of
//          the caller and asserts.

#ifndef PHI_TEXT_JSON_H
#define PHI_TEXT_JSON_H

#include "base/buf.h"
#include "base/bytes.h"

#define PHI_JSON_DEPTH_MAX 31
#define PHI_JSON_DECIMALS_MAX 9

typedef struct phi_json {
    phi_buf *buf;     // where it goes, or NULL:
    phi_writer fixed; // here
    size_t size;      // written so far
    bool failed;      // something did not fit; nothing is written from there on
    bool has_key;     // the next value belongs to a key
    uint8_t depth;
    uint32_t is_object; // bit n: what is open at depth n + 1 is an object, else an array
    uint32_t has_items; // bit n: a comma comes before the next item at depth n
} phi_json;

void phi_json_init_buf(phi_json *json, phi_buf *buf);
void phi_json_init_span(phi_json *json, phi_span span);

// True: one whole value was written. False: it did not fit; then the buffer holds what it held at
// init.
PHI_MUST_CHECK bool phi_json_finish(phi_json *json);

// What was written into a fixed piece.
static inline phi_bytes phi_json_view(const phi_json *json)
{
    return phi_writer_view(&json->fixed);
}

void phi_json_object_begin(phi_json *json);
void phi_json_object_end(phi_json *json);
void phi_json_array_begin(phi_json *json);
void phi_json_array_end(phi_json *json);

// Not checked for being used twice in an object.
void phi_json_key(phi_json *json, const char *key);
void phi_json_key_bytes(phi_json *json, phi_bytes key);

void phi_json_string(phi_json *json, phi_bytes text);
void phi_json_text(phi_json *json, const char *text);

// With all digits; JavaScript's own parser keeps 53 bits of them.
void phi_json_u64(phi_json *json, uint64_t value);
void phi_json_bool(phi_json *json, bool value);
void phi_json_null(phi_json *json);

// With exactly so many decimals (at most PHI_JSON_DECIMALS_MAX), rounded half away from zero, in
// every locale. What is no number becomes null; 1e15 and more are written without decimals.
void phi_json_decimal(phi_json *json, double value, unsigned decimals);

#endif // PHI_TEXT_JSON_H

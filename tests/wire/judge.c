// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/judge.c - round trips of every family.
//
// Where a form leaves no choice (heartbeat, message, page, status, bye) the bytes must come back as
// they were. Where it does (order of fields, unknown tags, defaults) what was written must read the
// same, and be written the same again.

#include "tests/wire/judge.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wire/equal.h"
#include "wire/codes.h"

#define ROOM_BYTES (2 * 65536)

// Fields that are not there but have a default are written: type and presence of JOIN.
static uint8_t room_a[ROOM_BYTES];
static uint8_t room_b[ROOM_BYTES];

static phi_writer writer(uint8_t *room)
{
    return phi_writer_of((phi_span){ room, ROOM_BYTES });
}

static phi_bytes copied(phi_bytes payload)
{
    uint8_t *copy = malloc(payload.size == 0 ? 1 : payload.size);
    if (copy == NULL) {
        abort();
    }
    if (payload.size != 0) {
        memcpy(copy, payload.data, payload.size);
    }
    return phi_bytes_of(copy, payload.size);
}

static void uncopied(phi_bytes copy)
{
    free((void *)(uintptr_t)copy.data);
}

// The body of a judge for families with a choice of form. `extra` is further to be looked at.
#define JUDGE_ROUND_TRIP(name, type, is_writable)                                                  \
    const char *judge_##name(phi_bytes payload, bool *accepted)                                    \
    {                                                                                              \
        phi_bytes copy = copied(payload);                                                          \
        phi_##type first;                                                                          \
        phi_##type second;                                                                         \
        phi_writer a = writer(room_a);                                                             \
        phi_writer b = writer(room_b);                                                             \
        const char *wrong = NULL;                                                                  \
        *accepted = phi_##type##_decode(copy, &first) == PH_OK;                                    \
        if (*accepted && (is_writable)) {                                                          \
            phi_##type##_encode(&a, &first);                                                       \
            if (a.failed) {                                                                        \
                wrong = #name ": what was read is longer than its packet when written";            \
            } else if (phi_##type##_decode(phi_writer_view(&a), &second) != PH_OK) {               \
                wrong = #name ": what was written is refused";                                     \
            } else if (!name##_equal(&first, &second)) {                                           \
                wrong = #name ": what was written means something else";                           \
            } else {                                                                               \
                phi_##type##_encode(&b, &second);                                                  \
                wrong = phi_bytes_equal(phi_writer_view(&a), phi_writer_view(&b)) ? NULL           \
                                                                                  : #name          \
                            ": written otherwise the second time";                                 \
            }                                                                                      \
        }                                                                                          \
        uncopied(copy);                                                                            \
        return wrong;                                                                              \
    }

JUDGE_ROUND_TRIP(hello, hello, first.version == PHI_PROTOCOL_VERSION)
JUDGE_ROUND_TRIP(join, join, first.version == PHI_PROTOCOL_VERSION)
JUDGE_ROUND_TRIP(welcome, welcome, true)
JUDGE_ROUND_TRIP(ask, presence_ask, true)

// The body of a judge for families with one form; `inside` looks at the parts and may say what is
// wrong with them.
#define JUDGE_SAME_BYTES(name, type, inside)                                                       \
    const char *judge_##name(phi_bytes payload, bool *accepted)                                    \
    {                                                                                              \
        phi_bytes copy = copied(payload);                                                          \
        phi_##type first;                                                                          \
        phi_writer a = writer(room_a);                                                             \
        const char *wrong = NULL;                                                                  \
        *accepted = phi_##type##_decode(copy, &first) == PH_OK;                                    \
        if (*accepted) {                                                                           \
            wrong = inside;                                                                        \
            phi_##type##_encode(&a, &first);                                                       \
            if (a.failed || !phi_bytes_equal(phi_writer_view(&a), copy)) {                         \
                wrong = #name ": written otherwise than it was read";                              \
            }                                                                                      \
        }                                                                                          \
        uncopied(copy);                                                                            \
        return wrong;                                                                              \
    }

static const char *heartbeat_wrong(const phi_heartbeat *h)
{
    return h->kind == PHI_HEARTBEAT_EMPTY && h->stamp != 0 ? "heartbeat: empty with a stamp" : NULL;
}

static const char *bye_wrong(const phi_bye *bye)
{
    return bye->text.size > PHI_BYE_TEXT_BYTES_MAX ? "bye: text too long" : NULL;
}

// A decoded page promises that its entries can be read, as many as it says, and each written as it
// was.
static const char *entries_wrong(phi_bytes entries, size_t count)
{
    phi_reader r = phi_reader_of(entries);
    phi_entry e;
    phi_entry_detail detail;
    size_t found = 0;
    const uint8_t *begin = r.at;
    while (phi_entry_decode(&r, &e)) {
        found++;
        if (phi_entry_detail_decode(e.fields, &detail) != PH_OK) {
            return "entry: accepted with fields that are refused";
        }
        size_t size = (size_t)(r.at - begin);
        if (size <= PHI_ENTRY_BYTES_MAX) {
            phi_writer w = writer(room_b);
            phi_entry_encode(&w, &e);
            if (w.failed || !phi_bytes_equal(phi_writer_view(&w), phi_bytes_of(begin, size))) {
                return "entry: written otherwise than it was read";
            }
        }
        begin = r.at;
    }
    return r.failed || found != count ? "entries: not those that were promised" : NULL;
}

JUDGE_SAME_BYTES(heartbeat, heartbeat, heartbeat_wrong(&first))
JUDGE_SAME_BYTES(bye, bye, bye_wrong(&first))
JUDGE_SAME_BYTES(page, page, entries_wrong(first.entries, first.count))
JUDGE_SAME_BYTES(status, status, entries_wrong(first.entries, first.count))

// Headers may be anything (P-54: unread); when they can be read, they can be written.
static const char *headers_wrong(phi_bytes headers)
{
    phi_reader r = phi_reader_of(headers);
    phi_writer w = writer(room_b);
    phi_header header;
    while (phi_header_next(&r, &header)) {
        phi_write_header(&w, header.name, header.value);
    }
    if (!r.failed && !phi_bytes_equal(phi_writer_view(&w), headers)) {
        return "headers: written otherwise than they were read";
    }
    return w.failed ? "headers: read but not to be written" : NULL;
}

const char *judge_message(phi_bytes payload, bool *accepted)
{
    phi_bytes copy = copied(payload);
    phi_message m;
    const char *wrong = NULL;
    *accepted = phi_message_decode(copy, &m) == PH_OK;
    if (*accepted) {
        wrong = headers_wrong(m.headers);
        if (phi_message_size(&m) != copy.size || copy.size > ROOM_BYTES) {
            wrong = "message: the parts are not the whole";
        } else {
            phi_message_encode(room_a, &m);
            if (memcmp(room_a, copy.data, copy.size) != 0) {
                wrong = "message: written otherwise than it was read";
            }
            uint8_t *headers_at = phi_message_encode_head(room_a, &m);
            if (headers_at != room_a + (m.headers.data - copy.data)) {
                wrong = "message: the head ends somewhere else";
            }
        }
        phi_failure failure;
        bool has_code = phi_failure_decode(m.body, &failure) == PH_OK;
        if (has_code != (m.body.size >= 2) || (has_code && failure.text.size + 2 != m.body.size)) {
            wrong = "failure: not just its code and the rest";
        }
    }
    uncopied(copy);
    return wrong;
}

static const struct {
    const char *family;
    judge_fn *judge;
} judges[] = {
    { "heartbeat", judge_heartbeat }, { "hello", judge_hello },     { "join", judge_join },
    { "welcome", judge_welcome },     { "page", judge_page },       { "ask", judge_ask },
    { "status", judge_status },       { "message", judge_message }, { "bye", judge_bye },
};

judge_fn *judge_find(const char *family)
{
    const char *name;
    judge_fn *judge;
    for (size_t i = 0; (judge = judge_at(i, &name)) != NULL; i++) {
        if (strcmp(name, family) == 0) {
            return judge;
        }
    }
    return NULL;
}

judge_fn *judge_at(size_t index, const char **family)
{
    if (index >= sizeof judges / sizeof judges[0]) {
        return NULL;
    }
    *family = judges[index].family;
    return judges[index].judge;
}

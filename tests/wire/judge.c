// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/judge.c - round trips of every family.
//
// Where a form leaves no choice (heartbeat, message, page, status, bye, subscription, stream) the
// bytes must come back as they were. Where it does (order of fields, unknown tags, defaults) what
// was written must read the same, and be written the same again.

#include "tests/wire/judge.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wire/equal.h"
#include "wire/codes.h"

#define ROOM_BYTES (2 * 65536)

// Fields that are not there but have a default are written: type, presence and state of JOIN.
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
JUDGE_ROUND_TRIP(own_state, own_state, true)
JUDGE_ROUND_TRIP(credential, credential, true)
JUDGE_ROUND_TRIP(credential_answer, credential_answer, true)

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

// Bodies that the center itself writes: taken only when they can be written again, byte for byte.
static const char *body_wrong(phi_bytes body)
{
    phi_failure failure;
    bool has_code = phi_failure_decode(body, &failure) == PH_OK;
    bool is_code = body.size >= 2 && phi_get_u16(body.data) != 0;
    if (has_code != is_code || (has_code && failure.text.size + 2 != body.size)) {
        return "failure: not just its code and the rest";
    }
    phi_receipt receipt;
    if (phi_receipt_decode(body, &receipt) == PH_OK) {
        phi_receipt_encode(room_b, &receipt);
        if (!phi_bytes_equal(phi_bytes_of(room_b, PHI_RECEIPT_BYTES), body)) {
            return "receipt: written otherwise than it was read";
        }
    }
    phi_gathered gathered;
    if (phi_gathered_decode(body, &gathered) == PH_OK) {
        phi_writer w = writer(room_b);
        phi_gathered_encode_head(phi_write_room(&w, PHI_GATHERED_HEAD_BYTES), &gathered);
        phi_reader r = phi_reader_of(gathered.missing);
        uint16_t code = 0;
        phi_bytes id = { 0 };
        while (phi_gathered_next(&r, &code, &id)) {
            phi_write_missing(&w, code, id);
        }
        if (r.failed || !phi_bytes_equal(phi_writer_view(&w), body)) {
            return "gathered: written otherwise than it was read";
        }
    }
    return NULL;
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
        wrong = wrong == NULL ? body_wrong(m.body) : wrong;
    }
    uncopied(copy);
    return wrong;
}

const char *judge_stream(phi_bytes payload, bool *accepted)
{
    phi_bytes copy = copied(payload);
    phi_stream_control control;
    const char *wrong = NULL;
    *accepted = phi_stream_control_decode(copy, &control) == PH_OK;
    if (*accepted) {
        phi_stream_control_encode(room_a, &control);
        if (!phi_bytes_equal(phi_bytes_of(room_a, PHI_STREAM_CONTROL_BYTES), copy)) {
            wrong = "stream: written otherwise than it was read";
        }
    }
    uncopied(copy);
    return wrong;
}

// Fields of later versions apart, what was read is written again as it was.
const char *judge_subscription(phi_bytes payload, bool *accepted)
{
    phi_bytes copy = copied(payload);
    phi_subscription s;
    const char *wrong = NULL;
    *accepted = phi_subscription_decode(copy, &s) == PH_OK;
    if (*accepted) {
        phi_writer w = writer(room_a);
        phi_reader r = phi_reader_of(s.changes);
        phi_field field;
        phi_subscription_begin(&w, s.number);
        while (phi_field_next(&r, &field)) {
            if (field.tag == PHI_SUBSCRIPTION_ADD || field.tag == PHI_SUBSCRIPTION_REMOVE) {
                phi_write_change(&w, (phi_subscription_tag)field.tag, field.value);
            } else {
                phi_write_u8(&w, field.tag);
                phi_write_u16(&w, (uint16_t)field.value.size);
                phi_write_bytes(&w, field.value);
            }
        }
        if (r.failed || w.failed || !phi_bytes_equal(phi_writer_view(&w), copy)) {
            wrong = "subscription: written otherwise than it was read";
        }
    }
    uncopied(copy);
    return wrong;
}

const char *judge_subscription_answer(phi_bytes payload, bool *accepted)
{
    phi_bytes copy = copied(payload);
    phi_subscription answer;
    const char *wrong = NULL;
    *accepted = phi_subscription_answer_decode(copy, &answer) == PH_OK;
    if (*accepted) {
        phi_writer w = writer(room_a);
        phi_reader r = phi_reader_of(answer.changes);
        phi_field field;
        phi_subscription_begin(&w, answer.number);
        while (phi_field_next(&r, &field)) {
            phi_refusal refusal = { 0 };
            if (field.tag == PHI_SUBSCRIPTION_REFUSED) {
                refusal = phi_refusal_decode(field.value);
            }
            if (refusal.code != 0) {
                phi_write_refusal(&w, refusal.code, refusal.pattern);
            } else {
                phi_write_u8(&w, field.tag);
                phi_write_u16(&w, (uint16_t)field.value.size);
                phi_write_bytes(&w, field.value);
            }
        }
        if (r.failed || w.failed || !phi_bytes_equal(phi_writer_view(&w), copy)) {
            wrong = "subscription answer: written otherwise than it was read";
        }
    }
    uncopied(copy);
    return wrong;
}

static const struct {
    const char *family;
    judge_fn *judge;
} judges[] = {
    { "heartbeat", judge_heartbeat },
    { "hello", judge_hello },
    { "join", judge_join },
    { "welcome", judge_welcome },
    { "page", judge_page },
    { "ask", judge_ask },
    { "status", judge_status },
    { "message", judge_message },
    { "bye", judge_bye },
    { "own_state", judge_own_state },
    { "subscription", judge_subscription },
    { "subscription_answer", judge_subscription_answer },
    { "stream", judge_stream },
    { "credential", judge_credential },
    { "credential_answer", judge_credential_answer },
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

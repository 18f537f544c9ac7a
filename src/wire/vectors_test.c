// SPDX-License-Identifier: Apache-2.0
//
// wire/vectors_test.c - the golden vectors of tests/vectors/, which were made from docs/protocol.md
// by other means: every decoder and encoder, check and cipher must agree with them.

#include "tests/harness/test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wire/equal.h"
#include "wire/inbound.h"
#include "wire/outbound.h"
#include "wire/topic.h"

// ---- reading JSON

// What is decoded out of the file for one vector lives here.
static uint8_t pool[1 << 20];
static size_t pool_used;

static json_t *vectors_load(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/vectors/%s.json", PH_SOURCE_DIR, name);
    json_t *all = json_load_file(path, 0, &error);
    if (all == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    EXPECT(json_is_array(all));
    EXPECT(json_array_size(all) > 0);
    return all;
}

static uint8_t hex_digit(char c)
{
    EXPECT((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static phi_bytes hex(const json_t *value)
{
    const char *text = json_string_value(value);
    EXPECT(text != NULL);
    size_t size = strlen(text) / 2;
    EXPECT(strlen(text) == 2 * size);
    EXPECT(size <= sizeof pool - pool_used);
    uint8_t *to = pool + pool_used;
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    pool_used += size;
    return phi_bytes_of(to, size);
}

static phi_bytes get_hex(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);
    return value == NULL ? (phi_bytes){ NULL, 0 } : hex(value);
}

static phi_bytes get_text(const json_t *o, const char *name)
{
    return phi_bytes_text(json_string_value(json_object_get(o, name)));
}

// 0 when absent; numbers of 64 bits are texts.
static uint64_t get_number(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);
    if (json_is_string(value)) {
        return strtoull(json_string_value(value), NULL, 10);
    }
    return (uint64_t)json_integer_value(value);
}

static const char *name_of(const json_t *vector)
{
    return json_string_value(json_object_get(vector, "name"));
}

// ---- what the fields of a vector mean

static phi_heartbeat heartbeat_of(const json_t *f)
{
    const char *kind = json_string_value(json_object_get(f, "kind"));
    phi_heartbeat heartbeat = { .stamp = get_number(f, "stamp") };
    heartbeat.kind = strcmp(kind, "ask") == 0      ? PHI_HEARTBEAT_ASK
                     : strcmp(kind, "answer") == 0 ? PHI_HEARTBEAT_ANSWER
                                                   : PHI_HEARTBEAT_EMPTY;
    return heartbeat;
}

static void secret_of(const json_t *f, const char *name, uint8_t *to, size_t size)
{
    phi_bytes secret = get_hex(f, name);
    if (secret.size != 0) {
        EXPECT_EQ(secret.size, size);
        memcpy(to, secret.data, size);
    }
}

static phi_keys keys_of(const json_t *f)
{
    phi_keys keys = { 0 };
    secret_of(f, "to_client_key", keys.to_client_key, sizeof keys.to_client_key);
    secret_of(f, "to_client_iv", keys.to_client_iv, sizeof keys.to_client_iv);
    secret_of(f, "to_center_key", keys.to_center_key, sizeof keys.to_center_key);
    secret_of(f, "to_center_iv", keys.to_center_iv, sizeof keys.to_center_iv);
    return keys;
}

static phi_hello hello_of(const json_t *f)
{
    return (phi_hello){
        .version = (uint16_t)get_number(f, "version"),
        .suite = (phi_suite)get_number(f, "suite"),
        .domain = get_text(f, "domain"),
        .keys = keys_of(f),
        .heartbeat_idle_ms = (uint32_t)get_number(f, "heartbeat_idle_ms"),
        .heartbeat_grace_ms = (uint32_t)get_number(f, "heartbeat_grace_ms"),
        .packet_bytes_max = (uint32_t)get_number(f, "packet_bytes_max"),
        .calls_max = (uint32_t)get_number(f, "calls_max"),
        .message_bytes_max = (uint32_t)get_number(f, "message_bytes_max"),
        .streams_max = (uint32_t)get_number(f, "streams_max"),
        .subscriptions_max = (uint32_t)get_number(f, "subscriptions_max"),
    };
}

static phi_presence_ask ask_of(const json_t *f)
{
    return (phi_presence_ask){
        .wants = get_number(f, "wants") != 0,
        .type = (uint8_t)get_number(f, "type"),
        .service = get_text(f, "service"),
        .domain = get_text(f, "domain"),
        .last_epoch = get_number(f, "last_epoch"),
        .last_revision = get_number(f, "last_revision"),
    };
}

static size_t metadata_of(const json_t *f, phi_metadata *out)
{
    const json_t *all = json_object_get(f, "metadata");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *m = json_array_get(all, i);
        out[i] = (phi_metadata){ get_text(m, "key"), get_hex(m, "value") };
    }
    return json_array_size(all);
}

// What is absent has its default, in a JOIN of this version.
static uint64_t get_or(const json_t *o, const char *name, uint64_t otherwise)
{
    return json_object_get(o, name) == NULL ? otherwise : get_number(o, name);
}

static phi_join join_of(const json_t *f)
{
    bool is_ours = get_number(f, "version") == PHI_PROTOCOL_VERSION;
    phi_join join = {
        .version = (uint16_t)get_number(f, "version"),
        .account = get_text(f, "account"),
        .type = (phi_client_type)get_number(f, "type"),
        .service = get_text(f, "service"),
        .token = get_hex(f, "token"),
        .capabilities = (uint32_t)get_number(f, "capabilities"),
        .presence = ask_of(json_object_get(f, "presence")),
        .software = get_text(f, "software"),
        .state = (phi_state)get_or(f, "state", is_ours ? PHI_STATE_READY : 0),
        .has_weight = json_object_get(f, "weight") != NULL,
        .weight = (uint16_t)get_or(f, "weight", is_ours ? 100 : 0),
        .message_bytes_max = (uint32_t)get_number(f, "message_bytes_max"),
    };
    join.metadata_count = metadata_of(f, join.metadata);
    return join;
}

static phi_welcome welcome_of(const json_t *f)
{
    return (phi_welcome){ .id = get_text(f, "id"),
                          .session = get_number(f, "session"),
                          .epoch = get_number(f, "epoch"),
                          .revision = get_number(f, "revision"),
                          .expires_ms = (uint32_t)get_number(f, "expires_ms") };
}

static phi_credential credential_of(const json_t *f)
{
    return (phi_credential){ .token = get_hex(f, "token") };
}

static phi_credential_answer credential_answer_of(const json_t *f)
{
    return (phi_credential_answer){ .expires_ms = (uint32_t)get_number(f, "expires_ms") };
}

static void entry_write(phi_writer *w, const json_t *f)
{
    static uint8_t room[PHI_ENTRY_BYTES_MAX];
    phi_writer fields = phi_writer_of((phi_span){ room, sizeof room });
    if (json_object_get(f, "software") != NULL) {
        phi_write_field(&fields, PHI_ENTRY_SOFTWARE, get_text(f, "software"));
    }
    if (json_object_get(f, "weight") != NULL) {
        phi_write_field_u16(&fields, PHI_ENTRY_WEIGHT, (uint16_t)get_number(f, "weight"));
    }
    const json_t *metadata = json_object_get(f, "metadata");
    for (size_t i = 0; i < json_array_size(metadata); i++) {
        const json_t *m = json_array_get(metadata, i);
        phi_metadata pair = { get_text(m, "key"), get_hex(m, "value") };
        phi_write_metadata(&fields, PHI_ENTRY_METADATA, &pair);
    }
    if (json_object_get(f, "round_trip_us") != NULL) {
        phi_write_field_u32(&fields, PHI_ENTRY_ROUND_TRIP,
                            (uint32_t)get_number(f, "round_trip_us"));
    }
    EXPECT(!fields.failed);
    phi_entry entry = {
        .what = (uint8_t)get_number(f, "what"),
        .reason = (uint8_t)get_number(f, "reason"),
        .type = (uint8_t)get_number(f, "type"),
        .state = (uint8_t)get_number(f, "state"),
        .session = get_number(f, "session"),
        .revision = get_number(f, "revision"),
        .id = get_text(f, "id"),
        .service = get_text(f, "service"),
        .fields = phi_writer_view(&fields),
    };
    phi_entry_encode(w, &entry);
}

// The entries of a page or status, encoded into `room`.
static phi_bytes entries_of(const json_t *f, phi_span room, uint16_t *count)
{
    const json_t *entries = json_object_get(f, "entries");
    phi_writer w = phi_writer_of(room);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        entry_write(&w, json_array_get(entries, i));
    }
    EXPECT(!w.failed);
    *count = (uint16_t)json_array_size(entries);
    return phi_writer_view(&w);
}

static phi_page page_of(const json_t *f, phi_span room)
{
    phi_page page = { .epoch = get_number(f, "epoch"),
                      .revision = get_number(f, "revision"),
                      .flags = (uint8_t)get_number(f, "flags") };
    page.entries = entries_of(f, room, &page.count);
    return page;
}

static phi_status status_of(const json_t *f, phi_span room)
{
    phi_status status = { .epoch = get_number(f, "epoch"),
                          .previous = get_number(f, "previous"),
                          .revision = get_number(f, "revision") };
    status.entries = entries_of(f, room, &status.count);
    return status;
}

static phi_message message_of(const json_t *f, phi_span room)
{
    phi_writer headers = phi_writer_of(room);
    const json_t *all = json_object_get(f, "headers");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *h = json_array_get(all, i);
        phi_write_header(&headers, get_text(h, "name"), get_hex(h, "value"));
    }
    EXPECT(!headers.failed);
    return (phi_message){
        .kind = (uint8_t)get_number(f, "kind"),
        .flags = (uint8_t)get_number(f, "flags"),
        .turn = (uint16_t)get_number(f, "turn"),
        .ttl_ms = (uint32_t)get_number(f, "ttl_ms"),
        .call = get_number(f, "call"),
        .depth = (uint8_t)get_number(f, "depth"),
        .want = (uint16_t)get_number(f, "want"),
        .to = get_text(f, "to"),
        .from = get_text(f, "from"),
        .method = get_text(f, "method"),
        .headers = phi_writer_view(&headers),
        .body = get_hex(f, "body"),
    };
}

static phi_bye bye_of(const json_t *f)
{
    return (phi_bye){ .reason = (uint16_t)get_number(f, "reason"),
                      .retry_after_ms = (uint32_t)get_number(f, "retry_after_ms"),
                      .text = get_text(f, "text") };
}

static phi_own_state own_state_of(const json_t *f)
{
    phi_own_state own = {
        .state = (phi_state)get_number(f, "state"),
        .has_weight = json_object_get(f, "weight") != NULL,
        .weight = (uint16_t)get_number(f, "weight"),
        .has_metadata = json_object_get(f, "metadata") != NULL,
        .has_software = json_object_get(f, "software") != NULL,
        .software = get_text(f, "software"),
    };
    own.metadata_count = metadata_of(f, own.metadata);
    return own;
}

static phi_stream_control stream_of(const json_t *f)
{
    return (phi_stream_control){ .op = (uint8_t)get_number(f, "op"),
                                 .kind = (uint8_t)get_number(f, "kind"),
                                 .turn = (uint16_t)get_number(f, "turn"),
                                 .call = get_number(f, "call"),
                                 .value = (uint32_t)get_number(f, "value") };
}

static void expect_receipt_body(const json_t *f, phi_bytes body)
{
    const json_t *expected = json_object_get(f, "receipt");
    if (expected == NULL) {
        return;
    }
    phi_receipt receipt;
    EXPECT_ERR(phi_receipt_decode(body, &receipt), PH_OK);
    EXPECT_EQ(receipt.delivered, get_number(expected, "delivered"));
    EXPECT_EQ(receipt.dropped, get_number(expected, "dropped"));
    EXPECT_EQ(receipt.code, get_number(expected, "code"));
    uint8_t again[PHI_RECEIPT_BYTES];
    phi_receipt_encode(again, &receipt);
    EXPECT(phi_bytes_equal(phi_bytes_of(again, sizeof again), body));
}

static void expect_gathered_body(const json_t *f, phi_bytes body)
{
    const json_t *expected = json_object_get(f, "gathered");
    if (expected == NULL) {
        return;
    }
    phi_gathered gathered;
    EXPECT_ERR(phi_gathered_decode(body, &gathered), PH_OK);
    EXPECT_EQ(gathered.asked, get_number(expected, "asked"));
    EXPECT_EQ(gathered.replied, get_number(expected, "replied"));
    const json_t *missing = json_object_get(expected, "missing");
    EXPECT_EQ(gathered.count, json_array_size(missing));
    uint8_t again[256];
    phi_gathered_encode_head(again, &gathered);
    phi_writer w = phi_writer_of((phi_span){ again + PHI_GATHERED_HEAD_BYTES, sizeof again - 6 });
    phi_reader r = phi_reader_of(gathered.missing);
    uint16_t code = 0;
    phi_bytes id = { 0 };
    for (size_t i = 0; i < json_array_size(missing); i++) {
        const json_t *m = json_array_get(missing, i);
        EXPECT(phi_gathered_next(&r, &code, &id));
        EXPECT_EQ(code, get_number(m, "code"));
        EXPECT(phi_bytes_equal(id, get_text(m, "id")));
        phi_write_missing(&w, code, id);
    }
    EXPECT(!phi_gathered_next(&r, &code, &id));
    EXPECT(!r.failed);
    EXPECT(!w.failed);
    size_t size = PHI_GATHERED_HEAD_BYTES + phi_writer_size(&w);
    EXPECT(phi_bytes_equal(phi_bytes_of(again, size), body));
}

static void expect_failure_body(const json_t *f, phi_bytes body)
{
    const json_t *expected = json_object_get(f, "failure");
    if (expected == NULL) {
        return;
    }
    phi_failure failure;
    EXPECT_ERR(phi_failure_decode(body, &failure), PH_OK);
    EXPECT_EQ(failure.code, get_number(expected, "code"));
    EXPECT(phi_bytes_equal(failure.text, get_text(expected, "text")));
}

static void expect_headers(const json_t *f, phi_bytes headers)
{
    const json_t *expected = json_object_get(f, "headers");
    phi_reader r = phi_reader_of(headers);
    phi_header header;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        EXPECT(phi_header_next(&r, &header));
        const json_t *h = json_array_get(expected, i);
        EXPECT(phi_bytes_equal(header.name, get_text(h, "name")));
        EXPECT(phi_bytes_equal(header.value, get_hex(h, "value")));
    }
    EXPECT(!phi_header_next(&r, &header));
    EXPECT(!r.failed);
}

static void expect_details(const json_t *f, phi_bytes entries)
{
    const json_t *expected = json_object_get(f, "entries");
    phi_reader r = phi_reader_of(entries);
    phi_entry entry;
    phi_entry_detail detail;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *e = json_array_get(expected, i);
        EXPECT(phi_entry_decode(&r, &entry));
        EXPECT_EQ(entry.what, get_number(e, "what"));
        EXPECT_EQ(entry.reason, get_number(e, "reason"));
        EXPECT_EQ(entry.type, get_number(e, "type"));
        EXPECT_EQ(entry.state, get_number(e, "state"));
        EXPECT(entry.session == get_number(e, "session"));
        EXPECT(entry.revision == get_number(e, "revision"));
        EXPECT(phi_bytes_equal(entry.id, get_text(e, "id")));
        EXPECT(phi_bytes_equal(entry.service, get_text(e, "service")));
        EXPECT_ERR(phi_entry_detail_decode(entry.fields, &detail), PH_OK);
        EXPECT(phi_bytes_equal(detail.software, get_text(e, "software")));
        EXPECT_EQ(detail.weight, get_or(e, "weight", 100));
        EXPECT_EQ(detail.round_trip_us, get_number(e, "round_trip_us"));
        EXPECT_EQ(detail.metadata_count, json_array_size(json_object_get(e, "metadata")));
    }
    EXPECT(!phi_entry_decode(&r, &entry));
    EXPECT(!r.failed);
}

// ---- one function for all families

// Compares and, with `w`, writes the changes that a client wants.
static void subscription_go(const phi_subscription *got, const json_t *f, phi_writer *w)
{
    EXPECT_EQ(got->number, get_number(f, "number"));
    const json_t *changes = json_object_get(f, "changes");
    phi_reader r = phi_reader_of(got->changes);
    phi_field field;
    size_t i = 0;
    if (w != NULL) {
        phi_subscription_begin(w, got->number);
    }
    while (phi_field_next(&r, &field)) {
        if (field.tag != PHI_SUBSCRIPTION_ADD && field.tag != PHI_SUBSCRIPTION_REMOVE) {
            continue; // of a later version
        }
        const json_t *change = json_array_get(changes, i++);
        bool is_add = strcmp(json_string_value(json_object_get(change, "change")), "add") == 0;
        EXPECT_EQ(field.tag, is_add ? PHI_SUBSCRIPTION_ADD : PHI_SUBSCRIPTION_REMOVE);
        EXPECT(phi_bytes_equal(field.value, get_text(change, "pattern")));
        if (w != NULL) {
            phi_write_change(w, (phi_subscription_tag)field.tag, get_text(change, "pattern"));
        }
    }
    EXPECT(!r.failed);
    EXPECT_EQ(i, json_array_size(changes));
}

// The same of what the center answers.
static void answer_go(const phi_subscription *got, const json_t *f, phi_writer *w)
{
    EXPECT_EQ(got->number, get_number(f, "number"));
    const json_t *refused = json_object_get(f, "refused");
    phi_reader r = phi_reader_of(got->changes);
    phi_field field;
    size_t i = 0;
    if (w != NULL) {
        phi_subscription_begin(w, got->number);
    }
    while (phi_field_next(&r, &field)) {
        if (field.tag != PHI_SUBSCRIPTION_REFUSED) {
            continue; // of a later version
        }
        const json_t *expected = json_array_get(refused, i++);
        phi_refusal refusal = phi_refusal_decode(field.value);
        EXPECT_EQ(refusal.code, get_number(expected, "code"));
        EXPECT(phi_bytes_equal(refusal.pattern, get_text(expected, "pattern")));
        if (w != NULL) {
            phi_write_refusal(w, refusal.code, refusal.pattern);
        }
    }
    EXPECT(!r.failed);
    EXPECT_EQ(i, json_array_size(refused));
}

static ph_err message_go(phi_bytes payload, const json_t *f, phi_span room, phi_writer *w)
{
    phi_message got;
    ph_err rc = phi_message_decode(payload, &got);
    if (rc == PH_OK && f != NULL) {
        phi_message expected = message_of(f, room);
        EXPECT(message_equal(&got, &expected));
        expect_headers(f, got.headers);
        expect_failure_body(f, got.body);
        expect_receipt_body(f, got.body);
        expect_gathered_body(f, got.body);
        if (w != NULL) {
            phi_message_encode(phi_write_room(w, phi_message_size(&expected)), &expected);
        }
    }
    return rc;
}

// Decodes `payload` and, when there are fields, compares; then encodes what was meant into `w`.
static ph_err family_go(const char *family, phi_bytes payload, const json_t *f, phi_writer *w)
{
    static uint8_t room_bytes[PHI_PACKET_BYTES_MAX];
    phi_span room = { room_bytes, sizeof room_bytes };
    ph_err rc = PH_EINVAL;

// Decode into `got`, and if there is something to compare with, compare and encode.
#define FAMILY(name, type, expected_of)                                                            \
    if (strcmp(family, #name) == 0) {                                                              \
        phi_##type got;                                                                            \
        rc = phi_##type##_decode(payload, &got);                                                   \
        if (rc == PH_OK && f != NULL) {                                                            \
            phi_##type expected = expected_of;                                                     \
            EXPECT(name##_equal(&got, &expected));                                                 \
            if (w != NULL) {                                                                       \
                phi_##type##_encode(w, &expected);                                                 \
            }                                                                                      \
        }                                                                                          \
        return rc;                                                                                 \
    }
    FAMILY(heartbeat, heartbeat, heartbeat_of(f))
    FAMILY(hello, hello, hello_of(f))
    FAMILY(join, join, join_of(f))
    FAMILY(welcome, welcome, welcome_of(f))
    FAMILY(page, page, page_of(f, room))
    FAMILY(ask, presence_ask, ask_of(f))
    FAMILY(status, status, status_of(f, room))
    FAMILY(bye, bye, bye_of(f))
    FAMILY(own_state, own_state, own_state_of(f))
    FAMILY(credential, credential, credential_of(f))
    FAMILY(credential_answer, credential_answer, credential_answer_of(f))
#undef FAMILY
    if (strcmp(family, "stream") == 0) {
        phi_stream_control got;
        rc = phi_stream_control_decode(payload, &got);
        if (rc == PH_OK && f != NULL) {
            phi_stream_control expected = stream_of(f);
            EXPECT(stream_equal(&got, &expected));
            if (w != NULL) {
                phi_stream_control_encode(phi_write_room(w, PHI_STREAM_CONTROL_BYTES), &expected);
            }
        }
        return rc;
    }
    if (strncmp(family, "subscription", 12) == 0) {
        phi_subscription got;
        bool is_answer = strcmp(family, "subscription_answer") == 0;
        rc = is_answer ? phi_subscription_answer_decode(payload, &got)
                       : phi_subscription_decode(payload, &got);
        if (rc == PH_OK && f != NULL) {
            (is_answer ? answer_go : subscription_go)(&got, f, w);
        }
        return rc;
    }
    EXPECT_TEXT(family, "message");
    return message_go(payload, f, room, w);
}

// ---- tests

// A client in another language reads what we write and we read what it writes, or not: this is the
// agreement with the document, family by family. [P-32] [P-34] [P-35] [P-36] [P-39] [P-42] [P-44]
// [P-45] [P-46] [P-50] [P-51] [P-60] [P-62] [P-63] [P-65] [P-66] [P-68] [P-72] [P-73] [P-75] [P-76]
TEST(vectors, packets_decode_and_encode)
{
    json_t *all = vectors_load("packets");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        static uint8_t room[PHI_PACKET_BYTES_MAX];
        phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
        const char *family = json_string_value(json_object_get(v, "family"));
        const json_t *fields = json_object_get(v, "fields");
        phi_bytes payload = get_hex(v, "payload");
        bool is_canonical = json_is_true(json_object_get(v, "canonical"));

        ph_err rc = family_go(family, payload, fields, is_canonical ? &w : NULL);
        if (rc != PH_OK) {
            fail_msg("%s: refused", name_of(v));
        }
        if (is_canonical && !phi_bytes_equal(phi_writer_view(&w), payload)) {
            fail_msg("%s: encoded otherwise", name_of(v));
        }
        EXPECT(!w.failed);
        if (strcmp(family, "page") == 0) {
            phi_page page;
            EXPECT_ERR(phi_page_decode(payload, &page), PH_OK);
            expect_details(fields, page.entries);
        } else if (strcmp(family, "status") == 0) {
            phi_status status;
            EXPECT_ERR(phi_status_decode(payload, &status), PH_OK);
            expect_details(fields, status.entries);
        }
    }
    json_decref(all);
}

// The packets as they stand in a plain stream. [P-10]
TEST(vectors, packets_have_their_plain_head)
{
    json_t *all = vectors_load("packets");
    phi_inbound in;
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        phi_bytes payload = get_hex(v, "payload");
        phi_bytes raw = get_hex(v, "packet");
        phi_packet packet;
        phi_inbound_receive(&in, (phi_span){ pool + payload.size, raw.size });
        EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
        EXPECT_EQ(packet.command, get_number(v, "command"));
        EXPECT(phi_bytes_equal(packet.payload, payload));
        EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_MORE);
    }
    phi_inbound_fini(&in);
    json_decref(all);
}

// What breaks its form is refused, each for one reason, and nothing is written. [P-26] [P-31]
TEST(vectors, malformed_is_refused)
{
    json_t *all = vectors_load("malformed");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        const char *family = json_string_value(json_object_get(v, "family"));
        if (family_go(family, get_hex(v, "payload"), NULL, NULL) != PH_EPROTO) {
            fail_msg("%s: not refused", name_of(v));
        }
    }
    json_decref(all);
}

// A center that takes a pattern another way than its clients would tell them what they did not ask
// for. [P-74]
TEST(vectors, topics_agree)
{
    json_t *all = vectors_load("topics");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        phi_topic topic;
        phi_topic pattern;
        bool is_topic = phi_topic_parse(get_hex(v, "topic"), &topic);
        bool is_pattern = phi_pattern_parse(get_hex(v, "pattern"), &pattern);
        bool fits = is_topic && is_pattern && phi_topic_fits(&topic, &pattern);
        if (is_topic != json_is_true(json_object_get(v, "is_topic")) ||
            is_pattern != json_is_true(json_object_get(v, "is_pattern")) ||
            fits != json_is_true(json_object_get(v, "fits"))) {
            fail_msg("%s: topic %d, pattern %d, fits %d", name_of(v), is_topic, is_pattern, fits);
        }
    }
    json_decref(all);
}

// The check as the document's formula gives it, word by word. [P-23]
TEST(vectors, check_agrees)
{
    json_t *all = vectors_load("check");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        phi_check check = { .sum = (uint16_t)get_number(v, "sum_before"),
                            .count = (uint16_t)get_number(v, "count_before") };
        phi_bytes packet = get_hex(v, "packet");
        uint16_t sum = phi_check_packet(&check, packet);
        if (sum != get_number(v, "check")) {
            fail_msg("%s: %04x", name_of(v), sum);
        }
        EXPECT_EQ(check.sum, sum);
        EXPECT_EQ(check.count, (uint16_t)(get_number(v, "count_before") + 1));
        EXPECT_EQ(phi_get_u16(packet.data + 4), sum);
    }
    json_decref(all);
}

// NIST's own example of AES-256-OFB, and one that outlasts the key stream made ahead. [P-25]
TEST(vectors, cipher_agrees)
{
    json_t *all = vectors_load("cipher");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        phi_cipher cipher;
        ph_err rc = phi_cipher_init(&cipher, &phi_alloc_heap, get_hex(v, "key").data,
                                    get_hex(v, "iv").data);
        EXPECT_ERR(rc, PH_OK);
        phi_bytes clear = get_hex(v, "clear");
        phi_bytes enciphered = get_hex(v, "enciphered");
        phi_cipher_apply(&cipher, (phi_span){ pool + (clear.data - pool), clear.size });
        if (!phi_bytes_equal(clear, enciphered)) {
            fail_msg("%s: enciphered otherwise", name_of(v));
        }
        phi_cipher_fini(&cipher);
    }
    json_decref(all);
}

// One direction of a session, from its stream and into it.
static void session_direction(const json_t *session, const char *name, phi_suite suite,
                              const uint8_t *key, const uint8_t *iv, bool has_hello)
{
    const json_t *direction = json_object_get(session, name);
    const json_t *packets = json_object_get(direction, "packets");
    phi_bytes stream = get_hex(direction, "stream");
    phi_inbound in;
    phi_outbound out;
    phi_packet packet;
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    phi_outbound_init(&out, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);

    uint8_t *copy = pool + pool_used; // receiving changes it
    pool_used += stream.size;
    memcpy(copy, stream.data, stream.size);
    phi_inbound_receive(&in, (phi_span){ copy, stream.size });
    for (size_t i = 0; i < json_array_size(packets); i++) {
        if (i == (has_hello ? 1 : 0)) {
            EXPECT_ERR(phi_inbound_suite(&in, suite, key, iv), PH_OK);
            EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, suite, key, iv), PH_OK);
        }
        const json_t *expected = json_array_get(packets, i);
        phi_bytes payload = get_hex(expected, "payload");
        uint16_t command = (uint16_t)get_number(expected, "command");
        EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
        EXPECT_EQ(packet.command, command);
        EXPECT(phi_bytes_equal(packet.payload, payload));

        uint8_t *room = phi_outbound_begin(&out, payload.size);
        EXPECT(room != NULL);
        if (payload.size != 0) {
            memcpy(room, payload.data, payload.size);
        }
        phi_outbound_commit(&out, command, payload.size);
    }
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_MORE);
    EXPECT(phi_bytes_equal(phi_outbound_seal(&out), stream));
    phi_inbound_fini(&in);
    phi_outbound_fini(&out);
}

// Both directions of a recorded link, read and written again to the byte: a client in another
// language has just these bytes to go by. [P-20] [P-21] [P-23]
// [P-25]
TEST(vectors, sessions_are_read_and_written)
{
    json_t *all = vectors_load("sessions");
    EXPECT_EQ(json_array_size(all), PHI_SUITE_COUNT);
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        pool_used = 0;
        phi_suite suite;
        EXPECT(phi_suite_of_name(get_text(v, "name"), &suite));
        EXPECT_EQ(suite, get_number(v, "suite"));
        phi_keys keys = keys_of(v);
        bool has_keys = suite == PHI_SUITE_PAPER;
        session_direction(v, "to_client", suite, has_keys ? keys.to_client_key : NULL,
                          has_keys ? keys.to_client_iv : NULL, true);
        session_direction(v, "to_center", suite, has_keys ? keys.to_center_key : NULL,
                          has_keys ? keys.to_center_iv : NULL, false);
    }
    json_decref(all);
}

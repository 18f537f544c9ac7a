// SPDX-License-Identifier: Apache-2.0
//
// wire/handshake.c - encoders and decoders of HELLO, JOIN and WELCOME.
//
// Design notes
//
// Each packet is a loop over its fields and one function that takes a single field, so that the
// tables of the document and the switches here can be read side by side. What is required is
// looked up afterwards in the set of tags that were seen.
//
// A peer of another version may use another form; all that is relied on then is that the version is
// where it is here. It is read first, by itself, so that such a peer gets the bye that says what is
// wrong, and not `malformed`.
//
// Clauses: P-26, P-32, P-34 to P-36, P-38.

#include "wire/handshake.h"

#include "base/assert.h"
#include "wire/codes.h"
#include "wire/fields.h"
#include "wire/name.h"

#define SEEN(tag) (UINT64_C(1) << (tag))

enum {
    HELLO_VERSION = 1,
    HELLO_SUITE = 2,
    HELLO_DOMAIN = 3,
    HELLO_TO_CLIENT_KEY = 4,
    HELLO_TO_CLIENT_IV = 5,
    HELLO_TO_CENTER_KEY = 6,
    HELLO_TO_CENTER_IV = 7,
    HELLO_HEARTBEAT_IDLE = 8,
    HELLO_HEARTBEAT_GRACE = 9,
    HELLO_PACKET_LIMIT = 10,
    HELLO_CALLS_LIMIT = 11,
    HELLO_MESSAGE_LIMIT = 12,
    HELLO_STREAMS_LIMIT = 13,
    HELLO_SUBSCRIPTIONS_LIMIT = 14,
};

enum {
    JOIN_VERSION = 1,
    JOIN_ACCOUNT = 2,
    JOIN_TYPE = 3,
    JOIN_SERVICE = 4,
    JOIN_TOKEN = 5,
    JOIN_METADATA = 6,
    JOIN_CAPABILITIES = 7,
    JOIN_PRESENCE = 8,
    JOIN_LAST_REVISION = 13,
    JOIN_SOFTWARE = 14,
    JOIN_STATE = 15,
    JOIN_WEIGHT = 16,
    JOIN_MESSAGE_LIMIT = 17,
};
#define JOIN_ASK_BASE 7 // tags 8 to 13 are those of P-42 from 1 on

enum {
    WELCOME_ID = 1,
    WELCOME_SESSION = 2,
    WELCOME_EPOCH = 3,
    WELCOME_REVISION = 4,
    WELCOME_EXPIRES = 5,
};

static bool version_find(phi_bytes fields, uint16_t *version);
static bool hello_field(phi_hello *hello, const phi_field *field);
static bool join_field(phi_join *join, const phi_field *field);
static bool welcome_field(phi_welcome *welcome, const phi_field *field);
static bool secret_take(const phi_field *field, uint8_t *to, size_t size);
static bool secrets_are_legal(phi_suite suite, uint64_t seen);
static void write_if_said(phi_writer *w, uint8_t tag, uint32_t value);
static bool wants_by_default(phi_client_type type);

uint8_t phi_handshake_peek(phi_bytes payload)
{
    if (payload.size == 0 || payload.data[0] > PHI_HANDSHAKE_WELCOME) {
        return 0;
    }
    return payload.data[0];
}

// What is behind the kind; false when the kind is another.
static bool handshake_open(phi_bytes payload, phi_handshake_kind kind, phi_bytes *fields)
{
    if (phi_handshake_peek(payload) != kind) {
        return false;
    }
    *fields = phi_bytes_of(payload.data + 1, payload.size - 1);
    return true;
}

// The version is field 1 of HELLO and JOIN alike.
static bool version_find(phi_bytes fields, uint16_t *version)
{
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag == HELLO_VERSION) {
            return phi_field_u16(&field, version);
        }
    }
    return false;
}

// ---- HELLO

ph_err phi_hello_decode(phi_bytes payload, phi_hello *out)
{
    phi_bytes fields;
    phi_hello hello = { 0 };
    if (!handshake_open(payload, PHI_HANDSHAKE_HELLO, &fields) ||
        !version_find(fields, &hello.version)) {
        return PH_EPROTO;
    }
    if (hello.version != PHI_PROTOCOL_VERSION) {
        *out = hello;
        return PH_OK;
    }

    uint64_t seen = 0;
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag < HELLO_VERSION || field.tag > HELLO_SUBSCRIPTIONS_LIMIT) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) || !hello_field(&hello, &field)) {
            return PH_EPROTO;
        }
    }
    uint64_t required = SEEN(HELLO_VERSION) | SEEN(HELLO_SUITE) | SEEN(HELLO_DOMAIN);
    if (r.failed || (seen & required) != required || !secrets_are_legal(hello.suite, seen)) {
        return PH_EPROTO;
    }
    if (hello.suite != PHI_SUITE_PAPER) {
        hello.keys = (phi_keys){ 0 }; // of a suite that is not spoken here
    }
    *out = hello;
    return PH_OK;
}

static bool hello_field(phi_hello *hello, const phi_field *field)
{
    phi_keys *keys = &hello->keys;
    uint8_t suite;
    switch (field->tag) {
    case HELLO_VERSION:
        return phi_field_u16(field, &hello->version);
    case HELLO_SUITE:
        if (!phi_field_u8(field, &suite)) {
            return false;
        }
        hello->suite = (phi_suite)suite;
        return true;
    case HELLO_DOMAIN:
        hello->domain = field->value;
        return phi_name_is_valid(field->value);
    case HELLO_TO_CLIENT_KEY:
        return secret_take(field, keys->to_client_key, sizeof keys->to_client_key);
    case HELLO_TO_CLIENT_IV:
        return secret_take(field, keys->to_client_iv, sizeof keys->to_client_iv);
    case HELLO_TO_CENTER_KEY:
        return secret_take(field, keys->to_center_key, sizeof keys->to_center_key);
    case HELLO_TO_CENTER_IV:
        return secret_take(field, keys->to_center_iv, sizeof keys->to_center_iv);
    case HELLO_HEARTBEAT_IDLE:
        return phi_field_u32(field, &hello->heartbeat_idle_ms);
    case HELLO_HEARTBEAT_GRACE:
        return phi_field_u32(field, &hello->heartbeat_grace_ms);
    case HELLO_PACKET_LIMIT:
        return phi_field_u32(field, &hello->packet_bytes_max) &&
               hello->packet_bytes_max <= PHI_PACKET_BYTES_MAX;
    case HELLO_CALLS_LIMIT:
        return phi_field_u32(field, &hello->calls_max);
    case HELLO_MESSAGE_LIMIT:
        return phi_field_u32(field, &hello->message_bytes_max);
    case HELLO_STREAMS_LIMIT:
        return phi_field_u32(field, &hello->streams_max);
    case HELLO_SUBSCRIPTIONS_LIMIT:
        return phi_field_u32(field, &hello->subscriptions_max);
    default:
        PH_UNREACHABLE("unknown tags were skipped");
    }
}

static bool secret_take(const phi_field *field, uint8_t *to, size_t size)
{
    if (field->value.size != size) {
        return false;
    }
    memcpy(to, field->value.data, size);
    return true;
}

// All four in suite paper, none in plain and check. What a suite of a later version needs is not
// known here.
static bool secrets_are_legal(phi_suite suite, uint64_t seen)
{
    uint64_t all = SEEN(HELLO_TO_CLIENT_KEY) | SEEN(HELLO_TO_CLIENT_IV) |
                   SEEN(HELLO_TO_CENTER_KEY) | SEEN(HELLO_TO_CENTER_IV);
    if (suite >= PHI_SUITE_COUNT) {
        return true;
    }
    return (seen & all) == (suite == PHI_SUITE_PAPER ? all : 0);
}

void phi_hello_encode(phi_writer *w, const phi_hello *hello)
{
    const phi_keys *keys = &hello->keys;
    PH_ASSERT(hello->packet_bytes_max <= PHI_PACKET_BYTES_MAX);

    phi_write_u8(w, PHI_HANDSHAKE_HELLO);
    phi_write_field_u16(w, HELLO_VERSION, hello->version);
    phi_write_field_u8(w, HELLO_SUITE, (uint8_t)hello->suite);
    phi_write_field(w, HELLO_DOMAIN, hello->domain);
    if (hello->suite == PHI_SUITE_PAPER) {
        phi_write_field(w, HELLO_TO_CLIENT_KEY,
                        phi_bytes_of(keys->to_client_key, sizeof keys->to_client_key));
        phi_write_field(w, HELLO_TO_CLIENT_IV,
                        phi_bytes_of(keys->to_client_iv, sizeof keys->to_client_iv));
        phi_write_field(w, HELLO_TO_CENTER_KEY,
                        phi_bytes_of(keys->to_center_key, sizeof keys->to_center_key));
        phi_write_field(w, HELLO_TO_CENTER_IV,
                        phi_bytes_of(keys->to_center_iv, sizeof keys->to_center_iv));
    }
    write_if_said(w, HELLO_HEARTBEAT_IDLE, hello->heartbeat_idle_ms);
    write_if_said(w, HELLO_HEARTBEAT_GRACE, hello->heartbeat_grace_ms);
    write_if_said(w, HELLO_PACKET_LIMIT, hello->packet_bytes_max);
    write_if_said(w, HELLO_CALLS_LIMIT, hello->calls_max);
    write_if_said(w, HELLO_MESSAGE_LIMIT, hello->message_bytes_max);
    write_if_said(w, HELLO_STREAMS_LIMIT, hello->streams_max);
    write_if_said(w, HELLO_SUBSCRIPTIONS_LIMIT, hello->subscriptions_max);
}

// 0 and an absent field mean the same.
static void write_if_said(phi_writer *w, uint8_t tag, uint32_t value)
{
    if (value != 0) {
        phi_write_field_u32(w, tag, value);
    }
}

// ---- JOIN

ph_err phi_join_decode(phi_bytes payload, phi_join *out)
{
    phi_bytes fields;
    uint16_t version;
    if (!handshake_open(payload, PHI_HANDSHAKE_JOIN, &fields) || !version_find(fields, &version)) {
        return PH_EPROTO;
    }
    if (version != PHI_PROTOCOL_VERSION) {
        *out = (phi_join){ .version = version };
        return PH_OK;
    }

    phi_join join = { .type = PHI_TYPE_CLIENT,
                      .state = PHI_STATE_READY,
                      .weight = PHI_WEIGHT_DEFAULT };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag < JOIN_VERSION || field.tag > JOIN_MESSAGE_LIMIT) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) && field.tag != JOIN_METADATA) {
            return PH_EPROTO;
        }
        if (!join_field(&join, &field)) {
            return PH_EPROTO;
        }
    }
    if (r.failed) {
        return PH_EPROTO;
    }
    if ((seen & SEEN(JOIN_PRESENCE)) == 0) {
        join.presence.wants = wants_by_default(join.type);
    }
    *out = join;
    return PH_OK;
}

static bool join_field(phi_join *join, const phi_field *field)
{
    uint8_t type;
    switch (field->tag) {
    case JOIN_VERSION:
        return phi_field_u16(field, &join->version);
    case JOIN_ACCOUNT:
        join->account = field->value;
        return field->value.size <= UINT8_MAX;
    case JOIN_TYPE:
        if (!phi_field_u8(field, &type) || type < PHI_TYPE_CLIENT || type > PHI_TYPE_CENTER) {
            return false;
        }
        join->type = (phi_client_type)type;
        return true;
    case JOIN_SERVICE:
        join->service = field->value;
        return field->value.size <= UINT8_MAX;
    case JOIN_TOKEN:
        join->token = field->value;
        return field->value.size <= PHI_JOIN_TOKEN_BYTES_MAX;
    case JOIN_METADATA:
        return join->metadata_count < PHI_METADATA_COUNT_MAX &&
               phi_metadata_decode(field->value, &join->metadata[join->metadata_count++]);
    case JOIN_CAPABILITIES:
        return phi_field_u32(field, &join->capabilities);
    case JOIN_SOFTWARE:
        join->software = field->value;
        return field->value.size <= PHI_SOFTWARE_BYTES_MAX;
    case JOIN_STATE:
        return phi_field_own_state(field, &join->state);
    case JOIN_WEIGHT:
        join->has_weight = true;
        return phi_field_weight(field, &join->weight);
    case JOIN_MESSAGE_LIMIT:
        return phi_field_u32(field, &join->message_bytes_max);
    default:
        PH_ASSERT(field->tag >= JOIN_PRESENCE);
        PH_ASSERT(field->tag <= JOIN_LAST_REVISION);
        return phi_presence_ask_field(&join->presence, field, JOIN_ASK_BASE);
    }
}

// Those that live on the list of who is online.
static bool wants_by_default(phi_client_type type)
{
    return type == PHI_TYPE_GATEWAY || type == PHI_TYPE_DISCOVERY;
}

void phi_join_encode(phi_writer *w, const phi_join *join)
{
    PH_ASSERT(join->type >= PHI_TYPE_CLIENT);
    PH_ASSERT(join->type <= PHI_TYPE_CENTER);
    PH_ASSERT(join->account.size <= UINT8_MAX);
    PH_ASSERT(join->service.size <= UINT8_MAX);
    PH_ASSERT(join->token.size <= PHI_JOIN_TOKEN_BYTES_MAX);
    PH_ASSERT(join->metadata_count <= PHI_METADATA_COUNT_MAX);
    PH_ASSERT(join->software.size <= PHI_SOFTWARE_BYTES_MAX);
    PH_ASSERT(join->state <= PHI_STATE_DRAINING);
    PH_ASSERT(!join->has_weight || join->weight <= PHI_WEIGHT_MAX);

    phi_write_u8(w, PHI_HANDSHAKE_JOIN);
    phi_write_field_u16(w, JOIN_VERSION, join->version);
    if (join->account.size != 0) {
        phi_write_field(w, JOIN_ACCOUNT, join->account);
    }
    phi_write_field_u8(w, JOIN_TYPE, (uint8_t)join->type);
    if (join->service.size != 0) {
        phi_write_field(w, JOIN_SERVICE, join->service);
    }
    if (join->token.size != 0) {
        phi_write_field(w, JOIN_TOKEN, join->token);
    }
    for (size_t i = 0; i < join->metadata_count; i++) {
        phi_write_metadata(w, JOIN_METADATA, &join->metadata[i]);
    }
    write_if_said(w, JOIN_CAPABILITIES, join->capabilities);
    phi_presence_ask_write(w, &join->presence, JOIN_ASK_BASE);
    if (join->software.size != 0) {
        phi_write_field(w, JOIN_SOFTWARE, join->software);
    }
    if (join->state != 0) {
        phi_write_field_u8(w, JOIN_STATE, (uint8_t)join->state);
    }
    if (join->has_weight) {
        phi_write_field_u16(w, JOIN_WEIGHT, join->weight);
    }
    write_if_said(w, JOIN_MESSAGE_LIMIT, join->message_bytes_max);
}

// ---- WELCOME

ph_err phi_welcome_decode(phi_bytes payload, phi_welcome *out)
{
    phi_bytes fields;
    if (!handshake_open(payload, PHI_HANDSHAKE_WELCOME, &fields)) {
        return PH_EPROTO;
    }
    phi_welcome welcome = { 0 };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag < WELCOME_ID || field.tag > WELCOME_EXPIRES) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) || !welcome_field(&welcome, &field)) {
            return PH_EPROTO;
        }
    }
    uint64_t required =
        SEEN(WELCOME_ID) | SEEN(WELCOME_SESSION) | SEEN(WELCOME_EPOCH) | SEEN(WELCOME_REVISION);
    if (r.failed || (seen & required) != required) {
        return PH_EPROTO;
    }
    *out = welcome;
    return PH_OK;
}

static bool welcome_field(phi_welcome *welcome, const phi_field *field)
{
    switch (field->tag) {
    case WELCOME_ID:
        welcome->id = field->value;
        return phi_id_is_valid(field->value);
    case WELCOME_SESSION:
        return phi_field_u64(field, &welcome->session) && welcome->session != 0;
    case WELCOME_EPOCH:
        return phi_field_u64(field, &welcome->epoch);
    case WELCOME_REVISION:
        return phi_field_u64(field, &welcome->revision);
    case WELCOME_EXPIRES:
        return phi_field_u32(field, &welcome->expires_ms);
    default:
        PH_UNREACHABLE("unknown tags were skipped");
    }
}

void phi_welcome_encode(phi_writer *w, const phi_welcome *welcome)
{
    PH_ASSERT(phi_id_is_valid(welcome->id));
    PH_ASSERT(welcome->session != 0);

    phi_write_u8(w, PHI_HANDSHAKE_WELCOME);
    phi_write_field(w, WELCOME_ID, welcome->id);
    phi_write_field_u64(w, WELCOME_SESSION, welcome->session);
    phi_write_field_u64(w, WELCOME_EPOCH, welcome->epoch);
    phi_write_field_u64(w, WELCOME_REVISION, welcome->revision);
    write_if_said(w, WELCOME_EXPIRES, welcome->expires_ms);
}

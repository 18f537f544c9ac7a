// SPDX-License-Identifier: Apache-2.0
//
// wire/handshake.h - HELLO, JOIN and WELCOME: docs/protocol.md P-32 to P-36.
//
// Decoders are pure, bounded and total: any bytes give PH_OK or PH_EPROTO, and *out is written on
// PH_OK only. Views point into the payload. Encoders write into `w`, whose `failed` says that it
// did not fit.

#ifndef PHI_WIRE_HANDSHAKE_H
#define PHI_WIRE_HANDSHAKE_H

#include <posthouse/err.h>

#include "base/compiler.h"
#include "wire/cipher.h"
#include "wire/packet.h"
#include "wire/presence.h"

#define PHI_JOIN_TOKEN_BYTES_MAX 4096u

typedef enum phi_handshake_kind {
    PHI_HANDSHAKE_HELLO = 1,
    PHI_HANDSHAKE_JOIN = 2,
    PHI_HANDSHAKE_WELCOME = 3,
} phi_handshake_kind;

// The key material of both directions in suite paper.
typedef struct phi_keys {
    uint8_t to_client_key[PHI_CIPHER_KEY_BYTES];
    uint8_t to_client_iv[PHI_CIPHER_IV_BYTES];
    uint8_t to_center_key[PHI_CIPHER_KEY_BYTES];
    uint8_t to_center_iv[PHI_CIPHER_IV_BYTES];
} phi_keys;

typedef struct phi_hello {
    uint16_t version;
    phi_suite suite; // may be 3 or above after decoding: a suite that is not spoken here
    phi_bytes domain;
    phi_keys keys; // in suite paper only
    // 0: the center did not say
    uint32_t heartbeat_idle_ms;
    uint32_t heartbeat_grace_ms;
    uint32_t packet_bytes_max;
    uint32_t calls_max;
    uint32_t message_bytes_max;
    uint32_t streams_max;
    uint32_t subscriptions_max;
} phi_hello;

typedef struct phi_join {
    uint16_t version;
    phi_bytes account; // may be empty
    phi_client_type type;
    phi_bytes service; // may be empty
    phi_bytes token;
    phi_metadata metadata[PHI_METADATA_COUNT_MAX];
    size_t metadata_count;
    uint32_t capabilities;
    // `wants` is resolved: the default of the type when the field was absent
    phi_presence_ask presence;
    phi_bytes software;
    // When decoding, fields that were absent have their default: ready, PHI_WEIGHT_DEFAULT. An
    // encoder leaves them out when `state` is 0, and when `has_weight` is false.
    phi_state state; // starting, ready or draining
    bool has_weight;
    uint16_t weight;            // at most PHI_WEIGHT_MAX
    uint32_t message_bytes_max; // 0: it takes none in fragments
} phi_join;

typedef struct phi_welcome {
    phi_bytes id;
    uint64_t session;
    uint64_t epoch;
    uint64_t revision;
    uint32_t expires_ms; // of what the client proved who it is with; 0: it does not end (P-76)
} phi_welcome;

// The kind, which is 1 to 3, or 0 when the payload is empty or the kind unknown.
uint8_t phi_handshake_peek(phi_bytes payload);

// Of a HELLO or JOIN with a version other than PHI_PROTOCOL_VERSION only the version is judged,
// and the rest of *out is zero: its form may have changed. Names in a decoded JOIN are *not*
// judged (P-38 has a bye of its own); their fields may be any bytes up to 255.
PHI_MUST_CHECK ph_err phi_hello_decode(phi_bytes payload, phi_hello *out);
PHI_MUST_CHECK ph_err phi_join_decode(phi_bytes payload, phi_join *out);
PHI_MUST_CHECK ph_err phi_welcome_decode(phi_bytes payload, phi_welcome *out);

// Asserts the limits that the decoders judge, names excepted.
void phi_hello_encode(phi_writer *w, const phi_hello *hello);
void phi_join_encode(phi_writer *w, const phi_join *join);
void phi_welcome_encode(phi_writer *w, const phi_welcome *welcome);

#endif // PHI_WIRE_HANDSHAKE_H

// SPDX-License-Identifier: Apache-2.0
//
// wire/presence.h - online list, online status, the ask for them, and the entry in both:
// docs/protocol.md P-41 to P-48.

#ifndef PHI_WIRE_PRESENCE_H
#define PHI_WIRE_PRESENCE_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/fields.h"

// An epoch's lower half names one life of the table, its upper half what of it this client is
// shown (P-41).
static inline uint32_t phi_epoch_life(uint64_t epoch)
{
    return (uint32_t)epoch;
}

static inline uint64_t phi_epoch_of(uint64_t epoch, uint32_t sight)
{
    return epoch ^ (uint64_t)sight << 32;
}

typedef enum phi_client_type {
    PHI_TYPE_CLIENT = 1,
    PHI_TYPE_GATEWAY = 2,
    PHI_TYPE_DISCOVERY = 3,
    PHI_TYPE_CENTER = 4,
} phi_client_type;

typedef enum phi_what {
    PHI_WHAT_ONLINE = 1,
    PHI_WHAT_OFFLINE = 2,
    PHI_WHAT_CHANGED = 3,
} phi_what;

typedef enum phi_state {
    PHI_STATE_STARTING = 1,
    PHI_STATE_READY = 2,
    PHI_STATE_DRAINING = 3,
    PHI_STATE_SUSPECT = 4,
    PHI_STATE_DOWN = 5,
} phi_state;

#define PHI_PAGE_FIRST 1u
#define PHI_PAGE_LAST 2u
#define PHI_PAGE_ASKS_SHIFT 2u // above: the asks that the center had taken, modulo
#define PHI_PAGE_ASKS_COUNT 64u

#define PHI_WEIGHT_MAX 1000u
#define PHI_WEIGHT_DEFAULT 100u

#define PHI_METADATA_COUNT_MAX 32u
#define PHI_METADATA_KEY_BYTES_MAX 64u
#define PHI_METADATA_VALUE_BYTES_MAX 1024u
#define PHI_SOFTWARE_BYTES_MAX 64u

// What a client says about itself, in JOIN and in its entry: `key str8`, then the value.
typedef struct phi_metadata {
    phi_bytes key;
    phi_bytes value;
} phi_metadata;

// Tags of the fields of an entry.
typedef enum phi_entry_tag {
    PHI_ENTRY_SOFTWARE = 1,
    PHI_ENTRY_WEIGHT = 2,
    PHI_ENTRY_METADATA = 3,
    PHI_ENTRY_ROUND_TRIP = 4,
} phi_entry_tag;

// One line of the table, or one change of it. Encoded size is at most PHI_ENTRY_BYTES_MAX.
typedef struct phi_entry {
    uint8_t what;   // phi_what
    uint8_t reason; // phi_why
    uint8_t type;   // phi_client_type
    uint8_t state;  // phi_state
    uint64_t session;
    uint64_t revision;
    phi_bytes id;
    phi_bytes service;
    phi_bytes fields; // encoded fields of P-46, unread; validated as fields by the decoder
} phi_entry;

// The fields of an entry that most readers want.
typedef struct phi_entry_detail {
    phi_bytes software;
    uint16_t weight;        // at most PHI_WEIGHT_MAX; PHI_WEIGHT_DEFAULT when absent
    uint32_t round_trip_us; // 0 absent
    size_t metadata_count;  // keys and values: phi_field_next and phi_metadata_decode
} phi_entry_detail;

#define PHI_ENTRY_FIXED_BYTES 22u // up to and with the revision
// No JOIN of at most 8 KiB (P-12) leads to a larger entry: what the entry adds to the fields it
// takes over from JOIN (its fixed part, an id, weight and round trip) is shorter than the 256
// bytes here.
#define PHI_ENTRY_BYTES_MAX (8192u + 256u)

typedef struct phi_page {
    uint64_t epoch;
    uint64_t revision;
    uint8_t flags;
    uint16_t count;
    phi_bytes entries; // `count` of them, each decoded by phi_entry_decode
} phi_page;

typedef struct phi_status {
    uint64_t epoch;
    uint64_t previous;
    uint64_t revision;
    uint16_t count;
    phi_bytes entries;
} phi_status;

#define PHI_PAGE_HEAD_BYTES 19u
#define PHI_STATUS_HEAD_BYTES 26u

// What a client wants to know. Empty views and 0 are "any".
typedef struct phi_presence_ask {
    bool wants;
    uint8_t type;
    phi_bytes service;
    phi_bytes domain;
    uint64_t last_epoch;
    uint64_t last_revision;
} phi_presence_ask;

// Takes one entry from `r`. False at its end and, with r->failed, when it is malformed: id and
// service are valid names (P-38), `what` is one of those known, and phi_entry_detail_decode accepts
// the fields. Type, state and reason may be numbers that this version does not know.
bool phi_entry_decode(phi_reader *r, phi_entry *out);
void phi_entry_encode(phi_writer *w, const phi_entry *entry);
PHI_MUST_CHECK ph_err phi_entry_detail_decode(phi_bytes fields, phi_entry_detail *out);

// Head and all entries are looked at: on PH_OK, phi_entry_decode over `entries` yields just `count`
// entries and does not fail.
PHI_MUST_CHECK ph_err phi_page_decode(phi_bytes payload, phi_page *out);
PHI_MUST_CHECK ph_err phi_status_decode(phi_bytes payload, phi_status *out);

// Heads and the bytes of `entries`.
void phi_page_encode(phi_writer *w, const phi_page *page);
void phi_status_encode(phi_writer *w, const phi_status *status);

// Only what stands in front of the entries, for a sender that has put those in their place already.
void phi_page_encode_head(phi_writer *w, const phi_page *page);
void phi_status_encode_head(phi_writer *w, const phi_status *status);

// The value of a metadata field. False when key or value are longer than they may be, or the key is
// empty.
bool phi_metadata_decode(phi_bytes value, phi_metadata *out);
void phi_write_metadata(phi_writer *w, uint8_t tag, const phi_metadata *metadata);

// The values of fields in which a client speaks of itself. False when its state is none of
// starting, ready and draining, or its weight above PHI_WEIGHT_MAX.
bool phi_field_own_state(const phi_field *field, phi_state *out);
bool phi_field_weight(const phi_field *field, uint16_t *out);

// The names in an ask are not judged: one that breaks the rules fits nobody.
PHI_MUST_CHECK ph_err phi_presence_ask_decode(phi_bytes payload, phi_presence_ask *out);
void phi_presence_ask_encode(phi_writer *w, const phi_presence_ask *ask);

// The ask as part of JOIN, whose tags lie `tag_base` above those of P-42. False when the field is
// malformed; tags that are none of the ask's are not for these functions.
bool phi_presence_ask_field(phi_presence_ask *ask, const phi_field *field, uint8_t tag_base);
void phi_presence_ask_write(phi_writer *w, const phi_presence_ask *ask, uint8_t tag_base);

#endif // PHI_WIRE_PRESENCE_H

// SPDX-License-Identifier: Apache-2.0
//
// wire/presence.h - online list, online status, the ask for them, and the entry in both:
// docs/protocol.md P-41 to P-48.

#ifndef PHI_WIRE_PRESENCE_H
#define PHI_WIRE_PRESENCE_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

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
    uint16_t weight;        // 0 absent
    uint32_t round_trip_us; // 0 absent
    size_t metadata_count;  // keys and values are read by phi_field_next
} phi_entry_detail;

#define PHI_ENTRY_FIXED_BYTES 22u // up to and with the revision
// The largest entry a JOIN of at most 8 KiB can lead to.
#define PHI_ENTRY_BYTES_MAX 8192u

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

// Takes one entry from `r`. False at its end and, with r->failed, when it is malformed.
bool phi_entry_decode(phi_reader *r, phi_entry *out);
void phi_entry_encode(phi_writer *w, const phi_entry *entry);
PHI_MUST_CHECK ph_err phi_entry_detail_decode(phi_bytes fields, phi_entry_detail *out);

// Head and all entries are looked at: on PH_OK, phi_entry_decode over `entries` yields just `count`
// entries and does not fail.
PHI_MUST_CHECK ph_err phi_page_decode(phi_bytes payload, phi_page *out);
PHI_MUST_CHECK ph_err phi_status_decode(phi_bytes payload, phi_status *out);
void phi_page_encode(phi_writer *w, const phi_page *page);
void phi_status_encode(phi_writer *w, const phi_status *status);

PHI_MUST_CHECK ph_err phi_presence_ask_decode(phi_bytes payload, phi_presence_ask *out);
void phi_presence_ask_encode(phi_writer *w, const phi_presence_ask *ask);

#endif // PHI_WIRE_PRESENCE_H

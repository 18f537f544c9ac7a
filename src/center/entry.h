// SPDX-License-Identifier: Apache-2.0
//
// center/entry.h - where things stand in an encoded entry (P-46) that this center has encoded
// itself. Entries of others would have to be decoded.

#ifndef CENTER_ENTRY_H
#define CENTER_ENTRY_H

#include "base/bytes.h"
#include "wire/presence.h"

enum {
    ENTRY_WHAT_AT = 2,
    ENTRY_TYPE_AT = 4,
    ENTRY_STATE_AT = 5,
    ENTRY_SESSION_AT = 6,
    ENTRY_REVISION_AT = 14,
    ENTRY_ROUND_TRIP_BYTES = 3 + 4, // as a field
    // What a session's own entry may take, so that its round trip still fits in a list.
    ENTRY_OWN_BYTES_MAX = PHI_ENTRY_BYTES_MAX - ENTRY_ROUND_TRIP_BYTES,
    // The fixed part and two texts: "a@b" is the shortest id, a service may be empty.
    ENTRY_BYTES_MIN = PHI_ENTRY_FIXED_BYTES + 1 + 3 + 1,
};

static inline uint64_t entry_session(const uint8_t *entry)
{
    return phi_get_u64(entry + ENTRY_SESSION_AT);
}

static inline uint64_t entry_revision(const uint8_t *entry)
{
    return phi_get_u64(entry + ENTRY_REVISION_AT);
}

static inline phi_bytes entry_id(const uint8_t *entry)
{
    const uint8_t *text = entry + PHI_ENTRY_FIXED_BYTES;
    return phi_bytes_of(text + 1, text[0]);
}

static inline phi_bytes entry_service(const uint8_t *entry)
{
    phi_bytes id = entry_id(entry);
    const uint8_t *text = id.data + id.size;
    return phi_bytes_of(text + 1, text[0]);
}

static inline phi_bytes entry_fields(const uint8_t *entry)
{
    phi_bytes of = entry_service(entry);
    const uint8_t *fields = of.data + of.size;
    return phi_bytes_of(fields, (size_t)(entry + phi_get_u16(entry) - fields));
}

#endif // CENTER_ENTRY_H

// SPDX-License-Identifier: Apache-2.0
//
// wire/own_state.c - encoder and decoder of own state.
//
// Clauses: P-26, P-72.

#include "wire/own_state.h"

#include "base/assert.h"

static bool own_field(phi_own_state *own, const phi_field *field);

ph_err phi_own_state_decode(phi_bytes payload, phi_own_state *out)
{
    phi_own_state own = { 0 };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(payload);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag < PHI_OWN_STATE_STATE || field.tag > PHI_OWN_STATE_SOFTWARE) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) && field.tag != PHI_OWN_STATE_METADATA) {
            return PH_EPROTO;
        }
        if (!own_field(&own, &field)) {
            return PH_EPROTO;
        }
    }
    bool has_none = (seen >> PHI_OWN_STATE_NO_METADATA & 1) != 0;
    if (r.failed || (has_none && own.metadata_count != 0)) {
        return PH_EPROTO;
    }
    *out = own;
    return PH_OK;
}

static bool own_field(phi_own_state *own, const phi_field *field)
{
    switch ((phi_own_state_tag)field->tag) {
    case PHI_OWN_STATE_STATE:
        return phi_field_own_state(field, &own->state);
    case PHI_OWN_STATE_WEIGHT:
        own->has_weight = true;
        return phi_field_weight(field, &own->weight);
    case PHI_OWN_STATE_METADATA:
        own->has_metadata = true;
        return own->metadata_count < PHI_METADATA_COUNT_MAX &&
               phi_metadata_decode(field->value, &own->metadata[own->metadata_count++]);
    case PHI_OWN_STATE_NO_METADATA:
        own->has_metadata = true;
        return field->value.size == 0;
    case PHI_OWN_STATE_SOFTWARE:
        own->has_software = true;
        own->software = field->value;
        return field->value.size <= PHI_SOFTWARE_BYTES_MAX;
    }
    PH_UNREACHABLE("unknown tags were skipped");
}

void phi_own_state_encode(phi_writer *w, const phi_own_state *own)
{
    PH_ASSERT(own->state <= PHI_STATE_DRAINING);
    PH_ASSERT(!own->has_weight || own->weight <= PHI_WEIGHT_MAX);
    PH_ASSERT(own->has_metadata || own->metadata_count == 0);
    PH_ASSERT(own->metadata_count <= PHI_METADATA_COUNT_MAX);
    PH_ASSERT(own->software.size <= PHI_SOFTWARE_BYTES_MAX);

    if (own->state != 0) {
        phi_write_field_u8(w, PHI_OWN_STATE_STATE, (uint8_t)own->state);
    }
    if (own->has_weight) {
        phi_write_field_u16(w, PHI_OWN_STATE_WEIGHT, own->weight);
    }
    for (size_t i = 0; i < own->metadata_count; i++) {
        phi_write_metadata(w, PHI_OWN_STATE_METADATA, &own->metadata[i]);
    }
    if (own->has_metadata && own->metadata_count == 0) {
        phi_write_field(w, PHI_OWN_STATE_NO_METADATA, (phi_bytes){ 0 });
    }
    if (own->has_software) {
        phi_write_field(w, PHI_OWN_STATE_SOFTWARE, own->software);
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// center/own_state.c - see own_state.h.
//
// Design notes
//   - A line is made in one order of fields, whether from JOIN or later. So one that says the same
//     is the same, byte for byte, and nobody is told of a change that is none.
//   - What a client says may be longer than a line: that is found here, before anything is encoded.
//
// Clauses  P-35, P-46, P-72

#include "center/own_state.h"

#include "base/assert.h"
#include "center/entry.h"
#include "center/state.h"

enum {
    RETRY_MS = 1000,
};

static bool may_be(const account *a, phi_bytes line);

phi_bytes own_state_line(uint8_t *out, const phi_entry *head, const line_about *about)
{
    PH_ASSERT(about->weight <= PHI_WEIGHT_MAX);
    PH_ASSERT(about->count == 0 || about->fields.size == 0);
    uint8_t bytes[ENTRY_OWN_BYTES_MAX];
    phi_writer fields = phi_writer_of((phi_span){ bytes, sizeof bytes });
    if (about->software.size != 0) {
        phi_write_field(&fields, PHI_ENTRY_SOFTWARE, about->software);
    }
    if (about->weight != PHI_WEIGHT_DEFAULT) {
        phi_write_field_u16(&fields, PHI_ENTRY_WEIGHT, about->weight);
    }
    for (size_t i = 0; i < about->count; i++) {
        phi_write_metadata(&fields, PHI_ENTRY_METADATA, &about->metadata[i]);
    }
    phi_reader others = phi_reader_of(about->fields);
    phi_field field;
    while (phi_field_next(&others, &field)) {
        if (field.tag == PHI_ENTRY_METADATA) {
            phi_write_field(&fields, PHI_ENTRY_METADATA, field.value);
        }
    }
    PH_ASSERT(!others.failed);
    size_t size = PHI_ENTRY_FIXED_BYTES + 1 + head->id.size + 1 + head->service.size;
    if (fields.failed || size + phi_writer_size(&fields) > ENTRY_OWN_BYTES_MAX) {
        return phi_bytes_of(NULL, 0);
    }
    phi_entry entry = *head;
    entry.fields = phi_writer_view(&fields);
    phi_writer w = phi_writer_of((phi_span){ out, ENTRY_OWN_BYTES_MAX });
    phi_entry_encode(&w, &entry);
    PH_ASSERT(!w.failed);
    return phi_writer_view(&w);
}

void own_state_handle(center *c, session *s, phi_bytes payload)
{
    PH_ASSERT(session_is(s, SESSION_JOINED));
    phi_own_state own;
    if (phi_own_state_decode(payload, &own) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    c->counters.own_states_total++;
    account *a = s->account;
    phi_entry_detail old;
    ph_err rc = phi_entry_detail_decode(entry_fields(a->entry), &old);
    PH_ASSERT(rc == PH_OK);
    uint8_t bytes[ENTRY_OWN_BYTES_MAX];
    phi_bytes line = own_state_line(
        bytes,
        &(phi_entry){
            .what = PHI_WHAT_ONLINE,
            .type = a->entry[ENTRY_TYPE_AT],
            .state = own.state == 0 ? a->own_state : (uint8_t)own.state,
            .session = s->number,
            .id = account_id(a),
            .service = account_service(a),
        },
        &(line_about){
            .software = own.has_software ? own.software : old.software,
            .weight = own.has_weight ? own.weight : old.weight,
            .metadata = own.metadata,
            .count = own.metadata_count,
            .fields = own.has_metadata ? phi_bytes_of(NULL, 0) : entry_fields(a->entry),
        });
    if (line.size == 0 || !may_be(a, line)) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, "longer than a JOIN may be");
        return;
    }
    if (presence_replace(c, a, line) != PH_OK) {
        session_end(c, s, PHI_BYE_INTERNAL, RETRY_MS, "no memory");
    }
}

// What a JOIN led to may stay as long as it is.
static bool may_be(const account *a, phi_bytes line)
{
    return line.size <= PHI_PACKET_BYTES_JOINING_MAX || line.size <= a->entry_size;
}

// SPDX-License-Identifier: Apache-2.0
//
// wire/presence.c - encoders and decoders of online list, online status, and the ask for them.
//
// Design notes
//
// A page is judged as a whole before anything of it is used, so that a reader who applies its
// entries never stops half-way. The entries stay encoded: a page may hold hundreds, and most
// readers look at each once.
//
// Clauses: P-26, P-38, P-42, P-44 to P-46.

#include "wire/presence.h"

#include "base/assert.h"
#include "wire/name.h"

// Tags of P-42.
enum {
    ASK_WANTS = 1,
    ASK_TYPE = 2,
    ASK_SERVICE = 3,
    ASK_DOMAIN = 4,
    ASK_LAST_EPOCH = 5,
    ASK_LAST_REVISION = 6,
};

PH_STATIC_ASSERT(PHI_ENTRY_FIXED_BYTES == 2 + 4 + 8 + 8);

static bool entries_are(phi_bytes entries, uint16_t count);
static bool detail_field(phi_entry_detail *detail, uint64_t *seen, const phi_field *field);

// ---- entry

bool phi_entry_decode(phi_reader *r, phi_entry *out)
{
    if (r->failed || phi_reader_left(r) == 0) {
        return false;
    }
    uint16_t size = phi_read_u16(r);
    if (r->failed || size < PHI_ENTRY_FIXED_BYTES) {
        r->failed = true;
        return false;
    }
    // What is behind `size` and inside the entry. When it does not end inside the payload both
    // readers have failed.
    phi_reader in = phi_reader_of(phi_read_bytes(r, size - 2u));
    phi_entry e = { .what = phi_read_u8(&in) };
    e.reason = phi_read_u8(&in);
    e.type = phi_read_u8(&in);
    e.state = phi_read_u8(&in);
    e.session = phi_read_u64(&in);
    e.revision = phi_read_u64(&in);
    e.id = phi_read_str8(&in);
    e.service = phi_read_str8(&in);
    e.fields = phi_read_rest(&in);

    phi_entry_detail detail;
    bool is_good = !r->failed && !in.failed && e.what >= PHI_WHAT_ONLINE &&
                   e.what <= PHI_WHAT_CHANGED && phi_id_is_valid(e.id) &&
                   (e.service.size == 0 || phi_name_is_valid(e.service)) &&
                   phi_entry_detail_decode(e.fields, &detail) == PH_OK;
    if (!is_good) {
        r->failed = true;
        return false;
    }
    *out = e;
    return true;
}

void phi_entry_encode(phi_writer *w, const phi_entry *entry)
{
    PH_ASSERT(entry->what >= PHI_WHAT_ONLINE);
    PH_ASSERT(entry->what <= PHI_WHAT_CHANGED);
    PH_ASSERT(entry->id.size <= PHI_ID_BYTES_MAX);
    PH_ASSERT(entry->service.size <= PHI_NAME_BYTES_MAX);

    size_t size =
        PHI_ENTRY_FIXED_BYTES + 1 + entry->id.size + 1 + entry->service.size + entry->fields.size;
    PH_ASSERT(size <= PHI_ENTRY_BYTES_MAX);
    phi_write_u16(w, (uint16_t)size);
    phi_write_u8(w, entry->what);
    phi_write_u8(w, entry->reason);
    phi_write_u8(w, entry->type);
    phi_write_u8(w, entry->state);
    phi_write_u64(w, entry->session);
    phi_write_u64(w, entry->revision);
    phi_write_str8(w, entry->id);
    phi_write_str8(w, entry->service);
    phi_write_bytes(w, entry->fields);
}

ph_err phi_entry_detail_decode(phi_bytes fields, phi_entry_detail *out)
{
    phi_entry_detail detail = { .weight = PHI_WEIGHT_DEFAULT };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (!detail_field(&detail, &seen, &field)) {
            return PH_EPROTO;
        }
    }
    if (r.failed) {
        return PH_EPROTO;
    }
    *out = detail;
    return PH_OK;
}

static bool detail_field(phi_entry_detail *detail, uint64_t *seen, const phi_field *field)
{
    phi_metadata metadata;
    switch (field->tag) {
    case PHI_ENTRY_SOFTWARE:
        detail->software = field->value;
        return field->value.size <= PHI_SOFTWARE_BYTES_MAX && phi_field_once(seen, field->tag);
    case PHI_ENTRY_WEIGHT:
        return phi_field_weight(field, &detail->weight) && phi_field_once(seen, field->tag);
    case PHI_ENTRY_METADATA:
        detail->metadata_count++;
        return detail->metadata_count <= PHI_METADATA_COUNT_MAX &&
               phi_metadata_decode(field->value, &metadata);
    case PHI_ENTRY_ROUND_TRIP:
        return phi_field_u32(field, &detail->round_trip_us) && phi_field_once(seen, field->tag);
    default:
        return true; // of a later version
    }
}

bool phi_metadata_decode(phi_bytes value, phi_metadata *out)
{
    phi_reader r = phi_reader_of(value);
    phi_bytes key = phi_read_str8(&r);
    phi_bytes rest = phi_read_rest(&r);
    if (r.failed || key.size == 0 || key.size > PHI_METADATA_KEY_BYTES_MAX ||
        rest.size > PHI_METADATA_VALUE_BYTES_MAX) {
        return false;
    }
    *out = (phi_metadata){ key, rest };
    return true;
}

void phi_write_metadata(phi_writer *w, uint8_t tag, const phi_metadata *metadata)
{
    PH_ASSERT(metadata->key.size != 0);
    PH_ASSERT(metadata->key.size <= PHI_METADATA_KEY_BYTES_MAX);
    PH_ASSERT(metadata->value.size <= PHI_METADATA_VALUE_BYTES_MAX);

    phi_write_u8(w, tag);
    phi_write_u16(w, (uint16_t)(1 + metadata->key.size + metadata->value.size));
    phi_write_str8(w, metadata->key);
    phi_write_bytes(w, metadata->value);
}

bool phi_field_own_state(const phi_field *field, phi_state *out)
{
    uint8_t state;
    if (!phi_field_u8(field, &state) || state < PHI_STATE_STARTING || state > PHI_STATE_DRAINING) {
        return false;
    }
    *out = (phi_state)state;
    return true;
}

bool phi_field_weight(const phi_field *field, uint16_t *out)
{
    uint16_t weight;
    if (!phi_field_u16(field, &weight) || weight > PHI_WEIGHT_MAX) {
        return false;
    }
    *out = weight;
    return true;
}

// ---- page and status

ph_err phi_page_decode(phi_bytes payload, phi_page *out)
{
    phi_reader r = phi_reader_of(payload);
    phi_page page = { .epoch = phi_read_u64(&r) };
    page.revision = phi_read_u64(&r);
    page.flags = phi_read_u8(&r);
    page.count = phi_read_u16(&r);
    page.entries = phi_read_rest(&r);
    if (r.failed || !entries_are(page.entries, page.count)) {
        return PH_EPROTO;
    }
    *out = page;
    return PH_OK;
}

ph_err phi_status_decode(phi_bytes payload, phi_status *out)
{
    phi_reader r = phi_reader_of(payload);
    phi_status status = { .epoch = phi_read_u64(&r) };
    status.previous = phi_read_u64(&r);
    status.revision = phi_read_u64(&r);
    status.count = phi_read_u16(&r);
    status.entries = phi_read_rest(&r);
    if (r.failed || status.previous > status.revision ||
        !entries_are(status.entries, status.count)) {
        return PH_EPROTO;
    }
    *out = status;
    return PH_OK;
}

static bool entries_are(phi_bytes entries, uint16_t count)
{
    phi_reader r = phi_reader_of(entries);
    phi_entry entry;
    size_t found = 0;
    while (phi_entry_decode(&r, &entry)) {
        found++;
    }
    return !r.failed && found == count;
}

void phi_page_encode(phi_writer *w, const phi_page *page)
{
    phi_page_encode_head(w, page);
    phi_write_bytes(w, page->entries);
}

void phi_page_encode_head(phi_writer *w, const phi_page *page)
{
    PH_ASSERT_SLOW(entries_are(page->entries, page->count));

    phi_write_u64(w, page->epoch);
    phi_write_u64(w, page->revision);
    phi_write_u8(w, page->flags);
    phi_write_u16(w, page->count);
}

void phi_status_encode(phi_writer *w, const phi_status *status)
{
    phi_status_encode_head(w, status);
    phi_write_bytes(w, status->entries);
}

void phi_status_encode_head(phi_writer *w, const phi_status *status)
{
    PH_ASSERT(status->previous <= status->revision);
    PH_ASSERT_SLOW(entries_are(status->entries, status->count));

    phi_write_u64(w, status->epoch);
    phi_write_u64(w, status->previous);
    phi_write_u64(w, status->revision);
    phi_write_u16(w, status->count);
}

// ---- ask

ph_err phi_presence_ask_decode(phi_bytes payload, phi_presence_ask *out)
{
    phi_presence_ask ask = { 0 };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(payload);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag < ASK_WANTS || field.tag > ASK_LAST_REVISION) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) || !phi_presence_ask_field(&ask, &field, 0)) {
            return PH_EPROTO;
        }
    }
    if (r.failed || (seen >> ASK_WANTS & 1) == 0) {
        return PH_EPROTO;
    }
    *out = ask;
    return PH_OK;
}

void phi_presence_ask_encode(phi_writer *w, const phi_presence_ask *ask)
{
    phi_presence_ask_write(w, ask, 0);
}

bool phi_presence_ask_field(phi_presence_ask *ask, const phi_field *field, uint8_t tag_base)
{
    uint8_t wants;
    switch (field->tag - tag_base) {
    case ASK_WANTS:
        if (!phi_field_u8(field, &wants) || wants > 1) {
            return false;
        }
        ask->wants = wants == 1;
        return true;
    case ASK_TYPE:
        return phi_field_u8(field, &ask->type) && ask->type >= PHI_TYPE_CLIENT &&
               ask->type <= PHI_TYPE_CENTER;
    case ASK_SERVICE:
        ask->service = field->value;
        return field->value.size <= UINT8_MAX;
    case ASK_DOMAIN:
        ask->domain = field->value;
        return field->value.size <= UINT8_MAX;
    case ASK_LAST_EPOCH:
        return phi_field_u64(field, &ask->last_epoch);
    case ASK_LAST_REVISION:
        return phi_field_u64(field, &ask->last_revision);
    default:
        PH_UNREACHABLE("the caller passes tags of the ask only");
    }
}

void phi_presence_ask_write(phi_writer *w, const phi_presence_ask *ask, uint8_t tag_base)
{
    PH_ASSERT(ask->type <= PHI_TYPE_CENTER);
    PH_ASSERT(ask->service.size <= UINT8_MAX);
    PH_ASSERT(ask->domain.size <= UINT8_MAX);

    phi_write_field_u8(w, (uint8_t)(tag_base + ASK_WANTS), ask->wants);
    if (ask->type != 0) {
        phi_write_field_u8(w, (uint8_t)(tag_base + ASK_TYPE), ask->type);
    }
    if (ask->service.size != 0) {
        phi_write_field(w, (uint8_t)(tag_base + ASK_SERVICE), ask->service);
    }
    if (ask->domain.size != 0) {
        phi_write_field(w, (uint8_t)(tag_base + ASK_DOMAIN), ask->domain);
    }
    if (ask->last_epoch != 0) {
        phi_write_field_u64(w, (uint8_t)(tag_base + ASK_LAST_EPOCH), ask->last_epoch);
    }
    if (ask->last_revision != 0) {
        phi_write_field_u64(w, (uint8_t)(tag_base + ASK_LAST_REVISION), ask->last_revision);
    }
}

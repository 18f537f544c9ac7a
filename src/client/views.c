// SPDX-License-Identifier: Apache-2.0
//
// client/views.c - reading what was received: headers of a message, metadata of a peer, the end of
// a gather. The first two were judged as a whole only in part (a center passes headers on unread),
// so readers stop at the first thing that breaks the form.

#include <posthouse/dialog.h>
#include <posthouse/message.h>
#include <posthouse/presence.h>

#include "wire/message.h"
#include "wire/presence.h"

static phi_bytes bytes_of(ph_view view)
{
    return phi_bytes_of(view.data, view.size);
}

static ph_view view_of(phi_bytes bytes)
{
    return (ph_view){ (const char *)bytes.data, bytes.size };
}

ph_err ph_incoming_header(const ph_incoming *incoming, const char *name, ph_view *out)
{
    if (incoming == NULL || name == NULL || out == NULL) {
        return PH_EINVAL;
    }
    phi_bytes wanted = phi_bytes_text(name);
    phi_reader r = phi_reader_of(bytes_of(incoming->headers));
    phi_header header;
    while (phi_header_next(&r, &header)) {
        if (phi_bytes_equal(header.name, wanted)) {
            *out = view_of(header.value);
            return PH_OK;
        }
    }
    return r.failed ? PH_EPROTO : PH_ENOTFOUND;
}

bool ph_incoming_header_next(const ph_incoming *incoming, size_t *cursor, ph_view *name,
                             ph_view *value)
{
    if (incoming == NULL || cursor == NULL || name == NULL || value == NULL ||
        *cursor >= incoming->headers.size) {
        return false;
    }
    phi_bytes all = bytes_of(incoming->headers);
    phi_reader r = phi_reader_of(phi_bytes_of(all.data + *cursor, all.size - *cursor));
    phi_header header;
    if (!phi_header_next(&r, &header)) {
        return false;
    }
    *cursor = (size_t)(r.at - all.data);
    *name = view_of(header.name);
    *value = view_of(header.value);
    return true;
}

bool ph_gathered_next(const ph_gathered *gathered, size_t *cursor, ph_view *id, uint16_t *code)
{
    if (gathered == NULL || cursor == NULL || id == NULL || code == NULL ||
        *cursor >= gathered->missing.size) {
        return false;
    }
    phi_bytes all = bytes_of(gathered->missing);
    phi_reader r = phi_reader_of(phi_bytes_of(all.data + *cursor, all.size - *cursor));
    phi_bytes text;
    if (!phi_gathered_next(&r, code, &text)) {
        return false;
    }
    *cursor = (size_t)(r.at - all.data);
    *id = view_of(text);
    return true;
}

bool ph_request_id_equal(ph_request_id a, ph_request_id b)
{
    return a.call == b.call && a.connection == b.connection && a.turn == b.turn;
}

bool ph_peer_metadata_next(const ph_peer *peer, size_t *cursor, ph_view *key, ph_view *value)
{
    if (peer == NULL || cursor == NULL || key == NULL || value == NULL ||
        *cursor >= peer->metadata.size) {
        return false;
    }
    phi_bytes all = bytes_of(peer->metadata);
    phi_reader r = phi_reader_of(phi_bytes_of(all.data + *cursor, all.size - *cursor));
    phi_field field;
    while (phi_field_next(&r, &field)) {
        phi_metadata metadata;
        if (field.tag == PHI_ENTRY_METADATA && phi_metadata_decode(field.value, &metadata)) {
            *cursor = (size_t)(r.at - all.data);
            *key = view_of(metadata.key);
            *value = view_of(metadata.value);
            return true;
        }
    }
    return false;
}

ph_err ph_peer_metadata(const ph_peer *peer, const char *key, ph_view *out)
{
    if (peer == NULL || key == NULL || out == NULL) {
        return PH_EINVAL;
    }
    phi_bytes wanted = phi_bytes_text(key);
    size_t cursor = 0;
    ph_view name;
    ph_view value;
    while (ph_peer_metadata_next(peer, &cursor, &name, &value)) {
        if (phi_bytes_equal(bytes_of(name), wanted)) {
            *out = value;
            return PH_OK;
        }
    }
    return PH_ENOTFOUND;
}

// SPDX-License-Identifier: Apache-2.0
//
// client/own_state.c - what the client says about itself while it is connected.
//
// Design notes  `join` is what counts: it is changed here, and the next connection begins with it.
//               What a connection was not told yet is kept as a set of fields, not as packets: who
//               changes its state ten times while there is no room says only the last.
//               Texts that came with a change stand in a block of their own, which replaces the one
//               before; those of the options stay where they are.
//
// Clauses       P-35, P-72

#include <posthouse/state.h>

#include "client/core.h"
#include "wire/own_state.h"

enum {
    OWES_STATE = 1,
    OWES_WEIGHT = 2,
    OWES_METADATA = 4,
    OWES_SOFTWARE = 8,
};

PH_STATIC_ASSERT(PH_WEIGHT_MAX == PHI_WEIGHT_MAX);
PH_STATIC_ASSERT(PH_WEIGHT_DEFAULT == PHI_WEIGHT_DEFAULT);

static ph_err own_check(const ph_own_state *own);
static ph_err texts_take(ph_client *client, phi_join *join, const ph_own_state *own, char **texts,
                         size_t *size);

void phi_client_own_fini(ph_client *client)
{
    phi_give(client->alloc, client->own_texts, client->own_texts_size);
    client->own_texts = NULL;
}

ph_err ph_client_set_state(ph_client *client, const ph_own_state *own)
{
    ph_own_state known = PH_OWN_STATE_INIT;
    if (client == NULL || own == NULL ||
        !phi_struct_copy(&known, sizeof known, own, offsetof(ph_own_state, has_weight))) {
        return PH_EINVAL;
    }
    ph_err rc = own_check(&known);
    if (rc != PH_OK) {
        return rc;
    }
    if (ph_client_state(client) == PH_LINK_CLOSED) {
        return PH_ECLOSED;
    }
    phi_join join = client->join;
    unsigned changes = 0;
    if (known.state != 0) {
        join.state = (phi_state)known.state;
        changes |= OWES_STATE;
    }
    if (known.has_weight) {
        join.weight = known.weight;
        changes |= OWES_WEIGHT;
    }
    changes |= known.has_metadata ? OWES_METADATA : 0u;
    changes |= known.software != NULL ? OWES_SOFTWARE : 0u;
    if ((changes & (OWES_METADATA | OWES_SOFTWARE)) != 0) {
        char *texts = NULL;
        size_t size = 0;
        rc = texts_take(client, &join, &known, &texts, &size);
        if (rc != PH_OK) {
            return rc;
        }
        phi_client_own_fini(client);
        client->own_texts = texts;
        client->own_texts_size = size;
    }
    client->join = join;
    client->owes_own |= changes;
    phi_client_own_flush(client);
    return PH_OK;
}

void phi_client_own_flush(ph_client *client)
{
    if (phi_client_is(client, PHI_CLIENT_DIALING) &&
        !phi_link_is(&client->transport.link, PHI_LINK_GREETING)) {
        return; // JOIN said something else: as soon as it is up
    }
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        client->owes_own = 0; // JOIN says it
        return;
    }
    unsigned owes = client->owes_own;
    if (owes == 0 || !phi_link_is(&client->transport.link, PHI_LINK_OPEN)) {
        return;
    }
    const phi_join *join = &client->join;
    phi_own_state own = { .has_weight = (owes & OWES_WEIGHT) != 0,
                          .weight = join->weight,
                          .has_metadata = (owes & OWES_METADATA) != 0,
                          .has_software = (owes & OWES_SOFTWARE) != 0,
                          .software = join->software };
    own.state = (owes & OWES_STATE) != 0 ? join->state : (phi_state)0;
    if (own.has_metadata) {
        own.metadata_count = join->metadata_count;
        memcpy(own.metadata, join->metadata, sizeof own.metadata);
    }
    // It fits into a JOIN, which says more.
    size_t size = PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED;
    uint8_t *room = phi_transport_begin(&client->transport, size);
    if (room == NULL) {
        return; // on_room follows, or the end of the connection
    }
    phi_writer w = phi_writer_of((phi_span){ room, size });
    phi_own_state_encode(&w, &own);
    PH_ASSERT(!w.failed);
    phi_transport_commit(&client->transport, PHI_COMMAND_OWN_STATE, phi_writer_size(&w));
    client->owes_own = 0;
}

void phi_client_on_wish(ph_client *client, phi_bytes payload)
{
    phi_own_state wish;
    if (phi_own_state_decode(payload, &wish) != PH_OK || wish.state == 0) {
        phi_client_breach(client, "a wish for a state breaks its form");
        return;
    }
    if (client->options.on_state_wish == NULL) {
        return;
    }
    phi_client_enter(client);
    client->options.on_state_wish(client, (ph_state)wish.state, client->options.arg);
    phi_client_leave(client);
}

// ---- helpers

static ph_err own_check(const ph_own_state *own)
{
    if ((int)own->state < 0 || own->state > PH_STATE_DRAINING ||
        (own->has_weight && own->weight > PH_WEIGHT_MAX)) {
        return PH_EINVAL;
    }
    if (own->software != NULL &&
        strnlen(own->software, PHI_SOFTWARE_BYTES_MAX + 1u) > PHI_SOFTWARE_BYTES_MAX) {
        return PH_EINVAL;
    }
    return own->has_metadata && !phi_client_metadata_is_fine(own->metadata, own->metadata_count)
               ? PH_EINVAL
               : PH_OK;
}

static phi_bytes keep(char **at, phi_bytes text)
{
    phi_bytes kept = phi_bytes_of(*at, text.size);
    if (text.size != 0) {
        memcpy(*at, text.data, text.size);
        *at += text.size;
    }
    return kept;
}

// A block with software and metadata as they are to be; `join` then views it.
static ph_err texts_take(ph_client *client, phi_join *join, const ph_own_state *own, char **texts,
                         size_t *size)
{
    phi_join next = *join;
    if (own->software != NULL) {
        next.software = phi_bytes_text(own->software);
    }
    if (own->has_metadata) {
        next.metadata_count = own->metadata_count;
        for (size_t i = 0; i < own->metadata_count; i++) {
            next.metadata[i].key = phi_bytes_text(own->metadata[i].key);
            next.metadata[i].value = phi_bytes_text(own->metadata[i].value);
        }
    }
    if (!phi_client_join_fits(&next)) {
        return PH_EINVAL;
    }
    size_t total = next.software.size;
    for (size_t i = 0; i < next.metadata_count; i++) {
        total += next.metadata[i].key.size + next.metadata[i].value.size;
    }
    char *block = NULL;
    if (total != 0) {
        block = phi_take(client->alloc, total);
        if (block == NULL) {
            return PH_ENOMEM;
        }
    }
    char *at = block;
    next.software = keep(&at, next.software);
    for (size_t i = 0; i < next.metadata_count; i++) {
        next.metadata[i].key = keep(&at, next.metadata[i].key);
        next.metadata[i].value = keep(&at, next.metadata[i].value);
    }
    *join = next;
    *texts = block;
    *size = total;
    return PH_OK;
}

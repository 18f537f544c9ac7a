// SPDX-License-Identifier: Apache-2.0
//
// client/watch.c - the online list as the public functions show it. The list itself is peers.c.

#include "client/core.h"

// After there was no memory for somebody on the list: when to ask for the whole list again.
#define AGAIN_MS 1000u
// wants, type, service, domain, epoch, revision; each with its tag and length
#define ASK_BYTES_MAX (4u + 4u + 2u * (3u + PHI_NAME_BYTES_MAX) + 2u * 11u)

static void on_change(phi_peers *peers, ph_change change, ph_reason reason, const ph_peer *peer);
static void on_ready(phi_peers *peers);
static void on_again(phi_timer *timer, phi_time now);

static const phi_peers_events peers_events = {
    .on_change = on_change,
    .on_ready = on_ready,
};

void phi_client_watch_init(ph_client *client)
{
    phi_hash_key key;
    phi_io_entropy(client->io, (uint8_t *)&key, sizeof key);
    phi_peers_init(&client->peers, client->alloc, key, client->options.peers_max, &peers_events);
    phi_timer_init(&client->again, on_again);
    if (client->options.is_watching) {
        phi_peers_filter everything = { .type = 0 };
        phi_peers_want(&client->peers, &everything);
    }
}

void phi_client_watch_fini(ph_client *client)
{
    phi_timer_clear(&client->io->timers, &client->again);
    phi_peers_fini(&client->peers);
}

void phi_client_watch_join(ph_client *client)
{
    client->join.presence = phi_peers_ask(&client->peers);
    phi_peers_asked(&client->peers, /* in_join= */ true);
    client->owes_ask = false;
}

void phi_client_ask(ph_client *client)
{
    client->owes_ask = false;
    if (phi_client_is(client, PHI_CLIENT_DIALING)) {
        if (phi_link_is(&client->transport.link, PHI_LINK_GREETING)) {
            phi_client_watch_join(client); // JOIN is still to be made
        } else {
            client->owes_ask = true; // JOIN asked for something else
        }
        return;
    }
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return; // JOIN will ask
    }
    uint8_t encoded[ASK_BYTES_MAX];
    phi_presence_ask ask = phi_peers_ask(&client->peers);
    phi_writer w = phi_writer_of((phi_span){ encoded, sizeof encoded });
    phi_presence_ask_encode(&w, &ask);
    PH_ASSERT(!w.failed);
    size_t size = phi_writer_size(&w);
    uint8_t *room = phi_transport_begin(&client->transport, size);
    if (room == NULL) {
        client->owes_ask = true; // on_room follows, or the end of the connection
        return;
    }
    memcpy(room, encoded, size);
    phi_transport_commit(&client->transport, PHI_COMMAND_ONLINE_LIST, size);
    phi_peers_asked(&client->peers, /* in_join= */ false);
}

// Somebody is missing for want of memory: later there may be some.
static void ask_again_if_short(ph_client *client)
{
    if (client->peers.is_short && !phi_timer_is_set(&client->again)) {
        phi_time when = phi_time_add(client->io->now, phi_ms(AGAIN_MS));
        phi_timer_set(&client->io->timers, &client->again, when);
    }
}

static void on_again(phi_timer *timer, phi_time now)
{
    (void)now;
    ph_client *client = PHI_CONTAINER_OF(timer, ph_client, again);
    if (client->peers.is_short) {
        phi_client_ask(client);
    }
}

// ---- what comes

void phi_client_on_page(ph_client *client, phi_bytes payload)
{
    if (phi_peers_page(&client->peers, payload) != PH_OK) {
        phi_client_breach(client, "an online list breaks its form");
    }
    ask_again_if_short(client);
}

void phi_client_on_status(ph_client *client, phi_bytes payload)
{
    bool has_gap = false;
    if (phi_peers_status(&client->peers, payload, &has_gap) != PH_OK) {
        phi_client_breach(client, "an online status breaks its form");
    } else if (has_gap) {
        phi_client_ask(client);
    }
    ask_again_if_short(client);
}

static void on_change(phi_peers *peers, ph_change change, ph_reason reason, const ph_peer *peer)
{
    ph_client *client = PHI_CONTAINER_OF(peers, ph_client, peers);
    if (client->options.on_presence == NULL) {
        return;
    }
    phi_client_enter(client);
    client->options.on_presence(client, change, reason, peer, client->options.arg);
    phi_client_leave(client);
}

static void on_ready(phi_peers *peers)
{
    ph_client *client = PHI_CONTAINER_OF(peers, ph_client, peers);
    if (client->options.on_presence_ready == NULL) {
        return;
    }
    phi_client_enter(client);
    client->options.on_presence_ready(client, peers->revision, client->options.arg);
    phi_client_leave(client);
}

// ---- public

// False: not a name. Absent is any.
static bool filter_name(const char *text, uint8_t room[PHI_NAME_BYTES_MAX], uint8_t *size)
{
    if (text == NULL) {
        *size = 0;
        return true;
    }
    phi_bytes name = phi_bytes_of(text, strnlen(text, PHI_NAME_BYTES_MAX + 1u));
    if (!phi_name_is_valid(name)) {
        return false;
    }
    memcpy(room, name.data, name.size);
    *size = (uint8_t)name.size;
    return true;
}

ph_err ph_client_watch(ph_client *client, const ph_watch *watch)
{
    ph_watch known = PH_WATCH_INIT;
    if (client == NULL ||
        (watch != NULL && !phi_struct_copy(&known, sizeof known, watch, sizeof(size_t)))) {
        return PH_EINVAL;
    }
    if ((int)known.type < 0 || known.type > PH_TYPE_CENTER) {
        return PH_EINVAL;
    }
    phi_peers_filter filter = { .type = (uint8_t)known.type };
    if (!filter_name(known.service, filter.service, &filter.service_size) ||
        !filter_name(known.domain, filter.domain, &filter.domain_size)) {
        return PH_EINVAL;
    }
    phi_peers_want(&client->peers, &filter);
    phi_client_ask(client);
    return PH_OK;
}

void ph_client_unwatch(ph_client *client)
{
    if (client != NULL) {
        phi_peers_unwant(&client->peers);
        phi_client_ask(client);
    }
}

size_t ph_client_peer_count(const ph_client *client)
{
    return client == NULL ? 0 : phi_peers_count(&client->peers);
}

static bool peer_give(ph_peer *out, const ph_peer *peer)
{
    return phi_struct_give(out, peer, sizeof *peer, offsetof(ph_peer, session));
}

bool ph_client_peer_next(const ph_client *client, size_t *cursor, ph_peer *out)
{
    ph_peer peer;
    return client != NULL && cursor != NULL && out != NULL &&
           phi_peers_next(&client->peers, cursor, &peer) && peer_give(out, &peer);
}

ph_err ph_client_peer_find(const ph_client *client, const char *id, ph_peer *out)
{
    if (client == NULL || id == NULL || out == NULL) {
        return PH_EINVAL;
    }
    ph_peer peer;
    if (!phi_peers_find(&client->peers, phi_bytes_text(id), &peer)) {
        return PH_ENOTFOUND;
    }
    return peer_give(out, &peer) ? PH_OK : PH_EINVAL;
}

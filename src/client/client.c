// SPDX-License-Identifier: Apache-2.0
//
// client/client.c - a client's life, and the public functions that look at it.

#include "client/client.h"

#include "client/core.h"

static ph_err client_make(ph_client **out, phi_io *io, ph_loop *loop, bool owns_loop,
                          const ph_client_options *options);

// ---- life

ph_err ph_client_new(ph_client **out, const ph_client_options *options)
{
    if (out == NULL) {
        return PH_EINVAL;
    }
    ph_client_options known = PH_CLIENT_OPTIONS_INIT;
    if (options != NULL && !phi_struct_copy(&known, sizeof known, options, sizeof(size_t))) {
        return PH_EINVAL;
    }
    if (known.loop != NULL) {
        return client_make(out, phi_loop_io(known.loop), known.loop, /* owns_loop= */ false,
                           &known);
    }
    ph_loop *loop = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc != PH_OK) {
        return rc;
    }
    rc = client_make(out, phi_loop_io(loop), loop, /* owns_loop= */ true, &known);
    if (rc != PH_OK) {
        ph_loop_free(&loop);
    }
    return rc;
}

ph_err phi_client_new_on(ph_client **out, phi_io *io, const ph_client_options *options)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(io != NULL);
    PH_ASSERT(options == NULL || options->loop == NULL);
    return client_make(out, io, NULL, /* owns_loop= */ false, options);
}

static ph_err client_make(ph_client **out, phi_io *io, ph_loop *loop, bool owns_loop,
                          const ph_client_options *options)
{
    ph_client *c = phi_take_zeroed(io->alloc, 1, sizeof *c);
    if (c == NULL) {
        return PH_ENOMEM;
    }
    c->magic = PHI_CLIENT_MAGIC;
    c->io = io;
    c->alloc = io->alloc;
    c->loop = loop;
    c->owns_loop = owns_loop;
    phi_client_token_init(c);
    ph_err rc = phi_client_options_take(c, options);
    if (rc != PH_OK) {
        phi_client_token_fini(c);
        phi_give(io->alloc, c, sizeof *c);
        return rc;
    }
    phi_client_calls_init(c);
    phi_client_watch_init(c);
    phi_client_topics_init(c);
    phi_client_streams_init(c);
    phi_client_dial_init(c);
    *out = c;
    return PH_OK;
}

void ph_client_free(ph_client **client)
{
    if (client == NULL || *client == NULL) {
        return;
    }
    ph_client *c = *client;
    PH_ASSERT(c->magic == PHI_CLIENT_MAGIC);
    PH_ASSERT(c->callbacks == 0); // not from one of its own callbacks

    phi_client_dial_fini(c);
    phi_client_streams_fini(c);
    phi_client_calls_end(c, PH_ECANCELLED);
    phi_client_calls_fini(c);
    phi_client_watch_fini(c);
    phi_client_topics_fini(c);
    phi_client_own_fini(c);
    phi_client_token_fini(c);
    phi_io_tls_drop(c->io, &c->tls);
    phi_client_options_give(c);
    ph_loop *loop = c->owns_loop ? c->loop : NULL;
    c->magic = 0;
    phi_give(c->alloc, c, sizeof *c);
    *client = NULL;
    ph_loop_free(&loop);
}

ph_err ph_client_open(ph_client *client)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    if (ph_client_state(client) == PH_LINK_CLOSED) {
        return PH_ECLOSED;
    }
    phi_client_dial_open(client);
    return PH_OK;
}

void ph_client_close(ph_client *client)
{
    if (client != NULL) {
        phi_client_dial_close(client);
    }
}

// ---- queries

ph_loop *ph_client_loop(ph_client *client)
{
    return client == NULL ? NULL : client->loop;
}

ph_link_state ph_client_state(const ph_client *client)
{
    switch ((phi_client_state)client->sm.state) {
    case PHI_CLIENT_UP:
        return PH_LINK_UP;
    case PHI_CLIENT_CLOSING:
    case PHI_CLIENT_CLOSED:
        return PH_LINK_CLOSED;
    case PHI_CLIENT_NEW:
    case PHI_CLIENT_WAITING:
    case PHI_CLIENT_AWAITING:
    case PHI_CLIENT_DIALING:
    case PHI_CLIENT_ENDING:
    case PHI_CLIENT_STATE_COUNT:
        break;
    }
    return PH_LINK_DOWN;
}

const char *ph_client_id(const ph_client *client)
{
    return client->id;
}

const char *ph_client_trouble(const ph_client *client)
{
    return client->trouble;
}

uint32_t ph_client_round_trip_us(const ph_client *client)
{
    return phi_client_is(client, PHI_CLIENT_UP) ? client->transport.link.round_trip_us : 0;
}

ph_err ph_client_probe(ph_client *client)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return PH_ENOTCONNECTED;
    }
    if (!ph_client_is_probing(client)) {
        phi_transport_probe(&client->transport);
    }
    return PH_OK;
}

bool ph_client_is_probing(const ph_client *client)
{
    return phi_client_is(client, PHI_CLIENT_UP) && !phi_time_is_never(client->transport.link.asked);
}

void ph_client_count(const ph_client *client, ph_client_counters *out)
{
    ph_client_counters now = client->counters;
    now.peers_dropped = client->peers.dropped;
    now.bytes_sent = client->transports.bytes_sent;
    now.bytes_received = client->transports.bytes_received;
    (void)phi_struct_give(out, &now, sizeof now, sizeof(size_t)); // too short a one gets nothing
}

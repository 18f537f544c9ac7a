// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_listener.c - addresses, and who listens on them.

#include <stdio.h>
#include <string.h>

#include "sim/sim_internal.h"

// ---- addresses

// Localhost is 127.0.0.1, and whether it is TLS does not stand in it.
void sim_address(const phi_endpoint *endpoint, char text[PHI_ADDRESS_TEXT_MAX])
{
    phi_endpoint e = *endpoint;
    if (phi_endpoint_is_localhost(&e)) {
        e.kind = PHI_ENDPOINT_IP4;
        memcpy(e.host, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
    }
    e.is_tls = false;
    phi_endpoint_format(&e, text);
}

phi_listener *sim_listener_find(const sim *s, const char *address)
{
    for (uint32_t i = 1; i < s->host_count; i++) {
        sim_host *host = s->hosts[i];
        for (phi_list *n = host->listeners.next; host->is_alive && n != &host->listeners;
             n = n->next) {
            phi_listener *listener = PHI_CONTAINER_OF(n, phi_listener, node);
            if (strcmp(listener->address, address) == 0) {
                return listener;
            }
        }
    }
    return NULL;
}

// ---- listeners

ph_err sim_listen(phi_io *io, const phi_listen_options *options, const phi_listener_events *events,
                  void *owner, phi_listener **out, phi_diag *diag)
{
    sim_host *host = sim_host_of(io);
    PH_ASSERT(events->on_accept != NULL);
    PH_ASSERT(events->on_shed != NULL);
    phi_endpoint at;
    ph_err rc = phi_endpoint_parse(options->address, &at, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if ((at.kind == PHI_ENDPOINT_NAME && !phi_endpoint_is_localhost(&at)) || at.is_tls) {
        return phi_diag_add(diag, PH_EINVAL, "address '%s' is not numeric", options->address);
    }
    char text[PHI_ADDRESS_TEXT_MAX];
    sim_address(&at, text);
    size_t size = strlen(text);
    if (size > 2 && strcmp(text + size - 2, ":0") == 0) {
        snprintf(text + size - 1, sizeof text - size, "%u", host->world->port_next++);
    }
    if (sim_listener_find(host->world, text) != NULL) {
        return phi_diag_add(diag, PH_EADDRINUSE, "listen on %s: somebody does", text);
    }
    phi_listener *listener = phi_take_zeroed(io->alloc, 1, sizeof *listener);
    if (listener == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "listen on %s", text);
    }
    listener->host = host;
    listener->events = events;
    listener->owner = owner;
    listener->tls = options->tls;
    memcpy(listener->address, text, sizeof text);
    phi_list_append(&host->listeners, &listener->node);
    *out = listener;
    return PH_OK;
}

void sim_listener_secure(phi_listener *listener, phi_tls *tls)
{
    PH_ASSERT(listener->tls != NULL);
    PH_ASSERT(tls != NULL);
    listener->tls = tls;
}

void sim_listener_address(const phi_listener *listener, char text[PHI_ADDRESS_TEXT_MAX])
{
    memcpy(text, listener->address, PHI_ADDRESS_TEXT_MAX);
}

void sim_listener_close(phi_listener *listener)
{
    phi_list_remove(&listener->node);
    phi_give(listener->host->io.alloc, listener, sizeof *listener);
}

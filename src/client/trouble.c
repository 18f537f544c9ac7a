// SPDX-License-Identifier: Apache-2.0
//
// client/trouble.c - why a client is not up, for people.

#include <stdio.h>

#include "client/core.h"
#include "io/tls.h"

static void advise(ph_client *client, const phi_link_end *end);
static bool is_silent(const ph_client *client, const phi_link_end *end);
static void add(ph_client *client, const char *text);

// What comes from below may name the center already ("connect to HOST:PORT: Connection refused"):
// once is enough.
void phi_client_describe(ph_client *client, const char *what, phi_bytes why)
{
    const char *center = client->centers[client->center_index].text;
    char prefix[PHI_ADDRESS_TEXT_MAX + 16];
    int size = snprintf(prefix, sizeof prefix, "connect to %s: ", center);
    PH_ASSERT(size > 0);
    size_t skip = (size_t)size;
    if (skip < sizeof prefix && why.size > skip && memcmp(why.data, prefix, skip) == 0) {
        why = phi_bytes_of(why.data + skip, why.size - skip);
    }
    snprintf(client->trouble, sizeof client->trouble, "%s %s: %.*s", what, center, (int)why.size,
             (const char *)why.data);
}

void phi_client_describe_end(ph_client *client, const phi_link_end *end, bool was_up)
{
    phi_bytes why = end->text;
    if (why.size == 0) {
        why = phi_bytes_text(ph_err_text(end->err == PH_OK ? PH_ECLOSED : end->err));
    }
    phi_client_describe(client, was_up ? "lost the connection to" : "cannot connect to", why);
    if (!was_up) {
        advise(client, end);
    }
}

static void advise(ph_client *client, const phi_link_end *end)
{
    const phi_center_address *center = &client->centers[client->center_index];
    if (end->err == PH_ETLS && strstr(client->trouble, PHI_TLS_UNKNOWN) != NULL) {
        const char *path = client->options.tls_authorities_file;
        add(client, "; known are those of ");
        add(client, path == NULL ? "the system" : path);
    } else if (end->err == PH_ETLS && strstr(client->trouble, PHI_TLS_NOT_SPOKEN) != NULL) {
        // Not to leave the tls: away: who is on the path could bring that about.
        add(client, "; where a center does, it is at another address");
    } else if (end->by_peer && end->code == PHI_BYE_TLS_REQUIRED && !center->is_tls) {
        add(client, "; write tls:"); // it may be a lie, and is advice [P-81]
        add(client, center->text);
    } else if (!center->is_tls && strncmp(center->text, "unix:", 5) != 0 &&
               is_silent(client, end)) {
        add(client, "; nothing was said: if TLS is spoken there, write tls:");
        add(client, center->text);
    }
}

// A connection that stood, over which a center would have said HELLO at once [P-32]. One that
// speaks TLS waits for its client, as a client waits for HELLO.
static bool is_silent(const ph_client *client, const phi_link_end *end)
{
    return client->transport.is_connected && !end->by_peer &&
           client->transports.bytes_received == client->bytes_before;
}

static void add(ph_client *client, const char *text)
{
    size_t used = strlen(client->trouble);
    snprintf(client->trouble + used, sizeof client->trouble - used, "%s", text);
}

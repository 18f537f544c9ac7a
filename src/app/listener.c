// SPDX-License-Identifier: Apache-2.0
//
// app/listener.c - see listener.h.

#include "app/listener.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/address.h"

static const struct {
    const char *front;
    uint16_t port;
} kinds[] = {
    [CENTER_LISTENER_PLAIN] = { "", PHI_PORT_PLAIN },
    [CENTER_LISTENER_TLS] = { "tls:", PHI_PORT_TLS },
    [CENTER_LISTENER_CENTERS] = { "centers:", LISTENER_PORT_CENTERS },
};

static center_listener kind_of(const char *text);
static bool has_port(const char *address);

ph_err listener_parse(const char *text, listener *out, phi_diag *diag)
{
    listener l = { .kind = kind_of(text) };
    const char *address = text + strlen(kinds[l.kind].front);
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    if (is_unix && l.kind != CENTER_LISTENER_PLAIN) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.80s': a Unix socket needs no TLS: the kernel says who is there",
                            text);
    }
    int size = is_unix || has_port(address)
                   ? snprintf(l.address, sizeof l.address, "%s", address)
                   : snprintf(l.address, sizeof l.address, "%s:%u", address, kinds[l.kind].port);
    if (size < 0 || (size_t)size >= sizeof l.address) {
        return phi_diag_add(diag, PH_EINVAL, "an address is shorter than %d bytes",
                            PHI_ADDRESS_TEXT_MAX);
    }
    phi_endpoint endpoint;
    ph_err rc = phi_endpoint_parse(l.address, &endpoint, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (endpoint.is_tls) {
        return phi_diag_add(diag, PH_EINVAL, "'%.80s': one prefix is enough", text);
    }
    if (endpoint.kind == PHI_ENDPOINT_NAME && !phi_endpoint_is_localhost(&endpoint)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.80s': a center listens on the number of an address, or localhost",
                            text);
    }
    l.is_local = phi_endpoint_is_local(l.address);
    *out = l;
    return PH_OK;
}

void listener_format(center_listener kind, const char *address, char text[LISTENER_TEXT_MAX])
{
    int size = snprintf(text, LISTENER_TEXT_MAX, "%s%s", kinds[kind].front, address);
    PH_ASSERT(size > 0);
    PH_ASSERT(size < LISTENER_TEXT_MAX);
}

static center_listener kind_of(const char *text)
{
    for (size_t i = CENTER_LISTENER_TLS; i < PHI_COUNT_OF(kinds); i++) {
        if (strncmp(text, kinds[i].front, strlen(kinds[i].front)) == 0) {
            return (center_listener)i;
        }
    }
    return CENTER_LISTENER_PLAIN;
}

// Colons inside of brackets are those of an IPv6 address.
static bool has_port(const char *address)
{
    const char *bracket = strrchr(address, ']');
    return strchr(bracket == NULL ? address : bracket, ':') != NULL;
}

// SPDX-License-Identifier: Apache-2.0
//
// io/address.c - reads and writes addresses.
//
// Design notes. Strict: a port is one to five digits, brackets are for IPv6 and only for it, and a
// host that looks like a number must be a whole IPv4 address ("127.1" is refused, not guessed). The
// host name is not judged beyond its letters; the resolver does that.

#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "base/assert.h"

PH_STATIC_ASSERT(sizeof "unix:" + PHI_ENDPOINT_PATH_MAX <= PHI_ADDRESS_TEXT_MAX);
PH_STATIC_ASSERT(sizeof "tls::65535" + PHI_ENDPOINT_NAME_MAX <= PHI_ADDRESS_TEXT_MAX);
PH_STATIC_ASSERT(sizeof "tls:[]:65535" + INET6_ADDRSTRLEN <= PHI_ADDRESS_TEXT_MAX);

static const char unix_prefix[] = "unix:";
static const char tls_prefix[] = "tls:";

static ph_err parse(const char *text, bool may_lack_port, phi_endpoint *out, phi_diag *diag);
static ph_err parse_host_and_port(const char *text, uint16_t port, phi_endpoint *out,
                                  phi_diag *diag);
static ph_err parse_unix(const char *path, phi_endpoint *out, phi_diag *diag);
static ph_err parse_port(const char *text, uint16_t *out, phi_diag *diag);
static ph_err parse_host(phi_bytes host, bool is_bracketed, phi_endpoint *out, phi_diag *diag);
static bool name_is_plausible(phi_bytes name);
static bool looks_numeric(phi_bytes name);

ph_err phi_endpoint_parse(const char *text, phi_endpoint *out, phi_diag *diag)
{
    return parse(text, /* may_lack_port= */ false, out, diag);
}

ph_err phi_endpoint_parse_dialled(const char *text, phi_endpoint *out, phi_diag *diag)
{
    phi_endpoint endpoint;
    ph_err err = parse(text, /* may_lack_port= */ true, &endpoint, diag);
    if (err == PH_OK && endpoint.kind != PHI_ENDPOINT_UNIX && endpoint.port == 0) {
        err = phi_diag_add(diag, PH_EINVAL, "address '%s': nobody can be reached at port 0", text);
    }
    if (err == PH_OK) {
        *out = endpoint;
    }
    return err;
}

static ph_err parse(const char *text, bool may_lack_port, phi_endpoint *out, phi_diag *diag)
{
    PH_ASSERT(text != NULL);
    PH_ASSERT(out != NULL);

    phi_endpoint endpoint = { .kind = PHI_ENDPOINT_NAME };
    endpoint.is_tls = strncmp(text, tls_prefix, strlen(tls_prefix)) == 0;
    const char *rest = endpoint.is_tls ? text + strlen(tls_prefix) : text;
    ph_err err;
    if (strncmp(rest, unix_prefix, strlen(unix_prefix)) != 0) {
        uint16_t port = endpoint.is_tls ? PHI_PORT_TLS : PHI_PORT_PLAIN;
        err = parse_host_and_port(rest, may_lack_port ? port : 0, &endpoint, diag);
    } else if (endpoint.is_tls) {
        err = phi_diag_add(diag, PH_EINVAL, "TLS is for HOST:PORT, not for unix:PATH");
    } else {
        err = parse_unix(rest + strlen(unix_prefix), &endpoint, diag);
    }
    if (err != PH_OK) {
        return phi_diag_add(diag, err, "address '%.*s'", PHI_ADDRESS_TEXT_MAX, text);
    }
    *out = endpoint;
    return PH_OK;
}

void phi_endpoint_format(const phi_endpoint *endpoint, char text[PHI_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *prefix = endpoint->is_tls ? tls_prefix : "";
    unsigned port = endpoint->port;
    int size = 0;
    switch (endpoint->kind) {
    case PHI_ENDPOINT_IP4:
        PH_ASSERT(inet_ntop(AF_INET, endpoint->host, host, sizeof host) != NULL);
        size = snprintf(text, PHI_ADDRESS_TEXT_MAX, "%s%s:%u", prefix, host, port);
        break;
    case PHI_ENDPOINT_IP6:
        PH_ASSERT(inet_ntop(AF_INET6, endpoint->host, host, sizeof host) != NULL);
        size = snprintf(text, PHI_ADDRESS_TEXT_MAX, "%s[%s]:%u", prefix, host, port);
        break;
    case PHI_ENDPOINT_NAME:
        size = snprintf(text, PHI_ADDRESS_TEXT_MAX, "%s%s:%u", prefix, endpoint->name, port);
        break;
    case PHI_ENDPOINT_UNIX:
        size = snprintf(text, PHI_ADDRESS_TEXT_MAX, "%s%s", unix_prefix, endpoint->name);
        break;
    }
    PH_ASSERT(size > 0);
    PH_ASSERT(size < PHI_ADDRESS_TEXT_MAX);
}

void phi_endpoint_host(const phi_endpoint *endpoint, char text[PHI_ENDPOINT_NAME_MAX + 1])
{
    PH_ASSERT(endpoint->kind != PHI_ENDPOINT_UNIX);
    if (endpoint->kind == PHI_ENDPOINT_NAME) {
        memcpy(text, endpoint->name, strlen(endpoint->name) + 1);
        return;
    }
    int family = endpoint->kind == PHI_ENDPOINT_IP4 ? AF_INET : AF_INET6;
    const char *written = inet_ntop(family, endpoint->host, text, PHI_ENDPOINT_NAME_MAX + 1);
    PH_ASSERT(written != NULL);
}

bool phi_endpoint_is_localhost(const phi_endpoint *endpoint)
{
    return endpoint->kind == PHI_ENDPOINT_NAME && strcasecmp(endpoint->name, "localhost") == 0;
}

bool phi_endpoint_is_local(const char *text)
{
    phi_endpoint endpoint;
    if (phi_endpoint_parse(text, &endpoint, NULL) != PH_OK) {
        return false;
    }
    switch (endpoint.kind) {
    case PHI_ENDPOINT_IP4:
        return phi_endpoint_ip4_is_loopback(endpoint.host);
    case PHI_ENDPOINT_IP6:
        return phi_endpoint_ip6_is_loopback(endpoint.host);
    case PHI_ENDPOINT_NAME:
        return phi_endpoint_is_localhost(&endpoint);
    case PHI_ENDPOINT_UNIX:
        return true;
    }
    PH_UNREACHABLE("an address of no kind");
}

bool phi_endpoint_ip4_is_loopback(const uint8_t host[4])
{
    return host[0] == 127;
}

bool phi_endpoint_ip6_is_loopback(const uint8_t host[16])
{
    static const uint8_t one[16] = { [15] = 1 };
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(host, one, sizeof one) == 0 ||
           (memcmp(host, mapped, sizeof mapped) == 0 && phi_endpoint_ip4_is_loopback(host + 12));
}

// ---- helpers

// `port` stands in for one that is not there; 0: it has to be.
static ph_err parse_host_and_port(const char *text, uint16_t port, phi_endpoint *out,
                                  phi_diag *diag)
{
    size_t size = strlen(text);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (text[0] == '[' && text[size - 1] == ']')) {
        if (port == 0) {
            return phi_diag_add(diag, PH_EINVAL,
                                "no port: write HOST:PORT, tls:HOST:PORT or unix:PATH");
        }
        colon = text + size;
    }
    size_t host_size = (size_t)(colon - text);
    bool is_bracketed = host_size >= 2 && text[0] == '[' && colon[-1] == ']';
    phi_bytes host =
        is_bracketed ? phi_bytes_of(text + 1, host_size - 2) : phi_bytes_of(text, host_size);
    ph_err err = parse_host(host, is_bracketed, out, diag);
    if (err == PH_OK && *colon == ':') {
        return parse_port(colon + 1, &out->port, diag);
    }
    out->port = port;
    return err;
}

static ph_err parse_unix(const char *path, phi_endpoint *out, phi_diag *diag)
{
    size_t size = strlen(path);
    if (size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "no path: write unix:PATH");
    }
    if (size > PHI_ENDPOINT_PATH_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the path has %zu bytes, a socket's has at most %d",
                            size, PHI_ENDPOINT_PATH_MAX);
    }
    out->kind = PHI_ENDPOINT_UNIX;
    memcpy(out->name, path, size + 1);
    return PH_OK;
}

static ph_err parse_port(const char *text, uint16_t *out, phi_diag *diag)
{
    uint32_t port = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++) {
        port = port * 10 + (uint32_t)(text[digits] - '0');
    }
    if (digits == 0 || digits > 5 || text[digits] != '\0' || port > UINT16_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the port is not a number from 0 to 65535");
    }
    *out = (uint16_t)port;
    return PH_OK;
}

static ph_err parse_host(phi_bytes host, bool is_bracketed, phi_endpoint *out, phi_diag *diag)
{
    if (host.size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "no host before the port");
    }
    if (host.size > PHI_ENDPOINT_NAME_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the host has more than %d bytes",
                            PHI_ENDPOINT_NAME_MAX);
    }
    PH_STATIC_ASSERT(PHI_ENDPOINT_NAME_MAX < sizeof out->name);
    memcpy(out->name, host.data, host.size);
    out->name[host.size] = '\0';

    if (is_bracketed) {
        if (inet_pton(AF_INET6, out->name, out->host) != 1) {
            return phi_diag_add(diag, PH_EINVAL, "what stands in brackets is no IPv6 address");
        }
        out->kind = PHI_ENDPOINT_IP6;
    } else if (memchr(host.data, ':', host.size) != NULL) {
        return phi_diag_add(diag, PH_EINVAL, "an IPv6 address stands in brackets: [::1]:7678");
    } else if (looks_numeric(host)) {
        if (inet_pton(AF_INET, out->name, out->host) != 1) {
            return phi_diag_add(diag, PH_EINVAL, "the host is no IPv4 address");
        }
        out->kind = PHI_ENDPOINT_IP4;
    } else if (!name_is_plausible(host)) {
        return phi_diag_add(diag, PH_EINVAL, "a host has letters, digits, '-', '_' and '.'");
    } else {
        out->kind = PHI_ENDPOINT_NAME;
        return PH_OK;
    }
    memset(out->name, 0, sizeof out->name);
    return PH_OK;
}

static bool name_is_plausible(phi_bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_inner = c == '-' || c == '_' || c == '.';
        if (!is_letter && !(c >= '0' && c <= '9') && !(is_inner && i > 0)) {
            return false;
        }
    }
    return true;
}

static bool looks_numeric(phi_bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] != '.' && (name.data[i] < '0' || name.data[i] > '9')) {
            return false;
        }
    }
    return true;
}

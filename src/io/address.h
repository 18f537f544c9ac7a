// SPDX-License-Identifier: Apache-2.0
//
// io/address.h - what people write to say where: "127.0.0.1:7678", "[::1]:7678",
// "center.example:7678", "unix:/run/posthouse.sock", "tls:center.example:7679". Parsed once, here;
// no name is looked up.
//
// Threads  none

#ifndef PHI_IO_ADDRESS_H
#define PHI_IO_ADDRESS_H

#include <posthouse/err.h>

#include "base/diag.h"
#include "io/io.h"

typedef enum phi_endpoint_kind {
    PHI_ENDPOINT_IP4 = 1, // the first 4 bytes of `host`
    PHI_ENDPOINT_IP6,     // all of them
    PHI_ENDPOINT_NAME,    // `name`, to be looked up; "localhost" among them
    PHI_ENDPOINT_UNIX,    // `name` is the path of the socket
} phi_endpoint_kind;

#define PHI_ENDPOINT_PATH_MAX 107 // bytes; what the kernel takes
#define PHI_ENDPOINT_NAME_MAX 107 // bytes; so that every address fits PHI_ADDRESS_TEXT_MAX

// What a client dials that was given no port.
#define PHI_PORT_PLAIN 7678
#define PHI_PORT_TLS 7679

typedef struct phi_endpoint {
    phi_endpoint_kind kind;
    bool is_tls;   // "tls:" stood in front; not with PHI_ENDPOINT_UNIX
    uint16_t port; // 0 with PHI_ENDPOINT_UNIX
    uint8_t host[16];
    char name[PHI_ENDPOINT_PATH_MAX + 1];
} phi_endpoint;

// PH_EINVAL   it does not parse; *diag says what was expected
PHI_MUST_CHECK ph_err phi_endpoint_parse(const char *text, phi_endpoint *out, phi_diag *diag);

// The same for what is dialled: the port may be left out, and is PHI_PORT_PLAIN or PHI_PORT_TLS
// then. Port 0 is refused, since nobody can be reached there.
PHI_MUST_CHECK ph_err phi_endpoint_parse_dialled(const char *text, phi_endpoint *out,
                                                 phi_diag *diag);

// As phi_endpoint_parse reads it.
void phi_endpoint_format(const phi_endpoint *endpoint, char text[PHI_ADDRESS_TEXT_MAX]);

// The host alone, without brackets. Not of a Unix socket.
void phi_endpoint_host(const phi_endpoint *endpoint, char text[PHI_ENDPOINT_NAME_MAX + 1]);

// "localhost", whatever its letters' case.
bool phi_endpoint_is_localhost(const phi_endpoint *endpoint);

// Loopback, localhost or a Unix socket: nobody outside of this machine can reach it. False for what
// does not parse, and for every other name, wherever it may lead.
bool phi_endpoint_is_local(const char *text);

// The same for a numeric one.
bool phi_endpoint_ip4_is_loopback(const uint8_t host[4]);
bool phi_endpoint_ip6_is_loopback(const uint8_t host[16]);

#endif // PHI_IO_ADDRESS_H

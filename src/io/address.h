// SPDX-License-Identifier: Apache-2.0
//
// io/address.h - what people write to say where: "127.0.0.1:7678", "[::1]:7678",
// "center.example:7678", "unix:/run/posthouse.sock". Parsed once, here; no name is looked up.
//
// Threads  none

#ifndef PHI_IO_ADDRESS_H
#define PHI_IO_ADDRESS_H

#include <posthouse/err.h>

#include "base/diag.h"
#include "io/io.h"

typedef enum phi_address_kind {
    PHI_ADDRESS_IP4 = 1, // the first 4 bytes of `host`
    PHI_ADDRESS_IP6,     // all of them
    PHI_ADDRESS_NAME,    // `name`, to be looked up; "localhost" among them
    PHI_ADDRESS_UNIX,    // `name` is the path of the socket
} phi_address_kind;

#define PHI_ADDRESS_PATH_MAX 107 // bytes; what the kernel takes
#define PHI_ADDRESS_NAME_MAX 107 // bytes; so that every address fits PHI_ADDRESS_TEXT_MAX

typedef struct phi_address {
    phi_address_kind kind;
    uint16_t port; // 0 with PHI_ADDRESS_UNIX
    uint8_t host[16];
    char name[PHI_ADDRESS_PATH_MAX + 1];
} phi_address;

// PH_EINVAL   it does not parse; *diag says what was expected
PHI_MUST_CHECK ph_err phi_address_parse(const char *text, phi_address *out, phi_diag *diag);

// As phi_address_parse reads it.
void phi_address_format(const phi_address *address, char text[PHI_ADDRESS_TEXT_MAX]);

// "localhost", whatever its letters' case.
bool phi_address_is_localhost(const phi_address *address);

// Loopback, localhost or a Unix socket: nobody outside of this machine can reach it. False for what
// does not parse, and for every other name, wherever it may lead.
bool phi_address_is_local(const char *text);

// The same for a numeric one.
bool phi_address_ip4_is_loopback(const uint8_t host[4]);
bool phi_address_ip6_is_loopback(const uint8_t host[16]);

#endif // PHI_IO_ADDRESS_H

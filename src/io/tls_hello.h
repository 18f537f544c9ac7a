// SPDX-License-Identifier: Apache-2.0
//
// io/tls_hello.h - a look at what a stranger sends first, before OpenSSL sees it. A client hello
// says how long it will be, up to 128 KiB, and OpenSSL takes memory for all of that at once: nine
// bytes would cost 128 KiB, for everybody who connects. Whoever says that it will be long is
// refused.
//
// Life     zeroed -> phi_tls_hello_watch, with all that comes, until it is done or refuses
// Threads  none

#ifndef PHI_IO_TLS_HELLO_H
#define PHI_IO_TLS_HELLO_H

#include "base/assert.h"
#include "base/bytes.h"

// One with post-quantum keys has 2 KiB.
#define PHI_TLS_HELLO_BYTES_MAX (16u * 1024u)

typedef struct phi_tls_hello {
    uint8_t record[5]; // its head: type, version, size
    uint8_t record_have;
    uint8_t message[4]; // its head: type, size
    uint8_t message_have;
    uint16_t record_left;
    uint16_t message_left;
    bool is_done; // what comes now is no hello any more: OpenSSL's limits are good enough
} phi_tls_hello;

// False: a hello will be longer than it may be.
bool phi_tls_hello_watch(phi_tls_hello *hello, phi_bytes bytes);

#endif // PHI_IO_TLS_HELLO_H

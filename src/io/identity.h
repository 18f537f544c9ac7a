// SPDX-License-Identifier: Apache-2.0
//
// io/identity.h - what a stream knows about who is at its other end (phi_stream_identity): what the
// kernel says, and what a certificate says that was verified. Whom that makes is for others to
// judge.
//
// Threads  none

#ifndef PHI_IO_IDENTITY_H
#define PHI_IO_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

// A client with more names in its certificate is refused, because nobody could say which of them
// counts; of a center's the first are told.
#define PHI_IDENTITY_NAMES_MAX 8u
#define PHI_IDENTITY_NAME_BYTES_MAX 255u // a longer one is refused with its certificate

// A subject alternative name. No NUL is in it, nor anything that is not printable ASCII.
typedef struct phi_identity_name {
    bool is_uri; // a URI; else a DNS name
    uint8_t size;
    char text[PHI_IDENTITY_NAME_BYTES_MAX + 1]; // NUL-terminated
} phi_identity_name;

typedef struct phi_identity {
    bool is_local; // loopback, or a Unix socket
    bool is_tls;
    bool has_user; // at the other end of a Unix socket, as the kernel says
    uint32_t uid;
    uint32_t gid;
    uint8_t host[16];    // IPv6; an IPv4 address is mapped into it; zero for a Unix socket
    uint64_t expires_s;  // when the first certificate of its chain ends; 0: there is none
    uint32_t name_count; // of its certificate, in its order; 0 without one
    phi_identity_name names[PHI_IDENTITY_NAMES_MAX];
} phi_identity;

#endif // PHI_IO_IDENTITY_H

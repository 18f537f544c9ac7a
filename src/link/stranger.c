// SPDX-License-Identifier: Apache-2.0
//
// link/stranger.c - see stranger.h.
//
// Design notes. None of these can be a packet: as a length, the first four bytes of each are far
// above what is taken (P-11). So nobody who speaks the protocol is ever taken for a stranger.

#include "link/stranger.h"

#include <string.h>

static const struct {
    const char *begins; // at most 4 bytes: more may not have come
    const char *protocol;
} strangers[] = {
    { "\x16\x03", "TLS" }, // a record of the handshake
    { "\x15\x03", "TLS" }, // an alert
    { "GET ", "HTTP" },    { "HEAD", "HTTP" }, { "POST", "HTTP" }, { "PUT ", "HTTP" },
    { "DELE", "HTTP" },    { "OPTI", "HTTP" }, { "PATC", "HTTP" }, { "CONN", "HTTP" },
    { "TRAC", "HTTP" },    { "PRI ", "HTTP" }, // of HTTP/2
    { "HTTP", "HTTP" },    { "SSH-", "SSH" },
};

const char *phi_stranger_protocol(phi_bytes first)
{
    for (size_t i = 0; i < PHI_COUNT_OF(strangers); i++) {
        size_t size = strlen(strangers[i].begins);
        if (first.size >= size && memcmp(first.data, strangers[i].begins, size) == 0) {
            return strangers[i].protocol;
        }
    }
    return NULL;
}

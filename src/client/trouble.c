// SPDX-License-Identifier: Apache-2.0
//
// client/trouble.c - why a client is not up, for people.

#include <stdio.h>

#include "client/core.h"

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

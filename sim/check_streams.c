// SPDX-License-Identifier: Apache-2.0
//
// sim/check_streams.c - messages in fragments take what they may, in both directions, and nothing
// of them is left when nothing is under way. [P-66] [P-67]

#include "client/core.h"
#include "sim/check.h"

void check_streams(domain *d)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client == NULL) {
            continue;
        }
        phi_client_streams_check(a->client);
        const phi_streams *t = &a->client->streams;
        const ph_client_options *o = &a->client->options;
        // One alone may be as large as a message may be, and what it is kept in.
        size_t most = o->streams_bytes_max + PHI_PACKET_BYTES_MAX;
        if (t->out_bytes > most || t->in_bytes + t->in_owed > most) {
            domain_fail(d, "%s holds %zu bytes to send and %zu received of messages in fragments",
                        a->account, t->out_bytes, t->in_bytes);
        }
    }
}

bool check_streams_are_done(const actor *a)
{
    return !phi_streams_are_any(&a->client->streams);
}

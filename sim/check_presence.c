// SPDX-License-Identifier: Apache-2.0
//
// sim/check_presence.c - no watcher sees a gap or a double, and once faults are over everybody sees
// who is there. [P-45], [P-48]
//
// Each actor keeps its own picture, made from the changes it was told and nothing else. A double
// shows at once: somebody goes online who is, or offline who is not. A gap shows in the revisions:
// each change has one, so while a connection lives who comes online has that of the list and as
// many more as changes were told since. And it shows in the end, because the picture then differs
// from the center's table.

#include <stdio.h>
#include <string.h>

#include "center/state.h"
#include "sim/check.h"

// More than all changes of a run take.
#define LOG_NEVER_SHORT (1024u * 1024u)

// Whether each change must be told: all pass the filter, none was dropped for want of memory, and
// the center had no reason to begin a list anew for one who lagged.
static bool is_gapless(const actor *a)
{
    ph_client_counters counters = { .struct_size = sizeof counters };
    ph_client_count(a->client, &counters);
    return a->is_ready && a->watched[0] == '\0' && counters.peers_dropped == 0 &&
           a->domain->options.center.presence_log_max >= LOG_NEVER_SHORT;
}

void check_presence_change(actor *a, ph_change change, const ph_peer *peer)
{
    domain *d = a->domain;
    char id[48];
    snprintf(id, sizeof id, "%.*s", (int)peer->id.size, peer->id.data);
    const known_peer *known = actor_knows(a, id);
    if (change == PH_ONLINE && known != NULL) {
        domain_fail(d, "%s was told twice that %s is online", a->account, id);
    }
    if (change != PH_ONLINE && known == NULL) {
        domain_fail(d, "%s was told that %s is %s, but not that it was online", a->account, id,
                    ph_change_name(change));
    }
    if (change != PH_ONLINE && known != NULL && known->session != peer->session) {
        domain_fail(d, "%s was told that session %llu of %s is %s, but knew session %llu",
                    a->account, (unsigned long long)peer->session, id, ph_change_name(change),
                    (unsigned long long)known->session);
    }
    if (!a->is_watching) {
        domain_fail(d, "%s was told of %s, but watches nobody", a->account, id);
    }
    a->changes_since_ready++;
    uint64_t expected = a->ready_revision + a->changes_since_ready;
    if (is_gapless(a) && change == PH_ONLINE && peer->revision != expected) {
        domain_fail(d, "%s was told revision %llu where %llu comes next", a->account,
                    (unsigned long long)peer->revision, (unsigned long long)expected);
    }
}

void check_presence_ready(actor *a, uint64_t revision)
{
    if (a->is_ready) {
        domain_fail(a->domain, "%s was told twice that its list is complete", a->account);
    }
    if (revision == 0) {
        domain_fail(a->domain, "%s has a list of no revision", a->account);
    }
}

static bool sees_line(const actor *a, const account *of, const char *id, const char **why)
{
    const known_peer *known = actor_knows(a, id);
    if (known->state != (ph_state)of->entry[ENTRY_STATE_AT] || known->weight != of->weight) {
        *why = "sees somebody as it was";
        return false;
    }
    return true;
}

static bool sees(const actor *a, const char *id, uint64_t number, const char **why)
{
    const known_peer *known = actor_knows(a, id);
    if (known == NULL) {
        *why = "does not see somebody who is there";
        return false;
    }
    if (known->session != number) {
        *why = "sees an earlier session of somebody";
        return false;
    }
    return true;
}

// The client's own list must be what it told.
static bool list_agrees(const actor *a, const char **why)
{
    size_t cursor = 0;
    size_t count = 0;
    ph_peer peer = PH_PEER_INIT;
    while (ph_client_peer_next(a->client, &cursor, &peer)) {
        char id[48];
        snprintf(id, sizeof id, "%.*s", (int)peer.id.size, peer.id.data);
        if (!sees(a, id, peer.session, why)) {
            *why = "has somebody on its list whom it did not tell of";
            return false;
        }
        count++;
    }
    if (count != a->known_count || count != ph_client_peer_count(a->client)) {
        *why = "told of more than stand on its list";
        return false;
    }
    return true;
}

bool check_presence_agrees(const actor *a, const char **why)
{
    const char *ignored = NULL;
    why = why == NULL ? &ignored : why;
    const center *c = a->domain->center;
    PH_ASSERT(c != NULL);
    if (!list_agrees(a, why)) {
        return false;
    }
    size_t expected = 0;
    uint32_t index = 0;
    uint64_t handle = 0;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (!session_is(s, SESSION_JOINED) || !a->is_watching) {
            continue;
        }
        phi_bytes serves = session_service(s);
        if (a->watched[0] != '\0' && !phi_bytes_equal(serves, phi_bytes_text(a->watched))) {
            continue;
        }
        char id[48];
        snprintf(id, sizeof id, "%.*s", (int)session_id(s).size, (const char *)session_id(s).data);
        if (!sees(a, id, s->number, why) || !sees_line(a, s->account, id, why)) {
            return false;
        }
        expected++;
    }
    if (expected != a->known_count) {
        *why = "sees somebody who is not there";
        return false;
    }
    return true;
}

void check_presence_converged(domain *d)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        const char *why = NULL;
        if (a->client != NULL && !check_presence_agrees(a, &why)) {
            domain_fail(d, "%s %s", a->account, why);
        }
    }
    if (center_count(d->center).sessions != d->actor_count) {
        domain_fail(d, "%llu sessions for %u clients",
                    (unsigned long long)center_count(d->center).sessions, d->actor_count);
    }
}

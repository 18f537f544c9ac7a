// SPDX-License-Identifier: Apache-2.0
//
// sim/check_presence.c - no watcher sees a gap or a double, and once faults are over everybody sees
// who is there. [P-45], [P-48]
//
// Each actor keeps its own picture, made from the changes it was told and nothing else. A double
// shows at once: somebody goes online who is, or offline who is not. A gap shows with the next
// change: whoever was told of revision r has been told of every line that last changed before r, as
// it is. And it shows in the end, because the picture then differs from the center's list.
//
// Of several workers the list is the first one's: it is where the others are, or ahead of them.

#include <stdio.h>
#include <string.h>

#include "center/entry.h"
#include "center/state.h"
#include "client/core.h"
#include "sim/check.h"
#include "sim/rules.h"

static bool is_of_interest(const actor *a, const account *other)
{
    return a->watched[0] == '\0' ||
           phi_bytes_equal(account_service(other), phi_bytes_text(a->watched));
}

// Whether the rules show it that one: now, or always, so that it must know him by now.
static bool is_shown(const actor *a, const account *other, bool always)
{
    char name[PHI_NAME_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)other->name_size, (const char *)other->id);
    return always ? rules_saw_always(a->domain, a, name) : rules_see(a->domain, a, name);
}

// The account of an id of this domain, as the center has it now; NULL: none.
static const account *account_of(const center *c, const char *id)
{
    const char *at = strchr(id, '@');
    PH_ASSERT(at != NULL);
    return registry_find(&c->registry, phi_bytes_of(id, (size_t)(at - id)));
}

// Somebody who is believed to be there, and is not, must have left at `revision` or later.
static void check_no_stale(actor *a, const center *c, uint64_t revision)
{
    for (size_t i = 0; i < a->known_count; i++) {
        const known_peer *known = &a->known[i];
        const account *other = account_of(c, known->id);
        if (other != NULL && other->is_listed) {
            continue;
        }
        uint64_t value = 0;
        phi_bytes name = phi_bytes_of(known->id, strcspn(known->id, "@"));
        if (phi_map_find(&c->presence.log.gone, name, &value)) {
            const presence_gone *gone = (const presence_gone *)(uintptr_t)value;
            if (gone->line.revision < revision) {
                domain_fail(a->domain, "%s was told revision %llu, but not that %s left with %llu",
                            a->account, (unsigned long long)revision, known->id,
                            (unsigned long long)gone->line.revision);
            }
        }
    }
}

// It is being told of `revision`, and must know all that is before it.
static void check_no_gap(actor *a, uint64_t revision)
{
    const center *c = a->domain->center;
    const phi_peers *peers = &a->client->peers;
    if (c == NULL || peers->sync != PHI_PEERS_LIVE ||
        phi_epoch_life(peers->epoch) != phi_epoch_life(c->presence.epoch) || peers->dropped != 0) {
        return; // a list is on its way, or is not complete
    }
    uint32_t index = 0;
    uint64_t handle = 0;
    const account *other;
    for (; (other = phi_slots_next(&c->registry.accounts, &index, &handle)) != NULL; index++) {
        if (!other->is_listed || other->line.revision >= revision || !is_of_interest(a, other)) {
            continue;
        }
        if (phi_list_is_linked(&other->untold) || !is_shown(a, other, /* always= */ true)) {
            continue; // what it said last is told a little later, with a revision of its own [P-72]
        }
        char id[48];
        snprintf(id, sizeof id, "%.*s", (int)other->id_size, (const char *)other->id);
        const known_peer *known = actor_knows(a, id);
        if (known == NULL || known->session != entry_session(other->entry) ||
            known->state != (ph_state)other->entry[ENTRY_STATE_AT]) {
            domain_fail(a->domain, "%s was told revision %llu, but not what %s was with %llu",
                        a->account, (unsigned long long)revision, id,
                        (unsigned long long)other->line.revision);
        }
    }
    check_no_stale(a, c, revision);
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
    if (change != PH_OFFLINE) {
        check_rules_seen(a, id);
    }
    check_no_gap(a, peer->revision);
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
    const account *other;
    for (; (other = phi_slots_next(&c->registry.accounts, &index, &handle)) != NULL; index++) {
        if (!other->is_listed || !a->is_watching || !is_of_interest(a, other) ||
            !is_shown(a, other, /* always= */ false)) {
            continue;
        }
        char id[48];
        snprintf(id, sizeof id, "%.*s", (int)other->id_size, (const char *)other->id);
        if (!sees(a, id, entry_session(other->entry), why) || !sees_line(a, other, id, why)) {
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
    if (domain_count(d).sessions != d->actor_count) {
        domain_fail(d, "%llu sessions for %u clients", (unsigned long long)domain_count(d).sessions,
                    d->actor_count);
    }
}

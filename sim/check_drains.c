// SPDX-License-Identifier: Apache-2.0
//
// sim/check_drains.c - who is told that an account is drained can rely on it. [P-69]
//
// Each drain ends exactly once. When it is done, everybody who watches, and joined before it was
// asked for, knows the account as of the revision that the reply names, or later: an operator who
// kills it then surprises nobody.

#include <posthouse/message.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "center/entry.h"
#include "center/state.h"
#include "sim/check.h"
#include "sim/rules.h"

enum {
    SPARE_MS = 200, // the call's time, beside the patience
};

static void on_drained(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg);
static void check_known(const drain_record *r, uint64_t revision);

void drain_ask(actor *a, const actor *target, bool is_begin, uint32_t patience_ms)
{
    domain *d = a->domain;
    if (d->drain_count == DRAIN_RECORDS_MAX) {
        return;
    }
    drain_record *r = &d->drains[d->drain_count];
    *r = (drain_record){ .domain = d,
                         .serial = d->drain_count,
                         .asker = a->index,
                         .target = target->index,
                         .is_begin = is_begin,
                         .asked = sim_now(d->s) };
    uint8_t body[64];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u8(&w, is_begin ? 1 : 0);
    phi_write_u32(&w, patience_ms);
    phi_write_str8(&w, phi_bytes_text(target->account));
    PH_ASSERT(!w.failed);
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "drain";
    request.body = body;
    request.body_size = phi_writer_size(&w);
    request.timeout_ms = patience_ms + SPARE_MS;
    if (ph_client_request(a->client, &request, NULL, on_drained, r) == PH_OK) {
        d->drain_count++;
        d->drains_open++;
        sim_note(d->s, a->node, "drain %u of %s, %u", r->serial, target->account, is_begin);
    }
}

void check_drains_all_ended(domain *d)
{
    for (uint32_t i = 0; i < d->drain_count; i++) {
        if (d->drains[i].ends != 1) {
            domain_fail(d, "drain %u ended %u times", i, d->drains[i].ends);
            return;
        }
    }
}

static void on_drained(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    drain_record *r = arg;
    domain *d = r->domain;
    r->ends++;
    if (r->ends != 1) {
        domain_fail(d, "drain %u ended %u times", r->serial, r->ends);
        return;
    }
    PH_ASSERT(d->drains_open > 0);
    d->drains_open--;
    sim_note(d->s, d->actors[r->asker].node, "drain %u ends with %s, code %u", r->serial,
             ph_err_name(status), code);
    if (status != PH_OK) {
        return;
    }
    phi_reader body = phi_reader_of(phi_bytes_of(reply->body.data, reply->body.size));
    bool is_done = phi_read_u8(&body) == 1;
    uint64_t revision = phi_read_u64(&body);
    uint32_t watchers = phi_read_u32(&body);
    uint32_t calls = phi_read_u32(&body);
    if (body.failed || (is_done && watchers + calls != 0)) {
        domain_fail(d, "drain %u is done with %u watchers behind, and %u calls", r->serial,
                    watchers, calls);
    }
    if (is_done && r->is_begin && revision != 0) {
        check_known(r, revision);
    }
}

static void check_known(const drain_record *r, uint64_t revision)
{
    domain *d = r->domain;
    if (d->center == NULL) {
        return;
    }
    const actor *target = &d->actors[r->target];
    const account *drained = registry_find(&d->center->registry, phi_bytes_text(target->account));
    if (drained == NULL || drained->session == NULL || drained->line.listed > revision) {
        return; // it left: nobody is waited for any more
    }
    if (phi_get_u64(drained->entry + ENTRY_REVISION_AT) > revision) {
        return; // taken back meanwhile: who was told of both at once saw no change
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client == NULL || !actor_is_up(a)) {
            continue; // it is not one of those who were waited for
        }
        const account *at = registry_find(&d->center->registry, phi_bytes_text(a->account));
        const session *home = domain_session(d, a->account);
        if (at == NULL || home == NULL || home->watch == NULL || !at->is_listed ||
            at->line.listed >= revision) {
            continue; // the center has lost it, or it came back while the reply was on its way
        }
        ph_client_counters counters = { .struct_size = sizeof counters };
        ph_client_count(a->client, &counters);
        if (counters.peers_dropped != 0) {
            continue; // it had no memory for what it was told
        }
        // A line that changed and changed back before it was told looks as it did: the client says
        // nothing of it, and needs not.
        if (!rules_saw_always(d, a, target->account)) {
            continue; // it was not waited for while it did not see it
        }
        const known_peer *known = actor_knows(a, target->id);
        if (known != NULL && known->revision < revision && known->state != PH_STATE_DRAINING) {
            domain_fail(d, "drain %u is done as of revision %llu, but %s knows %s as of %llu",
                        r->serial, (unsigned long long)revision, a->account, target->id,
                        (unsigned long long)known->revision);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// sim/check_dialogs.c - every inquiry and every gather ends exactly once and in time; an answer
// comes from who was asked, and reaches who asked; the parts of a gather and its summary agree.
// [P-62] [P-65]

#include <string.h>

#include "sim/check.h"

// Timers tick in milliseconds; and a client gives its center a second to say how a gather ended.
#define TICK_NS UINT64_C(1000000)
#define PATIENCE_NS UINT64_C(1000000000)

static bool is_text(ph_view view, const char *text)
{
    return view.size == strlen(text) && memcmp(view.data, text, view.size) == 0;
}

static void check_in_time(domain *d, const char *what, uint32_t serial, phi_time latest,
                          phi_time ended)
{
    if (phi_time_before(latest, ended)) {
        domain_fail(d, "%s %u ended %llu ms too late", what, serial,
                    (unsigned long long)phi_dur_ms(phi_time_diff(ended, latest)));
    }
}

// ---- inquiries

static void check_answer(const ask_record *ask, const ph_incoming *answer)
{
    domain *d = ask->domain;
    if (ask->asked == NOBODY) {
        return; // a rogue may say what it likes to who asks it
    }
    const uint8_t *body = (const uint8_t *)answer->body.data;
    if (!is_text(answer->from, d->actors[ask->asked].id) || answer->body.size < 12 ||
        phi_get_u32(body) != ask->asked || phi_get_u32(body + 4) != ask->asker ||
        phi_get_u32(body + 8) != ask->serial) {
        domain_fail(d, "inquiry %u of c%02u was answered by %.*s with another's answer",
                    ask->serial, ask->asker, (int)answer->from.size, answer->from.data);
    }
}

static void check_refusal(const ask_record *ask, uint16_t code, const ph_incoming *failure)
{
    domain *d = ask->domain;
    bool is_own = code >= PH_FAILURE_APPLICATION || code == PH_FAILURE_RESPONDER_FAILED ||
                  code == PH_FAILURE_NO_HANDLER;
    if (ask->asked == NOBODY) {
        return;
    }
    const char *from = is_own ? d->actors[ask->asked].id : "@" DOMAIN_NAME;
    if (!is_text(failure->from, from) ||
        (code >= FAILURE_CODE_FIRST && code != FAILURE_CODE_FIRST + ask->asker)) {
        domain_fail(d, "inquiry %u of c%02u: failure %u came from %.*s", ask->serial, ask->asker,
                    code, (int)failure->from.size, failure->from.data);
    }
}

void check_ask_end(const ask_record *ask, const ph_incoming *answer)
{
    domain *d = ask->domain;
    if (ask->ends != 1) {
        domain_fail(d, "inquiry %u of c%02u ended %u times", ask->serial, ask->asker, ask->ends);
    }
    check_in_time(d, "inquiry", ask->serial, phi_time_add(ask->deadline, phi_ns(TICK_NS)),
                  ask->ended);
    bool has_answer = ask->status == PH_OK || (ask->status == PH_EFAILURE && answer != NULL);
    if (has_answer != (answer != NULL)) {
        domain_fail(d, "inquiry %u ended with %s and %s answer", ask->serial,
                    ph_err_name(ask->status), answer == NULL ? "no" : "an");
        return;
    }
    if (ask->status == PH_OK) {
        check_answer(ask, answer);
    } else if (answer != NULL) {
        check_refusal(ask, ask->code, answer);
    }
}

// Whom of our calls an inquiry belongs to: one that is open, and whose responder asks.
void check_inquiry(actor *a, ph_call_id id, const ph_incoming *inquiry)
{
    domain *d = a->domain;
    for (uint32_t i = d->call_count; i-- > 0;) {
        const call_record *call = &d->calls[i];
        if (call->caller != a->index || call->id.value != id.value) {
            continue;
        }
        bool is_asked = call->service[0] != '\0' || is_text(inquiry->from, call->target_id);
        if (call->ends != 0 || !is_asked) {
            domain_fail(d, "%s was asked by %.*s inside call %u, %s", a->account,
                        (int)inquiry->from.size, inquiry->from.data, call->serial,
                        call->ends != 0 ? "which is over" : "which it was not asked in");
        }
        return;
    }
    domain_fail(d, "%s was asked inside no call of its own", a->account);
}

// ---- gathers

static uint32_t instance_of(const gather_record *g, ph_view id)
{
    const domain *d = g->domain;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (i != g->caller && strcmp(a->service, g->service) == 0 && is_text(id, a->id)) {
            return i;
        }
    }
    return NOBODY;
}

void check_gather_part(gather_record *g, uint16_t code, const ph_incoming *part)
{
    domain *d = g->domain;
    uint32_t from = instance_of(g, part->from);
    if (g->ends != 0 || from == NOBODY || (g->heard & 1u << from) != 0) {
        domain_fail(d, "gather %u of c%02u got a part of %.*s%s", g->serial, g->caller,
                    (int)part->from.size, part->from.data,
                    g->ends != 0 ? " when it was over"
                                 : (from == NOBODY ? ", who was not asked" : " again"));
        return;
    }
    g->heard |= 1u << from;
    const uint8_t *body = (const uint8_t *)part->body.data;
    if (code == 0 &&
        (part->body.size < 12 || phi_get_u32(body) != from || phi_get_u32(body + 4) != g->caller ||
         phi_get_u32(body + 8) != (g->serial | GATHER_SERIAL))) {
        domain_fail(d, "gather %u of c%02u got the reply to something else", g->serial, g->caller);
    }
}

// Who replied is not missing, and nobody is twice; all that were asked are accounted for.
static void check_summary(const gather_record *g, const ph_gathered *all)
{
    domain *d = g->domain;
    if (all->replied != g->replies || all->asked != all->replied + all->missing_count ||
        (g->want != 0 && all->replied > g->want) || all->asked == 0) {
        domain_fail(d, "gather %u of c%02u: %u replies came; asked %u, replied %u, missing %u",
                    g->serial, g->caller, g->replies, all->asked, all->replied, all->missing_count);
    }
    uint32_t missing = 0;
    unsigned failures = 0;
    size_t cursor = 0;
    ph_view id;
    uint16_t code;
    while (ph_gathered_next(all, &cursor, &id, &code)) {
        uint32_t who = instance_of(g, id);
        if (who == NOBODY || (missing & 1u << who) != 0) {
            domain_fail(d, "gather %u misses %.*s", g->serial, (int)id.size, id.data);
            return;
        }
        missing |= 1u << who;
        failures += (g->heard & 1u << who) != 0; // said itself that it failed
    }
    if (failures != g->parts - g->replies) {
        domain_fail(d, "gather %u: %u failures came, %u of them are missing", g->serial,
                    g->parts - g->replies, failures);
    }
}

void check_gather_end(const gather_record *g, const ph_gathered *all)
{
    domain *d = g->domain;
    if (g->ends != 1) {
        domain_fail(d, "gather %u of c%02u ended %u times", g->serial, g->caller, g->ends);
    }
    check_in_time(d, "gather", g->serial, phi_time_add(g->deadline, phi_ns(PATIENCE_NS + TICK_NS)),
                  g->ended);
    if ((g->status == PH_OK) != (all != NULL)) {
        domain_fail(d, "gather %u ended with %s and %s summary", g->serial, ph_err_name(g->status),
                    all == NULL ? "no" : "a");
    } else if (all != NULL) {
        check_summary(g, all);
    }
}

// ---- in the end

void check_dialogs_all_ended(domain *d)
{
    for (uint32_t i = 0; i < d->dialogs->ask_count; i++) {
        const ask_record *ask = &d->dialogs->asks[i];
        if (ask->ends != 1) {
            domain_fail(d, "inquiry %u of c%02u ended %u times", ask->serial, ask->asker,
                        ask->ends);
        }
    }
    for (uint32_t i = 0; i < d->dialogs->gather_count; i++) {
        const gather_record *g = &d->dialogs->gathers[i];
        if (g->ends != 1) {
            domain_fail(d, "gather %u of c%02u ended %u times", g->serial, g->caller, g->ends);
        }
    }
}

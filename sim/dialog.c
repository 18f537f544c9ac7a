// SPDX-License-Identifier: Apache-2.0
//
// sim/dialog.c - see dialog.h.
//
// Bodies  inquiry: asker u32 | serial u32; answer: who answers u32, then the inquiry's body
//         request of a gather: caller u32 | serial u32, marked by GATHER_SERIAL

#include "sim/dialog.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/check.h"

enum {
    BODY_BYTES = 8,
    ASKS_AT_ONCE_MAX = 5, // one more than may be open
    WITHIN_MS_MAX = 2000,
};

static void on_answer(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                      const ph_incoming *answer, void *arg);
static void on_part(ph_client *client, ph_call_id id, uint16_t code, const ph_incoming *part,
                    void *arg);
static void on_gathered(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                        const ph_gathered *all, void *arg);

dialogs *dialogs_new(void)
{
    dialogs *all = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *all);
    PH_ASSERT(all != NULL);
    all->asks = phi_take(&phi_alloc_heap, ASKS_MAX * sizeof all->asks[0]);
    all->gathers = phi_take(&phi_alloc_heap, GATHERS_MAX * sizeof all->gathers[0]);
    PH_ASSERT(all->asks != NULL);
    PH_ASSERT(all->gathers != NULL);
    return all;
}

void dialogs_free(dialogs **all)
{
    phi_give(&phi_alloc_heap, (*all)->gathers, GATHERS_MAX * sizeof(gather_record));
    phi_give(&phi_alloc_heap, (*all)->asks, ASKS_MAX * sizeof(ask_record));
    phi_give(&phi_alloc_heap, *all, sizeof **all);
    *all = NULL;
}

// ---- inquiries

ask_record *actor_ask(actor *a, const held_request *request, uint32_t timeout_ms, ph_err *why)
{
    domain *d = a->domain;
    dialogs *all = d->dialogs;
    ph_err rc = PH_ELIMIT;
    ask_record *ask = NULL;
    if (all->ask_count < ASKS_MAX) {
        ask = &all->asks[all->ask_count];
        uint32_t left_ms = ph_client_time_left_ms(a->client, request->id);
        uint32_t ms = timeout_ms == 0 || timeout_ms > left_ms ? left_ms : timeout_ms;
        *ask = (ask_record){ .domain = d,
                             .serial = all->ask_count,
                             .asker = a->index,
                             .asked = request->from,
                             .request = request->id,
                             .begun = sim_now(d->s),
                             // what is left is cut to milliseconds
                             .deadline = phi_time_add(sim_now(d->s), phi_ms(ms + 1)) };
        uint8_t body[BODY_BYTES];
        phi_put_u32(body, a->index);
        phi_put_u32(body + 4, ask->serial);
        ph_outgoing outgoing = PH_OUTGOING_INIT;
        outgoing.method = "which";
        outgoing.body = body;
        outgoing.body_size = sizeof body;
        outgoing.timeout_ms = timeout_ms;
        rc = ph_client_ask(a->client, request->id, &outgoing, &ask->id, on_answer, ask);
    }
    if (why != NULL) {
        *why = rc;
    }
    if (rc != PH_OK) {
        return NULL;
    }
    all->ask_count++;
    all->asks_open++;
    sim_note(d->s, a->node, "inquiry %u, depth %u", ask->serial, request->id.depth + 1);
    return ask;
}

static void on_answer(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                      const ph_incoming *answer, void *arg)
{
    (void)client;
    ask_record *ask = arg;
    domain *d = ask->domain;
    actor *a = &d->actors[ask->asker];
    ask->ends++;
    ask->ended = sim_now(d->s);
    ask->status = status;
    ask->code = code;
    if (id.value != ask->id.value) {
        domain_fail(d, "inquiry %u ended under another id", ask->serial);
    }
    check_ask_end(ask, answer);
    if (ask->ends == 1) {
        PH_ASSERT(d->dialogs->asks_open > 0);
        d->dialogs->asks_open--;
    }
    sim_note(d->s, a->node, "inquiry %u ended: %s %s", ask->serial, ph_err_name(status),
             code == 0 ? "" : ph_failure_name(code));
    held_request *held = ask->held;
    bool is_ours = held != NULL && held->is_used && ph_request_id_equal(held->id, ask->request);
    if (is_ours && --held->asks_open == 0) {
        (void)!actor_reply(a, held); // stale, full, or nobody's any more: all of that is legal
    }
}

void dialog_cancelled(const actor *a, ph_request_id request)
{
    const dialogs *all = a->domain->dialogs;
    for (uint32_t i = 0; all->asks_open > 0 && i < all->ask_count; i++) {
        const ask_record *ask = &all->asks[i];
        if (ask->asker == a->index && ask->ends == 0 &&
            ph_request_id_equal(ask->request, request)) {
            domain_fail(a->domain, "%s heard that a request is over, and inquiry %u in it is not",
                        a->account, ask->serial);
        }
    }
}

// ---- asking first

static void ask_caller(actor *a, const held_request *request)
{
    phi_random *random = sim_node_random(a->domain->s, a->node);
    held_request *held = actor_hold(a, request);
    held->asks_open = 0;
    uint64_t count =
        1 + phi_random_below(random, phi_random_chance(random, 80) ? 2 : ASKS_AT_ONCE_MAX);
    for (uint64_t i = 0; i < count; i++) {
        bool has_all = phi_random_chance(random, 70);
        uint32_t ms = (uint32_t)phi_random_between(random, 1, WITHIN_MS_MAX);
        ask_record *ask = actor_ask(a, request, has_all ? 0 : ms, /* why= */ NULL);
        if (ask != NULL) {
            ask->held = held;
            held->asks_open++;
            if (phi_random_chance(random, 5)) {
                (void)!ph_client_cancel(a->client, ask->id);
            }
        }
    }
    if (held->asks_open == 0) {
        (void)!actor_reply(a, held);
    }
}

static void call_somebody(actor *a, const held_request *inquiry)
{
    domain *d = a->domain;
    phi_random *random = sim_node_random(d->s, a->node);
    uint32_t to = (uint32_t)phi_random_below(random, d->actor_count);
    if (inquiry->from != NOBODY && phi_random_chance(random, 60)) {
        to = inquiry->from;
    }
    uint32_t ms = (uint32_t)phi_random_between(random, 1, WITHIN_MS_MAX);
    held_request *held = actor_hold(a, inquiry);
    call_record *call = actor_call_within(a, held, &d->actors[to], ms);
    if (call == NULL) {
        (void)!actor_reply(a, held);
    }
}

void dialog_ask_first(actor *a, const held_request *request)
{
    if (request->id.turn == 0) {
        ask_caller(a, request);
    } else {
        call_somebody(a, request);
    }
}

void dialog_call_ended(const call_record *call)
{
    held_request *held = call->within;
    if (held != NULL && held->is_used && ph_request_id_equal(held->id, call->within_id)) {
        (void)!actor_reply(held->owner, held);
    }
}

void dialog_frozen(const actor *a)
{
    dialogs *all = a->domain->dialogs;
    for (uint32_t i = 0; i < all->ask_count; i++) {
        if (all->asks[i].asker == a->index && all->asks[i].ends == 0) {
            all->asks[i].deadline = PHI_TIME_NEVER;
        }
    }
    for (uint32_t i = 0; i < all->gather_count; i++) {
        if (all->gathers[i].caller == a->index && all->gathers[i].ends == 0) {
            all->gathers[i].deadline = PHI_TIME_NEVER;
        }
    }
}

// ---- gathers

gather_record *actor_gather(actor *a, const char *service, uint16_t want, uint32_t timeout_ms,
                            ph_err *why)
{
    domain *d = a->domain;
    dialogs *all = d->dialogs;
    PH_ASSERT(timeout_ms > 0);
    ph_err rc = PH_ELIMIT;
    gather_record *g = NULL;
    if (all->gather_count < GATHERS_MAX) {
        g = &all->gathers[all->gather_count];
        *g = (gather_record){ .domain = d,
                              .serial = all->gather_count,
                              .caller = a->index,
                              .want = want,
                              .deadline = phi_time_add(sim_now(d->s), phi_ms(timeout_ms)) };
        snprintf(g->service, sizeof g->service, "%s", service);
        char to[32];
        snprintf(to, sizeof to, "all:%s", service);
        uint8_t body[BODY_BYTES];
        phi_put_u32(body, a->index);
        phi_put_u32(body + 4, g->serial | GATHER_SERIAL);
        ph_outgoing outgoing = PH_OUTGOING_INIT;
        outgoing.to = to;
        outgoing.method = "all of you";
        outgoing.body = body;
        outgoing.body_size = sizeof body;
        outgoing.timeout_ms = timeout_ms;
        ph_gather how = PH_GATHER_INIT;
        how.want = want;
        how.on_part = on_part;
        how.done = on_gathered;
        how.arg = g;
        rc = ph_client_gather(a->client, &outgoing, &how, &g->id);
    }
    if (why != NULL) {
        *why = rc;
    }
    if (rc != PH_OK) {
        return NULL;
    }
    all->gather_count++;
    all->gathers_open++;
    sim_note(d->s, a->node, "gather %u of %s, %u wanted", g->serial, service, want);
    return g;
}

static void on_part(ph_client *client, ph_call_id id, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    (void)id;
    gather_record *g = arg;
    g->parts++;
    g->replies += code == 0;
    check_gather_part(g, code, part);
}

static void on_gathered(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                        const ph_gathered *all, void *arg)
{
    (void)client;
    (void)id;
    gather_record *g = arg;
    domain *d = g->domain;
    g->ends++;
    g->ended = sim_now(d->s);
    g->status = status;
    g->code = code;
    g->asked = all == NULL ? 0 : all->asked;
    g->missing = all == NULL ? 0 : all->missing_count;
    check_gather_end(g, all);
    if (g->ends == 1) {
        PH_ASSERT(d->dialogs->gathers_open > 0);
        d->dialogs->gathers_open--;
    }
    sim_note(d->s, d->actors[g->caller].node, "gather %u ended: %s %s, %u of %u", g->serial,
             ph_err_name(status), code == 0 ? "" : ph_failure_name(code), g->replies, g->asked);
}

// SPDX-License-Identifier: Apache-2.0
//
// sim/actor.c - one client of a domain and what it is told. Replies repeat the request's identity,
// so that a reply that went astray is recognised by its body alone.
//
// Bodies  event: sender u32 | number u32 | filling
//         request: caller u32 | serial u32 | filling; reply: responder u32, then the request's body

#include <stdio.h>
#include <string.h>

#include <posthouse/dialog.h>
#include <posthouse/topic.h>

#include "base/assert.h"
#include "client/client.h"
#include "sim/body.h"
#include "sim/census.h"
#include "sim/check.h"
#include "sim/domain.h"
#include "sim/rules.h"
#include "sim/tokens.h"

#define REQUEST_BYTES_MIN 8u
#define EVENT_BYTES_MIN 8u
#define BODY_BYTES_MAX ((16u << 20) + 64u)
// From here on an event may be in fragments, which take their place with the last one [P-55]: such
// events have numbers of their own.
#define EVENT_BYTES_LARGE 7900u
#define SERVICE "service:"

static void on_link(ph_client *client, const ph_link_change *change, void *arg);
static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg);
static void on_presence_ready(ph_client *client, uint64_t revision, void *arg);
static void on_event(ph_client *client, const ph_incoming *event, void *arg);
static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg);
static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg);
static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg);
static void on_writable(ph_client *client, void *arg);
static void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg);

// ---- life

bool actor_start(actor *a)
{
    domain *d = a->domain;
    PH_ASSERT(a->client == NULL);
    if (!sim_node_is_alive(d->s, a->node)) {
        sim_node_restart(d->s, a->node);
    }
    a->is_closing = false;
    a->link = PH_LINK_DOWN;
    a->known_count = 0;
    a->is_ready = false;
    memset(a->held, 0, sizeof a->held);
    a->patterns_wanted = 0;
    a->patterns_in_force = 0;
    a->patterns_ever = 0;
    a->receipts_open = 0;

    ph_client_options options = d->options.client;
    bool is_plain = d->options.kind == CENTER_LISTENER_PLAIN;
    options.centers = is_plain ? DOMAIN_ADDRESS : "tls:" DOMAIN_ADDRESS;
    options.account = a->account;
    options.service = a->service[0] == '\0' ? NULL : a->service;
    options.is_watching = a->is_watching && a->watched[0] == '\0';
    options.on_link = on_link;
    options.on_presence = on_presence;
    options.on_presence_ready = on_presence_ready;
    options.on_event = on_event;
    options.on_request = on_request;
    options.on_cancel = on_cancel;
    options.on_inquiry = a->is_deaf ? NULL : on_inquiry;
    options.on_writable = on_writable;
    options.on_token = d->tokens == NULL ? options.on_token : tokens_on_wanted;
    options.arg = a;
    ph_err rc = phi_client_new_on(&a->client, sim_io(d->s, a->node), &options);
    if (rc == PH_OK && a->is_watching && a->watched[0] != '\0') {
        actor_watch(a, a->watched);
    }
    if (rc == PH_OK) {
        rc = ph_client_open(a->client);
    }
    if (rc != PH_OK) {
        sim_note(d->s, a->node, "cannot start: %s", ph_err_name(rc));
        if (rc != PH_ENOMEM) {
            domain_fail(d, "%s does not start: %s", a->account, ph_err_name(rc));
        }
        return false;
    }
    return true;
}

void actor_kill(actor *a)
{
    PH_ASSERT(a->client != NULL);
    if (a->domain->options.census != NULL) {
        census_add_client(a->domain->options.census, a->client);
    }
    sim_node_kill(a->domain->s, a->node);
    ph_client_free(&a->client);
    a->link = PH_LINK_CLOSED;
    a->known_count = 0;
    a->is_ready = false;
}

void actor_close(actor *a)
{
    PH_ASSERT(a->client != NULL);
    a->is_closing = true;
    ph_client_close(a->client);
}

// ---- where it stands

static void copy_view(char *out, size_t size, ph_view view)
{
    snprintf(out, size, "%.*s", (int)view.size, view.data == NULL ? "" : view.data);
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    actor *a = arg;
    domain *d = a->domain;
    a->link = change->state;
    a->changed = sim_now(d->s);
    a->how = *change;
    copy_view(a->how_text, sizeof a->how_text, change->text);
    copy_view(a->how_bye, sizeof a->how_bye, change->bye);
    a->how.text = a->how.bye = a->how.id = (ph_view){ NULL, 0 };
    a->is_ready = false;
    sim_note(d->s, a->node, "%s %s %s %s",
             change->state == PH_LINK_UP     ? "up"
             : change->state == PH_LINK_DOWN ? "down"
                                             : "closed",
             ph_err_name(change->err), a->how_bye, a->how_text);
    if (change->state == PH_LINK_UP) {
        a->ups++;
        char id[48];
        copy_view(id, sizeof id, change->id);
        if (strcmp(id, a->id) != 0) {
            domain_fail(d, "%s was given the id '%s'", a->account, id);
        }
        return;
    }
    a->downs++;
    if (change->state == PH_LINK_CLOSED && !a->is_closing && !a->may_be_refused) {
        domain_fail(d, "%s gave up for good: %s", a->account, a->how_text);
    }
}

static void on_writable(ph_client *client, void *arg)
{
    (void)client;
    ((actor *)arg)->writables++;
}

// Once, as far back as is remembered.
static void check_large_event(actor *a, uint32_t sender, uint32_t number)
{
    if (number > a->heard_highest[sender]) {
        uint32_t step = number - a->heard_highest[sender];
        a->heard_larges[sender] = step < 64 ? a->heard_larges[sender] << step : 0;
        a->heard_highest[sender] = number;
    }
    uint32_t age = a->heard_highest[sender] - number;
    uint64_t bit = age < 64 ? UINT64_C(1) << age : 0;
    if ((a->heard_larges[sender] & bit) != 0) {
        domain_fail(a->domain, "%s heard large event %u of c%02u twice", a->account, number,
                    sender);
    }
    a->heard_larges[sender] |= bit;
}

// P-55, and nobody hears anything twice.
static void check_event_order(actor *a, const ph_incoming *event)
{
    ph_view body = event->body;
    if (event->from.data[0] != 'c' || body.size < EVENT_BYTES_MIN) {
        return; // not by an actor, or shorter than that
    }
    uint32_t sender = phi_get_u32((const uint8_t *)body.data);
    uint32_t number = phi_get_u32((const uint8_t *)body.data + 4);
    if (!body_is_filled((const uint8_t *)body.data, EVENT_BYTES_MIN, body.size, number)) {
        domain_fail(a->domain, "%s heard another event %u than c%02u said", a->account, number,
                    sender);
        return;
    }
    if (sender < a->domain->actor_count && body.size >= EVENT_BYTES_LARGE) {
        check_large_event(a, sender, number);
        return;
    }
    if (sender >= a->domain->actor_count || number <= a->heard_last[sender]) {
        domain_fail(a->domain, "%s heard event %u of c%02u behind %u", a->account, number, sender,
                    sender < ACTORS_MAX ? a->heard_last[sender] : 0);
        return;
    }
    a->heard_last[sender] = number;
}

// When it was said, as far as that is remembered.
static phi_time said_at(const actor *a, const ph_incoming *event)
{
    const domain *d = a->domain;
    const phi_time long_ago = { 0 };
    const uint8_t *body = (const uint8_t *)event->body.data;
    size_t size = event->body.size;
    if (event->from.data[0] != 'c' || size < EVENT_BYTES_MIN || size >= EVENT_BYTES_LARGE) {
        return long_ago;
    }
    uint32_t sender = phi_get_u32(body);
    uint32_t number = phi_get_u32(body + 4);
    bool is_kept = sender < d->actor_count && d->actors[sender].events_said - number < SAID_MAX;
    return is_kept ? d->actors[sender].said_at[number % SAID_MAX] : long_ago;
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    actor *a = arg;
    a->events++;
    check_rules_incoming(a, event, PHI_MAY_SEND, said_at(a, event));
    check_event_order(a, event);
    check_topic_event(a, event);
    sim_note(a->domain->s, a->node, "event of %zu bytes from %.*s", event->body.size,
             (int)event->from.size, event->from.data);
}

// ---- who is there

void actor_watch(actor *a, const char *service)
{
    a->is_watching = true;
    a->is_ready = false;
    memmove(a->watched, service, strlen(service) + 1);
    // Who does not pass is forgotten without a word: here, too.
    size_t kept = 0;
    for (size_t i = 0; i < a->known_count; i++) {
        if (service[0] == '\0' || strcmp(a->known[i].service, service) == 0) {
            a->known[kept++] = a->known[i];
        }
    }
    a->known_count = kept;
    ph_watch watch = PH_WATCH_INIT;
    watch.service = service[0] == '\0' ? NULL : service;
    ph_err rc = ph_client_watch(a->client, &watch);
    PH_ASSERT(rc == PH_OK);
    sim_note(a->domain->s, a->node, "watches %s", service[0] == '\0' ? "everybody" : service);
}

void actor_unwatch(actor *a)
{
    a->is_watching = false;
    a->is_ready = false;
    a->known_count = 0;
    ph_client_unwatch(a->client);
    sim_note(a->domain->s, a->node, "watches nobody");
}

const known_peer *actor_knows(const actor *a, const char *id)
{
    for (size_t i = 0; i < a->known_count; i++) {
        if (strcmp(a->known[i].id, id) == 0) {
            return &a->known[i];
        }
    }
    return NULL;
}

static void note_line(known_peer *known, const ph_peer *peer)
{
    known->revision = peer->revision;
    known->state = peer->state;
    known->weight = peer->weight;
}

static void learn(actor *a, const ph_peer *peer)
{
    if (a->known_count == KNOWN_MAX) {
        domain_fail(a->domain, "%s knows more than there are", a->account);
        return;
    }
    known_peer *known = &a->known[a->known_count++];
    copy_view(known->id, sizeof known->id, peer->id);
    copy_view(known->service, sizeof known->service, peer->service);
    known->session = peer->session;
    note_line(known, peer);
}

static void relearn(actor *a, const char *id, const ph_peer *peer)
{
    for (size_t i = 0; i < a->known_count; i++) {
        if (strcmp(a->known[i].id, id) == 0) {
            note_line(&a->known[i], peer);
            return;
        }
    }
}

static void unlearn(actor *a, const char *id)
{
    for (size_t i = 0; i < a->known_count; i++) {
        if (strcmp(a->known[i].id, id) == 0) {
            a->known[i] = a->known[--a->known_count];
            return;
        }
    }
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    actor *a = arg;
    domain *d = a->domain;
    check_presence_change(a, change, peer);
    a->told = (told_change){ .change = change,
                             .reason = reason,
                             .session = peer->session,
                             .revision = peer->revision,
                             .at = sim_now(d->s) };
    copy_view(a->told.id, sizeof a->told.id, peer->id);
    if (change == PH_ONLINE) {
        a->onlines++;
        learn(a, peer);
    } else if (change == PH_OFFLINE) {
        a->offlines++;
        unlearn(a, a->told.id);
    } else {
        relearn(a, a->told.id, peer);
    }
    sim_note(d->s, a->node, "%s %s, session %llu, revision %llu, %s", a->told.id,
             ph_change_name(change), (unsigned long long)peer->session,
             (unsigned long long)peer->revision, ph_reason_name(reason));
}

static void on_presence_ready(ph_client *client, uint64_t revision, void *arg)
{
    (void)client;
    actor *a = arg;
    check_presence_ready(a, revision);
    a->is_ready = true;
    a->ready_at = sim_now(a->domain->s);
    a->readies++;
    sim_note(a->domain->s, a->node, "knows all as of revision %llu", (unsigned long long)revision);
}

// ---- calls of its own

call_record *actor_call(actor *a, const char *to, uint32_t target, size_t body_size,
                        uint32_t timeout_ms, ph_err *why)
{
    const call_spec spec = {
        .to = to, .target = target, .body_size = body_size, .timeout_ms = timeout_ms
    };
    return actor_call_as(a, &spec, why);
}

// Its place in the ledger, not taken yet; NULL when it is full.
static call_record *new_record(actor *a, const call_spec *spec)
{
    domain *d = a->domain;
    if (d->call_count == CALLS_MAX) {
        return NULL;
    }
    call_record *call = &d->calls[d->call_count];
    *call = (call_record){ .domain = d,
                           .serial = d->call_count,
                           .caller = a->index,
                           .target = spec->target,
                           .begun = sim_now(d->s),
                           .body_size = spec->body_size,
                           .within = spec->within };
    uint32_t timeout_ms = spec->timeout_ms;
    if (spec->within != NULL) {
        call->within_id = spec->within->id;
        uint32_t left_ms = ph_client_time_left_ms(a->client, spec->within->id) + 1;
        timeout_ms = left_ms < timeout_ms ? left_ms : timeout_ms;
    }
    call->deadline = phi_time_add(call->begun, phi_ms(timeout_ms));
    snprintf(call->target_id, sizeof call->target_id, "%s@" DOMAIN_NAME, spec->to);
    if (strncmp(spec->to, SERVICE, strlen(SERVICE)) == 0) {
        snprintf(call->service, sizeof call->service, "%s", spec->to + strlen(SERVICE));
    }
    return call;
}

call_record *actor_call_as(actor *a, const call_spec *spec, ph_err *why)
{
    static uint8_t body[BODY_BYTES_MAX];
    domain *d = a->domain;
    PH_ASSERT(spec->body_size >= REQUEST_BYTES_MIN);
    PH_ASSERT(spec->body_size <= sizeof body);
    PH_ASSERT(spec->timeout_ms > 0);
    ph_err rc = PH_ELIMIT;
    call_record *call = new_record(a, spec);
    if (call != NULL) {
        phi_put_u32(body, a->index);
        phi_put_u32(body + 4, call->serial);
        body_fill(body, REQUEST_BYTES_MIN, spec->body_size, call->serial);
        ph_outgoing outgoing = PH_OUTGOING_INIT;
        outgoing.to = spec->to;
        outgoing.method = "echo";
        outgoing.body = body;
        outgoing.body_size = spec->body_size;
        outgoing.timeout_ms = spec->timeout_ms;
        outgoing.within = spec->within == NULL ? NULL : &spec->within->id;
        rc = ph_client_request(a->client, &outgoing, &call->id, on_done, call);
    }
    if (why != NULL) {
        *why = rc;
    }
    if (rc != PH_OK) {
        return NULL;
    }
    d->call_count++;
    d->calls_open++;
    a->calls_open++;
    sim_note(d->s, a->node, "call %u to %s, %zu bytes, %u ms", call->serial, spec->to,
             spec->body_size, spec->timeout_ms);
    return call;
}

call_record *actor_call_within(actor *a, held_request *within, const actor *to, uint32_t timeout_ms)
{
    const call_spec spec = { .to = to->account,
                             .target = to->index,
                             .body_size = REQUEST_BYTES_MIN,
                             .timeout_ms = timeout_ms,
                             .within = within };
    return actor_call_as(a, &spec, /* why= */ NULL);
}

call_record *actor_call_actor(actor *a, const actor *to, uint32_t timeout_ms)
{
    return actor_call(a, to->account, to->index, REQUEST_BYTES_MIN, timeout_ms, /* why= */ NULL);
}

static void on_done(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg)
{
    (void)client;
    call_record *call = arg;
    domain *d = call->domain;
    actor *a = &d->actors[call->caller];
    call->ends++;
    call->ended = sim_now(d->s);
    call->status = status;
    call->code = code;
    if (id.value != call->id.value) {
        domain_fail(d, "call %u ended under another id", call->serial);
    }
    check_call_end(call);
    check_reply(call, status, code, reply);
    if (call->ends == 1) {
        PH_ASSERT(d->calls_open > 0);
        d->calls_open--;
        a->calls_open--;
    }
    sim_note(d->s, a->node, "call %u ended: %s %s", call->serial, ph_err_name(status),
             code == 0 ? "" : ph_failure_name(code));
    dialog_call_ended(call);
}

// The body says which event of whom it is.
static ph_outgoing event_of(actor *a, const char *to, size_t body_size)
{
    static uint8_t body[BODY_BYTES_MAX];
    PH_ASSERT(body_size <= sizeof body);
    phi_put_u32(body, a->index);
    bool is_large = body_size >= EVENT_BYTES_LARGE;
    uint32_t number = is_large ? ++a->larges_said : ++a->events_said;
    if (!is_large) {
        a->said_at[number % SAID_MAX] = sim_now(a->domain->s);
    }
    phi_put_u32(body + 4, number);
    body_fill(body, EVENT_BYTES_MIN, body_size, number);
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = to;
    outgoing.body = body;
    outgoing.body_size = body_size;
    return outgoing;
}

ph_err actor_event(actor *a, const char *to, size_t body_size)
{
    ph_outgoing outgoing = event_of(a, to, body_size);
    return ph_client_send(a->client, &outgoing);
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    actor *a = arg;
    if (a->receipts_open == 0) {
        domain_fail(a->domain, "%s got a receipt too many", a->account);
        return;
    }
    a->receipts_open--;
    if (status != PH_OK || receipt->delivered + receipt->dropped == 0) {
        return;
    }
    // Who is bound by rules is not told how many were left.
    bool is_hidden = a->domain->rule_sets->count != 0 && receipt->code != 0;
    if ((receipt->code == 0) != (receipt->dropped == 0) && !is_hidden) {
        domain_fail(a->domain, "%s: a receipt of %u dropped with code %u", a->account,
                    receipt->dropped, receipt->code);
    }
}

ph_err actor_event_with_receipt(actor *a, const char *to, size_t body_size, uint32_t timeout_ms)
{
    ph_outgoing outgoing = event_of(a, to, body_size);
    outgoing.timeout_ms = timeout_ms;
    ph_err rc = ph_client_send_with_receipt(a->client, &outgoing, NULL, on_receipt, a);
    a->receipts_open += rc == PH_OK;
    return rc;
}

// ---- topics

const char *actor_pattern(uint32_t which)
{
    static const char *const patterns[ACTOR_PATTERNS] = { "a.a", "a.*", "a.>", "*.b", ">" };
    PH_ASSERT(which < ACTOR_PATTERNS);
    return patterns[which];
}

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    (void)code;
    actor *a = arg;
    for (uint32_t i = 0; i < ACTOR_PATTERNS; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if ((a->patterns_wanted & bit) != 0 && a->subscriptions[i] == id.value) {
            a->patterns_in_force &= ~bit;
            a->patterns_in_force |= status == PH_OK ? bit : 0;
            return;
        }
    }
    domain_fail(a->domain, "%s hears of a subscription that it does not have", a->account);
}

void actor_toggle(actor *a, uint32_t which)
{
    uint32_t bit = UINT32_C(1) << which;
    ph_subscription_id id = { a->subscriptions[which] };
    if ((a->patterns_wanted & bit) != 0) {
        a->patterns_wanted &= ~bit;
        a->patterns_in_force &= ~bit;
        ph_err rc = ph_client_unsubscribe(a->client, id);
        if (rc != PH_OK) {
            domain_fail(a->domain, "%s cannot unsubscribe: %s", a->account, ph_err_name(rc));
        }
        return;
    }
    ph_err rc = ph_client_subscribe(a->client, actor_pattern(which), &id, NULL, on_subscribed, a);
    if (rc == PH_OK) {
        a->patterns_wanted |= bit;
        a->patterns_ever |= bit;
        a->subscriptions[which] = id.value;
    } else if (rc != PH_ENOMEM) {
        domain_fail(a->domain, "%s cannot subscribe: %s", a->account, ph_err_name(rc));
    }
}

// ---- calls of others

static ph_err reply(actor *a, const held_request *held)
{
    static uint8_t body[BODY_BYTES_MAX + 4];
    size_t kept = held->body_size < sizeof held->body ? held->body_size : sizeof held->body;
    phi_put_u32(body, a->index);
    memcpy(body + 4, held->body, kept);
    body_fill(body, 4 + kept, 4 + held->body_size, phi_get_u32(held->body + 4));
    return ph_client_reply(a->client, held->id, body, 4 + held->body_size);
}

ph_err actor_reply(actor *a, held_request *held)
{
    PH_ASSERT(held->is_used);
    held->is_used = false;
    return reply(a, held);
}

held_request *actor_held(actor *a)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        held_request *held = &a->held[(a->held_next + i) % HELD_MAX];
        if (held->is_used) {
            return held;
        }
    }
    return NULL;
}

// When all places are taken, the oldest is forgotten: its caller has a deadline.
held_request *actor_hold(actor *a, const held_request *request)
{
    held_request *held = &a->held[a->held_next++ % HELD_MAX];
    *held = *request;
    held->is_used = true;
    return held;
}

static void reply_late(sim *s, void *arg)
{
    (void)s;
    held_request *held = arg;
    if (held->is_used) {
        // Stale, full, or taken by the center for too late: all of that is legal here.
        (void)!actor_reply(held->owner, held);
    }
}

static void answer(actor *a, const held_request *request, manner how)
{
    domain *d = a->domain;
    phi_random *random = sim_node_random(d->s, a->node);
    switch (how) {
    case MANNER_ECHO:
        (void)!reply(a, request);
        break;
    case MANNER_TWICE:
        (void)!reply(a, request);
        (void)!reply(a, request);
        break;
    case MANNER_FAIL: {
        uint16_t code = (uint16_t)(FAILURE_CODE_FIRST + phi_get_u32(request->body));
        (void)!ph_client_fail(a->client, request->id, code, "by its nature");
        break;
    }
    case MANNER_HOLD:
        (void)actor_hold(a, request);
        break;
    case MANNER_LATE: {
        phi_dur delay = phi_ns(phi_random_below(random, d->options.late_max.ns + 1));
        sim_after(d->s, a->node, delay, reply_late, actor_hold(a, request));
        break;
    }
    case MANNER_WORK:
        sim_after(d->s, a->node, a->work, reply_late, actor_hold(a, request));
        break;
    case MANNER_BREAK:
        (void)!ph_client_fail(a->client, request->id, PH_FAILURE_RESPONDER_FAILED, NULL);
        break;
    case MANNER_ASK:
        dialog_ask_first(a, request);
        break;
    case MANNER_MIXED:
        answer(a, request, (manner)phi_random_below(random, MANNER_MIXED));
        break;
    case MANNER_COUNT:
        PH_UNREACHABLE("not a manner");
    }
}

static uint32_t sender_of(const domain *d, ph_view from)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const char *id = d->actors[i].id;
        if (from.size == strlen(id) && memcmp(from.data, id, from.size) == 0) {
            return i;
        }
    }
    return NOBODY;
}

static held_request request_of(actor *a, ph_request_id id, const ph_incoming *incoming)
{
    held_request request = { .owner = a,
                             .id = id,
                             .from = sender_of(a->domain, incoming->from),
                             .body_size = incoming->body.size };
    size_t kept = request.body_size < sizeof request.body ? request.body_size : sizeof request.body;
    memcpy(request.body, incoming->body.data, kept);
    if (request.from != NOBODY &&
        !body_is_filled((const uint8_t *)incoming->body.data, REQUEST_BYTES_MIN, request.body_size,
                        phi_get_u32(request.body + 4))) {
        domain_fail(a->domain, "%s got another request than was sent", a->account);
    }
    return request;
}

static void on_request(ph_client *client, ph_request_id id, const ph_incoming *incoming, void *arg)
{
    (void)client;
    actor *a = arg;
    a->requests++;
    if (incoming->body.size < REQUEST_BYTES_MIN) {
        check_rules_incoming(a, incoming, PHI_MAY_CALL, (phi_time){ 0 });
        (void)!ph_client_fail(a->client, id, PH_FAILURE_NO_HANDLER, NULL); // a rogue's
        return;
    }
    held_request request = request_of(a, id, incoming);
    uint32_t serial = phi_get_u32(request.body + 4);
    bool is_call = request.from != NOBODY && serial < a->domain->call_count;
    check_rules_incoming(a, incoming, PHI_MAY_CALL,
                         is_call ? a->domain->calls[serial].begun : (phi_time){ 0 });
    answer(a, &request, a->manner);
}

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    (void)client;
    actor *a = arg;
    a->inquiries++;
    check_inquiry(a, call, incoming);
    held_request request = request_of(a, inquiry, incoming);
    answer(a, &request, a->asked_manner);
}

static void on_cancel(ph_client *client, ph_request_id id, uint16_t code, void *arg)
{
    (void)client;
    actor *a = arg;
    a->cancels++;
    a->cancel_code = code;
    dialog_cancelled(a, id);
    for (size_t i = 0; i < HELD_MAX; i++) {
        // Every other responder is slow to hear that it is no longer wanted, and answers all the
        // same.
        bool is_heard = a->index % 2 == 0;
        if (a->held[i].is_used && ph_request_id_equal(a->held[i].id, id) && is_heard) {
            a->held[i].is_used = false;
        }
    }
}

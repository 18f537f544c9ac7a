// SPDX-License-Identifier: Apache-2.0
//
// center/session.c - see session.h.
//
// Design notes
//   - When the center ends a link, the session leaves at once and its link only flushes the bye. So
//     what others are to be told is queued before the turn's presence is written, and there is one
//     way to leave, whoever began it.
//   - A connection over a limit is told why, and when to try again, in one write, and closed: it
//     gets nothing else of the center.
//
// Invariants  see session_check

#include "center/session.h"

#include "base/assert.h"
#include "center/abroad.h"
#include "center/broadcast.h"
#include "center/credential.h"
#include "center/drain.h"
#include "center/identity.h"
#include "center/join.h"
#include "center/own_state.h"
#include "center/router.h"
#include "center/state.h"
#include "center/stream.h"
#include "center/subscription.h"
#include "center/throttle.h"
#include "center/worker.h"
#include "wire/stream.h"

enum {
    RETRY_MS = 1000, // and up to as much again, so that they do not all come back at once
};

// Somebody unknown may cost 1 KiB, stream included (script/bench hostile). What only some clients
// need is allocated when they need it.
PH_STATIC_ASSERT(sizeof(session) <= 656);

const phi_sm_state session_states[SESSION_STATE_COUNT] = {
    [SESSION_JOINING] = { .name = "joining",
                          .next = PHI_SM_TO(SESSION_JOINED) | PHI_SM_TO(SESSION_LEAVING),
                          .is_initial = true },
    [SESSION_JOINED] = { .name = "joined", .next = PHI_SM_TO(SESSION_LEAVING) },
    [SESSION_LEAVING] = { .name = "leaving", .is_final = true },
};

// What watchers are told of a client whose link this center ended.
static const uint8_t why_of_bye[PHI_BYE_COUNT] = {
    [PHI_BYE_NORMAL] = PHI_WHY_LEFT,
    [PHI_BYE_GOING_AWAY] = PHI_WHY_CENTER_STOPPING,
    [PHI_BYE_LENGTH_INVALID] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_CHECK_WRONG] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_COMMAND_UNKNOWN] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_ILLEGAL_IN_STATE] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_MALFORMED] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_VERSION_UNSUPPORTED] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_SUITE_REFUSED] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_JOIN_TIMEOUT] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_HEARTBEAT_TIMEOUT] = PHI_WHY_HEARTBEAT_TIMEOUT,
    [PHI_BYE_ACCOUNT_TAKEN] = PHI_WHY_KICKED,
    [PHI_BYE_NAME_INVALID] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_NOT_AUTHORISED] = PHI_WHY_KICKED,
    [PHI_BYE_FROM_MISMATCH] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_SLOW_CONSUMER] = PHI_WHY_SLOW_CONSUMER,
    [PHI_BYE_LIMIT_REACHED] = PHI_WHY_KICKED,
    [PHI_BYE_KICKED] = PHI_WHY_KICKED,
    [PHI_BYE_INTERNAL] = PHI_WHY_CONNECTION_LOST,
    [PHI_BYE_TYPE_REFUSED] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_CREDIT_EXCEEDED] = PHI_WHY_PROTOCOL_ERROR,
    [PHI_BYE_CREDENTIAL_EXPIRED] = PHI_WHY_KICKED,
    [PHI_BYE_TLS_REQUIRED] = PHI_WHY_PROTOCOL_ERROR,
};

static void on_event(phi_transport *t, const phi_link_event *event);
static void on_room(phi_transport *t);
static void on_gone(phi_transport *t);
static void on_read(phi_transport *t, size_t bytes, size_t packets);

static void handle_packet(center *c, session *s, const phi_packet *packet);
static void handle_ask(center *c, session *s, phi_bytes payload);
static void suspect(center *c, session *s, bool is_suspect);
static void handle_closed(center *c, session *s, const phi_link_end *end);

static bool admits(const center *c);
static ph_err start_link(center *c, session *s, phi_stream *stream);
static void turn_away(center *c, phi_stream *stream, center_listener kind, uint64_t address);
static void tell_left(center *c, const session *s, phi_why why);
static phi_why why_of(const phi_link_end *end);
static bool is_lost(const phi_link_end *end);
static bool is_breach(const phi_link_end *end);

const phi_transport_events session_events = {
    .on_event = on_event,
    .on_message = router_on_message,
    .on_room = on_room,
    .on_gone = on_gone,
};

const phi_transport_events session_events_metered = {
    .on_event = on_event,
    .on_message = router_on_message,
    .on_room = on_room,
    .on_gone = on_gone,
    .on_read = on_read,
};

// ---- life

void session_accept(center *c, phi_stream *stream, center_listener kind, uint64_t address)
{
    c->counters.connections_total++;
    if (!admits(c)) {
        turn_away(c, stream, kind, address);
        return;
    }
    uint64_t handle;
    bool has_place = center_home_count(c) < c->options.connections_max;
    session *s = has_place ? phi_slots_take(&c->sessions, &handle) : NULL;
    if (s == NULL) {
        turn_away(c, stream, kind,
                  address); // those that leave still take their places, or there is no memory
        return;
    }
    s->handle = handle;
    s->home = c->workers.self;
    s->kind = (uint8_t)kind;
    s->held_since = PHI_TIME_NEVER;
    phi_sm_init(&s->sm, session_states, SESSION_STATE_COUNT);
    if (start_link(c, s, stream) != PH_OK) {
        CENTER_LOG_WRITE(c, MEMORY, PHI_LOG_NUMBER("connections", c->sessions.count));
        phi_slots_give(&c->sessions, handle);
        turn_away(c, stream, kind, address);
        return;
    }
    c->joining_count++;
    if (PHI_UNLIKELY(!throttle_begin(c, s, address))) {
        session_end(c, s, PHI_BYE_LIMIT_REACHED, session_retry_after(c), NULL);
    }
}

// By a link that lives just as long: it knows how bye is said in each suite. Without memory for one
// it is what was said last.
phi_bytes session_refusal(center *c, uint32_t retry_after_ms)
{
    bool is_paper = c->options.suite == PHI_SUITE_PAPER;
    phi_keys keys;
    if (is_paper) {
        phi_io_entropy(c->io, (uint8_t *)&keys, sizeof keys);
    }
    phi_link link;
    ph_err rc = phi_link_init(&link, &c->link_options[CENTER_LISTENER_PLAIN],
                              is_paper ? &keys : NULL, c->io->now);
    explicit_bzero(&keys, sizeof keys);
    if (rc == PH_OK) {
        phi_link_bye(&link, PHI_BYE_LIMIT_REACHED, retry_after_ms, NULL);
        phi_bytes said = phi_link_seal(&link);
        PH_ASSERT(said.size <= sizeof c->refusal);
        memcpy(c->refusal, said.data, said.size);
        c->refusal_size = said.size;
        phi_link_fini(&link);
    }
    return phi_bytes_of(c->refusal, c->refusal_size);
}

void session_enter(center *c, session *s, account *a, uint32_t message_bytes_max)
{
    PH_ASSERT(c->joining_count > 0);
    c->joining_count--;
    c->joined_count++;
    c->joined_abroad_count += s->is_abroad;
    center_pace(c);
    phi_sm_move(&s->sm, SESSION_JOINED);
    account_bind(a, s);
    guard_enter(c, s);
    s->message_bytes_max = message_bytes_max;
    session_check(s);
}

void session_leave(center *c, session *s, phi_why why)
{
    if (session_is(s, SESSION_LEAVING)) {
        return;
    }
    if (session_is(s, SESSION_JOINING)) {
        PH_ASSERT(c->joining_count > 0);
        c->joining_count--;
        phi_sm_move(&s->sm, SESSION_LEAVING);
        tell_left(c, s, why);
        identity_forget(c, s);
        if (s->is_abroad) {
            abroad_over(c, s);
        }
        return;
    }
    PH_ASSERT(c->joined_count > 0);
    session_check(s);
    tell_left(c, s, why);
    broadcast_drop(c, s);
    subscription_leave(c, s);
    c->joined_count--;
    c->joined_abroad_count -= s->is_abroad;
    center_pace(c);
    phi_sm_move(&s->sm, SESSION_LEAVING); // nothing is delivered to it from here on
    if (PHI_LIKELY(!s->is_abroad)) {
        CENTER_LOG_WRITE(c, LEFT, PHI_LOG_TEXT("id", session_id(s)),
                         PHI_LOG_NUMBER("session", s->number),
                         PHI_LOG_TEXT("why", phi_bytes_text(phi_why_name((uint8_t)why))));
    }
    call_leave(c, s);
    stream_leave(c, s);
    watch_end(c, s);
    abroad_forget(c, s);
    guard_leave(c, s);
    identity_forget(c, s);
    account *a = s->account;
    account_unbind(a);
    if (PHI_LIKELY(workers_decide(&c->workers))) {
        presence_leave(c, a, why);
    } else {
        service_refresh(a, c->io->now); // the first worker says what becomes of it
    }
    if (PHI_UNLIKELY(s->is_abroad)) {
        abroad_over(c, s);
    }
}

void session_end(center *c, session *s, phi_bye_code code, uint32_t retry_after_ms,
                 const char *text)
{
    PH_ASSERT(code < PHI_BYE_COUNT);
    if (session_is(s, SESSION_LEAVING)) {
        return;
    }
    if (PHI_UNLIKELY(s->is_abroad)) {
        worker_tell(c, s->home,
                    &(mail){ .type = MAIL_END,
                             .code = (uint16_t)code,
                             .value = retry_after_ms,
                             .session = s->abroad->handle },
                    phi_bytes_of(NULL, 0));
        session_leave(c, s, (phi_why)why_of_bye[code]);
        return;
    }
    if (code == PHI_BYE_NOT_AUTHORISED && session_is(s, SESSION_JOINING)) {
        throttle_refused(c, s);
    }
    session_leave(c, s, (phi_why)why_of_bye[code]);
    phi_transport_bye(&s->transport, code, retry_after_ms, text);
}

void session_on_room(center *c, session *s)
{
    call_pay(c, s);
    stream_pay(c, s);
    subscription_on_room(c, s);
    drain_on_room(c, s);
    watch_on_room(c, s);
    credential_on_room(c, s);
}

void session_probe(center *c, session *s)
{
    if (PHI_UNLIKELY(s->is_abroad)) {
        worker_tell(c, s->home, &(mail){ .type = MAIL_PROBE, .session = s->abroad->handle },
                    phi_bytes_of(NULL, 0));
    } else {
        phi_transport_probe(&s->transport);
    }
}

void session_hold(center *c, session *s)
{
    phi_transport_hold(&s->transport);
    if (phi_time_is_never(s->held_since)) { // else it still goes on with what waited
        s->held_since = c->io->now;
    }
}

void session_go_on(session *s)
{
    phi_transport_go_on(&s->transport);
    if (!s->transport.is_held) {
        s->held_since = PHI_TIME_NEVER;
    }
}

void session_drop_all(center *c)
{
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    while ((s = phi_slots_next(&c->sessions, &index, &handle)) != NULL) {
        broadcast_drop(c, s);
        subscription_leave(c, s);
        watch_end(c, s);
        call_forget(c, s);
        abroad_forget(c, s);
        throttle_drop(c, s);
        guard_leave(c, s);
        identity_forget(c, s);
        if (s->is_abroad) {
            abroad_drop(c, s);
        } else {
            phi_transport_drop(&s->transport);
        }
        phi_slots_give(&c->sessions, handle);
    }
}

// ---- what its link tells

static void on_event(phi_transport *t, const phi_link_event *event)
{
    session *s = session_of(t);
    center *c = center_of(s);
    switch (event->type) {
    case PHI_LINK_EVENT_JOIN:
        join_handle(c, s, event->join);
        break;
    case PHI_LINK_EVENT_PACKET:
        handle_packet(c, s, &event->packet);
        break;
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
        if (session_is(s, SESSION_JOINED)) {
            suspect(c, s, event->type == PHI_LINK_EVENT_SUSPECT);
        }
        break;
    case PHI_LINK_EVENT_CONFIRMED:
        watch_confirmed(c, s, event->mark);
        break;
    case PHI_LINK_EVENT_CLOSED:
        handle_closed(c, s, &event->end);
        break;
    case PHI_LINK_EVENT_NONE:
    case PHI_LINK_EVENT_OPEN:
        PH_UNREACHABLE("not an event of a center's link");
    }
}

static void handle_packet(center *c, session *s, const phi_packet *packet)
{
    switch ((phi_command)packet->command) {
    case PHI_COMMAND_ONLINE_LIST:
        handle_ask(c, s, packet->payload);
        return;
    case PHI_COMMAND_OWN_STATE:
        if (workers_decide(&c->workers)) {
            own_state_handle(c, s, packet->payload);
        } else {
            worker_forward(c, s, WORKER_FIRST, PHI_COMMAND_OWN_STATE, packet->payload);
        }
        return;
    case PHI_COMMAND_SUBSCRIPTION:
        subscription_handle(c, s, packet->payload);
        return;
    case PHI_COMMAND_STREAM:
        stream_control(c, s, packet->payload);
        return;
    case PHI_COMMAND_CREDENTIAL:
        credential_handle(c, s, packet->payload);
        return;
    case PHI_COMMAND_MESSAGE: // router_on_message
    case PHI_COMMAND_HEARTBEAT:
    case PHI_COMMAND_HANDSHAKE:
    case PHI_COMMAND_ONLINE_STATUS:
    case PHI_COMMAND_BYE:
        break;
    }
    PH_UNREACHABLE("the link hands up nothing else to a center");
}

// [P-42]
static void handle_ask(center *c, session *s, phi_bytes payload)
{
    phi_presence_ask ask;
    if (phi_presence_ask_decode(payload, &ask) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    s->ask_count = (uint8_t)((s->ask_count + 1u) % PHI_PAGE_ASKS_COUNT);
    if (watch_begin(c, s, &ask) != PH_OK) {
        session_end(c, s, PHI_BYE_INTERNAL, RETRY_MS, "no memory");
    }
}

static void suspect(center *c, session *s, bool is_suspect)
{
    if (workers_decide(&c->workers)) {
        presence_suspect(c, s->account, is_suspect);
    } else {
        worker_tell(c, WORKER_FIRST,
                    &(mail){ .type = MAIL_SUSPECT, .code = is_suspect, .session = s->handle },
                    phi_bytes_of(NULL, 0));
    }
}

static void handle_closed(center *c, session *s, const phi_link_end *end)
{
    if (is_breach(end)) {
        char peer[PHI_ADDRESS_TEXT_MAX];
        session_peer(s, peer);
        CENTER_LOG_WRITE(c, BREACH, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                         PHI_LOG_TEXT("reason", phi_bytes_text(phi_bye_name((uint16_t)end->code))),
                         PHI_LOG_TEXT("text", end->text));
    }
    if (end->err == PH_ETLS) {
        char peer[PHI_ADDRESS_TEXT_MAX];
        session_peer(s, peer);
        c->counters.tls_refused_total++;
        CENTER_LOG_WRITE(c, NO_TRUST, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                         PHI_LOG_TEXT("reason", end->text));
    }
    if (is_lost(end)) {
        c->counters.links_lost_total++;
    } else {
        PH_ASSERT(end->code < PHI_BYE_COUNT);
        c->counters.links_ended_total[end->code]++;
    }
    session_leave(c, s, why_of(end));
}

static void on_room(phi_transport *t)
{
    session *s = session_of(t);
    if (session_is(s, SESSION_JOINED)) {
        abroad_on_room(center_of(s), s);
        session_on_room(center_of(s), s);
    }
}

static void on_read(phi_transport *t, size_t bytes, size_t packets)
{
    session *s = session_of(t);
    throttle_read(center_of(s), s, bytes, packets);
}

static void on_gone(phi_transport *t)
{
    session *s = session_of(t);
    PH_ASSERT(session_is(s, SESSION_LEAVING));
    PH_ASSERT(s->account == NULL);
    center *c = center_of(s);
    throttle_end(c, s);
    phi_slots_give(&c->sessions, s->handle);
    phi_io_hurry(c->io); // it may have been the last one of a center that stops
}

// ---- queries

phi_time session_heard_at(const center *c, const session *s)
{
    return PHI_LIKELY(phi_time_is_never(s->held_since)) ? c->io->now : s->held_since;
}

uint32_t session_time_left_held(const center *c, const session *s, uint32_t ttl_ms)
{
    uint64_t spent_us = phi_dur_us(phi_time_diff(c->io->now, s->held_since));
    uint64_t whole_us = (uint64_t)ttl_ms * 1000;
    return spent_us < whole_us ? (uint32_t)((whole_us - spent_us + 999) / 1000) : 0;
}

phi_bytes session_account(const session *s)
{
    PH_ASSERT(s->id != NULL);
    return phi_bytes_of(s->id, s->name_size);
}

phi_bytes session_service(const session *s)
{
    PH_ASSERT(s->account != NULL);
    return account_service(s->account);
}

void session_peer(const session *s, char text[PHI_ADDRESS_TEXT_MAX])
{
    text[0] = '\0';
    if (s->transport.stream != NULL) {
        phi_stream_peer(center_of(s)->io, s->transport.stream, text);
    }
}

session *session_find(const center *c, phi_bytes name)
{
    account *a = registry_find(&c->registry, name);
    if (a == NULL || a->session == NULL) {
        return NULL;
    }
    PH_ASSERT(session_is(a->session, SESSION_JOINED));
    return a->session;
}

// ---- helpers

static bool admits(const center *c)
{
    return !c->is_stopping && c->joining_count + c->joined_count < c->options.connections_max &&
           c->joining_count < c->options.connections_joining_max;
}

static ph_err start_link(center *c, session *s, phi_stream *stream)
{
    const phi_link_options *options = &c->link_options[s->kind];
    if (options->suite != PHI_SUITE_PAPER) {
        return phi_transport_accept(&s->transport, &c->transports, stream, options, NULL);
    }
    phi_keys keys;
    phi_io_entropy(c->io, (uint8_t *)&keys, sizeof keys);
    ph_err rc = phi_transport_accept(&s->transport, &c->transports, stream, options, &keys);
    explicit_bzero(&keys, sizeof keys);
    return rc;
}

static void turn_away(center *c, phi_stream *stream, center_listener kind, uint64_t address)
{
    throttle_gone(c, address);
    CENTER_LOG_WRITE(c, TURNED_AWAY, PHI_LOG_NUMBER("connections", c->sessions.count),
                     PHI_LOG_NUMBER("joining", c->joining_count));
    session_turn_away(c, stream, kind, session_retry_after(c));
}

// Where TLS is expected nothing can be said without a handshake, which is what a limit is to save.
void session_turn_away(center *c, phi_stream *stream, center_listener kind, uint32_t retry_after_ms)
{
    c->counters.connections_refused_total++;
    if (kind == CENTER_LISTENER_PLAIN) {
        (void)phi_stream_write(c->io, stream, session_refusal(c, retry_after_ms));
    }
    c->counters.links_ended_total[PHI_BYE_LIMIT_REACHED]++;
    phi_stream_close(c->io, stream);
}

// Spread, so that they do not all come back at once.
uint32_t session_retry_after(center *c)
{
    return (uint32_t)phi_random_between(&c->random, RETRY_MS, 2 * RETRY_MS);
}

// From home to the first worker, from there to the others. One that the first worker has admitted
// they know; one that it has not been asked about, nobody does.
static void tell_left(center *c, const session *s, phi_why why)
{
    const workers *w = &c->workers;
    if (PHI_LIKELY(!workers_are_several(w))) {
        return;
    }
    const mail left = { .type = MAIL_LEFT,
                        .code = (uint16_t)why,
                        .value = s->home,
                        .session = s->is_abroad ? s->abroad->handle : s->handle };
    if (!workers_decide(w)) {
        if (s->is_asked) {
            worker_tell(c, WORKER_FIRST, &left, phi_bytes_of(NULL, 0));
        }
        return;
    }
    for (uint32_t i = 0; i < w->count && s->account != NULL; i++) {
        if (i != w->self && i != s->home) {
            worker_tell(c, i, &left, phi_bytes_of(NULL, 0));
        }
    }
}

static phi_why why_of(const phi_link_end *end)
{
    if (is_lost(end)) {
        return PHI_WHY_CONNECTION_LOST;
    }
    return end->by_peer ? PHI_WHY_LEFT : (phi_why)why_of_bye[end->code];
}

// [P-71]
static bool is_lost(const phi_link_end *end)
{
    return end->err == PH_ECLOSED || end->err == PH_ERESET || end->err == PH_ETLS;
}

// What an operator wants to hear of: somebody who does not speak the protocol.
static bool is_breach(const phi_link_end *end)
{
    return !end->by_peer && (end->err == PH_EPROTO || end->err == PH_ECHECK);
}

void session_check(const session *s)
{
    bool is_joined = session_is(s, SESSION_JOINED);
    PH_ASSERT(is_joined == (s->account != NULL));
    if (is_joined) {
        PH_ASSERT(s->number != 0);
        PH_ASSERT(s->account->session == s);
        PH_ASSERT(s->id == s->account->id);
        PH_ASSERT(s->id_size == s->account->id_size);
        account_check(s->account);
    } else {
        PH_ASSERT(s->watch == NULL);
        PH_ASSERT(s->broadcast == NULL);
        PH_ASSERT(s->subscriber == NULL);
        PH_ASSERT(s->calls == NULL);
    }
    call_check(s);
}

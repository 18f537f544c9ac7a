// SPDX-License-Identifier: Apache-2.0
//
// center/session.h - one connection at the center: first somebody unknown, then, once joined, the
// client of that account.
//
// Life     session_accept -> (join_handle) -> session_leave or session_end -> on_gone
// States   joining -> joined -> leaving; see session_states
// Limits   connections_max; some 980 bytes for an idle one, link and account included
// Threads  none
//
// Everything that hangs on a client (its account, its calls, its watch) is taken down in
// session_leave, at the moment its link ends or the center decides that it does. What remains until
// on_gone is a stream that flushes a bye.

#ifndef CENTER_SESSION_H
#define CENTER_SESSION_H

#include "center/center.h"
#include "center/registry.h"
#include "link/transport.h"

typedef struct watch watch;
typedef struct broadcast broadcast;
typedef struct subscriber subscriber;
typedef struct session_calls session_calls;
typedef struct session_streams session_streams;
typedef struct session_mail session_mail;
typedef struct session_abroad session_abroad;
typedef struct session_meter session_meter;
typedef struct identity identity;
typedef struct role role;

typedef enum session_state {
    SESSION_JOINING,
    SESSION_JOINED,
    SESSION_LEAVING,
    SESSION_STATE_COUNT
} session_state;

extern const phi_sm_state session_states[SESSION_STATE_COUNT];

// What each message passes comes first, behind what it passes in the transport.
struct session {
    phi_transport transport;
    phi_sm sm;         // session_state
    const uint8_t *id; // account->id, nearer: it is compared with each message's `from`
    uint8_t id_size;   // account@domain
    uint8_t name_size; // account
    uint8_t ask_count; // for presence, JOIN's not counted; modulo PHI_PAGE_ASKS_COUNT
    uint8_t home;      // the worker that has its connection
    uint8_t kind;      // center_listener that it came through
    bool is_abroad;    // another one than this: `transport` has no stream
    bool is_detoured;  // what it is sent does not go straight into the transport: it is abroad, or
                       // mail from other workers waits for room there
    bool is_asked;     // at home: the first worker was asked to admit it
    bool is_remote;    // not of this machine, as far as the center can see
    bool is_judged;    // at home: it is who it says, as far as can be known
    bool is_to_review; // at home: other things are believed now than when it was judged
    uint32_t message_bytes_max; // the largest it takes in fragments; 0: none
    role *role;                 // what it may do; NULL: everything (guard.h)
    session_calls *calls;       // owned; NULL until its first call, either way
    uint64_t addressed; // handle of the session it last wrote to: who writes to one writes again
    uint64_t addressed_service; // and handle of the service
    phi_time held_since;        // what it says now came then, and waited; NEVER: it did not

    uint64_t handle;          // in center.sessions
    uint64_t number;          // the session in WELCOME
    identity *identity;       // owned; NULL: it is who its account's name says (identity.h)
    account *account;         // borrowed; NULL before it joined, and after it left
    watch *watch;             // owned; NULL: it does not want presence
    broadcast *broadcast;     // owned; one that waits for its share; it is held then
    subscriber *subscriber;   // owned; NULL: it never subscribed
    session_streams *streams; // owned; NULL until its first message in fragments
    session_meter *meter;     // owned; NULL: what it sends is not counted

    // Of a center with several workers: worker.h, abroad.h.
    union {
        session_mail *mail;     // owned; at home: what other workers want of it; NULL: nothing yet
        session_abroad *abroad; // owned; abroad: what is known of its home
    };
};

static inline session *session_of(phi_transport *t)
{
    return PHI_CONTAINER_OF(t, session, transport);
}

static inline bool session_is(const session *s, session_state state)
{
    return phi_sm_is(&s->sm, (uint8_t)state);
}

// Views into its account, valid until session_leave. Only for one that has joined.
static inline phi_bytes session_id(const session *s)
{
    PH_ASSERT(s->id != NULL);
    return phi_bytes_of(s->id, s->id_size);
}
phi_bytes session_account(const session *s);
phi_bytes session_service(const session *s);

// Who is at the other end, for the log; "" when the stream is gone.
void session_peer(const session *s, char text[PHI_ADDRESS_TEXT_MAX]);

// The joined session of that account, or NULL.
session *session_find(const center *c, phi_bytes name);

// Takes a connection that a listener accepted, or turns it away with bye limit_reached.
// `address` is of throttle_admits.
void session_accept(center *c, phi_stream *stream, center_listener kind, uint64_t address);

// Says so much to one that is not even a session, and closes it.
void session_turn_away(center *c, phi_stream *stream, center_listener kind,
                       uint32_t retry_after_ms);

// All that is said to a connection over a limit: HELLO, and bye limit_reached with a retry-after.
// Borrowed until the next call.
phi_bytes session_refusal(center *c, uint32_t retry_after_ms);

// There is room for what it is sent: it is told what waited for that.
void session_on_room(center *c, session *s);

// When one that is turned away may try again; spread.
uint32_t session_retry_after(center *c);

// Asks for a sign of life now.
void session_probe(center *c, session *s);

// The client is in, as that account.
void session_enter(center *c, session *s, account *a, uint32_t message_bytes_max);

// The client is no more: tells watchers, callers and responders. Its link may still flush. `why` is
// for the watchers. Nothing for one that has left.
void session_leave(center *c, session *s, phi_why why);

// Leaves, and says bye. `text` may be NULL: the code's own.
void session_end(center *c, session *s, phi_bye_code code, uint32_t retry_after_ms,
                 const char *text);

// From inside on_event: what it said behind the packet that is being handled waits, until
// session_go_on in the hook of a later turn.
void session_hold(center *c, session *s);
void session_go_on(session *s);

// When the packet that is being handled came.
phi_time session_heard_at(const center *c, const session *s);

// What is left of a time that the packet names, after it waited; 0: nothing. Never more than
// `ttl_ms`.
uint32_t session_time_left_held(const center *c, const session *s, uint32_t ttl_ms);
static inline uint32_t session_time_left(const center *c, const session *s, uint32_t ttl_ms)
{
    bool has_waited = !phi_time_is_never(s->held_since);
    return PHI_UNLIKELY(has_waited) ? session_time_left_held(c, s, ttl_ms) : ttl_ms;
}

// Frees all at once, without byes or events.
void session_drop_all(center *c);

extern const phi_transport_events session_events;
extern const phi_transport_events session_events_metered; // throttle.h

// Asserts the invariants.
void session_check(const session *s);

#endif // CENTER_SESSION_H

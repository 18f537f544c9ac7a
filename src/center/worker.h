// SPDX-License-Identifier: Apache-2.0
//
// center/worker.h - a center on several loops: what its workers tell each other.
//
// Each worker is a whole center on a loop of its own, with connections and calls of its own. The
// registry, the online list and the subscriptions are the same in each. A client is at *home* where
// its connection is; for the others it is *abroad*: a session without a connection, which all of
// the center's code treats like any other, and which is reached by mail (abroad.h).
//
//   who decides   The first worker admits clients, keeps accounts and makes the online list; it
//                 tells the others each step, and they take the same steps in the same order. So
//                 every worker has the same revisions, and a watcher may come back to any of them.
//   calls         live where the caller is at home. A responder's worker sends what it says in a
//                 call to the worker that the call's number names (phi_slots_mark).
//   topics        A change of subscriptions is told to all.
//   order         Mail is posted before sockets are written, and all workers see all posts in one
//                 order (io/mailbox.h). So what two clients say to each other stays in order, and
//                 who has heard of a client through another one knows it.
//   memory        What the first worker decided was decided for all: another one cannot refuse it,
//                 nor leave it out and go on, because it would show another list and answer for who
//                 is not there. So a worker without memory for it stands still until there is some:
//                 late, and never wrong. With none for WORKER_STILL_MS the process ends.
//
// Alone (no mailbox) nothing of this costs anything but a comparison.
//
// Life     workers_init -> worker_turn* -> workers_fini
// Limits   PHI_MAILBOXES_MAX workers; mail that waits for one of them: see abroad.h
// Threads  none: each worker belongs to its io

#ifndef CENTER_WORKER_H
#define CENTER_WORKER_H

#include "center/center.h"
#include "center/registry.h"
#include "center/session.h"
#include "io/mailbox.h"
#include "wire/handshake.h"

// Who decides for all.
#define WORKER_FIRST 0u

// So long at most a worker stands still for want of memory: less than the time that clients give a
// silent center (heartbeat_grace, by default).
#define WORKER_STILL_MS 3000u

// A JOIN as it came, and the defaults that a client may leave out.
#define WORKER_JOIN_BYTES_MAX (PHI_PACKET_BYTES_JOINING_MAX + 256u)

typedef enum mail_type {
    MAIL_CONNECTION, // to any: take this one; code: center_listener; bytes: the loose stream
    MAIL_JOIN,       // home to first: may it join? bytes: identity_told, its JOIN
    MAIL_ADMITTED,   // first to home: it has; bytes: its JOIN
    MAIL_LOOK,       // first to any: has the end come of who has the account? see rejoin.h
    MAIL_LOOKED,     // to first: if so, that was told
    MAIL_LEFT,       // its session is over; value: home; code: phi_why
    MAIL_END,        // to home: end it; code: phi_bye_code; value: retry after
    MAIL_IDENTITY,   // home: it has proved to be somebody else; bytes: identity_told
    MAIL_PROBE,      // to home: does it still live?
    MAIL_SUSPECT,    // home to first: it left an ask unanswered; code: whether it still does
    MAIL_DELIVER,    // to home: send it this packet
    MAIL_FAN,        // to home: send each of them this packet; bytes: see fan_mail.h
    MAIL_FROM,       // it said this packet, which another worker has to handle
    MAIL_ROOM,       // home: so many bytes that you mailed to it are in its send buffer
    MAIL_ACCOUNT,    // first: there is a new account; value: home; bytes: replica.c's line
    MAIL_LISTED,     // first: it is on the list; bytes: its line
    MAIL_CHANGED,    // first: its line is another; bytes: its line
    MAIL_UNLISTED,   // first: it is no longer on the list; code: phi_why; bytes: its name
    MAIL_REMOVED,    // first: the account is no more; bytes: its name
    MAIL_DRAIN,      // first: tell me of that drain; session: its number; bytes: see drain.c
    MAIL_DRAINED,    // to first: what that drain waits for; session: its number; see drain.c
    MAIL_DRAIN_WHO,  // first: and whom does it wait for?
    MAIL_NAMES,      // to first: them; session: its number; see drain.c
    MAIL_DRAIN_OVER, // first: no more of it
    MAIL_STATUS,     // first: tell me what you count; session: of that ask; see status.c
    MAIL_COUNTED,    // to first: that; session: the ask; bytes: center_counters
    MAIL_GONE,       // to first: a connection of an address is; session: that (throttle.h)
    MAIL_REFUSED,    // to first: somebody of an address was not let in; the same
    MAIL_TYPE_COUNT
} mail_type;

// In front of each mail's bytes. It never leaves the process.
typedef struct mail {
    uint8_t type;
    uint8_t command; // phi_command, of packets
    uint16_t code;
    uint32_t value;
    uint64_t session; // handle at home, unless the type says otherwise
} mail;

PH_STATIC_ASSERT(sizeof(mail) == 16);

// What a worker keeps of another one.
typedef struct worker_peer {
    session **abroad; // owned; by index of the handle at home; NULL where there is none
    uint32_t abroad_size;
    uint32_t fan;         // whose packet the mail is that may get more receivers: fan_mail.h
    uint32_t fan_room;    // so many more
    uint64_t fan_mark;    // of the mailbox
    uint64_t fan_heard;   // from it: whose packet came last
    phi_stretch fan_copy; // of that
} worker_peer;

typedef struct workers {
    phi_mailbox *mailbox; // borrowed; NULL: alone
    uint8_t self;
    uint8_t count;
    uint8_t next;                // who gets the next connection
    worker_peer *peers;          // owned; `count` of them
    uint32_t abroad_count;       // sessions that are, joined or not
    phi_list stuck;              // session_mail.stuck: held until there is room in the mailboxes
    phi_list gone;               // session_abroad.gone: over; freed at the end of the turn
    phi_list rejoins;            // rejoin.node
    phi_timer retry;             // while one rejoins whose older link is not read
    uint32_t fan;                // number of the last: fan_mail_new
    bool is_crowding;            // what is being handled filled a mailbox
    uint64_t messages_passed_on; // counted here, and once more where they are handled
    uint64_t requests_passed_on; // of those
    uint8_t *room;               // of the mail that is being written, between begin and commit
} workers;

// PH_ENOMEM   no memory
PHI_MUST_CHECK ph_err workers_init(center *c, phi_mailbox *mailbox);
void workers_fini(center *c);

static inline bool workers_are_several(const workers *w)
{
    return w->count > 1;
}

// Decides who is who: the first of several, or one that is alone.
static inline bool workers_decide(const workers *w)
{
    return w->self == WORKER_FIRST;
}

// Whether another worker has more mail than it should; then a turn comes when it has read some.
bool worker_is_crowded(center *c);
void worker_await_room(center *c);
// A turn comes soon, to look again.
void worker_retry_later(center *c);

// The end of a turn: posts what is to be told.
void worker_turn(center *c);

// Mail to one of the others, or to all of them. No failure: see io/mailbox.h.
void worker_tell(center *c, uint32_t to, const mail *head, phi_bytes bytes);
void worker_tell_others(center *c, const mail *head, phi_bytes bytes);

// What cannot be refused found no memory, once more after `tries` times: stands still for a moment.
// It is to be tried again when this returns; which it does not when that has been too often.
void worker_await_memory(center *c, uint32_t tries);

// A connection came: it is this worker's, or it is handed on (false).
bool worker_keeps(center *c, phi_stream *stream, center_listener kind, uint64_t address);

// A client of this worker's that other workers may still write to; NULL: it is over.
session *worker_find_home(const center *c, uint64_t handle);

// Asks the first worker to admit the client, which is held until it answers.
void worker_ask(center *c, session *s, const phi_join *join);

// Tells the others who a client of this worker is now.
void worker_tell_identity(center *c, const session *s);

// A JOIN as it stands in a mail, without its token; in `bytes`.
phi_bytes worker_write_join(const phi_join *join, uint8_t bytes[WORKER_JOIN_BYTES_MAX]);

// Tells its home that the client is in.
void worker_admit(center *c, const session *s, const phi_join *join);

// What it adds to a snapshot, and takes from it.
void worker_count(const center *c, center_counters *counters);

// The packet is the other worker's to handle.
void worker_forward(center *c, session *s, uint32_t to, phi_command command, phi_bytes payload);

// Others were told what the client said, which cannot be refused; but what it says next can be read
// later, when there is room in their mailboxes.
void worker_mind_room(center *c, session *s);

// Which worker handles what a client says in the call, or of the stream, of that number, which a
// worker made up: itself, if nobody else.
static inline uint32_t worker_of(const workers *w, uint64_t number)
{
    uint8_t mark = phi_slots_mark(number);
    return mark < w->count ? mark : w->self;
}

#endif // CENTER_WORKER_H

// SPDX-License-Identifier: Apache-2.0
//
// center/abroad.h - sessions of clients whose connection another worker has, and what a session is
// written to with, wherever it is.
//
// What is delivered to a client abroad goes into a mail to its home, which puts it into the send
// buffer. That has as much room for each worker as for those at home: so many bytes may be on their
// way. Home tells when they stand in the send buffer (MAIL_ROOM); what finds that full waits there,
// in order. So nothing that was delivered is lost but with its receiver, and a client that does not
// read looks full to everybody.
//
// A worker that does not read its mail for a moment is nobody's fault: what is written to its
// clients is taken all the same, and who wrote it is held until there is room in the mailbox.
//
// Limits   send_buffer_max bytes on the way from each worker to each client
// Threads  none

#ifndef CENTER_ABROAD_H
#define CENTER_ABROAD_H

#include "center/identity.h"
#include "center/session.h"
#include "center/worker.h"

// What a session at home has to do with other workers, made when it first has.
struct session_mail {
    session *session;
    phi_list stuck;     // on workers.stuck: held until there is room in mailboxes
    phi_list backlog;   // mail that found its send buffer full
    uint32_t entered[]; // of each worker, bytes in the send buffer that it has not been told
};

// What is known of the home of a session abroad.
struct session_abroad {
    session *session;
    phi_list gone;   // on workers.gone
    uint64_t handle; // there
    uint32_t mailed; // bytes on their way to its send buffer
    bool wants_room; // somebody waits for fewer
};

// A joining session for the client whose handle at its home is that; NULL without a place or
// memory.
session *abroad_new(center *c, uint32_t home, uint64_t handle, const identity_told *who);

// NULL: there is none, or it is over.
session *abroad_find(const center *c, uint32_t home, uint64_t handle);

// Holds a session at home until there is room in the mailboxes.
void abroad_hold(center *c, session *s);

// What the session just said filled another worker's mailbox: it is held.
void abroad_mind_crowd(center *c, session *s);

// It has left: it cannot be found any more, and is freed at the end of the turn.
void abroad_over(center *c, session *s);
void abroad_free_gone(center *c);
void abroad_drop(center *c, session *s); // the center is being freed

// Mail from another worker to a client at home; or to one of several that get the same.
void abroad_deliver(center *c, uint32_t from, session *s, phi_command command, phi_bytes payload);
void abroad_deliver_shared(center *c, uint32_t from, session *s, phi_transport_shared *packet);
void abroad_on_room(center *c, session *s); // of its send buffer
void abroad_forget(center *c, session *s);  // it leaves

// So many bytes of those mailed to it are in its send buffer.
void abroad_entered(center *c, session *s, uint32_t bytes);

// For sessions that are detoured. Those at home have no room while mail waits for it: what is said
// later must not overtake that. [P-55]
uint8_t *abroad_begin(session *s, size_t size_max);
void abroad_commit(session *s, phi_command command, size_t payload_size);
uint8_t *abroad_put(session *s, phi_command command, size_t payload_size);
bool abroad_is_roomy(const session *s);

// Of abroad_commit: the mail that was begun has that head and so many bytes, of which so many are
// the packet's payload.
void abroad_mail(session *s, const mail *head, size_t size, size_t payload_size);

// Room for a packet's payload to a client: as phi_transport_begin and _commit.
static inline uint8_t *session_begin(session *s, size_t payload_max)
{
    return PHI_LIKELY(!s->is_detoured) ? phi_transport_begin(&s->transport, payload_max)
                                       : abroad_begin(s, payload_max);
}

static inline void session_commit(session *s, phi_command code, size_t payload_size)
{
    if (PHI_LIKELY(!s->is_detoured)) {
        phi_transport_commit(&s->transport, code, payload_size);
    } else {
        abroad_commit(s, code, payload_size);
    }
}

// As phi_transport_put.
static PHI_ALWAYS_INLINE uint8_t *session_put(session *s, phi_command code, size_t payload_size)
{
    return PHI_LIKELY(!s->is_detoured) ? phi_transport_put(&s->transport, code, payload_size)
                                       : abroad_put(s, code, payload_size);
}

static inline bool session_is_roomy(const session *s)
{
    return PHI_LIKELY(!s->is_detoured) ? phi_link_is_roomy(&s->transport.link) : abroad_is_roomy(s);
}

#endif // CENTER_ABROAD_H

// SPDX-License-Identifier: Apache-2.0
//
// center/abroad.c - see abroad.h.
//
// Invariants
//   - a session abroad that can be found stands in its home's peer.abroad, at the index of its
//     handle there
//   - `mailed` of a session abroad is what its home has not told to be in the send buffer

#include "center/abroad.h"

#include <string.h>

#include "base/assert.h"
#include "center/state.h"

enum {
    ABROAD_FIRST = 64, // places in a peer's table to begin with
    // Of a share of what may be on its way home tells, so that it seldom does.
    TELL_SHARES = 8,
};

// Waits for room in the send buffer.
typedef struct waiting_mail {
    phi_list node; // on session_mail.backlog
    uint32_t from;
    uint32_t size;
    uint8_t command;
    uint8_t payload[];
} waiting_mail;

static bool has_place(center *c, worker_peer *p, uint32_t index);
static session_mail *mail_of(center *c, session *s);
static inline bool may_put(center *c, session *s);
static inline void settle(center *c, uint32_t from, session *s, const phi_transport_shared *packet,
                          bool is_put);
static bool put(session *s, phi_command command, phi_bytes payload);
static void enter(center *c, session *s, uint32_t from, uint32_t size);
static bool keep(center *c, session *s, uint32_t from, phi_command command, phi_bytes payload);
static void tell_entered(center *c, session *s, uint32_t to);
static size_t mail_bytes(const center *c);

// ---- who is abroad

session *abroad_new(center *c, uint32_t home, uint64_t home_handle, const identity_told *who)
{
    PH_ASSERT(home < c->workers.count);
    PH_ASSERT(home != c->workers.self);
    PH_ASSERT(abroad_find(c, home, home_handle) == NULL);
    worker_peer *p = &c->workers.peers[home];
    uint32_t index = phi_slots_index(home_handle);
    uint64_t handle;
    session_abroad *a = has_place(c, p, index)
                            ? phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, sizeof *a)
                            : NULL;
    if (a == NULL) {
        return NULL;
    }
    session *s = phi_slots_take(&c->sessions, &handle);
    if (s == NULL) {
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), a, sizeof *a);
        return NULL;
    }
    a->session = s;
    a->handle = home_handle;
    s->abroad = a;
    s->handle = handle;
    s->home = (uint8_t)home;
    s->is_abroad = true;
    s->is_detoured = true;
    s->held_since = PHI_TIME_NEVER;
    phi_sm_init(&s->sm, session_states, SESSION_STATE_COUNT);
    if (!identity_follow(c, s, who)) {
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), a, sizeof *a);
        phi_slots_give(&c->sessions, handle);
        return NULL;
    }
    // As its link at home: so what may be delivered to it needs no question of its own.
    s->transport.group = &c->transports;
    s->transport.link.peer_packet_bytes_max = PHI_PACKET_BYTES_MAX;
    s->transport.link.in.suite = (uint8_t)c->link_options[s->kind].suite;
    s->transport.link.out.suite = c->link_options[s->kind].suite;
    p->abroad[index] = s;
    c->workers.abroad_count++;
    c->joining_count++;
    return s;
}

session *abroad_find(const center *c, uint32_t home, uint64_t handle)
{
    PH_ASSERT(home < c->workers.count);
    const worker_peer *p = &c->workers.peers[home];
    uint32_t index = phi_slots_index(handle);
    session *s = index < p->abroad_size ? p->abroad[index] : NULL;
    return s != NULL && s->abroad->handle == handle ? s : NULL;
}

void abroad_over(center *c, session *s)
{
    PH_ASSERT(s->is_abroad);
    PH_ASSERT(session_is(s, SESSION_LEAVING));
    PH_ASSERT(abroad_find(c, s->home, s->abroad->handle) == s);
    c->workers.peers[s->home].abroad[phi_slots_index(s->abroad->handle)] = NULL;
    phi_list_append(&c->workers.gone, &s->abroad->gone);
    phi_io_hurry(c->io);
}

void abroad_free_gone(center *c)
{
    phi_list *node;
    while ((node = phi_list_take(&c->workers.gone)) != NULL) {
        session *s = PHI_CONTAINER_OF(node, session_abroad, gone)->session;
        PH_ASSERT(s->account == NULL);
        PH_ASSERT(s->calls == NULL);
        PH_ASSERT(c->workers.abroad_count > 0);
        c->workers.abroad_count--;
        abroad_drop(c, s);
        phi_slots_give(&c->sessions, s->handle);
    }
}

void abroad_drop(center *c, session *s)
{
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), s->abroad, sizeof *s->abroad);
    s->abroad = NULL;
}

void abroad_hold(center *c, session *s)
{
    session_mail *m = mail_of(c, s);
    if (m == NULL || s->transport.is_held) {
        return; // without memory what it says next waits in the mailbox
    }
    phi_list_append(&c->workers.stuck, &m->stuck);
    session_hold(c, s);
    worker_await_room(c);
}

void abroad_mind_crowd(center *c, session *s)
{
    c->workers.is_crowding = false;
    if (!s->is_abroad && session_is(s, SESSION_JOINED)) {
        abroad_hold(c, s);
    }
}

static bool has_place(center *c, worker_peer *p, uint32_t index)
{
    if (index < p->abroad_size) {
        return true;
    }
    uint32_t size = p->abroad_size == 0 ? ABROAD_FIRST : p->abroad_size;
    while (size <= index) {
        size *= 2;
    }
    session **abroad = phi_resize(center_alloc(c, CENTER_MEMORY_SESSIONS), p->abroad,
                                  p->abroad_size * sizeof *abroad, size * sizeof *abroad);
    if (abroad == NULL) {
        return false;
    }
    memset(abroad + p->abroad_size, 0, (size - p->abroad_size) * sizeof *abroad);
    p->abroad = abroad;
    p->abroad_size = size;
    return true;
}

// ---- to a client abroad

uint8_t *abroad_begin(session *s, size_t size_max)
{
    center *c = center_of(s);
    PH_ASSERT(session_is(s, SESSION_JOINED));
    if (!s->is_abroad) { // it is told when there is room, because what waits for that is
        return NULL;
    }
    if (!abroad_is_roomy(s)) {
        s->abroad->wants_room = true;
        return NULL;
    }
    c->workers.room = phi_mailbox_begin(c->workers.mailbox, s->home, sizeof(mail) + size_max);
    return c->workers.room + sizeof(mail);
}

void abroad_commit(session *s, phi_command command, size_t payload_size)
{
    const mail head = { .type = MAIL_DELIVER,
                        .command = (uint8_t)command,
                        .session = s->abroad->handle };
    abroad_mail(s, &head, payload_size, payload_size);
}

void abroad_mail(session *s, const mail *head, size_t size, size_t payload_size)
{
    center *c = center_of(s);
    PH_ASSERT(payload_size <= phi_link_payload_max(&s->transport.link));
    memcpy(c->workers.room, head, sizeof *head);
    phi_mailbox_commit(c->workers.mailbox, s->home, sizeof *head + size);
    s->abroad->mailed += (uint32_t)payload_size;
    c->counters.mail_delivered_total++;
    phi_io_hurry(c->io);
    if (PHI_UNLIKELY(!phi_mailbox_is_roomy(c->workers.mailbox, s->home))) {
        c->workers.is_crowding = true;
        c->deliveries_left = 0; // a broadcast goes on when there is room
    }
}

// Nothing is posted before the turn ends, so the mail may be committed before it is written.
uint8_t *abroad_put(session *s, phi_command command, size_t payload_size)
{
    uint8_t *room = abroad_begin(s, payload_size);
    if (room != NULL) {
        abroad_commit(s, command, payload_size);
    }
    return room;
}

bool abroad_is_roomy(const session *s)
{
    const center *c = center_of(s);
    return s->is_abroad && s->abroad->mailed < c->options.send_buffer_max;
}

void abroad_entered(center *c, session *s, uint32_t bytes)
{
    PH_ASSERT(bytes <= s->abroad->mailed);
    s->abroad->mailed -= bytes;
    if (s->abroad->wants_room && abroad_is_roomy(s)) {
        s->abroad->wants_room = false;
        session_on_room(c, s);
    }
}

// ---- to a client at home, from abroad

void abroad_deliver(center *c, uint32_t from, session *s, phi_command command, phi_bytes payload)
{
    const phi_transport_shared packet = { .code = command, .payload = payload };
    settle(c, from, s, &packet, may_put(c, s) && put(s, command, payload));
}

void abroad_deliver_shared(center *c, uint32_t from, session *s, phi_transport_shared *packet)
{
    bool is_put = may_put(c, s) && (phi_transport_share(&s->transport, &packet->stretch) ||
                                    phi_transport_put_shared(&s->transport, packet));
    settle(c, from, s, packet, is_put);
}

// Nothing waits that it would overtake.
static inline bool may_put(center *c, session *s)
{
    PH_ASSERT(!s->is_abroad);
    const session_mail *m = mail_of(c, s);
    return PHI_LIKELY(m != NULL) && PHI_LIKELY(phi_list_is_empty(&m->backlog));
}

// What was mailed to it is in its send buffer; or else waits for that.
static inline void settle(center *c, uint32_t from, session *s, const phi_transport_shared *packet,
                          bool is_put)
{
    if (PHI_LIKELY(is_put)) {
        enter(c, s, from, (uint32_t)packet->payload.size);
    } else if (s->mail == NULL) {
        session_end(c, s, PHI_BYE_INTERNAL, 0, "no memory");
    } else if (!keep(c, s, from, packet->code, packet->payload)) {
        session_end(c, s, PHI_BYE_SLOW_CONSUMER, 0, NULL);
    }
}

void abroad_on_room(center *c, session *s)
{
    session_mail *m = s->mail;
    while (m != NULL && !phi_list_is_empty(&m->backlog)) {
        waiting_mail *w = PHI_CONTAINER_OF(m->backlog.next, waiting_mail, node);
        if (!put(s, (phi_command)w->command, phi_bytes_of(w->payload, w->size))) {
            return;
        }
        phi_list_remove(&w->node);
        enter(c, s, w->from, w->size);
        phi_give(&c->quota.counted, w, sizeof *w + w->size);
    }
    s->is_detoured = false;
    for (uint32_t i = 0; m != NULL && i < c->workers.count; i++) {
        tell_entered(c, s, i);
    }
}

void abroad_forget(center *c, session *s)
{
    session_mail *m = s->is_abroad ? NULL : s->mail;
    if (m == NULL) {
        return;
    }
    phi_list *node;
    while ((node = phi_list_take(&m->backlog)) != NULL) {
        waiting_mail *w = PHI_CONTAINER_OF(node, waiting_mail, node);
        phi_give(&c->quota.counted, w, sizeof *w + w->size);
    }
    phi_list_remove(&m->stuck);
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), m, mail_bytes(c));
    s->mail = NULL;
}

static session_mail *mail_of(center *c, session *s)
{
    if (PHI_LIKELY(s->mail != NULL)) {
        return s->mail;
    }
    session_mail *m = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, mail_bytes(c));
    if (m != NULL) {
        m->session = s;
        phi_list_init(&m->backlog);
        s->mail = m;
    }
    return m;
}

static size_t mail_bytes(const center *c)
{
    return sizeof(session_mail) + c->workers.count * sizeof(uint32_t);
}

static bool put(session *s, phi_command command, phi_bytes payload)
{
    uint8_t *room = phi_transport_begin(&s->transport, payload.size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, payload.data, payload.size);
    phi_transport_commit(&s->transport, command, payload.size);
    return true;
}

// Nobody is told of room while mail waits: else those who write from abroad, and read on, could
// keep those at home out for ever.
static void enter(center *c, session *s, uint32_t from, uint32_t size)
{
    s->mail->entered[from] += size;
    if (PHI_LIKELY(phi_list_is_empty(&s->mail->backlog))) {
        tell_entered(c, s, from);
    }
}

static void tell_entered(center *c, session *s, uint32_t to)
{
    uint32_t *entered = &s->mail->entered[to];
    if (*entered >= c->options.send_buffer_max / TELL_SHARES) {
        worker_tell(c, to, &(mail){ .type = MAIL_ROOM, .value = *entered, .session = s->handle },
                    phi_bytes_of(NULL, 0));
        *entered = 0;
    }
}

// False without memory.
static bool keep(center *c, session *s, uint32_t from, phi_command command, phi_bytes payload)
{
    if (phi_quota_is_used_up(&c->quota)) {
        return false;
    }
    waiting_mail *w = phi_take(&c->quota.counted, sizeof *w + payload.size);
    if (w == NULL) {
        return false;
    }
    *w =
        (waiting_mail){ .from = from, .size = (uint32_t)payload.size, .command = (uint8_t)command };
    memcpy(w->payload, payload.data, payload.size);
    phi_list_append(&s->mail->backlog, &w->node);
    s->is_detoured = true;
    c->counters.mail_kept_total++;
    return true;
}

// SPDX-License-Identifier: Apache-2.0
//
// center/worker.c - see worker.h.
//
// Design notes
//   - What comes by mail is handled by the functions that handle what comes by a connection: the
//     session abroad stands for its client.
//   - Mail names a session by its handle at home. One that is over is not found, and what was on
//     its way to it or from it is dropped, as with a connection that broke.
//   - Only who decides hears of a client that has not joined; the others meet it with its account.
//
// Invariants
//   - a session is abroad at each worker but its home, from MAIL_ACCOUNT to MAIL_LEFT

#include "center/worker.h"

#include <string.h>

#include "base/assert.h"
#include "center/abroad.h"
#include "center/drain.h"
#include "center/fan_mail.h"
#include "center/join.h"
#include "center/own_state.h"
#include "center/rejoin.h"
#include "center/replica.h"
#include "center/router.h"
#include "center/state.h"
#include "center/status.h"
#include "center/stream.h"
#include "center/subscription.h"
#include "center/throttle.h"

enum {
    RETRY_MS = 5, // until an older link that is not read is looked at again
    STILL_MS = 5, // at a time, for want of memory
};

// Whom a mail is about.
typedef enum mail_whose {
    OF_NOBODY,
    OF_HOME,   // a client that is at home here
    OF_ABROAD, // a client that is at home where the mail came from, or where it says
} mail_whose;

typedef void mail_handler(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes);

typedef struct mail_row {
    mail_whose whose;
    mail_handler *handle; // `s` is NULL of nobody
} mail_row;

static mail_handler on_connection;
static mail_handler on_join;
static mail_handler on_look;
static mail_handler on_admitted;
static mail_handler on_left;
static mail_handler on_end;
static mail_handler on_identity;
static mail_handler on_probe;
static mail_handler on_suspect;
static mail_handler on_deliver;
static mail_handler on_fan;
static mail_handler on_from;
static mail_handler on_room;
static mail_handler on_step;
static mail_handler on_drain;
static mail_handler on_status;
static mail_handler on_gone;
static mail_handler on_refused;

static session *session_meant(center *c, uint32_t from, mail_whose whose, const mail *m);
static void on_mail(void *owner, uint32_t from, phi_span bytes);
static void on_retry(phi_timer *timer, phi_time now);
static void go_on_stuck(center *c);
static bool is_any_full(const workers *w);

// ---- life

ph_err workers_init(center *c, phi_mailbox *mailbox)
{
    workers *w = &c->workers;
    *w = (workers){ .mailbox = mailbox, .count = 1 };
    phi_list_init(&w->stuck);
    phi_list_init(&w->gone);
    phi_list_init(&w->rejoins);
    phi_timer_init(&w->retry, on_retry);
    if (mailbox == NULL || phi_mailbox_count(mailbox) == 1) {
        return PH_OK;
    }
    w->self = (uint8_t)phi_mailbox_index(mailbox);
    w->count = (uint8_t)phi_mailbox_count(mailbox);
    w->peers = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), w->count, sizeof *w->peers);
    if (w->peers == NULL) {
        return PH_ENOMEM;
    }
    phi_mailbox_attach(mailbox, on_mail, c);
    return PH_OK;
}

void workers_fini(center *c)
{
    workers *w = &c->workers;
    rejoin_drop(c);
    phi_timer_clear(&c->io->timers, &w->retry);
    if (w->peers == NULL) {
        return;
    }
    phi_mailbox_attach(w->mailbox, NULL, NULL);
    for (uint32_t i = 0; i < w->count; i++) {
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), w->peers[i].abroad,
                 w->peers[i].abroad_size * sizeof *w->peers[i].abroad);
    }
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), w->peers, w->count * sizeof *w->peers);
    w->peers = NULL;
}

void worker_turn(center *c)
{
    bool are_several = workers_are_several(&c->workers);
    if (are_several) {
        c->workers.is_crowding = false;
        go_on_stuck(c);
    }
    rejoin_turn(c);
    if (are_several) {
        abroad_free_gone(c);
        phi_mailbox_post(c->workers.mailbox);
    }
}

// ---- telling

void worker_tell(center *c, uint32_t to, const mail *head, phi_bytes bytes)
{
    PH_ASSERT(to != c->workers.self);
    phi_mailbox *box = c->workers.mailbox;
    size_t size = sizeof *head + bytes.size;
    uint8_t *room = phi_mailbox_begin(box, to, size);
    memcpy(room, head, sizeof *head);
    if (bytes.size != 0) {
        memcpy(room + sizeof *head, bytes.data, bytes.size);
    }
    phi_mailbox_commit(box, to, size);
    phi_io_hurry(c->io);
}

void worker_tell_others(center *c, const mail *head, phi_bytes bytes)
{
    for (uint32_t i = 0; i < c->workers.count; i++) {
        if (i != c->workers.self) {
            worker_tell(c, i, head, bytes);
        }
    }
}

void worker_await_memory(center *c, uint32_t tries)
{
    PH_ASSERT(workers_are_several(&c->workers));
    if (tries == 0) {
        c->counters.standstills_total++;
        CENTER_LOG_WRITE(c, STANDSTILL, PHI_LOG_NUMBER("sessions", c->joined_count));
    }
    if (tries >= WORKER_STILL_MS / STILL_MS) {
        CENTER_LOG_WRITE(c, STARVED, PHI_LOG_NUMBER("ms", WORKER_STILL_MS));
        PH_UNREACHABLE("out of memory: a worker could not show the list that the others show");
    }
    phi_io_stand_still(c->io, phi_ms(STILL_MS));
}

bool worker_keeps(center *c, phi_stream *stream, center_listener kind, uint64_t address)
{
    workers *w = &c->workers;
    uint32_t to = w->next;
    w->next = (uint8_t)((w->next + 1u) % w->count);
    phi_loose_stream *loose;
    if (to == w->self || phi_stream_release(c->io, stream, &loose) != PH_OK) {
        return true;
    }
    worker_tell(c, to,
                &(mail){ .type = MAIL_CONNECTION, .code = (uint16_t)kind, .session = address },
                phi_bytes_of((const uint8_t *)&loose, sizeof loose));
    return false;
}

void worker_ask(center *c, session *s, const phi_join *join)
{
    PH_ASSERT(!workers_decide(&c->workers));
    PH_ASSERT(session_is(s, SESSION_JOINING));
    uint8_t bytes[sizeof(identity_told) + WORKER_JOIN_BYTES_MAX];
    const identity_told who = identity_tell(s);
    memcpy(bytes, &who, sizeof who);
    phi_bytes said = worker_write_join(join, bytes + sizeof who);
    worker_tell(c, WORKER_FIRST, &(mail){ .type = MAIL_JOIN, .session = s->handle },
                phi_bytes_of(bytes, sizeof who + said.size));
    s->is_asked = true;
    phi_transport_hold(&s->transport);
}

void worker_admit(center *c, const session *s, const phi_join *join)
{
    PH_ASSERT(workers_decide(&c->workers));
    uint8_t bytes[WORKER_JOIN_BYTES_MAX];
    worker_tell(c, s->home, &(mail){ .type = MAIL_ADMITTED, .session = s->abroad->handle },
                worker_write_join(join, bytes));
}

void worker_tell_identity(center *c, const session *s)
{
    PH_ASSERT(!s->is_abroad);
    if (workers_are_several(&c->workers)) {
        const identity_told who = identity_tell(s);
        worker_tell_others(c, &(mail){ .type = MAIL_IDENTITY, .session = s->handle },
                           phi_bytes_of((const uint8_t *)&who, sizeof who));
    }
}

phi_bytes worker_write_join(const phi_join *join, uint8_t bytes[WORKER_JOIN_BYTES_MAX])
{
    phi_writer w = phi_writer_of((phi_span){ bytes, WORKER_JOIN_BYTES_MAX });
    phi_join judged = *join;
    judged.token = phi_bytes_of(NULL, 0);
    phi_join_encode(&w, &judged);
    PH_ASSERT(!w.failed); // it came in a packet of the joining
    return phi_writer_view(&w);
}

void worker_forward(center *c, session *s, uint32_t to, phi_command command, phi_bytes payload)
{
    PH_ASSERT(!s->is_abroad);
    worker_tell(c, to,
                &(mail){ .type = MAIL_FROM, .command = (uint8_t)command, .session = s->handle },
                payload);
    c->counters.mail_forwarded_total++;
    if (command == PHI_COMMAND_MESSAGE) {
        c->workers.messages_passed_on++;
    }
    // What a client says cannot be refused here, but it can be read later.
    if (PHI_UNLIKELY(!phi_mailbox_is_roomy(c->workers.mailbox, to))) {
        abroad_hold(c, s);
    }
}

void worker_count(const center *c, center_counters *counters)
{
    const workers *w = &c->workers;
    if (workers_are_several(w)) {
        counters->mail_memory = phi_mailbox_unread(w->mailbox);
        counters->messages_received_total -= w->messages_passed_on;
        counters->requests_total -= w->requests_passed_on;
    }
}

void worker_mind_room(center *c, session *s)
{
    if (PHI_UNLIKELY(is_any_full(&c->workers))) {
        abroad_hold(c, s);
    }
}

// ---- what others tell

static const mail_row rows[MAIL_TYPE_COUNT] = {
    [MAIL_CONNECTION] = { .handle = on_connection },
    [MAIL_JOIN] = { .handle = on_join },
    [MAIL_ADMITTED] = { .whose = OF_HOME, .handle = on_admitted },
    [MAIL_LOOK] = { .handle = on_look },
    [MAIL_LOOKED] = { .handle = on_look },
    [MAIL_LEFT] = { .whose = OF_ABROAD, .handle = on_left },
    [MAIL_END] = { .whose = OF_HOME, .handle = on_end },
    [MAIL_IDENTITY] = { .whose = OF_ABROAD, .handle = on_identity },
    [MAIL_PROBE] = { .whose = OF_HOME, .handle = on_probe },
    [MAIL_SUSPECT] = { .whose = OF_ABROAD, .handle = on_suspect },
    [MAIL_DELIVER] = { .whose = OF_HOME, .handle = on_deliver },
    [MAIL_FAN] = { .handle = on_fan },
    [MAIL_FROM] = { .whose = OF_ABROAD, .handle = on_from },
    [MAIL_ROOM] = { .whose = OF_ABROAD, .handle = on_room },
    [MAIL_ACCOUNT] = { .handle = on_step },
    [MAIL_LISTED] = { .handle = on_step },
    [MAIL_CHANGED] = { .handle = on_step },
    [MAIL_UNLISTED] = { .handle = on_step },
    [MAIL_REMOVED] = { .handle = on_step },
    [MAIL_DRAIN] = { .handle = on_drain },
    [MAIL_DRAINED] = { .handle = on_drain },
    [MAIL_DRAIN_WHO] = { .handle = on_drain },
    [MAIL_NAMES] = { .handle = on_drain },
    [MAIL_DRAIN_OVER] = { .handle = on_drain },
    [MAIL_STATUS] = { .handle = on_status },
    [MAIL_COUNTED] = { .handle = on_status },
    [MAIL_GONE] = { .handle = on_gone },
    [MAIL_REFUSED] = { .handle = on_refused },
};

static void on_mail(void *owner, uint32_t from, phi_span bytes)
{
    center *c = owner;
    PH_ASSERT(bytes.size >= sizeof(mail));
    mail m;
    memcpy(&m, bytes.data, sizeof m);
    PH_ASSERT(m.type < MAIL_TYPE_COUNT);
    const mail_row *row = &rows[m.type];
    session *s = NULL;
    if (row->whose != OF_NOBODY) {
        s = session_meant(c, from, row->whose, &m);
        if (s == NULL) { // it is over
            return;
        }
    }
    row->handle(c, from, s, &m, phi_bytes_of(bytes.data + sizeof m, bytes.size - sizeof m));
}

static session *session_meant(center *c, uint32_t from, mail_whose whose, const mail *m)
{
    if (whose == OF_ABROAD) {
        return abroad_find(c, m->type == MAIL_LEFT ? m->value : from, m->session);
    }
    return worker_find_home(c, m->session);
}

session *worker_find_home(const center *c, uint64_t handle)
{
    session *s = phi_slots_find(&c->sessions, handle);
    PH_ASSERT(s == NULL || !s->is_abroad);
    return s == NULL || session_is(s, SESSION_LEAVING) ? NULL : s;
}

// ---- about a client at home

// Its account came just before (replica.c).
static void on_admitted(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)m;
    PH_ASSERT(session_is(s, SESSION_JOINED));
    phi_join join;
    ph_err rc = phi_join_decode(bytes, &join);
    PH_ASSERT(rc == PH_OK);
    join_welcome(c, s, &join);
    phi_transport_go_on(&s->transport);
}

static void on_deliver(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    abroad_deliver(c, from, s, (phi_command)m->command, bytes);
}

static void on_fan(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)s;
    fan_mail_handle(c, from, m, bytes);
}

static void on_end(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)bytes;
    session_end(c, s, (phi_bye_code)m->code, m->value, NULL);
}

static void on_probe(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)m;
    (void)bytes;
    session_probe(c, s);
}

// ---- about a client abroad

static void on_left(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)bytes;
    session_leave(c, s, (phi_why)m->code);
}

static void on_identity(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)m;
    identity_told who;
    PH_ASSERT(bytes.size == sizeof who);
    memcpy(&who, bytes.data, sizeof who);
    if (!identity_follow(c, s, &who)) {
        session_end(c, s, PHI_BYE_INTERNAL, 0, "no memory");
    } else if (session_is(s, SESSION_JOINED)) {
        guard_renamed(c, s);
    }
}

static void on_suspect(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)bytes;
    PH_ASSERT(workers_decide(&c->workers));
    presence_suspect(c, s->account, m->code != 0);
}

static void on_room(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)bytes;
    abroad_entered(c, s, m->value);
}

static void on_from(center *c, uint32_t from, session *s, const mail *m, phi_bytes payload)
{
    (void)from;
    PH_ASSERT(session_is(s, SESSION_JOINED));
    switch ((phi_command)m->command) {
    case PHI_COMMAND_MESSAGE:
        router_on_message(&s->transport, payload);
        return;
    case PHI_COMMAND_STREAM:
        stream_control(c, s, payload);
        return;
    case PHI_COMMAND_OWN_STATE:
        own_state_handle(c, s, payload);
        return;
    case PHI_COMMAND_SUBSCRIPTION:
        subscription_follow(c, s, payload);
        return;
    case PHI_COMMAND_HEARTBEAT:
    case PHI_COMMAND_HANDSHAKE:
    case PHI_COMMAND_ONLINE_LIST:
    case PHI_COMMAND_ONLINE_STATUS:
    case PHI_COMMAND_BYE:
    case PHI_COMMAND_CREDENTIAL:
        break;
    }
    PH_UNREACHABLE("its home handles that");
}

// ---- the rest

static void on_connection(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)s;
    phi_loose_stream *loose;
    PH_ASSERT(bytes.size == sizeof loose);
    memcpy(&loose, bytes.data, sizeof loose);
    phi_stream *stream;
    if (phi_stream_adopt(c->io, loose, &stream) == PH_OK) {
        session_accept(c, stream, (center_listener)m->code, m->session);
    } else {
        throttle_gone(c, m->session);
        c->counters.connections_shed_total++;
    }
}

static void on_join(center *c, uint32_t from, session *none, const mail *m, phi_bytes bytes)
{
    (void)none;
    PH_ASSERT(workers_decide(&c->workers));
    identity_told who;
    PH_ASSERT(bytes.size > sizeof who);
    memcpy(&who, bytes.data, sizeof who);
    phi_join join;
    ph_err rc =
        phi_join_decode(phi_bytes_of(bytes.data + sizeof who, bytes.size - sizeof who), &join);
    PH_ASSERT(rc == PH_OK); // encoded at its home
    session *s = c->is_stopping ? NULL : abroad_new(c, from, m->session, &who);
    if (s == NULL) {
        worker_tell(c, from,
                    &(mail){ .type = MAIL_END,
                             .code = PHI_BYE_LIMIT_REACHED,
                             .value = session_retry_after(c),
                             .session = m->session },
                    phi_bytes_of(NULL, 0));
        return;
    }
    join_handle(c, s, &join);
}

static void on_look(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)s;
    rejoin_handle(c, from, m, bytes);
}

static void on_step(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)s;
    PH_ASSERT(from == WORKER_FIRST);
    replica_handle(c, m, bytes);
}

static void on_drain(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)s;
    drain_handle(c, from, m, bytes);
}

static void on_status(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)s;
    status_handle(c, from, m, bytes);
}

static void on_gone(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)s;
    (void)bytes;
    PH_ASSERT(workers_decide(&c->workers));
    throttle_on_gone(c, m->session);
}

static void on_refused(center *c, uint32_t from, session *s, const mail *m, phi_bytes bytes)
{
    (void)from;
    (void)s;
    (void)bytes;
    PH_ASSERT(workers_decide(&c->workers));
    throttle_on_refused(c, m->session);
}

// ---- when a mailbox is full

static void on_retry(phi_timer *timer, phi_time now)
{
    (void)timer;
    (void)now; // there is a turn, and that was all
}

bool worker_is_crowded(center *c)
{
    if (PHI_LIKELY(!workers_are_several(&c->workers)) || !is_any_full(&c->workers)) {
        return false;
    }
    worker_await_room(c);
    return true;
}

void worker_await_room(center *c)
{
    if (!phi_mailbox_await_room(c->workers.mailbox)) {
        phi_io_hurry(c->io); // it is there already
    }
}

void worker_retry_later(center *c)
{
    if (!phi_timer_is_set(&c->workers.retry)) {
        phi_timer_set(&c->io->timers, &c->workers.retry,
                      phi_time_add(c->io->now, phi_ms(RETRY_MS)));
    }
}

static void go_on_stuck(center *c)
{
    workers *w = &c->workers;
    while (PHI_UNLIKELY(!phi_list_is_empty(&w->stuck)) && !is_any_full(w)) {
        session_go_on(PHI_CONTAINER_OF(phi_list_take(&w->stuck), session_mail, stuck)->session);
    }
    if (PHI_UNLIKELY(!phi_list_is_empty(&w->stuck))) {
        worker_await_room(c);
    }
}

static bool is_any_full(const workers *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (i != w->self && !phi_mailbox_is_roomy(w->mailbox, i)) {
            return true;
        }
    }
    return false;
}

// SPDX-License-Identifier: Apache-2.0
//
// center/fan_mail.c - see fan_mail.h.
//
// Design notes
//   - A mail is the payload, filled up to 8 bytes, and the handles. How many these are its size
//     says; how long the payload is stands in `value`, the fan in `session`.
//   - At home the receivers share one copy, also those of several mails of a fan: whoever gets each
//     event of a turn sees them side by side in the run, and only then nothing is copied for him.
//   - Whether the last mail to that home is this fan's is asked of the mailbox, which cannot be
//     wrong about it, whoever else writes mail.
//
// Clauses: P-55, P-59.

#include "center/fan_mail.h"

#include <string.h>

#include "base/assert.h"
#include "center/state.h"

enum {
    HANDLE_BYTES = sizeof(uint64_t),
};

PH_STATIC_ASSERT(FAN_MAIL_WEIGHT >= HANDLE_BYTES);

static size_t filled_up(size_t payload_size);

uint32_t fan_mail_new(center *c)
{
    workers *w = &c->workers;
    w->fan++;
    if (PHI_UNLIKELY(w->fan == 0)) { // once around: whatever has the next number is long posted
        w->fan = 1;
    }
    return w->fan;
}

bool fan_mail_add(session *receiver, uint32_t fan, size_t payload_size)
{
    center *c = center_of(receiver);
    PH_ASSERT(receiver->is_abroad);
    PH_ASSERT(fan != 0);
    worker_peer *p = &c->workers.peers[receiver->home];
    if (p->fan != fan || p->fan_room == 0 || !abroad_is_roomy(receiver)) {
        return false;
    }
    uint8_t *room = phi_mailbox_lengthen(c->workers.mailbox, receiver->home, p->fan_mark,
                                         HANDLE_BYTES, FAN_MAIL_WEIGHT);
    if (room == NULL) {
        return false;
    }
    memcpy(room, &receiver->abroad->handle, HANDLE_BYTES);
    p->fan_mark = phi_mailbox_mark(c->workers.mailbox, receiver->home);
    p->fan_room--;
    receiver->abroad->mailed += (uint32_t)payload_size;
    c->counters.mail_delivered_total++;
    c->counters.mail_shared_total++;
    return true;
}

uint8_t *fan_mail_begin(session *receiver, uint32_t fan, phi_command command, size_t payload_size)
{
    center *c = center_of(receiver);
    PH_ASSERT(receiver->is_abroad);
    PH_ASSERT(fan != 0);
    size_t filled = filled_up(payload_size);
    uint8_t *room = abroad_begin(receiver, filled + FAN_MAIL_RECEIVERS_MAX * HANDLE_BYTES);
    if (room == NULL) {
        return NULL;
    }
    memset(room + payload_size, 0, filled - payload_size);
    memcpy(room + filled, &receiver->abroad->handle, HANDLE_BYTES);
    const mail head = { .type = MAIL_FAN,
                        .command = (uint8_t)command,
                        .value = (uint32_t)payload_size,
                        .session = fan };
    abroad_mail(receiver, &head, filled + HANDLE_BYTES, payload_size);
    worker_peer *p = &c->workers.peers[receiver->home];
    p->fan = fan;
    p->fan_mark = phi_mailbox_mark(c->workers.mailbox, receiver->home);
    p->fan_room = FAN_MAIL_RECEIVERS_MAX - 1;
    return room;
}

void fan_mail_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes)
{
    size_t filled = filled_up(m->value);
    PH_ASSERT(bytes.size > filled);
    PH_ASSERT((bytes.size - filled) % HANDLE_BYTES == 0);
    PH_ASSERT((bytes.size - filled) / HANDLE_BYTES <= FAN_MAIL_RECEIVERS_MAX);
    worker_peer *p = &c->workers.peers[from];
    phi_transport_shared packet = { .code = (phi_command)m->command,
                                    .payload = phi_bytes_of(bytes.data, m->value) };
    if (p->fan_heard == m->session) {
        packet.stretch = p->fan_copy;
    }
    for (size_t at = filled; at < bytes.size; at += HANDLE_BYTES) {
        uint64_t handle;
        memcpy(&handle, bytes.data + at, sizeof handle);
        session *s = worker_find_home(c, handle);
        if (PHI_LIKELY(s != NULL)) { // else it is over
            abroad_deliver_shared(c, from, s, &packet);
        }
    }
    p->fan_heard = m->session;
    p->fan_copy = packet.stretch;
}

static size_t filled_up(size_t payload_size)
{
    return (payload_size + HANDLE_BYTES - 1) / HANDLE_BYTES * HANDLE_BYTES;
}

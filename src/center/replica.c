// SPDX-License-Identifier: Apache-2.0
//
// center/replica.c - see replica.h.
//
// Design notes
//   - A line is told whole, with what stands behind it (what the client says of itself, and what
//     the first worker knows better): so what a step leads to is the same at every worker.
//   - What needs memory is taken whole or not at all, and tried again when there is some; so what
//     follows finds all that came before. (worker.h)
//   - A session may have ended here before the first worker knows; then its account stands here
//     without one until that one has decided what becomes of it.

#include "center/replica.h"

#include <string.h>

#include "base/assert.h"
#include "center/abroad.h"
#include "center/entry.h"
#include "center/identity.h"
#include "center/presence.h"
#include "center/state.h"

// What stands in front of an entry. It never leaves the process.
typedef struct line_head {
    uint64_t home_handle; // of ACCOUNT
    identity_told who;    // same
    uint32_t message_bytes_max;
    uint8_t own_state;
    bool is_suspect;
    bool is_drained;
} line_head;

static account *account_of(center *c, phi_bytes name);
static void on_account(center *c, uint32_t home, const line_head *head, phi_bytes entry);
static session *session_for(center *c, uint32_t home, const line_head *head);

// ---- the first worker tells

static bool tells(const center *c)
{
    return workers_are_several(&c->workers) && workers_decide(&c->workers);
}

static void tell_line(center *c, const account *a, const mail *head)
{
    uint8_t bytes[sizeof(line_head) + PHI_ENTRY_BYTES_MAX];
    line_head line = {
        .own_state = a->own_state,
        .is_suspect = a->is_suspect,
        .is_drained = a->is_drained,
    };
    if (a->session != NULL) {
        line.home_handle = a->session->is_abroad ? a->session->abroad->handle : a->session->handle;
        line.who = identity_tell(a->session);
        line.message_bytes_max = a->session->message_bytes_max;
    }
    memcpy(bytes, &line, sizeof line);
    memcpy(bytes + sizeof line, a->entry, a->entry_size);
    worker_tell_others(c, head, phi_bytes_of(bytes, sizeof line + a->entry_size));
}

void replica_tell_account(center *c, const account *a)
{
    if (PHI_UNLIKELY(tells(c))) {
        tell_line(c, a, &(mail){ .type = MAIL_ACCOUNT, .value = a->session->home });
    }
}

void replica_tell_line(center *c, const account *a, mail_type step)
{
    if (PHI_UNLIKELY(tells(c))) {
        tell_line(c, a, &(mail){ .type = (uint8_t)step });
    }
}

void replica_tell_name(center *c, const account *a, mail_type step, phi_why why)
{
    if (PHI_UNLIKELY(tells(c))) {
        worker_tell_others(c, &(mail){ .type = (uint8_t)step, .code = (uint16_t)why },
                           account_name(a));
    }
}

// ---- the others follow

void replica_handle(center *c, const mail *m, phi_bytes bytes)
{
    if (m->type == MAIL_UNLISTED) {
        presence_follow_gone(c, account_of(c, bytes), (phi_why)m->code);
        return;
    }
    if (m->type == MAIL_REMOVED) {
        account *a = account_of(c, bytes);
        registry_remove(&c->registry, &a);
        return;
    }
    line_head head;
    PH_ASSERT(bytes.size > sizeof head);
    memcpy(&head, bytes.data, sizeof head);
    phi_bytes entry = phi_bytes_of(bytes.data + sizeof head, bytes.size - sizeof head);
    if (m->type == MAIL_ACCOUNT) {
        on_account(c, m->value, &head, entry);
        return;
    }
    const presence_line_told told = { .entry = entry,
                                      .own_state = head.own_state,
                                      .is_suspect = head.is_suspect,
                                      .is_drained = head.is_drained,
                                      .is_new = m->type == MAIL_LISTED };
    account *a = account_of(c, center_name_of(c, entry.data));
    for (uint32_t tries = 0; presence_follow_line(c, a, &told) != PH_OK; tries++) {
        worker_await_memory(c, tries);
    }
}

static void on_account(center *c, uint32_t home, const line_head *head, phi_bytes entry)
{
    const account_options options = { .name = center_name_of(c, entry.data),
                                      .domain = phi_bytes_text(c->self),
                                      .service = entry_service(entry.data),
                                      .entry = entry };
    account *a;
    ph_err rc;
    for (uint32_t tries = 0; (rc = registry_add(&c->registry, &a, &options)) != PH_OK; tries++) {
        PH_ASSERT(rc == PH_ENOMEM); // it has as many places as the first worker's
        worker_await_memory(c, tries);
    }
    uint64_t number = entry_session(entry.data);
    PH_ASSERT(number > c->session_last);
    c->session_last = number;
    session *s = session_for(c, home, head);
    if (s == NULL) {
        return;
    }
    session_enter(c, s, a, head->message_bytes_max);
}

// NULL: it is at home here, and has left meanwhile.
static session *session_for(center *c, uint32_t home, const line_head *head)
{
    session *s;
    if (home == c->workers.self) {
        s = phi_slots_find(&c->sessions, head->home_handle);
        return s == NULL || !session_is(s, SESSION_JOINING) ? NULL : s;
    }
    for (uint32_t tries = 0; // it has as many places as there are handles
         (s = abroad_new(c, home, head->home_handle, &head->who)) == NULL; tries++) {
        worker_await_memory(c, tries);
    }
    return s;
}

// ---- helpers

static account *account_of(center *c, phi_bytes name)
{
    account *a = registry_find(&c->registry, name);
    PH_ASSERT(a != NULL);
    return a;
}

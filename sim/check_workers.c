// SPDX-License-Identifier: Apache-2.0
//
// sim/check_workers.c - several workers are one center: when nothing is under way, each has the
// same accounts, the same list with the same revisions, and the same subscriptions as the first; a
// client is at home with one of them and known to all; and nothing waits between them.

#include <string.h>

#include "center/abroad.h"
#include "center/entry.h"
#include "center/state.h"
#include "center/subscription.h"
#include "sim/check.h"

// Where the account's client is at home, as this worker sees it; NULL: it has none.
static const session *home_session(const domain *d, const account *a)
{
    const session *s = a->session;
    if (s == NULL || !s->is_abroad) {
        return s;
    }
    const center *home = d->workers[s->home];
    return phi_slots_find(&home->sessions, s->abroad->handle);
}

// A worker without memory for who left forgets all who did: whoever comes back to it is sent the
// list instead of the changes. Else all have the same past.
static bool has_same_past(const domain *d, const center *c)
{
    return sim_fault_alloc_failures(d->s, d->center_node) == 0 &&
           sim_fault_alloc_failures(d->s, d->worker_nodes[c->workers.self]) == 0;
}

static const char *compare_past(const center *first, const center *c)
{
    const presence_log *a = &first->presence.log;
    const presence_log *b = &c->presence.log;
    return a->first == b->first && a->gone_count == b->gone_count
               ? NULL
               : "a worker remembers others who left";
}

static const char *compare_account(const domain *d, const center *c, const account *first)
{
    const account *a = registry_find(&c->registry, account_name(first));
    if (a == NULL) {
        return "a worker lacks an account";
    }
    if (!phi_bytes_equal(account_entry(a), account_entry(first)) || a->weight != first->weight) {
        return "a worker has another line of an account";
    }
    if (a->is_listed != first->is_listed || a->line.revision != first->line.revision ||
        a->line.listed != first->line.listed ||
        (a->line.since != first->line.since && has_same_past(d, c))) {
        return "a worker lists an account with another revision";
    }
    if (a->is_suspect != first->is_suspect) {
        return "a worker suspects an account, or does not";
    }
    if ((a->session == NULL) != (first->session == NULL) ||
        home_session(d, a) != home_session(d, first)) {
        return "a worker has another session of an account";
    }
    return NULL;
}

static const char *compare_session(const domain *d, const session *s)
{
    const session *home = home_session(d, s->account);
    if (home == NULL || home->is_abroad || s->home != home->home) {
        return "a session abroad has no home";
    }
    if (home->number != s->number || home->message_bytes_max != s->message_bytes_max ||
        !phi_bytes_equal(session_id(home), session_id(s))) {
        return "a session abroad is not what it is at home";
    }
    if (subscription_count(home) != subscription_count(s)) {
        return "a worker knows other subscriptions of a client than its home";
    }
    return NULL;
}

static const char *compare_list(const center *first, const center *c)
{
    const presence *a = &first->presence;
    const presence *b = &c->presence;
    if (a->epoch != b->epoch || a->log.last != b->log.last) {
        return "a worker's list has another revision";
    }
    if (a->listed != b->listed || a->suspects != b->suspects || a->table_bytes != b->table_bytes) {
        return "a worker's list has other sums";
    }
    if (first->session_last != c->session_last) {
        return "a worker has another last session";
    }
    return NULL;
}

static const char *look_for_rest(const center *c)
{
    const workers *w = &c->workers;
    if (!phi_list_is_empty(&w->stuck) || !phi_list_is_empty(&w->gone)) {
        return "a worker waits for room in mail";
    }
    if (c->calls.count != 0 || c->drain_count != 0 || c->status_ask_count != 0 ||
        c->streams.count != 0 || c->stream_receivers.count != 0) {
        return "a worker has calls, drains, asks of its status or streams open";
    }
    return NULL;
}

static const char *look_for_mail(const session *s)
{
    const session_mail *m = s->is_abroad ? NULL : s->mail;
    return m != NULL && !phi_list_is_empty(&m->backlog) ? "mail waits for room at a client" : NULL;
}

static const char *compare(const domain *d, const center *c)
{
    const center *first = d->center;
    const char *why = compare_list(first, c);
    why = why == NULL && has_same_past(d, c) ? compare_past(first, c) : why;
    why = why != NULL ? why : look_for_rest(c);
    if (why == NULL && c->registry.accounts.count != first->registry.accounts.count) {
        why = "a worker has more accounts";
    }
    uint32_t index = 0;
    uint64_t handle = 0;
    const account *a;
    for (; why == NULL && (a = phi_slots_next(&first->registry.accounts, &index, &handle)) != NULL;
         index++) {
        why = compare_account(d, c, a);
    }
    const session *s;
    uint32_t abroad = 0;
    for (index = 0; why == NULL && (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL;
         index++) {
        why = look_for_mail(s);
        abroad += s->is_abroad;
        if (why == NULL && s->is_abroad) {
            why = session_is(s, SESSION_JOINED) ? compare_session(d, s)
                                                : "a session abroad has not joined";
        }
    }
    if (why == NULL && abroad != c->workers.abroad_count) {
        why = "a worker counts other sessions abroad than it has";
    }
    return why;
}

bool check_workers_agree(const domain *d, const char **why)
{
    const char *found = NULL;
    for (uint32_t i = 0; i < d->worker_count && d->worker_count > 1 && found == NULL; i++) {
        found = compare(d, d->workers[i]);
    }
    if (found != NULL && why != NULL) {
        *why = found;
    }
    return found == NULL;
}

// SPDX-License-Identifier: Apache-2.0
//
// center/guard.c - see guard.h.
//
// Design notes
//   - Default deny: who has no role for want of memory gets that of who may do nothing.
//   - When there are other rules, all roles are void at once, which costs a store for each session;
//     what a session's new one is, is found when it is needed. The rules that went are not looked
//     at any more.
//   - A verdict is remembered when it stands for all methods, under the account's handle, which
//     misses who left, and the role's number, which is never given again. One on a topic always is.
//
// Invariants  see guard_check

#include "center/guard.h"

#include <string.h>

#include "base/assert.h"
#include "center/identity.h"
#include "center/state.h"
#include "center/watch.h"
#include "wire/message.h"

enum {
    ACTION_BITS = 4,
    GUARD_CELLS_BITS = 12,
};
PH_STATIC_ASSERT(PHI_ACTION_COUNT <= 1 << ACTION_BITS);
PH_STATIC_ASSERT(GUARD_CELLS == 1u << GUARD_CELLS_BITS);
// Odd, and otherwise by chance: they spread a number over all bits.
static const uint64_t MIX_1 = UINT64_C(0x9e3779b97f4a7c15);
static const uint64_t MIX_2 = UINT64_C(0xd6e8feb86659fd93);

static role *intern(center *c, const phi_role *fits);
static void set_role(center *c, session *s, role *r);
static bool rules_agree(const phi_rules *a, const phi_rules *b);
static bool lists_agree(const phi_rules *a, const phi_rules *b, uint32_t rule, uint32_t list);
static phi_bytes key_of(const role *r);
static bool judge(const guard *g, const role *r, phi_action action, const phi_target *target);
static bool judge_account(guard *g, const role *r, phi_action action, const account *a,
                          phi_bytes method);
static bool judge_topic(center *c, const role *r, phi_action action, phi_bytes topic);
static guard_cell *cell_of(guard *g, uint64_t key, uint64_t receiver);
static bool may_on_topic(center *c, session *s, phi_action action, phi_bytes topic, uint64_t *known,
                         bool *verdict);

// ---- life

void guard_init(guard *g, const phi_alloc *alloc, phi_hash_key key)
{
    *g = (guard){ .alloc = alloc };
    phi_map_init(&g->roles, alloc, key, PHI_SLOTS_COUNT_MAX); // one for each session, at most
    g->nothing.number = ++g->number_last;
    g->unknown.number = ++g->number_last;
}

void guard_fini(guard *g)
{
    if (g->alloc == NULL) {
        return;
    }
    PH_ASSERT(g->roles.count == 0);
    PH_ASSERT(g->judged_count == 0);
    phi_map_fini(&g->roles);
    phi_give(g->alloc, g->cells, GUARD_CELLS * sizeof *g->cells);
    *g = (guard){ .alloc = NULL };
}

bool guard_takes(center *c, const phi_rules *rules)
{
    if (rules_agree(c->guard.rules, rules)) {
        c->guard.rules = rules;
        return true;
    }
    watch_unsight(c);
    c->guard.rules = rules;
    c->guard.generation++;
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (session_is(s, SESSION_JOINED)) {
            set_role(c, s, &c->guard.unknown);
        }
    }
    return false;
}

void guard_enter(center *c, session *s)
{
    PH_ASSERT(s->role == NULL);
    const guard *g = &c->guard;
    if (g->rules == NULL && !s->is_remote) {
        return;
    }
    set_role(c, s, &c->guard.unknown);
}

void guard_leave(center *c, session *s)
{
    set_role(c, s, NULL);
}

void guard_renamed(center *c, session *s)
{
    if (c->guard.rules != NULL) {
        watch_unsight_one(c, s);
        set_role(c, s, &c->guard.unknown);
    }
}

// ---- roles

role *guard_role(center *c, session *s)
{
    guard *g = &c->guard;
    if (PHI_LIKELY(s->role != &g->unknown)) {
        return s->role;
    }
    if (g->rules == NULL) {
        set_role(c, s, s->is_remote ? &g->nothing : NULL);
        return s->role;
    }
    phi_role fits = phi_rules_role(g->rules, session_principal(s));
    role *r = intern(c, &fits);
    set_role(c, s, r);
    guard_role_give(c, r);
    return s->role;
}

role *guard_role_keep(role *r)
{
    if (r != NULL) {
        r->count++;
    }
    return r;
}

void guard_role_give(center *c, role *r)
{
    guard *g = &c->guard;
    if (r == NULL) {
        return;
    }
    PH_ASSERT(r->count > 0);
    r->count--;
    if (r->count == 0 && r != &g->nothing && r != &g->unknown) {
        bool was_known = phi_map_remove(&g->roles, key_of(r));
        PH_ASSERT(was_known);
        phi_give(g->alloc, r, sizeof *r);
    }
}

// Counted once for the caller.
static role *intern(center *c, const phi_role *fits)
{
    guard *g = &c->guard;
    const role wanted = { .generation = g->generation, .fits = *fits };
    uint64_t value;
    if (phi_map_find(&g->roles, key_of(&wanted), &value)) {
        return guard_role_keep((role *)(uintptr_t)value);
    }
    role *r = phi_take(g->alloc, sizeof *r);
    if (r == NULL) {
        return guard_role_keep(&g->nothing);
    }
    *r = wanted;
    r->number = ++g->number_last;
    r->count = 1;
    if (phi_map_put(&g->roles, key_of(r), (uint64_t)(uintptr_t)r) != PH_OK) {
        phi_give(g->alloc, r, sizeof *r);
        return guard_role_keep(&g->nothing);
    }
    return r;
}

// Word by word, in the same order: so a role stays the same bits, too.
static bool rules_agree(const phi_rules *a, const phi_rules *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (phi_rules_count(a) != phi_rules_count(b)) {
        return false;
    }
    for (uint32_t rule = 0; rule < phi_rules_count(a); rule++) {
        for (uint32_t list = 0; list <= 2 * PHI_ACTION_COUNT; list++) {
            if (!lists_agree(a, b, rule, list)) {
                return false;
            }
        }
    }
    return true;
}

// The lists of a rule: whom it fits, and for each action what they may, and what not.
static uint32_t list_count(const phi_rules *rules, uint32_t rule, uint32_t list)
{
    return list == 0
               ? phi_rules_who_count(rules, rule)
               : phi_rules_entry_count(rules, rule, list % 2 == 0, (phi_action)((list - 1) / 2));
}

static phi_bytes list_get(const phi_rules *rules, uint32_t rule, uint32_t list, uint32_t index)
{
    return list == 0 ? phi_rules_who_get(rules, rule, index).text
                     : phi_rules_entry_get(rules, rule, list % 2 == 0, (phi_action)((list - 1) / 2),
                                           index)
                           .text;
}

static bool lists_agree(const phi_rules *a, const phi_rules *b, uint32_t rule, uint32_t list)
{
    uint32_t count = list_count(a, rule, list);
    if (count != list_count(b, rule, list)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!phi_bytes_equal(list_get(a, rule, list, i), list_get(b, rule, list, i))) {
            return false;
        }
    }
    return true;
}

uint32_t guard_sight(const center *c, const role *r)
{
    const guard *g = &c->guard;
    if (r == NULL) {
        return 0;
    }
    uint64_t sight = 1; // who sees nobody
    bool sees = g->rules != NULL && r != &g->nothing;
    for (uint32_t rule = 0; sees && rule < phi_rules_count(g->rules); rule++) {
        bool fits = (r->fits.fits[rule / 64] >> rule % 64 & 1) != 0;
        for (uint32_t may = 0; fits && may <= 1; may++) {
            uint32_t list = 1 + 2 * PHI_MAY_SEE + may;
            for (uint32_t i = 0; i < list_count(g->rules, rule, list); i++) {
                // What all workers have alike, and nobody else knows beforehand.
                phi_hash_key key = { c->presence.epoch ^ sight, may };
                sight = phi_siphash(key, list_get(g->rules, rule, list, i));
            }
        }
    }
    return (uint32_t)sight | 1;
}

static void set_role(center *c, session *s, role *r)
{
    guard *g = &c->guard;
    role *old = s->role;
    s->role = guard_role_keep(r);
    g->judged_count += (r != NULL) - (uint32_t)(old != NULL);
    guard_role_give(c, old);
}

static phi_bytes key_of(const role *r)
{
    return phi_bytes_of((const uint8_t *)r, offsetof(role, number));
}

// ---- verdicts

bool guard_may(center *c, session *s, phi_action action, const account *a, phi_bytes method)
{
    const role *r = guard_role(c, s);
    return r == NULL || judge_account(&c->guard, r, action, a, method);
}

bool guard_may_name(center *c, session *s, phi_action action, const phi_target *target)
{
    const role *r = guard_role(c, s);
    return r == NULL || judge(&c->guard, r, action, target);
}

bool guard_sees(const center *c, const role *r, phi_bytes name, phi_bytes serves)
{
    return r == NULL ||
           judge(&c->guard, r, PHI_MAY_SEE, &(phi_target){ .account = name, .service = serves });
}

bool guard_allows(center *c, session *sender, session *receiver, phi_bytes payload,
                  guard_topic *topic)
{
    bool may;
    if (topic != NULL) {
        may = may_on_topic(c, sender, PHI_MAY_PUBLISH, topic->name, &topic->publisher,
                           &topic->may_publish) &&
              may_on_topic(c, receiver, PHI_MAY_SUBSCRIBE, topic->name, &topic->subscriber,
                           &topic->may_subscribe);
    } else {
        const phi_message m = phi_message_of(payload);
        phi_action action = m.kind == PHI_KIND_REQUEST ? PHI_MAY_CALL : PHI_MAY_SEND;
        may = guard_may(c, sender, action, receiver->account, m.method);
    }
    return may;
}

void guard_refused(center *c, const session *s, phi_action action, phi_bytes to, phi_bytes method)
{
    c->counters.refused_by_policy_total++;
    CENTER_LOG_WRITE(c, FORBIDDEN, PHI_LOG_TEXT("id", session_id(s)),
                     PHI_LOG_TEXT("principal", session_principal(s)),
                     PHI_LOG_TEXT("action", phi_bytes_text(phi_action_name(action))),
                     PHI_LOG_TEXT("to", to), PHI_LOG_TEXT("method", method));
}

void guard_refused_message(center *c, const session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    bool is_topic = phi_address_parse(m.to).form == PHI_ADDRESS_TOPIC;
    phi_action action = is_topic                     ? PHI_MAY_PUBLISH
                        : m.kind == PHI_KIND_REQUEST ? PHI_MAY_CALL
                                                     : PHI_MAY_SEND;
    guard_refused(c, s, action, m.to, m.method);
}

bool guard_may_publish(center *c, session *s, guard_topic *topic)
{
    return may_on_topic(c, s, PHI_MAY_PUBLISH, topic->name, &topic->publisher, &topic->may_publish);
}

// The roles of those who subscribed to a topic are few, and mostly follow each other.
static bool may_on_topic(center *c, session *s, phi_action action, phi_bytes topic, uint64_t *known,
                         bool *verdict)
{
    const role *r = guard_role(c, s);
    if (r == NULL) {
        return true;
    }
    if (*known != r->number) {
        *known = r->number;
        *verdict = judge_topic(c, r, action, topic);
    }
    return *verdict;
}

static bool judge(const guard *g, const role *r, phi_action action, const phi_target *target)
{
    return g->rules != NULL && r->generation == g->generation && r != &g->nothing &&
           phi_rules_judge(g->rules, &r->fits, action, target).is_allowed;
}

static bool judge_account(guard *g, const role *r, phi_action action, const account *a,
                          phi_bytes method)
{
    if (g->rules == NULL || r->generation != g->generation || r == &g->nothing) {
        return false;
    }
    uint64_t key = r->number << ACTION_BITS | (uint64_t)action;
    guard_cell *cell = cell_of(g, key, a->handle);
    if (cell != NULL && cell->key == key && cell->receiver == a->handle) {
        return cell->is_allowed;
    }
    phi_verdict v = phi_rules_judge(g->rules, &r->fits, action,
                                    &(phi_target){ .account = account_name(a),
                                                   .service = account_service(a),
                                                   .method = method });
    if (cell != NULL && v.is_for_all_methods) {
        *cell = (guard_cell){ .key = key, .receiver = a->handle, .is_allowed = v.is_allowed };
    }
    return v.is_allowed;
}

// Remembered under the topic's hash: its key is secret and 64 bits long, so nobody finds two topics
// that share one.
static bool judge_topic(center *c, const role *r, phi_action action, phi_bytes topic)
{
    guard *g = &c->guard;
    const phi_target target = { .topic = topic };
    if (g->rules == NULL || r->generation != g->generation || r == &g->nothing) {
        return false;
    }
    uint64_t key = r->number << ACTION_BITS | (uint64_t)action;
    uint64_t name = phi_siphash(c->hash, topic);
    guard_cell *cell = cell_of(g, key, name);
    if (cell != NULL && cell->key == key && cell->receiver == name) {
        return cell->is_allowed;
    }
    bool is_allowed = judge(g, r, action, &target);
    if (cell != NULL) {
        *cell = (guard_cell){ .key = key, .receiver = name, .is_allowed = is_allowed };
    }
    return is_allowed;
}

// Where it would be remembered; NULL without memory.
static guard_cell *cell_of(guard *g, uint64_t key, uint64_t receiver)
{
    if (PHI_UNLIKELY(g->cells == NULL)) {
        g->cells = phi_take_zeroed(g->alloc, GUARD_CELLS, sizeof *g->cells);
        if (g->cells == NULL) {
            return NULL;
        }
    }
    uint64_t mixed = (key ^ receiver * MIX_1) * MIX_2;
    return &g->cells[mixed >> (64 - GUARD_CELLS_BITS)];
}

void guard_check(const center *c)
{
    const guard *g = &c->guard;
    uint32_t judged = 0;
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        judged += s->role != NULL;
        PH_ASSERT(s->role == NULL || s->role->count > 0);
        PH_ASSERT(s->role == NULL || session_is(s, SESSION_JOINED));
        // Nobody may do everything where there are rules, nor who is not of this machine.
        PH_ASSERT(s->role != NULL || !session_is(s, SESSION_JOINED) ||
                  (g->rules == NULL && !s->is_remote));
    }
    PH_ASSERT(judged == g->judged_count);
    PH_ASSERT(g->roles.count <= g->number_last);
}

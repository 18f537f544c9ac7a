// SPDX-License-Identifier: Apache-2.0
//
// app/may_hints.c - see may_hints.h.
//
// Design notes
// - Hints are found by asking the rules themselves about something near, never by reading them in
//   another way; so what a hint says would be allowed, is.

#include "app/may_hints.h"

#include <string.h>

#include "app/suggest.h"
#include "auth/rules_pattern.h"

// The nearest of the texts shown to it; `suggestion.best` is one of its own.
typedef struct nearest {
    suggestion suggestion;
    char texts[2][SUGGEST_BYTES_MAX + 1];
} nearest;

static draft *add(may_hints *h);
static void hint_stranger(may_hints *h, const phi_rules *rules, const may_question *q);
static void hint_methods(may_hints *h, const phi_rules *rules, const may_question *q);
static void hint_topics(may_hints *h, const phi_rules *rules, const may_question *q);
static void hint_form(may_hints *h, const phi_rules *rules, const char *file,
                      const may_question *q);
static void add_command(draft *t, const char *file, const may_question *q);
static void add_exceptions(draft *t, const phi_rules *rules, const phi_role *role,
                           const may_question *q);
static void hint_action(may_hints *h, const phi_rules *rules, const may_question *q);
static void hint_others(may_hints *h, const phi_rules *rules, const char *file,
                        const may_question *q);
static void hint_slip(may_hints *h, const phi_rules *rules, const may_question *q);
static void nearest_try(nearest *n, phi_bytes text);
static bool is_allowed(const phi_rules *rules, const phi_role *role, phi_action action,
                       const phi_target *target);
static bool has_rule(const phi_role *role, uint32_t rule);
static phi_bytes method_of(phi_bytes entry);
static phi_bytes target_of(phi_bytes entry);

void may_hints_find(may_hints *hints, const phi_rules *rules, const char *file,
                    const may_question *q)
{
    hints->count = 0;
    hint_stranger(hints, rules, q);
    if (phi_action_about(q->action) == PHI_ABOUT_TOPICS) {
        hint_topics(hints, rules, q);
    } else {
        hint_methods(hints, rules, q);
        hint_form(hints, rules, file, q);
    }
    hint_action(hints, rules, q);
    hint_slip(hints, rules, q);
    hint_others(hints, rules, file, q);
}

void may_hints_fini(may_hints *hints)
{
    for (size_t i = 0; i < hints->count; i++) {
        draft_fini(&hints->texts[i]);
    }
    hints->count = 0;
}

// Nobody knows that principal.
static void hint_stranger(may_hints *h, const phi_rules *rules, const may_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    static const phi_role nobody;
    if (memcmp(&role, &nobody, sizeof role) != 0) {
        return;
    }
    nearest n = { .suggestion = suggestion_for(q->principal) };
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        for (uint32_t i = 0; i < phi_rules_who_count(rules, rule); i++) {
            nearest_try(&n, phi_rules_who_get(rules, rule, i).text);
        }
    }
    draft *t = add(h);
    if (t != NULL) {
        const char *best = n.suggestion.best;
        draft_format(t, "no rule is about '%s'%s%s%s", q->principal,
                     best == NULL ? "" : "; did you mean '", best == NULL ? "" : best,
                     best == NULL ? "" : "'?");
    }
}

// The same receiver, other methods.
static void hint_methods(may_hints *h, const phi_rules *rules, const may_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    draft *t = NULL;
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        uint32_t count = phi_rules_entry_count(rules, rule, true, q->action);
        for (uint32_t i = 0; i < count && has_rule(&role, rule); i++) {
            phi_bytes method = method_of(phi_rules_entry_get(rules, rule, true, q->action, i).text);
            phi_target other = q->target;
            other.method = method; // a star fits itself, too
            phi_verdict v = phi_rules_judge(rules, &role, q->action, &other);
            if (method.size == 0 || !v.is_allowed || v.rule != rule || v.entry != i) {
                continue;
            }
            if (t == NULL) {
                t = add(h);
                if (t == NULL) {
                    return;
                }
                draft_format(t, "the methods that %s may %s there: ", q->principal,
                             phi_action_name(q->action));
            } else {
                draft_add(t, ", ");
            }
            draft_printable(t, method);
        }
    }
    if (t != NULL) {
        add_exceptions(t, rules, &role, q);
    }
}

// The methods of that receiver which `may_not` takes out again.
static void add_exceptions(draft *t, const phi_rules *rules, const phi_role *role,
                           const may_question *q)
{
    bool is_first = true;
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        uint32_t count = phi_rules_entry_count(rules, rule, false, q->action);
        for (uint32_t i = 0; i < count && has_rule(role, rule); i++) {
            phi_target other = q->target;
            other.method = method_of(phi_rules_entry_get(rules, rule, false, q->action, i).text);
            phi_verdict v = phi_rules_judge(rules, role, q->action, &other);
            if (other.method.size != 0 && !v.is_allowed && v.rule == rule && v.entry == i) {
                draft_add(t, is_first ? "; but not: " : ", ");
                draft_printable(t, other.method);
                is_first = false;
            }
        }
    }
}

// Patterns that lie within what was asked for, or share some of it.
static void hint_topics(may_hints *h, const phi_rules *rules, const may_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    phi_topic asked;
    if (!phi_pattern_parse(q->target.topic, &asked)) {
        return;
    }
    draft *t = NULL;
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        uint32_t count = phi_rules_entry_count(rules, rule, true, q->action);
        for (uint32_t i = 0; i < count && has_rule(&role, rule); i++) {
            phi_bytes text = phi_rules_entry_get(rules, rule, true, q->action, i).text;
            phi_topic topic;
            if (!phi_pattern_parse(text, &topic) || !phi_topics_overlap(&topic, &asked)) {
                continue;
            }
            if (t == NULL) {
                t = add(h);
                if (t == NULL) {
                    return;
                }
                draft_add(t, "no single entry covers all of it; part of it is allowed by: ");
            } else {
                draft_add(t, ", ");
            }
            draft_printable(t, text);
        }
    }
}

// An account where a service was meant, and the other way round.
static void hint_form(may_hints *h, const phi_rules *rules, const char *file, const may_question *q)
{
    if (phi_action_about(q->action) == PHI_ABOUT_DOMAINS ||
        (q->target.account.size != 0) == (q->target.service.size != 0)) {
        return;
    }
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    phi_target other = q->target;
    other.account = q->target.service;
    other.service = q->target.account;
    if (!is_allowed(rules, &role, q->action, &other)) {
        return;
    }
    draft *t = add(h);
    if (t != NULL) {
        bool is_service = other.service.size != 0;
        draft_add(t,
                  is_service ? "that is an account; service:" : "that is a service; the account ");
        draft_bytes(t, is_service ? other.service : other.account);
        draft_add(t, " would be allowed");
    }
    phi_target instance = q->target;
    instance.service = q->target.account;
    if (t != NULL && q->target.account.size != 0 && q->action != PHI_MAY_REGISTER &&
        is_allowed(rules, &role, q->action, &instance)) {
        draft_add(t, "; so is an account that is an instance of it: ");
        add_command(t, file, q);
    }
}

// The same question about an account that is an instance of the service of its name.
static void add_command(draft *t, const char *file, const may_question *q)
{
    draft_format(t, "posthouse may %s %s %.*s", q->principal, phi_action_name(q->action),
                 (int)q->target.account.size, (const char *)q->target.account.data);
    if (q->target.method.size != 0) {
        draft word;
        draft_init(&word);
        draft_bytes(&word, q->target.method);
        draft_add(t, " ");
        draft_shell(t, draft_chars(&word));
        draft_fini(&word);
    }
    draft_format(t, " --service %.*s --config ", (int)q->target.account.size,
                 (const char *)q->target.account.data);
    draft_shell(t, file);
}

static void hint_action(may_hints *h, const phi_rules *rules, const may_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    draft *t = NULL;
    for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
        bool is_same_kind = phi_action_about(action) == phi_action_about(q->action);
        bool is_double = action == PHI_MAY_REGISTER && q->target.account.size != 0 &&
                         q->target.service.size != 0; // would be two questions
        if (action == q->action || !is_same_kind || is_double ||
            !is_allowed(rules, &role, action, &q->target)) {
            continue;
        }
        if (t == NULL) {
            t = add(h);
            if (t == NULL) {
                return;
            }
            draft_format(t, "what %s may do there: ", q->principal);
        } else {
            draft_add(t, ", ");
        }
        draft_add(t, phi_action_name(action));
    }
}

// A name that is nearly the one of an entry.
static void hint_slip(may_hints *h, const phi_rules *rules, const may_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    phi_about about = phi_action_about(q->action);
    phi_bytes name = about == PHI_ABOUT_TOPICS     ? q->target.topic
                     : about == PHI_ABOUT_DOMAINS  ? q->target.domain
                     : q->target.account.size != 0 ? q->target.account
                                                   : q->target.service;
    char asked[SUGGEST_BYTES_MAX + 1];
    if (name.size >= sizeof asked) {
        return;
    }
    memcpy(asked, name.data, name.size);
    asked[name.size] = '\0';
    nearest n = { .suggestion = suggestion_for(asked) };
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        uint32_t count = phi_rules_entry_count(rules, rule, true, q->action);
        for (uint32_t i = 0; i < count && has_rule(&role, rule); i++) {
            phi_bytes text = target_of(phi_rules_entry_get(rules, rule, true, q->action, i).text);
            if (!phi_bytes_equal(text, name)) {
                nearest_try(&n, text);
            }
        }
    }
    draft *t = n.suggestion.best == NULL ? NULL : add(h);
    if (t != NULL) {
        bool is_service = q->target.account.size == 0 && q->target.service.size != 0;
        draft_format(t, "did you mean '%s", is_service ? "service:" : "");
        draft_printable(t, phi_bytes_text(n.suggestion.best));
        draft_add(t, "'?");
    }
}

static void hint_others(may_hints *h, const phi_rules *rules, const char *file,
                        const may_question *q)
{
    for (uint32_t rule = 0; rule < phi_rules_count(rules); rule++) {
        phi_role one = { { 0 } };
        one.fits[rule / 64] |= UINT64_C(1) << (rule % 64);
        phi_verdict v = phi_rules_judge(rules, &one, q->action, &q->target);
        draft *t = v.is_allowed ? add(h) : NULL;
        if (t == NULL) {
            continue;
        }
        phi_bytes name = phi_rules_name(rules, rule);
        draft_format(t, "rule '%.*s' (%s:%u) allows it for ", (int)name.size,
                     (const char *)name.data, file,
                     phi_rules_entry_get(rules, rule, true, q->action, v.entry).line);
        for (uint32_t i = 0; i < phi_rules_who_count(rules, rule); i++) {
            draft_add(t, i == 0 ? "" : ", ");
            draft_bytes(t, phi_rules_who_get(rules, rule, i).text);
        }
        return; // one is enough to see how it could be written
    }
}

// ---- helpers

static draft *add(may_hints *h)
{
    if (h->count == MAY_HINTS_MAX) {
        return NULL;
    }
    draft *t = &h->texts[h->count++];
    draft_init(t);
    return t;
}

// Patterns are no names that somebody could have meant.
static void nearest_try(nearest *n, phi_bytes text)
{
    char *free_one = n->texts[n->suggestion.best == n->texts[0] ? 1 : 0];
    if (text.size <= SUGGEST_BYTES_MAX && memchr(text.data, '*', text.size) == NULL) {
        memcpy(free_one, text.data, text.size);
        free_one[text.size] = '\0';
        suggestion_try(&n->suggestion, free_one);
    }
}

static bool is_allowed(const phi_rules *rules, const phi_role *role, phi_action action,
                       const phi_target *target)
{
    return phi_rules_judge(rules, role, action, target).is_allowed;
}

static bool has_rule(const phi_role *role, uint32_t rule)
{
    return (role->fits[rule / 64] >> (rule % 64) & 1) != 0;
}

// Behind the space; empty: none.
static phi_bytes method_of(phi_bytes entry)
{
    const uint8_t *space = memchr(entry.data, ' ', entry.size);
    return space == NULL ? (phi_bytes){ 0 }
                         : phi_bytes_of(space + 1, (size_t)(entry.data + entry.size - space) - 1);
}

// In front of it, and without "service:".
static phi_bytes target_of(phi_bytes entry)
{
    const uint8_t *space = memchr(entry.data, ' ', entry.size);
    size_t size = space == NULL ? entry.size : (size_t)(space - entry.data);
    size_t skip = size > 8 && memcmp(entry.data, "service:", 8) == 0 ? 8 : 0;
    return phi_bytes_of(entry.data + skip, size - skip);
}

// SPDX-License-Identifier: Apache-2.0
//
// auth/rules.c - see rules.h.
//
// Design notes
// - A rule has one list of entries for each action and word (`may`, `may_not`). Judging goes
//   through the rules of the role only, and of those through the two lists of the action only: a
//   mask for each says which rules have any.
// - Entries are checked, taken apart and copied when they are added; topics are parsed then. So
//   judging compares bytes and allocates nothing.
// - An entry with several methods becomes several, of one method each.
// - A refusal is looked for first: as long as one `may_not` fits, nobody asks what may.
//
// Invariants
// - What could not be added left no trace.
// - Refused is the default in every branch: `is_allowed` is set in one place.

#include "auth/rules.h"

#include <stdio.h>
#include <string.h>

#include "auth/principal.h"
#include "auth/rules_pattern.h"
#include "base/assert.h"
#include "wire/name.h"

#define SERVICE "service:"
#define MASK_WORDS (PHI_RULES_MAX / 64)

enum { MAY_NOT, MAY, WORD_COUNT };

// Most names and methods are given as they are: then comparing is enough.
typedef struct glob {
    phi_bytes text;
    bool has_star;
} glob;

// `text` is "service:bank pay.*", in one block; target and method are views into it.
typedef struct entry {
    phi_span text;    // owned
    glob target;      // "bank"
    glob method;      // "pay.*"; empty: all, also when it was given as "*"
    phi_topic *topic; // owned, views into text; NULL when the action is not about topics
    bool is_service;
    uint32_t line;
} entry;

typedef struct list {
    entry *entries; // owned
    uint32_t count;
    uint32_t room;
} list;

typedef struct rule {
    char name[PHI_NAME_BYTES_MAX + 1];
    uint32_t line;
    list who;
    list entries[PHI_ACTION_COUNT][WORD_COUNT];
} rule;

struct phi_rules {
    const phi_alloc *alloc;     // borrowed for life
    rule *rules[PHI_RULES_MAX]; // owned
    uint32_t count;
    uint32_t line;                                          // of what is added next
    uint64_t has[PHI_ACTION_COUNT][WORD_COUNT][MASK_WORDS]; // which rules have such entries
};

// A target made ready to be compared.
typedef struct question {
    phi_action action;
    const phi_target *target;
    phi_topic topic;
} question;

// What the entries of one word say to it.
typedef struct answer {
    bool is_found;
    bool has_methods; // an entry about some methods of that target was met
    uint32_t rule;
    uint32_t entry;
} answer;

static const char *const action_names[PHI_ACTION_COUNT] = {
    [PHI_MAY_CALL] = "call",           [PHI_MAY_SEND] = "send",     [PHI_MAY_PUBLISH] = "publish",
    [PHI_MAY_SUBSCRIBE] = "subscribe", [PHI_MAY_SEE] = "see",       [PHI_MAY_REGISTER] = "register",
    [PHI_MAY_DRAIN] = "drain",         [PHI_MAY_STATUS] = "status", [PHI_MAY_CENTER] = "center",
};

static rule *last(phi_rules *r);
static ph_err check_rule_name(const phi_rules *r, phi_bytes name, phi_diag *diag);
static void number_name(rule *one, uint32_t number);
static ph_err check_target(phi_action action, phi_bytes target, phi_diag *diag);
static ph_err check_receiver(phi_bytes target, phi_diag *diag);
static ph_err check_methods(phi_action action, phi_bytes methods, phi_diag *diag);
static ph_err list_add(phi_rules *r, list *l, phi_bytes target, phi_bytes method, bool has_topic);
static ph_err entry_make(const phi_alloc *alloc, entry *out, phi_bytes target, phi_bytes method,
                         bool has_topic);
static void entry_free(const phi_alloc *alloc, entry *e);
static glob glob_of(phi_bytes text);
static bool fits(const glob *p, phi_bytes text);
static void list_free(const phi_alloc *alloc, list *l);
static void list_cut(const phi_alloc *alloc, list *l, uint32_t count);
static phi_bytes take_word(phi_bytes *rest);
static uint32_t count_words(phi_bytes text);
static bool is_name_or_none(phi_bytes name);
static bool has_methods(phi_action action);
static bool make_question(question *q, phi_action action, const phi_target *target);
static answer ask(const phi_rules *r, const phi_role *role, const question *q, int word);
static void ask_rule(const list *l, uint32_t rule_index, const question *q, int word, answer *a);
static bool fits_target(const entry *e, const question *q, int word);

const char *phi_action_name(phi_action action)
{
    PH_ASSERT(action < PHI_ACTION_COUNT);
    return action_names[action];
}

bool phi_action_of_name(phi_bytes name, phi_action *out)
{
    for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
        if (phi_bytes_equal(name, phi_bytes_text(action_names[action]))) {
            *out = action;
            return true;
        }
    }
    return false;
}

phi_about phi_action_about(phi_action action)
{
    switch (action) {
    case PHI_MAY_PUBLISH:
    case PHI_MAY_SUBSCRIBE:
        return PHI_ABOUT_TOPICS;
    case PHI_MAY_STATUS:
    case PHI_MAY_CENTER:
        return PHI_ABOUT_DOMAINS;
    case PHI_MAY_CALL:
    case PHI_MAY_SEND:
    case PHI_MAY_SEE:
    case PHI_MAY_REGISTER:
    case PHI_MAY_DRAIN:
        return PHI_ABOUT_RECEIVERS;
    case PHI_ACTION_COUNT:
        break;
    }
    PH_UNREACHABLE("no such action");
}

// ---- life

ph_err phi_rules_new(phi_rules **out, const phi_alloc *alloc)
{
    phi_rules *r = phi_take_zeroed(alloc, 1, sizeof *r);
    if (r == NULL) {
        return PH_ENOMEM;
    }
    r->alloc = alloc;
    *out = r;
    return PH_OK;
}

void phi_rules_free(phi_rules **rules)
{
    phi_rules *r = *rules;
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        rule *one = r->rules[i];
        list_free(r->alloc, &one->who);
        for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
            list_free(r->alloc, &one->entries[action][MAY]);
            list_free(r->alloc, &one->entries[action][MAY_NOT]);
        }
        phi_give(r->alloc, one, sizeof *one);
    }
    phi_give(r->alloc, r, sizeof *r);
    *rules = NULL;
}

// ---- building

void phi_rules_mark(phi_rules *rules, uint32_t line)
{
    rules->line = line;
}

ph_err phi_rules_add(phi_rules *rules, phi_bytes name, phi_diag *diag)
{
    if (rules->count == PHI_RULES_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "more than %u rules", PHI_RULES_MAX);
    }
    ph_err rc = name.size == 0 ? PH_OK : check_rule_name(rules, name, diag);
    if (rc != PH_OK) {
        return rc;
    }
    rule *one = phi_take_zeroed(rules->alloc, 1, sizeof *one);
    if (one == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "out of memory");
    }
    one->line = rules->line;
    rules->rules[rules->count++] = one;
    if (name.size == 0) {
        number_name(one, rules->count);
    } else {
        memcpy(one->name, name.data, name.size);
    }
    return PH_OK;
}

ph_err phi_rules_call_it(phi_rules *rules, phi_bytes name, phi_diag *diag)
{
    rule *one = last(rules);
    ph_err rc = check_rule_name(rules, name, diag);
    if (rc == PH_OK) {
        memset(one->name, 0, sizeof one->name);
        memcpy(one->name, name.data, name.size);
    }
    return rc;
}

ph_err phi_rules_who(phi_rules *rules, phi_bytes pattern, phi_diag *diag)
{
    rule *one = last(rules);
    phi_pattern_shown shown = phi_pattern_show(pattern);
    if (pattern.size > 8 && memcmp(pattern.data, SERVICE, 8) == 0) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s': who somebody is, is one name, without 'service:': that of its "
                            "certificate or token, or else its account",
                            shown.text);
    }
    ph_err rc = phi_pattern_check_name(pattern, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (phi_name_is_valid(pattern) && pattern.size > PHI_PRINCIPAL_BYTES_MAX) {
        return phi_diag_add(
            diag, PH_EINVAL,
            "'%s': who somebody is, is a name of at most %u bytes, so that accounts "
            "can be made up from it",
            shown.text, PHI_PRINCIPAL_BYTES_MAX);
    }
    if (phi_name_is_valid(pattern) && !phi_principal_is_valid(pattern)) {
        return phi_diag_add(
            diag, PH_EINVAL,
            "'%s': a name that ends in '-' and 4 or 8 hexadecimal digits is made up "
            "for an account; nobody can prove to be that. Leave that end out",
            shown.text);
    }
    if (one->who.count == PHI_RULE_ENTRIES_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "more than %u names in one rule",
                            PHI_RULE_ENTRIES_MAX);
    }
    rc = list_add(rules, &one->who, pattern, (phi_bytes){ 0 }, /* has_topic= */ false);
    return rc == PH_OK ? PH_OK : phi_diag_add(diag, rc, "out of memory");
}

ph_err phi_rules_entry(phi_rules *rules, bool may, phi_action action, phi_bytes entry_text,
                       phi_diag *diag)
{
    PH_ASSERT(action < PHI_ACTION_COUNT);
    uint32_t index = rules->count - 1;
    list *l = &last(rules)->entries[action][may ? MAY : MAY_NOT];
    phi_bytes methods = entry_text;
    phi_bytes target = take_word(&methods);
    ph_err rc = check_target(action, target, diag);
    if (rc == PH_OK) {
        rc = check_methods(action, methods, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    uint32_t before = l->count;
    uint32_t wanted = count_words(methods);
    if (before + (wanted == 0 ? 1 : wanted) > PHI_RULE_ENTRIES_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "more than %u entries of '%s' in one rule",
                            PHI_RULE_ENTRIES_MAX, phi_action_name(action));
    }
    do {
        rc = list_add(rules, l, target, take_word(&methods),
                      phi_action_about(action) == PHI_ABOUT_TOPICS);
    } while (rc == PH_OK && count_words(methods) != 0);
    if (rc != PH_OK) {
        list_cut(rules->alloc, l, before);
        return phi_diag_add(diag, rc, "out of memory");
    }
    rules->has[action][may ? MAY : MAY_NOT][index / 64] |= UINT64_C(1) << (index % 64);
    return PH_OK;
}

static ph_err check_rule_name(const phi_rules *r, phi_bytes name, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(name);
    if (!phi_name_is_valid(name)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s' is no name for a rule: 1 to %u of a-z 0-9 . _ -, beginning "
                            "with a letter or digit",
                            shown.text, PHI_NAME_BYTES_MAX);
    }
    for (uint32_t i = 0; i < r->count; i++) {
        if (phi_bytes_equal(phi_bytes_text(r->rules[i]->name), name)) {
            return phi_diag_add(diag, PH_EINVAL, "two rules are called '%s'", shown.text);
        }
    }
    return PH_OK;
}

static void number_name(rule *one, uint32_t number)
{
    snprintf(one->name, sizeof one->name, "rule %u", number); // has a space: no name is like it
}

static ph_err check_target(phi_action action, phi_bytes target, phi_diag *diag)
{
    if (target.size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "an entry of '%s' is empty; %s is all",
                            phi_action_name(action),
                            phi_action_about(action) == PHI_ABOUT_TOPICS ? "'>'" : "'*'");
    }
    if (phi_action_about(action) == PHI_ABOUT_TOPICS) {
        return phi_pattern_check_topic(target, diag);
    }
    if (phi_action_about(action) == PHI_ABOUT_DOMAINS) {
        return phi_pattern_check_name(target, diag);
    }
    return check_receiver(target, diag);
}

// An account, or service:NAME.
static ph_err check_receiver(phi_bytes target, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(target);
    if (memchr(target.data, '@', target.size) != NULL) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s': domains in rules come with sets of centers; leave out '@' and "
                            "what follows",
                            shown.text);
    }
    const uint8_t *colon = memchr(target.data, ':', target.size);
    if (colon == NULL) {
        return phi_pattern_check_name(target, diag);
    }
    phi_bytes scheme = phi_bytes_of(target.data, (size_t)(colon - target.data) + 1);
    phi_bytes name = phi_bytes_of(colon + 1, target.size - scheme.size);
    if (phi_bytes_equal(scheme, phi_bytes_text("all:"))) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s': rules are about who gets a message, however it is addressed: "
                            "say '%s'",
                            shown.text, name.size == 0 ? "*" : "service:NAME");
    }
    if (phi_bytes_equal(scheme, phi_bytes_text("topic:"))) {
        return phi_diag_add(diag, PH_EINVAL, "'%s': topics stand under 'publish' and 'subscribe'",
                            shown.text);
    }
    if (!phi_bytes_equal(scheme, phi_bytes_text(SERVICE))) {
        return phi_diag_add(diag, PH_EINVAL, "'%s' is neither an account nor service:NAME",
                            shown.text);
    }
    if (name.size == 0) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'service:' needs a name; 'service:*' is every service");
    }
    return phi_pattern_check_name(name, diag);
}

static ph_err check_methods(phi_action action, phi_bytes methods, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(methods);
    if (count_words(methods) != 0 && !has_methods(action)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s': one entry of '%s' is one %s without anything behind it",
                            shown.text, phi_action_name(action),
                            phi_action_about(action) == PHI_ABOUT_TOPICS ? "topic" : "name");
    }
    while (count_words(methods) != 0) {
        ph_err rc = phi_pattern_check_method(take_word(&methods), diag);
        if (rc != PH_OK) {
            return rc;
        }
    }
    return PH_OK;
}

static ph_err list_add(phi_rules *r, list *l, phi_bytes target, phi_bytes method, bool has_topic)
{
    if (l->count == l->room) {
        uint32_t room = l->room == 0 ? 4 : 2 * l->room;
        entry *more = phi_resize(r->alloc, l->entries, l->room * sizeof *more, room * sizeof *more);
        if (more == NULL) {
            return PH_ENOMEM;
        }
        l->entries = more;
        l->room = room;
    }
    entry e = { .line = r->line };
    ph_err rc = entry_make(r->alloc, &e, target, method, has_topic);
    if (rc == PH_OK) {
        l->entries[l->count++] = e;
    }
    return rc;
}

static ph_err entry_make(const phi_alloc *alloc, entry *out, phi_bytes target, phi_bytes method,
                         bool has_topic)
{
    size_t size = target.size + (method.size == 0 ? 0 : 1 + method.size);
    uint8_t *text = phi_take(alloc, size);
    if (text == NULL) {
        return PH_ENOMEM;
    }
    memcpy(text, target.data, target.size);
    if (method.size != 0) {
        text[target.size] = ' ';
        memcpy(text + target.size + 1, method.data, method.size);
    }
    out->is_service = !has_topic && target.size > 8 && memcmp(text, SERVICE, 8) == 0;
    size_t skip = out->is_service ? 8 : 0;
    out->text = (phi_span){ text, size };
    out->target = glob_of(phi_bytes_of(text + skip, target.size - skip));
    if (!phi_bytes_equal(method, phi_bytes_text("*")) && method.size != 0) {
        out->method = glob_of(phi_bytes_of(text + target.size + 1, method.size));
    }
    if (has_topic) {
        out->topic = phi_take(alloc, sizeof *out->topic);
        if (out->topic == NULL) {
            phi_give(alloc, text, size);
            return PH_ENOMEM;
        }
        bool is_pattern = phi_pattern_parse(out->target.text, out->topic);
        PH_ASSERT(is_pattern); // checked
    }
    return PH_OK;
}

static void entry_free(const phi_alloc *alloc, entry *e)
{
    phi_give(alloc, e->topic, sizeof *e->topic);
    phi_give(alloc, e->text.data, e->text.size);
}

static void list_cut(const phi_alloc *alloc, list *l, uint32_t count)
{
    while (l->count > count) {
        entry_free(alloc, &l->entries[--l->count]);
    }
}

static void list_free(const phi_alloc *alloc, list *l)
{
    list_cut(alloc, l, 0);
    phi_give(alloc, l->entries, l->room * sizeof *l->entries);
}

// ---- judging

phi_role phi_rules_role(const phi_rules *rules, phi_bytes principal)
{
    phi_role role = { { 0 } };
    for (uint32_t i = 0; i < rules->count; i++) {
        const list *who = &rules->rules[i]->who;
        for (uint32_t k = 0; k < who->count; k++) {
            if (fits(&who->entries[k].target, principal)) {
                role.fits[i / 64] |= UINT64_C(1) << (i % 64);
                break;
            }
        }
    }
    return role;
}

phi_verdict phi_rules_judge(const phi_rules *rules, const phi_role *role, phi_action action,
                            const phi_target *target)
{
    PH_ASSERT(action < PHI_ACTION_COUNT);
    phi_verdict verdict = { .is_allowed = false, .is_for_all_methods = true, PHI_RULE_NONE, 0 };
    question q;
    if (!make_question(&q, action, target)) {
        return verdict;
    }
    answer no = ask(rules, role, &q, MAY_NOT);
    if (no.is_found) {
        verdict.is_for_all_methods = !no.has_methods;
        verdict.rule = no.rule;
        verdict.entry = no.entry;
        return verdict;
    }
    answer yes = ask(rules, role, &q, MAY);
    verdict.is_for_all_methods = !no.has_methods && !yes.has_methods;
    if (yes.is_found) {
        verdict.is_allowed = true;
        verdict.rule = yes.rule;
        verdict.entry = yes.entry;
    }
    return verdict;
}

// False when the target is nothing that could be allowed: its topic or domain is none.
static bool make_question(question *q, phi_action action, const phi_target *target)
{
    PH_ASSERT(action != PHI_MAY_REGISTER || target->account.size == 0 || target->service.size == 0);
    q->action = action;
    q->target = target;
    switch (action) {
    case PHI_MAY_PUBLISH:
        return phi_topic_parse(target->topic, &q->topic);
    case PHI_MAY_SUBSCRIBE:
        return phi_pattern_parse(target->topic, &q->topic);
    case PHI_MAY_STATUS:
    case PHI_MAY_CENTER:
        return phi_name_is_valid(target->domain);
    case PHI_MAY_CALL:
    case PHI_MAY_SEND:
    case PHI_MAY_SEE:
    case PHI_MAY_REGISTER:
    case PHI_MAY_DRAIN:
        return is_name_or_none(target->account) && is_name_or_none(target->service) &&
               target->account.size + target->service.size != 0;
    case PHI_ACTION_COUNT:
        break;
    }
    PH_UNREACHABLE("no such action");
}

// The first entry that fits whatever the method; else the first that fits with the method.
static answer ask(const phi_rules *r, const phi_role *role, const question *q, int word)
{
    answer a = { 0 };
    for (uint32_t at = 0; at < MASK_WORDS; at++) {
        uint64_t left = role->fits[at] & r->has[q->action][word][at];
        while (left != 0) {
            uint32_t index = at * 64 + (uint32_t)__builtin_ctzll(left);
            left &= left - 1;
            ask_rule(&r->rules[index]->entries[q->action][word], index, q, word, &a);
            if (a.is_found && !a.has_methods) {
                return a;
            }
        }
    }
    return a;
}

static void ask_rule(const list *l, uint32_t rule_index, const question *q, int word, answer *a)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const entry *e = &l->entries[i];
        if (!fits_target(e, q, word)) {
            continue;
        }
        bool is_whole = e->method.text.size == 0;
        if (is_whole || (!a->is_found && fits(&e->method, q->target->method))) {
            a->is_found = true;
            a->rule = rule_index;
            a->entry = i;
        }
        a->has_methods = !is_whole;
        if (is_whole) {
            return;
        }
    }
}

static bool fits_target(const entry *e, const question *q, int word)
{
    if (e->topic != NULL) {
        return word == MAY ? phi_topics_cover(e->topic, &q->topic)
                           : phi_topics_overlap(e->topic, &q->topic);
    }
    if (phi_action_about(q->action) == PHI_ABOUT_DOMAINS) {
        return fits(&e->target, q->target->domain);
    }
    if (e->is_service) {
        return q->target->service.size != 0 && fits(&e->target, q->target->service);
    }
    bool is_asked = q->action != PHI_MAY_REGISTER || q->target->account.size != 0;
    return is_asked && fits(&e->target, q->target->account);
}

// ---- looking at them

uint32_t phi_rules_count(const phi_rules *rules)
{
    return rules->count;
}

phi_bytes phi_rules_name(const phi_rules *rules, uint32_t rule_index)
{
    PH_ASSERT(rule_index < rules->count);
    return phi_bytes_text(rules->rules[rule_index]->name);
}

uint32_t phi_rules_line(const phi_rules *rules, uint32_t rule_index)
{
    PH_ASSERT(rule_index < rules->count);
    return rules->rules[rule_index]->line;
}

static phi_rule_entry list_get(const list *l, uint32_t index)
{
    PH_ASSERT(index < l->count);
    const entry *e = &l->entries[index];
    return (phi_rule_entry){ .text = phi_span_view(e->text), .line = e->line };
}

uint32_t phi_rules_who_count(const phi_rules *rules, uint32_t rule_index)
{
    PH_ASSERT(rule_index < rules->count);
    return rules->rules[rule_index]->who.count;
}

phi_rule_entry phi_rules_who_get(const phi_rules *rules, uint32_t rule_index, uint32_t index)
{
    PH_ASSERT(rule_index < rules->count);
    return list_get(&rules->rules[rule_index]->who, index);
}

uint32_t phi_rules_entry_count(const phi_rules *rules, uint32_t rule_index, bool may,
                               phi_action action)
{
    PH_ASSERT(rule_index < rules->count);
    PH_ASSERT(action < PHI_ACTION_COUNT);
    return rules->rules[rule_index]->entries[action][may ? MAY : MAY_NOT].count;
}

phi_rule_entry phi_rules_entry_get(const phi_rules *rules, uint32_t rule_index, bool may,
                                   phi_action action, uint32_t index)
{
    PH_ASSERT(rule_index < rules->count);
    PH_ASSERT(action < PHI_ACTION_COUNT);
    return list_get(&rules->rules[rule_index]->entries[action][may ? MAY : MAY_NOT], index);
}

// ---- helpers

static rule *last(phi_rules *r)
{
    PH_ASSERT(r->count != 0); // phi_rules_add comes first
    return r->rules[r->count - 1];
}

// Cuts the next word off; spaces and tabs part words. Empty: there is none.
static phi_bytes take_word(phi_bytes *rest)
{
    const uint8_t *at = rest->data;
    const uint8_t *end = at == NULL ? NULL : at + rest->size;
    while (at != end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    const uint8_t *stop = at;
    while (stop != end && *stop != ' ' && *stop != '\t') {
        stop++;
    }
    *rest = phi_bytes_of(stop, (size_t)(end - stop));
    return phi_bytes_of(at, (size_t)(stop - at));
}

static uint32_t count_words(phi_bytes text)
{
    uint32_t count = 0;
    while (take_word(&text).size != 0) {
        count++;
    }
    return count;
}

static glob glob_of(phi_bytes text)
{
    return (glob){ text, memchr(text.data, '*', text.size) != NULL };
}

static bool fits(const glob *p, phi_bytes text)
{
    return p->has_star ? phi_pattern_fits(p->text, text) : phi_text_equal(p->text, text);
}

static bool is_name_or_none(phi_bytes name)
{
    return name.size == 0 || phi_name_is_valid(name);
}

static bool has_methods(phi_action action)
{
    return action == PHI_MAY_CALL || action == PHI_MAY_SEND;
}

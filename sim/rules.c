// SPDX-License-Identifier: Apache-2.0
//
// sim/rules.c - see rules.h.

#include "sim/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/rogue.h"
#include "tests/harness/rules.h"

#define LINES_RANDOM_MAX 24u
#define LINE_BYTES 64u

// Everything that a swarm needs to be at work at all.
static const char *const lines_always[] = { "* may register c*", "* may register service:*" };

static void add_line(rules_model *model, const char *text);
static bool sees_in(const domain *d, const rule_set *set, const char *seer, const char *name);

rule_sets *rule_sets_new(void)
{
    rule_sets *all = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *all);
    PH_ASSERT(all != NULL);
    return all;
}

void rule_sets_free(rule_sets **all)
{
    for (uint32_t i = 0; i < (*all)->count; i++) {
        phi_rules_free(&(*all)->sets[i]->rules);
        phi_give(&phi_alloc_heap, (*all)->sets[i], sizeof(rule_set));
    }
    phi_give(&phi_alloc_heap, *all, sizeof **all);
    *all = NULL;
}

const phi_rules *rule_sets_add(domain *d, const char *const *lines)
{
    rule_sets *all = d->rule_sets;
    PH_ASSERT(all->count < RULE_SETS_MAX);
    rule_set *set = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *set);
    PH_ASSERT(set != NULL);
    set->rules = rules_of_lines(lines);
    for (; *lines != NULL; lines++) {
        add_line(&set->model, *lines);
    }
    phi_time now = sim_now(d->s);
    set->from = now;
    set->until = PHI_TIME_NEVER;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        for (uint32_t other = 0; other < d->actor_count; other++) {
            bool sees = sees_in(d, set, d->actors[i].account, d->actors[other].account);
            set->sees[i] |= (uint64_t)sees << other;
        }
        for (uint32_t r = 0; r < d->rogue_count; r++) {
            bool sees = sees_in(d, set, d->actors[i].account, rogue_account(d->rogues[r]));
            set->sees[i] |= (uint64_t)sees << (ACTORS_MAX + r);
        }
    }
    rule_set *last = all->count == 0 ? NULL : all->sets[all->count - 1];
    if (last != NULL) {
        last->until = now;
    }
    if (last == NULL || memcmp(last->sees, set->sees, sizeof set->sees) != 0) {
        all->sight_changed = now;
    }
    all->sets[all->count++] = set;
    return set->rules;
}

// As rules_add_line of tests/harness/rules.h reads it.
static void add_line(rules_model *model, const char *text)
{
    PH_ASSERT(model->count + 2 <= RULES_MODEL_LINES_MAX);
    rules_model_line *who = &model->lines[model->count++];
    rules_model_line *what = &model->lines[model->count++];
    *who = (rules_model_line){ .rule = (uint32_t)model->count, .word = RULES_MODEL_WHO };
    char word[16];
    char action[16];
    int read = sscanf(text, "%31s %15s %15s %31[^\n]", who->text, word, action, what->text);
    PH_ASSERT(read == 4);
    what->rule = who->rule;
    what->word = strcmp(word, "may") == 0 ? RULES_MODEL_MAY : RULES_MODEL_MAY_NOT;
    bool is_known = phi_action_of_name(phi_bytes_text(action), &what->action);
    PH_ASSERT(is_known);
}

// ---- by chance

static const char *pick(phi_random *random, const char *const *from, size_t count)
{
    return from[phi_random_below(random, count)];
}
#define PICK(random, from) pick((random), (from), PHI_COUNT_OF(from))

// Mostly allowed, so that much still happens; and some things forbidden to some.
const char *const *rule_lines_random(phi_random *random)
{
    static char texts[LINES_RANDOM_MAX][LINE_BYTES];
    static const char *lines[PHI_COUNT_OF(lines_always) + LINES_RANDOM_MAX + 1];
    static const char *const whos[] = {
        "*", "c*", "c0*", "c*1", "*2", "c*3", "p*", "rogue*", "c04"
    };
    static const char *const targets[] = {
        "*", "c*", "c0*", "c*1", "*2", "service:s0", "service:s1", "service:s*", "rogue*", "c03"
    };
    static const char *const topics[] = { ">", "a.>", "a.*", "a.a", "*.b", "b.b" };
    static const char *const actions[] = { "call", "send", "see", "drain", "publish", "subscribe" };
    size_t count = PHI_COUNT_OF(lines_always);
    memcpy(lines, lines_always, sizeof lines_always);
    uint64_t random_count = phi_random_between(random, 4, LINES_RANDOM_MAX);
    for (uint64_t i = 0; i < random_count; i++) {
        const char *action = PICK(random, actions);
        bool is_topic = action[0] == 'p' || strcmp(action, "subscribe") == 0;
        const char *may = phi_random_chance(random, 80) ? "may" : "may_not";
        const char *what = is_topic ? PICK(random, topics) : PICK(random, targets);
        snprintf(texts[i], sizeof texts[i], "%s %s %s %s", PICK(random, whos), may, action, what);
        lines[count++] = texts[i];
    }
    lines[count] = NULL;
    return lines;
}

// ---- judging

static const rule_set *set_of_now(const domain *d)
{
    const rule_sets *all = d->rule_sets;
    return all->count == 0 ? NULL : all->sets[all->count - 1];
}

// Without rules those of the machine may do everything, and others nothing.
static bool is_allowed(const domain *d, const rule_set *set, const rules_model_question *q)
{
    return set == NULL || set->rules == NULL ? d->options.kind == CENTER_LISTENER_PLAIN
                                             : rules_model_allows(&set->model, q);
}

bool rules_allow(const domain *d, const rules_model_question *q)
{
    return is_allowed(d, set_of_now(d), q);
}

bool rules_allowed_since(const domain *d, phi_time since, const rules_model_question *q)
{
    const rule_sets *all = d->rule_sets;
    bool was_open = all->count == 0 || phi_time_before(since, all->sets[0]->from);
    if (was_open && is_allowed(d, NULL, q)) {
        return true;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        if (!phi_time_before(all->sets[i]->until, since) && is_allowed(d, all->sets[i], q)) {
            return true;
        }
    }
    return false;
}

static bool sees_in(const domain *d, const rule_set *set, const char *seer, const char *name)
{
    const char *serves = "";
    for (uint32_t i = 0; i < d->actor_count; i++) {
        serves = strcmp(d->actors[i].account, name) == 0 ? d->actors[i].service : serves;
    }
    const rules_model_question q = { .principal = rules_principal(d, seer),
                                     .action = PHI_MAY_SEE,
                                     .account = name,
                                     .service = serves,
                                     .method = "",
                                     .topic = "" };
    return strcmp(seer, name) == 0 || is_allowed(d, set, &q);
}

static uint64_t bit_of(const domain *d, const char *name)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        if (strcmp(d->actors[i].account, name) == 0) {
            return UINT64_C(1) << i;
        }
    }
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        if (strcmp(rogue_account(d->rogues[i]), name) == 0) {
            return UINT64_C(1) << (ACTORS_MAX + i);
        }
    }
    return 0;
}

bool rules_see(const domain *d, const actor *a, const char *name)
{
    const rule_set *set = set_of_now(d);
    return set == NULL ? sees_in(d, NULL, a->account, name)
                       : (set->sees[a->index] & bit_of(d, name)) != 0;
}

bool rules_saw_always(const domain *d, const actor *a, const char *name)
{
    uint64_t sees = UINT64_MAX;
    for (uint32_t i = 0; i < d->rule_sets->count; i++) {
        sees &= d->rule_sets->sets[i]->sees[a->index];
    }
    return d->rule_sets->count == 0 ? rules_see(d, a, name) : (sees & bit_of(d, name)) != 0;
}

bool rules_saw_ever(const domain *d, const actor *a, const char *name)
{
    uint64_t sees = 0;
    for (uint32_t i = 0; i < d->rule_sets->count; i++) {
        sees |= d->rule_sets->sets[i]->sees[a->index];
    }
    return d->rule_sets->count == 0 ? rules_see(d, a, name) : (sees & bit_of(d, name)) != 0;
}

const char *rules_principal(const domain *d, const char *name)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (strcmp(a->account, name) == 0 && a->principal[0] != '\0') {
            return a->principal;
        }
    }
    return name;
}

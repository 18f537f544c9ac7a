// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/rules_maker.c - the generator of rules_model.h: names of one to three letters, a and
// b, and patterns of those with stars; so most of what is asked is near something that is said.

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "tests/auth/rules_model.h"

static void make_name(char *out, phi_random *r, bool is_pattern);
static void make_topic(char *out, phi_random *r, bool is_pattern);
static void make_entry(rules_model_line *l, phi_random *r);
static void make_line(rules_model *model, phi_random *r, uint32_t rule, rules_model_word word);

void rules_model_make(rules_model *model, phi_random *r)
{
    memset(model, 0, sizeof *model);
    uint32_t rules = (uint32_t)phi_random_between(r, 1, 4); // at most 104 lines
    for (uint32_t rule = 0; rule < rules; rule++) {
        uint64_t who = phi_random_between(r, 1, 2);
        uint64_t may = phi_random_between(r, 4, 16);
        uint64_t may_not = phi_random_between(r, 0, 8);
        for (uint64_t i = 0; i < who + may + may_not; i++) {
            make_line(model, r, rule,
                      i < who         ? RULES_MODEL_WHO
                      : i < who + may ? RULES_MODEL_MAY
                                      : RULES_MODEL_MAY_NOT);
        }
    }
}

void rules_model_add(rules_model *model, uint32_t rule, rules_model_word word, phi_action action,
                     const char *text)
{
    PH_ASSERT(model->count < RULES_MODEL_LINES_MAX);
    rules_model_line *l = &model->lines[model->count++];
    *l = (rules_model_line){ .rule = rule, .word = word, .action = action };
    snprintf(l->text, sizeof l->text, "%s", text);
}

uint32_t rules_model_rules(const rules_model *model)
{
    return model->count == 0 ? 0 : model->lines[model->count - 1].rule + 1;
}

phi_rules *rules_model_compile(const rules_model *model, const phi_alloc *alloc)
{
    phi_rules *rules;
    phi_diag diag = { { 0 } };
    ph_err rc = phi_rules_new(&rules, alloc);
    for (size_t i = 0; i < model->count && rc == PH_OK; i++) {
        const rules_model_line *l = &model->lines[i];
        phi_bytes text = phi_bytes_text(l->text);
        phi_rules_mark(rules, (uint32_t)i);
        if (l->rule == phi_rules_count(rules)) {
            rc = phi_rules_add(rules, (phi_bytes){ 0 }, &diag);
        }
        if (rc == PH_OK) {
            rc = l->word == RULES_MODEL_WHO
                     ? phi_rules_who(rules, text, &diag)
                     : phi_rules_entry(rules, l->word == RULES_MODEL_MAY, l->action, text, &diag);
        }
    }
    PH_ASSERT(rc == PH_OK); // what is made is right
    return rules;
}

void rules_model_ask(rules_model_asked *asked, phi_random *r)
{
    memset(asked, 0, sizeof *asked);
    phi_action action = (phi_action)phi_random_below(r, PHI_ACTION_COUNT);
    make_name(asked->principal, r, false);
    if (phi_action_about(action) == PHI_ABOUT_DOMAINS) {
        make_name(asked->account, r, false);
    } else if (phi_action_about(action) == PHI_ABOUT_TOPICS) {
        make_topic(asked->topic, r, action == PHI_MAY_SUBSCRIBE);
    } else {
        uint64_t form = phi_random_below(r, action == PHI_MAY_REGISTER ? 2 : 4);
        if (form != 0) { // 1: the service alone
            make_name(asked->service, r, false);
        }
        if (form != 1) {
            make_name(asked->account, r, false);
        }
    }
    if (action == PHI_MAY_CALL || action == PHI_MAY_SEND) {
        make_name(asked->method, r, false);
    }
    asked->q = (rules_model_question){ asked->principal, action,        asked->account,
                                       asked->service,   asked->method, asked->topic };
}

static void make_line(rules_model *model, phi_random *r, uint32_t rule, rules_model_word word)
{
    rules_model_line *l = &model->lines[model->count++];
    *l = (rules_model_line){ .rule = rule, .word = word };
    if (word == RULES_MODEL_WHO) {
        make_name(l->text, r, true);
    } else {
        l->action = (phi_action)phi_random_below(r, PHI_ACTION_COUNT);
        make_entry(l, r);
    }
}

static void make_entry(rules_model_line *l, phi_random *r)
{
    if (phi_action_about(l->action) == PHI_ABOUT_TOPICS) {
        make_topic(l->text, r, true);
        return;
    }
    char *at = l->text;
    if (phi_action_about(l->action) != PHI_ABOUT_DOMAINS && phi_random_chance(r, 50)) {
        at = stpcpy(at, "service:");
    }
    make_name(at, r, true);
    if ((l->action == PHI_MAY_CALL || l->action == PHI_MAY_SEND) && phi_random_chance(r, 50)) {
        at += strlen(at);
        *at++ = ' ';
        make_name(at, r, true);
    }
}

// Of a pattern, every third letter or so is a star; two of them never stand together.
static void make_name(char *out, phi_random *r, bool is_pattern)
{
    uint64_t size = phi_random_between(r, 1, 3);
    for (uint64_t i = 0; i < size; i++) {
        bool is_star = is_pattern && phi_random_chance(r, 40) && (i == 0 || out[i - 1] != '*');
        out[i] = is_star ? '*' : phi_random_chance(r, 60) ? 'a' : 'b';
    }
    out[size] = '\0';
}

static void make_topic(char *out, phi_random *r, bool is_pattern)
{
    uint64_t words = phi_random_between(r, 1, 3);
    for (uint64_t i = 0; i < words; i++) {
        char word = phi_random_chance(r, 60) ? 'a' : 'b';
        if (is_pattern && phi_random_chance(r, 40)) {
            word = i + 1 == words && phi_random_chance(r, 60) ? '>' : '*';
        }
        *out++ = word;
        *out++ = i + 1 == words ? '\0' : '.';
    }
}

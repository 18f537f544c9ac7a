// SPDX-License-Identifier: Apache-2.0
//
// auth/rules_matrix_test.c - the authorisation matrix: rules from a seed, every kind of question,
// the verdict beside what the model says (rules_model.h).

#include "auth/rules.h"

#include <stdio.h>
#include <string.h>

#include "tests/auth/rules_model.h"
#include "tests/harness/test.h"

#define SETS 400
#define QUESTIONS 30 // about each

static phi_target target_of(const rules_model_question *q)
{
    bool is_domain = phi_action_about(q->action) == PHI_ABOUT_DOMAINS;
    return (phi_target){
        .account = phi_bytes_text(is_domain ? "" : q->account),
        .service = phi_bytes_text(q->service),
        .method = phi_bytes_text(q->method),
        .topic = phi_bytes_text(q->topic),
        .domain = phi_bytes_text(is_domain ? q->account : ""),
    };
}

static phi_verdict judge(const phi_rules *rules, const rules_model_question *q)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(q->principal));
    phi_target target = target_of(q);
    return phi_rules_judge(rules, &role, q->action, &target);
}

// The rule that is named says so by itself, with the entry that is named; who reads a log line or
// asks `posthouse may` would look in the wrong place.
static void check_reason(const phi_rules *rules, const rules_model *model,
                         const rules_model_question *q, phi_verdict v)
{
    phi_rule_entry e = phi_rules_entry_get(rules, v.rule, v.is_allowed, q->action, v.entry);
    rules_model one = { 0 };
    for (size_t i = 0; i < model->count; i++) {
        const rules_model_line *l = &model->lines[i];
        if (l->rule == v.rule && (l->word == RULES_MODEL_WHO || i == e.line)) {
            one.lines[one.count++] = *l;
        }
    }
    EXPECT(phi_bytes_equal(e.text, phi_bytes_text(model->lines[e.line].text)));
    if (!v.is_allowed) { // the same entry, said to be allowed
        one.count++;
        one.lines[one.count - 1] = (rules_model_line){ v.rule, RULES_MODEL_MAY, q->action, "*" };
        if (q->action == PHI_MAY_PUBLISH || q->action == PHI_MAY_SUBSCRIBE) {
            one.lines[one.count - 1].text[0] = '>';
        } else if (q->action == PHI_MAY_REGISTER && *q->service != '\0') {
            snprintf(one.lines[one.count - 1].text, RULES_MODEL_TEXT_BYTES, "service:*");
        }
    }
    EXPECT_EQ(rules_model_allows(&one, q), v.is_allowed);
}

// What is promised about other methods.
static void check_methods(const phi_rules *rules, const rules_model_question *q, phi_verdict v)
{
    static const char *const methods[] = { "", "a", "b", "ab", "ba", "aab", "zzz" };
    rules_model_question other = *q;
    for (size_t i = 0; i < PHI_COUNT_OF(methods) && v.is_for_all_methods; i++) {
        other.method = methods[i];
        phi_verdict w = judge(rules, &other);
        EXPECT_EQ(w.is_allowed, v.is_allowed);
        EXPECT_EQ(w.rule, v.rule);
        EXPECT(w.is_for_all_methods);
    }
}

// One verdict that differs lets somebody in who does not belong there, or keeps somebody out. The
// numbers in the end say that the matrix is worth something: each action is often allowed, often
// refused for want of a rule, and often by a `may_not`.
TEST(rules, say_what_the_model_says)
{
    phi_random r = phi_random_seeded(20261122);
    uint32_t outcomes[PHI_ACTION_COUNT][3] = { { 0 } };
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    for (int set = 0; set < SETS; set++) {
        rules_model model;
        rules_model_make(&model, &r);
        phi_rules *rules = rules_model_compile(&model, &counter.alloc);
        for (int i = 0; i < QUESTIONS; i++) {
            rules_model_asked asked;
            rules_model_ask(&asked, &r);
            const rules_model_question *q = &asked.q;
            phi_verdict v = judge(rules, q);
            if (v.is_allowed != rules_model_allows(&model, q)) {
                fail_msg("set %d, question %d: %s %s '%s' service:'%s' '%s' '%s': %s", set, i,
                         q->principal, phi_action_name(q->action), q->account, q->service,
                         q->method, q->topic, v.is_allowed ? "allowed" : "refused");
            }
            if (v.rule != PHI_RULE_NONE) {
                check_reason(rules, &model, q, v);
            }
            check_methods(rules, q, v);
            outcomes[q->action][v.is_allowed ? 0 : v.rule == PHI_RULE_NONE ? 1 : 2]++;
        }
        phi_rules_free(&rules);
    }
    EXPECT_EQ(counter.bytes, 0);
    for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
        for (int i = 0; i < 3; i++) {
            EXPECT(outcomes[action][i] > SETS * QUESTIONS / PHI_ACTION_COUNT / 20);
        }
    }
}

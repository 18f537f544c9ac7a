// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/rules_model.h - for tests: what the text of rules.h says, as plainly as it can be
// said, and a generator of rules and questions with the same few letters, so that they meet.
//
// The model reads the entries as they are written, tries all ways a star can be meant, and looks
// at every topic there is for a pattern: topics here are at most 4 words of `a`, `b` and `c`.
// Patterns have at most 3 words, and never a `c`; so whatever two of them do not share shows in
// one of those.

#ifndef TESTS_AUTH_RULES_MODEL_H
#define TESTS_AUTH_RULES_MODEL_H

#include "auth/rules.h"
#include "base/random.h"

#define RULES_MODEL_LINES_MAX 128
#define RULES_MODEL_TEXT_BYTES 32

typedef enum rules_model_word {
    RULES_MODEL_WHO,
    RULES_MODEL_MAY,
    RULES_MODEL_MAY_NOT
} rules_model_word;

// Of rule 0, 1, 2...: `who` and what, or an action and an entry.
typedef struct rules_model_line {
    uint32_t rule;
    rules_model_word word;
    phi_action action;
    char text[RULES_MODEL_TEXT_BYTES];
} rules_model_line;

typedef struct rules_model {
    size_t count;
    rules_model_line lines[RULES_MODEL_LINES_MAX];
} rules_model;

// "" is none.
typedef struct rules_model_question {
    const char *principal;
    phi_action action;
    const char *account; // or domain
    const char *service;
    const char *method;
    const char *topic;
} rules_model_question;

bool rules_model_allows(const rules_model *model, const rules_model_question *q);

// A question whose texts stand behind it.
typedef struct rules_model_asked {
    rules_model_question q;
    char principal[RULES_MODEL_TEXT_BYTES];
    char account[RULES_MODEL_TEXT_BYTES];
    char service[RULES_MODEL_TEXT_BYTES];
    char method[RULES_MODEL_TEXT_BYTES];
    char topic[RULES_MODEL_TEXT_BYTES];
} rules_model_asked;

void rules_model_make(rules_model *model, phi_random *r);
void rules_model_add(rules_model *model, uint32_t rule, rules_model_word word, phi_action action,
                     const char *text);
// How many rules there are.
uint32_t rules_model_rules(const rules_model *model);

// What stands there, compiled; a line of it stands in the line of its index.
phi_rules *rules_model_compile(const rules_model *model, const phi_alloc *alloc);
void rules_model_ask(rules_model_asked *asked, phi_random *r);

#endif // TESTS_AUTH_RULES_MODEL_H

// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/rules_model.c - see rules_model.h. Fifty lines, and not one of them clever.

#include "tests/auth/rules_model.h"

#include <stdio.h>
#include <string.h>

static bool fits(const char *p, const char *t)
{
    return *p == '*' ? fits(p + 1, t) || (*t != '\0' && fits(p, t + 1))
                     : *p == *t && (*p == '\0' || fits(p + 1, t + 1));
}

static bool fits_topic(const char *p, const char *t)
{
    size_t a = strcspn(p, "."), b = strcspn(t, ".");
    bool is_like = strncmp(p, "*", a) == 0 || (a == b && strncmp(p, t, a) == 0);
    bool is_last = p[a] == '\0' || t[b] == '\0';
    bool is_rest = is_last ? p[a] == t[b] : is_like && fits_topic(p + a + 1, t + b + 1);
    return strcmp(p, ">") == 0 || (is_like && is_rest);
}

// Of all topics that fit `q`: do all fit `p`, or any?
static bool meets(const char *p, const char *q, bool all)
{
    bool is_other = false;
    for (int i = 0; i < 4 * 81; i++) { // 1 to 4 words
        char t[] = "?.?.?.?";
        for (int word = 0, n = i % 81; word < 4; word++, n /= 3) {
            t[2 * word] = (char)('a' + n % 3);
        }
        t[1 + i / 81 * 2] = '\0';
        is_other |= fits_topic(q, t) && fits_topic(p, t) != all;
    }
    return all != is_other;
}

static bool concerns(const rules_model_line *l, const rules_model_question *q)
{
    if (l->action == PHI_MAY_PUBLISH || l->action == PHI_MAY_SUBSCRIBE) {
        return meets(l->text, q->topic, l->word == RULES_MODEL_MAY);
    }
    char target[RULES_MODEL_TEXT_BYTES], method[RULES_MODEL_TEXT_BYTES] = "*";
    bool is_service = strncmp(l->text, "service:", 8) == 0;
    (void)sscanf(l->text + (is_service ? 8 : 0), "%31s %31s", target, method);
    const char *name = is_service ? q->service : q->account;
    bool is_asked = *name != '\0' || (!is_service && l->action != PHI_MAY_REGISTER);
    return is_asked && fits(target, name) && fits(method, q->method);
}

bool rules_model_allows(const rules_model *model, const rules_model_question *q)
{
    bool said[3] = { false, false, false };
    for (size_t i = 0; i < model->count * model->count; i++) { // each `who` with each line
        const rules_model_line *who = &model->lines[i / model->count];
        const rules_model_line *l = &model->lines[i % model->count];
        bool is_meant = who->word == RULES_MODEL_WHO && fits(who->text, q->principal);
        bool is_said = is_meant && l->rule == who->rule && l->action == q->action;
        said[l->word] |= is_said && concerns(l, q);
    }
    return said[RULES_MODEL_MAY] && !said[RULES_MODEL_MAY_NOT];
}

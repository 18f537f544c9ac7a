// SPDX-License-Identifier: Apache-2.0
//
// app/may_hints.h - what comes nearest to something that no rule allows: other methods, another
// action, another form of the target, other principals, a slip of the pen.

#ifndef APP_MAY_HINTS_H
#define APP_MAY_HINTS_H

#include "app/draft.h"
#include "auth/rules.h"

#define MAY_HINTS_MAX 4u

typedef struct may_question {
    const char *principal;
    const char *account; // the principal's; may have been made up for it
    phi_action action;
    phi_target target; // of valid names, or a topic or pattern
} may_question;

typedef struct may_hints {
    size_t count;
    draft texts[MAY_HINTS_MAX];
} may_hints;

// `file` is where the rules stand, for people.
void may_hints_find(may_hints *hints, const phi_rules *rules, const char *file,
                    const may_question *q);
void may_hints_fini(may_hints *hints);

#endif // APP_MAY_HINTS_H

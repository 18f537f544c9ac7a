// SPDX-License-Identifier: Apache-2.0
//
// tests/harness/rules.h - rules as tests write them, one line each: "orders-* may call
// service:stock pay.*", or may_not.

#ifndef TESTS_HARNESS_RULES_H
#define TESTS_HARNESS_RULES_H

#include <string.h>

#include "auth/rules.h"
#include "base/assert.h"

static inline phi_bytes rules_take_word(const char **text)
{
    const char *begin = *text;
    size_t size = strcspn(begin, " ");
    *text += size + (begin[size] == ' ');
    return phi_bytes_of((const uint8_t *)begin, size);
}

static inline void rules_add_line(phi_rules *rules, const char *text)
{
    phi_diag diag = { "" };
    ph_err rc = phi_rules_add(rules, phi_bytes_of(NULL, 0), &diag);
    PH_ASSERT(rc == PH_OK);
    rc = phi_rules_who(rules, rules_take_word(&text), &diag);
    PH_ASSERT(rc == PH_OK);
    bool may = phi_bytes_equal(rules_take_word(&text), phi_bytes_text("may"));
    phi_action action;
    bool is_known = phi_action_of_name(rules_take_word(&text), &action);
    PH_ASSERT(is_known);
    rc = phi_rules_entry(rules, may, action, phi_bytes_text(text), &diag);
    PH_ASSERT(rc == PH_OK);
}

// Lines end with a NULL. Without any: NULL, no rules. To be freed.
static inline phi_rules *rules_of_lines(const char *const *lines)
{
    phi_rules *rules = NULL;
    if (lines[0] != NULL) {
        ph_err rc = phi_rules_new(&rules, &phi_alloc_heap);
        PH_ASSERT(rc == PH_OK);
    }
    for (; *lines != NULL; lines++) {
        rules_add_line(rules, *lines);
    }
    return rules;
}

#endif // TESTS_HARNESS_RULES_H

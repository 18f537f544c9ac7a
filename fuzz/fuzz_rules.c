// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_rules.c - rules of any bytes, and questions of any bytes about them. A script of lines:
// `n` begins a rule, `w` adds whom it is for, `+` and `-` with the digit of an action add an entry,
// `?` with a digit asks: principal, account, service and the rest with commas between them. The
// first byte says which allocation fails.
//
// Properties: what is refused by who wrote the rules changes nothing and says why, fit to print; a
// `may` never takes a right away, a `may_not` never gives one; who has no rule may nothing; a
// verdict that is for all methods is.

#include "fuzz/fuzz.h"

#include <string.h>

#include "auth/rules.h"
#include "base/utf8.h"

typedef struct question {
    phi_bytes principal;
    phi_action action;
    phi_target target;
} question;

static phi_bytes cut(phi_bytes *rest, char end)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, end, rest->size);
    size_t size = at == NULL ? rest->size : (size_t)(at - rest->data);
    phi_bytes part = phi_bytes_of(rest->data, size);
    size_t skip = at == NULL ? size : size + 1;
    *rest = phi_bytes_of(skip == 0 ? rest->data : rest->data + skip, rest->size - skip);
    return part;
}

static void expect_printable(const char *text)
{
    phi_bytes all = phi_bytes_text(text);
    fuzz_expect(all.size != 0, "an error that says nothing");
    for (size_t at = 0; at < all.size;) {
        size_t skip;
        size_t size = phi_utf8_char(phi_bytes_of(all.data + at, all.size - at), &skip);
        fuzz_expect(size != 0 || at + 3 >= all.size, "an error that is no UTF-8"); // cut at its end
        uint8_t c = all.data[at];
        fuzz_expect(c >= ' ' && c != 0x7f, "an error with a control character");
        at += size == 0 ? skip : size;
    }
}

static phi_verdict ask(const phi_rules *rules, const question *q)
{
    phi_role role = phi_rules_role(rules, q->principal);
    phi_verdict v = phi_rules_judge(rules, &role, q->action, &q->target);
    static const phi_role nobody;
    fuzz_expect(!phi_rules_judge(rules, &nobody, q->action, &q->target).is_allowed,
                "who has no rule was allowed something");
    fuzz_expect(!v.is_allowed || v.rule != PHI_RULE_NONE, "allowed by no rule");
    if (v.rule != PHI_RULE_NONE) {
        fuzz_expect((role.fits[v.rule / 64] >> v.rule % 64 & 1) != 0, "by a rule of others");
        fuzz_expect(v.entry < phi_rules_entry_count(rules, v.rule, v.is_allowed, q->action),
                    "by an entry that is none");
    }
    if (v.is_for_all_methods) {
        phi_target other = q->target;
        other.method = phi_bytes_text("another");
        phi_verdict w = phi_rules_judge(rules, &role, q->action, &other);
        fuzz_expect(w.is_allowed == v.is_allowed && w.rule == v.rule, "not for all methods");
    }
    return v;
}

static question question_of(phi_action action, phi_bytes rest)
{
    question q = { .action = action, .principal = cut(&rest, ',') };
    q.target.account = cut(&rest, ',');
    q.target.service = cut(&rest, ',');
    if (action == PHI_MAY_REGISTER && q.target.account.size != 0) {
        q.target.service = phi_bytes_of(NULL, 0); // one question at a time
    }
    q.target.method = rest;
    q.target.topic = rest;
    q.target.domain = rest;
    return q;
}

static ph_err add(phi_rules *rules, char what, phi_action action, phi_bytes rest, phi_diag *diag)
{
    if (what == 'n') {
        return phi_rules_add(rules, rest, diag);
    }
    if (what == 'w') {
        return phi_rules_who(rules, rest, diag);
    }
    return phi_rules_entry(rules, what == '+', action, rest, diag);
}

static void tell(phi_rules *rules, phi_bytes script)
{
    question q = { 0 };
    while (script.size != 0) {
        phi_bytes line = cut(&script, '\n');
        if (line.size < 2) {
            continue;
        }
        char what = (char)line.data[0];
        phi_action action = (phi_action)(line.data[1] % PHI_ACTION_COUNT);
        phi_bytes rest = phi_bytes_of(line.data + 2, line.size - 2);
        if (what == '?') {
            q = question_of(action, rest);
            (void)ask(rules, &q);
        } else if (what == 'n' ||
                   ((what == 'w' || what == '+' || what == '-') && phi_rules_count(rules) != 0)) {
            phi_diag diag = { { 0 } };
            bool was = ask(rules, &q).is_allowed;
            ph_err rc = add(rules, what, action, rest, &diag);
            bool is = ask(rules, &q).is_allowed;
            fuzz_expect(rc == PH_OK || is == was, "an error that changed something");
            fuzz_expect(what != '+' || is || !was, "a `may` took a right away");
            fuzz_expect(what != '-' || !is || was, "a `may_not` gave a right");
            if (rc != PH_OK) {
                expect_printable(diag.text);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    counter.fail_at = size == 0 ? 0 : data[0];
    phi_rules *rules = NULL;
    if (phi_rules_new(&rules, &counter.alloc) == PH_OK && size != 0) {
        tell(rules, phi_bytes_of(data + 1, size - 1));
    }
    phi_rules_free(&rules);
    fuzz_expect(counter.bytes == 0, "memory did not come back");
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// app/config_rules_test.c - `rules:` of the file. What an entry may be is tested in
// auth/rules_test.c.

#include "app/config.h"

#include <string.h>

#include "tests/app/config_text.h"
#include "tests/harness/test.h"

static config c;
static config_errors errors;

static void parse(const char *yaml)
{
    config_of_text(&c, &errors, yaml);
}

static bool may(const char *who, phi_action action, const char *account, const char *service,
                const char *rest)
{
    phi_role role = phi_rules_role(c.rules, phi_bytes_text(who));
    phi_target target = {
        .account = phi_bytes_text(account),
        .service = phi_bytes_text(service),
        .method = phi_bytes_text(rest),
        .topic = phi_bytes_text(rest),
    };
    return phi_rules_judge(c.rules, &role, action, &target).is_allowed;
}

// What stands in the file must be in force, and know its line: `posthouse may` and the log name it.
TEST(config_rules, are_read_with_their_places)
{
    parse("domain: home\n"
          "rules:\n"
          "  - name: shop\n"
          "    who: [orders, \"checkout-*\"]\n"
          "    may:\n"
          "      call: [\"service:stock get\",\n"
          "             \"service:bank pay.*\"]\n"
          "      publish: orders.>\n"
          "    may_not:\n"
          "      call: service:bank pay.later\n"
          "  - who: alice\n"
          "    may: {see: \"*\", subscribe: [\">\"]}\n"
          "    name: operators\n"
          "  - {who: \"*\", may: {see: \"service:stock\"}}\n");
    EXPECT_EQ(errors.count, 0);
    EXPECT_EQ(c.rules_line, 2);
    EXPECT_EQ(phi_rules_count(c.rules), 3);
    EXPECT(phi_bytes_equal(phi_rules_name(c.rules, 0), phi_bytes_text("shop")));
    EXPECT(phi_bytes_equal(phi_rules_name(c.rules, 1), phi_bytes_text("operators")));
    EXPECT(phi_bytes_equal(phi_rules_name(c.rules, 2), phi_bytes_text("rule 3")));
    EXPECT_EQ(phi_rules_line(c.rules, 0), 3);
    EXPECT_EQ(phi_rules_line(c.rules, 2), 14);
    EXPECT_EQ(phi_rules_entry_get(c.rules, 0, true, PHI_MAY_CALL, 1).line, 7);
    EXPECT_EQ(phi_rules_entry_get(c.rules, 0, false, PHI_MAY_CALL, 0).line, 10);
    EXPECT(may("checkout-eu", PHI_MAY_CALL, "s1", "stock", "get"));
    EXPECT(may("orders", PHI_MAY_CALL, "b1", "bank", "pay.now"));
    EXPECT(!may("orders", PHI_MAY_CALL, "b1", "bank", "pay.later"));
    EXPECT(may("orders", PHI_MAY_PUBLISH, "", "", "orders.eu"));
    EXPECT(may("alice", PHI_MAY_SUBSCRIBE, "", "", ">"));
    EXPECT(!may("orders", PHI_MAY_SUBSCRIBE, "", "", "orders.eu"));
    EXPECT(may("mallory", PHI_MAY_SEE, "s1", "stock", ""));
}

// No rules, and an empty list of them, are opposites.
TEST(config_rules, none_is_not_the_same_as_an_empty_list)
{
    parse("domain: home\n");
    EXPECT_EQ(errors.count, 0);
    EXPECT(c.rules == NULL);
    EXPECT_EQ(c.rules_line, 0);
    parse("rules: []\n");
    EXPECT_EQ(errors.count, 0);
    EXPECT(c.rules != NULL);
    EXPECT_EQ(phi_rules_count(c.rules), 0);
    EXPECT(!may("alice", PHI_MAY_SEE, "alice", "", ""));
}

// A mistake that is passed over is a rule that is not in force.
TEST(config_rules, mistakes_are_told_with_their_places)
{
    static const struct {
        const char *yaml;
        uint32_t line;
        uint32_t column;
        const char *text;
    } cases[] = {
        { "rules:\n", 1, 7, "rules: expected a list of rules, found a single value; 'rules: []'" },
        { "rules: {who: a}\n", 1, 8, "rules: expected a list of rules, found keys and values" },
        { "rules: &x []\n", 1, 8, "rules: expected a list of rules" },
        { "rules: [a]\n", 1, 9, "rules: expected a rule, such as '- who: orders'" },
        { "rules: [{may: {see: a}}]\n", 1, 9, "does not say whom it is for" },
        { "rules: [{who: a}]\n", 1, 9, "this one says nothing; 'may:' or 'may_not:' is missing" },
        { "rules: [{who: [], may: {}}]\n", 1, 15, "who: an empty list is nobody" },
        { "rules: [{who: {a: b}, may: {}}]\n", 1, 15, "who: expected one value, found keys and" },
        { "rules: [{who: !x a, may: {}}]\n", 1, 15, "who: expected one value, found an anchor" },
        { "rules: [{who: a, may: [call]}]\n", 1, 23, "may: expected actions, such as 'call:" },
        { "rules: [{who: a, mey: {}, may: {}}]\n", 1, 18,
          "unknown key 'mey'; did you mean 'may'?" },
        { "rules: [{who: a, may: {cal: b}}]\n", 1, 24, "'cal'; did you mean 'call'? actions are" },
        { "rules: [{who: a, may: {frobnicate: b}}]\n", 1, 24, "action 'frobnicate'; actions are" },
        { "rules: [{who: a, may: {call: \"service:\"}}]\n", 1, 30,
          "may: call: 'service:' needs a" },
        { "rules: [{who: a, may_not: {call: A}}]\n", 1, 34,
          "may_not: call: 'A': names have small" },
        { "rules: [{who: a, may: {see: a, see: b}}]\n", 1, 32, "'see' stands there twice; first" },
        { "rules: [{who: a, who: b, may: {}}]\n", 1, 18,
          "who stands there twice; first in line 1" },
        { "rules: [{who: A, may: {}}]\n", 1, 15, "rules: who: 'A': names have small letters" },
        { "rules: [{who: \"a\\0b\", may: {}}]\n", 1, 15, "who: 'a?b': names are made of" },
        { "rules: [{\"a\\e[1m\": b, who: a, may: {}}]\n", 1, 10, "unknown key 'a?[1m'" },
        { "rules: [{name: X, who: a, may: {}}]\n", 1, 16, "name: 'X' is no name for a rule" },
        { "rules: [{name: x, who: a, may: {}},{name: x, who: a, may: {}}]\n", 1, 43, "two rules" },
        { "rules: [{[a]: b, who: a, may: {}}]\n", 1, 10, "a key must be a word, found a list" },
        { "rules: [{who: a, may: {[a]: b}}]\n", 1, 24, "an action must be a word, found a list" },
        { "rules: [{who: a, may: {call: [[b]]}}]\n", 1, 31, "expected one value, found a list" },
        { "rules: []\nrules: []\n", 2, 1, "rules: stands there twice; first in line 1" },
        { "rule: []\n", 1, 1, "unknown key 'rule'; did you mean 'rules'?" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        parse(cases[i].yaml);
        const struct config_error *e = &errors.list[0];
        if (errors.count != 1 || e->line != cases[i].line || e->column != cases[i].column ||
            strstr(e->text, cases[i].text) == NULL) {
            fail_msg("%s%zu errors, %u:%u: %s", cases[i].yaml, errors.count, e->line, e->column,
                     e->text);
        }
    }
}

// One run tells all: each mistake hides only itself.
TEST(config_rules, go_on_behind_a_mistake)
{
    parse("rules:\n"
          "  - who: [A, b]\n"
          "    may: {call: [\"x@y\", \"all:z\"], drain: \"a b\", sea: {a: [b]}}\n"
          "    else: [{a: b}]\n"
          "  - 7\n"
          "workers: many\n");
    EXPECT_EQ(errors.count, 8);
    EXPECT_EQ(errors.list[7].line, 6);
}

// YAML that breaks off anywhere in the rules must not be read beyond.
TEST(config_rules, end_with_the_file)
{
    static const char yaml[] = "rules:\n"
                               "  - name: x\n"
                               "    who: [a, b]\n"
                               "    may: {call: [\"service:a b c\"], see: [x, y]}\n"
                               "    may_not:\n"
                               "      publish: a.>\n";
    char part[sizeof yaml];
    for (size_t size = 0; size < sizeof yaml; size++) {
        memcpy(part, yaml, size);
        part[size] = '\0';
        parse(part);
        EXPECT(errors.count <= 3);
    }
    EXPECT_EQ(errors.count, 0);
}

// SPDX-License-Identifier: Apache-2.0
//
// auth/rules_test.c - rules one by one; what they say in general is in rules_matrix_test.c.

#include "auth/rules.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/test.h"

// ---- fixture: the rules that rules.h shows, and a little more

typedef struct line {
    char word; // w who, + may, - may_not, n a rule of this name
    phi_action action;
    const char *text;
} line;

static const line shop[] = {
    { 'n', 0, "shop" },
    { 'w', 0, "orders" },
    { 'w', 0, "checkout-*" },
    { '+', PHI_MAY_CALL, "service:stock get" },
    { '+', PHI_MAY_CALL, "service:bank pay.* refund" },
    { '+', PHI_MAY_PUBLISH, "orders.>" },
    { '+', PHI_MAY_SUBSCRIBE, "orders.*.created" },
    { '+', PHI_MAY_REGISTER, "service:orders" },
    { '-', PHI_MAY_CALL, "service:bank refund" },
    { 'n', 0, "operators" },
    { 'w', 0, "alice" },
    { '+', PHI_MAY_CALL, "*" },
    { '+', PHI_MAY_SEE, "*" },
    { '+', PHI_MAY_SUBSCRIBE, ">" },
    { '+', PHI_MAY_DRAIN, "service:stock" },
    { '+', PHI_MAY_STATUS, "home" },
    { '-', PHI_MAY_SUBSCRIBE, "salaries.>" },
    { 'n', 0, "" },
    { 'w', 0, "*" },
    { '+', PHI_MAY_SEE, "service:stock" },
    { '+', PHI_MAY_REGISTER, "*" },
    { '+', PHI_MAY_CENTER, "eu-*" },
};

static ph_err add(phi_rules *rules, const line *l, phi_diag *diag)
{
    phi_bytes text = phi_bytes_text(l->text);
    if (l->word == 'n') {
        return phi_rules_add(rules, text, diag);
    }
    return l->word == 'w' ? phi_rules_who(rules, text, diag)
                          : phi_rules_entry(rules, l->word == '+', l->action, text, diag);
}

static ph_err build(phi_rules **out, const phi_alloc *alloc, const line *lines, size_t count)
{
    phi_diag diag = { { 0 } };
    phi_rules *rules;
    ph_err rc = phi_rules_new(&rules, alloc);
    if (rc != PH_OK) {
        return rc;
    }
    for (size_t i = 0; i < count && rc == PH_OK; i++) {
        phi_rules_mark(rules, (uint32_t)i + 1);
        rc = add(rules, &lines[i], &diag);
    }
    if (rc != PH_OK) {
        phi_rules_free(&rules);
        return rc;
    }
    *out = rules;
    return PH_OK;
}

static phi_rules *shop_rules(void)
{
    phi_rules *rules = NULL;
    EXPECT_ERR(build(&rules, &phi_alloc_heap, shop, PHI_COUNT_OF(shop)), PH_OK);
    return rules;
}

// "service:stock get" and the like, as a target.
static phi_verdict judge(const phi_rules *rules, const char *who, phi_action action,
                         const char *account, const char *service, const char *rest)
{
    phi_role role = phi_rules_role(rules, phi_bytes_text(who));
    phi_target target = {
        .account = phi_bytes_text(account),
        .service = phi_bytes_text(service),
        .method = phi_bytes_text(rest),
        .topic = phi_bytes_text(rest),
        .domain = phi_bytes_text(rest),
    };
    return phi_rules_judge(rules, &role, action, &target);
}

static bool may_call(const phi_rules *r, const char *who, const char *account, const char *service,
                     const char *method)
{
    return judge(r, who, PHI_MAY_CALL, account, service, method).is_allowed;
}

static bool may_subscribe(const phi_rules *r, const char *who, const char *topic)
{
    return judge(r, who, PHI_MAY_SUBSCRIBE, "", "", topic).is_allowed;
}

static bool may_publish(const phi_rules *r, const char *who, const char *topic)
{
    return judge(r, who, PHI_MAY_PUBLISH, "", "", topic).is_allowed;
}

// ---- verdicts

// Whoever no rule fits, and whatever no rule mentions, is refused; and without any rule everything.
TEST(rules, refuse_what_they_do_not_mention)
{
    phi_rules *r = shop_rules();
    EXPECT(may_call(r, "orders", "stock-1", "stock", "get"));
    EXPECT(!may_call(r, "mallory", "stock-1", "stock", "get"));
    EXPECT(!may_call(r, "orders", "stock-1", "stock", "put"));
    EXPECT(!may_call(r, "orders", "stock", "", "get"));
    EXPECT(!judge(r, "orders", PHI_MAY_SEND, "stock-1", "stock", "get").is_allowed);
    EXPECT(!judge(r, "orders", PHI_MAY_DRAIN, "", "stock", "").is_allowed);
    phi_rules_free(&r);
    EXPECT_ERR(phi_rules_new(&r, &phi_alloc_heap), PH_OK);
    for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
        phi_verdict v = judge(r, "orders", action, "", "stock", "a");
        EXPECT(!v.is_allowed);
        EXPECT_EQ(v.rule, PHI_RULE_NONE);
        EXPECT(v.is_for_all_methods);
    }
    phi_rules_free(&r);
}

// One line taken back in another rule, or further up, must not come back.
TEST(rules, may_not_beats_may_wherever_it_stands)
{
    phi_rules *r = shop_rules();
    EXPECT(may_call(r, "orders", "bank", "bank", "pay.card"));
    EXPECT(!may_call(r, "orders", "bank", "bank", "refund"));
    EXPECT(!may_call(r, "checkout-eu", "", "bank", "refund"));
    phi_verdict v = judge(r, "orders", PHI_MAY_CALL, "bank", "bank", "refund");
    EXPECT_EQ(v.rule, 0);
    EXPECT_EQ(phi_rules_entry_get(r, v.rule, false, PHI_MAY_CALL, v.entry).line, 9);
    phi_rules_free(&r);
}

// The service's own line is judged for each instance, and the other way round.
TEST(rules, know_a_receiver_by_account_and_by_service)
{
    static const line lines[] = {
        { 'n', 0, "" },
        { 'w', 0, "*" },
        { '+', PHI_MAY_CALL, "service:stock" },
        { '+', PHI_MAY_CALL, "printer" },
        { '-', PHI_MAY_CALL, "stock-old" },
    };
    phi_rules *r = NULL;
    EXPECT_ERR(build(&r, &phi_alloc_heap, lines, PHI_COUNT_OF(lines)), PH_OK);
    EXPECT(may_call(r, "x", "stock-1", "stock", ""));
    EXPECT(!may_call(r, "x", "stock-old", "stock", ""));
    EXPECT(may_call(r, "x", "printer", "", ""));
    EXPECT(may_call(r, "x", "printer", "office", ""));
    EXPECT(!may_call(r, "x", "stock", "", ""));
    phi_rules_free(&r);
}

// A service without an instance has no account to be judged: who may call everybody must hear that
// it is not there, and nobody else.
TEST(rules, of_an_absent_receiver_only_a_lone_star_fits)
{
    phi_rules *r = shop_rules();
    EXPECT(may_call(r, "alice", "", "nowhere", "get"));
    EXPECT(!may_call(r, "orders", "", "nowhere", "get"));
    EXPECT(may_call(r, "orders", "", "stock", "get"));
    phi_rules_free(&r);
}

// `register: "*"` lets somebody choose an account. It must not make him an instance of a service,
// to which others send their requests.
TEST(rules, that_give_an_account_do_not_give_a_service)
{
    phi_rules *r = shop_rules();
    EXPECT(judge(r, "mallory", PHI_MAY_REGISTER, "anything", "", "").is_allowed);
    EXPECT(!judge(r, "mallory", PHI_MAY_REGISTER, "", "bank", "").is_allowed);
    EXPECT(judge(r, "orders", PHI_MAY_REGISTER, "", "orders", "").is_allowed);
    phi_rules_free(&r);
}

// Subscribing to more than is allowed, or around what is forbidden, by a wider pattern. [P-74]
TEST(rules, let_subscribe_to_what_one_entry_covers_and_none_forbids)
{
    phi_rules *r = shop_rules();
    EXPECT(may_subscribe(r, "orders", "orders.eu.created"));
    EXPECT(may_subscribe(r, "orders", "orders.*.created"));
    EXPECT(!may_subscribe(r, "orders", "orders.>"));
    EXPECT(!may_subscribe(r, "orders", "orders.*.*"));
    EXPECT(!may_subscribe(r, "orders", ">"));
    EXPECT(may_subscribe(r, "alice", "news.>"));
    EXPECT(may_subscribe(r, "alice", "*"));
    EXPECT(may_subscribe(r, "alice", "salaries"));
    EXPECT(!may_subscribe(r, "alice", ">"));
    EXPECT(!may_subscribe(r, "alice", "*.june"));
    EXPECT(!may_subscribe(r, "alice", "salaries.june"));
    phi_rules_free(&r);
}

// What is published is a topic, nothing else; and names are names. What a peer sends may be
// anything.
TEST(rules, refuse_what_is_no_topic_and_no_name)
{
    phi_rules *r = shop_rules();
    EXPECT(may_publish(r, "orders", "orders.eu"));
    static const char *const topics[] = { "orders.*", "orders.>",   "orders",     "orders.",
                                          "",         "orders..eu", "orders.a b", "orders.\x1b" };
    for (size_t i = 0; i < PHI_COUNT_OF(topics); i++) {
        EXPECT(!may_publish(r, "orders", topics[i]));
    }
    EXPECT(!may_subscribe(r, "alice", "news..>"));
    EXPECT(!may_call(r, "alice", "a\n", "", ""));
    EXPECT(!may_call(r, "alice", "a", "service:b", ""));
    EXPECT(!may_call(r, "alice", "", "", ""));
    EXPECT(!judge(r, "alice", PHI_MAY_CENTER, "", "", "eu-\n").is_allowed);
    EXPECT(judge(r, "alice", PHI_MAY_CENTER, "", "", "eu-west").is_allowed);
    EXPECT(!judge(r, "alice", PHI_MAY_CENTER, "", "", "us").is_allowed);
    EXPECT(judge(r, "alice", PHI_MAY_STATUS, "", "", "home").is_allowed);
    EXPECT(!judge(r, "alice", PHI_MAY_STATUS, "", "", "").is_allowed);
    EXPECT(!judge(r, "alice", PHI_MAY_STATUS, "", "", "house").is_allowed);
    EXPECT(!judge(r, "orders", PHI_MAY_STATUS, "", "", "home").is_allowed);
    phi_rules_free(&r);
}

// The center keeps a verdict for a receiver only when no other method can change it.
TEST(rules, say_when_methods_make_no_difference)
{
    phi_rules *r = shop_rules();
    EXPECT(!judge(r, "orders", PHI_MAY_CALL, "s", "stock", "get").is_for_all_methods);
    EXPECT(!judge(r, "orders", PHI_MAY_CALL, "s", "stock", "put").is_for_all_methods);
    EXPECT(!judge(r, "orders", PHI_MAY_CALL, "s", "bank", "pay.x").is_for_all_methods);
    EXPECT(judge(r, "orders", PHI_MAY_CALL, "s", "other", "get").is_for_all_methods);
    EXPECT(judge(r, "alice", PHI_MAY_CALL, "s", "stock", "get").is_for_all_methods);
    phi_rules_free(&r);
}

// An entry about all methods settles it, wherever it stands beside one about some of them.
TEST(rules, about_all_methods_go_before_those_about_some)
{
    static const line lines[] = {
        { 'n', 0, "" },
        { 'w', 0, "*" },
        { '+', PHI_MAY_CALL, "x a" },
        { '+', PHI_MAY_CALL, "x *" },
        { '-', PHI_MAY_CALL, "y a" },
        { 'n', 0, "" },
        { 'w', 0, "*" },
        { '-', PHI_MAY_CALL, "y" },
    };
    phi_rules *r = NULL;
    EXPECT_ERR(build(&r, &phi_alloc_heap, lines, PHI_COUNT_OF(lines)), PH_OK);
    phi_verdict v = judge(r, "z", PHI_MAY_CALL, "x", "", "a");
    EXPECT(v.is_allowed);
    EXPECT(v.is_for_all_methods);
    EXPECT_EQ(v.entry, 1);
    v = judge(r, "z", PHI_MAY_CALL, "y", "", "a");
    EXPECT(!v.is_allowed);
    EXPECT(v.is_for_all_methods);
    EXPECT_EQ(v.rule, 1);
    phi_rules_free(&r);
}

// Rules beyond the 64th have their bit in another word.
TEST(rules, are_as_many_as_promised)
{
    phi_rules *r;
    phi_diag diag = { { 0 } };
    EXPECT_ERR(phi_rules_new(&r, &phi_alloc_heap), PH_OK);
    char text[32];
    for (uint32_t i = 0; i < PHI_RULES_MAX; i++) {
        EXPECT_ERR(phi_rules_add(r, (phi_bytes){ 0 }, &diag), PH_OK);
        snprintf(text, sizeof text, "p%u", i);
        EXPECT_ERR(phi_rules_who(r, phi_bytes_text(text), &diag), PH_OK);
        snprintf(text, sizeof text, "s%u", i);
        EXPECT_ERR(phi_rules_entry(r, true, PHI_MAY_CALL, phi_bytes_text(text), &diag), PH_OK);
    }
    for (uint32_t i = 0; i < PHI_RULES_MAX; i++) {
        snprintf(text, sizeof text, "p%u", i);
        char other[32];
        snprintf(other, sizeof other, "s%u", i);
        EXPECT_EQ(judge(r, text, PHI_MAY_CALL, other, "", "").rule, i);
        snprintf(other, sizeof other, "s%u", (i + 64) % PHI_RULES_MAX);
        EXPECT(!may_call(r, text, other, "", ""));
    }
    EXPECT_ERR(phi_rules_add(r, (phi_bytes){ 0 }, &diag), PH_ELIMIT);
    EXPECT_TEXT(diag.text, "more than 256 rules");
    phi_rules_free(&r);
}

// ---- building

// A rule with a slip must not be taken for protection; and who made it learns what is right.
TEST(rules, that_could_never_fit_are_refused_with_advice)
{
    static const struct {
        line wrong;
        const char *advice;
    } cases[] = {
        { { '+', PHI_MAY_CALL, "service:" }, "'service:' needs a name; 'service:*' is every" },
        { { '+', PHI_MAY_CALL, "bank@eu" }, "'bank@eu': domains in rules come with sets of" },
        { { '+', PHI_MAY_CALL, "service:bank@eu" }, "domains in rules come with sets of centers" },
        { { '+', PHI_MAY_CALL, "@" }, "domains in rules come with sets of centers" },
        { { '+', PHI_MAY_CALL, "all:bank" }, "however it is addressed: say 'service:NAME'" },
        { { '+', PHI_MAY_SEND, "all:" }, "say '*'" },
        { { '+', PHI_MAY_SEND, "topic:a" }, "topics stand under 'publish' and 'subscribe'" },
        { { '+', PHI_MAY_CALL, "svc:bank" }, "'svc:bank' is neither an account nor service:NAME" },
        { { '+', PHI_MAY_CALL, "Bank" }, "'Bank': names have small letters only" },
        { { '+', PHI_MAY_CALL, "service:a>" }, "'>' is for topics; in names '*' fits the rest" },
        { { '+', PHI_MAY_CALL, "a/b" }, "'a/b': names are made of a-z 0-9 . _ -" },
        { { '+', PHI_MAY_CALL, "-a" }, "'-a': names begin with a letter or digit" },
        { { '+', PHI_MAY_CALL, "a**" }, "'a**': one '*' fits any run of characters already" },
        { { '+', PHI_MAY_CALL, "" }, "an entry of 'call' is empty; '*' is all" },
        { { '+', PHI_MAY_CALL, "  " }, "an entry of 'call' is empty" },
        { { '+', PHI_MAY_CALL, "bank a**" }, "one '*' fits any run" },
        { { '+', PHI_MAY_CALL, "bank a\x1b" }, "'a?': methods are given in UTF-8" },
        { { '+', PHI_MAY_CALL, "bank \xff" }, "'?': methods are given in UTF-8" },
        { { '+', PHI_MAY_SEE, "bank get" }, "one entry of 'see' is one name without anything" },
        { { '-', PHI_MAY_DRAIN, "bank get" }, "one entry of 'drain' is one name without" },
        { { '+', PHI_MAY_PUBLISH, "a b" }, "one entry of 'publish' is one topic without" },
        { { '+', PHI_MAY_PUBLISH, "" }, "an entry of 'publish' is empty; '>' is all" },
        { { '+', PHI_MAY_PUBLISH, "topic:a.b" }, "'topic:a.b': leave out 'topic:'" },
        { { '+', PHI_MAY_SUBSCRIBE, "a.>.b" }, "'a.>.b': a topic is 1 to 16 words" },
        { { '+', PHI_MAY_SUBSCRIBE, "a.b*" }, "'*' stands for one whole word" },
        { { '+', PHI_MAY_CENTER, "service:x" }, "'service:x': names are made of" },
        { { 'w', 0, "" }, "a name is missing; '*' fits every name" },
        { { 'w', 0, "service:bank" }, "'service:bank': who somebody is, is one name, without" },
        { { 'w', 0, "orders-7f3a" }, "nobody can prove to be that. Leave that end out" },
        { { 'w', 0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
          "is a name of at most 55 bytes" },
        { { 'n', 0, "Shop" }, "'Shop' is no name for a rule" },
        { { 'n', 0, "shop" }, "two rules are called 'shop'" },
        { { 'n', 0, "rule 1" }, "'rule 1' is no name for a rule" },
    };
    phi_rules *r = shop_rules();
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        phi_diag diag = { { 0 } };
        ph_err rc = add(r, &cases[i].wrong, &diag);
        if (rc != PH_EINVAL || strstr(diag.text, cases[i].advice) == NULL) {
            fail_msg("'%s': %s", cases[i].wrong.text, diag.text);
        }
    }
    EXPECT_EQ(phi_rules_count(r), 3);
    EXPECT_EQ(phi_rules_entry_count(r, 2, true, PHI_MAY_CALL), 0);
    EXPECT_EQ(phi_rules_who_count(r, 2), 1);
    phi_rules_free(&r);
}

// A list without a bound would be memory without one.
TEST(rules, have_as_many_entries_as_promised)
{
    phi_rules *r = shop_rules();
    phi_diag diag = { { 0 } };
    char text[64];
    for (uint32_t i = 1; i < PHI_RULE_ENTRIES_MAX; i++) {
        snprintf(text, sizeof text, "p%u", i);
        EXPECT_ERR(phi_rules_who(r, phi_bytes_text(text), &diag), PH_OK);
        EXPECT_ERR(phi_rules_entry(r, false, PHI_MAY_CALL, phi_bytes_text(text), &diag), PH_OK);
    }
    EXPECT_ERR(phi_rules_who(r, phi_bytes_text("last"), &diag), PH_ELIMIT);
    EXPECT_ERR(phi_rules_entry(r, false, PHI_MAY_CALL, phi_bytes_text("x get put"), &diag),
               PH_ELIMIT);
    EXPECT_ERR(phi_rules_entry(r, false, PHI_MAY_CALL, phi_bytes_text("x get"), &diag), PH_OK);
    EXPECT_ERR(phi_rules_entry(r, false, PHI_MAY_CALL, phi_bytes_text("x"), &diag), PH_ELIMIT);
    EXPECT_ERR(phi_rules_entry(r, true, PHI_MAY_CALL, phi_bytes_text("x"), &diag), PH_OK);
    phi_rules_free(&r);
}

// Names and lines are what `posthouse may` and the log point at.
TEST(rules, can_be_looked_at_as_they_were_written)
{
    phi_rules *r = shop_rules();
    EXPECT_EQ(phi_rules_count(r), 3);
    EXPECT(phi_bytes_equal(phi_rules_name(r, 0), phi_bytes_text("shop")));
    EXPECT(phi_bytes_equal(phi_rules_name(r, 2), phi_bytes_text("rule 3")));
    EXPECT_EQ(phi_rules_line(r, 1), 10);
    EXPECT_EQ(phi_rules_who_count(r, 0), 2);
    EXPECT(phi_bytes_equal(phi_rules_who_get(r, 0, 1).text, phi_bytes_text("checkout-*")));
    EXPECT_EQ(phi_rules_who_get(r, 0, 1).line, 3);
    EXPECT_EQ(phi_rules_entry_count(r, 0, true, PHI_MAY_CALL), 3); // each method one
    phi_rule_entry e = phi_rules_entry_get(r, 0, true, PHI_MAY_CALL, 2);
    EXPECT(phi_bytes_equal(e.text, phi_bytes_text("service:bank refund")));
    EXPECT_EQ(e.line, 5);
    phi_diag diag = { { 0 } };
    EXPECT_ERR(phi_rules_call_it(r, phi_bytes_text("shop"), &diag), PH_EINVAL);
    EXPECT_ERR(phi_rules_call_it(r, phi_bytes_text("all"), &diag), PH_OK);
    EXPECT(phi_bytes_equal(phi_rules_name(r, 2), phi_bytes_text("all")));
    phi_rules_free(&r);
}

// Every allocation may fail: nothing leaks, and nobody is allowed what only half a set says.
TEST(rules, survive_every_failing_allocation)
{
    size_t takes = 0;
    for (size_t fail_at = 1;; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = fail_at;
        phi_rules *r = NULL;
        ph_err rc = build(&r, &counter.alloc, shop, PHI_COUNT_OF(shop));
        if (rc == PH_OK) {
            takes = counter.takes;
            phi_rules_free(&r);
            EXPECT_EQ(counter.bytes, 0);
            EXPECT(fail_at == takes + 1);
            break;
        }
        EXPECT_ERR(rc, PH_ENOMEM);
        EXPECT(r == NULL);
        EXPECT_EQ(counter.bytes, 0);
        EXPECT_EQ(counter.blocks, 0);
    }
    EXPECT(takes > 20);
}

// An entry with several methods of which the last finds no memory would leave the first.
TEST(rules, take_an_entry_whole_or_not_at_all)
{
    for (size_t fail_at = 1;; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        phi_rules *r = NULL;
        EXPECT_ERR(build(&r, &counter.alloc, shop, 3), PH_OK);
        counter.fail_at = counter.takes + fail_at;
        phi_diag diag = { { 0 } };
        ph_err rc = phi_rules_entry(r, true, PHI_MAY_CALL, phi_bytes_text("x a b c d e f"), &diag);
        EXPECT_EQ(phi_rules_entry_count(r, 0, true, PHI_MAY_CALL), rc == PH_OK ? 6 : 0);
        EXPECT_EQ(may_call(r, "orders", "x", "", "a"), rc == PH_OK);
        phi_rules_free(&r);
        EXPECT_EQ(counter.bytes, 0);
        if (rc == PH_OK) {
            break;
        }
        EXPECT_TEXT(diag.text, "out of memory");
    }
}

// The configuration and the command line speak of actions by these names.
TEST(rules, know_actions_by_their_names)
{
    for (phi_action action = 0; action < PHI_ACTION_COUNT; action++) {
        phi_action found = PHI_ACTION_COUNT;
        EXPECT(phi_action_of_name(phi_bytes_text(phi_action_name(action)), &found));
        EXPECT_EQ(found, action);
    }
    phi_action found;
    EXPECT(!phi_action_of_name(phi_bytes_text("Call"), &found));
    EXPECT(!phi_action_of_name((phi_bytes){ 0 }, &found));
}

// SPDX-License-Identifier: Apache-2.0
//
// center/guard_test.c - who may do what, packet by packet: each action allowed and refused, what a
// refusal gives away (nothing), what other rules change for those who are there, and presence.
// [P-80]

#include <string.h>

#include "center/state.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/subscription.h"

// ---- helpers

static void ask(peer *p, const char *to, const char *method, uint64_t number)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .ttl_ms = 1000,
                                .call = number,
                                .from = phi_bytes_text(p->id),
                                .to = phi_bytes_text(to),
                                .method = phi_bytes_text(method) });
    world_settle(p->w);
}

static void expect_asked(peer *p, peer *responder, uint64_t number)
{
    const phi_message *m = peer_next(responder);
    EXPECT(m != NULL);
    EXPECT_EQ(m->kind, PHI_KIND_REQUEST);
    peer_reply(responder, m->call, "yes");
    world_settle(p->w);
    peer_expect(p, PHI_KIND_REPLY, number, "yes");
}

static void say(peer *p, const char *to, const char *method, uint64_t number)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .flags = PHI_FLAG_RECEIPT,
                                .call = number,
                                .from = phi_bytes_text(p->id),
                                .to = phi_bytes_text(to),
                                .method = phi_bytes_text(method) });
    world_settle(p->w);
}

static void expect_receipt(peer *p, uint32_t delivered, uint32_t dropped, uint16_t code)
{
    const phi_message *m = peer_next(p);
    while (m != NULL && m->kind == PHI_KIND_EVENT) { // which it got itself
        m = peer_next(p);
    }
    EXPECT(m != NULL);
    EXPECT_EQ(m->kind, PHI_KIND_RECEIPT);
    phi_receipt receipt;
    EXPECT_ERR(phi_receipt_decode(m->body, &receipt), PH_OK);
    EXPECT_EQ(receipt.delivered, delivered);
    EXPECT_EQ(receipt.dropped, dropped);
    EXPECT_EQ(receipt.code, code);
}

// How many patterns of one packet the center refused, all with the code of policy.
static size_t subscribe(peer *p, const char *pattern)
{
    uint8_t bytes[PHI_SUBSCRIPTION_BYTES_MAX];
    phi_writer out = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_subscription_begin(&out, 1);
    phi_write_change(&out, PHI_SUBSCRIPTION_ADD, phi_bytes_text(pattern));
    peer_packet(p, PHI_COMMAND_SUBSCRIPTION, bytes, phi_writer_size(&out));
    world_settle(p->w);
    phi_bytes answer = peer_next_packet(p, PHI_COMMAND_SUBSCRIPTION);
    phi_subscription said;
    EXPECT_ERR(phi_subscription_decode(answer, &said), PH_OK);
    if (said.changes.size == 0) {
        return 0;
    }
    EXPECT_EQ(phi_get_u16(said.changes.data + 3), PH_FAILURE_REFUSED_BY_POLICY);
    return 1;
}

static void say_drain(peer *p, const char *name, uint32_t patience_ms)
{
    uint8_t body[64] = { 1 };
    size_t size = strlen(name);
    phi_put_u32(body + 1, patience_ms);
    body[5] = (uint8_t)size;
    memcpy(body + 6, name, size);
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .ttl_ms = 1000,
                                .call = 99,
                                .from = phi_bytes_text(p->id),
                                .to = phi_bytes_text("@d"),
                                .method = phi_bytes_text("drain"),
                                .body = phi_bytes_of(body, 6 + size) });
    world_settle(p->w);
}

static uint16_t drain(peer *p, const char *name)
{
    say_drain(p, name, /* patience_ms= */ 0);
    const phi_message *m = peer_next(p);
    EXPECT(m != NULL);
    return m->kind == PHI_KIND_REPLY ? 0 : phi_get_u16(m->body.data);
}

// ---- calls and events

// What is allowed passes, what is not is refused, by whatever address it was sent; and nobody may
// do what no rule mentions.
TEST(guard, calls_are_judged_by_their_receiver)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may call service:stock", "shop may call bank pay.*",
                 "shop may_not call stock-2", "* may register service:*");
    peer *shop = world_join_service(w, "shop", "");
    peer *stock = world_join_service(w, "stock-1", "stock");
    peer *bank = world_join_service(w, "bank", "bank");
    ask(shop, "service:stock", "get", 1);
    expect_asked(shop, stock, 1);
    ask(shop, "stock-1", "get", 2); // the same one, by its name
    expect_asked(shop, stock, 2);
    ask(shop, "bank@d", "pay.now", 3);
    expect_asked(shop, bank, 3);
    ask(shop, "service:bank", "pay.now", 4);
    expect_asked(shop, bank, 4);
    ask(shop, "bank", "refund", 5);
    peer_expect_failure(shop, 5, PH_FAILURE_REFUSED_BY_POLICY);
    ask(shop, "bank", "pay", 6);
    peer_expect_failure(shop, 6, PH_FAILURE_REFUSED_BY_POLICY);
    ask(bank, "shop", "pay.now", 7); // nobody said that it might
    peer_expect_failure(bank, 7, PH_FAILURE_REFUSED_BY_POLICY);
    peer_leave(stock);
    world_join_service(w, "stock-2", "stock");
    ask(shop, "service:stock", "get", 8);
    peer_expect_failure(shop, 8, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(world_count(w).refused_by_policy_total, 4);
    EXPECT(world_logged(w, "CE0019"));
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// In a call that was allowed, both ends may say what belongs to it, though neither may call or send
// to the other otherwise: a responder could not reply. [P-56] [P-62]
TEST(guard, what_belongs_to_a_call_is_allowed_with_it)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may call bank");
    peer *shop = world_join_service(w, "shop", "");
    peer *bank = world_join_service(w, "bank", "");
    uint64_t number = peer_call(shop, bank, "bank", 1);
    peer_inquire(bank, number, 1, 0);
    world_settle(w);
    peer_expect(shop, PHI_KIND_INQUIRY, 1, "??");
    peer_answer(shop, 1, 1, "pin");
    world_settle(w);
    peer_expect(bank, PHI_KIND_ANSWER, number, "pin");
    peer_reply(bank, number, "paid");
    world_settle(w);
    peer_expect(shop, PHI_KIND_REPLY, 1, "paid");
    number = peer_call(shop, bank, "bank", 2);
    peer_cancel(shop, 2);
    world_settle(w);
    peer_expect_cancel(bank, number, PH_FAILURE_CANCELLED);
    peer_expect_failure(shop, 2, PH_FAILURE_CANCELLED);
    world_free(w);
}

// Events to one, to the instances of a service, and to everybody: those who may get it do, and the
// receipt tells of nobody else.
TEST(guard, events_reach_whom_they_may)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may send stock-*", "shop may_not send stock-3",
                 "* may register service:*");
    peer *shop = world_join_service(w, "shop", "");
    peer *one = world_join_service(w, "stock-1", "stock");
    peer *two = world_join_service(w, "stock-2", "stock");
    peer *three = world_join_service(w, "stock-3", "stock");
    peer *bank = world_join_service(w, "bank", "bank");
    say(shop, "stock-1", "", 1);
    expect_receipt(shop, 1, 0, 0);
    say(shop, "all:stock", "", 2);
    expect_receipt(shop, 2, 0, 0);
    say(shop, "all:", "", 3);
    expect_receipt(shop, 2, 0, 0);
    say(shop, "stock-3", "", 4);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    say(shop, "all:bank", "", 5);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    say(bank, "all:", "", 6);
    expect_receipt(bank, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    for (int i = 0; i < 3; i++) {
        EXPECT(peer_next(one) != NULL);
        EXPECT(i == 0 || peer_next(two) != NULL);
    }
    EXPECT(peer_next(one) == NULL);
    EXPECT(peer_next(two) == NULL);
    EXPECT(peer_next(three) == NULL);
    EXPECT(peer_next(bank) == NULL);
    world_free(w);
}

// A question to all instances goes to those who may be asked, and its summary names no other.
// [P-65]
TEST(guard, gathers_ask_whom_they_may)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may call service:stock", "shop may_not call stock-3",
                 "* may register service:*");
    peer *shop = world_join_service(w, "shop", "");
    peer *one = world_join_service(w, "stock-1", "stock");
    peer *two = world_join_service(w, "stock-2", "stock");
    peer *three = world_join_service(w, "stock-3", "stock");
    world_join_service(w, "bank", "bank");
    ask(shop, "all:stock", "count", 1);
    peer_reply(one, peer_next(one)->call, "1");
    peer_failure(two, peer_next(two)->call, PH_FAILURE_NO_HANDLER);
    EXPECT(peer_next(three) == NULL);
    world_settle(w);
    EXPECT(peer_next(shop) != NULL); // two parts, in whatever order
    EXPECT(peer_next(shop) != NULL);
    const phi_message *end = peer_next(shop);
    phi_gathered all;
    EXPECT_ERR(phi_gathered_decode(end->body, &all), PH_OK);
    EXPECT_EQ(all.asked, 2);
    EXPECT_EQ(all.replied, 1);
    EXPECT_EQ(all.count, 1);
    peer_leave(one);
    peer_leave(two);
    world_settle(w);
    ask(shop, "all:stock", "count", 2); // one is there, whom it may not ask
    peer_expect_failure(shop, 2, PH_FAILURE_NO_READY_INSTANCE);
    ask(shop, "all:bank", "count", 3);
    peer_expect_failure(shop, 3, PH_FAILURE_REFUSED_BY_POLICY);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// What was found out about one receiver must never be taken for another: so many come and go, about
// half of whom may be sent to, that there are fewer places to remember it.
TEST(guard, verdicts_of_receivers_are_not_mixed_up)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may send a*");
    peer *shop = world_join_service(w, "shop", "");
    for (uint32_t i = 0; i < GUARD_CELLS + GUARD_CELLS / 4; i++) {
        bool may = phi_random_chance(&w->random, 50);
        peer *p = world_join_service(w, may ? "a1" : "b1", "");
        for (uint64_t again = 0; again < 2; again++) { // found out, and remembered
            say(shop, may ? "a1" : "b1", "", 1 + again);
            expect_receipt(shop, may, 0, may ? 0 : PH_FAILURE_REFUSED_BY_POLICY);
        }
        peer_leave(p);
        world_settle(w);
        world_forget(w, p);
        world_pass(w, 1);
    }
    world_free(w);
}

// ---- nothing is given away

// Who may not write to somebody must not find out whether he is there: every question gets the same
// answer before he comes, while he is there, and after he has left. [P-58]
TEST(guard, refusals_do_not_tell_who_is_there)
{
    static const char *const addresses[] = { "hidden", "hidden@d", "service:vault", "all:vault",
                                             "all:" };
    world *w = world_new(NULL);
    WORLD_SECURE(w, "spy may call friend", "spy may send friend", "* may register service:*");
    peer *spy = world_join_service(w, "spy", "");
    for (int stage = 0; stage < 3; stage++) {
        peer *hidden = stage == 1 ? world_join_service(w, "hidden", "vault") : NULL;
        for (size_t i = 0; i < PHI_COUNT_OF(addresses); i++) {
            bool is_event_only = strcmp(addresses[i], "all:") == 0;
            if (!is_event_only) {
                ask(spy, addresses[i], "get", 10 + i);
                peer_expect_failure(spy, 10 + i, PH_FAILURE_REFUSED_BY_POLICY);
            }
            say(spy, addresses[i], "", 20 + i);
            expect_receipt(spy, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
        }
        EXPECT_EQ(drain(spy, "hidden"), PH_FAILURE_REFUSED_BY_POLICY);
        if (hidden != NULL) {
            EXPECT(peer_next(hidden) == NULL);
            peer_leave(hidden);
            world_settle(w);
        }
    }
    // Of whom it may call, it hears that he is not there.
    ask(spy, "friend", "get", 30);
    peer_expect_failure(spy, 30, PH_FAILURE_NO_SUCH_ACCOUNT);
    say(spy, "friend", "", 31);
    expect_receipt(spy, 0, 0, PH_FAILURE_NO_SUCH_ACCOUNT);
    world_free(w);
}

static void few_calls(center_options *options)
{
    options->calls_per_client_max = 1;
}

// Nor by what is in the way besides: a number that is in use, or as many calls as it may have open,
// must not be told of who is there, and policy of who is not. [P-58]
TEST(guard, refusals_of_who_has_calls_open_tell_no_more)
{
    static const char *const addresses[] = { "hidden", "service:vault", "all:vault" };
    world *w = world_new(few_calls);
    WORLD_SECURE(w, "spy may call friend", "* may register service:*");
    peer *spy = world_join_service(w, "spy", "");
    peer *friend = world_join_service(w, "friend", "");
    ask(spy, "friend", "get", 1);
    ask(spy, "friend", "get", 2); // now its limit is reached
    peer_expect_failure(spy, 2, PH_FAILURE_TOO_MANY_CALLS);
    EXPECT(peer_next(friend) != NULL);
    for (int stage = 0; stage < 2; stage++) {
        if (stage == 1) {
            world_join_service(w, "hidden", "vault");
        }
        for (size_t i = 0; i < PHI_COUNT_OF(addresses); i++) {
            for (uint64_t number = 1; number <= 2; number++) {
                ask(spy, addresses[i], "get", number);
                peer_expect_failure(spy, number, PH_FAILURE_REFUSED_BY_POLICY);
            }
        }
    }
    world_free(w);
}

// ---- topics

// What somebody publishes reaches those who subscribed and may; who may not publish it hears so,
// whether anybody listens or not. [P-73]
TEST(guard, topics_are_judged_at_both_ends)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may publish orders.>", "shop may_not publish orders.secret",
                 "* may subscribe orders.*", "spy may_not subscribe orders.paid");
    peer *shop = world_join_service(w, "shop", "");
    peer *desk = world_join_service(w, "desk", "");
    peer *spy = world_join_service(w, "spy", "");
    say(shop, "topic:cash", "", 1);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(subscribe(desk, "orders.*"), 0);
    EXPECT_EQ(subscribe(desk, "orders.>"), 1);
    EXPECT_EQ(subscribe(desk, ">"), 1);
    EXPECT_EQ(subscribe(spy, "orders.paid"), 1);
    EXPECT_EQ(subscribe(spy, "orders.*"), 1); // it would bring what it may not have
    EXPECT_EQ(subscribe(spy, "orders.new"), 0);
    say(shop, "topic:orders.new", "", 2);
    expect_receipt(shop, 2, 0, 0);
    say(shop, "topic:orders.paid", "", 3);
    expect_receipt(shop, 1, 0, 0);
    say(shop, "topic:orders.secret", "", 4);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    say(desk, "topic:orders.new", "", 5);
    expect_receipt(desk, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(world_count(w).subscriptions_refused_total, 4);
    world_free(w);
}

// Of those whom events on a topic are for, each is judged, however often it was told before: one
// who may beside one who may not, a publisher who may behind one who may not, and with other rules,
// by which others may. [P-73]
TEST(guard, who_is_known_from_the_event_before_is_judged)
{
    world *w = world_new(NULL);
    peer *shop = world_join_service(w, "shop", "");
    peer *thief = world_join_service(w, "thief", "");
    peer *readers[6];
    for (size_t i = 0; i < PHI_COUNT_OF(readers); i++) {
        char name[] = { i % 2 == 0 ? 'e' : 'o', (char)('0' + i), 0 };
        readers[i] = world_join_service(w, name, "");
        EXPECT_EQ(subscribe(readers[i], "orders.new"), 0);
    }
    uint64_t number = 1;
    for (int rules = 0; rules < 4; rules++) {
        bool is_for_even = rules % 2 == 0;
        WORLD_SECURE(w, "shop may publish orders.*",
                     is_for_even ? "e* may subscribe orders.*" : "o* may subscribe orders.*");
        uint64_t matched = world_count(w).topics_matched_total;
        for (int i = 0; i < 3; i++) {
            say(thief, "topic:orders.new", "", number);
            expect_receipt(thief, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
            peer_event(thief, "topic:orders.new", "t"); // the short way, too
            peer_event(shop, "topic:orders.new", "s");
            world_settle(w);
            say(shop, "topic:orders.new", "", number++);
            expect_receipt(shop, 3, 0, 0);
        }
        for (size_t k = 0; k < PHI_COUNT_OF(readers); k++) {
            for (int i = 0; i < 6 && (k % 2 == 0) == is_for_even; i++) {
                const phi_message *m = peer_next(readers[k]);
                assert_non_null(m);
                EXPECT(!phi_bytes_equal(m->body, phi_bytes_text("t")));
            }
            EXPECT(peer_next(readers[k]) == NULL);
        }
        EXPECT(world_count(w).topics_matched_total <= matched + 1);
    }
    EXPECT_EQ(world_count(w).refused_by_policy_total, 4 * 3 * 2);
    world_free(w);
}

// ---- other rules, while they are there

// Rights come and go with the rules, for those who are there, and for subscriptions that they have;
// a call that was allowed goes on to its end.
TEST(guard, other_rules_count_at_once)
{
    world *w = world_new(NULL);
    peer *shop = world_join_service(w, "shop", "");
    peer *bank = world_join_service(w, "bank", "");
    EXPECT_EQ(subscribe(bank, "orders.*"), 0);
    uint64_t number = peer_call(shop, bank, "bank", 1);
    say(shop, "topic:orders.new", "", 2);
    expect_receipt(shop, 1, 0, 0);
    EXPECT(peer_next(bank) != NULL);

    WORLD_SECURE(w, "shop may publish orders.*"); // and nothing else
    ask(shop, "bank", "pay", 3);
    peer_expect_failure(shop, 3, PH_FAILURE_REFUSED_BY_POLICY);
    say(shop, "topic:orders.new", "", 4);
    expect_receipt(shop, 0, 0, 0); // the subscription is there, and brings nothing
    peer_reply(bank, number, "late");
    world_settle(w);
    peer_expect(shop, PHI_KIND_REPLY, 1, "late");

    WORLD_SECURE(w, "shop may publish orders.*", "bank may subscribe orders.*",
                 "shop may call bank");
    ask(shop, "bank", "pay", 5);
    expect_asked(shop, bank, 5);
    say(shop, "topic:orders.new", "", 6);
    expect_receipt(shop, 1, 0, 0);
    EXPECT(peer_next(bank) != NULL);

    WORLD_SECURE(w, NULL);
    ask(bank, "shop", "anything", 7);
    expect_asked(bank, shop, 7);
    center_check(w->c);
    world_free(w);
}

// Who is from elsewhere and has proved who it is may do nothing as long as there are no rules: a
// TLS listener that was opened, and rules forgotten, must not open everything.
TEST(guard, remote_without_rules_may_do_nothing)
{
    world *w = world_new(NULL);
    peer *bank = world_join_service(w, "bank", "");
    EXPECT_EQ(subscribe(bank, "news"), 0);
    world_from_far(w, "shop");
    peer *shop = world_join(w, "shop");
    ask(shop, "bank", "pay", 1);
    peer_expect_failure(shop, 1, PH_FAILURE_REFUSED_BY_POLICY);
    ask(shop, "nobody", "pay", 2);
    peer_expect_failure(shop, 2, PH_FAILURE_REFUSED_BY_POLICY);
    say(shop, "bank", "", 3);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    say(shop, "topic:news", "", 4);
    expect_receipt(shop, 0, 0, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(subscribe(shop, "news"), 1);
    EXPECT_EQ(drain(shop, "bank"), PH_FAILURE_REFUSED_BY_POLICY);
    peer_ask(shop, &(phi_presence_ask){ .wants = true });
    world_settle(w);
    EXPECT_EQ(shop->table_count, 1); // itself
    // Others may call it, and it may reply.
    ask(bank, "shop", "offer", 5);
    expect_asked(bank, shop, 5);
    say(bank, "topic:news", "", 6);
    expect_receipt(bank, 1, 0, 0);
    world_free(w);
}

// Rules that were written anew and say the same change nothing: nobody gets a list again because a
// certificate was renewed.
TEST(guard, same_rules_again_change_nothing)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "* may see *", "* may send *");
    peer *a = world_watch(w, "a");
    EXPECT_EQ(a->lists, 1);
    uint64_t generation = w->c->guard.generation;
    WORLD_SECURE(w, "* may see *", "* may send *");
    world_settle(w);
    EXPECT_EQ(w->c->guard.generation, generation);
    EXPECT_EQ(a->lists, 1);
    WORLD_SECURE(w, "* may see *", "* may call *"); // others, but not of what is seen
    world_settle(w);
    EXPECT(w->c->guard.generation > generation);
    EXPECT_EQ(a->lists, 1);
    world_free(w);
}

// ---- who may stay

// Who may no longer be who it is, or is no longer believed, is put out and told why; others notice
// nothing.
TEST(guard, those_who_may_not_stay_are_put_out)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "shop may register till", "shop may register service:tills");
    world_listen_as(w, CENTER_LISTENER_TLS);
    world_from_far(w, "shop");
    peer *till = world_join(w, "till");
    peer *tills = world_join_service(w, "shop-0001", "tills");
    peer *shop = world_join_service(w, "shop", "shop");
    world_from_far(w, "bank");
    peer *bank = world_join(w, "bank");
    w->distrusted = "bank";
    WORLD_SECURE(w, "shop may register service:tills");
    world_settle(w);
    peer_expect_bye(till, PHI_BYE_NOT_AUTHORISED);
    EXPECT(phi_bytes_equal(till->end.text,
                           phi_bytes_text("principal 'shop' may not use account 'till'")));
    peer_expect_bye(bank, PHI_BYE_NOT_AUTHORISED);
    EXPECT(phi_bytes_equal(bank->end.text, phi_bytes_text("its certificate has been revoked")));
    EXPECT(!tills->is_ended);
    EXPECT(!shop->is_ended);
    EXPECT_EQ(world_count(w).identities_revoked_total, 2);
    EXPECT(world_logged(w, "CE0012"));
    WORLD_SECURE(w, "nobody may call *");
    world_settle(w);
    peer_expect_bye(tills, PHI_BYE_NOT_AUTHORISED);
    EXPECT(!shop->is_ended);
    world_free(w);
}

// A user of this machine whom the configuration now calls somebody else is that, with what he may
// do, or goes.
TEST(guard, users_are_looked_up_again)
{
    static const center_user users[] = { { .uid = 7, .principal = { (const uint8_t *)"shop", 4 } },
                                         { .uid = 8,
                                           .principal = { (const uint8_t *)"shop", 4 } } };
    static const center_user changed[] = {
        { .uid = 7, .principal = { (const uint8_t *)"bank", 4 } },
        { .uid = 8, .principal = { (const uint8_t *)"bank", 4 } },
    };
    world *w = world_new(NULL);
    w->security.users = users;
    w->security.user_count = 2;
    WORLD_SECURE(w, "shop may call *", "bank may register lent");
    peer *other = world_join_service(w, "other", "");
    w->who.has_user = true;
    w->who.uid = 7;
    peer *goes = world_join_service(w, "shop", "");
    w->who.uid = 8;
    peer *stays = world_join_service(w, "", "");
    ask(stays, "other", "x", 1);
    expect_asked(stays, other, 1);
    w->security.users = changed;
    WORLD_SECURE(w, "shop may call *", "bank may register shop-*");
    world_settle(w);
    peer_expect_bye(goes, PHI_BYE_NOT_AUTHORISED);
    EXPECT(!stays->is_ended);
    ask(stays, "other", "x", 2);
    peer_expect_failure(stays, 2, PH_FAILURE_REFUSED_BY_POLICY);
    world_free(w);
}

// A name that was made up for somebody is his, and nobody else's: who proves later that he is
// another may not keep it, or could act under the name of the first. [P-76]
TEST(guard, made_up_account_goes_with_who_it_was_made_up_for)
{
    static const center_user one[] = { { .uid = 7, .principal = { (const uint8_t *)"shop", 4 } } };
    static const center_user two[] = { { .uid = 7, .principal = { (const uint8_t *)"bank", 4 } } };
    world *w = world_new(NULL);
    w->security.users = one;
    w->security.user_count = 1;
    WORLD_SECURE(w, NULL);
    w->who.has_user = true;
    w->who.uid = 7;
    peer *shop = world_join(w, "");
    WORLD_SECURE(w, NULL);
    world_settle(w);
    EXPECT(!shop->is_ended);
    w->security.users = two;
    WORLD_SECURE(w, NULL);
    world_settle(w);
    peer_expect_bye(shop, PHI_BYE_NOT_AUTHORISED);
    world_free(w);
}

// Of a service's name that is too long for a principal, who proves nothing is what fits: at its
// JOIN and at every review, or a change of the rules would put out who was let in. [P-35] [P-77]
TEST(guard, unproved_instance_of_a_long_service_stays)
{
    char longest[PHI_NAME_BYTES_MAX + 1] = "";
    memset(longest, 's', PHI_NAME_BYTES_MAX);
    world *w = world_new(NULL);
    WORLD_SECURE(w, "other may see *");
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .service = phi_bytes_text(longest) };
    peer *p = world_connect_as(w, &join);
    world_settle(w);
    EXPECT(p->is_open);
    EXPECT_EQ(strlen(p->id), PHI_PRINCIPAL_BYTES_MAX + strlen("-7f3a@d"));
    WORLD_SECURE(w, "other may see stock");
    world_settle(w);
    EXPECT(!w->c->is_reviewing);
    EXPECT(!p->is_ended);
    world_free(w);
}

// Ten thousand are not judged in one turn, or a turn would take seconds.
TEST(guard, reviews_are_made_in_shares)
{
    world *w = world_new(NULL);
    world_from_far(w, "shop");
    for (int i = 0; i < 100; i++) {
        world_join(w, "");
    }
    WORLD_SECURE(w, "nobody may call *");
    EXPECT(w->c->is_reviewing);
    for (int i = 0; i < 3; i++) {
        world_turn(w);
        EXPECT(w->c->is_reviewing);
    }
    world_turn(w);
    world_turn(w);
    EXPECT(!w->c->is_reviewing);
    world_free(w);
}

// ---- presence

// A watcher is shown those whom it may see, and itself, in the list and in what changes; nobody
// else's coming and going moves it.
TEST(guard, watchers_see_whom_they_may)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "desk may see stock-*", "all may see *", "* may register service:*");
    peer *all = world_watch(w, "all");
    peer *desk = world_watch(w, "desk");
    peer *none = world_watch(w, "none");
    peer *one = world_join_service(w, "stock-1", "stock");
    peer *bank = world_join_service(w, "bank", "bank");
    world_settle(w);
    EXPECT_EQ(all->table_count, 5);
    EXPECT_EQ(desk->table_count, 2);
    EXPECT_EQ(none->table_count, 1);
    EXPECT(peer_find(desk, "stock-1@d") != NULL);
    EXPECT(peer_find(desk, "desk@d") != NULL);
    EXPECT(peer_find(none, "none@d") != NULL);
    size_t statuses = none->statuses;
    peer_own_state(bank, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_settle(w);
    EXPECT_EQ(none->statuses, statuses);
    peer_own_state(desk, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_settle(w);
    EXPECT_EQ(peer_find(desk, "desk@d")->state, PHI_STATE_DRAINING);
    EXPECT_EQ(none->statuses, statuses);
    peer_own_state(none, &(phi_own_state){ .state = PHI_STATE_STARTING });
    world_settle(w);
    EXPECT_EQ(peer_find(none, "none@d")->state, PHI_STATE_STARTING);
    peer_leave(one);
    peer_leave(bank);
    world_settle(w);
    EXPECT_EQ(all->table_count, 3);
    EXPECT_EQ(desk->table_count, 1);
    EXPECT_EQ(none->table_count, 1);
    center_check(w->c);
    world_free(w);
}

// Who still is to be told of a change when its own line changes, must hear of both: what it was not
// told is not forgotten for what it alone sees. [P-44]
TEST(guard, own_line_changes_before_the_rest_is_told)
{
    enum { WATCHERS = 100 };
    PH_STATIC_ASSERT(WATCHERS > CENTER_PRESENCE_TURN_WATCHERS_MAX);
    world *w = world_new(NULL);
    WORLD_SECURE(w, "* may see stock-*", "* may register service:*");
    peer *stock = world_join_service(w, "stock-1", "stock");
    peer *watchers[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i] = world_watch(w, "");
    }
    world_pass(w, 60); // nothing is gathered
    peer_own_state(stock, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_turn(w); // some are told
    for (size_t i = 0; i < WATCHERS; i++) {
        peer_own_state(watchers[i], &(phi_own_state){ .state = PHI_STATE_STARTING });
    }
    world_settle(w);
    for (size_t i = 0; i < WATCHERS; i++) {
        EXPECT_EQ(peer_find(watchers[i], "stock-1@d")->state, PHI_STATE_DRAINING);
        EXPECT_EQ(peer_find(watchers[i], watchers[i]->id)->state, PHI_STATE_STARTING);
    }
    center_check(w->c);
    world_free(w);
}

// The same with a filter, which a right to see does not widen: one that wants a service, and is an
// instance itself, sees itself.
TEST(guard, filters_hold_for_what_is_seen)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "desk may see *", "* may register service:*");
    peer *desk = world_join_service(w, "desk", "");
    peer *stock = world_join_service(w, "stock-1", "stock");
    const phi_presence_ask wanted = { .wants = true, .service = phi_bytes_text("stock") };
    peer_ask(desk, &wanted);
    peer_ask(stock, &wanted);
    world_join_service(w, "stock-2", "stock");
    world_join_service(w, "bank", "bank");
    world_settle(w);
    EXPECT_EQ(desk->table_count, 2);
    EXPECT_EQ(stock->table_count, 1);
    EXPECT(peer_find(stock, "stock-1@d") != NULL);
    peer_own_state(stock, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_settle(w);
    EXPECT_EQ(peer_find(stock, "stock-1@d")->state, PHI_STATE_DRAINING);
    EXPECT_EQ(peer_find(desk, "stock-1@d")->state, PHI_STATE_DRAINING);
    world_free(w);
}

// When the rules show a watcher something else, it is sent the list, and nothing in between that it
// may not see any more; one whom they show the same goes on.
TEST(guard, other_rules_show_something_else)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "desk may see *", "same may see *");
    peer *desk = world_watch(w, "desk");
    peer *same = world_watch(w, "same");
    peer *bank = world_join_service(w, "bank", "");
    EXPECT_EQ(desk->table_count, 3);
    WORLD_SECURE(w, "desk may see shop", "same may see *");
    peer_own_state(bank, &(phi_own_state){ .state = PHI_STATE_DRAINING }); // in the same turn
    world_settle(w);
    EXPECT_EQ(desk->lists, 2);
    EXPECT_EQ(same->lists, 1);
    EXPECT_EQ(desk->table_count, 1);
    EXPECT_EQ(same->table_count, 3);
    EXPECT_EQ(peer_find(same, "bank@d")->state, PHI_STATE_DRAINING);
    world_join_service(w, "shop", "");
    world_settle(w);
    EXPECT_EQ(desk->table_count, 2);
    EXPECT_EQ(same->table_count, 4);
    WORLD_SECURE(w, NULL);
    world_settle(w);
    world_expect_converged(w, desk);
    world_expect_converged(w, same);
    center_check(w->c);
    world_free(w);
}

// A drain waits for those who see the account and for nobody else, also when rules change under it:
// it would wait for its whole patience for somebody who is never told. [P-69]
TEST(guard, drain_waits_for_those_who_see_it)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "oper may drain victim", "seer may see *");
    peer *oper = world_join_service(w, "oper", "");
    world_watch(w, "seer");
    world_watch(w, "blind");
    world_join_service(w, "victim", "");
    world_join_service(w, "other", "");
    EXPECT_EQ(drain(oper, "other"), PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(drain(oper, "nobody"), PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_EQ(drain(oper, "victim"), 0);
    world_free(w);
}

static void little_room(center_options *o)
{
    o->send_buffer_max = 131072;
}

// A watcher that does not read is not told of other rules before it has room, and shows meanwhile
// what it was told: a drain must wait for it, whether it was asked for before the rules changed or
// after, and until it is known that it does not see the account. [P-69] [P-80]
TEST(guard, drain_waits_for_those_who_are_told_late_of_other_rules)
{
    for (int i = 0; i < 4; i++) {
        bool is_first = i % 2 == 0;
        bool sees = i < 2;
        world *w = world_new(little_room);
        WORLD_SECURE(w, "oper may drain *", "* may see *", "other may send *");
        peer *oper = world_join_service(w, "oper", "");
        peer *slow = world_watch(w, "slow");
        world_join_service(w, "victim", "");
        world_settle(w);
        peer_fill_up(slow, world_join_service(w, "other", ""));
        world_join_service(w, "new", ""); // there is no room to tell it of that
        if (is_first) {
            say_drain(oper, "victim", 1000);
        }
        WORLD_SECURE(w, "oper may drain *", sees ? "slow may see *" : "slow may see nobody");
        if (!is_first) {
            say_drain(oper, "victim", 1000);
        }
        world_settle(w);
        EXPECT(peer_next(oper) == NULL);
        slow->reads_max = SIZE_MAX;
        world_settle(w);
        const phi_message *m = peer_next(oper);
        EXPECT(m != NULL && m->kind == PHI_KIND_REPLY && m->body.data[0] == 1);
        const line *known = peer_find(slow, "victim@d");
        EXPECT(sees ? known->state == PHI_STATE_DRAINING : known == NULL);
        center_check(w->c);
        world_free(w);
    }
}

// Whoever gets no role for want of memory may do nothing, and nothing of it leaks: the n-th
// allocation fails, for every n.
TEST(guard, without_memory_nobody_may_more)
{
    for (size_t n = 1; n < 400; n++) {
        world *w = world_new(NULL);
        w->alloc.fail_at = w->alloc.takes + n;
        WORLD_SECURE(w, "shop may call bank", "shop may subscribe news", "shop may see bank");
        world_from_far(w, "shop");
        peer *shop = world_connect(w, "shop");
        peer *bank = world_connect(w, "bank-1");
        shop->join.presence.wants = true;
        world_settle(w);
        if (shop->is_open && !shop->is_ended) {
            peer_request(shop, "hidden", 1, 1000);
            world_settle(w);
        }
        EXPECT(!bank->is_open);
        const phi_message *m = shop->is_open ? peer_next(shop) : NULL;
        EXPECT(m == NULL || phi_get_u16(m->body.data) != PH_FAILURE_NO_SUCH_ACCOUNT);
        bool is_done = w->alloc.takes < w->alloc.fail_at;
        world_free(w);
        if (is_done) {
            return;
        }
    }
    fail_msg("the story does not end");
}

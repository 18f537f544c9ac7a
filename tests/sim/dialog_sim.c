// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/dialog_sim.c - dialogs in virtual time, told to the microsecond: production center and
// production clients. [P-57], [P-62], [P-63], [P-65]
//
// One way, from a client to the center or back, takes 5 ms. Alice calls; Bob is called, and asks
// back; Carol is there for more than that.

#include <string.h>

#include <posthouse/state.h>

#include "sim/dialog.h"
#include "tests/sim/sim_test.h"

#define WAY_US 5000u
#define ALICE 0
#define BOB 1
#define CAROL 2

typedef struct story {
    domain *d;
    actor *alice;
    actor *bob;
    actor *carol;
    phi_time begin;
    call_record *call;
    ask_record *ask;
} story;

static story story_begin_with(uint32_t actors, bool is_alice_deaf)
{
    domain_options options = {
        .seed = 1,
        .path = { .delay = phi_us(WAY_US) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    domain *d = domain_new(&options);
    for (uint32_t i = 0; i < actors; i++) {
        d->actors[i].manner = MANNER_HOLD;
        d->actors[i].asked_manner = MANNER_HOLD;
    }
    d->actors[ALICE].is_deaf = is_alice_deaf;
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    return (story){ .d = d,
                    .alice = &d->actors[ALICE],
                    .bob = &d->actors[BOB],
                    .carol = &d->actors[CAROL],
                    .begin = sim_now(d->s) };
}

static story story_begin(void)
{
    return story_begin_with(3, false);
}

static void story_end(story *t)
{
    char fault[sizeof t->d->fault];
    domain_free(&t->d, fault);
    EXPECT_TEXT(fault, "");
}

static uint64_t us_of(const story *t, phi_time at)
{
    return phi_dur_us(phi_time_diff(at, t->begin));
}

// Up to just so many microseconds after the beginning.
static void run_to(story *t, uint64_t us)
{
    uint64_t now = us_of(t, sim_now(t->d->s));
    EXPECT(us >= now);
    sim_run_for(t->d->s, phi_us(us - now));
}

// What is done is seen one microsecond before, and when it has happened.
typedef struct moment {
    unsigned ways; // after the beginning
    bool (*has_happened)(const story *t);
    void (*then)(story *t); // what its one does at that moment; may be NULL
} moment;

static void tell(story *t, const moment *moments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t at = moments[i].ways * WAY_US;
        run_to(t, at - 1);
        EXPECT(!moments[i].has_happened(t));
        run_to(t, at);
        EXPECT(moments[i].has_happened(t));
        if (moments[i].then != NULL) {
            moments[i].then(t);
        }
    }
}

static center_counters counted(const story *t)
{
    return domain_count(t->d);
}

// ---- moments

static bool center_has_request(const story *t)
{
    return counted(t).requests_total == 1 && counted(t).calls == 1;
}

static bool bob_has_request(const story *t)
{
    return t->bob->requests == 1;
}

static bool center_has_inquiry(const story *t)
{
    return counted(t).inquiries_total == 1 && counted(t).inquiries == 1;
}

static bool alice_has_inquiry(const story *t)
{
    return t->alice->inquiries == 1;
}

static bool center_has_answer(const story *t)
{
    return counted(t).inquiries_answered_total == 1;
}

static bool bob_has_answer(const story *t)
{
    return t->ask->ends == 1;
}

static bool center_has_reply(const story *t)
{
    return counted(t).calls_replied_total == 1;
}

static bool alice_has_reply(const story *t)
{
    return t->call->ends == 1;
}

static void alice_calls(story *t)
{
    t->call = actor_call_actor(t->alice, t->bob, 10000);
    EXPECT(t->call != NULL);
}

static void bob_asks(story *t)
{
    t->ask = actor_ask(t->bob, actor_held(t->bob), 0, NULL);
    EXPECT(t->ask != NULL);
}

static void alice_answers(story *t)
{
    EXPECT_ERR(actor_reply(t->alice, actor_held(t->alice)), PH_OK);
}

static void bob_replies(story *t)
{
    EXPECT_ERR(actor_reply(t->bob, actor_held(t->bob)), PH_OK);
}

// ---- the paper's figures

// Figure 4: a request and its reply through the center, four ways. [P-56]
CENTER_TEST(dialog, figure_4_request_and_reply)
{
    story t = story_begin();
    alice_calls(&t);
    const moment moments[] = {
        { 1, center_has_request, NULL },
        { 2, bob_has_request, bob_replies },
        { 3, center_has_reply, NULL },
        { 4, alice_has_reply, NULL },
    };
    tell(&t, moments, PHI_COUNT_OF(moments));
    EXPECT_ERR(t.call->status, PH_OK);
    EXPECT_EQ(us_of(&t, t.call->ended), 4 * WAY_US);
    story_end(&t);
}

// Figure 5: the responder asks its caller back before it replies, inside the one call: four ways
// more, and nothing else. [P-62]
CENTER_TEST(dialog, figure_5_inquiry_inside_the_call)
{
    story t = story_begin();
    alice_calls(&t);
    const moment moments[] = {
        { 1, center_has_request, NULL }, //
        { 2, bob_has_request, bob_asks },
        { 3, center_has_inquiry, NULL },
        { 4, alice_has_inquiry, alice_answers },
        { 5, center_has_answer, NULL },
        { 6, bob_has_answer, bob_replies },
        { 7, center_has_reply, NULL },
        { 8, alice_has_reply, NULL },
    };
    tell(&t, moments, PHI_COUNT_OF(moments));
    EXPECT_ERR(t.ask->status, PH_OK);
    EXPECT_ERR(t.call->status, PH_OK);
    EXPECT_EQ(us_of(&t, t.ask->ended), 6 * WAY_US);
    EXPECT_EQ(us_of(&t, t.call->ended), 8 * WAY_US);
    EXPECT_EQ(counted(&t).messages_sent_total, 4);
    story_end(&t);
}

// ---- when it does not go like that

// Alice has called, Bob has asked, and Alice has been asked: 20 ms.
static story story_of_question(uint32_t timeout_ms)
{
    story t = story_begin();
    t.call = actor_call_actor(t.alice, t.bob, timeout_ms);
    EXPECT(t.call != NULL);
    run_to(&t, 2 * WAY_US);
    bob_asks(&t);
    run_to(&t, 4 * WAY_US);
    EXPECT_EQ(t.alice->inquiries, 1);
    return t;
}

static void expect_ask_over(const story *t, ph_err status, uint16_t code, uint64_t us)
{
    EXPECT_EQ(t->ask->ends, 1);
    EXPECT_ERR(t->ask->status, status);
    EXPECT_EQ(t->ask->code, code);
    EXPECT_EQ(us_of(t, t->ask->ended), us);
}

// The caller's process dies while it is asked: two ways later the responder knows, by one cancel
// that says why; its inquiry has ended before. [P-57]
CENTER_TEST(dialog, caller_gone_during_an_inquiry)
{
    story t = story_of_question(10000);
    actor_kill(t.alice);
    run_to(&t, 6 * WAY_US - 1);
    EXPECT_EQ(t.bob->cancels, 0);
    EXPECT_EQ(t.ask->ends, 0);
    run_to(&t, 6 * WAY_US);
    EXPECT_EQ(t.bob->cancels, 1);
    EXPECT_EQ(t.bob->cancel_code, PH_FAILURE_CALLER_LOST);
    expect_ask_over(&t, PH_ECANCELLED, PH_FAILURE_CALLER_LOST, 6 * WAY_US);
    EXPECT_EQ(counted(&t).calls, 0);
    story_end(&t);
}

// The caller changes its mind while it is asked: the same, with the other reason. [P-57]
CENTER_TEST(dialog, caller_cancels_during_an_inquiry)
{
    story t = story_of_question(10000);
    EXPECT_ERR(ph_client_cancel(t.alice->client, t.call->id), PH_OK);
    run_to(&t, 6 * WAY_US);
    EXPECT_EQ(t.bob->cancel_code, PH_FAILURE_CANCELLED);
    expect_ask_over(&t, PH_ECANCELLED, PH_FAILURE_CANCELLED, 6 * WAY_US);
    EXPECT_ERR(t.call->status, PH_ECANCELLED);
    (void)!actor_reply(t.alice, actor_held(t.alice)); // says so all the same: nobody hears it
    run_to(&t, 100 * WAY_US);
    EXPECT_EQ(t.ask->ends, 1);
    story_end(&t);
}

// The responder's process dies while it waits for the answer: two ways later the caller knows, and
// its answer is nobody's. [P-57]
CENTER_TEST(dialog, responder_gone_during_an_inquiry)
{
    story t = story_of_question(10000);
    actor_kill(t.bob);
    (void)!actor_reply(t.alice, actor_held(t.alice));
    run_to(&t, 6 * WAY_US);
    EXPECT_ERR(t.call->status, PH_EFAILURE);
    EXPECT_EQ(t.call->code, PH_FAILURE_RESPONDER_LOST);
    EXPECT_EQ(us_of(&t, t.call->ended), 6 * WAY_US);
    story_end(&t);
}

// A caller that refuses to answer: its code reaches the responder, which goes on with its work.
// [P-62]
CENTER_TEST(dialog, caller_refuses)
{
    story t = story_begin();
    t.alice->asked_manner = MANNER_FAIL;
    alice_calls(&t);
    run_to(&t, 2 * WAY_US);
    bob_asks(&t);
    run_to(&t, 6 * WAY_US);
    expect_ask_over(&t, PH_EFAILURE, FAILURE_CODE_FIRST + BOB, 6 * WAY_US);
    bob_replies(&t);
    run_to(&t, 8 * WAY_US);
    EXPECT_ERR(t.call->status, PH_OK);
    story_end(&t);
}

// A caller whose program answers no inquiries: its library says so at once, so that the responder
// does not wait for a deadline. [P-58]
CENTER_TEST(dialog, caller_has_no_handler)
{
    story t = story_begin_with(3, true);
    alice_calls(&t);
    run_to(&t, 2 * WAY_US);
    bob_asks(&t);
    run_to(&t, 6 * WAY_US);
    expect_ask_over(&t, PH_EFAILURE, PH_FAILURE_NO_HANDLER, 6 * WAY_US);
    EXPECT_EQ(t.alice->inquiries, 0);
    story_end(&t);
}

// Four questions are open at a time, and a fifth fails at the center, one way there and one back.
// The answers come in any order. [P-62]
CENTER_TEST(dialog, several_inquiries_in_one_call)
{
    story t = story_begin();
    alice_calls(&t);
    run_to(&t, 2 * WAY_US);
    held_request *request = actor_held(t.bob);
    ask_record *asks[5];
    for (size_t i = 0; i < PHI_COUNT_OF(asks); i++) {
        asks[i] = actor_ask(t.bob, request, 0, NULL);
        EXPECT(asks[i] != NULL);
    }
    run_to(&t, 4 * WAY_US);
    EXPECT_EQ(t.alice->inquiries, 4);
    EXPECT_ERR(asks[4]->status, PH_EFAILURE);
    EXPECT_EQ(asks[4]->code, PH_FAILURE_TOO_MANY_CALLS);
    EXPECT_EQ(us_of(&t, asks[4]->ended), 4 * WAY_US);
    for (size_t i = 4; i-- > 0;) {
        EXPECT_ERR(actor_reply(t.alice, &t.alice->held[i]), PH_OK);
        run_to(&t, (4 + 4 - i) * WAY_US);
    }
    run_to(&t, 9 * WAY_US);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_ERR(asks[i]->status, PH_OK);
        EXPECT_EQ(us_of(&t, asks[i]->ended), (6 + 3 - i) * WAY_US);
    }
    story_end(&t);
}

// An inquiry may have less time than its call; then it ends alone, and the call goes on. [P-62]
CENTER_TEST(dialog, inquiry_with_a_time_of_its_own)
{
    story t = story_begin();
    alice_calls(&t);
    run_to(&t, 2 * WAY_US);
    t.ask = actor_ask(t.bob, actor_held(t.bob), 100, NULL);
    run_to(&t, 2 * WAY_US + 100000);
    expect_ask_over(&t, PH_ETIMEDOUT, PH_FAILURE_DEADLINE, 2 * WAY_US + 100000);
    bob_replies(&t);
    run_to(&t, 4 * WAY_US + 100000);
    EXPECT_ERR(t.call->status, PH_OK);
    story_end(&t);
}

// ---- dialogs in dialogs

// Alice and Bob ask each other, each question inside the one before. The fourth is carried, the
// fifth is too deep; then all of them are answered, from the inside out. [P-63]
CENTER_TEST(dialog, four_deep_and_a_fifth)
{
    story t = story_begin();
    alice_calls(&t);
    call_record *calls[5] = { t.call };
    ask_record *asks[5];
    held_request *requests[5];
    held_request *inquiries[5];
    uint64_t at = 0;
    for (unsigned depth = 0; depth < 4; depth++) {
        run_to(&t, at += 2 * WAY_US);
        requests[depth] = &t.bob->held[depth];
        EXPECT_EQ(requests[depth]->id.depth, depth);
        asks[depth] = actor_ask(t.bob, requests[depth], 0, NULL);
        EXPECT(asks[depth] != NULL);
        run_to(&t, at += 2 * WAY_US);
        inquiries[depth] = &t.alice->held[depth];
        EXPECT_EQ(inquiries[depth]->id.depth, depth + 1);
        calls[depth + 1] = actor_call_within(t.alice, inquiries[depth], t.bob, 10000);
        EXPECT(calls[depth + 1] != NULL);
    }
    run_to(&t, at += 2 * WAY_US);
    requests[4] = &t.bob->held[4];
    EXPECT_EQ(requests[4]->id.depth, 4);
    asks[4] = actor_ask(t.bob, requests[4], 0, NULL);
    EXPECT(asks[4] != NULL);
    run_to(&t, at += 2 * WAY_US);
    EXPECT_ERR(asks[4]->status, PH_EFAILURE);
    EXPECT_EQ(asks[4]->code, PH_FAILURE_TOO_DEEP);
    EXPECT_EQ(t.alice->inquiries, 4);
    for (unsigned depth = 5; depth-- > 0;) { // a call that ends answers what it was made within
        EXPECT_ERR(actor_reply(t.bob, requests[depth]), PH_OK);
        run_to(&t, at += 2 * WAY_US);
        EXPECT_ERR(calls[depth]->status, PH_OK);
        EXPECT_EQ(us_of(&t, calls[depth]->ended), at);
        if (depth > 0) {
            run_to(&t, at += 2 * WAY_US);
            EXPECT_ERR(asks[depth - 1]->status, PH_OK);
            EXPECT_EQ(us_of(&t, asks[depth - 1]->ended), at);
        }
    }
    story_end(&t);
}

// There is one deadline over all of it: the call, the inquiry in it, and the call that is made to
// answer that end with it, each when its own end knows; nobody is left waiting. [P-57] [P-62]
CENTER_TEST(dialog, one_deadline_over_the_whole)
{
    story t = story_of_question(100);
    run_to(&t, 4 * WAY_US);
    call_record *inner = actor_call_within(t.alice, actor_held(t.alice), t.carol, 10000);
    EXPECT(inner != NULL);
    run_to(&t, 6 * WAY_US);
    EXPECT_EQ(t.carol->requests, 1);
    // 100 ms less the ways behind it: the times that are told, cut to milliseconds, agree exactly.
    EXPECT_EQ(ph_client_time_left_ms(t.bob->client, actor_held(t.bob)->id), 100 - 20);
    EXPECT_EQ(ph_client_time_left_ms(t.alice->client, actor_held(t.alice)->id), 100 - 30);
    run_to(&t, 100000);
    EXPECT_ERR(t.call->status, PH_ETIMEDOUT);
    EXPECT_EQ(us_of(&t, t.call->ended), 100000);
    EXPECT_ERR(inner->status, PH_ETIMEDOUT);
    EXPECT_EQ(us_of(&t, inner->ended), 100000);
    run_to(&t, 100000 + 2 * WAY_US); // the center's time began one way later, and so on
    EXPECT_EQ(t.bob->cancels, 1);
    EXPECT_EQ(t.ask->ends, 1);
    EXPECT_ERR(t.ask->status, PH_ETIMEDOUT);
    run_to(&t, 100000 + 4 * WAY_US);
    EXPECT_EQ(t.carol->cancels, 1);
    EXPECT_EQ(counted(&t).calls, 0);
    EXPECT_EQ(counted(&t).inquiries, 0);
    story_end(&t);
}

// ---- gathers

// Five instances: two reply, one refuses, one dies, one is silent. The parts come as they are said,
// the summary with the deadline, and it says who did not reply and why. [P-65]
CENTER_TEST(dialog, gather_says_who_did_not_answer)
{
    story t = story_begin_with(16, false); // of which five, besides Alice, are of her service
    actor *a = &t.d->actors[0];
    actor *all[] = { &t.d->actors[3], &t.d->actors[6], &t.d->actors[9], &t.d->actors[12],
                     &t.d->actors[15] };
    all[0]->manner = MANNER_ECHO;
    all[1]->manner = MANNER_FAIL;
    all[2]->manner = MANNER_WORK;
    all[2]->work = MS(50);
    gather_record *g = actor_gather(a, "s0", 0, 200, NULL);
    EXPECT(g != NULL);
    run_to(&t, 4 * WAY_US);
    EXPECT_EQ(g->parts, 2);
    EXPECT_EQ(g->replies, 1);
    actor_kill(all[3]);
    run_to(&t, 4 * WAY_US + 50000 - 1);
    EXPECT_EQ(g->parts, 2);
    run_to(&t, 4 * WAY_US + 50000);
    EXPECT_EQ(g->parts, 3);
    EXPECT_EQ(g->replies, 2);
    run_to(&t, 2 * WAY_US + 200000 - 1);
    EXPECT_EQ(g->ends, 0);
    run_to(&t, 2 * WAY_US + 200000);
    EXPECT_EQ(g->ends, 1);
    EXPECT_ERR(g->status, PH_OK);
    EXPECT_EQ(g->asked, 5);
    EXPECT_EQ(g->missing, 3);
    EXPECT_EQ(all[4]->cancels, 1);
    EXPECT_EQ(all[4]->cancel_code, PH_FAILURE_DEADLINE);
    story_end(&t);
}

// It is over as soon as enough have replied, and the others are told to stop. [P-65]
CENTER_TEST(dialog, gather_of_the_first_two)
{
    story t = story_begin_with(16, false);
    for (uint32_t i = 3; i < 16; i += 3) {
        t.d->actors[i].manner = MANNER_WORK;
        t.d->actors[i].work = phi_ms(10u * i);
    }
    gather_record *g = actor_gather(t.alice, "s0", 2, 10000, NULL);
    EXPECT(g != NULL);
    run_to(&t, 4 * WAY_US + 60000 - 1);
    EXPECT_EQ(g->replies, 1);
    run_to(&t, 4 * WAY_US + 60000);
    EXPECT_EQ(g->ends, 1);
    EXPECT_EQ(g->replies, 2);
    EXPECT_EQ(g->asked, 5);
    EXPECT_EQ(g->missing, 3);
    EXPECT_EQ(t.d->actors[9].cancels, 1);
    EXPECT_EQ(t.d->actors[9].cancel_code, PH_FAILURE_CANCELLED);
    EXPECT_EQ(t.d->actors[6].cancels, 0);
    story_end(&t);
}

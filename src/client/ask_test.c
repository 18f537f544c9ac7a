// SPDX-License-Identifier: Apache-2.0

#include <posthouse/dialog.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

#define CALL UINT64_C(0x700000002a) // a request's number, as a center makes them

// Up, with one request to answer: 500 ms are left of it.
static void stage_up_asked(stage *s, phi_suite suite)
{
    stage_init(s, suite);
    stage_up(s);
    stage_request(s, CALL, "find", "GUINEA");
    EXPECT_TEXT(stage_heard(s), "request 42 find\n");
    stage_forget(s);
}

// A responder that may ask back, and goes on when it has its answer: the whole dialog. [P-62]
TEST(ask, is_answered_and_then_the_request_is)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PAPER);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "ignored";
    out.method = "which";
    out.body = "GN GW";
    out.body_size = 5;
    EXPECT_ERR(ph_client_ask(s.client, s.request, &out, NULL, (ph_reply_fn *)NULL, NULL),
               PH_EINVAL);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_ask(&s, "which", 0, &id), PH_OK);
    EXPECT(id.value != 0);
    stage_settle(&s);
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.kind, PHI_KIND_INQUIRY);
    EXPECT_EQ(m.call, CALL);
    EXPECT(m.turn != 0);
    EXPECT_EQ(m.to.size, 0);
    EXPECT_EQ(m.ttl_ms, 500);
    EXPECT(phi_bytes_equal(m.from, phi_bytes_text("me@home")));
    EXPECT(phi_bytes_equal(m.method, phi_bytes_text("which")));
    stage_answer(&s, CALL, m.turn, "GN");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 GN\n");
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_ENOTFOUND);
    EXPECT_ERR(ph_client_reply(s.client, s.request, "Guinea", 6), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(stage_got(&s, 1).kind, PHI_KIND_REPLY);
    EXPECT_EQ(stage_got(&s, 1).call, CALL);
    EXPECT_EQ(s.client->asks.count, 0);
    EXPECT_EQ(stage_counters(&s).asks, 1);
    EXPECT_EQ(stage_counters(&s).ask_answers, 1);
    stage_fini(&s);
}

// Several inquiries of one call are told apart by their turn, whatever order answers come in.
TEST(ask, several_at_a_time_get_each_its_own_answer)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
    stage_settle(&s);
    uint16_t a = stage_got(&s, 0).turn;
    uint16_t b = stage_got(&s, 1).turn;
    EXPECT(a != b);
    stage_answer(&s, CALL, b, "to b");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 to b\n");
    stage_answer(&s, CALL, a, "to a");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 to a\n");
    stage_fini(&s);
}

// A caller that does not answer is a typed failure to its responder. [P-58] [P-62]
TEST(ask, fails_with_the_callers_reason)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_ERR(stage_ask(&s, "which", 0, NULL), PH_OK);
    }
    stage_settle(&s);
    stage_fail_ask(&s, CALL, stage_got(&s, 0).turn, PH_FAILURE_NO_HANDLER, "no");
    stage_fail_ask(&s, CALL, stage_got(&s, 1).turn, PH_FAILURE_DEADLINE, "late");
    EXPECT_TEXT(stage_heard(&s), "done PH_EFAILURE 18 no\ndone PH_ETIMEDOUT 11\n");
    EXPECT_EQ(stage_counters(&s).ask_failures, 1);
    EXPECT_EQ(stage_counters(&s).ask_timeouts, 1);
    EXPECT_EQ(s.client->asks.count, 1);
    stage_fail_ask(&s, CALL, stage_got(&s, 2).turn, 0, ""); // no code at all: P-58
    EXPECT(strncmp(stage_heard(&s), "done PH_ERESET 0\ndown PH_EPROTO\n", 32) == 0);
    EXPECT_EQ(s.client->asks.count, 0);
    stage_fini(&s);
}

// One deadline over the whole dialog: an inquiry never outlives its request. [P-62]
TEST(ask, ends_with_the_time_of_its_request)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    EXPECT_EQ(ph_client_time_left_ms(s.client, s.request), 500);
    EXPECT_ERR(stage_ask(&s, "which", 60000, NULL), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(stage_got(&s, 0).ttl_ms, 500);
    stage_pass(&s, phi_ms(499));
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(ph_client_time_left_ms(s.client, s.request), 1);
    stage_pass(&s, phi_ms(1));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\n");
    EXPECT_EQ(s.client->asks.count, 0);
    EXPECT_EQ(ph_client_time_left_ms(s.client, s.request), 0);
    EXPECT_ERR(stage_ask(&s, "too late", 0, NULL), PH_ETIMEDOUT);
    stage_fini(&s);
}

// The center takes a turn for in use until it is answered: after we gave it up, too. Were it used
// again at once, the late answer would be taken for that of the new inquiry. [P-51]
TEST(ask, given_up_keeps_its_turn_until_the_late_answer)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    ph_call_id cancelled = { 0 };
    EXPECT_ERR(stage_ask(&s, "short", 100, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "unloved", 0, &cancelled), PH_OK);
    EXPECT_ERR(ph_client_cancel(s.client, cancelled), PH_OK);
    EXPECT_ERR(ph_client_cancel(s.client, cancelled), PH_ENOTFOUND);
    EXPECT_TEXT(stage_heard(&s), ""); // not inside the call
    stage_pass(&s, phi_ms(100));
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\ndone PH_ETIMEDOUT 11\n");
    EXPECT_ERR(ph_client_cancel(s.client, cancelled), PH_ENOTFOUND);
    EXPECT_ERR(stage_ask(&s, "third", 0, NULL), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 3);
    uint16_t turns[] = { stage_got(&s, 0).turn, stage_got(&s, 1).turn, stage_got(&s, 2).turn };
    EXPECT(turns[2] != turns[0] && turns[2] != turns[1]);
    stage_answer(&s, CALL, turns[0], "late");
    stage_answer(&s, CALL, turns[1], "late");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(stage_counters(&s).replies_stray, 2);
    EXPECT_EQ(s.client->asks.count, 1);
    // Now they are free.
    EXPECT_ERR(stage_ask(&s, "fourth", 0, NULL), PH_OK);
    stage_settle(&s);
    EXPECT(stage_got(&s, 3).turn == turns[0] || stage_got(&s, 3).turn == turns[1]);
    // A place that nobody ever answers comes back with the request's deadline.
    EXPECT_ERR(stage_ask(&s, "fifth", 1, NULL), PH_OK);
    stage_pass(&s, phi_ms(10));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\n");
    EXPECT_EQ(s.client->asks.count, 3);
    stage_pass(&s, phi_ms(400));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\ndone PH_ETIMEDOUT 11\n");
    EXPECT_EQ(s.client->asks.count, 0);
    stage_fini(&s);
}

// An answer that crosses with our giving up: the application hears of the cancel, once.
TEST(ask, answer_that_crosses_a_cancel_is_stray)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_ask(&s, "which", 0, &id), PH_OK);
    stage_settle(&s);
    uint16_t turn = stage_got(&s, 0).turn;
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    stage_answer(&s, CALL, turn, "GN"); // arrives before the timer
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    stage_pass(&s, phi_seconds(2));
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(s.client->asks.count, 0);
    stage_fini(&s);
}

// Who replies has no use for what it still asked; its state may go with the reply. [P-62]
TEST(ask, ends_when_its_request_is_answered)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    ph_request_id first = s.request;
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "given up", 0, &id), PH_OK);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    stage_request(&s, CALL + 64, "other", ""); // in the same list
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
    stage_heard(&s);
    EXPECT_EQ(s.client->asks.count, 3);
    EXPECT_ERR(ph_client_fail(s.client, first, 1000, "enough"), PH_OK);
    EXPECT_TEXT(stage_heard(&s), ""); // not inside the call
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    EXPECT_EQ(s.client->asks.count, 1);
    stage_answer(&s, CALL, stage_got(&s, 0).turn, "late");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(stage_counters(&s).replies_stray, 1);
    EXPECT_EQ(stage_counters(&s).ask_cancels, 2);
    stage_fini(&s);
}

// A responder whose caller is gone is told once for each thing it waits for, and why. [P-57] [P-62]
TEST(ask, ends_with_the_cancel_of_its_request_and_its_reason)
{
    static const struct {
        uint16_t code;
        const char *heard;
    } cases[] = {
        { PH_FAILURE_CANCELLED, "done PH_ECANCELLED 12\ncancel 42 cancelled\n" },
        { PH_FAILURE_CALLER_LOST, "done PH_ECANCELLED 19\ncancel 42 caller_lost\n" },
        { PH_FAILURE_DEADLINE, "done PH_ETIMEDOUT 11\ncancel 42 deadline\n" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        stage s;
        stage_up_asked(&s, PHI_SUITE_PLAIN);
        ph_call_id given_up = { 0 };
        EXPECT_ERR(stage_ask(&s, "a", 0, &given_up), PH_OK);
        EXPECT_ERR(ph_client_cancel(s.client, given_up), PH_OK);
        stage_settle(&s);
        EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
        stage_settle(&s);
        stage_heard(&s);
        stage_cancel(&s, CALL, cases[i].code);
        EXPECT_TEXT(stage_heard(&s), cases[i].heard);
        EXPECT_EQ(s.client->asks.count, 0);
        stage_pass(&s, phi_seconds(2));
        EXPECT_TEXT(stage_heard(&s), "");
        stage_fini(&s);
    }
}

// A cancel without its reason is no cancel. [P-31] [P-51]
TEST(ask, cancel_that_breaks_its_form_ends_the_link)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    stage_say_message(
        &s, &(phi_message){ .kind = PHI_KIND_CANCEL, .call = CALL, .body = phi_bytes_text("x") });
    EXPECT(strncmp(stage_heard(&s), "down PH_EPROTO\n", 15) == 0);
    stage_fini(&s);
}

// A callback may ask again in the request that just ended: that must not go round for ever.
TEST(ask, again_inside_the_callback_of_one_that_was_cancelled)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
    s.chain_asks = 1;
    stage_cancel(&s, CALL, PH_FAILURE_CANCELLED);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 12\ncancel 42 cancelled\n");
    EXPECT_EQ(s.client->asks.count, 1);
    stage_pass(&s, phi_ms(500)); // nobody hears it; its deadline ends it
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\n");
    EXPECT_EQ(s.client->asks.count, 0);
    stage_fini(&s);
}

// Every way a client can end ends what it asked, exactly once.
TEST(ask, connection_close_and_free_end_it)
{
    static const char *heard[] = {
        "done PH_ERESET 0\ndown PH_ERESET\n",
        "done PH_ECANCELLED 0\nclosed PH_ECLOSED\n",
        "done PH_ECANCELLED 0\n",
    };
    for (unsigned i = 0; i < 3; i++) {
        stage s;
        stage_up_asked(&s, PHI_SUITE_PLAIN);
        EXPECT_ERR(stage_ask(&s, "gone before", 1, NULL), PH_OK);
        stage_pass(&s, phi_ms(5));
        stage_heard(&s);
        EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
        stage_settle(&s);
        s.is_deaf = true;
        if (i == 0) {
            stage_cut(&s);
            EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_ESTALE);
        } else if (i == 1) {
            ph_client_close(s.client);
            stage_settle(&s);
        } else {
            ph_client_free(&s.client);
        }
        EXPECT_TEXT(stage_heard(&s), heard[i]);
        stage_fini(&s);
    }
}

// Over a newer connection the request is gone, though its number may be somebody else's.
TEST(ask, in_a_request_of_an_older_connection_is_stale)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    stage_cut(&s);
    stage_pass(&s, phi_ms(300));
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_ESTALE);
    stage_fini(&s);
}

// What the center says of inquiries that never were, twice, or in the wrong place. [P-56] [P-62]
TEST(ask, stray_answers_are_counted_and_harm_nobody)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    stage_answer(&s, CALL, 1, "before any was asked");
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
    stage_settle(&s);
    uint16_t turn = stage_got(&s, 0).turn;
    stage_answer(&s, CALL + 1, turn, "of another call");
    stage_answer(&s, CALL, 3, "of no turn that is in use");
    stage_answer(&s, CALL, UINT16_MAX, "of no turn at all");
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_REPLY, .call = CALL, .turn = turn });
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(stage_counters(&s).replies_stray, 5);
    EXPECT_EQ(s.client->asks.count, 2);
    stage_answer(&s, CALL, turn, "yes");
    stage_answer(&s, CALL, turn, "yes, twice");
    stage_fail_ask(&s, CALL, turn, PH_FAILURE_NO_HANDLER, "and no");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 yes\n");
    EXPECT_EQ(stage_counters(&s).replies_stray, 7);
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    stage_fini(&s);
}

// Without memory an inquiry is refused, not half begun; what was open goes on.
TEST(ask, no_memory_for_one_more)
{
    stage s;
    stage_up_asked(&s, PHI_SUITE_PLAIN);
    s.memory.fail_at = s.memory.takes + 1; // the first needs a chunk of places
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_ENOMEM);
    EXPECT_EQ(s.client->asks.count, 0);
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 1);
    stage_answer(&s, CALL, stage_got(&s, 0).turn, "yes");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 yes\n");
    stage_fini(&s);
}

// What cannot be asked is refused, and costs nothing.
TEST(ask, refusals)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.calls_max = 2;
    o.message_bytes_max = PHI_PACKET_BYTES_MAX;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_request(&s, CALL, "find", "");
    ph_request_id request = s.request;
    s.request.call = 0;
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_EINVAL);
    s.request = request;
    s.request.turn = 1; // of an inquiry nobody is asked back
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_EINVAL);
    s.request = request;
    static char body[PHI_PACKET_BYTES_MAX + 1];
    ph_outgoing out = PH_OUTGOING_INIT;
    out.body = body;
    out.body_size = sizeof body;
    EXPECT_ERR(ph_client_ask(s.client, request, &out, NULL, stage_on_done_never, NULL),
               PH_ETOOLARGE);
    EXPECT_ERR(ph_client_ask(s.client, request, NULL, NULL, stage_on_done_never, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_ask(NULL, request, &out, NULL, stage_on_done_never, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_request(s.client, NULL, NULL, stage_on_done_never, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_cancel(NULL, (ph_call_id){ 1 }), PH_EINVAL);
    EXPECT_EQ(s.client->asks.count, 0);
    EXPECT_ERR(stage_ask(&s, "a", 0, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "b", 0, NULL), PH_OK);
    EXPECT_ERR(stage_ask(&s, "c", 0, NULL), PH_ELIMIT);
    stage_cancel(&s, CALL, PH_FAILURE_CANCELLED);
    stage_fill(&s, 0);
    EXPECT_ERR(stage_ask(&s, "d", 0, NULL), PH_EBUSY);
    EXPECT_EQ(s.client->asks.count, 0);
    stage_fini(&s);
}

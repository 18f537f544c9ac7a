// SPDX-License-Identifier: Apache-2.0
//
// client/inquiry_test.c - the caller's side: what our responders ask back, and what is done on its
// behalf.

#include <posthouse/dialog.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// What one call is told.
typedef struct told {
    unsigned inquiries;
    unsigned dones;
    ph_request_id inquiry;
    ph_call_id call;
} told;

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    (void)client;
    told *t = arg;
    t->inquiries++;
    t->inquiry = inquiry;
    t->call = call;
    EXPECT(phi_bytes_equal(phi_bytes_of(incoming->body.data, incoming->body.size),
                           phi_bytes_text("what?")));
    EXPECT_EQ(incoming->timeout_ms, 300);
}

static void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)status;
    (void)code;
    (void)reply;
    told *t = arg;
    t->dones++;
    t->call = call;
}

// An inquiry goes to its call's own handler, with that call's `arg`: so a program can have several
// dialogs at a time without looking anything up. [P-62]
TEST(inquiry, goes_to_its_call_and_is_answered)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    told t = { 0 };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.on_inquiry = on_inquiry;
    ph_call_id id = { 0 };
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &t), PH_OK);
    stage_inquire(&s, id.value, 7, "which");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(t.inquiries, 1);
    EXPECT_EQ(t.call.value, id.value);
    EXPECT_EQ(t.inquiry.depth, 1);
    EXPECT_EQ(ph_client_time_left_ms(s.client, t.inquiry), 300);
    EXPECT_ERR(ph_client_reply(s.client, t.inquiry, "GN", 2), PH_OK);
    ph_outgoing with = PH_OUTGOING_INIT;
    with.body = "GW";
    with.body_size = 2;
    EXPECT_ERR(ph_client_reply_with(s.client, t.inquiry, &with), PH_OK);
    EXPECT_ERR(ph_client_fail(s.client, t.inquiry, 1000, "I do not know"), PH_OK);
    stage_settle(&s);
    static const phi_kind kinds[] = { PHI_KIND_ANSWER, PHI_KIND_ANSWER, PHI_KIND_FAILURE };
    for (unsigned i = 0; i < 3; i++) {
        phi_message m = stage_got(&s, 1 + i);
        EXPECT_EQ(m.kind, kinds[i]);
        EXPECT_EQ(m.call, id.value);
        EXPECT_EQ(m.turn, 7);
        EXPECT_EQ(m.to.size, 0);
    }
    stage_reply(&s, id.value, "Guinea");
    EXPECT_EQ(t.dones, 1);
    // The call is over, and with it everything in it.
    EXPECT_ERR(ph_client_reply(s.client, t.inquiry, "GN", 2), PH_ESTALE);
    EXPECT_ERR(ph_client_fail(s.client, t.inquiry, 1000, NULL), PH_ESTALE);
    EXPECT_EQ(stage_counters(&s).inquiries, 1);
    stage_fini(&s);
}

// A call without a handler of its own uses the client's; a program without any says so at once,
// or its responders would wait. [P-58]
TEST(inquiry, falls_back_to_the_clients_handler_and_then_to_no_handler)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id id = { 0 };
    s.echoes = true;
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
    stage_inquire(&s, id.value, 1, "which");
    EXPECT_TEXT(stage_heard(&s), "inquiry 1 which\n");
    EXPECT_EQ(stage_got(&s, 1).kind, PHI_KIND_ANSWER);
    EXPECT(phi_bytes_equal(stage_got(&s, 1).body, phi_bytes_text("what?")));

    s.client->options.on_inquiry = NULL;
    stage_inquire(&s, id.value, 2, "which");
    EXPECT_TEXT(stage_heard(&s), "");
    phi_message m = stage_got(&s, 2);
    EXPECT_EQ(m.kind, PHI_KIND_FAILURE);
    EXPECT_EQ(m.turn, 2);
    phi_failure failure;
    EXPECT_ERR(phi_failure_decode(m.body, &failure), PH_OK);
    EXPECT_EQ(failure.code, PH_FAILURE_NO_HANDLER);

    // Without room that is lost, and counted; the responder has its deadline.
    stage_fill(&s, 0);
    stage_heard(&s);
    stage_inquire(&s, id.value, 3, "which");
    EXPECT_EQ(stage_counters(&s).dropped, 1);
    EXPECT_EQ(stage_counters(&s).inquiries, 3);
    stage_fini(&s);
}

// Inquiries of calls that are over, or never were, crossed with their end: nobody is asked. [P-62]
TEST(inquiry, of_a_call_that_is_over_is_dropped)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id over = { 0 };
    ph_call_id cancelled = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &over), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "b", 0, &cancelled), PH_OK);
    stage_inquire(&s, cancelled.value, 1, "which");
    stage_reply(&s, over.value, "");
    EXPECT_ERR(ph_client_cancel(s.client, cancelled), PH_OK);
    EXPECT_ERR(ph_client_reply(s.client, s.inquiry, "GN", 2), PH_ESTALE);
    stage_heard(&s);
    uint8_t room[64];
    phi_message m = { .kind = PHI_KIND_INQUIRY, .call = cancelled.value, .turn = 2 };
    phi_message_encode(room, &m);
    stage_say(&s, PHI_COMMAND_MESSAGE, phi_bytes_of(room, phi_message_size(&m)));
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    stage_inquire(&s, over.value, 1, "which");
    stage_inquire(&s, 99, 1, "which");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(stage_counters(&s).dropped, 3);
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    stage_fini(&s);
}

// What is asked while answering belongs to the dialog: as deep, and over with it. [P-63]
TEST(inquiry, request_within_it_keeps_its_depth_and_time)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id outer = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "outer", 200, &outer), PH_OK);
    stage_pass(&s, phi_ms(50));
    stage_inquire(&s, outer.value, 1, "which"); // says 300, but our own call has 150 left
    EXPECT_EQ(ph_client_time_left_ms(s.client, s.inquiry), 150);
    stage_heard(&s);
    stage_forget(&s);

    told t = { 0 };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "atlas";
    out.within = &s.inquiry;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_OK);
    out.timeout_ms = 20;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_OK);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK); // an event has no depth
    stage_settle(&s);
    EXPECT_EQ(stage_got(&s, 0).depth, 1);
    EXPECT_EQ(stage_got(&s, 0).ttl_ms, 150);
    EXPECT_EQ(stage_got(&s, 1).ttl_ms, 20);
    EXPECT_EQ(stage_got(&s, 2).depth, 0);

    ph_request_id deep = s.inquiry;
    out.within = &deep;
    deep.depth = PHI_DEPTH_MAX;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_OK);
    deep.depth = PHI_DEPTH_MAX + 1;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_EINVAL);
    deep = (ph_request_id){ 0 };
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_EINVAL);
    stage_pass(&s, phi_ms(150));
    EXPECT_EQ(t.dones, 3);
    out.within = &s.inquiry;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_ETIMEDOUT);
    EXPECT_EQ(t.dones, 3);
    stage_fini(&s);
}

// In the course of a request that is no dialog itself, only time is handed down. [P-63]
TEST(inquiry, request_within_a_request_keeps_its_time)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_request(&s, 42, "profile", "");
    told t = { 0 };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "countries";
    out.within = &s.request;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &t), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(stage_got(&s, 0).depth, 0);
    EXPECT_EQ(stage_got(&s, 0).ttl_ms, 500);
    EXPECT(ph_request_id_equal(s.request, s.request));
    ph_request_id other = s.request;
    other.turn = 1;
    EXPECT(!ph_request_id_equal(s.request, other));
    other = s.request;
    other.connection++;
    EXPECT(!ph_request_id_equal(s.request, other));
    other = s.request;
    other.deadline_ns = 0; // says nothing of which it is
    EXPECT(ph_request_id_equal(s.request, other));
    stage_fini(&s);
}

// A program compiled with the header before these fields were there is understood as ever.
TEST(inquiry, older_structs_are_understood)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_request_id nobody = { 0 };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.struct_size = offsetof(ph_outgoing, within);
    out.within = &nobody; // both beyond its size: not looked at
    out.on_inquiry = on_inquiry;
    told t = { 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &t), PH_OK);
    stage_inquire(&s, id.value, 1, "which");
    EXPECT_EQ(t.inquiries, 0);
    EXPECT_TEXT(stage_heard(&s), "inquiry 1 which\n");
    stage_fini(&s);
}

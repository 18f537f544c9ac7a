// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// A reply may be made of the request itself, inside the callback: views stay good while sending.
TEST(request, echo_of_a_view_is_answered)
{
    stage s;
    stage_init(&s, PHI_SUITE_PAPER);
    s.echoes = true;
    stage_up(&s);
    stage_request(&s, 42, "say", "hello");
    EXPECT_TEXT(stage_heard(&s), "request 42 say\n");
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.kind, PHI_KIND_REPLY);
    EXPECT_EQ(m.call, 42);
    EXPECT_EQ(m.to.size, 0);
    EXPECT(phi_bytes_equal(m.from, phi_bytes_text("me@home"))); // [P-53]
    EXPECT(phi_bytes_equal(m.body, phi_bytes_text("hello")));
    stage_fini(&s);
}

// [P-58]
TEST(request, failure_carries_code_and_text)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_request_id request = { .call = 42, .connection = s.client->connection };
    static char text[1026];
    memset(text, 't', 1025);
    EXPECT_ERR(ph_client_fail(s.client, request, 1000, "broken"), PH_OK);
    EXPECT_ERR(ph_client_fail(s.client, request, PH_FAILURE_RESPONDER_FAILED, NULL), PH_OK);
    EXPECT_ERR(ph_client_fail(s.client, request, PH_FAILURE_NO_HANDLER, text + 1), PH_OK);
    EXPECT_ERR(ph_client_fail(s.client, request, PH_FAILURE_NO_HANDLER, text), PH_ETOOLARGE);
    EXPECT_ERR(ph_client_fail(s.client, request, PH_FAILURE_DEADLINE, "x"), PH_EINVAL);
    EXPECT_ERR(ph_client_fail(s.client, request, 999, "x"), PH_EINVAL);
    EXPECT_ERR(ph_client_fail(s.client, request, 0, "x"), PH_EINVAL);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 3);
    phi_failure failure;
    EXPECT_ERR(phi_failure_decode(stage_got(&s, 0).body, &failure), PH_OK);
    EXPECT_EQ(failure.code, 1000);
    EXPECT(phi_bytes_equal(failure.text, phi_bytes_text("broken")));
    EXPECT_ERR(phi_failure_decode(stage_got(&s, 1).body, &failure), PH_OK);
    EXPECT_EQ(failure.code, 14);
    EXPECT(failure.text.size > 0);
    EXPECT_EQ(stage_got(&s, 0).kind, PHI_KIND_FAILURE);
    stage_fini(&s);
}

// A reply with headers carries them; what a reply has no use for is not sent. [P-52]
TEST(request, reply_with_headers)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_header header = { "h", "v", 1 };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "ignored";
    out.method = "ignored";
    out.timeout_ms = 9;
    out.body = "b";
    out.body_size = 1;
    out.headers = &header;
    out.header_count = 1;
    ph_request_id request = { .call = 42, .connection = s.client->connection };
    EXPECT_ERR(ph_client_reply_with(s.client, request, &out), PH_OK);
    EXPECT_ERR(ph_client_reply_with(s.client, request, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_reply(s.client, request, NULL, 1), PH_EINVAL);
    EXPECT_ERR(ph_client_reply(s.client, (ph_request_id){ .connection = 1 }, NULL, 0), PH_EINVAL);
    EXPECT_ERR(ph_client_reply(s.client, request, NULL, 0), PH_OK);
    stage_settle(&s);
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.to.size + m.method.size + m.ttl_ms, 0);
    ph_incoming in = phi_client_incoming(&m);
    ph_view value;
    EXPECT_ERR(ph_incoming_header(&in, "h", &value), PH_OK);
    EXPECT(phi_bytes_equal(m.body, phi_bytes_text("b")));
    EXPECT_EQ(stage_got(&s, 1).body.size, 0);
    stage_fini(&s);
}

// Over a newer connection the same number may be somebody else's call.
TEST(request, answer_over_a_newer_connection_is_stale)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_request_id request = { .call = 42, .connection = s.client->connection };
    stage_cut(&s);
    EXPECT_ERR(ph_client_reply(s.client, request, "x", 1), PH_ESTALE);
    stage_pass(&s, phi_seconds(1));
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    EXPECT_ERR(ph_client_reply(s.client, request, "x", 1), PH_ESTALE);
    EXPECT_ERR(ph_client_fail(s.client, request, 1000, "x"), PH_ESTALE);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 0);
    stage_fini(&s);
}

// A program that answers no requests says so; its callers must not wait for their deadline. [P-58]
TEST(request, without_handler_is_answered_no_handler)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.on_request = NULL;
    o.on_event = NULL;
    o.on_cancel = NULL;
    o.on_link = NULL;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_request(&s, 42, "say", "hello");
    phi_failure failure;
    EXPECT_ERR(phi_failure_decode(stage_got(&s, 0).body, &failure), PH_OK);
    EXPECT_EQ(failure.code, PH_FAILURE_NO_HANDLER);
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_EVENT });
    stage_cancel(&s, 42, PH_FAILURE_CANCELLED);
    EXPECT_TEXT(stage_heard(&s), "");
    ph_client_counters count = stage_counters(&s);
    EXPECT_EQ(count.requests, 1);
    EXPECT_EQ(count.events, 1);
    stage_fini(&s);
}

// Without room even that answer is lost, and counted; the next one is not.
TEST(request, without_handler_and_without_room_is_counted)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.on_request = NULL;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_fill(&s, 0);
    stage_heard(&s);
    stage_request(&s, 42, "say", "hello");
    ph_client_counters count = stage_counters(&s);
    EXPECT_EQ(count.dropped, 1);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "writable\n"); // owed for the events that filled the buffer
    stage_request(&s, 43, "say", "hello");
    ph_client_count(s.client, &count);
    EXPECT_EQ(count.dropped, 1);
    stage_fini(&s);
}

// [P-51]: events and cancels arrive; what belongs to nothing is counted and harms nobody.
TEST(request, events_and_cancels_arrive_and_strays_are_counted)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_EVENT,
                                          .from = phi_bytes_text("you@home"),
                                          .method = phi_bytes_text("news"),
                                          .body = phi_bytes_text("snow") });
    stage_cancel(&s, 42, PH_FAILURE_CANCELLED);
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_INQUIRY, .call = 42, .turn = 1 });
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_ANSWER, .call = 42, .turn = 1 });
    EXPECT_TEXT(stage_heard(&s), "event news snow\ncancel 42 cancelled\n");
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    ph_client_counters count = stage_counters(&s);
    EXPECT_EQ(count.dropped, 1);
    EXPECT_EQ(count.replies_stray, 1);
    stage_say(&s, PHI_COMMAND_MESSAGE, phi_bytes_text("no message"));
    EXPECT(strncmp(stage_heard(&s), "down PH_EPROTO\n", 15) == 0);
    stage_fini(&s);
}

// Closing inside a callback: what had arrived behind is not delivered any more.
TEST(request, close_inside_a_callback)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    s.closes = true;
    uint8_t room[64];
    phi_message m = { .kind = PHI_KIND_EVENT };
    phi_message_encode(room, &m);
    for (unsigned i = 0; i < 3; i++) { // in one piece
        uint8_t *at = phi_link_begin(&s.center, phi_message_size(&m));
        memcpy(at, room, phi_message_size(&m));
        phi_link_commit(&s.center, PHI_COMMAND_MESSAGE, phi_message_size(&m));
    }
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "event  \nclosed PH_ECLOSED\n");
    stage_fini(&s);
}

// Counters of another version: no more is written than there is room, and no less than known.
TEST(request, counters_respect_the_callers_size)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    struct {
        ph_client_counters counters;
        uint64_t behind;
    } c = { { .struct_size = offsetof(ph_client_counters, calls) }, 5 };
    c.counters.calls = 77;
    ph_client_count(s.client, &c.counters);
    EXPECT_EQ(c.counters.connects, 1);
    EXPECT_EQ(c.counters.calls, 77);
    c.counters.struct_size = sizeof c;
    ph_client_count(s.client, &c.counters);
    EXPECT_EQ(c.counters.calls, 0);
    EXPECT_EQ(c.behind, 0);
    EXPECT_EQ(c.counters.struct_size, sizeof c);
    EXPECT(c.counters.bytes_sent > 0);
    EXPECT(c.counters.bytes_received > 0);
    stage_fini(&s);
}

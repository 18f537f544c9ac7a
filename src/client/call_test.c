// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// What a responder sees of a request is what the caller said, no more and no less. [P-50] [P-53]
TEST(call, request_carries_what_was_said)
{
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_PAPER, PHI_SUITE_CHECK };
    for (size_t i = 0; i < 3; i++) {
        stage s;
        stage_init(&s, suites[i]);
        stage_up(&s);
        ph_header headers[] = { { "trace", "abc", 3 }, { "empty", NULL, 0 } };
        ph_outgoing out = PH_OUTGOING_INIT;
        out.to = "echo@home";
        out.method = "say";
        out.body = "hello";
        out.body_size = 5;
        out.headers = headers;
        out.header_count = 2;
        out.timeout_ms = 1234;
        ph_call_id id = { 0 };
        EXPECT_ERR(ph_client_request(s.client, &out, &id, (ph_reply_fn *)NULL, NULL), PH_EINVAL);
        EXPECT_ERR(stage_call_to(&s, "echo", "first", 0, &id), PH_OK);
        EXPECT(id.value != 0);
        EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
        stage_settle(&s);

        phi_message m = stage_got(&s, 0);
        EXPECT_EQ(m.kind, PHI_KIND_REQUEST);
        EXPECT_EQ(m.call, id.value);
        EXPECT_EQ(m.ttl_ms, 30000);
        EXPECT(phi_bytes_equal(m.from, phi_bytes_text("me@home")));

        m = stage_got(&s, 1);
        EXPECT_EQ(m.kind, PHI_KIND_EVENT);
        EXPECT_EQ(m.call, 0);
        EXPECT_EQ(m.ttl_ms, 1234);
        EXPECT(phi_bytes_equal(m.to, phi_bytes_text("echo@home")));
        EXPECT(phi_bytes_equal(m.from, phi_bytes_text("me@home")));
        EXPECT(phi_bytes_equal(m.method, phi_bytes_text("say")));
        EXPECT(phi_bytes_equal(m.body, phi_bytes_text("hello")));
        ph_incoming in = phi_client_incoming(&m);
        ph_view value = { NULL, 0 };
        EXPECT_ERR(ph_incoming_header(&in, "trace", &value), PH_OK);
        EXPECT(value.size == 3 && memcmp(value.data, "abc", 3) == 0);
        EXPECT_ERR(ph_incoming_header(&in, "empty", &value), PH_OK);
        EXPECT_EQ(value.size, 0);
        EXPECT_ERR(ph_incoming_header(&in, "none", &value), PH_ENOTFOUND);
        size_t cursor = 0;
        ph_view name;
        unsigned count = 0;
        while (ph_incoming_header_next(&in, &cursor, &name, &value)) {
            count++;
        }
        EXPECT_EQ(count, 2);
        in.headers.size--; // cut off
        EXPECT_ERR(ph_incoming_header(&in, "none", &value), PH_EPROTO);
        stage_fini(&s);
    }
}

// Every accepted call ends exactly once, with what ended it. [P-57]
TEST(call, ends_with_its_reply_or_failure)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    ph_call_id a = { 0 };
    ph_call_id b = { 0 };
    ph_call_id c = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 1000, &a), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "b", 1000, &b), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "c", 1000, &c), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "");
    stage_reply(&s, b.value, "pong");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 pong\n");
    stage_fail(&s, a.value, 1, "nobody");
    EXPECT_TEXT(stage_heard(&s), "done PH_EFAILURE 1 nobody\n");
    // The center's deadline is the same to the application as its own.
    stage_fail(&s, c.value, PH_FAILURE_DEADLINE, "late");
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\n");
    // All three once more: to nobody.
    stage_reply(&s, a.value, "x");
    stage_reply(&s, b.value, "x");
    stage_fail(&s, c.value, 13, "x");
    stage_reply(&s, 1, "x");
    stage_pass(&s, phi_seconds(3));
    EXPECT_TEXT(stage_heard(&s), "");
    ph_client_counters count = stage_counters(&s);
    EXPECT_EQ(count.calls, 3);
    EXPECT_EQ(count.replies, 1);
    EXPECT_EQ(count.failures, 1);
    EXPECT_EQ(count.timeouts, 1);
    EXPECT_EQ(count.replies_stray, 4);
    stage_fini(&s);
}

// A center that never answers must not keep a caller beyond its deadline. [P-57]
TEST(call, ends_at_its_deadline_to_the_millisecond)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 250, &id), PH_OK);
    stage_pass(&s, phi_ms(249));
    EXPECT_TEXT(stage_heard(&s), "");
    stage_pass(&s, phi_ms(1));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11\n");
    stage_fail(&s, id.value, PH_FAILURE_DEADLINE, "late");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_ENOTFOUND);
    stage_fini(&s);
}

// A broken connection ends all calls at once: nobody waits for an answer that cannot come.
TEST(call, connection_that_breaks_ends_all_calls)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, NULL), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "b", 0, NULL), PH_OK);
    stage_settle(&s);
    s.chain_calls = 1; // one of them tries again at once: there is nobody to send it to
    s.is_deaf = true;
    stage_cut(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ERESET 0\nno call\ndone PH_ERESET 0\ndown PH_ERESET\n");
    EXPECT_ERR(stage_call_to(&s, "echo", "c", 0, NULL), PH_ENOTCONNECTED);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ENOTCONNECTED);
    stage_fini(&s);
}

// A cancelled call ends for its caller whatever comes after, and the responder is told. [P-51]
TEST(call, cancelled_ends_once_and_tells_the_center)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
    stage_settle(&s);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    EXPECT_TEXT(stage_heard(&s), ""); // not inside the call
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_ENOTFOUND);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    phi_message m = stage_got(&s, 1);
    EXPECT_EQ(m.kind, PHI_KIND_CANCEL);
    EXPECT_EQ(m.call, id.value);
    stage_reply(&s, id.value, "late");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_ERR(ph_client_cancel(s.client, (ph_call_id){ 0 }), PH_ENOTFOUND);
    stage_fini(&s);
}

// Closing ends calls as cancelled, after ph_client_close returned.
TEST(call, close_ends_calls_in_a_later_turn)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, NULL), PH_OK);
    ph_client_close(s.client);
    ph_client_close(s.client);
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT(ph_client_state(s.client) == PH_LINK_CLOSED);
    EXPECT_ERR(stage_call_to(&s, "echo", "b", 0, NULL), PH_ENOTCONNECTED);
    EXPECT_ERR(ph_client_open(s.client), PH_ECLOSED);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\nclosed PH_ECLOSED\n");
    EXPECT(s.has_end);
    EXPECT_EQ(s.end_code, PHI_BYE_NORMAL);
    stage_fini(&s);
}

// Freeing ends calls before it returns: their callbacks may own memory.
TEST(call, free_ends_calls_before_it_returns)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, NULL), PH_OK);
    s.chain_calls = 1;
    ph_client_free(&s.client);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\nno call\n");
    EXPECT(s.client == NULL);
    ph_client_free(&s.client);
    ph_client_free(NULL);
    stage_fini(&s);
}

// A callback may make the next call: the slot of the one that ended is free already.
TEST(call, callback_may_call_again_within_the_limit)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.calls_max = 1;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "b", 0, NULL), PH_ELIMIT);
    stage_settle(&s);
    s.chain_calls = 1;
    stage_reply(&s, id.value, "1");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 1\n");
    EXPECT_EQ(s.got_count, 2);
    stage_reply(&s, stage_got(&s, 1).call, "2");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 2\n");
    stage_fini(&s);
}

// Arguments that cannot be sent are refused before anything is.
TEST(call, arguments_are_judged)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    char long_text[257];
    memset(long_text, 'm', sizeof long_text - 1);
    long_text[256] = '\0';
    ph_outgoing good = PH_OUTGOING_INIT;
    good.to = "echo";
    ph_outgoing out = good;
    EXPECT_ERR(ph_client_send(s.client, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_send(NULL, &out), PH_EINVAL);
    out.to = NULL;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out.to = "";
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out.to = long_text;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out = good;
    out.method = long_text;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out.method = long_text + 1; // 255
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    out = good;
    out.body_size = 1;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    ph_header header = { long_text, "v", 1 };
    out = good;
    out.headers = &header;
    out.header_count = 1;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    header = (ph_header){ "n", NULL, 1 };
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    header = (ph_header){ NULL, "v", 1 };
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    header = (ph_header){ "n", "v", 65536 };
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out.headers = NULL;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out = good;
    out.struct_size = 8;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
    out.struct_size = offsetof(ph_outgoing, body);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_fini(&s);
}

// The packet limit is the center's; what is longer must not end the connection. [P-34]
TEST(call, packet_limit_is_the_centers)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    s.options.packet_bytes_max = 8192;
    stage_up(&s);
    static char body[70000];
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.body = body;
    out.body_size = 8192 - PHI_PACKET_HEAD_CHECKED - PHI_MESSAGE_HEAD_BYTES - 4 - strlen("me@home");
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    out.body_size++; // in fragments: the first
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    out.body_size = SIZE_MAX; // must not overflow anything
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 2);
    EXPECT(!s.has_end);
    ph_header headers[2] = { { "a", body, 60000 }, { "b", body, 60000 } };
    out.body_size = 0;
    out.headers = headers;
    out.header_count = 2;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    stage_fini(&s);
}

// A center that does not read must not fill our memory; and once it reads again, we must hear so.
TEST(call, full_buffer_is_busy_then_writable)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.send_bytes_max = 131072;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    unsigned sent = stage_fill(&s, 4096);
    EXPECT(sent >= 28 && sent <= 32);
    static const char body[4096];
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.body = body;
    out.body_size = sizeof body;
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, stage_on_done_never, NULL), PH_EBUSY);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "");
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "writable\n");
    EXPECT_EQ(s.got_count + s.got_lost, sent);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_fini(&s);
}

// Who waits for room must not wait for ever because the connection broke meanwhile: the next one
// has room.
TEST(call, writable_follows_after_a_new_connection)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_fill(&s, 4096);
    stage_settle(&s);
    stage_cut(&s);
    EXPECT_TEXT(stage_heard(&s), "down PH_ERESET\n");
    s.write_max = SIZE_MAX;
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(stage_heard(&s), "up me@home\nwritable\n");
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_cut(&s);
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(stage_heard(&s), "down PH_ERESET\nup me@home\n"); // told once
    stage_fini(&s);
}

// A cancel for which there is no room ends the call all the same; and whoever waits for room
// because of an event of his own still hears of it.
TEST(call, cancel_without_room)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
    stage_fill(&s, 0);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0\n");
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "writable\n");
    stage_fini(&s);
}

// What a center says about calls that breaks its form ends the connection, and nothing else. [P-31]
TEST(call, malformed_failure_ends_the_connection)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
    stage_settle(&s);
    stage_say_message(
        &s,
        &(phi_message){ .kind = PHI_KIND_FAILURE, .call = id.value, .body = phi_bytes_text("x") });
    EXPECT(s.stream == NULL || s.dials == 2);
    const char *heard = stage_heard(&s);
    EXPECT(strncmp(heard, "done PH_ERESET 0\ndown PH_EPROTO\n", 32) == 0);
    stage_fini(&s);
}

// Steady state allocates nothing: the hot path is slots, a timer and the send buffer.
TEST(call, steady_state_allocates_nothing)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    size_t takes = 0;
    for (unsigned i = 0; i < 200; i++) {
        ph_call_id id = { 0 };
        EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &id), PH_OK);
        stage_settle(&s);
        stage_reply(&s, id.value, "pong");
        stage_forget(&s);
        stage_heard(&s);
        if (i == 20) {
            takes = s.memory.takes;
        }
    }
    EXPECT_EQ(s.memory.takes, takes);
    stage_fini(&s);
}

// SPDX-License-Identifier: Apache-2.0
//
// client/stream_out_test.c - large messages that a client sends.

#include <stdlib.h>

#include "tests/client/far.h"
#include "tests/harness/test.h"

// A body of any size arrives byte by byte as it was sent, in packets that a center takes, and never
// more than was granted. [P-66] [P-67]
TEST(stream, large_message_leaves_in_fragments)
{
    static const size_t sizes[] = { 65536, 65600, 100000, 1000003 };
    uint8_t *body = pattern(1000003);
    for (unsigned suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        stage s;
        far f;
        stage_far(&s, &f, (phi_suite)suite);
        s.options.packet_bytes_max = suite == PHI_SUITE_CHECK ? 8192 : PHI_PACKET_BYTES_MAX;
        stage_up(&s);
        for (size_t i = 0; i < PHI_COUNT_OF(sizes); i++) {
            ph_outgoing out = outgoing("echo", body, sizes[i]);
            EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
            serve(&s, &f);
            EXPECT(f.flows[i].is_whole);
            EXPECT_EQ(f.flows[i].received, sizes[i]);
        }
        EXPECT_EQ(f.flow_count, PHI_COUNT_OF(sizes));
        EXPECT_EQ(count(&s).large_sent, PHI_COUNT_OF(sizes));
        phi_client_streams_check(s.client);
        stage_fini(&s);
    }
    free(body);
}

// Behind however many megabytes, what is short waits for a few fragments only; and the megabytes
// share among themselves. [P-67]
TEST(stream, short_messages_get_in_between)
{
    uint8_t *body = pattern(4 * MIB);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    stage_up(&s);
    f.window = 2 * MIB;
    s.write_max = 0;
    ph_outgoing out = outgoing("echo", body, 4 * MIB);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_settle(&s);
    EXPECT(phi_link_waiting(&s.client->transport.link) < 2 * PHI_STREAMS_WAITING_MAX);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    s.write_max = 0;
    f.order_size = 0;
    for (unsigned i = 0; i < 2; i++) {
        f.flows[i].granted += f.window;
        flow_control(&s, &f.flows[i], PHI_STREAM_CREDIT, (uint32_t)f.window);
    }
    s.write_max = SIZE_MAX;
    serve(&s, &f);
    EXPECT(f.flows[0].is_whole && f.flows[1].is_whole);
    unsigned repeats = 0;
    for (unsigned i = 1; i < 200; i++) {
        repeats += f.order[i] == f.order[i - 1];
    }
    EXPECT(repeats < 6); // but for those that were queued before the second grant: in turns

    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_settle(&s);
    size_t had = f.fragment_bytes;
    s.write_max = 0; // nothing leaves
    f.flows[2].granted += 2 * MIB;
    uint8_t room[PHI_STREAM_CONTROL_BYTES];
    phi_stream_control grant = { PHI_STREAM_CREDIT, PHI_KIND_EVENT, 0, f.flows[2].call, 2 * MIB };
    phi_stream_control_encode(room, &grant);
    stage_say(&s, PHI_COMMAND_STREAM, phi_bytes_of(room, sizeof room));
    out.body_size = 10;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    s.write_max = SIZE_MAX;
    for (unsigned i = 0; i < 5; i++) {
        stage_settle(&s);
    }
    EXPECT_EQ(f.smalls, 1);
    EXPECT(f.before - had < 2 * PHI_STREAMS_WAITING_MAX);
    EXPECT(f.fragment_bytes - had >= 2 * MIB);
    stage_fini(&s);
    free(body);
}

// The center's limit is no error to the application: what is beyond it waits its turn, and its time
// runs on meanwhile. [P-57] [P-66]
TEST(stream, beyond_the_centers_limit_they_wait)
{
    uint8_t *body = pattern(100000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    s.options.streams_max = 2;
    stage_up(&s);
    ph_outgoing out = outgoing("echo", body, 100000);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &s), PH_OK);
    }
    stage_pass(&s, phi_seconds(1));
    EXPECT_EQ(f.flow_count, 2);
    serve(&s, &f);
    EXPECT_EQ(f.flow_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(f.flows[i].is_whole);
    }
    EXPECT_TEXT(stage_heard(&s), "");
    // Two more that never get a turn end with their deadlines, without a word to the center.
    f.window = 0;
    out.timeout_ms = 500;
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &s), PH_OK);
    }
    stage_pass(&s, phi_ms(499));
    EXPECT_EQ(f.flow_count, 7);
    stage_pass(&s, phi_ms(1));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11 0\ndone PH_ETIMEDOUT 11 0\n"
                                 "done PH_ETIMEDOUT 11 0\ndone PH_ETIMEDOUT 11 0\n");
    EXPECT_EQ(f.flows[5].aborted, PH_FAILURE_DEADLINE);
    EXPECT_EQ(f.flows[6].aborted, PH_FAILURE_DEADLINE);
    EXPECT_EQ(s.client->streams.out_bytes, 0);
    stage_fini(&s);
    free(body);
}

// What nobody could ever take is refused at once; what finds too much under way has to wait, and is
// told when it may come. [P-66]
TEST(stream, limits_of_the_sender)
{
    uint8_t *body = pattern(MIB + 1);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    s.options.message_bytes_max = 300000;
    ph_client_options o = stage_options(&s);
    o.message_bytes_max = MIB;
    o.streams_bytes_max = MIB;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    ph_outgoing out = outgoing("echo", body, MIB + 1);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    out.body_size = 300001;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    out.body_size = 300000;
    out.to = "all:letters";
    ph_gather how = PH_GATHER_INIT; // never cut
    how.done = on_gathered;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, NULL), PH_ETOOLARGE);
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &s), PH_EINVAL); // not for one
    out.to = "echo";
    ph_header header = { "h", body, 32768 };
    out.headers = &header;
    out.header_count = 1;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    header.value_size = 32000;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    out.header_count = 0;
    f.window = 0;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &s), PH_EBUSY);
    out.body_size = 10;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK); // what is short needs none of that
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(f.flow_count, 3);
    flow_control(&s, &f.flows[0], PHI_STREAM_REFUSE, PH_FAILURE_TOO_LARGE);
    EXPECT_TEXT(stage_heard(&s), ""); // more than half is taken
    f.flows[0].aborted = 1;
    f.window = 40000;
    serve(&s, &f);
    EXPECT_TEXT(stage_heard(&s), "writable\n");
    EXPECT_EQ(count(&s).large_dropped, 1);
    EXPECT_EQ(count(&s).large_sent, 2);
    EXPECT_EQ(count(&s).calls, 0);
    stage_fini(&s);
    free(body);
}

// However a call ends, its fragments end with it, and nothing is sent for nobody. [P-75]
TEST(stream, ends_with_its_call)
{
    uint8_t *body = pattern(200000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_CHECK);
    stage_up(&s);
    f.window = 0;
    ph_outgoing out = outgoing("echo", body, 200000);
    ph_call_id ids[3];
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_ERR(ph_client_request(s.client, &out, &ids[i], on_done, &s), PH_OK);
    }
    stage_settle(&s);
    stage_fail(&s, ids[0].value, PH_FAILURE_TOO_LARGE, "no");
    EXPECT_TEXT(stage_heard(&s), "done PH_EFAILURE 8 2\n");
    stage_reply(&s, ids[1].value, ""); // it knew enough
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 0\n");
    EXPECT_ERR(ph_client_cancel(s.client, ids[2]), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 0 0\n");
    EXPECT_EQ(f.smalls, 1); // the cancel
    EXPECT_EQ(f.flows[0].aborted, 0);
    EXPECT_EQ(f.flows[1].aborted, 0);
    EXPECT_EQ(f.flows[2].aborted, PH_FAILURE_CANCELLED);
    EXPECT_EQ(s.client->streams.out_bytes, 0);

    // A reply ends with the caller's interest; what it was granted meanwhile is of no use.
    stage_request(&s, 7, "", "");
    EXPECT_ERR(ph_client_reply(s.client, s.request, body, 200000), PH_OK);
    EXPECT_ERR(ph_client_reply(s.client, s.request, body, 200000), PH_OK); // the first one counts
    stage_settle(&s);
    EXPECT_EQ(f.flow_count, 4);
    stage_cancel(&s, 7, PH_FAILURE_CALLER_LOST);
    EXPECT_EQ(s.client->streams.out_bytes, 0);
    flow_control(&s, &f.flows[3], PHI_STREAM_CREDIT, 100000);
    EXPECT_EQ(f.flows[3].received, f.flows[3].first);
    stage_fini(&s);
    free(body);
}

static void on_release(const void *body, void *arg)
{
    (void)body;
    (*(unsigned *)arg)++;
}

// A body that is left to the library would be read after its owner freed it, or never freed: it is
// released just once, however its message ends, and never when that was not accepted.
TEST(stream, body_left_to_the_library_is_released_once)
{
    uint8_t *body = pattern(200000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PAPER);
    stage_up(&s);
    unsigned released = 0;
    ph_outgoing out = outgoing("echo", body, 200000);
    out.release = on_release;
    out.release_arg = &released;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK); // goes whole
    EXPECT_EQ(released, 0);
    EXPECT(s.client->streams.out_bytes < 1000); // it is not copied
    serve(&s, &f);
    EXPECT(f.flows[0].is_whole);
    EXPECT_EQ(released, 1);

    out.body_size = 100; // fits into a packet: copied, and free at once
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    EXPECT_EQ(released, 2);

    out.body_size = s.client->options.message_bytes_max + 1u; // not accepted
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ETOOLARGE);
    EXPECT_EQ(released, 2);

    out.body_size = 200000;
    f.window = 0;
    ph_call_id id;
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &s), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(released, 2);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(released, 3);

    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_cut(&s); // with its connection
    EXPECT_EQ(released, 4);
    stage_fini(&s);
    EXPECT_EQ(released, 4);
    free(body);
}

// A center may say what it likes about messages that there are not, or grant more than anybody
// could use. [P-75]
TEST(stream, lies_about_what_is_sent)
{
    uint8_t *body = pattern(200000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    stage_up(&s);
    phi_message none = { .kind = PHI_KIND_EVENT, .call = 99 };
    control(&s, PHI_STREAM_CREDIT, &none, UINT32_MAX);
    control(&s, PHI_STREAM_REFUSE, &none, 1);
    control(&s, PHI_STREAM_ABORT, &none, 1);
    EXPECT_EQ(count(&s).dropped, 3);
    ph_outgoing out = outgoing("echo", body, 200000);
    f.window = 0;
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    stage_settle(&s);
    f.flows[0].granted = SIZE_MAX / 2;
    s.write_max = 0;
    for (unsigned i = 0; i < 9; i++) {
        flow_control(&s, &f.flows[0], PHI_STREAM_CREDIT, UINT32_MAX);
    }
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT(f.flows[0].is_whole);
    EXPECT_EQ(f.flows[0].received, 200000);
    EXPECT_TEXT(stage_heard(&s), "");
    stage_say(&s, PHI_COMMAND_STREAM, phi_bytes_text("no stream packet"));
    EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
    EXPECT_EQ(s.end_code, PHI_BYE_MALFORMED);
    stage_fini(&s);
    free(body);
}

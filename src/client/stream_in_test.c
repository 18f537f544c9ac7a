// SPDX-License-Identifier: Apache-2.0
//
// client/stream_in_test.c - large messages that come to a client, from a center that may lie.

#include <stdlib.h>

#include "tests/client/far.h"
#include "tests/harness/test.h"

// The center sends a body to the client, in fragments as it is granted them; `m` says all but the
// body. Returns how much of it went.
typedef struct feed {
    phi_message m;
    const uint8_t *body;
    size_t size;
    size_t sent;
    size_t credit;
    unsigned said; // of far.said, how many were looked at
} feed;

static bool feed_first(stage *s, feed *d, size_t size)
{
    phi_message part = d->m;
    part.flags |= PHI_FLAG_MORE;
    part.body = phi_bytes_of(d->body, size);
    d->sent = size;
    stage_say_message(s, &part);
    return s->has_center;
}

static void feed_rest(stage *s, feed *d, size_t size, bool is_last)
{
    phi_message part = { .kind = d->m.kind,
                         .flags = PHI_FLAG_REST | (is_last ? 0 : PHI_FLAG_MORE),
                         .turn = d->m.turn,
                         .call = d->m.call,
                         .from = d->m.from,
                         .body = phi_bytes_of(d->body + d->sent, size) };
    part.flags |= d->m.flags & PHI_FLAG_PART;
    d->sent += size;
    stage_say_message(s, &part);
}

static void feed_hear(far *f, feed *d)
{
    for (; d->said < f->said_count; d->said++) {
        const phi_stream_control *c = &f->said[d->said];
        if (c->op == PHI_STREAM_CREDIT && c->kind == d->m.kind && c->call == d->m.call &&
            c->turn == d->m.turn) {
            d->credit += c->value;
        }
    }
}

// Goes on as far as it is granted.
static void feed_go_on(stage *s, far *f, feed *d)
{
    for (feed_hear(f, d); d->credit > 0 && d->sent < d->size; feed_hear(f, d)) {
        size_t left = d->size - d->sent;
        size_t size = d->credit < 10000 ? d->credit : 10000;
        size = size < left ? size : left;
        d->credit -= size;
        feed_rest(s, d, size, size == left);
        if (f->said_count == PHI_COUNT_OF(f->said)) {
            f->said_count = d->said = 0; // only one feed may do that
        }
    }
}

static feed feed_of(uint8_t kind, uint64_t call, const uint8_t *body, size_t size)
{
    feed d = { .m = { .kind = kind, .call = call, .ttl_ms = 5000 }, .body = body, .size = size };
    d.m.from = phi_bytes_text("you@home");
    if (kind == PHI_KIND_REQUEST || kind == PHI_KIND_EVENT) {
        d.m.to = phi_bytes_text("me");
        d.m.method = phi_bytes_text("take");
    }
    return d;
}

static void on_large_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                             void *arg)
{
    (void)client;
    expect_pattern((const uint8_t *)incoming->body.data, incoming->body.size, 0);
    ph_view value = { NULL, 0 };
    EXPECT_ERR(ph_incoming_header(incoming, "h", &value), PH_OK);
    stage_note(arg, "request %u %.*s %.*s %zu in %u ms, %.*s\n", (unsigned)request.call,
               (int)incoming->to.size, incoming->to.data, (int)incoming->method.size,
               incoming->method.data, incoming->body.size, (unsigned)incoming->timeout_ms,
               (int)value.size, value.data);
}

static void on_large_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    expect_pattern((const uint8_t *)event->body.data, event->body.size, 0);
    stage_note(arg, "event %.*s %zu\n", (int)event->from.size, event->from.data, event->body.size);
}

static void up(stage *s, size_t message_max, size_t streams_max)
{
    ph_client_options o = stage_options(s);
    o.message_bytes_max = message_max;
    o.streams_bytes_max = streams_max;
    o.on_request = on_large_request;
    o.on_event = on_large_event;
    EXPECT_ERR(stage_client(s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s->client), PH_OK);
    stage_settle(s);
    EXPECT_EQ(s->join.message_bytes_max, message_max);
    stage_heard(s);
}

// The receiver sees one message, with everything the first fragment said; what is on its way is
// never more than the window. [P-66] [P-67]
TEST(stream, fragments_that_come_are_one_message)
{
    uint8_t *body = pattern(MIB);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_CHECK);
    up(&s, MIB, 2 * MIB);
    uint8_t headers[16];
    phi_writer w = phi_writer_of((phi_span){ headers, sizeof headers });
    phi_write_header(&w, phi_bytes_text("h"), phi_bytes_text("value"));
    feed d = feed_of(PHI_KIND_REQUEST, 77, body, MIB);
    d.m.headers = phi_writer_view(&w);
    feed_first(&s, &d, 30000);
    EXPECT_TEXT(stage_heard(&s), "");
    feed_hear(&f, &d);
    EXPECT_EQ(d.credit, PHI_STREAMS_WINDOW);
    stage_pass(&s, phi_ms(40));
    feed_go_on(&s, &f, &d);
    EXPECT_EQ(d.sent, MIB);
    EXPECT_TEXT(stage_heard(&s), "request 77 me take 1048576 in 4960 ms, value\n");
    d = feed_of(PHI_KIND_EVENT, 5, body, 2);
    d.said = f.said_count;
    feed_first(&s, &d, 1); // cut without need
    feed_go_on(&s, &f, &d);
    EXPECT_TEXT(stage_heard(&s), "event you@home 2\n");
    ph_outgoing out = outgoing("echo", body, 1);
    ph_call_id id;
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &s), PH_OK);
    d = feed_of(PHI_KIND_REPLY, id.value, body, 90000);
    d.said = f.said_count;
    feed_first(&s, &d, 32000);
    feed_go_on(&s, &f, &d);
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 90000\n");
    EXPECT_EQ(count(&s).large_received, 3);
    phi_client_streams_check(s.client);
    stage_fini(&s);
    free(body);
}

// A reply to a call that is over, an answer nobody waits for, and what follows a message that was
// dropped, take no memory: nothing would ever give it back. [P-66] [P-75]
TEST(stream, fragments_for_nobody_are_dropped)
{
    uint8_t *body = pattern(100000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, MIB, 2 * MIB);
    feed d = feed_of(PHI_KIND_REPLY, UINT64_C(1) << 32, body, 100000);
    feed_first(&s, &d, 100);
    EXPECT(f.said_count == 1 && f.said[0].op == PHI_STREAM_REFUSE);
    feed_rest(&s, &d, 100, false);
    feed_rest(&s, &d, 100, true);
    d = feed_of(PHI_KIND_ANSWER, 7, body, 100000);
    d.m.turn = 1;
    feed_first(&s, &d, 100);
    d.m.kind = PHI_KIND_INQUIRY;
    feed_first(&s, &d, 100);
    EXPECT_EQ(f.said_count, 3);
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    ph_outgoing out = outgoing("echo", body, 1);
    out.timeout_ms = 100;
    ph_call_id id;
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &s), PH_OK);
    d = feed_of(PHI_KIND_REPLY, id.value, body, 100000);
    feed_first(&s, &d, 100);
    EXPECT(s.client->streams.in_bytes > 100);
    stage_pass(&s, phi_ms(100));
    EXPECT_TEXT(stage_heard(&s), "done PH_ETIMEDOUT 11 0\n");
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    EXPECT_EQ(f.said[f.said_count - 1].op, PHI_STREAM_REFUSE);
    EXPECT_EQ(f.said[f.said_count - 1].value, PH_FAILURE_DEADLINE);
    feed_rest(&s, &d, 100, true);
    // The application never hears of a request that is cancelled before it is whole.
    d = feed_of(PHI_KIND_REQUEST, 8, body, 100000);
    feed_first(&s, &d, 100);
    stage_cancel(&s, 8, PH_FAILURE_CALLER_LOST);
    feed_rest(&s, &d, 100, true);
    d = feed_of(PHI_KIND_EVENT, 8, body, 100000);
    feed_first(&s, &d, 100);
    control(&s, PHI_STREAM_ABORT, &d.m, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    EXPECT_EQ(count(&s).large_received, 0);
    EXPECT_EQ(ph_client_state(s.client), PH_LINK_UP);
    stage_fini(&s);
    free(body);
}

// A sender behind TLS speaks suite plain, whose heads are shorter: what its center lets in must not
// end a receiver's link in another suite. [P-67]
TEST(stream, first_fragment_may_be_as_long_in_every_suite)
{
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_CHECK };
    uint8_t *body = pattern(100000);
    for (unsigned i = 0; i < PHI_COUNT_OF(suites); i++) {
        for (size_t over = 0; over <= 1; over++) {
            stage s;
            far f;
            stage_far(&s, &f, suites[i]);
            up(&s, MIB, 2 * MIB);
            feed d = feed_of(PHI_KIND_EVENT, 8, body, 100000);
            size_t head = phi_message_size(&d.m) - d.m.body.size;
            feed_first(&s, &d, PHI_FRAGMENT_FIRST_BYTES_MAX - head + over);
            EXPECT_TEXT(stage_heard(&s), over == 0 ? "" : "down PH_EPROTO\n");
            stage_fini(&s);
        }
    }
    free(body);
}

// What a breach is, and which bye it is left with. [P-31] [P-66] [P-67]
TEST(stream, breaches_end_the_link)
{
    static const struct {
        const char *what;
        phi_bye_code code;
    } cases[] = {
        { "more than was granted", PHI_BYE_CREDIT_EXCEEDED },
        { "a first fragment that is too long", PHI_BYE_CREDIT_EXCEEDED },
        { "begins twice", PHI_BYE_MALFORMED },
        { "a later one with a method", PHI_BYE_MALFORMED },
        { "a later one without a body", PHI_BYE_MALFORMED },
        { "a later one with headers", PHI_BYE_MALFORMED },
    };
    uint8_t *body = pattern(200000);
    for (unsigned i = 0; i < PHI_COUNT_OF(cases); i++) {
        stage s;
        far f;
        stage_far(&s, &f, PHI_SUITE_PLAIN);
        up(&s, MIB, 2 * MIB);
        feed d = feed_of(PHI_KIND_REQUEST, 7, body, 200000);
        feed_first(&s, &d, i == 1 ? 32768 : 1000);
        if (i == 0) {
            for (unsigned k = 0; k < 3 && s.has_center; k++) {
                feed_rest(&s, &d, 60000, false);
                f.said_count = 0; // its grants are not looked at
            }
            feed_rest(&s, &d, 19000, false);
        }
        phi_message rest = { .kind = PHI_KIND_REQUEST,
                             .flags = PHI_FLAG_REST | PHI_FLAG_MORE,
                             .call = 7,
                             .from = d.m.from,
                             .body = phi_bytes_of(body, 10) };
        if (i == 2) {
            feed_first(&s, &d, 1000);
        } else if (i == 3) {
            rest.method = phi_bytes_text("m");
        } else if (i == 4) {
            rest.body.size = 0;
        } else if (i == 5) {
            rest.headers = phi_bytes_text("h");
        }
        if (i > 2) {
            stage_say_message(&s, &rest);
        }
        if (i != 0) {
            EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
            EXPECT_EQ(s.end_code, cases[i].code);
        } else {
            EXPECT_TEXT(stage_heard(&s), ""); // the window moved on with it
        }
        stage_fini(&s);
    }
    free(body);
}

// Credit is counted by the byte: one more than was granted is a breach. [P-67]
TEST(stream, one_byte_beyond_its_credit)
{
    uint8_t *body = pattern(200000);
    for (unsigned excess = 0; excess < 2; excess++) {
        stage s;
        far f;
        stage_far(&s, &f, PHI_SUITE_PLAIN);
        up(&s, PHI_PACKET_BYTES_MAX, PHI_PACKET_BYTES_MAX);
        feed d = feed_of(PHI_KIND_EVENT, 7, body, 200000);
        feed_first(&s, &d, 1000);
        feed_hear(&f, &d);
        EXPECT_EQ(d.credit, PHI_PACKET_BYTES_MAX - 1000); // all that it may still be
        feed_rest(&s, &d, d.credit - 40000, false);
        feed_rest(&s, &d, 40000 + excess, true);
        EXPECT_TEXT(stage_heard(&s), excess == 0 ? "event you@home 65536\n" : "down PH_EPROTO\n");
        EXPECT_EQ(s.end_code, excess == 0 ? 0 : PHI_BYE_CREDIT_EXCEEDED);
        stage_fini(&s);
    }
    free(body);
}

// One without end takes no more than the largest message, and is then refused. [P-13] [P-66]
TEST(stream, without_end)
{
    uint8_t *body = pattern(MIB);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, 300000, 600000);
    ph_outgoing out = outgoing("echo", body, 1);
    ph_call_id id;
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &s), PH_OK);
    feed d = feed_of(PHI_KIND_REPLY, id.value, body, MIB);
    feed_first(&s, &d, 1000);
    feed_go_on(&s, &f, &d);
    EXPECT_EQ(d.sent, 300000);
    EXPECT_TEXT(stage_heard(&s), "done PH_EFAILURE 8 0\n");
    EXPECT_EQ(f.said[f.said_count - 1].op, PHI_STREAM_REFUSE);
    EXPECT_EQ(f.said[f.said_count - 1].value, PH_FAILURE_TOO_LARGE);
    EXPECT(s.memory.bytes_peak < 600000);
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    stage_fini(&s);
    free(body);
}

// Many at a time share what there is: nobody gets more than streams_bytes_max, and none waits for
// ever, because the oldest may always come whole. [P-67]
TEST(stream, many_that_come_share_the_limit)
{
    uint8_t *body = pattern(300000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, 300000, 700000);
    feed feeds[12];
    for (unsigned i = 0; i < PHI_COUNT_OF(feeds); i++) {
        feeds[i] = feed_of(PHI_KIND_EVENT, 1 + i, body, 300000);
        feed_first(&s, &feeds[i], 10000);
    }
    // In the opposite order: the youngest takes what it can get first.
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned i = PHI_COUNT_OF(feeds); i-- > 0;) {
            feed *d = &feeds[i];
            feed_hear(&f, d);
            if (d->credit > 0 && d->sent < d->size) {
                size_t left = d->size - d->sent;
                size_t size = d->credit < 9000 ? d->credit : 9000;
                size = size < left ? size : left;
                d->credit -= size;
                feed_rest(&s, d, size, size == left);
            }
            phi_client_streams_check(s.client);
            const phi_streams *t = &s.client->streams;
            EXPECT(t->in_bytes + t->in_owed <= 700000);
        }
        bool all_heard = true;
        for (unsigned i = 0; i < PHI_COUNT_OF(feeds); i++) {
            feed_hear(&f, &feeds[i]);
            all_heard = all_heard && feeds[i].said == f.said_count;
        }
        EXPECT(all_heard);
        f.said_count = 0;
        for (unsigned i = 0; i < PHI_COUNT_OF(feeds); i++) {
            feeds[i].said = 0;
        }
        stage_heard(&s);
    }
    for (unsigned i = 0; i < PHI_COUNT_OF(feeds); i++) {
        EXPECT_EQ(feeds[i].sent, 300000);
    }
    EXPECT_EQ(count(&s).large_received, PHI_COUNT_OF(feeds));
    EXPECT(s.memory.bytes_peak < 1200000);
    stage_fini(&s);
    free(body);
}

// A connection that breaks ends all of them, in both directions; the next one begins anew. [P-75]
TEST(stream, connection_that_breaks)
{
    uint8_t *body = pattern(400000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, MIB, MIB);
    f.window = 0;
    ph_outgoing out = outgoing("echo", body, 400000);
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_done, &s), PH_OK);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    EXPECT_ERR(ph_client_send(s.client, &out), PH_EBUSY);
    feed d = feed_of(PHI_KIND_EVENT, 5, body, 400000);
    feed_first(&s, &d, 30000);
    stage_cut(&s);
    EXPECT_EQ(s.client->streams.out_bytes, 0);
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    EXPECT_EQ(count(&s).large_dropped, 3);
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "done PH_ERESET 0 0\ndown PH_ERESET\nup me@home\nwritable\n");
    f = (far){ .window = 50000 };
    EXPECT_ERR(ph_client_send(s.client, &out), PH_OK);
    serve(&s, &f);
    EXPECT(f.flows[0].is_whole);
    stage_fini(&s);
    free(body);
}

// Whatever finds no memory: its sender or its caller hears of it, and nothing is left behind.
TEST(stream, every_allocation_may_fail)
{
    uint8_t *body = pattern(150000);
    bool was_enough = false;
    for (size_t n = 1; !was_enough; n++) {
        stage s;
        far f;
        stage_far(&s, &f, PHI_SUITE_PLAIN);
        up(&s, MIB, 2 * MIB);
        s.memory.fail_at = s.memory.takes + n;
        ph_outgoing out = outgoing("echo", body, 150000);
        ph_call_id id = { 0 };
        ph_err rc = ph_client_request(s.client, &out, &id, on_done, &s);
        EXPECT(rc == PH_OK || rc == PH_ENOMEM);
        feed e = feed_of(PHI_KIND_EVENT, 5, body, 150000);
        feed_first(&s, &e, 10000);
        for (unsigned i = 0; i < 40; i++) {
            stage_pass(&s, phi_ms(10)); // on_room, when there was no memory
            serve(&s, &f);
            feed_go_on(&s, &f, &e);
        }
        if (rc == PH_OK) {
            EXPECT(f.flows[0].is_whole);
            feed r = feed_of(PHI_KIND_REPLY, id.value, body, 150000);
            r.said = f.said_count;
            feed_first(&s, &r, 10000);
            for (unsigned i = 0; i < 40; i++) {
                stage_pass(&s, phi_ms(10));
                feed_go_on(&s, &f, &r);
            }
        }
        phi_client_streams_check(s.client);
        was_enough = s.memory.takes < s.memory.fail_at;
        ph_client_counters c = count(&s);
        EXPECT_EQ(c.calls, rc == PH_OK);
        EXPECT_EQ(c.replies + c.failures, c.calls);
        EXPECT(c.large_received + c.large_dropped >= 1);
        EXPECT(!was_enough || c.large_received == 2);
        stage_fini(&s);
    }
    free(body);
}

// ---- dialogs

static void on_large_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                             const ph_incoming *incoming, void *arg)
{
    (void)call;
    size_t size = incoming->body.size;
    expect_pattern((const uint8_t *)incoming->body.data, size, 0);
    stage_note(arg, "inquiry %u %zu\n", (unsigned)inquiry.turn, size);
    EXPECT_ERR(ph_client_reply(client, inquiry, incoming->body.data, size), PH_OK);
}

// An inquiry and its answer may be as long as a request and its reply, for either side. [P-62]
// [P-66]
TEST(stream, inquiries_and_answers)
{
    uint8_t *body = pattern(200000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_CHECK);
    up(&s, MIB, 2 * MIB);
    // Asked back by our responder.
    ph_outgoing out = outgoing("echo", body, 10);
    out.on_inquiry = on_large_inquiry;
    ph_call_id id;
    EXPECT_ERR(ph_client_request(s.client, &out, &id, on_done, &s), PH_OK);
    feed d = feed_of(PHI_KIND_INQUIRY, id.value, body, 120000);
    d.m.turn = 3;
    feed_first(&s, &d, 1000);
    feed_go_on(&s, &f, &d);
    EXPECT_TEXT(stage_heard(&s), "inquiry 3 120000\n");
    serve(&s, &f);
    EXPECT_EQ(f.flows[0].kind, PHI_KIND_ANSWER);
    EXPECT_EQ(f.flows[0].turn, 3);
    EXPECT(f.flows[0].is_whole && f.flows[0].received == 120000);
    // One that is under way ends with the call.
    d.m.turn = 4;
    d.said = f.said_count;
    feed_first(&s, &d, 1000);
    EXPECT(s.client->streams.in_bytes != 0);
    stage_reply(&s, id.value, "");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 0\n");
    EXPECT_EQ(s.client->streams.in_bytes, 0);

    // Asking our caller back.
    feed r = feed_of(PHI_KIND_REQUEST, 5, body, 0);
    uint8_t headers[16];
    phi_writer w = phi_writer_of((phi_span){ headers, sizeof headers });
    phi_write_header(&w, phi_bytes_text("h"), phi_bytes_text("v"));
    r.m.headers = phi_writer_view(&w);
    stage_say_message(&s, &r.m);
    stage_heard(&s);
    ph_request_id request = { .call = 5,
                              .connection = s.client->connection,
                              .deadline_ns = phi_time_add(s.io.now, phi_seconds(5)).ns };
    out = outgoing(NULL, body, 150000);
    EXPECT_ERR(ph_client_ask(s.client, request, &out, NULL, on_done, &s), PH_OK);
    serve(&s, &f);
    const flow *asked = &f.flows[1];
    EXPECT_EQ(asked->kind, PHI_KIND_INQUIRY);
    EXPECT(asked->is_whole && asked->received == 150000);
    feed a = feed_of(PHI_KIND_ANSWER, 5, body, 90000);
    a.m.turn = asked->turn;
    a.said = f.said_count;
    feed_first(&s, &a, 1000);
    feed_go_on(&s, &f, &a);
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 90000\n");
    // A request that is over takes both directions of its inquiries with it.
    EXPECT_ERR(ph_client_ask(s.client, request, &out, NULL, on_done, &s), PH_OK);
    stage_settle(&s);
    a.m.turn = f.flows[2].turn;
    feed_first(&s, &a, 1000); // before it has all of the inquiry
    EXPECT(s.client->streams.in_bytes != 0 && s.client->streams.out_bytes != 0);
    stage_cancel(&s, 5, PH_FAILURE_CALLER_LOST);
    EXPECT(!phi_streams_are_any(&s.client->streams));
    EXPECT_TEXT(stage_heard(&s), "done PH_ECANCELLED 19 0\ncancel 5 caller_lost\n");
    EXPECT_EQ(count(&s).large_dropped, 3);
    stage_fini(&s);
    free(body);
}

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    (void)call;
    expect_pattern((const uint8_t *)part->body.data, part->body.size, 0);
    stage_note(arg, "part %u %zu\n", code, part->body.size);
}

// Of a gather, each part may be long; one that is too long costs only itself. [P-65] [P-66]
TEST(stream, parts_of_a_gather)
{
    uint8_t *body = pattern(400000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, 100000, 400000);
    ph_gather how = PH_GATHER_INIT;
    how.on_part = on_part;
    how.done = on_gathered;
    how.arg = &s;
    ph_outgoing out = outgoing("all:letters", body, 100);
    ph_call_id id;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, &id), PH_OK);
    feed parts[3];
    for (uint16_t i = 0; i < 3; i++) {
        parts[i] = feed_of(PHI_KIND_REPLY, id.value, body, i == 1 ? 400000 : 90000);
        parts[i].m.turn = (uint16_t)(i + 1);
        parts[i].m.flags = PHI_FLAG_PART;
        parts[i].said = f.said_count;
        feed_first(&s, &parts[i], 1000);
    }
    for (unsigned i = 0; i < 3; i++) {
        feed_go_on(&s, &f, &parts[i]);
    }
    EXPECT_TEXT(stage_heard(&s), "part 0 90000\npart 8 0\npart 0 90000\n");
    EXPECT_EQ(parts[1].sent, 100000);
    EXPECT_EQ(s.client->calls.count, 1); // the center says when it is over
    stage_fini(&s);
    free(body);
}

// ---- what has no room, and what nobody takes

static void feed_by_hand(stage *s, const feed *d, size_t size)
{
    phi_message part = d->m;
    part.flags |= PHI_FLAG_MORE;
    part.body = phi_bytes_of(d->body, size);
    stage_say_message(s, &part);
}

// A full send buffer delays credit; it does not lose it, or the message would never go on. [P-67]
TEST(stream, full_buffer_only_delays_credit)
{
    uint8_t *body = pattern(100000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    up(&s, MIB, 2 * MIB);
    stage_fill(&s, 16);
    feed d = feed_of(PHI_KIND_EVENT, 5, body, 100000);
    feed_by_hand(&s, &d, 1000);
    d.sent = 1000;
    EXPECT_EQ(s.client->streams.in_owed, 0);
    EXPECT(s.client->streams.is_short);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    feed_go_on(&s, &f, &d);
    EXPECT_TEXT(stage_heard(&s), "writable\nevent you@home 100000\n");
    stage_fini(&s);
    free(body);
}

// Who answers no requests says so at the first fragment: nobody sends megabytes to hear it. [P-58]
TEST(stream, without_handler_refused_at_once)
{
    uint8_t *body = pattern(100);
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.on_request = NULL;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    feed d = feed_of(PHI_KIND_REQUEST, 5, body, 100);
    feed_by_hand(&s, &d, 50);
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.kind, PHI_KIND_FAILURE);
    EXPECT_EQ(m.call, 5);
    EXPECT_EQ(phi_get_u16(m.body.data), PH_FAILURE_NO_HANDLER);
    EXPECT_EQ(s.client->streams.in_bytes, 0);
    stage_fini(&s);
    free(body);
}

// A second answer counts no more while the first one still waits for its turn. [P-56]
TEST(stream, second_answer_behind_a_waiting_one)
{
    uint8_t *body = pattern(100000);
    stage s;
    far f;
    stage_far(&s, &f, PHI_SUITE_PLAIN);
    s.options.streams_max = 1;
    stage_up(&s);
    for (uint64_t call = 5; call < 7; call++) {
        stage_request(&s, call, "", "");
        EXPECT_ERR(ph_client_reply(s.client, s.request, body, 100000), PH_OK);
        EXPECT_ERR(ph_client_reply(s.client, s.request, body, 90000), PH_OK);
    }
    EXPECT_EQ(count(&s).large_dropped, 2);
    serve(&s, &f);
    EXPECT_EQ(f.flow_count, 2);
    EXPECT(f.flows[0].received == 100000 && f.flows[1].received == 100000);
    stage_fini(&s);
    free(body);
}

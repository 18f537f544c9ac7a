// SPDX-License-Identifier: Apache-2.0
//
// tests/client/far.c - see far.h.

#include "tests/client/far.h"

#include <stdlib.h>

#include "tests/harness/test.h"

uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    }
    return bytes;
}

void expect_pattern(const uint8_t *bytes, size_t size, size_t from)
{
    for (size_t i = 0; i < size; i++) {
        size_t at = from + i;
        if (bytes[i] != (uint8_t)(at * 31 + (at >> 8) * 7)) {
            fail_msg("byte %zu is another", at);
        }
    }
}

static flow *flow_find(far *f, uint8_t kind, uint16_t turn, uint64_t call)
{
    for (unsigned i = 0; i < f->flow_count; i++) {
        flow *w = &f->flows[i];
        if (w->kind == kind && w->turn == turn && w->call == call && !w->is_whole) {
            return w;
        }
    }
    return NULL;
}

static void on_fragment(far *f, const phi_message *m, size_t size)
{
    flow *w = flow_find(f, m->kind, m->turn, m->call);
    bool is_first = (m->flags & PHI_FLAG_REST) == 0;
    EXPECT(m->body.size > 0);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("me@home")));
    if (is_first) {
        assert_null(w);
        assert_true(f->flow_count < FLOWS_MAX);
        w = &f->flows[f->flow_count++];
        *w = (flow){ m->kind, m->turn, m->call, 0, 0, m->body.size, 0, false, 0 };
        EXPECT(size <= PHI_FRAGMENT_FIRST_BYTES_MAX);
        EXPECT((m->flags & PHI_FLAG_MORE) != 0);
        EXPECT(m->kind == PHI_KIND_EVENT || m->call >= UINT64_C(1) << 32 || m->call < 100);
    } else {
        assert_non_null(w);
        EXPECT(m->to.size == 0 && m->method.size == 0 && m->headers.size == 0);
        EXPECT(m->ttl_ms == 0 && m->depth == 0 && m->want == 0);
        EXPECT((m->flags & ~(PHI_FLAG_MORE | PHI_FLAG_REST)) == 0);
        EXPECT(m->body.size <= PHI_FRAGMENT_BYTES);
        EXPECT_EQ(w->aborted, 0);
    }
    expect_pattern(m->body.data, m->body.size, w->received);
    w->received += m->body.size;
    w->fragments++;
    w->is_whole = (m->flags & PHI_FLAG_MORE) == 0;
    EXPECT(w->received <= w->first + w->granted); // [P-67]
    f->fragment_bytes += m->body.size;
    if (f->order_size + 1 < sizeof f->order) {
        f->order[f->order_size++] = (char)('a' + (w - f->flows));
    }
}

static void on_packet(stage *s, const phi_packet *packet)
{
    far *f = s->arg;
    if (packet->command == PHI_COMMAND_STREAM) {
        phi_stream_control control;
        EXPECT_ERR(phi_stream_control_decode(packet->payload, &control), PH_OK);
        if (control.op == PHI_STREAM_ABORT) {
            flow *w = flow_find(f, control.kind, control.turn, control.call);
            assert_non_null(w);
            w->aborted = (uint16_t)control.value;
            return;
        }
        assert_true(f->said_count < PHI_COUNT_OF(f->said));
        f->said[f->said_count++] = control;
        return;
    }
    EXPECT_EQ(packet->command, PHI_COMMAND_MESSAGE);
    phi_message m;
    EXPECT_ERR(phi_message_decode(packet->payload, &m), PH_OK);
    if ((m.flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) != 0) {
        on_fragment(f, &m, packet->payload.size);
    } else {
        f->smalls++;
        f->before = f->fragment_bytes;
    }
}

void control(stage *s, phi_stream_op op, const phi_message *m, uint32_t value)
{
    uint8_t room[PHI_STREAM_CONTROL_BYTES];
    phi_stream_control packet = { (uint8_t)op, m->kind, m->turn, m->call, value };
    phi_stream_control_encode(room, &packet);
    stage_say(s, PHI_COMMAND_STREAM, phi_bytes_of(room, sizeof room));
}

void flow_control(stage *s, const flow *w, phi_stream_op op, uint32_t value)
{
    control(s, op, &(phi_message){ .kind = w->kind, .turn = w->turn, .call = w->call }, value);
}

void serve(stage *s, far *f)
{
    for (bool moved = true; moved;) {
        size_t had = f->fragment_bytes;
        stage_settle(s);
        moved = f->fragment_bytes != had;
        for (unsigned i = 0; i < f->flow_count; i++) {
            flow *w = &f->flows[i];
            if (w->is_whole || w->aborted != 0 || w->received < w->first + w->granted) {
                continue;
            }
            w->granted += f->window;
            flow_control(s, w, PHI_STREAM_CREDIT, (uint32_t)f->window);
            moved = true;
        }
    }
}

void stage_far(stage *s, far *f, phi_suite suite)
{
    stage_init(s, suite);
    *f = (far){ .window = 40000 };
    s->on_packet = on_packet;
    s->arg = f;
}

ph_outgoing outgoing(const char *to, const uint8_t *body, size_t size)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = to;
    out.body = body;
    out.body_size = size;
    return out;
}

void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
             const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    size_t size = reply == NULL ? 0 : reply->body.size;
    if (status == PH_OK) {
        expect_pattern((const uint8_t *)reply->body.data, size, 0);
    }
    stage_note(arg, "done %s %u %zu\n", ph_err_name(status), code, size);
}

ph_client_counters count(const stage *s)
{
    ph_client_counters n = { .struct_size = sizeof n };
    ph_client_count(s->client, &n);
    return n;
}

void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                 const ph_gathered *gathered, void *arg)
{
    (void)client;
    (void)call;
    (void)gathered;
    stage_note(arg, "gathered %s %u\n", ph_err_name(status), code);
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world_say.c - see world.h: what a peer says, and what is expected to have come
// to it.

#include <stdio.h>

#include "tests/center/world_parts.h"
#include "tests/harness/test.h"
#include "wire/presence.h"

// ---- says

void peer_packet(peer *p, uint16_t command, const void *payload, size_t size)
{
    uint8_t *room = phi_outbound_begin(&p->link.out, size);
    assert_non_null(room);
    if (size != 0) {
        memcpy(room, payload, size);
    }
    phi_outbound_commit(&p->link.out, command, size);
    peer_flush(p);
}

void peer_say(peer *p, const phi_message *m)
{
    phi_message with_from = *m;
    if (m->from.data == NULL) {
        with_from.from = phi_bytes_text(p->id);
    }
    size_t size = phi_message_size(&with_from);
    uint8_t *room = phi_outbound_begin(&p->link.out, size);
    assert_non_null(room);
    phi_message_encode(room, &with_from);
    phi_outbound_commit(&p->link.out, PHI_COMMAND_MESSAGE, size);
    peer_flush(p);
}

void peer_event(peer *p, const char *to, const char *body)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .to = phi_bytes_text(to),
                                .method = phi_bytes_text("told"),
                                .body = phi_bytes_text(body) });
}

void peer_request(peer *p, const char *to, uint64_t call, uint32_t ttl_ms)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .call = call,
                                .ttl_ms = ttl_ms,
                                .to = phi_bytes_text(to),
                                .method = phi_bytes_text("asked"),
                                .body = phi_bytes_text("?") });
}

void peer_reply(peer *p, uint64_t call, const char *body)
{
    peer_say(p,
             &(phi_message){ .kind = PHI_KIND_REPLY, .call = call, .body = phi_bytes_text(body) });
}

void peer_failure(peer *p, uint64_t call, uint16_t code)
{
    uint8_t body[2];
    phi_put_u16(body, code);
    peer_say(
        p, &(phi_message){ .kind = PHI_KIND_FAILURE, .call = call, .body = phi_bytes_of(body, 2) });
}

void peer_cancel(peer *p, uint64_t call)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_CANCEL, .call = call });
}

void peer_inquire(peer *p, uint64_t call, uint16_t turn, uint32_t ttl_ms)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_INQUIRY,
                                .turn = turn,
                                .call = call,
                                .ttl_ms = ttl_ms,
                                .method = phi_bytes_text("asked back"),
                                .body = phi_bytes_text("??") });
}

void peer_answer(peer *p, uint64_t call, uint16_t turn, const char *body)
{
    peer_say(
        p, &(phi_message){
               .kind = PHI_KIND_ANSWER, .turn = turn, .call = call, .body = phi_bytes_text(body) });
}

void peer_fail_inquiry(peer *p, uint64_t call, uint16_t turn, uint16_t code)
{
    uint8_t body[2];
    phi_put_u16(body, code);
    peer_say(p, &(phi_message){ .kind = PHI_KIND_FAILURE,
                                .turn = turn,
                                .call = call,
                                .body = phi_bytes_of(body, 2) });
}

uint64_t peer_call(peer *from, peer *to, const char *address, uint64_t number)
{
    peer_request(from, address, number, 0);
    world_settle(from->w);
    const phi_message *m = peer_next(to);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REQUEST);
    return m->call;
}

void peer_ask(peer *p, const phi_presence_ask *ask)
{
    uint8_t bytes[1024];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_presence_ask_encode(&w, ask);
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_ONLINE_LIST, bytes, phi_writer_size(&w));
}

void peer_control(peer *p, const phi_stream_control *control)
{
    uint8_t bytes[PHI_STREAM_CONTROL_BYTES];
    phi_stream_control_encode(bytes, control);
    peer_packet(p, PHI_COMMAND_STREAM, bytes, sizeof bytes);
}

void peer_own_state(peer *p, const phi_own_state *own)
{
    uint8_t bytes[PHI_PACKET_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_own_state_encode(&w, own);
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_OWN_STATE, bytes, phi_writer_size(&w));
}

void peer_fill_up(peer *p, peer *other)
{
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    p->reads_max = 0;
    uint64_t dropped = world_count(p->w).events_dropped_total;
    while (world_count(p->w).events_dropped_total == dropped) {
        peer_event(other, p->id, body);
        world_settle(p->w);
    }
    // what is left is less than a failure takes
    do {
        dropped = world_count(p->w).events_dropped_total;
        peer_event(other, p->id, "");
        world_settle(p->w);
    } while (world_count(p->w).events_dropped_total == dropped);
}

void peer_drain(peer *p)
{
    p->reads_max = SIZE_MAX;
    world_settle(p->w);
    while (p->inbox_read < p->inbox_count && p->inbox[p->inbox_read].m.kind == PHI_KIND_EVENT) {
        p->inbox_read++;
    }
}

// ---- expects

const phi_message *peer_next(peer *p)
{
    return p->inbox_read == p->inbox_count ? NULL : &p->inbox[p->inbox_read++].m;
}

phi_bytes peer_next_packet(peer *p, uint16_t command)
{
    for (size_t i = 0; i < p->packet_count; i++) {
        got_packet *g = &p->packets[i];
        if (g->command == command && !g->is_read) {
            g->is_read = true;
            return phi_bytes_of(g->payload, g->size);
        }
    }
    return phi_bytes_of(NULL, 0);
}

void peer_expect_failure(peer *p, uint64_t call, uint16_t code)
{
    peer_expect_inquiry_failure(p, call, /* turn= */ 0, code);
}

void peer_expect_inquiry_failure(peer *p, uint64_t call, uint16_t turn, uint16_t code)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_FAILURE);
    EXPECT_EQ(m->call, call);
    EXPECT_EQ(m->turn, turn);
    phi_failure failure;
    EXPECT_ERR(phi_failure_decode(m->body, &failure), PH_OK);
    EXPECT_EQ(failure.code, code);
}

void peer_expect_cancel(peer *p, uint64_t call, uint16_t code)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_CANCEL);
    EXPECT_EQ(m->call, call);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("@d")));
    EXPECT_EQ(m->body.size, 2);
    EXPECT_EQ(phi_get_u16(m->body.data), code);
}

const phi_message *peer_expect(peer *p, phi_kind kind, uint64_t call, const char *body)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, kind);
    EXPECT_EQ(m->call, call);
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text(body)));
    return m;
}

void peer_expect_bodies(peer *p, const char *bodies)
{
    for (const char *b = bodies; *b != '\0'; b++) {
        const phi_message *m = peer_next(p);
        assert_non_null(m);
        EXPECT(phi_bytes_equal(m->body, phi_bytes_of(b, 1)));
    }
    EXPECT(peer_next(p) == NULL);
}

const phi_message *peer_expect_fragment(peer *p, phi_kind kind, uint8_t flags, size_t size)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, kind);
    EXPECT_EQ(m->flags, flags);
    EXPECT_EQ(m->body.size, size);
    return m;
}

phi_stream_control peer_expect_control(peer *p, phi_stream_op op, uint64_t call, uint32_t value)
{
    phi_stream_control said;
    EXPECT_ERR(phi_stream_control_decode(peer_next_packet(p, PHI_COMMAND_STREAM), &said), PH_OK);
    EXPECT_EQ(said.op, op);
    EXPECT_EQ(said.call, call);
    EXPECT_EQ(said.value, value);
    return said;
}

void peer_expect_receipt(peer *p, uint64_t number, phi_receipt wanted)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_RECEIPT);
    EXPECT_EQ(m->call, number);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("@d")));
    phi_receipt receipt;
    EXPECT_ERR(phi_receipt_decode(m->body, &receipt), PH_OK);
    EXPECT_EQ(receipt.delivered, wanted.delivered);
    EXPECT_EQ(receipt.dropped, wanted.dropped);
    EXPECT_EQ(receipt.code, wanted.code);
}

void peer_expect_bye(const peer *p, phi_bye_code code)
{
    EXPECT(p->is_ended);
    EXPECT(p->end.by_peer);
    EXPECT_EQ(p->end.code, code);
    EXPECT(p->stream == NULL); // and the center closed
}

const line *peer_find(const peer *p, const char *id)
{
    for (size_t i = 0; i < p->table_count; i++) {
        if (strcmp(p->table[i].id, id) == 0) {
            return &p->table[i];
        }
    }
    return NULL;
}

void world_expect_converged(const world *w, const peer *p)
{
    size_t online = 0;
    for (size_t i = 0; i < w->peer_count; i++) {
        const peer *other = w->peers[i];
        if (other->is_open && !other->is_ended) {
            online++;
            const line *l = peer_find(p, other->id);
            assert_non_null(l);
            EXPECT_EQ(l->session, other->session);
        }
    }
    EXPECT_EQ(p->table_count, online);
    EXPECT(p->knows_list);
}

void world_expect_balance(const world *w)
{
    center_counters n = world_count(w);
    EXPECT_EQ(n.requests_total, n.calls + n.calls_replied_total + n.calls_failed_total +
                                    n.calls_refused_total + n.calls_expired_total +
                                    n.calls_lost_total + n.calls_cancelled_total +
                                    n.calls_abandoned_total + n.calls_overrun_total);
    EXPECT_EQ(n.inquiries_total, n.inquiries + n.inquiries_answered_total +
                                     n.inquiries_failed_total + n.inquiries_refused_total +
                                     n.inquiries_ended_total);
}

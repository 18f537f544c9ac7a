// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world_peer.c - see world.h: a peer's connection, and what it makes of what
// comes.

#include "tests/center/world_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"
#include "wire/bye.h"
#include "wire/presence.h"

// ---- life

peer *world_connect_as(world *w, const phi_join *join)
{
    EXPECT(w->peer_count < WORLD_PEERS_MAX);
    peer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->w = w;
    p->stream = world_stream_new(w);
    p->reads_max = SIZE_MAX;
    p->join = *join;
    p->options = (phi_link_options){
        .alloc = &phi_alloc_heap,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = WORLD_STREAM_BYTES_MAX / 2,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(3600),
        .heartbeat_idle = phi_seconds(3600),
        .heartbeat_grace = phi_seconds(3600),
        .full_timeout = phi_seconds(3600),
        .suite_floor = PHI_SUITE_PLAIN,
        .join = &p->join,
    };
    EXPECT_ERR(phi_link_init(&p->link, &p->options, NULL, w->io.now), PH_OK);
    w->peers[w->peer_count++] = p;
    return p;
}

peer *world_connect(world *w, const char *account)
{
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .account = phi_bytes_text(account) };
    return world_connect_as(w, &join);
}

peer *world_join(world *w, const char *account)
{
    return world_join_as(w, &(phi_join){ .account = phi_bytes_text(account) });
}

peer *world_join_as(world *w, const phi_join *join)
{
    phi_join usual = *join;
    usual.version = PHI_PROTOCOL_VERSION;
    usual.type = PHI_TYPE_CLIENT;
    peer *p = world_connect_as(w, &usual);
    world_settle(w);
    EXPECT(p->is_open);
    return p;
}

peer *world_join_service(world *w, const char *account, const char *service)
{
    return world_join_as(
        w, &(phi_join){ .account = phi_bytes_text(account), .service = phi_bytes_text(service) });
}

void world_join_listeners(world *w, peer **listeners, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "l%zu", i);
        listeners[i] = world_join(w, name);
    }
}

peer *world_watch(world *w, const char *account)
{
    peer *p = world_connect(w, account);
    p->join.presence.wants = true;
    world_settle(w);
    EXPECT(p->is_open);
    EXPECT(p->knows_list);
    return p;
}

void peer_leave(peer *p)
{
    phi_link_bye(&p->link, PHI_BYE_NORMAL, 0, NULL);
    peer_flush(p);
    p->is_open = false;
}

void peer_cut(peer *p)
{
    if (p->stream != NULL) {
        p->stream->is_cut = true;
    }
    p->is_open = false;
}

void peer_free(peer *p)
{
    for (size_t i = 0; i < p->inbox_count; i++) {
        free(p->inbox[i].payload);
    }
    free(p->inbox);
    for (size_t i = 0; i < p->packet_count; i++) {
        free(p->packets[i].payload);
    }
    free(p->packets);
    free(p->table);
    phi_link_fini(&p->link);
    free(p);
}

void world_forget(world *w, peer *p)
{
    EXPECT(p->stream == NULL);
    size_t i = 0;
    while (w->peers[i] != p) {
        i++;
    }
    w->peers[i] = w->peers[--w->peer_count];
    peer_free(p);
}

// ---- what a peer receives

static line *table_find(const peer *p, phi_bytes id)
{
    for (size_t i = 0; i < p->table_count; i++) {
        if (phi_bytes_equal(phi_bytes_text(p->table[i].id), id)) {
            return &p->table[i];
        }
    }
    return NULL;
}

// [P-48]
static void table_apply(peer *p, const phi_entry *e)
{
    line *l = table_find(p, e->id);
    if (l != NULL && e->revision <= l->revision) {
        return; // a page showed it already
    }
    if (e->what == PHI_WHAT_OFFLINE) {
        if (l != NULL) {
            *l = p->table[--p->table_count];
        }
        return;
    }
    p->changes_unknown += e->what == PHI_WHAT_CHANGED && (l == NULL || l->session != e->session);
    p->onlines_known += e->what == PHI_WHAT_ONLINE && l != NULL && l->session == e->session;
    if (l == NULL) {
        p->table = realloc(p->table, (p->table_count + 1) * sizeof *p->table);
        assert_non_null(p->table);
        l = &p->table[p->table_count++];
    }
    phi_entry_detail detail;
    EXPECT_ERR(phi_entry_detail_decode(e->fields, &detail), PH_OK);
    *l = (line){ .session = e->session,
                 .revision = e->revision,
                 .type = e->type,
                 .state = e->state,
                 .weight = detail.weight,
                 .round_trip_us = detail.round_trip_us,
                 .metadata_count = detail.metadata_count,
                 .software_size = detail.software.size };
    memcpy(l->id, e->id.data, e->id.size);
    memcpy(l->service, e->service.data, e->service.size);
}

static void on_page(peer *p, phi_bytes payload)
{
    phi_page page;
    EXPECT_ERR(phi_page_decode(payload, &page), PH_OK);
    EXPECT_EQ(phi_epoch_life(page.epoch), phi_epoch_life(p->epoch));
    if ((page.flags & PHI_PAGE_FIRST) != 0) {
        p->epoch = page.epoch;
        p->table_count = 0;
        p->revision = page.revision;
        p->lists++;
        p->knows_list = false;
    }
    EXPECT_EQ(page.revision, p->revision); // [P-44]
    phi_reader r = phi_reader_of(page.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        EXPECT_EQ(entry.what, PHI_WHAT_ONLINE);
        table_apply(p, &entry);
    }
    p->pages++;
    p->knows_list = p->knows_list || (page.flags & PHI_PAGE_LAST) != 0;
}

static void on_status(peer *p, phi_bytes payload)
{
    phi_status status;
    EXPECT_ERR(phi_status_decode(payload, &status), PH_OK);
    EXPECT_EQ(status.epoch, p->epoch);
    EXPECT_EQ(status.previous, p->revision); // [P-45] no gap, no double
    uint64_t revision = status.previous;
    phi_reader r = phi_reader_of(status.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        EXPECT(entry.revision > revision);
        EXPECT(entry.revision <= status.revision);
        revision = entry.revision;
        p->last_what = entry.what;
        p->last_reason = entry.reason;
        p->changes++;
        table_apply(p, &entry);
    }
    p->revision = status.revision;
    p->statuses++;
    p->empty_statuses += status.count == 0;
}

static void on_message(peer *p, phi_bytes payload)
{
    if ((p->inbox_count & (p->inbox_count - 1)) == 0) {
        size_t capacity = p->inbox_count == 0 ? 1 : p->inbox_count * 2;
        p->inbox = realloc(p->inbox, capacity * sizeof *p->inbox);
        assert_non_null(p->inbox);
    }
    got *g = &p->inbox[p->inbox_count++];
    g->size = payload.size;
    g->payload = malloc(payload.size);
    assert_non_null(g->payload);
    memcpy(g->payload, payload.data, payload.size);
    EXPECT_ERR(phi_message_decode(phi_bytes_of(g->payload, g->size), &g->m), PH_OK);
}

static void on_packet(peer *p, const phi_packet *packet)
{
    p->packets = realloc(p->packets, (p->packet_count + 1) * sizeof *p->packets);
    assert_non_null(p->packets);
    got_packet *g = &p->packets[p->packet_count++];
    *g = (got_packet){ .command = packet->command, .size = packet->payload.size };
    g->payload = malloc(g->size + 1);
    assert_non_null(g->payload);
    if (g->size != 0) {
        memcpy(g->payload, packet->payload.data, g->size);
    }
}

static void peer_pump(peer *p)
{
    phi_link_event event;
    for (;;) {
        phi_link_next(&p->link, &event, p->w->io.now);
        switch (event.type) {
        case PHI_LINK_EVENT_NONE:
        case PHI_LINK_EVENT_SUSPECT:
        case PHI_LINK_EVENT_ALIVE:
        case PHI_LINK_EVENT_CONFIRMED:
            return;
        case PHI_LINK_EVENT_OPEN:
            p->is_open = true;
            snprintf(p->id, sizeof p->id, "%.*s", (int)event.welcome.id.size,
                     (const char *)event.welcome.id.data);
            p->session = event.welcome.session;
            p->epoch = event.welcome.epoch;
            p->joined_revision = event.welcome.revision;
            p->expires_ms = event.welcome.expires_ms;
            break;
        case PHI_LINK_EVENT_PACKET:
            if (event.packet.command == PHI_COMMAND_ONLINE_LIST) {
                on_page(p, event.packet.payload);
            } else if (event.packet.command == PHI_COMMAND_ONLINE_STATUS) {
                on_status(p, event.packet.payload);
            } else if (event.packet.command == PHI_COMMAND_MESSAGE) {
                on_message(p, event.packet.payload);
            } else {
                on_packet(p, &event.packet);
            }
            break;
        case PHI_LINK_EVENT_CLOSED:
            p->is_ended = true;
            p->end = event.end;
            break;
        case PHI_LINK_EVENT_JOIN:
            fail();
        }
    }
}

void peer_flush(peer *p)
{
    if (p->stream == NULL || p->stream->is_cut) {
        return;
    }
    phi_bytes bytes = phi_link_seal(&p->link);
    EXPECT(phi_buf_append(&p->stream->to_center, bytes));
    phi_link_sent(&p->link, bytes.size);
}

bool peer_turn(peer *p)
{
    phi_stream *s = p->stream;
    if (s == NULL || p->reads_max == 0) {
        return false;
    }
    size_t size = phi_buf_size(&s->to_peer);
    size = size < p->reads_max ? size : p->reads_max;
    if (size > 0 && !p->is_ended) {
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, phi_buf_view(&s->to_peer).data, size);
        phi_buf_consume(&s->to_peer, size);
        phi_link_receive(&p->link, (phi_span){ bytes, size }, p->w->io.now);
        peer_pump(p);
        free(bytes);
        peer_flush(p);
    } else {
        phi_buf_consume(&s->to_peer, size);
    }
    return size > 0;
}

// ---- its stream

void peer_window(peer *p, size_t size)
{
    p->stream->window = size;
}

void peer_raw(peer *p, const void *bytes, size_t size)
{
    EXPECT(p->stream != NULL);
    EXPECT(phi_buf_append(&p->stream->to_center, phi_bytes_of(bytes, size)));
}

size_t peer_unread(const peer *p)
{
    return phi_buf_size(&p->stream->to_peer);
}

size_t peer_unheard(const peer *p)
{
    return phi_buf_size(&p->stream->to_center);
}

void peer_read_last(peer *p)
{
    phi_list_remove(&p->stream->node);
    phi_list_append(&p->w->streams, &p->stream->node);
}

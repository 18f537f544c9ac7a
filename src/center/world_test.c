// SPDX-License-Identifier: Apache-2.0
//
// center/world_test.c - see world_test.h.

#include "center/world_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/mailbox_private.h"
#include "tests/harness/rules.h"
#include "tests/harness/test.h"
#include "wire/bye.h"
#include "wire/presence.h"

enum {
    STREAM_BYTES_MAX = 64 * 1024 * 1024,
    TURNS_MAX = 100000,
    MAIL_UNREAD_MAX = 65536,
    STILL_PERCENT = 30, // of the turns of a worker, where there are several
};

// What the worker of that number is posted.
typedef struct world_box {
    phi_mailbox m; // first
    phi_mail_list inbox;
    phi_mailbox *all[WORLD_WORKERS_MAX];
} world_box;

struct phi_stream {
    phi_list node; // on world.streams
    world *w;
    phi_io *io;                      // of the loop that has it; NULL: on its way to one
    const phi_stream_events *events; // NULL: not attached yet
    void *owner;
    phi_buf to_center;
    phi_buf to_peer;
    size_t window; // so much may wait for the peer
    bool is_new;
    bool is_paused;
    bool is_closed; // by the center
    bool is_cut;    // by the peer
    bool wants_writable;
    phi_identity who; // at the peer's end
};

// ---- io

static world *world_of(phi_io *io)
{
    return PHI_CONTAINER_OF((phi_alloc *)(uintptr_t)io->alloc, world, alloc.alloc);
}

static phi_io *io_at(world *w, uint32_t worker)
{
    return worker == 0 ? &w->io : &w->others[worker - 1].io;
}

static center *center_at(const world *w, uint32_t worker)
{
    return worker == 0 ? w->c : w->others[worker - 1].c;
}

static ph_err io_listen(phi_io *io, const phi_listen_options *options,
                        const phi_listener_events *events, void *owner, phi_listener **out,
                        phi_diag *diag)
{
    (void)diag;
    (void)options;
    world_of(io)->listener_events = events;
    world_of(io)->listener_owner = owner;
    *out = (phi_listener *)io;
    return PH_OK;
}

static void io_listener_address(const phi_listener *listener, char text[PHI_ADDRESS_TEXT_MAX])
{
    (void)listener;
    snprintf(text, PHI_ADDRESS_TEXT_MAX, "127.0.0.1:7678");
}

static void io_listener_close(phi_listener *listener)
{
    world_of((phi_io *)listener)->listener_events = NULL;
}

static void io_stream_attach(phi_stream *stream, const phi_stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

static size_t io_stream_write(phi_stream *stream, phi_bytes bytes)
{
    EXPECT(!stream->is_closed);
    if (stream->is_cut) {
        return 0;
    }
    size_t waiting = phi_buf_size(&stream->to_peer);
    size_t room = stream->window > waiting ? stream->window - waiting : 0;
    size_t count = bytes.size < room ? bytes.size : room;
    EXPECT(phi_buf_append(&stream->to_peer, phi_bytes_of(bytes.data, count)));
    stream->wants_writable = count < bytes.size;
    return count;
}

static void io_stream_pause(phi_stream *stream, bool is_paused)
{
    stream->is_paused = is_paused;
}

static void io_stream_close(phi_stream *stream)
{
    stream->is_closed = true;
}

static void io_stream_peer(const phi_stream *stream, char text[PHI_ADDRESS_TEXT_MAX])
{
    (void)stream;
    snprintf(text, PHI_ADDRESS_TEXT_MAX, "127.0.0.1:40000");
}

static void io_stream_identity(const phi_stream *stream, phi_identity *out)
{
    *out = stream->who;
}

static ph_err io_stream_verify(const phi_stream *stream, const phi_tls *tls, phi_diag *diag)
{
    (void)tls;
    const world *w = stream->w;
    bool is_bad = w->distrusted != NULL && stream->who.name_count != 0 &&
                  strcmp(stream->who.names[0].text, w->distrusted) == 0;
    return is_bad ? phi_diag_add(diag, PH_EACCESS, "its certificate has been revoked") : PH_OK;
}

static ph_err io_stream_release(phi_stream *stream, phi_loose_stream **out)
{
    EXPECT(stream->events == NULL);
    stream->io = NULL;
    *out = (phi_loose_stream *)stream;
    return PH_OK;
}

static ph_err io_stream_adopt(phi_io *io, phi_loose_stream *loose, phi_stream **out)
{
    *out = (phi_stream *)loose;
    EXPECT((*out)->io == NULL);
    (*out)->io = io;
    return PH_OK;
}

static void io_loose_stream_close(phi_loose_stream *loose)
{
    phi_stream *stream = (phi_stream *)loose;
    stream->io = &stream->w->io;
    stream->is_closed = true;
}

static void io_listener_secure(phi_listener *listener, phi_tls *tls)
{
    (void)listener;
    (void)tls;
}

static void io_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)phi_random_next(&world_of(io)->random);
    }
}

static uint64_t io_wall_ms(phi_io *io)
{
    return io->now.ns / 1000000;
}

static void io_read_clock(phi_io *io)
{
    (void)io;
}

static const phi_io_ops io_ops = {
    .listen = io_listen,
    .listener_address = io_listener_address,
    .listener_close = io_listener_close,
    .stream_attach = io_stream_attach,
    .stream_write = io_stream_write,
    .stream_pause = io_stream_pause,
    .stream_close = io_stream_close,
    .stream_peer = io_stream_peer,
    .stream_identity = io_stream_identity,
    .stream_verify = io_stream_verify,
    .stream_release = io_stream_release,
    .stream_adopt = io_stream_adopt,
    .loose_stream_close = io_loose_stream_close,
    .listener_secure = io_listener_secure,
    .entropy = io_entropy,
    .wall_ms = io_wall_ms,
    .read_clock = io_read_clock,
};

static void stream_free(phi_stream *s)
{
    for (size_t i = 0; i < s->w->peer_count; i++) {
        peer *p = s->w->peers[i];
        if (p->stream == s) {
            p->stream = NULL;
        }
    }
    phi_list_remove(&s->node);
    phi_buf_fini(&s->to_center);
    phi_buf_fini(&s->to_peer);
    free(s);
}

// ---- life

static void on_log(void *arg, const phi_log_event *event, const phi_log_field *fields, size_t count)
{
    world *w = arg;
    (void)fields;
    (void)count;
    if (w->log_count < WORLD_LOGS_MAX) {
        w->log_ids[w->log_count++] = event->id;
    }
}

static void io_begin(phi_io *io, world *w)
{
    io->ops = &io_ops;
    io->alloc = &w->alloc.alloc;
    io->now = (phi_time){ 1000000000 };
    phi_timers_init(&io->timers, io->now);
    phi_list_init(&io->hooks);
    phi_list_init(&io->late_hooks);
}

static void box_post(phi_mailbox *m)
{
    for (uint32_t to = 0; to < m->count; to++) {
        if ((m->unposted >> to & 1u) != 0) {
            phi_mail_list chunks;
            phi_mailbox_take_out(m, to, &chunks);
            phi_mail_list_move(&((world_box *)m->all[to])->inbox, &chunks);
        }
    }
    phi_mail_list_free(&m->surplus);
}

static void boxes_begin(world *w)
{
    w->boxes = calloc(w->worker_count, sizeof *w->boxes);
    assert_non_null(w->boxes);
    for (uint32_t i = 0; i < w->worker_count; i++) {
        w->boxes[0].all[i] = &w->boxes[i].m;
        phi_mailbox_init(&w->boxes[i].m, i, w->worker_count, w->boxes[0].all, MAIL_UNREAD_MAX,
                         box_post);
    }
    w->options.epoch = 1;
}

static ph_err workers_begin(world *w, phi_diag *diag)
{
    center_options options = w->options;
    ph_err rc = PH_OK;
    for (uint32_t i = 0; rc == PH_OK && i < w->worker_count; i++) {
        options.mailbox = w->boxes == NULL ? NULL : &w->boxes[i].m;
        center **c = i == 0 ? &w->c : &w->others[i - 1].c;
        rc = center_new(c, io_at(w, i), &options, &w->log, diag);
    }
    return rc;
}

static ph_err make(world **out, uint32_t workers, void (*change)(center_options *options),
                   size_t fail_at)
{
    EXPECT(workers <= WORLD_WORKERS_MAX);
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->worker_count = workers;
    phi_alloc_counter_init(&w->alloc, &phi_alloc_heap);
    w->alloc.fail_at = fail_at;
    for (uint32_t i = 0; i < WORLD_WORKERS_MAX; i++) {
        io_begin(io_at(w, i), w);
    }
    phi_list_init(&w->streams);
    w->random = phi_random_seeded(1);
    world_from_here(w);
    w->security = center_security_open;
    w->security.tls = (phi_tls *)w; // nobody looks into it
    w->security.tls_centers = (phi_tls *)w;
    w->log = (phi_log){ .level = PHI_LOG_DEBUG, .write = on_log, .arg = w };
    w->options = center_options_default();
    w->options.domain = "d";
    w->options.suite = PHI_SUITE_PLAIN;
    if (change != NULL) {
        change(&w->options);
    }
    *out = w;
    if (workers > 1) {
        boxes_begin(w);
    }
    phi_diag diag = { "" };
    ph_err rc = workers_begin(w, &diag);
    if (rc == PH_OK) {
        rc = center_listen(w->c, &(center_listen_options){ .address = "127.0.0.1:0" }, NULL, &diag);
    }
    return rc;
}

ph_err world_try(world **out, void (*change)(center_options *options), size_t fail_at)
{
    return make(out, /* workers= */ 1, change, fail_at);
}

// ---- who may do what

void world_secure(world *w, const char *const *lines)
{
    phi_rules_free(&w->rules[1]);
    w->rules[1] = w->rules[0];
    w->rules[0] = rules_of_lines(lines);
    w->security.rules = w->rules[0];
    center_secure(w->c, &w->security);
}

void world_from_far(world *w, const char *name)
{
    w->who = (phi_identity){ .host = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .is_tls = true };
    if (*name != '\0') {
        w->who.name_count = 1;
        w->who.expires_s = w->io.now.ns / 1000000000 + 3600;
        w->who.names[0].size = (uint8_t)strlen(name);
        w->who.names[0].is_uri = strchr(name, ':') != NULL;
        memcpy(w->who.names[0].text, name, strlen(name) + 1);
    }
}

void world_from_here(world *w)
{
    w->who = (phi_identity){ .is_local = true, .host = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
}

void world_listen_as(world *w, center_listener kind)
{
    phi_diag diag = { "" };
    EXPECT_ERR(center_listen(w->c,
                             &(center_listen_options){ .address = "127.0.0.1:0", .kind = kind },
                             NULL, &diag),
               PH_OK);
}

world *world_new(void (*change)(center_options *options))
{
    world *w;
    EXPECT_ERR(world_try(&w, change, 0), PH_OK);
    return w;
}

world *world_new_of(uint32_t workers, void (*change)(center_options *options))
{
    world *w;
    EXPECT_ERR(make(&w, workers, change, 0), PH_OK);
    return w;
}

static void peer_free(peer *p)
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

void world_free(world *w)
{
    for (uint32_t i = 0; i < w->worker_count && center_at(w, i) != NULL; i++) {
        center_check(center_at(w, i));
    }
    center_free(&w->c);
    for (size_t i = 0; i < PHI_COUNT_OF(w->others); i++) {
        center_free(&w->others[i].c);
    }
    EXPECT_EQ(w->alloc.bytes, 0);
    EXPECT_EQ(w->alloc.blocks, 0);
    for (uint32_t i = 0; i < w->worker_count; i++) {
        phi_io *io = io_at(w, i);
        EXPECT_EQ(io->timers.count, 0);
        EXPECT(phi_list_is_empty(&io->hooks));
        EXPECT(phi_list_is_empty(&io->late_hooks));
    }
    for (uint32_t i = 0; w->boxes != NULL && i < w->worker_count; i++) {
        phi_mail_list_free(&w->boxes[i].inbox);
        phi_mailbox_fini(&w->boxes[i].m);
    }
    free(w->boxes);
    while (!phi_list_is_empty(&w->streams)) {
        stream_free(PHI_CONTAINER_OF(w->streams.next, phi_stream, node));
    }
    for (size_t i = 0; i < w->peer_count; i++) {
        peer_free(w->peers[i]);
    }
    phi_rules_free(&w->rules[0]);
    phi_rules_free(&w->rules[1]);
    free(w);
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

static void peer_flush(peer *p)
{
    if (p->stream == NULL || p->stream->is_cut) {
        return;
    }
    phi_bytes bytes = phi_link_seal(&p->link);
    EXPECT(phi_buf_append(&p->stream->to_center, bytes));
    phi_link_sent(&p->link, bytes.size);
}

// True when something moved.
static bool peer_turn(peer *p)
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

// ---- turning

static bool stream_turn(phi_stream *s)
{
    world *w = s->w;
    bool is_accepted = s->is_new;
    if (s->is_new) {
        s->is_new = false;
        if (w->listener_events == NULL) {
            stream_free(s);
            return true;
        }
        w->listener_events->on_accept(w->listener_owner, s);
        if (s->io == NULL) {
            return true; // another worker takes it
        }
    }
    if (s->is_closed || s->is_cut) {
        const phi_stream_events *events = s->events;
        if (events != NULL) {
            events->on_closed(s->owner, s->is_closed ? PH_OK : PH_ERESET, "");
            s->events = NULL; // what was written still goes out
        }
        if (s->is_cut || phi_buf_size(&s->to_peer) == 0) {
            stream_free(s);
            return true;
        }
        return events != NULL;
    }
    size_t size = s->is_paused ? 0 : phi_buf_size(&s->to_center);
    if (size > 0) {
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, phi_buf_view(&s->to_center).data, size);
        phi_buf_consume(&s->to_center, size);
        s->events->on_bytes(s->owner, (phi_span){ bytes, size });
        free(bytes);
    }
    if (s->wants_writable && phi_buf_size(&s->to_peer) < s->window && !s->is_closed) {
        s->wants_writable = false;
        s->events->on_writable(s->owner);
        return true;
    }
    return is_accepted || size > 0;
}

// A pause ended in this turn, behind the streams' part of it.
static bool is_any_unread(const world *w, const phi_io *io)
{
    for (const phi_list *n = w->streams.next; n != &w->streams; n = n->next) {
        const phi_stream *s = PHI_CONTAINER_OF(n, phi_stream, node);
        if (s->io == io && s->events != NULL && !s->is_paused && phi_buf_size(&s->to_center) > 0) {
            return true;
        }
    }
    return false;
}

static bool mail_turn(world *w, uint32_t worker)
{
    if (w->boxes == NULL) {
        return false;
    }
    world_box *box = &w->boxes[worker];
    bool has_come = box->inbox.first != NULL;
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(&box->inbox)) != NULL;) {
        phi_mailbox_read(&box->m, chunk);
        memset(chunk->bytes, 0xdd, chunk->size); // whoever kept a view will find out
        phi_mailbox_recycle(&box->m, chunk);
    }
    return has_come;
}

// Mail comes before bytes that were sent after it was posted.
static bool worker_turn_of(world *w, uint32_t worker)
{
    phi_io *io = io_at(w, worker);
    bool has_moved = io->is_hurried;
    io->now = w->io.now;
    io->is_turning = true;
    has_moved |= mail_turn(w, worker);
    phi_list *next;
    for (phi_list *n = w->streams.next; n != &w->streams; n = next) {
        next = n->next;
        phi_stream *s = PHI_CONTAINER_OF(n, phi_stream, node);
        has_moved |= s->io == io && stream_turn(s);
    }
    phi_timers_run(&io->timers, io->now);
    io->is_hurried = false;
    for (phi_list *n = io->hooks.next; n != &io->hooks; n = n->next) {
        phi_turn_hook *hook = PHI_CONTAINER_OF(n, phi_turn_hook, node);
        hook->on_turn(hook);
    }
    has_moved |= is_any_unread(w, io);
    io->is_turning = false;
    return has_moved;
}

static bool is_any_mail(const world *w)
{
    for (uint32_t i = 0; w->boxes != NULL && i < w->worker_count; i++) {
        if (w->boxes[i].inbox.first != NULL) {
            return true;
        }
    }
    return false;
}

static bool turn(world *w, bool all)
{
    bool has_moved = false;
    for (uint32_t i = 0; i < w->worker_count; i++) {
        if (w->worker_count == 1 || all || !phi_random_chance(&w->random, STILL_PERCENT)) {
            has_moved |= worker_turn_of(w, i);
        }
    }
    w->io.now = phi_time_add(w->io.now, phi_us(w->slow_us));
    for (size_t i = 0; i < w->peer_count; i++) {
        has_moved |= peer_turn(w->peers[i]);
    }
    return has_moved || is_any_mail(w);
}

void world_turn(world *w)
{
    (void)turn(w, /* all= */ false);
}

void world_settle(world *w)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        if (!turn(w, /* all= */ true)) {
            return;
        }
    }
    fail_msg("the world does not come to rest");
}

static phi_time timers_next(world *w)
{
    phi_time next = phi_timers_next(&w->io.timers);
    for (uint32_t i = 1; i < w->worker_count; i++) {
        next = phi_time_min(next, phi_timers_next(&io_at(w, i)->timers));
    }
    return next;
}

void world_pass(world *w, uint64_t ms)
{
    phi_time end = phi_time_add(w->io.now, phi_ms(ms));
    while (phi_time_before(w->io.now, end)) {
        phi_time next = timers_next(w);
        w->io.now = phi_time_min(end, phi_time_before(w->io.now, next) ? next : end);
        for (size_t i = 0; i < w->peer_count; i++) {
            phi_link_tick(&w->peers[i]->link, w->io.now);
        }
        world_settle(w);
    }
}

bool world_logged(const world *w, const char *id)
{
    for (size_t i = 0; i < w->log_count; i++) {
        if (strcmp(w->log_ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

center_counters world_count(const world *w)
{
    center_counters sum = center_count(w->c);
    for (uint32_t i = 1; i < w->worker_count; i++) {
        center_counters n = center_count(center_at(w, i));
        center_counters_add(&sum, &n);
    }
    return sum;
}

// ---- peers

peer *world_connect_as(world *w, const phi_join *join)
{
    EXPECT(w->peer_count < WORLD_PEERS_MAX);
    peer *p = calloc(1, sizeof *p);
    phi_stream *s = calloc(1, sizeof *s);
    assert_non_null(p);
    assert_non_null(s);
    s->w = w;
    s->io = &w->io;
    s->is_new = true;
    s->who = w->who;
    s->window = 262144;
    phi_buf_init(&s->to_center, &phi_alloc_heap, STREAM_BYTES_MAX);
    phi_buf_init(&s->to_peer, &phi_alloc_heap, STREAM_BYTES_MAX);
    phi_list_append(&w->streams, &s->node);
    p->w = w;
    p->stream = s;
    p->reads_max = SIZE_MAX;
    p->join = *join;
    p->options = (phi_link_options){
        .alloc = &phi_alloc_heap,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = STREAM_BYTES_MAX / 2,
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
    peer *p = world_connect(w, account);
    world_settle(w);
    EXPECT(p->is_open);
    return p;
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

void peer_window(peer *p, size_t size)
{
    p->stream->window = size;
}

void peer_raw(peer *p, const void *bytes, size_t size)
{
    EXPECT(p->stream != NULL);
    EXPECT(phi_buf_append(&p->stream->to_center, phi_bytes_of(bytes, size)));
}

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

void peer_own_state(peer *p, const phi_own_state *own)
{
    uint8_t bytes[PHI_PACKET_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_own_state_encode(&w, own);
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_OWN_STATE, bytes, phi_writer_size(&w));
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

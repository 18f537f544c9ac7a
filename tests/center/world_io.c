// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world_io.c - see world.h: the io that its center runs on. Streams are two
// buffers, mail moves in the turn after it was posted, the clock is where the world put it.

#include "tests/center/world_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"

enum {
    WINDOW_BYTES = 262144, // under way to a peer, unless peer_window says so
    MAIL_UNREAD_MAX = 65536,
};

// ---- what the center calls

static world *world_of(phi_io *io)
{
    return PHI_CONTAINER_OF((phi_alloc *)(uintptr_t)io->alloc, world, alloc.alloc);
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

// The others give memory back, when it is time for that.
static void io_stand_still(phi_io *io, phi_dur time)
{
    world *w = world_of(io);
    w->stood_still_ms += phi_dur_ms(time);
    if (w->stood_still_ms >= w->memory_after_ms) {
        w->alloc.bytes_max = 0;
    }
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
    .stand_still = io_stand_still,
};

// ---- life

void world_io_begin(phi_io *io, world *w)
{
    io->ops = &io_ops;
    io->alloc = &w->alloc.alloc;
    io->now = (phi_time){ 1000000000 };
    phi_timers_init(&io->timers, io->now);
    phi_list_init(&io->hooks);
    phi_list_init(&io->asked_hooks);
    phi_list_init(&io->late_hooks);
}

phi_stream *world_stream_new(world *w)
{
    phi_stream *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->w = w;
    s->io = &w->io;
    s->is_new = true;
    s->who = w->who;
    s->window = WINDOW_BYTES;
    phi_buf_init(&s->to_center, &phi_alloc_heap, WORLD_STREAM_BYTES_MAX);
    phi_buf_init(&s->to_peer, &phi_alloc_heap, WORLD_STREAM_BYTES_MAX);
    phi_list_append(&w->streams, &s->node);
    return s;
}

void world_stream_free(phi_stream *s)
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

// ---- turning

bool world_stream_turn(phi_stream *s)
{
    world *w = s->w;
    bool is_accepted = s->is_new;
    if (s->is_new) {
        s->is_new = false;
        if (w->listener_events == NULL) {
            world_stream_free(s);
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
            world_stream_free(s);
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
bool world_is_any_unread(const world *w, const phi_io *io)
{
    for (const phi_list *n = w->streams.next; n != &w->streams; n = n->next) {
        const phi_stream *s = PHI_CONTAINER_OF(n, phi_stream, node);
        if (s->io == io && s->events != NULL && !s->is_paused && phi_buf_size(&s->to_center) > 0) {
            return true;
        }
    }
    return false;
}

// ---- mail

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

void world_mail_begin(world *w)
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

void world_mail_end(world *w)
{
    for (uint32_t i = 0; w->boxes != NULL && i < w->worker_count; i++) {
        phi_mail_list_free(&w->boxes[i].inbox);
        phi_mailbox_fini(&w->boxes[i].m);
    }
    free(w->boxes);
}

phi_mailbox *world_mailbox(const world *w, uint32_t worker)
{
    return w->boxes == NULL ? NULL : &w->boxes[worker].m;
}

bool world_mail_turn(world *w, uint32_t worker)
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

bool world_is_any_mail(const world *w)
{
    for (uint32_t i = 0; w->boxes != NULL && i < w->worker_count; i++) {
        if (w->boxes[i].inbox.first != NULL) {
            return true;
        }
    }
    return false;
}

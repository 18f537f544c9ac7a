// SPDX-License-Identifier: Apache-2.0
//
// tests/link/fake_io.c - see fake_io.h.

#include "tests/link/fake_io.h"

#include "base/assert.h"

static fake_io *fake_of(phi_io *io)
{
    return PHI_CONTAINER_OF(io, fake_io, io);
}

static phi_stream *fake_stream_take(fake_io *fake)
{
    for (size_t i = 0; i < FAKE_STREAMS_MAX; i++) {
        phi_stream *s = &fake->streams[i];
        if (!s->in_use) {
            *s = (phi_stream){ .fake = fake, .in_use = true, .is_new = true, .takes = SIZE_MAX };
            phi_buf_init(&s->inbox, &phi_alloc_heap, SIZE_MAX / 4);
            return s;
        }
    }
    PH_UNREACHABLE("more streams than a test may have");
}

static void fake_stream_give(phi_stream *s)
{
    if (s->peer != NULL) {
        s->peer->peer = NULL;
    }
    phi_buf_fini(&s->inbox);
    s->in_use = false;
}

// ---- io.h

static ph_err fake_connect(phi_io *io, const phi_connect_options *options,
                           const phi_stream_events *events, void *owner, phi_stream **out,
                           phi_diag *diag)
{
    (void)options;
    fake_io *fake = fake_of(io);
    if (fake->connect_err != PH_OK) {
        return phi_diag_add(diag, fake->connect_err, "connect");
    }
    phi_stream *near = fake_stream_take(fake);
    near->events = events;
    near->owner = owner;
    if (fake->refuses) {
        fake_stream_break(near, PH_ECONNECT);
    } else {
        phi_stream *far = fake_stream_take(fake);
        near->peer = far;
        far->peer = near;
    }
    *out = near;
    return PH_OK;
}

static void fake_attach(phi_stream *s, const phi_stream_events *events, void *owner)
{
    s->events = events;
    s->owner = owner;
}

static size_t fake_write(phi_stream *s, phi_bytes bytes)
{
    PH_ASSERT(!s->is_closed);
    PH_ASSERT(!s->owes_writable); // whoever was told to wait waits
    s->writes++;
    size_t count = bytes.size < s->takes ? bytes.size : s->takes;
    count = s->is_broken ? 0 : count;
    if (s->peer != NULL && !s->peer->is_closed) {
        bool is_in = phi_buf_append(&s->peer->inbox, phi_bytes_of(bytes.data, count));
        PH_ASSERT(is_in);
    }
    s->owes_writable = count < bytes.size;
    return count;
}

static void fake_pause(phi_stream *s, bool is_paused)
{
    s->is_paused = is_paused;
}

static void fake_close(phi_stream *s)
{
    s->is_closed = true;
}

static void fake_read_clock(phi_io *io)
{
    (void)io; // the test moves it
}

void fake_io_init(fake_io *fake, const phi_alloc *alloc)
{
    *fake = (fake_io){
        .ops = { .connect = fake_connect,
                 .stream_attach = fake_attach,
                 .stream_write = fake_write,
                 .stream_pause = fake_pause,
                 .stream_close = fake_close,
                 .read_clock = fake_read_clock },
    };
    phi_io_init(&fake->io, &fake->ops, alloc, (phi_time){ phi_seconds(1000).ns });
}

void fake_io_fini(fake_io *fake)
{
    for (size_t i = 0; i < FAKE_STREAMS_MAX; i++) {
        PH_ASSERT(!fake->streams[i].in_use);
    }
    PH_ASSERT(fake->io.timers.count == 0);
    PH_ASSERT(phi_list_is_empty(&fake->io.hooks));
    PH_ASSERT(phi_list_is_empty(&fake->io.asked_hooks));
    PH_ASSERT(phi_list_is_empty(&fake->io.late_hooks));
}

void fake_stream_break(phi_stream *s, ph_err reason)
{
    s->is_broken = true;
    s->break_reason = reason;
}

// ---- turns

static void stream_start(phi_stream *s)
{
    s->is_new = false;
    if (s->events != NULL) {
        s->events->on_open(s->owner);
        return;
    }
    s->fake->listener->on_accept(s->fake->listener_owner, s);
    PH_ASSERT(s->events != NULL || s->is_closed);
}

static void stream_deliver(phi_stream *s)
{
    size_t size = phi_buf_size(&s->inbox);
    uint8_t *copy = phi_take(&phi_alloc_heap, size);
    PH_ASSERT(copy != NULL);
    memcpy(copy, phi_buf_view(&s->inbox).data, size);
    phi_buf_consume(&s->inbox, size);
    s->events->on_bytes(s->owner, (phi_span){ copy, size });
    phi_give(&phi_alloc_heap, copy, size);
}

static void stream_finish(phi_stream *s)
{
    const phi_stream_events *events = s->events;
    void *owner = s->owner;
    ph_err reason = s->is_closed ? PH_OK : s->break_reason;
    if (s->peer != NULL && !s->peer->is_broken) {
        fake_stream_break(s->peer, PH_ECLOSED); // behind what still stands in its inbox
    }
    fake_stream_give(s);
    if (events != NULL) {
        events->on_closed(owner, reason, reason == PH_ECONNECT ? "Connection refused" : "");
    }
}

// An orderly end stands behind what was sent before it, which a paused stream does not read.
static bool stream_is_over(const phi_stream *s)
{
    return s->is_broken && !(s->is_paused && s->break_reason == PH_ECLOSED);
}

static bool stream_has_news(const phi_stream *s)
{
    return s->in_use &&
           (s->is_closed || s->is_new || stream_is_over(s) ||
            (phi_buf_size(&s->inbox) != 0 && !s->is_paused) || (s->owes_writable && s->takes != 0));
}

// Tells one thing.
static void stream_step(phi_stream *s)
{
    if (s->is_closed) {
        stream_finish(s);
    } else if (s->is_new && !s->is_broken) {
        stream_start(s);
    } else if (phi_buf_size(&s->inbox) != 0 && !s->is_paused) {
        stream_deliver(s);
    } else if (stream_is_over(s)) {
        stream_finish(s);
    } else if (s->owes_writable) {
        s->owes_writable = false;
        s->events->on_writable(s->owner);
    }
}

void fake_io_turn(fake_io *fake)
{
    fake->io.is_turning = true;
    for (size_t i = 0; i < FAKE_STREAMS_MAX; i++) {
        if (stream_has_news(&fake->streams[i])) {
            stream_step(&fake->streams[i]);
        }
    }
    phi_timers_run(&fake->io.timers, fake->io.now);
    phi_io_run_hooks(&fake->io);
    fake->io.is_turning = false;
}

static bool fake_io_has_news(const fake_io *fake)
{
    bool has_news = fake->io.is_hurried;
    for (size_t i = 0; i < FAKE_STREAMS_MAX; i++) {
        has_news = has_news || stream_has_news(&fake->streams[i]);
    }
    return has_news;
}

unsigned fake_io_settle(fake_io *fake)
{
    unsigned turns = 0;
    do {
        fake_io_turn(fake);
        turns++;
        PH_ASSERT(turns < 100000);
    } while (fake_io_has_news(fake));
    return turns;
}

void fake_io_pass(fake_io *fake, phi_dur dur)
{
    phi_time end = phi_time_add(fake->io.now, dur);
    for (;;) {
        phi_time next = phi_timers_next(&fake->io.timers);
        if (!phi_time_before(next, end)) {
            break;
        }
        if (phi_time_before(fake->io.now, next)) {
            fake->io.now = next;
        }
        (void)fake_io_settle(fake);
    }
    fake->io.now = end;
    (void)fake_io_settle(fake);
}

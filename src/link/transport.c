// SPDX-License-Identifier: Apache-2.0
//
// link/transport.c - the driver between a link and a stream.
//
// Nothing is written when it is queued. Whatever a turn queues marks its transport dirty and asks
// for the turn hook, which settles all dirty ones: reports an end that a call of the owner caused,
// enciphers and writes once, closes the stream of a link that ended, tells of room. Callbacks in
// there may make others dirty; the hook goes on until none is. That ends: an end is reported once
// per transport, and room once per transport and run of the hook (who still wants it is woken in
// the next turn). A loop may have thousands of groups, one for each client: those that have nothing
// to write cost a turn nothing.
//
// The timer is set only when the link's deadline moved forward, or when it fired. Deadlines that
// move away with every packet cost nothing then.
//
// A client whose stream takes nothing of what waits is slow long before its buffer is full: a quiet
// stream of events may take minutes to fill it. So full_timeout also runs while nothing moves
// (P-59). A client does not judge its center so, which may read nothing for a while (P-40).
//
// What waits in the run is the same bytes for all; each transport that sees some of it is dirty, so
// the hook writes it. What a stream does not take of it becomes the transport's own right behind
// the write. So when the hook is done, nobody sees the run any more, and it begins anew.
//
// Invariants   stream is NULL exactly when gone
//              a blocked transport writes nothing before on_writable
//              a held transport reads nothing and hands up no packet, a paused one reads nothing;
//              one that ended is neither
//              CLOSED is reported on the way from live, on_gone on the way to gone
//              nothing of the run waits in a transport that is blocked, or not dirty

#include "link/transport.h"

#include "base/assert.h"

// A transport that writes seldom, or has only begun to, gives its buffer back right behind the
// write: those that only join must not keep one each.
#define TRANSPORT_BUSY phi_seconds(1)
#define TRANSPORT_BUSY_WRITES 8u // each within TRANSPORT_BUSY of the one before

#define TO(state) PHI_SM_TO(PHI_TRANSPORT_##state)

// Live: the link has deadlines. Ending: linger. Shut: the io owes on_closed.
static const phi_sm_state transport_states[PHI_TRANSPORT_STATE_COUNT] = {
    [PHI_TRANSPORT_LIVE] = { .name = "live", .next = TO(ENDING), .is_initial = true },
    [PHI_TRANSPORT_ENDING] = { .name = "ending", .next = TO(SHUT) | TO(GONE) },
    [PHI_TRANSPORT_SHUT] = { .name = "shut", .next = TO(GONE) },
    [PHI_TRANSPORT_GONE] = { .name = "gone", .is_final = true },
};

static bool transport_is(const phi_transport *t, phi_transport_state state)
{
    return phi_sm_is(&t->sm, (uint8_t)state);
}

static void transport_move(phi_transport *t, phi_transport_state next)
{
    phi_sm_move(&t->sm, (uint8_t)next);
    PH_ASSERT((t->stream == NULL) == (next == PHI_TRANSPORT_GONE));
    PH_ASSERT(phi_link_is(&t->link, PHI_LINK_CLOSED));
}

// ---- time

// Sets the timer, unless it fires before `when` anyway.
static void transport_wake(phi_transport *t, phi_time when)
{
    if (phi_time_before(when, t->armed)) {
        t->armed = when;
        phi_timer_set(&t->group->io->timers, &t->timer, when);
    }
}

static void transport_unwake(phi_transport *t)
{
    phi_timer_clear(&t->group->io->timers, &t->timer);
    t->armed = PHI_TIME_NEVER;
}

// When a stream that takes nothing has been stuck for too long. Who has not joined has less time
// than that.
static phi_time transport_stuck_until(const phi_transport *t)
{
    const phi_link_options *options = t->link.options;
    bool may_be_stuck =
        t->is_blocked && options->side == PHI_LINK_CENTER && phi_link_is(&t->link, PHI_LINK_OPEN);
    return may_be_stuck ? phi_time_add(t->flushed, options->full_timeout) : PHI_TIME_NEVER;
}

static phi_time transport_deadline(const phi_transport *t)
{
    return phi_time_min(phi_link_deadline(&t->link), transport_stuck_until(t));
}

// ---- what is to be done at the end of the turn

static void transport_pause_as_needed(phi_transport *t)
{
    if (t->stream != NULL) {
        phi_stream_pause(t->group->io, t->stream, t->is_paused || t->is_held);
    }
}

// The owner held it inside on_event. False when that, or something else in there, ended the link.
static bool transport_rest(phi_transport *t)
{
    if (!t->link.has_end) {
        phi_link_hold(&t->link);
    }
    return !t->link.has_end;
}

static void transport_end(phi_transport *t)
{
    transport_unwake(t);
    transport_move(t, PHI_TRANSPORT_ENDING);
    if (t->is_held || t->is_paused) {
        t->is_held = false;
        t->is_paused = false;
        transport_pause_as_needed(t);
    }
}

// Hands up one event; false when there is none.
static bool transport_tell(phi_transport *t, phi_time now)
{
    const phi_transport_events *events = t->group->events;
    phi_link_event event;
    phi_link_next(&t->link, &event, now);
    switch (event.type) {
    case PHI_LINK_EVENT_NONE:
        return false;
    case PHI_LINK_EVENT_CLOSED:
        transport_end(t);
        break;
    case PHI_LINK_EVENT_PACKET:
        if (event.packet.command == PHI_COMMAND_MESSAGE && events->on_message != NULL) {
            events->on_message(t, event.packet.payload);
            return true;
        }
        break;
    case PHI_LINK_EVENT_JOIN:
    case PHI_LINK_EVENT_OPEN:
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
    case PHI_LINK_EVENT_CONFIRMED:
        break;
    }
    events->on_event(t, &event);
    return true;
}

// Hands up what the link has to say. Messages go straight from the cut to the owner. With
// `is_metered`, a constant, it returns how often it did.
static PHI_ALWAYS_INLINE size_t transport_pump_all(phi_transport *t, phi_time now, bool is_metered)
{
    void (*on_message)(phi_transport *, phi_bytes) = t->group->events->on_message;
    bool is_silent = t->is_held && !t->link.has_end;
    size_t count = 0;
    while (!is_silent) {
        phi_bytes payload;
        if (PHI_LIKELY(on_message != NULL) && phi_link_next_message(&t->link, &payload)) {
            on_message(t, payload);
        } else if (!transport_tell(t, now)) {
            break;
        }
        if (is_metered) {
            count++;
        }
        if (PHI_UNLIKELY(t->is_held)) {
            is_silent = transport_rest(t);
        }
    }
    if (transport_is(t, PHI_TRANSPORT_LIVE)) {
        transport_wake(t, transport_deadline(t));
    }
    return count;
}

static void transport_pump(phi_transport *t, phi_time now)
{
    (void)transport_pump_all(t, now, /* is_metered= */ false);
}

// After what the stream or the timer brought: the link may have said something itself.
static void transport_turned(phi_transport *t, phi_time now)
{
    transport_pump(t, now);
    if (phi_link_waiting(&t->link) != 0 || transport_is(t, PHI_TRANSPORT_ENDING)) {
        phi_transport_mark(t);
    }
}

// What the stream did not take of the run cannot stay there.
static void transport_keep(phi_transport *t)
{
    phi_link_keep(&t->link);
    if (t->link.has_end) {
        phi_transport_mark(t); // it is reported in this turn, too
    }
}

static void transport_write(phi_transport *t, phi_time now)
{
    phi_transports *group = t->group;
    phi_bytes bytes = phi_link_seal(&t->link);
    size_t count = phi_stream_write(group->io, t->stream, bytes);
    PH_ASSERT(count <= bytes.size);
    t->is_blocked = count < bytes.size;
    group->bytes_sent += count;
    phi_link_sent(&t->link, count);
    if (PHI_UNLIKELY(t->is_blocked)) {
        transport_keep(t);
    }
    t->flushed = now;
    if (t->is_blocked && transport_is(t, PHI_TRANSPORT_LIVE)) {
        transport_wake(t, transport_stuck_until(t));
    }
}

// All was taken: who writes seldom keeps no buffer, and of those that are wasteful one is given
// back in a turn.
static void transport_trim(phi_transport *t)
{
    phi_transports *group = t->group;
    bool is_tight = group->quota != NULL && phi_quota_is_tight(group->quota);
    bool is_wasteful = phi_buf_is_wasteful(&t->link.out.buf) && group->wasteful_turn != group->turn;
    if (is_wasteful) {
        group->wasteful_turn = group->turn;
    }
    if (is_tight || is_wasteful || t->busy_writes < TRANSPORT_BUSY_WRITES) {
        phi_link_trim(&t->link);
    }
}

static void transport_flush(phi_transport *t, phi_time now)
{
    if (t->is_blocked || phi_link_waiting(&t->link) == 0) {
        return;
    }
    if (phi_time_diff(now, t->flushed).ns >= TRANSPORT_BUSY.ns) {
        t->busy_writes = 0;
    } else if (t->busy_writes < TRANSPORT_BUSY_WRITES) {
        t->busy_writes++;
    }
    transport_write(t, now);
    if (phi_link_waiting(&t->link) == 0) {
        transport_trim(t);
    }
}

static void transport_shut(phi_transport *t)
{
    transport_unwake(t);
    phi_list_remove(&t->dirty);
    transport_move(t, PHI_TRANSPORT_SHUT);
    phi_stream_close(t->group->io, t->stream);
}

// on_room is the last that touches `t`: inside it the owner may drop it.
static void transport_tell_room(phi_transport *t, phi_time now)
{
    if (t->room_turn == t->group->turn) {
        transport_wake(t, now); // told already; what it queued then went out at once
        return;
    }
    t->room_turn = t->group->turn;
    t->wants_room = false;
    t->group->events->on_room(t);
}

static void transport_settle(phi_transport *t, phi_time now)
{
    if (t->link.has_end) {
        transport_pump(t, now);
    }
    transport_flush(t, now);
    switch ((phi_transport_state)t->sm.state) {
    case PHI_TRANSPORT_LIVE:
        if (t->wants_room && phi_link_is_roomy(&t->link)) {
            transport_tell_room(t, now);
        }
        break;
    case PHI_TRANSPORT_ENDING:
        if (phi_link_waiting(&t->link) == 0) {
            transport_shut(t);
        } else {
            transport_wake(t, phi_time_add(now, phi_ms(PHI_TRANSPORT_LINGER_MS)));
        }
        break;
    case PHI_TRANSPORT_SHUT:
    case PHI_TRANSPORT_GONE:
    case PHI_TRANSPORT_STATE_COUNT:
    default:
        PH_UNREACHABLE("taken off the list");
    }
}

static void transports_on_turn(phi_turn_hook *hook)
{
    phi_transports *group = PHI_CONTAINER_OF(hook, phi_transports, hook);
    phi_time now = group->io->now;
    group->turn++;
    phi_list *node;
    while ((node = phi_list_take(&group->dirty)) != NULL) {
        transport_settle(PHI_CONTAINER_OF(node, phi_transport, dirty), now);
    }
    phi_run_reset(&group->run);
    if (PHI_UNLIKELY(phi_run_is_large(&group->run)) && !phi_timer_is_set(&group->rest)) {
        phi_timer_set(&group->io->timers, &group->rest,
                      phi_time_add(now, phi_ms(PHI_TRANSPORT_RUN_REST_MS)));
    }
}

// Set again at the end of this turn, if the run stays large.
static void transports_on_rest(phi_timer *timer, phi_time now)
{
    (void)now;
    phi_transports *group = PHI_CONTAINER_OF(timer, phi_transports, rest);
    phi_run_rest(&group->run);
    phi_io_ask_hook(group->io, &group->hook);
}

// The quota is shared by those that have a stream.
static void transports_count(phi_transports *group, size_t count)
{
    PH_ASSERT(count != SIZE_MAX);
    group->count = count;
    if (group->quota != NULL) {
        group->quota->holders = count;
    }
}

// ---- what the stream and the timer say

static void transport_on_open(void *owner)
{
    phi_transport *t = owner;
    t->is_connected = true; // and the center speaks first
}

static void transport_on_bytes(void *owner, phi_span bytes)
{
    phi_transport *t = owner;
    phi_time now = t->group->io->now;
    PH_ASSERT(t->stream != NULL);
    t->group->bytes_received += bytes.size;
    phi_link_receive(&t->link, bytes, now);
    transport_turned(t, now);
}

// The same where it is counted what comes; `bytes` 0: goes on with what was kept.
static void transport_meter(phi_transport *t, size_t bytes, phi_time now)
{
    size_t packets = transport_pump_all(t, now, /* is_metered= */ true);
    if (!transport_is(t, PHI_TRANSPORT_GONE) && bytes + packets != 0) {
        t->group->events->on_read(t, bytes, packets);
    }
    transport_turned(t, now);
}

static void transport_on_bytes_metered(void *owner, phi_span bytes)
{
    phi_transport *t = owner;
    phi_time now = t->group->io->now;
    PH_ASSERT(t->stream != NULL);
    t->group->bytes_received += bytes.size;
    phi_link_receive(&t->link, bytes, now);
    transport_meter(t, bytes.size, now);
}

static void transport_on_writable(void *owner)
{
    phi_transport *t = owner;
    PH_ASSERT(t->stream != NULL);
    t->is_blocked = false;
    phi_transport_mark(t);
}

static void transport_on_closed(void *owner, ph_err reason, const char *why)
{
    phi_transport *t = owner;
    phi_transports *group = t->group;
    PH_ASSERT(t->stream != NULL);
    phi_link_lost(&t->link, reason, why);
    transport_pump(t, group->io->now); // CLOSED, if it was not reported before

    transports_count(group, group->count - 1);
    t->stream = NULL;
    transport_unwake(t);
    phi_list_remove(&t->dirty);
    transport_move(t, PHI_TRANSPORT_GONE);
    phi_link_fini(&t->link);
    group->events->on_gone(t);
}

static size_t transport_on_silent(void *owner, phi_span room)
{
    (void)owner;
    return phi_link_tls_required(room);
}

static const phi_stream_events transport_stream_events = {
    .on_open = transport_on_open,
    .on_bytes = transport_on_bytes,
    .on_writable = transport_on_writable,
    .on_closed = transport_on_closed,
    .on_silent = transport_on_silent,
};

static const phi_stream_events transport_stream_events_metered = {
    .on_open = transport_on_open,
    .on_bytes = transport_on_bytes_metered,
    .on_writable = transport_on_writable,
    .on_closed = transport_on_closed,
    .on_silent = transport_on_silent,
};

static const phi_stream_events *stream_events_of(const phi_transports *group)
{
    return group->events->on_read == NULL ? &transport_stream_events
                                          : &transport_stream_events_metered;
}

static void transport_on_timer(phi_timer *timer, phi_time now)
{
    phi_transport *t = PHI_CONTAINER_OF(timer, phi_transport, timer);
    t->armed = PHI_TIME_NEVER;
    if (transport_is(t, PHI_TRANSPORT_ENDING)) {
        transport_shut(t); // the stream did not take the bye
        return;
    }
    if (t->wants_room) {
        phi_transport_mark(t);
    }
    if (!phi_time_before(now, transport_stuck_until(t))) {
        phi_link_bye(&t->link, PHI_BYE_SLOW_CONSUMER, 0, NULL);
    }
    phi_link_tick(&t->link, now);
    transport_turned(t, now);
}

// ---- for the owner

void phi_transports_init(phi_transports *group, phi_io *io, const phi_transport_events *events)
{
    PH_ASSERT(events->on_event != NULL);
    PH_ASSERT(events->on_room != NULL);
    PH_ASSERT(events->on_gone != NULL);
    *group =
        (phi_transports){ .io = io, .events = events, .hook = { .on_turn = transports_on_turn } };
    phi_list_init(&group->dirty);
    phi_timer_init(&group->rest, transports_on_rest);
    phi_run_init(&group->run, io->alloc, /* bytes_max= */ 0, /* quota= */ NULL);
}

void phi_transports_provide(phi_transports *group, const phi_alloc *alloc, phi_quota *quota)
{
    PH_ASSERT(group->count == 0);
    group->quota = quota;
    phi_run_init(&group->run, alloc, PHI_TRANSPORT_RUN_BYTES_MAX, quota);
}

void phi_transports_fini(phi_transports *group)
{
    if (group->io == NULL) {
        return;
    }
    PH_ASSERT(group->count == 0);
    PH_ASSERT(phi_list_is_empty(&group->dirty));
    phi_io_unhook(&group->hook);
    phi_timer_clear(&group->io->timers, &group->rest);
    phi_run_fini(&group->run);
    group->io = NULL;
}

// A transport whose link is made but that has no stream yet.
static ph_err transport_init(phi_transport *t, phi_transports *group,
                             const phi_link_options *options, const phi_keys *keys)
{
    *t = (phi_transport){
        .group = group,
        .armed = PHI_TIME_NEVER,
        .room_turn = group->turn,
    };
    phi_sm_init(&t->sm, transport_states, PHI_TRANSPORT_STATE_COUNT);
    phi_timer_init(&t->timer, transport_on_timer);
    ph_err err = phi_link_init(&t->link, options, keys, phi_io_now(group->io));
    if (err != PH_OK) {
        *t = (phi_transport){ .group = NULL };
    }
    return err;
}

static void transport_start(phi_transport *t)
{
    PH_ASSERT(t->stream != NULL);
    transports_count(t->group, t->group->count + 1);
    transport_wake(t, phi_link_deadline(&t->link));
}

ph_err phi_transport_accept(phi_transport *t, phi_transports *group, phi_stream *stream,
                            const phi_link_options *options, const phi_keys *keys)
{
    ph_err err = transport_init(t, group, options, keys);
    if (err != PH_OK) {
        return err;
    }
    t->stream = stream;
    phi_stream_attach(group->io, stream, stream_events_of(group), t);
    transport_start(t);
    phi_transport_mark(t); // HELLO
    return PH_OK;
}

ph_err phi_transport_connect(phi_transport *t, phi_transports *group, const phi_connect_options *to,
                             const phi_link_options *options, phi_diag *diag)
{
    ph_err err = transport_init(t, group, options, /* keys= */ NULL);
    if (err != PH_OK) {
        return phi_diag_add(diag, err, "link");
    }
    err = phi_io_connect(group->io, to, stream_events_of(group), t, &t->stream, diag);
    if (err != PH_OK) {
        phi_link_fini(&t->link);
        *t = (phi_transport){ .group = NULL };
        return err;
    }
    transport_start(t);
    return PH_OK;
}

static phi_dur transport_retry(const phi_transport *t)
{
    const phi_quota *quota = t->group->quota;
    bool is_short = quota != NULL && phi_quota_is_short(quota);
    return phi_ms(is_short ? PHI_TRANSPORT_SHORT_RETRY_MS : PHI_TRANSPORT_RETRY_MS);
}

void phi_transport_begin_failed(phi_transport *t, size_t payload_max)
{
    phi_time now = phi_io_now(t->group->io);
    phi_link_begin_failed(&t->link, payload_max, now);
    if (phi_link_is(&t->link, PHI_LINK_OPEN)) {
        t->wants_room = true;
        // With room it was memory, and no flush would lead to on_room.
        bool is_roomy = phi_link_is_roomy(&t->link);
        transport_wake(t, is_roomy ? phi_time_add(now, transport_retry(t))
                                   : phi_link_deadline(&t->link));
    }
}

bool phi_transport_put_shared(phi_transport *t, phi_transport_shared *packet)
{
    phi_bytes payload = packet->payload;
    phi_run *run = &t->group->run;
    if (!phi_run_has(run, &packet->stretch) && phi_transport_may_share(t)) {
        uint8_t *once = phi_transports_put(t->group, packet->code, payload.size, &packet->stretch);
        if (once != NULL) {
            memcpy(once, payload.data, payload.size);
        }
    }
    if (phi_transport_share(t, &packet->stretch)) {
        return true;
    }
    uint8_t *room = phi_transport_put(t, packet->code, payload.size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, payload.data, payload.size);
    return true;
}

PHI_COLD void phi_transport_write_ahead(phi_transport *t)
{
    PH_ASSERT(!t->is_blocked);
    PH_ASSERT(t->stream != NULL);
    transport_write(t, phi_io_now(t->group->io));
}

void phi_transport_welcome(phi_transport *t, const phi_welcome *welcome)
{
    phi_link_welcome(&t->link, welcome, phi_io_now(t->group->io));
    phi_transport_mark(t);
}

void phi_transport_bye(phi_transport *t, phi_bye_code code, uint32_t retry_after_ms,
                       const char *text)
{
    if (transport_is(t, PHI_TRANSPORT_LIVE)) {
        phi_link_bye(&t->link, code, retry_after_ms, text);
        phi_transport_mark(t);
    }
}

void phi_transport_probe(phi_transport *t)
{
    if (transport_is(t, PHI_TRANSPORT_LIVE)) {
        phi_link_probe(&t->link, phi_io_now(t->group->io));
        transport_wake(t, phi_link_deadline(&t->link));
        phi_transport_mark(t);
    }
}

void phi_transport_confirm(phi_transport *t, uint64_t mark)
{
    if (transport_is(t, PHI_TRANSPORT_LIVE)) {
        phi_link_confirm(&t->link, mark, phi_io_now(t->group->io));
        transport_wake(t, phi_link_deadline(&t->link));
        phi_transport_mark(t);
    }
}

void phi_transport_pause(phi_transport *t, bool is_paused)
{
    if (!transport_is(t, PHI_TRANSPORT_LIVE)) {
        return; // it is read to its end
    }
    t->is_paused = is_paused;
    phi_link_pause(&t->link, is_paused, phi_io_now(t->group->io));
    transport_wake(t, transport_deadline(t));
    transport_pause_as_needed(t);
}

void phi_transport_hold(phi_transport *t)
{
    PH_ASSERT(!t->is_held);
    if (transport_is(t, PHI_TRANSPORT_LIVE) && !phi_link_is(&t->link, PHI_LINK_CLOSED)) {
        t->is_held = true;
        transport_pause_as_needed(t);
    }
}

void phi_transport_go_on(phi_transport *t)
{
    if (!t->is_held) {
        return;
    }
    phi_time now = t->group->io->now;
    t->is_held = false;
    phi_link_go_on(&t->link, now);
    if (t->group->events->on_read != NULL) {
        transport_meter(t, /* bytes= */ 0, now);
    } else {
        transport_turned(t, now);
    }
    if (!t->is_held) {
        transport_pause_as_needed(t);
    }
}

// ---- leaving a stream behind

static void stray_on_open(void *owner)
{
    (void)owner;
}

static void stray_on_bytes(void *owner, phi_span bytes)
{
    (void)owner;
    (void)bytes;
}

static void stray_on_writable(void *owner)
{
    (void)owner;
}

static void stray_on_closed(void *owner, ph_err reason, const char *why)
{
    (void)owner;
    (void)reason;
    (void)why;
}

// The events of a stream whose transport was dropped: nobody hears of its end.
static const phi_stream_events stray_stream_events = {
    .on_open = stray_on_open,
    .on_bytes = stray_on_bytes,
    .on_writable = stray_on_writable,
    .on_closed = stray_on_closed,
};

void phi_transport_drop(phi_transport *t)
{
    if (t->group == NULL || t->stream == NULL) {
        return;
    }
    phi_transports *group = t->group;
    if (!transport_is(t, PHI_TRANSPORT_SHUT)) {
        transport_flush(t, group->io->now);
    }
    phi_stream_attach(group->io, t->stream, &stray_stream_events, /* owner= */ NULL);
    phi_stream_close(group->io, t->stream);
    transports_count(group, group->count - 1);
    transport_unwake(t);
    phi_list_remove(&t->dirty);
    phi_link_fini(&t->link);
    *t = (phi_transport){ .group = NULL };
}

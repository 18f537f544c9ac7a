// SPDX-License-Identifier: Apache-2.0
//
// center/stream_receiver.c - see stream_receiver.h; stream_bind and stream_unbind: see stream.h.

#include "center/stream_receiver.h"

#include "base/assert.h"
#include "center/abroad.h"
#include "center/call_inline.h"

static void detach_receiver(stream_receiver *r);

size_t stream_receiver_size(void)
{
    return sizeof(stream_receiver);
}

stream_bound stream_bind(center *c, session *receiver, stream_key *key)
{
    message_stream *st = c->opening;
    PH_ASSERT(st != NULL);
    if (receiver->message_bytes_max == 0 || st->receiver_count >= c->options.stream_receivers_max) {
        return STREAM_TOO_LARGE;
    }
    session_streams *streams = streams_of(c, receiver);
    if (streams == NULL || streams->coming_count >= c->options.streams_per_client_max) {
        return STREAM_FULL;
    }
    // Who sends it has chosen the numbers. The receiver has not been told yet that the last one of
    // these was given up: to it, this would be the same.
    if (stream_receiver_find(receiver, &(phi_stream_control){ .kind = st->kind,
                                                              .turn = key->turn,
                                                              .call = key->number }) != NULL) {
        return STREAM_FULL;
    }
    uint64_t handle = 0;
    stream_receiver *r = phi_slots_take(&c->stream_receivers, &handle);
    if (r == NULL) {
        return STREAM_FULL;
    }
    if (key->number == 0) {
        key->number = handle;
    }
    *r = (stream_receiver){ .stream = st,
                            .session = receiver,
                            .key = *key,
                            .handle = handle,
                            .granted = st->passed,
                            .kind = st->kind };
    phi_list_append(&st->receivers, &r->of_stream);
    phi_list_append(&streams->coming, &r->of_session);
    streams->coming_count++;
    st->receiver_count++;
    if (receiver->message_bytes_max < st->bytes_max) {
        st->bytes_max = receiver->message_bytes_max;
    }
    // What its call is called here is what one of the two ends calls it.
    if (st->kind != PHI_KIND_EVENT) {
        bool is_callers = st->kind == PHI_KIND_REQUEST || st->kind == PHI_KIND_ANSWER;
        st->call = is_callers ? key->number : st->number;
        call *k = call_find(c, st->call);
        PH_ASSERT(k != NULL); // who delivers a message of a call does so while it is open
        k->has_stream = true;
    }
    return STREAM_BOUND;
}

void stream_unbind(center *c, session *receiver)
{
    PH_ASSERT(c->opening != NULL);
    phi_list *node = c->opening->receivers.prev;
    PH_ASSERT(node != &c->opening->receivers);
    stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_stream);
    PH_ASSERT(r->session == receiver);
    stream_receiver_drop(c, r);
    if (c->opening->receiver_count == 0) {
        c->opening->call = 0;
    }
}

void stream_receiver_abort(center *c, stream_receiver *r, ph_failure_code code)
{
    stream_note_lost(r->stream, code);
    detach_receiver(r);
    r->abort_code = (uint16_t)code;
    if (stream_tell(r->session, &(phi_stream_control){ .op = PHI_STREAM_ABORT,
                                                       .kind = r->kind,
                                                       .turn = r->key.turn,
                                                       .call = r->key.number,
                                                       .value = r->abort_code })) {
        stream_receiver_drop(c, r);
    }
}

void stream_receiver_drop(center *c, stream_receiver *r)
{
    detach_receiver(r);
    phi_list_remove(&r->of_session);
    PH_ASSERT(r->session->streams->coming_count > 0);
    r->session->streams->coming_count--;
    phi_slots_give(&c->stream_receivers, r->handle);
}

// Its stream goes on without it.
static void detach_receiver(stream_receiver *r)
{
    if (r->stream != NULL) {
        PH_ASSERT(r->stream->receiver_count > 0);
        r->stream->receiver_count--;
        r->stream = NULL;
        phi_list_remove(&r->of_stream);
    }
}

// ---- helpers

stream_receiver *stream_receiver_find(const session *s, const phi_stream_control *about)
{
    if (s->streams == NULL) {
        return NULL;
    }
    phi_list *node = s->streams->coming.next;
    for (; node != &s->streams->coming; node = node->next) {
        stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_session);
        if (r->key.number == about->call && r->kind == about->kind && r->key.turn == about->turn) {
            return r;
        }
    }
    return NULL;
}

void stream_note_lost(message_stream *st, ph_failure_code code)
{
    if (st != NULL && st->lost_code == 0) {
        st->lost_code = (uint16_t)code;
    }
}

uint64_t stream_least_granted(const message_stream *st)
{
    uint64_t least = UINT64_MAX;
    const phi_list *node = st->receivers.next;
    for (; node != &st->receivers; node = node->next) {
        const stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_stream);
        least = r->granted < least ? r->granted : least;
    }
    return least;
}

bool stream_tell(session *s, const phi_stream_control *control)
{
    uint8_t *room = session_begin(s, PHI_STREAM_CONTROL_BYTES);
    if (room == NULL) {
        return false;
    }
    phi_stream_control_encode(room, control);
    session_commit(s, PHI_COMMAND_STREAM, PHI_STREAM_CONTROL_BYTES);
    return true;
}

session_streams *streams_of(center *c, session *s)
{
    if (s->streams == NULL) {
        s->streams = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_STREAMS), 1, sizeof *s->streams);
        if (s->streams != NULL) {
            phi_list_init(&s->streams->going);
            phi_list_init(&s->streams->coming);
        }
    }
    return s->streams;
}

// SPDX-License-Identifier: Apache-2.0
//
// client/stream_out.c - messages in fragments, as their sender.
//
// Design notes  The body is copied once, when the application sends it, unless it leaves it to us
//               until it is released; and each fragment from there into the send buffer. One
//               fragment is queued at a time, of each stream in turn, and only while little waits
//               in the send buffer: so whatever else is sent waits behind a few fragments, however
//               long the bodies are. The hook of the turn queues more once the buffer was written;
//               on_room does after there was no memory.
//               The center's limit of streams is kept here: what is beyond it is queued, with its
//               deadline running. A first fragment says what is left of that when it goes.
//               Nothing follows an abort or a refusal; what was on its way finds no stream and is
//               dropped. Telling the center that a stream is given up is best effort: without it
//               the center gives it up by itself, when nothing moves.
//
// Invariants    active counts the streams on ready and waiting; out_bytes is the sum of all blocks,
//               without bodies that are not ours
//               a stream on ready has something it may send, one on waiting has not
//
// Clauses       P-51, P-55, P-57, P-66, P-67, P-75

#include "client/post.h"
#include "client/streams.h"
#include "wire/stream.h"

typedef struct stream_out {
    phi_list node;       // on queued, ready or waiting
    phi_message message; // all of it; views point into `bytes`, but to a body that is not ours
    phi_time deadline;   // NEVER: none
    uint64_t credit;     // bytes of body that may be sent now, the first fragment's not counted
    size_t sent;         // bytes of body
    size_t size;         // of this block
    bool is_begun;
    ph_release_fn *release; // the body is the application's, until this; NULL: it is copied
    void *release_arg;
    uint8_t bytes[];
} stream_out;

static void on_turn(phi_turn_hook *hook);
static stream_out *stream_new(ph_client *client, const phi_draft *draft, size_t size);
static void stream_free(ph_client *client, stream_out *s);
static stream_out *stream_find(phi_streams *t, const phi_stream_control *control);
static bool is_known(phi_streams *t, const phi_message *m);
static void admit(ph_client *client);
static bool fragment_send(ph_client *client, stream_out *s);
static void rehook(ph_client *client);

// ---- both directions

void phi_client_streams_init(ph_client *client)
{
    phi_streams *t = &client->streams;
    phi_list_init(&t->queued);
    phi_list_init(&t->ready);
    phi_list_init(&t->waiting);
    t->hook.on_turn = on_turn;
    phi_streams_in_init(client);
}

void phi_client_streams_fini(ph_client *client)
{
    phi_client_streams_end(client);
    phi_map_fini(&client->streams.map);
}

void phi_client_streams_end(ph_client *client)
{
    phi_streams_out_end(client);
    phi_streams_in_end(client);
}

void phi_client_streams_on_room(ph_client *client)
{
    if (client->streams.is_short) {
        phi_streams_in_go_on(client);
    }
    phi_streams_out_go_on(client);
}

void phi_client_on_stream(ph_client *client, phi_bytes payload)
{
    phi_stream_control control;
    if (phi_stream_control_decode(payload, &control) != PH_OK) {
        phi_client_breach(client, "a stream packet breaks its form");
        return;
    }
    switch ((phi_stream_op)control.op) {
    case PHI_STREAM_CREDIT:
        phi_streams_out_on_credit(client, &control);
        return;
    case PHI_STREAM_REFUSE:
        phi_streams_out_on_refuse(client, &control);
        return;
    case PHI_STREAM_ABORT:
        phi_streams_in_on_abort(client, &control);
        return;
    }
    PH_UNREACHABLE("the decoder knows no other op");
}

bool phi_streams_drop(ph_client *client, unsigned out, unsigned in, uint64_t call, uint16_t turn,
                      uint16_t code)
{
    phi_streams_out_drop(client, out, call, turn, code);
    return phi_streams_in_drop(client, in, call, turn, code);
}

bool phi_stream_tell(ph_client *client, const phi_stream_control *control)
{
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return false;
    }
    uint8_t *room = phi_transport_begin(&client->transport, PHI_STREAM_CONTROL_BYTES);
    if (room == NULL) {
        return false;
    }
    phi_stream_control_encode(room, control);
    phi_transport_commit(&client->transport, PHI_COMMAND_STREAM, PHI_STREAM_CONTROL_BYTES);
    return true;
}

// ---- what the application sends

// Whether it may be cut at all [P-66].
static bool may_be_cut(const phi_message *m)
{
    switch ((phi_kind)m->kind) {
    case PHI_KIND_REQUEST:
        return !phi_is_for_instances(m->to);
    case PHI_KIND_EVENT:
    case PHI_KIND_REPLY:
    case PHI_KIND_INQUIRY:
    case PHI_KIND_ANSWER:
        return true;
    case PHI_KIND_FAILURE:
    case PHI_KIND_CANCEL:
    case PHI_KIND_RECEIPT:
        break;
    }
    return false;
}

// Of a first fragment's payload.
static size_t first_max(const ph_client *client)
{
    const phi_link *link = &client->transport.link;
    size_t size_max = phi_link_payload_max(link);
    return size_max < PHI_FRAGMENT_FIRST_BYTES_MAX ? size_max : PHI_FRAGMENT_FIRST_BYTES_MAX;
}

ph_err phi_stream_post(ph_client *client, const phi_draft *draft)
{
    phi_streams *t = &client->streams;
    const phi_message *m = &draft->message;
    size_t limit = client->transport.link.peer_message_bytes_max;
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    if (!may_be_cut(m) || m->body.size > client->options.message_bytes_max ||
        (limit != 0 && m->body.size > limit)) {
        return PH_ETOOLARGE;
    }
    size_t head = phi_message_size(m) - m->body.size;
    if (head >= first_max(client)) {
        return PH_ETOOLARGE;
    }
    if (is_known(t, m)) {
        client->counters.large_dropped++; // a second answer: the first one counts
        phi_draft_release(client, draft);
        return PH_OK;
    }
    size_t size = offsetof(stream_out, bytes) + m->to.size + m->method.size + m->headers.size;
    size += draft->release == NULL ? m->body.size : 0;
    if (t->out_bytes != 0 && t->out_bytes + size > client->options.streams_bytes_max) {
        t->is_full = true;
        client->owes_writable = true;
        rehook(client);
        return PH_EBUSY;
    }
    stream_out *s = stream_new(client, draft, size);
    if (s == NULL) {
        return PH_ENOMEM;
    }
    phi_list_append(&t->queued, &s->node);
    phi_streams_out_go_on(client);
    return PH_OK;
}

static phi_bytes keep(uint8_t **at, phi_bytes bytes)
{
    phi_bytes kept = phi_bytes_of(*at, bytes.size);
    if (bytes.size != 0) {
        memcpy(*at, bytes.data, bytes.size);
        *at += bytes.size;
    }
    return kept;
}

static stream_out *stream_new(ph_client *client, const phi_draft *draft, size_t size)
{
    phi_streams *t = &client->streams;
    stream_out *s = phi_take(client->alloc, size);
    if (s == NULL) {
        return NULL;
    }
    const phi_message *m = &draft->message;
    *s = (stream_out){ .message = *m,
                       .deadline = PHI_TIME_NEVER,
                       .size = size,
                       .release = draft->release,
                       .release_arg = draft->release_arg };
    uint8_t *at = s->bytes;
    s->message.to = keep(&at, m->to);
    s->message.method = keep(&at, m->method);
    s->message.headers = phi_bytes_of(at, m->headers.size);
    at = phi_draft_write_headers(at, draft);
    if (s->release == NULL) {
        s->message.body = keep(&at, m->body);
    }
    PH_ASSERT(at == (uint8_t *)s + size);
    if (m->ttl_ms != 0) {
        s->deadline = phi_time_add(phi_io_now(client->io), phi_ms(m->ttl_ms));
    }
    if (m->call == 0) { // an event that wants no receipt
        t->number = t->number == UINT32_MAX ? 1 : t->number + 1;
        s->message.call = t->number;
    }
    t->out_bytes += size;
    return s;
}

static void stream_free(ph_client *client, stream_out *s)
{
    phi_streams *t = &client->streams;
    phi_list_remove(&s->node);
    PH_ASSERT(t->out_bytes >= s->size);
    t->out_bytes -= s->size;
    if (s->is_begun) {
        PH_ASSERT(t->active > 0);
        t->active--;
    }
    const phi_draft rest = { .message = { .body = s->message.body },
                             .release = s->release,
                             .release_arg = s->release_arg };
    phi_give(client->alloc, s, s->size);
    phi_draft_release(client, &rest);
}

// ---- sending

// Lets streams begin, as many as the center takes at a time.
static void admit(ph_client *client)
{
    phi_streams *t = &client->streams;
    uint32_t limit = client->transport.link.peer_streams_max;
    limit = limit == 0 ? PHI_STREAMS_ACTIVE_DEFAULT : limit;
    limit = limit < PHI_STREAMS_ACTIVE_MAX ? limit : PHI_STREAMS_ACTIVE_MAX;
    while (t->active < limit && !phi_list_is_empty(&t->queued)) {
        stream_out *s = PHI_CONTAINER_OF(phi_list_take(&t->queued), stream_out, node);
        phi_list_append(&t->ready, &s->node);
        s->is_begun = true;
        t->active++;
    }
}

void phi_streams_out_go_on(ph_client *client)
{
    phi_streams *t = &client->streams;
    const phi_link *link = &client->transport.link;
    while (phi_client_is(client, PHI_CLIENT_UP) && phi_link_is(link, PHI_LINK_OPEN)) {
        admit(client);
        if (phi_list_is_empty(&t->ready) || phi_link_waiting(link) >= PHI_STREAMS_WAITING_MAX) {
            break;
        }
        stream_out *s = PHI_CONTAINER_OF(t->ready.next, stream_out, node);
        if (!fragment_send(client, s)) {
            break; // no memory: on_room follows
        }
        if (s->sent == s->message.body.size) {
            client->counters.large_sent++;
            stream_free(client, s);
            continue;
        }
        phi_list_remove(&s->node);
        phi_list_append(s->credit != 0 ? &t->ready : &t->waiting, &s->node);
    }
    rehook(client);
}

// How much of the body goes first; the rest of the packet is taken.
static size_t first_size(const ph_client *client, const stream_out *s)
{
    const phi_message *m = &s->message;
    size_t head =
        PHI_MESSAGE_HEAD_BYTES + m->to.size + client->id_size + m->method.size + m->headers.size;
    size_t size_max = first_max(client);
    PH_ASSERT(head < size_max); // phi_stream_post looked
    return size_max - head;
}

static size_t next_size(const ph_client *client, const stream_out *s)
{
    size_t head = PHI_MESSAGE_HEAD_BYTES + client->id_size;
    size_t size = phi_link_payload_max(&client->transport.link) - head;
    size = size < PHI_FRAGMENT_BYTES ? size : PHI_FRAGMENT_BYTES;
    size = size < s->credit ? size : (size_t)s->credit;
    size_t left = s->message.body.size - s->sent;
    return size < left ? size : left;
}

static uint32_t ttl_left(ph_client *client, const stream_out *s)
{
    if (phi_time_is_never(s->deadline)) {
        return 0;
    }
    phi_time now = phi_io_now(client->io);
    // Who is late sends what no longer has any time: the center says what that means.
    uint64_t left =
        phi_time_before(now, s->deadline) ? phi_dur_ms(phi_time_diff(s->deadline, now)) : 0;
    return left == 0 ? 1 : (uint32_t)left;
}

static bool fragment_send(ph_client *client, stream_out *s)
{
    const phi_message *all = &s->message;
    bool is_first = s->sent == 0;
    size_t size = is_first ? first_size(client, s) : next_size(client, s);
    bool is_last = s->sent + size == all->body.size;
    PH_ASSERT(size > 0);
    PH_ASSERT(!is_first || !is_last);
    phi_draft part = { .message = { .kind = all->kind, .turn = all->turn, .call = all->call } };
    if (is_first) {
        part.message = *all;
        part.message.ttl_ms = ttl_left(client, s);
        part.message.flags |= PHI_FLAG_MORE;
    } else {
        part.message.flags = PHI_FLAG_REST | (is_last ? 0 : PHI_FLAG_MORE);
    }
    part.message.body = phi_bytes_of(all->body.data + s->sent, size);
    ph_err rc = phi_client_post_quietly(client, &part);
    if (rc != PH_OK) {
        PH_ASSERT(rc == PH_EBUSY); // it was measured
        return false;
    }
    s->sent += size;
    if (!is_first) {
        s->credit -= size;
    }
    return true;
}

// The hook runs while there is something for it to do.
static void rehook(ph_client *client)
{
    phi_streams *t = &client->streams;
    bool wants = !phi_list_is_empty(&t->ready) || t->is_full;
    if (wants && !phi_list_is_linked(&t->hook.node)) {
        phi_io_hook_late(client->io, &t->hook); // behind the write
    } else if (!wants) {
        phi_io_unhook(&t->hook);
    }
}

static void on_turn(phi_turn_hook *hook)
{
    ph_client *client = PHI_CONTAINER_OF(hook, ph_client, streams.hook);
    phi_streams *t = &client->streams;
    phi_streams_out_go_on(client);
    if (t->is_full && t->out_bytes <= client->options.streams_bytes_max / 2) {
        t->is_full = false;
        rehook(client);
        phi_client_tell_writable(client);
    }
}

// ---- what the center says

void phi_streams_out_on_credit(ph_client *client, const phi_stream_control *control)
{
    phi_streams *t = &client->streams;
    stream_out *s = stream_find(t, control);
    if (s == NULL) {
        client->counters.dropped++; // it is over: this was on its way
        return;
    }
    bool was_waiting = s->credit == 0 && s->sent != 0;
    uint64_t left = s->message.body.size; // more than that is of no use, and so nothing overflows
    s->credit += control->value;
    s->credit = s->credit < left ? s->credit : left;
    if (was_waiting) {
        phi_list_remove(&s->node);
        phi_list_append(&t->ready, &s->node);
    }
    phi_streams_out_go_on(client);
}

// A request or an inquiry ends with the failure that follows.
void phi_streams_out_on_refuse(ph_client *client, const phi_stream_control *control)
{
    stream_out *s = stream_find(&client->streams, control);
    if (s == NULL) {
        client->counters.dropped++;
        return;
    }
    client->counters.large_dropped++;
    stream_free(client, s);
    phi_streams_out_go_on(client);
}

// ---- ends

void phi_streams_out_end(ph_client *client)
{
    phi_streams *t = &client->streams;
    phi_list *lists[] = { &t->queued, &t->ready, &t->waiting };
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        while (!phi_list_is_empty(lists[i])) {
            client->counters.large_dropped++;
            stream_free(client, PHI_CONTAINER_OF(lists[i]->next, stream_out, node));
        }
    }
    t->is_full = false; // and who waits for room is told when the next one is up
    rehook(client);
    PH_ASSERT(t->out_bytes == 0);
    PH_ASSERT(t->active == 0);
}

void phi_streams_out_drop(ph_client *client, unsigned kinds, uint64_t call, uint16_t turn,
                          uint16_t code)
{
    phi_streams *t = &client->streams;
    phi_list *lists[] = { &t->queued, &t->ready, &t->waiting };
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        for (phi_list *node = lists[i]->next, *next; node != lists[i]; node = next) {
            next = node->next;
            stream_out *s = PHI_CONTAINER_OF(node, stream_out, node);
            const phi_message *m = &s->message;
            if ((kinds & PHI_KINDS(m->kind)) == 0 || m->call != call ||
                (turn != 0 && m->turn != turn)) {
                continue;
            }
            if (code != 0 && s->sent != 0) {
                (void)phi_stream_tell(client, &(phi_stream_control){ .op = PHI_STREAM_ABORT,
                                                                     .kind = m->kind,
                                                                     .turn = m->turn,
                                                                     .call = call,
                                                                     .value = code });
            }
            client->counters.large_dropped++;
            stream_free(client, s);
        }
    }
    phi_streams_out_go_on(client);
}

// ---- queries

static bool is_it(const stream_out *s, const phi_stream_control *control)
{
    const phi_message *m = &s->message;
    return m->call == control->call && m->kind == control->kind && m->turn == control->turn;
}

// Among those that begun: the center knows no other.
static stream_out *stream_find(phi_streams *t, const phi_stream_control *control)
{
    phi_list *lists[] = { &t->waiting, &t->ready };
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        for (phi_list *node = lists[i]->next; node != lists[i]; node = node->next) {
            stream_out *s = PHI_CONTAINER_OF(node, stream_out, node);
            if (is_it(s, control)) {
                return s;
            }
        }
    }
    return NULL;
}

// Whether one with its numbers is under way.
static bool is_known(phi_streams *t, const phi_message *m)
{
    if (m->call == 0) {
        return false;
    }
    phi_stream_control key = { .kind = m->kind, .turn = m->turn, .call = m->call };
    for (const phi_list *node = t->queued.next; node != &t->queued; node = node->next) {
        if (is_it(PHI_CONTAINER_OF(node, stream_out, node), &key)) {
            return true;
        }
    }
    return stream_find(t, &key) != NULL;
}

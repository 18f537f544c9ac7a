// SPDX-License-Identifier: Apache-2.0
//
// client/stream_in.c - messages in fragments, as their receiver: granted, joined, handed up.
//
// Design notes  One block holds the message as it would have come in one packet: what the first
//               fragment said, and behind it the body, which grows as bytes come. To move megabytes
//               at each step would keep small messages waiting; so from EARLY_BYTES on the block
//               has room for all that may come: pages that nothing was written to take no memory.
//               With the last fragment it goes the way of every message, and is given back.
//               Credit is a window shared by all streams that come, so that what is on its way to
//               us never delays a small message by more than that. It is topped up when half of it
//               was used.
//               streams_bytes_max bounds what all of them take together. So that streams that are
//               half here never wait for each other: the oldest may always come whole, the others
//               get only what then is left. A first fragment, which needs no leave, is refused when
//               it finds too little.
//
// Invariants    in_bytes + in_owed + what the oldest may still need <= streams_bytes_max, but for
//               one stream alone
//
// Clauses       P-13, P-66, P-67, P-75

#include "client/core.h"
#include "client/streams.h"

// A message that got so long gets room for the longest.
#define EARLY_BYTES ((size_t)1024 * 1024)

// The key of a stream in the map: kind, turn, call.
#define KEY_BYTES 11u

typedef struct phi_stream_in {
    phi_list node; // on coming
    uint8_t kind;
    uint8_t flags; // part, or none
    uint16_t turn;
    uint32_t ttl_ms;
    uint64_t call;
    phi_time came;  // the first fragment
    uint8_t *block; // owned: the payload of the message, as if it had come in one packet
    size_t capacity;
    size_t head;     // bytes in front of the body
    size_t received; // of body
    size_t owed;     // granted, not come
    uint8_t key[KEY_BYTES];
} stream_in;

static void on_first(ph_client *client, phi_bytes payload, const phi_message *m);
static phi_bytes on_rest(ph_client *client, const phi_message *m);
static void key_of(uint8_t key[KEY_BYTES], uint8_t kind, uint16_t turn, uint64_t call);
static stream_in *stream_find(phi_streams *t, uint8_t kind, uint16_t turn, uint64_t call);
static stream_in *stream_new(ph_client *client, phi_bytes payload, const phi_message *m);
static bool stream_append(ph_client *client, stream_in *s, phi_bytes body);
static bool stream_grow(ph_client *client, stream_in *s, size_t needed);
static void stream_detach(ph_client *client, stream_in *s);
static void stream_free(ph_client *client, stream_in *s);
static void refuse(ph_client *client, const phi_message *m, uint16_t code);
static void fail_here(ph_client *client, const phi_message *m, uint16_t code);
static void give_up(ph_client *client, stream_in *s, uint16_t code);
static phi_bytes join(ph_client *client, stream_in *s);
static void top_up(ph_client *client, stream_in *s);
static size_t allowance(const ph_client *client, const stream_in *s);

void phi_streams_in_init(ph_client *client)
{
    phi_streams *t = &client->streams;
    phi_hash_key key;
    phi_io_entropy(client->io, (uint8_t *)&key, sizeof key);
    // Each takes some of streams_bytes_max: that is the bound.
    phi_map_init(&t->map, client->alloc, key, SIZE_MAX);
    phi_list_init(&t->coming);
}

// ---- fragments

static const phi_bytes nothing = { NULL, 0 };

PHI_COLD phi_bytes phi_client_join(ph_client *client, phi_bytes payload,
                                   const phi_message *fragment)
{
    PH_ASSERT((fragment->flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) != 0);
    PH_ASSERT(client->streams.joined == NULL);
    if (fragment->body.size == 0) {
        phi_client_breach(client, "a fragment without a body");
        return nothing;
    }
    if ((fragment->flags & PHI_FLAG_REST) != 0) {
        return on_rest(client, fragment);
    }
    on_first(client, payload, fragment);
    return nothing;
}

PHI_COLD void phi_client_join_end(ph_client *client)
{
    PH_ASSERT(client->streams.joined != NULL);
    stream_free(client, client->streams.joined);
    client->streams.joined = NULL;
}

static PHI_COLD void exceeded(ph_client *client)
{
    phi_transport_bye(&client->transport, PHI_BYE_CREDIT_EXCEEDED, 0, NULL);
}

// Whether there is something of ours that would end it, should nothing else.
static bool is_awaited(ph_client *client, const phi_message *m)
{
    if (m->kind == PHI_KIND_REPLY || m->kind == PHI_KIND_INQUIRY) {
        return phi_slots_find(&client->calls, m->call) != NULL;
    }
    return m->kind != PHI_KIND_ANSWER || phi_client_is_asking(client, m);
}

static void on_first(ph_client *client, phi_bytes payload, const phi_message *m)
{
    phi_streams *t = &client->streams;
    if (payload.size > PHI_FRAGMENT_FIRST_BYTES_MAX) {
        exceeded(client);
        return;
    }
    if (stream_find(t, m->kind, m->turn, m->call) != NULL) {
        phi_client_breach(client, "a message in fragments begins twice");
        return;
    }
    if (!is_awaited(client, m)) {
        client->counters.replies_stray++; // what it belongs to is over
        refuse(client, m, PH_FAILURE_CANCELLED);
        return;
    }
    if (m->kind == PHI_KIND_REQUEST && client->options.on_request == NULL) {
        phi_client_refuse(client, m); // the answer does not depend on the rest
        return;
    }
    stream_in *s = stream_new(client, payload, m);
    if (s == NULL) {
        client->counters.large_dropped++;
        refuse(client, m, PH_FAILURE_SLOW_CONSUMER);
        fail_here(client, m, PH_FAILURE_SLOW_CONSUMER);
        return;
    }
    top_up(client, s);
}

static phi_bytes on_rest(ph_client *client, const phi_message *m)
{
    stream_in *s = stream_find(&client->streams, m->kind, m->turn, m->call);
    if (s == NULL) {
        client->counters.dropped++; // it is over: this was on its way
        return nothing;
    }
    // The decoder judged the numbers.
    if (m->to.size != 0 || m->method.size != 0 || m->headers.size != 0 ||
        ((m->flags ^ s->flags) & PHI_FLAG_PART) != 0) {
        phi_client_breach(client, "a later fragment says more than its body");
        return nothing;
    }
    if (m->body.size > s->owed) {
        exceeded(client);
        return nothing;
    }
    if (!stream_append(client, s, m->body)) {
        give_up(client, s, PH_FAILURE_SLOW_CONSUMER);
        return nothing;
    }
    if ((m->flags & PHI_FLAG_MORE) == 0) {
        return join(client, s);
    }
    if (s->received == client->options.message_bytes_max) {
        give_up(client, s, PH_FAILURE_TOO_LARGE); // more follows
        return nothing;
    }
    top_up(client, s);
    return nothing;
}

void phi_streams_in_on_abort(ph_client *client, const phi_stream_control *control)
{
    stream_in *s = stream_find(&client->streams, control->kind, control->turn, control->call);
    if (s == NULL) {
        client->counters.dropped++;
        return;
    }
    client->counters.large_dropped++;
    stream_detach(client, s);
    stream_free(client, s);
}

// ---- joining

static bool is_alone(const phi_streams *t)
{
    return phi_list_is_empty(&t->coming);
}

static size_t stream_cost(const stream_in *s)
{
    return sizeof *s + s->head + s->received;
}

static stream_in *stream_new(ph_client *client, phi_bytes payload, const phi_message *m)
{
    phi_streams *t = &client->streams;
    size_t size = payload.size;
    PH_ASSERT(size == phi_message_size(m));
    size_t cost = sizeof(stream_in) + size;
    if (!is_alone(t) && cost > allowance(client, NULL)) {
        return NULL;
    }
    stream_in *s = phi_take_zeroed(client->alloc, 1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->capacity = size;
    s->block = phi_take(client->alloc, s->capacity);
    if (s->block == NULL) {
        goto fail;
    }
    key_of(s->key, m->kind, m->turn, m->call);
    if (phi_map_put(&t->map, phi_bytes_of(s->key, KEY_BYTES), (uintptr_t)s) != PH_OK) {
        goto fail_block;
    }
    s->kind = m->kind;
    s->flags = m->flags & PHI_FLAG_PART;
    s->turn = m->turn;
    s->call = m->call;
    s->ttl_ms = m->ttl_ms;
    s->came = client->io->now;
    s->head = size - m->body.size;
    s->received = m->body.size;
    memcpy(s->block, payload.data, size);
    s->block[PHI_MESSAGE_FLAGS_AT] &= (uint8_t) ~(unsigned)PHI_FLAG_MORE;
    phi_list_append(&t->coming, &s->node);
    t->coming_count++;
    t->in_bytes += cost;
    return s;

fail_block:
    phi_give(client->alloc, s->block, s->capacity);
fail:
    phi_give(client->alloc, s, sizeof *s);
    return NULL;
}

// False: no memory.
static bool stream_append(ph_client *client, stream_in *s, phi_bytes body)
{
    phi_streams *t = &client->streams;
    size_t size = s->head + s->received;
    if (s->capacity - size < body.size) {
        if (!stream_grow(client, s, size + body.size)) {
            return false;
        }
    }
    memcpy(s->block + size, body.data, body.size);
    s->received += body.size;
    s->owed -= body.size;
    t->in_bytes += body.size;
    t->in_owed -= body.size;
    return true;
}

// Without memory for what may come, for a quarter more.
static bool stream_grow(ph_client *client, stream_in *s, size_t needed)
{
    size_t most = s->head + client->options.message_bytes_max;
    PH_ASSERT(needed <= most);
    size_t wishes[] = { needed < EARLY_BYTES ? needed * 2 : most, needed + needed / 4 };
    for (size_t i = 0; i < PHI_COUNT_OF(wishes); i++) {
        size_t capacity = wishes[i] < most ? wishes[i] : most;
        uint8_t *block = phi_resize(client->alloc, s->block, s->capacity, capacity);
        if (block != NULL) {
            s->block = block;
            s->capacity = capacity;
            return true;
        }
    }
    return false;
}

// Nobody finds it any more.
static void stream_detach(ph_client *client, stream_in *s)
{
    phi_streams *t = &client->streams;
    bool was_there = phi_map_remove(&t->map, phi_bytes_of(s->key, KEY_BYTES));
    PH_ASSERT(was_there);
    phi_list_remove(&s->node);
    PH_ASSERT(t->coming_count > 0);
    PH_ASSERT(t->in_bytes >= stream_cost(s));
    PH_ASSERT(t->in_owed >= s->owed);
    t->coming_count--;
    t->in_bytes -= stream_cost(s);
    t->in_owed -= s->owed;
    if (t->is_short) {
        phi_streams_in_go_on(client);
    }
}

static void stream_free(ph_client *client, stream_in *s)
{
    phi_give(client->alloc, s->block, s->capacity);
    phi_give(client->alloc, s, sizeof *s);
}

// All of it is here.
static phi_bytes join(ph_client *client, stream_in *s)
{
    stream_detach(client, s); // who handles it may do anything
    client->streams.joined = s;
    client->counters.large_received++;
    if (s->kind != PHI_KIND_EVENT && s->ttl_ms != 0) {
        // What was left when the first fragment was sent ran on meanwhile.
        uint64_t took = phi_dur_ms(phi_time_diff(client->io->now, s->came));
        uint32_t left = took < s->ttl_ms ? s->ttl_ms - (uint32_t)took : 1;
        phi_put_u32(s->block + PHI_MESSAGE_TTL_AT, left);
    }
    return phi_bytes_of(s->block, s->head + s->received);
}

// ---- credit

// How much more may be taken, or granted to `s` (NULL: one that is new).
static size_t allowance(const ph_client *client, const stream_in *s)
{
    const phi_streams *t = &client->streams;
    const ph_client_options *o = &client->options;
    PH_ASSERT(!phi_list_is_empty(&t->coming));
    const stream_in *oldest = PHI_CONTAINER_OF(t->coming.next, stream_in, node);
    if (s == oldest) {
        return SIZE_MAX;
    }
    size_t taken = t->in_bytes + t->in_owed;
    taken += o->message_bytes_max - oldest->received - oldest->owed;
    return taken < o->streams_bytes_max ? o->streams_bytes_max - taken : 0;
}

static void top_up(ph_client *client, stream_in *s)
{
    phi_streams *t = &client->streams;
    size_t window = PHI_STREAMS_WINDOW / t->coming_count;
    window = window > PHI_FRAGMENT_BYTES ? window : PHI_FRAGMENT_BYTES;
    if (s->owed > window / 2) {
        return;
    }
    size_t wanted = window - s->owed;
    size_t rest = client->options.message_bytes_max - s->received - s->owed;
    wanted = wanted < rest ? wanted : rest;
    size_t allowed = allowance(client, s);
    t->is_short = t->is_short || allowed < wanted;
    size_t more = wanted < allowed ? wanted : allowed;
    if (more == 0) {
        return;
    }
    phi_stream_control control = { .op = PHI_STREAM_CREDIT,
                                   .kind = s->kind,
                                   .turn = s->turn,
                                   .call = s->call,
                                   .value = (uint32_t)more };
    if (!phi_stream_tell(client, &control)) {
        t->is_short = true; // on_room goes on
        return;
    }
    s->owed += more;
    t->in_owed += more;
}

void phi_streams_in_go_on(ph_client *client)
{
    phi_streams *t = &client->streams;
    t->is_short = false;
    for (phi_list *node = t->coming.next; node != &t->coming; node = node->next) {
        top_up(client, PHI_CONTAINER_OF(node, stream_in, node));
    }
}

// ---- ends

static void refuse(ph_client *client, const phi_message *m, uint16_t code)
{
    // Best effort: without it, nothing moves any more, and the center gives it up.
    (void)phi_stream_tell(client, &(phi_stream_control){ .op = PHI_STREAM_REFUSE,
                                                         .kind = m->kind,
                                                         .turn = m->turn,
                                                         .call = m->call,
                                                         .value = code });
}

// What a call or an inquiry of ours waits for cannot be taken: it will hear of no other, but gets a
// failure.
static void fail_here(ph_client *client, const phi_message *m, uint16_t code)
{
    if (m->kind != PHI_KIND_REPLY && m->kind != PHI_KIND_ANSWER) {
        return;
    }
    uint8_t body[2];
    phi_put_u16(body, code);
    phi_message failure = { .kind = PHI_KIND_FAILURE,
                            .flags = m->flags & PHI_FLAG_PART,
                            .turn = m->turn,
                            .call = m->call,
                            .from = phi_client_id(client), // who made it
                            .body = phi_bytes_of(body, sizeof body) };
    phi_client_on_failure(client, &failure);
}

// For want of memory, or because it is too large.
static void give_up(ph_client *client, stream_in *s, uint16_t code)
{
    phi_message m = { .kind = s->kind, .flags = s->flags, .turn = s->turn, .call = s->call };
    client->counters.large_dropped++;
    stream_detach(client, s);
    refuse(client, &m, code);
    stream_free(client, s);
    fail_here(client, &m, code);
}

void phi_streams_in_end(ph_client *client)
{
    phi_streams *t = &client->streams;
    t->is_short = false;
    while (!phi_list_is_empty(&t->coming)) {
        stream_in *s = PHI_CONTAINER_OF(t->coming.next, stream_in, node);
        client->counters.large_dropped++;
        stream_detach(client, s);
        stream_free(client, s);
    }
    PH_ASSERT(t->in_bytes == 0);
    PH_ASSERT(t->in_owed == 0);
}

bool phi_streams_in_drop(ph_client *client, unsigned kinds, uint64_t call, uint16_t turn,
                         uint16_t code)
{
    phi_streams *t = &client->streams;
    bool was_request = false;
    for (phi_list *node = t->coming.next, *next; node != &t->coming; node = next) {
        next = node->next;
        stream_in *s = PHI_CONTAINER_OF(node, stream_in, node);
        if ((kinds & PHI_KINDS(s->kind)) == 0 || s->call != call ||
            (turn != 0 && s->turn != turn)) {
            continue;
        }
        client->counters.large_dropped++;
        was_request = was_request || s->kind == PHI_KIND_REQUEST;
        stream_detach(client, s);
        if (code != 0) {
            refuse(client, &(phi_message){ .kind = s->kind, .turn = s->turn, .call = call }, code);
        }
        stream_free(client, s);
    }
    return was_request;
}

// ---- queries

static void key_of(uint8_t key[KEY_BYTES], uint8_t kind, uint16_t turn, uint64_t call)
{
    key[0] = kind;
    phi_put_u16(key + 1, turn);
    phi_put_u64(key + 3, call);
}

static stream_in *stream_find(phi_streams *t, uint8_t kind, uint16_t turn, uint64_t call)
{
    uint8_t key[KEY_BYTES];
    uint64_t value = 0;
    key_of(key, kind, turn, call);
    return phi_map_find(&t->map, phi_bytes_of(key, sizeof key), &value)
               ? (stream_in *)(uintptr_t)value
               : NULL;
}

void phi_client_streams_check(const ph_client *client)
{
    const phi_streams *t = &client->streams;
    size_t bytes = 0;
    size_t owed = 0;
    size_t count = 0;
    for (const phi_list *node = t->coming.next; node != &t->coming; node = node->next) {
        const stream_in *s = PHI_CONTAINER_OF(node, stream_in, node);
        PH_ASSERT(s->head + s->received <= s->capacity);
        PH_ASSERT(s->received + s->owed <= client->options.message_bytes_max);
        bytes += stream_cost(s);
        owed += s->owed;
        count++;
    }
    PH_ASSERT(bytes == t->in_bytes);
    PH_ASSERT(owed == t->in_owed);
    PH_ASSERT(count == t->coming_count);
    PH_ASSERT(count == t->map.count);
    PH_ASSERT(count < 2 || allowance(client, NULL) <= client->options.streams_bytes_max);
    PH_ASSERT((t->out_bytes == 0) == (phi_list_is_empty(&t->queued) && t->active == 0));
}

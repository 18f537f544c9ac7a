// SPDX-License-Identifier: Apache-2.0
//
// tests/link/link_pair.c - see link_pair.h.

#include "tests/link/link_pair.h"

#include "base/assert.h"
#include "base/siphash.h"

static const phi_keys link_pair_keys = {
    .to_client_key = { 1, 2, 3 },
    .to_client_iv = { 4, 5, 6 },
    .to_center_key = { 7, 8, 9 },
    .to_center_iv = { 10, 11, 12 },
};

phi_link *link_pair_end(link_pair *pair, phi_link_side side)
{
    return &pair->links[side];
}

phi_link_side link_pair_other(phi_link_side side)
{
    return side == PHI_LINK_CENTER ? PHI_LINK_CLIENT : PHI_LINK_CENTER;
}

void link_pair_init(link_pair *pair, phi_suite suite)
{
    *pair = (link_pair){
        .now = LINK_PAIR_T0,
        .join = { .version = PHI_PROTOCOL_VERSION,
                  .account = phi_bytes_text("alice"),
                  .type = PHI_TYPE_CLIENT,
                  .service = phi_bytes_text("orders") },
        .random = phi_random_seeded(1),
    };
    phi_alloc_counter_init(&pair->memory, &phi_alloc_heap);
    phi_cipher_group_init(&pair->ciphers);
    pair->options[PHI_LINK_CENTER] = (phi_link_options){
        .alloc = &pair->memory.alloc,
        .side = PHI_LINK_CENTER,
        .send_bytes_max = 256u * 1024u,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(5),
        .heartbeat_idle = phi_seconds(10),
        .heartbeat_grace = phi_seconds(5),
        .full_timeout = phi_seconds(10),
        .ciphers = &pair->ciphers,
        .suite = suite,
        .domain = phi_bytes_text("example"),
        .calls_max = 99,
        .message_bytes_max = 98,
        .streams_max = 97,
        .subscriptions_max = 96,
    };
    pair->options[PHI_LINK_CLIENT] = (phi_link_options){
        .alloc = &pair->memory.alloc,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = 256u * 1024u,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(6),
        .heartbeat_idle = phi_seconds(3600), // silent, so that tests see the center's alone
        .heartbeat_grace = phi_seconds(5),
        .full_timeout = phi_seconds(10),
        .ciphers = &pair->ciphers,
        .suite_floor = PHI_SUITE_PLAIN,
        .join = &pair->join,
    };
}

ph_err link_pair_start(link_pair *pair)
{
    phi_link_options *center = &pair->options[PHI_LINK_CENTER];
    const phi_keys *keys = center->suite == PHI_SUITE_PAPER ? &link_pair_keys : NULL;
    ph_err err = phi_link_init(&pair->links[PHI_LINK_CENTER], center, keys, pair->now);
    if (err == PH_OK) {
        err = phi_link_init(&pair->links[PHI_LINK_CLIENT], &pair->options[PHI_LINK_CLIENT],
                            /* keys= */ NULL, pair->now);
    }
    return err;
}

void link_pair_open(link_pair *pair, phi_suite suite)
{
    link_pair_init(pair, suite);
    ph_err err = link_pair_start(pair);
    PH_ASSERT(err == PH_OK);
    link_pair_settle(pair);
    PH_ASSERT(phi_link_is(&pair->links[PHI_LINK_CENTER], PHI_LINK_OPEN));
    PH_ASSERT(phi_link_is(&pair->links[PHI_LINK_CLIENT], PHI_LINK_OPEN));
}

void link_pair_fini(link_pair *pair)
{
    phi_link_fini(&pair->links[PHI_LINK_CENTER]);
    phi_link_fini(&pair->links[PHI_LINK_CLIENT]);
    phi_cipher_group_fini(&pair->ciphers);
    PH_ASSERT(pair->memory.bytes == 0);
    PH_ASSERT(pair->memory.blocks == 0);
}

// ---- events

static void seen_packet(link_pair_seen *seen, const phi_packet *packet)
{
    phi_hash_key key = { seen->digest, packet->command };
    seen->packets++;
    seen->command = packet->command;
    seen->digest = phi_siphash(key, packet->payload);
}

static void seen_end(link_pair_seen *seen, const phi_link_end *end)
{
    PH_ASSERT(end->text.size <= PHI_BYE_TEXT_BYTES_MAX);
    seen->closes++;
    seen->end = *end;
    memcpy(seen->text, end->text.data, end->text.size);
    seen->text[end->text.size] = '\0';
}

static void pair_on_join(link_pair *pair, const phi_join *join)
{
    phi_link *center = &pair->links[PHI_LINK_CENTER];
    char *account = pair->seen[PHI_LINK_CENTER].account;
    PH_ASSERT(join->account.size < sizeof pair->seen[PHI_LINK_CENTER].account);
    if (join->account.size != 0) {
        memcpy(account, join->account.data, join->account.size);
    }
    account[join->account.size] = '\0';
    if (pair->refuse_join != PHI_BYE_NORMAL) {
        phi_link_bye(center, pair->refuse_join, 1500, NULL);
        return;
    }
    phi_welcome welcome = {
        .id = phi_bytes_text("alice@example"),
        .session = LINK_PAIR_SESSION,
        .epoch = 5,
        .revision = 6,
    };
    phi_link_welcome(center, &welcome, pair->now);
}

void link_pair_drain(link_pair *pair, phi_link_side side)
{
    link_pair_seen *seen = &pair->seen[side];
    for (;;) {
        phi_link_event event;
        phi_link_next(&pair->links[side], &event, pair->now);
        if (event.type != PHI_LINK_EVENT_NONE) {
            PH_ASSERT(seen->closes == 0); // nothing comes after the last event
        }
        switch (event.type) {
        case PHI_LINK_EVENT_NONE:
            return;
        case PHI_LINK_EVENT_JOIN:
            seen->joins++;
            pair_on_join(pair, event.join);
            break;
        case PHI_LINK_EVENT_OPEN:
            seen->opens++;
            PH_ASSERT(event.welcome.session == LINK_PAIR_SESSION);
            break;
        case PHI_LINK_EVENT_PACKET:
            seen_packet(seen, &event.packet);
            break;
        case PHI_LINK_EVENT_SUSPECT:
            seen->suspicions++;
            PH_ASSERT(!seen->is_suspect);
            seen->is_suspect = true;
            break;
        case PHI_LINK_EVENT_ALIVE:
            PH_ASSERT(seen->is_suspect);
            seen->is_suspect = false;
            break;
        case PHI_LINK_EVENT_CONFIRMED:
            seen->mark = event.mark;
            break;
        case PHI_LINK_EVENT_CLOSED:
            seen_end(seen, &event.end);
            break;
        default:
            PH_UNREACHABLE("no such event");
        }
    }
}

// ---- bytes

// The pieces are copied, so that a sanitizer sees whoever looks behind their end, or at them later.
void link_pair_inject(link_pair *pair, phi_link_side to, const void *bytes, size_t size)
{
    phi_link *link = &pair->links[to];
    size_t at = 0;
    while (at < size) {
        size_t left = size - at;
        size_t count =
            pair->cut_max == 0 ? left : (size_t)phi_random_between(&pair->random, 1, pair->cut_max);
        count = count > left ? left : count;
        uint8_t *copy = phi_take(&phi_alloc_heap, count);
        PH_ASSERT(copy != NULL);
        memcpy(copy, (const uint8_t *)bytes + at, count);
        phi_link_receive(link, (phi_span){ copy, count }, pair->now);
        link_pair_drain(pair, to);
        phi_give(&phi_alloc_heap, copy, count);
        at += count;
    }
}

void link_pair_carry(link_pair *pair, phi_link_side from)
{
    phi_bytes bytes = phi_link_seal(&pair->links[from]);
    if (bytes.size == 0) {
        return;
    }
    uint8_t *copy = phi_take(&phi_alloc_heap, bytes.size);
    PH_ASSERT(copy != NULL);
    memcpy(copy, bytes.data, bytes.size);
    phi_link_sent(&pair->links[from], bytes.size);
    link_pair_inject(pair, link_pair_other(from), copy, bytes.size);
    phi_give(&phi_alloc_heap, copy, bytes.size);
}

void link_pair_settle(link_pair *pair)
{
    phi_link *center = &pair->links[PHI_LINK_CENTER];
    phi_link *client = &pair->links[PHI_LINK_CLIENT];
    while (phi_link_waiting(center) != 0 || phi_link_waiting(client) != 0) {
        link_pair_carry(pair, PHI_LINK_CENTER);
        link_pair_carry(pair, PHI_LINK_CLIENT);
    }
}

void link_pair_lose(link_pair *pair, phi_link_side from)
{
    phi_link_sent(&pair->links[from], phi_link_seal(&pair->links[from]).size);
}

void link_pair_unsay(link_pair *pair, phi_link_side from)
{
    phi_outbound *out = &pair->links[from].out;
    PH_ASSERT(out->sealed == 0);
    PH_ASSERT(out->check.count <= 1);
    phi_buf_consume(&out->buf, phi_buf_size(&out->buf));
    out->check = (phi_check){ 0 };
}

void link_pair_inject_sealed(link_pair *pair, phi_link_side to, const void *bytes, size_t size)
{
    phi_outbound *out = &pair->links[link_pair_other(to)].out;
    PH_ASSERT(phi_outbound_size(out) == 0);
    uint8_t *copy = phi_take(&phi_alloc_heap, size);
    PH_ASSERT(copy != NULL);
    memcpy(copy, bytes, size);
    if (out->suite == PHI_SUITE_PAPER) {
        phi_cipher_apply(&out->cipher, (phi_span){ copy, size });
    }
    link_pair_inject(pair, to, copy, size);
    phi_give(&phi_alloc_heap, copy, size);
}

void link_pair_forge(link_pair *pair, phi_link_side to, uint16_t command, phi_bytes payload)
{
    phi_link_side from = link_pair_other(to);
    phi_outbound *out = &pair->links[from].out;
    uint8_t *room = phi_outbound_begin(out, payload.size);
    PH_ASSERT(room != NULL);
    if (payload.size != 0) {
        memcpy(room, payload.data, payload.size);
    }
    phi_outbound_commit(out, command, payload.size);
    link_pair_carry(pair, from);
}

bool link_pair_say(link_pair *pair, phi_link_side from, size_t size, uint8_t seed)
{
    uint8_t *room = phi_link_begin(&pair->links[from], size);
    if (room == NULL) {
        phi_link_begin_failed(&pair->links[from], size, pair->now);
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        room[i] = (uint8_t)(seed + i);
    }
    phi_link_commit(&pair->links[from], PHI_COMMAND_MESSAGE, size);
    return true;
}

// ---- time

static void pair_pass(link_pair *pair, phi_dur dur, bool is_cut)
{
    phi_time end = phi_time_add(pair->now, dur);
    for (;;) {
        phi_link *center = &pair->links[PHI_LINK_CENTER];
        phi_link *client = &pair->links[PHI_LINK_CLIENT];
        phi_time next = phi_time_min(phi_link_deadline(center), phi_link_deadline(client));
        if (phi_time_before(end, next)) {
            break;
        }
        pair->now = next;
        phi_link_tick(center, next);
        phi_link_tick(client, next);
        link_pair_drain(pair, PHI_LINK_CENTER);
        link_pair_drain(pair, PHI_LINK_CLIENT);
        if (!is_cut) {
            link_pair_settle(pair);
        }
        // A deadline may be early, but a tick must move it.
        PH_ASSERT(phi_time_before(next, phi_link_deadline(center)));
        PH_ASSERT(phi_time_before(next, phi_link_deadline(client)));
    }
    pair->now = end;
}

void link_pair_pass(link_pair *pair, phi_dur dur)
{
    pair_pass(pair, dur, /* is_cut= */ false);
}

void link_pair_pass_cut(link_pair *pair, phi_dur dur)
{
    pair_pass(pair, dur, /* is_cut= */ true);
}

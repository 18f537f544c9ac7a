// SPDX-License-Identifier: Apache-2.0
//
// link/link_handshake.c - how a link opens: HELLO, JOIN and WELCOME, P-32 to P-36.
//
// The suite changes right behind HELLO, in both directions at both ends. So the client takes on the
// suite first and judges HELLO afterwards: what it then says, a refusal too, is in that suite
// (P-22).

#include "base/assert.h"
#include "link/link_internal.h"
#include "wire/name.h"

// What holds when HELLO does not say, and the bounds of what it may say: a center that asked for a
// heartbeat every millisecond would make its clients do so.
#define IDLE_DEFAULT phi_seconds(10)
#define GRACE_DEFAULT phi_seconds(5)
#define BEAT_MS_MIN 100u
#define BEAT_MS_MAX 3600000u

// ---- the center's part

static uint32_t dur_to_ms32(phi_dur d)
{
    uint64_t ms = phi_dur_ms(d);
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

// Both directions into `suite`. `sent` and `received` are key and IV of each, in paper only.
static ph_err link_enter_suite(phi_link *link, phi_suite suite, const phi_keys *keys)
{
    const uint8_t *key[PHI_LINK_SIDE_COUNT] = { NULL, NULL };
    const uint8_t *iv[PHI_LINK_SIDE_COUNT] = { NULL, NULL };
    if (suite == PHI_SUITE_PAPER) {
        PH_ASSERT(keys != NULL);
        // by the side that sends
        key[PHI_LINK_CENTER] = keys->to_client_key;
        iv[PHI_LINK_CENTER] = keys->to_client_iv;
        key[PHI_LINK_CLIENT] = keys->to_center_key;
        iv[PHI_LINK_CLIENT] = keys->to_center_iv;
    }
    phi_link_side self = link->options->side;
    phi_link_side peer = self == PHI_LINK_CENTER ? PHI_LINK_CLIENT : PHI_LINK_CENTER;
    ph_err err = phi_outbound_suite(&link->out, link->options->alloc, suite, key[self], iv[self]);
    if (err == PH_OK) {
        err = phi_inbound_suite(&link->in, suite, key[peer], iv[peer]);
    }
    if (err == PH_OK && suite == PHI_SUITE_PAPER) {
        phi_cipher_join(&link->out.cipher, link->options->ciphers);
        phi_cipher_join(&link->in.cipher, link->options->ciphers);
    }
    return err;
}

ph_err phi_link_greet(phi_link *link, const phi_keys *keys)
{
    const phi_link_options *options = link->options;
    PH_ASSERT(phi_link_is(link, PHI_LINK_GREETING));
    PH_ASSERT((keys != NULL) == (options->suite == PHI_SUITE_PAPER));
    PH_ASSERT(phi_name_is_valid(options->domain));

    phi_hello hello = {
        .version = PHI_PROTOCOL_VERSION,
        .suite = options->suite,
        .domain = options->domain,
        .heartbeat_idle_ms = dur_to_ms32(options->heartbeat_idle),
        .heartbeat_grace_ms = dur_to_ms32(options->heartbeat_grace),
        .packet_bytes_max = options->packet_bytes_max,
        .calls_max = options->calls_max,
        .message_bytes_max = options->message_bytes_max,
        .streams_max = options->streams_max,
        .subscriptions_max = options->subscriptions_max,
    };
    if (keys != NULL) {
        hello.keys = *keys;
    }
    uint8_t *room = phi_link_begin_own(link, PHI_LINK_HELLO_BYTES_MAX);
    if (room == NULL) {
        return PH_ENOMEM;
    }
    phi_writer w = phi_writer_of((phi_span){ room, PHI_LINK_HELLO_BYTES_MAX });
    phi_hello_encode(&w, &hello);
    PH_ASSERT(!w.failed);
    phi_outbound_commit(&link->out, PHI_COMMAND_HANDSHAKE, phi_writer_size(&w));

    ph_err err = link_enter_suite(link, options->suite, keys);
    if (err == PH_OK) {
        phi_link_move(link, PHI_LINK_JOINING);
    }
    return err;
}

void phi_link_on_join(phi_link *link, const phi_packet *packet, phi_link_event *event, phi_time now)
{
    (void)now;
    PH_ASSERT(link->join == NULL);
    uint8_t kind = phi_handshake_peek(packet->payload);
    if (kind != PHI_HANDSHAKE_JOIN) {
        phi_link_fail(link, kind == 0 ? PHI_BYE_MALFORMED : PHI_BYE_ILLEGAL_IN_STATE,
                      "only JOIN is allowed from a client");
        return;
    }
    // Of 1.3 KiB, and needed for a moment of the link's life: not part of it.
    link->join = phi_take(link->options->alloc, sizeof *link->join);
    link->has_chore = true; // to free it
    if (link->join == NULL) {
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        return;
    }
    if (phi_join_decode(packet->payload, link->join) != PH_OK) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed JOIN");
        return;
    }
    if (link->join->version != PHI_PROTOCOL_VERSION) {
        phi_link_fail(link, PHI_BYE_VERSION_UNSUPPORTED, NULL);
        return;
    }
    phi_link_move(link, PHI_LINK_ADMITTING);
    event->type = PHI_LINK_EVENT_JOIN;
    event->join = link->join;
}

void phi_link_welcome(phi_link *link, const phi_welcome *welcome, phi_time now)
{
    PH_ASSERT(phi_link_is(link, PHI_LINK_ADMITTING));
    PH_ASSERT(welcome->session != 0);
    PH_ASSERT(welcome->id.size <= PHI_ID_BYTES_MAX);

    uint8_t *room = phi_link_begin_own(link, PHI_LINK_WELCOME_BYTES_MAX);
    if (room == NULL) {
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        return;
    }
    phi_writer w = phi_writer_of((phi_span){ room, PHI_LINK_WELCOME_BYTES_MAX });
    phi_welcome_encode(&w, welcome);
    PH_ASSERT(!w.failed);
    phi_outbound_commit(&link->out, PHI_COMMAND_HANDSHAKE, phi_writer_size(&w));

    link->heard = now;
    link->in.bytes_max = link->options->packet_bytes_max;
    phi_link_move(link, PHI_LINK_OPEN);
}

// ---- the client's part

static phi_dur beat_of_hello(phi_dur own, uint32_t hello_ms, phi_dur fallback)
{
    if (own.ns != 0) {
        return own;
    }
    if (hello_ms == 0) {
        return fallback;
    }
    uint32_t ms = hello_ms < BEAT_MS_MIN ? BEAT_MS_MIN : hello_ms;
    return phi_ms(ms > BEAT_MS_MAX ? BEAT_MS_MAX : ms);
}

static void link_send_join(phi_link *link)
{
    size_t payload_max = PHI_PACKET_BYTES_JOINING_MAX - phi_suite_head(link->out.suite);
    uint8_t *room = phi_link_begin_own(link, payload_max);
    if (room == NULL) {
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        return;
    }
    phi_writer w = phi_writer_of((phi_span){ room, payload_max });
    phi_join_encode(&w, link->options->join);
    if (w.failed) {
        phi_link_fail_with(link, PH_ETOOLARGE, PHI_BYE_INTERNAL, "JOIN is longer than 8,192 bytes");
        return;
    }
    phi_outbound_commit(&link->out, PHI_COMMAND_HANDSHAKE, phi_writer_size(&w));
    if (link->options->join->token.size != 0) {
        phi_outbound_guard(&link->out);
    }
}

static void link_on_hello(phi_link *link, const phi_packet *packet)
{
    phi_hello hello;
    if (phi_hello_decode(packet->payload, &hello) != PH_OK) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed HELLO");
        return;
    }
    // Still greeting, so these go without a bye: there is no suite to say it in (P-70).
    if (hello.version != PHI_PROTOCOL_VERSION) {
        phi_link_fail(link, PHI_BYE_VERSION_UNSUPPORTED, NULL);
        return;
    }
    if (hello.suite >= PHI_SUITE_COUNT) {
        phi_link_fail(link, PHI_BYE_SUITE_REFUSED, "the center's suite is not known here");
        return;
    }
    if (link_enter_suite(link, hello.suite, &hello.keys) != PH_OK) {
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        return;
    }
    phi_link_move(link, PHI_LINK_JOINING);
    if (phi_suite_rank(hello.suite) < phi_suite_rank(link->options->suite_floor)) {
        phi_link_fail(link, PHI_BYE_SUITE_REFUSED, NULL);
        return;
    }
    if (hello.packet_bytes_max != 0) {
        if (hello.packet_bytes_max < PHI_PACKET_BYTES_JOINING_MAX) {
            phi_link_fail(link, PHI_BYE_MALFORMED, "malformed HELLO: packet limit");
            return;
        }
        PH_ASSERT(hello.packet_bytes_max <= PHI_PACKET_BYTES_MAX); // the decoder looked
        link->peer_packet_bytes_max = hello.packet_bytes_max;
    }
    link->peer_calls_max = hello.calls_max;
    link->peer_message_bytes_max = hello.message_bytes_max;
    link->peer_streams_max = hello.streams_max;
    link->peer_subscriptions_max = hello.subscriptions_max;
    link->heartbeat_idle =
        beat_of_hello(link->heartbeat_idle, hello.heartbeat_idle_ms, IDLE_DEFAULT);
    link->heartbeat_grace =
        beat_of_hello(link->heartbeat_grace, hello.heartbeat_grace_ms, GRACE_DEFAULT);
    link_send_join(link);
}

static void link_on_welcome(phi_link *link, const phi_packet *packet, phi_link_event *event)
{
    if (phi_welcome_decode(packet->payload, &event->welcome) != PH_OK) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed WELCOME");
        return;
    }
    link->in.bytes_max = link->options->packet_bytes_max;
    phi_link_move(link, PHI_LINK_OPEN);
    event->type = PHI_LINK_EVENT_OPEN;
}

void phi_link_on_hello_or_welcome(phi_link *link, const phi_packet *packet, phi_link_event *event,
                                  phi_time now)
{
    (void)now;
    bool is_greeting = phi_link_is(link, PHI_LINK_GREETING);
    uint8_t kind = phi_handshake_peek(packet->payload);
    if (kind == 0) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed handshake");
    } else if (is_greeting && kind == PHI_HANDSHAKE_HELLO) {
        link_on_hello(link, packet);
    } else if (!is_greeting && kind == PHI_HANDSHAKE_WELCOME) {
        link_on_welcome(link, packet, event);
    } else {
        phi_link_fail(link, PHI_BYE_ILLEGAL_IN_STATE, NULL);
    }
}

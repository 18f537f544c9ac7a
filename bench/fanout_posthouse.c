// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout_posthouse.c - what goes over a link of bench/fanout.h to a center: the codecs of
// wire/, which check every packet as the client library would.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/fanout.h"
#include "wire/bye.h"
#include "wire/handshake.h"
#include "wire/inbound.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/outbound.h"
#include "wire/subscription.h"

#define OUTPUT_BYTES_MAX (1024u * 1024u)
#define OVERHEAD_BYTES 512u

typedef struct state {
    phi_inbound in;
    phi_outbound out;
    char id[PHI_ID_BYTES_MAX + 1];
} state;

static void flush(fanout_link *link)
{
    state *s = link->state;
    phi_bytes bytes = phi_outbound_seal(&s->out);
    fanout_write(link, bytes.data, bytes.size);
    phi_outbound_sent(&s->out, bytes.size);
}

static void start(fanout_link *link)
{
    state *s = link->state;
    phi_inbound_init(&s->in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    phi_outbound_init(&s->out, &phi_alloc_heap, OUTPUT_BYTES_MAX);
}

static void on_hello(fanout_link *link, phi_bytes payload)
{
    state *s = link->state;
    phi_hello hello;
    char account[PHI_NAME_BYTES_MAX + 1];
    // The process' number: those of the last measurement may not be gone yet.
    snprintf(account, sizeof account, "fanout-%d-%u", (int)getpid(), link->number);
    if (phi_hello_decode(payload, &hello) != PH_OK) {
        fanout_die("the center's HELLO is malformed");
    }
    const phi_keys *k = hello.suite == PHI_SUITE_PAPER ? &hello.keys : NULL;
    ph_err rc = phi_inbound_suite(&s->in, hello.suite, k == NULL ? NULL : k->to_client_key,
                                  k == NULL ? NULL : k->to_client_iv);
    if (rc == PH_OK) {
        rc = phi_outbound_suite(&s->out, &phi_alloc_heap, hello.suite,
                                k == NULL ? NULL : k->to_center_key,
                                k == NULL ? NULL : k->to_center_iv);
    }
    if (rc != PH_OK) {
        fanout_die("no memory for a cipher");
    }
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .account = phi_bytes_text(account),
                      .type = PHI_TYPE_CLIENT };
    size_t room = PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED;
    phi_writer w = phi_writer_of((phi_span){ phi_outbound_begin(&s->out, room), room });
    phi_join_encode(&w, &join);
    phi_outbound_commit(&s->out, PHI_COMMAND_HANDSHAKE, phi_writer_size(&w));
    flush(link);
}

static void on_welcome(fanout_link *link, phi_bytes payload)
{
    state *s = link->state;
    phi_welcome welcome;
    if (phi_welcome_decode(payload, &welcome) != PH_OK) {
        fanout_die("the center's WELCOME is malformed");
    }
    memcpy(s->id, welcome.id.data, welcome.id.size);
    if (link->is_publisher) {
        link->is_ready = true;
        return;
    }
    size_t room = PHI_SUBSCRIPTION_BYTES_MAX;
    phi_writer w = phi_writer_of((phi_span){ phi_outbound_begin(&s->out, room), room });
    phi_subscription_begin(&w, 1);
    phi_write_change(&w, PHI_SUBSCRIPTION_ADD, phi_bytes_text(FANOUT_TOPIC));
    phi_outbound_commit(&s->out, PHI_COMMAND_SUBSCRIPTION, phi_writer_size(&w));
    flush(link);
}

static void on_packet(fanout_link *link, const phi_packet *packet)
{
    phi_message message;
    if (packet->command == PHI_COMMAND_MESSAGE) {
        if (phi_message_decode(packet->payload, &message) != PH_OK) {
            fanout_die("malformed message");
        }
        const state *s = link->state;
        fanout_delivered(link, message.body.data, message.body.size,
                         phi_suite_head(s->in.suite) + packet->payload.size);
    } else if (packet->command == PHI_COMMAND_SUBSCRIPTION) {
        link->is_ready = true;
    } else if (packet->command == PHI_COMMAND_HANDSHAKE) {
        if (phi_handshake_peek(packet->payload) == PHI_HANDSHAKE_HELLO) {
            on_hello(link, packet->payload);
        } else {
            on_welcome(link, packet->payload);
        }
    } else if (packet->command == PHI_COMMAND_BYE) {
        phi_bye bye;
        bool is_known = phi_bye_decode(packet->payload, &bye) == PH_OK;
        fprintf(stderr, "fanout: bye %s\n", is_known ? phi_bye_name(bye.reason) : "malformed");
        fanout_die("the center said bye");
    }
}

static size_t receive(fanout_link *link, uint8_t *bytes, size_t size)
{
    state *s = link->state;
    phi_inbound_receive(&s->in, (phi_span){ bytes, size });
    for (;;) {
        phi_packet packet;
        phi_inbound_result result = phi_inbound_next(&s->in, &packet);
        if (result == PHI_INBOUND_MORE) {
            return size;
        }
        if (result != PHI_INBOUND_PACKET) {
            fanout_die("the center broke the protocol");
        }
        on_packet(link, &packet);
    }
}

static size_t encode(fanout_link *link, uint8_t *room, const void *body, size_t size)
{
    state *s = link->state;
    phi_message message = { .kind = PHI_KIND_EVENT,
                            .to = phi_bytes_text("topic:" FANOUT_TOPIC),
                            .from = phi_bytes_text(s->id),
                            .body = { body, size } };
    size_t payload = phi_message_size(&message);
    phi_message_encode(phi_outbound_begin(&s->out, payload), &message);
    phi_outbound_commit(&s->out, PHI_COMMAND_MESSAGE, payload);
    phi_bytes bytes = phi_outbound_seal(&s->out);
    memcpy(room, bytes.data, bytes.size);
    phi_outbound_sent(&s->out, bytes.size);
    return bytes.size;
}

const fanout_wire fanout_posthouse = { .name = "posthouse",
                                       .overhead = OVERHEAD_BYTES,
                                       .state_size = sizeof(state),
                                       .start = start,
                                       .receive = receive,
                                       .encode = encode };

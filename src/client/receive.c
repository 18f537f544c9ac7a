// SPDX-License-Identifier: Apache-2.0
//
// client/receive.c - what comes from the center, and to whom it goes.
//
// What breaks its form ends the connection (P-31); what is well formed but reserved, or for nobody,
// is dropped and counted.

#include "client/core.h"

static void on_event(phi_transport *transport, const phi_link_event *event);
static void on_room(phi_transport *transport);
static void on_gone(phi_transport *transport);
static void on_packet(ph_client *client, const phi_packet *packet);
static void on_message(phi_transport *transport, phi_bytes payload);
static void on_fragment(phi_transport *transport, phi_bytes payload);
static void on_other_message(phi_transport *transport, phi_bytes payload);
static inline void on_event_message(ph_client *client, phi_bytes payload);

const phi_transport_events phi_client_transport_events = {
    .on_event = on_event,
    .on_message = on_message,
    .on_room = on_room,
    .on_gone = on_gone,
};

static ph_client *client_of(phi_transport *transport)
{
    ph_client *client = PHI_CONTAINER_OF(transport, ph_client, transport);
    PH_ASSERT(client->magic == PHI_CLIENT_MAGIC);
    return client;
}

static void on_event(phi_transport *transport, const phi_link_event *event)
{
    ph_client *client = client_of(transport);
    switch (event->type) {
    case PHI_LINK_EVENT_OPEN:
        phi_client_on_open(client, &event->welcome);
        return;
    case PHI_LINK_EVENT_CLOSED:
        phi_client_on_end(client, &event->end);
        return;
    case PHI_LINK_EVENT_PACKET:
        on_packet(client, &event->packet);
        return;
    case PHI_LINK_EVENT_NONE:
    case PHI_LINK_EVENT_JOIN:
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
    case PHI_LINK_EVENT_CONFIRMED:
        break;
    }
    PH_UNREACHABLE("a client's link has no other events");
}

static void on_room(phi_transport *transport)
{
    ph_client *client = client_of(transport);
    if (client->owes_ask) {
        phi_client_ask(client);
    }
    phi_client_token_flush(client);
    phi_client_own_flush(client);
    phi_client_topics_flush(client);
    phi_client_streams_on_room(client);
    phi_client_tell_writable(client);
}

void phi_client_tell_writable(ph_client *client)
{
    if (!client->owes_writable || !phi_client_is(client, PHI_CLIENT_UP)) {
        return; // of a connection that ended: the next one tells
    }
    if (client->streams.is_full) {
        return; // stream_out.c goes on
    }
    if (!phi_link_is_roomy(&client->transport.link)) {
        phi_transport_want_room(&client->transport);
        return;
    }
    client->owes_writable = false;
    if (client->options.on_writable != NULL) {
        phi_client_enter(client);
        client->options.on_writable(client, client->options.arg);
        phi_client_leave(client);
    }
}

static void on_gone(phi_transport *transport)
{
    phi_client_on_gone(client_of(transport));
}

// ---- packets

static void on_packet(ph_client *client, const phi_packet *packet)
{
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return; // it was closed, or its WELCOME refused, while this was on its way
    }
    switch ((phi_command)packet->command) {
    case PHI_COMMAND_ONLINE_LIST:
        phi_client_on_page(client, packet->payload);
        return;
    case PHI_COMMAND_ONLINE_STATUS:
        phi_client_on_status(client, packet->payload);
        return;
    case PHI_COMMAND_OWN_STATE:
        phi_client_on_wish(client, packet->payload);
        return;
    case PHI_COMMAND_SUBSCRIPTION:
        phi_client_on_subscription(client, packet->payload);
        return;
    case PHI_COMMAND_STREAM:
        phi_client_on_stream(client, packet->payload);
        return;
    case PHI_COMMAND_CREDENTIAL:
        phi_client_on_credential(client, packet->payload);
        return;
    case PHI_COMMAND_MESSAGE:
    case PHI_COMMAND_HEARTBEAT:
    case PHI_COMMAND_HANDSHAKE:
    case PHI_COMMAND_BYE:
        break;
    }
    PH_UNREACHABLE("the link hands up nothing else to a client");
}

// The first four bytes of a message of that kind without flags and turn.
#define PLAIN(kind) ((uint32_t)(kind) << 24)

// What there is most of comes first, and each handler reads of the payload what it needs.
static void on_message(phi_transport *transport, phi_bytes payload)
{
    ph_client *client = client_of(transport);
    if (PHI_UNLIKELY(!phi_client_is(client, PHI_CLIENT_UP))) {
        return; // as on_packet
    }
    if (PHI_UNLIKELY(!phi_message_is_formed(payload))) {
        phi_client_breach(client, "a message breaks its form");
        return;
    }
    uint32_t head = phi_get_u32(payload.data);
    if (head == PLAIN(PHI_KIND_REPLY)) {
        phi_client_on_plain_reply(client, payload);
    } else if (head == PLAIN(PHI_KIND_REQUEST)) {
        phi_client_on_plain_request(client, payload);
    } else if (head == PLAIN(PHI_KIND_EVENT)) {
        on_event_message(client, payload);
    } else {
        on_other_message(transport, payload);
    }
}

// The last one makes the whole message come.
static PHI_COLD void on_fragment(phi_transport *transport, phi_bytes payload)
{
    ph_client *client = client_of(transport);
    const phi_message fragment = phi_message_of(payload);
    phi_bytes whole = phi_client_join(client, payload, &fragment);
    if (whole.data != NULL) {
        // It has the form of its first fragment, which was right, without flag more, which no kind
        // has to have: so it is no fragment.
        PH_ASSERT(phi_message_is_formed(whole));
        PH_ASSERT((phi_message_of(whole).flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) == 0);
        on_message(transport, whole);
        phi_client_join_end(client);
    }
}

// Of its own, so that the ways above are short.
static PHI_COLD void on_other_message(phi_transport *transport, phi_bytes payload)
{
    ph_client *client = client_of(transport);
    const phi_message whole = phi_message_of(payload);
    const phi_message *message = &whole;
    if ((message->flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) != 0) {
        on_fragment(transport, payload);
        return;
    }
    switch ((phi_kind)message->kind) {
    case PHI_KIND_FAILURE:
        phi_client_on_failure(client, message);
        return;
    case PHI_KIND_CANCEL:
        phi_client_on_cancel(client, message);
        return;
    case PHI_KIND_INQUIRY:
        phi_client_on_inquiry(client, message);
        return;
    case PHI_KIND_ANSWER:
        phi_client_on_answer(client, message);
        return;
    case PHI_KIND_RECEIPT:
        phi_client_on_receipt(client, message);
        return;
    case PHI_KIND_EVENT:
        on_event_message(client, payload);
        return;
    case PHI_KIND_REPLY:
        phi_client_on_reply(client, payload);
        return;
    case PHI_KIND_REQUEST:
        phi_client_on_request(client, payload);
        return;
    }
    PH_UNREACHABLE("the decoder knows no other kind");
}

static PHI_ALWAYS_INLINE void on_event_message(ph_client *client, phi_bytes payload)
{
    const phi_message message = phi_message_of(payload);
    ph_incoming incoming = phi_client_incoming(&message);
    if (phi_client_is_topic(message.to)) {
        phi_client_on_topic(client, &incoming);
        return;
    }
    client->counters.events++;
    if (client->options.on_event == NULL) {
        return;
    }
    phi_client_enter(client);
    client->options.on_event(client, &incoming, client->options.arg);
    phi_client_leave(client);
}

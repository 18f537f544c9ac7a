// SPDX-License-Identifier: Apache-2.0
//
// tests/link/transport_world.c - see transport_world.h.

#include "tests/link/transport_world.h"

#include "tests/harness/test.h"

static const phi_keys keys = { .to_client_key = { 1 }, .to_center_key = { 2 } };

static void on_event(phi_transport *t, const phi_link_event *event)
{
    node *n = PHI_CONTAINER_OF(t, node, transport);
    EXPECT(!n->world->in_owner_call);
    EXPECT_EQ(n->closes, 0);
    EXPECT_EQ(n->gones, 0);
    switch (event->type) {
    case PHI_LINK_EVENT_JOIN:
        n->joins++;
        phi_transport_welcome(t, &(phi_welcome){ phi_bytes_text("a@b"), 1, 1, 1, 0 });
        break;
    case PHI_LINK_EVENT_OPEN:
        n->opens++;
        break;
    case PHI_LINK_EVENT_PACKET:
        n->packets++;
        if (n->in_packet != NULL) {
            n->in_packet(n);
        }
        break;
    case PHI_LINK_EVENT_CLOSED:
        n->closes++;
        n->end = event->end;
        memcpy(n->text, event->end.text.data, event->end.text.size);
        n->text[event->end.text.size] = '\0';
        if (n->in_closed != NULL) {
            n->in_closed(n);
        }
        break;
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
        break;
    case PHI_LINK_EVENT_NONE:
    case PHI_LINK_EVENT_CONFIRMED:
    default:
        fail();
    }
}

static void on_room(phi_transport *t)
{
    node *n = PHI_CONTAINER_OF(t, node, transport);
    EXPECT(!n->world->in_owner_call);
    EXPECT_EQ(n->closes, 0);
    n->rooms++;
    if (n->in_room != NULL) {
        n->in_room(n);
    }
}

static void on_gone(phi_transport *t)
{
    node *n = PHI_CONTAINER_OF(t, node, transport);
    EXPECT(!n->world->in_owner_call);
    EXPECT_EQ(n->closes, 1); // CLOSED came first
    n->gones++;
    if (n->in_gone != NULL) {
        n->in_gone(n);
    }
    memset(t, 0xa5, sizeof *t); // the memory is the owner's: whoever uses it on will trip
    n->has_transport = false;
}

static void on_message(phi_transport *t, phi_bytes payload)
{
    on_event(t, &(phi_link_event){ .type = PHI_LINK_EVENT_PACKET,
                                   .packet = { PHI_COMMAND_MESSAGE, payload } });
}

// One end of the world gets its messages apart from events, the other among them.
static const phi_transport_events events[PHI_LINK_SIDE_COUNT] = {
    [CENTER] = { .on_event = on_event,
                 .on_message = on_message,
                 .on_room = on_room,
                 .on_gone = on_gone },
    [CLIENT] = { .on_event = on_event, .on_room = on_room, .on_gone = on_gone },
};

static void on_read(phi_transport *t, size_t bytes, size_t packets)
{
    node *n = PHI_CONTAINER_OF(t, node, transport);
    EXPECT(!n->world->in_owner_call);
    EXPECT_EQ(n->closes, 0);
    EXPECT(bytes + packets != 0);
    n->reads++;
    n->read_bytes += bytes;
    n->read_packets += packets;
    if (n->in_read != NULL) {
        n->in_read(n);
    }
}

const phi_transport_events metered_events = { .on_event = on_event,
                                              .on_message = on_message,
                                              .on_room = on_room,
                                              .on_gone = on_gone,
                                              .on_read = on_read };

static void on_accept(void *owner, phi_stream *stream)
{
    world *w = owner;
    node *n = &w->center[w->accepted];
    const phi_link_options *options = &w->options[CENTER];
    n->world = w;
    if (w->accepts_stuck) {
        stream->takes = 0;
    }
    w->accept_err = phi_transport_accept(&n->transport, &w->groups[CENTER], stream, options,
                                         options->suite == PHI_SUITE_PAPER ? &keys : NULL);
    if (w->accept_err == PH_OK) {
        n->has_transport = true;
        w->accepted++;
    } else {
        phi_stream_close(&w->fake.io, stream); // it was left to us
    }
}

static const phi_listener_events listener_events = { .on_accept = on_accept };

void world_init(world *w, phi_suite suite)
{
    memset(w, 0, sizeof *w);
    phi_alloc_counter_init(&w->memory, &phi_alloc_heap);
    fake_io_init(&w->fake, &w->memory.alloc);
    w->fake.listener = &listener_events;
    w->fake.listener_owner = w;
    w->join = (phi_join){ .version = PHI_PROTOCOL_VERSION, .type = PHI_TYPE_CLIENT };
    w->options[CENTER] = (phi_link_options){
        .alloc = &w->memory.alloc,
        .side = CENTER,
        .send_bytes_max = BUFFER,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(5),
        .heartbeat_idle = phi_seconds(10),
        .heartbeat_grace = phi_seconds(5),
        .full_timeout = phi_seconds(10),
        .ciphers = &w->ciphers[CENTER].group,
        .suite = suite,
        .domain = phi_bytes_text("b"),
    };
    w->options[CLIENT] = w->options[CENTER];
    w->options[CLIENT].side = CLIENT;
    w->options[CLIENT].ciphers = &w->ciphers[CLIENT].group;
    w->options[CLIENT].heartbeat_idle = phi_seconds(3600);
    w->options[CLIENT].join = &w->join;
    phi_transports_init(&w->groups[CENTER], &w->fake.io, &events[CENTER]);
    phi_transports_init(&w->groups[CLIENT], &w->fake.io, &events[CLIENT]);
    phi_ciphers_init(&w->ciphers[CENTER], &w->fake.io);
    phi_ciphers_init(&w->ciphers[CLIENT], &w->fake.io);
}

ph_err world_connect(world *w, size_t index)
{
    node *n = &w->client[index];
    n->world = w;
    w->in_owner_call = true;
    ph_err err = phi_transport_connect(&n->transport, &w->groups[CLIENT],
                                       &(phi_connect_options){ .address = "anywhere" },
                                       &w->options[CLIENT], NULL);
    w->in_owner_call = false;
    n->has_transport = err == PH_OK;
    return err;
}

void world_open(world *w, phi_suite suite, size_t count)
{
    world_init(w, suite);
    for (size_t i = 0; i < count; i++) {
        EXPECT_ERR(world_connect(w, i), PH_OK);
        (void)fake_io_settle(&w->fake);
        EXPECT_EQ(w->client[i].opens, 1);
        EXPECT_EQ(w->center[i].joins, 1);
    }
}

void world_fini(world *w)
{
    for (size_t i = 0; i < PHI_COUNT_OF(w->center); i++) {
        if (w->center[i].has_transport) {
            phi_transport_drop(&w->center[i].transport);
        }
        if (w->client[i].has_transport) {
            phi_transport_drop(&w->client[i].transport);
        }
    }
    (void)fake_io_settle(&w->fake);
    phi_transports_fini(&w->groups[CENTER]);
    phi_transports_fini(&w->groups[CLIENT]);
    phi_ciphers_fini(&w->ciphers[CENTER]);
    phi_ciphers_fini(&w->ciphers[CLIENT]);
    fake_io_fini(&w->fake);
    EXPECT_EQ(w->memory.bytes, 0);
}

// ---- the owner calls, and nothing calls back

bool say(node *n, size_t size)
{
    bool was = n->world->in_owner_call;
    n->world->in_owner_call = true;
    uint8_t *room = phi_transport_begin(&n->transport, size);
    if (room != NULL) {
        memset(room, 'm', size);
        phi_transport_commit(&n->transport, PHI_COMMAND_MESSAGE, size);
    }
    n->world->in_owner_call = was;
    return room != NULL;
}

void bye(node *n, phi_bye_code code)
{
    bool was = n->world->in_owner_call;
    n->world->in_owner_call = true;
    phi_transport_bye(&n->transport, code, 0, NULL);
    n->world->in_owner_call = was;
}

void drop(node *n)
{
    n->world->in_owner_call = true;
    phi_transport_drop(&n->transport);
    n->world->in_owner_call = false;
    n->has_transport = false;
}

unsigned fill(node *n, size_t size)
{
    unsigned count = 0;
    while (say(n, size)) {
        count++;
    }
    return count;
}

void expect_over(const node *n, phi_bye_code code, ph_err err)
{
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->gones, 1);
    EXPECT_EQ(n->end.code, code);
    EXPECT_ERR(n->end.err, err);
}

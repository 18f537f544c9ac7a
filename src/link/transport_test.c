// SPDX-License-Identifier: Apache-2.0
//
// link/transport_test.c - links on streams: batching, blocking, room, ends, order of callbacks.

#include "tests/harness/test.h"

#include "link/fake_io.h"
#include "link/transport.h"

#define CENTER PHI_LINK_CENTER
#define CLIENT PHI_LINK_CLIENT
#define BUFFER (256u * 1024u)

// ---- fixture: a center that accepts, and clients

typedef struct node node;
typedef struct world world;

struct node {
    phi_transport transport;
    world *world;
    bool has_transport;
    unsigned joins;
    unsigned opens;
    unsigned packets;
    unsigned rooms;
    unsigned closes;
    unsigned gones;
    unsigned reads; // a metered one
    size_t read_bytes;
    size_t read_packets;
    phi_link_end end;
    char text[PHI_BYE_TEXT_BYTES_MAX + 1];
    // what the test wants done inside a callback
    void (*in_packet)(node *n);
    void (*in_closed)(node *n);
    void (*in_room)(node *n);
    void (*in_gone)(node *n);
    void (*in_read)(node *n);
};

struct world {
    phi_alloc_counter memory;
    fake_io fake;
    phi_transports groups[PHI_LINK_SIDE_COUNT];
    phi_link_options options[PHI_LINK_SIDE_COUNT];
    phi_join join;
    node center[4]; // the center's ends, in the order in which they were accepted
    node client[4];
    unsigned accepted;
    ph_err accept_err;  // of the last accept
    bool accepts_stuck; // streams that take nothing, not even a HELLO
    bool in_owner_call; // a call of the owner is on the stack: no callback may run
    node *other;        // for the callbacks above
};

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

static const phi_transport_events metered_events = { .on_event = on_event,
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

static void world_init(world *w, phi_suite suite)
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
        .ciphers = &w->groups[CENTER].ciphers,
        .suite = suite,
        .domain = phi_bytes_text("b"),
    };
    w->options[CLIENT] = w->options[CENTER];
    w->options[CLIENT].side = CLIENT;
    w->options[CLIENT].ciphers = &w->groups[CLIENT].ciphers;
    w->options[CLIENT].heartbeat_idle = phi_seconds(3600);
    w->options[CLIENT].join = &w->join;
    phi_transports_init(&w->groups[CENTER], &w->fake.io, &events[CENTER]);
    phi_transports_init(&w->groups[CLIENT], &w->fake.io, &events[CLIENT]);
}

static ph_err world_connect(world *w, size_t index)
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

// With `count` clients, open.
static void world_open(world *w, phi_suite suite, size_t count)
{
    world_init(w, suite);
    for (size_t i = 0; i < count; i++) {
        EXPECT_ERR(world_connect(w, i), PH_OK);
        (void)fake_io_settle(&w->fake);
        EXPECT_EQ(w->client[i].opens, 1);
        EXPECT_EQ(w->center[i].joins, 1);
    }
}

static void world_fini(world *w)
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
    fake_io_fini(&w->fake);
    EXPECT_EQ(w->memory.bytes, 0);
}

// ---- helpers: the owner calls, and nothing calls back

static bool say(node *n, size_t size)
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

static void bye(node *n, phi_bye_code code)
{
    bool was = n->world->in_owner_call;
    n->world->in_owner_call = true;
    phi_transport_bye(&n->transport, code, 0, NULL);
    n->world->in_owner_call = was;
}

static void drop(node *n)
{
    n->world->in_owner_call = true;
    phi_transport_drop(&n->transport);
    n->world->in_owner_call = false;
    n->has_transport = false;
}

static unsigned fill(node *n, size_t size)
{
    unsigned count = 0;
    while (say(n, size)) {
        count++;
    }
    return count;
}

static void expect_over(const node *n, phi_bye_code code, ph_err err)
{
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->gones, 1);
    EXPECT_EQ(n->end.code, code);
    EXPECT_ERR(n->end.err, err);
}

// ---- carrying

// The whole life of a connection, in each suite: open, talk, leave. [P-33] [P-60]
TEST(transport, carries_a_link_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        EXPECT(say(&w.client[0], 1000));
        EXPECT(say(&w.center[0], 60000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.center[0].packets, 1);
        EXPECT_EQ(w.client[0].packets, 1);
        EXPECT_EQ(w.groups[CENTER].count, 1);

        bye(&w.client[0], PHI_BYE_NORMAL);
        EXPECT_EQ(w.client[0].closes, 0); // not from inside the call
        (void)fake_io_settle(&w.fake);
        expect_over(&w.client[0], PHI_BYE_NORMAL, PH_OK);
        expect_over(&w.center[0], PHI_BYE_NORMAL, PH_OK);
        EXPECT(w.center[0].end.by_peer);
        EXPECT_EQ(w.groups[CENTER].count, 0);
        EXPECT_EQ(w.groups[CENTER].bytes_sent, w.groups[CLIENT].bytes_received);
        EXPECT_EQ(w.groups[CLIENT].bytes_sent, w.groups[CENTER].bytes_received);
        world_fini(&w);
    }
}

// A write per message instead of one per turn would cost most of the throughput there is.
TEST(transport, turn_is_one_write)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 2);
    unsigned before[2] = { w.center[0].transport.stream->writes,
                           w.center[1].transport.stream->writes };
    for (int i = 0; i < 100; i++) {
        EXPECT(say(&w.center[0], 100));
        EXPECT(say(&w.center[1], 100));
    }
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0]); // nothing before the turn ends
    EXPECT(w.fake.io.is_hurried);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0] + 1);
    EXPECT_EQ(w.center[1].transport.stream->writes, before[1] + 1);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 100);
    EXPECT_EQ(w.client[1].packets, 100);
    // Idle turns write nothing.
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0] + 1);
    world_fini(&w);
}

// A stream that takes a few bytes at a time must get each byte once and in order, in a suite where
// one byte too many breaks everything behind it. [P-2]
TEST(transport, short_writes_lose_nothing)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        w.center[0].transport.stream->takes = 7;
        for (int i = 0; i < 50; i++) {
            EXPECT(say(&w.center[0], 40));
            fake_io_turn(&w.fake);
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.client[0].packets, 50);
        EXPECT_EQ(w.client[0].closes, 0);
        EXPECT(!w.center[0].transport.is_blocked);
        world_fini(&w);
    }
}

// An idle connection must cost little: 10,000 of them are the normal case.
TEST(transport, idle_connection_is_small)
{
    EXPECT(sizeof(phi_transport) <= 800);
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    EXPECT_EQ(w.memory.bytes, 0);           // what it joined with is given back already
    fake_io_pass(&w.fake, phi_seconds(12)); // one heartbeat
    EXPECT_EQ(w.memory.bytes, 0);
    // A rare write gives its buffer back at once.
    EXPECT(say(&w.center[0], 5000));
    EXPECT(w.memory.bytes != 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    EXPECT_EQ(w.memory.bytes, 0);
    // A busy one keeps it, until it falls idle.
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(w.memory.bytes, 0);
        fake_io_pass(&w.fake, phi_ms(100));
        EXPECT(say(&w.center[0], 500));
        (void)fake_io_settle(&w.fake);
    }
    EXPECT(w.memory.bytes != 0);
    fake_io_pass(&w.fake, phi_seconds(12));
    EXPECT_EQ(w.memory.bytes, 0);
    world_fini(&w);
}

// A timer set anew for each packet would be a cost of every packet.
TEST(transport, packets_do_not_touch_the_timer)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 1);
    uint64_t tick = w.center[0].transport.timer.tick;
    for (int i = 0; i < 4; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 10));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.center[0].transport.timer.tick, tick);
    }
    world_fini(&w);
}

// ---- ends

// Every end a connection can come to is told once, in order, and nothing after. [P-70] [P-71]
TEST(transport, broken_stream_is_told_once)
{
    static const ph_err reasons[] = { PH_ERESET, PH_ECLOSED };
    for (size_t i = 0; i < PHI_COUNT_OF(reasons); i++) {
        world w;
        world_open(&w, PHI_SUITE_CHECK, 1);
        EXPECT(say(&w.center[0], 10)); // a write to a broken stream takes nothing
        fake_stream_break(w.center[0].transport.stream, reasons[i]);
        (void)fake_io_settle(&w.fake);
        expect_over(&w.center[0], PHI_BYE_NORMAL, reasons[i]);
        EXPECT(!w.center[0].end.by_peer);
        expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED);
        world_fini(&w);
    }
}

// A client must learn why it could not connect, and be able to try again at once.
TEST(transport, refused_connection_says_why)
{
    world w;
    world_init(&w, PHI_SUITE_PLAIN);
    w.fake.refuses = true;
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    EXPECT_EQ(w.client[0].closes, 0);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECONNECT);
    EXPECT_TEXT(w.client[0].text, "Connection refused");
    world_fini(&w);
}

// A connection that could not even be begun must leave no trace.
TEST(transport, connect_that_fails_at_once_leaves_nothing)
{
    world w;
    world_init(&w, PHI_SUITE_PLAIN);
    w.fake.connect_err = PH_EINVAL;
    EXPECT_ERR(world_connect(&w, 0), PH_EINVAL);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].closes + w.client[0].gones, 0);
    EXPECT_EQ(w.groups[CLIENT].count, 0);
    world_fini(&w);
}

// A center without memory for one more link must close the stream and live on.
TEST(transport, accept_without_memory_closes_the_stream)
{
    world w;
    world_init(&w, PHI_SUITE_PAPER);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    w.memory.bytes_max = w.memory.bytes + 1;
    (void)fake_io_settle(&w.fake);
    EXPECT_ERR(w.accept_err, PH_ENOMEM);
    EXPECT_EQ(w.accepted, 0);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED);
    EXPECT_EQ(w.groups[CENTER].count, 0);
    world_fini(&w);
}

// A breach closes the connection within the same turn, with its bye on the way. [P-70]
TEST(transport, breach_closes_within_the_turn)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 1);
    phi_stream *stream = w.center[0].transport.stream;
    static const uint8_t garbage[4] = { 0xff, 0xff, 0xff, 0xff };
    EXPECT(phi_buf_append(&stream->inbox, phi_bytes_of(garbage, sizeof garbage)));
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT(stream->is_closed);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    expect_over(&w.client[0], PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    EXPECT(w.client[0].end.by_peer);
    world_fini(&w);
}

// A peer that does not even take its bye must not keep the connection. [P-70]
TEST(transport, bye_that_is_not_taken_lingers_for_a_second)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_stream *stream = w.center[0].transport.stream;
    stream->takes = 0;
    EXPECT(say(&w.center[0], 1000));
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1); // the owner need not wait for it
    EXPECT_EQ(w.center[0].gones, 0);
    fake_io_pass(&w.fake, phi_ms(999));
    EXPECT(!stream->is_closed);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED); // it never heard the bye
    world_fini(&w);
}

// What is still queued in front of the bye goes out first, however slowly, while it moves within
// the second. [P-60]
TEST(transport, bye_is_flushed_through_a_slow_stream)
{
    world w;
    world_open(&w, PHI_SUITE_PAPER, 1);
    w.center[0].transport.stream->takes = 10;
    for (int i = 0; i < 20; i++) {
        EXPECT(say(&w.center[0], 100));
    }
    bye(&w.center[0], PHI_BYE_GOING_AWAY);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 20);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    expect_over(&w.center[0], PHI_BYE_GOING_AWAY, PH_OK);
    world_fini(&w);
}

// A stream that breaks while its bye waits ends the transport once, not twice.
TEST(transport, stream_that_breaks_while_ending_is_gone_once)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_stream *stream = w.center[0].transport.stream;
    stream->takes = 0;
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    fake_stream_break(stream, PH_ERESET);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    fake_io_pass(&w.fake, phi_seconds(5));
    EXPECT_EQ(w.center[0].gones, 1);
    world_fini(&w);
}

// ... and so does one that breaks in the very turn of the bye, before CLOSED was reported.
TEST(transport, stream_that_breaks_in_the_turn_of_the_bye)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_stream_break(w.center[0].transport.stream, PH_ERESET);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    world_fini(&w);
}

// ---- calls from inside callbacks

static void bye_self(node *n)
{
    bye(n, PHI_BYE_MALFORMED);
    EXPECT(!say(n, 10));
}

// The owner judges a packet and ends its link from inside: what stands behind it in the same bytes
// must not be looked at. [P-70]
TEST(transport, bye_inside_own_event)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].in_packet = bye_self;
    EXPECT(say(&w.client[0], 10));
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 1);
    expect_over(&w.center[0], PHI_BYE_MALFORMED, PH_EPROTO);
    expect_over(&w.client[0], PHI_BYE_MALFORMED, PH_EPROTO);
    world_fini(&w);
}

static void bye_other(node *n)
{
    bye(n->world->other, PHI_BYE_KICKED);
}

static void say_other(node *n)
{
    EXPECT(say(n->world->other, 10));
}

// A packet of one link that ends, or feeds, another: the bread and butter of a center.
TEST(transport, calls_on_others_inside_event)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.other = &w.center[1];
    w.center[0].in_packet = say_other;
    w.center[2].in_packet = bye_other;
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 1);
    // Both in one turn, in either order: what was said before the bye arrives.
    EXPECT(say(&w.client[0], 10));
    EXPECT(say(&w.client[2], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 2);
    expect_over(&w.center[1], PHI_BYE_KICKED, PH_EREFUSED);
    expect_over(&w.client[1], PHI_BYE_KICKED, PH_EREFUSED);
    EXPECT_EQ(w.center[0].closes + w.center[2].closes, 0);
    world_fini(&w);
}

// The end of one link tells others, and ends others, from inside the hook: all of that leaves in
// the same turn.
TEST(transport, calls_inside_closed_take_effect_in_the_same_turn)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.other = &w.center[1];
    w.center[0].in_closed = say_other;
    w.center[2].in_closed = bye_other;
    unsigned writes = w.center[1].transport.stream->writes;
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[1].transport.stream->writes, writes + 1);
    bye(&w.center[2], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[2].closes, 1);
    EXPECT_EQ(w.center[1].closes, 1);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 1);
    expect_over(&w.client[1], PHI_BYE_KICKED, PH_EREFUSED);
    world_fini(&w);
}

static void connect_again(node *n)
{
    EXPECT_ERR(world_connect(n->world, 1), PH_OK);
}

// A client connects anew from inside on_gone.
TEST(transport, connect_inside_gone)
{
    world w;
    world_open(&w, PHI_SUITE_PAPER, 1);
    w.client[0].in_gone = connect_again;
    bye(&w.center[0], PHI_BYE_GOING_AWAY);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    EXPECT_EQ(w.client[1].opens, 1);
    world_fini(&w);
}

// ---- room

// Who was refused must hear of room, once, when half is free; else it waits forever. [P-59]
TEST(transport, room_is_told_once_at_half)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    unsigned count = fill(n, 1000);
    EXPECT(!say(n, 1000));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 0);

    n->transport.stream->takes = BUFFER / 4;
    fake_io_turn(&w.fake);
    EXPECT_EQ(n->rooms, 0); // a quarter is free
    fake_io_turn(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    EXPECT(phi_link_is_roomy(&n->transport.link));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    EXPECT_EQ(w.client[0].packets, count);
    EXPECT_EQ(n->closes, 0);
    world_fini(&w);
}

static void fill_again(node *n)
{
    if (n->rooms < 20) {
        (void)fill(n, 1000);
    }
}

// An owner with endless data and a stream that takes all of it must not keep the loop in one turn:
// others wait for theirs.
TEST(transport, endless_owner_is_told_of_room_once_per_turn)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->in_room = fill_again;
    (void)fill(n, 1000);
    for (unsigned turn = 1; turn <= 20; turn++) {
        fake_io_turn(&w.fake);
        EXPECT_EQ(n->rooms, turn);
        // and the next turn does not wait
        EXPECT(turn == 20 || !phi_time_before(w.fake.io.now, phi_timers_next(&w.fake.io.timers)));
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 20);
    EXPECT_EQ(w.client[0].packets, 20 * (BUFFER / 1008));
    world_fini(&w);
}

// A refusal for want of memory comes without a flush that would end it; it must be retried, and not
// in a loop that eats the processor.
TEST(transport, begin_without_memory_is_retried_after_a_while)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    EXPECT_EQ(w.memory.bytes, 0);
    w.memory.bytes_max = 1;
    EXPECT(!say(n, 60000));
    w.memory.bytes_max = 0;
    EXPECT(fake_io_settle(&w.fake) < 5);
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_ms(9));
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->rooms, 1);
    EXPECT(say(n, 60000));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    world_fini(&w);
}

// A center's pages stop at half of the buffer; they never see begin fail.
TEST(transport, room_can_be_asked_for)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    while (phi_link_is_roomy(&n->transport.link)) {
        EXPECT(say(n, 1000));
    }
    phi_transport_want_room(&n->transport);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 0);
    n->transport.stream->takes = SIZE_MAX;
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    world_fini(&w);
}

// A client that reads nothing is ended when the document says, and gets no room event. [P-59]
TEST(transport, full_link_is_closed_to_the_moment)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    (void)fill(n, 1000);
    for (int i = 0; i < 9; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 1)); // it lives, so that it is not the heartbeat that ends it
    }
    fake_io_pass(&w.fake, phi_ms(999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_seconds(1));
    EXPECT_EQ(n->gones, 1);
    world_fini(&w);
}

// Who does not even take a HELLO has the time of a join, and until it is over nobody looks: a timer
// that is due all the while would keep the loop from its sleep. [P-12]
TEST(transport, stream_stuck_before_the_join_is_left_to_the_join_timeout)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CENTER].full_timeout = phi_seconds(1);
    w.accepts_stuck = true;
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.accepted, 1);
    w.fake.io.now = phi_time_add(w.fake.io.now, phi_seconds(2));
    (void)fake_io_settle(&w.fake);
    EXPECT(phi_time_before(w.fake.io.now, phi_timers_next(&w.fake.io.timers)));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_seconds(3));
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_JOIN_TIMEOUT);
    world_fini(&w);
}

// A stream of events that would take minutes to fill the buffer of who does not read must not have
// to: nothing moves, and that is enough. Who takes a little now and then lives. [P-59]
TEST(transport, stuck_stream_is_closed_to_the_moment)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    EXPECT(say(n, 1000));
    for (int i = 0; i < 25; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 1)); // it lives
        if (i % 9 == 8) {
            n->transport.stream->takes = 10;
            fake_io_turn(&w.fake);
            n->transport.stream->takes = 0;
        }
    }
    EXPECT_EQ(n->closes, 0); // the last time was 7 s ago
    fake_io_pass(&w.fake, phi_ms(2999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);

    // A client whose center does not read waits: it may be held for what it asked. [P-40]
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.client[0].transport.stream->takes = 0;
    EXPECT(say(&w.client[0], 1000));
    for (int i = 0; i < 14; i++) {
        EXPECT(say(&w.center[0], 1)); // it lives
        fake_io_pass(&w.fake, phi_seconds(1));
    }
    EXPECT_EQ(w.client[0].closes, 0);
    world_fini(&w);
}

// ---- time

// Timeouts must fire from the timer, at their time, on both ends. [P-12] [P-40]
TEST(transport, deadlines_fire_to_the_millisecond)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_time opened = w.fake.io.now;
    // The client's answers are lost: it is as good as dead.
    w.client[0].transport.stream->takes = 0;
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(&w.center[0], PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    EXPECT_EQ(phi_dur_ms(phi_time_diff(w.fake.io.now, opened)), 15000);
    world_fini(&w);

    // A client whose center says nothing.
    world_init(&w, PHI_SUITE_CHECK);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    w.client[0].transport.stream->is_paused = true;
    fake_io_pass(&w.fake, phi_ms(4999));
    EXPECT_EQ(w.client[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(w.client[0].closes, 1);
    EXPECT_EQ(w.client[0].end.code, PHI_BYE_JOIN_TIMEOUT);
    world_fini(&w);
}

// A probe must go out in this turn, and its grace run from now. [P-37]
TEST(transport, probe_is_sent_and_judged)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_transport_probe(&w.center[0].transport);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].transport.link.round_trip_us, 1);
    fake_io_pass(&w.fake, phi_ms(10));
    w.client[0].transport.stream->takes = 0;
    phi_transport_probe(&w.center[0].transport);
    fake_io_pass(&w.fake, phi_ms(4999));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_HEARTBEAT_TIMEOUT);
    world_fini(&w);
}

// A paused transport reads nothing, and goes on where it stopped.
TEST(transport, pause_holds_what_is_not_read)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_transport_pause(&w.center[0].transport, true);
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 0);
    phi_transport_pause(&w.center[0].transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 1);
    world_fini(&w);
}

// Whoever pauses for long must neither take the other for dead nor be taken for dead: a client that
// is slowed down would be cut off, or would leave. [P-40] [P-78]
TEST(transport, paused_lives_on_both_sides)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CLIENT].heartbeat_idle = phi_seconds(10);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    node *n = &w.center[0];
    fake_io_pass(&w.fake, phi_ms(9900)); // the client is about to ask
    phi_transport_pause(&n->transport, true);
    EXPECT(say(&w.client[0], 10));
    fake_io_pass(&w.fake, phi_seconds(120));
    EXPECT_EQ(n->packets, 0);
    EXPECT_EQ(n->closes, 0);
    EXPECT_EQ(w.client[0].closes, 0);
    // What came meanwhile is read, and from here on silence counts again.
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 1);
    w.client[0].transport.stream->takes = 0;
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(n, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    world_fini(&w);
}

// A pause does not wait for ever on who does not take what it is sent either. [P-59]
TEST(transport, paused_is_still_judged_as_a_reader)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    phi_transport_pause(&n->transport, true);
    n->transport.stream->takes = 0;
    EXPECT(say(n, 1000));
    (void)fake_io_settle(&w.fake);
    fake_io_pass(&w.fake, phi_ms(9999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);
}

// ---- metering

static void hold(node *n)
{
    phi_transport_hold(&n->transport);
}

static void pause_in_read(node *n)
{
    phi_transport_pause(&n->transport, true);
}

static void bye_in_read(node *n)
{
    phi_transport_bye(&n->transport, PHI_BYE_KICKED, 0, NULL);
}

static world *metered_open(world *w, phi_suite suite)
{
    world_init(w, suite);
    w->groups[CENTER].events = &metered_events;
    EXPECT_ERR(world_connect(w, 0), PH_OK);
    (void)fake_io_settle(&w->fake);
    EXPECT_EQ(w->center[0].joins, 1);
    return w;
}

// What an owner charges for must be what came: each byte once, each packet once, however they were
// cut, and whether they were handed up at once or held. [P-78]
TEST(transport, metered_counts_what_came)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        metered_open(&w, (phi_suite)suite);
        node *n = &w.center[0];
        size_t head = phi_suite_head((phi_suite)suite);
        EXPECT_EQ(n->read_packets, 1); // JOIN
        EXPECT_EQ(n->read_bytes, w.groups[CENTER].bytes_received);
        size_t joined = n->read_bytes;
        w.client[0].transport.stream->takes = 700; // cut within packets
        for (int i = 0; i < 5; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 5);
        EXPECT_EQ(n->read_packets, 6);
        EXPECT_EQ(n->read_bytes, joined + 5 * (1000 + head));
        EXPECT(n->reads > 6);

        w.client[0].transport.stream->takes = SIZE_MAX;
        n->in_packet = hold;
        for (int i = 0; i < 3; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->read_packets, 7);
        EXPECT_EQ(n->read_bytes, joined + 8 * (1000 + head));
        n->in_packet = NULL;
        phi_transport_go_on(&n->transport);
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->read_packets, 9);
        EXPECT_EQ(n->read_bytes, w.groups[CENTER].bytes_received);
        world_fini(&w);
    }
}

// Pausing inside on_read stops the next read, not what this one brought; and a held one whose pause
// ends stays held. [P-78]
TEST(transport, paused_in_read_reads_no_more)
{
    world w;
    metered_open(&w, PHI_SUITE_PLAIN);
    node *n = &w.center[0];
    n->in_read = pause_in_read;
    for (int i = 0; i < 4; i++) {
        EXPECT(say(&w.client[0], 100));
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 4); // one read
    EXPECT(say(&w.client[0], 100));
    fake_io_pass(&w.fake, phi_seconds(60));
    EXPECT_EQ(n->packets, 4);
    n->in_packet = hold;
    EXPECT(say(&w.client[0], 100));
    (void)fake_io_settle(&w.fake); // two are there to be read
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 5); // held, and paused again behind that
    n->in_read = NULL;
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 5);
    n->in_packet = NULL;
    phi_transport_pause(&n->transport, true);
    phi_transport_go_on(&n->transport);
    EXPECT_EQ(n->packets, 6); // what was kept
    EXPECT(say(&w.client[0], 100));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 6);
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 7);
    EXPECT_EQ(n->closes, 0);
    world_fini(&w);
}

// An owner may end it there, and a paused one that ends is read to its end: else who left would
// stay until the pause is over.
TEST(transport, metered_ends_once)
{
    for (int how = 0; how < 3; how++) {
        world w;
        metered_open(&w, PHI_SUITE_CHECK);
        node *n = &w.center[0];
        n->in_read = how == 0 ? bye_in_read : pause_in_read;
        EXPECT(say(&w.client[0], 100));
        (void)fake_io_settle(&w.fake);
        if (how == 1) {
            bye(n, PHI_BYE_KICKED);
        } else if (how == 2) {
            fake_stream_break(n->transport.stream, PH_ERESET);
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->closes, 1);
        EXPECT_EQ(n->gones, 1);
        EXPECT_EQ(w.client[0].gones, 1);
        EXPECT_EQ(n->reads, 2); // JOIN's
        world_fini(&w);
    }
}

// ---- holding

static void hold_and_end(node *n)
{
    phi_transport_hold(&n->transport);
    phi_transport_bye(&n->transport, PHI_BYE_GOING_AWAY, 0, NULL);
}

static void go_on(node *n)
{
    phi_transport_go_on(&n->transport); // the one call from inside which callbacks come
    (void)fake_io_settle(&n->world->fake);
}

// An owner must be able to cut what one peer asks for into turns: one packet at a time, none lost,
// nothing read meanwhile, and all memory back. [P-55]
TEST(transport, held_hands_up_one_packet_at_a_time)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        node *n = &w.center[0];
        n->in_packet = hold;
        for (int i = 0; i < 5; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 1);
        EXPECT(phi_link_kept(&n->transport.link) >= 4000);
        EXPECT(say(&w.client[0], 1000));
        fake_io_pass(&w.fake, phi_seconds(60));
        EXPECT_EQ(n->packets, 1);
        for (unsigned i = 2; i <= 6; i++) {
            go_on(n);
            EXPECT_EQ(n->packets, i);
        }
        EXPECT_EQ(phi_link_kept(&n->transport.link), 0);
        go_on(n);
        n->in_packet = NULL;
        EXPECT(say(&w.client[0], 1000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 7);
        EXPECT_EQ(n->closes, 0);
        world_fini(&w);
    }
}

// A client whose asks stand behind what is not read would take the center for dead, and the center
// must not take a client for dead that it does not read. [P-39] [P-40]
TEST(transport, held_lives_on_both_sides)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CLIENT].heartbeat_idle = phi_seconds(10);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    node *n = &w.center[0];
    fake_io_pass(&w.fake, phi_ms(9900)); // the client is about to ask
    n->in_packet = hold;
    EXPECT(say(&w.client[0], 10));
    fake_io_pass(&w.fake, phi_seconds(120));
    EXPECT_EQ(n->packets, 1);
    EXPECT_EQ(n->closes, 0);
    EXPECT_EQ(w.client[0].closes, 0);
    // Once it goes on, silence counts again.
    n->in_packet = NULL;
    w.client[0].transport.stream->takes = 0;
    go_on(n);
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(n, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    world_fini(&w);
}

// However a held transport ends, its end is told once and what it kept comes back.
TEST(transport, held_ends_once)
{
    for (int how = 0; how < 5; how++) {
        world w;
        world_open(&w, PHI_SUITE_PAPER, 1);
        node *n = &w.center[0];
        n->in_packet = how == 4 ? hold_and_end : hold;
        EXPECT(say(&w.client[0], 1000));
        EXPECT(say(&w.client[0], 1000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 1);
        switch (how) {
        case 0:
            bye(n, PHI_BYE_GOING_AWAY);
            break;
        case 1:
            fake_stream_break(n->transport.stream, PH_ERESET);
            break;
        case 2: // the bye stands behind what is held
            bye(&w.client[0], PHI_BYE_NORMAL);
            n->in_packet = NULL;
            (void)fake_io_settle(&w.fake);
            EXPECT_EQ(n->closes, 0);
            go_on(n);
            EXPECT_EQ(n->packets, 2);
            EXPECT(n->end.by_peer);
            break;
        case 3:
            drop(n);
            break;
        default:
            break;
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->closes, how != 3);
        EXPECT_EQ(n->gones, how != 3);
        world_fini(&w);
    }
}

// Without memory for what is to be kept the link ends, as without memory for half a packet.
TEST(transport, hold_without_memory_ends_the_link)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].in_packet = hold;
    EXPECT(say(&w.client[0], 1000));
    EXPECT(say(&w.client[0], 1000));
    fake_io_turn(&w.fake); // the client's write
    w.memory.bytes_max = w.memory.bytes + 1;
    (void)fake_io_settle(&w.fake);
    w.memory.bytes_max = 0;
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_INTERNAL, PH_ENOMEM);
    world_fini(&w);
}

// ---- a ceiling over all

// When all buffers together hold as much as they may, who holds most is refused, others are not,
// heartbeats and byes pass, room is told, and the memory comes back. [P-59]
TEST(transport, quota_refuses_who_hogs)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 300u * 1024u);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 4; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
    }
    node *hog = &w.center[0];
    node *modest = &w.center[1];
    hog->transport.stream->takes = 0;
    unsigned count = fill(hog, 1000);
    EXPECT(count > 100); // half of it, as long as nobody else wants any
    EXPECT(count < 140);
    EXPECT_EQ(quota.refusals, 1);
    modest->transport.stream->takes = 0;
    EXPECT(fill(modest, 1000) >= 30); // a fourth of the other half
    EXPECT(phi_quota_is_short(&quota));
    EXPECT(quota.bytes <= quota.bytes_max);

    phi_transport_probe(&hog->transport); // there is room for that
    hog->transport.stream->takes = SIZE_MAX;
    modest->transport.stream->takes = SIZE_MAX;
    fake_io_pass(&w.fake, phi_ms(PHI_TRANSPORT_SHORT_RETRY_MS));
    EXPECT_EQ(w.client[0].packets, count);
    EXPECT(hog->rooms >= 1);
    EXPECT(hog->transport.link.round_trip_us != 0);
    fake_io_pass(&w.fake, phi_seconds(30));
    EXPECT_EQ(quota.bytes, 0);
    world_fini(&w);
    phi_quota_fini(&quota);
}

// What the buffers of busy links keep for later must not be what another needs now: it would be
// refused for as long as they are busy. Found by the swarm, as a list that never came. [P-59]
TEST(transport, empty_buffers_stand_in_nobodys_way)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 400000);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 4; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
    }
    for (size_t i = 0; i < 3; i++) {
        EXPECT(say(&w.center[i], 50000));
        (void)fake_io_settle(&w.fake);
    }
    bool is_said = false;
    for (int i = 0; i < 20 && !is_said; i++) {
        is_said = say(&w.center[3], 60000); // more than its share
        for (size_t n = 0; n < 3; n++) {
            EXPECT(say(&w.center[n], 1));
        }
        fake_io_pass(&w.fake, phi_ms(100)); // so that they are busy
    }
    EXPECT(is_said);
    fake_io_pass(&w.fake, phi_seconds(30));
    EXPECT_EQ(quota.bytes, 0);
    world_fini(&w);
    phi_quota_fini(&quota);
}

// Who takes a large part of a short memory and hardly reads must not keep it for ever, though
// nobody sends to it any more and it shows life. [P-59]
TEST(transport, hog_that_hardly_reads_is_ended)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 600000);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 2; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
        w.center[i].transport.stream->takes = 0;
    }
    for (int i = 0; i < 200; i++) { // its own buffer is not full
        EXPECT(say(&w.center[0], 1000));
    }
    (void)fill(&w.center[1], 1000);
    EXPECT(phi_quota_is_short(&quota));
    int seconds = 0;
    for (; seconds < 30 && w.center[0].closes == 0; seconds++) {
        EXPECT(say(&w.client[0], 1));
        fake_io_pass(&w.fake, phi_seconds(1));
        w.center[0].transport.stream->takes = 10; // it is not stuck
        fake_io_turn(&w.fake);
        w.center[0].transport.stream->takes = 0;
    }
    EXPECT(seconds > 10);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);
    phi_quota_fini(&quota);
}

// ---- dropping

// An owner that frees itself must be rid of its transports at once, in any state, and hear nothing
// more; the bye it said before must still go out.
TEST(transport, drop_ends_at_once_in_every_state)
{
    world w;
    // live, with something queued
    world_open(&w, PHI_SUITE_PAPER, 1);
    EXPECT(say(&w.center[0], 10));
    phi_transport_bye(&w.center[0].transport, PHI_BYE_GOING_AWAY, 0, NULL);
    drop(&w.center[0]);
    EXPECT_EQ(w.groups[CENTER].count, 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes + w.center[0].gones, 0);
    EXPECT_EQ(w.client[0].packets, 1);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    drop(&w.center[0]); // again: nothing
    world_fini(&w);

    // ending: the stream does not take the bye
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].transport.stream->takes = 0;
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    drop(&w.center[0]);
    fake_io_pass(&w.fake, phi_seconds(5));
    EXPECT_EQ(w.center[0].gones, 0);
    world_fini(&w);

    // shut: the stream is closing
    world_open(&w, PHI_SUITE_CHECK, 1);
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT(w.center[0].transport.stream->is_closed);
    drop(&w.center[0]);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].gones, 0);
    world_fini(&w);

    // connecting, and never begun
    world_init(&w, PHI_SUITE_CHECK);
    drop(&(node){ .world = &w });
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    drop(&w.client[0]);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].closes + w.client[0].gones, 0);
    world_fini(&w);
}

static void drop_self(node *n)
{
    phi_transport_drop(&n->transport);
    memset(&n->transport, 0xa5, sizeof n->transport);
    n->has_transport = false;
}

static void drop_other(node *n)
{
    drop_self(n->world->other);
}

// Dropping from inside callbacks: one's own when there is room, another's when a link ends, in the
// middle of the hook's list.
TEST(transport, drop_inside_callbacks)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.center[0].in_room = drop_self;
    (void)fill(&w.center[0], 1000);
    w.other = &w.center[2];
    w.center[1].in_closed = drop_other;
    bye(&w.center[1], PHI_BYE_KICKED);
    EXPECT(say(&w.center[2], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT(!w.center[0].has_transport);
    EXPECT(!w.center[2].has_transport);
    expect_over(&w.center[1], PHI_BYE_KICKED, PH_EREFUSED);
    EXPECT_EQ(w.client[2].packets, 1);
    EXPECT_EQ(w.client[0].closes + w.client[2].closes, 2);
    world_fini(&w);
}

// ---- memory

// Whatever allocation fails on the way, both ends come to an end that was told, and nothing leaks.
TEST(transport, any_allocation_may_fail)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t nth = 1;; nth++) {
            world w;
            world_init(&w, (phi_suite)suite);
            w.memory.fail_at = nth;
            if (world_connect(&w, 0) == PH_OK) {
                (void)fake_io_settle(&w.fake);
                if (w.client[0].opens == 1 && w.client[0].closes == 0 && w.center[0].closes == 0) {
                    (void)say(&w.client[0], 3000);
                    (void)say(&w.center[0], 3000);
                    phi_transport_probe(&w.center[0].transport);
                    fake_io_pass(&w.fake, phi_ms(20));
                    bye(&w.client[0], PHI_BYE_NORMAL);
                }
                fake_io_pass(&w.fake, phi_seconds(20));
                EXPECT_EQ(w.client[0].closes, 1);
                EXPECT_EQ(w.client[0].gones, 1);
                EXPECT_EQ(w.center[0].closes, w.accepted);
                EXPECT_EQ(w.center[0].gones, w.accepted);
            }
            bool has_failed = w.memory.takes >= nth;
            world_fini(&w);
            if (!has_failed) {
                EXPECT(nth > 3);
                break;
            }
        }
    }
}

// A zeroed group may be finished: owners do so on their error paths.
TEST(transport, zeroed_group_may_be_finished)
{
    phi_transports group = { .io = NULL };
    phi_transports_fini(&group);
    EXPECT(group.io == NULL);
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/link_sim.c - links over the simulated network: what happens when, to the millisecond.
// Both ends are the production transport; the owners on top only write down what they are told.
//
// One way takes 5 ms, a connection three ways before the center can speak.

#include <string.h>

#include "link/transport.h"
#include "tests/sim/sim_test.h"

#define ADDRESS "127.0.0.1:7678"
#define IDLE SECONDS(10)
#define GRACE SECONDS(5)
#define JOIN_TIMEOUT SECONDS(5)
#define FULL_TIMEOUT SECONDS(7)
#define SEND_BYTES_MAX (2u * PHI_PACKET_BYTES_MAX)
#define PACKET_BYTES 1000u

// One end of a link and what it was told.
typedef struct end {
    phi_transport transport; // first: events lead back by a cast
    phi_transports group;
    phi_link_options options;
    unsigned joins;
    unsigned opens;
    unsigned packets;
    unsigned rooms;
    unsigned closes;
    unsigned gones;
    phi_link_end how;
    char text[PHI_BYE_TEXT_BYTES_MAX + 1];
    phi_bye_code refuse_join; // what the center answers to JOIN; NORMAL: WELCOME
} end;

typedef struct line {
    sim *s;
    sim_node client_node;
    sim_node center_node;
    end client;
    end center;
    phi_join join;
    phi_listener *listener;
    phi_keys keys;
} line;

static void answer_join(end *e)
{
    e->joins++;
    if (e->refuse_join != PHI_BYE_NORMAL) {
        phi_transport_bye(&e->transport, e->refuse_join, /* retry_after_ms= */ 1500, NULL);
        return;
    }
    phi_welcome welcome = {
        .id = phi_bytes_text("alice@example"), .session = 1, .epoch = 1, .revision = 1
    };
    phi_transport_welcome(&e->transport, &welcome);
}

static void end_on_event(phi_transport *transport, const phi_link_event *event)
{
    end *e = (end *)transport;
    switch (event->type) {
    case PHI_LINK_EVENT_JOIN:
        answer_join(e);
        break;
    case PHI_LINK_EVENT_OPEN:
        e->opens++;
        break;
    case PHI_LINK_EVENT_PACKET:
        e->packets++;
        break;
    case PHI_LINK_EVENT_CLOSED:
        e->closes++;
        e->how = event->end;
        memcpy(e->text, event->end.text.data, event->end.text.size);
        e->text[event->end.text.size] = '\0';
        break;
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
        break;
    case PHI_LINK_EVENT_CONFIRMED:
    case PHI_LINK_EVENT_NONE:
        fail();
    }
}

static void end_on_room(phi_transport *transport)
{
    ((end *)transport)->rooms++;
}

static void end_on_gone(phi_transport *transport)
{
    ((end *)transport)->gones++;
}

static const phi_transport_events end_events = {
    .on_event = end_on_event,
    .on_room = end_on_room,
    .on_gone = end_on_gone,
};

static void line_on_accept(void *owner, phi_stream *stream)
{
    line *l = owner;
    const phi_keys *keys = l->center.options.suite == PHI_SUITE_PAPER ? &l->keys : NULL;
    ph_err rc = phi_transport_accept(&l->center.transport, &l->center.group, stream,
                                     &l->center.options, keys);
    EXPECT_ERR(rc, PH_OK);
}

static phi_bytes line_on_shed(void *owner, ph_err reason)
{
    (void)owner;
    (void)reason;
    fail();
    return phi_bytes_text("");
}

static const phi_listener_events line_events = {
    .on_accept = line_on_accept,
    .on_shed = line_on_shed,
};

static void line_make(line *l, phi_suite suite)
{
    *l = (line){ 0 };
    l->s = sim_new(&(sim_options){ .seed = 1, .nodes_max = 2, .path = { .delay = MS(5) } });
    l->client_node = sim_node_add(l->s, "client");
    l->center_node = sim_node_add(l->s, "center");
    phi_io *client_io = sim_io(l->s, l->client_node);
    phi_io *center_io = sim_io(l->s, l->center_node);
    l->join = (phi_join){ .version = PHI_PROTOCOL_VERSION,
                          .account = phi_bytes_text("alice"),
                          .type = PHI_TYPE_CLIENT };
    l->center.options = (phi_link_options){
        .alloc = center_io->alloc,
        .side = PHI_LINK_CENTER,
        .send_bytes_max = SEND_BYTES_MAX,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = JOIN_TIMEOUT,
        .heartbeat_idle = IDLE,
        .heartbeat_grace = GRACE,
        .full_timeout = FULL_TIMEOUT,
        .suite = suite,
        .domain = phi_bytes_text("example"),
        .calls_max = 10,
    };
    l->client.options = (phi_link_options){
        .alloc = client_io->alloc,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = SEND_BYTES_MAX,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = SECONDS(60),
        .heartbeat_idle = SECONDS(3600), // so that the center's heartbeat is seen alone
        .heartbeat_grace = GRACE,
        .full_timeout = FULL_TIMEOUT,
        .suite_floor = PHI_SUITE_PLAIN,
        .join = &l->join,
    };
    phi_io_entropy(center_io, (uint8_t *)&l->keys, sizeof l->keys);
    phi_transports_init(&l->center.group, center_io, &end_events);
    phi_transports_init(&l->client.group, client_io, &end_events);
    ph_err rc = phi_io_listen(center_io, &(phi_listen_options){ .address = ADDRESS }, &line_events,
                              l, &l->listener, NULL);
    EXPECT_ERR(rc, PH_OK);
}

static void line_dial(line *l)
{
    ph_err rc = phi_transport_connect(&l->client.transport, &l->client.group,
                                      &(phi_connect_options){ .address = ADDRESS },
                                      &l->client.options, /* diag= */ NULL);
    EXPECT_ERR(rc, PH_OK);
}

static bool is_open(sim *s, void *arg)
{
    (void)s;
    return ((const line *)arg)->client.opens > 0;
}

static bool is_client_closed(sim *s, void *arg)
{
    (void)s;
    return ((const line *)arg)->client.closes > 0;
}

static bool is_center_closed(sim *s, void *arg)
{
    (void)s;
    return ((const line *)arg)->center.closes > 0;
}

static void line_open(line *l, phi_suite suite)
{
    line_make(l, suite);
    line_dial(l);
    EXPECT(sim_run_until(l->s, is_open, l, SECONDS(1)));
}

// Everything taken must have been given back.
static void line_free(line *l)
{
    sim_run_for(l->s, SECONDS(2)); // what lingers
    phi_transport_drop(&l->client.transport);
    phi_transport_drop(&l->center.transport);
    phi_transports_fini(&l->client.group);
    phi_transports_fini(&l->center.group);
    phi_listener_close(sim_io(l->s, l->center_node), l->listener);
    sim_run_for(l->s, MS(100));
    if (!sim_node_is_alive(l->s, l->client_node)) {
        sim_node_restart(l->s, l->client_node); // its kernel gives back what it kept
    }
    EXPECT_EQ(sim_blocks_used(l->s, l->client_node), 0);
    EXPECT_EQ(sim_blocks_used(l->s, l->center_node), 0);
    sim_free(&l->s);
}

static bool say(end *e)
{
    uint8_t *room = phi_transport_begin(&e->transport, PACKET_BYTES);
    if (room == NULL) {
        return false;
    }
    memset(room, 'x', PACKET_BYTES);
    phi_transport_commit(&e->transport, PHI_COMMAND_MESSAGE, PACKET_BYTES);
    return true;
}

// ---- opening

// Each further trip would be felt by every reconnecting client: three trips connect, then HELLO,
// JOIN and WELCOME go one way each. [P-33]
SIM_TEST(link, handshake_takes_six_trips_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        line l;
        line_open(&l, (phi_suite)suite);
        EXPECT_SIM_TIME(l.s, MS(30));
        EXPECT_EQ(l.center.joins, 1);
        EXPECT_EQ(l.client.closes + l.center.closes, 0);
        line_free(&l);
    }
}

// However the bytes are cut on their way, the meaning is the same. [P-2]
SIM_TEST(link, byte_by_byte_path_carries_everything_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        line l;
        line_make(&l, (phi_suite)suite);
        sim_path_set(l.s, l.client_node, l.center_node,
                     &(sim_path){ .delay = MS(5), .read_max = 1 });
        line_dial(&l);
        EXPECT(sim_run_until(l.s, is_open, &l, SECONDS(1)));
        EXPECT(say(&l.client));
        EXPECT(say(&l.center));
        sim_run_for(l.s, SECONDS(1));
        EXPECT_EQ(l.client.packets, 1);
        EXPECT_EQ(l.center.packets, 1);
        line_free(&l);
    }
}

// Who connects and says nothing must not hold a connection for longer than that. The time counts
// from the accept, 15 ms after the dial; the bye takes another trip. [P-12]
SIM_TEST(link, silent_client_is_ended_at_the_join_timeout)
{
    line l;
    line_make(&l, PHI_SUITE_PLAIN);
    sim_path_set(l.s, l.client_node, l.center_node, &(sim_path){ .delay = MS(5) });
    line_dial(&l);
    sim_run_for(l.s, MS(15));
    sim_node_reading(l.s, l.client_node, false); // HELLO stays unread, so there is no JOIN
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, (phi_dur){ MS(15).ns + JOIN_TIMEOUT.ns });
    EXPECT_EQ(l.center.how.code, PHI_BYE_JOIN_TIMEOUT);
    EXPECT_ERR(l.center.how.err, PH_ETIMEDOUT);
    sim_node_reading(l.s, l.client_node, true);
    line_free(&l);
}

// Nobody listens at all: the client learns it after two trips, and why. [P-71]
SIM_TEST(link, refused_connection_is_told_after_two_trips)
{
    line l;
    line_make(&l, PHI_SUITE_PLAIN);
    phi_listener_close(sim_io(l.s, l.center_node), l.listener);
    line_dial(&l);
    EXPECT(sim_run_until(l.s, is_client_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, MS(10));
    EXPECT_ERR(l.client.how.err, PH_ECONNECT);
    EXPECT_TEXT(l.client.text, ADDRESS ": connection refused");
    EXPECT_EQ(l.client.gones, 1);
    ph_err rc =
        phi_io_listen(sim_io(l.s, l.center_node), &(phi_listen_options){ .address = ADDRESS },
                      &line_events, &l, &l.listener, NULL);
    EXPECT_ERR(rc, PH_OK);
    line_free(&l);
}

// A refusal reaches the client with its reason and its patience, in the suite of the link. [P-60]
SIM_TEST(link, refused_join_is_told_with_the_time_to_wait)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        line l;
        line_make(&l, (phi_suite)suite);
        l.center.refuse_join = PHI_BYE_ACCOUNT_TAKEN;
        line_dial(&l);
        EXPECT(sim_run_until(l.s, is_client_closed, &l, SECONDS(60)));
        EXPECT_SIM_TIME(l.s, MS(30));
        EXPECT_ERR(l.client.how.err, PH_EREFUSED);
        EXPECT_EQ(l.client.how.code, PHI_BYE_ACCOUNT_TAKEN);
        EXPECT_EQ(l.client.how.retry_after_ms, 1500);
        EXPECT(l.client.how.by_peer);
        line_free(&l);
    }
}

// ---- signs of life

// A pulled cable must be found at exactly idle + grace after the last sign of life: JOIN, which
// came 25 ms after the dial. The client's own bye never arrives anywhere. [P-40]
SIM_TEST(link, half_open_client_is_found_after_idle_and_grace)
{
    line l;
    line_open(&l, PHI_SUITE_CHECK);
    sim_mute(l.s, l.client_node, l.center_node);
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, (phi_dur){ MS(25).ns + IDLE.ns + GRACE.ns });
    EXPECT_EQ(l.center.how.code, PHI_BYE_HEARTBEAT_TIMEOUT);
    EXPECT_EQ(l.client.closes, 0);
    line_free(&l);
}

// The same from the other side: a client finds its dead center by its own asking.
SIM_TEST(link, half_open_center_is_found_by_the_client)
{
    line l;
    line_make(&l, PHI_SUITE_CHECK);
    l.client.options.heartbeat_idle = SECONDS(3);
    l.client.options.heartbeat_grace = SECONDS(2);
    line_dial(&l);
    EXPECT(sim_run_until(l.s, is_open, &l, SECONDS(1)));
    sim_mute(l.s, l.client_node, l.center_node);
    EXPECT(sim_run_until(l.s, is_client_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, (phi_dur){ MS(30).ns + SECONDS(5).ns });
    EXPECT_EQ(l.client.how.code, PHI_BYE_HEARTBEAT_TIMEOUT);
    line_free(&l);
}

// A client that is idle but alive must stay, for ever, and its round trip is known. [P-39]
SIM_TEST(link, idle_client_that_answers_stays_and_is_measured)
{
    line l;
    line_open(&l, PHI_SUITE_PAPER);
    sim_run_for(l.s, SECONDS(600));
    EXPECT_EQ(l.client.closes + l.center.closes, 0);
    EXPECT_EQ(l.center.transport.link.round_trip_us, 10000);
    line_free(&l);
}

// A process that hangs answers nothing, though its kernel takes every byte.
SIM_TEST(link, frozen_client_is_ended_and_learns_it_when_it_goes_on)
{
    line l;
    line_open(&l, PHI_SUITE_CHECK);
    sim_node_freeze(l.s, l.client_node, true);
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, (phi_dur){ MS(25).ns + IDLE.ns + GRACE.ns });
    sim_run_for(l.s, SECONDS(1));
    EXPECT_EQ(l.client.closes, 0);
    sim_node_freeze(l.s, l.client_node, false);
    sim_run_for(l.s, MS(0));
    EXPECT_EQ(l.client.closes, 1);
    EXPECT_EQ(l.client.how.code, PHI_BYE_HEARTBEAT_TIMEOUT);
    line_free(&l);
}

// ---- flow

// A client that takes nothing must not hold the center's memory for longer than full_timeout after
// the first byte had to wait. It still says that it lives, so the heartbeat does not find it.
// [P-59]
SIM_TEST(link, reader_that_takes_nothing_is_ended_after_full_timeout)
{
    line l;
    line_make(&l, PHI_SUITE_CHECK);
    l.client.options.heartbeat_idle = SECONDS(1); // goes on asking
    l.client.options.heartbeat_grace = SECONDS(3600);
    line_dial(&l);
    EXPECT(sim_run_until(l.s, is_open, &l, SECONDS(1)));
    sim_node_reading(l.s, l.client_node, false);
    unsigned said = 0;
    uint64_t stuck_since = 0;
    for (; say(&l.center); said++) {
        uint64_t said_at = sim_now(l.s).ns;
        sim_run_for(l.s, MS(1)); // the socket takes its share
        if (stuck_since == 0 && phi_link_waiting(&l.center.transport.link) != 0) {
            stuck_since = said_at;
        }
    }
    EXPECT(said > SEND_BYTES_MAX / PACKET_BYTES);
    EXPECT(stuck_since + MS(100).ns < sim_now(l.s).ns); // it was full much later
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(60)));
    EXPECT_SIM_TIME(l.s, (phi_dur){ stuck_since + FULL_TIMEOUT.ns });
    EXPECT_EQ(l.center.how.code, PHI_BYE_SLOW_CONSUMER);
    // It does not take the bye either: after the linger the connection goes without.
    sim_run_for(l.s, MS(PHI_TRANSPORT_LINGER_MS + 1));
    EXPECT_EQ(l.center.gones, 1);
    sim_node_reading(l.s, l.client_node, true);
    line_free(&l);
}

// Who was only slow for a while gets everything, in order, and the sender is told of room.
SIM_TEST(link, slow_reader_that_recovers_loses_nothing)
{
    line l;
    line_open(&l, PHI_SUITE_PAPER);
    sim_node_reading(l.s, l.client_node, false);
    unsigned said = 0;
    while (say(&l.center)) {
        said++;
        sim_run_for(l.s, MS(1));
    }
    EXPECT_EQ(l.center.rooms, 0);
    sim_node_reading(l.s, l.client_node, true);
    sim_run_for(l.s, SECONDS(2));
    EXPECT_EQ(l.center.rooms, 1);
    EXPECT_EQ(l.client.packets, said);
    EXPECT_EQ(l.client.closes + l.center.closes, 0);
    line_free(&l);
}

// ---- ending

// A bye is the last thing of its direction and must arrive before the connection ends, behind
// everything that was queued before it. [P-60]
SIM_TEST(link, bye_arrives_behind_what_was_queued)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        line l;
        line_open(&l, (phi_suite)suite);
        for (int i = 0; i < 100; i++) {
            EXPECT(say(&l.center));
        }
        phi_transport_bye(&l.center.transport, PHI_BYE_GOING_AWAY, 250, "maintenance");
        EXPECT(sim_run_until(l.s, is_client_closed, &l, SECONDS(5)));
        EXPECT_EQ(l.client.packets, 100);
        EXPECT_EQ(l.client.how.code, PHI_BYE_GOING_AWAY);
        EXPECT_EQ(l.client.how.retry_after_ms, 250);
        EXPECT_TEXT(l.client.text, "maintenance");
        EXPECT_ERR(l.client.how.err, PH_OK);
        line_free(&l);
    }
}

// A broken connection is told once, as what it is, at both ends. [P-71]
SIM_TEST(link, cut_connection_is_reset_for_both_after_one_trip)
{
    line l;
    line_open(&l, PHI_SUITE_CHECK);
    sim_cut(l.s, l.client_node, l.center_node);
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(5)));
    EXPECT_SIM_TIME(l.s, MS(35));
    EXPECT_ERR(l.center.how.err, PH_ERESET);
    EXPECT_ERR(l.client.how.err, PH_ERESET);
    EXPECT_EQ(l.client.gones, 1);
    EXPECT_EQ(l.center.gones, 1);
    line_free(&l);
}

// A killed process closes its socket: the center sees an end without a bye one trip later. [P-71]
SIM_TEST(link, killed_client_is_seen_after_one_trip)
{
    line l;
    line_open(&l, PHI_SUITE_CHECK);
    sim_node_kill(l.s, l.client_node);
    EXPECT(sim_run_until(l.s, is_center_closed, &l, SECONDS(5)));
    EXPECT_SIM_TIME(l.s, MS(35));
    EXPECT_ERR(l.center.how.err, PH_ECLOSED);
    EXPECT(!l.center.how.by_peer);
    line_free(&l);
}

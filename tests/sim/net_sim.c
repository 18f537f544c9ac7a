// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/net_sim.c - the simulated network itself: does it do what a kernel would, at the time
// it would, and the same again for the same seed?

#include <string.h>

#include "io/tls.h"
#include "tests/sim/sim_test.h"

#define ADDRESS "127.0.0.1:7678"
#define ADDRESS_TLS "127.0.0.1:7679"
#define RECEIVED_MAX 200000u

// One end of a connection that writes down what it is told.
typedef struct end {
    phi_io *io;
    phi_stream *stream;
    uint8_t received[RECEIVED_MAX];
    size_t received_size;
    unsigned reads;
    unsigned opens;
    unsigned rooms;
    unsigned closes;
    ph_err reason;
    char why[64];
    bool closes_when_read; // from inside on_bytes
} end;

typedef struct pair {
    sim *s;
    sim_node a; // dials
    sim_node b; // listens
    end dialler;
    end acceptor;
    phi_listener *listener;
    const char *address;   // dialled
    phi_tls *dialler_tls;  // NULL: plain
    phi_tls *acceptor_tls; // the same
    unsigned accepts;
    unsigned sheds;
    ph_err shed_reason;
} pair;

static void end_on_open(void *owner)
{
    end *e = owner;
    e->opens++;
}

static void end_on_bytes(void *owner, phi_span bytes)
{
    end *e = owner;
    assert_true(e->received_size + bytes.size <= RECEIVED_MAX);
    memcpy(e->received + e->received_size, bytes.data, bytes.size);
    e->received_size += bytes.size;
    e->reads++;
    if (e->closes_when_read) {
        phi_stream_close(e->io, e->stream);
    }
}

static void end_on_writable(void *owner)
{
    end *e = owner;
    e->rooms++;
}

static void end_on_closed(void *owner, ph_err reason, const char *why)
{
    end *e = owner;
    e->closes++;
    e->reason = reason;
    e->stream = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static const phi_stream_events end_events = {
    .on_open = end_on_open,
    .on_bytes = end_on_bytes,
    .on_writable = end_on_writable,
    .on_closed = end_on_closed,
};

static void pair_on_accept(void *owner, phi_stream *stream)
{
    pair *p = owner;
    p->accepts++;
    p->acceptor.stream = stream;
    phi_stream_attach(p->acceptor.io, stream, &end_events, &p->acceptor);
}

static phi_bytes pair_on_shed(void *owner, ph_err reason)
{
    pair *p = owner;
    p->sheds++;
    p->shed_reason = reason;
    return phi_bytes_text("full");
}

static const phi_listener_events pair_events = {
    .on_accept = pair_on_accept,
    .on_shed = pair_on_shed,
};

static void pair_listen(pair *p)
{
    bool is_tls = p->acceptor_tls != NULL;
    phi_listen_options at = { .address = is_tls ? ADDRESS_TLS : ADDRESS, .tls = p->acceptor_tls };
    ph_err rc = phi_io_listen(p->acceptor.io, &at, &pair_events, p, &p->listener,
                              /* diag= */ NULL);
    EXPECT_ERR(rc, PH_OK);
}

static void pair_make(pair *p, const sim_path *path)
{
    *p = (pair){ .address = ADDRESS };
    p->s = sim_new(&(sim_options){ .seed = 1, .nodes_max = 2, .path = *path });
    p->a = sim_node_add(p->s, "a");
    p->b = sim_node_add(p->s, "b");
    p->dialler.io = sim_io(p->s, p->a);
    p->acceptor.io = sim_io(p->s, p->b);
    pair_listen(p);
}

static void pair_dial(pair *p)
{
    phi_connect_options to = { .address = p->address, .tls = p->dialler_tls };
    ph_err rc = phi_io_connect(p->dialler.io, &to, &end_events, &p->dialler, &p->dialler.stream,
                               /* diag= */ NULL);
    EXPECT_ERR(rc, PH_OK);
}

// Five milliseconds one way; both ends are there after three trips.
static void pair_open(pair *p)
{
    pair_make(p, &(sim_path){ .delay = MS(5) });
    pair_dial(p);
    sim_run_for(p->s, MS(15));
    EXPECT_EQ(p->dialler.opens, 1);
    EXPECT_EQ(p->accepts, 1);
}

static void pair_free(pair *p)
{
    sim_free(&p->s);
}

static bool has_closed(sim *s, void *arg)
{
    (void)s;
    return ((const end *)arg)->closes > 0;
}

static bool has_bytes(sim *s, void *arg)
{
    (void)s;
    return ((const end *)arg)->received_size > 0;
}

static size_t say(end *e, const char *text)
{
    return phi_stream_write(e->io, e->stream, phi_bytes_text(text));
}

// ---- the plain course of things

// Every exact time in the other scenarios rests on this.
SIM_TEST(net, connect_takes_two_trips_and_accept_three)
{
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5) });
    pair_dial(&p);
    sim_run_for(p.s, MS(9));
    EXPECT_EQ(p.dialler.opens, 0);
    sim_run_for(p.s, MS(1));
    EXPECT_EQ(p.dialler.opens, 1);
    EXPECT_EQ(p.accepts, 0);
    sim_run_for(p.s, MS(5));
    EXPECT_EQ(p.accepts, 1);
    pair_free(&p);
}

SIM_TEST(net, bytes_arrive_one_trip_later_in_order)
{
    pair p;
    pair_open(&p);
    EXPECT_EQ(say(&p.dialler, "first "), 6);
    EXPECT_EQ(say(&p.dialler, "second"), 6);
    EXPECT(sim_run_until(p.s, has_bytes, &p.acceptor, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(20));
    sim_run_for(p.s, MS(1));
    EXPECT_EQ(p.acceptor.received_size, 12);
    EXPECT_BYTES(p.acceptor.received, "first second", 12);
    pair_free(&p);
}

// What is written before a close must not be lost: byes travel that way.
SIM_TEST(net, close_sends_what_was_written_first)
{
    pair p;
    pair_open(&p);
    EXPECT_EQ(say(&p.dialler, "bye"), 3);
    phi_stream_close(p.dialler.io, p.dialler.stream);
    EXPECT_EQ(p.dialler.closes, 0); // never from inside the call
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(15));
    EXPECT_ERR(p.dialler.reason, PH_OK);
    EXPECT(sim_run_until(p.s, has_closed, &p.acceptor, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(20));
    EXPECT_ERR(p.acceptor.reason, PH_ECLOSED);
    EXPECT_BYTES(p.acceptor.received, "bye", 3);
    EXPECT_EQ(sim_streams_open(p.s, p.a), 0);
    EXPECT_EQ(sim_streams_open(p.s, p.b), 0);
    pair_free(&p);
}

SIM_TEST(net, close_inside_on_bytes_gives_no_more_bytes)
{
    pair p;
    pair_open(&p);
    sim_path_set(p.s, p.a, p.b, &(sim_path){ .delay = MS(5), .read_max = 4 });
    p.acceptor.closes_when_read = true;
    EXPECT_EQ(say(&p.dialler, "more than four"), 14);
    EXPECT(sim_run_until(p.s, has_closed, &p.acceptor, SECONDS(1)));
    EXPECT_EQ(p.acceptor.received_size, 4);
    EXPECT_ERR(p.acceptor.reason, PH_OK);
    // Bytes were left unread: the other end sees an orderly end all the same.
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(1)));
    EXPECT_ERR(p.dialler.reason, PH_ECLOSED);
    pair_free(&p);
}

SIM_TEST(net, nobody_listening_is_refused_after_two_trips)
{
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5) });
    phi_listener_close(p.acceptor.io, p.listener);
    pair_dial(&p);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(10));
    EXPECT_ERR(p.dialler.reason, PH_ECONNECT);
    EXPECT_TEXT(p.dialler.why, ADDRESS ": connection refused");
    pair_free(&p);
}

// ---- flow control

// A receiver that does not read must stop its sender, and let it go on when it reads again.
SIM_TEST(net, paused_receiver_fills_the_pipe_and_stops_the_sender)
{
    static const uint8_t block[1000];
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5), .buffer_bytes = 1500 });
    pair_dial(&p);
    sim_run_for(p.s, MS(15));
    phi_stream_pause(p.acceptor.io, p.acceptor.stream, true);
    EXPECT_EQ(phi_stream_write(p.dialler.io, p.dialler.stream, phi_bytes_of(block, 1000)), 1000);
    EXPECT_EQ(phi_stream_write(p.dialler.io, p.dialler.stream, phi_bytes_of(block, 1000)), 500);
    EXPECT_EQ(phi_stream_write(p.dialler.io, p.dialler.stream, phi_bytes_of(block, 500)), 0);
    sim_run_for(p.s, SECONDS(10));
    EXPECT_EQ(p.acceptor.received_size, 0);
    EXPECT_EQ(p.dialler.rooms, 0);
    phi_stream_pause(p.acceptor.io, p.acceptor.stream, false);
    sim_run_for(p.s, MS(4));
    EXPECT_EQ(p.acceptor.received_size, 1500);
    EXPECT_EQ(p.dialler.rooms, 0);
    sim_run_for(p.s, MS(1)); // the news travels back
    EXPECT_EQ(p.dialler.rooms, 1);
    pair_free(&p);
}

// Partial reads and writes must neither lose nor reorder a byte, whatever their sizes.
SIM_TEST(net, ragged_path_keeps_every_byte_in_order)
{
    uint8_t sent[20000];
    phi_random random = phi_random_seeded(7);
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)phi_random_next(&random);
    }
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5),
                               .jitter = MS(20),
                               .buffer_bytes = 777,
                               .read_max = 50,
                               .write_max = 300,
                               .is_ragged = true });
    pair_dial(&p);
    sim_run_for(p.s, SECONDS(1));
    size_t done = 0;
    while (done < sizeof sent) {
        unsigned rooms = p.dialler.rooms;
        done += phi_stream_write(p.dialler.io, p.dialler.stream,
                                 phi_bytes_of(sent + done, sizeof sent - done));
        for (int i = 0; i < 10000 && done < sizeof sent && p.dialler.rooms == rooms; i++) {
            EXPECT(sim_step(p.s));
        }
    }
    sim_run_for(p.s, SECONDS(1));
    EXPECT_EQ(p.acceptor.received_size, sizeof sent);
    EXPECT_BYTES(p.acceptor.received, sent, sizeof sent);
    EXPECT(p.acceptor.reads > sizeof sent / 50);
    pair_free(&p);
}

// ---- what goes wrong

SIM_TEST(net, cut_resets_both_ends_after_one_trip)
{
    pair p;
    pair_open(&p);
    sim_cut(p.s, p.a, p.b);
    EXPECT(sim_run_until(p.s, has_closed, &p.acceptor, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(20));
    EXPECT_ERR(p.acceptor.reason, PH_ERESET);
    EXPECT_EQ(p.dialler.closes, 1);
    EXPECT_ERR(p.dialler.reason, PH_ERESET);
    pair_free(&p);
}

// A cable that was pulled: nobody is told, and the sender's buffer fills.
SIM_TEST(net, muted_connection_tells_nobody)
{
    static const uint8_t block[70000];
    pair p;
    pair_open(&p);
    EXPECT_EQ(say(&p.dialler, "on its way"), 10);
    sim_mute(p.s, p.a, p.b);
    EXPECT_EQ(phi_stream_write(p.dialler.io, p.dialler.stream, phi_bytes_of(block, 70000)),
              65536 - 10);
    sim_run_for(p.s, SECONDS(3600));
    EXPECT_EQ(p.acceptor.received_size, 0);
    EXPECT_EQ(p.acceptor.closes + p.dialler.closes + p.dialler.rooms, 0);
    phi_stream_close(p.dialler.io, p.dialler.stream);
    sim_run_for(p.s, SECONDS(1));
    EXPECT_EQ(p.dialler.closes, 1); // one's own close always ends
    EXPECT_EQ(p.acceptor.closes, 0);
    pair_free(&p);
}

SIM_TEST(net, parted_nodes_cannot_connect_until_they_are_rejoined)
{
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5) });
    sim_part(p.s, p.a, p.b, true);
    pair_dial(&p);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(1000)));
    EXPECT_SIM_TIME(p.s, SECONDS(127));
    EXPECT_TEXT(p.dialler.why, ADDRESS ": connection timed out");
    sim_part(p.s, p.a, p.b, false);
    pair_dial(&p);
    sim_run_for(p.s, MS(10));
    EXPECT_EQ(p.dialler.opens, 1);
    pair_free(&p);
}

SIM_TEST(net, held_path_delivers_late_but_everything)
{
    pair p;
    pair_open(&p);
    sim_hold(p.s, p.a, p.b, MS(100));
    EXPECT_EQ(say(&p.dialler, "late"), 4);
    EXPECT(sim_run_until(p.s, has_bytes, &p.acceptor, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(115));
    pair_free(&p);
}

// A process that was killed is closed by its kernel, and is told nothing any more.
SIM_TEST(net, killed_node_closes_its_connections_and_takes_no_turn)
{
    pair p;
    pair_open(&p);
    sim_node_kill(p.s, p.a);
    EXPECT(sim_run_until(p.s, has_closed, &p.acceptor, SECONDS(1)));
    EXPECT_SIM_TIME(p.s, MS(20));
    EXPECT_ERR(p.acceptor.reason, PH_ECLOSED);
    EXPECT_EQ(p.dialler.closes, 0);
    sim_node_restart(p.s, p.a);
    EXPECT_EQ(sim_blocks_used(p.s, p.a), 0);
    pair_dial(&p);
    sim_run_for(p.s, MS(15));
    EXPECT_EQ(p.dialler.opens, 2);
    pair_free(&p);
}

SIM_TEST(net, frozen_node_catches_up_when_it_goes_on)
{
    pair p;
    pair_open(&p);
    sim_node_freeze(p.s, p.b, true);
    EXPECT_EQ(say(&p.dialler, "hello?"), 6);
    phi_stream_close(p.dialler.io, p.dialler.stream);
    sim_run_for(p.s, SECONDS(5));
    EXPECT_EQ(p.acceptor.received_size, 0);
    sim_node_freeze(p.s, p.b, false);
    sim_run_for(p.s, MS(0));
    EXPECT_EQ(p.acceptor.received_size, 6);
    EXPECT_EQ(p.acceptor.closes, 1);
    pair_free(&p);
}

// Events that wait for a frozen node must not carry the world past the time it was to run to.
SIM_TEST(world, frozen_node_does_not_move_time)
{
    pair p;
    pair_open(&p);
    EXPECT_EQ(say(&p.dialler, "later"), 5);
    sim_node_freeze(p.s, p.b, true);
    EXPECT_EQ(say(&p.acceptor, "now"), 3);
    sim_run_for(p.s, MS(1));
    EXPECT_SIM_TIME(p.s, MS(16));
    EXPECT_EQ(p.dialler.received_size, 0);
    pair_free(&p);
}

SIM_TEST(net, node_that_does_not_read_still_writes)
{
    pair p;
    pair_open(&p);
    sim_node_reading(p.s, p.b, false);
    EXPECT_EQ(say(&p.dialler, "unread"), 6);
    EXPECT_EQ(say(&p.acceptor, "written"), 7);
    sim_run_for(p.s, SECONDS(1));
    EXPECT_EQ(p.acceptor.received_size, 0);
    EXPECT_EQ(p.dialler.received_size, 7);
    sim_node_reading(p.s, p.b, true);
    sim_run_for(p.s, MS(0));
    EXPECT_EQ(p.acceptor.received_size, 6);
    pair_free(&p);
}

// Out of memory, a listener must lose that one connection and nothing else.
SIM_TEST(net, accept_without_memory_is_shed)
{
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5) });
    pair_dial(&p);
    sim_fault_alloc_at(p.s, p.b, 1);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(1)));
    EXPECT_ERR(p.dialler.reason, PH_ERESET);
    EXPECT_EQ(p.sheds, 1);
    EXPECT_ERR(p.shed_reason, PH_ENOMEM);
    p.dialler.closes = 0;
    pair_dial(&p);
    sim_run_for(p.s, MS(15));
    EXPECT_EQ(p.accepts, 1);
    sim_fault_shed(p.s, p.b, 100);
    end other = { .io = p.dialler.io };
    ph_err rc = phi_io_connect(other.io, &(phi_connect_options){ .address = ADDRESS }, &end_events,
                               &other, &other.stream, NULL);
    EXPECT_ERR(rc, PH_OK);
    EXPECT(sim_run_until(p.s, has_closed, &other, SECONDS(1)));
    EXPECT_ERR(p.shed_reason, PH_ELIMIT);
    EXPECT_ERR(other.reason, PH_ECLOSED); // in order, behind what it was told
    EXPECT_EQ(other.received_size, 4);
    pair_free(&p);
}

// ---- time and order

typedef struct ticker {
    phi_timer timer;
    phi_io *io;
    uint64_t fired_at; // by the node's own clock
} ticker;

static void ticker_fire(phi_timer *timer, phi_time now)
{
    ticker *t = PHI_CONTAINER_OF(timer, ticker, timer);
    t->fired_at = now.ns;
}

// Clocks differ from node to node; a duration is the same everywhere.
SIM_TEST(world, timer_fires_at_its_time_on_a_node_with_its_own_clock)
{
    sim *s = sim_new(&(sim_options){ .seed = 1, .path = { .delay = MS(1) } });
    sim_node a = sim_node_add(s, "a");
    sim_node b = sim_node_add(s, "b");
    sim_node_clock(s, b, SECONDS(86400));
    EXPECT(sim_io(s, a)->now.ns != sim_io(s, b)->now.ns);
    ticker t = { .io = sim_io(s, b) };
    phi_timer_init(&t.timer, ticker_fire);
    uint64_t start = phi_io_now(t.io).ns;
    phi_timer_set(&t.io->timers, &t.timer, phi_time_add(phi_io_now(t.io), MS(250)));
    sim_run_for(s, MS(249));
    EXPECT_EQ(t.fired_at, 0);
    sim_run_for(s, MS(1));
    EXPECT_EQ(t.fired_at - start, MS(250).ns);
    sim_free(&s);
}

static void note_action(sim *s, void *arg)
{
    sim_note(s, SIM_WORLD, "%s", (const char *)arg);
}

static uint64_t hash_of_a_story(uint64_t seed, const char *word)
{
    pair p = { .address = ADDRESS };
    p.s = sim_new(&(sim_options){ .seed = seed,
                                  .path = { .delay = MS(5), .jitter = MS(5), .is_ragged = true } });
    p.a = sim_node_add(p.s, "a");
    p.b = sim_node_add(p.s, "b");
    p.dialler.io = sim_io(p.s, p.a);
    p.acceptor.io = sim_io(p.s, p.b);
    EXPECT_ERR(phi_io_listen(p.acceptor.io, &(phi_listen_options){ .address = ADDRESS },
                             &pair_events, &p, &p.listener, NULL),
               PH_OK);
    pair_dial(&p);
    sim_run_for(p.s, MS(100));
    (void)say(&p.dialler, word);
    sim_after(p.s, SIM_WORLD, MS(1), note_action, "halfway");
    sim_run_for(p.s, MS(100));
    uint64_t hash = sim_trace_hash(p.s);
    sim_free(&p.s);
    return hash;
}

// The whole worth of the simulator: what failed once fails again.
SIM_TEST(world, same_seed_gives_the_same_hash_and_another_does_not)
{
    uint64_t first = hash_of_a_story(1, "some words to be cut somewhere");
    EXPECT(first == hash_of_a_story(1, "some words to be cut somewhere"));
    EXPECT(first != hash_of_a_story(2, "some words to be cut somewhere"));
    EXPECT(first != hash_of_a_story(1, "Some words to be cut somewhere"));
}

typedef struct order {
    char text[16];
    size_t size;
} order;

static void order_a(sim *s, void *arg)
{
    (void)s;
    order *o = arg;
    o->text[o->size++] = 'a';
}

static void order_b(sim *s, void *arg)
{
    (void)s;
    order *o = arg;
    o->text[o->size++] = 'b';
}

// At one instant: by node, then in the order of scheduling.
SIM_TEST(world, ties_are_broken_by_node_then_by_sequence)
{
    sim *s = sim_new(&(sim_options){ .seed = 1, .path = { .delay = MS(1) } });
    sim_node first = sim_node_add(s, "first");
    sim_node second = sim_node_add(s, "second");
    order o = { .size = 0 };
    sim_after(s, second, MS(1), order_b, &o);
    sim_after(s, second, MS(1), order_a, &o);
    sim_after(s, first, MS(1), order_a, &o);
    sim_after(s, first, MS(1), order_b, &o);
    sim_run_for(s, MS(1));
    EXPECT_TEXT(o.text, "abba");
    sim_free(&s);
}

// ---- who is at the other end

// The same, on an address for TLS, each end with credentials that believe everybody.
static void pair_make_tls(pair *p, phi_tls_peers peers)
{
    pair_make(p, &(sim_path){ .delay = MS(5) });
    phi_listener_close(p->acceptor.io, p->listener);
    p->address = "tls:127.0.0.1";
    p->dialler_tls = sim_tls_new(p->s, PHI_TLS_PEERS_ASKED);
    p->acceptor_tls = sim_tls_new(p->s, peers);
    pair_listen(p);
}

static phi_identity named(const char *name)
{
    phi_identity identity = { .host = { 0xfd, [15] = 7 }, .name_count = 1 };
    identity.names[0].size = (uint8_t)strlen(name);
    memcpy(identity.names[0].text, name, strlen(name));
    return identity;
}

// A scenario about rights is about nothing if its clients do not come as whom it says they are.
SIM_TEST(net, identity_is_what_the_scenario_says)
{
    pair p;
    pair_make_tls(&p, PHI_TLS_PEERS_REQUIRED);
    phi_identity set = named("orders");
    set.expires_s = UINT64_C(4102444800);
    sim_identity_set(p.s, p.a, &set);
    pair_dial(&p);
    set = named("bank"); // of later connections
    sim_identity_set(p.s, p.a, &set);
    sim_run_for(p.s, MS(100));
    EXPECT_EQ(p.dialler.opens, 1);

    phi_identity seen;
    phi_stream_identity(p.acceptor.io, p.acceptor.stream, &seen);
    EXPECT(seen.is_tls);
    EXPECT(!seen.is_local);
    EXPECT_EQ(seen.name_count, 1);
    EXPECT_TEXT(seen.names[0].text, "orders");
    EXPECT_EQ(seen.expires_s, UINT64_C(4102444800));
    EXPECT_EQ(seen.host[15], 7);

    phi_stream_identity(p.dialler.io, p.dialler.stream, &seen);
    EXPECT(seen.is_tls);
    EXPECT(seen.is_local); // the address dialled
    EXPECT_EQ(seen.name_count, 0);
    EXPECT_EQ(say(&p.dialler, "hello"), 5);
    EXPECT(sim_run_until(p.s, has_bytes, &p.acceptor, MS(100)));
    pair_free(&p);
}

// What only a certificate can say must not show where none is shown.
SIM_TEST(net, identity_of_a_plain_connection_has_no_names)
{
    pair p;
    pair_make(&p, &(sim_path){ .delay = MS(5) });
    phi_identity set = named("orders");
    set.has_user = true;
    set.uid = 1000;
    sim_identity_set(p.s, p.a, &set);
    pair_dial(&p);
    sim_run_for(p.s, MS(100));
    phi_identity seen;
    phi_stream_identity(p.acceptor.io, p.acceptor.stream, &seen);
    EXPECT(!seen.is_tls);
    EXPECT_EQ(seen.name_count, 0);
    EXPECT(seen.has_user);
    EXPECT_EQ(seen.uid, 1000);
    phi_diag diag = { "" };
    phi_tls *tls = sim_tls_new(p.s, PHI_TLS_PEERS_UNASKED);
    EXPECT_ERR(phi_stream_verify(p.acceptor.io, p.acceptor.stream, tls, &diag), PH_EACCESS);
    pair_free(&p);
}

// Both ends must hear that one does not believe the other; and as in a real handshake, the one that
// is refused may have its stream open by then.
SIM_TEST(net, tls_refused_is_told_to_both)
{
    pair p;
    pair_make_tls(&p, PHI_TLS_PEERS_REQUIRED);
    pair_dial(&p); // without a certificate
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, MS(100)));
    EXPECT_EQ(p.dialler.opens, 1);
    EXPECT_ERR(p.dialler.reason, PH_ETLS);
    EXPECT_EQ(p.acceptor.closes, 1);
    EXPECT_ERR(p.acceptor.reason, PH_ETLS);
    EXPECT_TEXT(p.acceptor.why, "it has no certificate");
    pair_free(&p);
}

// Who dials and does not believe the center says nothing to it.
SIM_TEST(net, tls_refused_by_the_dialler_never_opens)
{
    pair p;
    pair_make_tls(&p, PHI_TLS_PEERS_ASKED);
    phi_identity center = named("center");
    sim_identity_set(p.s, p.b, &center);
    sim_tls_refuse(p.dialler_tls, p.b, "its authority is not known here");
    pair_dial(&p);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, MS(100)));
    EXPECT_EQ(p.dialler.opens, 0);
    EXPECT_ERR(p.dialler.reason, PH_ETLS);
    EXPECT_TEXT(p.dialler.why, "its authority is not known here");
    EXPECT_EQ(p.accepts, 0);
    pair_free(&p);
}

// Who was let in and is revoked later: the next question must say so, and new connections end.
SIM_TEST(net, tls_verify_follows_the_credentials)
{
    pair p;
    pair_make_tls(&p, PHI_TLS_PEERS_REQUIRED);
    phi_identity orders = named("orders");
    sim_identity_set(p.s, p.a, &orders);
    pair_dial(&p);
    sim_run_for(p.s, MS(100));
    phi_stream *stream = p.acceptor.stream;
    EXPECT_ERR(phi_stream_verify(p.acceptor.io, stream, p.acceptor_tls, NULL), PH_OK);

    phi_tls *next = sim_tls_new(p.s, PHI_TLS_PEERS_REQUIRED);
    sim_tls_refuse(next, p.a, "its certificate was revoked");
    phi_listener_secure(p.acceptor.io, p.listener, next);
    phi_diag diag = { "" };
    EXPECT_ERR(phi_stream_verify(p.acceptor.io, stream, next, &diag), PH_EACCESS);
    EXPECT_TEXT(diag.text, "its certificate was revoked");
    EXPECT_EQ(p.acceptor.closes, 0); // that is its owner's to do

    pair_dial(&p);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, MS(100)));
    EXPECT_ERR(p.dialler.reason, PH_ETLS);
    pair_free(&p);
}

// A secret must not leave by a plain connection because somebody forgot a prefix.
SIM_TEST(net, tls_and_plain_do_not_meet)
{
    pair p;
    pair_make_tls(&p, PHI_TLS_PEERS_ASKED);
    p.address = ADDRESS_TLS;
    pair_dial(&p);
    sim_run_for(p.s, MS(15));
    EXPECT_EQ(p.accepts, 1);
    EXPECT_EQ(say(&p.acceptor, "a secret"), 0);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, SECONDS(3)));
    EXPECT_SIM_TIME(p.s, MS(15 + PHI_TLS_SILENCE_MS + 5));
    EXPECT_ERR(p.dialler.reason, PH_ECLOSED);
    EXPECT_EQ(p.dialler.received_size, 0);
    EXPECT_ERR(p.acceptor.reason, PH_ETLS);
    pair_free(&p);

    pair_make(&p, &(sim_path){ .delay = MS(5) });
    p.dialler_tls = sim_tls_new(p.s, PHI_TLS_PEERS_ASKED);
    p.address = "tls:" ADDRESS;
    pair_dial(&p);
    EXPECT(sim_run_until(p.s, has_closed, &p.dialler, MS(100)));
    EXPECT_ERR(p.dialler.reason, PH_ECONNECT);
    phi_connect_options naked = { .address = "tls:127.0.0.1" };
    EXPECT_ERR(
        phi_io_connect(p.dialler.io, &naked, &end_events, &p.dialler, &p.dialler.stream, NULL),
        PH_EINVAL);
    pair_free(&p);
}

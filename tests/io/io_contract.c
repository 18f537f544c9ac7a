// SPDX-License-Identifier: Apache-2.0
//
// tests/io/io_contract.c - the checks of io_contract.h.

#include "tests/io/io_contract.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"

#define TURNS_MAX 100000
#define GOT_MAX 65536

// ---- fixture: a world with a listener, and ends of streams that count what they are told

typedef struct world world;
typedef struct end end;

struct end {
    world *world;
    phi_stream *stream; // NULL before it came, and after it was closed
    int opened;
    int accepted;
    int writable;
    int closed;
    ph_err reason;
    char why[PHI_DIAG_BYTES_MAX];
    size_t size; // bytes that came
    uint8_t got[GOT_MAX];
    uint64_t turn_of_bytes;
    uint64_t sum;   // of the bytes, each by its place: order counts
    bool is_closer; // closes itself when something comes
    end *victim;    // is closed when something comes
};

struct world {
    const io_driver *driver;
    phi_io *io;
    phi_listener *listener;
    char address[PHI_ADDRESS_TEXT_MAX];
    end client;
    end client2;
    end server; // the first that was accepted
    end server2;
    int sheds;
    uint64_t turns;
    bool is_inside; // of a call that must not call back
    void (*on_accept)(world *w, phi_stream *s);
};

static uint64_t sum_bytes(uint64_t sum, size_t place, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum += (uint64_t)bytes[i] * (place + i + 1);
    }
    return sum;
}

static void end_on_open(void *owner)
{
    end *e = (end *)owner;
    EXPECT(!e->world->is_inside);
    EXPECT(e->world->io->is_turning);
    EXPECT_EQ(e->closed, 0);
    e->opened++;
    if (e->is_closer) {
        phi_stream_close(e->world->io, e->stream);
    }
}

static void end_on_bytes(void *owner, phi_span bytes)
{
    end *e = (end *)owner;
    EXPECT(!e->world->is_inside);
    EXPECT(e->world->io->is_turning);
    EXPECT_EQ(e->closed, 0);
    EXPECT(bytes.size != 0);
    e->sum = sum_bytes(e->sum, e->size, bytes.data, bytes.size);
    for (size_t i = 0; i < bytes.size && e->size + i < GOT_MAX; i++) {
        e->got[e->size + i] = bytes.data[i];
    }
    e->size += bytes.size;
    e->turn_of_bytes = e->world->turns;
    memset(bytes.data, 0xee, bytes.size); // they may be changed
    if (e->is_closer) {
        phi_stream_close(e->world->io, e->stream);
    }
    if (e->victim != NULL) {
        phi_stream_close(e->world->io, e->victim->stream);
        e->victim->victim = NULL;
    }
}

static void end_on_writable(void *owner)
{
    end *e = (end *)owner;
    EXPECT(!e->world->is_inside);
    EXPECT_EQ(e->closed, 0);
    e->writable++;
}

static void end_on_closed(void *owner, ph_err reason, const char *why)
{
    end *e = (end *)owner;
    EXPECT(!e->world->is_inside);
    EXPECT(e->world->io->is_turning);
    EXPECT_EQ(e->closed, 0);
    EXPECT(why != NULL);
    e->closed++;
    e->reason = reason;
    e->stream = NULL;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
}

static const phi_stream_events end_events = {
    .on_open = end_on_open,
    .on_bytes = end_on_bytes,
    .on_writable = end_on_writable,
    .on_closed = end_on_closed,
};

static void world_on_accept(void *owner, phi_stream *s)
{
    world *w = (world *)owner;
    EXPECT(!w->is_inside);
    EXPECT(w->io->is_turning);
    if (w->on_accept != NULL) {
        w->on_accept(w, s);
        return;
    }
    end *e = w->server.accepted == 0 ? &w->server : &w->server2;
    EXPECT_EQ(e->accepted, 0);
    e->accepted = 1;
    e->stream = s;
    phi_stream_attach(w->io, s, &end_events, e);
}

static phi_bytes world_on_shed(void *owner, ph_err reason)
{
    (void)reason;
    ((world *)owner)->sheds++;
    return phi_bytes_text("");
}

static const phi_listener_events world_events = {
    .on_accept = world_on_accept,
    .on_shed = world_on_shed,
};

phi_listen_options io_driver_listens(const io_driver *driver)
{
    return (phi_listen_options){ .address = driver->address,
                                 .tls =
                                     driver->tls == NULL ? NULL : driver->tls(driver->arg, true) };
}

phi_connect_options io_driver_dials(const io_driver *driver, const char *bound,
                                    char text[PHI_ADDRESS_TEXT_MAX])
{
    bool is_tls = driver->tls != NULL;
    (void)snprintf(text, PHI_ADDRESS_TEXT_MAX, "%s%s", is_tls ? "tls:" : "", bound);
    return (phi_connect_options){ .address = text,
                                  .tls = is_tls ? driver->tls(driver->arg, false) : NULL };
}

static world *world_new(const io_driver *driver)
{
    world *w = (world *)calloc(1, sizeof *w);
    assert_non_null(w);
    w->driver = driver;
    w->io = driver->open(driver->arg);
    w->client.world = w;
    w->client2.world = w;
    w->server.world = w;
    w->server2.world = w;
    phi_diag diag = { "" };
    phi_listen_options at = io_driver_listens(driver);
    if (phi_io_listen(w->io, &at, &world_events, w, &w->listener, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    phi_listener_address(w->io, w->listener, w->address);
    return w;
}

static void world_free(world *w)
{
    w->driver->close(w->driver->arg);
    free(w);
}

static void turn(world *w)
{
    w->turns++;
    w->driver->turn(w->driver->arg);
    EXPECT(!w->io->is_turning);
}

// Turns until the condition, which is looked at again after every turn, holds.
#define TURN_UNTIL(w, condition)                                                                   \
    do {                                                                                           \
        int turns_ = TURNS_MAX;                                                                    \
        while (!(condition) && turns_-- > 0) {                                                     \
            turn(w);                                                                               \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

static void timer_nothing(phi_timer *timer, phi_time now)
{
    (void)timer;
    (void)now;
}

// So long that whatever would happen has happened.
static void settle(world *w)
{
    phi_timer timer;
    phi_timer_init(&timer, timer_nothing);
    phi_timer_set(&w->io->timers, &timer, phi_time_add(phi_io_now(w->io), phi_ms(10)));
    TURN_UNTIL(w, !phi_timer_is_set(&timer));
}

static void connect_begin(world *w, end *e)
{
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_connect_options to = io_driver_dials(w->driver, w->address, text);
    w->is_inside = true;
    EXPECT_ERR(phi_io_connect(w->io, &to, &end_events, e, &e->stream, NULL), PH_OK);
    w->is_inside = false;
}

// A connection: w->client and w->server.
static void connect_pair(world *w)
{
    connect_begin(w, &w->client);
    TURN_UNTIL(w, w->client.opened == 1 && w->server.accepted == 1);
    if (w->driver->tls != NULL) { // the server hears a little later that the handshake is done
        settle(w);
    }
}

static void connect_second_pair(world *w)
{
    connect_begin(w, &w->client2);
    TURN_UNTIL(w, w->client2.opened == 1 && w->server2.accepted == 1);
}

static size_t write_text(end *e, const char *text)
{
    e->world->is_inside = true;
    size_t size = phi_stream_write(e->world->io, e->stream, phi_bytes_text(text));
    e->world->is_inside = false;
    return size;
}

static void expect_got(const end *e, const char *text)
{
    EXPECT_EQ(e->size, strlen(text));
    EXPECT_BYTES(e->got, text, strlen(text));
}

static void close_end(end *e)
{
    e->world->is_inside = true;
    phi_stream_close(e->world->io, e->stream);
    e->world->is_inside = false;
}

static void close_both(world *w)
{
    if (w->client.stream != NULL) {
        close_end(&w->client);
    }
    if (w->server.stream != NULL) {
        close_end(&w->server);
    }
    TURN_UNTIL(w, w->client.closed == 1 && w->server.closed == w->server.accepted);
}

// ---- connecting

// Nothing works without it.
void io_contract_bytes_go_both_ways(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    EXPECT_EQ(write_text(&w->client, "to the server"), 13);
    EXPECT_EQ(write_text(&w->server, "to the client"), 13);
    TURN_UNTIL(w, w->server.size == 13 && w->client.size == 13);
    expect_got(&w->server, "to the server");
    expect_got(&w->client, "to the client");

    char text[PHI_ADDRESS_TEXT_MAX] = "";
    phi_stream_peer(w->io, w->client.stream, text);
    EXPECT(strlen(text) != 0);

    close_both(w);
    EXPECT_EQ(w->client.opened, 1);
    EXPECT_EQ(w->sheds, 0);
    world_free(w);
}

// An owner that is called back from inside its own call finds its object half made.
void io_contract_connect_tells_nothing_from_inside(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_begin(w, &w->client); // the events check is_inside
    EXPECT_EQ(w->client.opened, 0);
    EXPECT(w->client.stream != NULL);
    TURN_UNTIL(w, w->client.opened == 1 && w->server.accepted == 1);
    close_both(w);
    world_free(w);
}

// A client that is not told tries no other center; one that is not told why helps nobody.
void io_contract_connect_refused_is_told_once(const io_driver *driver)
{
    world *w = world_new(driver);
    phi_listener_close(w->io, w->listener);
    connect_begin(w, &w->client);
    TURN_UNTIL(w, w->client.closed == 1);
    EXPECT_ERR(w->client.reason, PH_ECONNECT);
    EXPECT(strstr(w->client.why, w->address) != NULL);
    settle(w);
    EXPECT_EQ(w->client.opened, 0);
    EXPECT_EQ(w->client.closed, 1);
    world_free(w);
}

// A client may lose interest before the connection is there.
void io_contract_connect_closed_before_open_ends_in_ok(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_begin(w, &w->client);
    close_end(&w->client);
    EXPECT_EQ(w->client.closed, 0);
    TURN_UNTIL(w, w->client.closed == 1);
    EXPECT_ERR(w->client.reason, PH_OK);
    settle(w);
    EXPECT_EQ(w->client.opened, 0);
    world_free(w);
}

// A slip in a configuration is told at once, and by nothing else.
void io_contract_connect_address_that_does_not_parse(const io_driver *driver)
{
    world *w = world_new(driver);
    phi_diag diag = { "" };
    end *e = &w->client;
    EXPECT_ERR(phi_io_connect(w->io, &(phi_connect_options){ .address = "no where" }, &end_events,
                              e, &e->stream, &diag),
               PH_EINVAL);
    EXPECT(e->stream == NULL);
    EXPECT(strstr(diag.text, "no where") != NULL);
    settle(w);
    EXPECT_EQ(e->closed, 0);
    world_free(w);
}

// ---- listening

// Two centers on one port: the second must say so instead of taking half of the clients.
void io_contract_listen_twice_on_one_address(const io_driver *driver)
{
    world *w = world_new(driver);
    phi_diag diag = { "" };
    phi_listener *second = NULL;
    EXPECT_ERR(phi_io_listen(w->io, &(phi_listen_options){ .address = w->address }, &world_events,
                             w, &second, &diag),
               PH_EADDRINUSE);
    EXPECT(second == NULL);
    EXPECT(strstr(diag.text, w->address) != NULL);
    world_free(w);
}

// A center that stops takes nobody new, and keeps those it has until it has said goodbye.
void io_contract_listener_closed_accepts_no_more(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    phi_listener_close(w->io, w->listener);
    connect_begin(w, &w->client2);
    TURN_UNTIL(w, w->client2.closed == 1);
    EXPECT_EQ(w->server2.accepted, 0);
    EXPECT_EQ(write_text(&w->client, "still here"), 10);
    TURN_UNTIL(w, w->server.size == 10);
    close_both(w);
    world_free(w);
}

static void accept_and_close(world *w, phi_stream *s)
{
    w->server.accepted++;
    EXPECT_EQ(phi_stream_write(w->io, s, phi_bytes_text("full")), 4);
    phi_stream_close(w->io, s);
}

// A center that is full says so and closes what it accepted before anybody owns it.
void io_contract_accept_closed_without_owner(const io_driver *driver)
{
    world *w = world_new(driver);
    w->on_accept = accept_and_close;
    connect_begin(w, &w->client);
    TURN_UNTIL(w, w->client.closed == 1);
    EXPECT_EQ(w->server.accepted, 1);
    expect_got(&w->client, "full");
    EXPECT_ERR(w->client.reason, PH_ECLOSED);
    world_free(w);
}

static void accept_write_and_close(world *w, phi_stream *s)
{
    w->server.accepted++;
    w->server.stream = s;
    phi_stream_attach(w->io, s, &end_events, &w->server);
    EXPECT_EQ(write_text(&w->server, "full"), 4);
    close_end(&w->server);
}

// Or says why before it closes, all from inside on_accept.
void io_contract_accept_owner_that_closes_at_once(const io_driver *driver)
{
    world *w = world_new(driver);
    w->on_accept = accept_write_and_close;
    connect_begin(w, &w->client);
    TURN_UNTIL(w, w->client.closed == 1 && w->server.closed == 1);
    expect_got(&w->client, "full");
    EXPECT_ERR(w->client.reason, PH_ECLOSED);
    EXPECT_ERR(w->server.reason, PH_OK);
    world_free(w);
}

// ---- writing

// Back pressure: without on_writable a full socket would never be written again; with bytes lost or
// doubled at the seam every packet after it is garbage.
void io_contract_write_short_then_writable(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    enum { TOTAL = 24 * 1024 * 1024, CHUNK = 64 * 1024 };
    static uint8_t chunk[CHUNK];
    for (size_t i = 0; i < CHUNK; i++) {
        chunk[i] = (uint8_t)(i * 31 + i / 251);
    }
    phi_stream_pause(w->io, w->server.stream, true);
    size_t sent = 0;
    uint64_t sum = 0;
    int shorts = 0;
    while (sent < TOTAL) {
        size_t offset = sent % CHUNK;
        size_t n =
            phi_stream_write(w->io, w->client.stream, phi_bytes_of(chunk + offset, CHUNK - offset));
        sum = sum_bytes(sum, sent, chunk + offset, n);
        sent += n;
        if (n < CHUNK - offset) {
            shorts++;
            phi_stream_pause(w->io, w->server.stream, false);
            TURN_UNTIL(w, w->client.writable == shorts);
        }
    }
    EXPECT(shorts > 0); // otherwise nothing was tested: TOTAL is too small
    TURN_UNTIL(w, w->server.size == sent);
    EXPECT(w->server.sum == sum);
    settle(w);
    EXPECT_EQ(w->client.writable, shorts); // once for each short write
    close_both(w);
    world_free(w);
}

// The error of a write must reach its owner as the one last event, not from inside the write.
void io_contract_write_to_broken_takes_nothing(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    driver->cut(driver->arg, w->server.stream);
    // What is written before the news is here may still be taken.
    for (int i = 0; i < 1000 && w->client.closed == 0; i++) {
        (void)write_text(&w->client, "hello?");
        if (i > 0) {
            turn(w);
        }
    }
    EXPECT_EQ(w->client.closed, 1);
    EXPECT_ERR(w->client.reason, PH_ERESET);
    EXPECT(strlen(w->client.why) != 0);
    settle(w);
    world_free(w);
}

// A packet queued before the connection stands must find its way: on_writable says when.
void io_contract_write_before_open_is_called_for_later(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_begin(w, &w->client);
    EXPECT_EQ(write_text(&w->client, "early"), 0);
    TURN_UNTIL(w, w->client.writable == 1);
    EXPECT_EQ(w->client.opened, 1);
    EXPECT_EQ(write_text(&w->client, "early"), 5);
    TURN_UNTIL(w, w->server.size == 5);
    close_both(w);
    world_free(w);
}

// ---- closing

// The owner frees its object in on_closed: a second one, or one from inside, is a use after free.
void io_contract_close_is_told_once_and_later(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    close_end(&w->client);
    close_end(&w->client); // idempotent
    EXPECT_EQ(w->client.closed, 0);
    TURN_UNTIL(w, w->client.closed == 1);
    EXPECT_ERR(w->client.reason, PH_OK);
    TURN_UNTIL(w, w->server.closed == 1);
    EXPECT_ERR(w->server.reason, PH_ECLOSED);
    settle(w);
    EXPECT_EQ(w->client.closed, 1);
    world_free(w);
}

// The earliest moment at which an owner can close.
void io_contract_close_inside_open(const io_driver *driver)
{
    world *w = world_new(driver);
    w->client.is_closer = true;
    connect_begin(w, &w->client);
    TURN_UNTIL(w, w->client.closed == 1 && w->server.closed == 1);
    EXPECT_ERR(w->client.reason, PH_OK);
    EXPECT_EQ(w->client.opened, 1);
    world_free(w);
}

// A link that finds its peer breaking the protocol closes from inside on_bytes; nothing of what
// comes later may reach it.
void io_contract_close_inside_bytes(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    w->server.is_closer = true;
    EXPECT_EQ(write_text(&w->client, "x"), 1);
    TURN_UNTIL(w, w->server.size != 0);
    size_t size = w->server.size;
    if (w->client.stream != NULL) {
        (void)write_text(&w->client, "and more");
    }
    TURN_UNTIL(w, w->server.closed == 1);
    EXPECT_ERR(w->server.reason, PH_OK);
    EXPECT_EQ(w->server.size, size);
    close_both(w);
    world_free(w);
}

// A center ends one session because of another's packet, while events for both lie in the same
// batch.
void io_contract_close_other_inside_bytes(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    connect_second_pair(w);
    w->server.victim = &w->server2;
    w->server2.victim = &w->server;
    EXPECT_EQ(write_text(&w->client, "1"), 1);
    EXPECT_EQ(write_text(&w->client2, "2"), 1);
    TURN_UNTIL(w, w->server.closed + w->server2.closed == 1);
    settle(w);
    EXPECT_EQ(w->server.closed + w->server2.closed, 1);
    EXPECT_EQ(w->server.size + w->server2.size, 1);
    const end *victim = w->server.closed == 1 ? &w->server : &w->server2;
    EXPECT_EQ(victim->size, 0);
    EXPECT_ERR(victim->reason, PH_OK);
    world_free(w);
}

// The bye that says why a link ends must not be lost because the other end had sent more than was
// read: a plain close would answer that with a reset.
void io_contract_close_delivers_what_was_written(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    phi_stream_pause(w->io, w->server.stream, true);
    for (int i = 0; i < 100; i++) {
        (void)write_text(&w->client, "a flood that nobody reads. ");
    }
    settle(w);
    EXPECT_EQ(w->server.size, 0);
    EXPECT_EQ(write_text(&w->server, "bye"), 3);
    close_end(&w->server);
    TURN_UNTIL(w, w->client.closed == 1);
    expect_got(&w->client, "bye");
    EXPECT_ERR(w->client.reason, PH_ECLOSED);
    EXPECT_EQ(w->server.size, 0);
    EXPECT_EQ(w->server.closed, 1);
    world_free(w);
}

// An owner that goes away leaves its open stream behind; its memory must not be touched again.
void io_contract_attach_again_changes_the_owner(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    end *heir = &w->server2;
    phi_stream_attach(w->io, w->server.stream, &end_events, heir);
    heir->stream = w->server.stream;
    EXPECT_EQ(write_text(&w->client, "who?"), 4);
    TURN_UNTIL(w, heir->size == 4);
    close_end(heir);
    phi_stream_attach(w->io, heir->stream, &end_events, &w->client2); // while on_closed is owed
    TURN_UNTIL(w, w->client2.closed == 1);
    EXPECT_EQ(heir->closed, 0);
    EXPECT_EQ(w->server.size, 0);
    EXPECT_EQ(w->server.closed, 0);
    TURN_UNTIL(w, w->client.closed == 1);
    world_free(w);
}

// Without it a fast sender fills the memory of whoever cannot pass its packets on.
void io_contract_pause_reads_nothing(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    phi_stream_pause(w->io, w->server.stream, true);
    EXPECT_EQ(write_text(&w->client, "one, "), 5);
    settle(w);
    EXPECT_EQ(w->server.size, 0);
    EXPECT_EQ(write_text(&w->client, "two"), 3);
    settle(w);
    EXPECT_EQ(w->server.size, 0);
    phi_stream_pause(w->io, w->server.stream, false);
    TURN_UNTIL(w, w->server.size == 8);
    expect_got(&w->server, "one, two");
    close_both(w);
    world_free(w);
}

// ---- the other end

// A service that left in order is another story than one that broke: watchers are told which.
void io_contract_peer_closes_in_order(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    EXPECT_EQ(write_text(&w->client, "last words"), 10);
    close_end(&w->client);
    TURN_UNTIL(w, w->server.closed == 1);
    expect_got(&w->server, "last words");
    EXPECT_ERR(w->server.reason, PH_ECLOSED);
    EXPECT(strlen(w->server.why) != 0);
    settle(w);
    world_free(w);
}

void io_contract_peer_breaks(const io_driver *driver)
{
    world *w = world_new(driver);
    connect_pair(w);
    driver->cut(driver->arg, w->client.stream);
    TURN_UNTIL(w, w->server.closed == 1);
    EXPECT_ERR(w->server.reason, PH_ERESET);
    EXPECT(strlen(w->server.why) != 0);
    world_free(w);
}

// ---- turns

typedef struct counting_hook {
    phi_turn_hook hook;
    world *world;
    int runs;
    size_t size_seen;                   // what the server had when the hook ran
    uint64_t turn_seen;                 // and when that was
    struct counting_hook *removes;      // NULL: nothing
    struct counting_hook *asks;         // NULL: for none; once
    const struct counting_hook *behind; // NULL: any; runs earlier in each turn
} counting_hook;

static void hook_on_turn(phi_turn_hook *hook)
{
    counting_hook *h = PHI_CONTAINER_OF(hook, counting_hook, hook);
    EXPECT(h->world->io->is_turning);
    h->runs++;
    if (h->behind != NULL) {
        EXPECT_EQ(h->behind->runs, h->runs);
    }
    if (h->world->server.size != h->size_seen) {
        h->size_seen = h->world->server.size;
        h->turn_seen = h->world->turns;
    }
    if (h->removes != NULL) {
        phi_io_unhook(&h->removes->hook);
    }
    if (h->asks != NULL) {
        phi_io_ask_hook(h->world->io, &h->asks->hook);
        h->asks = NULL;
    }
}

static void hook_add(world *w, counting_hook *h)
{
    *h = (counting_hook){ .hook = { .on_turn = hook_on_turn }, .world = w };
    phi_io_hook(w->io, &h->hook);
}

// What a turn queues leaves at its end: if the hook ran before the events, every answer would wait
// for the next event.
void io_contract_hooks_run_at_the_end_of_the_turn(const io_driver *driver)
{
    world *w = world_new(driver);
    counting_hook h;
    hook_add(w, &h);
    connect_pair(w);
    int runs = h.runs;
    uint64_t turns = w->turns;
    EXPECT_EQ(write_text(&w->client, "now"), 3);
    TURN_UNTIL(w, w->server.size == 3);
    EXPECT_EQ(h.size_seen, 3);
    EXPECT_EQ(h.turn_seen, w->server.turn_of_bytes);
    EXPECT_EQ(h.runs - runs, w->turns - turns); // once per turn
    phi_io_unhook(&h.hook);
    runs = h.runs;
    settle(w);
    EXPECT_EQ(h.runs, runs);
    close_both(w);
    world_free(w);
}

// What nobody waits for must not come before what somebody does, whoever was added first.
void io_contract_late_hooks_run_behind_all_others(const io_driver *driver)
{
    world *w = world_new(driver);
    counting_hook early;
    counting_hook late = { .hook = { .on_turn = hook_on_turn }, .world = w, .behind = &early };
    phi_io_hook_late(w->io, &late.hook);
    hook_add(w, &early);
    connect_pair(w);
    EXPECT(late.runs > 0);
    EXPECT_EQ(late.runs, early.runs); // once per turn, too
    phi_io_unhook(&late.hook);
    int runs = late.runs;
    settle(w);
    EXPECT_EQ(late.runs, runs);
    phi_io_unhook(&early.hook);
    close_both(w);
    world_free(w);
}

static void turn_at_once(world *w)
{
    phi_io_hurry(w->io);
    turn(w);
}

// What a turn hook queues leaves in its turn, and who has nothing to do is not called: else each of
// a thousand clients on a loop would cost every turn of it. One that asks for itself again must not
// hold up the loop.
void io_contract_asked_hooks_run_once(const io_driver *driver)
{
    world *w = world_new(driver);
    counting_hook asked = { .hook = { .on_turn = hook_on_turn }, .world = w };
    counting_hook always;
    counting_hook late = { .hook = { .on_turn = hook_on_turn }, .world = w, .behind = &asked };
    phi_io_hook_late(w->io, &late.hook);
    hook_add(w, &always);
    always.asks = &asked;
    turn_at_once(w);
    EXPECT_EQ(always.runs, 1);
    EXPECT_EQ(asked.runs, 1);
    EXPECT_EQ(late.runs, 1); // behind it
    phi_io_unhook(&late.hook);
    turn_at_once(w);
    EXPECT_EQ(asked.runs, 1);

    phi_io_ask_hook(w->io, &asked.hook);
    EXPECT(w->io->is_hurried);
    phi_io_ask_hook(w->io, &asked.hook);
    asked.asks = &asked;
    turn(w);
    EXPECT_EQ(asked.runs, 2);
    turn(w); // which does not wait
    EXPECT_EQ(asked.runs, 3);

    phi_io_ask_hook(w->io, &asked.hook);
    phi_io_unhook(&asked.hook);
    turn_at_once(w);
    EXPECT_EQ(asked.runs, 3);
    phi_io_unhook(&always.hook);
    world_free(w);
}

// A client freed in a callback takes its hook along, whichever hook is running.
void io_contract_hooks_may_remove_hooks(const io_driver *driver)
{
    world *w = world_new(driver);
    counting_hook hooks[4];
    for (size_t i = 0; i < PHI_COUNT_OF(hooks); i++) {
        hook_add(w, &hooks[i]);
    }
    hooks[0].removes = &hooks[1]; // the next
    hooks[2].removes = &hooks[2]; // itself
    hooks[3].removes = &hooks[0]; // one that ran
    settle(w);
    EXPECT_EQ(hooks[0].runs, 1);
    EXPECT_EQ(hooks[1].runs, 0);
    EXPECT_EQ(hooks[2].runs, 1);
    EXPECT(hooks[3].runs >= 1);
    phi_io_unhook(&hooks[3].hook);
    world_free(w);
}

static void timer_far(phi_timer *timer, phi_time now)
{
    (void)timer;
    (void)now;
    fail_msg("the turn waited");
}

// What an application queues between two turns is written by the next one, which must not wait for
// an event first.
void io_contract_hurry_keeps_the_turn_from_waiting(const io_driver *driver)
{
    world *w = world_new(driver);
    counting_hook h;
    hook_add(w, &h);
    phi_timer timer;
    phi_timer_init(&timer, timer_far);
    phi_timer_set(&w->io->timers, &timer, phi_time_add(phi_io_now(w->io), phi_ms(200)));
    phi_time before = phi_io_now(w->io);
    phi_io_hurry(w->io);
    EXPECT(w->io->is_hurried);
    turn(w);
    EXPECT_EQ(h.runs, 1);
    EXPECT(!w->io->is_hurried);
    EXPECT(phi_time_diff(w->io->now, before).ns < phi_ms(200).ns);
    phi_timer_clear(&w->io->timers, &timer);
    phi_io_unhook(&h.hook);
    world_free(w);
}

typedef struct order_timer {
    phi_timer timer;
    phi_time when;
    int *counter;
    int place; // in which it fired; 0 not yet
} order_timer;

static void order_timer_fire(phi_timer *timer, phi_time now)
{
    order_timer *t = PHI_CONTAINER_OF(timer, order_timer, timer);
    EXPECT(!phi_time_before(now, t->when));
    EXPECT_EQ(t->place, 0);
    t->place = ++*t->counter;
}

// A deadline that fires early fails a call that was in time.
void io_contract_timers_fire_in_order_and_not_early(const io_driver *driver)
{
    static const uint64_t after_us[] = { 9000, 1500, 4000, 0, 1500, 4001 };
    static const int places[] = { 5, 2, 4, 1, 3, 0 };
    world *w = world_new(driver);
    int counter = 0;
    order_timer timers[PHI_COUNT_OF(after_us)];
    phi_time start = phi_io_now(w->io);
    for (size_t i = 0; i < PHI_COUNT_OF(timers); i++) {
        timers[i] = (order_timer){ .counter = &counter };
        timers[i].when = phi_time_add(start, phi_us(after_us[i]));
        phi_timer_init(&timers[i].timer, order_timer_fire);
        phi_timer_set(&w->io->timers, &timers[i].timer, timers[i].when);
    }
    phi_timer_clear(&w->io->timers, &timers[5].timer);
    TURN_UNTIL(w, counter == 5);
    for (size_t i = 0; i < PHI_COUNT_OF(timers); i++) {
        EXPECT_EQ(timers[i].place, places[i]);
    }
    world_free(w);
}

// Everything that waits is compared with it.
void io_contract_clock_goes_on(const io_driver *driver)
{
    world *w = world_new(driver);
    phi_time last = phi_io_now(w->io);
    for (int i = 0; i < 3; i++) {
        settle(w);
        EXPECT(!phi_time_before(w->io->now, phi_time_add(last, phi_ms(1))));
        last = w->io->now;
    }
    EXPECT(phi_io_wall_ms(w->io) > UINT64_C(1500000000000));
    world_free(w);
}

// Keys are drawn from it.
void io_contract_entropy_differs(const io_driver *driver)
{
    world *w = world_new(driver);
    uint8_t a[32] = { 0 };
    uint8_t b[32] = { 0 };
    phi_io_entropy(w->io, a, sizeof a);
    phi_io_entropy(w->io, b, sizeof b);
    EXPECT(memcmp(a, b, sizeof a) != 0);
    uint8_t one[3] = { 7, 7, 7 };
    phi_io_entropy(w->io, one + 1, 0);
    EXPECT_EQ(one[0] + one[1] + one[2], 21);
    world_free(w);
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/io/io_contract_loops.c - the checks of io_contract.h that need several loops: mail, and
// streams that go from one to another.

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"
#include "tests/io/io_contract.h"

#define LOOPS IO_CONTRACT_LOOPS_MAX
#define TURNS_MAX 200000
#define LOG_MAX 20000u
#define BYTES_MAX (1024u * 1024u)

// ---- fixture: loops whose mail is a number and a filling that follows from it

typedef struct office office;

typedef struct letter {
    uint32_t from;
    uint32_t number;
} letter;

typedef struct clerk {
    office *office;
    phi_io *io;
    phi_mailbox *mail;
    size_t count; // of what came
    letter log[LOG_MAX];
    void (*on_letter)(struct clerk *c, letter l);
} clerk;

struct office {
    const io_driver *driver;
    uint32_t count;
    clerk clerks[LOOPS];
};

static uint8_t filling(uint32_t number, size_t place)
{
    return (uint8_t)(number * 31u + place);
}

static void on_mail(void *owner, uint32_t from, phi_span mail)
{
    clerk *c = (clerk *)owner;
    EXPECT(c->io->is_turning);
    EXPECT(from < c->office->count);
    EXPECT(from != phi_mailbox_index(c->mail));
    EXPECT_EQ((uintptr_t)mail.data % 8, 0);
    letter l = { .from = from };
    EXPECT(mail.size >= sizeof l.number);
    memcpy(&l.number, mail.data, sizeof l.number);
    for (size_t i = sizeof l.number; i < mail.size; i++) {
        if (mail.data[i] != filling(l.number, i)) {
            fail_msg("byte %zu of mail %u is wrong", i, l.number);
        }
    }
    memset(mail.data, 0xee, mail.size); // it may be changed
    EXPECT(c->count < LOG_MAX);
    c->log[c->count++] = l;
    if (c->on_letter != NULL) {
        c->on_letter(c, l);
    }
}

static office *office_new(const io_driver *driver, uint32_t count, size_t bytes_max)
{
    office *o = (office *)calloc(1, sizeof *o);
    assert_non_null(o);
    o->driver = driver;
    o->count = count;
    phi_io *ios[LOOPS];
    phi_mailbox *mailboxes[LOOPS];
    driver->open_loops(driver->arg, count, bytes_max, ios, mailboxes);
    for (uint32_t i = 0; i < count; i++) {
        o->clerks[i].office = o;
        o->clerks[i].io = ios[i];
        o->clerks[i].mail = mailboxes[i];
        EXPECT_EQ(phi_mailbox_index(mailboxes[i]), i);
        EXPECT_EQ(phi_mailbox_count(mailboxes[i]), count);
    }
    return o;
}

static void office_attach(office *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        phi_mailbox_attach(o->clerks[i].mail, on_mail, &o->clerks[i]);
    }
}

static void office_free(office *o)
{
    o->driver->close(o->driver->arg);
    free(o);
}

#define TURN_UNTIL(o, condition)                                                                   \
    do {                                                                                           \
        int turns_ = TURNS_MAX;                                                                    \
        while (!(condition) && turns_-- > 0) {                                                     \
            (o)->driver->turn((o)->driver->arg);                                                   \
        }                                                                                          \
        EXPECT(condition);                                                                         \
    } while (0)

static void timer_nothing(phi_timer *timer, phi_time now)
{
    (void)timer;
    (void)now;
}

// So long that whatever would happen has happened.
static void settle(office *o)
{
    phi_timer timer;
    phi_timer_init(&timer, timer_nothing);
    phi_io *io = o->clerks[0].io;
    phi_timer_set(&io->timers, &timer, phi_time_add(phi_io_now(io), phi_ms(10)));
    TURN_UNTIL(o, !phi_timer_is_set(&timer));
}

// Not posted.
static void write_letter(office *o, uint32_t from, uint32_t to, uint32_t number, size_t size)
{
    PH_ASSERT(size >= sizeof number);
    uint8_t *room = phi_mailbox_begin(o->clerks[from].mail, to, size);
    EXPECT_EQ((uintptr_t)room % 8, 0);
    memcpy(room, &number, sizeof number);
    for (size_t i = sizeof number; i < size; i++) {
        room[i] = filling(number, i);
    }
    phi_mailbox_commit(o->clerks[from].mail, to, size);
}

static void post(office *o, uint32_t from)
{
    phi_mailbox_post(o->clerks[from].mail);
}

// ---- mail

// A call that crosses loops would be cut, or overtaken by the one after it.
void io_contract_mail_comes_whole_and_in_order(const io_driver *driver)
{
    office *o = office_new(driver, 2, BYTES_MAX);
    office_attach(o);
    for (uint32_t i = 0; i < 300; i++) {
        write_letter(o, 0, 1, i, 4 + i);
        write_letter(o, 1, 0, 1000 + i, 4 + i % 7);
        if (i % 50 == 49) {
            post(o, 0);
            post(o, 1);
        }
    }
    TURN_UNTIL(o, o->clerks[0].count == 300 && o->clerks[1].count == 300);
    for (uint32_t i = 0; i < 300; i++) {
        EXPECT_EQ(o->clerks[1].log[i].number, i);
        EXPECT_EQ(o->clerks[1].log[i].from, 0);
        EXPECT_EQ(o->clerks[0].log[i].number, 1000 + i);
    }
    office_free(o);
}

// Who asks for the most it could need, and then writes less or nothing, would send rubbish.
void io_contract_mail_is_what_was_committed(const io_driver *driver)
{
    office *o = office_new(driver, 2, BYTES_MAX);
    office_attach(o);
    (void)phi_mailbox_begin(o->clerks[0].mail, 1, 100); // thought better of it
    post(o, 0);
    settle(o);
    EXPECT_EQ(o->clerks[1].count, 0);
    for (uint32_t i = 0; i < 100; i++) {
        (void)phi_mailbox_begin(o->clerks[0].mail, 1, PHI_MAIL_BYTES_MAX / 4);
        uint8_t *room = phi_mailbox_begin(o->clerks[0].mail, 1, PHI_MAIL_BYTES_MAX / 8);
        memset(room, 0x55, PHI_MAIL_BYTES_MAX / 8);
        memcpy(room, &i, sizeof i);
        phi_mailbox_commit(o->clerks[0].mail, 1, sizeof i);
    }
    settle(o);
    EXPECT_EQ(o->clerks[1].count, 0); // committed is not posted
    post(o, 0);
    TURN_UNTIL(o, o->clerks[1].count == 100);
    for (uint32_t i = 0; i < 100; i++) {
        EXPECT_EQ(o->clerks[1].log[i].number, i);
    }
    office_free(o);
}

// Loops do not start at once: what the first says while the second is made would be lost.
void io_contract_mail_waits_for_its_reader(const io_driver *driver)
{
    office *o = office_new(driver, 2, BYTES_MAX);
    write_letter(o, 0, 1, 7, 40);
    post(o, 0);
    settle(o);
    write_letter(o, 0, 1, 8, 40);
    post(o, 0);
    settle(o);
    EXPECT_EQ(o->clerks[1].count, 0);
    office_attach(o);
    EXPECT_EQ(o->clerks[1].count, 0); // not from inside the call
    TURN_UNTIL(o, o->clerks[1].count == 2);
    EXPECT_EQ(o->clerks[1].log[0].number, 7);
    EXPECT_EQ(o->clerks[1].log[1].number, 8);
    office_free(o);
}

static void detach(clerk *c, letter l)
{
    (void)l;
    phi_mailbox_attach(c->mail, NULL, NULL);
}

// A center that was stopped would get mail that was written to it before.
void io_contract_mail_is_thrown_away_for_nobody(const io_driver *driver)
{
    office *o = office_new(driver, 2, BYTES_MAX);
    office_attach(o);
    o->clerks[1].on_letter = detach;
    for (uint32_t i = 0; i < 3; i++) {
        write_letter(o, 0, 1, i, 40);
    }
    post(o, 0);
    TURN_UNTIL(o, o->clerks[1].count == 1);
    settle(o);
    write_letter(o, 0, 1, 3, 40);
    post(o, 0);
    settle(o);
    office_attach(o);
    settle(o);
    EXPECT_EQ(o->clerks[1].count, 1); // it went at the first
    EXPECT(phi_mailbox_is_roomy(o->clerks[0].mail, 1));
    office_free(o);
}

// The biggest message has to cross, too, and must not take the place of a small one before it.
void io_contract_mail_of_any_size(const io_driver *driver)
{
    static const size_t sizes[] = { 4,     5,     8,     65480, 65488, 65496,  65504,
                                    65512, 65536, 65544, 16,    70000, 131072, PHI_MAIL_BYTES_MAX };
    office *o = office_new(driver, 2, BYTES_MAX);
    office_attach(o);
    uint32_t number = 0;
    for (size_t a = 0; a < PHI_COUNT_OF(sizes); a++) {
        for (size_t b = 0; b < 3; b++) {
            write_letter(o, 0, 1, number++, sizes[a]);
            write_letter(o, 0, 1, number++, 12);
        }
        post(o, 0);
    }
    TURN_UNTIL(o, o->clerks[1].count == number);
    for (uint32_t i = 0; i < number; i++) {
        EXPECT_EQ(o->clerks[1].log[i].number, i);
    }
    office_free(o);
}

// A burst in one turn, to several at once, must neither be cut off nor mixed up.
void io_contract_mail_by_the_thousands(const io_driver *driver)
{
    office *o = office_new(driver, 3, BYTES_MAX);
    office_attach(o);
    for (uint32_t i = 0; i < LOG_MAX; i++) {
        write_letter(o, 0, 1 + i % 2, i, 4 + i % 200);
    }
    post(o, 0);
    TURN_UNTIL(o, o->clerks[1].count + o->clerks[2].count == LOG_MAX);
    for (uint32_t i = 0; i < LOG_MAX; i++) {
        EXPECT_EQ(o->clerks[1 + i % 2].log[i / 2].number, i);
    }
    office_free(o);
}

static void answer(clerk *c, letter l)
{
    if (l.number > 0) {
        write_letter(c->office, phi_mailbox_index(c->mail), l.from, l.number - 1, 24);
        phi_mailbox_post(c->mail);
    }
}

// A reply that is made while its request is read is the ordinary case.
void io_contract_mail_handler_may_answer(const io_driver *driver)
{
    office *o = office_new(driver, 2, BYTES_MAX);
    office_attach(o);
    o->clerks[0].on_letter = answer;
    o->clerks[1].on_letter = answer;
    write_letter(o, 0, 1, 100, 24);
    post(o, 0);
    TURN_UNTIL(o, o->clerks[0].count == 50 && o->clerks[1].count == 51);
    office_free(o);
}

// Clerk 2 tells clerk 1 what clerk 0 has told both.
static void pass_on(clerk *c, letter l)
{
    write_letter(c->office, 2, 1, l.number, 16);
    phi_mailbox_post(c->mail);
}

// A message that answers another would be there before it: a call to a service that nobody knows
// of yet.
void io_contract_mail_that_follows_from_mail_comes_later(const io_driver *driver)
{
    enum { ROUNDS = 300 };
    office *o = office_new(driver, 3, BYTES_MAX);
    office_attach(o);
    o->clerks[2].on_letter = pass_on;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        write_letter(o, 0, 1, i, 16);
        write_letter(o, 0, 2, i, 16);
        post(o, 0);
        if (i % 3 == 0) {
            TURN_UNTIL(o, o->clerks[1].count >= i);
        }
    }
    TURN_UNTIL(o, o->clerks[1].count == 2 * ROUNDS);
    uint32_t first = 0;
    uint32_t second = 0;
    for (size_t i = 0; i < 2 * ROUNDS; i++) {
        letter l = o->clerks[1].log[i];
        uint32_t *next = l.from == 0 ? &first : &second;
        EXPECT_EQ(l.number, *next);
        *next += 1;
        EXPECT(second <= first);
    }
    office_free(o);
}

// Two copies of the registry that learn of the same changes in different order stay different.
void io_contract_mail_has_one_order_for_all(const io_driver *driver)
{
    enum { ROUNDS = 500 };
    office *o = office_new(driver, LOOPS, BYTES_MAX);
    office_attach(o);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t from = 0; from < 2; from++) {
            write_letter(o, from, 2, i, 16);
            write_letter(o, from, 3, i, 16);
            post(o, from);
        }
        if (i % 5 == 0) {
            o->driver->turn(o->driver->arg);
        }
    }
    TURN_UNTIL(o, o->clerks[2].count == 2 * ROUNDS && o->clerks[3].count == 2 * ROUNDS);
    for (size_t i = 0; i < 2 * ROUNDS; i++) {
        EXPECT_EQ(o->clerks[2].log[i].from, o->clerks[3].log[i].from);
        EXPECT_EQ(o->clerks[2].log[i].number, o->clerks[3].log[i].number);
    }
    office_free(o);
}

// A loop that does not keep up would be written to without end.
void io_contract_mail_is_roomy_while_it_is_read(const io_driver *driver)
{
    office *o = office_new(driver, 3, 1000);
    office_attach(o);
    for (int round = 0; round < 20; round++) {
        EXPECT(phi_mailbox_is_roomy(o->clerks[0].mail, 1));
        size_t count = o->clerks[1].count;
        uint32_t written = 0;
        while (phi_mailbox_is_roomy(o->clerks[0].mail, 1)) {
            write_letter(o, 0, 1, written++, 92); // with its head, and rounded up, 104
            EXPECT(written <= 10);
            if (written % 3 == 0) {
                post(o, 0);
            }
        }
        EXPECT_EQ(written, 10);
        EXPECT(phi_mailbox_is_roomy(o->clerks[0].mail, 2)); // each has its own
        EXPECT(phi_mailbox_is_roomy(o->clerks[1].mail, 0));
        post(o, 0);
        TURN_UNTIL(o, o->clerks[1].count == count + written);
    }
    office_free(o);
}

// ---- streams

typedef struct side {
    phi_io *io;
    phi_stream *stream;
    int opened;
    int closed;
    ph_err reason;
    size_t size;
    char got[64];
} side;

static void side_on_open(void *owner)
{
    ((side *)owner)->opened++;
}

static void side_on_bytes(void *owner, phi_span bytes)
{
    side *e = (side *)owner;
    EXPECT(e->io->is_turning); // its own loop's turn, and no other's
    EXPECT_EQ(e->closed, 0);
    EXPECT(e->size + bytes.size < sizeof e->got);
    memcpy(e->got + e->size, bytes.data, bytes.size);
    e->size += bytes.size;
}

static void side_on_writable(void *owner)
{
    (void)owner;
}

static void side_on_closed(void *owner, ph_err reason, const char *why)
{
    side *e = (side *)owner;
    (void)why;
    EXPECT(e->io->is_turning);
    EXPECT_EQ(e->closed, 0);
    e->closed++;
    e->reason = reason;
    e->stream = NULL;
}

static const phi_stream_events side_events = {
    .on_open = side_on_open,
    .on_bytes = side_on_bytes,
    .on_writable = side_on_writable,
    .on_closed = side_on_closed,
};

// A client on the last loop, and a listener on the first that releases what it accepts.
typedef struct handover {
    office *o;
    phi_listener *listener;
    phi_loose_stream *loose;
    char peer[PHI_ADDRESS_TEXT_MAX]; // before it was released
    phi_identity identity;           // the same
    side client;
    side server;
} handover;

static void release_on_accept(void *owner, phi_stream *s)
{
    handover *h = (handover *)owner;
    phi_io *io = h->o->clerks[0].io;
    EXPECT(h->loose == NULL);
    phi_stream_peer(io, s, h->peer);
    phi_stream_identity(io, s, &h->identity);
    EXPECT_ERR(phi_stream_release(io, s, &h->loose), PH_OK);
}

static phi_bytes no_shed(void *owner, ph_err reason)
{
    (void)owner;
    (void)reason;
    fail_msg("nothing is to be shed");
    return phi_bytes_text("");
}

static const phi_listener_events handover_events = {
    .on_accept = release_on_accept,
    .on_shed = no_shed,
};

static handover *handover_new(const io_driver *driver)
{
    handover *h = (handover *)calloc(1, sizeof *h);
    assert_non_null(h);
    h->o = office_new(driver, 3, BYTES_MAX);
    phi_io *io = h->o->clerks[0].io;
    phi_diag diag = { "" };
    phi_listen_options at = io_driver_listens(driver);
    if (phi_io_listen(io, &at, &handover_events, h, &h->listener, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    char address[PHI_ADDRESS_TEXT_MAX];
    phi_listener_address(io, h->listener, address);
    h->client.io = h->o->clerks[2].io;
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_connect_options to = io_driver_dials(driver, address, text);
    EXPECT_ERR(phi_io_connect(h->client.io, &to, &side_events, &h->client, &h->client.stream, NULL),
               PH_OK);
    // Of TLS the handshake is the business of the loop that adopts.
    TURN_UNTIL(h->o, h->loose != NULL && (h->client.opened == 1 || driver->tls != NULL));
    return h;
}

static void handover_free(handover *h)
{
    office_free(h->o);
    free(h);
}

static void adopt(handover *h, uint32_t loop)
{
    h->server.io = h->o->clerks[loop].io;
    EXPECT_ERR(phi_stream_adopt(h->server.io, h->loose, &h->server.stream), PH_OK);
    h->loose = NULL;
}

static void attach(handover *h)
{
    phi_stream_attach(h->server.io, h->server.stream, &side_events, &h->server);
    TURN_UNTIL(h->o, h->client.opened == 1 || h->server.closed == 1);
}

static void say(side *e, const char *text)
{
    EXPECT_EQ(phi_stream_write(e->io, e->stream, phi_bytes_text(text)), strlen(text));
}

static void expect_got(const side *e, const char *text)
{
    EXPECT_EQ(e->size, strlen(text));
    EXPECT_BYTES(e->got, text, strlen(text));
}

// All connections would stay on the loop that accepts.
void io_contract_released_stream_goes_on_elsewhere(const io_driver *driver)
{
    handover *h = handover_new(driver);
    adopt(h, 1);
    char peer[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(h->server.io, h->server.stream, peer);
    EXPECT_TEXT(peer, h->peer);
    phi_identity identity;
    phi_stream_identity(h->server.io, h->server.stream, &identity);
    EXPECT_EQ(identity.is_local, h->identity.is_local);
    EXPECT_BYTES(identity.host, h->identity.host, sizeof identity.host);
    attach(h);
    say(&h->client, "hello");
    TURN_UNTIL(h->o, h->server.size == 5);
    say(&h->server, "welcome");
    TURN_UNTIL(h->o, h->client.size == 7);
    expect_got(&h->server, "hello");
    expect_got(&h->client, "welcome");
    phi_stream_close(h->client.io, h->client.stream);
    TURN_UNTIL(h->o, h->server.closed == 1 && h->client.closed == 1);
    EXPECT_ERR(h->server.reason, PH_ECLOSED);
    handover_free(h);
}

// A client speaks as soon as it is connected, and may leave before another loop has found time.
void io_contract_released_stream_keeps_what_came(const io_driver *driver)
{
    handover *h = handover_new(driver);
    say(&h->client, "one ");
    settle(h->o);
    say(&h->client, "two ");
    adopt(h, 1); // "two" is on its way to the first loop
    attach(h);
    say(&h->client, "three");
    phi_stream_close(h->client.io, h->client.stream);
    TURN_UNTIL(h->o, h->server.closed == 1);
    expect_got(&h->server, "one two three");
    EXPECT_ERR(h->server.reason, PH_ECLOSED);
    handover_free(h);

    h = handover_new(driver);
    say(&h->client, "gone");
    phi_stream_close(h->client.io, h->client.stream);
    settle(h->o);
    adopt(h, 1);
    attach(h);
    TURN_UNTIL(h->o, h->server.closed == 1);
    expect_got(&h->server, "gone");
    EXPECT_ERR(h->server.reason, PH_ECLOSED);
    handover_free(h);
}

// A loop that is full, or drained, hands on what it was given.
void io_contract_released_stream_comes_back(const io_driver *driver)
{
    handover *h = handover_new(driver);
    say(&h->client, "here");
    adopt(h, 1);
    EXPECT_ERR(phi_stream_release(h->server.io, h->server.stream, &h->loose), PH_OK);
    settle(h->o);
    adopt(h, 0);
    attach(h);
    TURN_UNTIL(h->o, h->server.size == 4);
    expect_got(&h->server, "here");
    phi_stream_close(h->server.io, h->server.stream);
    TURN_UNTIL(h->o, h->server.closed == 1 && h->client.closed == 1);
    EXPECT_ERR(h->client.reason, PH_ECLOSED);
    handover_free(h);
}

// A center that is stopped while a connection is on its way would leave the client waiting.
void io_contract_released_stream_that_nobody_takes(const io_driver *driver)
{
    handover *h = handover_new(driver);
    phi_loose_stream_close(h->o->clerks[1].io, h->loose);
    TURN_UNTIL(h->o, h->client.closed == 1);
    EXPECT_ERR(h->client.reason, PH_ECLOSED);
    handover_free(h);
}

// A reset that comes between two loops must not be forgotten: the stream would live for ever.
void io_contract_released_stream_that_broke(const io_driver *driver)
{
    handover *h = handover_new(driver);
    driver->cut(driver->arg, h->client.stream);
    settle(h->o);
    adopt(h, 1);
    attach(h);
    TURN_UNTIL(h->o, h->server.closed == 1);
    EXPECT_ERR(h->server.reason, PH_ERESET);
    handover_free(h);
}

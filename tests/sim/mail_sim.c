// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/mail_sim.c - simulated loops of one process: mail between them at the time and in the
// order it would come, and what becomes of it, and of streams on their way, when the process dies.

#include <string.h>

#include "tests/sim/sim_test.h"

#define ADDRESS "127.0.0.1:7678"
#define LOG_MAX 1000u
#define DELAY_MAX phi_us(50)

// Two loops of one process, and a client.
typedef struct process {
    sim *s;
    sim_node loops[2];
    sim_node client;
    phi_mailbox *mail[2];
    uint32_t log[LOG_MAX]; // what the second loop has read
    uint64_t at[LOG_MAX];  // and when
    size_t count;
    phi_listener *listener;
    phi_loose_stream *loose; // of the connection that came
    phi_stream *stream;      // the client's
    unsigned opens;
    unsigned closes;
    ph_err reason;
} process;

static void on_mail(void *owner, uint32_t from, phi_span mail)
{
    process *p = owner;
    EXPECT_EQ(from, 0);
    EXPECT_EQ(mail.size, sizeof p->log[0]);
    assert_true(p->count < LOG_MAX);
    memcpy(&p->log[p->count], mail.data, mail.size);
    p->at[p->count++] = sim_now(p->s).ns;
}

static void process_attach(process *p)
{
    for (uint32_t i = 0; i < 2; i++) {
        p->mail[i] = sim_mailbox(p->s, p->loops[i]);
        phi_mailbox_attach(p->mail[i], on_mail, p);
    }
}

static void process_make(process *p, uint64_t seed)
{
    *p = (process){ 0 };
    p->s = sim_new(&(sim_options){ .seed = seed, .nodes_max = 3, .path = { .delay = MS(1) } });
    p->loops[0] = sim_node_add(p->s, "loop 0");
    p->loops[1] = sim_node_add(p->s, "loop 1");
    p->client = sim_node_add(p->s, "client");
    sim_mailboxes_add(p->s, p->loops, 2, 1000, DELAY_MAX);
    process_attach(p);
}

static void process_kill(process *p)
{
    sim_node_kill(p->s, p->loops[0]);
    sim_node_kill(p->s, p->loops[1]);
}

static void process_restart(process *p)
{
    sim_node_restart(p->s, p->loops[0]);
    sim_node_restart(p->s, p->loops[1]);
    process_attach(p);
}

static void send_number(process *p, uint32_t number)
{
    uint8_t *room = phi_mailbox_begin(p->mail[0], 1, sizeof number);
    memcpy(room, &number, sizeof number);
    phi_mailbox_commit(p->mail[0], 1, sizeof number);
    phi_mailbox_post(p->mail[0]);
}

// ---- mail

// A bug that needs mail to be late, or two posts to come in one turn, could not be found.
SIM_TEST(mail, comes_in_order_some_time_within_the_delay)
{
    process p;
    process_make(&p, 1);
    unsigned together = 0;
    for (uint32_t i = 0; i < 200; i++) {
        uint64_t sent = sim_now(p.s).ns;
        send_number(&p, 2 * i);
        send_number(&p, 2 * i + 1);
        sim_run_for(p.s, DELAY_MAX);
        EXPECT_EQ(p.count, 2 * i + 2);
        EXPECT(p.at[2 * i] >= sent);
        EXPECT(p.at[2 * i + 1] <= sent + DELAY_MAX.ns);
        together += p.at[2 * i] == p.at[2 * i + 1];
    }
    for (uint32_t i = 0; i < 400; i++) {
        EXPECT_EQ(p.log[i], i);
    }
    EXPECT(together > 20);
    EXPECT(together < 180);
    sim_free(&p.s);
}

static uint64_t hash_of_run(uint64_t seed)
{
    process p;
    process_make(&p, seed);
    for (uint32_t i = 0; i < 50; i++) {
        send_number(&p, i);
        sim_run_for(p.s, phi_us(7));
    }
    sim_run_for(p.s, MS(1));
    uint64_t hash = sim_trace_hash(p.s);
    sim_free(&p.s);
    return hash;
}

// A failure that does not repeat is not found again.
SIM_TEST(mail, is_the_same_again_for_the_same_seed)
{
    EXPECT(hash_of_run(5) == hash_of_run(5));
    EXPECT(hash_of_run(5) != hash_of_run(6));
}

// A loop that stands still, as one in a long turn does, finds all that came, in order.
SIM_TEST(mail, waits_while_its_loop_is_frozen)
{
    process p;
    process_make(&p, 1);
    sim_node_freeze(p.s, p.loops[1], true);
    for (uint32_t i = 0; i < 20; i++) {
        send_number(&p, i);
        sim_run_for(p.s, MS(1));
    }
    EXPECT_EQ(p.count, 0);
    sim_node_freeze(p.s, p.loops[1], false);
    sim_run_for(p.s, phi_us(1));
    EXPECT_EQ(p.count, 20);
    for (uint32_t i = 0; i < 20; i++) {
        EXPECT_EQ(p.log[i], i);
    }
    sim_free(&p.s);
}

// A center that starts again must not read what its predecessor's workers wrote to each other.
SIM_TEST(mail, is_lost_with_its_process)
{
    process p;
    process_make(&p, 1);
    send_number(&p, 1); // under way
    uint8_t *room = phi_mailbox_begin(p.mail[0], 1, 8);
    memset(room, 0, 8);
    phi_mailbox_commit(p.mail[0], 1, 8); // not even posted
    sim_node_freeze(p.s, p.loops[1], true);
    sim_run_for(p.s, MS(1));
    send_number(&p, 2);
    sim_run_for(p.s, MS(1)); // arrived, and not read
    process_kill(&p);
    send_number(&p, 3); // who tidies up may do so
    process_restart(&p);
    sim_run_for(p.s, SECONDS(1));
    EXPECT_EQ(p.count, 0);
    send_number(&p, 4);
    sim_run_for(p.s, MS(1));
    EXPECT_EQ(p.count, 1);
    EXPECT_EQ(p.log[0], 4);
    sim_free(&p.s);
}

// ---- streams on their way

static void client_on_open(void *owner)
{
    ((process *)owner)->opens++;
}

static void client_on_bytes(void *owner, phi_span bytes)
{
    (void)owner;
    (void)bytes;
}

static void client_on_writable(void *owner)
{
    (void)owner;
}

static void client_on_closed(void *owner, ph_err reason, const char *why)
{
    process *p = owner;
    (void)why;
    p->closes++;
    p->reason = reason;
    p->stream = NULL;
}

static const phi_stream_events client_events = {
    .on_open = client_on_open,
    .on_bytes = client_on_bytes,
    .on_writable = client_on_writable,
    .on_closed = client_on_closed,
};

static void on_accept(void *owner, phi_stream *stream)
{
    process *p = owner;
    EXPECT_ERR(phi_stream_release(sim_io(p->s, p->loops[0]), stream, &p->loose), PH_OK);
}

static phi_bytes on_shed(void *owner, ph_err reason)
{
    (void)owner;
    (void)reason;
    return phi_bytes_text("");
}

static const phi_listener_events listener_events = { .on_accept = on_accept, .on_shed = on_shed };

static void process_accept(process *p)
{
    EXPECT_ERR(phi_io_listen(sim_io(p->s, p->loops[0]), &(phi_listen_options){ .address = ADDRESS },
                             &listener_events, p, &p->listener,
                             /* diag= */ NULL),
               PH_OK);
    EXPECT_ERR(phi_io_connect(sim_io(p->s, p->client), &(phi_connect_options){ .address = ADDRESS },
                              &client_events, p, &p->stream,
                              /* diag= */ NULL),
               PH_OK);
    sim_run_for(p->s, MS(10));
    EXPECT_EQ(p->opens, 1);
    EXPECT(p->loose != NULL);
}

// A client whose connection was in a mail when the process died would wait for ever.
SIM_TEST(mail, stream_on_its_way_closes_with_its_process)
{
    process p;
    process_make(&p, 1);
    process_accept(&p);
    process_kill(&p);
    sim_run_for(p.s, MS(1));
    EXPECT_EQ(p.closes, 1);
    EXPECT_ERR(p.reason, PH_ECLOSED);
    process_restart(&p);
    EXPECT_EQ(sim_blocks_used(p.s, p.loops[0]), 0);
    sim_free(&p.s);

    // With bytes that nobody read it is a reset, as from a kernel; and who tidies up has to close
    // what it finds in its mail, which reaches nobody then.
    process_make(&p, 1);
    process_accept(&p);
    EXPECT_EQ(phi_stream_write(sim_io(p.s, p.client), p.stream, phi_bytes_text("hello")), 5);
    sim_run_for(p.s, MS(10));
    process_kill(&p);
    phi_loose_stream_close(sim_io(p.s, p.loops[1]), p.loose);
    sim_run_for(p.s, MS(10));
    EXPECT_EQ(p.closes, 1);
    EXPECT_ERR(p.reason, PH_ERESET);
    sim_free(&p.s);
}

// A loop without memory must not leave a client with a connection that nobody reads.
SIM_TEST(mail, stream_that_cannot_be_adopted_is_closed)
{
    process p;
    process_make(&p, 1);
    process_accept(&p);
    sim_fault_alloc_at(p.s, p.loops[1], 1);
    phi_stream *stream = NULL;
    EXPECT_ERR(phi_stream_adopt(sim_io(p.s, p.loops[1]), p.loose, &stream), PH_ENOMEM);
    sim_run_for(p.s, MS(1));
    EXPECT_EQ(p.closes, 1);
    EXPECT_ERR(p.reason, PH_ECLOSED);
    sim_free(&p.s);
}

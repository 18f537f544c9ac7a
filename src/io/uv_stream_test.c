// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/io/uv_fixture.h"

static size_t raw_fill(int fd)
{
    static const uint8_t block[65536];
    size_t size = 0;
    for (ssize_t n; (n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) {
        size += (size_t)n;
    }
    return size;
}

// A state without a way out, or one nothing leads to, is a stream that never ends.
TEST(uv_stream, state_table_is_sound)
{
    const char *fault = phi_sm_table_fault(phi_stream_states(), STREAM_STATE_COUNT);
    if (fault != NULL) {
        fail_msg("%s", fault);
    }
}

// One peer that writes as fast as it can must not keep the others from being heard: in each turn it
// gets one buffer's worth, and everybody else theirs.
TEST(uv_stream, flooding_peer_does_not_starve_others)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int flood = raw_connect_accepted(f, 0);
    int quiet = raw_connect_accepted(f, 1);
    size_t flooded = 0;
    for (size_t turn = 1; turn <= 50; turn++) {
        flooded += raw_fill(flood);
        EXPECT_EQ(send(quiet, "x", 1, 0), 1);
        size_t before = f->ends[0].size;
        phi_uv_turn(f->uv, phi_ns(0));
        EXPECT_EQ(f->ends[1].size, turn);
        EXPECT(f->ends[0].size - before <= PHI_UV_INPUT_BYTES + PHI_UV_INPUT_MORE_BYTES);
    }
    EXPECT(flooded > 50 * 4096);
    close(flood);
    close(quiet);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1 && f->ends[1].closed == 1);
    EXPECT_EQ(f->ends[0].size, flooded); // and nothing of it was lost
    fixture_free(f);
}

static int unread(const fixture_end *e)
{
    int size = 0;
    EXPECT_EQ(ioctl(e->stream->fd, FIONREAD, &size), 0);
    return size;
}

// So much more waits for that one of ours.
static void raw_send(fixture *f, size_t index, int raw, size_t size)
{
    static const uint8_t block[128 * 1024];
    const fixture_end *e = &f->ends[index];
    int before = unread(e);
    EXPECT_EQ(send(raw, block, size, 0), (ssize_t)size);
    while (unread(e) < before + (int)size) {
        (void)sched_yield(); // on a busy machine the kernel delivers it later
    }
}

// What f->ends[0] brings in a turn of a loop that may wait.
static size_t brought_alone(fixture *f)
{
    size_t before = f->ends[0].size;
    fixture_turn(f);
    return f->ends[0].size - before;
}

// The same, where f->ends[1] has something, too.
static size_t brought(fixture *f, int other)
{
    raw_send(f, 1, other, 1);
    return brought_alone(f);
}

static void close_both(fixture *f, int raw, int other)
{
    close(raw);
    close(other);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1 && f->ends[1].closed == 1);
    fixture_free(f);
}

// A burst read as one piece has a loop that sleeps and the one that waits for its answers work one
// after the other; read in small pieces for ever, it would cost a turn for each.
TEST(uv_stream, loop_that_sleeps_reads_shares_that_grow_while_filled)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    int other = raw_connect_accepted(f, 1);
    raw_send(f, 0, raw, 60 * 1024);
    EXPECT_EQ(brought(f, other), 4 * 1024);
    EXPECT_EQ(brought(f, other), 8 * 1024);
    EXPECT_EQ(brought(f, other), 16 * 1024);
    EXPECT_EQ(brought(f, other), 32 * 1024);
    raw_send(f, 0, raw, 40 * 1024);
    EXPECT_EQ(brought(f, other), 32 * 1024); // and not more
    EXPECT_EQ(brought(f, other), 8 * 1024);  // less than half of it: the next is smaller
    raw_send(f, 0, raw, 40 * 1024);
    EXPECT_EQ(brought(f, other), 16 * 1024);
    EXPECT_EQ(brought(f, other), 24 * 1024); // at least half: it stays
    raw_send(f, 0, raw, 40 * 1024);
    EXPECT_EQ(brought(f, other), 32 * 1024);
    EXPECT_EQ(brought(f, other), 8 * 1024);
    for (int i = 0; i < 4; i++) { // never below the smallest
        raw_send(f, 0, raw, 1);
        EXPECT_EQ(brought(f, other), 1);
    }
    raw_send(f, 0, raw, 8 * 1024);
    EXPECT_EQ(brought(f, other), 4 * 1024);
    EXPECT_EQ(brought(f, other), 4 * 1024);
    close_both(f, raw, other);
}

// Each of many brings little to a turn as it is. In shares their loop went round so often that
// eight pairs made a third fewer calls, whenever polling had not paid lately.
TEST(uv_stream, crowd_is_not_read_by_shares)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    int other = raw_connect_accepted(f, 1);
    int third = raw_connect_accepted(f, 2);
    raw_send(f, 0, raw, 120 * 1024);
    EXPECT_EQ(brought(f, other), 4 * 1024); // two are no crowd
    raw_send(f, 2, third, 1);
    EXPECT_EQ(brought(f, other), 8 * 1024); // nor is it one before this turn is over
    raw_send(f, 2, third, 1);
    EXPECT_EQ(brought(f, other), PHI_UV_INPUT_BYTES);
    EXPECT_EQ(brought(f, other), PHI_UV_INPUT_BYTES); // the turn before had three
    EXPECT_EQ(brought(f, other), 16 * 1024);          // as its share was
    close(third);
    FIXTURE_UNTIL(f, f->ends[2].closed == 1);
    close_both(f, raw, other);
}

// In shares, what polling loops have to tell each other would take three turns of one.
TEST(uv_stream, loop_that_polls_reads_all_that_a_turn_may_bring)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    int other = raw_connect_accepted(f, 1);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    raw_send(f, 0, raw, 30 * 1024);
    EXPECT_EQ(brought(f, other), 30 * 1024);
    raw_send(f, 0, raw, 30 * 1024);
    f->uv->busy_poll.pause = 2; // it did not pay, lately
    EXPECT_EQ(brought(f, other), 4 * 1024);
    f->uv->busy_poll.pause = 0;
    EXPECT_EQ(brought(f, other), 26 * 1024);
    phi_uv_busy_poll(f->uv, phi_ns(0));
    raw_send(f, 0, raw, 30 * 1024);
    EXPECT_EQ(brought(f, other), 8 * 1024); // the share before was filled
    close_both(f, raw, other);
}

// A loop that somebody has for himself, a lone publisher, does more in a turn; but where two answer
// each other, who reads all that is under way has nothing to do until it comes back.
TEST(uv_stream, only_who_is_alone_for_two_turns_may_bring_most)
{
    const size_t less = PHI_UV_INPUT_BYTES + PHI_UV_INPUT_TURNS_BYTES;
    const size_t most = PHI_UV_INPUT_BYTES + PHI_UV_INPUT_MORE_BYTES;
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    int other = raw_connect_accepted(f, 1);
    const int room = 1024 * 1024;
    EXPECT_EQ(setsockopt(f->ends[0].stream->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    for (int i = 0; i < 8; i++) { // they take turns
        raw_send(f, 0, raw, 32 * 1024);
        EXPECT_EQ(brought_alone(f), 32 * 1024);
        raw_send(f, 1, other, 1);
        EXPECT_EQ(brought_alone(f), 0);
    }
    raw_send(f, 0, raw, 100 * 1024);
    EXPECT_EQ(brought_alone(f), less);
    EXPECT_EQ(brought(f, other), 100 * 1024 - less);
    raw_send(f, 0, raw, 120 * 1024);
    EXPECT_EQ(brought_alone(f), PHI_UV_INPUT_BYTES); // behind one in which both had something
    EXPECT_EQ(brought_alone(f), less);
    raw_send(f, 0, raw, 120 * 1024);
    EXPECT_EQ(brought_alone(f), most);
    EXPECT_EQ(brought_alone(f), 240 * 1024 - PHI_UV_INPUT_BYTES - less - most);
    // What is more is there once in a turn, whoever takes it.
    const size_t second = 60 * 1024;
    raw_send(f, 0, raw, most);
    raw_send(f, 1, other, second);
    size_t before = f->ends[1].size;
    size_t first = brought_alone(f);
    EXPECT_EQ(first + f->ends[1].size - before, PHI_UV_INPUT_BYTES + most);
    FIXTURE_UNTIL(f, f->ends[1].size == before + second);
    close_both(f, raw, other);
}

// Where BBR is the default, each write to this machine would set a timer.
TEST(uv_stream, what_goes_to_this_machine_is_not_paced)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    char control[16] = "";
    socklen_t size = sizeof control - 1;
    int fd = f->ends[0].stream->fd;
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size), 0);
    EXPECT_TEXT(control, "reno");
    close(raw);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    fixture_free(f);
}

// What a dying service said last, a bye perhaps, explains its death; it must be heard before the
// death is reported.
TEST(uv_stream, bytes_before_a_reset_are_read_first)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    EXPECT_EQ(send(raw, "bye", 3, 0), 3);
    raw_reset(raw);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    EXPECT_EQ(f->ends[0].size, 3);
    EXPECT_ERR(f->ends[0].reason, PH_ERESET);
    EXPECT_TEXT(f->ends[0].why, "Connection reset by peer");
    fixture_free(f);
}

// The same when it is a write that finds the connection broken: the error must not come from inside
// the write, nor hide what was received.
TEST(uv_stream, write_error_comes_after_the_bytes)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_end *e = &f->ends[0];
    EXPECT_EQ(send(raw, "bye", 3, 0), 3);
    raw_reset(raw);
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("hello")), 0);
    EXPECT_EQ(e->closed, 0);
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("hello")), 0);
    FIXTURE_UNTIL(f, e->closed == 1);
    EXPECT_EQ(e->size, 3);
    EXPECT_ERR(e->reason, PH_ERESET);
    fixture_free(f);
}

// A broken stream may still be closed by its owner, who then is told of nothing but that.
TEST(uv_stream, closing_a_broken_one_ends_in_ok)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_end *e = &f->ends[0];
    EXPECT_EQ(send(raw, "bye", 3, 0), 3);
    raw_reset(raw);
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("hello")), 0);
    phi_stream_close(f->io, e->stream);
    FIXTURE_UNTIL(f, e->closed == 1);
    EXPECT_EQ(e->size, 0);
    EXPECT_ERR(e->reason, PH_OK);
    fixture_free(f);
}

// A paused stream that breaks must not come alive again, nor stay for ever.
TEST(uv_stream, paused_one_that_breaks_ends_when_it_is_written)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_end *e = &f->ends[0];
    phi_stream_pause(f->io, e->stream, true);
    EXPECT_EQ(send(raw, "lost", 4, 0), 4);
    raw_reset(raw);
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("hello")), 0);
    FIXTURE_UNTIL(f, e->closed == 1);
    EXPECT_EQ(e->size, 0);
    EXPECT_ERR(e->reason, PH_ERESET);
    fixture_free(f);
}

// A stranger who never closes must not hold a descriptor for ever after we closed.
TEST(uv_stream, lingering_ends_by_time)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int first = raw_connect_accepted(f, 0);
    int second = raw_connect_accepted(f, 1);
    phi_stream_close(f->io, f->ends[0].stream);
    phi_stream_close(f->io, f->ends[1].stream);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1 && f->ends[1].closed == 1);
    fixture_settle(f);
    EXPECT_EQ(f->uv->lingering_count, 2);
    fixture_skip(f, phi_ms(1000));
    EXPECT_EQ(f->uv->lingering_count, 2);
    fixture_skip(f, phi_ms(2100));
    EXPECT_EQ(f->uv->lingering_count, 0);
    fixture_settle(f);
    EXPECT(phi_list_is_empty(&f->uv->streams));
    close(first);
    close(second);
    fixture_free(f);
}

// Each has its own time: the younger must not go with the elder.
TEST(uv_stream, lingering_ends_in_turn)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw[2];
    phi_stream *streams[2];
    for (size_t i = 0; i < 2; i++) {
        raw[i] = raw_connect_accepted(f, i);
        streams[i] = f->ends[i].stream;
        phi_stream_close(f->io, streams[i]);
        FIXTURE_UNTIL(f, f->ends[i].closed == 1);
        fixture_settle(f);
    }
    phi_time second = streams[1]->linger_until;
    phi_timers_run(&f->io->timers, phi_time_add(streams[0]->linger_until, phi_ms(1)));
    EXPECT_EQ(f->uv->lingering_count, 1);
    phi_timers_run(&f->io->timers, phi_time_add(second, phi_ms(1)));
    EXPECT_EQ(f->uv->lingering_count, 0);
    close(raw[0]);
    close(raw[1]);
    fixture_free(f);
}

// And one who goes on sending must not be read for ever.
TEST(uv_stream, lingering_ends_by_bytes)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    phi_stream_close(f->io, f->ends[0].stream);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    size_t sent = 0;
    for (int i = 0; i < 1000 && f->uv->lingering_count == 1; i++) {
        sent += raw_fill(raw);
        phi_uv_turn(f->uv, phi_ns(0));
    }
    EXPECT_EQ(f->uv->lingering_count, 0);
    EXPECT(sent >= 1024 * 1024);
    EXPECT_EQ(f->ends[0].size, 0);
    close(raw);
    fixture_free(f);
}

// A thousand strangers who never close must not use up the descriptors of those who work.
TEST(uv_stream, lingering_ends_by_count)
{
    enum { COUNT = 1030 };
    fixture *f = fixture_new("127.0.0.1:0");
    static int raw[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        raw[i] = raw_connect_accepted(f, i);
        phi_stream_close(f->io, f->ends[i].stream);
    }
    FIXTURE_UNTIL(f, f->ends[COUNT - 1].closed == 1);
    fixture_settle(f);
    EXPECT_EQ(f->uv->lingering_count, 1024);
    // The oldest had to go: it hears more than FIN.
    EXPECT_EQ(send(raw[0], "x", 1, MSG_NOSIGNAL), 1);
    char byte;
    EXPECT_EQ(recv(raw[0], &byte, 1, 0), 0);
    EXPECT(send(raw[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    for (size_t i = 0; i < COUNT; i++) {
        close(raw[i]);
    }
    FIXTURE_UNTIL(f, f->uv->lingering_count == 0);
    fixture_free(f);
}

// A stream whose buffer is full takes nothing more, and when it is closed all that it took still
// arrives.
TEST(uv_stream, full_one_that_is_closed_delivers_all)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_end *e = &f->ends[0];
    static uint8_t block[65536];
    size_t size = 0;
    for (size_t n;
         (n = phi_stream_write(f->io, e->stream, phi_bytes_of(block, sizeof block))) != 0;) {
        size += n;
    }
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("x")), 0);
    phi_stream_close(f->io, e->stream);
    size_t received = 0;
    for (ssize_t n = 1; n != 0;) {
        n = recv(raw, block, sizeof block, MSG_DONTWAIT);
        EXPECT(n >= 0 || errno == EAGAIN);
        received += n > 0 ? (size_t)n : 0;
        phi_uv_turn(f->uv, phi_ns(0));
    }
    EXPECT_EQ(received, size);
    EXPECT_EQ(e->closed, 1);
    close(raw);
    FIXTURE_UNTIL(f, f->uv->lingering_count == 0);
    fixture_free(f);
}

// A program that ends right after it said goodbye: the goodbye must arrive, although unread input
// would turn the close into a reset.
TEST(uv_stream, free_delivers_what_was_written_before_close)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_end *e = &f->ends[0];
    EXPECT_EQ(send(raw, "unread", 6, 0), 6);
    EXPECT_EQ(phi_stream_write(f->io, e->stream, phi_bytes_text("bye")), 3);
    phi_stream_close(f->io, e->stream);
    f->descriptors++; // raw
    fixture_free(f);
    char got[8];
    EXPECT_EQ(recv(raw, got, sizeof got, 0), 3);
    EXPECT_BYTES(got, "bye", 3);
    EXPECT_EQ(recv(raw, got, sizeof got, 0), 0);
    close(raw);
}

// Freeing a loop must leave nothing behind, in whatever state its streams are.
TEST(uv_stream, free_in_every_state_tells_nobody_and_leaks_nothing)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw[5];
    for (size_t i = 0; i < 5; i++) {
        raw[i] = raw_connect_accepted(f, i);
    }
    phi_stream_close(f->io, f->ends[0].stream); // lingering, soon
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    phi_stream_close(f->io, f->ends[1].stream); // closing
    raw_reset(raw[2]);                          // broken
    EXPECT_EQ(phi_stream_write(f->io, f->ends[2].stream, phi_bytes_text("x")), 0);
    close(raw[3]);                  // has an event that was not told
    fixture_connect(f, f->address); // dialing
    phi_io *io = f->io;
    EXPECT(!io->is_turning);
    fixture_end *ends = f->ends;
    phi_uv_free(&f->uv);
    EXPECT_EQ(ends[1].closed + ends[2].closed + ends[3].closed + ends[4].closed, 0);
    EXPECT_EQ(f->client.closed + f->client.opened, 0);
    EXPECT_EQ(f->memory.blocks, 0);
    close(raw[0]);
    close(raw[1]);
    close(raw[4]);
    EXPECT_EQ(descriptor_count(), f->descriptors);
    free(f);
}

// Without memory a connection is refused; nothing else may happen.
TEST(uv_stream, every_allocation_may_fail)
{
    for (size_t n = 1; n <= 8; n++) {
        size_t descriptors = descriptor_count();
        phi_alloc_counter memory;
        phi_alloc_counter_init(&memory, &phi_alloc_heap);
        memory.fail_at = n;
        fixture *f = (fixture *)calloc(1, sizeof *f);
        assert_non_null(f);
        f->client.f = f;
        ph_err err = phi_uv_new(&f->uv, &memory.alloc, NULL);
        if (err == PH_OK) {
            f->io = phi_uv_io(f->uv);
            err = phi_io_listen(f->io, &(phi_listen_options){ .address = "127.0.0.1:0" },
                                &fixture_listener_events, f, &f->listener, NULL);
        }
        if (err == PH_OK) {
            phi_listener_address(f->io, f->listener, f->address);
            err = phi_io_connect(f->io, &(phi_connect_options){ .address = f->address },
                                 &fixture_stream_events, &f->client, &f->client.stream, NULL);
        }
        if (err == PH_OK) {
            FIXTURE_UNTIL(f, f->client.opened == 1 && f->count + (size_t)f->sheds == 1);
            FIXTURE_UNTIL(f, f->sheds == 0 || f->client.closed == 1);
        }
        EXPECT(err == PH_OK || err == PH_ENOMEM);
        EXPECT((err == PH_OK && f->sheds == 0) == (memory.takes < n));
        phi_uv_free(&f->uv);
        EXPECT_EQ(memory.blocks, 0);
        EXPECT_EQ(descriptor_count(), descriptors);
        free(f);
    }
}

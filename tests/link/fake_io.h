// SPDX-License-Identifier: Apache-2.0
//
// tests/link/fake_io.h - for tests of the transport: an io.h with two ends in one process, a clock
// that the test moves, and streams that take as little as the test says. It counts what it is
// asked for.
//
// Life     fake_io_init -> fake_io_turn* -> fake_io_fini, which expects all streams closed

#ifndef TESTS_LINK_FAKE_IO_H
#define TESTS_LINK_FAKE_IO_H

#include "base/buf.h"
#include "io/io.h"

#define FAKE_STREAMS_MAX 16

struct phi_stream {
    struct fake_io *fake;
    phi_stream *peer; // NULL once that is gone
    const phi_stream_events *events;
    void *owner;
    phi_buf inbox;   // what the peer wrote
    size_t takes;    // bytes one write takes; SIZE_MAX: all
    unsigned writes; // calls of phi_stream_write
    bool in_use;
    bool is_new;        // on_open, or on_accept, is owed
    bool owes_writable; // a write was short
    bool is_paused;
    bool is_closed; // phi_stream_close was called
    bool is_broken;
    ph_err break_reason;
};

typedef struct fake_io {
    phi_io io;
    phi_io_ops ops;
    phi_stream streams[FAKE_STREAMS_MAX];
    const phi_listener_events *listener;
    void *listener_owner;
    bool refuses;       // connections fail
    ph_err connect_err; // phi_io_connect itself fails
    bool in_callback;
} fake_io;

void fake_io_init(fake_io *fake, const phi_alloc *alloc);
void fake_io_fini(fake_io *fake);

// One turn at the time the clock shows.
void fake_io_turn(fake_io *fake);
// Turns until no stream has anything to tell, at the same time; how many turns that took.
unsigned fake_io_settle(fake_io *fake);
// The clock moves on; turns are made whenever a timer wants one, and at the end.
void fake_io_pass(fake_io *fake, phi_dur dur);

// The connection of `s` breaks for its own end: on_closed(reason) in the next turn.
void fake_stream_break(phi_stream *s, ph_err reason);

#endif // TESTS_LINK_FAKE_IO_H

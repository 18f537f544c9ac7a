// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world_parts.h - what the files of the world (world.h) know of each other.
//
//     world.c        life, turns and time
//     world_io.c     the io of the center: streams, mail between workers
//     world_peer.c   a peer's connection, and what it makes of what comes
//     world_say.c    what a peer says, and what is expected to have come to it
//     world_calls.c  what only a look into the center's own state tells

#ifndef TESTS_CENTER_WORLD_PARTS_H
#define TESTS_CENTER_WORLD_PARTS_H

#include "io/mailbox_private.h"
#include "tests/center/world.h"

#define WORLD_STREAM_BYTES_MAX (64u * 1024u * 1024u)

// What the worker of that number is posted.
typedef struct world_box {
    phi_mailbox m; // first
    phi_mail_list inbox;
    phi_mailbox *all[WORLD_WORKERS_MAX];
} world_box;

struct phi_stream {
    phi_list node; // on world.streams
    world *w;
    phi_io *io;                      // of the loop that has it; NULL: on its way to one
    const phi_stream_events *events; // NULL: not attached yet
    void *owner;
    phi_buf to_center;
    phi_buf to_peer;
    size_t window; // so much may wait for the peer
    bool is_new;
    bool is_paused;
    bool is_closed; // by the center
    bool is_cut;    // by the peer
    bool wants_writable;
    phi_identity who; // at the peer's end
};

static inline phi_io *world_io_at(world *w, uint32_t worker)
{
    return worker == 0 ? &w->io : &w->others[worker - 1].io;
}

static inline center *world_center_at(const world *w, uint32_t worker)
{
    return worker == 0 ? w->c : w->others[worker - 1].c;
}

// ---- world_io.c

void world_io_begin(phi_io *io, world *w);

// To the center, as one that it has not accepted yet.
phi_stream *world_stream_new(world *w);
void world_stream_free(phi_stream *s); // also the peer's way to it

// Tells the center what came. True when something moved.
bool world_stream_turn(phi_stream *s);
bool world_is_any_unread(const world *w, const phi_io *io);

void world_mail_begin(world *w);
void world_mail_end(world *w);
phi_mailbox *world_mailbox(const world *w, uint32_t worker); // NULL: it has none
bool world_mail_turn(world *w, uint32_t worker);             // true when there was some
bool world_is_any_mail(const world *w);

// ---- world_peer.c

// Reads what has come to it. True when something moved.
bool peer_turn(peer *p);
// What its link has to say goes on its way.
void peer_flush(peer *p);
void peer_free(peer *p);

#endif // TESTS_CENTER_WORLD_PARTS_H

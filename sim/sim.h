// SPDX-License-Identifier: Apache-2.0
//
// sim/sim.h - the simulated world: the second implementation of io.h. Nodes with a phi_io each, one
// virtual clock, streams between them, and everything that can go wrong with both. The code above
// io.h runs in it unchanged.
//
// Everything is decided by the seed and by what the caller does: one thread, no real clock, no
// order that depends on addresses. So a run repeats exactly, and its trace hash proves it.
//
// Time      starts at 0 and stands still while a node takes a turn. Each node sees it through its
//           own clock, which has an offset.
// Turns     all events of one node at one instant that exist when the turn begins, then its due
//           timers, then its hooks: the turn of io.h. What they cause comes in a later turn,
//           perhaps at the same instant.
// Outside   between sim_run_* calls the caller may call into any node; what was queued there is
//           handled by a turn of its own as soon as the world runs on.
// Failure   the world itself has no error path: it aborts when the machine it runs on has no
//           memory.

#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdio.h>

#include "base/random.h"
#include "io/io.h"
#include "io/mailbox.h"
#include "io/tls.h"

typedef struct sim sim;

// A node by its number. 0 is the world: the script, which has no io.
typedef uint32_t sim_node;
#define SIM_WORLD 0u

// How bytes travel between two nodes, in either direction.
typedef struct sim_path {
    phi_dur delay;         // one way
    phi_dur jitter;        // up to so much more; the order within a stream is kept
    uint32_t buffer_bytes; // of a direction: written and not yet read; 0 means 64 KiB
    uint32_t read_max;     // bytes in one on_bytes; 0 means 64 KiB
    uint32_t write_max;    // bytes one write takes; 0 means as many as fit
    bool is_ragged;        // each read and write takes a random part of what it could
} sim_path;

typedef struct sim_options {
    uint64_t seed;
    uint32_t nodes_max; // the world not counted; 0 means 32
    sim_path path;      // between all nodes, until sim_path_set
    FILE *trace;        // readable trace; NULL: none; borrowed for the world's life
} sim_options;

// ---- life

sim *sim_new(const sim_options *options);

// What stood on the nodes must have been freed before, or the nodes killed.
void sim_free(sim **s);

// A node with a running loop. `name` is for the trace; copied.
sim_node sim_node_add(sim *s, const char *name);

phi_io *sim_io(sim *s, sim_node node);

// Sets how far the node's clock is ahead of world time; before anything stands on the node.
void sim_node_clock(sim *s, sim_node node, phi_dur offset);

// ---- time

phi_time sim_now(const sim *s);

// One turn of one node. False when nothing will ever happen again.
bool sim_step(sim *s);

// Until just that much later.
void sim_run_for(sim *s, phi_dur duration);

// Until `is_so` says yes after some turn, or at most that much later. Says whether it did.
typedef bool sim_condition(sim *s, void *arg);
bool sim_run_until(sim *s, sim_condition *is_so, void *arg, phi_dur limit);

// Runs `fn` in a turn of that node, so much later. Forgotten when the node is killed before.
typedef void sim_action(sim *s, void *arg);
void sim_after(sim *s, sim_node node, phi_dur delay, sim_action *fn, void *arg);

uint64_t sim_turns(const sim *s);

// The script's own random numbers, and those of what stands on one node.
phi_random *sim_random(sim *s);
phi_random *sim_node_random(sim *s, sim_node node);

// ---- nodes misbehaving

// The process dies without a word: no turn, no callback any more. Its kernel closes its connections
// (an orderly end, or a reset where bytes were unread). The caller then frees what stood on the
// node; that reaches nobody. Not from inside a turn of that node.
void sim_node_kill(sim *s, sim_node node);

// A new process on a killed node. What the old one took must have been freed: then the node uses no
// memory now.
void sim_node_restart(sim *s, sim_node node);
bool sim_node_is_alive(const sim *s, sim_node node);

// No turns while frozen (SIGSTOP, a blocked callback); what came waits.
void sim_node_freeze(sim *s, sim_node node, bool is_frozen);
bool sim_node_is_frozen(const sim *s, sim_node node);

// While not reading, bytes stay in the buffers of the node's streams; all else goes on.
void sim_node_reading(sim *s, sim_node node, bool is_reading);

// ---- loops of one process

// Makes these nodes the loops of one process: each gets a mailbox, of one set. Once for a node; it
// keeps it when it is killed, frozen and restarted, which the caller does with all of them together
// (then all mailboxes are new, and all mail is lost). Before anything stands on the nodes. What is
// posted is read between 0 and `delay_max` later, in the order in which it was posted.
void sim_mailboxes_add(sim *s, const sim_node *nodes, uint32_t count, size_t bytes_max,
                       phi_dur delay_max);

// Its mailbox, in which its number is its place in `nodes`. Asserts that it has one.
phi_mailbox *sim_mailbox(sim *s, sim_node node);

// ---- the network misbehaving; `a` and `b` are two nodes. A connection is between who dialled and
// who accepted it, also when another loop of that process has adopted it.

void sim_path_set(sim *s, sim_node a, sim_node b, const sim_path *path);

// Their connections break: each end sees a reset one delay later.
void sim_cut(sim *s, sim_node a, sim_node b);
void sim_cut_stream(sim *s, phi_stream *stream); // just this one

// Their connections become half-open: bytes vanish, no end learns anything. For good.
void sim_mute(sim *s, sim_node a, sim_node b);

// While parted, new connections between them vanish as well.
void sim_part(sim *s, sim_node a, sim_node b, bool is_parted);

// Nothing arrives between them for so long; then it all does.
void sim_hold(sim *s, sim_node a, sim_node b, phi_dur duration);

// ---- who is at the other end. TLS is as in io.h, without what it does to bytes and times.

// Whom others see at the end of connections that begin from now on: where the node dials, and where
// it accepts. Names and expiry show on TLS only. Without one, it is a node of this
// machine or of 10.0.0.0/8, by the address dialled, without certificate and user. Copied.
void sim_identity_set(sim *s, sim_node node, const phi_identity *identity);

// Credentials for phi_listen_options and phi_connect_options: they believe everybody. The world's,
// until its end.
phi_tls *sim_tls_new(sim *s, phi_tls_peers peers);

// What the node's own files of TLS (io/tls_files.h) say from now on; NULL, as at first: they cannot
// be used.
void sim_tls_files_set(sim *s, sim_node node, phi_tls *tls);

// These credentials do not believe that node, and say why; NULL: they do again. Borrowed.
void sim_tls_refuse(phi_tls *tls, sim_node node, const char *why);

// ---- faults of the node's own system

// Each allocation fails with this probability; 0 ends it.
void sim_fault_alloc(sim *s, sim_node node, uint32_t per_million);

// The `count`-th allocation from now fails (1: the next one), once. 0 takes it back.
void sim_fault_alloc_at(sim *s, sim_node node, uint32_t count);
bool sim_fault_alloc_is_due(const sim *s, sim_node node); // it has not failed yet

// How many have failed, ever.
uint64_t sim_fault_alloc_failures(const sim *s, sim_node node);

// Each connection that comes in is shed with this probability; 0 ends it.
void sim_fault_shed(sim *s, sim_node node, uint32_t percent);

// ---- looking at it

// What the node has allocated: its streams, and everything that stands on it.
size_t sim_bytes_used(const sim *s, sim_node node);
size_t sim_blocks_used(const sim *s, sim_node node);
size_t sim_bytes_peak(const sim *s, sim_node node);

// Streams the node has not closed.
size_t sim_streams_open(const sim *s, sim_node node);

// Everything that happened so far, in 64 bits.
uint64_t sim_trace_hash(const sim *s);

// A line in the readable trace, and in the hash.
PHI_PRINTF(3, 4) void sim_note(sim *s, sim_node node, const char *format, ...);
bool sim_is_tracing(const sim *s);

#endif // SIM_SIM_H

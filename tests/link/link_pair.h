// SPDX-License-Identifier: Apache-2.0
//
// tests/link/link_pair.h - for tests: two links, center and client, fed to each other by hand, at
// exact virtual times, in whatever pieces the test likes.
//
// Life     link_pair_init -> (change options) -> link_pair_start -> ... -> link_pair_fini, which
//          expects all memory back

#ifndef TESTS_LINK_LINK_PAIR_H
#define TESTS_LINK_LINK_PAIR_H

#include "base/random.h"
#include "link/link.h"

#define LINK_PAIR_SESSION 77u
#define LINK_PAIR_T0 ((phi_time){ 1000u * 1000u * 1000u })

// What came up at one end.
typedef struct link_pair_seen {
    unsigned joins;
    unsigned opens;
    unsigned packets;
    unsigned closes;
    unsigned suspicions;
    bool is_suspect;   // told of a suspicion that is not over
    uint64_t mark;     // confirmed last
    uint64_t digest;   // over commands and payloads, in order
    uint16_t command;  // of the last packet
    char account[256]; // of the last JOIN
    phi_link_end end;  // when closes is 1
    char text[PHI_BYE_TEXT_BYTES_MAX + 1];
} link_pair_seen;

typedef struct link_pair {
    phi_alloc_counter memory;
    phi_link_options options[PHI_LINK_SIDE_COUNT];
    phi_join join;
    phi_link links[PHI_LINK_SIDE_COUNT];
    phi_cipher_group ciphers; // of both ends
    link_pair_seen seen[PHI_LINK_SIDE_COUNT];
    phi_time now;
    phi_bye_code refuse_join; // what the center answers to JOIN; NORMAL: WELCOME
    phi_random random;
    size_t cut_max; // bytes are carried in random pieces of at most so many; 0: whole
} link_pair;

void link_pair_init(link_pair *pair, phi_suite suite);
void link_pair_fini(link_pair *pair);

// PH_ENOMEM only when the test made memory fail; then both links are finished.
ph_err link_pair_start(link_pair *pair);

// init, start, and the handshake.
void link_pair_open(link_pair *pair, phi_suite suite);

phi_link *link_pair_end(link_pair *pair, phi_link_side side);
phi_link_side link_pair_other(phi_link_side side);

// Lets everything that waits at `from` arrive at the other end, and drains that.
void link_pair_carry(link_pair *pair, phi_link_side from);
// Carries both ways until nothing waits.
void link_pair_settle(link_pair *pair);
// What waits at `from` is lost on the way.
void link_pair_lose(link_pair *pair, phi_link_side from);
// The one packet that waits at `from`, never sealed, and the first of its direction, was not said.
void link_pair_unsay(link_pair *pair, phi_link_side from);

// Bytes arrive at `to`, as they are.
void link_pair_inject(link_pair *pair, phi_link_side to, const void *bytes, size_t size);
// The same, enciphered as the other end's link would.
void link_pair_inject_sealed(link_pair *pair, phi_link_side to, const void *bytes, size_t size);
// A packet arrives at `to` in the link's suite, as if the other end had sent it, legal or not.
void link_pair_forge(link_pair *pair, phi_link_side to, uint16_t command, phi_bytes payload);

// Takes all events of one end.
void link_pair_drain(link_pair *pair, phi_link_side side);

// Time passes; both ends tick as often as their deadlines say.
void link_pair_pass(link_pair *pair, phi_dur dur);
// The same without one packet arriving.
void link_pair_pass_cut(link_pair *pair, phi_dur dur);

// Queues a message whose payload is `size` bytes made from `seed`. False when there is no room.
bool link_pair_say(link_pair *pair, phi_link_side from, size_t size, uint8_t seed);

#endif // TESTS_LINK_LINK_PAIR_H

// SPDX-License-Identifier: Apache-2.0
//
// tests/link/transport_world.h - for the tests of transports: an end of the center that accepts,
// and clients, on an io in memory. What owners are told is counted, and nothing may call back
// while an owner calls.

#ifndef TESTS_LINK_TRANSPORT_WORLD_H
#define TESTS_LINK_TRANSPORT_WORLD_H

#include "link/ciphers.h"
#include "link/transport.h"
#include "tests/link/fake_io.h"

#define CENTER PHI_LINK_CENTER
#define CLIENT PHI_LINK_CLIENT
#define BUFFER (256u * 1024u)

typedef struct node node;
typedef struct world world;

struct node {
    phi_transport transport;
    world *world;
    bool has_transport;
    unsigned joins;
    unsigned opens;
    unsigned packets;
    unsigned rooms;
    unsigned closes;
    unsigned gones;
    unsigned reads; // a metered one
    size_t read_bytes;
    size_t read_packets;
    phi_link_end end;
    char text[PHI_BYE_TEXT_BYTES_MAX + 1];
    // what the test wants done inside a callback
    void (*in_packet)(node *n);
    void (*in_closed)(node *n);
    void (*in_room)(node *n);
    void (*in_gone)(node *n);
    void (*in_read)(node *n);
};

struct world {
    phi_alloc_counter memory;
    fake_io fake;
    phi_transports groups[PHI_LINK_SIDE_COUNT];
    phi_ciphers ciphers[PHI_LINK_SIDE_COUNT];
    phi_link_options options[PHI_LINK_SIDE_COUNT];
    phi_join join;
    node center[4]; // the center's ends, in the order in which they were accepted
    node client[4];
    unsigned accepted;
    ph_err accept_err;  // of the last accept
    bool accepts_stuck; // streams that take nothing, not even a HELLO
    bool in_owner_call; // a call of the owner is on the stack: no callback may run
    node *other;        // for the callbacks above
};

// Owners that are told of what was read, too.
extern const phi_transport_events metered_events;

void world_init(world *w, phi_suite suite);
ph_err world_connect(world *w, size_t index);
// With `count` clients, open.
void world_open(world *w, phi_suite suite, size_t count);
void world_fini(world *w);

// ---- the owner calls, and nothing calls back

bool say(node *n, size_t size);
void bye(node *n, phi_bye_code code);
void drop(node *n);
unsigned fill(node *n, size_t size);
void expect_over(const node *n, phi_bye_code code, ph_err err);

#endif // TESTS_LINK_TRANSPORT_WORLD_H

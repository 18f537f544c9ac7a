// SPDX-License-Identifier: Apache-2.0
//
// tests/client/far.h - for tests of large messages: a center's end that takes them, grants what a
// test says, and keeps what it was told.

#ifndef TESTS_CLIENT_FAR_H
#define TESTS_CLIENT_FAR_H

#include <posthouse/client.h>
#include <posthouse/dialog.h>

#include "client/core.h"
#include "tests/client/stage.h"

#define MIB (1u << 20)
#define FLOWS_MAX 16u

// A message in fragments, as the center sees it.
typedef struct flow {
    uint8_t kind;
    uint16_t turn;
    uint64_t call;
    size_t received;
    size_t granted; // beyond the first fragment
    size_t first;   // bytes of body in it
    unsigned fragments;
    bool is_whole;
    uint16_t aborted; // the code
} flow;

// The center's end: keeps what comes, and grants.
typedef struct far {
    flow flows[FLOWS_MAX];
    unsigned flow_count;
    size_t window;   // granted to each at once, and again when used up; 0 nothing
    unsigned smalls; // messages that are not in fragments
    size_t before;   // bytes of fragments before the last small one
    size_t fragment_bytes;
    char order[256]; // of fragments: the number of their flow
    unsigned order_size;
    phi_stream_control said[64]; // to streams that come to the client
    unsigned said_count;
} far;

// Bytes that say where they stand; to be freed.
uint8_t *pattern(size_t size);
void expect_pattern(const uint8_t *bytes, size_t size, size_t from);

// The stage, with that end.
void stage_far(stage *s, far *f, phi_suite suite);
// The center grants whatever was used up, until nothing moves.
void serve(stage *s, far *f);
void control(stage *s, phi_stream_op op, const phi_message *m, uint32_t value);
void flow_control(stage *s, const flow *w, phi_stream_op op, uint32_t value);

ph_outgoing outgoing(const char *to, const uint8_t *body, size_t size);
ph_client_counters count(const stage *s);

// Note how it ended; the arg is the stage.
void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
             const ph_incoming *reply, void *arg);
void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                 const ph_gathered *gathered, void *arg);

#endif // TESTS_CLIENT_FAR_H

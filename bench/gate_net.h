// SPDX-License-Identifier: Apache-2.0
//
// bench/gate_net.h - an io.h in memory, without a clock: ends of connections in one process, each
// with its own turn. What is counted is then the program's own work, and the same every time.
//
// Life     gate_end_init -> gate_end_turn* -> gate_net_clear
// Limits   GATE_STREAMS_MAX connections; GATE_WAITING_BYTES_MAX wait in one direction: asserted

#ifndef BENCH_GATE_NET_H
#define BENCH_GATE_NET_H

#include "io/io.h"

#define GATE_STREAMS_MAX 24u
#define GATE_WAITING_BYTES_MAX (1024u * 1024)

// One end: a center or a client.
typedef struct gate_end {
    phi_io io;
    const phi_listener_events *listener; // NULL: nobody listens
    void *listener_owner;
    struct gate_end *center; // where gate_end connects to
} gate_end;

// `center`: NULL when this is it.
void gate_end_init(gate_end *end, gate_end *center);

// One turn: what has come is handed up, timers run, what was queued is written.
void gate_end_turn(gate_end *end);

// Forgets all connections; who had them is gone.
void gate_net_clear(void);

#endif // BENCH_GATE_NET_H

// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_trace.c - everything that happens, folded into 64 bits; and, on demand, as lines to read.
//
// The hash takes in time, node, kind, connection and size of each event and every byte written. It
// never takes in an address, so that two runs of one seed agree.

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "sim/sim_internal.h"

static const char *const kind_names[SIM_KIND_COUNT] = {
    [SIM_WAKE] = "timers",     [SIM_TOUCH] = "touch",     [SIM_ACTION] = "action",
    [SIM_SYN] = "syn",         [SIM_SYN_ACK] = "syn-ack", [SIM_REFUSED] = "refused",
    [SIM_TIMEOUT] = "dead",    [SIM_ACK] = "ack",         [SIM_SEGMENT] = "arrived",
    [SIM_READ] = "readable",   [SIM_ROOM] = "room",       [SIM_FIN] = "fin",
    [SIM_RESET] = "reset",     [SIM_CLOSED] = "closed",   [SIM_MAIL] = "mail",
    [SIM_SILENCE] = "silence",
};

// One step of a multiply-and-rotate hash: any change of a word changes about half of the bits of
// everything that follows.
void sim_trace_mix(sim *s, uint64_t word)
{
    uint64_t h = (s->hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    s->hash = h ^ (h >> 29);
}

static void mix_bytes(sim *s, phi_bytes bytes)
{
    while (bytes.size >= 8) {
        sim_trace_mix(s, phi_get_u64(bytes.data));
        bytes.data += 8;
        bytes.size -= 8;
    }
    uint64_t tail = bytes.size;
    for (size_t i = 0; i < bytes.size; i++) {
        tail = tail << 8 | bytes.data[i];
    }
    sim_trace_mix(s, tail);
}

static void print_head(const sim *s, sim_node node)
{
    fprintf(s->trace, "%6" PRIu64 ".%09" PRIu64 " %-12s ", s->now / UINT64_C(1000000000),
            s->now % UINT64_C(1000000000), sim_node_name(s, node));
}

void sim_trace_event(sim *s, const sim_event *event)
{
    PH_ASSERT(event->kind < SIM_KIND_COUNT);
    uint64_t conn = event->conn == NULL ? 0 : event->conn->id;
    sim_trace_mix(s, event->at);
    sim_trace_mix(s, (uint64_t)event->node << 32 | (uint64_t)event->kind << 16 | event->end);
    sim_trace_mix(s, conn << 32 ^ event->size);
    if (s->trace == NULL) {
        return;
    }
    print_head(s, event->node);
    fputs(kind_names[event->kind], s->trace);
    if (event->conn != NULL) {
        fprintf(s->trace, " #%" PRIu64, conn);
    }
    if (event->kind == SIM_SEGMENT || event->kind == SIM_MAIL) {
        fprintf(s->trace, " %u bytes", event->size);
    }
    fputc('\n', s->trace);
}

void sim_trace_bytes(sim *s, sim_node node, const char *verb, uint64_t conn, phi_bytes bytes)
{
    sim_trace_mix(s, (uint64_t)node << 32 | conn);
    mix_bytes(s, bytes);
    if (s->trace != NULL) {
        print_head(s, node);
        fprintf(s->trace, "%s #%" PRIu64 " %zu bytes\n", verb, conn, bytes.size);
    }
}

void sim_note(sim *s, sim_node node, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    PH_ASSERT(size >= 0);
    size_t kept = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    mix_bytes(s, phi_bytes_of(text, kept));
    if (s->trace != NULL) {
        print_head(s, node);
        fprintf(s->trace, "* %s\n", text);
    }
}

bool sim_is_tracing(const sim *s)
{
    return s->trace != NULL;
}

uint64_t sim_trace_hash(const sim *s)
{
    return s->hash;
}

// SPDX-License-Identifier: Apache-2.0
//
// posthouse/counters.h - what a client counted.
//
// Threads    As client.h.

#ifndef PH_COUNTERS_H
#define PH_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include <posthouse/export.h>
#include <posthouse/message.h>

#ifdef __cplusplus
extern "C" {
#endif

// Since the client was made.
typedef struct ph_client_counters {
    size_t struct_size; // set by the caller; only so much is written
    uint64_t connects;  // connections that came up
    // requests that were accepted, gathers among them; each ends in one of the next five
    uint64_t calls;
    uint64_t replies;
    uint64_t failures;
    uint64_t timeouts;
    uint64_t cancels; // ph_client_cancel, ph_client_close, ph_client_free
    uint64_t resets;  // the connection died first
    // answers of every kind to what was over, or never asked; the center's word on a call that
    // timed out here first is one
    uint64_t replies_stray;
    uint64_t requests;
    uint64_t events;
    uint64_t dropped; // requests and inquiries nobody answers and no room to say so; inquiries of
                      // calls that are over; what a center has no business to say
    uint64_t peers_dropped; // beyond peers_max, or without memory
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t large_sent;     // messages in fragments, to their last one
    uint64_t large_received; // same
    uint64_t large_dropped;  // given up on their way, in either direction

    // inquiries that ph_client_ask accepted; each ends in one of the next five
    uint64_t asks;
    uint64_t ask_answers;
    uint64_t ask_failures;
    uint64_t ask_timeouts;
    uint64_t ask_cancels; // also when the request was answered, or its caller gave up
    uint64_t ask_resets;
    uint64_t inquiries; // of our responders, that belonged to a call
    uint64_t parts;     // of gathers: replies and failures of single instances
    // events that ph_client_send_with_receipt accepted; each ends in one of the next two
    uint64_t receipts_wanted;
    uint64_t receipts;
    uint64_t receipts_lost; // none in time, cancelled, or the connection died first
} ph_client_counters;

//   out   its struct_size set by the caller
PH_API void ph_client_count(const ph_client *client, ph_client_counters *out);

#ifdef __cplusplus
}
#endif

#endif // PH_COUNTERS_H

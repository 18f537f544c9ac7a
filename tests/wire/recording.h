// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/recording.h - a stream of packets as one direction of a link sent it, with what is
// needed to go on from any packet in it: where it begins, the check before it, the key stream.

#ifndef TESTS_WIRE_RECORDING_H
#define TESTS_WIRE_RECORDING_H

#include "base/random.h"
#include "wire/inbound.h"

typedef struct recording_packet {
    size_t at;       // first byte in the stream
    size_t size;     // with the head
    phi_check check; // before it
    uint64_t hash;   // of command and payload
} recording_packet;

typedef struct recording {
    phi_suite suite;
    size_t count;
    recording_packet *packets; // owned; one more than `count`, for the end
    size_t size;
    uint8_t *stream; // owned; as sent
    uint8_t *clear;  // owned; before the cipher
} recording;

// What the packets are like.
typedef struct recording_mix {
    size_t count;
    size_t payload_max; // of most packets; some are empty, some are heartbeats
    size_t largest;     // so many have the largest size there is
} recording_mix;

void recording_init(recording *r, phi_suite suite, const recording_mix *mix, uint64_t seed);
void recording_fini(recording *r);

// A receiver that has read everything before packet `index`.
void recording_resume(const recording *r, size_t index, phi_inbound *in);

// Enciphers what is to be read in place of stream bytes from `at` on. Nothing in other suites.
void recording_encipher(const recording *r, size_t at, phi_span bytes);

uint64_t recording_hash(const phi_packet *packet);

#endif // TESTS_WIRE_RECORDING_H

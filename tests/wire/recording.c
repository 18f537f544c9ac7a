// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/recording.c - makes recordings, with the sender's own code.
//
// To go on in the middle of an OFB key stream, no state of the cipher is needed: a block of the key
// stream is the encipherment of the one before it, so the block before serves as IV.

#include "tests/wire/recording.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/codes.h"
#include "wire/outbound.h"

#define BLOCK 16

static const uint8_t key[PHI_CIPHER_KEY_BYTES] = { 0x70, 0x6f, 0x73, 0x74 };
static const uint8_t iv[PHI_CIPHER_IV_BYTES] = { 0x68, 0x6f, 0x75, 0x73, 0x65 };

static void *must_malloc(size_t size)
{
    void *p = malloc(size);
    PH_ASSERT(p != NULL);
    return p;
}

uint64_t recording_hash(const phi_packet *packet)
{
    uint64_t h = packet->command ^ (uint64_t)packet->payload.size << 16;
    const uint8_t *p = packet->payload.data;
    size_t left = packet->payload.size;
    for (; left >= 8; left -= 8, p += 8) {
        h = (h ^ phi_get_u64(p)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    for (; left > 0; left--, p++) {
        h = (h ^ *p) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h;
}

static size_t payload_size(const recording *r, const recording_mix *mix, size_t index,
                           phi_random *random)
{
    size_t every = mix->largest == 0 ? 0 : mix->count / mix->largest;
    if (every != 0 && index % every == every - 1) {
        return PHI_PACKET_BYTES_MAX - phi_suite_head(r->suite);
    }
    switch (phi_random_below(random, 8)) {
    case 0:
        return 0;
    case 1:
    case 2:
        return 9;
    default:
        return (size_t)phi_random_below(random, mix->payload_max + 1);
    }
}

// Checks the packets in `clear`, and keeps where the check stood before each.
static void recording_check(recording *r)
{
    phi_check check = { 0 };
    for (size_t i = 0; i < r->count; i++) {
        recording_packet *packet = &r->packets[i];
        packet->check = check;
        if (phi_suite_is_checked(r->suite)) {
            uint8_t *at = r->clear + packet->at;
            phi_put_u16(at + 4, phi_check_packet(&check, phi_bytes_of(at, packet->size)));
        }
    }
    r->packets[r->count] = (recording_packet){ .at = r->size, .check = check };
}

void recording_init(recording *r, phi_suite suite, const recording_mix *mix, uint64_t seed)
{
    phi_random random = phi_random_seeded(seed);
    phi_outbound out;
    *r = (recording){ .suite = suite, .count = mix->count };
    r->packets = must_malloc((mix->count + 1) * sizeof r->packets[0]);
    phi_outbound_init(&out, &phi_alloc_heap, SIZE_MAX / 4);
    bool is_paper = suite == PHI_SUITE_PAPER;
    ph_err rc = phi_outbound_suite(&out, &phi_alloc_heap, suite, is_paper ? key : NULL,
                                   is_paper ? iv : NULL);
    PH_ASSERT(rc == PH_OK);
    for (size_t i = 0; i < mix->count; i++) {
        phi_packet packet = { .command = (uint16_t)phi_random_between(&random, 1,
                                                                      PHI_COMMAND_CREDENTIAL) };
        size_t size = payload_size(r, mix, i, &random);
        r->packets[i].at = phi_outbound_size(&out);
        r->packets[i].size = size + phi_suite_head(suite);
        uint8_t *room = phi_outbound_begin(&out, size);
        PH_ASSERT(room != NULL);
        for (size_t j = 0; j < size; j++) {
            room[j] = (uint8_t)phi_random_next(&random);
        }
        packet.payload = phi_bytes_of(room, size);
        r->packets[i].hash = recording_hash(&packet);
        phi_outbound_commit(&out, packet.command, size);
    }
    r->size = phi_outbound_size(&out);
    r->clear = must_malloc(r->size);
    r->stream = must_malloc(r->size);
    memcpy(r->clear, phi_buf_view(&out.buf).data, r->size);
    recording_check(r);
    memcpy(r->stream, phi_outbound_seal(&out).data, r->size);
    phi_outbound_fini(&out);
}

void recording_fini(recording *r)
{
    free(r->packets);
    free(r->stream);
    free(r->clear);
    *r = (recording){ 0 };
}

// The IV with which the key stream goes on at the block that holds byte `at`.
static void iv_at(const recording *r, size_t at, uint8_t out[BLOCK])
{
    if (at < BLOCK) {
        memcpy(out, iv, BLOCK);
        return;
    }
    size_t before = at / BLOCK * BLOCK - BLOCK;
    for (size_t i = 0; i < BLOCK; i++) {
        out[i] = r->clear[before + i] ^ r->stream[before + i];
    }
}

void recording_resume(const recording *r, size_t index, phi_inbound *in)
{
    PH_ASSERT(index <= r->count);
    size_t at = r->packets[index].at;
    uint8_t here[BLOCK];
    bool is_paper = r->suite == PHI_SUITE_PAPER;
    iv_at(r, at, here);
    phi_inbound_init(in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    ph_err rc = phi_inbound_suite(in, r->suite, is_paper ? key : NULL, is_paper ? here : NULL);
    PH_ASSERT(rc == PH_OK);
    in->check = r->packets[index].check;
    if (is_paper) {
        uint8_t skipped[BLOCK];
        phi_cipher_apply(&in->cipher, (phi_span){ skipped, at % BLOCK });
    }
}

void recording_encipher(const recording *r, size_t at, phi_span bytes)
{
    if (r->suite != PHI_SUITE_PAPER) {
        return;
    }
    uint8_t here[BLOCK];
    uint8_t skipped[BLOCK];
    phi_cipher cipher;
    iv_at(r, at, here);
    ph_err rc = phi_cipher_init(&cipher, &phi_alloc_heap, key, here);
    PH_ASSERT(rc == PH_OK);
    phi_cipher_apply(&cipher, (phi_span){ skipped, at % BLOCK });
    phi_cipher_apply(&cipher, bytes);
    phi_cipher_fini(&cipher);
}

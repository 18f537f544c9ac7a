// SPDX-License-Identifier: Apache-2.0
//
// wire/outbound.h - one direction of a link as sent: packets in, bytes out. Each packet is written
// in place into the send buffer; all of a turn are checked and enciphered together when it ends.
//
// Shared   What is the same for many receivers need not be copied for each of them: it is sent from
//          where it stands in the turn's run. What waits is either that or the send buffer, never
//          both: whatever is queued behind a stretch of the run copies that first.
//
// Life     init -> (begin -> commit | put | share)* , (seal -> sent -> keep)* -> fini
// Limits   bytes_max bytes wait; beyond it phi_outbound_begin returns NULL
// Threads  none

#ifndef PHI_WIRE_OUTBOUND_H
#define PHI_WIRE_OUTBOUND_H

#include "base/buf.h"
#include "wire/check.h"
#include "wire/cipher.h"
#include "wire/packet.h"
#include "wire/run.h"

// What each packet passes stands first.
typedef struct phi_outbound {
    phi_suite suite;
    phi_check check;
    // Bytes at the front of `buf` that may be sent: checked and enciphered, or HELLO.
    uint32_t sealed;
    uint32_t begun;       // room that begin gave, with the head; 0: none
    uint32_t shared_at;   // in `run`
    uint32_t shared_size; // 0: nothing of it waits
    phi_buf buf;          // empty while anything of `run` waits
    phi_run *run;         // borrowed while anything of it waits
    phi_cipher cipher;
} phi_outbound;

// Starts in suite plain. The bytes come from `alloc`.
void phi_outbound_init(phi_outbound *out, const phi_alloc *alloc, size_t bytes_max);
void phi_outbound_fini(phi_outbound *out);

// From the next packet on; what is already in the buffer stays as it is. Of `alloc` is the cipher.
// PH_ENOMEM   no memory for the cipher
PHI_MUST_CHECK ph_err phi_outbound_suite(phi_outbound *out, const phi_alloc *alloc, phi_suite suite,
                                         const uint8_t *key, const uint8_t *iv);

// Whether a packet that is put into the run next could be shared.
static inline bool phi_outbound_may_share(const phi_outbound *out, const phi_run *run)
{
    return out->suite == PHI_SUITE_PLAIN && phi_buf_size(&out->buf) == 0 &&
           (out->shared_size == 0 || out->shared_at + out->shared_size == phi_run_end(run));
}

// Queues packets that stand in the run, which has lent them for that (phi_run_lend). False when
// they have to be copied: not in suite plain, not right behind what waits, or no room as for begin
// with `spare`. Before the run is reset, all of it is to be sent, kept or forgotten.
static PHI_ALWAYS_INLINE bool phi_outbound_share_lent(phi_outbound *out, phi_run *run,
                                                      phi_stretch packets, size_t spare)
{
    size_t waiting = out->shared_size;
    bool fits = waiting != 0 ? out->shared_at + waiting == packets.at
                             : out->suite == PHI_SUITE_PLAIN && phi_buf_size(&out->buf) == 0;
    if (PHI_UNLIKELY(!fits || waiting + packets.size + spare > out->buf.bytes_max)) {
        return false;
    }
    if (waiting == 0) {
        out->run = run;
        out->shared_at = packets.at;
        out->begun = 0;
    }
    out->shared_size += packets.size;
    return true;
}

// The same for packets that are to be lent first. False also when the run was reset since, or
// memory is short.
static PHI_ALWAYS_INLINE bool phi_outbound_share(phi_outbound *out, phi_run *run,
                                                 const phi_stretch *packets, size_t spare)
{
    if (!phi_run_has(run, packets) || !phi_run_lend(run, packets->size)) {
        return false;
    }
    bool is_shared = phi_outbound_share_lent(out, run, *packets, spare);
    if (!is_shared) {
        phi_run_take_back(run, packets->size);
    }
    return is_shared;
}

// Copies what waits and is shared, if there is any. `spare` bytes of memory are left behind the
// copy, of those that phi_outbound_share kept room for. False without memory; then it still waits.
PHI_MUST_CHECK bool phi_outbound_keep(phi_outbound *out, size_t spare);

// Nothing that is shared waits any more: the rest of a packet is lost, and all that would follow.
void phi_outbound_forget(phi_outbound *out);

// Room for a payload of up to `payload_max` bytes; NULL when the buffer is full (or there is no
// memory). The packet with its head must not be longer than PHI_PACKET_BYTES_MAX: asserted. Nothing
// is sent before commit; a second begin forgets the first. It leaves `spare` bytes of memory behind
// the packet: what needs no more than that finds room even when there is no memory left.
static PHI_ALWAYS_INLINE uint8_t *phi_outbound_begin_before(phi_outbound *out, size_t payload_max,
                                                            size_t spare)
{
    size_t head = phi_suite_head(out->suite);
    PH_ASSERT(payload_max <= PHI_PACKET_BYTES_MAX - head);

    out->begun = 0;
    if (PHI_UNLIKELY(out->shared_size != 0) && !phi_outbound_keep(out, spare)) {
        return NULL;
    }
    uint8_t *room = phi_buf_reserve(&out->buf, head + payload_max + spare);
    if (PHI_UNLIKELY(room == NULL)) {
        return NULL;
    }
    out->begun = (uint32_t)(head + payload_max);
    return room + head;
}

static inline uint8_t *phi_outbound_begin(phi_outbound *out, size_t payload_max)
{
    return phi_outbound_begin_before(out, payload_max, 0);
}

static PHI_ALWAYS_INLINE void phi_outbound_write_head(uint8_t *packet, size_t head, uint16_t code,
                                                      size_t size)
{
    phi_put_u32(packet, (uint32_t)size);
    phi_put_u16(packet + head - 2, code);
}

// What was committed last is a secret, of which nothing is to be left in memory.
static inline void phi_outbound_guard(phi_outbound *out)
{
    phi_buf_guard(&out->buf);
}

// The packet whose payload now stands where begin said; `payload_size` is at most what begin was
// told.
static PHI_ALWAYS_INLINE void phi_outbound_commit(phi_outbound *out, uint16_t code,
                                                  size_t payload_size)
{
    size_t head = phi_suite_head(out->suite);
    size_t size = head + payload_size;
    PH_ASSERT(out->begun != 0);
    PH_ASSERT(size <= out->begun);

    phi_outbound_write_head(out->buf.data + out->buf.write, head, code, size);
    phi_buf_commit(&out->buf, size);
    out->begun = 0;
}

// Both in one, for a payload whose size is known: where it goes, to be written there before
// anything else is done here. NULL as begin.
static PHI_ALWAYS_INLINE uint8_t *phi_outbound_put(phi_outbound *out, uint16_t code,
                                                   size_t payload_size, size_t spare)
{
    size_t head = phi_suite_head(out->suite);
    size_t size = head + payload_size;
    PH_ASSERT(size <= PHI_PACKET_BYTES_MAX);

    if (PHI_UNLIKELY(out->shared_size != 0) && !phi_outbound_keep(out, spare)) {
        return NULL;
    }
    uint8_t *packet = phi_buf_reserve(&out->buf, size + spare);
    if (PHI_UNLIKELY(packet == NULL)) {
        return NULL;
    }
    phi_outbound_write_head(packet, head, code, size);
    phi_buf_commit(&out->buf, size);
    out->begun = 0;
    return packet + head;
}

// For a caller that knows what the packet that was put last, with that payload, adds to the check
// (check.h): its check is made now, and seal does not read it again. Does nothing outside suite
// check, nor while a packet before it still waits for its own.
static PHI_ALWAYS_INLINE void phi_outbound_check(phi_outbound *out, uint8_t *payload,
                                                 size_t payload_size, uint16_t part)
{
    uint8_t *packet = payload - PHI_PACKET_HEAD_CHECKED;
    size_t size = PHI_PACKET_HEAD_CHECKED + payload_size;
    if (out->suite != PHI_SUITE_CHECK || packet != out->buf.data + out->buf.read + out->sealed) {
        return;
    }
    PH_ASSERT(packet + size == out->buf.data + out->buf.write);
    PH_ASSERT_SLOW(part == phi_check_part(phi_bytes_of(packet, size)));
    phi_put_u16(packet + 4, phi_check_take(&out->check, part, size));
    out->sealed += (uint32_t)size;
}

// Bytes that wait, sealed or not.
static inline size_t phi_outbound_size(const phi_outbound *out)
{
    return phi_buf_size(&out->buf) + out->shared_size;
}

// Checks and enciphers what is not yet and returns all that waits; valid until the next call on
// `out`, or on the run.
phi_bytes phi_outbound_seal(phi_outbound *out);

// The first `count` of them have left. What is shared of the others is to be kept, or forgotten.
void phi_outbound_sent(phi_outbound *out, size_t count);

#endif // PHI_WIRE_OUTBOUND_H

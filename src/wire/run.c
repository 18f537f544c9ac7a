// SPDX-License-Identifier: Apache-2.0
//
// wire/run.c - see run.h.
//
// Its bytes may move when it grows, so a stretch is an offset. The quota is asked for its promise
// ahead, in steps larger than most packets, and what is left of that is given back with the reset.
// A promise of which a copy was made is used up: otherwise all who are copied in a turn would take
// their memory on the same one.
//
// Invariants  lent <= lent_max; the quota promised a copy of each byte of lent_max
//
// Clauses: P-10.

#include "wire/run.h"

#include "base/assert.h"
#include "wire/packet.h"

enum {
    PROMISE_STEP_BYTES = 16384,
};

// A copy stands in a block that is up to twice as large as the copy and what else must find room
// there. That is less than the copy; or else the block is a small one, which needs no promise.
static size_t copies_of(size_t size)
{
    return 4 * size;
}

void phi_run_init(phi_run *run, const phi_alloc *alloc, size_t bytes_max, phi_quota *quota)
{
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(bytes_max <= UINT32_MAX);
    *run = (phi_run){ .quota = quota, .generation = 1 };
    phi_buf_init(&run->bytes, alloc, bytes_max);
}

void phi_run_fini(phi_run *run)
{
    if (run->generation != 0) {
        phi_run_reset(run);
        phi_buf_fini(&run->bytes);
    }
}

uint8_t *phi_run_put(phi_run *run, uint16_t code, size_t payload_size, phi_stretch *out)
{
    size_t size = PHI_PACKET_HEAD_PLAIN + payload_size;
    PH_ASSERT(size <= PHI_PACKET_BYTES_MAX);
    uint8_t *packet = phi_buf_reserve(&run->bytes, size);
    if (packet == NULL) {
        return NULL;
    }
    *out = (phi_stretch){ .at = run->bytes.write,
                          .size = (uint32_t)size,
                          .generation = run->generation };
    phi_put_u32(packet, (uint32_t)size);
    phi_put_u16(packet + PHI_PACKET_HEAD_PLAIN - 2, code);
    phi_buf_commit(&run->bytes, size);
    PH_ASSERT(run->bytes.read == 0);
    return packet + PHI_PACKET_HEAD_PLAIN;
}

bool phi_run_promise(phi_run *run, size_t size)
{
    PH_ASSERT(run->lent <= run->lent_max);
    size_t step = size < PROMISE_STEP_BYTES ? PROMISE_STEP_BYTES : size;
    if (run->quota != NULL && !phi_quota_promise(run->quota, copies_of(step))) {
        return false;
    }
    run->lent_max += step;
    return true;
}

void phi_run_copied(phi_run *run, size_t size)
{
    phi_run_take_back(run, size);
    PH_ASSERT(size <= run->lent_max);
    run->lent_max -= size;
    if (run->quota != NULL) {
        phi_quota_release(run->quota, copies_of(size));
    }
}

void phi_run_reset(phi_run *run)
{
    PH_ASSERT(run->lent == 0);
    uint32_t size = phi_run_end(run);
    if (size == 0) {
        return;
    }
    run->peak = size > run->peak ? size : run->peak;
    phi_buf_consume(&run->bytes, size);
    run->generation = run->generation == UINT32_MAX ? 1 : run->generation + 1;
    if (run->quota != NULL) {
        phi_quota_release(run->quota, copies_of(run->lent_max));
    }
    run->lent_max = 0;
}

void phi_run_rest(phi_run *run)
{
    bool is_quiet = run->peak <= run->bytes.capacity / 4;
    run->peak = 0;
    if (is_quiet && phi_run_is_large(run)) {
        phi_buf_release(&run->bytes); // if empty
    }
}

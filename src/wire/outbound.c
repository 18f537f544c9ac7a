// SPDX-License-Identifier: Apache-2.0
//
// wire/outbound.c - packets are built where they will be sent from.
//
// Design notes
//
// Both check and cipher wait for phi_outbound_seal. The check goes from packet to packet, in their
// order: when a packet is committed, its bytes are still on their way from many small stores to the
// cache, and reading them in wide pieces would wait for that. The cipher runs once over everything
// since the last seal, because the key stream does not care where packets begin.
//
// A stretch of the run is sent as it is: in suite plain only, where a packet is the same for
// everybody. It is copied when something else is queued behind it, or when the stream did not take
// all of it at the end of the turn; so a receiver that keeps up takes no memory here.
//
// Invariants: sealed <= size of `buf`, and what follows it there is whole packets; begun is 0, or
// more than a head; while shared_size is not 0, `buf` is empty.
//
// Clauses: P-10, P-11, P-21, P-23, P-25.

#include "wire/outbound.h"

#include "base/assert.h"

void phi_outbound_init(phi_outbound *out, const phi_alloc *alloc, size_t bytes_max)
{
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(bytes_max >= PHI_PACKET_HEAD_CHECKED);

    *out = (phi_outbound){ .suite = PHI_SUITE_PLAIN };
    phi_buf_init(&out->buf, alloc, bytes_max);
}

void phi_outbound_fini(phi_outbound *out)
{
    phi_outbound_forget(out);
    phi_cipher_fini(&out->cipher);
    phi_buf_fini(&out->buf);
    out->sealed = 0;
    out->begun = 0;
}

ph_err phi_outbound_suite(phi_outbound *out, const phi_alloc *alloc, phi_suite suite,
                          const uint8_t *key, const uint8_t *iv)
{
    PH_ASSERT(suite < PHI_SUITE_COUNT);
    PH_ASSERT(out->suite == PHI_SUITE_PLAIN); // what waits needs no seal
    PH_ASSERT(out->shared_size == 0);
    PH_ASSERT((key != NULL) == (suite == PHI_SUITE_PAPER));
    PH_ASSERT((iv != NULL) == (suite == PHI_SUITE_PAPER));

    if (suite == PHI_SUITE_PAPER) {
        ph_err rc = phi_cipher_init(&out->cipher, alloc, key, iv);
        if (rc != PH_OK) {
            return rc;
        }
    }
    out->suite = suite;
    out->check = (phi_check){ 0 };
    out->sealed = (uint32_t)phi_buf_size(&out->buf); // HELLO stays plain
    out->begun = 0;                                  // it had room for another head
    return PH_OK;
}

bool phi_outbound_keep(phi_outbound *out, size_t spare)
{
    size_t size = out->shared_size;
    if (size == 0) {
        return true;
    }
    PH_ASSERT(phi_buf_size(&out->buf) == 0);
    phi_quota *quota = out->run->quota;
    const phi_alloc *alloc = out->buf.alloc;
    if (quota != NULL) {
        PH_ASSERT(alloc == &quota->limited);
        out->buf.alloc = &quota->counted; // it was promised
    }
    uint8_t *room = phi_buf_reserve(&out->buf, size + spare);
    out->buf.alloc = alloc;
    if (room == NULL) {
        return false;
    }
    memcpy(room, phi_run_at(out->run, out->shared_at), size);
    phi_buf_commit(&out->buf, size);
    phi_run_copied(out->run, size);
    out->shared_size = 0;
    return true;
}

void phi_outbound_forget(phi_outbound *out)
{
    if (out->shared_size != 0) {
        phi_run_take_back(out->run, out->shared_size);
        out->shared_size = 0;
    }
}

phi_bytes phi_outbound_seal(phi_outbound *out)
{
    if (out->shared_size != 0) {
        return phi_bytes_of(phi_run_at(out->run, out->shared_at), out->shared_size);
    }
    phi_span all = phi_buf_view(&out->buf);
    PH_ASSERT(out->sealed <= all.size);

    if (out->sealed < all.size && phi_suite_is_checked(out->suite)) {
        phi_span fresh = { all.data + out->sealed, all.size - out->sealed };
        phi_check_write(&out->check, fresh);
        if (out->suite == PHI_SUITE_PAPER) {
            phi_cipher_apply(&out->cipher, fresh);
        }
    }
    out->sealed = (uint32_t)all.size;
    return phi_span_view(all);
}

void phi_outbound_sent(phi_outbound *out, size_t count)
{
    if (out->shared_size != 0) {
        PH_ASSERT(count <= out->shared_size);
        phi_run_take_back(out->run, count);
        out->shared_at += (uint32_t)count;
        out->shared_size -= (uint32_t)count;
        return;
    }
    PH_ASSERT(count <= out->sealed);
    phi_buf_consume(&out->buf, count);
    out->sealed -= (uint32_t)count;
    out->begun = 0; // its room may have moved
}

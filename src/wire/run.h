// SPDX-License-Identifier: Apache-2.0
//
// wire/run.h - packets that are the same for many receivers, written once: a *run* of them, of
// which the outbounds of the receivers see stretches (phi_outbound_share) instead of copying them.
//
// A run lives for a turn. Before it is reset nobody may see anything of it any more: who could not
// send all of his stretch has copied the rest by then (phi_outbound_keep). That such copies find
// room is promised to the run by the quota that the copies come from, when a stretch is lent.
//
// Life     init -> (put*, reset)*, and phi_run_rest now and then -> fini
// Limits   bytes_max bytes in a turn; beyond it phi_run_put returns NULL, and all are sent copies
// Memory   That of its largest turn stays for the next ones, until phi_run_rest finds that none of
//          them needs it.
// Threads  none

#ifndef PHI_WIRE_RUN_H
#define PHI_WIRE_RUN_H

#include "base/buf.h"
#include "base/quota.h"

typedef struct phi_run {
    phi_buf bytes;
    uint32_t peak;       // bytes of the largest turn since phi_run_rest
    phi_quota *quota;    // borrowed, that of the outbounds; NULL: none
    uint32_t generation; // counts its resets; never 0
    size_t lent;         // bytes that outbounds see, added up
    size_t lent_max;     // that copies are promised for
} phi_run;

// Where a packet, or several in a row, stand in a run: nowhere while zeroed, or when the run was
// reset since.
typedef struct phi_stretch {
    uint32_t at;
    uint32_t size;
    uint32_t generation;
} phi_stretch;

void phi_run_init(phi_run *run, const phi_alloc *alloc, size_t bytes_max, phi_quota *quota);

// Nobody sees anything of it: asserted. Accepts a zeroed one.
void phi_run_fini(phi_run *run);

// Writes the head of a packet in suite plain, and returns where its payload goes, to be written
// there before anything else is done here. NULL without room or memory; else *out says where it is.
uint8_t *phi_run_put(phi_run *run, uint16_t code, size_t payload_size, phi_stretch *out);

// Whether that stretch is in it now.
static inline bool phi_run_has(const phi_run *run, const phi_stretch *stretch)
{
    return stretch->generation == run->generation;
}

// Where the next packet will stand.
static inline uint32_t phi_run_end(const phi_run *run)
{
    return run->bytes.write;
}

static inline const uint8_t *phi_run_at(const phi_run *run, uint32_t at)
{
    PH_ASSERT(at < run->bytes.write);
    return run->bytes.data + at;
}

// Slow path of phi_run_lend. Do not call.
bool phi_run_promise(phi_run *run, size_t size);

// Somebody sees so many bytes more. False when there might be no memory for them, were they to be
// copied.
static inline bool phi_run_lend(phi_run *run, size_t size)
{
    if (PHI_UNLIKELY(run->lent + size > run->lent_max) && !phi_run_promise(run, size)) {
        return false;
    }
    run->lent += size;
    return true;
}

// So many less: they were sent, and the promise is good for others.
static inline void phi_run_take_back(phi_run *run, size_t size)
{
    PH_ASSERT(size <= run->lent);
    run->lent -= size;
}

// So many less, because they were copied: what was promised for them is taken.
void phi_run_copied(phi_run *run, size_t size);

// The turn is over, nobody sees anything of it: asserted. It begins anew.
void phi_run_reset(phi_run *run);

// Whether it has memory that is worth giving back.
static inline bool phi_run_is_large(const phi_run *run)
{
    return run->bytes.capacity > PHI_BUF_KEEP_BYTES;
}

// Gives its memory back if it is large, nothing is in it, and since the call before no turn used a
// quarter of it.
void phi_run_rest(phi_run *run);

#endif // PHI_WIRE_RUN_H

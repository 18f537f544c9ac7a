// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log.h - the last changes of the online list, encoded, in a ring of bytes.
//
// Every change has a revision, one more than that of the change before it, and is one entry (P-46).
// So a stretch of the log between two places is at the same time what a status packet carries: it
// is copied, not encoded again, and its count is the difference of the revisions.
//
//              first                          place                last
//                |                              |                  |
//    forgotten   | entry r+1 | ... | entry p    | entry p+1 | ...  | (next change)
//
// Life     init -> (append, find, view, copy)* -> fini
// Limits   `capacity` bytes, taken at init; the oldest changes make room for new ones
// Threads  none

#ifndef CENTER_PRESENCE_LOG_H
#define CENTER_PRESENCE_LOG_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/presence.h"

// A point between two changes: all up to `revision` are before it, the next entry begins at `at`.
// `at` counts the bytes of all entries there ever were, so it never wraps.
typedef struct presence_place {
    uint64_t revision;
    uint64_t at;
} presence_place;

typedef struct presence_log {
    const phi_alloc *alloc; // borrowed for the life of the log
    uint8_t *bytes;         // owned; the byte `at` stands at bytes[at % capacity]
    size_t capacity;
    uint64_t *marks; // owned; where the entry behind every 64th revision begins, newest mark_count
    size_t mark_count;
    presence_place first; // the oldest place one can go on from
    presence_place last;  // behind the newest change
} presence_log;

// PH_ENOMEM   no memory
// `capacity` is at least PHI_ENTRY_BYTES_MAX: asserted.
PHI_MUST_CHECK ph_err presence_log_init(presence_log *log, const phi_alloc *alloc, size_t capacity);

// Accepts a zeroed log.
void presence_log_fini(presence_log *log);

// The next change; its revision must be log->last.revision + 1: asserted.
void presence_log_append(presence_log *log, phi_bytes entry);

// Whether all changes behind `place` are still here.
static inline bool presence_log_holds(const presence_log *log, presence_place place)
{
    return place.revision >= log->first.revision;
}

// The place behind `revision`. False when it is not known: forgotten, or in the future.
bool presence_log_find(const presence_log *log, uint64_t revision, presence_place *out);

// The size of the entry at `at`, which must be one.
size_t presence_log_size(const presence_log *log, uint64_t at);

// The entry at `at`: a view into the log, or into `scratch` when the entry runs over the ring's
// end. Valid until the next append or view.
phi_bytes presence_log_view(const presence_log *log, uint64_t at,
                            uint8_t scratch[PHI_ENTRY_BYTES_MAX]);

// The `size` bytes from `at` on.
void presence_log_copy(const presence_log *log, uint64_t at, size_t size, uint8_t *out);

// Asserts the invariants; walks the log.
void presence_log_check(const presence_log *log);

#endif // CENTER_PRESENCE_LOG_H

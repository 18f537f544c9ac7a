// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log.h - in which order the lines of the online list last changed.
//
// Every change has a revision, one more than that of the change before it. Whoever knows the list
// as of some revision lacks the lines that changed after it, each as it is now: what a line was
// between need not be told (P-45). So the log has no copies of changes. It is a ring of pointers to
// lines, each under the revision of its last change; where a line was before, nothing stands.
//
//        first                                      last
//          |                                          |
//       ...| line |  -  | line |  -  |  -  | gone | line | (next change)
//
// A line of somebody who left is a `presence_gone`, owned by the log: it is what is left to tell of
// him. It is dropped when its place falls off the ring, or when he is back, because then there is
// nothing to tell any more but that. So a storm in which all leave and return costs a watcher that
// slept through it no more than one entry each.
//
// Life     init -> (put, bury, revive, at)* -> fini
// Limits   bytes_max of places and goners; the oldest are forgotten for new ones. Memory is taken
//          as it fills
// Threads  none

#ifndef CENTER_PRESENCE_LOG_H
#define CENTER_PRESENCE_LOG_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/map.h"

// Embedded in what is shown: an account, or a presence_gone.
typedef struct presence_line {
    uint64_t revision; // of its last change; 0: none yet
    uint64_t listed;   // when its session came on the list
    uint64_t since;    // who knows nothing behind it never heard of the account
    bool is_gone;      // stands in a presence_gone
} presence_line;

typedef struct presence_gone {
    presence_line line;
    bool is_newest; // the one that log->gone leads to
    uint8_t name_size;
    uint16_t entry_size;
    uint8_t entry[]; // the offline, as on the wire
} presence_gone;

typedef struct presence_log {
    const phi_alloc *alloc; // borrowed for the life of the log
    presence_line **places; // owned; revision r stands at places[r % capacity]
    size_t capacity;        // a power of two
    size_t bytes_max;
    size_t gone_bytes; // what the goners take
    size_t gone_count;
    phi_map gone;   // account -> presence_gone; names are views into their entries
    uint64_t first; // all changes after it are known
    uint64_t last;  // the revision of the list
} presence_log;

// A ring of so many places is taken at first; bytes_max must allow it.
#define PRESENCE_LOG_PLACES_MIN 256u
#define PRESENCE_LOG_BYTES_MIN (PRESENCE_LOG_PLACES_MIN * 2 * sizeof(presence_line *))

// PH_ENOMEM   no memory
PHI_MUST_CHECK ph_err presence_log_init(presence_log *log, const phi_alloc *alloc, phi_hash_key key,
                                        size_t bytes_max);

// Accepts a zeroed log.
void presence_log_fini(presence_log *log);

// The line changed: it gets the next revision.
void presence_log_put(presence_log *log, presence_line *line);

// The line leaves the list: `entry`, an encoded offline, is what is left of it. Without memory for
// that, all that was known is forgotten, so that everybody gets a new list.
void presence_log_bury(presence_log *log, presence_line *line, size_t name_size, phi_bytes entry);

// The account is about to be listed, as this entry: whoever left under its name need not be told of
// any more. Returns what to write into its line as `since`.
uint64_t presence_log_revive(presence_log *log, phi_bytes name, phi_bytes entry);

// Whether all changes behind the revision are known.
static inline bool presence_log_holds(const presence_log *log, uint64_t revision)
{
    return revision >= log->first && revision <= log->last;
}

// The line whose last change that was; NULL: it has changed since. first < revision <= last.
static inline presence_line *presence_log_at(const presence_log *log, uint64_t revision)
{
    return log->places[revision & (log->capacity - 1)];
}

static inline const presence_gone *presence_gone_of(const presence_line *line)
{
    return PHI_CONTAINER_OF(line, presence_gone, line);
}

// Asserts the invariants; walks the log.
void presence_log_check(const presence_log *log);

#endif // CENTER_PRESENCE_LOG_H

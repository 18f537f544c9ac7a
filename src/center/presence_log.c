// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log.c - see presence_log.h.
//
// Design notes
//   - Where a watcher goes on is a revision, so nothing has to be found: it is an index.
//   - That somebody left need not be told once he is back, because an online with another session,
//     or an offline of a later one, says it, too (P-48). But that holds only for who hears of the
//     new one: when he comes back as an instance of another service, or as another type, the older
//     line stays, for those who watch just that.
//
// Invariants  see presence_log_check

#include "center/presence_log.h"

#include <string.h>

#include "base/assert.h"
#include "center/entry.h"

enum {
    GONE_MAP_BYTES = 64, // what the map takes for one, about
};

static void move_on(presence_log *log);
static bool grow(presence_log *log);
static void forget_oldest(presence_log *log);
static void forget_all(presence_log *log);
static void clear(presence_log *log, const presence_line *line);
static bool is_placed(const presence_log *log, const presence_line *line);
static presence_gone *gone_new(presence_log *log, size_t name_size, phi_bytes entry);
static void gone_free(presence_log *log, presence_gone *gone);
static phi_bytes gone_name(const presence_gone *gone);
static size_t gone_size(const presence_gone *gone);
static presence_gone *gone_find(const presence_log *log, phi_bytes name);
static size_t bytes_of(const presence_log *log, size_t capacity);

ph_err presence_log_init(presence_log *log, const phi_alloc *alloc, phi_hash_key key,
                         size_t bytes_max)
{
    PH_ASSERT(bytes_max >= PRESENCE_LOG_BYTES_MIN);
    presence_line **places = phi_take_zeroed(alloc, PRESENCE_LOG_PLACES_MIN, sizeof *places);
    if (places == NULL) {
        return PH_ENOMEM;
    }
    *log = (presence_log){
        .alloc = alloc,
        .places = places,
        .capacity = PRESENCE_LOG_PLACES_MIN,
        .bytes_max = bytes_max,
    };
    phi_map_init(&log->gone, alloc, key, bytes_max / (sizeof(presence_gone) + ENTRY_BYTES_MIN));
    return PH_OK;
}

void presence_log_fini(presence_log *log)
{
    if (log->alloc == NULL) {
        return;
    }
    forget_all(log);
    PH_ASSERT(log->gone_count == 0);
    phi_map_fini(&log->gone);
    phi_give(log->alloc, log->places, log->capacity * sizeof(presence_line *));
    *log = (presence_log){ .alloc = NULL };
}

void presence_log_put(presence_log *log, presence_line *line)
{
    clear(log, line);
    move_on(log);
    line->revision = log->last;
    log->places[log->last & (log->capacity - 1)] = line;
    PH_ASSERT(is_placed(log, line));
}

void presence_log_bury(presence_log *log, presence_line *line, size_t name_size, phi_bytes entry)
{
    PH_ASSERT(!line->is_gone);
    clear(log, line);
    presence_gone *gone = gone_new(log, name_size, entry);
    if (gone == NULL) {
        move_on(log);
        forget_all(log);
        return;
    }
    gone->line.listed = line->listed;
    gone->line.since = line->since;
    presence_log_put(log, &gone->line);
    phi_put_u64(gone->entry + ENTRY_REVISION_AT, gone->line.revision);
    while (bytes_of(log, log->capacity) > log->bytes_max && log->first < log->last) {
        forget_oldest(log);
    }
}

uint64_t presence_log_revive(presence_log *log, phi_bytes name, phi_bytes entry)
{
    uint64_t since = log->last + 1;
    presence_gone *gone = gone_find(log, name);
    if (gone == NULL) {
        return since;
    }
    bool is_same = gone->entry[ENTRY_TYPE_AT] == entry.data[ENTRY_TYPE_AT] &&
                   phi_bytes_equal(entry_service(gone->entry), entry_service(entry.data));
    if (is_same) {
        since = gone->line.since;
        clear(log, &gone->line);
        gone_free(log, gone);
    } else {
        bool was_known = phi_map_remove(&log->gone, gone_name(gone));
        PH_ASSERT(was_known);
        gone->is_newest = false;
    }
    return since;
}

// ---- helpers

// To the next revision, whose place is empty then.
static void move_on(presence_log *log)
{
    if (log->last - log->first == log->capacity && !grow(log)) {
        forget_oldest(log);
    }
    log->last++;
    PH_ASSERT(log->last - log->first <= log->capacity);
    PH_ASSERT(log->places[log->last & (log->capacity - 1)] == NULL);
}

static bool grow(presence_log *log)
{
    size_t capacity = log->capacity * 2;
    if (bytes_of(log, capacity) > log->bytes_max) {
        return false;
    }
    presence_line **places = phi_take_zeroed(log->alloc, capacity, sizeof *places);
    if (places == NULL) {
        return false;
    }
    for (uint64_t r = log->first + 1; r <= log->last; r++) {
        places[r & (capacity - 1)] = presence_log_at(log, r);
    }
    phi_give(log->alloc, log->places, log->capacity * sizeof *places);
    log->places = places;
    log->capacity = capacity;
    return true;
}

static void forget_oldest(presence_log *log)
{
    PH_ASSERT(log->first < log->last);
    presence_line *line = presence_log_at(log, log->first + 1);
    if (line != NULL) {
        clear(log, line);
        if (line->is_gone) {
            gone_free(log, PHI_CONTAINER_OF(line, presence_gone, line));
        }
    }
    log->first++;
}

static void forget_all(presence_log *log)
{
    while (log->first < log->last) {
        forget_oldest(log);
    }
}

static void clear(presence_log *log, const presence_line *line)
{
    if (is_placed(log, line)) {
        presence_line **place = &log->places[line->revision & (log->capacity - 1)];
        PH_ASSERT(*place == line);
        *place = NULL;
    }
}

static bool is_placed(const presence_log *log, const presence_line *line)
{
    PH_ASSERT(line->revision <= log->last);
    return line->revision > log->first;
}

// NULL: no memory.
static presence_gone *gone_new(presence_log *log, size_t name_size, phi_bytes entry)
{
    presence_gone *gone = phi_take(log->alloc, sizeof *gone + entry.size);
    if (gone == NULL) {
        return NULL;
    }
    *gone = (presence_gone){
        .line = { .is_gone = true },
        .is_newest = true,
        .name_size = (uint8_t)name_size,
        .entry_size = (uint16_t)entry.size,
    };
    memcpy(gone->entry, entry.data, entry.size);
    PH_ASSERT(gone_find(log, gone_name(gone)) == NULL); // it was revived before it left again
    if (phi_map_put(&log->gone, gone_name(gone), (uint64_t)(uintptr_t)gone) != PH_OK) {
        phi_give(log->alloc, gone, sizeof *gone + entry.size);
        return NULL;
    }
    log->gone_bytes += gone_size(gone);
    log->gone_count++;
    return gone;
}

static void gone_free(presence_log *log, presence_gone *gone)
{
    PH_ASSERT(log->gone_count > 0);
    PH_ASSERT(log->gone_bytes >= gone_size(gone));
    if (gone->is_newest) {
        bool was_known = phi_map_remove(&log->gone, gone_name(gone));
        PH_ASSERT(was_known);
    }
    log->gone_bytes -= gone_size(gone);
    log->gone_count--;
    phi_give(log->alloc, gone, sizeof *gone + gone->entry_size);
}

static phi_bytes gone_name(const presence_gone *gone)
{
    return phi_bytes_of(entry_id(gone->entry).data, gone->name_size);
}

static size_t gone_size(const presence_gone *gone)
{
    return sizeof *gone + gone->entry_size + GONE_MAP_BYTES;
}

static presence_gone *gone_find(const presence_log *log, phi_bytes name)
{
    uint64_t value;
    return phi_map_find(&log->gone, name, &value) ? (presence_gone *)(uintptr_t)value : NULL;
}

static size_t bytes_of(const presence_log *log, size_t capacity)
{
    return capacity * sizeof(presence_line *) + log->gone_bytes;
}

void presence_log_check(const presence_log *log)
{
    PH_ASSERT(log->first <= log->last);
    PH_ASSERT(log->last - log->first <= log->capacity);
    PH_ASSERT(bytes_of(log, log->capacity) <= log->bytes_max);
    size_t gone_count = 0;
    size_t gone_bytes = 0;
    for (uint64_t r = log->first + 1; r <= log->last; r++) {
        const presence_line *line = presence_log_at(log, r);
        if (line == NULL) {
            continue;
        }
        PH_ASSERT(line->revision == r);
        PH_ASSERT(line->since <= line->listed);
        PH_ASSERT(line->listed <= r);
        if (line->is_gone) {
            const presence_gone *gone = presence_gone_of(line);
            PH_ASSERT(phi_get_u64(gone->entry + ENTRY_REVISION_AT) == r);
            PH_ASSERT(!gone->is_newest || gone_find(log, gone_name(gone)) == gone);
            gone_count++;
            gone_bytes += gone_size(gone);
        }
    }
    PH_ASSERT(gone_count == log->gone_count);
    PH_ASSERT(gone_bytes == log->gone_bytes);
}

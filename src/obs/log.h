// SPDX-License-Identifier: Apache-2.0
//
// obs/log.h - structured log events, recorded here and written elsewhere (app/log_sink.c). An event
// is an entry of a table (events.def of its module) and a few fields. Repeated events are held
// back: more than PHI_LOG_BURST of one event in a second are counted, and the first one that is
// written after them carries one more field, held_back, with their number.
//
// Library code (base, wire, policy, link, store, client) does not log: it returns errors. center
// and app do.

#ifndef PHI_OBS_LOG_H
#define PHI_OBS_LOG_H

#include "base/bytes.h"
#include "base/time.h"

#define PHI_LOG_BURST 20u
#define PHI_LOG_FIELDS_MAX 12u

typedef enum phi_log_level {
    PHI_LOG_DEBUG,
    PHI_LOG_INFO,
    PHI_LOG_WARN,
    PHI_LOG_ERROR,
} phi_log_level;

// One row of a table of events.
typedef struct phi_log_event {
    const char *id; // stable: "CE0107"
    phi_log_level level;
    const char *text;
    const char *advice; // what to do; "" when nothing
} phi_log_event;

typedef struct phi_log_field {
    const char *name;
    bool is_number;
    uint64_t number;
    phi_bytes text; // any bytes; the sink escapes
} phi_log_field;

#define PHI_LOG_TEXT(name, bytes) ((phi_log_field){ (name), false, 0, (bytes) })
#define PHI_LOG_NUMBER(name, value) ((phi_log_field){ (name), true, (value), { NULL, 0 } })

// How often one event was written in the current second.
typedef struct phi_log_rate {
    uint64_t second;
    uint32_t count;
    uint64_t held_back; // since it was last told
} phi_log_rate;

typedef struct phi_log {
    phi_log_level level; // below it nothing is written
    void (*write)(void *arg, const phi_log_event *event, const phi_log_field *fields, size_t count);
    void *arg;
} phi_log;

// `log` may be NULL. `rate` belongs to the event and the caller; NULL: never held back.
void phi_log_write(phi_log *log, const phi_log_event *event, phi_log_rate *rate, phi_time now,
                   const phi_log_field *fields, size_t count);

#define PHI_LOG(log, event, rate, now, ...)                                                        \
    phi_log_write((log), (event), (rate), (now), (const phi_log_field[]){ __VA_ARGS__ },           \
                  sizeof((const phi_log_field[]){ __VA_ARGS__ }) / sizeof(phi_log_field))

#endif // PHI_OBS_LOG_H

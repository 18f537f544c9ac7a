// SPDX-License-Identifier: Apache-2.0
//
// app/log_sink.h - writes log events: a JSON object a line for machines, or a readable line for
// people. One write a line; a line that cannot be written is counted, never waited for.
//
// Life     log_sink_init -> its log is used -> nothing to free
// Limits   a text field is cut at LOG_FIELD_BYTES_MAX; a line longer than LOG_LINE_BYTES_MAX is
//          counted as one that cannot be written
// Memory   none: that there is none must be said, too
// Threads  none

#ifndef APP_LOG_SINK_H
#define APP_LOG_SINK_H

#include <limits.h>
#include <time.h>

#include "app/draft.h"
#include "app/term.h"
#include "obs/log.h"

#define LOG_FIELD_BYTES_MAX 1024u
#define LOG_LINE_BYTES_MAX ((size_t)PIPE_BUF) // what a pipe takes whole

typedef struct log_sink {
    phi_log log; // what is handed to those who log
    int fd;
    bool is_json;
    term_style style;
    int worker;          // whose events these are: one more field; -1: of the program
    uint64_t lines_lost; // could not be written
} log_sink;

void log_sink_init(log_sink *sink, int fd, bool is_json, phi_log_level level);

// One event, now, whatever the level: for events with more fields than phi_log_write takes.
void log_sink_write(log_sink *sink, const phi_log_event *event, const phi_log_field *fields,
                    size_t count);

// Where a line stands while it is made; in a draft of it there is room for one.
typedef struct log_room {
    phi_alloc alloc;
    uint8_t bytes[LOG_LINE_BYTES_MAX / 4 * 5]; // as much as a buffer of that limit may ask for
} log_room;
void log_room_init(log_room *room, draft *t);

// The line for an event at a moment; pure, for tests.
void log_line_json(draft *t, struct timespec at, const phi_log_event *event,
                   const phi_log_field *fields, size_t count);
void log_line_text(draft *t, struct timespec at, const phi_log_event *event,
                   const phi_log_field *fields, size_t count, term_style style);

// RFC 3339 in UTC with nanoseconds: "2026-11-22T05:11:25.123456789Z".
#define LOG_TIME_BYTES 40
void log_time_format(struct timespec at, char out[LOG_TIME_BYTES]);

#endif // APP_LOG_SINK_H

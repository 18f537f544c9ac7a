// SPDX-License-Identifier: Apache-2.0
//
// app/log_sink.c - writes log events.
//
// Design notes
// - Fields hold what peers sent: JSON escapes it, text makes it printable, both cut it.
// - Texts are quoted in the readable form when they hold spaces or quotes, so that a line can still
//   be taken apart.
// - Standard error is shared with others, so it is not ours to make it nonblocking. A pipe that
//   poll finds writable takes PIPE_BUF bytes at once: a line is written only then, and only if it
//   is no longer. Lines are far shorter; so are the counters, the longest.
// - A line stands on the stack while it is made: that there is no memory must be said, too.

#include "app/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/assert.h"
#include "text/json.h"

#define TEXT_COLUMN 44 // where the fields of a readable line begin

static void sink_event(void *arg, const phi_log_event *event, const phi_log_field *fields,
                       size_t count);
static void *room_take(void *arg, size_t size);
static void *room_resize(void *arg, void *ptr, size_t old_size, size_t size);
static void room_give(void *arg, void *ptr, size_t size);
static bool can_write(const log_sink *sink);
static const char *level_name(phi_log_level level);
static void add_field(draft *t, const phi_log_field *field);

void log_sink_init(log_sink *sink, int fd, bool is_json, phi_log_level level)
{
    *sink = (log_sink){ .fd = fd, .is_json = is_json, .style = term_style_of(fd), .worker = -1 };
    sink->log = (phi_log){ .level = level, .write = sink_event, .arg = sink };
}

void log_sink_write(log_sink *sink, const phi_log_event *event, const phi_log_field *fields,
                    size_t count)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    log_room room;
    draft t;
    log_room_init(&room, &t);
    if (sink->is_json) {
        log_line_json(&t, now, event, fields, count);
    } else {
        log_line_text(&t, now, event, fields, count, sink->style);
    }
    phi_bytes line = draft_view(&t);
    ssize_t written = -1;
    if (!t.is_cut && can_write(sink)) {
        do {
            written = write(sink->fd, line.data, line.size);
        } while (written < 0 && errno == EINTR);
    }
    sink->lines_lost += written != (ssize_t)line.size;
    draft_fini(&t);
}

// All of the room is taken at once, so that it never has to grow.
void log_room_init(log_room *room, draft *t)
{
    room->alloc =
        (phi_alloc){ .take = room_take, .resize = room_resize, .give = room_give, .arg = room };
    *t = (draft){ .is_cut = false };
    phi_buf_init(&t->buf, &room->alloc, LOG_LINE_BYTES_MAX);
    const uint8_t *whole = phi_buf_reserve(&t->buf, LOG_LINE_BYTES_MAX);
    PH_ASSERT(whole == room->bytes);
}

void log_line_json(draft *t, struct timespec at, const phi_log_event *event,
                   const phi_log_field *fields, size_t count)
{
    char time_text[LOG_TIME_BYTES];
    log_time_format(at, time_text);
    phi_json j;
    phi_json_init_buf(&j, &t->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "ts");
    phi_json_text(&j, time_text);
    phi_json_key(&j, "level");
    phi_json_text(&j, level_name(event->level));
    phi_json_key(&j, "event");
    phi_json_text(&j, event->id);
    phi_json_key(&j, "msg");
    phi_json_text(&j, event->text);
    for (size_t i = 0; i < count; i++) {
        phi_json_key(&j, fields[i].name);
        if (fields[i].is_number) {
            phi_json_u64(&j, fields[i].number);
        } else {
            phi_bytes value = fields[i].text;
            value.size = value.size < LOG_FIELD_BYTES_MAX ? value.size : LOG_FIELD_BYTES_MAX;
            phi_json_string(&j, value);
        }
    }
    if (event->advice != NULL && *event->advice != '\0') {
        phi_json_key(&j, "advice");
        phi_json_text(&j, event->advice);
    }
    phi_json_object_end(&j);
    draft_json_end(t, &j);
}

void log_line_text(draft *t, struct timespec at, const phi_log_event *event,
                   const phi_log_field *fields, size_t count, term_style style)
{
    char time_text[LOG_TIME_BYTES];
    log_time_format(at, time_text);
    const char *colour = event->level == PHI_LOG_ERROR  ? style.red
                         : event->level == PHI_LOG_WARN ? style.yellow
                                                        : "";
    draft_format(t, "%s%.12s%s %s%-5s%s ", style.dim, time_text + 11, style.reset, colour,
                 level_name(event->level), *colour == '\0' ? "" : style.reset);
    draft_add(t, event->text);
    size_t column = 19 + strlen(event->text);
    draft_spaces(t, count == 0 ? 0 : column + 2 < TEXT_COLUMN ? TEXT_COLUMN - column : 2);
    for (size_t i = 0; i < count; i++) {
        draft_format(t, "%s%s%s=%s", i == 0 ? "" : " ", style.dim, fields[i].name, style.reset);
        add_field(t, &fields[i]);
    }
    draft_format(t, "  %s%s%s\n", style.dim, event->id, style.reset);
    bool is_trouble = event->level >= PHI_LOG_WARN;
    if (is_trouble && event->advice != NULL && *event->advice != '\0') {
        draft_spaces(t, 19);
        draft_format(t, "%s%s%s\n", style.dim, event->advice, style.reset);
    }
}

void log_time_format(struct timespec at, char out[LOG_TIME_BYTES])
{
    struct tm parts;
    PH_ASSERT(gmtime_r(&at.tv_sec, &parts) != NULL);
    size_t size = strftime(out, LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + size, LOG_TIME_BYTES - size, ".%09ldZ", at.tv_nsec);
}

static void sink_event(void *arg, const phi_log_event *event, const phi_log_field *fields,
                       size_t count)
{
    log_sink *sink = arg;
    if (sink->worker < 0) {
        log_sink_write(sink, event, fields, count);
        return;
    }
    phi_log_field more[PHI_LOG_FIELDS_MAX + 2]; // one is held_back
    PH_ASSERT(count < PHI_COUNT_OF(more));
    memcpy(more, fields, count * sizeof *fields);
    more[count] = PHI_LOG_NUMBER("worker", (uint64_t)sink->worker);
    log_sink_write(sink, event, more, count + 1);
}

static void *room_take(void *arg, size_t size)
{
    log_room *room = arg;
    PH_ASSERT(size <= sizeof room->bytes);
    return room->bytes;
}

static void *room_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    (void)arg;
    (void)ptr;
    (void)old_size;
    (void)size;
    PH_UNREACHABLE("a line took all of its room at once");
}

static void room_give(void *arg, void *ptr, size_t size)
{
    (void)size;
    PH_ASSERT(ptr == ((log_room *)arg)->bytes);
}

// Without waiting for whoever reads.
static bool can_write(const log_sink *sink)
{
    struct pollfd fd = { .fd = sink->fd, .events = POLLOUT };
    int found;
    do {
        found = poll(&fd, 1, 0);
    } while (found < 0 && errno == EINTR);
    return found == 1 && (fd.revents & POLLOUT) != 0;
}

static const char *level_name(phi_log_level level)
{
    switch (level) {
    case PHI_LOG_DEBUG:
        return "debug";
    case PHI_LOG_INFO:
        return "info";
    case PHI_LOG_WARN:
        return "warn";
    case PHI_LOG_ERROR:
        return "error";
    }
    PH_UNREACHABLE("level of a log event");
}

static void add_field(draft *t, const phi_log_field *field)
{
    if (field->is_number) {
        draft_format(t, "%" PRIu64, field->number);
        return;
    }
    phi_bytes value = field->text;
    value.size = value.size < LOG_FIELD_BYTES_MAX ? value.size : LOG_FIELD_BYTES_MAX;
    bool is_quoted = value.size == 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        is_quoted = is_quoted || c <= ' ' || c == '"' || c == '=' || c == '\\';
    }
    if (!is_quoted) {
        draft_printable(t, value);
        return;
    }
    draft_add(t, "\"");
    size_t begin = 0;
    // What could end the quotes, or take from a quote that it does, is escaped.
    for (size_t i = 0; i <= value.size; i++) {
        if (i == value.size || value.data[i] == '"' || value.data[i] == '\\') {
            draft_printable(t, phi_bytes_of(value.data + begin, i - begin));
            draft_add(t, i == value.size ? "" : value.data[i] == '"' ? "\\\"" : "\\\\");
            begin = i + 1;
        }
    }
    draft_add(t, "\"");
}

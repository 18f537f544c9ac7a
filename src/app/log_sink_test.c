// SPDX-License-Identifier: Apache-2.0
//
// app/log_sink_test.c - lines of the log.

#include "app/log_sink.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/test.h"

static const phi_log_event event = { "PX0001", PHI_LOG_WARN, "something happened", "Do this." };
static const phi_log_event quiet = { "PX0002", PHI_LOG_DEBUG, "detail", "" };
static const term_style plain = { "", "", "", "", "", "" };
static const struct timespec moment = { .tv_sec = 1795325485, .tv_nsec = 7 };

// Programs that collect logs need every line to be JSON, whatever a peer sent.
TEST(log_sink, json_line_is_exact)
{
    const phi_log_field fields[] = {
        PHI_LOG_TEXT("id", phi_bytes_of("a\"b\n\xff", 5)),
        PHI_LOG_NUMBER("count", UINT64_MAX),
    };
    draft t;
    draft_init(&t);
    log_line_json(&t, moment, &event, fields, 2);
    EXPECT_TEXT(
        draft_chars(&t),
        "{\"ts\":\"2026-11-22T05:31:25.000000007Z\",\"level\":\"warn\",\"event\":\"PX0001\","
        "\"msg\":\"something happened\",\"id\":\"a\\\"b\\n\xef\xbf\xbd\","
        "\"count\":18446744073709551615,\"advice\":\"Do this.\"}\n");
    draft_fini(&t);
}

// People need to find time, level and words at once; fields with spaces can still be told apart.
TEST(log_sink, text_line_is_exact)
{
    const phi_log_field fields[] = {
        PHI_LOG_TEXT("id", phi_bytes_text("orders@home")),
        PHI_LOG_TEXT("why", phi_bytes_text("say \"no\" \033[1m")),
        PHI_LOG_TEXT("none", phi_bytes_text("")),
        PHI_LOG_NUMBER("count", 3),
    };
    draft t;
    draft_init(&t);
    log_line_text(&t, moment, &event, fields, 4, plain);
    EXPECT_TEXT(draft_chars(&t), "05:31:25.000 warn  something happened       id=orders@home "
                                 "why=\"say \\\"no\\\" \\x1b[1m\" none=\"\" count=3  PX0001\n"
                                 "                   Do this.\n");
    draft_fini(&t);
}

// A backslash at the end of what a peer said must not make the closing quote a part of it: whatever
// follows would be the peer's, too, and could be a field.
TEST(log_sink, nothing_ends_the_quotes_early)
{
    static const struct {
        const char *value;
        const char *shown;
    } cases[] = {
        { "a\\", "x=\"a\\\\\"" },     { "a\\\" level=error", "x=\"a\\\\\\\" level=error\"" },
        { "\\x1b", "x=\"\\\\x1b\"" }, { "a\nb", "x=\"a\\x0ab\"" },
        { "a=b", "x=\"a=b\"" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        const phi_log_field fields[] = { PHI_LOG_TEXT("x", phi_bytes_text(cases[i].value)) };
        draft t;
        draft_init(&t);
        log_line_text(&t, moment, &quiet, fields, 1, plain);
        EXPECT(strstr(draft_chars(&t), cases[i].shown) != NULL);
        draft_fini(&t);
    }
}

// A peer that sends 64 KiB where a name is expected must not fill the log.
TEST(log_sink, long_fields_are_cut)
{
    char word[4 * LOG_FIELD_BYTES_MAX];
    memset(word, 'w', sizeof word);
    const phi_log_field fields[] = { PHI_LOG_TEXT("id", phi_bytes_of(word, sizeof word)) };
    draft t;
    draft_init(&t);
    log_line_json(&t, moment, &quiet, fields, 1);
    EXPECT(draft_size(&t) < LOG_FIELD_BYTES_MAX + 200);
    draft_clear(&t);
    log_line_text(&t, moment, &quiet, fields, 1, plain);
    EXPECT(draft_size(&t) < LOG_FIELD_BYTES_MAX + 200);
    draft_fini(&t);
}

// Each event is one write of one line; a line that could not be written is counted, not waited for:
// a collector that stopped reading must not stop the center.
TEST(log_sink, lines_arrive_whole_or_are_counted)
{
    int pipe_fds[2];
    EXPECT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0); // it blocks, as standard error does
    log_sink sink;
    log_sink_init(&sink, pipe_fds[1], true, PHI_LOG_INFO);
    const phi_log_field fields[] = { PHI_LOG_NUMBER("n", 1) };
    phi_log_write(&sink.log, &event, NULL, (phi_time){ 0 }, fields, 1);
    phi_log_write(&sink.log, &quiet, NULL, (phi_time){ 0 }, fields, 1); // below the level
    char line[4096];
    ssize_t size = read(pipe_fds[0], line, sizeof line);
    EXPECT(size > 0);
    EXPECT(memchr(line, '\n', (size_t)size) == line + size - 1);
    EXPECT_EQ(sink.lines_lost, 0);
    while (sink.lines_lost == 0) { // fills the pipe, which nobody reads
        log_sink_write(&sink, &event, fields, 1);
    }
    EXPECT_EQ(sink.lines_lost, 1);
    size = read(pipe_fds[0], line, sizeof line);
    EXPECT_EQ(size, sizeof line);
    log_sink_write(&sink, &event, fields, 1); // there is room again
    EXPECT_EQ(sink.lines_lost, 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

// What is wrong when there is no memory is that: the line that says so must not need any. What does
// not fit is not written at all, for half a line would be nobody's.
TEST(log_sink, lines_need_no_memory)
{
    static const char text[LOG_FIELD_BYTES_MAX] = { '\1' }; // each of these takes six bytes in JSON
    const phi_log_field fields[] = { PHI_LOG_NUMBER("n", 1),
                                     PHI_LOG_TEXT("x", phi_bytes_of(text, sizeof text)) };
    log_room room;
    draft t;
    log_room_init(&room, &t);
    log_line_json(&t, moment, &event, fields, 1);
    EXPECT(!t.is_cut);
    EXPECT(draft_view(&t).data == room.bytes);
    draft_clear(&t);
    log_line_text(&t, moment, &event, fields, 1, plain);
    EXPECT(!t.is_cut);
    EXPECT(draft_view(&t).data == room.bytes);
    draft_clear(&t);
    log_line_json(&t, moment, &event, fields, 2);
    EXPECT(t.is_cut);
    draft_fini(&t);

    int pipe_fds[2];
    EXPECT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    log_sink sink;
    log_sink_init(&sink, pipe_fds[1], true, PHI_LOG_INFO);
    log_sink_write(&sink, &event, fields, 2);
    EXPECT_EQ(sink.lines_lost, 1);
    close(pipe_fds[1]);
    char nothing;
    EXPECT_EQ(read(pipe_fds[0], &nothing, 1), 0);
    close(pipe_fds[0]);
}

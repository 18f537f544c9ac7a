// SPDX-License-Identifier: Apache-2.0

#include "obs/log.h"

#include <string.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

static const phi_log_event warned = { "TE0001", PHI_LOG_WARN, "something odd", "look at it" };
static const phi_log_event chat = { "TE0002", PHI_LOG_DEBUG, "a detail", "" };

typedef struct recorder {
    phi_log log;
    size_t written;
    const phi_log_event *event;
    phi_log_field fields[PHI_LOG_FIELDS_MAX + 1];
    size_t count;
} recorder;

static void record(void *arg, const phi_log_event *event, const phi_log_field *fields, size_t count)
{
    recorder *r = arg;
    EXPECT(count <= PHI_COUNT_OF(r->fields));
    r->written++;
    r->event = event;
    r->count = count;
    for (size_t i = 0; i < count; i++) {
        r->fields[i] = fields[i];
    }
}

static recorder recorder_at(phi_log_level level)
{
    return (recorder){ .log = { .level = level, .write = record } };
}

static phi_time at_seconds(uint64_t n)
{
    return phi_time_add((phi_time){ 0 }, phi_seconds(n));
}

// A field that is lost or mixed up on the way makes the log lie.
TEST(log, event_and_fields_arrive_as_given)
{
    recorder r = recorder_at(PHI_LOG_INFO);
    r.log.arg = &r;
    PHI_LOG(&r.log, &warned, NULL, at_seconds(1), PHI_LOG_TEXT("peer", phi_bytes_text("orders")),
            PHI_LOG_NUMBER("bytes", 17));
    EXPECT_EQ(r.written, 1);
    assert_ptr_equal(r.event, &warned);
    EXPECT_EQ(r.count, 2);
    EXPECT_TEXT(r.fields[0].name, "peer");
    EXPECT(!r.fields[0].is_number);
    EXPECT(phi_bytes_equal(r.fields[0].text, phi_bytes_text("orders")));
    EXPECT(r.fields[1].is_number);
    EXPECT_EQ(r.fields[1].number, 17);
}

// What is below the level must cost nothing and must not count as held back.
TEST(log, below_the_level_is_not_written)
{
    recorder r = recorder_at(PHI_LOG_INFO);
    r.log.arg = &r;
    phi_log_rate rate = { 0 };
    for (unsigned i = 0; i < 2 * PHI_LOG_BURST; i++) {
        phi_log_write(&r.log, &chat, &rate, at_seconds(1), NULL, 0);
    }
    phi_log_write(NULL, &warned, &rate, at_seconds(1), NULL, 0);
    EXPECT_EQ(r.written, 0);
    EXPECT_EQ(rate.held_back, 0);
    r.log.level = PHI_LOG_DEBUG;
    phi_log_write(&r.log, &chat, &rate, at_seconds(1), NULL, 0);
    EXPECT_EQ(r.written, 1);
}

// A hostile peer that causes an event a million times a second must not fill the disk, and the
// operator must still learn how often it was.
TEST(log, burst_is_held_back_and_told_later)
{
    recorder r = recorder_at(PHI_LOG_INFO);
    r.log.arg = &r;
    phi_log_rate rate = { 0 };
    for (unsigned i = 0; i < PHI_LOG_BURST + 1000; i++) {
        phi_log_write(&r.log, &warned, &rate, phi_time_add(at_seconds(5), phi_us(i)), NULL, 0);
    }
    EXPECT_EQ(r.written, PHI_LOG_BURST);
    EXPECT_EQ(r.count, 0);

    phi_log_field all[PHI_LOG_FIELDS_MAX];
    for (size_t i = 0; i < PHI_COUNT_OF(all); i++) {
        all[i] = PHI_LOG_NUMBER("n", i);
    }
    phi_log_write(&r.log, &warned, &rate, at_seconds(6), all, PHI_COUNT_OF(all));
    EXPECT_EQ(r.written, PHI_LOG_BURST + 1);
    EXPECT_EQ(r.count, PHI_LOG_FIELDS_MAX + 1); // the full set still has room for it
    EXPECT_EQ(r.fields[PHI_LOG_FIELDS_MAX - 1].number, PHI_LOG_FIELDS_MAX - 1);
    EXPECT_TEXT(r.fields[PHI_LOG_FIELDS_MAX].name, "held_back");
    EXPECT_EQ(r.fields[PHI_LOG_FIELDS_MAX].number, 1000);

    phi_log_write(&r.log, &warned, &rate, at_seconds(6), all, 1);
    EXPECT_EQ(r.count, 1); // told once
}

// Each second has its own allowance, the first one too, though a zeroed rate says second 0.
TEST(log, allowance_starts_anew_each_second)
{
    recorder r = recorder_at(PHI_LOG_INFO);
    r.log.arg = &r;
    phi_log_rate rate = { 0 };
    for (uint64_t second = 0; second < 5; second++) {
        for (unsigned i = 0; i < PHI_LOG_BURST; i++) {
            phi_log_write(&r.log, &warned, &rate, at_seconds(second), NULL, 0);
        }
    }
    EXPECT_EQ(r.written, 5 * PHI_LOG_BURST);
    EXPECT_EQ(rate.held_back, 0);
}

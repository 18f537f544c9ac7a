// SPDX-License-Identifier: Apache-2.0
//
// app/app_log_test.c - what the program logs and counts, and where people look it up.

#include "app/app_log.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

static char text[131072];

static void expect_row(const char *row)
{
    if (strstr(text, row) == NULL) {
        fail_msg("docs/metrics.md lacks: %s", row);
    }
}

// Who reads a dashboard or a log at night reads docs/metrics.md: it must say what the code says.
TEST(app_log, metrics_and_events_are_documented)
{
    FILE *file = fopen(PH_SOURCE_DIR "/docs/metrics.md", "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    EXPECT(size < sizeof text - 1);
    fclose(file);
    enum { COUNTER, GAUGE };
    static const char *const kinds[] = { "counter", "gauge" };
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    char row[1024];
#define APP_METRIC(name, kind, help)                                                               \
    snprintf(row, sizeof row, "\n| `%s` | %s | %s |\n", #name, kinds[kind], help);                 \
    expect_row(row);
#include "app/metrics.def"
#undef APP_METRIC
    for (app_event event = 0; event < APP_EVENT_COUNT; event++) {
        const phi_log_event *e = app_event_get(event);
        snprintf(row, sizeof row, "\n| %s | %s | %s | %s |\n", e->id, levels[e->level], e->text,
                 e->advice);
        expect_row(row);
        for (app_event other = 0; other < event; other++) {
            EXPECT(strcmp(app_event_get(other)->id, e->id) != 0);
        }
    }
}

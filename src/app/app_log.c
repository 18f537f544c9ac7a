// SPDX-License-Identifier: Apache-2.0
//
// app/app_log.c - see app_log.h.

#include "app/app_log.h"

#include "base/assert.h"

static const phi_log_event events[] = {
#define APP_EVENT(name, id, level, text, advice) { id, PHI_LOG_##level, text, advice },
#include "app/log_events.def"
#undef APP_EVENT
};

const phi_log_event *app_event_get(app_event event)
{
    PH_ASSERT(event < APP_EVENT_COUNT);
    return &events[event];
}

void app_log(log_sink *sink, app_event event, const phi_log_field *fields, size_t count)
{
    const phi_log_event *e = app_event_get(event);
    if (e->level >= sink->log.level) {
        log_sink_write(sink, e, fields, count);
    }
}

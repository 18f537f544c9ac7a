// SPDX-License-Identifier: Apache-2.0
//
// app/app_log.h - the program's own log events (log_events.def), for all of its files that log.

#ifndef APP_APP_LOG_H
#define APP_APP_LOG_H

#include "app/log_sink.h"

typedef enum app_event {
#define APP_EVENT(name, id, level, text, advice) APP_EVENT_##name,
#include "app/log_events.def"
#undef APP_EVENT
    APP_EVENT_COUNT
} app_event;

const phi_log_event *app_event_get(app_event event);

// Nothing when the sink's level is higher than the event's.
void app_log(log_sink *sink, app_event event, const phi_log_field *fields, size_t count);

#endif // APP_APP_LOG_H

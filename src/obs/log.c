// SPDX-License-Identifier: Apache-2.0
//
// obs/log.c - decides whether an event is written, and tells how many were not.

#include "obs/log.h"

#include "base/assert.h"

// Counts the event. False: this second has had enough of it.
static bool rate_admits(phi_log_rate *rate, phi_time now)
{
    uint64_t second = now.ns / 1000000000u;
    if (rate->second != second) {
        rate->second = second;
        rate->count = 0;
    }
    if (rate->count >= PHI_LOG_BURST) {
        rate->held_back++;
        return false;
    }
    rate->count++;
    return true;
}

void phi_log_write(phi_log *log, const phi_log_event *event, phi_log_rate *rate, phi_time now,
                   const phi_log_field *fields, size_t count)
{
    PH_ASSERT(event != NULL);
    PH_ASSERT(count <= PHI_LOG_FIELDS_MAX);
    PH_ASSERT(fields != NULL || count == 0);
    if (log == NULL || event->level < log->level) {
        return;
    }
    if (rate != NULL && !rate_admits(rate, now)) {
        return;
    }
    if (rate == NULL || rate->held_back == 0) {
        log->write(log->arg, event, fields, count);
        return;
    }

    phi_log_field more[PHI_LOG_FIELDS_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        more[i] = fields[i];
    }
    more[count] = PHI_LOG_NUMBER("held_back", rate->held_back);
    rate->held_back = 0;
    log->write(log->arg, event, more, count + 1);
}

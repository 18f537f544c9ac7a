// SPDX-License-Identifier: Apache-2.0
//
// center/control.c - see control.h.
//
// A method that answers at once opens a call and replies to it; one that has to wait for something
// stands behind its call as `own` (call.h), and hears of it when nobody waits any more.

#include "center/control.h"

#include "base/assert.h"
#include "center/call.h"
#include "center/drain.h"
#include "center/status.h"

static const struct {
    const char *name;
    void (*request)(center *c, session *s, const phi_message *m, uint32_t ttl_ms);
} methods[] = {
    { "drain", drain_request },
    { "status", status_request },
};

void control_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms)
{
    PH_ASSERT(ttl_ms > 0);
    for (size_t i = 0; i < PHI_COUNT_OF(methods); i++) {
        if (phi_bytes_equal(m->method, phi_bytes_text(methods[i].name))) {
            methods[i].request(c, s, m, ttl_ms);
            return;
        }
    }
    call_refuse(c, s, m->call, PH_FAILURE_NO_HANDLER);
}

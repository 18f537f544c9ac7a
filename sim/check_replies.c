// SPDX-License-Identifier: Apache-2.0
//
// sim/check_replies.c - a reply reaches only its caller, and comes only from whom was asked. [P-56]
//
// Bodies carry who asked and which call it was, so that a reply which went astray shows, wherever
// it arrives.

#include <string.h>

#include "sim/check.h"

static bool is_from(const ph_incoming *reply, const char *id)
{
    return reply->from.size == strlen(id) && memcmp(reply->from.data, id, reply->from.size) == 0;
}

static void check_success(const call_record *call, const ph_incoming *reply)
{
    domain *d = call->domain;
    if (!is_from(reply, call->target_id)) {
        domain_fail(d, "call %u was for %s, and %.*s answered it", call->serial, call->target_id,
                    (int)reply->from.size, reply->from.data);
        return;
    }
    if (call->target == NOBODY) {
        return; // a rogue may say what it likes to who asked it
    }
    const uint8_t *body = (const uint8_t *)reply->body.data;
    if (reply->body.size != call->body_size + 4 || phi_get_u32(body) != call->target ||
        phi_get_u32(body + 4) != call->caller || phi_get_u32(body + 8) != call->serial) {
        domain_fail(d, "call %u of c%02u got the reply to another call", call->serial,
                    call->caller);
    }
}

static void check_failure(const call_record *call, uint16_t code, const ph_incoming *reply)
{
    domain *d = call->domain;
    bool is_own = code >= PH_FAILURE_APPLICATION || code == PH_FAILURE_RESPONDER_FAILED ||
                  code == PH_FAILURE_NO_HANDLER;
    const char *from = is_own ? call->target_id : "@" DOMAIN_NAME;
    bool is_rogue = call->target == NOBODY && is_from(reply, call->target_id);
    if (!is_from(reply, from) && !is_rogue) {
        domain_fail(d, "call %u: failure %u came from %.*s instead of %s", call->serial, code,
                    (int)reply->from.size, reply->from.data, from);
    }
    if (code >= FAILURE_CODE_FIRST && !is_rogue && code != FAILURE_CODE_FIRST + call->caller) {
        domain_fail(d, "call %u of c%02u got the failure of a call of another", call->serial,
                    call->caller);
    }
}

void check_reply(const call_record *call, ph_err status, uint16_t code, const ph_incoming *reply)
{
    domain *d = call->domain;
    bool has_reply = status == PH_OK || status == PH_EFAILURE;
    if (has_reply != (reply != NULL)) {
        domain_fail(d, "call %u ended with %s and %s reply", call->serial, ph_err_name(status),
                    reply == NULL ? "no" : "a");
        return;
    }
    if (status == PH_OK) {
        check_success(call, reply);
    } else if (status == PH_EFAILURE) {
        check_failure(call, code, reply);
    } else if (status != PH_ETIMEDOUT && status != PH_ERESET && status != PH_ECANCELLED) {
        domain_fail(d, "call %u ended with %s", call->serial, ph_err_name(status));
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// sim/check_replies.c - a reply reaches only its caller, and comes only from whom was asked. [P-56]
//
// Bodies carry who asked and which call it was, so that a reply which went astray shows, wherever
// it arrives.

#include <string.h>

#include "sim/body.h"
#include "sim/check.h"

static bool is_from(const ph_incoming *reply, const char *id)
{
    return reply->from.size == strlen(id) && memcmp(reply->from.data, id, reply->from.size) == 0;
}

// Who may have answered it.
typedef struct asked {
    const char *id;
    uint32_t index; // NOBODY: not one of the actors
} asked;

// Of a call to a service: the instance that answered, if it is one; but never the caller.
static asked asked_of(const call_record *call, const ph_incoming *reply)
{
    const domain *d = call->domain;
    for (uint32_t i = 0; call->service[0] != '\0' && i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (i != call->caller && strcmp(a->service, call->service) == 0 && is_from(reply, a->id)) {
            return (asked){ a->id, i };
        }
    }
    return (asked){ call->target_id, call->target };
}

static void check_success(const call_record *call, const ph_incoming *reply)
{
    domain *d = call->domain;
    asked who = asked_of(call, reply);
    if (!is_from(reply, who.id)) {
        domain_fail(d, "call %u was for %s, and %.*s answered it", call->serial, call->target_id,
                    (int)reply->from.size, reply->from.data);
        return;
    }
    if (who.index == NOBODY) {
        return; // a rogue may say what it likes to who asked it
    }
    const uint8_t *body = (const uint8_t *)reply->body.data;
    if (reply->body.size != call->body_size + 4 || phi_get_u32(body) != who.index ||
        phi_get_u32(body + 4) != call->caller || phi_get_u32(body + 8) != call->serial) {
        domain_fail(d, "call %u of c%02u got the reply to another call", call->serial,
                    call->caller);
    }
    size_t kept = call->body_size < HELD_BYTES ? call->body_size : HELD_BYTES;
    if (!body_is_filled(body, 4 + kept, reply->body.size, call->serial)) {
        domain_fail(d, "call %u got another reply than was sent", call->serial);
    }
}

static void check_failure(const call_record *call, uint16_t code, const ph_incoming *reply)
{
    domain *d = call->domain;
    bool is_own = code >= PH_FAILURE_APPLICATION || code == PH_FAILURE_RESPONDER_FAILED ||
                  code == PH_FAILURE_NO_HANDLER;
    asked who = asked_of(call, reply);
    const char *from = is_own ? who.id : "@" DOMAIN_NAME;
    bool is_rogue = who.index == NOBODY && is_from(reply, who.id);
    // A reply that the caller's own library could not take.
    bool is_callers = (code == PH_FAILURE_SLOW_CONSUMER || code == PH_FAILURE_TOO_LARGE) &&
                      is_from(reply, d->actors[call->caller].id);
    if (!is_from(reply, from) && !is_rogue && !is_callers) {
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

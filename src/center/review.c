// SPDX-License-Identifier: Apache-2.0
//
// center/review.c - see review.h.
//
// Design notes
//   - Whether somebody is to be looked at stands in the session. So one that joins meanwhile, and
//     was judged by what was believed before, is looked at before it is welcomed.
//   - Rules that say the same as those before change nothing: certificates may be renewed again and
//     again without anybody's list being sent anew.
//
// Clauses: P-77.

#include "center/review.h"

#include "base/assert.h"
#include "center/identity.h"
#include "center/state.h"

static void secure_listeners(center *c);
static void mark_all(center *c);

void center_secure(center *c, const center_security *security)
{
    PH_ASSERT(security != NULL);
    c->security = security;
    secure_listeners(c);
    bool is_same = guard_takes(c, security->rules);
    mark_all(c);
    // That a center begins without rules is no change.
    if (c->counters.security_changes_total++ != 0 || security->rules != NULL) {
        size_t rules = security->rules == NULL ? 0 : phi_rules_count(security->rules);
        CENTER_LOG_WRITE(c, SECURED, PHI_LOG_NUMBER("sessions", c->joined_count),
                         PHI_LOG_NUMBER("rules", rules), PHI_LOG_NUMBER("rules_changed", !is_same));
    }
    phi_io_hurry(c->io);
}

static void secure_listeners(center *c)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        const listening *l = &c->listeners[i];
        phi_tls *tls = center_credentials(c, l->kind);
        if (tls != NULL) {
            phi_listener_secure(c->io, l->listener, tls);
        }
    }
}

static void mark_all(center *c)
{
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        s->is_to_review = !s->is_abroad && (session_is(s, SESSION_JOINED) || s->is_judged);
    }
    c->review_index = 0;
    c->is_reviewing = true;
}

void review_turn(center *c)
{
    if (PHI_LIKELY(!c->is_reviewing)) {
        return;
    }
    uint64_t handle;
    session *s = NULL;
    for (uint32_t count = 0; count < REVIEW_TURN_MAX; c->review_index++) {
        s = phi_slots_next(&c->sessions, &c->review_index, &handle);
        if (s == NULL) {
            c->is_reviewing = false;
            return;
        }
        if (s->is_to_review && session_is(s, SESSION_JOINED)) {
            (void)review_session(c, s);
            count++;
        }
    }
    phi_io_hurry(c->io);
}

bool review_session(center *c, session *s)
{
    PH_ASSERT(!s->is_abroad);
    PH_ASSERT(session_is(s, SESSION_JOINED));
    s->is_to_review = false;
    identity_refusal why;
    if (identity_again(c, s, &why)) {
        return true;
    }
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, PUT_OUT, PHI_LOG_TEXT("id", session_id(s)),
                     PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("reason", phi_bytes_text(why.text)));
    c->counters.identities_revoked_total++;
    session_end(c, s, why.code, 0, why.text);
    return false;
}

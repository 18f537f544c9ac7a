// SPDX-License-Identifier: Apache-2.0
//
// center/credential.c - see credential.h.
//
// Design notes
//   - The end is a timer of the session, set only for those whose proof has one.
//   - An answer that finds no room waits for it: a client with much to read must not lose its link
//     for proving in time who it is.
//   - A token that is refused ends the link, though what was proved before it may still be good:
//     its bearer wanted to be somebody, and is not.
//
// Clauses: P-76, P-77.

#include "center/credential.h"

#include "base/assert.h"
#include "center/abroad.h"
#include "center/identity.h"
#include "center/state.h"
#include "center/throttle.h"
#include "wire/credential.h"

static void on_end(phi_timer *timer, phi_time now);
static bool is_far_ahead(const center *c, const session *s);
static void refuse(center *c, session *s, const identity_refusal *why);
static bool say(center *c, session *s);

void credential_until(center *c, session *s, phi_time end)
{
    PH_ASSERT(!s->is_abroad || phi_time_is_never(end));
    struct credential_state *state = &s->identity->credential;
    if (state->session == NULL) {
        state->session = s;
        phi_timer_init(&state->end, on_end);
    }
    phi_timer_set(&c->io->timers, &state->end, end);
}

static void on_end(phi_timer *timer, phi_time now)
{
    (void)now;
    session *s = PHI_CONTAINER_OF(timer, struct credential_state, end)->session;
    center *c = center_of(s);
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, EXPIRED,
                     PHI_LOG_TEXT("id", s->id == NULL ? phi_bytes_of(NULL, 0) : session_id(s)),
                     PHI_LOG_TEXT("peer", phi_bytes_text(peer)));
    c->counters.identities_expired_total++;
    session_end(c, s, PHI_BYE_CREDENTIAL_EXPIRED, 0, NULL);
}

void credential_handle(center *c, session *s, phi_bytes payload)
{
    PH_ASSERT(session_is(s, SESSION_JOINED));
    phi_credential credential;
    identity_refusal why;
    if (phi_credential_decode(payload, &credential) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    if (is_far_ahead(c, s)) {
        session_end(c, s, PHI_BYE_LIMIT_REACHED, session_retry_after(c), NULL);
        return;
    }
    if (!identity_renew(c, s, credential.token, &why)) {
        refuse(c, s, &why);
        return;
    }
    c->counters.credentials_renewed_total++;
    struct credential_state *state = &s->identity->credential;
    if (state->owed > 0 || !say(c, s)) {
        state->owed++;
    }
    phi_time now = c->io->now;
    phi_bucket_charge(&state->taken, CREDENTIALS_PER_SECOND, 1, now);
    throttle_pause(c, s, phi_bucket_ready(&state->taken, CREDENTIALS_PER_SECOND, now));
}

// A pause is for what comes; what one read brought is handled in its turn, which others wait for.
static bool is_far_ahead(const center *c, const session *s)
{
    const uint64_t ahead_ms = 1000 * CREDENTIALS_AHEAD_MAX / CREDENTIALS_PER_SECOND;
    phi_time now = c->io->now;
    return s->identity != NULL && phi_time_before(phi_time_add(now, phi_ms(ahead_ms)),
                                                  phi_bucket_ready(&s->identity->credential.taken,
                                                                   CREDENTIALS_PER_SECOND, now));
}

void credential_on_room(center *c, session *s)
{
    if (s->identity == NULL || s->is_abroad) {
        return;
    }
    while (s->identity->credential.owed > 0 && say(c, s)) {
        s->identity->credential.owed--;
    }
}

static void refuse(center *c, session *s, const identity_refusal *why)
{
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, PUT_OUT, PHI_LOG_TEXT("id", session_id(s)),
                     PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("reason", phi_bytes_text(why->text)));
    c->counters.credentials_refused_total++;
    throttle_refused(c, s);
    session_end(c, s, why->code, 0, why->text);
}

// False when there is no room: then it is told when there is.
static bool say(center *c, session *s)
{
    uint8_t *room = session_begin(s, PHI_CREDENTIAL_ANSWER_BYTES_MAX);
    if (room == NULL) {
        return false;
    }
    phi_writer w = phi_writer_of((phi_span){ room, PHI_CREDENTIAL_ANSWER_BYTES_MAX });
    phi_credential_answer answer = { phi_expires_ms(identity_expires(s), c->io->now) };
    phi_credential_answer_encode(&w, &answer);
    PH_ASSERT(!w.failed);
    session_commit(s, PHI_COMMAND_CREDENTIAL, phi_writer_size(&w));
    return true;
}

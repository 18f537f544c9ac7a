// SPDX-License-Identifier: Apache-2.0
//
// center/join.c - see join.h.

#include "center/join.h"

#include "auth/principal.h"
#include "base/assert.h"
#include "center/entry.h"
#include "center/identity.h"
#include "center/own_state.h"
#include "center/rejoin.h"
#include "center/replica.h"
#include "center/review.h"
#include "center/state.h"
#include "wire/credential.h"

enum {
    // A made-up account ends in four digits, or, where those are used up, in eight.
    DIGITS_SHORT = 4,
    DIGITS_LONG = PHI_MADE_UP_BYTES_MAX - 1,
    TRIES = 8, // of each
};

// What a JOIN says always fits into an entry.
PH_STATIC_ASSERT(PHI_PACKET_BYTES_JOINING_MAX + PHI_ENTRY_FIXED_BYTES + 1 + PHI_ID_BYTES_MAX + 1 +
                     PHI_NAME_BYTES_MAX <=
                 ENTRY_OWN_BYTES_MAX);

// An account, chosen by the client or made up here.
typedef struct account_text {
    char text[PHI_NAME_BYTES_MAX];
    size_t size;
} account_text;

static void decide(center *c, session *s, const phi_join *join, bool is_again);
static phi_bye_code judge(const session *s, const phi_join *join);
static bool is_name_or_empty(phi_bytes name);
static phi_bytes stem_of(const session *s, const phi_join *join);
static bool make_up(center *c, phi_bytes stem, account_text *out);
static void append_digits(center *c, phi_bytes stem, size_t digits, account_text *out);
static phi_bytes view_of(const account_text *name);
static void refuse(center *c, session *s, const phi_join *join, phi_bye_code code,
                   uint32_t retry_after_ms);
static void refuse_unproved(center *c, session *s, const phi_join *join,
                            const identity_refusal *why);
static void refuse_taken(center *c, session *s, const phi_join *join, session *older);
static ph_err make_account(center *c, const phi_join *join, phi_bytes name, account **out);
static void admit(center *c, session *s, account *a, const phi_join *join);

void join_handle(center *c, session *s, const phi_join *join)
{
    PH_ASSERT(session_is(s, SESSION_JOINING));
    phi_bye_code code = judge(s, join);
    if (code != PHI_BYE_NORMAL) {
        refuse(c, s, join, code, 0);
        return;
    }
    identity_refusal why;
    if (!s->is_abroad && !identity_admit(c, s, join, &why)) { // else its home has judged
        refuse_unproved(c, s, join, &why);
        return;
    }
    if (!workers_decide(&c->workers)) {
        worker_ask(c, s, join);
        return;
    }
    decide(c, s, join, /* is_again= */ false);
}

void join_again(center *c, session *s, const phi_join *join)
{
    PH_ASSERT(session_is(s, SESSION_JOINING));
    decide(c, s, join, /* is_again= */ true);
}

static void decide(center *c, session *s, const phi_join *join, bool is_again)
{
    if (c->joined_count >= c->options.connections_max) { // several workers let in who knocked
        refuse(c, s, join, PHI_BYE_LIMIT_REACHED, session_retry_after(c));
        return;
    }
    account_text name = { .size = join->account.size };
    if (name.size != 0) {
        memcpy(name.text, join->account.data, name.size);
        session *older = session_find(c, join->account);
        if (older != NULL) {
            if (is_again) {
                refuse_taken(c, s, join, older);
            } else {
                rejoin_ask(c, s, older, join);
            }
            return;
        }
    } else if (!make_up(c, stem_of(s, join), &name)) {
        refuse(c, s, join, PHI_BYE_INTERNAL, 0);
        return;
    }
    account *a = registry_find(&c->registry, view_of(&name));
    if (a != NULL) {
        presence_bury(c, a); // the client is back [P-49]
    }
    if (make_account(c, join, view_of(&name), &a) != PH_OK) {
        refuse(c, s, join, PHI_BYE_INTERNAL, 0);
        return;
    }
    admit(c, s, a, join);
}

// NORMAL: nothing to complain about.
static phi_bye_code judge(const session *s, const phi_join *join)
{
    PH_ASSERT(join->version == PHI_PROTOCOL_VERSION); // the link looked
    if ((join->type == PHI_TYPE_CENTER) != (s->kind == CENTER_LISTENER_CENTERS)) {
        return PHI_BYE_TYPE_REFUSED;
    }
    if (!is_name_or_empty(join->account) || !is_name_or_empty(join->service)) {
        return PHI_BYE_NAME_INVALID;
    }
    return PHI_BYE_NORMAL;
}

static bool is_name_or_empty(phi_bytes name)
{
    return name.size == 0 || phi_name_is_valid(name);
}

// [P-35] What a made-up account begins with: who it has proved to be, or else what it does.
static phi_bytes stem_of(const session *s, const phi_join *join)
{
    if (s->identity != NULL) {
        return phi_bytes_of(s->identity->name, s->identity->name_size);
    }
    return phi_principal_of_service(join->service);
}

// False when chance was against it sixteen times.
static bool make_up(center *c, phi_bytes stem, account_text *out)
{
    for (int i = 0; i < 2 * TRIES; i++) {
        append_digits(c, stem, i < TRIES ? DIGITS_SHORT : DIGITS_LONG, out);
        PH_ASSERT(phi_name_is_valid(view_of(out)));
        if (registry_find(&c->registry, view_of(out)) == NULL) {
            return true;
        }
    }
    return false;
}

static void append_digits(center *c, phi_bytes stem, size_t digits, account_text *out)
{
    PH_ASSERT(stem.size <= PHI_PRINCIPAL_BYTES_MAX);
    size_t size = stem.size;
    memcpy(out->text, stem.data, size);
    out->text[size++] = '-';
    uint64_t number = phi_random_next(&c->random);
    for (size_t i = 0; i < digits; i++) {
        out->text[size++] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    out->size = size;
}

static phi_bytes view_of(const account_text *name)
{
    return phi_bytes_of(name->text, name->size);
}

static void refuse(center *c, session *s, const phi_join *join, phi_bye_code code,
                   uint32_t retry_after_ms)
{
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, REFUSED, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("account", join->account), PHI_LOG_TEXT("service", join->service),
                     PHI_LOG_TEXT("reason", phi_bytes_text(phi_bye_name((uint16_t)code))));
    c->counters.joins_refused_total++;
    session_end(c, s, code, retry_after_ms, NULL);
}

// [P-77]
static void refuse_unproved(center *c, session *s, const phi_join *join,
                            const identity_refusal *why)
{
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, REFUSED, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("account", join->account), PHI_LOG_TEXT("service", join->service),
                     PHI_LOG_TEXT("reason", phi_bytes_text(why->text)));
    c->counters.joins_refused_total++;
    identity_count_refusal(c, why);
    session_end(c, s, why->code, 0, why->text);
}

// [P-37] When the older link is dead, it is gone after a grace; the newer one comes back a little
// later.
static void refuse_taken(center *c, session *s, const phi_join *join, session *older)
{
    session_probe(c, older);
    uint64_t retry_after_ms = c->options.heartbeat_grace + c->options.heartbeat_grace / 10 + 1;
    refuse(c, s, join, PHI_BYE_ACCOUNT_TAKEN, (uint32_t)retry_after_ms);
}

// PH_ENOMEM   no memory
// PH_ELIMIT   as many accounts as there may be
static ph_err make_account(center *c, const phi_join *join, phi_bytes name, account **out)
{
    phi_bytes domain = phi_bytes_text(c->self); // "@domain"
    uint8_t id[PHI_ID_BYTES_MAX];
    phi_writer id_writer = phi_writer_of((phi_span){ id, sizeof id });
    phi_write_bytes(&id_writer, name);
    phi_write_bytes(&id_writer, domain);
    PH_ASSERT(!id_writer.failed);
    uint8_t bytes[ENTRY_OWN_BYTES_MAX];
    phi_bytes line = own_state_line(bytes,
                                    &(phi_entry){
                                        .what = PHI_WHAT_ONLINE,
                                        .type = (uint8_t)join->type,
                                        .state = (uint8_t)join->state,
                                        .session = c->session_last + 1,
                                        .id = phi_writer_view(&id_writer),
                                        .service = join->service,
                                    },
                                    &(line_about){
                                        .software = join->software,
                                        .weight = join->weight,
                                        .metadata = join->metadata,
                                        .count = join->metadata_count,
                                    });
    PH_ASSERT(line.size != 0); // see above
    ph_err rc =
        registry_add(&c->registry, out,
                     &(account_options){
                         .name = name, .domain = domain, .service = join->service, .entry = line });
    if (rc == PH_OK) {
        c->session_last++;
    }
    return rc;
}

// The client is in.
static void admit(center *c, session *s, account *a, const phi_join *join)
{
    session_enter(c, s, a, join->message_bytes_max);
    replica_tell_account(c, a);
    presence_join(c, a);
    if (PHI_UNLIKELY(s->is_abroad)) {
        worker_admit(c, s, join);
    } else {
        join_welcome(c, s, join);
    }
}

// WELCOME comes before anything else it is sent, because what others send it, and what it watches,
// is queued later.
void join_welcome(center *c, session *s, const phi_join *join)
{
    PH_ASSERT(!s->is_abroad);
    if (s->is_to_review && !review_session(c, s)) {
        return;
    }
    c->counters.joins_total++;
    char at[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, at);
    CENTER_LOG_WRITE(
        c, JOINED, PHI_LOG_TEXT("id", session_id(s)), PHI_LOG_TEXT("peer", phi_bytes_text(at)),
        PHI_LOG_TEXT("service", session_service(s)), PHI_LOG_NUMBER("session", s->number));
    if (!throttle_joined(c, s)) {
        session_end(c, s, PHI_BYE_LIMIT_REACHED, session_retry_after(c), NULL);
        return;
    }
    if (watch_begin(c, s, &join->presence) != PH_OK) {
        session_end(c, s, PHI_BYE_INTERNAL, 0, "no memory");
        return;
    }
    phi_transport_welcome(&s->transport,
                          &(phi_welcome){
                              .id = session_id(s),
                              .session = s->number,
                              .epoch = watch_epoch(c, s),
                              .revision = presence_revision(&c->presence),
                              .expires_ms = phi_expires_ms(identity_expires(s), c->io->now),
                          });
}

// SPDX-License-Identifier: Apache-2.0
//
// center/identity.c - see identity.h.
//
// Design notes
//   - A client that proves nothing is who its account's name says, so nothing is kept of it: where
//     nobody is asked for a proof, no client costs memory for one.
//   - To judge anew is to judge as at first, by what the connection shows now. Only a token is not
//     there any more: it is a secret, and not kept; whom it proved, and until when, is kept. When
//     tokens must say something else now (tokens.audience), it has to be shown once more.
//
// Invariants  session.identity is set at home for every client that has proved who it is
//
// Clauses: P-35, P-77.

#include "center/identity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "center/guard.h"
#include "center/state.h"
#include "io/tls.h"

enum {
    EXPIRY_S_MAX = 10 * 365 * 24 * 3600, // what ends later does so for the next who joins
};

// What is claimed, and with what it is proved.
typedef struct claim {
    phi_proof proof;
    phi_bytes name; // empty: nothing is proved
    uint64_t expires_s;
    phi_jwk_mark key;                  // of a token
    char text[PHI_NAME_BYTES_MAX + 1]; // of the name, when it is in nothing else
} claim;

// What it wants to be.
typedef struct wish {
    phi_bytes account; // empty: one is to be made up
    phi_bytes service;
    bool is_center;
} wish;

static bool is_believed(const center *c, const session *s, identity_refusal *why);
static bool prove(const center *c, const session *s, phi_bytes wanted, claim *out,
                  identity_refusal *why);
static bool prove_by_token(const center *c, const session *s, phi_bytes token, claim *out,
                           identity_refusal *why);
static bool is_token_good(const center *c, const identity *known, identity_refusal *why);
static uint64_t wanted_of_tokens(const center *c);
static bool prove_by_certificate(const center *c, const phi_identity *peer, phi_bytes wanted,
                                 claim *out, identity_refusal *why);
static bool prove_by_user(const center *c, const phi_identity *peer, claim *out);
static bool may_be_unproved(const center *c, const session *s, identity_refusal *why);

static bool may_be(const center *c, const session *s, const claim *proved, const wish *wanted,
                   identity_refusal *why);
static bool is_granted(const center *c, phi_bytes principal, phi_action action,
                       const phi_target *target);
static phi_bytes name_of_wish(const wish *wanted);
static phi_bytes principal_of(const session *s, const claim *proved);
static wish wish_of(const session *s);

static bool keep(center *c, session *s, const claim *proved, identity_refusal *why);
static phi_time time_of(const center *c, uint64_t wall_s);
PHI_PRINTF(3, 4)
static bool refuse(identity_refusal *why, identity_fault fault, const char *format, ...);

// ---- judging

bool identity_admit(center *c, session *s, const phi_join *join, identity_refusal *why)
{
    PH_ASSERT(!s->is_abroad);
    PH_ASSERT(session_is(s, SESSION_JOINING));
    if (!is_believed(c, s, why)) {
        return false;
    }
    phi_identity peer;
    phi_stream_identity(c->io, s->transport.stream, &peer);
    s->is_remote = !peer.is_local;
    const wish wanted = { .account = join->account,
                          .service = join->service,
                          .is_center = join->type == PHI_TYPE_CENTER };
    claim proved = { .proof = PHI_PROOF_NONE };
    bool is_proved = join->token.size != 0 ? prove_by_token(c, s, join->token, &proved, why)
                                           : prove(c, s, join->account, &proved, why);
    s->is_judged = true;
    return is_proved && may_be(c, s, &proved, &wanted, why) && keep(c, s, &proved, why);
}

bool identity_again(center *c, session *s, identity_refusal *why)
{
    PH_ASSERT(!s->is_abroad);
    if (!is_believed(c, s, why)) {
        return false;
    }
    const identity *known = s->identity;
    const wish wanted = wish_of(s);
    claim proved = { .proof = PHI_PROOF_NONE };
    if (known != NULL && known->proof == PHI_PROOF_TOKEN) {
        if (!is_token_good(c, known, why)) {
            return false;
        }
        proved.proof = PHI_PROOF_TOKEN;
        proved.name = session_principal(s);
        return may_be(c, s, &proved, &wanted, why);
    }
    return prove(c, s, wanted.account, &proved, why) && may_be(c, s, &proved, &wanted, why) &&
           keep(c, s, &proved, why);
}

bool identity_renew(center *c, session *s, phi_bytes token, identity_refusal *why)
{
    PH_ASSERT(!s->is_abroad);
    PH_ASSERT(session_is(s, SESSION_JOINED));
    const wish wanted = wish_of(s);
    claim proved = { .proof = PHI_PROOF_NONE };
    return prove_by_token(c, s, token, &proved, why) && may_be(c, s, &proved, &wanted, why) &&
           keep(c, s, &proved, why);
}

// Whether its certificate, if there is one, would still be let in. A connection may be older than
// what is believed now.
static bool is_believed(const center *c, const session *s, identity_refusal *why)
{
    const phi_tls *tls = center_credentials(c, (center_listener)s->kind);
    phi_diag diag = { "" };
    ph_err rc = tls == NULL ? PH_OK : phi_stream_verify(c->io, s->transport.stream, tls, &diag);
    if (rc == PH_OK) {
        return true;
    }
    return refuse(why, rc == PH_ENOMEM ? IDENTITY_MEMORY : IDENTITY_CERTIFICATE, "%s", diag.text);
}

// ---- proofs: a token, a certificate, a user; the first that is there counts

static bool prove_by_token(const center *c, const session *s, phi_bytes token, claim *out,
                           identity_refusal *why)
{
    const center_security *security = c->security;
    if (security->keys == NULL) {
        return refuse(why, IDENTITY_TOKEN, "this center believes no tokens");
    }
    phi_jwt_claims claims;
    phi_jwt_fault fault = phi_jwt_judge(token, security->keys, &security->expect,
                                        phi_io_wall_ms(c->io) / 1000, &claims);
    if (fault == PHI_JWT_KEY_UNKNOWN && c->options.on_unknown_key != NULL) {
        c->options.on_unknown_key(c->options.on_unknown_key_arg);
    }
    if (fault != PHI_JWT_GOOD) {
        return refuse(why, IDENTITY_TOKEN, "%s", phi_jwt_fault_text(fault));
    }
    out->proof = PHI_PROOF_TOKEN;
    memcpy(out->text, claims.principal, sizeof out->text);
    out->name = phi_bytes_text(out->text);
    out->expires_s = claims.expires_s;
    out->key = claims.key;
    // No longer than the certificate with which the connection was made.
    phi_identity peer;
    phi_stream_identity(c->io, s->transport.stream, &peer);
    if (peer.expires_s != 0 && peer.expires_s < out->expires_s) {
        out->expires_s = peer.expires_s;
    }
    return true;
}

// One that was good, and is not there any more.
static bool is_token_good(const center *c, const identity *known, identity_refusal *why)
{
    const phi_jwks *keys = c->security->keys;
    if (keys == NULL || !phi_jwks_has(keys, &known->key)) {
        return refuse(why, IDENTITY_TOKEN, "the key of its token is not believed any more");
    }
    if (known->wanted != wanted_of_tokens(c)) {
        (void)refuse(why, IDENTITY_TOKEN, "tokens are judged by other demands now");
        why->code = PHI_BYE_CREDENTIAL_EXPIRED; // the same one may be good, or another
        return false;
    }
    return true;
}

static uint64_t wanted_of_tokens(const center *c)
{
    const phi_jwt_expect *expect = &c->security->expect;
    const phi_bytes parts[] = { expect->issuer, expect->audience, expect->claim };
    phi_hash_key key = c->hash;
    for (size_t i = 0; i < PHI_COUNT_OF(parts); i++) {
        key.k0 = phi_siphash(key, parts[i]);
    }
    return key.k0;
}

// Without a token.
static bool prove(const center *c, const session *s, phi_bytes wanted, claim *out,
                  identity_refusal *why)
{
    phi_identity peer;
    phi_stream_identity(c->io, s->transport.stream, &peer);
    if (peer.expires_s != 0) {
        return prove_by_certificate(c, &peer, wanted, out, why);
    }
    return prove_by_user(c, &peer, out) || may_be_unproved(c, s, why);
}

// Of several names that it has, the one whose account is wanted, else the first.
static bool prove_by_certificate(const center *c, const phi_identity *peer, phi_bytes wanted,
                                 claim *out, identity_refusal *why)
{
    phi_bytes best = phi_bytes_of(NULL, 0);
    for (uint32_t i = 0; i < peer->name_count; i++) {
        phi_bytes text = phi_bytes_of(peer->names[i].text, peer->names[i].size);
        phi_bytes name = text;
        bool is_name = peer->names[i].is_uri ? phi_principal_of_uri(text, center_domain(c), &name)
                                             : phi_principal_is_valid(text);
        if (is_name && (best.size == 0 ||
                        (!phi_principal_owns(best, wanted) && phi_principal_owns(name, wanted)))) {
            best = name;
        }
    }
    if (best.size == 0) {
        return refuse(why, IDENTITY_CERTIFICATE,
                      "its certificate names no account of this domain (of at most %u bytes)",
                      PHI_PRINCIPAL_BYTES_MAX);
    }
    PH_ASSERT(best.size < sizeof out->text);
    out->proof = PHI_PROOF_CERTIFICATE;
    memcpy(out->text, best.data, best.size);
    out->name = phi_bytes_of(out->text, best.size);
    out->expires_s = peer->expires_s;
    return true;
}

static bool prove_by_user(const center *c, const phi_identity *peer, claim *out)
{
    for (size_t i = 0; peer->has_user && i < c->security->user_count; i++) {
        const center_user *user = &c->security->users[i];
        if (user->uid == peer->uid) {
            PH_ASSERT(phi_principal_is_valid(user->principal));
            out->proof = PHI_PROOF_USER;
            out->name = user->principal;
            return true;
        }
    }
    return false;
}

static bool may_be_unproved(const center *c, const session *s, identity_refusal *why)
{
    const center_security *security = c->security;
    if (s->is_remote ? security->insecure_allow_anonymous : security->anonymous_local) {
        return true;
    }
    return refuse(why, IDENTITY_UNPROVED, "a token or a certificate is needed");
}

// ---- what it may be

static bool may_be(const center *c, const session *s, const claim *proved, const wish *wanted,
                   identity_refusal *why)
{
    phi_bytes who = proved->name.size != 0 ? proved->name : name_of_wish(wanted);
    int who_size = (int)who.size;
    const char *who_text = (const char *)who.data;
    if (wanted->is_center) {
        const phi_target domain = { .domain = wanted->account };
        if (wanted->account.size == 0 || !is_granted(c, who, PHI_MAY_CENTER, &domain)) {
            return refuse(why, IDENTITY_CENTER, "principal '%.*s' may not be the center of '%.*s'",
                          who_size, who_text, (int)wanted->account.size,
                          (const char *)wanted->account.data);
        }
        return true;
    }
    const phi_target as_account = { .account = wanted->account };
    if (wanted->account.size != 0 && !phi_principal_owns(who, wanted->account) &&
        !is_granted(c, who, PHI_MAY_REGISTER, &as_account)) {
        return refuse(why, IDENTITY_ACCOUNT, "principal '%.*s' may not use account '%.*s'",
                      who_size, who_text, (int)wanted->account.size,
                      (const char *)wanted->account.data);
    }
    const phi_target as_service = { .service = wanted->service };
    bool is_free = c->security->rules == NULL && !s->is_remote;
    bool is_own = phi_bytes_equal(
        who, proved->name.size != 0 ? wanted->service : phi_principal_of_service(wanted->service));
    if (wanted->service.size != 0 && !is_free && !is_own &&
        !is_granted(c, who, PHI_MAY_REGISTER, &as_service)) {
        return refuse(why, IDENTITY_SERVICE,
                      "principal '%.*s' may not be an instance of service '%.*s'", who_size,
                      who_text, (int)wanted->service.size, (const char *)wanted->service.data);
    }
    return true;
}

static bool is_granted(const center *c, phi_bytes principal, phi_action action,
                       const phi_target *target)
{
    const phi_rules *rules = c->security->rules;
    if (rules == NULL) {
        return false;
    }
    phi_role fits = phi_rules_role(rules, principal);
    return phi_rules_judge(rules, &fits, action, target).is_allowed;
}

// Who proves nothing is who it says.
static phi_bytes name_of_wish(const wish *wanted)
{
    return wanted->account.size != 0 ? phi_principal_of_account(wanted->account)
                                     : phi_principal_of_service(wanted->service);
}

// Who one that has joined is, by that.
static phi_bytes principal_of(const session *s, const claim *proved)
{
    return proved->name.size != 0 ? proved->name : phi_principal_of_account(session_account(s));
}

static wish wish_of(const session *s)
{
    PH_ASSERT(session_is(s, SESSION_JOINED));
    return (wish){ .account = session_account(s),
                   .service = session_service(s),
                   .is_center = s->account->entry[ENTRY_TYPE_AT] == PHI_TYPE_CENTER };
}

// ---- keeping

static bool keep(center *c, session *s, const claim *proved, identity_refusal *why)
{
    bool is_joined = session_is(s, SESSION_JOINED);
    bool is_same = is_joined && phi_bytes_equal(session_principal(s), principal_of(s, proved));
    if (proved->proof == PHI_PROOF_NONE) {
        identity_forget(c, s);
    } else if (s->identity == NULL) {
        s->identity =
            phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, sizeof *s->identity);
        if (s->identity == NULL) {
            return refuse(why, IDENTITY_MEMORY, "no memory");
        }
    }
    if (s->identity != NULL) {
        s->identity->expires = time_of(c, proved->expires_s);
        s->identity->proof = (uint8_t)proved->proof;
        s->identity->name_size = (uint8_t)proved->name.size;
        s->identity->key = proved->key;
        s->identity->wanted = wanted_of_tokens(c);
        memcpy(s->identity->name, proved->name.data, proved->name.size);
        credential_until(c, s, s->identity->expires);
    }
    if (is_joined && !is_same) {
        guard_renamed(c, s);
        worker_tell_identity(c, s);
    }
    return true;
}

void identity_forget(center *c, session *s)
{
    if (s->identity != NULL) {
        credential_until(c, s, PHI_TIME_NEVER);
    }
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), s->identity, sizeof *s->identity);
    s->identity = NULL;
}

// 0: never.
static phi_time time_of(const center *c, uint64_t wall_s)
{
    const uint64_t now_ms = phi_io_wall_ms(c->io);
    const uint64_t far_s = now_ms / 1000 + EXPIRY_S_MAX;
    if (wall_s == 0) {
        return PHI_TIME_NEVER;
    }
    uint64_t until_ms = (wall_s < far_s ? wall_s : far_s) * 1000;
    return phi_time_add(c->io->now, phi_ms(until_ms > now_ms ? until_ms - now_ms : 0));
}

// ---- queries

phi_time identity_expires(const session *s)
{
    return s->identity == NULL ? PHI_TIME_NEVER : s->identity->expires;
}

phi_bytes session_principal(const session *s)
{
    return s->identity != NULL ? phi_bytes_of(s->identity->name, s->identity->name_size)
                               : phi_principal_of_account(session_account(s));
}

// ---- at other workers

identity_told identity_tell(const session *s)
{
    identity_told told = { .kind = s->kind, .is_remote = s->is_remote };
    bool follows =
        s->identity == NULL ||
        (s->account != NULL &&
         phi_bytes_equal(session_principal(s), phi_principal_of_account(session_account(s))));
    if (!follows) {
        told.name_size = s->identity->name_size;
        memcpy(told.name, s->identity->name, told.name_size);
    }
    return told;
}

bool identity_follow(center *c, session *s, const identity_told *told)
{
    PH_ASSERT(s->is_abroad);
    s->kind = told->kind;
    s->is_remote = told->is_remote;
    identity_forget(c, s);
    if (told->name_size == 0) {
        return true;
    }
    s->identity = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, sizeof *s->identity);
    if (s->identity == NULL) {
        return false;
    }
    s->identity->expires = PHI_TIME_NEVER; // that is home's
    s->identity->name_size = told->name_size;
    memcpy(s->identity->name, told->name, told->name_size);
    return true;
}

// ---- refusing

static bool refuse(identity_refusal *why, identity_fault fault, const char *format, ...)
{
    PH_ASSERT(fault != IDENTITY_GOOD);
    why->fault = fault;
    why->code = fault == IDENTITY_MEMORY ? PHI_BYE_INTERNAL : PHI_BYE_NOT_AUTHORISED;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return false;
}

void identity_count_refusal(center *c, const identity_refusal *why)
{
    switch (why->fault) {
    case IDENTITY_UNPROVED:
        c->counters.joins_refused_unproved_total++;
        return;
    case IDENTITY_TOKEN:
        c->counters.joins_refused_token_total++;
        return;
    case IDENTITY_CERTIFICATE:
        c->counters.joins_refused_certificate_total++;
        return;
    case IDENTITY_ACCOUNT:
    case IDENTITY_SERVICE:
    case IDENTITY_CENTER:
        c->counters.joins_refused_account_total++;
        return;
    case IDENTITY_GOOD:
    case IDENTITY_MEMORY:
    case IDENTITY_FAULT_COUNT:
        return;
    }
}

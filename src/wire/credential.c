// SPDX-License-Identifier: Apache-2.0
//
// wire/credential.c - encoders and decoders of credential.
//
// Clauses: P-26, P-36, P-76.

#include "wire/credential.h"

#include "base/assert.h"
#include "wire/fields.h"
#include "wire/handshake.h"

// Each end has fields of its own, so that neither can be taken for the other's.
enum {
    CREDENTIAL_TOKEN = 1,
    CREDENTIAL_EXPIRES = 2,
};

ph_err phi_credential_decode(phi_bytes payload, phi_credential *out)
{
    phi_credential credential = { 0 };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(payload);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag != CREDENTIAL_TOKEN) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) || field.value.size > PHI_JOIN_TOKEN_BYTES_MAX) {
            return PH_EPROTO;
        }
        credential.token = field.value;
    }
    if (r.failed || credential.token.size == 0) {
        return PH_EPROTO;
    }
    *out = credential;
    return PH_OK;
}

void phi_credential_encode(phi_writer *w, const phi_credential *credential)
{
    PH_ASSERT(credential->token.size != 0);
    PH_ASSERT(credential->token.size <= PHI_JOIN_TOKEN_BYTES_MAX);
    phi_write_field(w, CREDENTIAL_TOKEN, credential->token);
}

ph_err phi_credential_answer_decode(phi_bytes payload, phi_credential_answer *out)
{
    phi_credential_answer answer = { 0 };
    uint64_t seen = 0;
    phi_reader r = phi_reader_of(payload);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag != CREDENTIAL_EXPIRES) {
            continue; // of a later version
        }
        if (!phi_field_once(&seen, field.tag) || !phi_field_u32(&field, &answer.expires_ms)) {
            return PH_EPROTO;
        }
    }
    if (r.failed) {
        return PH_EPROTO;
    }
    *out = answer;
    return PH_OK;
}

void phi_credential_answer_encode(phi_writer *w, const phi_credential_answer *answer)
{
    if (answer->expires_ms != 0) {
        phi_write_field_u32(w, CREDENTIAL_EXPIRES, answer->expires_ms);
    }
}

uint32_t phi_expires_ms(phi_time expires, phi_time now)
{
    if (phi_time_is_never(expires)) {
        return 0;
    }
    // Down to whole milliseconds: a client that believes it is in time should be.
    uint64_t ms = phi_time_before(now, expires) ? phi_dur_ms(phi_time_diff(expires, now)) : 0;
    if (ms == 0) {
        return 1;
    }
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

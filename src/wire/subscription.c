// SPDX-License-Identifier: Apache-2.0
//
// wire/subscription.c - encoder and decoder of subscriptions and of the answers to them.
//
// Clauses: P-26, P-73.

#include "wire/subscription.h"

#include "base/assert.h"

#define REFUSAL_CODE_BYTES 2u

static bool take(phi_bytes payload, phi_subscription *out);

ph_err phi_subscription_decode(phi_bytes payload, phi_subscription *out)
{
    phi_subscription subscription;
    if (payload.size > PHI_SUBSCRIPTION_BYTES_MAX || !take(payload, &subscription)) {
        return PH_EPROTO;
    }
    phi_reader r = phi_reader_of(subscription.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        bool is_known = field.tag == PHI_SUBSCRIPTION_ADD || field.tag == PHI_SUBSCRIPTION_REMOVE;
        if (is_known && field.value.size > PHI_PATTERN_BYTES_TAKEN) {
            return PH_EPROTO;
        }
    }
    if (r.failed) {
        return PH_EPROTO;
    }
    *out = subscription;
    return PH_OK;
}

ph_err phi_subscription_answer_decode(phi_bytes payload, phi_subscription *out)
{
    phi_subscription answer;
    if (!take(payload, &answer)) {
        return PH_EPROTO;
    }
    phi_reader r = phi_reader_of(answer.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag == PHI_SUBSCRIPTION_REFUSED &&
            (field.value.size < REFUSAL_CODE_BYTES ||
             field.value.size > REFUSAL_CODE_BYTES + PHI_PATTERN_BYTES_TAKEN)) {
            return PH_EPROTO;
        }
    }
    if (r.failed) {
        return PH_EPROTO;
    }
    *out = answer;
    return PH_OK;
}

static bool take(phi_bytes payload, phi_subscription *out)
{
    phi_reader r = phi_reader_of(payload);
    out->number = phi_read_u32(&r);
    out->changes = phi_read_rest(&r);
    return !r.failed;
}

phi_refusal phi_refusal_decode(phi_bytes value)
{
    PH_ASSERT(value.size >= REFUSAL_CODE_BYTES);
    return (phi_refusal){
        .code = phi_get_u16(value.data),
        .pattern = phi_bytes_of(value.data + REFUSAL_CODE_BYTES, value.size - REFUSAL_CODE_BYTES),
    };
}

void phi_subscription_begin(phi_writer *w, uint32_t number)
{
    phi_write_u32(w, number);
}

void phi_write_change(phi_writer *w, phi_subscription_tag tag, phi_bytes pattern)
{
    PH_ASSERT(tag == PHI_SUBSCRIPTION_ADD || tag == PHI_SUBSCRIPTION_REMOVE);
    PH_ASSERT(pattern.size <= PHI_PATTERN_BYTES_TAKEN);
    phi_write_field(w, (uint8_t)tag, pattern);
}

void phi_write_refusal(phi_writer *w, uint16_t code, phi_bytes pattern)
{
    PH_ASSERT(code != 0);
    PH_ASSERT(pattern.size <= PHI_PATTERN_BYTES_TAKEN);
    phi_write_u8(w, PHI_SUBSCRIPTION_REFUSED);
    phi_write_u16(w, (uint16_t)(REFUSAL_CODE_BYTES + pattern.size));
    phi_write_u16(w, code);
    phi_write_bytes(w, pattern);
}

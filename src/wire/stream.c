// SPDX-License-Identifier: Apache-2.0
//
// wire/stream.c - encoder and decoder of stream control.
//
// Clauses: P-51, P-66, P-75.

#include "wire/stream.h"

#include "base/assert.h"

// Offsets in the payload.
enum {
    AT_OP = 0,
    AT_KIND = 1,
    AT_TURN = 2,
    AT_CALL = 4,
    AT_VALUE = 12,
};

PH_STATIC_ASSERT(AT_VALUE + 4 == PHI_STREAM_CONTROL_BYTES);

static bool control_is_good(const phi_stream_control *control);
static bool value_is_good(const phi_stream_control *control);

ph_err phi_stream_control_decode(phi_bytes payload, phi_stream_control *out)
{
    if (payload.size != PHI_STREAM_CONTROL_BYTES) {
        return PH_EPROTO;
    }
    const uint8_t *p = payload.data;
    phi_stream_control control = {
        .op = p[AT_OP],
        .kind = p[AT_KIND],
        .turn = phi_get_u16(p + AT_TURN),
        .call = phi_get_u64(p + AT_CALL),
        .value = phi_get_u32(p + AT_VALUE),
    };
    if (!control_is_good(&control)) {
        return PH_EPROTO;
    }
    *out = control;
    return PH_OK;
}

void phi_stream_control_encode(uint8_t room[PHI_STREAM_CONTROL_BYTES],
                               const phi_stream_control *control)
{
    PH_ASSERT(room != NULL);
    PH_ASSERT(control_is_good(control));

    room[AT_OP] = control->op;
    room[AT_KIND] = control->kind;
    phi_put_u16(room + AT_TURN, control->turn);
    phi_put_u64(room + AT_CALL, control->call);
    phi_put_u32(room + AT_VALUE, control->value);
}

// A message in fragments with these numbers can be: P-51.
static bool control_is_good(const phi_stream_control *control)
{
    if (control->call == 0 || !value_is_good(control)) {
        return false;
    }
    switch (control->kind) {
    case PHI_KIND_EVENT:
    case PHI_KIND_REQUEST:
        return control->turn == 0;
    case PHI_KIND_REPLY:
        return true; // in a gather it has the number of its responder
    case PHI_KIND_INQUIRY:
    case PHI_KIND_ANSWER:
        return control->turn != 0;
    default:
        return false; // never in fragments, or no kind
    }
}

static bool value_is_good(const phi_stream_control *control)
{
    switch (control->op) {
    case PHI_STREAM_CREDIT:
        return control->value != 0;
    case PHI_STREAM_ABORT:
    case PHI_STREAM_REFUSE:
        return control->value != 0 && control->value <= UINT16_MAX;
    default:
        return false;
    }
}

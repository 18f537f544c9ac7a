// SPDX-License-Identifier: Apache-2.0
//
// posthouse/state.h - what a client says about itself, and can change while it is connected.
//
// A service that has work to do before it can serve joins with options.state PH_STATE_STARTING: it
// is listed, but service:NAME does not choose it. Then it says that it is ready:
//
//     ph_own_state own = PH_OWN_STATE_INIT;
//     own.state = PH_STATE_READY;
//     ph_client_set_state(client, &own);
//
// When an operator drains it (options.on_state_wish), it gets no more work through service:NAME; it
// finishes what it has and leaves, if it will.
//
// Threads, ownership, errors   as in client.h

#ifndef PH_STATE_H
#define PH_STATE_H

#include <posthouse/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PH_WEIGHT_MAX 1000u
#define PH_WEIGHT_DEFAULT 100u

// What is left as PH_OWN_STATE_INIT has it stays as it is.
typedef struct ph_own_state {
    size_t struct_size; // set by PH_OWN_STATE_INIT; lets later versions add fields
    ph_state state;     // PH_STATE_STARTING, _READY or _DRAINING; 0: stays
    // How much of its service's work it wants, beside the others: 0 (none) to PH_WEIGHT_MAX
    uint16_t weight;
    bool has_weight;
    bool has_metadata;           // then it replaces all there was, also with nothing
    const ph_metadata *metadata; // copied
    size_t metadata_count;       // at most 32
    const char *software;        // at most 64 bytes, "": none; NULL: stays; copied
} ph_own_state;

#define PH_OWN_STATE_INIT                                                                          \
    {                                                                                              \
        sizeof(ph_own_state), (ph_state)0, 0, false, false, NULL, 0, NULL                          \
    }

// Says it to the center, now or as soon as the client is up, and again over each connection after
// this one. It takes its place among what is sent: who is drained so has got all that was sent to
// the center before.
//
// PH_EINVAL   a field is out of range, or service, software and metadata together are longer than a
//             center takes (8 KiB); nothing has changed
// PH_ENOMEM   no memory; nothing has changed
// PH_ECLOSED  the client is closed
PH_API PH_MUST_CHECK ph_err ph_client_set_state(ph_client *client, const ph_own_state *own);

#ifdef __cplusplus
}
#endif

#endif // PH_STATE_H

// SPDX-License-Identifier: Apache-2.0
//
// center/identity.h - who is at the other end of a connection, as far as that is proved, and
// whether it may be the account, and the instance of the service, that it wants to be: P-77.
//
// The worker that has the connection judges: it sees the certificate, and checking a token takes a
// while. It tells the others what they need: whether the client is of this machine, and its
// principal, when that does not follow from its account's name.
//
// Life     identity_admit keeps one for the session -> identity_again* -> identity_forget
// Limits   an identity takes some 190 bytes; clients that have proved nothing have none
// Threads  none

#ifndef CENTER_IDENTITY_H
#define CENTER_IDENTITY_H

#include "center/credential.h"
#include "center/security.h"
#include "center/session.h"
#include "wire/codes.h"
#include "wire/handshake.h"

#define IDENTITY_TEXT_BYTES_MAX 320u

typedef enum identity_fault {
    IDENTITY_GOOD,
    IDENTITY_UNPROVED,    // nothing proves who it is, and that is not enough
    IDENTITY_TOKEN,       // one that is not believed
    IDENTITY_CERTIFICATE, // same
    IDENTITY_ACCOUNT,     // somebody, but not who may use that account
    IDENTITY_SERVICE,     // or be an instance of that service
    IDENTITY_CENTER,      // or be the center of that domain
    IDENTITY_MEMORY,
    IDENTITY_FAULT_COUNT
} identity_fault;

// Why somebody is not let in, or not any more.
typedef struct identity_refusal {
    identity_fault fault;
    phi_bye_code code;
    char text[IDENTITY_TEXT_BYTES_MAX]; // a sentence for people at both ends; nothing secret
} identity_refusal;

// What is kept of it.
struct identity {
    phi_time expires; // when the proof ends; NEVER: it does not
    uint8_t proof;    // phi_proof
    uint8_t name_size;
    uint8_t name[PHI_NAME_BYTES_MAX];
    phi_jwk_mark key;                   // of its token, when that is the proof
    uint64_t wanted;                    // same: a hash of what a token had to say then
    struct credential_state credential; // at home
};

// What other workers are told of a client; it never leaves the process.
typedef struct identity_told {
    uint8_t kind; // center_listener
    bool is_remote;
    uint8_t name_size; // 0: the principal follows from the account's name
    uint8_t name[PHI_NAME_BYTES_MAX];
} identity_told;

// At the client's home, before anything else is done with its JOIN, whose names are valid. True: it
// may come in as the one it wants to be, and the session has its identity. False: *why says why
// not.
PHI_MUST_CHECK bool identity_admit(center *c, session *s, const phi_join *join,
                                   identity_refusal *why);

// At the home of a client that has joined, or was admitted and is about to: whether it may stay,
// now that other things are believed, or allowed.
PHI_MUST_CHECK bool identity_again(center *c, session *s, identity_refusal *why);

// At the home of a client that has joined: a token takes the place of what it proved before. False:
// it is not believed, and nothing has changed.
PHI_MUST_CHECK bool identity_renew(center *c, session *s, phi_bytes token, identity_refusal *why);

// Nothing for one that has none.
void identity_forget(center *c, session *s);

// Counts that somebody was not let in.
void identity_count_refusal(center *c, const identity_refusal *why);

// When its proof ends; NEVER: it does not, or there is none.
phi_time identity_expires(const session *s);

// The principal of one that has joined. A view: into its identity, or into its account's name.
phi_bytes session_principal(const session *s);

// For what one worker tells another of a session.
identity_told identity_tell(const session *s);

// At another worker than its home. False without memory.
PHI_MUST_CHECK bool identity_follow(center *c, session *s, const identity_told *told);

#endif // CENTER_IDENTITY_H

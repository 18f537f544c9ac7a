// SPDX-License-Identifier: Apache-2.0
//
// io/tls.h - TLS as the rest of the io sees it: credentials of one end, and whom it trusts.
//
// A stream of a listener that has credentials, or to an address "tls:HOST:PORT", is a stream like
// any other (io.h): what its owner reads and writes is what is inside. Its on_open, and the first
// on_bytes of an accepted one, come when the other end has proved who it is; phi_stream_identity
// says who that is.
//
// TLS 1.3; 1.2 only when asked for, with ECDHE and AES-GCM. Nothing is resumed, so that a
// connection is always judged by the certificates of its day; nothing is renegotiated or
// compressed. ALPN is "posthouse/1": an end that offers others only is refused.
//
// Life     phi_tls_new -> phi_tls_free. Listeners and streams keep what they need of it.
// Threads  what was made may be used by the loops of several threads

#ifndef PHI_IO_TLS_H
#define PHI_IO_TLS_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/diag.h"

#define PHI_TLS_ALPN "posthouse/1"
#define PHI_TLS_PEM_BYTES_MAX (1024u * 1024u) // of each of the files
#define PHI_TLS_CHAIN_MAX 4u                  // certificates between one and the CA
#define PHI_TLS_CERTIFICATE_BYTES_MAX 32768   // what the other end may send of them
// Who connects and says nothing for so long may not know that TLS is spoken here. A client hello
// that was lost on its way once is there again by then.
#define PHI_TLS_SILENCE_MS 2000u

// Stands in the reason why a certificate is not believed when that is because of who signed it.
#define PHI_TLS_UNKNOWN "not known here"
// Stands in it when it is the other end that does not believe ours.
#define PHI_TLS_REFUSED "refused our certificate"
// Stands in it when what the other end says is no TLS.
#define PHI_TLS_NOT_SPOKEN "does not speak TLS"

typedef struct phi_tls phi_tls;

typedef enum phi_tls_side {
    PHI_TLS_CENTER, // accepts
    PHI_TLS_CLIENT, // connects
} phi_tls_side;

typedef enum phi_tls_peers {
    PHI_TLS_PEERS_ASKED,    // a certificate of a client is judged when it has one
    PHI_TLS_PEERS_REQUIRED, // and a client without one is refused
    PHI_TLS_PEERS_UNASKED,  // clients are not asked for one
} phi_tls_peers;

// PEM; views, not kept. Empty: there is none.
typedef struct phi_tls_options {
    phi_tls_side side;
    phi_bytes certificate; // the own one, then those between it and the CA
    phi_bytes key;         // not encrypted
    phi_bytes authorities; // the CAs whose certificates are believed; several while one replaces
                           // another. A client without: those of the system
    phi_bytes revoked;     // CRLs of those; once there is one, each CA in a chain must have one
    phi_tls_peers peers;   // of a center
    bool allows_tls12;
} phi_tls_options;

// PH_EINVAL   something in it is weak, expired, or does not fit together; *diag says what, of which
//             file (`certificate`, `key`, `authorities`, `revoked`), and what to do; never a key
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_tls_new(phi_tls **out, const phi_tls_options *options, phi_diag *diag);
void phi_tls_free(phi_tls **tls);

// When the first of its own certificates ends, in seconds since 1970; 0: it has none.
uint64_t phi_tls_expires_s(const phi_tls *tls);

// When the first of its lists of revoked certificates ends; from then on nobody of that authority
// is believed. 0: it has none, or none that says when.
uint64_t phi_tls_revoked_until_s(const phi_tls *tls);

#endif // PHI_IO_TLS_H

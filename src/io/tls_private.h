// SPDX-License-Identifier: Apache-2.0
//
// io/tls_private.h - what the files that speak TLS know of each other.
//
//     tls.c        credentials: what stands in the files, judged and made ready
//     tls_judge.c  certificates of the other end, and reasons for people
//     uv_tls.c     a stream of TLS
//
// Errors of OpenSSL are its own, and thread-local: who calls it leaves none behind.

#ifndef PHI_IO_TLS_PRIVATE_H
#define PHI_IO_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "io/identity.h"
#include "io/tls.h"

#define PHI_TLS_TRUST_BYTES 32 // SHA-256
// Bits of security that a key or a signature must have at least: RSA of 2048, EC of 256, SHA-256.
#define PHI_TLS_LEVEL 2
#define PHI_TLS_LEVEL_BITS 112

struct phi_tls {
    atomic_uint refs;
    phi_tls_side side;
    phi_tls_peers peers;
    SSL_CTX *ctx;
    uint64_t expires_s;
    uint64_t revoked_until_s;           // 0: never, as it has no list that ends
    uint8_t trust[PHI_TLS_TRUST_BYTES]; // a digest of whom they believe
};

phi_tls *phi_tls_ref(phi_tls *tls);

// A connection's part of it. A client's `name` is what the other end's certificate must name: the
// host, a name or an IP address. While OpenSSL works on it, its app data (NULL or a phi_diag) takes
// the reason why a certificate is not believed.
//
// PH_EINVAL   `name` can be no host; *diag says so
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_tls_open(SSL **out, const phi_tls *tls, const char *name, phi_diag *diag);

// ---- tls_judge.c

// For SSL_CTX_set_cert_verify_callback.
int phi_tls_on_certificate(X509_STORE_CTX *ctx, void *arg);

// Would these believe the other end's certificates? As phi_stream_verify.
ph_err phi_tls_judge(const phi_tls *tls, const SSL *ssl, phi_diag *diag);

// What a verified certificate says; nothing, when there is none.
void phi_tls_identify(const SSL *ssl, phi_identity *out);

// Takes the reason of the last failure off OpenSSL's queue and says it for people, unless *diag
// says it already. PH_ETLS when one end does not believe, or not understand, the other; PH_ERESET
// when what came over an open connection was broken.
ph_err phi_tls_explain(bool was_open, phi_diag *diag);

// "2027-01-31"
#define PHI_TLS_DATE_BYTES 32
void phi_tls_date(const ASN1_TIME *time, char text[PHI_TLS_DATE_BYTES]);

// Seconds since 1970; 0 when it cannot be read.
uint64_t phi_tls_seconds(const ASN1_TIME *time);

#endif // PHI_IO_TLS_PRIVATE_H

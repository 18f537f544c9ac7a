// SPDX-License-Identifier: Apache-2.0
//
// app/cert.h - certificates as the tools make and read them: an authority for development, what it
// signs, and the list of what it has revoked.
//
// What is made is what the io believes (io/tls.h): NIST's curve of 256 bits with SHA-256, names
// in the SAN only, the usage said, no longer than its authority. An account is the URI
// posthouse://DOMAIN/NAME.
//
// Ownership  objects of libcrypto are freed with X509_free, EVP_PKEY_free, X509_CRL_free
// Errors     PH_EINVAL: what was given is wrong. PH_ESYSTEM: libcrypto, or the file system.
//            *diag says what; never a key
// Threads    none

#ifndef APP_CERT_H
#define APP_CERT_H

#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <posthouse/err.h>

#include "app/draft.h"
#include "base/diag.h"

#define CERT_NAMES_MAX 48
#define CERT_NAME_BYTES_MAX 255u
#define CERT_FILE_BYTES_MAX (1024u * 1024u)
#define CERT_AUTHORITY_DAYS 3650u
#define CERT_DAYS_MAX 825u

typedef enum cert_kind {
    CERT_OF_AUTHORITY, // signs others and their revocation; no further authority below it
    CERT_OF_CENTER,    // clients check it
    CERT_OF_ACCOUNT,   // a center checks it
} cert_kind;

typedef enum cert_name_kind {
    CERT_NAME_DNS,
    CERT_NAME_IP, // as text
    CERT_NAME_URI,
    CERT_NAME_OTHER, // of a form that means nothing here
} cert_name_kind;

typedef struct cert_name {
    cert_name_kind kind;
    size_t size;
    char text[CERT_NAME_BYTES_MAX]; // foreign bytes; not terminated
} cert_name;

// The SAN of a certificate.
typedef struct cert_names {
    size_t count;
    size_t more; // that did not fit
    cert_name items[CERT_NAMES_MAX];
} cert_names;

typedef struct cert_order {
    cert_kind kind;
    const char *subject;     // for people
    const cert_names *names; // NULL: none
    EVP_PKEY *key;           // whose certificate it is
    X509 *issuer;            // NULL: itself
    EVP_PKEY *issuer_key;
    time_t now;
    uint32_t days; // cut where the issuer ends
} cert_order;

// A list of revoked certificates.
typedef struct cert_revocation_order {
    const X509_CRL *old; // NULL: none
    X509 *issuer;
    EVP_PKEY *issuer_key;
    const ASN1_INTEGER *const *serials; // that are revoked now
    size_t serial_count;
    time_t now;
    uint32_t days;
} cert_revocation_order;

// Adds a name. A DNS name is in lower case and no wildcard: nobody here believes one.
//
// PH_EINVAL   it is neither a name of a machine nor an address
// PH_ELIMIT   CERT_NAMES_MAX
PHI_MUST_CHECK ph_err cert_names_add_host(cert_names *names, phi_bytes host, phi_diag *diag);

// PH_EINVAL   no name of an account, or the form of one that is made up
PHI_MUST_CHECK ph_err cert_names_add_account(cert_names *names, phi_bytes domain, phi_bytes account,
                                             phi_diag *diag);
bool cert_names_have(const cert_names *names, const cert_name *name);
bool cert_names_cover(const cert_names *names, const cert_names *others);
// "DNS localhost, IP 127.0.0.1".
void cert_names_show(const cert_names *names, draft *to);
const char *cert_name_kind_text(cert_name_kind kind);

// On NIST's curve of 256 bits.
PHI_MUST_CHECK ph_err cert_key_make(EVP_PKEY **out, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_make(X509 **out, const cert_order *order, phi_diag *diag);

// A list of what `old` names, and of `serials`.
PHI_MUST_CHECK ph_err cert_revocation_make(X509_CRL **out, const cert_revocation_order *order,
                                           phi_diag *diag);

// What a certificate says.
void cert_names_of(const X509 *certificate, cert_names *out);
time_t cert_time(const ASN1_TIME *t); // 0: it is none
// "RSA 2048", "Ed25519", "EC" and its curve.
void cert_key_show(const EVP_PKEY *key, draft *to);
// One line, in the order of the certificate: "CN=x, O=y".
void cert_subject_show(const X509_NAME *name, draft *to);
void cert_serial_show(const ASN1_INTEGER *serial, draft *to);

// Files, in PEM. Reading takes the first object of its kind.
//
// PH_ENOTFOUND   there is no such file
// PH_EINVAL      there is no such thing in it, or a key is encrypted
PHI_MUST_CHECK ph_err cert_file_read(const char *path, draft *out, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_read(const char *path, X509 **out, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_key_read(const char *path, EVP_PKEY **out, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_revocation_read(const char *path, X509_CRL **out, phi_diag *diag);

// A certificate, or a list of revoked ones, takes the place of what was there in one step. A key
// (0600) never does: PH_EINVAL when there is a file.
PHI_MUST_CHECK ph_err cert_write(const char *path, const X509 *certificate, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_key_write(const char *path, const EVP_PKEY *key, phi_diag *diag);
PHI_MUST_CHECK ph_err cert_revocation_write(const char *path, const X509_CRL *list, phi_diag *diag);

#endif // APP_CERT_H

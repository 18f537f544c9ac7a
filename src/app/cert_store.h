// SPDX-License-Identifier: Apache-2.0
//
// app/cert_store.h - the directory of an authority for development: its key, what it signs, and the
// list of what it has revoked.
//
//     ca.crt  ca.key          the authority
//     center.crt  center.key  a center
//     NAME.crt  NAME.key      the account NAME
//     crl.pem                 what was revoked; only once something was
//     issued.txt              serial number and name of all that was ever signed
//     domain.txt              of its accounts
//
// Life     cert_store_init -> cert_store_open -> (sign | revoke)* -> cert_store_fini
// Errors   as in cert.h
// Threads  none

#ifndef APP_CERT_STORE_H
#define APP_CERT_STORE_H

#include <limits.h>

#include "app/cert.h"
#include "wire/name.h"

#define CERT_SOON_DAYS 14 // left: then it is worth a warning, and a list is renewed

// Stems of files that no account may have.
#define CERT_STORE_AUTHORITY "ca"
#define CERT_STORE_CENTER "center"

#define CERT_STORE_DOMAIN "local" // when nobody says another

typedef struct cert_store {
    const char *dir; // borrowed
    uint32_t days;   // that what is signed is good for
    time_t now;
    X509 *ca; // once it is open
    EVP_PKEY *ca_key;
    X509_CRL *revoked;                   // NULL: there is no list yet
    char domain[PHI_NAME_BYTES_MAX + 1]; // "" until it is settled
} cert_store;

void cert_store_init(cert_store *s, const char *dir, uint32_t days, time_t now);
void cert_store_fini(cert_store *s);

// Loads the authority and its list; makes the first when there is none and `may_make`.
//
// PH_ENOTFOUND   there is none
// PH_EINVAL      one of its files is missing, wrong, or has expired
PHI_MUST_CHECK ph_err cert_store_open(cert_store *s, bool may_make, phi_diag *diag);

// Settles which domain the accounts of the authority are of. The first run decides, and domain.txt
// remembers: accounts of two domains would never meet at one center. `asked` is NULL for whatever
// it is.
//
// PH_EINVAL   it is another, or no name
PHI_MUST_CHECK ph_err cert_store_settle_domain(cert_store *s, const char *asked, phi_diag *diag);

// Makes STEM.crt for that key, in the place of what was there.
PHI_MUST_CHECK ph_err cert_store_sign(cert_store *s, const char *stem, const cert_names *names,
                                      EVP_PKEY *key, X509 **out, phi_diag *diag);

// Makes the list anew when it ends soon: one that has ended lets nobody in any more.
PHI_MUST_CHECK ph_err cert_store_renew_list(cert_store *s, phi_diag *diag);

// Revokes all that was ever signed for the center or account; *count says how many those are.
//
// PH_ENOTFOUND   nothing was
PHI_MUST_CHECK ph_err cert_store_revoke(cert_store *s, const char *name, size_t *count,
                                        phi_diag *diag);
bool cert_store_is_revoked(const cert_store *s, X509 *certificate);

// DIR/STEM and what follows.
PHI_MUST_CHECK ph_err cert_store_path(const cert_store *s, const char *stem, const char *tail,
                                      char out[PATH_MAX], phi_diag *diag);
bool cert_store_has(const char *path);

#endif // APP_CERT_STORE_H

// SPDX-License-Identifier: Apache-2.0
//
// tests/io/tls_fixture.h - for tests: certificates of any kind, good and bad, made when they are
// wanted, with OpenSSL's own functions; so no test depends on files, or on the day.
//
// Life     fixture_issue -> fixture_issued_free
// Threads  none

#ifndef TESTS_IO_TLS_FIXTURE_H
#define TESTS_IO_TLS_FIXTURE_H

#include <openssl/x509.h>

#include "base/bytes.h"
#include "io/tls.h"

typedef enum fixture_key {
    FIXTURE_KEY_P256,
    FIXTURE_KEY_ED25519,
    FIXTURE_KEY_RSA_2048,
    FIXTURE_KEY_RSA_1024,
} fixture_key;

#define FIXTURE_CERTIFICATE "serverAuth,clientAuth"

// What a certificate says. Zero is a key on a curve of 256 bits, SHA-256, good from a day ago for
// a year, and nobody's name.
typedef struct fixture_recipe {
    const char *names;       // as of OpenSSL: "DNS:a.example,IP:127.0.0.1,URI:posthouse://home/a"
    const char *subject;     // its common name; NULL: "posthouse test"
    const char *usage;       // extendedKeyUsage; NULL: none
    const char *hash;        // "SHA1"; NULL: what the key asks for
    const char *extra_name;  // of an extension more: "nameConstraints"
    const char *extra_value; // "critical,permitted;DNS:.example"
    int64_t begins_s;        // from now; 0: a day ago
    int64_t ends_s;          // from now; 0: in a year
    int path_length;         // of an authority: how many may stand below it, and 1; 0: any
    bool is_authority;
    bool lacks_identifiers; // of the subject's key and the authority's
    fixture_key key;
} fixture_recipe;

typedef struct fixture_issued {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem; // NUL-terminated
    char *key_pem;
} fixture_issued;

// Signed by `issuer`; NULL: by itself. Fails the test when it cannot be made.
fixture_issued *fixture_issue(const fixture_issued *issuer, const fixture_recipe *recipe);
void fixture_issued_free(fixture_issued **issued);

// One with the name of `authority` and a key of its own.
fixture_issued *fixture_forge(const fixture_issued *authority);

// The certificate of `above` stands behind its own from now on.
void fixture_issued_chain(fixture_issued *issued, const fixture_issued *above);

// The usual: an authority, and somebody it vouches for.
fixture_issued *fixture_authority(void);
fixture_issued *fixture_issue_for(const fixture_issued *issuer, const char *names);

// PEM, to be freed: what the authority has revoked. `ends_s` from now; 0: in a day.
char *fixture_revoke(const fixture_issued *authority, const fixture_issued *const *revoked,
                     size_t count, int64_t ends_s);

// One PEM file after the other, to be freed.
char *fixture_join(const char *first, const char *second);

// Credentials; `own` and `revoked` may be NULL. Fails the test when they are refused.
phi_tls *fixture_credentials(phi_tls_side side, const fixture_issued *own,
                             const fixture_issued *authority, const char *revoked,
                             phi_tls_peers peers);

// A client's, with a certificate that phi_tls_new would refuse.
phi_tls *fixture_credentials_unjudged(const fixture_issued *own, const fixture_issued *authority);

#endif // TESTS_IO_TLS_FIXTURE_H

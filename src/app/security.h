// SPDX-License-Identifier: Apache-2.0
//
// app/security.h - what a configuration and the files that it names make of a center's security:
// one snapshot, whole or not at all, which is not changed once it is made.
//
// Life     security_fetch (where tokens.keys is a URL) -> security_new -> security_of_center, while
//          any worker uses it -> security_free
// Threads  none; what security_of_center points at may be read by several

#ifndef APP_SECURITY_H
#define APP_SECURITY_H

#include "app/app_log.h"
#include "app/config.h"
#include "app/secret.h"
#include "center/security.h"

#define SECURITY_DAYS_WARNED 14u     // a certificate that ends sooner is warned of
#define SECURITY_LIST_DAYS_WARNED 3u // and a list of revoked ones

typedef struct security security;

// Each is an event of log_events.def, which says what to do.
typedef enum security_warning {
    SECURITY_WARN_REMOTE,      // insecure_allow_remote is used
    SECURITY_WARN_ANONYMOUS,   // insecure_allow_anonymous
    SECURITY_WARN_LOCAL,       // tls:, and who comes from this machine proves nothing
    SECURITY_WARN_RULES,       // other machines can connect, and may do nothing
    SECURITY_WARN_AUDIENCE,    // tokens for others are accepted, too
    SECURITY_WARN_CERTIFICATE, // it ends soon
    SECURITY_WARN_REVOCATIONS, // the list of revoked certificates does
    SECURITY_WARN_COUNT
} security_warning;

// For people.
typedef struct security_facts {
    bool holds_secrets;             // a private key or a shared secret is in memory
    uint64_t certificate_expires_s; // since 1970; 0: there is none
    uint64_t revocations_expire_s;  // the same, of the first list of revoked ones
    uint32_t rules;
    uint32_t keys;         // of tokens
    uint32_t keys_skipped; // of kinds that are not spoken
    uint32_t insecure_listeners;
} security_facts;

// Keys from a URL, which must be there before a center starts. *out stays empty where tokens.keys
// is none. Waits for at most JWKS_FETCH_MS_MAX.
//
// PH_ECONFIG   they cannot be had; an error was added
PHI_MUST_CHECK ph_err security_fetch(const config *c, secret *out, config_errors *errors);

// Reads every file that the configuration names. `fetched` is what came from the URL of
// tokens.keys. The rules of `c` are borrowed, and must outlive the snapshot; nothing else of both
// is.
//
// PH_ECONFIG   errors were added, each with what to do; nothing that is secret is in them
// PH_ENOMEM    the same
PHI_MUST_CHECK ph_err security_new(security **out, const config *c, phi_bytes fetched,
                                   config_errors *errors);
void security_free(security **s);

const center_security *security_of_center(const security *s);
const security_facts *security_get_facts(const security *s);

// 0: today, or it has ended. SECURITY_NO_CERTIFICATE without one.
#define SECURITY_NO_CERTIFICATE UINT64_MAX
uint64_t security_days_left(const security *s, uint64_t now_s);
// The same of tls.revoked. SECURITY_NO_REVOCATIONS without a list that says when it ends.
#define SECURITY_NO_REVOCATIONS UINT64_MAX
uint64_t security_revocations_days_left(const security *s, uint64_t now_s);
app_event security_event(security_warning warning);
bool security_warns(const security *s, security_warning warning, uint64_t now_s);

// Reads the CAs that the server of tokens.keys is judged by; *out stays empty where that is up to
// the system.
PHI_MUST_CHECK ph_err security_read_fetch_authorities(const config *c, secret *out, phi_diag *diag);

// The files that a snapshot is made of: calls `found` for each.
void security_each_file(const config *c, void (*found)(void *arg, const char *path), void *arg);

#endif // APP_SECURITY_H

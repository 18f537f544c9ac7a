// SPDX-License-Identifier: Apache-2.0
//
// app/jwks_fetch.h - fetches the keys of tokens from a URL, and from nowhere else: no redirects, no
// proxies, the server's certificate is checked, and what comes is bounded in size and time. The URL
// is the configuration's; nothing that a token says has any influence on it.
//
// A fetch takes a thread of its own for as long as it lasts, so that no worker waits for a name
// server.
//
// Life     jwks_fetch_new -> jwks_fetch_begin* -> jwks_fetch_free
// Limits   PHI_JWKS_BYTES_MAX, JWKS_FETCH_MS_MAX
// Threads  a fetcher belongs to its loop

#ifndef APP_JWKS_FETCH_H
#define APP_JWKS_FETCH_H

#include "app/secret.h"
#include "io/uv.h"

#define JWKS_FETCH_MS_MAX 5000u // all together: name, connection, TLS, answer

typedef struct jwks_fetch jwks_fetch;

// Something like SCHEME://...; anything else is a path.
bool jwks_fetch_is_url(const char *chars);

// PH_EINVAL   it is no https:// URL, nor http:// to this machine, or holds a password; *diag says
//             so
PHI_MUST_CHECK ph_err jwks_fetch_judge_url(const char *url, phi_diag *diag);

// Fetches now, and waits for it. `authorities` is PEM; empty: those of the system.
//
// PH_ECONNECT   *diag says why
PHI_MUST_CHECK ph_err jwks_fetch_now(const char *url, phi_bytes authorities, secret *out,
                                     phi_diag *diag);

// On the loop, once for each begin that returned PH_OK: PH_OK and `keys`, which the callee may take
// (and zero), or why not.
typedef void jwks_fetched(void *arg, ph_err result, secret *keys, const char *why);

PHI_MUST_CHECK ph_err jwks_fetch_new(jwks_fetch **out, phi_uv *uv, jwks_fetched *fetched, void *arg,
                                     phi_diag *diag);

// Both are copied.
//
// PH_EBUSY     one is under way
// PH_ENOMEM, PH_ESYSTEM
PHI_MUST_CHECK ph_err jwks_fetch_begin(jwks_fetch *f, const char *url, phi_bytes authorities,
                                       phi_diag *diag);

// Gives up what is under way; `fetched` is not called any more. Turns the loop until the thread has
// ended, so not from one of its callbacks. Accepts NULL.
void jwks_fetch_free(jwks_fetch **f);

#endif // APP_JWKS_FETCH_H

// SPDX-License-Identifier: Apache-2.0
//
// app/secret.h - what nobody else may know, and where it comes from: a file, the environment, or
// systemd's credentials. It never stands in the configuration or in an argument; both say only
// where it is.
//
// A file is judged before it is believed: others may not write it, and of a private one (a key, a
// secret) others may not even read it, its group may not write it, and it belongs to root or to the
// user of this process. Symbolic links are followed: Kubernetes and certbot are made of them.
//
// Life     secret_read_* -> secret_view -> secret_fini, which wipes it
// Threads  none

#ifndef APP_SECRET_H
#define APP_SECRET_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/diag.h"

#define SECRET_PATH_BYTES 1280u // of a credential, with its end
#define SECRET_BYTES_MAX                                                                           \
    4096u // of a secret; files of keys and certificates have limits of their own

typedef enum secret_care {
    SECRET_PUBLIC, // a certificate, public keys
    SECRET_PRIVATE,
} secret_care;

// Zeroed: nothing.
typedef struct secret {
    uint8_t *data;
    size_t size;
    size_t room;
} secret;

// The whole file, which is not empty.
//
// PH_EINVAL     it is no such file, or is kept badly; *diag says what to do
// PH_ETOOLARGE  more than `bytes_max`
PHI_MUST_CHECK ph_err secret_read_file(const char *path, secret_care care, size_t bytes_max,
                                       secret *out, phi_diag *diag);

// "file:PATH", "env:NAME", "credential:NAME" of systemd ($CREDENTIALS_DIRECTORY). One newline at
// the end of a file is not part of the secret.
//
// PH_EINVAL   it is not there, or not as it should be; *diag says what to do
PHI_MUST_CHECK ph_err secret_read_place(const char *place, secret *out, phi_diag *diag);

// PH_EINVAL   it is none of these; *diag does not repeat it: it could be the secret
PHI_MUST_CHECK ph_err secret_judge_place(const char *place, phi_diag *diag);

// The file behind a place; false when it is in none.
bool secret_place_path(const char *place, char path[SECRET_PATH_BYTES]);

// Room that will be wiped, and a copy in such. False: out of memory, nothing made.
bool secret_make(secret *out, size_t room);
bool secret_copy(secret *out, phi_bytes bytes);

static inline phi_bytes secret_view(const secret *s)
{
    return phi_bytes_of(s->data, s->size);
}

// Wipes and frees.
void secret_fini(secret *s);

// What is in memory stays there: no core dump, no debugger of another process.
void secret_guard_process(void);

#endif // APP_SECRET_H

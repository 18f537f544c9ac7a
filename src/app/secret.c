// SPDX-License-Identifier: Apache-2.0
//
// app/secret.c - see secret.h.

#include "app/secret.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "io/file.h"

static const char front_file[] = "file:";
static const char front_env[] = "env:";
static const char front_credential[] = "credential:";

static ph_err read_env(const char *name, secret *out, phi_diag *diag);
static const char *behind(const char *place, const char *front);
static bool is_variable(const char *name);

ph_err secret_read_file(const char *path, secret_care care, size_t bytes_max, secret *out,
                        phi_diag *diag)
{
    phi_file_care file_care = care == SECRET_PRIVATE ? PHI_FILE_PRIVATE : PHI_FILE_PUBLIC;
    phi_file file;
    ph_err rc = phi_file_read(&file, &phi_alloc_heap, path, file_care, bytes_max, diag);
    if (rc == PH_OK) {
        *out = (secret){ .data = file.data, .size = file.size, .room = file.room };
    }
    return rc;
}

ph_err secret_read_place(const char *place, secret *out, phi_diag *diag)
{
    ph_err rc = secret_judge_place(place, diag);
    if (rc != PH_OK) {
        return rc;
    }
    const char *name = behind(place, front_env);
    if (name != NULL) {
        return read_env(name, out, diag);
    }
    char path[SECRET_PATH_BYTES];
    if (!secret_place_path(place, path)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "%s: $CREDENTIALS_DIRECTORY is not set; the unit of systemd needs "
                            "LoadCredential=%s:PATH",
                            place, behind(place, front_credential));
    }
    rc = secret_read_file(path, SECRET_PRIVATE, SECRET_BYTES_MAX, out, diag);
    if (rc == PH_OK && out->size > 1 && out->data[out->size - 1] == '\n') {
        out->size -= out->data[out->size - 2] == '\r' ? 2 : 1;
    }
    return rc;
}

static ph_err read_env(const char *name, secret *out, phi_diag *diag)
{
    const char *value = getenv(name);
    size_t size = value == NULL ? 0 : strlen(value);
    if (size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "env:%s: there is no such variable, or it is empty",
                            name);
    }
    if (size > SECRET_BYTES_MAX) {
        return phi_diag_add(diag, PH_ETOOLARGE, "env:%s is longer than %u bytes", name,
                            SECRET_BYTES_MAX);
    }
    if (!secret_copy(out, phi_bytes_of(value, size))) {
        return phi_diag_add(diag, PH_ENOMEM, "read env:%s", name);
    }
    return PH_OK;
}

ph_err secret_judge_place(const char *place, phi_diag *diag)
{
    const char *path = behind(place, front_file);
    const char *variable = behind(place, front_env);
    const char *credential = behind(place, front_credential);
    bool is_place = (path != NULL && *path != '\0' && strlen(path) < SECRET_PATH_BYTES) ||
                    (variable != NULL && is_variable(variable)) ||
                    (credential != NULL && *credential != '\0' && strlen(credential) <= 255 &&
                     strchr(credential, '/') == NULL && credential[0] != '.');
    if (is_place) {
        return PH_OK;
    }
    return phi_diag_add(diag, PH_EINVAL,
                        "says where the secret is, and is never the secret itself: file:PATH, "
                        "env:NAME or credential:NAME");
}

bool secret_place_path(const char *place, char path[SECRET_PATH_BYTES])
{
    const char *file = behind(place, front_file);
    const char *credential = behind(place, front_credential);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    int size = -1;
    if (file != NULL) {
        size = snprintf(path, SECRET_PATH_BYTES, "%s", file);
    } else if (credential != NULL && folder != NULL && *folder != '\0') {
        size = snprintf(path, SECRET_PATH_BYTES, "%s/%s", folder, credential);
    }
    return size > 0 && (size_t)size < SECRET_PATH_BYTES;
}

bool secret_make(secret *out, size_t room)
{
    uint8_t *data = phi_take(&phi_alloc_heap, room);
    if (data == NULL) {
        return false;
    }
    *out = (secret){ .data = data, .room = room };
    return true;
}

bool secret_copy(secret *out, phi_bytes bytes)
{
    PH_ASSERT(bytes.size > 0);
    if (!secret_make(out, bytes.size)) {
        return false;
    }
    memcpy(out->data, bytes.data, bytes.size);
    out->size = bytes.size;
    return true;
}

void secret_fini(secret *s)
{
    if (s->data != NULL) {
        explicit_bzero(s->data, s->room);
        phi_give(&phi_alloc_heap, s->data, s->room);
    }
    *s = (secret){ 0 };
}

void secret_guard_process(void)
{
    static const struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &none); // lowering it is always allowed
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// What stands behind the front; NULL when that is another one.
static const char *behind(const char *place, const char *front)
{
    size_t size = strlen(front);
    return strncmp(place, front, size) == 0 ? place + size : NULL;
}

static bool is_variable(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_') {
        return false;
    }
    size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return name[size] == '\0' && size <= 255;
}

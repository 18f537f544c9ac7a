// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls_files.c - credentials from files, shared by all on a loop that have the same.
//
// Design notes  Files are read each time, and what was made of them is found by the digest of what
//               they say: times of files lie (a copy keeps them, a restore sets them back), and a
//               few KiB are read in less time than a handshake takes. What costs is to make
//               credentials, with the system's CAs some ten milliseconds and a MiB: so a thousand
//               clients of one process that have the same files have one.

#include <openssl/evp.h>

#include "base/assert.h"
#include "io/file.h"
#include "io/tls.h"
#include "io/tls_files.h"
#include "io/uv_private.h"

#define DIGEST_BYTES 32u

// Credentials that are in use, on uv->shared_tls.
typedef struct shared_tls {
    phi_list node;
    phi_tls *tls;   // owned
    uint32_t users; // phi_tls_files whose `tls` it is
    uint8_t digest[DIGEST_BYTES];
} shared_tls;

// What the files say; zeroed: a file that is not named.
typedef struct contents {
    phi_file authorities;
    phi_file certificate;
    phi_file key;
} contents;

static ph_err contents_read(contents *c, const phi_alloc *alloc, const phi_tls_files *files,
                            phi_diag *diag);
static void contents_fini(contents *c);
static bool contents_digest(const contents *c, bool allows_tls12, uint8_t out[DIGEST_BYTES]);
static ph_err shared_make(phi_uv *uv, const contents *c, const phi_tls_files *files,
                          const uint8_t digest[DIGEST_BYTES], shared_tls **out, phi_diag *diag);
static void explain(const phi_tls_files *files, ph_err err, const phi_diag *why, phi_diag *diag);
static shared_tls *shared_find(phi_uv *uv, const uint8_t digest[DIGEST_BYTES]);

ph_err phi_uv_tls_load(phi_io *io, phi_tls_files *files, phi_diag *diag)
{
    PH_ASSERT((files->certificate == NULL) == (files->key == NULL));
    phi_uv *uv = phi_uv_of(io);
    contents c = { 0 };
    uint8_t digest[DIGEST_BYTES];
    shared_tls *shared = NULL;
    ph_err rc = contents_read(&c, io->alloc, files, diag);
    if (rc == PH_OK && !contents_digest(&c, files->allows_tls12, digest)) {
        rc = PH_ENOMEM;
    }
    if (rc == PH_OK) {
        shared = shared_find(uv, digest);
        if (shared == NULL) {
            rc = shared_make(uv, &c, files, digest, &shared, diag);
        }
    }
    contents_fini(&c);
    if (rc != PH_OK) {
        return rc;
    }
    shared->users++; // before the last one is given back, which may be the same
    phi_io_tls_drop(io, files);
    files->tls = shared->tls;
    return PH_OK;
}

void phi_uv_tls_drop(phi_io *io, phi_tls_files *files)
{
    phi_uv *uv = phi_uv_of(io);
    phi_list *node = uv->shared_tls.next;
    while (PHI_CONTAINER_OF(node, shared_tls, node)->tls != files->tls) {
        node = node->next;
        PH_ASSERT(node != &uv->shared_tls); // it is one of ours
    }
    files->tls = NULL;
    shared_tls *shared = PHI_CONTAINER_OF(node, shared_tls, node);
    PH_ASSERT(shared->users > 0);
    if (--shared->users == 0) {
        phi_list_remove(&shared->node);
        phi_tls_free(&shared->tls);
        phi_give(io->alloc, shared, sizeof *shared);
    }
}

// ---- contents

static ph_err contents_read(contents *c, const phi_alloc *alloc, const phi_tls_files *files,
                            phi_diag *diag)
{
    const struct {
        phi_file *file;
        const char *path;
        phi_file_care care;
    } all[] = {
        { &c->authorities, files->authorities, PHI_FILE_PUBLIC },
        { &c->certificate, files->certificate, PHI_FILE_PUBLIC },
        { &c->key, files->key, PHI_FILE_PRIVATE },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(all); i++) {
        if (all[i].path == NULL) {
            continue;
        }
        ph_err rc = phi_file_read(all[i].file, alloc, all[i].path, all[i].care,
                                  PHI_TLS_PEM_BYTES_MAX, diag);
        if (rc != PH_OK) {
            return rc;
        }
    }
    return PH_OK;
}

static void contents_fini(contents *c)
{
    phi_file_fini(&c->authorities);
    phi_file_fini(&c->certificate);
    phi_file_fini(&c->key);
}

static bool digest_add(EVP_MD_CTX *md, const phi_file *file)
{
    uint64_t size = file->size; // in front, so that no two sets of files are the same bytes
    return EVP_DigestUpdate(md, &size, sizeof size) == 1 &&
           EVP_DigestUpdate(md, file->data, file->size) == 1;
}

// False: no memory.
static bool contents_digest(const contents *c, bool allows_tls12, uint8_t out[DIGEST_BYTES])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t allowed = allows_tls12;
    bool is_done = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(md, &allowed, sizeof allowed) == 1 &&
                   digest_add(md, &c->authorities) && digest_add(md, &c->certificate) &&
                   digest_add(md, &c->key) && EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return is_done;
}

// ---- what is made of them

static ph_err shared_make(phi_uv *uv, const contents *c, const phi_tls_files *files,
                          const uint8_t digest[DIGEST_BYTES], shared_tls **out, phi_diag *diag)
{
    shared_tls *shared = phi_take_zeroed(uv->io.alloc, 1, sizeof *shared);
    if (shared == NULL) {
        return PH_ENOMEM;
    }
    const phi_tls_options options = {
        .side = PHI_TLS_CLIENT,
        .certificate = phi_file_view(&c->certificate),
        .key = phi_file_view(&c->key),
        .authorities = phi_file_view(&c->authorities),
        .allows_tls12 = files->allows_tls12,
    };
    phi_diag why = { "" };
    ph_err rc = phi_tls_new(&shared->tls, &options, &why);
    if (rc != PH_OK) {
        explain(files, rc, &why, diag);
        phi_give(uv->io.alloc, shared, sizeof *shared);
        return rc;
    }
    memcpy(shared->digest, digest, DIGEST_BYTES);
    phi_list_append(&uv->shared_tls, &shared->node);
    *out = shared;
    return PH_OK;
}

// phi_tls_new knows what is in the files, and not where they are.
static void explain(const phi_tls_files *files, ph_err err, const phi_diag *why, phi_diag *diag)
{
    const struct {
        const char *front;
        const char *path;
    } all[] = {
        { "authorities: ", files->authorities },
        { "certificate: ", files->certificate },
        { "key: ", files->key },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(all); i++) {
        size_t size = strlen(all[i].front);
        if (all[i].path != NULL && strncmp(why->text, all[i].front, size) == 0) {
            (void)phi_diag_add(diag, err, "%s: %s", all[i].path, why->text + size);
            return;
        }
    }
    (void)phi_diag_add(diag, err, "%s", why->text);
}

static shared_tls *shared_find(phi_uv *uv, const uint8_t digest[DIGEST_BYTES])
{
    for (phi_list *node = uv->shared_tls.next; node != &uv->shared_tls; node = node->next) {
        shared_tls *shared = PHI_CONTAINER_OF(node, shared_tls, node);
        if (memcmp(shared->digest, digest, DIGEST_BYTES) == 0) {
            return shared;
        }
    }
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
//
// app/cert_file.c - certificates and keys in files.
//
// Design notes
// - A certificate is written beside its place and then renamed: a center that looks for changes
//   never reads half of one.
// - A key is made with O_EXCL and 0600 from its first byte; nothing here writes over one.

#include "app/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "app/body.h"
#include "app/new_file.h"
#include "base/assert.h"

#define KEY_MODE 0600
#define CERTIFICATE_MODE 0644

// PEM_read_bio_X509 and its like. NULL: there is none.
typedef void *pem_reader(BIO *pem);

static pem_reader certificate_in;
static pem_reader key_in;
static pem_reader revocations_in;
static ph_err read_first(const char *path, pem_reader *reader, const char *what, void **out,
                         phi_diag *diag);
static ph_err open_pem(const char *path, BIO **out, phi_diag *diag);
static ph_err nothing_in(const char *path, const char *what, phi_diag *diag);
static ph_err replace(const char *path, bool is_encoded, BIO *pem, phi_diag *diag);
static phi_bytes bytes_of(BIO *pem);
static int refuse_password(char *buffer, int size, int is_writing, void *arg);

ph_err cert_file_read(const char *path, draft *out, phi_diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return phi_diag_add(diag, errno == ENOENT ? PH_ENOTFOUND : PH_ESYSTEM, "%s: %s", path,
                            strerror(errno));
    }
    ph_err rc = body_read_fd(fd, CERT_FILE_BYTES_MAX, out, diag);
    close(fd);
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "%s", path);
}

ph_err cert_read(const char *path, X509 **out, phi_diag *diag)
{
    void *found;
    ph_err rc = read_first(path, certificate_in, "certificate", &found, diag);
    if (rc == PH_OK) {
        *out = found;
    }
    return rc;
}

ph_err cert_key_read(const char *path, EVP_PKEY **out, phi_diag *diag)
{
    void *found;
    ph_err rc = read_first(path, key_in, "private key, or it is encrypted", &found, diag);
    if (rc == PH_OK) {
        *out = found;
    }
    return rc;
}

ph_err cert_revocation_read(const char *path, X509_CRL **out, phi_diag *diag)
{
    void *found;
    ph_err rc = read_first(path, revocations_in, "list of revoked certificates", &found, diag);
    if (rc == PH_OK) {
        *out = found;
    }
    return rc;
}

// The first of its kind in a file.
static ph_err read_first(const char *path, pem_reader *reader, const char *what, void **out,
                         phi_diag *diag)
{
    BIO *pem;
    ph_err rc = open_pem(path, &pem, diag);
    if (rc != PH_OK) {
        return rc;
    }
    void *found = reader(pem);
    BIO_free(pem);
    if (found == NULL) {
        return nothing_in(path, what, diag);
    }
    *out = found;
    return PH_OK;
}

static void *certificate_in(BIO *pem)
{
    return PEM_read_bio_X509(pem, NULL, refuse_password, NULL);
}

static void *key_in(BIO *pem)
{
    return PEM_read_bio_PrivateKey(pem, NULL, refuse_password, NULL);
}

static void *revocations_in(BIO *pem)
{
    return PEM_read_bio_X509_CRL(pem, NULL, refuse_password, NULL);
}

ph_err cert_write(const char *path, const X509 *certificate, phi_diag *diag)
{
    BIO *pem = BIO_new(BIO_s_mem());
    bool is_encoded = pem != NULL && PEM_write_bio_X509(pem, certificate) == 1;
    return replace(path, is_encoded, pem, diag);
}

ph_err cert_revocation_write(const char *path, const X509_CRL *list, phi_diag *diag)
{
    BIO *pem = BIO_new(BIO_s_mem());
    bool is_encoded = pem != NULL && PEM_write_bio_X509_CRL(pem, list) == 1;
    return replace(path, is_encoded, pem, diag);
}

ph_err cert_key_write(const char *path, const EVP_PKEY *key, phi_diag *diag)
{
    BIO *pem = BIO_new(BIO_s_mem());
    ph_err rc = PH_ENOMEM;
    if (pem != NULL && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1) {
        rc = new_file_write(path, KEY_MODE, bytes_of(pem), diag);
    }
    BIO_free(pem); // and what it holds is wiped
    return rc;
}

static ph_err open_pem(const char *path, BIO **out, phi_diag *diag)
{
    draft file;
    draft_init(&file);
    ph_err rc = cert_file_read(path, &file, diag);
    if (rc == PH_OK) {
        phi_span bytes = phi_buf_view(&file.buf);
        BIO *pem = BIO_new(BIO_s_mem());
        if (pem == NULL || BIO_write(pem, bytes.data, (int)bytes.size) != (int)bytes.size) {
            BIO_free(pem);
            rc = bytes.size == 0 ? phi_diag_add(diag, PH_EINVAL, "%s: it is empty", path)
                                 : phi_diag_add(diag, PH_ENOMEM, "%s", path);
        } else {
            *out = pem;
        }
        OPENSSL_cleanse(bytes.data, bytes.size); // it may be a key
    }
    draft_fini(&file);
    return rc;
}

static ph_err nothing_in(const char *path, const char *what, phi_diag *diag)
{
    ERR_clear_error();
    return phi_diag_add(diag, PH_EINVAL, "%s: there is no %s in it", path, what);
}

// Consumes `pem`, which may be NULL.
static ph_err replace(const char *path, bool is_encoded, BIO *pem, phi_diag *diag)
{
    char beside[PATH_MAX];
    int size = snprintf(beside, sizeof beside, "%s.new", path);
    ph_err rc;
    if (!is_encoded) {
        rc = phi_diag_add(diag, PH_ENOMEM, "%s", path);
    } else if (size < 0 || (size_t)size >= sizeof beside) {
        rc = phi_diag_add(diag, PH_EINVAL, "%s: the path is too long", path);
    } else {
        (void)unlink(beside); // of one that was interrupted
        rc = new_file_write(beside, CERTIFICATE_MODE, bytes_of(pem), diag);
        if (rc == PH_OK && rename(beside, path) != 0) {
            rc = phi_diag_add(diag, PH_ESYSTEM, "%s: %s", path, strerror(errno));
            (void)unlink(beside);
        }
    }
    BIO_free(pem);
    return rc;
}

static phi_bytes bytes_of(BIO *pem)
{
    char *data;
    long size = BIO_get_mem_data(pem, &data);
    PH_ASSERT(size > 0); // something was encoded
    return phi_bytes_of(data, (size_t)size);
}

// libcrypto would ask at the terminal.
static int refuse_password(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

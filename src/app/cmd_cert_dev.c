// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_cert_dev.c - posthouse cert dev and revoke: an authority for development, in a directory.
//
// Design notes
// - What is there decides: each run looks at the directory, makes what is missing, renews what ends
//   soon, and leaves the rest. An interrupted run is mended by the next.
// - A renewal keeps the key, and the names of before.
// - The file of account NAME is NAME.crt; so there is no account `ca` and no account `center`.

#include "app/cmd_cert.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/table.h"
#include "app/term.h"
#include "auth/principal.h"
#include "base/assert.h"
#include "text/json.h"
#include "wire/name.h"

#define DIR_MODE 0700
#define PIECES_MAX 1024 // certificates in one directory
#define SECONDS_PER_DAY 86400
#define DEFAULT_ACCOUNT "client" // so that a first try has one

// A certificate, and what became of it.
typedef struct piece {
    char stem[PHI_NAME_BYTES_MAX + 1]; // of its files
    bool is_asked;                     // not just found
    const char *deed;
    X509 *certificate;
} piece;

typedef struct workshop {
    cert_store store;
    const char *domain;
    cert_names hosts; // asked for
    piece *pieces;    // the center first, then accounts by name
    size_t piece_count;
} workshop;

static ph_err open_workshop(workshop *w, const args *a, phi_diag *diag);
static void close_workshop(workshop *w);
static ph_err each_word(const arg_value *v, ph_err (*take)(workshop *, phi_bytes, phi_diag *),
                        workshop *w, phi_diag *diag);
static ph_err take_host(workshop *w, phi_bytes word, phi_diag *diag);
static ph_err take_account(workshop *w, phi_bytes word, phi_diag *diag);
static ph_err add_piece(workshop *w, phi_bytes stem, bool is_asked, phi_diag *diag);
static int compare_pieces(const void *a, const void *b);
static ph_err find_pieces(workshop *w, phi_diag *diag);
static ph_err settle(workshop *w, piece *p, phi_diag *diag);
static ph_err settle_pair(workshop *w, piece *p, const char *crt, EVP_PKEY *key, phi_diag *diag);
static ph_err wanted_names(const workshop *w, const piece *p, cert_names *names, phi_diag *diag);
static ph_err merge_names(cert_names *into, const cert_names *from, phi_diag *diag);
static bool ends_soon(const workshop *w, const X509 *certificate);
static ph_err sign(workshop *w, piece *p, const cert_names *names, EVP_PKEY *key, const char *deed,
                   phi_diag *diag);
static void print_pieces(const workshop *w, bool is_json);
static void print_table(const workshop *w, draft *out);
static void print_json(const workshop *w, draft *out);
static void say_next(const workshop *w);
static exit_status status_of(ph_err rc);

exit_status cert_dev(const args *a)
{
    phi_diag diag = { { 0 } };
    workshop w;
    ph_err rc = open_workshop(&w, a, &diag);
    if (rc == PH_OK) {
        rc = each_word(args_get(a, "host"), take_host, &w, &diag);
    }
    if (rc == PH_OK) {
        rc = add_piece(&w, phi_bytes_text(CERT_STORE_CENTER), /* is_asked= */ true, &diag);
    }
    if (rc == PH_OK) {
        rc = each_word(args_get(a, "account"), take_account, &w, &diag);
    }
    if (rc == PH_OK && mkdir(w.store.dir, DIR_MODE) != 0 && errno != EEXIST) {
        rc = phi_diag_add(&diag, PH_ESYSTEM, "%s: %s", w.store.dir, strerror(errno));
    }
    if (rc == PH_OK) {
        rc = cert_store_open(&w.store, /* may_make= */ true, &diag);
    }
    if (rc == PH_OK) {
        rc = cert_store_settle_domain(&w.store, args_text(a, "domain"), &diag);
        w.domain = w.store.domain;
    }
    if (rc == PH_OK) {
        rc = cert_store_renew_list(&w.store, &diag);
    }
    if (rc == PH_OK) {
        rc = find_pieces(&w, &diag);
    }
    if (rc == PH_OK && w.piece_count == 1) { // no account asked for, none there
        rc = add_piece(&w, phi_bytes_text(DEFAULT_ACCOUNT), /* is_asked= */ true, &diag);
    }
    for (size_t i = 0; rc == PH_OK && i < w.piece_count; i++) {
        rc = settle(&w, &w.pieces[i], &diag);
    }
    if (rc == PH_OK) {
        print_pieces(&w, choice_index("json", args_text(a, "output")) == 0);
        say_next(&w);
    } else {
        term_error("cert dev: %s", diag.text);
    }
    close_workshop(&w);
    return status_of(rc);
}

exit_status cert_revoke(const args *a)
{
    phi_diag diag = { { 0 } };
    const char *name = a->words[1];
    cert_store store;
    size_t count = 0;
    char list[PATH_MAX];
    cert_store_init(&store, args_text(a, "dir"), (uint32_t)args_number(a, "days"), time(NULL));
    ph_err rc = cert_store_path(&store, "crl", ".pem", list, &diag);
    if (rc == PH_OK && strcmp(name, CERT_STORE_CENTER) != 0 &&
        !phi_principal_is_valid(phi_bytes_text(name))) {
        rc = phi_diag_add(&diag, PH_EINVAL, "'%.80s' is no name of an account", name);
    }
    if (rc == PH_OK) {
        rc = cert_store_open(&store, /* may_make= */ false, &diag);
    }
    if (rc == PH_OK) {
        rc = cert_store_revoke(&store, name, &count, &diag);
    }
    if (rc == PH_OK) {
        term_note("cert revoke: %zu certificate%s of '%s' revoked, in %s", count,
                  count == 1 ? "" : "s", name, list);
        term_hint("a center whose tls.revoked (--tls-revoked) names this file takes it by itself; "
                  "any other still believes what was revoked");
    } else {
        term_error("cert revoke: %s", diag.text);
    }
    cert_store_fini(&store);
    return status_of(rc);
}

static ph_err open_workshop(workshop *w, const args *a, phi_diag *diag)
{
    memset(w, 0, sizeof *w);
    cert_store_init(&w->store, args_text(a, "dir"), (uint32_t)args_number(a, "days"), time(NULL));
    const char *domain = args_text(a, "domain");
    w->domain = domain != NULL ? domain : CERT_STORE_DOMAIN; // until the directory says which
    w->pieces = calloc(PIECES_MAX, sizeof *w->pieces);
    return w->pieces != NULL ? PH_OK : phi_diag_add(diag, PH_ENOMEM, "cert");
}

static void close_workshop(workshop *w)
{
    for (size_t i = 0; w->pieces != NULL && i < w->piece_count; i++) {
        X509_free(w->pieces[i].certificate);
    }
    free(w->pieces);
    cert_store_fini(&w->store);
}

// Words of an option that may repeat, and may hold several with commas between.
static ph_err each_word(const arg_value *v, ph_err (*take)(workshop *, phi_bytes, phi_diag *),
                        workshop *w, phi_diag *diag)
{
    for (size_t i = 0; i < v->count; i++) {
        const char *at = v->texts[i];
        for (;;) {
            size_t size = strcspn(at, ",");
            ph_err rc = take(w, phi_bytes_of(at, size), diag);
            if (rc != PH_OK) {
                return rc;
            }
            if (at[size] == '\0') {
                break;
            }
            at += size + 1;
        }
    }
    return PH_OK;
}

static ph_err take_host(workshop *w, phi_bytes word, phi_diag *diag)
{
    ph_err rc = cert_names_add_host(&w->hosts, word, diag);
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "--host");
}

static ph_err take_account(workshop *w, phi_bytes word, phi_diag *diag)
{
    cert_names names = { 0 };
    ph_err rc = cert_names_add_account(&names, phi_bytes_text(w->domain), word, diag);
    if (rc == PH_OK && (phi_bytes_equal(word, phi_bytes_text(CERT_STORE_AUTHORITY)) ||
                        phi_bytes_equal(word, phi_bytes_text(CERT_STORE_CENTER)))) {
        rc = phi_diag_add(diag, PH_EINVAL, "'%.*s': its files would be those of the %s",
                          (int)word.size, (const char *)word.data,
                          word.size == sizeof CERT_STORE_AUTHORITY - 1 ? "authority" : "center");
    }
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "--account");
    }
    return add_piece(w, word, /* is_asked= */ true, diag);
}

static ph_err add_piece(workshop *w, phi_bytes stem, bool is_asked, phi_diag *diag)
{
    PH_ASSERT(stem.size <= PHI_NAME_BYTES_MAX);
    for (size_t i = 0; i < w->piece_count; i++) {
        if (phi_bytes_equal(phi_bytes_text(w->pieces[i].stem), stem)) {
            return PH_OK;
        }
    }
    if (w->piece_count == PIECES_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "%s: more than %d certificates in one directory",
                            w->store.dir, PIECES_MAX);
    }
    piece *p = &w->pieces[w->piece_count++];
    *p = (piece){ .is_asked = is_asked };
    memcpy(p->stem, stem.data, stem.size);
    return PH_OK;
}

static int compare_pieces(const void *a, const void *b)
{
    return strcmp(((const piece *)a)->stem, ((const piece *)b)->stem);
}

// What lies in the directory beside what was asked for.
static ph_err find_pieces(workshop *w, phi_diag *diag)
{
    DIR *dir = opendir(w->store.dir);
    if (dir == NULL) {
        return phi_diag_add(diag, PH_ESYSTEM, "%s: %s", w->store.dir, strerror(errno));
    }
    ph_err rc = PH_OK;
    const struct dirent *entry;
    while (rc == PH_OK && (entry = readdir(dir)) != NULL) {
        size_t size = strlen(entry->d_name);
        if (size <= 4 || strcmp(entry->d_name + size - 4, ".crt") != 0) {
            continue;
        }
        phi_bytes stem = phi_bytes_of(entry->d_name, size - 4);
        if (phi_principal_is_valid(stem) &&
            !phi_bytes_equal(stem, phi_bytes_text(CERT_STORE_AUTHORITY))) {
            rc = add_piece(w, stem, /* is_asked= */ false, diag);
        }
    }
    closedir(dir);
    PH_ASSERT(strcmp(w->pieces[0].stem, CERT_STORE_CENTER) == 0); // added before all others
    qsort(w->pieces + 1, w->piece_count - 1, sizeof *w->pieces, compare_pieces);
    return rc;
}

// ---- what it signs

static ph_err settle(workshop *w, piece *p, phi_diag *diag)
{
    char crt[PATH_MAX];
    char key_path[PATH_MAX];
    ph_err rc = cert_store_path(&w->store, p->stem, ".crt", crt, diag);
    if (rc == PH_OK) {
        rc = cert_store_path(&w->store, p->stem, ".key", key_path, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    EVP_PKEY *key = NULL;
    bool has_key = cert_store_has(key_path);
    if (has_key) {
        rc = cert_key_read(key_path, &key, diag);
    } else if (cert_store_has(crt)) {
        rc = phi_diag_add(diag, PH_EINVAL,
                          "%s is there without %s: bring that back, or take the first away", crt,
                          key_path);
    } else {
        rc = cert_key_make(&key, diag);
        if (rc == PH_OK) {
            rc = cert_key_write(key_path, key, diag);
        }
    }
    if (rc == PH_OK && cert_store_has(crt)) {
        rc = settle_pair(w, p, crt, key, diag);
    } else if (rc == PH_OK) {
        cert_names names = { 0 };
        rc = wanted_names(w, p, &names, diag);
        if (rc == PH_OK) {
            rc = sign(w, p, &names, key, has_key ? "made, with its key" : "made", diag);
        }
    }
    EVP_PKEY_free(key);
    return rc;
}

// There are both: are they what they should be, and for how long?
static ph_err settle_pair(workshop *w, piece *p, const char *crt, EVP_PKEY *key, phi_diag *diag)
{
    ph_err rc = cert_read(crt, &p->certificate, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (X509_verify(p->certificate, w->store.ca_key) != 1) {
        return phi_diag_add(diag, PH_EINVAL,
                            "%s was not signed by %s/%s.crt: take it and its key elsewhere", crt,
                            w->store.dir, CERT_STORE_AUTHORITY);
    }
    if (X509_check_private_key(p->certificate, key) != 1) {
        return phi_diag_add(diag, PH_EINVAL, "%s is not the certificate of the key beside it", crt);
    }
    if (cert_store_is_revoked(&w->store, p->certificate)) {
        p->deed = "revoked";
        return !p->is_asked ? PH_OK
                            : phi_diag_add(diag, PH_EINVAL,
                                           "%s is revoked: take it and its key away, and there "
                                           "will be new ones",
                                           crt);
    }
    cert_names has;
    cert_names wanted;
    cert_names_of(p->certificate, &has);
    memset(&wanted, 0, sizeof wanted);
    bool is_center = strcmp(p->stem, CERT_STORE_CENTER) == 0;
    if (p->is_asked) {
        rc = wanted_names(w, p, &wanted, diag);
    }
    if (rc == PH_OK && (is_center || !p->is_asked)) {
        rc = merge_names(&wanted, &has, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    bool is_other = !cert_names_cover(&has, &wanted) || !cert_names_cover(&wanted, &has);
    if (!is_other && !ends_soon(w, p->certificate)) {
        p->deed = "kept";
        return PH_OK;
    }
    return sign(w, p, &wanted, key, is_other ? "made anew: other names" : "renewed", diag);
}

static ph_err wanted_names(const workshop *w, const piece *p, cert_names *names, phi_diag *diag)
{
    if (strcmp(p->stem, CERT_STORE_CENTER) != 0) {
        return cert_names_add_account(names, phi_bytes_text(w->domain), phi_bytes_text(p->stem),
                                      diag);
    }
    static const char *const always[] = { "localhost", "127.0.0.1", "::1" };
    for (size_t i = 0; i < PHI_COUNT_OF(always); i++) {
        ph_err rc = cert_names_add_host(names, phi_bytes_text(always[i]), diag);
        if (rc != PH_OK) {
            return rc;
        }
    }
    return merge_names(names, &w->hosts, diag);
}

static ph_err merge_names(cert_names *into, const cert_names *from, phi_diag *diag)
{
    for (size_t i = 0; i < from->count; i++) {
        if (cert_names_have(into, &from->items[i])) {
            continue;
        }
        if (into->count == CERT_NAMES_MAX || from->items[i].kind == CERT_NAME_OTHER) {
            return phi_diag_add(diag, PH_ELIMIT,
                                "more than %d names for one certificate, or one of another form",
                                CERT_NAMES_MAX);
        }
        into->items[into->count++] = from->items[i];
    }
    return PH_OK;
}

// A third of its time is left, or less, and the authority has more to give.
static bool ends_soon(const workshop *w, const X509 *certificate)
{
    time_t until = cert_time(X509_get0_notAfter(certificate));
    time_t whole = until - cert_time(X509_get0_notBefore(certificate));
    time_t most = cert_time(X509_get0_notAfter(w->store.ca));
    return until - w->store.now <= whole / 3 && most > until;
}

static ph_err sign(workshop *w, piece *p, const cert_names *names, EVP_PKEY *key, const char *deed,
                   phi_diag *diag)
{
    X509 *made;
    ph_err rc = cert_store_sign(&w->store, p->stem, names, key, &made, diag);
    if (rc != PH_OK) {
        return rc;
    }
    X509_free(p->certificate);
    p->certificate = made;
    p->deed = deed;
    return PH_OK;
}

// ---- what is said

static void print_pieces(const workshop *w, bool is_json)
{
    draft out;
    draft_init(&out);
    if (is_json) {
        print_json(w, &out);
    } else {
        print_table(w, &out);
    }
    term_print(&out);
    draft_fini(&out);
}

static void print_table(const workshop *w, draft *out)
{
    table t;
    table_init(&t, (const char *const[]){ "CERTIFICATE", "NAMES", "DAYS", "DONE" }, 4);
    table_right(&t, 2);
    draft names;
    draft_init(&names);
    for (size_t i = 0; i < w->piece_count; i++) {
        const piece *p = &w->pieces[i];
        cert_names of;
        cert_names_of(p->certificate, &of);
        draft_clear(&names);
        cert_names_show(&of, &names);
        time_t left = cert_time(X509_get0_notAfter(p->certificate)) - w->store.now;
        table_format(&t, "%s/%s.crt", w->store.dir, p->stem);
        table_cell(&t, draft_view(&names));
        table_format(&t, "%lld", (long long)(left / SECONDS_PER_DAY));
        table_text(&t, p->deed);
    }
    table_render(&t, out, term_style_of(1));
    draft_fini(&names);
    table_fini(&t);
}

static void print_json(const workshop *w, draft *out)
{
    phi_json j;
    phi_json_init_buf(&j, &out->buf);
    phi_json_array_begin(&j);
    for (size_t i = 0; i < w->piece_count; i++) {
        const piece *p = &w->pieces[i];
        cert_names of;
        char path[PATH_MAX];
        cert_names_of(p->certificate, &of);
        time_t until = cert_time(X509_get0_notAfter(p->certificate));
        phi_json_object_begin(&j);
        phi_json_key(&j, "name");
        phi_json_text(&j, p->stem);
        phi_json_key(&j, "certificate");
        snprintf(path, sizeof path, "%s/%s.crt", w->store.dir, p->stem);
        phi_json_text(&j, path);
        phi_json_key(&j, "key");
        snprintf(path, sizeof path, "%s/%s.key", w->store.dir, p->stem);
        phi_json_text(&j, path);
        phi_json_key(&j, "names");
        phi_json_array_begin(&j);
        for (size_t k = 0; k < of.count; k++) {
            phi_json_string(&j, phi_bytes_of(of.items[k].text, of.items[k].size));
        }
        phi_json_array_end(&j);
        phi_json_key(&j, "until");
        phi_json_u64(&j, (uint64_t)until);
        phi_json_key(&j, "done");
        phi_json_text(&j, p->deed);
        phi_json_object_end(&j);
    }
    phi_json_array_end(&j);
    draft_json_end(out, &j);
}

static void say_next(const workshop *w)
{
    draft d;
    draft_init(&d);
    draft_shell(&d, w->store.dir);
    const char *dir = draft_chars(&d);
    const char *account = NULL;
    for (size_t i = 1; i < w->piece_count; i++) {
        bool is_good = strcmp(w->pieces[i].deed, "revoked") != 0;
        if (is_good && (account == NULL || w->pieces[i].is_asked)) {
            account = w->pieces[i].stem;
        }
    }
    term_note("Next:");
    term_hint(
        "posthouse serve --domain %s --listen tls:127.0.0.1 --anonymous never "
        "--tls-certificate %s/center.crt --tls-key %s/center.key --tls-authorities %s/ca.crt%s%s%s",
        w->domain, dir, dir, dir, w->store.revoked == NULL ? "" : " --tls-revoked ",
        w->store.revoked == NULL ? "" : dir, w->store.revoked == NULL ? "" : "/crl.pem");
    if (account != NULL) { // else all are revoked
        term_hint("posthouse ls --center tls:localhost --tls-ca %s/ca.crt --tls-cert %s/%s.crt "
                  "--tls-key %s/%s.key",
                  dir, dir, account, dir, account);
    }
    time_t left = cert_time(X509_get0_notAfter(w->store.ca)) - w->store.now;
    if (left < (time_t)w->store.days * SECONDS_PER_DAY) {
        term_note("The authority ends in %lld days: begin another one in another --dir, and name "
                  "both in tls.authorities for a while.",
                  (long long)(left / SECONDS_PER_DAY));
    }
    draft_fini(&d);
}

static exit_status status_of(ph_err rc)
{
    return rc == PH_OK          ? STATUS_OK
           : rc == PH_EINVAL    ? STATUS_USAGE
           : rc == PH_ELIMIT    ? STATUS_USAGE
           : rc == PH_ENOTFOUND ? STATUS_NOT_FOUND
                                : STATUS_FAILED;
}

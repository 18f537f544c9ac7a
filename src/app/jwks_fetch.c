// SPDX-License-Identifier: Apache-2.0
//
// app/jwks_fetch.c - see jwks_fetch.h.
//
// Design notes
// - URLs are taken apart by libcurl's own parser, so that what is judged is what is fetched.
// - A proxy of the environment, a redirect, ~/.netrc: each would have the keys come from somewhere
//   else than the configuration says. So none is used.
// - A fetch is a task of a loop in a thread of its own, made with the first fetch. What it fetches
//   is that loop's until its report runs on the other. To give up sets a flag that libcurl's
//   progress callback sees at least once a second; a name server that does not answer is not waited
//   for (CURLOPT_QUICK_EXIT).

#include "app/jwks_fetch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "auth/jwk.h"
#include "base/assert.h"
#include "io/address.h"

#define URL_BYTES 1024

// The one thing that two threads look at: a fetch must end with its program, not some seconds
// later. lint: allow threads, because libcurl waits inside of a task
typedef atomic_bool give_up;

// One fetch, wherever it runs.
typedef struct download {
    secret body; // of PHI_JWKS_BYTES_MAX
    bool is_too_large;
    const give_up *is_given_up; // NULL: nobody can
} download;

struct jwks_fetch {
    phi_uv *uv;  // of who asks
    phi_uv *own; // that waits for the network; NULL: nothing was fetched yet
    jwks_fetched *fetched;
    void *arg;
    bool is_running;
    give_up is_given_up;
    // ---- of its own loop while it runs
    phi_uv_task order;
    phi_uv_task report;
    char url[URL_BYTES];
    secret authorities;
    secret keys;
    ph_err result;
    phi_diag diag;
};

static ph_err judge_host(CURLU *url, bool is_plain, phi_diag *diag);
static bool part_of(CURLU *url, CURLUPart part, char *out, size_t room);
static ph_err set_options(CURL *curl, const char *url, phi_bytes authorities, download *d,
                          char *problem);
static ph_err judge_answer(CURL *curl, CURLcode code, const download *d, const char *problem,
                           phi_diag *diag);
static ph_err fetch(const char *url, phi_bytes authorities, const give_up *is_given_up, secret *out,
                    phi_diag *diag);
static size_t on_body(char *data, size_t one, size_t size, void *arg);
static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up);
static ph_err make_loop(jwks_fetch *f, phi_diag *diag);
static void run_order(phi_uv_task *task);
static void run_report(phi_uv_task *task);

// ---- URLs

bool jwks_fetch_is_url(const char *chars)
{
    return strstr(chars, "://") != NULL;
}

ph_err jwks_fetch_judge_url(const char *url, phi_diag *diag)
{
    CURLU *parts = curl_url();
    if (parts == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "read a URL");
    }
    char scheme[16];
    bool is_url = strlen(url) < URL_BYTES && strpbrk(url, " \t\"'<>\\") == NULL &&
                  strstr(url, ":///") == NULL && // libcurl would take one slash too many for none
                  curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                  part_of(parts, CURLUPART_SCHEME, scheme, sizeof scheme);
    ph_err rc = PH_OK;
    if (!is_url) {
        rc = phi_diag_add(diag, PH_EINVAL, "is no URL such as https://id.example/keys");
    } else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) {
        rc = phi_diag_add(diag, PH_EINVAL, "keys are fetched by https://, not by %s://", scheme);
    } else {
        rc = judge_host(parts, strcmp(scheme, "http") == 0, diag);
    }
    curl_url_cleanup(parts);
    return rc;
}

static ph_err judge_host(CURLU *url, bool is_plain, phi_diag *diag)
{
    char part[URL_BYTES];
    if (part_of(url, CURLUPART_USER, part, sizeof part) ||
        part_of(url, CURLUPART_PASSWORD, part, sizeof part)) {
        explicit_bzero(part, sizeof part);
        return phi_diag_add(diag, PH_EINVAL,
                            "a URL with a user or password is not fetched: public "
                            "keys need none, and it would be seen in logs");
    }
    if (part_of(url, CURLUPART_FRAGMENT, part, sizeof part)) {
        return phi_diag_add(diag, PH_EINVAL, "a URL to fetch has no part behind #");
    }
    if (!part_of(url, CURLUPART_HOST, part, sizeof part)) {
        return phi_diag_add(diag, PH_EINVAL, "names no host");
    }
    char address[URL_BYTES + 8];
    snprintf(address, sizeof address, "%s:1", part);
    if (is_plain && !phi_endpoint_is_local(address)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "whoever is on the way could put in keys of his own: "
                            "write https:// (http:// only to this machine)");
    }
    return PH_OK;
}

// False when there is none, or it is longer.
static bool part_of(CURLU *url, CURLUPart part, char *out, size_t room)
{
    char *found = NULL;
    if (curl_url_get(url, part, &found, 0) != CURLUE_OK) {
        return false;
    }
    bool fits = strlen(found) < room;
    if (fits) {
        snprintf(out, room, "%s", found);
    }
    curl_free(found);
    return fits;
}

// ---- one fetch

ph_err jwks_fetch_now(const char *url, phi_bytes authorities, secret *out, phi_diag *diag)
{
    return fetch(url, authorities, NULL, out, diag);
}

static ph_err fetch(const char *url, phi_bytes authorities, const give_up *is_given_up, secret *out,
                    phi_diag *diag)
{
    ph_err rc = jwks_fetch_judge_url(url, diag);
    if (rc != PH_OK) {
        return rc;
    }
    char problem[CURL_ERROR_SIZE] = "";
    download d = { .is_given_up = is_given_up };
    bool has_room = secret_make(&d.body, PHI_JWKS_BYTES_MAX);
    CURL *curl = curl_easy_init();
    if (curl == NULL || !has_room) {
        rc = phi_diag_add(diag, PH_ENOMEM, "fetch %s", url);
    } else if (set_options(curl, url, authorities, &d, problem) != PH_OK) {
        rc = phi_diag_add(diag, PH_ESYSTEM, "libcurl lacks what fetching keys needs");
    } else {
        rc = judge_answer(curl, curl_easy_perform(curl), &d, problem, diag);
    }
    curl_easy_cleanup(curl);
    if (rc != PH_OK) {
        secret_fini(&d.body);
        return phi_diag_add(diag, rc, "%s", url);
    }
    *out = d.body;
    return PH_OK;
}

static ph_err set_options(CURL *curl, const char *url, phi_bytes authorities, download *d,
                          char *problem)
{
    struct curl_blob pem = {
        .data = (void *)(uintptr_t)authorities.data,
        .len = authorities.size,
        .flags = CURL_BLOB_COPY,
    };
    bool is_plain = strncmp(url, "http:", 5) == 0;
    int bad = 0;
#define SET(option, value) bad += curl_easy_setopt(curl, (option), (value)) != CURLE_OK ? 1 : 0
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, is_plain ? "http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)JWKS_FETCH_MS_MAX);
    SET(CURLOPT_MAXFILESIZE, (long)PHI_JWKS_BYTES_MAX);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_USERAGENT, "posthouse");
    SET(CURLOPT_ERRORBUFFER, problem);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, d);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, d);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (authorities.size != 0) {
        SET(CURLOPT_CAINFO_BLOB, &pem);
        SET(CURLOPT_CAPATH, NULL);
    }
#undef SET
    return bad == 0 ? PH_OK : PH_ESYSTEM;
}

static ph_err judge_answer(CURL *curl, CURLcode code, const download *d, const char *problem,
                           phi_diag *diag)
{
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (d->is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return phi_diag_add(diag, PH_ECONNECT, "answers with more than %u bytes",
                            PHI_JWKS_BYTES_MAX);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return phi_diag_add(diag, PH_ECONNECT, "no whole answer within %u ms", JWKS_FETCH_MS_MAX);
    }
    if (code != CURLE_OK) {
        return phi_diag_add(diag, PH_ECONNECT, "%s",
                            *problem == '\0' ? curl_easy_strerror(code) : problem);
    }
    if (status >= 300 && status < 400) {
        return phi_diag_add(diag, PH_ECONNECT,
                            "answers %ld, and redirects are not followed: write the URL that it "
                            "leads to",
                            status);
    }
    if (status != 200) {
        return phi_diag_add(diag, PH_ECONNECT, "answers %ld", status);
    }
    return PH_OK;
}

// Fewer bytes than came end the transfer.
static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    (void)one; // is 1
    download *d = arg;
    if (size > d->body.room - d->body.size) {
        d->is_too_large = true;
        return 0;
    }
    memcpy(d->body.data + d->body.size, data, size);
    d->body.size += size;
    return size;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    const download *d = arg;
    return d->is_given_up != NULL && *d->is_given_up;
}

// ---- beside the loop

ph_err jwks_fetch_new(jwks_fetch **out, phi_uv *uv, jwks_fetched *fetched, void *arg,
                      phi_diag *diag)
{
    jwks_fetch *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "make a fetcher of keys");
    }
    f->uv = uv;
    f->fetched = fetched;
    f->arg = arg;
    f->order.run = run_order;
    f->report.run = run_report;
    *out = f;
    return PH_OK;
}

ph_err jwks_fetch_begin(jwks_fetch *f, const char *url, phi_bytes authorities, phi_diag *diag)
{
    if (f->is_running) {
        return PH_EBUSY;
    }
    PH_ASSERT(strlen(url) < sizeof f->url); // it was judged
    ph_err rc = make_loop(f, diag);
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "fetch %s", url);
    }
    snprintf(f->url, sizeof f->url, "%s", url);
    if (authorities.size != 0 && !secret_copy(&f->authorities, authorities)) {
        return phi_diag_add(diag, PH_ENOMEM, "fetch %s", url);
    }
    f->diag.text[0] = '\0';
    f->is_running = true;
    phi_uv_hand(f->own, &f->order);
    return PH_OK;
}

static ph_err make_loop(jwks_fetch *f, phi_diag *diag)
{
    if (f->own != NULL) {
        return PH_OK;
    }
    ph_err rc = phi_uv_new(&f->own, &phi_alloc_heap, diag);
    if (rc == PH_OK) {
        rc = phi_uv_start(f->own, "keys", diag);
        if (rc != PH_OK) {
            phi_uv_free(&f->own);
        }
    }
    return rc;
}

static void run_order(phi_uv_task *task)
{
    jwks_fetch *f = PHI_CONTAINER_OF(task, jwks_fetch, order);
    f->result = fetch(f->url, secret_view(&f->authorities), &f->is_given_up, &f->keys, &f->diag);
    phi_uv_hand(f->uv, &f->report);
}

static void run_report(phi_uv_task *task)
{
    jwks_fetch *f = PHI_CONTAINER_OF(task, jwks_fetch, report);
    f->is_running = false;
    secret_fini(&f->authorities);
    secret keys = f->keys;
    f->keys = (secret){ 0 };
    if (f->fetched != NULL) {
        f->fetched(f->arg, f->result, &keys, phi_diag_text(&f->diag)); // may begin the next
    }
    secret_fini(&keys);
}

void jwks_fetch_free(jwks_fetch **fetch_ptr)
{
    jwks_fetch *f = *fetch_ptr;
    if (f == NULL) {
        return;
    }
    f->fetched = NULL;
    f->is_given_up = true;
    while (f->is_running) {
        phi_uv_turn(f->uv, phi_ms(1000)); // its report is for this loop
    }
    if (f->own != NULL) {
        phi_uv_stop(f->own);
        phi_uv_join(f->own);
        phi_uv_free(&f->own);
    }
    secret_fini(&f->authorities);
    secret_fini(&f->keys);
    free(f);
    *fetch_ptr = NULL;
}

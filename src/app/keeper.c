// SPDX-License-Identifier: Apache-2.0
//
// app/keeper.c - see keeper.h.
//
// Design notes
// - There is one way to renew: `renew` makes a snapshot from a configuration and the files as they
//   are now, and hands it to the crew. What leads there differs: a file has changed, keys came, or
//   a configuration was read. While one is handed over the next waits.
// - Files are marked before they are read. So a change while they are read is seen by the next
//   look, and a half-written file is tried once, and again when it has changed.
// - Of a configuration that was read again only what its schema calls reloadable is taken; the rest
//   stays that of the running center. What results is judged as at a start: so a listener that runs
//   cannot lose its certificate.
//
// Invariants
// - `next` is NULL, or being handed over; `current` is in force until that is done.

#include "app/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "app/app_log.h"
#include "app/config_safe.h"
#include "app/file_watch.h"
#include "app/jwks_fetch.h"
#include "app/security.h"
#include "base/assert.h"

typedef enum reason {
    REASON_START,
    REASON_FILE,
    REASON_KEYS,
    REASON_CONFIG,
} reason;

struct keeper {
    config *config; // in force
    crew *crew;
    phi_io *io;
    log_sink *sink;
    keeper_events events;
    security *current;
    security *next;                        // being handed to the workers; NULL: nothing is
    reason next_reason;                    //
    char next_file[FILE_WATCH_PATH_BYTES]; // that has changed; "": none
    file_watch watch;                      // what `config` names
    file_watch watch_next;                 // what `next` is made of
    phi_timer look;
    phi_time warned[SECURITY_WARN_COUNT]; // when it last was, of what ends
    // ---- a configuration that was read again
    config wanted; // as it was read
    bool has_wanted;
    config candidate; // that, where no restart is needed; the rest as it is in force
    bool has_candidate;
    bool is_candidate_next; // `next` is made of it
    bool has_refused;       // the last one, and so its files are watched, too
    // ---- keys from a URL
    jwks_fetch *fetcher;
    bool is_fetching;
    char fetch_url[CONFIG_TEXT_BYTES]; // of the last fetch that was begun
    phi_time fetched;                  // when the last one ended
    phi_time fetch_next;
    secret keys;       // in force
    secret keys_fresh; // of fetch_url: with `next`, or about to be
    bool has_fresh;
    bool is_fresh_next; // `next` is made with them; others may come while it is handed over
    keeper_counters counters;
};

static void go_on(keeper *k);
static void judge_wanted(keeper *k);
static void try_candidate(keeper *k);
static void refuse_candidate_keys(keeper *k, const char *why);
static void refuse_candidate(keeper *k, const config_errors *errors);
static void renew(keeper *k, const config *c, reason why, const char *file);
static void on_secured(void *arg);
static void on_look(phi_timer *timer, phi_time now);
static void take_change(keeper *k);
static void fetch_when_due(keeper *k);
static ph_err begin_fetch(keeper *k, const config *c, phi_diag *diag);
static void on_fetched(void *arg, ph_err result, secret *keys, const char *why);
static void plan_fetch(keeper *k, bool has_failed);
static void on_key_missed(void *arg);
static void say_secured(keeper *k);
static void say_refused(keeper *k, const config *c, reason why, const config_errors *errors);
static void say_not_fetched(keeper *k, const char *why);
static void warn(keeper *k);
static void warn_of_end(keeper *k, security_warning what, phi_time now);
static void watch_files(file_watch *w, const config *c);
static void add_file(void *arg, const char *path);
static void guard_process(const config *c);
static bool fetches(const config *c);
static bool is_url_of(const keeper *k, const config *c);
static uint64_t now_s(const keeper *k);

// ---- life

ph_err keeper_new(keeper **out, config *c, config_errors *errors)
{
    keeper *k = calloc(1, sizeof *k);
    if (k == NULL) {
        config_complain(errors, 0, 0, "out of memory");
        return PH_ENOMEM;
    }
    k->config = c;
    guard_process(c);
    watch_files(&k->watch, c);
    ph_err rc = security_fetch(c, &k->keys, errors);
    if (rc == PH_OK) {
        rc = security_new(&k->current, c, secret_view(&k->keys), errors);
    }
    if (rc != PH_OK) {
        keeper_free(&k);
        return rc;
    }
    k->counters.key_fetches_total = fetches(c) ? 1 : 0;
    *out = k;
    return PH_OK;
}

ph_err keeper_start(keeper *k, crew *workers, log_sink *sink, const keeper_events *events,
                    phi_diag *diag)
{
    k->crew = workers;
    k->io = phi_uv_io(crew_uv(workers));
    k->sink = sink;
    k->events = *events;
    ph_err rc = jwks_fetch_new(&k->fetcher, crew_uv(workers), on_fetched, k, diag);
    if (rc != PH_OK) {
        return rc;
    }
    crew_on_key_missed(workers, on_key_missed, k);
    k->next = k->current; // in force at once: nothing was before
    k->current = NULL;
    k->next_reason = REASON_START;
    bool is_begun = crew_secure(workers, security_of_center(k->next), on_secured, k);
    PH_ASSERT(is_begun);
    PH_ASSERT(k->next == NULL); // the crew does not run
    phi_timer_init(&k->look, on_look);
    phi_timer_set(&k->io->timers, &k->look, phi_time_add(phi_io_now(k->io), phi_ms(FILE_WATCH_MS)));
    plan_fetch(k, false);
    return PH_OK;
}

void keeper_stop(keeper *k)
{
    if (k->io != NULL && phi_timer_is_set(&k->look)) {
        phi_timer_clear(&k->io->timers, &k->look);
    }
    jwks_fetch_free(&k->fetcher);
}

void keeper_free(keeper **keeper_ptr)
{
    keeper *k = *keeper_ptr;
    if (k == NULL) {
        return;
    }
    PH_ASSERT(k->fetcher == NULL);
    security_free(&k->current);
    security_free(&k->next);
    secret_fini(&k->keys);
    secret_fini(&k->keys_fresh);
    config_fini(&k->wanted);
    if (k->has_candidate) {
        config_fini(&k->candidate);
    }
    free(k);
    *keeper_ptr = NULL;
}

// ---- renewing

void keeper_reload(keeper *k, config *fresh)
{
    config_fini(&k->wanted);
    k->wanted = *fresh;
    k->has_wanted = true;
    fresh->rules = NULL;
    go_on(k);
}

void keeper_before_read(keeper *k)
{
    file_watch_mark_one(&k->watch, k->config->file);
    k->has_refused = false;
}

void keeper_count_refused(keeper *k)
{
    k->counters.security_reloads_failed_total++;
}

// Begins what waits, when nothing is under way.
static void go_on(keeper *k)
{
    if (k->next != NULL) {
        return;
    }
    if (k->has_wanted) {
        judge_wanted(k);
    }
    if (k->has_candidate) {
        try_candidate(k);
    } else if (k->has_fresh && is_url_of(k, k->config)) {
        renew(k, k->config, REASON_KEYS, "");
    }
}

// Makes a candidate of it, in place of one that still waits for its keys.
static void judge_wanted(keeper *k)
{
    config_errors errors = { 0 };
    if (k->has_candidate) {
        config_fini(&k->candidate);
    }
    k->candidate = *k->config;
    k->candidate.rules = NULL; // they are in force
    config_take_reloadable(&k->candidate, &k->wanted);
    k->has_wanted = false;
    k->has_candidate = true;
    config_settle(&k->candidate, &errors);
    if (errors.count != 0) {
        refuse_candidate(k, &errors);
    }
}

static void try_candidate(keeper *k)
{
    bool is_known = strcmp(config_text(&k->candidate, CONFIG_tokens_keys),
                           config_text(k->config, CONFIG_tokens_keys)) == 0;
    bool has_keys = is_known || (k->has_fresh && is_url_of(k, &k->candidate));
    if (!fetches(&k->candidate) || has_keys) {
        renew(k, &k->candidate, REASON_CONFIG, "");
        return;
    }
    phi_diag diag = { { 0 } };
    ph_err rc = begin_fetch(k, &k->candidate, &diag);
    if (rc != PH_OK && rc != PH_EBUSY) { // busy: when that one has ended
        refuse_candidate_keys(k, diag.text);
    }
}

static void refuse_candidate_keys(keeper *k, const char *why)
{
    config_errors errors = { 0 };
    config_complain_key(&errors, &k->candidate, CONFIG_tokens_keys, "%s", why);
    refuse_candidate(k, &errors);
}

static void refuse_candidate(keeper *k, const config_errors *errors)
{
    say_refused(k, &k->candidate, REASON_CONFIG, errors);
    config_fini(&k->candidate);
    k->has_candidate = false;
}

// `file` is that which has changed, or "".
static void renew(keeper *k, const config *c, reason why, const char *file)
{
    PH_ASSERT(k->next == NULL);
    config_errors errors = { 0 };
    bool is_fresh = k->has_fresh && is_url_of(k, c);
    snprintf(k->next_file, sizeof k->next_file, "%s", file);
    watch_files(&k->watch_next, c);
    ph_err rc =
        security_new(&k->next, c, secret_view(is_fresh ? &k->keys_fresh : &k->keys), &errors);
    if (rc != PH_OK) {
        secret_fini(&k->keys_fresh);
        k->has_fresh = false;
        if (why == REASON_CONFIG) {
            file_watch_join(&k->watch, &k->watch_next); // what it names may still come
            k->has_refused = true;
            refuse_candidate(k, &errors);
        } else {
            k->watch = k->watch_next; // tried again when they have changed again
            say_refused(k, c, why, &errors);
        }
        return;
    }
    k->next_reason = why;
    k->is_candidate_next = why == REASON_CONFIG;
    k->is_fresh_next = is_fresh;
    bool is_begun = crew_secure(k->crew, security_of_center(k->next), on_secured, k);
    PH_ASSERT(is_begun);
}

// No worker uses what was in force before.
static void on_secured(void *arg)
{
    keeper *k = arg;
    security_free(&k->current);
    k->current = k->next;
    k->next = NULL;
    if (k->is_candidate_next) {
        config_take_reloadable(k->config, &k->candidate); // and the old rules are freed
        k->has_candidate = false;
    }
    if (k->is_fresh_next) {
        secret_fini(&k->keys);
        k->keys = k->keys_fresh;
        k->keys_fresh = (secret){ 0 };
        k->has_fresh = false;
        k->is_fresh_next = false;
    }
    if (k->next_reason != REASON_START) {
        k->watch = k->watch_next;
        k->counters.security_reloads_total++;
    }
    say_secured(k);
    warn(k);
    if (k->is_candidate_next) {
        k->is_candidate_next = false;
        plan_fetch(k, false);
        k->events.taken(k->events.arg);
    }
    go_on(k);
}

// ---- files

static void on_look(phi_timer *timer, phi_time now)
{
    keeper *k = PHI_CONTAINER_OF(timer, keeper, look);
    uint64_t again_ms = FILE_WATCH_MS;
    if (k->next == NULL) {
        file_watch_state state = file_watch_look(&k->watch);
        again_ms = state == FILE_WATCH_MOVING ? FILE_WATCH_QUIET_MS : FILE_WATCH_MS;
        if (state == FILE_WATCH_CHANGED) {
            take_change(k);
        }
    }
    fetch_when_due(k);
    warn_of_end(k, SECURITY_WARN_CERTIFICATE, now);
    warn_of_end(k, SECURITY_WARN_REVOCATIONS, now);
    phi_timer_set(&k->io->timers, &k->look, phi_time_add(now, phi_ms(again_ms)));
}

// A file of the configuration, or the configuration itself. Where that was refused because of its
// files, it is read again when any of them has changed.
static void take_change(keeper *k)
{
    bool is_config = file_watch_has_changed(&k->watch, k->config->file);
    if (!is_config && !k->has_refused) {
        renew(k, k->config, REASON_FILE, file_watch_changed(&k->watch));
        return;
    }
    file_watch_mark(&k->watch);
    k->events.reread(k->events.arg);
}

static void watch_files(file_watch *w, const config *c)
{
    file_watch_init(w);
    if (c->file[0] != '\0') {
        file_watch_add(w, c->file);
    }
    security_each_file(c, add_file, w);
    file_watch_mark(w);
}

static void add_file(void *arg, const char *path)
{
    file_watch_add(arg, path);
}

// ---- keys from a URL

static void fetch_when_due(keeper *k)
{
    if (!fetches(k->config) || phi_time_before(phi_io_now(k->io), k->fetch_next)) {
        return;
    }
    phi_diag diag = { { 0 } };
    ph_err rc = begin_fetch(k, k->config, &diag);
    if (rc != PH_OK && rc != PH_EBUSY) {
        say_not_fetched(k, diag.text);
        plan_fetch(k, true);
    }
}

static ph_err begin_fetch(keeper *k, const config *c, phi_diag *diag)
{
    if (k->is_fetching || k->is_fresh_next || (k->has_fresh && is_url_of(k, c))) {
        return PH_EBUSY;
    }
    secret_fini(&k->keys_fresh); // of a URL that is not wanted any more
    k->has_fresh = false;
    const char *url = config_text(c, CONFIG_tokens_keys);
    secret authorities = { 0 };
    ph_err rc = security_read_fetch_authorities(c, &authorities, diag);
    if (rc == PH_OK) {
        rc = jwks_fetch_begin(k->fetcher, url, secret_view(&authorities), diag);
    }
    secret_fini(&authorities);
    if (rc == PH_OK) {
        k->is_fetching = true;
        snprintf(k->fetch_url, sizeof k->fetch_url, "%s", url);
    }
    return rc;
}

static void on_fetched(void *arg, ph_err result, secret *keys, const char *why)
{
    keeper *k = arg;
    k->is_fetching = false;
    k->counters.key_fetches_total++;
    plan_fetch(k, result != PH_OK);
    bool is_known = is_url_of(k, k->config);
    if (result != PH_OK && !is_known && k->has_candidate && is_url_of(k, &k->candidate)) {
        k->counters.key_fetches_failed_total++;
        refuse_candidate_keys(k, why);
    } else if (result != PH_OK) {
        say_not_fetched(k, why);
    } else if (!is_known || !phi_bytes_equal(secret_view(keys), secret_view(&k->keys))) {
        k->keys_fresh = *keys;
        *keys = (secret){ 0 };
        k->has_fresh = true;
    }
    go_on(k);
}

// When the last fetch has ended just now, or there is another URL.
static void plan_fetch(keeper *k, bool has_failed)
{
    uint64_t often_ms = k->config->values[CONFIG_tokens_refetch].number;
    uint64_t least_ms = k->config->values[CONFIG_tokens_refetch_min].number;
    uint64_t wait_ms = has_failed && least_ms < often_ms ? least_ms : often_ms;
    k->fetched = phi_io_now(k->io);
    k->fetch_next = phi_time_add(k->fetched, phi_ms(wait_ms));
}

// Peers decide how often: so not sooner than tokens.refetch_min after the last.
static void on_key_missed(void *arg)
{
    keeper *k = arg;
    if (k->fetcher == NULL) { // it was stopped
        return;
    }
    uint64_t least_ms = k->config->values[CONFIG_tokens_refetch_min].number;
    phi_time soonest = phi_time_add(k->fetched, phi_ms(least_ms));
    k->fetch_next = phi_time_min(k->fetch_next, soonest);
    fetch_when_due(k);
}

// Before a secret is read. Of a key set it is known only then whether there is one in it.
static void guard_process(const config *c)
{
    if (config_is_set(c, CONFIG_tls_key) || config_is_set(c, CONFIG_tokens_secret) ||
        config_is_set(c, CONFIG_tokens_keys)) {
        secret_guard_process();
    }
}

static bool fetches(const config *c)
{
    return jwks_fetch_is_url(config_text(c, CONFIG_tokens_keys));
}

static bool is_url_of(const keeper *k, const config *c)
{
    return strcmp(k->fetch_url, config_text(c, CONFIG_tokens_keys)) == 0;
}

// ---- what people are told

static const char *const reasons[] = { [REASON_START] = "start",
                                       [REASON_FILE] = "file changed",
                                       [REASON_KEYS] = "keys fetched",
                                       [REASON_CONFIG] = "configuration read" };

static void say_secured(keeper *k)
{
    const security_facts *facts = security_get_facts(k->current);
    bool has_anything = facts->rules != 0 || facts->keys != 0 || facts->certificate_expires_s != 0;
    if (k->next_reason == REASON_START && !has_anything) {
        return;
    }
    phi_log_field fields[6];
    size_t count = 0;
    fields[count++] = PHI_LOG_TEXT("why", phi_bytes_text(reasons[k->next_reason]));
    if (k->next_file[0] != '\0') {
        fields[count++] = PHI_LOG_TEXT("file", phi_bytes_text(k->next_file));
    }
    fields[count++] = PHI_LOG_NUMBER("rules", facts->rules);
    fields[count++] = PHI_LOG_NUMBER("token_keys", facts->keys);
    uint64_t days = security_days_left(k->current, now_s(k));
    if (days != SECURITY_NO_CERTIFICATE) {
        fields[count++] = PHI_LOG_NUMBER("certificate_days_left", days);
    }
    app_log(k->sink, APP_EVENT_SECURED, fields, count);
}

static void say_refused(keeper *k, const config *c, reason why, const config_errors *errors)
{
    k->counters.security_reloads_failed_total++;
    for (size_t i = 0; i < errors->count; i++) {
        const phi_log_field fields[] = {
            PHI_LOG_TEXT("why", phi_bytes_text(reasons[why])),
            PHI_LOG_TEXT("error", phi_bytes_text(errors->list[i].text)),
            PHI_LOG_TEXT("file", phi_bytes_text(c->file)),
            PHI_LOG_NUMBER("line", errors->list[i].line),
        };
        size_t count = PHI_COUNT_OF(fields) - (errors->list[i].line == 0 ? 2 : 0);
        app_log(k->sink, APP_EVENT_SECURITY_REFUSED, fields, count);
    }
}

static void say_not_fetched(keeper *k, const char *why)
{
    k->counters.key_fetches_failed_total++;
    const phi_log_field fields[] = { PHI_LOG_TEXT("error", phi_bytes_text(why)) };
    app_log(k->sink, APP_EVENT_KEYS_NOT_FETCHED, fields, PHI_COUNT_OF(fields));
}

static void warn(keeper *k)
{
    for (security_warning w = 0; w < SECURITY_WARN_COUNT; w++) {
        if (w == SECURITY_WARN_CERTIFICATE || w == SECURITY_WARN_REVOCATIONS) {
            k->warned[w] = (phi_time){ 0 };
            warn_of_end(k, w, phi_io_now(k->io));
        } else if (security_warns(k->current, w, now_s(k))) {
            app_log(k->sink, security_event(w), NULL, 0);
        }
    }
}

static void warn_of_end(keeper *k, security_warning what, phi_time now)
{
    phi_time due = phi_time_add(k->warned[what], phi_seconds(KEEPER_WARN_HOURS * 3600));
    bool is_due = k->warned[what].ns == 0 || !phi_time_before(now, due);
    if (!is_due || !security_warns(k->current, what, now_s(k))) {
        return;
    }
    k->warned[what] = now;
    const keeper_counters counts = keeper_count(k);
    const phi_log_field field =
        what == SECURITY_WARN_CERTIFICATE
            ? PHI_LOG_NUMBER("certificate_days_left", counts.certificate_days_left)
            : PHI_LOG_NUMBER("revocations_days_left", counts.revocations_days_left);
    app_log(k->sink, security_event(what), &field, 1);
}

keeper_counters keeper_count(const keeper *k)
{
    const security_facts *facts = security_get_facts(k->current);
    keeper_counters now = k->counters;
    now.insecure_listeners = facts->insecure_listeners;
    now.rules = facts->rules;
    now.token_keys = facts->keys;
    now.certificate_days_left = security_days_left(k->current, now_s(k));
    now.revocations_days_left = security_revocations_days_left(k->current, now_s(k));
    return now;
}

static uint64_t now_s(const keeper *k)
{
    return phi_io_wall_ms(k->io) / 1000;
}

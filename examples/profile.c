// SPDX-License-Identifier: Apache-2.0
//
// profile - a service that calls two others and assembles its answer from theirs.
//
//     posthouse call profile by_code JP
//
// asks `countries` for the country, then `currencies` for its currency, and answers with both. What
// to learn here: a request may be answered long after its callback returned. Its id is a value that
// is kept with what is known so far, while any number of others are served. Nothing waits.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <posthouse/posthouse.h>

#define NOT_FOUND 1000 // as countries and currencies use it

static ph_loop *loop;

// A request on its way through both services.
typedef struct profile {
    ph_request_id request;
    uint64_t deadline_ms; // the caller's, on our clock
    json_t *country;      // NULL until countries answered
} profile;

static void on_signal(int signum)
{
    (void)signum;
    ph_loop_stop(loop);
}

static void on_country(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg);
static void on_currency(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_incoming *reply, void *arg);

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// What the caller left us, less what we have used; at least 1, because 0 would mean the default.
static uint32_t time_left_ms(const profile *p)
{
    uint64_t now = now_ms();
    return now < p->deadline_ms ? (uint32_t)(p->deadline_ms - now) : 1;
}

static void forget(profile *p)
{
    json_decref(p->country);
    free(p);
}

// Ends the request: the caller learns which service it was, and why.
static void fail(ph_client *client, profile *p, uint16_t code, const char *service, const char *why,
                 int why_size)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %.*s", service, why_size, why);
    if (ph_client_fail(client, p->request, code, text) != PH_OK) {
        fprintf(stderr, "profile: a failure was lost: %s\n", text);
    }
    forget(p);
}

// A call of ours went wrong. What the service itself said (1000 and above) is passed on.
static void fail_as(ph_client *client, profile *p, const char *service, ph_err status,
                    uint16_t code, const ph_incoming *reply)
{
    if (status == PH_EFAILURE && code >= PH_FAILURE_APPLICATION) {
        fail(client, p, code, service, reply->body.data, (int)reply->body.size);
        return;
    }
    const char *why = status == PH_EFAILURE ? ph_failure_name(code) : ph_err_text(status);
    fail(client, p, PH_FAILURE_RESPONDER_FAILED, service, why, (int)strlen(why));
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    profile *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return; // the caller has its deadline
    }
    p->request = request;
    p->deadline_ms = now_ms() + incoming->timeout_ms;
    ph_outgoing ask = PH_OUTGOING_INIT;
    ask.to = "countries";
    ask.method = "by_code";
    ask.body = incoming->body.data; // copied by ph_client_request
    ask.body_size = incoming->body.size;
    ask.timeout_ms = time_left_ms(p);
    ph_err rc = ph_client_request(client, &ask, NULL, on_country, p);
    if (rc != PH_OK) { // then on_country will not run
        fail_as(client, p, "countries", rc, 0, NULL);
    }
}

static void on_country(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg)
{
    (void)call;
    profile *p = arg;
    if (status != PH_OK) {
        fail_as(client, p, "countries", status, code, reply);
        return;
    }
    p->country = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    ph_outgoing ask = PH_OUTGOING_INIT;
    ask.to = "currencies";
    ask.method = "for_country";
    ask.body = reply->body.data;
    ask.body_size = reply->body.size;
    ask.timeout_ms = time_left_ms(p);
    ph_err rc = ph_client_request(client, &ask, NULL, on_currency, p);
    if (rc != PH_OK) {
        fail_as(client, p, "currencies", rc, 0, NULL);
    }
}

static void on_currency(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_incoming *reply, void *arg)
{
    (void)call;
    profile *p = arg;
    json_t *currency = NULL;
    if (status == PH_OK) {
        currency = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    } else if (status == PH_EFAILURE && code == NOT_FOUND) {
        currency = json_null(); // many territories share one; the tables do not say which
    } else {
        fail_as(client, p, "currencies", status, code, reply);
        return;
    }
    json_object_set_new(p->country, "currency", currency);
    char *body = json_dumps(p->country, JSON_COMPACT);
    if (body == NULL) {
        fail(client, p, PH_FAILURE_RESPONDER_FAILED, "countries", "no JSON", 7);
        return;
    }
    if (ph_client_reply(client, p->request, body, strlen(body)) != PH_OK) {
        fprintf(stderr, "profile: an answer was lost\n");
    }
    free(body);
    forget(p);
}

int main(void)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = getenv("POSTHOUSE_CENTER"); // NULL: 127.0.0.1:7678
    options.account = "profile";
    options.service = "profile";
    options.on_request = on_request;

    ph_client *client = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc == PH_OK) {
        options.loop = loop;
        rc = ph_client_new(&client, &options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open_wait(client, 5000);
    }
    if (rc == PH_OK) {
        fprintf(stderr, "profile: online as %s\n", ph_client_id(client));
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        ph_loop_run(loop);
        ph_client_close(client);
        ph_loop_turn(loop, 0);
    } else {
        fprintf(stderr, "profile: %s: %s\n", ph_err_text(rc),
                client == NULL ? "" : ph_client_trouble(client));
    }
    ph_client_free(&client); // calls in flight end here, with PH_ECANCELLED
    ph_loop_free(&loop);
    return rc == PH_OK ? 0 : 1;
}

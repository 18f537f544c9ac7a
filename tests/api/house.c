// SPDX-License-Identifier: Apache-2.0
//
// tests/api/house.c - see house.h.

#include "tests/api/house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "tests/harness/test.h"

// ---- the house

void house_open(house *h)
{
    phi_diag diag = { "" };
    ph_err rc = center_new(&h->center, phi_loop_io(h->loop), &h->options, NULL, &diag);
    assert_int_equal(rc, PH_OK);
    rc = center_listen(h->center, &(center_listen_options){ .address = h->address }, h->address,
                       &diag);
    if (rc != PH_OK) {
        fail_msg("%s", diag.text);
    }
}

void house_init(house *h, phi_suite suite)
{
    *h = (house){ .folder = "/tmp/posthouse-api-XXXXXX" };
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->address, sizeof h->address, "unix:%s/center", h->folder);
    EXPECT_ERR(ph_loop_new(&h->loop), PH_OK);
    h->options = center_options_default();
    h->options.domain = "home";
    h->options.suite = suite;
    house_open(h);
}

void house_fini(house *h)
{
    center_free(&h->center);
    ph_loop_free(&h->loop);
    EXPECT(h->loop == NULL);
    char path[64];
    snprintf(path, sizeof path, "%s/center", h->folder);
    unlink(path);
    EXPECT_EQ(rmdir(h->folder), 0);
}

// ---- guests

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    guest *g = arg;
    EXPECT(ph_client_state(client) == change->state);
    g->ups += change->state == PH_LINK_UP;
    g->downs += change->state == PH_LINK_DOWN;
    g->closes += change->state == PH_LINK_CLOSED;
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    guest *g = arg;
    g->onlines += change == PH_ONLINE;
    g->offlines += change == PH_OFFLINE;
    g->reason = reason;
    snprintf(g->seen, sizeof g->seen, "%.*s", (int)peer->id.size, peer->id.data);
}

static void on_ready(ph_client *client, uint64_t revision, void *arg)
{
    (void)client;
    EXPECT(revision > 0);
    ((guest *)arg)->readies++;
}

void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    guest *g = arg;
    g->events++;
    snprintf(g->seen, sizeof g->seen, "%.*s: %.*s", (int)event->from.size, event->from.data,
             (int)event->body.size, event->body.data);
}

// A request whose responder asks its caller back, or a call that was made to answer an inquiry.
typedef struct errand {
    guest *guest;
    ph_request_id request;
} errand;

static void on_errand(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                      const ph_incoming *reply, void *arg)
{
    (void)call;
    errand *e = arg;
    guest *g = e->guest;
    g->ask_dones++;
    g->ask_status = status;
    g->ask_code = code;
    ph_err rc = PH_OK;
    if (status == PH_OK) {
        rc = ph_client_reply(client, e->request, reply->body.data, reply->body.size);
    } else if (status == PH_EFAILURE) {
        rc = ph_client_fail(client, e->request, PH_FAILURE_RESPONDER_FAILED, ph_failure_name(code));
    }
    EXPECT(rc == PH_OK);
    free(e);
}

static errand *errand_new(guest *g, ph_request_id request)
{
    errand *e = malloc(sizeof *e);
    assert_non_null(e);
    *e = (errand){ g, request };
    return e;
}

static void ask(guest *g, const ph_incoming *incoming)
{
    ph_outgoing question = PH_OUTGOING_INIT;
    question.method = "which";
    question.body = incoming->body.data;
    question.body_size = incoming->body.size;
    EXPECT_ERR(
        ph_client_ask(g->client, g->request, &question, NULL, on_errand, errand_new(g, g->request)),
        PH_OK);
}

void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                const ph_incoming *incoming, void *arg)
{
    guest *g = arg;
    EXPECT_EQ(call.value, inquiry.call);
    EXPECT(incoming->method.size == 5 && memcmp(incoming->method.data, "which", 5) == 0);
    EXPECT(ph_client_time_left_ms(client, inquiry) <= incoming->timeout_ms);
    g->inquiries++;
    g->inquiry = inquiry;
    g->depth_most = inquiry.depth > g->depth_most ? inquiry.depth : g->depth_most;
    if (g->goes_on) {
        ph_outgoing out = PH_OUTGOING_INIT;
        out.to = "oracle";
        out.within = &inquiry;
        EXPECT_ERR(ph_client_request(client, &out, NULL, on_errand, errand_new(g, inquiry)), PH_OK);
    } else if (g->answers_asks) {
        char answer[64];
        int size = snprintf(answer, sizeof answer, "%.*s, of course", (int)incoming->body.size,
                            incoming->body.data);
        EXPECT_ERR(ph_client_reply(client, inquiry, answer, (size_t)size), PH_OK);
    }
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    guest *g = arg;
    g->requests++;
    g->request = request;
    EXPECT(incoming->timeout_ms > 0);
    if (g->asks) {
        ask(g, incoming);
    } else if (g->answers) {
        EXPECT_ERR(ph_client_reply(client, request, incoming->body.data, incoming->body.size),
                   PH_OK);
    }
}

static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg)
{
    (void)client;
    guest *g = arg;
    EXPECT(ph_request_id_equal(request, g->request));
    g->code = code;
    g->cancels++;
}

void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
              const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    guest *g = arg;
    g->dones++;
    g->status = status;
    g->code = code;
    g->seen[0] = '\0';
    if (reply != NULL) {
        snprintf(g->seen, sizeof g->seen, "%.*s: %.*s", (int)reply->from.size, reply->from.data,
                 (int)reply->body.size, reply->body.data);
    }
}

void guest_init_as(guest *g, house *h, const char *account, const char *service)
{
    *g = (guest){ .answers = true };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h->loop;
    options.centers = h->address;
    options.account = account;
    options.service = service;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 10;
    options.on_link = on_link;
    options.on_presence = on_presence;
    options.on_presence_ready = on_ready;
    options.on_event = on_event;
    options.on_request = on_request;
    options.on_cancel = on_cancel;
    options.on_inquiry = on_inquiry;
    options.arg = g;
    EXPECT_ERR(ph_client_new(&g->client, &options), PH_OK);
}

void guest_init(guest *g, house *h, const char *account)
{
    guest_init_as(g, h, account, NULL);
}

void guest_up(guest *g, house *h, const char *account)
{
    guest_init(g, h, account);
    EXPECT_ERR(ph_client_open_wait(g->client, WAIT_MS), PH_OK);
    EXPECT_TEXT(ph_client_trouble(g->client), "");
}

void wait_for(house *h, const unsigned *counter, unsigned least)
{
    for (unsigned turns = 0; *counter < least; turns++) {
        assert_true(turns < 10000);
        ph_loop_turn(h->loop, WAIT_MS);
    }
}

ph_outgoing to(const char *address, const char *body)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = address;
    out.method = "say";
    out.body = body;
    out.body_size = strlen(body);
    return out;
}

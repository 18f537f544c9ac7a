// SPDX-License-Identifier: Apache-2.0
//
// tests/api/live_dialog_test.c - the public functions against a real center over real sockets:
// asking back, gathers and receipts.

#include <posthouse/posthouse.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/api/house.h"
#include "tests/harness/test.h"

// ---- dialogs

// The paper's figure 5: the responder asks its caller back inside the call, and goes on with the
// answer; once with a handler for all calls, once with one of the call's own. [P-62]
TEST(live, responder_asks_its_caller_back)
{
    house h;
    guest caller;
    guest oracle;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&caller, &h, "caller");
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    caller.answers_asks = true;
    ph_outgoing out = to("oracle", "Guinea");
    for (unsigned i = 0; i < 2; i++) {
        out.on_inquiry = i == 0 ? NULL : on_inquiry;
        ph_reply *reply = NULL;
        EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_OK);
        const ph_incoming *in = ph_reply_incoming(reply);
        EXPECT(in->body.size == 17 && memcmp(in->body.data, "Guinea, of course", 17) == 0);
        EXPECT(in->from.size == 11 && memcmp(in->from.data, "oracle@home", 11) == 0);
        ph_reply_free(&reply);
        EXPECT_EQ(caller.inquiries, i + 1);
        EXPECT_EQ(caller.inquiry.depth, 1);
    }
    ph_client_counters count = { .struct_size = sizeof count };
    ph_client_count(oracle.client, &count);
    EXPECT_EQ(count.asks, 2);
    EXPECT_EQ(count.ask_answers, 2);
    ph_client_free(&oracle.client);
    ph_client_free(&caller.client);
    house_fini(&h);
}

// A caller that was written before there were inquiries is a typed failure to who asks it, not a
// wait. [P-58] [P-62]
TEST(live, caller_without_a_handler_is_a_failure)
{
    house h;
    guest oracle;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h.loop;
    options.centers = h.address;
    ph_client *plain = NULL;
    EXPECT_ERR(ph_client_new(&plain, &options), PH_OK);
    EXPECT_ERR(ph_client_open_wait(plain, WAIT_MS), PH_OK);
    ph_outgoing out = to("oracle", "Guinea");
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(plain, &out, &reply), PH_EFAILURE);
    EXPECT_ERR(oracle.ask_status, PH_EFAILURE);
    EXPECT_EQ(oracle.ask_code, PH_FAILURE_NO_HANDLER);
    ph_reply_free(&reply);
    ph_client_free(&plain);
    ph_client_free(&oracle.client);
    house_fini(&h);
}

// A responder must not wait for who is gone, has given up, or is out of time; and it is told which.
// [P-57] [P-62]
TEST(live, inquiry_ends_with_its_call_and_says_why)
{
    static const struct {
        ph_err status;
        uint16_t code;
    } cases[] = {
        { PH_ECANCELLED, PH_FAILURE_CANCELLED },
        { PH_ECANCELLED, PH_FAILURE_CALLER_LOST },
        { PH_ETIMEDOUT, PH_FAILURE_DEADLINE },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        house h;
        guest caller;
        guest oracle;
        house_init(&h, PHI_SUITE_PLAIN);
        guest_up(&caller, &h, "caller");
        guest_up(&oracle, &h, "oracle");
        oracle.asks = true;
        ph_outgoing out = to("oracle", "Guinea");
        out.timeout_ms = cases[i].code == PH_FAILURE_DEADLINE ? 20 : WAIT_MS;
        ph_call_id id = { 0 };
        EXPECT_ERR(ph_client_request(caller.client, &out, &id, on_reply, &caller), PH_OK);
        wait_for(&h, &caller.inquiries, 1);
        if (cases[i].code == PH_FAILURE_CANCELLED) {
            EXPECT_ERR(ph_client_cancel(caller.client, id), PH_OK);
        } else if (cases[i].code == PH_FAILURE_CALLER_LOST) {
            ph_client_free(&caller.client);
        }
        wait_for(&h, &oracle.cancels, 1);
        EXPECT_EQ(oracle.code, cases[i].code);
        EXPECT_EQ(oracle.ask_dones, 1);
        EXPECT_ERR(oracle.ask_status, cases[i].status);
        EXPECT_EQ(oracle.ask_code, cases[i].code);
        wait_for(&h, &caller.dones, 1);
        ph_client_free(&caller.client);
        ph_client_free(&oracle.client);
        house_fini(&h);
    }
}

// Two programs that ask each other in circles: the fifth dialog inside another is refused, and all
// of them come to their end. [P-63]
TEST(live, dialogs_nest_four_deep_and_no_deeper)
{
    house h;
    guest caller;
    guest oracle;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    caller.goes_on = true;
    ph_outgoing out = to("oracle", "turtles");
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &caller.dones, 1);
    EXPECT_EQ(caller.inquiries, 4);
    EXPECT_EQ(caller.depth_most, 4);
    EXPECT_EQ(oracle.requests, 5);
    EXPECT_EQ(oracle.ask_dones, 5);
    EXPECT_ERR(caller.status, PH_EFAILURE);
    EXPECT_EQ(caller.code, PH_FAILURE_RESPONDER_FAILED);
    EXPECT_TEXT(caller.seen, "oracle@home: responder_failed"); // of too_deep, four times over
    ph_client_free(&oracle.client);
    ph_client_free(&caller.client);
    house_fini(&h);
}

// ---- many

// What came of one gather.
typedef struct harvest {
    unsigned parts;
    unsigned failed_parts;
    unsigned dones;
    ph_err status;
    uint16_t code;
    uint16_t asked;
    uint16_t replied;
    char missing[128]; // "c@home 11 "
} harvest;

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    harvest *v = arg;
    EXPECT_EQ(v->dones, 0);
    v->parts++;
    v->failed_parts += code != 0;
    EXPECT(part->from.size == 6 && memcmp(part->from.data + 1, "@home", 5) == 0);
    EXPECT(code != 0 || (part->body.size == 5 && memcmp(part->body.data, "count", 5) == 0));
}

static void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    harvest *v = arg;
    v->dones++;
    v->status = status;
    v->code = code;
    if (gathered != NULL) {
        v->asked = gathered->asked;
        v->replied = gathered->replied;
        size_t cursor = 0;
        ph_view id;
        uint16_t why = 0;
        size_t used = 0;
        while (ph_gathered_next(gathered, &cursor, &id, &why)) {
            used += (size_t)snprintf(v->missing + used, sizeof v->missing - used, "%.*s %u ",
                                     (int)id.size, id.data, why);
        }
    }
}

static void gather(guest *g, harvest *v, uint16_t want, uint32_t timeout_ms, ph_call_id *id)
{
    *v = (harvest){ 0 };
    ph_outgoing out = to("all:letters", "count");
    out.timeout_ms = timeout_ms;
    ph_gather how = PH_GATHER_INIT;
    how.want = want;
    how.on_part = on_part;
    how.done = on_gathered;
    how.arg = v;
    EXPECT_ERR(ph_client_gather(g->client, &out, &how, id), PH_OK);
}

// Every instance is asked, each part comes, and the end names who did not answer and why; with
// enough of them it does not wait for the rest. [P-65]
TEST(live, gather_asks_every_instance)
{
    house h;
    guest caller;
    guest a;
    guest b;
    guest c;
    guest *instances[] = { &a, &b, &c };
    static const char *names[] = { "a", "b", "c" };
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    harvest v;
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_EFAILURE);
    EXPECT_EQ(v.code, PH_FAILURE_NO_READY_INSTANCE);

    for (size_t i = 0; i < 3; i++) {
        guest_init_as(instances[i], &h, names[i], "letters");
        EXPECT_ERR(ph_client_open_wait(instances[i]->client, WAIT_MS), PH_OK);
    }
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_OK);
    EXPECT_EQ(v.parts, 3);
    EXPECT_EQ(v.asked, 3);
    EXPECT_EQ(v.replied, 3);
    EXPECT_TEXT(v.missing, "");

    c.answers = false; // is asked, and says nothing until the deadline
    gather(&caller, &v, 0, 20, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_OK);
    EXPECT_EQ(v.parts, 2);
    EXPECT_EQ(v.replied, 2);
    EXPECT_TEXT(v.missing, "c@home 11 ");
    EXPECT_EQ(c.code, PH_FAILURE_DEADLINE); // its cancel said why

    gather(&caller, &v, 2, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_EQ(v.replied, 2);
    wait_for(&h, &c.cancels, 2);
    EXPECT_EQ(c.code, PH_FAILURE_CANCELLED);

    c.asks = true; // nobody may ask back in a gather: it fails, and its part with it
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_EQ(v.failed_parts, 1);
    EXPECT_EQ(c.ask_code, PH_FAILURE_UNSUPPORTED);
    EXPECT_TEXT(v.missing, "c@home 14 ");

    c.asks = false;
    ph_call_id id = { 0 };
    gather(&caller, &v, 0, WAIT_MS, &id);
    wait_for(&h, &c.requests, 5);
    EXPECT_ERR(ph_client_cancel(caller.client, id), PH_OK);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_ECANCELLED);
    wait_for(&h, &c.cancels, 3);
    for (size_t i = 0; i < 3; i++) {
        ph_client_free(&instances[i]->client);
    }
    ph_client_free(&caller.client);
    house_fini(&h);
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)receipt;
    EXPECT(event.value != 0);
    guest *g = arg;
    g->dones++;
    g->status = status;
}

// Who sends an event may know what became of it: how many got it, or why nobody did. [P-68]
TEST(live, receipt_says_who_got_an_event)
{
    house h;
    guest sender;
    guest a;
    guest b;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&sender, &h, "sender");
    guest_init_as(&a, &h, "a", "letters");
    EXPECT_ERR(ph_client_open_wait(a.client, WAIT_MS), PH_OK);
    guest_init_as(&b, &h, "b", "letters");
    EXPECT_ERR(ph_client_open_wait(b.client, WAIT_MS), PH_OK);
    static const struct {
        const char *to;
        ph_receipt receipt;
    } cases[] = {
        { "a", { 1, 0, 0 } },
        { "service:letters", { 1, 0, 0 } },
        { "all:letters", { 2, 0, 0 } },
        { "all:", { 2, 0, 0 } },
        { "topic:nobody.listens", { 0, 0, 0 } },
        { "nobody", { 0, 0, PH_FAILURE_NO_SUCH_ACCOUNT } },
        { "service:nothing", { 0, 0, PH_FAILURE_NO_READY_INSTANCE } },
        { "no form:", { 0, 0, PH_FAILURE_ADDRESS_UNKNOWN } },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        ph_outgoing out = to(cases[i].to, "news");
        ph_receipt receipt = { 9, 9, 9 };
        EXPECT_ERR(ph_client_send_with_receipt_wait(sender.client, &out, &receipt), PH_OK);
        EXPECT_EQ(receipt.delivered, cases[i].receipt.delivered);
        EXPECT_EQ(receipt.dropped, cases[i].receipt.dropped);
        EXPECT_EQ(receipt.code, cases[i].receipt.code);
    }
    ph_outgoing out = to("all:", "the last");
    EXPECT_ERR(ph_client_send_with_receipt(sender.client, &out, NULL, on_receipt, &sender), PH_OK);
    ph_client_close(sender.client);
    wait_for(&h, &sender.dones, 1);
    EXPECT_ERR(sender.status, PH_ECANCELLED);
    ph_client_free(&a.client);
    ph_client_free(&b.client);
    ph_client_free(&sender.client);
    house_fini(&h);
}

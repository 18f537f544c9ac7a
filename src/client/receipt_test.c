// SPDX-License-Identifier: Apache-2.0

#include <posthouse/dialog.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

typedef struct told {
    unsigned dones;
    ph_err status;
    ph_receipt receipt;
} told;

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    EXPECT(event.value != 0);
    EXPECT_EQ(receipt != NULL, status == PH_OK);
    told *t = arg;
    t->dones++;
    t->status = status;
    t->receipt = receipt == NULL ? (ph_receipt){ 0 } : *receipt;
}

static ph_err send(stage *s, told *t, uint32_t timeout_ms, ph_call_id *id)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "all:";
    out.method = "news";
    out.timeout_ms = timeout_ms;
    return ph_client_send_with_receipt(s->client, &out, id, on_receipt, t);
}

static void say_receipt(stage *s, uint64_t call, uint32_t delivered, uint32_t dropped,
                        uint16_t code)
{
    uint8_t body[PHI_RECEIPT_BYTES];
    phi_receipt_encode(body, &(phi_receipt){ delivered, dropped, code });
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_RECEIPT,
                                         .call = call,
                                         .from = phi_bytes_text("@home"),
                                         .body = phi_bytes_of(body, sizeof body) });
}

// The sender of an event learns what became of it, once. [P-68]
TEST(receipt, says_what_became_of_the_event)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    told t = { 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(send(&s, &t, 0, &id), PH_OK);
    stage_settle(&s);
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.kind, PHI_KIND_EVENT);
    EXPECT_EQ(m.flags, PHI_FLAG_RECEIPT);
    EXPECT_EQ(m.call, id.value);
    EXPECT_EQ(m.ttl_ms, 30000);
    EXPECT_EQ(t.dones, 0);
    say_receipt(&s, id.value, 998, 2, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_EQ(t.dones, 1);
    EXPECT_ERR(t.status, PH_OK);
    EXPECT_EQ(t.receipt.delivered, 998);
    EXPECT_EQ(t.receipt.dropped, 2);
    EXPECT_EQ(t.receipt.code, PH_FAILURE_SLOW_CONSUMER);
    say_receipt(&s, id.value, 1, 0, 0);
    EXPECT_EQ(t.dones, 1);
    EXPECT_EQ(stage_counters(&s).receipts_wanted, 1);
    EXPECT_EQ(stage_counters(&s).receipts, 1);
    EXPECT_EQ(stage_counters(&s).replies_stray, 1);
    stage_fini(&s);
}

// Without a receipt it ends all the same: no word in time, given up, the connection gone.
TEST(receipt, ends_once_without_the_centers_word)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    told t = { 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(send(&s, &t, 100, &id), PH_OK);
    stage_pass(&s, phi_ms(1099)); // it may say "deadline" at 100
    EXPECT_EQ(t.dones, 0);
    stage_pass(&s, phi_ms(1));
    EXPECT_EQ(t.dones, 1);
    EXPECT_ERR(t.status, PH_ETIMEDOUT);
    say_receipt(&s, id.value, 1, 0, 0);

    EXPECT_ERR(send(&s, &t, 100, &id), PH_OK);
    stage_settle(&s);
    stage_forget(&s);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    EXPECT_EQ(t.dones, 1);
    stage_settle(&s);
    EXPECT_EQ(t.dones, 2);
    EXPECT_ERR(t.status, PH_ECANCELLED);
    EXPECT_EQ(s.got_count, 0); // an event cannot be called back
    say_receipt(&s, id.value, 1, 0, 0);

    EXPECT_ERR(send(&s, &t, 100, &id), PH_OK);
    stage_settle(&s);
    stage_cut(&s);
    EXPECT_EQ(t.dones, 3);
    EXPECT_ERR(t.status, PH_ERESET);
    EXPECT_EQ(stage_counters(&s).receipts_lost, 3);
    EXPECT_EQ(stage_counters(&s).replies_stray, 2);
    EXPECT_EQ(stage_counters(&s).timeouts + stage_counters(&s).cancels + stage_counters(&s).resets,
              0);
    stage_fini(&s);
}

// Receipts for requests, replies to events, and bodies that are none. [P-31] [P-68]
TEST(receipt, lies_of_the_center)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    told t = { 0 };
    ph_call_id event = { 0 };
    ph_call_id call = { 0 };
    EXPECT_ERR(send(&s, &t, 0, &event), PH_OK);
    EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, &call), PH_OK);
    say_receipt(&s, call.value, 1, 0, 0);
    say_receipt(&s, 99, 1, 0, 0);
    stage_reply(&s, event.value, "thanks");
    stage_fail(&s, event.value, 14, "no");
    stage_inquire(&s, event.value, 1, "which");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(t.dones, 0);
    EXPECT_EQ(stage_counters(&s).replies_stray, 4);
    EXPECT_EQ(stage_counters(&s).dropped, 1);
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    stage_say_message(&s, &(phi_message){ .kind = PHI_KIND_RECEIPT,
                                          .call = event.value,
                                          .body = phi_bytes_text("delivered") });
    EXPECT_EQ(t.dones, 1);
    EXPECT_ERR(t.status, PH_ERESET);
    EXPECT(strncmp(stage_heard(&s), "done PH_ERESET 0\ndown PH_EPROTO\n", 32) == 0);
    stage_fini(&s);
}

// What cannot be sent is refused, and holds no number.
TEST(receipt, refusals)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.calls_max = 1;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    told t = { 0 };
    EXPECT_ERR(send(&s, &t, 0, NULL), PH_ENOTCONNECTED);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    ph_outgoing out = PH_OUTGOING_INIT;
    EXPECT_ERR(ph_client_send_with_receipt(s.client, &out, NULL, on_receipt, &t), PH_EINVAL);
    out.to = "all:";
    EXPECT_ERR(ph_client_send_with_receipt(s.client, &out, NULL, NULL, &t), PH_EINVAL);
    EXPECT_ERR(ph_client_send_with_receipt(NULL, &out, NULL, on_receipt, &t), PH_EINVAL);
    EXPECT_ERR(ph_client_send_with_receipt(s.client, NULL, NULL, on_receipt, &t), PH_EINVAL);
    ph_receipt receipt;
    EXPECT_ERR(ph_client_send_with_receipt_wait(s.client, &out, &receipt), PH_EINVAL); // no loop
    EXPECT_ERR(send(&s, &t, 0, NULL), PH_OK);
    EXPECT_ERR(send(&s, &t, 0, NULL), PH_ELIMIT);
    stage_pass(&s, phi_seconds(31));
    EXPECT_EQ(t.dones, 1);
    stage_fill(&s, 0);
    EXPECT_ERR(send(&s, &t, 0, NULL), PH_EBUSY);
    EXPECT_EQ(s.client->calls.count, 0);
    stage_fini(&s);
}

// SPDX-License-Identifier: Apache-2.0
//
// app/receipt.c - see receipt.h.

#include "app/receipt.h"

#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

typedef struct pending {
    bool is_over;
    ph_err status;
    ph_receipt receipt;
} pending;

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    pending *p = arg;
    p->is_over = true;
    p->status = status;
    if (receipt != NULL) {
        p->receipt = *receipt;
    }
}

static void print_json(const ph_receipt *receipt)
{
    draft out;
    draft_init(&out);
    phi_json j;
    phi_json_init_buf(&j, &out.buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "delivered");
    phi_json_u64(&j, receipt->delivered);
    phi_json_key(&j, "dropped");
    phi_json_u64(&j, receipt->dropped);
    phi_json_key(&j, "reason");
    phi_json_text(&j, receipt->code == 0 ? "" : ph_failure_name(receipt->code));
    phi_json_object_end(&j);
    draft_json_end(&out, &j);
    term_print(&out);
    draft_fini(&out);
}

static exit_status judge(const pending *p, const char *what, bool needs_one)
{
    const ph_view none = { "", 0 };
    const ph_receipt *r = &p->receipt;
    if (p->status != PH_OK) {
        return connection_explain(what, p->status, 0, none, none);
    }
    if (r->delivered == 0 && r->code != 0) {
        return connection_explain(what, PH_EFAILURE, r->code, none, none);
    }
    if (r->delivered == 0) {
        term_note("%s: nobody is there to get it", what);
        return needs_one ? STATUS_NOT_FOUND : STATUS_OK;
    }
    if (r->dropped != 0) {
        term_note("%s: %u got it, %u did not: %s", what, r->delivered, r->dropped,
                  ph_failure_text(r->code));
        return STATUS_FAILED;
    }
    term_detail("%s: queued for %u", what, r->delivered);
    return STATUS_OK;
}

exit_status receipt_send(connection *s, const ph_outgoing *event, const char *what, bool needs_one)
{
    pending p = { 0 };
    const ph_view none = { "", 0 };
    ph_err rc = ph_client_send_with_receipt(s->client, event, NULL, on_receipt, &p);
    if (rc != PH_OK) {
        return connection_explain(what, rc, 0, none, none);
    }
    exit_status status = connection_wait(s, &p.is_over);
    if (status != STATUS_OK) {
        return status;
    }
    if (p.status == PH_OK && connection_is_json(s->args)) {
        print_json(&p.receipt);
    }
    return judge(&p, what, needs_one);
}

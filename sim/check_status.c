// SPDX-License-Identifier: Apache-2.0
//
// sim/check_status.c - what a center says of itself, whatever goes on in it: each ask ends once,
// and the numbers agree with each other. [P-69]

#include <posthouse/message.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "center/center.h"
#include "sim/check.h"

enum {
    TIMEOUT_MS = 3000,
};

static void on_told(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg);
static bool read_status(phi_bytes body, uint8_t *workers, uint8_t *counted, center_counters *out);

void status_ask(actor *a)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "status";
    request.timeout_ms = TIMEOUT_MS;
    if (ph_client_request(a->client, &request, NULL, on_told, a) == PH_OK) {
        a->domain->statuses_open++;
    }
}

void check_statuses_all_ended(domain *d)
{
    if (d->statuses_open != 0) {
        domain_fail(d, "%u asks for the status have not ended", d->statuses_open);
    }
}

static void on_told(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    actor *a = arg;
    domain *d = a->domain;
    sim_note(d->s, a->node, "told the status: %s, code %u", ph_err_name(status), code);
    if (d->statuses_open == 0) {
        domain_fail(d, "an ask for the status ended twice");
        return;
    }
    d->statuses_open--;
    if (status != PH_OK) {
        return;
    }
    uint8_t workers;
    uint8_t counted;
    center_counters n = { 0 };
    if (!read_status(phi_bytes_of(reply->body.data, reply->body.size), &workers, &counted, &n) ||
        workers != d->worker_count || counted == 0 || counted > workers) {
        domain_fail(d, "the status of %u workers has another form", d->worker_count);
        return;
    }
    uint64_t ended = n.calls_replied_total + n.calls_failed_total + n.calls_refused_total +
                     n.calls_expired_total + n.calls_lost_total + n.calls_cancelled_total +
                     n.calls_abandoned_total + n.calls_overrun_total;
    if (n.requests_total != ended + n.calls || n.sessions > n.connections ||
        n.connections > n.connections_total || n.watchers > n.sessions || n.calls == 0) {
        domain_fail(d,
                    "status: %llu requests, %llu ended, %llu open; %llu sessions of %llu "
                    "connections, %llu watch",
                    (unsigned long long)n.requests_total, (unsigned long long)ended,
                    (unsigned long long)n.calls, (unsigned long long)n.sessions,
                    (unsigned long long)n.connections, (unsigned long long)n.watchers);
    }
}

static bool read_status(phi_bytes body, uint8_t *workers, uint8_t *counted, center_counters *out)
{
    phi_reader r = phi_reader_of(body);
    (void)phi_read_str8(&r);
    (void)phi_read_u64(&r);
    *workers = phi_read_u8(&r);
    *counted = phi_read_u8(&r);
    uint16_t count = phi_read_u16(&r);
    for (uint16_t i = 0; i < count; i++) {
        (void)phi_read_u8(&r);
        phi_bytes name = phi_read_str8(&r);
        uint64_t value = phi_read_u64(&r);
#define CENTER_METRIC(metric, kind, help)                                                          \
    if (phi_bytes_equal(name, phi_bytes_text(#metric))) {                                          \
        out->metric = value;                                                                       \
    }
#include "center/metrics.def"
#undef CENTER_METRIC
    }
    return !r.failed && phi_reader_left(&r) == 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/status_sim.c - a center that says how it is, in virtual time: of all its workers
// together, and when one of them stands still. [P-69]
//
// One way takes 1 ms.

#include <posthouse/message.h>
#include <posthouse/version.h>

#include <string.h>

#include "center/status.h"
#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define CLIENTS 7u

// What became of one ask.
typedef struct told {
    domain *d;
    unsigned ends;
    uint64_t at_ms;
    ph_err status;
    uint16_t code;
    uint64_t uptime_ms;
    uint8_t workers;
    uint8_t counted;
    center_counters values;
} told;

static domain *begin(uint32_t worker_count)
{
    domain_options options = {
        .seed = 5,
        .path = { .delay = MS(1) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = worker_count,
        .actor_count = CLIENTS,
        .late_max = SECONDS(1),
    };
    domain *d = domain_new(&options);
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, MS(100));
    return d;
}

static void end(domain *d)
{
    char fault[sizeof d->fault];
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static uint64_t now_ms(const domain *d)
{
    return sim_now(d->s).ns / 1000000;
}

static void read_values(phi_reader *r, told *t)
{
    uint16_t count = phi_read_u16(r);
    for (uint16_t i = 0; i < count; i++) {
        (void)phi_read_u8(r);
        phi_bytes name = phi_read_str8(r);
        uint64_t value = phi_read_u64(r);
#define CENTER_METRIC(metric, kind, help)                                                          \
    if (phi_bytes_equal(name, phi_bytes_text(#metric))) {                                          \
        t->values.metric = value;                                                                  \
    }
#include "center/metrics.def"
#undef CENTER_METRIC
    }
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    told *t = arg;
    t->ends++;
    t->at_ms = now_ms(t->d);
    t->status = status;
    t->code = code;
    if (status == PH_OK) {
        phi_reader r = phi_reader_of(phi_bytes_of(reply->body.data, reply->body.size));
        EXPECT(phi_bytes_equal(phi_read_str8(&r), phi_bytes_text(PH_VERSION_TEXT)));
        t->uptime_ms = phi_read_u64(&r);
        t->workers = phi_read_u8(&r);
        t->counted = phi_read_u8(&r);
        read_values(&r, t);
        EXPECT(!r.failed);
        EXPECT_EQ(phi_reader_left(&r), 0);
    }
}

static void ask(actor *by, uint32_t timeout_ms, told *out)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "status";
    request.timeout_ms = timeout_ms;
    *out = (told){ .d = by->domain };
    EXPECT_ERR(ph_client_request(by->client, &request, NULL, on_reply, out), PH_OK);
}

// An operator who sees one worker's numbers takes a center for idle that is not: whoever asks, and
// wherever it is at home, they are those of all together. [P-69]
CENTER_TEST(status, is_of_the_whole_center)
{
    domain *d = begin(sim_workers);
    actor_watch(&d->actors[1], "");
    actor_watch(&d->actors[2], "");
    d->actors[3].manner = MANNER_HOLD;
    (void)actor_call_actor(&d->actors[4], &d->actors[3], 500);
    (void)actor_call_actor(&d->actors[5], &d->actors[3], 500);
    sim_run_for(d->s, MS(100));
    for (uint32_t i = 0; i < 3; i++) {
        told t;
        uint64_t asked_ms = now_ms(d);
        ask(&d->actors[i], 5000, &t);
        sim_run_for(d->s, MS(50));
        EXPECT_EQ(t.ends, 1);
        EXPECT_ERR(t.status, PH_OK);
        EXPECT_EQ(t.at_ms, asked_ms + 2);
        EXPECT_EQ(t.uptime_ms, asked_ms + 1);
        EXPECT_EQ(t.workers, sim_workers);
        EXPECT_EQ(t.counted, sim_workers);
        EXPECT_EQ(t.values.connections, CLIENTS);
        EXPECT_EQ(t.values.sessions, CLIENTS);
        EXPECT_EQ(t.values.listed, CLIENTS);
        EXPECT_EQ(t.values.watchers, 2);
        EXPECT_EQ(t.values.calls, 3); // the two, and the one that asks
        EXPECT_EQ(t.values.joins_total, CLIENTS);
        EXPECT_EQ(t.values.requests_total, 3 + i);
        const center_counters now = domain_count(d);
        EXPECT_EQ(t.values.registry_memory, now.registry_memory);
        EXPECT_EQ(t.values.presence_memory, now.presence_memory);
    }
    end(d);
}

// It is when a worker stands still that an operator asks: the others are told after a second, and
// that one is missing is said. What it says later, counts for nothing. [P-69]
SIM_TEST(status, leaves_out_a_worker_that_stands_still)
{
    domain *d = begin(3);
    sim_node_freeze(d->s, d->worker_nodes[2], true);
    told t;
    uint64_t asked_ms = now_ms(d);
    ask(&d->actors[0], 5000, &t);
    told hasty;
    ask(&d->actors[3], 300, &hasty);
    sim_run_for(d->s, MS(1500));
    EXPECT_ERR(t.status, PH_OK);
    EXPECT_EQ(t.at_ms, asked_ms + 1 + STATUS_WAIT_MS + 1);
    EXPECT_EQ(t.workers, 3);
    EXPECT_EQ(t.counted, 2);
    EXPECT_EQ(t.values.sessions, 5);
    EXPECT_EQ(hasty.ends, 1); // its own time was over first
    sim_node_freeze(d->s, d->worker_nodes[2], false);
    sim_run_for(d->s, MS(100));
    ask(&d->actors[0], 5000, &t);
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(t.ends, 1);
    EXPECT_EQ(t.counted, 3);
    EXPECT_EQ(t.values.sessions, CLIENTS);
    end(d);
}

// Who asks without end may not keep others from asking, nor the center busy: so many of one client
// wait at a time. Who leaves meanwhile leaves nothing behind. [P-69]
SIM_TEST(status, waits_for_so_many_of_one_client)
{
    domain *d = begin(2);
    sim_node_freeze(d->s, d->worker_nodes[1], true);
    told t[STATUS_ASKS_PER_CLIENT_MAX + 1];
    for (size_t i = 0; i < PHI_COUNT_OF(t); i++) {
        ask(&d->actors[0], 5000, &t[i]);
    }
    told other;
    ask(&d->actors[2], 5000, &other);
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(t[STATUS_ASKS_PER_CLIENT_MAX].ends, 1);
    EXPECT_EQ(t[STATUS_ASKS_PER_CLIENT_MAX].code, PH_FAILURE_TOO_MANY_CALLS);
    EXPECT_EQ(t[0].ends + other.ends, 0);
    actor_kill(&d->actors[0]);
    sim_run_for(d->s, MS(1500));
    EXPECT_ERR(other.status, PH_OK);
    EXPECT_EQ(other.counted, 1);
    sim_node_freeze(d->s, d->worker_nodes[1], false);
    EXPECT(actor_start(&d->actors[0]));
    end(d);
}

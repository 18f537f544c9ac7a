// SPDX-License-Identifier: Apache-2.0
//
// center/dialog_random_test.c - calls, inquiries, gathers, cancels, deadlines, deaths and full send
// buffers in any order: whoever is told anything is told each thing exactly once, and in the end
// nobody waits. [P-57] [P-59] [P-62] [P-65]
//
// What the clients may know is modelled here from what they say and what comes to them, and from
// nothing else. The swarm (sim/) does the same with real clients and a network; here buffers are
// full all the time, and every byte that is read is chosen.

#include <stdio.h>
#include <stdlib.h>

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"

enum {
    CLIENTS = 5,
    STEPS = 300,
    AGREE_EVERY = 50,
    CALLS_MAX = STEPS,
    TTL_MS_MAX = 2000,
};

// A call that a client made.
typedef struct made {
    uint64_t number;
    bool is_gather;
    unsigned ends;
} made;

// An inquiry that a client made.
typedef struct asked {
    uint16_t turn;
    unsigned ends;
} asked;

// A request that came to a client.
typedef struct taken {
    uint64_t handle;
    bool is_answered; // by the client
    bool is_cancelled;
    asked asked[8];
    size_t asked_count;
} taken;

// An inquiry that came to a client.
typedef struct question {
    uint64_t number;
    uint16_t turn;
} question;

typedef struct model {
    peer *p;
    made made[CALLS_MAX];
    size_t made_count;
    taken taken[CALLS_MAX];
    size_t taken_count;
    question questions[CALLS_MAX];
    size_t question_count;
} model;

typedef struct run {
    world *w;
    peer *filler; // whose events fill the buffers
    model *models[CLIENTS];
    phi_random random;
    uint64_t number_last;
    uint16_t turn_last;
    unsigned lives;
} run;

static void settings(center_options *o)
{
    o->send_buffer_max = 131072;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

static void client_new(run *r, size_t at)
{
    model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    char name[16];
    snprintf(name, sizeof name, "c%zu-%u", at, r->lives++);
    m->p = world_connect(r->w, name);
    m->p->join.service = phi_bytes_text("s");
    r->models[at] = m;
    world_settle(r->w);
    EXPECT(m->p->is_open);
}

static model *any(run *r)
{
    return r->models[phi_random_below(&r->random, CLIENTS)];
}

// ---- what comes

static made *made_of(model *m, uint64_t number)
{
    for (size_t i = m->made_count; i-- > 0;) {
        if (m->made[i].number == number) {
            return &m->made[i];
        }
    }
    fail_msg("something came for a call that was never made");
    return NULL;
}

static taken *taken_of(model *m, uint64_t handle)
{
    for (size_t i = m->taken_count; i-- > 0;) {
        if (m->taken[i].handle == handle) {
            return &m->taken[i];
        }
    }
    fail_msg("something came for a request that never came");
    return NULL;
}

static void on_end_of_call(model *m, const phi_message *msg)
{
    made *call_made = made_of(m, msg->call);
    EXPECT_EQ(call_made->ends, 0); // also nothing behind the end
    if ((msg->flags & PHI_FLAG_PART) != 0) {
        EXPECT(call_made->is_gather);
    } else {
        call_made->ends++;
    }
}

static void on_end_of_inquiry(model *m, const phi_message *msg)
{
    taken *t = taken_of(m, msg->call);
    EXPECT(!t->is_cancelled);
    for (size_t i = 0; i < t->asked_count; i++) {
        if (t->asked[i].turn == msg->turn) {
            EXPECT_EQ(t->asked[i].ends, 0);
            t->asked[i].ends++;
            return;
        }
    }
    fail_msg("the answer to an inquiry that was never made");
}

static void on_message(model *m, const phi_message *msg)
{
    switch ((phi_kind)msg->kind) {
    case PHI_KIND_REQUEST:
        EXPECT(m->taken_count < CALLS_MAX);
        m->taken[m->taken_count++] = (taken){ .handle = msg->call };
        break;
    case PHI_KIND_REPLY:
        on_end_of_call(m, msg);
        break;
    case PHI_KIND_FAILURE:
        if (msg->turn != 0 && (msg->flags & PHI_FLAG_PART) == 0) {
            on_end_of_inquiry(m, msg);
        } else {
            on_end_of_call(m, msg);
        }
        break;
    case PHI_KIND_INQUIRY:
        EXPECT_EQ(made_of(m, msg->call)->ends, 0);
        EXPECT(m->question_count < CALLS_MAX);
        m->questions[m->question_count++] = (question){ msg->call, msg->turn };
        break;
    case PHI_KIND_ANSWER:
        on_end_of_inquiry(m, msg);
        break;
    case PHI_KIND_CANCEL: {
        taken *t = taken_of(m, msg->call);
        EXPECT(!t->is_cancelled); // but it may cross our reply
        t->is_cancelled = true;
        break;
    }
    case PHI_KIND_EVENT:
        break;
    case PHI_KIND_RECEIPT:
        fail();
    }
}

static void look(run *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        const phi_message *msg;
        while ((msg = peer_next(r->models[i]->p)) != NULL) {
            on_message(r->models[i], msg);
        }
    }
}

// ---- what clients do

static void call_somebody(run *r)
{
    model *m = any(r);
    bool is_gather = phi_random_chance(&r->random, 20);
    made *call_made = &m->made[m->made_count++];
    *call_made = (made){ .number = ++r->number_last, .is_gather = is_gather };
    peer_say(m->p, &(phi_message){
                       .kind = PHI_KIND_REQUEST,
                       .call = call_made->number,
                       .ttl_ms = (uint32_t)phi_random_between(&r->random, 1, TTL_MS_MAX),
                       .want = is_gather ? (uint16_t)phi_random_below(&r->random, 4) : 0,
                       .depth = (uint8_t)phi_random_below(&r->random, 5),
                       .to = phi_bytes_text(is_gather ? "all:s" : any(r)->p->id),
                   });
}

static void cancel_one(run *r)
{
    model *m = any(r);
    if (m->made_count > 0) {
        peer_cancel(m->p, m->made[phi_random_below(&r->random, m->made_count)].number);
    }
}

static void treat_one(run *r)
{
    model *m = any(r);
    if (m->taken_count == 0) {
        return;
    }
    taken *t = &m->taken[phi_random_below(&r->random, m->taken_count)];
    if (t->is_answered) {
        return;
    }
    if (phi_random_chance(&r->random, 60) && t->asked_count < PHI_COUNT_OF(t->asked)) {
        asked *a = &t->asked[t->asked_count++];
        *a = (asked){ .turn = ++r->turn_last };
        peer_inquire(m->p, t->handle, a->turn, 0);
    } else if (phi_random_chance(&r->random, 70)) {
        t->is_answered = true;
        peer_reply(m->p, t->handle, "reply");
    } else {
        t->is_answered = true;
        peer_failure(m->p, t->handle, 1234);
    }
}

static void answer_one(run *r)
{
    model *m = any(r);
    if (m->question_count == 0) {
        return;
    }
    size_t at = phi_random_below(&r->random, m->question_count);
    question q = m->questions[at];
    if (phi_random_chance(&r->random, 80)) { // else again later: it is nobody's then
        m->questions[at] = m->questions[--m->question_count];
    }
    if (phi_random_chance(&r->random, 70)) {
        peer_answer(m->p, q.number, q.turn, "answer");
    } else {
        peer_fail_inquiry(m->p, q.number, q.turn, 1234);
    }
}

static void change_reading(run *r)
{
    model *m = any(r);
    if (m->p->reads_max == 0) {
        m->p->reads_max = phi_random_chance(&r->random, 50) ? SIZE_MAX : 1000;
        return;
    }
    m->p->reads_max = 0;
    if (phi_random_chance(&r->random, 80)) {
        peer_window(m->p, (size_t)phi_random_between(&r->random, 100, 4096));
        peer_fill_up(m->p, r->filler);
    }
}

static void die(run *r)
{
    size_t at = phi_random_below(&r->random, CLIENTS);
    model *m = r->models[at];
    m->p->reads_max = SIZE_MAX;
    peer_cut(m->p);
    world_settle(r->w);
    world_forget(r->w, m->p);
    free(m);
    client_new(r, at);
}

static void step(run *r)
{
    uint64_t what = phi_random_below(&r->random, 100);
    if (what < 30) {
        call_somebody(r);
    } else if (what < 60) {
        treat_one(r);
    } else if (what < 75) {
        answer_one(r);
    } else if (what < 82) {
        cancel_one(r);
    } else if (what < 92) {
        change_reading(r);
    } else if (what < 94) {
        die(r);
    } else {
        world_pass(r->w, phi_random_below(&r->random, TTL_MS_MAX / 4));
    }
    if (phi_random_chance(&r->random, 70)) {
        world_turn(r->w);
        look(r);
    }
}

// ---- what must hold

static void read_all(run *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        r->models[i]->p->reads_max = SIZE_MAX;
        peer_window(r->models[i]->p, 262144);
    }
    world_settle(r->w);
    look(r);
}

// When everybody has read all there is, the clients and the center agree on what is open.
static void expect_agreement(run *r)
{
    read_all(r);
    uint64_t made_open = 0;
    uint64_t asked_open = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        const model *m = r->models[i];
        for (size_t n = 0; n < m->made_count; n++) {
            made_open += m->made[n].ends == 0;
        }
        for (size_t n = 0; n < m->taken_count; n++) {
            const taken *t = &m->taken[n];
            for (size_t k = 0; k < t->asked_count; k++) {
                asked_open += t->asked[k].ends == 0 && !t->is_answered && !t->is_cancelled;
            }
        }
    }
    EXPECT_EQ(made_open, world_count(r->w).calls);
    EXPECT_EQ(asked_open, world_count(r->w).inquiries);
    world_expect_balance(r->w);
}

static void expect_nobody_waits(run *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        model *m = r->models[i];
        for (size_t n = 0; n < m->made_count; n++) {
            EXPECT_EQ(m->made[n].ends, 1);
        }
        for (size_t n = 0; n < m->taken_count; n++) {
            const taken *t = &m->taken[n];
            EXPECT(t->is_answered || t->is_cancelled); // the time of all is over
            for (size_t k = 0; k < t->asked_count; k++) {
                EXPECT(t->asked[k].ends == 1 || t->is_answered || t->is_cancelled);
            }
        }
    }
    world_expect_no_calls(r->w);
    world_expect_balance(r->w);
}

// And when all questions are answered, no responder waits for one.
static void expect_answers(run *r)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        model *m = r->models[i];
        for (size_t n = 0; n < m->question_count; n++) {
            peer_answer(m->p, m->questions[n].number, m->questions[n].turn, "answer");
        }
        m->question_count = 0;
    }
    expect_agreement(r);
    EXPECT_EQ(world_count(r->w).inquiries, 0);
}

static void run_one(uint64_t seed)
{
    run r = { .w = world_new(settings), .random = phi_random_seeded(seed) };
    r.filler = world_join(r.w, "filler");
    for (size_t i = 0; i < CLIENTS; i++) {
        client_new(&r, i);
    }
    for (int i = 1; i <= STEPS; i++) {
        step(&r);
        if (i % AGREE_EVERY == 0) {
            expect_agreement(&r);
            expect_answers(&r);
        }
    }
    world_pass(r.w, TTL_MS_MAX);
    read_all(&r);
    expect_nobody_waits(&r);
    for (size_t i = 0; i < CLIENTS; i++) {
        EXPECT(!r.models[i]->p->is_ended);
        free(r.models[i]);
    }
    world_free(r.w);
}

// Every call and every inquiry ends exactly once for whoever made it, and whoever works on one that
// is over is told so, whatever happens in whatever order.
TEST(dialog, everything_ends_once_in_any_order)
{
    uint64_t seeds = getenv("PH_LONG") != NULL ? 5000 : 25;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        run_one(seed);
    }
}

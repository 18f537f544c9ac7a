// SPDX-License-Identifier: Apache-2.0
//
// client/lies_test.c - centers that are broken or hostile: packets that are well framed and wrong
// inside. Whatever they say, a client goes on or says bye; it never crashes, leaks, or keeps more
// than it allowed.

#include <posthouse/dialog.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"
#include "wire/own_state.h"
#include "wire/stream.h"
#include "wire/subscription.h"

#define ROUNDS 400u
#define PACKETS 25u

// A message of any kind, that may be about anything this client has open.
static void lie_message(stage *s, phi_random *random, phi_writer *w)
{
    static const uint8_t zeros[16];
    phi_message m = { .kind = (uint8_t)phi_random_between(random, 1, PHI_KIND_RECEIPT),
                      .ttl_ms = (uint32_t)phi_random_below(random, 2000),
                      .from = phi_bytes_text("you@home"),
                      .method = phi_bytes_text("say"),
                      // often the size of a receipt, or of the end of a gather
                      .body = phi_bytes_of(zeros, phi_random_below(random, sizeof zeros)) };
    // A number that may have been one of ours; below, often one that is open.
    m.call = m.kind == PHI_KIND_EVENT
                 ? 0
                 : phi_random_between(random, 1, 3) << 32 | phi_random_below(random, 4);
    bool is_turned = m.kind == PHI_KIND_INQUIRY || m.kind == PHI_KIND_ANSWER;
    bool is_end = m.kind == PHI_KIND_REPLY || m.kind == PHI_KIND_FAILURE;
    if (is_end && phi_random_chance(random, 50)) {
        m.flags = phi_random_chance(random, 50) ? PHI_FLAG_PART : 0;
        is_turned = true;
    }
    m.turn = is_turned ? (uint16_t)phi_random_between(random, 1, 3) : 0;
    const ph_client *client = s->client;
    uint32_t ask_index = (uint32_t)phi_random_below(random, client->asks.count + 1);
    uint32_t call_index = (uint32_t)phi_random_below(random, client->calls.count + 1);
    uint64_t handle = 0;
    phi_ask *ask = phi_slots_next(&client->asks, &ask_index, &handle);
    if (ask != NULL && m.turn != 0 && m.flags == 0 && phi_random_chance(random, 70)) {
        m.call = ask->call;
        m.turn = (uint16_t)(ask_index + 1);
    } else if (m.call != 0 && phi_slots_next(&client->calls, &call_index, &handle) != NULL) {
        m.call = handle;
    }
    static const uint8_t code[] = { 0, PH_FAILURE_NO_HANDLER, 'n', 'o' };
    if ((m.kind == PHI_KIND_FAILURE || m.kind == PHI_KIND_CANCEL) &&
        phi_random_chance(random, 80)) {
        m.body = phi_bytes_of(code, sizeof code);
    }
    phi_message_encode(phi_write_room(w, phi_message_size(&m)), &m);
}

static void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    (void)client;
    (void)call;
    (void)code;
    (void)arg;
    EXPECT_EQ(gathered != NULL, status == PH_OK);
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    (void)arg;
    EXPECT_EQ(receipt != NULL, status == PH_OK);
}

// One more of everything that waits for the center's word.
static void open_more(stage *s, unsigned round)
{
    EXPECT_ERR(stage_call_to(s, "echo", "a", 100000, NULL), PH_OK);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "all:letters";
    ph_gather how = PH_GATHER_INIT;
    how.done = on_gathered;
    EXPECT_ERR(ph_client_gather(s->client, &out, &how, NULL), PH_OK);
    EXPECT_ERR(ph_client_send_with_receipt(s->client, &out, NULL, on_receipt, NULL), PH_OK);
    // In one of those requests that the center may say it has.
    s->request = (ph_request_id){ .call = UINT64_C(1) << 32 | round % 4,
                                  .connection = s->client->connection,
                                  .deadline_ns = phi_time_add(s->io.now, phi_seconds(9)).ns };
    EXPECT_ERR(stage_ask(s, "which", 0, NULL), PH_OK);
}

// Bytes that a decoder takes for the beginning of something, and then garbage.
static size_t lie(stage *s, phi_random *random, phi_command *command, uint8_t *room, size_t size)
{
    static const phi_command commands[] = { PHI_COMMAND_MESSAGE, PHI_COMMAND_MESSAGE,
                                            PHI_COMMAND_MESSAGE, PHI_COMMAND_ONLINE_LIST,
                                            PHI_COMMAND_ONLINE_STATUS };
    static const char *news[] = { "",       "+a:1:5",          "+a:1:5 +b:2:6:3",
                                  "-a:1:7", "~b:2:9:4 -a:1:9", "+a:9:12 +a:8:13 -a:9:14",
                                  "~z:1:1" };
    *command = commands[phi_random_below(random, PHI_COUNT_OF(commands))];
    phi_writer w = phi_writer_of((phi_span){ room, size });
    uint8_t entries[512];
    const char *text = news[phi_random_below(random, PHI_COUNT_OF(news))];
    uint16_t count = 0;
    phi_bytes all = phi_bytes_of(entries, stage_entries(entries, sizeof entries, text, &count));
    uint64_t epoch = phi_random_between(random, STAGE_EPOCH, STAGE_EPOCH + 1);
    uint64_t revision = phi_random_between(random, 1, 20);
    if (*command == PHI_COMMAND_ONLINE_LIST) {
        uint8_t flags = (uint8_t)phi_random_below(random, 4);
        phi_page_encode(&w, &(phi_page){ epoch, revision, flags, count, all });
    } else if (*command == PHI_COMMAND_ONLINE_STATUS) {
        uint64_t next = revision + phi_random_below(random, 4);
        phi_status_encode(&w, &(phi_status){ epoch, revision, next, count, all });
    } else {
        lie_message(s, random, &w);
    }
    size_t used = phi_writer_size(&w);
    if (phi_random_chance(random, 30)) {
        for (uint64_t flips = phi_random_between(random, 1, 4); flips > 0; flips--) {
            room[phi_random_below(random, used)] ^= (uint8_t)(1u << phi_random_below(random, 8));
        }
    }
    return phi_random_chance(random, 10) ? (size_t)phi_random_below(random, used) : used;
}

// A program's client is only as good as what it survives. [P-31] [P-48] [P-56]
TEST(lies, random_packets_end_in_a_bye_or_in_nothing)
{
    unsigned byes = 0;
    unsigned survived = 0;
    uint64_t answered = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        phi_random random = phi_random_seeded(seed);
        stage s;
        stage_init(&s, (phi_suite)phi_random_below(&random, PHI_SUITE_COUNT));
        s.echoes = true;
        ph_client_options o = stage_options(&s);
        o.peers_max = 2;
        o.is_watching = true;
        EXPECT_ERR(stage_client(&s, &o), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        stage_settle(&s);
        for (unsigned i = 0; i < PACKETS; i++) {
            if (ph_client_state(s.client) != PH_LINK_UP || !s.has_center) {
                stage_pass(&s, phi_seconds(11));
                byes++;
            }
            open_more(&s, i);
            uint8_t room[1024];
            phi_command command = PHI_COMMAND_MESSAGE;
            size_t size = lie(&s, &random, &command, room, sizeof room);
            stage_say(&s, command, phi_bytes_of(room, size));
            phi_peers_check(&s.client->peers);
            EXPECT(ph_client_peer_count(s.client) <= 2);
            stage_heard(&s);
            stage_forget(&s);
            survived++;
        }
        // Every call has ended, or still can: exactly once.
        ph_client_counters n = stage_counters(&s);
        uint64_t over = n.replies + n.failures + n.timeouts + n.cancels + n.resets;
        uint64_t receipts_over = n.receipts + n.receipts_lost;
        EXPECT_EQ(n.calls, 2 * PACKETS);
        EXPECT_EQ(n.receipts_wanted, PACKETS);
        EXPECT_EQ(n.calls - over + n.receipts_wanted - receipts_over, s.client->calls.count);
        uint64_t asks_over =
            n.ask_answers + n.ask_failures + n.ask_timeouts + n.ask_cancels + n.ask_resets;
        EXPECT_EQ(n.asks, PACKETS);
        // Those that our own echo ended are told in the next turn; then their places are free.
        EXPECT_EQ(n.asks - asks_over, s.client->asks.count);
        answered += n.ask_answers + n.ask_failures + n.receipts + n.parts;
        stage_fini(&s);
    }
    // Both happen, and often: else this would test nothing.
    EXPECT(byes > ROUNDS);
    EXPECT(survived > 5 * ROUNDS);
    EXPECT(answered > ROUNDS / 2);
}

// ---- fragments, topics, wishes

#define STREAM_ROUNDS 60u

static const uint8_t zeros[40000];

static size_t lie_fragment(stage *s, phi_random *random, uint8_t *room)
{
    static const uint8_t kinds[] = { PHI_KIND_EVENT,   PHI_KIND_EVENT, PHI_KIND_REQUEST,
                                     PHI_KIND_REQUEST, PHI_KIND_REPLY, PHI_KIND_INQUIRY,
                                     PHI_KIND_ANSWER };
    static const uint8_t flags[] = { PHI_FLAG_MORE, PHI_FLAG_MORE | PHI_FLAG_REST,
                                     PHI_FLAG_MORE | PHI_FLAG_REST, PHI_FLAG_REST, PHI_FLAG_REST };
    phi_message m = { .kind = kinds[phi_random_below(random, sizeof kinds)],
                      .flags = flags[phi_random_below(random, sizeof flags)],
                      .call = phi_random_between(random, 1, 2),
                      .from = phi_bytes_text("you@home") };
    if (m.kind == PHI_KIND_INQUIRY || m.kind == PHI_KIND_ANSWER) {
        m.turn = (uint16_t)phi_random_between(random, 1, 2);
    }
    uint32_t index = (uint32_t)phi_random_below(random, s->client->calls.count + 1);
    uint64_t handle = 0;
    bool is_ours = m.kind == PHI_KIND_REPLY || m.kind == PHI_KIND_INQUIRY;
    if (is_ours && phi_slots_next(&s->client->calls, &index, &handle) != NULL) {
        m.call = handle;
    }
    size_t most = phi_random_chance(random, 2) ? sizeof zeros : 6000;
    m.body =
        phi_bytes_of(zeros, phi_random_between(random, phi_random_chance(random, 2) ? 0 : 1, most));
    if ((m.flags & PHI_FLAG_REST) == 0 || phi_random_chance(random, 2)) {
        m.to = phi_bytes_text(phi_random_chance(random, 50) ? "me" : "topic:a.b");
        m.method = phi_bytes_text("say");
    }
    phi_message_encode(room, &m);
    return phi_message_size(&m);
}

static size_t lie_control(const stage *s, phi_random *random, uint8_t *room)
{
    static const uint8_t ops[] = { PHI_STREAM_CREDIT, PHI_STREAM_CREDIT, PHI_STREAM_CREDIT,
                                   PHI_STREAM_ABORT, PHI_STREAM_REFUSE };
    static const uint8_t kinds[] = { PHI_KIND_EVENT, PHI_KIND_EVENT, PHI_KIND_REQUEST,
                                     PHI_KIND_REPLY };
    phi_stream_control control = { .op = ops[phi_random_below(random, sizeof ops)],
                                   .kind = kinds[phi_random_below(random, sizeof kinds)],
                                   .value = (uint32_t)phi_random_between(random, 1, 60000) };
    control.call = control.kind == PHI_KIND_EVENT
                       ? phi_random_between(random, 1, s->client->streams.number + 1)
                       : phi_random_between(random, 1, 3);
    phi_stream_control_encode(room, &control);
    return PHI_STREAM_CONTROL_BYTES;
}

static size_t lie_otherwise(phi_random *random, phi_command *command, uint8_t *room, size_t size)
{
    phi_writer w = phi_writer_of((phi_span){ room, size });
    if (phi_random_chance(random, 20)) {
        *command = PHI_COMMAND_OWN_STATE;
        phi_own_state_encode(&w, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    } else {
        *command = PHI_COMMAND_SUBSCRIPTION;
        phi_subscription_begin(&w, (uint32_t)phi_random_between(random, 0, 12));
        if (phi_random_chance(random, 40)) {
            phi_write_refusal(&w, 9, phi_bytes_text(phi_random_chance(random, 50) ? "a.b" : "x"));
        }
    }
    return phi_writer_size(&w);
}

// What the application does meanwhile.
static void go_on(stage *s, phi_random *random)
{
    static const char *patterns[] = { "a.b", "a.*", ">", "c" };
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.body = zeros;
    out.body_size = phi_random_chance(random, 50) ? sizeof zeros : 70000 % sizeof zeros;
    ph_err rc = PH_OK;
    if (phi_random_chance(random, 50)) {
        rc = stage_call_to(s, "echo", "a", 100000, NULL);
    } else if (phi_random_chance(random, 60)) {
        rc = ph_client_send(s->client, &out);
    } else {
        const char *pattern = patterns[phi_random_below(random, PHI_COUNT_OF(patterns))];
        rc = ph_client_subscribe(s->client, pattern, NULL, NULL, NULL, NULL);
    }
    EXPECT(rc == PH_OK || rc == PH_EBUSY || rc == PH_ELIMIT);
}

// Fragments that belong to nothing or to each other, credit for what there is not, answers to what
// was not asked: memory stays within its limits, and what is kept agrees with itself. [P-66] [P-67]
// [P-73] [P-75]
TEST(lies, random_streams_end_in_a_bye_or_in_nothing)
{
    unsigned byes = 0;
    uint64_t joined = 0;
    uint64_t sent = 0;
    static uint8_t room[65536];
    for (uint64_t seed = 1; seed <= STREAM_ROUNDS; seed++) {
        phi_random random = phi_random_seeded(seed);
        stage s;
        stage_init(&s, (phi_suite)phi_random_below(&random, PHI_SUITE_COUNT));
        s.options.packet_bytes_max = 8192; // so that 40,000 bytes go in fragments
        ph_client_options o = stage_options(&s);
        o.message_bytes_max = PHI_PACKET_BYTES_MAX;
        o.streams_bytes_max = 2 * PHI_PACKET_BYTES_MAX;
        o.subscriptions_max = 6;
        EXPECT_ERR(stage_client(&s, &o), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        stage_settle(&s);
        for (unsigned i = 0; i < 3 * PACKETS; i++) {
            if (ph_client_state(s.client) != PH_LINK_UP || !s.has_center) {
                stage_pass(&s, phi_seconds(11));
                byes++;
            }
            go_on(&s, &random);
            phi_command command = PHI_COMMAND_MESSAGE;
            size_t size = 0;
            if (phi_random_chance(&random, 50)) {
                size = lie_fragment(&s, &random, room);
            } else if (phi_random_chance(&random, 70)) {
                command = PHI_COMMAND_STREAM;
                size = lie_control(&s, &random, room);
            } else {
                size = lie_otherwise(&random, &command, room, sizeof room);
            }
            stage_say(&s, command, phi_bytes_of(room, size));
            phi_client_streams_check(s.client);
            phi_client_topics_check(s.client);
            EXPECT(s.client->streams.in_bytes <= o.streams_bytes_max + PHI_PACKET_BYTES_MAX);
            EXPECT(s.client->streams.out_bytes <= o.streams_bytes_max + PHI_PACKET_BYTES_MAX);
            s.log.size = 0;
            stage_forget(&s);
        }
        ph_client_counters n = stage_counters(&s);
        joined += n.large_received;
        sent += n.large_sent;
        stage_fini(&s);
    }
    // All of it happens, and often: else this would test nothing.
    EXPECT(byes > STREAM_ROUNDS / 4);
    EXPECT(joined > STREAM_ROUNDS / 2);
    EXPECT(sent > STREAM_ROUNDS);
}

// SPDX-License-Identifier: Apache-2.0
//
// link/link_test.c - the tables, the handshake, and what is legal when.

#include "tests/harness/test.h"

#include "link/link_internal.h"
#include "tests/link/link_pair.h"
#include "wire/fields.h"
#include "wire/heartbeat.h"

#define CENTER PHI_LINK_CENTER
#define CLIENT PHI_LINK_CLIENT
#define COMMANDS_TRIED 12u // the known ones and some behind them

// ---- helpers

// Makes both ends stand in `state`, as far as each can: the client is greeting while the center is
// joining already.
static void pair_in_state(link_pair *pair, phi_suite suite, phi_link_side side,
                          phi_link_state state)
{
    link_pair_init(pair, suite);
    EXPECT_ERR(link_pair_start(pair), PH_OK);
    if (state == PHI_LINK_GREETING) {
        link_pair_lose(pair, CENTER);
    } else if (state == PHI_LINK_JOINING) {
        link_pair_carry(pair, CENTER);
        link_pair_unsay(pair, CLIENT);
    } else {
        link_pair_settle(pair);
    }
    phi_link_trim(&pair->links[CENTER]);
    phi_link_trim(&pair->links[CLIENT]);
    EXPECT(phi_link_is(link_pair_end(pair, side), state));
    EXPECT_EQ(phi_link_waiting(link_pair_end(pair, CENTER)), 0);
    EXPECT_EQ(phi_link_waiting(link_pair_end(pair, CLIENT)), 0);
}

// A plain packet, for a client that is still greeting.
static void inject_plain(link_pair *pair, phi_link_side to, uint16_t command, phi_bytes payload)
{
    uint8_t packet[1024];
    EXPECT(payload.size + PHI_PACKET_HEAD_PLAIN <= sizeof packet);
    phi_put_u32(packet, (uint32_t)(PHI_PACKET_HEAD_PLAIN + payload.size));
    phi_put_u16(packet + 4, command);
    if (payload.size != 0) {
        memcpy(packet + PHI_PACKET_HEAD_PLAIN, payload.data, payload.size);
    }
    link_pair_inject(pair, to, packet, PHI_PACKET_HEAD_PLAIN + payload.size);
}

// One end closed for cause within the call that brought it the bytes, and the other heard why.
static void expect_breach(link_pair *pair, phi_link_side side, phi_bye_code code, ph_err err)
{
    const link_pair_seen *seen = &pair->seen[side];
    EXPECT(phi_link_is(link_pair_end(pair, side), PHI_LINK_CLOSED));
    EXPECT_EQ(seen->closes, 1);
    EXPECT_EQ(seen->end.code, code);
    EXPECT_ERR(seen->end.err, err);
    EXPECT(!seen->end.by_peer);

    link_pair_carry(pair, side);
    const link_pair_seen *heard = &pair->seen[link_pair_other(side)];
    EXPECT_EQ(heard->closes, 1);
    EXPECT_EQ(heard->end.code, code);
    EXPECT(heard->end.by_peer);
    EXPECT_TEXT(heard->text, seen->text);
}

// The same while greeting: nothing is said.
static void expect_silent_end(link_pair *pair, phi_link_side side, phi_bye_code code, ph_err err)
{
    EXPECT_EQ(pair->seen[side].closes, 1);
    EXPECT_EQ(pair->seen[side].end.code, code);
    EXPECT_ERR(pair->seen[side].end.err, err);
    EXPECT_EQ(phi_link_waiting(link_pair_end(pair, side)), 0);
}

static phi_bytes hello_payload(uint8_t room[512], const phi_hello *hello)
{
    phi_writer w = phi_writer_of((phi_span){ room, 512 });
    phi_hello_encode(&w, hello);
    EXPECT(!w.failed);
    return phi_writer_view(&w);
}

static phi_hello plain_hello(void)
{
    return (phi_hello){ .version = PHI_PROTOCOL_VERSION,
                        .suite = PHI_SUITE_PLAIN,
                        .domain = phi_bytes_text("example") };
}

// ---- tables

// A state that cannot be reached, or left, would be a link that hangs. [P-33]
TEST(link, state_table_is_sound)
{
    const char *fault = phi_sm_table_fault(phi_link_states, PHI_LINK_STATE_COUNT);
    if (fault != NULL) {
        print_error("%s\n", fault);
    }
    EXPECT(fault == NULL);
}

// A command of the protocol without a line in the packet table would end honest links. [P-30]
TEST(link, packet_table_is_total)
{
    static const uint16_t known[] = {
#define PHI_COMMAND(name, code, clause, text) code,
#include "wire/codes.def"
#undef PHI_COMMAND
    };
    unsigned rules = 0;
    for (uint32_t command = 0; command <= UINT16_MAX; command++) {
        bool is_known = false;
        for (size_t i = 0; i < PHI_COUNT_OF(known); i++) {
            is_known = is_known || known[i] == command;
        }
        for (int side = 0; side < PHI_LINK_SIDE_COUNT; side++) {
            const phi_link_rule *rule = phi_link_rule_find((phi_link_side)side, (uint16_t)command);
            EXPECT_EQ(rule != NULL, is_known);
            if (rule != NULL) {
                rules++;
                EXPECT_EQ(rule->in_states & PHI_SM_TO(PHI_LINK_CLOSED), 0);
                EXPECT_EQ(rule->in_states & PHI_SM_TO(PHI_LINK_ADMITTING), 0);
            }
        }
    }
    EXPECT_EQ(rules, 2 * PHI_COUNT_OF(known));
}

// ---- every command in every state at both ends

typedef enum outcome {
    ILLEGAL, // bye illegal_in_state
    UNKNOWN, // bye command_unknown
    PACKET,  // handed up
    ALIVE,   // handled by the link, which lives on
    HEARD,   // a bye: closed by the peer
} outcome;

// P-30 once more, as the document has it: [command][side][0 greeting, 1 joining, 2 open].
static outcome lawful(uint16_t command, phi_link_side side, phi_link_state state)
{
    bool is_open = state == PHI_LINK_OPEN;
    switch (command) {
    case PHI_COMMAND_HEARTBEAT:
        return is_open ? ALIVE : ILLEGAL;
    case PHI_COMMAND_HANDSHAKE:
        return is_open ? ILLEGAL : ALIVE;
    case PHI_COMMAND_ONLINE_LIST:
    case PHI_COMMAND_MESSAGE:
    case PHI_COMMAND_OWN_STATE:
    case PHI_COMMAND_SUBSCRIPTION:
    case PHI_COMMAND_STREAM:
    case PHI_COMMAND_CREDENTIAL:
        return is_open ? PACKET : ILLEGAL;
    case PHI_COMMAND_ONLINE_STATUS:
        return is_open && side == CLIENT ? PACKET : ILLEGAL;
    case PHI_COMMAND_BYE:
        return HEARD; // [P-81]
    default:
        return UNKNOWN;
    }
}

// A payload of the right form for `side` in `state`.
static phi_bytes good_payload(uint16_t command, phi_link_side side, phi_link_state state,
                              uint8_t room[512])
{
    phi_writer w = phi_writer_of((phi_span){ room, 512 });
    phi_hello hello = plain_hello();
    phi_join join = { .version = 1, .type = PHI_TYPE_CLIENT };
    phi_welcome welcome = { .id = phi_bytes_text("alice@example"),
                            .session = LINK_PAIR_SESSION,
                            .epoch = 1 };
    switch (command) {
    case PHI_COMMAND_HEARTBEAT:
        phi_heartbeat_encode(&w, &(phi_heartbeat){ .kind = PHI_HEARTBEAT_ASK, .stamp = 9 });
        break;
    case PHI_COMMAND_HANDSHAKE:
        if (side == CENTER) {
            phi_join_encode(&w, &join);
        } else if (state == PHI_LINK_GREETING) {
            phi_hello_encode(&w, &hello);
        } else {
            phi_welcome_encode(&w, &welcome);
        }
        break;
    case PHI_COMMAND_BYE:
        phi_bye_encode(&w, &(phi_bye){ .reason = PHI_BYE_NORMAL });
        break;
    default:
        phi_write_u32(&w, 0x01020304);
        break;
    }
    EXPECT(!w.failed);
    return phi_writer_view(&w);
}

static void try_command(phi_suite suite, phi_link_side side, phi_link_state state, uint16_t command)
{
    link_pair pair;
    uint8_t room[512];
    pair_in_state(&pair, suite, side, state);
    phi_bytes payload = good_payload(command, side, state, room);
    if (state == PHI_LINK_GREETING) {
        inject_plain(&pair, side, command, payload);
    } else {
        link_pair_forge(&pair, side, command, payload);
    }

    const link_pair_seen *seen = &pair.seen[side];
    switch (lawful(command, side, state)) {
    case ILLEGAL:
    case UNKNOWN: {
        phi_bye_code code = lawful(command, side, state) == ILLEGAL ? PHI_BYE_ILLEGAL_IN_STATE
                                                                    : PHI_BYE_COMMAND_UNKNOWN;
        if (state == PHI_LINK_GREETING) {
            expect_silent_end(&pair, side, code, PH_EPROTO);
        } else {
            expect_breach(&pair, side, code, PH_EPROTO);
        }
        break;
    }
    case PACKET:
        EXPECT_EQ(seen->packets, 1);
        EXPECT_EQ(seen->command, command);
        EXPECT_EQ(seen->closes, 0);
        break;
    case ALIVE:
        EXPECT_EQ(seen->packets, 0);
        EXPECT_EQ(seen->closes, 0);
        break;
    case HEARD:
        EXPECT_EQ(seen->closes, 1);
        EXPECT(seen->end.by_peer);
        EXPECT_ERR(seen->end.err, PH_OK);
        EXPECT_EQ(phi_link_waiting(link_pair_end(&pair, side)), 0);
        break;
    }
    link_pair_fini(&pair);
}

// A command taken in the wrong state would let a stranger act before it joined. [P-30] [P-31]
TEST(link, every_command_in_every_state_has_its_outcome)
{
    static const phi_link_state states[] = { PHI_LINK_GREETING, PHI_LINK_JOINING, PHI_LINK_OPEN };
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (uint16_t command = 0; command <= COMMANDS_TRIED; command++) {
            for (size_t i = 0; i < PHI_COUNT_OF(states); i++) {
                // The center greets by itself, and has nothing to receive meanwhile.
                if (states[i] != PHI_LINK_GREETING) {
                    try_command((phi_suite)suite, CENTER, states[i], command);
                }
                try_command((phi_suite)suite, CLIENT, states[i], command);
            }
        }
        try_command((phi_suite)suite, CENTER, PHI_LINK_OPEN, UINT16_MAX);
        try_command((phi_suite)suite, CLIENT, PHI_LINK_OPEN, UINT16_MAX);
    }
}

// The handshake's kinds are commands of their own in all but number. [P-32] [P-33]
TEST(link, handshake_kind_in_wrong_state_is_refused)
{
    uint8_t room[512];
    static const struct {
        phi_link_side side;
        phi_link_state state;
        uint8_t kind;
        phi_bye_code code;
    } cases[] = {
        { CENTER, PHI_LINK_JOINING, PHI_HANDSHAKE_HELLO, PHI_BYE_ILLEGAL_IN_STATE },
        { CENTER, PHI_LINK_JOINING, PHI_HANDSHAKE_WELCOME, PHI_BYE_ILLEGAL_IN_STATE },
        { CENTER, PHI_LINK_JOINING, 0, PHI_BYE_MALFORMED },
        { CENTER, PHI_LINK_JOINING, 4, PHI_BYE_MALFORMED },
        { CLIENT, PHI_LINK_JOINING, PHI_HANDSHAKE_HELLO, PHI_BYE_ILLEGAL_IN_STATE },
        { CLIENT, PHI_LINK_JOINING, PHI_HANDSHAKE_JOIN, PHI_BYE_ILLEGAL_IN_STATE },
        { CLIENT, PHI_LINK_JOINING, 4, PHI_BYE_MALFORMED },
        { CLIENT, PHI_LINK_GREETING, PHI_HANDSHAKE_JOIN, PHI_BYE_ILLEGAL_IN_STATE },
        { CLIENT, PHI_LINK_GREETING, PHI_HANDSHAKE_WELCOME, PHI_BYE_ILLEGAL_IN_STATE },
        { CLIENT, PHI_LINK_GREETING, 9, PHI_BYE_MALFORMED },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        link_pair pair;
        pair_in_state(&pair, PHI_SUITE_CHECK, cases[i].side, cases[i].state);
        room[0] = cases[i].kind;
        if (cases[i].state == PHI_LINK_GREETING) {
            inject_plain(&pair, cases[i].side, PHI_COMMAND_HANDSHAKE, phi_bytes_of(room, 1));
            expect_silent_end(&pair, cases[i].side, cases[i].code, PH_EPROTO);
        } else {
            link_pair_forge(&pair, cases[i].side, PHI_COMMAND_HANDSHAKE, phi_bytes_of(room, 1));
            expect_breach(&pair, cases[i].side, cases[i].code, PH_EPROTO);
        }
        link_pair_fini(&pair);
    }
}

// ---- handshake

// Without a way from HELLO to open in each suite nothing else works. [P-20] [P-21] [P-33]
TEST(link, opens_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        link_pair_init(&pair, (phi_suite)suite);
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        EXPECT(phi_link_is(&pair.links[CENTER], PHI_LINK_JOINING));
        EXPECT(phi_link_is(&pair.links[CLIENT], PHI_LINK_GREETING));
        link_pair_settle(&pair);
        EXPECT(phi_link_is(&pair.links[CENTER], PHI_LINK_OPEN));
        EXPECT(phi_link_is(&pair.links[CLIENT], PHI_LINK_OPEN));
        EXPECT_EQ(pair.seen[CENTER].joins, 1);
        EXPECT_TEXT(pair.seen[CENTER].account, "alice");
        EXPECT_EQ(pair.seen[CLIENT].opens, 1);
        EXPECT_EQ(pair.links[CLIENT].peer_calls_max, 99);
        EXPECT_EQ(pair.links[CLIENT].peer_message_bytes_max, 98);
        EXPECT_EQ(pair.links[CLIENT].peer_streams_max, 97);
        EXPECT_EQ(pair.links[CLIENT].peer_subscriptions_max, 96);

        EXPECT(link_pair_say(&pair, CLIENT, 100, 1));
        EXPECT(link_pair_say(&pair, CENTER, phi_link_payload_max(&pair.links[CENTER]), 2));
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[CENTER].packets, 1);
        EXPECT_EQ(pair.seen[CLIENT].packets, 1);
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        link_pair_fini(&pair);
    }
}

// A client that went below its floor by itself could be talked out of every protection. [P-22]
TEST(link, suite_below_floor_is_refused)
{
    static const int rank[PHI_SUITE_COUNT] = {
        [PHI_SUITE_PLAIN] = 0, [PHI_SUITE_CHECK] = 1, [PHI_SUITE_PAPER] = 2
    };
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (int floor = 0; floor < PHI_SUITE_COUNT; floor++) {
            link_pair pair;
            link_pair_init(&pair, (phi_suite)suite);
            pair.options[CLIENT].suite_floor = (phi_suite)floor;
            EXPECT_ERR(link_pair_start(&pair), PH_OK);
            link_pair_carry(&pair, CENTER);
            if (rank[suite] < rank[floor]) {
                expect_breach(&pair, CLIENT, PHI_BYE_SUITE_REFUSED, PH_ESUITE);
                EXPECT_ERR(pair.seen[CENTER].end.err, PH_ESUITE);
                EXPECT_EQ(pair.seen[CENTER].joins, 0);
            } else {
                link_pair_settle(&pair);
                EXPECT_EQ(pair.seen[CLIENT].opens, 1);
            }
            link_pair_fini(&pair);
        }
    }
}

// A suite that is not spoken here has no packet in which to say so; a bye in another one would be
// noise to the center. [P-20] [P-22] [P-70]
TEST(link, unknown_suite_or_version_closes_in_silence)
{
    uint8_t room[512];
    for (unsigned suite = PHI_SUITE_COUNT; suite <= UINT8_MAX; suite++) {
        link_pair pair;
        pair_in_state(&pair, PHI_SUITE_PLAIN, CLIENT, PHI_LINK_GREETING);
        phi_hello hello = plain_hello();
        hello.suite = (phi_suite)suite;
        inject_plain(&pair, CLIENT, PHI_COMMAND_HANDSHAKE, hello_payload(room, &hello));
        expect_silent_end(&pair, CLIENT, PHI_BYE_SUITE_REFUSED, PH_ESUITE);
        link_pair_fini(&pair);
    }
    link_pair pair;
    pair_in_state(&pair, PHI_SUITE_PLAIN, CLIENT, PHI_LINK_GREETING);
    phi_hello hello = plain_hello();
    hello.version = 2;
    inject_plain(&pair, CLIENT, PHI_COMMAND_HANDSHAKE, hello_payload(room, &hello));
    expect_silent_end(&pair, CLIENT, PHI_BYE_VERSION_UNSUPPORTED, PH_EPROTO);
    link_pair_fini(&pair);
}

// A client of another version must learn that this is its trouble. [P-34] [P-61]
TEST(link, join_of_another_version_is_refused)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_CHECK);
    pair.join.version = 2;
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_carry(&pair, CENTER);
    link_pair_carry(&pair, CLIENT);
    expect_breach(&pair, CENTER, PHI_BYE_VERSION_UNSUPPORTED, PH_EPROTO);
    EXPECT_ERR(pair.seen[CLIENT].end.err, PH_EREFUSED);
    link_pair_fini(&pair);
}

// The owner's refusal must reach the client with its reason and its wait, and nothing that the
// client sent behind JOIN may be looked at. [P-37] [P-70]
TEST(link, refused_join_ends_both_ends)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_PLAIN);
    pair.refuse_join = PHI_BYE_ACCOUNT_TAKEN;
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_carry(&pair, CENTER);
    // behind JOIN: a packet that would be a breach
    uint8_t *room = phi_outbound_begin(&pair.links[CLIENT].out, 0);
    EXPECT(room != NULL);
    phi_outbound_commit(&pair.links[CLIENT].out, 0x7777, 0);
    link_pair_settle(&pair);

    EXPECT_EQ(pair.seen[CENTER].closes, 1);
    EXPECT_EQ(pair.seen[CENTER].end.code, PHI_BYE_ACCOUNT_TAKEN);
    EXPECT_EQ(pair.seen[CLIENT].closes, 1);
    EXPECT_EQ(pair.seen[CLIENT].end.code, PHI_BYE_ACCOUNT_TAKEN);
    EXPECT_ERR(pair.seen[CLIENT].end.err, PH_EREFUSED);
    EXPECT_EQ(pair.seen[CLIENT].end.retry_after_ms, 1500);
    EXPECT_EQ(pair.seen[CLIENT].opens, 0);
    link_pair_fini(&pair);
}

// A client may send behind JOIN without waiting for WELCOME: the center has answered before it
// looks at what follows, however the bytes were cut. [P-2] [P-33]
TEST(link, packets_behind_join_arrive)
{
    for (size_t cut = 0; cut <= 3; cut++) {
        link_pair pair;
        link_pair_init(&pair, PHI_SUITE_PAPER);
        pair.cut_max = cut;
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        link_pair_carry(&pair, CENTER);
        uint8_t *room = phi_outbound_begin(&pair.links[CLIENT].out, 20000);
        EXPECT(room != NULL);
        memset(room, 1, 20000);
        phi_outbound_commit(&pair.links[CLIENT].out, PHI_COMMAND_MESSAGE, 20000);
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[CENTER].joins, 1);
        EXPECT_EQ(pair.seen[CENTER].packets, 1);
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        link_pair_fini(&pair);
    }
}

// The client must not send what the center would refuse. [P-34]
TEST(link, packet_limit_of_hello_binds_the_client)
{
    uint8_t room[512];
    static const struct {
        uint32_t limit;
        size_t payload_max; // 0: malformed
    } cases[] = {
        { 0, PHI_PACKET_BYTES_MAX - 6 },
        { 1, 0 },
        { 8191, 0 },
        { 8192, 8192 - 6 },
        { PHI_PACKET_BYTES_MAX, PHI_PACKET_BYTES_MAX - 6 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        link_pair pair;
        pair_in_state(&pair, PHI_SUITE_PLAIN, CLIENT, PHI_LINK_GREETING);
        phi_hello hello = plain_hello();
        hello.packet_bytes_max = cases[i].limit;
        inject_plain(&pair, CLIENT, PHI_COMMAND_HANDSHAKE, hello_payload(room, &hello));
        if (cases[i].payload_max == 0) {
            EXPECT_EQ(pair.seen[CLIENT].closes, 1);
            EXPECT_EQ(pair.seen[CLIENT].end.code, PHI_BYE_MALFORMED);
        } else {
            EXPECT(phi_link_is(&pair.links[CLIENT], PHI_LINK_JOINING));
            EXPECT_EQ(phi_link_payload_max(&pair.links[CLIENT]), cases[i].payload_max);
        }
        link_pair_fini(&pair);
    }
}

// A JOIN that no center would take must fail here, with a reason its owner understands. [P-12]
TEST(link, join_longer_than_allowed_is_too_large)
{
    static uint8_t token[PHI_JOIN_TOKEN_BYTES_MAX];
    static uint8_t value[PHI_METADATA_VALUE_BYTES_MAX];
    for (size_t count = 3; count <= 5; count++) {
        link_pair pair;
        link_pair_init(&pair, PHI_SUITE_CHECK);
        pair.join.token = phi_bytes_of(token, sizeof token);
        for (size_t i = 0; i < count; i++) {
            pair.join.metadata[i] =
                (phi_metadata){ phi_bytes_text("key"), phi_bytes_of(value, sizeof value) };
        }
        pair.join.metadata_count = count;
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        link_pair_carry(&pair, CENTER);
        if (count == 3) {
            link_pair_settle(&pair);
            EXPECT_EQ(pair.seen[CLIENT].opens, 1);
        } else {
            expect_breach(&pair, CLIENT, PHI_BYE_INTERNAL, PH_ETOOLARGE);
            EXPECT_ERR(pair.seen[CENTER].end.err, PH_EREFUSED);
        }
        link_pair_fini(&pair);
    }
}

// ---- truncation

// Where `size` bytes of a handshake payload end: after a whole field, or inside one. The tags that
// are whole are added to *seen.
static bool ends_between_fields(phi_bytes payload, size_t size, uint64_t *seen)
{
    size_t at = 1;
    while (at < size) {
        size_t next = at + 3 + phi_get_u16(payload.data + at + 1);
        if (next > size) {
            return false;
        }
        *seen |= UINT64_C(1) << payload.data[at];
        at = next;
    }
    return at == size;
}

static void try_truncated(phi_link_side side, phi_link_state state, phi_bytes payload,
                          uint64_t required)
{
    unsigned accepted = 0;
    for (size_t size = 0; size <= payload.size; size++) {
        link_pair pair;
        pair_in_state(&pair, PHI_SUITE_CHECK, side, state);
        uint64_t seen = 0;
        bool is_whole =
            size > 0 && ends_between_fields(payload, size, &seen) && (seen & required) == required;
        phi_bytes part = phi_bytes_of(payload.data, size);
        if (state == PHI_LINK_GREETING) {
            inject_plain(&pair, side, PHI_COMMAND_HANDSHAKE, part);
        } else {
            link_pair_forge(&pair, side, PHI_COMMAND_HANDSHAKE, part);
        }
        if (is_whole) {
            accepted++;
            EXPECT_EQ(pair.seen[side].closes, 0);
        } else if (state == PHI_LINK_GREETING) {
            expect_silent_end(&pair, side, PHI_BYE_MALFORMED, PH_EPROTO);
        } else {
            expect_breach(&pair, side, PHI_BYE_MALFORMED, PH_EPROTO);
        }
        link_pair_fini(&pair);
    }
    EXPECT(accepted >= 1);
}

// A handshake cut short must never be half believed. [P-26] [P-31]
TEST(link, truncated_handshake_is_malformed)
{
    uint8_t room[512];
    phi_hello hello = plain_hello();
    hello.heartbeat_idle_ms = 1000;
    hello.heartbeat_grace_ms = 1000;
    hello.packet_bytes_max = 10000;
    try_truncated(CLIENT, PHI_LINK_GREETING, hello_payload(room, &hello), 0x0e);

    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_join join = { .version = 1,
                      .account = phi_bytes_text("bob"),
                      .type = PHI_TYPE_GATEWAY,
                      .service = phi_bytes_text("orders"),
                      .metadata = { { phi_bytes_text("zone"), phi_bytes_text("b") } },
                      .metadata_count = 1 };
    phi_join_encode(&w, &join);
    EXPECT(!w.failed);
    try_truncated(CENTER, PHI_LINK_JOINING, phi_writer_view(&w), 0x02);

    w = phi_writer_of((phi_span){ room, sizeof room });
    phi_welcome welcome = { phi_bytes_text("bob@example"), LINK_PAIR_SESSION, 2, 3, 4 };
    phi_welcome_encode(&w, &welcome);
    EXPECT(!w.failed);
    try_truncated(CLIENT, PHI_LINK_JOINING, phi_writer_view(&w), 0x1e);
}

// A connection that breaks anywhere in the handshake leaves nothing behind, and is reported as what
// it is. [P-71]
TEST(link, handshake_cut_off_anywhere_is_lost)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t limit = 0;; limit++) {
            link_pair pair;
            link_pair_init(&pair, (phi_suite)suite);
            EXPECT_ERR(link_pair_start(&pair), PH_OK);
            // The first `limit` bytes of the whole exchange arrive.
            size_t left = limit;
            phi_link_side from = CENTER;
            bool is_done = false;
            while (left != 0 && !is_done) {
                phi_bytes bytes = phi_link_seal(&pair.links[from]);
                size_t count = bytes.size < left ? bytes.size : left;
                uint8_t copy[1024];
                EXPECT(count <= sizeof copy);
                memcpy(copy, bytes.data, count);
                phi_link_sent(&pair.links[from], count);
                link_pair_inject(&pair, link_pair_other(from), copy, count);
                left -= count;
                is_done = count == 0;
                from = link_pair_other(from);
            }
            phi_link_lost(&pair.links[CENTER], PH_ERESET, "Connection reset by peer");
            phi_link_lost(&pair.links[CLIENT], PH_ECLOSED, NULL);
            link_pair_drain(&pair, CENTER);
            link_pair_drain(&pair, CLIENT);
            EXPECT_EQ(pair.seen[CENTER].closes, 1);
            EXPECT_ERR(pair.seen[CENTER].end.err, PH_ERESET);
            EXPECT_TEXT(pair.seen[CENTER].text, "Connection reset by peer");
            EXPECT_EQ(pair.seen[CLIENT].closes, 1);
            EXPECT_ERR(pair.seen[CLIENT].end.err, PH_ECLOSED);
            EXPECT_TEXT(pair.seen[CLIENT].text, ph_err_text(PH_ECLOSED));
            link_pair_fini(&pair);
            if (is_done) {
                break;
            }
        }
    }
}

// ---- lengths and checks

static void try_length(phi_suite suite, phi_link_side side, phi_link_state state, uint32_t length)
{
    link_pair pair;
    pair_in_state(&pair, suite, side, state);
    size_t low = state == PHI_LINK_GREETING ? PHI_PACKET_HEAD_PLAIN : phi_suite_head(suite);
    uint32_t high = state == PHI_LINK_OPEN ? PHI_PACKET_BYTES_MAX : PHI_PACKET_BYTES_JOINING_MAX;
    uint8_t head[4];
    phi_put_u32(head, length);
    size_t blocks = pair.memory.bytes;
    if (state == PHI_LINK_GREETING) {
        link_pair_inject(&pair, side, head, sizeof head);
    } else {
        link_pair_inject_sealed(&pair, side, head, sizeof head);
    }
    if (length >= low && length <= high) {
        EXPECT_EQ(pair.seen[side].closes, 0); // it waits for the rest
        // and took no memory for it: no more than first blocks of the two buffers [P-13]
        EXPECT(pair.memory.bytes - blocks <= 2 * 512);
    } else if (state == PHI_LINK_GREETING) {
        expect_silent_end(&pair, side, PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    } else {
        expect_breach(&pair, side, PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    }
    link_pair_fini(&pair);
}

// A length that is believed too early, or too late, is how framing code dies. [P-3] [P-11] [P-12]
TEST(link, unusable_length_ends_the_link_at_once)
{
    static const uint32_t lengths[] = {
        0,     1,     2,          3,          4,          5,          6,
        7,     8,     9,          8191,       8192,       8193,       65535,
        65536, 65537, 0x7ffffff8, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
    };
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t i = 0; i < PHI_COUNT_OF(lengths); i++) {
            try_length((phi_suite)suite, CENTER, PHI_LINK_JOINING, lengths[i]);
            try_length((phi_suite)suite, CENTER, PHI_LINK_OPEN, lengths[i]);
            try_length((phi_suite)suite, CLIENT, PHI_LINK_GREETING, lengths[i]);
            try_length((phi_suite)suite, CLIENT, PHI_LINK_JOINING, lengths[i]);
            try_length((phi_suite)suite, CLIENT, PHI_LINK_OPEN, lengths[i]);
        }
    }
}

// Who dialled the wrong port looks for the reason in vain if all he is told is a length. [P-11]
TEST(link, strangers_are_told_what_they_speak)
{
    static const struct {
        phi_link_side to;
        const char *begins;
        const char *text;
    } cases[] = {
        { CENTER, "\x16\x03\x01\x02", "TLS is not spoken at this address" },
        { CENTER, "GET /", "HTTP is not spoken at this address" },
        { CENTER, "PRI * HTTP/2.0", "HTTP is not spoken at this address" },
        { CENTER, "\x16\x04\x01\x02", "a packet's length is out of bounds" },
        { CENTER, "GIT /", "a packet's length is out of bounds" },
        { CLIENT, "SSH-2.0-x", "it speaks SSH" },
        { CLIENT, "HTTP/1.1 400", "it speaks HTTP" },
        { CLIENT, "\x15\x03\x03\x01", "it speaks TLS" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        for (size_t cut = 0; cut < 4; cut++) {
            phi_link_side to = cases[i].to;
            phi_suite suite = i % 2 == 0 ? PHI_SUITE_PLAIN : PHI_SUITE_CHECK;
            const uint8_t *bytes = (const uint8_t *)cases[i].begins;
            link_pair pair;
            pair_in_state(&pair, suite, to, to == CENTER ? PHI_LINK_JOINING : PHI_LINK_GREETING);
            link_pair_inject(&pair, to, bytes, cut);
            link_pair_inject(&pair, to, bytes + cut, strlen(cases[i].begins) - cut);
            EXPECT_EQ(pair.seen[to].closes, 1);
            EXPECT_EQ(pair.seen[to].end.code, PHI_BYE_LENGTH_INVALID);
            EXPECT_TEXT(pair.seen[to].text, cases[i].text);
            link_pair_fini(&pair);
        }
    }
}

// Somebody who has joined, or whose bytes were enciphered, is no stranger: what looks so is chance,
// and to be told of TLS then would lead astray.
TEST(link, broken_links_are_no_strangers)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        pair_in_state(&pair, (phi_suite)suite, CENTER, PHI_LINK_OPEN);
        link_pair_inject_sealed(&pair, CENTER, (const uint8_t *)"GET /", 5);
        expect_breach(&pair, CENTER, PHI_BYE_LENGTH_INVALID, PH_EPROTO);
        EXPECT_TEXT(pair.seen[CENTER].text, phi_bye_text(PHI_BYE_LENGTH_INVALID));
        link_pair_fini(&pair);
    }
    link_pair pair;
    pair_in_state(&pair, PHI_SUITE_PAPER, CENTER, PHI_LINK_JOINING);
    link_pair_inject_sealed(&pair, CENTER, (const uint8_t *)"GET /", 5);
    EXPECT_TEXT(pair.seen[CENTER].text, phi_bye_text(PHI_BYE_LENGTH_INVALID));
    link_pair_fini(&pair);
}

// A flipped bit that goes unnoticed is handed to an application as truth. [P-24]
TEST(link, flipped_bit_is_check_wrong)
{
    for (size_t bit = 32; bit < 8 * 32; bit++) { // behind the length: that would wait for more
        for (int i = 0; i < 4; i++) {
            phi_suite suite = i < 2 ? PHI_SUITE_CHECK : PHI_SUITE_PAPER;
            phi_link_side side = i % 2 == 0 ? CENTER : CLIENT;
            link_pair pair;
            pair_in_state(&pair, suite, side, PHI_LINK_OPEN);
            phi_link_side from = link_pair_other(side);
            EXPECT(link_pair_say(&pair, from, 24, 7));
            uint8_t packet[32];
            phi_bytes sealed = phi_link_seal(&pair.links[from]);
            EXPECT_EQ(sealed.size, sizeof packet);
            memcpy(packet, sealed.data, sizeof packet);
            phi_link_sent(&pair.links[from], sizeof packet);
            packet[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            link_pair_inject(&pair, side, packet, sizeof packet);
            EXPECT_EQ(pair.seen[side].packets, 0);
            expect_breach(&pair, side, PHI_BYE_CHECK_WRONG, PH_ECHECK);
            link_pair_fini(&pair);
        }
    }
}

// ---- streams

// Says random things both ways and returns what came up, with everything cut into pieces.
static void run_stream(phi_suite suite, size_t cut_max, uint64_t digest[PHI_LINK_SIDE_COUNT])
{
    link_pair pair;
    link_pair_init(&pair, suite);
    pair.cut_max = cut_max;
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_settle(&pair);
    phi_random random = phi_random_seeded(42);
    for (int i = 0; i < 300; i++) {
        phi_link_side from = phi_random_chance(&random, 50) ? CENTER : CLIENT;
        size_t size = (size_t)phi_random_below(&random, phi_random_chance(&random, 10) ? 3000 : 60);
        EXPECT(link_pair_say(&pair, from, size, (uint8_t)i));
        if (phi_random_chance(&random, 20)) {
            phi_link_probe(link_pair_end(&pair, from), pair.now);
        }
        if (phi_random_chance(&random, 30)) {
            link_pair_settle(&pair);
        }
    }
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CENTER].packets + pair.seen[CLIENT].packets, 300);
    digest[CENTER] = pair.seen[CENTER].digest;
    digest[CLIENT] = pair.seen[CLIENT].digest;
    link_pair_fini(&pair);
}

// TCP may cut a stream anywhere; what arrives must not depend on it. [P-2]
TEST(link, cutting_does_not_change_what_arrives)
{
    static const size_t cuts[] = { 1, 2, 3, 7, 8, 9, 100, 5000 };
    uint64_t whole[PHI_LINK_SIDE_COUNT];
    run_stream(PHI_SUITE_PLAIN, 0, whole);
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t i = 0; i < PHI_COUNT_OF(cuts); i++) {
            uint64_t cut[PHI_LINK_SIDE_COUNT];
            run_stream((phi_suite)suite, cuts[i], cut);
            EXPECT_EQ(cut[CENTER], whole[CENTER]);
            EXPECT_EQ(cut[CLIENT], whole[CLIENT]);
        }
    }
}

// ---- memory

// One run with the n-th allocation failing. False when there were fewer.
static bool run_with_failure(phi_suite suite, size_t nth)
{
    link_pair pair;
    link_pair_init(&pair, suite);
    pair.memory.fail_at = nth;
    pair.cut_max = 5;
    ph_err err = link_pair_start(&pair);
    if (err == PH_OK) {
        link_pair_settle(&pair);
        bool is_open = phi_link_is(&pair.links[CENTER], PHI_LINK_OPEN) &&
                       phi_link_is(&pair.links[CLIENT], PHI_LINK_OPEN);
        if (is_open) {
            (void)link_pair_say(&pair, CENTER, 3000, 1);
            (void)link_pair_say(&pair, CLIENT, 3000, 2);
            phi_link_probe(&pair.links[CENTER], pair.now);
            link_pair_settle(&pair);
            phi_link_bye(&pair.links[CLIENT], PHI_BYE_NORMAL, 0, "done");
            link_pair_drain(&pair, CLIENT);
            link_pair_settle(&pair);
        }
        // Whoever ran out of memory ended its link and says so; the other end hears it, or hears
        // nothing when there was no memory for the bye either.
        EXPECT(pair.seen[CENTER].closes + pair.seen[CLIENT].closes >= 1);
        for (int side = 0; !is_open && side < PHI_LINK_SIDE_COUNT; side++) {
            const link_pair_seen *seen = &pair.seen[side];
            EXPECT(seen->closes == 0 || seen->end.err == PH_ENOMEM ||
                   (seen->end.by_peer && seen->end.err == PH_EREFUSED));
        }
    } else {
        EXPECT_ERR(err, PH_ENOMEM);
    }
    // Whatever state that left, these are always allowed.
    phi_link_trim(&pair.links[CENTER]);
    phi_link_trim(&pair.links[CLIENT]);
    bool has_failed = pair.memory.takes >= nth;
    link_pair_fini(&pair); // asserts that all memory came back
    return has_failed;
}

// Running out of memory must cost one link, not the process, and leak nothing. [P-13]
TEST(link, any_allocation_may_fail)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        size_t nth = 1;
        while (run_with_failure((phi_suite)suite, nth)) {
            nth++;
        }
        EXPECT(nth > 5);
    }
}

// 10,000 idle clients must not hold buffers, nor texts of ends that may never come. [P-13]
TEST(link, idle_link_holds_no_buffers)
{
    EXPECT(sizeof(phi_link) <= 576);
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    EXPECT(link_pair_say(&pair, CENTER, 5000, 1));
    EXPECT(link_pair_say(&pair, CLIENT, 5000, 1));
    link_pair_settle(&pair);
    EXPECT(pair.memory.bytes > 0);
    phi_link_trim(&pair.links[CENTER]);
    phi_link_trim(&pair.links[CLIENT]);
    EXPECT_EQ(pair.memory.bytes, 0);

    EXPECT(link_pair_say(&pair, CENTER, 10, 1));
    phi_link_trim(&pair.links[CENTER]); // what waits is kept
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CLIENT].packets, 2);
    link_pair_fini(&pair);

    link_pair_open(&pair, PHI_SUITE_PAPER);
    EXPECT(link_pair_say(&pair, CENTER, 5000, 1));
    EXPECT(link_pair_say(&pair, CLIENT, 5000, 1));
    link_pair_settle(&pair);
    phi_link_trim(&pair.links[CENTER]);
    phi_link_trim(&pair.links[CLIENT]);
    EXPECT(pair.memory.bytes <= 4 * 640); // the keys of each direction at each end
    EXPECT_EQ(pair.memory.blocks, 4);
    EXPECT(link_pair_say(&pair, CENTER, 5000, 2));
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CLIENT].packets, 2);
    link_pair_fini(&pair);
}

// With one call in flight nobody may wait for the cipher: what a packet needs was made when the one
// before it had left. [P-25]
TEST(link, ahead_makes_the_key_stream_of_the_next_packet)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PAPER);
    static const size_t sizes[] = { 128, 250, 400, 480, 1000, 5000, 20000, 60000, 1000 };
    for (size_t s = 0; s < PHI_COUNT_OF(sizes); s++) {
        uint64_t waited = 0;
        for (int i = 0; i < 20; i++) {
            uint64_t blocks = pair.ciphers.blocks;
            EXPECT(link_pair_say(&pair, i % 2 == 0 ? CLIENT : CENTER, sizes[s], 1));
            link_pair_settle(&pair);
            waited += i < 2 ? 0 : pair.ciphers.blocks - blocks; // the windows may grow first
            phi_cipher_group_ahead(&pair.ciphers);
        }
        EXPECT_EQ(waited, 0);
    }
    link_pair_fini(&pair);
}

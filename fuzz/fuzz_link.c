// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_link.c - a whole link under a stranger, and two honest ones over a stream that is cut
// anywhere.
//
// The first byte chooses: bit 0 the side under test, bits 1 and 2 the suite (3: a pair of honest
// links in suite byte1 % 3), bit 3 whether the second byte names an allocation that fails, bit 4 a
// client that wants suite paper, bit 5 a client whose JOIN is too long, bit 6 a stranger whom the
// center's owner refuses. The rest is a script.
//
// Against a stranger: the link gets raw bytes, packets in its suite with any command and payload,
// time, and the calls of an owner. What must hold:
//   - no event after CLOSED, and exactly one CLOSED at the end
//   - only legal packets come up, and only while open
//   - what waits, and the memory, stay bounded
//   - what the link writes is a stream of legal packets in its suite, and nothing after its bye
//   - a deadline is set exactly while it lives, and a tick moves it
// Between honest links: everything arrives, once, in order, and nobody closes.

#include "fuzz/fuzz.h"

#include "base/assert.h"
#include "base/siphash.h"
#include "link/link_internal.h"
#include "tests/link/link_pair.h"
#include "wire/heartbeat.h"

#define OPS_MAX 200u // of one script: longer ones are slow, and find nothing more
#define SEND_BYTES_MAX PHI_LINK_SEND_BYTES_MIN
// two buffers of at most a quarter more than they may hold, their predecessors while they grow, a
// JOIN, a text, two key streams
#define MEMORY_MAX (4u * (SEND_BYTES_MAX + PHI_LINK_HEADROOM_BYTES) + 65536u)

static const phi_keys keys = {
    .to_client_key = { 1 }, .to_client_iv = { 2 }, .to_center_key = { 3 }, .to_center_iv = { 4 }
};

// ---- a link and a stranger

typedef struct stranger {
    phi_alloc_counter memory;
    phi_link_options options;
    phi_join join;
    phi_link link;
    phi_time now;
    phi_outbound forger;  // what the stranger says, in the link's suite
    phi_inbound listener; // what the link says, as an honest end reads it
    bool has_suite;       // forger and listener are in the suite
    unsigned closes;
    unsigned suspicions; // told, and taken back
    unsigned joins;
    unsigned opens;
    bool heard_bye;
    bool is_deaf; // the link took a HELLO that the script made up, with keys unknown here
} stranger;

// Both of the stranger's directions into the suite, as HELLO said.
static void stranger_enter_suite(stranger *s, phi_suite suite)
{
    bool is_paper = suite == PHI_SUITE_PAPER;
    bool is_center = s->options.side == PHI_LINK_CENTER;
    const uint8_t *said_key = is_center ? keys.to_center_key : keys.to_client_key;
    const uint8_t *said_iv = is_center ? keys.to_center_iv : keys.to_client_iv;
    const uint8_t *heard_key = is_center ? keys.to_client_key : keys.to_center_key;
    const uint8_t *heard_iv = is_center ? keys.to_client_iv : keys.to_center_iv;
    ph_err said = phi_outbound_suite(&s->forger, &phi_alloc_heap, suite, is_paper ? said_key : NULL,
                                     is_paper ? said_iv : NULL);
    ph_err heard = phi_inbound_suite(&s->listener, suite, is_paper ? heard_key : NULL,
                                     is_paper ? heard_iv : NULL);
    PH_ASSERT(said == PH_OK);
    PH_ASSERT(heard == PH_OK);
    s->has_suite = true;
}

static void on_join(stranger *s, const phi_join *join)
{
    s->joins++;
    PH_ASSERT(s->joins == 1);
    PH_ASSERT(s->options.side == PHI_LINK_CENTER);
    PH_ASSERT(join->version == PHI_PROTOCOL_VERSION);
    PH_ASSERT(join->metadata_count <= PHI_METADATA_COUNT_MAX);
    if (join->account.size % 2 == 1) {
        phi_link_bye(&s->link, PHI_BYE_NAME_INVALID, 10, NULL);
        return;
    }
    phi_welcome welcome = { phi_bytes_text("a@b"), 7, 8, 9, 0 };
    phi_link_welcome(&s->link, &welcome, s->now);
}

static void on_event(stranger *s, const phi_link_event *event)
{
    PH_ASSERT(s->closes == 0);
    bool is_center = s->options.side == PHI_LINK_CENTER;
    switch (event->type) {
    case PHI_LINK_EVENT_JOIN:
        on_join(s, event->join);
        break;
    case PHI_LINK_EVENT_OPEN:
        s->opens++;
        PH_ASSERT(s->opens == 1);
        PH_ASSERT(!is_center);
        PH_ASSERT(event->welcome.session != 0);
        break;
    case PHI_LINK_EVENT_PACKET:
        PH_ASSERT(is_center ? s->joins == 1 : s->opens == 1);
        PH_ASSERT(event->packet.command >= PHI_COMMAND_ONLINE_LIST);
        PH_ASSERT(event->packet.command <= PHI_COMMAND_CREDENTIAL);
        PH_ASSERT(event->packet.command != PHI_COMMAND_BYE);
        PH_ASSERT(!is_center || event->packet.command != PHI_COMMAND_ONLINE_STATUS);
        break;
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
        s->suspicions++;
        PH_ASSERT(is_center);
        PH_ASSERT((event->type == PHI_LINK_EVENT_SUSPECT) == (s->suspicions % 2 == 1));
        break;
    case PHI_LINK_EVENT_CLOSED:
        s->closes++;
        PH_ASSERT(event->end.code < PHI_BYE_COUNT);
        PH_ASSERT(event->end.text.size != 0);
        PH_ASSERT(event->end.retry_after_ms <= PHI_LINK_RETRY_AFTER_MS_MAX);
        break;
    case PHI_LINK_EVENT_NONE:
    case PHI_LINK_EVENT_CONFIRMED:
    default:
        PH_UNREACHABLE("no event");
    }
}

static void stranger_check(const stranger *s)
{
    bool is_closed = phi_link_is(&s->link, PHI_LINK_CLOSED);
    PH_ASSERT(is_closed == (s->closes == 1));
    PH_ASSERT(is_closed == phi_time_is_never(phi_link_deadline(&s->link)));
    PH_ASSERT(phi_link_waiting(&s->link) <= SEND_BYTES_MAX + PHI_LINK_HEADROOM_BYTES);
    PH_ASSERT(s->memory.bytes <= MEMORY_MAX);
}

static void stranger_drain(stranger *s)
{
    for (;;) {
        phi_link_event event;
        phi_link_next(&s->link, &event, s->now);
        if (event.type == PHI_LINK_EVENT_NONE) {
            break;
        }
        on_event(s, &event);
    }
    stranger_check(s);
}

static void stranger_receive(stranger *s, phi_bytes bytes)
{
    if (bytes.size == 0) {
        return;
    }
    uint8_t *copy = malloc(bytes.size);
    PH_ASSERT(copy != NULL);
    memcpy(copy, bytes.data, bytes.size);
    phi_link_receive(&s->link, (phi_span){ copy, bytes.size }, s->now);
    stranger_drain(s);
    free(copy);
}

// A packet that is right in all but, perhaps, its meaning.
static void stranger_forge(stranger *s, uint16_t command, phi_bytes payload)
{
    uint8_t *room = phi_outbound_begin(&s->forger, payload.size);
    PH_ASSERT(room != NULL);
    if (payload.size != 0) {
        memcpy(room, payload.data, payload.size);
    }
    phi_outbound_commit(&s->forger, command, payload.size);
    phi_bytes sealed = phi_outbound_seal(&s->forger);
    stranger_receive(s, sealed);
    phi_outbound_sent(&s->forger, sealed.size);
}

// The next step of the handshake, so that the fuzzer need not find it: honest, or with one byte of
// it changed.
static void stranger_step(stranger *s, phi_suite suite, bool is_honest, phi_reader *script)
{
    uint8_t room[512];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    bool is_hello = s->options.side == PHI_LINK_CLIENT && !s->has_suite;
    if (s->options.side == PHI_LINK_CENTER) {
        phi_join_encode(&w, &s->join);
    } else if (is_hello) {
        phi_hello hello = { .version = PHI_PROTOCOL_VERSION,
                            .suite = suite,
                            .domain = phi_bytes_text("b"),
                            .keys = keys,
                            .heartbeat_idle_ms = 1000,
                            .heartbeat_grace_ms = 1000,
                            .packet_bytes_max = PHI_PACKET_BYTES_MAX };
        phi_hello_encode(&w, &hello);
    } else {
        phi_welcome_encode(&w, &(phi_welcome){ phi_bytes_text("a@b"), 7, 8, 9, 10 });
    }
    PH_ASSERT(!w.failed);
    if (!is_honest) {
        size_t at = phi_read_u8(script) % phi_writer_size(&w);
        room[at] = phi_read_u8(script);
    }
    stranger_forge(s, PHI_COMMAND_HANDSHAKE, phi_writer_view(&w));
    if (is_hello && is_honest) {
        stranger_enter_suite(s, suite);
    }
}

// ---- what the link says

static void heard_packet(stranger *s, const phi_packet *packet)
{
    PH_ASSERT(!s->heard_bye); // P-60
    phi_heartbeat heartbeat;
    phi_bye bye;
    switch (packet->command) {
    case PHI_COMMAND_HEARTBEAT:
        PH_ASSERT(phi_heartbeat_decode(packet->payload, &heartbeat) == PH_OK);
        break;
    case PHI_COMMAND_HANDSHAKE:
        PH_ASSERT(phi_handshake_peek(packet->payload) != 0);
        break;
    case PHI_COMMAND_BYE:
        PH_ASSERT(phi_bye_decode(packet->payload, &bye) == PH_OK);
        PH_ASSERT(bye.reason < PHI_BYE_COUNT);
        s->heard_bye = true;
        break;
    default:
        PH_ASSERT(packet->command == PHI_COMMAND_MESSAGE); // what stranger_say queues
        break;
    }
}

// Up to `count` bytes of what waits are sent, and read as an honest end would.
static void stranger_sent(stranger *s, size_t count)
{
    phi_bytes waiting = phi_link_seal(&s->link);
    count = count < waiting.size ? count : waiting.size;
    if (count == 0) {
        return;
    }
    uint8_t *copy = malloc(count);
    PH_ASSERT(copy != NULL);
    memcpy(copy, waiting.data, count);
    phi_link_sent(&s->link, count);
    if (s->is_deaf) {
        free(copy);
        return;
    }
    phi_inbound_receive(&s->listener, (phi_span){ copy, count });
    for (;;) {
        phi_packet packet;
        phi_inbound_result result = phi_inbound_next(&s->listener, &packet);
        if (result == PHI_INBOUND_MORE) {
            break;
        }
        PH_ASSERT(result == PHI_INBOUND_PACKET);
        heard_packet(s, &packet);
        if (!s->has_suite) { // the first packet of a center is HELLO
            stranger_enter_suite(s, s->options.suite);
        }
    }
    free(copy);
    stranger_check(s);
}

static void stranger_say(stranger *s, size_t size)
{
    if (size > phi_link_payload_max(&s->link)) {
        size = phi_link_payload_max(&s->link);
    }
    size_t room_before = phi_link_room(&s->link);
    uint8_t *room = phi_link_begin(&s->link, size);
    if (room != NULL) {
        PH_ASSERT(phi_link_is(&s->link, PHI_LINK_OPEN));
        PH_ASSERT(size + phi_suite_head(s->link.out.suite) <= room_before);
        memset(room, 'x', size);
        phi_link_commit(&s->link, PHI_COMMAND_MESSAGE, size);
    } else {
        phi_link_begin_failed(&s->link, size, s->now);
    }
    stranger_check(s);
}

static void stranger_tick(stranger *s, phi_dur dur)
{
    s->now = phi_time_add(s->now, dur);
    phi_link_tick(&s->link, s->now);
    if (!phi_time_before(s->now, phi_link_deadline(&s->link))) {
        // Who was not looked at for long is suspect first, and dead with the next look.
        PH_ASSERT(s->options.side == PHI_LINK_CENTER);
        phi_link_tick(&s->link, s->now);
    }
    PH_ASSERT(phi_time_before(s->now, phi_link_deadline(&s->link)));
    stranger_drain(s);
}

// A client that says something has taken on a suite: that of a HELLO which the script made up.
static void stranger_follow(stranger *s)
{
    if (s->has_suite || phi_link_waiting(&s->link) == 0) {
        return;
    }
    s->is_deaf = s->link.out.suite == PHI_SUITE_PAPER;
    stranger_enter_suite(s, s->is_deaf ? PHI_SUITE_PLAIN : s->link.out.suite);
}

// ---- the script

static void stranger_do(stranger *s, phi_reader *script, phi_suite suite)
{
    uint8_t op = phi_read_u8(script);
    switch (op % 13) {
    case 0:
        stranger_receive(s, phi_read_bytes(script, op / 13u));
        break;
    case 1:
    case 2: {
        // command and payload from the script
        uint8_t command = phi_read_u8(script);
        phi_bytes payload = phi_read_bytes(script, phi_read_u8(script));
        stranger_forge(s, command, payload);
        break;
    }
    case 3:
        stranger_step(s, suite, /* is_honest= */ true, script);
        break;
    case 4:
        stranger_tick(s, phi_ms(phi_read_u16(script)));
        break;
    case 5:
        stranger_say(s, phi_read_u16(script));
        break;
    case 6:
        stranger_sent(s, op >= 128 ? SIZE_MAX : phi_read_u16(script));
        break;
    case 7:
        phi_link_probe(&s->link, s->now);
        stranger_check(s);
        break;
    case 8: {
        char text[64] = { 0 };
        phi_bytes bytes = phi_read_bytes(script, op / 13u);
        memcpy(text, bytes.size == 0 ? "" : (const char *)bytes.data, bytes.size);
        uint8_t code = phi_read_u8(script);
        phi_link_bye(&s->link, (phi_bye_code)(code % PHI_BYE_COUNT), code * 100000u, text);
        stranger_drain(s);
        break;
    }
    case 9:
        for (unsigned i = 0; i < 40; i++) { // a flood of asks
            stranger_forge(s, PHI_COMMAND_HEARTBEAT, phi_bytes_of("\0abcdefgh", 9));
        }
        break;
    case 10:
        stranger_step(s, suite, /* is_honest= */ false, script);
        break;
    case 11:
        phi_link_trim(&s->link);
        break;
    default:
        if (op > 200) {
            phi_link_lost(&s->link, PH_ERESET, NULL);
            stranger_drain(s);
        }
        break;
    }
}

static void run_stranger(uint8_t choice, size_t fail_at, phi_bytes bytes)
{
    static const uint8_t token[PHI_JOIN_TOKEN_BYTES_MAX];
    static const uint8_t value[PHI_METADATA_VALUE_BYTES_MAX];
    phi_link_side side = (phi_link_side)(choice & 1);
    phi_suite suite = (phi_suite)(choice >> 1 & 3);
    stranger *s = &(stranger){ .now = LINK_PAIR_T0 };
    phi_alloc_counter_init(&s->memory, &phi_alloc_heap);
    s->memory.fail_at = fail_at;
    s->join = (phi_join){ .version = PHI_PROTOCOL_VERSION, .type = PHI_TYPE_CLIENT };
    if ((choice & 32) != 0 && side == PHI_LINK_CLIENT) {
        s->join.token = phi_bytes_of(token, sizeof token);
        for (size_t i = 0; i < 5; i++) {
            s->join.metadata[s->join.metadata_count++] =
                (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(value, sizeof value) };
        }
    }
    if ((choice & 64) != 0) {
        s->join.account = phi_bytes_text("odd");
    }
    s->options = (phi_link_options){
        .alloc = &s->memory.alloc,
        .side = side,
        .send_bytes_max = SEND_BYTES_MAX,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(5),
        .heartbeat_idle = phi_seconds(side == PHI_LINK_CENTER ? 10 : 0),
        .heartbeat_grace = phi_seconds(side == PHI_LINK_CENTER ? 5 : 0),
        .full_timeout = phi_seconds(10),
        .suite = suite,
        .domain = phi_bytes_text("b"),
        .suite_floor = (choice & 16) != 0 ? PHI_SUITE_PAPER : PHI_SUITE_PLAIN,
        .join = &s->join,
    };
    phi_outbound_init(&s->forger, &phi_alloc_heap, 4 * PHI_PACKET_BYTES_MAX);
    phi_inbound_init(&s->listener, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    bool is_paper = side == PHI_LINK_CENTER && suite == PHI_SUITE_PAPER;
    ph_err err = phi_link_init(&s->link, &s->options, is_paper ? &keys : NULL, s->now);
    if (err == PH_OK) {
        if (side == PHI_LINK_CENTER) {
            stranger_sent(s, SIZE_MAX); // HELLO, so that the forger knows the suite
        }
        phi_reader script = phi_reader_of(bytes);
        for (size_t i = 0; i < OPS_MAX && phi_reader_left(&script) != 0; i++) {
            stranger_do(s, &script, suite);
            stranger_follow(s);
        }
        phi_link_lost(&s->link, PH_ERESET, "the end of the script");
        stranger_drain(s);
        PH_ASSERT(s->closes == 1);
        stranger_sent(s, SIZE_MAX);
    }
    phi_link_fini(&s->link);
    PH_ASSERT(s->memory.bytes == 0);
    phi_outbound_fini(&s->forger);
    phi_inbound_fini(&s->listener);
}

// ---- two honest links

static void run_pair(phi_suite suite, phi_bytes bytes)
{
    phi_reader script = phi_reader_of(bytes);
    link_pair pair;
    link_pair_init(&pair, suite);
    pair.random = phi_random_seeded(phi_read_u8(&script));
    pair.cut_max = phi_read_u8(&script);
    ph_err err = link_pair_start(&pair);
    PH_ASSERT(err == PH_OK);
    link_pair_settle(&pair);

    uint64_t said[PHI_LINK_SIDE_COUNT] = { 0 };
    unsigned count[PHI_LINK_SIDE_COUNT] = { 0 };
    for (size_t i = 0; i < OPS_MAX && phi_reader_left(&script) != 0; i++) {
        uint8_t op = phi_read_u8(&script);
        phi_link_side side = (op & 1) != 0 ? PHI_LINK_CENTER : PHI_LINK_CLIENT;
        phi_link_side other = link_pair_other(side);
        switch (op >> 1 & 3) {
        case 0: {
            size_t size = (size_t)phi_read_u8(&script) << (op >> 5 & 3);
            uint8_t payload[UINT8_MAX << 3];
            for (size_t at = 0; at < size; at++) {
                payload[at] = (uint8_t)(op + at);
            }
            if (link_pair_say(&pair, side, size, op)) {
                phi_hash_key key = { said[other], PHI_COMMAND_MESSAGE };
                said[other] = phi_siphash(key, phi_bytes_of(payload, size));
                count[other]++;
            }
            break;
        }
        case 1:
            link_pair_carry(&pair, side);
            break;
        case 2:
            phi_link_probe(link_pair_end(&pair, side), pair.now);
            break;
        default:
            link_pair_settle(&pair); // or an end would be rightly held for slow
            link_pair_pass(&pair, phi_ms((uint64_t)op * 50));
            break;
        }
    }
    link_pair_settle(&pair);
    for (int side = 0; side < PHI_LINK_SIDE_COUNT; side++) {
        PH_ASSERT(pair.seen[side].closes == 0);
        PH_ASSERT(pair.seen[side].packets == count[side]);
        PH_ASSERT(pair.seen[side].digest == said[side]);
    }
    link_pair_fini(&pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    phi_bytes rest = phi_bytes_of(data + 2, size - 2);
    unsigned suite = data[0] >> 1 & 3;
    if (suite == PHI_SUITE_COUNT) {
        run_pair((phi_suite)(data[1] % PHI_SUITE_COUNT), rest);
    } else {
        size_t fail_at = (data[0] & 8) != 0 ? data[1] : 0;
        run_stranger(data[0], fail_at, rest);
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// wire/codec_test.c - properties of all decoders: total, bounded, and the inverse of their
// encoders; and what single encoders promise.

#include "tests/harness/test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/random.h"
#include "tests/wire/equal.h"
#include "tests/wire/judge.h"
#include "wire/fields.h"
#include "wire/name.h"

#define PAYLOADS_MAX 512
#define PAYLOAD_BYTES_MAX 8200

// Payloads of the golden vectors, to start from.
typedef struct example {
    char family[32];
    uint8_t bytes[PAYLOAD_BYTES_MAX];
    size_t size;
} example;

static example examples[PAYLOADS_MAX];
static size_t example_count;

static void examples_add(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/%s.json", PH_SOURCE_DIR, file);
    json_t *all = json_load_file(path, 0, NULL);
    EXPECT(all != NULL);
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        const char *hex = json_string_value(json_object_get(v, "payload"));
        const char *family = json_string_value(json_object_get(v, "family"));
        EXPECT(example_count < PAYLOADS_MAX);
        example *e = &examples[example_count++];
        snprintf(e->family, sizeof e->family, "%s", family);
        e->size = strlen(hex) / 2;
        EXPECT(e->size <= sizeof e->bytes);
        for (size_t j = 0; j < e->size; j++) {
            unsigned byte;
            EXPECT_EQ(sscanf(hex + 2 * j, "%2x", &byte), 1);
            e->bytes[j] = (uint8_t)byte;
        }
    }
    json_decref(all);
}

static void examples_load(void)
{
    if (example_count == 0) {
        examples_add("packets");
        examples_add("malformed");
    }
}

static bool expect_judged(const char *family, phi_bytes payload)
{
    bool accepted = false;
    judge_fn *judge = judge_find(family);
    EXPECT(judge != NULL);
    const char *wrong = judge(payload, &accepted);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    return accepted;
}

// ---- all families

// Cut anywhere, a payload is refused or means something that can be written: no decoder reads
// behind the end (AddressSanitizer looks) and none believes a length. [P-31]
TEST(codec, truncation_anywhere_is_refused_or_consistent)
{
    examples_load();
    size_t refused = 0;
    for (size_t i = 0; i < example_count; i++) {
        const example *e = &examples[i];
        // Of long ones every place is much the same: the first 200 and some.
        for (size_t size = 0; size <= e->size; size += size < 200 ? 1 : 97) {
            refused += !expect_judged(e->family, phi_bytes_of(e->bytes, size));
        }
    }
    EXPECT(refused > 1000);
}

// The same for bytes appended: 300 zeros, one after the other.
TEST(codec, appended_bytes_are_refused_or_consistent)
{
    examples_load();
    static uint8_t longer[PAYLOAD_BYTES_MAX + 300];
    for (size_t i = 0; i < example_count; i += 3) {
        const example *e = &examples[i];
        memset(longer, 0, sizeof longer);
        memcpy(longer, e->bytes, e->size);
        for (size_t more = 0; more < 300; more += 7) {
            expect_judged(e->family, phi_bytes_of(longer, e->size + more));
        }
    }
}

// Every family's packet given to every other family's decoder: a center that mixes up commands must
// not fall over.
TEST(codec, each_decoder_takes_the_others_packets)
{
    examples_load();
    const char *family;
    for (size_t i = 0; i < example_count; i++) {
        for (size_t j = 0; judge_at(j, &family) != NULL; j++) {
            expect_judged(family, phi_bytes_of(examples[i].bytes, examples[i].size));
        }
    }
}

// Random bytes, and valid packets with a few bytes changed: 20,000 of each, the seed fixed.
TEST(codec, random_bytes_are_refused_or_consistent)
{
    examples_load();
    phi_random random = phi_random_seeded(26);
    static uint8_t bytes[PAYLOAD_BYTES_MAX];
    const char *family;
    size_t families = 0;
    while (judge_at(families, &family) != NULL) {
        families++;
    }
    size_t accepted = 0;
    for (int i = 0; i < 20000; i++) {
        size_t size = (size_t)phi_random_below(&random, 64);
        for (size_t j = 0; j < size; j++) {
            // Small numbers are more often right.
            bytes[j] = (uint8_t)(phi_random_next(&random) >> phi_random_below(&random, 8));
        }
        judge_at((size_t)phi_random_below(&random, families), &family);
        expect_judged(family, phi_bytes_of(bytes, size));

        const example *e = &examples[phi_random_below(&random, example_count)];
        size = e->size < 600 ? e->size : 600;
        memcpy(bytes, e->bytes, size);
        for (uint64_t n = phi_random_below(&random, 4); n > 0 && size > 0; n--) {
            bytes[phi_random_below(&random, size)] = (uint8_t)phi_random_next(&random);
        }
        accepted += expect_judged(e->family, phi_bytes_of(bytes, size));
    }
    EXPECT(accepted > 1000); // else the other half of the property was not tried
}

// Outputs are written on success only: a caller's old value survives a malformed packet.
TEST(codec, refusing_leaves_the_output_untouched)
{
    uint8_t nothing[1] = { 0xff };
    phi_bytes bad = phi_bytes_of(nothing, 1);
    typedef phi_subscription phi_subscription_answer;
#define EXPECT_UNTOUCHED(type)                                                                     \
    do {                                                                                           \
        phi_##type out;                                                                            \
        phi_##type before;                                                                         \
        memset(&out, 0x5a, sizeof out);                                                            \
        memset(&before, 0x5a, sizeof before);                                                      \
        EXPECT_ERR(phi_##type##_decode(bad, &out), PH_EPROTO);                                     \
        EXPECT_BYTES(&out, &before, sizeof out);                                                   \
    } while (0)
    EXPECT_UNTOUCHED(heartbeat);
    EXPECT_UNTOUCHED(hello);
    EXPECT_UNTOUCHED(join);
    EXPECT_UNTOUCHED(welcome);
    EXPECT_UNTOUCHED(page);
    EXPECT_UNTOUCHED(status);
    EXPECT_UNTOUCHED(presence_ask);
    EXPECT_UNTOUCHED(message);
    EXPECT_UNTOUCHED(failure);
    EXPECT_UNTOUCHED(bye);
    EXPECT_UNTOUCHED(entry_detail);
    EXPECT_UNTOUCHED(own_state);
    EXPECT_UNTOUCHED(credential);
    EXPECT_UNTOUCHED(credential_answer);
    EXPECT_UNTOUCHED(subscription);
    EXPECT_UNTOUCHED(subscription_answer);
    EXPECT_UNTOUCHED(stream_control);
    EXPECT_UNTOUCHED(receipt);
    EXPECT_UNTOUCHED(gathered);
#undef EXPECT_UNTOUCHED
}

// An encoder that runs out of room says so in the writer and writes nothing behind it, for every
// size of room.
TEST(codec, encoders_stop_at_the_end_of_their_room)
{
    phi_metadata metadata = { phi_bytes_text("zone"), phi_bytes_text("eu-1") };
    phi_hello hello = { .version = 1,
                        .suite = PHI_SUITE_PAPER,
                        .domain = phi_bytes_text("d"),
                        .heartbeat_idle_ms = 1,
                        .heartbeat_grace_ms = 2,
                        .packet_bytes_max = 3,
                        .calls_max = 4,
                        .message_bytes_max = 5,
                        .streams_max = 6,
                        .subscriptions_max = 7 };
    phi_join join = { .version = 1,
                      .account = phi_bytes_text("a"),
                      .type = PHI_TYPE_CLIENT,
                      .metadata = { metadata },
                      .metadata_count = 1,
                      .presence = { .wants = true },
                      .state = PHI_STATE_STARTING,
                      .has_weight = true,
                      .message_bytes_max = 8 };
    phi_own_state own = { .state = PHI_STATE_DRAINING,
                          .has_weight = true,
                          .has_metadata = true,
                          .metadata = { metadata },
                          .metadata_count = 1,
                          .has_software = true };
    phi_welcome welcome = { .id = phi_bytes_text("a@d"), .session = 1, .expires_ms = 2 };
    phi_credential credential = { .token = phi_bytes_text("a.b.c") };
    phi_credential_answer answer = { .expires_ms = 1 };
    phi_entry entry = { .what = 1, .id = phi_bytes_text("a@d") };
    phi_bye bye = { .text = phi_bytes_text("text") };
    phi_heartbeat heartbeat = { PHI_HEARTBEAT_ASK, 1 };
    for (size_t size = 0; size < 400; size++) {
        static uint8_t room[402];
#define EXPECT_STOPS(encode, value)                                                                \
    do {                                                                                           \
        memset(room, 0x5a, sizeof room);                                                           \
        phi_writer w = phi_writer_of((phi_span){ room, size });                                    \
        encode(&w, value);                                                                         \
        EXPECT(phi_writer_size(&w) <= size);                                                       \
        EXPECT_EQ(room[size], 0x5a);                                                               \
        phi_writer all = phi_writer_of((phi_span){ room, 401 });                                   \
        encode(&all, value);                                                                       \
        EXPECT(!all.failed);                                                                       \
        EXPECT_EQ(w.failed, phi_writer_size(&all) > size);                                         \
    } while (0)
        EXPECT_STOPS(phi_hello_encode, &hello);
        EXPECT_STOPS(phi_join_encode, &join);
        EXPECT_STOPS(phi_welcome_encode, &welcome);
        EXPECT_STOPS(phi_entry_encode, &entry);
        EXPECT_STOPS(phi_bye_encode, &bye);
        EXPECT_STOPS(phi_heartbeat_encode, &heartbeat);
        EXPECT_STOPS(phi_own_state_encode, &own);
        EXPECT_STOPS(phi_credential_encode, &credential);
        EXPECT_STOPS(phi_credential_answer_encode, &answer);
#undef EXPECT_STOPS
    }
}

// ---- the form of messages

// What P-50, P-51, P-63, P-65 and P-66 say of numbers and flags, rule by rule, as one reads them.
static bool form_is_lawful(const phi_message *m)
{
    uint8_t kind = m->kind;
    bool may_be_cut = kind == PHI_KIND_EVENT || kind == PHI_KIND_REQUEST ||
                      kind == PHI_KIND_REPLY || kind == PHI_KIND_INQUIRY || kind == PHI_KIND_ANSWER;
    uint8_t flags = PHI_FLAG_IDEMPOTENT | PHI_FLAG_DURABLE;
    flags |= may_be_cut ? PHI_FLAG_MORE | PHI_FLAG_REST : 0;
    flags |= kind == PHI_KIND_EVENT ? PHI_FLAG_RECEIPT : 0;
    flags |= kind == PHI_KIND_REPLY || kind == PHI_KIND_FAILURE ? PHI_FLAG_PART : 0;
    if (kind == 0 || kind > PHI_KIND_RECEIPT || (m->flags & ~(unsigned)flags) != 0) {
        return false;
    }
    bool is_numbered = (m->flags & (PHI_FLAG_MORE | PHI_FLAG_REST | PHI_FLAG_RECEIPT)) != 0;
    if (m->call == 0 && (kind != PHI_KIND_EVENT || is_numbered)) {
        return false;
    }
    bool has_turn = kind == PHI_KIND_INQUIRY || kind == PHI_KIND_ANSWER;
    bool may_have_turn = has_turn || kind == PHI_KIND_REPLY || kind == PHI_KIND_FAILURE;
    if ((m->turn != 0 && !may_have_turn) || (m->turn == 0 && has_turn)) {
        return false;
    }
    bool may_have_depth = kind == PHI_KIND_REQUEST || kind == PHI_KIND_INQUIRY;
    if (m->depth > 4 || (m->depth != 0 && !may_have_depth) ||
        (m->want != 0 && kind != PHI_KIND_REQUEST)) {
        return false;
    }
    if ((m->flags & PHI_FLAG_REST) != 0) {
        uint8_t beside = PHI_FLAG_IDEMPOTENT | PHI_FLAG_DURABLE | PHI_FLAG_RECEIPT;
        return (m->flags & beside) == 0 && m->depth == 0 && m->want == 0;
    }
    return true;
}

static void expect_form(const phi_message *m)
{
    uint8_t payload[PHI_MESSAGE_HEAD_BYTES] = { m->kind, m->flags };
    phi_put_u16(payload + PHI_MESSAGE_TURN_AT, m->turn);
    phi_put_u64(payload + PHI_MESSAGE_CALL_AT, m->call);
    payload[PHI_MESSAGE_DEPTH_AT] = m->depth;
    phi_put_u16(payload + PHI_MESSAGE_HEAD_BYTES - 2, m->want);
    phi_message out;
    bool is_taken = phi_message_decode(phi_bytes_of(payload, sizeof payload), &out) == PH_OK;
    if (is_taken != form_is_lawful(m)) {
        fail_msg("kind %d, flags %d, turn %d, call %d, depth %d, want %d: %s", m->kind, m->flags,
                 m->turn, (int)m->call, m->depth, m->want, is_taken ? "taken" : "refused");
    }
    if (is_taken && (m->flags & PHI_FLAG_MORE) != 0) {
        payload[PHI_MESSAGE_FLAGS_AT] &= (uint8_t) ~(unsigned)PHI_FLAG_MORE;
        EXPECT_ERR(phi_message_decode(phi_bytes_of(payload, sizeof payload), &out), PH_OK);
    }
}

// The decoder judges all of it with a few masks; a wrong bit in one would let through what the
// center takes for granted. Every kind, every flag, every number there and not there. And what is
// right as the first of several fragments is right when it is joined: the client relies on that.
// [P-50] [P-51] [P-63] [P-65] [P-66]
TEST(message, form_is_judged_as_the_document_says)
{
    static const uint8_t kinds[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 128, 255 };
    static const uint16_t turns[] = { 0, 1, 0x8000 };
    static const uint64_t calls[] = { 0, 1, UINT64_C(1) << 63 };
    static const uint8_t depths[] = { 0, 1, 4, 5, 255 };
    static const uint16_t wants[] = { 0, 1, 0x8000 };
    for (size_t i = 0; i < sizeof kinds * 256; i++) {
        phi_message m = { .kind = kinds[i / 256], .flags = (uint8_t)i };
        for (size_t j = 0; j < PHI_COUNT_OF(turns) * PHI_COUNT_OF(calls); j++) {
            m.turn = turns[j % PHI_COUNT_OF(turns)];
            m.call = calls[j / PHI_COUNT_OF(turns)];
            for (size_t k = 0; k < PHI_COUNT_OF(depths) * PHI_COUNT_OF(wants); k++) {
                m.depth = depths[k % PHI_COUNT_OF(depths)];
                m.want = wants[k / PHI_COUNT_OF(depths)];
                expect_form(&m);
            }
        }
    }
}

// ---- single promises

// The answer that refuses all that a client can ask for in one packet fits into one: else a center
// could not say it. [P-73]
TEST(subscription, answer_that_refuses_all_fits_into_a_packet)
{
    for (size_t size = 0; size <= PHI_PATTERN_BYTES_TAKEN; size++) {
        static uint8_t asked[PHI_SUBSCRIPTION_BYTES_MAX];
        static uint8_t answered[PHI_PACKET_BYTES_MAX - PHI_PACKET_HEAD_CHECKED];
        static const uint8_t pattern[PHI_PATTERN_BYTES_TAKEN];
        phi_writer ask = phi_writer_of((phi_span){ asked, sizeof asked });
        phi_writer answer = phi_writer_of((phi_span){ answered, sizeof answered });
        phi_subscription_begin(&ask, 1);
        phi_subscription_begin(&answer, 1);
        while (sizeof asked - phi_writer_size(&ask) >= 3 + size) {
            phi_write_change(&ask, PHI_SUBSCRIPTION_ADD, phi_bytes_of(pattern, size));
            phi_write_refusal(&answer, 15, phi_bytes_of(pattern, size));
        }
        EXPECT(!ask.failed);
        EXPECT(!answer.failed);
        phi_subscription got;
        EXPECT_ERR(phi_subscription_decode(phi_writer_view(&ask), &got), PH_OK);
        EXPECT_ERR(phi_subscription_answer_decode(phi_writer_view(&answer), &got), PH_OK);
    }
}

// A long text is cut where a character ends, so that the other end can print it. [P-60]
TEST(bye, long_text_is_cut_between_characters)
{
    static const struct {
        const char *character;
        size_t cut;
    } rows[] = {
        { "x", 512 }, { "\xc3\xbc", 512 }, { "\xe2\x82\xac", 510 }, { "\xf0\x9f\x93\xae", 512 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024] = "";
        for (size_t at = 0; at + 4 < 800; at += strlen(rows[i].character)) {
            memcpy(text + at, rows[i].character, strlen(rows[i].character));
        }
        uint8_t room[PHI_BYE_BYTES_MAX];
        phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
        phi_bye bye = { .reason = 1, .text = phi_bytes_text(text) };
        phi_bye_encode(&w, &bye);
        EXPECT(!w.failed);
        phi_bye back;
        EXPECT_ERR(phi_bye_decode(phi_writer_view(&w), &back), PH_OK);
        EXPECT_EQ(back.text.size, rows[i].cut);
        EXPECT_BYTES(back.text.data, text, back.text.size);
    }
}

// What is not UTF-8 at all is cut somewhere, and ends. [P-60]
TEST(bye, text_of_continuation_bytes_is_cut_to_nothing)
{
    static uint8_t text[600];
    memset(text, 0x80, sizeof text);
    uint8_t room[PHI_BYE_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_bye bye = { .text = phi_bytes_of(text, sizeof text) };
    phi_bye_encode(&w, &bye);
    EXPECT_EQ(phi_writer_size(&w), 6);
}

// The largest entry is what PHI_ENTRY_BYTES_MAX says a JOIN of the largest size can lead to: a page
// has room for it. [P-12] [P-46]
TEST(presence, entry_of_the_largest_join_is_within_its_limit)
{
    static uint8_t bytes[PHI_PACKET_BYTES_MAX];
    static char name[PHI_NAME_BYTES_MAX];
    static char software[PHI_SOFTWARE_BYTES_MAX];
    memset(name, 'a', sizeof name);
    memset(software, 's', sizeof software);
    size_t payload_max = PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_PLAIN;

    // The account is left out: the center makes one, at the entry's cost alone.
    phi_join join = { .version = 1,
                      .type = PHI_TYPE_CLIENT,
                      .service = phi_bytes_of(name, sizeof name),
                      .software = phi_bytes_of(software, sizeof software) };
    static uint8_t value[PHI_METADATA_VALUE_BYTES_MAX];
    for (;;) {
        phi_metadata *m = &join.metadata[join.metadata_count];
        *m = (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(value, sizeof value) };
        join.metadata_count++;
        phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
        phi_join_encode(&w, &join);
        if (phi_writer_size(&w) > payload_max) {
            m->value.size -= phi_writer_size(&w) - payload_max;
            break;
        }
    }
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_join_encode(&w, &join);
    EXPECT_EQ(phi_writer_size(&w), payload_max);

    static uint8_t fields[PHI_PACKET_BYTES_MAX];
    phi_writer f = phi_writer_of((phi_span){ fields, sizeof fields });
    phi_write_field(&f, PHI_ENTRY_SOFTWARE, join.software);
    phi_write_field_u16(&f, PHI_ENTRY_WEIGHT, UINT16_MAX);
    for (size_t i = 0; i < join.metadata_count; i++) {
        phi_write_metadata(&f, PHI_ENTRY_METADATA, &join.metadata[i]);
    }
    phi_write_field_u32(&f, PHI_ENTRY_ROUND_TRIP, UINT32_MAX);
    char id[PHI_ID_BYTES_MAX];
    memset(id, 'a', sizeof id);
    id[PHI_NAME_BYTES_MAX] = '@';
    phi_entry entry = { .what = PHI_WHAT_ONLINE,
                        .id = phi_bytes_of(id, sizeof id),
                        .service = join.service,
                        .fields = phi_writer_view(&f) };
    phi_writer e = phi_writer_of((phi_span){ bytes, PHI_ENTRY_BYTES_MAX });
    phi_entry_encode(&e, &entry); // asserts it, too
    EXPECT(!e.failed);
    EXPECT(phi_writer_size(&e) > PHI_PACKET_BYTES_JOINING_MAX); // the margin is needed
}

// Values that do not fit their length field are refused by the writer, not cut. [P-26] [P-54]
TEST(fields, too_long_values_fail_the_writer)
{
    static uint8_t value[UINT16_MAX + 1];
    static uint8_t room[2 * UINT16_MAX];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_field(&w, 1, phi_bytes_of(value, UINT16_MAX));
    EXPECT(!w.failed);
    phi_write_field(&w, 1, phi_bytes_of(value, sizeof value));
    EXPECT(w.failed);

    w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_header(&w, phi_bytes_of(value, 255), phi_bytes_of(value, UINT16_MAX));
    EXPECT(!w.failed);
    w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_header(&w, phi_bytes_text("n"), phi_bytes_of(value, sizeof value));
    EXPECT(w.failed);
    w = phi_writer_of((phi_span){ room, sizeof room });
    phi_write_header(&w, phi_bytes_of(value, 256), phi_bytes_text("v"));
    EXPECT(w.failed);
}

// Tags of the ask within JOIN are those of the ask alone, seven higher: one meaning, two places.
// [P-35] [P-42]
TEST(presence, ask_in_join_is_the_ask)
{
    phi_presence_ask ask = { .wants = true,
                             .type = PHI_TYPE_GATEWAY,
                             .service = phi_bytes_text("s"),
                             .domain = phi_bytes_text("d"),
                             .last_epoch = 3,
                             .last_revision = 4 };
    phi_join join = { .version = 1, .type = PHI_TYPE_CLIENT, .presence = ask };
    uint8_t room[256];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_join_encode(&w, &join);
    phi_join back;
    EXPECT_ERR(phi_join_decode(phi_writer_view(&w), &back), PH_OK);
    EXPECT(ask_equal(&back.presence, &ask));
}

// What is told of an end that lies near, or has passed, is never 0, which would say that there is
// none; and one that lies further than the field reaches is not told as near. [P-36] [P-76]
TEST(credential, end_is_told_within_what_the_field_holds)
{
    phi_time now = { UINT64_C(1000000000000) };
    uint64_t most_ns = UINT64_C(1000000) * UINT32_MAX;
    EXPECT_EQ(phi_expires_ms(PHI_TIME_NEVER, now), 0);
    EXPECT_EQ(phi_expires_ms(now, now), 1);
    EXPECT_EQ(phi_expires_ms((phi_time){ 0 }, now), 1);
    EXPECT_EQ(phi_expires_ms(phi_time_add(now, phi_ns(1)), now), 1);
    EXPECT_EQ(phi_expires_ms(phi_time_add(now, phi_ns(1999999)), now), 1);
    EXPECT_EQ(phi_expires_ms(phi_time_add(now, phi_ms(2)), now), 2);
    EXPECT_EQ(phi_expires_ms(phi_time_add(now, phi_ns(most_ns)), now), UINT32_MAX);
    EXPECT_EQ(phi_expires_ms(phi_time_add(now, phi_ns(most_ns + 1000000)), now), UINT32_MAX);
    EXPECT_EQ(phi_expires_ms((phi_time){ UINT64_MAX - 1 }, now), UINT32_MAX);
}

// The longest token, alone in its packet, and the JOIN it came in are no longer than what an end
// takes. [P-12] [P-76]
TEST(credential, longest_one_fits_into_a_packet)
{
    static uint8_t token[PHI_JOIN_TOKEN_BYTES_MAX];
    static uint8_t room[PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_credential_encode(&w, &(phi_credential){ phi_bytes_of(token, sizeof token) });
    EXPECT(!w.failed);
}

// [P-32]
TEST(handshake, peek_says_the_kind_or_nothing)
{
    for (int kind = 0; kind < 256; kind++) {
        uint8_t byte = (uint8_t)kind;
        EXPECT_EQ(phi_handshake_peek(phi_bytes_of(&byte, 1)), kind <= 3 ? kind : 0);
    }
    EXPECT_EQ(phi_handshake_peek(phi_bytes_of(NULL, 0)), 0);
}

// Bodies that the center says are held to their form, too: a client that believes a count would
// read what is not there. [P-65] [P-68]
TEST(message, bodies_of_receipts_and_gathers_are_whole)
{
    static const uint8_t bytes[PHI_RECEIPT_BYTES + 1];
    phi_receipt receipt;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        ph_err expected = size == PHI_RECEIPT_BYTES ? PH_OK : PH_EPROTO;
        EXPECT_ERR(phi_receipt_decode(phi_bytes_of(bytes, size), &receipt), expected);
    }

    uint8_t room[64];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_gathered gathered = { .asked = 5, .replied = 3, .count = 2 };
    phi_gathered_encode_head(phi_write_room(&w, PHI_GATHERED_HEAD_BYTES), &gathered);
    phi_write_missing(&w, 11, phi_bytes_text("a@d"));
    phi_write_missing(&w, 13, phi_bytes_text(""));
    phi_bytes whole = phi_writer_view(&w);
    EXPECT_ERR(phi_gathered_decode(whole, &gathered), PH_OK);
    EXPECT_EQ(gathered.count, 2);
    for (size_t size = 0; size < whole.size; size++) {
        EXPECT_ERR(phi_gathered_decode(phi_bytes_of(room, size), &gathered), PH_EPROTO);
    }
    for (uint16_t count = 0; count < 5; count++) {
        phi_put_u16(room + 4, count);
        EXPECT_ERR(phi_gathered_decode(whole, &gathered), count == 2 ? PH_OK : PH_EPROTO);
    }
}

// A weight of 0 is one, and says so: it is not the same as none. [P-35] [P-72]
TEST(handshake, weight_zero_is_told_from_none)
{
    uint8_t room[128];
    phi_join join = { .version = 1, .type = PHI_TYPE_CLIENT };
    for (int has = 0; has < 2; has++) {
        join.has_weight = has != 0;
        phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
        phi_join_encode(&w, &join);
        phi_join back;
        EXPECT_ERR(phi_join_decode(phi_writer_view(&w), &back), PH_OK);
        EXPECT_EQ(back.has_weight, join.has_weight);
        EXPECT_EQ(back.weight, has != 0 ? 0 : PHI_WEIGHT_DEFAULT);
        EXPECT_EQ(back.state, PHI_STATE_READY); // what nothing was said of
    }
}

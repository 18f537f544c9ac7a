// SPDX-License-Identifier: Apache-2.0

#include <posthouse/dialog.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// What a gather was told, in words.
typedef struct told {
    char text[512];
    size_t size;
} told;

static const char *heard(told *t)
{
    t->text[t->size] = '\0';
    t->size = 0;
    return t->text;
}

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    told *t = arg;
    t->size += (size_t)snprintf(t->text + t->size, sizeof t->text - t->size, "%.*s %u %.*s\n",
                                (int)part->from.size, part->from.data, code, (int)part->body.size,
                                part->body.data);
}

static void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    EXPECT_EQ(gathered != NULL, status == PH_OK);
    told *t = arg;
    t->size += (size_t)snprintf(t->text + t->size, sizeof t->text - t->size, "%s %u",
                                ph_err_name(status), code);
    if (gathered != NULL) {
        t->size += (size_t)snprintf(t->text + t->size, sizeof t->text - t->size, " %u of %u",
                                    gathered->replied, gathered->asked);
        size_t cursor = 0;
        ph_view id;
        uint16_t why = 0;
        unsigned count = 0;
        while (ph_gathered_next(gathered, &cursor, &id, &why)) {
            t->size += (size_t)snprintf(t->text + t->size, sizeof t->text - t->size, ", %.*s %u",
                                        (int)id.size, id.data, why);
            count++;
        }
        EXPECT_EQ(count, gathered->missing_count);
    }
    t->text[t->size++] = '\n';
}

static ph_err gather(stage *s, told *t, uint16_t want, ph_call_id *id)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "all:letters";
    out.method = "count";
    out.timeout_ms = 2000;
    ph_gather how = PH_GATHER_INIT;
    how.want = want;
    how.on_part = on_part;
    how.done = on_gathered;
    how.arg = t;
    return ph_client_gather(s->client, &out, &how, id);
}

static void say_part(stage *s, uint64_t call, uint16_t turn, const char *from, const char *body)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_REPLY,
                                         .flags = PHI_FLAG_PART,
                                         .call = call,
                                         .turn = turn,
                                         .from = phi_bytes_text(from),
                                         .body = phi_bytes_text(body) });
}

static void say_failed_part(stage *s, uint64_t call, uint16_t turn, phi_bytes body)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_FAILURE,
                                         .flags = PHI_FLAG_PART,
                                         .call = call,
                                         .turn = turn,
                                         .from = phi_bytes_text("b@home"),
                                         .body = body });
}

// The end: 2 of 4 replied; b failed with 1000, d was late.
static void say_end(stage *s, uint64_t call)
{
    uint8_t room[64];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_gathered gathered = { .asked = 4, .replied = 2, .count = 2 };
    phi_gathered_encode_head(phi_write_room(&w, PHI_GATHERED_HEAD_BYTES), &gathered);
    phi_write_missing(&w, 1000, phi_bytes_text("b@home"));
    phi_write_missing(&w, PH_FAILURE_DEADLINE, phi_bytes_text("d@home"));
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_REPLY,
                                         .call = call,
                                         .from = phi_bytes_text("@home"),
                                         .body = phi_writer_view(&w) });
}

// Parts as they come, and one end that says who did not answer, and why. [P-65]
TEST(gather, parts_come_and_the_end_says_who_is_missing)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    told t = { .size = 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(gather(&s, &t, 3, &id), PH_OK);
    stage_settle(&s);
    phi_message m = stage_got(&s, 0);
    EXPECT_EQ(m.kind, PHI_KIND_REQUEST);
    EXPECT_EQ(m.want, 3);
    EXPECT_EQ(m.ttl_ms, 2000);
    EXPECT(phi_bytes_equal(m.to, phi_bytes_text("all:letters")));
    say_part(&s, id.value, 1, "a@home", "7");
    uint8_t failure[] = { 1000 >> 8, 1000 & 0xff, 'n', 'o' };
    say_failed_part(&s, id.value, 2, phi_bytes_of(failure, sizeof failure));
    say_part(&s, id.value, 3, "c@home", "9");
    EXPECT_TEXT(heard(&t), "a@home 0 7\nb@home 1000 no\nc@home 0 9\n");
    say_end(&s, id.value);
    EXPECT_TEXT(heard(&t), "PH_OK 0 2 of 4, b@home 1000, d@home 11\n");
    // Late, and twice: to nobody.
    say_part(&s, id.value, 4, "d@home", "late");
    say_end(&s, id.value);
    EXPECT_TEXT(heard(&t), "");
    EXPECT_EQ(stage_counters(&s).calls, 1);
    EXPECT_EQ(stage_counters(&s).replies, 1);
    EXPECT_EQ(stage_counters(&s).parts, 3);
    EXPECT_EQ(stage_counters(&s).replies_stray, 2);
    stage_fini(&s);
}

// Nobody to ask is a failure; a program that looks at no parts gets the end all the same. [P-65]
TEST(gather, fails_as_a_whole_or_ends_without_looking)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    told t = { .size = 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    stage_fail(&s, id.value, PH_FAILURE_NO_READY_INSTANCE, "nobody");
    EXPECT_TEXT(heard(&t), "PH_EFAILURE 3\n");
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "all:letters";
    ph_gather how = PH_GATHER_INIT;
    how.done = on_gathered;
    how.arg = &t;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, &id), PH_OK);
    say_part(&s, id.value, 1, "a@home", "7");
    say_end(&s, id.value);
    EXPECT_TEXT(heard(&t), "PH_OK 0 2 of 4, b@home 1000, d@home 11\n");
    EXPECT_EQ(stage_counters(&s).parts, 1);
    stage_fini(&s);
}

// The center's word on who was late comes at the deadline; only a center that says nothing at all
// is not waited for. Whatever happens, a gather ends once.
TEST(gather, ends_without_the_centers_word)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    told t = { .size = 0 };
    EXPECT_ERR(gather(&s, &t, 0, NULL), PH_OK);
    stage_pass(&s, phi_ms(2999));
    EXPECT_TEXT(heard(&t), "");
    stage_pass(&s, phi_ms(1));
    EXPECT_TEXT(heard(&t), "PH_ETIMEDOUT 11\n");
    ph_call_id id = { 0 };
    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    stage_fail(&s, id.value, PH_FAILURE_DEADLINE, "");
    EXPECT_TEXT(heard(&t), "PH_ETIMEDOUT 11\n");
    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    stage_forget(&s);
    EXPECT_ERR(ph_client_cancel(s.client, id), PH_OK);
    EXPECT_TEXT(heard(&t), "");
    say_part(&s, id.value, 1, "a@home", "crossed");
    EXPECT_TEXT(heard(&t), "PH_ECANCELLED 0\n");
    EXPECT_EQ(stage_got(&s, 1).kind, PHI_KIND_CANCEL); // behind the request
    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    stage_settle(&s);
    stage_cut(&s);
    EXPECT_TEXT(heard(&t), "PH_ERESET 0\n");
    stage_fini(&s);
}

// Parts of what is no gather, and ends that break their form. [P-31] [P-65]
TEST(gather, lies_of_the_center)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    told t = { .size = 0 };
    ph_call_id id = { 0 };
    EXPECT_ERR(stage_call_to(&s, "echo", "plain", 0, &id), PH_OK);
    say_part(&s, id.value, 1, "a@home", "7");
    say_part(&s, id.value, 0, "a@home", "7");
    say_part(&s, 99, 1, "a@home", "7");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(stage_counters(&s).replies_stray, 3);
    stage_reply(&s, id.value, "still there");
    EXPECT_TEXT(stage_heard(&s), "done PH_OK 0 still there\n");
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);

    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    stage_inquire(&s, id.value, 1, "which"); // nobody may ask back in a gather
    EXPECT_EQ(stage_counters(&s).dropped, 1);
    stage_reply(&s, id.value, "five"); // as if it were a plain reply
    EXPECT_TEXT(heard(&t), "PH_ERESET 0\n");
    EXPECT(strncmp(stage_heard(&s), "down PH_EPROTO\n", 15) == 0);
    stage_pass(&s, phi_seconds(1));
    EXPECT_ERR(gather(&s, &t, 0, &id), PH_OK);
    say_failed_part(&s, id.value, 1, phi_bytes_text("x")); // no code
    EXPECT_TEXT(heard(&t), "PH_ERESET 0\n");
    EXPECT(strncmp(stage_heard(&s), "up me@home\ndown PH_EPROTO\n", 26) == 0);
    stage_fini(&s);
}

// What cannot be a gather is refused where it was written.
TEST(gather, refusals)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_outgoing out = PH_OUTGOING_INIT;
    ph_gather how = PH_GATHER_INIT;
    static const char *wrong[] = { NULL, "", "letters", "service:letters", "all:", "ALL:letters" };
    how.done = on_gathered;
    for (size_t i = 0; i < PHI_COUNT_OF(wrong); i++) {
        out.to = wrong[i];
        EXPECT_ERR(ph_client_gather(s.client, &out, &how, NULL), PH_EINVAL);
    }
    out.to = "all:letters";
    EXPECT_ERR(ph_client_gather(NULL, &out, &how, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_gather(s.client, NULL, &how, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_gather(s.client, &out, NULL, NULL), PH_EINVAL);
    how.struct_size = 0;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, NULL), PH_EINVAL);
    how = (ph_gather)PH_GATHER_INIT;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, NULL), PH_EINVAL); // no `done`
    stage_fill(&s, 0);
    how.done = on_gathered;
    EXPECT_ERR(ph_client_gather(s.client, &out, &how, NULL), PH_EBUSY);
    ph_gathered gathered = { .missing = PH_VIEW_INIT };
    size_t cursor = 0;
    ph_view id;
    uint16_t code;
    EXPECT(!ph_gathered_next(&gathered, &cursor, &id, &code));
    EXPECT(!ph_gathered_next(NULL, &cursor, &id, &code));
    EXPECT_EQ(s.client->calls.count, 0);
    stage_fini(&s);
}

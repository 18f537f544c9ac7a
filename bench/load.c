// SPDX-License-Identifier: Apache-2.0
//
// bench/load.c - a crowd (bench/crowd.h) that does as it is told: one command a line on standard
// input, one line of JSON as its answer. Between commands it goes on answering heartbeats. So the
// story of a benchmark stands in one script, and what it measures in one process of its own.
//
//     load --target HOST:PORT [--prefix NAME] [--sources N] [--members N] [--opening N]
//          [--receive BYTES]
//
//     open joined|silent|three|length|nats COUNT SECONDS
//                            COUNT more members; answers when none is on its way, or after SECONDS
//     turn SECONDS           nothing but heartbeats
//     stall COUNT            the first COUNT that have joined stop reading; 0: all read again
//     measure SECONDS        how old events are when they come (publish stamps them)
//     publish TO RATE SIZE SECONDS
//                            events from member 0 to TO at RATE a second
//     calls RATE SECONDS     member 0 calls member 1, one call at a time, at most RATE a second
//     joins COUNT GAP_MS     COUNT clients after each other: from connect(2) to WELCOME
//     flood garbage|events|asks SECONDS
//                            member 0 sends as much as it can; garbage: and connects again
//     hammer COUNT SECONDS   COUNT members connect, and again whenever they are gone
//     close COUNT            the last COUNT that are open close
//     subscribe PATTERN      all that have joined; answers when the center has
//     watch                  one member more, which wants presence; count then has the offlines
//     count                  who is in which state, and why who is gone went

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/crowd.h"
#include "wire/codes.h"
#include "wire/heartbeat.h"
#include "wire/subscription.h"

#define NS_PER_S 1e9
#define RECORD_MAX 20000000u
#define FLOOD_CHUNK_BYTES 65536u
#define FLOOD_EVENT_BYTES 100u
#define WORDS_MAX 8

typedef struct load {
    crowd crowd;
    crowd_record record;
    bool is_measuring; // events
    uint64_t events;   // that came
    bool again;        // who is gone opens again
    uint64_t reopened;
    bool has_reply; // calls
    uint64_t call;
    uint64_t failures;
    uint32_t subscribed; // answers to subscriptions
    double gone_first_s; // since the start of the last open
    double gone_last_s;
    uint64_t opened_ns;
    bool is_watching; // the next member that joins wants presence
    uint32_t offlines[PHI_WHY_COUNT];
    double offline_first_s; // CLOCK_MONOTONIC
    double offline_last_s;
} load;

typedef void command_fn(load *l, char **words, int count);

static load *load_of(crowd_member *m)
{
    return m->crowd->options.user;
}

static PHI_COLD void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static uint64_t to_ns(const char *seconds)
{
    return (uint64_t)(strtod(seconds, NULL) * NS_PER_S);
}

static double seconds_since(uint64_t ns)
{
    return (double)(crowd_now_ns() - ns) / NS_PER_S;
}

// ---- what members hear

static void on_message(crowd_member *m, const phi_message *message)
{
    load *l = load_of(m);
    if (message->kind == PHI_KIND_EVENT) {
        l->events++;
        if (l->is_measuring && message->body.size >= 8) {
            crowd_record_add(&l->record, crowd_now_ns() - phi_get_u64(message->body.data));
        }
    } else if (message->kind == PHI_KIND_REQUEST) {
        crowd_reply(m, message);
    } else if (message->kind == PHI_KIND_REPLY || message->kind == PHI_KIND_FAILURE) {
        l->has_reply = l->has_reply || message->call == l->call;
        l->failures += message->kind == PHI_KIND_FAILURE;
    }
}

static void on_status(load *l, phi_bytes payload)
{
    phi_status status;
    if (phi_status_decode(payload, &status) != PH_OK) {
        fail("malformed status");
    }
    phi_reader r = phi_reader_of(status.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        if (entry.what == PHI_WHAT_OFFLINE && entry.reason < PHI_WHY_COUNT) {
            l->offlines[entry.reason]++;
            l->offline_last_s = (double)crowd_now_ns() / NS_PER_S;
            l->offline_first_s = l->offline_first_s == 0 ? l->offline_last_s : l->offline_first_s;
        }
    }
}

static void on_packet(crowd_member *m, const phi_packet *packet)
{
    if (packet->command == PHI_COMMAND_ONLINE_STATUS) {
        on_status(load_of(m), packet->payload);
        return;
    }
    if (packet->command == PHI_COMMAND_SUBSCRIPTION) {
        load_of(m)->subscribed++;
        return;
    }
    phi_message message;
    if (packet->command == PHI_COMMAND_MESSAGE) {
        if (phi_message_decode(packet->payload, &message) != PH_OK) {
            fail("malformed message");
        }
        on_message(m, &message);
    }
}

static void on_gone(crowd_member *m)
{
    load *l = load_of(m);
    double at = seconds_since(l->opened_ns);
    l->gone_first_s = l->gone_first_s == 0 ? at : l->gone_first_s;
    l->gone_last_s = at;
    if (l->again) {
        l->reopened++;
        crowd_reopen(m);
    }
}

static void describe(crowd_member *m, phi_join *join)
{
    join->presence.wants = load_of(m)->is_watching;
}

static const crowd_events events = { .describe = describe, .packet = on_packet, .gone = on_gone };

// The other server: INFO and PONG need no answer, PING does.
static void on_nats(crowd_member *m, phi_bytes bytes)
{
    static const char ping[] = "PING\r\n";
    static const char pong[] = "PONG\r\n";
    for (size_t i = 0; i + sizeof ping - 1 <= bytes.size; i++) {
        if (memcmp(bytes.data + i, ping, sizeof ping - 1) == 0) {
            (void)crowd_send_raw(m, phi_bytes_text(pong));
        }
    }
}

static const crowd_events nats_events = { .bytes = on_nats, .gone = on_gone };

// ---- helpers of commands

static void turn_until(load *l, uint64_t end_ns)
{
    uint64_t now;
    while ((now = crowd_now_ns()) < end_ns) {
        (void)crowd_turn(&l->crowd, end_ns - now);
    }
}

static void open_wait(load *l, uint64_t end_ns)
{
    uint64_t now;
    while (crowd_opening(&l->crowd) != 0 && (now = crowd_now_ns()) < end_ns) {
        (void)crowd_turn(&l->crowd, end_ns - now);
    }
}

static crowd_member *open_one(load *l, const phi_bytes *raw)
{
    crowd_member *m = crowd_open(&l->crowd, raw);
    if (m == NULL) {
        fail("more members than --members");
    }
    return m;
}

// Member `number`, joined; those before it too.
static crowd_member *joined_member(load *l, uint32_t number)
{
    while (l->crowd.count <= number) {
        (void)open_one(l, NULL);
    }
    open_wait(l, crowd_now_ns() + to_ns("10"));
    crowd_member *m = l->crowd.members[number];
    if (m->state != CROWD_JOINED) {
        fail("a member did not join");
    }
    return m;
}

static void record_start(load *l)
{
    l->record.count = 0;
}

static void print_record(load *l, const char *more)
{
    crowd_record_sort(&l->record);
    printf("{\"count\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f%s}\n",
           (unsigned long long)l->record.count, crowd_record_us(&l->record, 0.50),
           crowd_record_us(&l->record, 0.99), crowd_record_us(&l->record, 1.0), more);
}

// ---- commands

static void cmd_open(load *l, char **words, int count)
{
    (void)count;
    static const struct {
        const char *name;
        const char *bytes;
        size_t size;
    } kinds[] = {
        { "silent", "", 0 },
        { "three", "\0\0\0", 3 },
        { "length", "\0\0\0\x40\0", 5 },
        { "nats", "CONNECT {\"verbose\":false}\r\nPING\r\n", 33 },
    };
    bool is_raw = false;
    static phi_bytes raw; // borrowed by the members
    for (size_t i = 0; i < PHI_COUNT_OF(kinds); i++) {
        if (strcmp(words[1], kinds[i].name) == 0) {
            raw = phi_bytes_of(kinds[i].bytes, kinds[i].size);
            is_raw = true;
        }
    }
    if (!is_raw && strcmp(words[1], "joined") != 0) {
        fail("no such kind of member");
    }
    if (strcmp(words[1], "nats") == 0) {
        l->crowd.options.events = &nats_events;
    }
    l->opened_ns = crowd_now_ns();
    l->gone_first_s = 0;
    for (unsigned long n = strtoul(words[2], NULL, 10); n > 0; n--) {
        (void)open_one(l, is_raw ? &raw : NULL);
    }
    open_wait(l, l->opened_ns + to_ns(words[3]));
    printf("{\"joined\": %u, \"raw\": %u, \"gone\": %u, \"opening\": %u, \"seconds\": %.3f}\n",
           l->crowd.in_state[CROWD_JOINED], l->crowd.in_state[CROWD_RAW],
           l->crowd.in_state[CROWD_GONE], crowd_opening(&l->crowd), seconds_since(l->opened_ns));
}

static void cmd_turn(load *l, char **words, int count)
{
    (void)count;
    turn_until(l, crowd_now_ns() + to_ns(words[1]));
    printf("{}\n");
}

static void cmd_stall(load *l, char **words, int count)
{
    (void)count;
    unsigned long left = strtoul(words[1], NULL, 10);
    bool is_reading = left == 0;
    unsigned long changed = 0;
    for (uint32_t i = 0; i < l->crowd.count && (is_reading || changed < left); i++) {
        crowd_member *m = l->crowd.members[i];
        if (m->state == CROWD_JOINED && m->is_reading != is_reading) {
            crowd_read(m, is_reading);
            changed++;
        }
    }
    printf("{\"changed\": %lu}\n", changed);
}

static void cmd_measure(load *l, char **words, int count)
{
    (void)count;
    record_start(l);
    l->is_measuring = true;
    turn_until(l, crowd_now_ns() + to_ns(words[1]));
    l->is_measuring = false;
    print_record(l, "");
}

static void cmd_publish(load *l, char **words, int count)
{
    (void)count;
    crowd_member *m = joined_member(l, 0);
    double rate = strtod(words[2], NULL);
    size_t size = strtoul(words[3], NULL, 10);
    uint8_t body[32768] = { 0 };
    if (size < 8 || size > sizeof body || rate <= 0) {
        fail("publish: SIZE is 8 to 32768, RATE above 0");
    }
    uint64_t gap_ns = (uint64_t)(NS_PER_S / rate);
    uint64_t start_ns = crowd_now_ns();
    uint64_t end_ns = start_ns + to_ns(words[4]);
    uint64_t sent = 0;
    for (uint64_t due_ns = start_ns; due_ns < end_ns; due_ns += gap_ns) {
        turn_until(l, due_ns);
        phi_put_u64(body, crowd_now_ns());
        crowd_say(m, PHI_KIND_EVENT, 0, words[1], phi_bytes_of(body, size));
        crowd_flush(m);
        sent++;
    }
    printf("{\"sent\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent,
           seconds_since(start_ns));
}

static void cmd_calls(load *l, char **words, int count)
{
    (void)count;
    crowd_member *responder = joined_member(l, 1);
    crowd_member *caller = joined_member(l, 0);
    uint64_t gap_ns = (uint64_t)(NS_PER_S / strtod(words[1], NULL));
    uint64_t end_ns = crowd_now_ns() + to_ns(words[2]);
    uint8_t body[128] = { 0 };
    record_start(l);
    l->failures = 0;
    for (uint64_t start_ns = crowd_now_ns(); start_ns < end_ns; start_ns = crowd_now_ns()) {
        l->has_reply = false;
        l->call++;
        crowd_say(caller, PHI_KIND_REQUEST, l->call, responder->id,
                  phi_bytes_of(body, sizeof body));
        crowd_flush(caller);
        while (!l->has_reply && caller->state == CROWD_JOINED) {
            (void)crowd_turn(&l->crowd, to_ns("0.1"));
        }
        if (!l->has_reply) {
            fail("calls: the caller's connection is gone");
        }
        crowd_record_add(&l->record, crowd_now_ns() - start_ns);
        turn_until(l, start_ns + gap_ns);
    }
    char more[64];
    snprintf(more, sizeof more, ", \"failures\": %llu", (unsigned long long)l->failures);
    print_record(l, more);
}

static void cmd_joins(load *l, char **words, int count)
{
    (void)count;
    uint64_t gap_ns = to_ns(words[2]) / 1000;
    uint32_t refused = 0;
    record_start(l);
    for (unsigned long left = strtoul(words[1], NULL, 10); left > 0; left--) {
        uint64_t start_ns = crowd_now_ns();
        crowd_member *m = open_one(l, NULL);
        open_wait(l, start_ns + to_ns("10"));
        if (m->state == CROWD_JOINED) {
            crowd_record_add(&l->record, m->joined_ns - m->opened_ns);
        } else {
            refused++;
        }
        crowd_close(m);
        turn_until(l, start_ns + gap_ns);
    }
    char more[64];
    snprintf(more, sizeof more, ", \"refused\": %u", refused);
    print_record(l, more);
}

// Fills the socket with what stands ready, again and again; nothing of it is read slower for that.
static uint64_t flood(load *l, crowd_member *m, phi_command command, phi_bytes payload,
                      uint64_t end_ns)
{
    uint64_t packets = 0;
    while (crowd_now_ns() < end_ns) {
        while (phi_outbound_size(&m->out) < FLOOD_CHUNK_BYTES) {
            memcpy(crowd_begin(m, payload.size), payload.data, payload.size);
            crowd_commit(m, command, payload.size);
            packets++;
        }
        crowd_flush(m);
        (void)crowd_turn(&l->crowd, m->is_dirty ? to_ns("0.01") : 0);
        if (m->state != CROWD_JOINED) {
            fail("flood: the center ended the connection");
        }
    }
    return packets;
}

static uint64_t flood_events(load *l, uint64_t end_ns)
{
    crowd_member *m = joined_member(l, 0);
    crowd_member *other = joined_member(l, 1);
    static const uint8_t body[FLOOD_EVENT_BYTES];
    uint8_t payload[512];
    phi_message message = { .kind = PHI_KIND_EVENT,
                            .to = phi_bytes_text(other->id),
                            .from = phi_bytes_text(m->id),
                            .body = phi_bytes_of(body, sizeof body) };
    PH_ASSERT(phi_message_size(&message) <= sizeof payload);
    phi_message_encode(payload, &message);
    return flood(l, m, PHI_COMMAND_MESSAGE, phi_bytes_of(payload, phi_message_size(&message)),
                 end_ns);
}

static uint64_t flood_asks(load *l, uint64_t end_ns)
{
    uint8_t payload[PHI_HEARTBEAT_BYTES];
    phi_writer w = phi_writer_of((phi_span){ payload, sizeof payload });
    phi_heartbeat_encode(&w, &(phi_heartbeat){ .kind = PHI_HEARTBEAT_ASK, .stamp = 1 });
    return flood(l, joined_member(l, 0), PHI_COMMAND_HEARTBEAT, phi_writer_view(&w), end_ns);
}

// Counts connections: each is ended for its first bytes.
static uint64_t flood_garbage(load *l, uint64_t end_ns)
{
    static uint8_t garbage[4096];
    memset(garbage, 0xA5, sizeof garbage);
    static phi_bytes raw;
    raw = phi_bytes_of(garbage, sizeof garbage);
    uint64_t before = l->reopened;
    l->again = true;
    (void)open_one(l, &raw);
    turn_until(l, end_ns);
    l->again = false;
    return l->reopened - before + 1;
}

static void cmd_flood(load *l, char **words, int count)
{
    (void)count;
    uint64_t start_ns = crowd_now_ns();
    uint64_t end_ns = start_ns + to_ns(words[2]);
    uint64_t sent_before = l->crowd.bytes_sent;
    uint64_t done = 0;
    if (strcmp(words[1], "events") == 0) {
        done = flood_events(l, end_ns);
    } else if (strcmp(words[1], "asks") == 0) {
        done = flood_asks(l, end_ns);
    } else if (strcmp(words[1], "garbage") == 0) {
        done = flood_garbage(l, end_ns);
    } else {
        fail("no such flood");
    }
    printf("{\"count\": %llu, \"bytes\": %llu, \"seconds\": %.3f}\n", (unsigned long long)done,
           (unsigned long long)(l->crowd.bytes_sent - sent_before), seconds_since(start_ns));
}

static void cmd_hammer(load *l, char **words, int count)
{
    (void)count;
    uint64_t start_ns = crowd_now_ns();
    uint64_t before = l->reopened;
    uint32_t shed_before = l->crowd.byes[PHI_BYE_LIMIT_REACHED];
    l->again = true;
    for (unsigned long left = strtoul(words[1], NULL, 10); left > 0; left--) {
        (void)open_one(l, NULL);
    }
    turn_until(l, start_ns + to_ns(words[2]));
    l->again = false;
    printf("{\"attempts\": %llu, \"told\": %u, \"seconds\": %.3f}\n",
           (unsigned long long)(l->reopened - before),
           l->crowd.byes[PHI_BYE_LIMIT_REACHED] - shed_before, seconds_since(start_ns));
}

static void cmd_close(load *l, char **words, int count)
{
    (void)count;
    unsigned long left = strtoul(words[1], NULL, 10);
    for (uint32_t i = l->crowd.count; i > 0 && left > 0; i--) {
        if (l->crowd.members[i - 1]->state != CROWD_GONE) {
            crowd_close(l->crowd.members[i - 1]);
            left--;
        }
    }
    printf("{}\n");
}

static void cmd_subscribe(load *l, char **words, int count)
{
    (void)count;
    uint8_t room[512];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_subscription_begin(&w, 1);
    phi_write_change(&w, PHI_SUBSCRIPTION_ADD, phi_bytes_text(words[1]));
    if (w.failed) {
        fail("subscribe: PATTERN is too long");
    }
    uint32_t asked = 0;
    l->subscribed = 0;
    for (uint32_t i = 0; i < l->crowd.count; i++) {
        crowd_member *m = l->crowd.members[i];
        if (m->state == CROWD_JOINED) {
            memcpy(crowd_begin(m, sizeof room), room, phi_writer_size(&w));
            crowd_commit(m, PHI_COMMAND_SUBSCRIPTION, phi_writer_size(&w));
            crowd_flush(m);
            asked++;
        }
    }
    uint64_t end_ns = crowd_now_ns() + to_ns("10");
    while (l->subscribed < asked && crowd_now_ns() < end_ns) {
        (void)crowd_turn(&l->crowd, to_ns("0.1"));
    }
    printf("{\"subscribed\": %u}\n", l->subscribed);
}

static void cmd_watch(load *l, char **words, int count)
{
    (void)words;
    (void)count;
    l->is_watching = true;
    (void)joined_member(l, l->crowd.count);
    l->is_watching = false;
    printf("{}\n");
}

static void print_counts(const uint32_t *counts, uint16_t size, const char *(*name)(uint16_t))
{
    const char *comma = "";
    for (uint16_t code = 0; code < size; code++) {
        if (counts[code] != 0) {
            printf("%s\"%s\": %u", comma, name(code), counts[code]);
            comma = ", ";
        }
    }
}

static const char *why_name(uint16_t code)
{
    return phi_why_name((uint8_t)code);
}

static void cmd_count(load *l, char **words, int count)
{
    (void)words;
    (void)count;
    const crowd *c = &l->crowd;
    printf("{\"joined\": %u, \"raw\": %u, \"gone\": %u, \"opening\": %u, \"events\": %llu, "
           "\"heartbeats\": %llu, \"gone_first_s\": %.3f, \"gone_last_s\": %.3f, \"byes\": {",
           c->in_state[CROWD_JOINED], c->in_state[CROWD_RAW], c->in_state[CROWD_GONE],
           crowd_opening(c), (unsigned long long)l->events, (unsigned long long)c->heartbeats,
           l->gone_first_s, l->gone_last_s);
    print_counts(c->byes, PHI_BYE_COUNT, phi_bye_name);
    printf("}, \"offline_first_s\": %.3f, \"offline_last_s\": %.3f, \"offlines\": {",
           l->offline_first_s, l->offline_last_s);
    print_counts(l->offlines, PHI_WHY_COUNT, why_name);
    printf("}}\n");
}

static const struct {
    const char *name;
    int words; // with the name
    command_fn *run;
} commands[] = {
    { "open", 4, cmd_open },       { "turn", 2, cmd_turn },       { "stall", 2, cmd_stall },
    { "measure", 2, cmd_measure }, { "publish", 5, cmd_publish }, { "calls", 3, cmd_calls },
    { "joins", 3, cmd_joins },     { "flood", 3, cmd_flood },     { "hammer", 3, cmd_hammer },
    { "close", 2, cmd_close },     { "watch", 1, cmd_watch },     { "subscribe", 2, cmd_subscribe },
    { "count", 1, cmd_count },
};

static void run_line(load *l, char *line)
{
    char *words[WORDS_MAX];
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    for (size_t i = 0; i < PHI_COUNT_OF(commands); i++) {
        if (count == commands[i].words && strcmp(words[0], commands[i].name) == 0) {
            commands[i].run(l, words, count);
            fflush(stdout);
            return;
        }
    }
    fail("no such command");
}

// ---- main

static uint32_t count_or_exit(const char *text)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value > 10000000) {
        fail("an option's value is not a count");
    }
    return (uint32_t)value;
}

static crowd_options parse(int argc, char **argv)
{
    crowd_options o = { .prefix = "load", .count_max = 1000, .events = &events };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *key = argv[i];
        const char *value = argv[i + 1];
        if (strcmp(key, "--target") == 0) {
            o.target = value;
        } else if (strcmp(key, "--prefix") == 0) {
            o.prefix = value;
        } else if (strcmp(key, "--sources") == 0) {
            o.sources = count_or_exit(value);
        } else if (strcmp(key, "--members") == 0) {
            o.count_max = count_or_exit(value);
        } else if (strcmp(key, "--receive") == 0) {
            o.receive_max = count_or_exit(value);
        } else if (strcmp(key, "--opening") == 0) {
            o.opening_max = count_or_exit(value);
        } else {
            fail("unknown option");
        }
    }
    if (o.target == NULL) {
        fail("--target HOST:PORT is missing");
    }
    return o;
}

int main(int argc, char **argv)
{
    static load l; // large, and there is one
    crowd_options options = parse(argc, argv);
    options.user = &l;
    crowd_init(&l.crowd, &options);
    crowd_record_init(&l.record, RECORD_MAX);
    crowd_watch(&l.crowd, STDIN_FILENO);

    char line[256];
    size_t size = 0;
    for (;;) {
        if (!crowd_turn(&l.crowd, to_ns("1"))) {
            continue;
        }
        ssize_t n = read(STDIN_FILENO, line + size, 1);
        if (n <= 0) {
            break; // whoever started it is gone
        }
        if (line[size] != '\n') {
            if (++size == sizeof line) {
                fail("line too long");
            }
            continue;
        }
        line[size] = '\0';
        size = 0;
        run_line(&l, line);
    }
    crowd_record_fini(&l.record);
    crowd_fini(&l.crowd);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// bench/wire.c - what the wire layer costs: check, cipher, cutting, the message header.
//
// All benchmarks take turns within a round, so that a busy machine spoils them alike; the median
// over the rounds is printed. The cipher stands beside OpenSSL's own OFB on the same input: alone,
// in the way a processor without AES instructions has, and in groups (megabytes of all together).
//
//     bench_wire [--rounds N] [--output json]

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "wire/codes.h"
#include "wire/inbound.h"
#include "wire/message.h"
#include "wire/outbound.h"

#define ROUNDS_DEFAULT 15
#define ROUNDS_MAX 1000
#define TURN_NS 10000000 // of one benchmark in one round
#define PACKET_BYTES 200
#define LONG_BYTES 65536
#define MEMORY_BYTES (64u * 1024 * 1024) // more than any cache here
#define MESSAGES 64
#define CHUNK_BYTES 65536
#define GROUPS 4 // of 2, 4, 8 and 16 ciphers
#define GROUP_MAX 16
#define GROUP_BYTES 8192 // that a link has at a time
// What eight directions at once must come at, times OpenSSL's OFB on the same core.
#define TOGETHER_LEAST 3.0

// What the benchmarks work on. Results go into `sink`, so that no work can be left out.
typedef struct bench_data {
    uint8_t *memory;
    phi_check check;
    phi_cipher cipher;
    phi_cipher fallback;
    phi_cipher_group groups[GROUPS];
    phi_cipher_group link; // of the two directions in `out` and `in`
    phi_cipher members[GROUPS][GROUP_MAX];
    EVP_CIPHER_CTX *openssl;
    uint8_t messages[MESSAGES][PACKET_BYTES];
    phi_outbound out[PHI_SUITE_COUNT];
    phi_inbound in[PHI_SUITE_COUNT];
    uint64_t sink;
} bench_data;

// Runs once and returns how many units it did.
typedef size_t bench_fn(bench_data *d);

typedef struct bench {
    const char *name;
    const char *unit; // of the median: ns for one, or bytes per time
    bench_fn *run;
    double rounds[ROUNDS_MAX];
} bench;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "bench_wire: %s failed\n", what);
        exit(1);
    }
}

// ---- the benchmarks

static size_t check_packet(bench_data *d)
{
    enum { PACKETS = 256 };
    for (size_t i = 0; i < PACKETS; i++) {
        d->sink +=
            phi_check_packet(&d->check, phi_bytes_of(d->memory + i * PACKET_BYTES, PACKET_BYTES));
    }
    return PACKETS;
}

static size_t check_long(bench_data *d)
{
    d->sink += phi_check_packet(&d->check, phi_bytes_of(d->memory, LONG_BYTES));
    return LONG_BYTES;
}

static size_t check_memory(bench_data *d)
{
    for (size_t at = 0; at < MEMORY_BYTES; at += LONG_BYTES) {
        d->sink += phi_check_packet(&d->check, phi_bytes_of(d->memory + at, LONG_BYTES));
    }
    return MEMORY_BYTES;
}

static size_t cipher_long(bench_data *d)
{
    phi_cipher_apply(&d->cipher, (phi_span){ d->memory, LONG_BYTES });
    return LONG_BYTES;
}

static size_t cipher_packet(bench_data *d)
{
    for (size_t at = 0; at < LONG_BYTES; at += PACKET_BYTES) {
        phi_cipher_apply(&d->cipher, (phi_span){ d->memory + at, PACKET_BYTES });
    }
    return (LONG_BYTES + PACKET_BYTES - 1) / PACKET_BYTES * PACKET_BYTES;
}

static size_t fallback_long(bench_data *d)
{
    phi_cipher_apply(&d->fallback, (phi_span){ d->memory, LONG_BYTES });
    return LONG_BYTES;
}

// As many directions as a loop serves, one after the other.
static size_t group_apply(bench_data *d, size_t group)
{
    size_t count = (size_t)2 << group;
    for (size_t i = 0; i < count; i++) {
        phi_cipher_apply(&d->members[group][i],
                         (phi_span){ d->memory + i * GROUP_BYTES, GROUP_BYTES });
    }
    return count * GROUP_BYTES;
}

static size_t group2(bench_data *d)
{
    return group_apply(d, 0);
}

static size_t group4(bench_data *d)
{
    return group_apply(d, 1);
}

static size_t group8(bench_data *d)
{
    return group_apply(d, 2);
}

static size_t group16(bench_data *d)
{
    return group_apply(d, 3);
}

static void openssl_apply(bench_data *d, uint8_t *data, int size)
{
    int done = 0;
    must(EVP_EncryptUpdate(d->openssl, data, &done, data, size) == 1 && done == size, "OFB");
}

static size_t openssl_long(bench_data *d)
{
    openssl_apply(d, d->memory, LONG_BYTES);
    return LONG_BYTES;
}

static size_t openssl_packet(bench_data *d)
{
    for (size_t at = 0; at < LONG_BYTES; at += PACKET_BYTES) {
        openssl_apply(d, d->memory + at, PACKET_BYTES);
    }
    return (LONG_BYTES + PACKET_BYTES - 1) / PACKET_BYTES * PACKET_BYTES;
}

static size_t message_decode(bench_data *d)
{
    phi_message m;
    for (size_t i = 0; i < MESSAGES; i++) {
        must(phi_message_decode(phi_bytes_of(d->messages[i], PACKET_BYTES), &m) == PH_OK, "decode");
        d->sink += m.call + m.ttl_ms + m.kind + m.to.size + m.body.size + m.body.data[0];
    }
    return MESSAGES;
}

static size_t message_encode(bench_data *d)
{
    static uint8_t room[PACKET_BYTES];
    phi_message m;
    for (size_t i = 0; i < MESSAGES; i++) {
        must(phi_message_decode(phi_bytes_of(d->messages[i], PACKET_BYTES), &m) == PH_OK, "decode");
        phi_message_encode(room, &m);
        d->sink += room[PACKET_BYTES - 1];
    }
    return MESSAGES;
}

// Sends and receives as two ends of a link do, a chunk at a time. Building the packets is part of
// it; so is a chunk that ends within a packet.
static size_t stream(bench_data *d, phi_suite suite)
{
    phi_outbound *out = &d->out[suite];
    phi_inbound *in = &d->in[suite];
    size_t sent = 0;
    while (phi_outbound_size(out) < CHUNK_BYTES) {
        uint8_t *room = phi_outbound_begin(out, PACKET_BYTES);
        must(room != NULL, "begin");
        memcpy(room, d->messages[sent % MESSAGES], PACKET_BYTES);
        phi_outbound_commit(out, PHI_COMMAND_MESSAGE, PACKET_BYTES);
        sent++;
    }
    phi_bytes sealed = phi_outbound_seal(out);
    size_t cut = sealed.size < CHUNK_BYTES ? sealed.size : CHUNK_BYTES;
    memcpy(d->memory, sealed.data, cut);
    phi_outbound_sent(out, cut);

    phi_packet packet;
    phi_inbound_receive(in, (phi_span){ d->memory, cut });
    phi_inbound_result result;
    while ((result = phi_inbound_next(in, &packet)) == PHI_INBOUND_PACKET) {
        d->sink += packet.command + packet.payload.data[0];
    }
    must(result == PHI_INBOUND_MORE, "receiving");
    return sent;
}

static size_t stream_plain(bench_data *d)
{
    return stream(d, PHI_SUITE_PLAIN);
}

static size_t stream_check(bench_data *d)
{
    return stream(d, PHI_SUITE_CHECK);
}

static size_t stream_paper(bench_data *d)
{
    return stream(d, PHI_SUITE_PAPER);
}

static size_t cipher_start(bench_data *d)
{
    phi_cipher cipher;
    must(phi_cipher_init(&cipher, &phi_alloc_heap, d->messages[0], d->messages[1]) == PH_OK,
         "cipher");
    phi_cipher_fini(&cipher);
    return 1;
}

static bench benches[] = {
    { "check of a 200-byte packet", "ns", check_packet, { 0 } },
    { "check of 64 KiB in cache", "GB/s", check_long, { 0 } },
    { "check of 64 MiB in memory", "GB/s", check_memory, { 0 } },
    { "cipher, 64 KiB at a time", "MB/s", cipher_long, { 0 } },
    { "cipher, 8 KiB, two of a group", "MB/s", group2, { 0 } },
    { "cipher, 8 KiB, four of a group", "MB/s", group4, { 0 } },
    { "cipher, 8 KiB, eight of a group", "MB/s", group8, { 0 } },
    { "cipher, 8 KiB, sixteen of a group", "MB/s", group16, { 0 } },
    { "cipher, 64 KiB, by libcrypto", "MB/s", fallback_long, { 0 } },
    { "OpenSSL OFB, 64 KiB at a time", "MB/s", openssl_long, { 0 } },
    { "cipher, 200 bytes at a time", "MB/s", cipher_packet, { 0 } },
    { "OpenSSL OFB, 200 bytes at a time", "MB/s", openssl_packet, { 0 } },
    { "start and end of a cipher", "ns", cipher_start, { 0 } },
    { "message decode", "ns", message_decode, { 0 } },
    { "message decode and encode", "ns", message_encode, { 0 } },
    { "packet sent and cut, plain", "ns", stream_plain, { 0 } },
    { "packet sent and cut, check", "ns", stream_check, { 0 } },
    { "packet sent and cut, paper", "ns", stream_paper, { 0 } },
};
#define BENCHES (sizeof benches / sizeof benches[0])

// ---- running them

static void data_fill(bench_data *d)
{
    phi_random random = phi_random_seeded(1);
    d->memory = malloc(MEMORY_BYTES);
    must(d->memory != NULL, "malloc");
    for (size_t i = 0; i < MEMORY_BYTES; i += sizeof(uint64_t)) {
        phi_put_u64(d->memory + i, phi_random_next(&random));
    }
    const uint8_t *key = d->memory;
    const uint8_t *iv = d->memory + PHI_CIPHER_KEY_BYTES;
    must(phi_cipher_init(&d->cipher, &phi_alloc_heap, key, iv) == PH_OK, "cipher");
    must(phi_cipher_init_way(&d->fallback, &phi_alloc_heap, PHI_KEY_STREAM_LIBRARY, key, iv) ==
             PH_OK,
         "cipher");
    for (size_t g = 0; g < GROUPS; g++) {
        phi_cipher_group_init(&d->groups[g]);
        for (size_t i = 0; i < (size_t)2 << g; i++) {
            phi_cipher *member = &d->members[g][i];
            must(phi_cipher_init(member, &phi_alloc_heap, key + i, iv + i) == PH_OK, "cipher");
            phi_cipher_join(member, &d->groups[g]);
        }
    }
    d->openssl = EVP_CIPHER_CTX_new();
    must(d->openssl != NULL, "OpenSSL");
    must(EVP_EncryptInit_ex2(d->openssl, EVP_aes_256_ofb(), key, iv, NULL) == 1, "OpenSSL");

    for (size_t i = 0; i < MESSAGES; i++) {
        phi_message m = {
            .kind = (uint8_t)phi_random_between(&random, PHI_KIND_REQUEST, PHI_KIND_FAILURE),
            .call = phi_random_next(&random) | 1,
            .ttl_ms = 30000,
            .to = { d->memory, phi_random_between(&random, 5, 20) },
            .from = { d->memory + 20, phi_random_between(&random, 5, 20) },
            .method = { d->memory + 40, phi_random_between(&random, 0, 20) },
            .body = { d->memory + 60, 0 },
        };
        m.body.size = PACKET_BYTES - phi_message_size(&m);
        phi_message_encode(d->messages[i], &m);
    }
    for (int i = 0; i < PHI_SUITE_COUNT; i++) {
        phi_suite suite = (phi_suite)i;
        const uint8_t *suite_key = suite == PHI_SUITE_PAPER ? key : NULL;
        const uint8_t *suite_iv = suite == PHI_SUITE_PAPER ? iv : NULL;
        phi_outbound_init(&d->out[i], &phi_alloc_heap, 4 * CHUNK_BYTES);
        phi_inbound_init(&d->in[i], &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
        must(phi_outbound_suite(&d->out[i], &phi_alloc_heap, suite, suite_key, suite_iv) == PH_OK,
             "suite");
        must(phi_inbound_suite(&d->in[i], suite, suite_key, suite_iv) == PH_OK, "suite");
        if (suite == PHI_SUITE_PAPER) {
            phi_cipher_group_init(&d->link);
            phi_cipher_join(&d->out[i].cipher, &d->link);
            phi_cipher_join(&d->in[i].cipher, &d->link);
        }
    }
}

static void data_free(bench_data *d)
{
    for (int i = 0; i < PHI_SUITE_COUNT; i++) {
        phi_outbound_fini(&d->out[i]);
        phi_inbound_fini(&d->in[i]);
    }
    phi_cipher_group_fini(&d->link);
    EVP_CIPHER_CTX_free(d->openssl);
    phi_cipher_fini(&d->cipher);
    phi_cipher_fini(&d->fallback);
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < GROUP_MAX; i++) {
            phi_cipher_fini(&d->members[g][i]);
        }
        phi_cipher_group_fini(&d->groups[g]);
    }
    free(d->memory);
}

// ns for one unit.
static double turn(bench *b, bench_data *d)
{
    uint64_t begin = now_ns();
    uint64_t end;
    size_t units = 0;
    do {
        units += b->run(d);
        end = now_ns();
    } while (end - begin < TURN_NS);
    return (double)(end - begin) / (double)units;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

// In the bench's own unit.
static double median(bench *b, int rounds)
{
    qsort(b->rounds, (size_t)rounds, sizeof b->rounds[0], compare);
    double ns = b->rounds[rounds / 2];
    if (strcmp(b->unit, "GB/s") == 0) {
        return 1 / ns;
    }
    return strcmp(b->unit, "MB/s") == 0 ? 1000 / ns : ns;
}

static double median_of(bench_fn *run, int rounds)
{
    for (size_t i = 0; i < BENCHES; i++) {
        if (benches[i].run == run) {
            return median(&benches[i], rounds);
        }
    }
    must(0, "finding a benchmark");
    return 0;
}

// Whether the targets hold.
static bool print(int rounds, bool is_json)
{
    for (size_t i = 0; i < BENCHES; i++) {
        double value = median(&benches[i], rounds);
        if (is_json) {
            printf("%s{\"benchmark\":\"wire\",\"what\":\"%s\",\"unit\":\"%s\",\"median\":%.4g,"
                   "\"rounds\":%d}",
                   i == 0 ? "[" : ",\n ", benches[i].name, benches[i].unit, value, rounds);
        } else {
            int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
            printf("%-36s %10.*f %s\n", benches[i].name, decimals, value, benches[i].unit);
        }
    }
    double times = median_of(group8, rounds) / median_of(openssl_long, rounds);
    bool holds = times >= TOGETHER_LEAST;
    if (is_json) {
        printf(",\n {\"benchmark\":\"wire\",\"what\":\"eight of a group, times OpenSSL OFB\","
               "\"unit\":\"\",\"median\":%.4g,\"rounds\":%d,\"target\":%g,\"holds\":%s}]\n",
               times, rounds, TOGETHER_LEAST, holds ? "true" : "false");
    } else {
        printf("%-36s %10.1f times (at least %g: %s)\n", "eight of a group, beside OpenSSL OFB",
               times, TOGETHER_LEAST, holds ? "holds" : "DOES NOT HOLD");
    }
    return holds;
}

int main(int argc, char **argv)
{
    int rounds = ROUNDS_DEFAULT;
    bool is_json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--output") == 0 && i + 1 < argc &&
                   strcmp(argv[i + 1], "json") == 0) {
            is_json = true;
            i++;
        } else {
            rounds = 0;
        }
    }
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: script/bench wire [--rounds 1..%d] [--output json]\n", ROUNDS_MAX);
        return 2;
    }

    static bench_data data;
    data_fill(&data);
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BENCHES; i++) {
            benches[i].rounds[round] = turn(&benches[i], &data);
        }
    }
    data_free(&data);
    bool holds = print(rounds, is_json);
    fprintf(stderr, "sum of all results: %llx\n", (unsigned long long)data.sink);
    return holds ? 0 : 1;
}

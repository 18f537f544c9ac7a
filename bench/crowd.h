// SPDX-License-Identifier: Apache-2.0
//
// bench/crowd.h - thousands of connections to one center from one process: the load of the
// benchmarks. It speaks the protocol by the codecs of wire/ alone, over epoll, so that what it
// costs is small beside what it measures; neither the link nor the client library stands between.
//
// Members   Each is one connection. A joined one sends JOIN as options.join says, and answers
//           heartbeats by itself. A raw one sends some bytes and waits; it is what a port scan, a
//           broken client or an attacker looks like. A member may stop reading (crowd_read), and
//           then the kernel's buffers fill.
// Sources   Loopback addresses 127.0.0.2 and following, in turn: each has its own ephemeral ports.
// Pace      At most opening_max members are on their way at a time.
// Waiting   With options.busy_poll_us it polls before it sleeps, by the rule of the client library.
// Sending   crowd_begin, crowd_commit, then crowd_flush; what the kernel does not take waits, and
//           leaves as the socket has room.
// Life      crowd_init -> crowd_open* -> crowd_turn* -> crowd_fini
// Errors    Of the machine (no memory, no socket): a line on standard error, and exit(1).
// Threads   none

#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "io/busy_poll.h"
#include "wire/bye.h"
#include "wire/handshake.h"
#include "wire/inbound.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/outbound.h"

typedef enum crowd_state {
    CROWD_NEW,        // not connected yet
    CROWD_CONNECTING, // connect(2) is on its way
    CROWD_GREETING,   // waits for HELLO
    CROWD_JOINING,    // waits for WELCOME
    CROWD_JOINED,
    CROWD_RAW, // a raw member that is connected
    CROWD_GONE,
    CROWD_STATE_COUNT
} crowd_state;

typedef struct crowd crowd;

typedef struct crowd_member {
    crowd *crowd;
    uint32_t number; // 0 is the first that was opened
    int fd;          // -1 none
    uint8_t state;   // crowd_state
    bool is_raw;
    bool is_reading;
    bool is_dirty;    // crowd_flush could not hand over all
    uint32_t watched; // epoll's events
    phi_bytes raw;    // borrowed: what a raw member sends
    phi_inbound in;
    phi_outbound out;
    char id[PHI_ID_BYTES_MAX + 1]; // account@domain, once joined
    uint64_t session;              // same
    uint64_t opened_ns;            // before connect(2)
    uint64_t joined_ns;            // when WELCOME was read
    uint64_t gone_ns;
    int error;               // errno that ended it; 0: the other end closed it in order
    bool has_bye;            // the center said why
    uint16_t bye;            // phi_bye_code
    uint32_t retry_after_ms; // that it was told with it
    phi_list waiting;        // on crowd.waiting: to be opened
    void *user;              // the program's
} crowd_member;

// All may be NULL. A member may be closed in any of them.
typedef struct crowd_events {
    // Fills in what the member says in JOIN; version, and an account from the prefix and number,
    // stand there already. Views are borrowed until it returns.
    void (*describe)(crowd_member *m, phi_join *join);
    void (*joined)(crowd_member *m);
    // List, status, message, and what else there may be; the payload is good until it returns.
    void (*packet)(crowd_member *m, const phi_packet *packet);
    // What a raw member is sent; without it, packets of suite plain are cut and handled (so m->bye
    // is known).
    void (*bytes)(crowd_member *m, phi_bytes bytes);
    // It had joined or not; m->has_bye, m->error. It may be opened again here.
    void (*gone)(crowd_member *m);
} crowd_events;

typedef struct crowd_options {
    const char *target; // "127.0.0.1:7678", "unix:PATH"
    const char *prefix; // of accounts: prefix-NUMBER
    uint32_t count_max;
    uint32_t sources;      // addresses to come from; 0: as the kernel chooses
    uint32_t opening_max;  // 0: 256
    uint32_t receive_max;  // bytes the kernel may keep unread for a member; 0: as it likes
    uint32_t busy_poll_us; // 0: it sleeps at once
    const crowd_events *events;
    void *user;
} crowd_options;

struct crowd {
    crowd_options options;
    struct crowd_target *target; // owned
    int epoll;
    phi_busy_poll poll;
    crowd_member **members; // owned; [0, count)
    uint32_t count;
    uint32_t in_state[CROWD_STATE_COUNT];
    uint32_t byes[PHI_BYE_COUNT]; // heard, by code
    uint64_t heartbeats;          // asks answered
    uint64_t bytes_received;
    uint64_t bytes_sent;
    phi_list waiting; // members to be opened, first come first
    uint8_t *input;   // owned
};

// CLOCK_MONOTONIC.
uint64_t crowd_now_ns(void);

void crowd_init(crowd *c, const crowd_options *options);
// Closes all at once, without byes.
void crowd_fini(crowd *c);

// One member more, which connects as opening_max allows. With `raw` (borrowed until it is gone; may
// be empty) it is a raw one. NULL: count_max are there.
crowd_member *crowd_open(crowd *c, const phi_bytes *raw);

// Closes it without a bye; `gone` is not called.
void crowd_close(crowd_member *m);

// One that is gone connects anew, as what it was.
void crowd_reopen(crowd_member *m);

// Stops reading, or goes on. A member that does not read hears nothing, no heartbeat either.
void crowd_read(crowd_member *m, bool is_reading);

// Waits for events of that epoll, at most so long, or polls as long as that pays; how many came.
int crowd_wait(int epoll, struct epoll_event *events, int events_max, uint64_t wait_ns,
               phi_busy_poll *poll);

// Waits at most so long for something to happen and handles it. True when the descriptor of
// crowd_watch is readable.
bool crowd_turn(crowd *c, uint64_t wait_ns);

// Another descriptor that ends the wait: the program's standard input, perhaps.
void crowd_watch(crowd *c, int fd);

// Members on their way, or waiting for it.
static inline uint32_t crowd_opening(const crowd *c)
{
    return c->in_state[CROWD_NEW] + c->in_state[CROWD_CONNECTING] + c->in_state[CROWD_GREETING] +
           c->in_state[CROWD_JOINING];
}

// Room for a payload of up to `payload_max` bytes behind what waits.
uint8_t *crowd_begin(crowd_member *m, size_t payload_max);
void crowd_commit(crowd_member *m, phi_command command, size_t payload_size);
void crowd_flush(crowd_member *m);

// Bytes that are no packet, from a raw member; what the kernel does not take is forgotten. How many
// it took.
size_t crowd_send_raw(crowd_member *m, phi_bytes bytes);

// A whole message, from = the member's id. Not flushed.
void crowd_say(crowd_member *m, phi_kind kind, uint64_t call, const char *to, phi_bytes body);

// A reply to a request that came, with its own body. Not flushed.
void crowd_reply(crowd_member *m, const phi_message *request);

// So many latencies, sorted and cut into percentiles; room for `capacity`, beyond it the newest are
// left out.
typedef struct crowd_record {
    uint32_t *ns; // owned
    uint64_t count;
    uint64_t capacity;
} crowd_record;

void crowd_record_init(crowd_record *r, uint64_t capacity);
void crowd_record_fini(crowd_record *r);
void crowd_record_add(crowd_record *r, uint64_t ns);
// Sorts; then the latency in microseconds below which `part` of all lie.
void crowd_record_sort(crowd_record *r);
double crowd_record_us(const crowd_record *r, double part);

#endif // BENCH_CROWD_H

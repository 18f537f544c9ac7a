// SPDX-License-Identifier: Apache-2.0
//
// tests/client/stage.h - for tests: a client on an io in memory, and a center's end of the link
// that says what the test tells it to, lies included. Virtual time, one thread, no sockets.
//
// Life     stage_init -> (stage_client | stage_up) -> ... -> stage_fini, which expects all memory
//          back

#ifndef TESTS_CLIENT_STAGE_H
#define TESTS_CLIENT_STAGE_H

#include "base/random.h"
#include "client/client.h"
#include "io/tls_files.h"
#include "link/link.h"
#include "wire/message.h"

#define STAGE_T0 phi_seconds(1000)
#define STAGE_GOT_MAX 64u
#define STAGE_EPOCH 7u

// A packet that the center's end got.
typedef struct stage_packet {
    uint16_t command;
    size_t size;
    uint8_t payload[2048]; // longer ones are cut: tests look at the beginning
} stage_packet;

// What the application was told, one line each: "up me@home", "down PH_ERESET", "done PH_OK 0 hi".
typedef struct stage_log {
    char text[8192];
    size_t size;
} stage_log;

typedef struct stage {
    phi_io io; // first
    phi_alloc_counter memory;
    phi_random random;
    phi_list streams;          // phi_stream.node
    struct phi_stream *stream; // the newest; NULL: none
    ph_client *client;
    stage_log log;

    // what the next connections meet
    bool is_deaf;             // connections are refused
    ph_err connect_fails;     // phi_io_connect itself fails
    ph_err closes_with;       // connections end so before they are open; PH_OK: they do not
    const char *closes_why;   // same
    bool says_nothing;        // not even HELLO
    const char *files_fail;   // those of TLS cannot be used; NULL: they can
    phi_bye_code refuse_join; // NORMAL: welcome
    uint32_t retry_after_ms;
    const char *refuse_text; // NULL: the code's own
    const char *id;          // given in WELCOME
    uint32_t expires_ms;     // same; and in answers to credentials
    bool is_mute;            // does not answer those
    uint64_t epoch;
    uint64_t revision;
    size_t write_max; // bytes a stream takes in all; more stay with the client

    // the center's end of the newest connection
    phi_link_options options;
    phi_link center;
    bool has_center;
    unsigned dials;
    char dialled[PHI_ADDRESS_TEXT_MAX];
    const phi_tls *dialled_tls; // NULL: without TLS
    char dialled_name[128];     // tls_name; "": that of the address
    phi_tls_files files;        // the last that were loaded
    unsigned loads;
    unsigned drops;
    unsigned joins;
    unsigned asks;          // for presence, on this connection; pages answer the last
    phi_join join;          // the last; only numbers are good after the turn
    char join_account[80];  // copied
    char token[4097];       // of the last JOIN or credential
    unsigned credentials;   // packets
    phi_presence_ask asked; // numbers only
    bool has_end;
    phi_bye_code end_code;
    stage_packet got[STAGE_GOT_MAX]; // messages and asks; the oldest first
    unsigned got_count;
    unsigned got_lost; // beyond STAGE_GOT_MAX
    // what it gets goes here instead; NULL: into `got`
    void (*on_packet)(struct stage *s, const phi_packet *packet);
    void *arg; // for it

    // what the application does inside its callbacks
    bool echoes;           // answers requests with their body
    bool closes;           // calls ph_client_close in the next callback
    const char *gives;     // in each stage_on_token; NULL: nothing
    bool unwatches;        // in the next on_presence
    unsigned chain_calls;  // so many more calls, each made when the one before is done
    unsigned chain_asks;   // so many more inquiries in `request`, same
    ph_request_id request; // the last that came
    ph_request_id inquiry; // same
} stage;

void stage_init(stage *s, phi_suite suite);
void stage_fini(stage *s);

// All callbacks write to the log. NULL options: defaults.
ph_client_options stage_options(stage *s);
ph_err stage_client(stage *s, const ph_client_options *options);

// For on_token, which stage_options leaves out: gives what `gives` says.
void stage_on_token(ph_client *client, void *arg);

// Makes a client, opens it, lets it join; the log is empty then.
void stage_up(stage *s);

// One turn; and turns until nothing moves any more.
void stage_turn(stage *s);
void stage_settle(stage *s);
// Time passes, with a turn at each timer, and settles.
void stage_pass(stage *s, phi_dur dur);

// The connection breaks, as the client sees it.
void stage_cut(stage *s);
// The center leaves in order.
void stage_bye(stage *s, phi_bye_code code, uint32_t retry_after_ms);

// A center that speaks only TLS, to who does not.
void stage_say_tls_required(stage *s);

// The center says.
void stage_say(stage *s, phi_command command, phi_bytes payload);
void stage_say_message(stage *s, const phi_message *message);
void stage_reply(stage *s, uint64_t call, const char *body);
void stage_fail(stage *s, uint64_t call, uint16_t code, const char *text);
// The same of an inquiry in it.
void stage_fail_ask(stage *s, uint64_t call, uint16_t turn, uint16_t code, const char *text);
void stage_request(stage *s, uint64_t call, const char *method, const char *body);
void stage_inquire(stage *s, uint64_t call, uint16_t turn, const char *method);
void stage_answer(stage *s, uint64_t call, uint16_t turn, const char *body);
void stage_cancel(stage *s, uint64_t call, uint16_t code);

// The n-th message the center got; asserts that it is there and well formed.
phi_message stage_got(stage *s, unsigned n);
void stage_forget(stage *s); // what it got

// For a call that is refused: fails the test.
void stage_on_done_never(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg);

ph_client_counters stage_counters(const stage *s);

// A call of the client whose end goes to the log.
ph_err stage_call_to(stage *s, const char *to, const char *method, uint32_t timeout_ms,
                     ph_call_id *id);

// An inquiry inside the last request that came; its end goes to the log.
ph_err stage_ask(stage *s, const char *method, uint32_t timeout_ms, ph_call_id *id);

// Nothing leaves any more, and the send buffer is filled to the last event that fits; how many did.
unsigned stage_fill(stage *s, size_t body_size);

// Adds a line to the log, for callbacks of the test's own.
PHI_PRINTF(2, 3) void stage_note(stage *s, const char *format, ...);

// What is in the log now; it is empty afterwards.
const char *stage_heard(stage *s);

// An entry of the online list: "+a:1:5" is a@home online with session 1 at revision 5; "-" offline
// (connection lost), "~" changed. Optional ":state" at the end.
void stage_status(stage *s, uint64_t epoch, uint64_t previous, uint64_t revision, const char *news);
void stage_page(stage *s, uint64_t epoch, uint64_t revision, unsigned flags, const char *news);

// The encoded entries of such a text.
size_t stage_entries(uint8_t *room, size_t size, const char *news, uint16_t *count);

#endif // TESTS_CLIENT_STAGE_H

// SPDX-License-Identifier: Apache-2.0
//
// client/core.h - what a client is made of, for the files of this folder.
//
//     options.c  what it was asked to be: checked, copied, turned into a JOIN
//     client.c   its life, and the public functions that look at it
//     dial.c     its state: connecting, centers in turn, waiting, closing
//     token.c    the token that it proves itself with
//     trouble.c  why it is not up, for people
//     receive.c  what comes from the center, to whom it goes
//     send.c     messages, written once, straight into the send buffer; post.h is the way of most
//     call.c     requests of ours, and how they and all else that has a number end
//     gather.c   requests to every instance of a service
//     receipt.c  events whose sender is told what became of them
//     request.c  requests and inquiries of others, and how they are answered
//     ask.c      inquiries of ours: what a responder asks back
//     stream_*.c messages that do not fit into one packet, out and in
//     topic.c    subscriptions, and the events that come through them
//     own_state.c  what it says about itself while it is connected
//     watch.c    the online list as the public functions show it; peers.c is the list itself
//     wait.c     the blocking conveniences
//
// Invariants  A call in `calls` has its timer set; it ends by what it waits for, failure, timer or
//             the end of the connection, whichever is first, and then its handle is given back
//             before its callback runs: so exactly once.
//             An inquiry in `asks` ends in the same ways, and with its request; its place may stay
//             taken longer (ask.c).
//             State UP and an open link are the same thing wherever an application can see it.
//             Applications are called from loop turns only (ph_client_free excepted), between
//             phi_client_enter and phi_client_leave.

#ifndef PHI_CLIENT_CORE_H
#define PHI_CLIENT_CORE_H

#include <posthouse/client.h>
#include <posthouse/dialog.h>

#include "base/assert.h"
#include "base/random.h"
#include "base/slots.h"
#include "base/sm.h"
#include "client/peers.h"
#include "client/streams.h"
#include "client/token.h"
#include "client/topics.h"
#include "io/tls_files.h"
#include "link/ciphers.h"
#include "link/transport.h"
#include "policy/backoff.h"
#include "wire/message.h"
#include "wire/name.h"

#define PHI_CLIENT_MAGIC UINT32_C(0x70684331)
#define PHI_CENTERS_MAX 16u

// Why it is not up: a bye's text, what the link says about itself, and when it goes on.
#define PHI_TROUBLE_BYTES_MAX (PHI_BYE_TEXT_BYTES_MAX + PHI_ADDRESS_TEXT_MAX + 384u)

typedef enum phi_client_state {
    PHI_CLIENT_NEW,      // not opened
    PHI_CLIENT_WAITING,  // `timer` dials
    PHI_CLIENT_AWAITING, // a token; `timer` gives up
    PHI_CLIENT_DIALING,  // the transport will report OPEN or CLOSED; the link has its own timeout
    PHI_CLIENT_UP,       // joined
    PHI_CLIENT_ENDING,   // the link is closed, its transport still flushes; then WAITING
    PHI_CLIENT_CLOSING,  // ph_client_close was called; `timer` tells the application
    PHI_CLIENT_CLOSED,   // for good; the transport may still flush
    PHI_CLIENT_STATE_COUNT
} phi_client_state;

typedef enum phi_call_kind {
    PHI_CALL_REQUEST,
    PHI_CALL_GATHER,
    PHI_CALL_RECEIPT,
} phi_call_kind;

// In full, as it is dialled.
typedef struct phi_center_address {
    char text[PHI_ADDRESS_TEXT_MAX];
    bool is_tls;
} phi_center_address;

// What has a number of ours, in `calls`: a request, a gather, or an event that wants a receipt. Its
// handle is that number on the wire.
typedef struct phi_call {
    phi_timer timer; // its deadline; when cancelled, the next turn
    struct ph_client *client;
    uint64_t handle;
    phi_time deadline;
    union {
        ph_reply_fn *replied;     // request
        ph_gathered_fn *gathered; // gather
        ph_receipt_fn *receipted; // receipt
    } done;
    union {
        ph_inquiry_fn *inquiry; // request
        ph_part_fn *part;       // gather
    } on;                       // either may be NULL
    void *arg;
    uint8_t kind; // phi_call_kind
    bool is_cancelled;
} phi_call;

// An inquiry of ours, in `asks`: what we ask back inside a request of somebody else. Its index,
// plus one, is its `turn` on the wire.
typedef struct phi_ask {
    phi_timer timer; // its deadline, then that of its request; when cancelled, the next turn
    phi_list node;   // on client->asks_by_call
    struct ph_client *client;
    uint64_t handle;
    uint64_t call;     // the request's
    phi_time deadline; // same
    ph_reply_fn *done;
    void *arg;
    bool is_cancelled;    // `done` runs in the next turn
    bool is_answered;     // the center no longer uses its number
    bool is_over;         // `done` has run; the number is still in use at the center
    bool is_request_over; // and so is every inquiry of it
} phi_ask;

// What stands in front of the body in a message to one destination: the same each time, but for two
// numbers. Made by the first message, and good for one connection; post.h.
#define PHI_HEADS 8u            // a power of two
#define PHI_HEAD_BYTES_MAX 192u // encoded; longer ones are not kept

typedef struct phi_head {
    uint16_t size;      // of `bytes`; 0: none
    uint16_t method_at; // in `texts`
    bool is_topic;      // what is to be told is a topic, without its prefix
    char texts[PHI_HEAD_BYTES_MAX - PHI_MESSAGE_HEAD_BYTES + 2]; // whose it is, terminated each
    uint8_t bytes[PHI_HEAD_BYTES_MAX];                           // of an event
} phi_head;

#define PHI_ASKS_MAX 65535u // as many as a turn has values but 0
#define PHI_ASK_LISTS 64u   // a power of two

struct ph_client {
    uint32_t magic;
    uint32_t callbacks; // of the application on the stack
    phi_sm sm;
    phi_io *io;             // borrowed for the client's life: the loop's, or the maker's
    const phi_alloc *alloc; // the io's
    ph_loop *loop;          // NULL on a bare io
    bool owns_loop;

    // options.c
    ph_client_options options; // defaults filled in; texts point into `texts`
    char *texts;               // owned; all copied texts
    size_t texts_size;
    phi_center_address centers[PHI_CENTERS_MAX];
    uint32_t center_count;
    phi_join join;
    phi_link_options link_options; // borrowed by the link

    // dial.c
    phi_transports transports;
    phi_ciphers own_ciphers; // without a loop of the library's, which has some for all on it
    phi_transport transport;
    phi_timer timer;
    phi_backoff backoff;
    phi_random random;
    uint32_t center_index; // which one is dialled, or was last
    uint64_t connection;   // counts connections that came up; part of a ph_request_id
    uint64_t bytes_before; // received before this one was dialled
    phi_time up_since;
    phi_time dial_at;
    char id[PHI_ID_BYTES_MAX + 1];
    size_t id_size;
    ph_err closed_err; // why it was closed for good
    char trouble[PHI_TROUBLE_BYTES_MAX];

    phi_token token;
    phi_tls_files tls;
    phi_head heads[PHI_HEADS]; // of what was sent last
    phi_head answer_head;
    phi_slots calls; // phi_call
    phi_slots asks;  // phi_ask
    phi_list asks_by_call[PHI_ASK_LISTS];
    phi_peers peers;
    phi_topics topics;
    phi_streams streams;
    char *own_texts; // owned; those that `join` views instead of the options'
    size_t own_texts_size;
    unsigned owes_own;  // what about itself the center has still to be told; own_state.c
    phi_timer again;    // asks for the whole list again, after there was no memory for some of it
    bool owes_ask;      // presence has to be asked for, and could not yet: no room, or JOIN was out
    bool owes_writable; // the application saw PH_EBUSY
    ph_client_counters counters;
};

// Around every callback of the application.
static inline void phi_client_enter(ph_client *client)
{
    client->callbacks++;
}
static inline void phi_client_leave(ph_client *client)
{
    PH_ASSERT(client->callbacks > 0);
    client->callbacks--;
}

static inline bool phi_client_is(const ph_client *client, phi_client_state state)
{
    return phi_sm_is(&client->sm, (uint8_t)state);
}

static inline ph_view phi_view_of(phi_bytes bytes)
{
    return (ph_view){ (const char *)bytes.data, bytes.size };
}

static inline phi_bytes phi_client_id(const ph_client *client)
{
    return phi_bytes_of(client->id, client->id_size);
}

// ---- options.c

// Checks, fills in defaults and copies; sets up `join` and `link_options`.
// PH_EINVAL, PH_ENOMEM   as ph_client_new; nothing is held
PHI_MUST_CHECK ph_err phi_client_options_take(ph_client *client, const ph_client_options *options);
void phi_client_options_give(ph_client *client);

// Whether a center takes it, whatever presence this client will ask for.
bool phi_client_join_fits(const phi_join *join);
bool phi_client_metadata_is_fine(const ph_metadata *metadata, size_t count);

// Copies a struct whose size is its first member, from a caller who may know fewer fields, or more:
// then those that are unknown here have to be zero. False when not, or when it is not even
// `size_min` long.
bool phi_struct_copy(void *to, size_t size, const void *from, size_t size_min);

// The other way: fills in as much of the caller's struct as it says it has. What of it is unknown
// here becomes zero. `from` has `size` bytes. False, and nothing written: the size is less than
// `size_min`, or none that anybody could have set.
bool phi_struct_give(void *to, const void *from, size_t size, size_t size_min);

// ---- dial.c

extern const phi_sm_state phi_client_states[PHI_CLIENT_STATE_COUNT];

void phi_client_dial_init(ph_client *client);
void phi_client_dial_fini(ph_client *client);
void phi_client_dial_open(ph_client *client);
void phi_client_dial_close(ph_client *client);

// There is a token, for which it was waiting.
void phi_client_dial_on(ph_client *client);

// The link is open, the link is closed, the transport is gone: from receive.c.
void phi_client_on_open(ph_client *client, const phi_welcome *welcome);
void phi_client_on_end(ph_client *client, const phi_link_end *end);
void phi_client_on_gone(ph_client *client);

// The center broke the protocol in what it sent: bye and a new connection.
void phi_client_breach(ph_client *client, const char *what);

// ---- trouble.c

// Fills in `trouble`: "cannot connect to HOST:PORT: Connection refused"; the same for the end of a
// connection, with advice where the reason is likely to be a mistake in what was dialled.
void phi_client_describe(ph_client *client, const char *what, phi_bytes why);
void phi_client_describe_end(ph_client *client, const phi_link_end *end, bool was_up);

// ---- receive.c

extern const phi_transport_events phi_client_transport_events;

// on_writable, when the application waits for it: now, or as soon as there is room.
void phi_client_tell_writable(ph_client *client);

// What a callback is given.
static inline ph_incoming phi_client_incoming(const phi_message *message)
{
    return (ph_incoming){
        .from = phi_view_of(message->from),
        .to = phi_view_of(message->to),
        .method = phi_view_of(message->method),
        .headers = phi_view_of(message->headers),
        .body = phi_view_of(message->body),
        .timeout_ms = message->ttl_ms,
    };
}

// ---- call.c

void phi_client_calls_init(ph_client *client);
void phi_client_calls_fini(ph_client *client);
// All of them, and all inquiries, with `status`.
void phi_client_calls_end(ph_client *client, ph_err status);
void phi_client_on_plain_reply(ph_client *client, phi_bytes payload); // no flags, no turn
void phi_client_on_reply(ph_client *client, phi_bytes payload);
void phi_client_on_failure(ph_client *client, const phi_message *message);

// Gives it a number, sends it, and sets its timer, `grace` behind its deadline. What it calls when
// it ends is for the caller to fill in.
//
// PH_EINVAL, PH_ETIMEDOUT, PH_ENOTCONNECTED, PH_ELIMIT, PH_ENOMEM, PH_ETOOLARGE, PH_EBUSY   as
//            ph_client_request
PHI_MUST_CHECK ph_err phi_call_start(ph_client *client, struct phi_draft *draft, phi_dur grace,
                                     phi_call **out);

// The call of that number and kind that has not ended; NULL, and counted as stray, when there is
// none.
phi_call *phi_call_find(ph_client *client, uint64_t handle, phi_call_kind kind);

// Its number goes back, and is counted: `call` is gone. What is left is to call its `done`.
void phi_call_close(phi_call *call, ph_err status);

// A failure in the words of ph_reply_fn: its status, and `reply` with the text as its body, or
// NULL. False: it has no code, and the link has ended.
typedef struct phi_failed {
    ph_err status;
    uint16_t code;
    const ph_incoming *reply; // NULL, or &incoming
    ph_incoming incoming;
} phi_failed;
bool phi_failed_take(ph_client *client, const phi_message *message, phi_failed *out);

// ---- gather.c

void phi_client_on_part(ph_client *client, const phi_message *message);
void phi_client_on_gathered(phi_call *call, const phi_message *message);
void phi_gather_end(phi_call *call, ph_err status, uint16_t code, const ph_gathered *gathered);

// ---- receipt.c

void phi_client_on_receipt(ph_client *client, const phi_message *message);
void phi_receipt_end(phi_call *call, ph_err status, const ph_receipt *receipt);

// ---- request.c

void phi_client_on_plain_request(ph_client *client, phi_bytes payload); // no flags
void phi_client_on_request(ph_client *client, phi_bytes payload);
// Answers it with no_handler.
void phi_client_refuse(ph_client *client, const phi_message *request);
void phi_client_on_inquiry(ph_client *client, const phi_message *message);
void phi_client_on_cancel(ph_client *client, const phi_message *message);

// ---- ask.c

void phi_client_asks_init(ph_client *client);
void phi_client_asks_end(ph_client *client, ph_err status);
// Those of a request that was answered by us; of one that is over, because of `code`.
void phi_client_asks_drop(ph_client *client, uint64_t call);
void phi_client_asks_cancel(ph_client *client, uint64_t call, uint16_t code);
void phi_client_on_answer(ph_client *client, const phi_message *message);
// Whether an answer of that turn in that call is waited for.
bool phi_client_is_asking(ph_client *client, const phi_message *answer);

// Inquiries share ph_call_id with calls, whose index is far below this bit.
#define PHI_ASK_ID UINT64_C(0x80000000)
PHI_MUST_CHECK ph_err phi_ask_give_up(ph_client *client, ph_call_id id);

// ---- own_state.c

void phi_client_own_fini(ph_client *client);
// Says what it owes: now, with JOIN, or as soon as there is room.
void phi_client_own_flush(ph_client *client);
void phi_client_on_wish(ph_client *client, phi_bytes payload);

// ---- watch.c

void phi_client_watch_init(ph_client *client);
void phi_client_watch_fini(ph_client *client);
void phi_client_watch_join(ph_client *client); // fills in the ask that goes with JOIN
void phi_client_ask(ph_client *client);        // now, or as soon as there is room
void phi_client_on_page(ph_client *client, phi_bytes payload);
void phi_client_on_status(ph_client *client, phi_bytes payload);

#endif // PHI_CLIENT_CORE_H

// SPDX-License-Identifier: Apache-2.0
//
// tests/client/stage.c - see stage.h.

#include "tests/client/stage.h"

#include <posthouse/dialog.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"
#include "wire/credential.h"

struct phi_stream {
    phi_list node; // on stage.streams
    const phi_stream_events *events;
    void *owner;
    bool is_opening;
    bool is_refused;
    bool is_closed; // by its owner
    bool is_cut;
    bool is_blocked; // took less than all
    size_t taken;
};

static stage *stage_of(phi_io *io)
{
    return (stage *)(void *)io;
}

// ---- the io

static ph_err op_connect(phi_io *io, const phi_connect_options *options,
                         const phi_stream_events *events, void *owner, phi_stream **out,
                         phi_diag *diag)
{
    stage *s = stage_of(io);
    s->dials++;
    snprintf(s->dialled, sizeof s->dialled, "%s", options->address);
    s->dialled_tls = options->tls;
    const char *name = options->tls_name == NULL ? "" : options->tls_name;
    snprintf(s->dialled_name, sizeof s->dialled_name, "%s", name);
    if (s->connect_fails != PH_OK) {
        return phi_diag_add(diag, s->connect_fails, "no descriptor left");
    }
    phi_stream *stream = calloc(1, sizeof *stream);
    assert_non_null(stream);
    stream->events = events;
    stream->owner = owner;
    stream->is_opening = true;
    stream->is_refused = s->is_deaf;
    phi_list_append(&s->streams, &stream->node);
    s->stream = stream;
    *out = stream;
    return PH_OK;
}

static void op_attach(phi_stream *stream, const phi_stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

static stage *the_stage; // streams know no io; one stage at a time

static void keep_token(stage *s, phi_bytes token)
{
    assert_true(token.size < sizeof s->token);
    snprintf(s->token, sizeof s->token, "%.*s", (int)token.size, (const char *)token.data);
}

static void on_join(stage *s, const phi_join *join)
{
    s->joins++;
    s->join = *join;
    s->asked = join->presence;
    snprintf(s->join_account, sizeof s->join_account, "%.*s", (int)join->account.size,
             (const char *)join->account.data);
    keep_token(s, join->token);
    if (s->refuse_join != PHI_BYE_NORMAL) {
        phi_link_bye(&s->center, s->refuse_join, s->retry_after_ms, s->refuse_text);
        return;
    }
    phi_welcome welcome = { phi_bytes_text(s->id), 1, s->epoch, s->revision, s->expires_ms };
    phi_link_welcome(&s->center, &welcome, s->io.now);
}

static void on_credential(stage *s, phi_bytes payload)
{
    phi_credential credential;
    EXPECT_ERR(phi_credential_decode(payload, &credential), PH_OK);
    s->credentials++;
    keep_token(s, credential.token);
    if (s->is_mute) {
        return;
    }
    uint8_t *room = phi_link_begin(&s->center, PHI_CREDENTIAL_ANSWER_BYTES_MAX);
    assert_non_null(room);
    phi_writer w = phi_writer_of((phi_span){ room, PHI_CREDENTIAL_ANSWER_BYTES_MAX });
    phi_credential_answer_encode(&w, &(phi_credential_answer){ s->expires_ms });
    phi_link_commit(&s->center, PHI_COMMAND_CREDENTIAL, phi_writer_size(&w));
}

static void on_packet(stage *s, const phi_packet *packet)
{
    s->asks += packet->command == PHI_COMMAND_ONLINE_LIST;
    if (packet->command == PHI_COMMAND_CREDENTIAL) {
        on_credential(s, packet->payload);
    } else if (s->on_packet != NULL) {
        s->on_packet(s, packet);
    } else if (s->got_count == STAGE_GOT_MAX) {
        s->got_lost++;
    } else {
        stage_packet *p = &s->got[s->got_count++];
        p->command = packet->command;
        size_t size = packet->payload.size;
        p->size = size < sizeof p->payload ? size : sizeof p->payload;
        memcpy(p->payload, packet->payload.data, p->size);
    }
}

// What the client wrote, as the center's end of the link takes it.
static void on_written(stage *s, phi_span bytes)
{
    phi_link_receive(&s->center, bytes, s->io.now);
    for (;;) {
        phi_link_event event;
        phi_link_next(&s->center, &event, s->io.now);
        if (event.type == PHI_LINK_EVENT_JOIN) {
            on_join(s, event.join);
        } else if (event.type == PHI_LINK_EVENT_PACKET) {
            on_packet(s, &event.packet);
        } else if (event.type == PHI_LINK_EVENT_CLOSED) {
            s->has_end = true;
            s->end_code = event.end.code;
            return;
        } else if (event.type == PHI_LINK_EVENT_NONE) {
            return;
        }
    }
}

static size_t op_write(phi_stream *stream, phi_bytes bytes)
{
    stage *s = the_stage;
    if (stream->is_cut || stream != s->stream || !s->has_center) {
        return bytes.size;
    }
    size_t room = stream->taken < s->write_max ? s->write_max - stream->taken : 0;
    size_t count = bytes.size < room ? bytes.size : room;
    stream->taken += count;
    stream->is_blocked = count < bytes.size;
    if (count != 0) {
        uint8_t *copy = malloc(count);
        assert_non_null(copy);
        memcpy(copy, bytes.data, count);
        on_written(s, (phi_span){ copy, count });
        free(copy);
    }
    return count;
}

static void op_pause(phi_stream *stream, bool is_paused)
{
    (void)stream;
    (void)is_paused;
}

static void op_close(phi_stream *stream)
{
    stream->is_closed = true;
}

// Credentials are not looked into here: any address will do, another for each load.
static ph_err op_tls_load(phi_io *io, phi_tls_files *files, phi_diag *diag)
{
    static char credentials[64];
    stage *s = stage_of(io);
    if (s->files_fail != NULL) {
        return phi_diag_add(diag, PH_EINVAL, "%s", s->files_fail);
    }
    files->tls = (phi_tls *)(void *)&credentials[s->loads++ % sizeof credentials];
    s->files = *files;
    return PH_OK;
}

static void op_tls_drop(phi_io *io, phi_tls_files *files)
{
    stage_of(io)->drops++;
    files->tls = NULL;
}

static void op_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    stage *s = stage_of(io);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)phi_random_next(&s->random);
    }
}

static void op_read_clock(phi_io *io)
{
    (void)io; // the test moves it
}

static const phi_io_ops stage_ops = {
    .connect = op_connect,
    .stream_attach = op_attach,
    .stream_write = op_write,
    .stream_pause = op_pause,
    .stream_close = op_close,
    .tls_load = op_tls_load,
    .tls_drop = op_tls_drop,
    .entropy = op_entropy,
    .read_clock = op_read_clock,
};

static void center_fini(stage *s)
{
    if (s->has_center) {
        phi_link_fini(&s->center);
        s->has_center = false;
    }
}

static void center_init(stage *s)
{
    static const phi_keys keys = { .to_client_key = { 1 }, .to_center_key = { 2 } };
    center_fini(s);
    ph_err rc = phi_link_init(&s->center, &s->options,
                              s->options.suite == PHI_SUITE_PAPER ? &keys : NULL, s->io.now);
    EXPECT_ERR(rc, PH_OK);
    s->has_center = true;
    s->asks = 0;
    s->has_end = false;
}

static void end_stream(stage *s, phi_stream *stream, ph_err reason, const char *why)
{
    phi_list_remove(&stream->node);
    if (s->stream == stream) {
        s->stream = NULL;
        center_fini(s);
    }
    stream->events->on_closed(stream->owner, reason, why);
    free(stream);
}

// What the center's end has to send arrives whole.
static void deliver(stage *s, phi_stream *stream)
{
    if (!s->has_center || s->says_nothing || phi_link_waiting(&s->center) == 0) {
        return;
    }
    phi_bytes bytes = phi_link_seal(&s->center);
    size_t size = bytes.size;
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes.data, size);
    phi_link_sent(&s->center, size);
    stream->events->on_bytes(stream->owner, (phi_span){ copy, size });
    free(copy);
}

static void move_stream(stage *s, phi_stream *stream)
{
    if (stream->is_closed) {
        end_stream(s, stream, PH_OK, "");
    } else if (stream->is_refused) {
        end_stream(s, stream, PH_ECONNECT, "Connection refused");
    } else if (stream->is_opening && s->closes_with != PH_OK) {
        end_stream(s, stream, s->closes_with, s->closes_why);
    } else if (stream->is_cut) {
        end_stream(s, stream, PH_ERESET, "Connection reset by peer");
    } else if (stream->is_opening) {
        stream->is_opening = false;
        center_init(s);
        stream->events->on_open(stream->owner);
    } else if (stream == s->stream) {
        deliver(s, stream);
        bool is_over = s->has_center && phi_link_is(&s->center, PHI_LINK_CLOSED) &&
                       phi_link_waiting(&s->center) == 0;
        if (s->stream == stream && is_over && !stream->is_closed) {
            end_stream(s, stream, PH_ECLOSED, "");
        } else if (s->stream == stream && stream->is_blocked && stream->taken < s->write_max) {
            stream->is_blocked = false;
            stream->events->on_writable(stream->owner);
        }
    }
}

void stage_turn(stage *s)
{
    the_stage = s;
    s->io.is_turning = true;
    for (phi_list *node = s->streams.next, *next; node != &s->streams; node = next) {
        next = node->next;
        move_stream(s, PHI_CONTAINER_OF(node, phi_stream, node));
    }
    phi_timers_run(&s->io.timers, s->io.now);
    phi_io_run_hooks(&s->io);
    s->io.is_turning = false;
}

void stage_settle(stage *s)
{
    for (unsigned i = 0; i < 12; i++) { // connect, HELLO, JOIN, WELCOME, and an answer
        stage_turn(s);
    }
}

void stage_pass(stage *s, phi_dur dur)
{
    phi_time end = phi_time_add(s->io.now, dur);
    stage_settle(s);
    for (;;) {
        phi_time next = phi_timers_next(&s->io.timers);
        if (phi_time_before(end, next)) {
            break;
        }
        s->io.now = phi_time_before(s->io.now, next) ? next : s->io.now;
        stage_settle(s);
    }
    s->io.now = end;
    stage_settle(s);
}

// ---- life

void stage_init(stage *s, phi_suite suite)
{
    *s = (stage){
        .random = phi_random_seeded(1),
        .id = "me@home",
        .epoch = STAGE_EPOCH,
        .revision = 1,
        .write_max = SIZE_MAX,
    };
    phi_alloc_counter_init(&s->memory, &phi_alloc_heap);
    phi_io_init(&s->io, &stage_ops, &s->memory.alloc, (phi_time){ STAGE_T0.ns });
    phi_list_init(&s->streams);
    s->options = (phi_link_options){
        .alloc = &phi_alloc_heap,
        .side = PHI_LINK_CENTER,
        .send_bytes_max = 1u << 20,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(5),
        .heartbeat_idle = phi_seconds(3600),
        .heartbeat_grace = phi_seconds(3600),
        .full_timeout = phi_seconds(10),
        .suite = suite,
        .domain = phi_bytes_text("home"),
        .calls_max = 1024,
    };
    the_stage = s;
}

void stage_fini(stage *s)
{
    ph_client_free(&s->client);
    stage_settle(s); // streams that were left behind end
    EXPECT(phi_list_is_empty(&s->streams));
    center_fini(s);
    EXPECT_EQ(s->memory.blocks, 0);
    EXPECT_EQ(s->memory.bytes, 0);
    EXPECT_EQ(s->io.timers.count, 0);
    EXPECT(phi_list_is_empty(&s->io.hooks));
    EXPECT(phi_list_is_empty(&s->io.asked_hooks));
    EXPECT(phi_list_is_empty(&s->io.late_hooks));
}

// ---- the application

void stage_note(stage *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stage_log *log = &s->log;
    int size = vsnprintf(log->text + log->size, sizeof log->text - log->size, format, args);
    va_end(args);
    assert_true(size >= 0 && log->size + (size_t)size < sizeof log->text);
    log->size += (size_t)size;
}

static void act(stage *s)
{
    if (s->closes) {
        s->closes = false;
        ph_client_close(s->client);
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    stage *s = arg;
    static const char *names[] = { "down", "up", "closed" };
    EXPECT(ph_client_state(client) == change->state);
    if (change->state == PH_LINK_UP) {
        stage_note(s, "up %.*s\n", (int)change->id.size, change->id.data);
    } else {
        stage_note(s, "%s %s%s%.*s\n", names[change->state], ph_err_name(change->err),
                   change->bye.size == 0 ? "" : " ", (int)change->bye.size, change->bye.data);
    }
    act(s);
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    stage *s = arg;
    stage_note(s, "%s %.*s %u %s\n", ph_change_name(change), (int)peer->id.size, peer->id.data,
               (unsigned)peer->session,
               change == PH_OFFLINE ? ph_reason_name(reason) : ph_state_name(peer->state));
    if (s->unwatches) {
        s->unwatches = false;
        ph_client_unwatch(client);
    }
    act(s);
}

static void on_presence_ready(ph_client *client, uint64_t revision, void *arg)
{
    (void)client;
    stage_note(arg, "ready %u\n", (unsigned)revision);
    act(arg);
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    stage_note(arg, "event %.*s %.*s\n", (int)event->method.size, event->method.data,
               (int)event->body.size, event->body.data);
    act(arg);
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    stage *s = arg;
    s->request = request;
    stage_note(s, "request %u %.*s\n", (unsigned)request.call, (int)incoming->method.size,
               incoming->method.data);
    if (s->echoes) {
        EXPECT_ERR(ph_client_reply(client, request, incoming->body.data, incoming->body.size),
                   PH_OK);
    }
    act(s);
}

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    stage *s = arg;
    s->inquiry = inquiry;
    EXPECT_EQ(call.value, inquiry.call);
    stage_note(s, "inquiry %u %.*s\n", inquiry.turn, (int)incoming->method.size,
               incoming->method.data);
    if (s->echoes) {
        EXPECT_ERR(ph_client_reply(client, inquiry, incoming->body.data, incoming->body.size),
                   PH_OK);
    }
    act(s);
}

static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg)
{
    (void)client;
    stage_note(arg, "cancel %u %s\n", (unsigned)request.call, ph_failure_name(code));
    act(arg);
}

static void on_writable(ph_client *client, void *arg)
{
    (void)client;
    stage_note(arg, "writable\n");
    act(arg);
}

static void on_state_wish(ph_client *client, ph_state state, void *arg)
{
    (void)client;
    stage_note(arg, "wish %s\n", ph_state_name(state));
    act(arg);
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)call;
    stage *s = arg;
    stage_note(s, "done %s %u%s%.*s\n", ph_err_name(status), code, reply == NULL ? "" : " ",
               reply == NULL ? 0 : (int)reply->body.size, reply == NULL ? "" : reply->body.data);
    if (s->chain_calls > 0) {
        s->chain_calls--;
        ph_outgoing out = PH_OUTGOING_INIT;
        out.to = "echo";
        if (ph_client_request(client, &out, NULL, on_reply, s) != PH_OK) {
            stage_note(s, "no call\n");
        }
    }
    if (s->chain_asks > 0) {
        s->chain_asks--;
        EXPECT_ERR(stage_ask(s, "again", 0, NULL), PH_OK);
    }
    act(s);
}

ph_err stage_ask(stage *s, const char *method, uint32_t timeout_ms, ph_call_id *id)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.method = method;
    out.timeout_ms = timeout_ms;
    return ph_client_ask(s->client, s->request, &out, id, on_reply, s);
}

void stage_on_token(ph_client *client, void *arg)
{
    stage *s = arg;
    stage_note(s, "token?\n");
    act(s);
    if (s->gives != NULL && ph_client_state(client) != PH_LINK_CLOSED) {
        EXPECT_ERR(ph_client_set_token(client, s->gives), PH_OK);
    }
}

ph_client_options stage_options(stage *s)
{
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    o.account = "me";
    o.heartbeat_idle_ms = 3600000;
    o.heartbeat_grace_ms = 3600000;
    o.on_link = on_link;
    o.on_presence = on_presence;
    o.on_presence_ready = on_presence_ready;
    o.on_event = on_event;
    o.on_request = on_request;
    o.on_cancel = on_cancel;
    o.on_inquiry = on_inquiry;
    o.on_writable = on_writable;
    o.on_state_wish = on_state_wish;
    o.arg = s;
    return o;
}

ph_err stage_client(stage *s, const ph_client_options *options)
{
    ph_client_options o = stage_options(s);
    return phi_client_new_on(&s->client, &s->io, options == NULL ? &o : options);
}

void stage_up(stage *s)
{
    EXPECT_ERR(stage_client(s, NULL), PH_OK);
    EXPECT_ERR(ph_client_open(s->client), PH_OK);
    stage_settle(s);
    EXPECT(ph_client_state(s->client) == PH_LINK_UP);
    stage_heard(s);
}

void stage_on_done_never(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    (void)status;
    (void)code;
    (void)reply;
    (void)arg;
    fail_msg("the call was refused; its callback must not run");
}

ph_client_counters stage_counters(const stage *s)
{
    ph_client_counters count = { .struct_size = sizeof count };
    ph_client_count(s->client, &count);
    return count;
}

ph_err stage_call_to(stage *s, const char *to, const char *method, uint32_t timeout_ms,
                     ph_call_id *id)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = to;
    out.method = method;
    out.timeout_ms = timeout_ms;
    return ph_client_request(s->client, &out, id, on_reply, s);
}

unsigned stage_fill(stage *s, size_t body_size)
{
    static const char body[4096];
    assert_true(body_size <= sizeof body);
    stage_settle(s);
    s->write_max = 0;
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    out.body = body;
    out.body_size = body_size;
    unsigned sent = 0;
    ph_err rc = PH_OK;
    while ((rc = ph_client_send(s->client, &out)) == PH_OK) {
        sent++;
        assert_true(sent < 100000);
    }
    EXPECT_ERR(rc, PH_EBUSY);
    return sent;
}

const char *stage_heard(stage *s)
{
    s->log.text[s->log.size] = '\0';
    s->log.size = 0;
    return s->log.text;
}

// ---- the center

void stage_cut(stage *s)
{
    assert_non_null(s->stream);
    s->stream->is_cut = true;
    stage_settle(s);
}

void stage_bye(stage *s, phi_bye_code code, uint32_t retry_after_ms)
{
    phi_link_bye(&s->center, code, retry_after_ms, NULL);
    stage_settle(s);
}

void stage_say_tls_required(stage *s)
{
    uint8_t said[PHI_LINK_TLS_REQUIRED_BYTES_MAX];
    size_t size = phi_link_tls_required((phi_span){ said, sizeof said });
    s->stream->events->on_bytes(s->stream->owner, (phi_span){ said, size });
}

void stage_say(stage *s, phi_command command, phi_bytes payload)
{
    uint8_t *room = phi_link_begin(&s->center, payload.size);
    assert_non_null(room);
    if (payload.size != 0) {
        memcpy(room, payload.data, payload.size);
    }
    phi_link_commit(&s->center, command, payload.size);
    stage_settle(s);
}

void stage_say_message(stage *s, const phi_message *message)
{
    static uint8_t room[PHI_PACKET_BYTES_MAX];
    assert_true(phi_message_size(message) <= sizeof room);
    phi_message_encode(room, message);
    stage_say(s, PHI_COMMAND_MESSAGE, phi_bytes_of(room, phi_message_size(message)));
}

void stage_reply(stage *s, uint64_t call, const char *body)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_REPLY,
                                         .call = call,
                                         .from = phi_bytes_text("echo@home"),
                                         .body = phi_bytes_text(body) });
}

void stage_fail(stage *s, uint64_t call, uint16_t code, const char *text)
{
    stage_fail_ask(s, call, /* turn= */ 0, code, text);
}

void stage_fail_ask(stage *s, uint64_t call, uint16_t turn, uint16_t code, const char *text)
{
    uint8_t body[256];
    phi_put_u16(body, code);
    memcpy(body + 2, text, strlen(text));
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_FAILURE,
                                         .call = call,
                                         .turn = turn,
                                         .from = phi_bytes_text("@home"),
                                         .body = phi_bytes_of(body, 2 + strlen(text)) });
}

void stage_request(stage *s, uint64_t call, const char *method, const char *body)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                         .call = call,
                                         .ttl_ms = 500,
                                         .to = phi_bytes_text("me"),
                                         .from = phi_bytes_text("you@home"),
                                         .method = phi_bytes_text(method),
                                         .body = phi_bytes_text(body) });
}

void stage_inquire(stage *s, uint64_t call, uint16_t turn, const char *method)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_INQUIRY,
                                         .call = call,
                                         .turn = turn,
                                         .ttl_ms = 300,
                                         .depth = 1,
                                         .from = phi_bytes_text("echo@home"),
                                         .method = phi_bytes_text(method),
                                         .body = phi_bytes_text("what?") });
}

void stage_answer(stage *s, uint64_t call, uint16_t turn, const char *body)
{
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_ANSWER,
                                         .call = call,
                                         .turn = turn,
                                         .from = phi_bytes_text("you@home"),
                                         .body = phi_bytes_text(body) });
}

void stage_cancel(stage *s, uint64_t call, uint16_t code)
{
    uint8_t body[2];
    phi_put_u16(body, code);
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_CANCEL,
                                         .call = call,
                                         .from = phi_bytes_text("@home"),
                                         .body = phi_bytes_of(body, sizeof body) });
}

phi_message stage_got(stage *s, unsigned n)
{
    assert_true(n < s->got_count);
    phi_message message = { .kind = 0 };
    EXPECT_EQ(s->got[n].command, PHI_COMMAND_MESSAGE);
    EXPECT_ERR(phi_message_decode(phi_bytes_of(s->got[n].payload, s->got[n].size), &message),
               PH_OK);
    return message;
}

void stage_forget(stage *s)
{
    s->got_count = 0;
    s->got_lost = 0;
}

size_t stage_entries(uint8_t *room, size_t size, const char *news, uint16_t *count)
{
    phi_writer w = phi_writer_of((phi_span){ room, size });
    *count = 0;
    while (*news != '\0') {
        char sign = 0;
        char name[40] = "";
        unsigned session = 0;
        unsigned revision = 0;
        unsigned state = PHI_STATE_READY;
        int used = 0;
        int found = sscanf(news, " %c%39[^: ]:%u:%u%n:%u%n", &sign, name, &session, &revision,
                           &used, &state, &used);
        assert_true(found >= 4);
        char id[64];
        snprintf(id, sizeof id, "%s@home", name);
        phi_entry entry = {
            .what = sign == '+'   ? PHI_WHAT_ONLINE
                    : sign == '-' ? PHI_WHAT_OFFLINE
                                  : PHI_WHAT_CHANGED,
            .reason = sign == '-' ? PHI_WHY_CONNECTION_LOST : PHI_WHY_NONE,
            .type = PHI_TYPE_CLIENT,
            .state = (uint8_t)state,
            .session = session,
            .revision = revision,
            .id = phi_bytes_text(id),
            .service = phi_bytes_text("letters"),
        };
        phi_entry_encode(&w, &entry);
        (*count)++;
        news += used;
    }
    assert_false(w.failed);
    return phi_writer_size(&w);
}

void stage_status(stage *s, uint64_t epoch, uint64_t previous, uint64_t revision, const char *news)
{
    uint8_t entries[2048];
    phi_status status = { .epoch = epoch, .previous = previous, .revision = revision };
    size_t size = stage_entries(entries, sizeof entries, news, &status.count);
    status.entries = phi_bytes_of(entries, size);
    uint8_t room[4096];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_status_encode(&w, &status);
    stage_say(s, PHI_COMMAND_ONLINE_STATUS, phi_writer_view(&w));
}

void stage_page(stage *s, uint64_t epoch, uint64_t revision, unsigned flags, const char *news)
{
    uint8_t entries[2048];
    phi_page page = { .epoch = epoch, .revision = revision };
    page.flags = (uint8_t)(flags | (s->asks % PHI_PAGE_ASKS_COUNT) << PHI_PAGE_ASKS_SHIFT);
    size_t size = stage_entries(entries, sizeof entries, news, &page.count);
    page.entries = phi_bytes_of(entries, size);
    uint8_t room[4096];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_page_encode(&w, &page);
    stage_say(s, PHI_COMMAND_ONLINE_LIST, phi_writer_view(&w));
}

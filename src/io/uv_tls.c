// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls.c - a stream of TLS: OpenSSL between the socket and the owner.
//
// Design notes
//
// - OpenSSL sees no socket. What came is in the loop's input buffer and is given to it from there;
//   what it makes is put into the loop's output buffer and leaves in one send(), however many
//   records it is; what is inside stands in a third buffer of the loop, and goes to the owner at
//   once. So an idle connection has no buffers at all, and a turn costs the system calls of a plain
//   one. What the kernel does not take of the output is kept with the stream: one write at most,
//   because the next is taken only when that has gone.
// - Only in the handshake OpenSSL reads the socket itself, as much as it wants and no more: what
//   comes behind it stays in the kernel until the owner is there and wants it.
// - A stranger costs work and memory before it has proved anything: bytes of a handshake are
//   counted, in a turn and in all; and who is in may not make us renew keys in a loop.
// - Who does not speak TLS is told so in the clear: who says nothing, by on_silent, as he waits for
//   us; who speaks HTTP, in HTTP. Nobody who speaks TLS takes that for an answer, and nothing is
//   told but that. The kernel is asked whether something came: a loop that is behind must not take
//   its own silence for the other end's.
// - A connection that ends without close_notify may have been cut by somebody on the way: it is
//   PH_ERESET, never an orderly end.
// - An end is told with an alert, and the stream lingers like any other: a reset would take the
//   reason back.
//
// Invariants   `secure` is set from the stream's first moment to its last. `ssl` is set from the
//              first byte of the handshake until the end was said. With `pending`, UV_WRITABLE is
//              armed. OpenSSL's queue of errors, and the loop's output buffer, are empty when
//              nothing of this runs. A stream is on uv->silent from when it was accepted until
//              the first byte came, or it ends.

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/assert.h"
#include "io/tls_hello.h"
#include "io/tls_private.h"
#include "io/uv_private.h"

#define RECORD_BYTES_MAX (16u * 1024u)         // of what is inside
#define RECORD_OVERHEAD_MAX 256u               // head, type, tag, padding
#define WRITE_BYTES_MAX PHI_UV_TLS_WRITE_BYTES // of what is inside, with one send
#define WRITE_RECORDS (WRITE_BYTES_MAX / RECORD_BYTES_MAX)
// What OpenSSL says by itself: the largest is a center's part of the handshake, with certificates.
#define TALK_BYTES_MAX (2 * PHI_TLS_CERTIFICATE_BYTES_MAX)
// A whole reading, and the record of which a part came before.
#define PLAIN_BYTES (PHI_UV_INPUT_BYTES + RECORD_BYTES_MAX + RECORD_OVERHEAD_MAX)
#define OUTPUT_BYTES (WRITE_BYTES_MAX + (WRITE_RECORDS + 1) * RECORD_OVERHEAD_MAX + TALK_BYTES_MAX)

PH_STATIC_ASSERT(WRITE_BYTES_MAX % RECORD_BYTES_MAX == 0);

// What a browser or curl shows that was sent here.
#define HTTP_BODY "This is a message center: it speaks TLS, and no HTTP.\n"
static const char http_refusal[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "Content-Length: 54\r\n"
                                   "Connection: close\r\n"
                                   "\r\n" HTTP_BODY;
PH_STATIC_ASSERT(sizeof HTTP_BODY - 1 == 54);

// Of a stream.
struct phi_secure {
    phi_tls *tls;     // owned, until the handshake begins
    SSL *ssl;         // owned; NULL before, and when the end was said
    uint8_t *pending; // owned: enciphered, and not taken by the kernel yet
    uint32_t pending_size;
    uint32_t pending_sent;              // of it
    uint32_t shake_left;                // what may still come before it is known who it is
    phi_time silent_until;              // on uv->silent: when that was long enough
    phi_tls_hello hello;                // of a client
    bool is_over;                       // close_notify came
    uint8_t trust[PHI_TLS_TRUST_BYTES]; // of the credentials that judged it last
};

// Of a loop: where OpenSSL reads and writes while it works on one stream.
struct phi_secure_room {
    phi_bytes in;        // the unread rest of what came
    uint32_t may_read;   // in the handshake: of the socket, in this turn
    int error;           // of the socket, in the handshake; -1: it is closed
    phi_time shake_turn; // in which `shakes` were made
    unsigned shakes;
    unsigned renewals; // of keys, in this reading
    size_t out_size;
    uint8_t plain[PLAIN_BYTES];
    uint8_t out[OUTPUT_BYTES];
};

static BIO_METHOD *bio_method(void);
static int on_bio_read(BIO *bio, char *room, size_t size, size_t *got);
static int on_bio_write(BIO *bio, const char *bytes, size_t size, size_t *taken);
static long on_bio_control(BIO *bio, int command, long number, void *pointer);
static int read_socket(phi_stream *s, uint8_t *room, size_t size, size_t *got);
static void on_info(const SSL *ssl, int where, int value);
static void close_ssl(phi_stream *s);
static void wait_for_first(phi_stream *s);
static void on_silence_time(phi_timer *timer, phi_time now);
static bool is_silent(const phi_stream *s);
static void end_silent(phi_stream *s);
static bool has_turn(phi_stream *s);
static void shake(phi_stream *s);
static void shake_failed(phi_stream *s, phi_diag *diag);
static void shaken(phi_stream *s);
static ph_err decipher(phi_stream *s, phi_span in, size_t *size, phi_diag *diag);
static bool send_out(phi_stream *s);
static bool keep(phi_stream *s, const uint8_t *bytes, size_t size);
static bool send_pending(phi_stream *s);
static void begin_work(const phi_stream *s);
static void watch(phi_stream *s);

// ---- life

bool phi_secure_new(phi_stream *s, phi_tls *tls)
{
    phi_uv *uv = s->uv;
    PH_ASSERT(s->secure == NULL);
    if (uv->secure_room == NULL) {
        uv->secure_room = (phi_secure_room *)phi_take(uv->io.alloc, sizeof *uv->secure_room);
        if (uv->secure_room == NULL) {
            return false;
        }
        memset(uv->secure_room, 0, offsetof(phi_secure_room, plain));
    }
    phi_secure *secure = (phi_secure *)phi_take_zeroed(uv->io.alloc, 1, sizeof *secure);
    if (secure == NULL) {
        return false;
    }
    secure->tls = phi_tls_ref(tls);
    secure->shake_left = PHI_UV_TLS_SHAKE_BYTES_MAX;
    s->secure = secure;
    return true;
}

void phi_secure_free(phi_stream *s)
{
    phi_secure *secure = s->secure;
    if (secure == NULL) {
        return;
    }
    const phi_alloc *alloc = s->uv->io.alloc;
    close_ssl(s);
    phi_tls_free(&secure->tls);
    phi_give(alloc, secure->pending, secure->pending_size);
    phi_give(alloc, secure, sizeof *secure);
    s->secure = NULL;
}

void phi_secures_init(phi_uv *uv)
{
    phi_list_init(&uv->silent);
    phi_timer_init(&uv->silence_timer, on_silence_time);
}

void phi_secures_fini(phi_uv *uv)
{
    phi_timer_clear(&uv->io.timers, &uv->silence_timer);
    if (uv->secure_room != NULL) {
        OPENSSL_cleanse(uv->secure_room->plain, sizeof uv->secure_room->plain);
        phi_give(uv->io.alloc, uv->secure_room, sizeof *uv->secure_room);
        uv->secure_room = NULL;
    }
}

phi_tls *phi_secure_take_tls(phi_stream *s)
{
    PH_ASSERT(s->secure->ssl == NULL);
    phi_tls *tls = s->secure->tls;
    s->secure->tls = NULL;
    return tls;
}

ph_err phi_secure_open(phi_stream *s, const char *name, phi_diag *diag)
{
    phi_secure *secure = s->secure;
    ph_err err = phi_tls_open(&secure->ssl, secure->tls, name, diag);
    if (err != PH_OK) {
        return err;
    }
    BIO_METHOD *method = bio_method();
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL) {
        close_ssl(s);
        ERR_clear_error();
        return PH_ENOMEM;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(secure->ssl, bio, bio);
    SSL_set_info_callback(secure->ssl, on_info);
    memcpy(secure->trust, secure->tls->trust, sizeof secure->trust);
    phi_tls_free(&secure->tls); // OpenSSL has what it needs
    return PH_OK;
}

static void close_ssl(phi_stream *s)
{
    SSL_free(s->secure->ssl);
    s->secure->ssl = NULL;
}

// ---- the handshake

void phi_secure_start(phi_stream *s)
{
    PH_ASSERT(phi_sm_is(&s->sm, STREAM_SHAKING));
    if (s->secure->ssl != NULL) { // dialled: the client speaks first
        shake(s);
    } else {
        phi_stream_arm(s, UV_READABLE);
        wait_for_first(s);
    }
}

void phi_secure_step(phi_stream *s)
{
    if (!s->is_paused) { // the end came while nobody wanted it
        PH_ASSERT(s->secure->is_over);
        phi_stream_end(s, PH_ECLOSED, "closed by the other end");
    }
}

void phi_secure_on_ready(phi_stream *s, int events)
{
    if ((events & UV_WRITABLE) != 0 && s->secure->pending != NULL && !send_pending(s)) {
        phi_stream_end(s, PH_ERESET, phi_sock_error_text(errno));
        return;
    }
    if ((events & UV_READABLE) != 0) {
        phi_list_remove(&s->due); // if it was silent
        if (!has_turn(s)) {
            return; // it is told again in the next turn
        }
    }
    // Who connects and says nothing costs nothing of OpenSSL's.
    if (s->secure->ssl == NULL && phi_secure_open(s, NULL, NULL) != PH_OK) {
        phi_stream_end(s, PH_ERESET, "no memory for TLS");
    } else if ((events & UV_READABLE) != 0) {
        shake(s);
    } else {
        watch(s);
    }
}

static void wait_for_first(phi_stream *s)
{
    phi_uv *uv = s->uv;
    s->secure->silent_until = phi_time_add(phi_io_now(&uv->io), phi_ms(PHI_TLS_SILENCE_MS));
    phi_list_append(&uv->silent, &s->due);
    if (!phi_timer_is_set(&uv->silence_timer)) {
        phi_timer_set(&uv->io.timers, &uv->silence_timer, s->secure->silent_until);
    }
}

static void on_silence_time(phi_timer *timer, phi_time now)
{
    phi_uv *uv = PHI_CONTAINER_OF(timer, phi_uv, silence_timer);
    while (!phi_list_is_empty(&uv->silent)) {
        phi_stream *oldest = PHI_CONTAINER_OF(uv->silent.next, phi_stream, due);
        if (phi_time_before(now, oldest->secure->silent_until)) {
            phi_timer_set(&uv->io.timers, timer, oldest->secure->silent_until);
            break;
        }
        phi_list_remove(&oldest->due);
        if (is_silent(oldest)) {
            end_silent(oldest);
        }
    }
}

// Also not a byte that this loop has not come to yet, or an end.
static bool is_silent(const phi_stream *s)
{
    uint8_t byte;
    return recv(s->fd, &byte, sizeof byte, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EINTR);
}

static void end_silent(phi_stream *s)
{
    PH_ASSERT(phi_sm_is(&s->sm, STREAM_SHAKING));
    PH_ASSERT(s->secure->ssl == NULL);
    if (s->events->on_silent != NULL) {
        phi_span room = { s->uv->input, sizeof s->uv->input };
        size_t size = s->events->on_silent(s->owner, room);
        PH_ASSERT(size <= room.size);
        (void)send(s->fd, room.data, size, MSG_NOSIGNAL); // it is the first, and so it goes
    }
    phi_stream_end_politely(s, PH_ETLS, "it says nothing, as who was not told to speak TLS");
}

// May it go on with its handshake in this turn?
static bool has_turn(phi_stream *s)
{
    phi_secure_room *room = s->uv->secure_room;
    if (room->shake_turn.ns != s->uv->io.now.ns) {
        room->shake_turn = s->uv->io.now;
        room->shakes = 0;
    }
    return ++room->shakes <= PHI_UV_TLS_SHAKES_PER_TURN;
}

static void shake(phi_stream *s)
{
    phi_secure *secure = s->secure;
    phi_secure_room *room = s->uv->secure_room;
    phi_diag diag = { "" };
    room->may_read = PHI_UV_TLS_SHAKE_BYTES_PER_TURN;
    room->error = 0;
    begin_work(s);
    SSL_set_app_data(secure->ssl, &diag);
    int rc = SSL_do_handshake(secure->ssl);
    int error = SSL_get_error(secure->ssl, rc);
    SSL_set_app_data(secure->ssl, NULL);
    bool is_sent = send_out(s); // in any case, also an alert
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
        shake_failed(s, &diag);
    } else if (!is_sent) {
        phi_stream_end(s, PH_ERESET, phi_sock_error_text(errno));
    } else if (error == SSL_ERROR_NONE) {
        shaken(s);
    } else {
        watch(s);
    }
}

static void shake_failed(phi_stream *s, phi_diag *diag)
{
    const phi_secure_room *room = s->uv->secure_room;
    if (room->error > 0) {
        ERR_clear_error();
        phi_stream_end(s, PH_ERESET, phi_sock_error_text(room->error));
    } else if (room->error < 0) {
        ERR_clear_error();
        phi_stream_end(s, PH_ECLOSED, "closed by the other end in the handshake of TLS");
    } else if (s->secure->shake_left == 0) {
        ERR_clear_error();
        phi_stream_end(s, PH_ETLS, "it sends too much before it has proved who it is, or says so");
    } else {
        bool is_http = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST;
        if (is_http && SSL_is_server(s->secure->ssl)) {
            (void)send(s->fd, http_refusal, sizeof http_refusal - 1, MSG_NOSIGNAL);
        }
        ph_err err = phi_tls_explain(/* was_open= */ false, diag);
        phi_stream_end_politely(s, err, diag->text);
    }
}

static void shaken(phi_stream *s)
{
    (void)SSL_free_buffers(s->secure->ssl);
    bool was_dialled = !SSL_is_server(s->secure->ssl);
    phi_stream_move(s, STREAM_OPEN);
    watch(s);
    if (was_dialled) {
        s->events->on_open(s->owner);
    }
    if (phi_sm_is(&s->sm, STREAM_OPEN) && s->wants_write && s->secure->pending == NULL) {
        s->wants_write = false;
        s->events->on_writable(s->owner);
    }
}

// ---- reading

void phi_secure_on_bytes(phi_stream *s, phi_span in)
{
    phi_diag diag = { "" };
    size_t size = 0;
    phi_secure_room *room = s->uv->secure_room;
    uint8_t before = s->sm.state;
    ph_err err = decipher(s, in, &size, &diag);
    // An answer to new keys, or an alert. It leaves before the owner is called, who may write to
    // any stream, by the same buffer. A broken stream is read to its end all the same.
    bool is_sent = send_out(s);
    if (before == STREAM_OPEN && !is_sent && err == PH_OK) {
        err = phi_diag_add(&diag, PH_ERESET, "%s", phi_sock_error_text(errno));
    } else if (before == STREAM_OPEN && s->secure->pending != NULL) {
        phi_stream_arm(s, s->armed | UV_WRITABLE);
    }
    if (size != 0) {
        s->events->on_bytes(s->owner, (phi_span){ room->plain, size });
    }
    if (!phi_sm_is(&s->sm, before)) { // its owner has closed it, or a write failed
        return;
    }
    if (err == PH_ECLOSED && s->is_paused) {
        phi_stream_arm(s, s->armed & ~UV_READABLE); // phi_secure_step tells, when it is wanted
    } else if (err == PH_ECLOSED) {
        phi_stream_end(s, err, "closed by the other end");
    } else if (err != PH_OK && before == STREAM_OPEN) {
        phi_stream_end_politely(s, err, diag.text);
    } else if (err != PH_OK) {
        phi_stream_end(s, err, diag.text);
    }
}

// All that came. PH_ECLOSED: and that was the last.
static ph_err decipher(phi_stream *s, phi_span in, size_t *size, phi_diag *diag)
{
    phi_secure *secure = s->secure;
    phi_secure_room *room = s->uv->secure_room;
    room->in = phi_bytes_of(in.data, in.size);
    room->renewals = 0;
    begin_work(s);
    size_t n = 0;
    int rc;
    while ((rc = SSL_read_ex(secure->ssl, room->plain + *size, PLAIN_BYTES - *size, &n)) == 1) {
        *size += n;
    }
    int error = SSL_get_error(secure->ssl, rc);
    room->in.size = 0;
    (void)SSL_free_buffers(secure->ssl); // unless a part of a record is in them
    if (error == SSL_ERROR_WANT_READ) {
        return PH_OK;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        secure->is_over = true;
        return PH_ECLOSED;
    }
    if (room->renewals > PHI_UV_TLS_RENEWALS_MAX) {
        ERR_clear_error();
        return phi_diag_add(diag, PH_ERESET, "it renews its keys without end");
    }
    return phi_tls_explain(/* was_open= */ true, diag);
}

bool phi_secure_is_over(const phi_stream *s)
{
    return s->secure->is_over;
}

// ---- writing

size_t phi_secure_write(phi_stream *s, phi_bytes bytes)
{
    phi_secure *secure = s->secure;
    size_t done = 0;
    begin_work(s);
    while (done < bytes.size && secure->pending == NULL) {
        size_t size = bytes.size - done < WRITE_BYTES_MAX ? bytes.size - done : WRITE_BYTES_MAX;
        size_t written = 0;
        int rc = SSL_write_ex(secure->ssl, bytes.data + done, size, &written);
        if (!send_out(s) || rc != 1) {
            int error = rc != 1 ? EPIPE : errno;
            ERR_clear_error();
            phi_stream_break(s, error);
            return 0;
        }
        PH_ASSERT(written == size); // all or nothing, without SSL_MODE_ENABLE_PARTIAL_WRITE
        done += size;
    }
    (void)SSL_free_buffers(secure->ssl);
    s->wants_write = s->wants_write || done < bytes.size;
    if (secure->pending != NULL) {
        phi_stream_arm(s, s->armed | UV_WRITABLE);
    }
    return done;
}

void phi_secure_on_writable(phi_stream *s)
{
    if (s->secure->pending != NULL && !send_pending(s)) {
        phi_stream_break(s, errno);
        return;
    }
    if (s->secure->pending != NULL) {
        return;
    }
    if (!s->wants_write) {
        phi_stream_arm(s, s->armed & ~UV_WRITABLE);
        return;
    }
    s->wants_write = false;
    s->events->on_writable(s->owner);
}

bool phi_secure_say_goodbye(phi_stream *s)
{
    phi_secure *secure = s->secure;
    begin_work(s);
    if (secure->ssl != NULL && SSL_is_init_finished(secure->ssl)) {
        (void)SSL_shutdown(secure->ssl);
        (void)send_out(s); // what is lost with it is the end
    }
    close_ssl(s);
    ERR_clear_error();
    return secure->pending == NULL;
}

bool phi_secure_go_on_saying(phi_stream *s, bool *is_said)
{
    bool is_well = s->secure->pending == NULL || send_pending(s);
    *is_said = is_well && s->secure->pending == NULL;
    return is_well;
}

// Sends what OpenSSL has made; what does not go is kept. False: it broke, and errno says how. To be
// called behind each call of OpenSSL that can make something, however that ended: what is left in
// the loop's buffer would be sent to whoever comes next, and end his connection.
static bool send_out(phi_stream *s)
{
    phi_secure_room *room = s->uv->secure_room;
    size_t size = room->out_size;
    room->out_size = 0;
    if (size == 0) {
        return true;
    }
    size_t sent = 0;
    if (s->secure->pending == NULL) {
        ssize_t n = send(s->fd, room->out, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        sent = n < 0 ? 0 : (size_t)n;
    }
    return sent == size || keep(s, room->out + sent, size - sent);
}

// Behind what waits already: the answers to a peer that sends much and reads nothing.
static bool keep(phi_stream *s, const uint8_t *bytes, size_t size)
{
    phi_secure *secure = s->secure;
    if (size > PHI_UV_TLS_PENDING_BYTES_MAX - secure->pending_size) {
        errno = ENOBUFS;
        return false;
    }
    uint8_t *grown = (uint8_t *)phi_resize(s->uv->io.alloc, secure->pending, secure->pending_size,
                                           secure->pending_size + size);
    if (grown == NULL) {
        errno = ENOMEM;
        return false;
    }
    memcpy(grown + secure->pending_size, bytes, size);
    secure->pending = grown;
    secure->pending_size += (uint32_t)size;
    return true;
}

static bool send_pending(phi_stream *s)
{
    phi_secure *secure = s->secure;
    size_t left = secure->pending_size - secure->pending_sent;
    ssize_t n = send(s->fd, secure->pending + secure->pending_sent, left, MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    secure->pending_sent += (uint32_t)n;
    if (secure->pending_sent == secure->pending_size) {
        phi_give(s->uv->io.alloc, secure->pending, secure->pending_size);
        secure->pending = NULL;
        secure->pending_size = 0;
        secure->pending_sent = 0;
    }
    return true;
}

// ---- asking

void phi_secure_identity(const phi_stream *s, phi_identity *out)
{
    out->is_tls = true;
    if (s->secure->ssl != NULL) {
        phi_tls_identify(s->secure->ssl, out);
    }
}

ph_err phi_secure_verify(const phi_stream *s, const phi_tls *tls, phi_diag *diag)
{
    phi_secure *secure = s->secure;
    if (secure->ssl == NULL) {
        return phi_diag_add(diag, PH_EACCESS, "the connection is not open");
    }
    if (memcmp(secure->trust, tls->trust, sizeof secure->trust) == 0) {
        return PH_OK;
    }
    ph_err err = phi_tls_judge(tls, secure->ssl, diag);
    if (err == PH_OK) {
        memcpy(secure->trust, tls->trust, sizeof secure->trust);
    }
    return err;
}

// ---- what OpenSSL asks for

// One for the process, made by whoever comes first; never freed.
static BIO_METHOD *bio_method(void)
{
    static _Atomic(BIO_METHOD *) shared;
    BIO_METHOD *method = atomic_load(&shared);
    if (method != NULL) {
        return method;
    }
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "posthouse");
    if (method == NULL) {
        return NULL;
    }
    (void)BIO_meth_set_read_ex(method, on_bio_read);
    (void)BIO_meth_set_write_ex(method, on_bio_write);
    (void)BIO_meth_set_ctrl(method, on_bio_control);
    BIO_METHOD *first = NULL;
    if (!atomic_compare_exchange_strong(&shared, &first, method)) {
        BIO_meth_free(method);
        return first;
    }
    return method;
}

static int on_bio_read(BIO *bio, char *to, size_t size, size_t *got)
{
    phi_stream *s = (phi_stream *)BIO_get_data(bio);
    phi_secure_room *room = s->uv->secure_room;
    BIO_clear_retry_flags(bio);
    if (phi_sm_is(&s->sm, STREAM_SHAKING)) {
        int rc = read_socket(s, (uint8_t *)to, size, got);
        if (rc < 0) {
            BIO_set_retry_read(bio);
        }
        return rc > 0;
    }
    if (room->renewals > PHI_UV_TLS_RENEWALS_MAX) {
        return 0;
    }
    if (room->in.size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size = size < room->in.size ? size : room->in.size;
    memcpy(to, room->in.data, size);
    room->in = phi_bytes_of(room->in.data + size, room->in.size - size);
    *got = size;
    return 1;
}

// 1: some came, 0: none ever will, -1: not now.
static int read_socket(phi_stream *s, uint8_t *to, size_t size, size_t *got)
{
    phi_secure_room *room = s->uv->secure_room;
    uint32_t *left = &s->secure->shake_left;
    size = size < room->may_read ? size : room->may_read;
    if (size == 0) {
        return -1; // the rest is read in the next turn
    }
    size = size < *left ? size : *left;
    if (size == 0) {
        return 0;
    }
    ssize_t n = recv(s->fd, to, size, 0);
    if (n > 0) {
        room->may_read -= (uint32_t)n;
        *left -= (uint32_t)n;
        if (SSL_is_server(s->secure->ssl) &&
            !phi_tls_hello_watch(&s->secure->hello, phi_bytes_of(to, (size_t)n))) {
            *left = 0;
            return 0;
        }
        *got = (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return -1;
    }
    room->error = n == 0 ? -1 : errno;
    return 0;
}

static int on_bio_write(BIO *bio, const char *bytes, size_t size, size_t *taken)
{
    phi_stream *s = (phi_stream *)BIO_get_data(bio);
    phi_secure_room *room = s->uv->secure_room;
    BIO_clear_retry_flags(bio);
    if (size > sizeof room->out - room->out_size) {
        return 0; // it would be a defect, and ends the connection
    }
    memcpy(room->out + room->out_size, bytes, size);
    room->out_size += size;
    *taken = size;
    return 1;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Counts what a peer makes us do once it is in.
static void on_info(const SSL *ssl, int where, int value)
{
    (void)value;
    bool is_step = where == SSL_CB_ACCEPT_LOOP || where == SSL_CB_CONNECT_LOOP;
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    if (is_step && (state == TLS_ST_SR_KEY_UPDATE || state == TLS_ST_CR_KEY_UPDATE ||
                    state == TLS_ST_CR_SESSION_TICKET)) {
        const phi_stream *s = (const phi_stream *)BIO_get_data(SSL_get_rbio(ssl));
        s->uv->secure_room->renewals++;
    }
}

// ---- helpers

// Before OpenSSL works on a stream: what it made for another has been sent, and a program may have
// left errors behind, which SSL_get_error would take for ours.
static void begin_work(const phi_stream *s)
{
    PH_ASSERT(s->uv->secure_room->out_size == 0);
    if (ERR_peek_error() != 0) { // the other costs more
        ERR_clear_error();
    }
}

static void watch(phi_stream *s)
{
    bool is_shaking = phi_sm_is(&s->sm, STREAM_SHAKING);
    bool reads = is_shaking || !s->is_paused;
    bool writes = s->secure->pending != NULL;
    phi_stream_arm(s, (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0));
}

// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls_peer_test.c - streams of TLS whose other end is not ours: OpenSSL by itself, with
// whatever settings, or bytes that somebody made up.

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "io/tls_hello.h"
#include "tests/harness/test.h"
#include "tests/io/tls_fixture.h"
#include "tests/io/uv_fixture.h"

// A center of ours, and a client that is not.
typedef struct visit {
    fixture *f;
    fixture_issued *authority;
    fixture_issued *own; // the center's; also the client's, if it wants
    phi_tls *tls;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
} visit;

static void visit_make_with(visit *v, fixture_key key, bool allows_tls12)
{
    *v = (visit){ .authority = fixture_authority(), .fd = -1 };
    v->own = fixture_issue(v->authority, &(fixture_recipe){ .names = "IP:127.0.0.1,DNS:a",
                                                            .usage = FIXTURE_CERTIFICATE,
                                                            .key = key });
    phi_tls_options options = {
        .side = PHI_TLS_CENTER,
        .certificate = phi_bytes_text(v->own->certificate_pem),
        .key = phi_bytes_text(v->own->key_pem),
        .authorities = phi_bytes_text(v->authority->certificate_pem),
        .allows_tls12 = allows_tls12,
    };
    EXPECT_ERR(phi_tls_new(&v->tls, &options, NULL), PH_OK);
    v->f = fixture_new(NULL);
    fixture_listen(v->f, "127.0.0.1:0", v->tls);
    v->ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(v->ctx);
    SSL_CTX_set_security_level(v->ctx, 0);
    EXPECT_EQ(SSL_CTX_set_min_proto_version(v->ctx, TLS1_VERSION), 1);
}

static void visit_make(visit *v)
{
    visit_make_with(v, FIXTURE_KEY_P256, false);
}

static void hang_up(visit *v)
{
    SSL_free(v->ssl);
    v->ssl = NULL;
    if (v->fd >= 0) {
        close(v->fd);
    }
    v->fd = -1;
    ERR_clear_error();
}

static void visit_free(visit *v)
{
    hang_up(v);
    SSL_CTX_free(v->ctx);
    phi_tls_free(&v->tls);
    fixture_issued_free(&v->own);
    fixture_issued_free(&v->authority);
    fixture_free(v->f);
}

// A raw connection that the center has accepted.
static fixture_end *call(visit *v)
{
    size_t index = v->f->count;
    v->fd = raw_connect_accepted(v->f, index);
    EXPECT_EQ(fcntl(v->fd, F_SETFL, O_NONBLOCK), 0);
    return &v->f->ends[index];
}

static phi_time patience(const visit *v)
{
    return phi_time_add(phi_io_now(v->f->io), phi_seconds(5));
}

static bool is_over(const visit *v, phi_time end)
{
    return !phi_time_before(phi_io_now(v->f->io), end);
}

// A turn of the center, and until there is something to do for it, or for us.
static void step(visit *v)
{
    struct pollfd fds[2] = { { .fd = phi_uv_fd(v->f->uv), .events = POLLIN },
                             { .fd = v->fd, .events = POLLIN } };
    phi_uv_turn(v->f->uv, phi_ns(0));
    (void)poll(fds, 2, 1);
}

#define STEP_UNTIL(v, condition)                                                                   \
    do {                                                                                           \
        phi_time end_ = patience(v);                                                               \
        while (!(condition)) {                                                                     \
            if (is_over(v, end_)) {                                                                \
                fail_msg("never came: %s", #condition);                                            \
            }                                                                                      \
            step(v);                                                                               \
        }                                                                                          \
    } while (0)

// The client's side of a handshake; true when it is done, false when it failed.
static bool shake(visit *v)
{
    v->ssl = SSL_new(v->ctx);
    assert_non_null(v->ssl);
    EXPECT_EQ(SSL_set_fd(v->ssl, v->fd), 1);
    SSL_set_connect_state(v->ssl);
    for (phi_time end = patience(v); !is_over(v, end);) {
        ERR_clear_error();
        int rc = SSL_do_handshake(v->ssl);
        if (rc == 1) {
            return true;
        }
        int error = SSL_get_error(v->ssl, rc);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            return false;
        }
        step(v);
    }
    fail_msg("a handshake without end");
    return false;
}

static void say(visit *v, const char *text)
{
    EXPECT_EQ(SSL_write(v->ssl, text, (int)strlen(text)), (int)strlen(text));
}

// The reason for which our end ended.
static void expect_end(visit *v, fixture_end *e, ph_err reason, const char *says)
{
    STEP_UNTIL(v, e->closed == 1);
    EXPECT_ERR(e->reason, reason);
    if (strstr(e->why, says) == NULL) {
        fail_msg("'%s' is not in: %s", says, e->why);
    }
}

// ---- what is spoken

// Old versions have attacks of their own; whoever offers nothing else is told so.
TEST(uv_tls_peer, old_versions_are_refused)
{
    static const struct {
        int version;
        bool allows_tls12;
        bool is_good;
    } rows[] = {
        { TLS1_3_VERSION, false, true },  { TLS1_2_VERSION, false, false },
        { TLS1_1_VERSION, false, false }, { TLS1_VERSION, false, false },
        { TLS1_3_VERSION, true, true },   { TLS1_2_VERSION, true, true },
        { TLS1_1_VERSION, true, false },  { TLS1_VERSION, true, false },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        visit v;
        visit_make_with(&v, FIXTURE_KEY_P256, rows[i].allows_tls12);
        EXPECT_EQ(SSL_CTX_set_max_proto_version(v.ctx, rows[i].version), 1);
        fixture_end *e = call(&v);
        EXPECT_EQ(shake(&v), rows[i].is_good);
        if (rows[i].is_good) {
            EXPECT_EQ(SSL_version(v.ssl), rows[i].version);
            say(&v, "hello");
            STEP_UNTIL(&v, e->size == 5);
            EXPECT_BYTES(e->got, "hello", 5);
        } else {
            expect_end(&v, e, PH_ETLS, "no version of TLS suits both ends");
        }
        visit_free(&v);
    }
}

// TLS 1.2 has suites without forward secrecy, without authentication, with padding to be guessed.
TEST(uv_tls_peer, only_four_suites_of_1_2)
{
    static const struct {
        const char *suite;
        fixture_key key;
        bool is_good;
    } rows[] = {
        { "ECDHE-ECDSA-AES128-GCM-SHA256", FIXTURE_KEY_P256, true },
        { "ECDHE-ECDSA-AES256-GCM-SHA384", FIXTURE_KEY_P256, true },
        { "ECDHE-RSA-AES128-GCM-SHA256", FIXTURE_KEY_RSA_2048, true },
        { "ECDHE-RSA-AES256-GCM-SHA384", FIXTURE_KEY_RSA_2048, true },
        { "ECDHE-ECDSA-CHACHA20-POLY1305", FIXTURE_KEY_P256, false },
        { "ECDHE-ECDSA-AES128-SHA256", FIXTURE_KEY_P256, false },
        { "ECDHE-ECDSA-AES128-SHA", FIXTURE_KEY_P256, false },
        { "ECDHE-ECDSA-AES128-CCM", FIXTURE_KEY_P256, false },
        { "AECDH-AES128-SHA", FIXTURE_KEY_P256, false },
        { "AES128-GCM-SHA256", FIXTURE_KEY_RSA_2048, false },
        { "DHE-RSA-AES128-GCM-SHA256", FIXTURE_KEY_RSA_2048, false },
        { "ECDHE-RSA-AES256-SHA", FIXTURE_KEY_RSA_2048, false },
        { "ECDHE-ECDSA-NULL-SHA", FIXTURE_KEY_P256, false },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        visit v;
        visit_make_with(&v, rows[i].key, true);
        EXPECT_EQ(SSL_CTX_set_max_proto_version(v.ctx, TLS1_2_VERSION), 1);
        EXPECT_EQ(SSL_CTX_set_cipher_list(v.ctx, rows[i].suite), 1);
        fixture_end *e = call(&v);
        if (shake(&v) != rows[i].is_good) {
            fail_msg("%s", rows[i].suite);
        }
        if (!rows[i].is_good) {
            expect_end(&v, e, PH_ETLS, "no cipher suits both ends");
        }
        visit_free(&v);
    }
}

// A browser that is lured here must not be able to speak to us as if it were a client of ours.
TEST(uv_tls_peer, other_protocols_are_refused)
{
    static const struct {
        const char *alpn;
        bool is_good;
    } rows[] = {
        { "", true },
        { "\x0bposthouse/1", true },
        { "\x08http/1.1\x0bposthouse/1", true },
        { "\x08http/1.1", false },
        { "\x02h2\x08http/1.1", false },
        { "\x0bposthouse/2", false },
        { "\x0cposthouse/1x", false },
        { "\x0aposthouse/", false },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        visit v;
        visit_make(&v);
        size_t size = strlen(rows[i].alpn);
        EXPECT_EQ(
            SSL_CTX_set_alpn_protos(v.ctx, (const unsigned char *)rows[i].alpn, (unsigned)size), 0);
        fixture_end *e = call(&v);
        EXPECT_EQ(shake(&v), rows[i].is_good);
        const unsigned char *chosen = NULL;
        unsigned chosen_size = 0;
        SSL_get0_alpn_selected(v.ssl, &chosen, &chosen_size);
        if (!rows[i].is_good) {
            expect_end(&v, e, PH_ETLS, "it does not speak posthouse/1");
        } else if (size != 0) {
            EXPECT_EQ(chosen_size, strlen("posthouse/1"));
            EXPECT_BYTES(chosen, "posthouse/1", chosen_size);
        }
        visit_free(&v);
    }
}

// Who was let in yesterday must be judged by the certificates of today.
TEST(uv_tls_peer, nothing_is_resumed)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t i = 0; i < PHI_COUNT_OF(versions); i++) {
        visit v;
        visit_make_with(&v, FIXTURE_KEY_P256, true);
        EXPECT_EQ(SSL_CTX_set_max_proto_version(v.ctx, versions[i]), 1);
        (void)call(&v);
        EXPECT(shake(&v));
        say(&v, "hello");
        STEP_UNTIL(&v, v.f->ends[0].size == 5);
        char none;
        EXPECT(SSL_read(v.ssl, &none, 1) <= 0); // a ticket would be in there
        SSL_SESSION *session = SSL_get1_session(v.ssl);
        EXPECT(!SSL_SESSION_has_ticket(session));
        EXPECT(!SSL_SESSION_is_resumable(session));
        SSL_SESSION_free(session);
        visit_free(&v);
    }
}

// A renegotiation would change who speaks in the middle of what is said.
TEST(uv_tls_peer, nothing_is_renegotiated)
{
    visit v;
    visit_make_with(&v, FIXTURE_KEY_P256, true);
    EXPECT_EQ(SSL_CTX_set_max_proto_version(v.ctx, TLS1_2_VERSION), 1);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    EXPECT_EQ(SSL_renegotiate(v.ssl), 1);
    int rc = 0;
    unsigned long error = 0;
    for (phi_time end = patience(&v); rc <= 0 && error == 0 && !is_over(&v, end);) {
        rc = SSL_do_handshake(v.ssl);
        error = ERR_peek_error();
        step(&v);
    }
    EXPECT(rc <= 0);
    EXPECT_EQ(ERR_GET_REASON(error), SSL_R_NO_RENEGOTIATION);
    hang_up(&v);
    expect_end(&v, e, PH_ERESET, "");
    visit_free(&v);
}

// ---- ends

// Whoever can cut a wire could cut a message short, and it would look complete.
TEST(uv_tls_peer, end_without_a_word_is_a_break)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    say(&v, "half a");
    hang_up(&v);
    expect_end(&v, e, PH_ERESET, "cut off");
    EXPECT_EQ(e->size, 6);

    e = call(&v);
    EXPECT(shake(&v));
    say(&v, "whole");
    EXPECT_EQ(SSL_shutdown(v.ssl), 0);
    expect_end(&v, e, PH_ECLOSED, "closed by the other end");
    EXPECT_EQ(e->size, 5);
    visit_free(&v);
}

// The end must wait behind what its owner does not want yet.
TEST(uv_tls_peer, end_waits_while_paused)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    STEP_UNTIL(&v, phi_sm_is(&e->stream->sm, STREAM_OPEN));
    phi_stream_pause(v.f->io, e->stream, true);
    say(&v, "last words");
    EXPECT_EQ(SSL_shutdown(v.ssl), 0);
    fixture_settle(v.f);
    EXPECT_EQ(e->size, 0);
    EXPECT_EQ(e->closed, 0);
    phi_stream_pause(v.f->io, e->stream, false);
    expect_end(&v, e, PH_ECLOSED, "");
    EXPECT_EQ(e->size, 10);
    visit_free(&v);
}

static void pause_on_bytes(void *owner, phi_span bytes)
{
    fixture_end *e = (fixture_end *)owner;
    e->size += bytes.size;
    phi_stream_pause(e->f->io, e->stream, true);
}

// An owner that pauses in the middle of the last that comes must still hear that it was the last.
TEST(uv_tls_peer, end_is_not_lost_by_a_pause_in_the_last_bytes)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    STEP_UNTIL(&v, phi_sm_is(&e->stream->sm, STREAM_OPEN));
    phi_stream_events events = fixture_stream_events;
    events.on_bytes = pause_on_bytes;
    phi_stream_attach(v.f->io, e->stream, &events, e);
    say(&v, "last words");
    EXPECT_EQ(SSL_shutdown(v.ssl), 0); // in the same reading
    STEP_UNTIL(&v, e->size == 10);
    fixture_settle(v.f);
    EXPECT_EQ(e->closed, 0);
    phi_stream_pause(v.f->io, e->stream, false);
    phi_stream_pause(v.f->io, e->stream, true); // twice, within a turn
    fixture_settle(v.f);
    EXPECT_EQ(e->closed, 0);
    phi_stream_pause(v.f->io, e->stream, false);
    expect_end(&v, e, PH_ECLOSED, "");
    visit_free(&v);
}

// What we wrote before closing goes out, whoever is slow to read it; and then close_notify.
TEST(uv_tls_peer, close_sends_all_that_was_taken)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    STEP_UNTIL(&v, phi_sm_is(&e->stream->sm, STREAM_OPEN));
    static uint8_t bytes[100000];
    size_t taken = 0;
    for (size_t n = 1; n != 0; taken += n) {
        memset(bytes, (int)taken & 0xff, sizeof bytes);
        n = phi_stream_write(v.f->io, e->stream, phi_bytes_of(bytes, sizeof bytes));
    }
    EXPECT(taken > sizeof bytes);
    phi_stream_close(v.f->io, e->stream);
    size_t got = 0;
    int rc;
    for (phi_time end = patience(&v); !is_over(&v, end);) {
        while ((rc = SSL_read(v.ssl, bytes, sizeof bytes)) > 0) {
            got += (size_t)rc;
        }
        if (SSL_get_error(v.ssl, rc) != SSL_ERROR_WANT_READ) {
            break;
        }
        step(&v);
    }
    EXPECT_EQ(SSL_get_error(v.ssl, rc), SSL_ERROR_ZERO_RETURN);
    EXPECT_EQ(got, taken);
    EXPECT_EQ(e->closed, 1);
    EXPECT_ERR(e->reason, PH_OK);
    visit_free(&v);
}

// ---- strangers

static void expect_refused_bytes(const uint8_t *bytes, size_t size, const char *says)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    size_t sent = 0;
    for (phi_time end = patience(&v); e->closed == 0 && !is_over(&v, end);) {
        ssize_t n = sent == size ? 0 : send(v.fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        step(&v);
    }
    expect_end(&v, e, PH_ETLS, says);
    EXPECT_EQ(e->size, 0);
    visit_free(&v);
}

// Every port of the world is knocked at. Each of these is over at once, and says what it was.
TEST(uv_tls_peer, noise_is_refused)
{
    static uint8_t noise[16384];
    phi_random random = phi_random_seeded(1);
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)phi_random_next(&random);
    }
    expect_refused_bytes(noise, sizeof noise, "");
    expect_refused_bytes((const uint8_t *)"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, "but HTTP");
    expect_refused_bytes((const uint8_t *)"\0\0\0\x20posthouse, that is plain", 29,
                         "not speak TLS");
    memset(noise, 0, sizeof noise);
    expect_refused_bytes(noise, sizeof noise, "not speak TLS");
    for (size_t i = 0; i + 6 <= sizeof noise; i += 6) { // one byte of a hello in each record
        memcpy(noise + i, "\x16\x03\x01\x00\x01\x01", 6);
    }
    expect_refused_bytes(noise, sizeof noise, "sends too much");
    for (size_t i = 0; i + 6 <= sizeof noise; i += 6) { // nothing but change_cipher_spec
        memcpy(noise + i, "\x14\x03\x03\x00\x01\x01", 6);
    }
    expect_refused_bytes(noise, sizeof noise, "");
    for (size_t i = 0; i + 5 <= sizeof noise; i += 5) { // empty records
        memcpy(noise + i, "\x16\x03\x01\x00\x00", 5);
    }
    expect_refused_bytes(noise, sizeof noise, "");
    for (size_t i = 0; i + 7 <= sizeof noise; i += 7) { // warnings
        memcpy(noise + i, "\x15\x03\x01\x00\x02\x01\x5a", 7);
    }
    expect_refused_bytes(noise, sizeof noise, "");
}

// What we say in the clear, up to the end of it.
static void expect_clear(visit *v, const char *begins)
{
    char got[256] = "";
    size_t size = 0;
    ssize_t n = -1;
    for (phi_time end = patience(v); n != 0 && !is_over(v, end);) {
        step(v);
        n = recv(v->fd, got + size, sizeof got - 1 - size, 0);
        size += n > 0 ? (size_t)n : 0;
    }
    EXPECT_EQ(n, 0);
    EXPECT_EQ(strncmp(got, begins, strlen(begins)), 0);
    EXPECT_EQ(size == 0, *begins == '\0');
    const char *body = strstr(got, "\r\n\r\n");
    const char *length = strstr(got, "Content-Length: ");
    if (length != NULL) {
        assert_non_null(body);
        EXPECT_EQ(strtoul(length + 16, NULL, 10), strlen(body + 4));
    }
}

// A client that was not told to speak TLS waits for HELLO, as we wait for him: both would find out
// seconds later that something is wrong, and neither what. [P-81]
TEST(uv_tls_peer, who_says_nothing_is_told_in_the_clear)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    fixture_skip(v.f, phi_ms(PHI_TLS_SILENCE_MS / 2));
    EXPECT_EQ(e->closed, 0);
    fixture_skip(v.f, phi_ms(PHI_TLS_SILENCE_MS));
    expect_end(&v, e, PH_ETLS, "says nothing");
    EXPECT_EQ(e->silences, 1);
    EXPECT_EQ(e->size, 0);
    expect_clear(&v, "speak");
    visit_free(&v);
}

// One byte of TLS, and a word in the clear would break what becomes of it; also when that byte
// waits in the kernel, because the loop is behind.
TEST(uv_tls_peer, who_said_a_byte_is_not_silent)
{
    for (int is_behind = 0; is_behind < 2; is_behind++) {
        visit v;
        visit_make(&v);
        fixture_end *e = call(&v);
        EXPECT_EQ(send(v.fd, "\x16", 1, 0), 1);
        if (!is_behind) {
            fixture_settle(v.f);
        }
        fixture_skip(v.f, phi_ms(2 * PHI_TLS_SILENCE_MS));
        fixture_settle(v.f);
        fixture_skip(v.f, phi_ms(2 * PHI_TLS_SILENCE_MS));
        EXPECT_EQ(e->silences, 0);
        EXPECT_EQ(e->closed, 0);
        visit_free(&v);
    }
}

// Who is gone, or was sent away, is told nothing; the next one is.
TEST(uv_tls_peer, silence_ends_with_its_stream)
{
    visit v;
    visit_make(&v);
    fixture_end *gone = call(&v);
    EXPECT_EQ(shutdown(v.fd, SHUT_WR), 0);
    fixture_skip(v.f, phi_ms(2 * PHI_TLS_SILENCE_MS));
    expect_end(&v, gone, PH_ECLOSED, "closed by the other end");
    EXPECT_EQ(gone->silences, 0);
    hang_up(&v);
    fixture_end *unwanted = call(&v);
    phi_stream_close(v.f->io, unwanted->stream);
    fixture_skip(v.f, phi_ms(2 * PHI_TLS_SILENCE_MS));
    expect_end(&v, unwanted, PH_OK, "");
    EXPECT_EQ(unwanted->silences, 0);
    hang_up(&v);
    fixture_end *last = call(&v);
    fixture_skip(v.f, phi_ms(2 * PHI_TLS_SILENCE_MS));
    expect_end(&v, last, PH_ETLS, "says nothing");
    expect_clear(&v, "speak");
    visit_free(&v);
}

// Who opens the port in a browser would see an empty page, and look for the fault in the wrong
// place.
TEST(uv_tls_peer, http_is_answered_in_http)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT_EQ(send(v.fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 0), 27);
    expect_end(&v, e, PH_ETLS, "but HTTP");
    expect_clear(&v, "HTTP/1.1 400 Bad Request\r\n");
    visit_free(&v);
}

// Nine bytes must not cost 128 KiB.
TEST(uv_tls_peer, hello_that_announces_much_is_refused)
{
    expect_refused_bytes((const uint8_t *)"\x16\x03\x01\x02\x00\x01\x01\xff\xff", 9,
                         "sends too much before it has proved who it is, or says so");
}

// A certificate chain of any length would be memory of ours for who is a stranger.
TEST(uv_tls_peer, certificates_have_a_largest_size)
{
    visit v;
    visit_make(&v);
    EXPECT_EQ(SSL_CTX_use_certificate(v.ctx, v.own->certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(v.ctx, v.own->key), 1);
    for (size_t size = 0; size <= PHI_TLS_CERTIFICATE_BYTES_MAX; size += 250) {
        EXPECT_EQ(SSL_CTX_add1_chain_cert(v.ctx, v.authority->certificate), 1);
    }
    fixture_end *e = call(&v);
    (void)shake(&v);
    expect_end(&v, e, PH_ETLS, "certificates is too much");
    visit_free(&v);
}

// The bytes of a client's handshake, as one would see them on the wire, up to its first words.
typedef struct recording {
    uint8_t bytes[8192];
    size_t size;
} recording;

// As `shake`, and `say`, but the client's bytes pass through here: `size` of them in a row at most,
// and none after the first `end`, when the connection is cut; the one at `flip` is changed.
static void shake_slowly(visit *v, fixture_end *e, size_t size, size_t end, size_t flip,
                         recording *seen)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    v->ssl = SSL_new(v->ctx);
    SSL_set_bio(v->ssl, in, out);
    SSL_set_connect_state(v->ssl);
    bool has_spoken = false;
    size_t sent = 0;
    phi_time end_at = patience(v);
    while (!is_over(v, end_at) && e->closed == 0 && e->size == 0 && v->fd >= 0) {
        ERR_clear_error();
        if (SSL_do_handshake(v->ssl) == 1 && !has_spoken) {
            has_spoken = true;
            say(v, "hello");
        }
        uint8_t bytes[4096];
        ssize_t n = recv(v->fd, bytes, sizeof bytes, 0);
        if (n > 0) {
            EXPECT_EQ(BIO_write(in, bytes, (int)n), (int)n);
        } else if (flip < sent) { // each may wait for the other now
            end_at = phi_time_min(end_at, phi_time_add(phi_io_now(v->f->io), phi_ms(20)));
        }
        size_t room = end - sent < size ? end - sent : size;
        int k =
            room == 0 ? 0 : BIO_read(out, bytes, (int)(room < sizeof bytes ? room : sizeof bytes));
        for (int j = 0; j < k; j++) {
            bytes[j] ^= sent + (size_t)j == flip ? 0x20 : 0;
            if (seen != NULL && seen->size < sizeof seen->bytes) {
                seen->bytes[seen->size++] = bytes[j];
            }
        }
        if (k > 0) {
            EXPECT_EQ(send(v->fd, bytes, (size_t)k, MSG_NOSIGNAL), k);
            sent += (size_t)k;
        }
        if (sent == end && end != SIZE_MAX) {
            hang_up(v);
        }
        step(v);
    }
}

// A line may bring bytes one by one.
TEST(uv_tls_peer, handshake_byte_by_byte)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    shake_slowly(&v, e, 1, SIZE_MAX, SIZE_MAX, NULL);
    STEP_UNTIL(&v, e->size == 5);
    EXPECT_BYTES(e->got, "hello", 5);
    visit_free(&v);
}

// Whenever the other end goes away, we hear of one end, and nothing is left behind.
TEST(uv_tls_peer, handshake_cut_anywhere)
{
    visit v;
    visit_make(&v);
    EXPECT_EQ(SSL_CTX_use_certificate(v.ctx, v.own->certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(v.ctx, v.own->key), 1);
    recording seen = { .size = 0 };
    fixture_end *e = call(&v);
    shake_slowly(&v, e, SIZE_MAX, SIZE_MAX, SIZE_MAX, &seen);
    STEP_UNTIL(&v, e->size == 5);
    hang_up(&v);
    EXPECT(seen.size > 500);
    for (size_t end = 1; end < seen.size - 1; end += end < 20 ? 1 : 37) {
        e = call(&v);
        shake_slowly(&v, e, SIZE_MAX, end, SIZE_MAX, NULL);
        hang_up(&v);
        STEP_UNTIL(&v, e->closed == 1);
        EXPECT(e->reason == PH_ECLOSED || e->reason == PH_ERESET);
        EXPECT_EQ(e->size, 0);
    }
    visit_free(&v);
}

// Somebody on the way changes a byte: nobody gets in, and nothing that was said is believed.
TEST(uv_tls_peer, handshake_changed_anywhere)
{
    visit v;
    visit_make(&v);
    recording seen = { .size = 0 };
    fixture_end *e = call(&v);
    shake_slowly(&v, e, SIZE_MAX, SIZE_MAX, SIZE_MAX, &seen);
    STEP_UNTIL(&v, e->size == 5);
    hang_up(&v);
    unsigned let_in = 0;
    for (size_t flip = 0; flip < seen.size; flip += 7) {
        e = call(&v);
        shake_slowly(&v, e, SIZE_MAX, seen.size, flip, NULL);
        hang_up(&v);
        STEP_UNTIL(&v, e->closed == 1);
        EXPECT_EQ(e->size, 0);
        let_in += e->opened != 0;
    }
    EXPECT_EQ(let_in, 0);
    visit_free(&v);
}

// ---- who is in

// A well-behaved end renews its keys now and then.
TEST(uv_tls_peer, keys_may_be_renewed)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    for (size_t i = 1; i <= 10; i++) {
        EXPECT_EQ(SSL_key_update(v.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        say(&v, "hello");
        STEP_UNTIL(&v, e->size == 5 * i);
    }
    EXPECT_EQ(phi_stream_write(v.f->io, e->stream, phi_bytes_text("welcome")), 7);
    char got[16];
    int rc = 0;
    for (phi_time end = patience(&v); rc <= 0 && !is_over(&v, end);) {
        rc = SSL_read(v.ssl, got, sizeof got);
        step(&v);
    }
    EXPECT_EQ(rc, 7);
    visit_free(&v);
}

// 27 bytes cost us a derivation of keys, and an answer: that must not be what we do all day.
TEST(uv_tls_peer, keys_may_not_be_renewed_without_end)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    STEP_UNTIL(&v, phi_sm_is(&e->stream->sm, STREAM_OPEN));
    phi_stream_pause(v.f->io, e->stream, true); // so that many are there at once
    // Not all of them, perhaps: the kernel may hold back those behind the first until that is read.
    for (unsigned i = 0; i < 4 * PHI_UV_TLS_RENEWALS_MAX; i++) {
        EXPECT_EQ(SSL_key_update(v.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        EXPECT_EQ(SSL_do_handshake(v.ssl), 1);
    }
    phi_stream_pause(v.f->io, e->stream, false);
    expect_end(&v, e, PH_ERESET, "renews its keys without end");
    visit_free(&v);
}

// Bytes that were changed on the way end it; those before them are good.
TEST(uv_tls_peer, record_that_was_changed_ends_it)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    say(&v, "good");
    static const uint8_t forged[5 + 40] = { 23, 3, 3, 0, 40 };
    EXPECT_EQ(send(v.fd, forged, sizeof forged, 0), sizeof forged);
    expect_end(&v, e, PH_ERESET, "TLS: ");
    EXPECT_EQ(e->size, 4);
    visit_free(&v);
}

// ---- one loop, several connections

static void expect_welcome(visit *v, const fixture_end *e)
{
    STEP_UNTIL(v, phi_sm_is(&e->stream->sm, STREAM_OPEN));
    EXPECT_EQ(phi_stream_write(v->f->io, e->stream, phi_bytes_text("welcome")), 7);
    char got[16];
    int rc = 0;
    for (phi_time end = patience(v); rc <= 0 && !is_over(v, end);) {
        rc = SSL_read(v->ssl, got, sizeof got);
        step(v);
    }
    EXPECT_EQ(rc, 7);
}

// What is said to one who broke the rules goes to him, and to nobody else: a record of his in the
// connection of another would end that one, too.
TEST(uv_tls_peer, alert_is_for_who_earned_it)
{
    visit v;
    visit_make(&v);
    fixture_end *other = call(&v);
    EXPECT(shake(&v));
    int other_fd = v.fd;
    SSL *other_ssl = v.ssl;
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    static const uint8_t forged[5 + 40] = { 23, 3, 3, 0, 40 };
    EXPECT_EQ(send(v.fd, forged, sizeof forged, 0), sizeof forged);
    expect_end(&v, e, PH_ERESET, "TLS: ");
    char got[16];
    int error = SSL_ERROR_WANT_READ;
    for (phi_time end = patience(&v); error == SSL_ERROR_WANT_READ && !is_over(&v, end);) {
        step(&v);
        ERR_clear_error();
        error = SSL_get_error(v.ssl, SSL_read(v.ssl, got, sizeof got));
    }
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_last_error()), SSL_AD_REASON_OFFSET + SSL_AD_BAD_RECORD_MAC);
    hang_up(&v);
    v.fd = other_fd;
    v.ssl = other_ssl;
    expect_welcome(&v, other);
    visit_free(&v);
}

// The same of who is not in yet: says hello, and is gone before the answer.
TEST(uv_tls_peer, answer_to_who_is_gone_is_for_nobody_else)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    SSL *gone = SSL_new(v.ctx);
    BIO *hello = BIO_new(BIO_s_mem());
    BIO *nothing = BIO_new(BIO_s_mem());
    assert_non_null(gone);
    assert_non_null(hello);
    assert_non_null(nothing);
    SSL_set_bio(gone, nothing, hello);
    SSL_set_connect_state(gone);
    EXPECT_EQ(SSL_get_error(gone, SSL_do_handshake(gone)), SSL_ERROR_WANT_READ);
    char *bytes;
    long size = BIO_get_mem_data(hello, &bytes);
    EXPECT_EQ(send(v.fd, bytes, (size_t)size, 0), size);
    EXPECT_EQ(shutdown(v.fd, SHUT_WR), 0);
    SSL_free(gone);
    STEP_UNTIL(&v, e->closed == 1);
    hang_up(&v);
    e = call(&v);
    EXPECT(shake(&v));
    expect_welcome(&v, e);
    visit_free(&v);
}

static void forward_on_bytes(void *owner, phi_span bytes)
{
    fixture_end *e = (fixture_end *)owner;
    e->size += bytes.size;
    EXPECT_EQ(
        phi_stream_write(e->f->io, e->f->ends[1].stream, phi_bytes_of(bytes.data, bytes.size)),
        bytes.size);
}

// What is said to one who broke the rules must not be mixed into what is said to another.
TEST(uv_tls_peer, alert_reaches_nobody_else)
{
    visit v;
    visit_make(&v);
    fixture_end *e = call(&v);
    EXPECT(shake(&v));
    phi_tls *client =
        fixture_credentials(PHI_TLS_CLIENT, NULL, v.authority, NULL, PHI_TLS_PEERS_ASKED);
    char address[PHI_ADDRESS_TEXT_MAX];
    (void)snprintf(address, sizeof address, "tls:127.0.0.1:%u", v.f->port);
    phi_connect_options to = { .address = address, .tls = client };
    EXPECT_ERR(phi_io_connect(v.f->io, &to, &fixture_stream_events, &v.f->client,
                              &v.f->client.stream, NULL),
               PH_OK);
    STEP_UNTIL(&v, v.f->client.opened == 1);
    fixture_settle(v.f);
    phi_stream_events events = fixture_stream_events;
    events.on_bytes = forward_on_bytes;
    phi_stream_attach(v.f->io, e->stream, &events, e);
    phi_stream_pause(v.f->io, e->stream, true); // so that both are there at once
    say(&v, "good");
    static const uint8_t forged[5 + 40] = { 23, 3, 3, 0, 40 };
    EXPECT_EQ(send(v.fd, forged, sizeof forged, 0), sizeof forged);
    fixture_settle(v.f);
    phi_stream_pause(v.f->io, e->stream, false);
    expect_end(&v, e, PH_ERESET, "TLS: ");
    STEP_UNTIL(&v, v.f->client.size == 4 || v.f->client.closed == 1);
    EXPECT_EQ(v.f->client.closed, 0);
    EXPECT_BYTES(v.f->client.got, "good", 4);
    phi_tls_free(&client);
    visit_free(&v);
}

#define CROWD 20u

// A thousand clients that come back at once must not stand still those that are here.
TEST(uv_tls_peer, handshakes_share_a_turn)
{
    visit v;
    visit_make(&v);
    SSL *speaker = SSL_new(v.ctx);
    BIO *hello = BIO_new(BIO_s_mem());
    SSL_set_bio(speaker, BIO_new(BIO_s_mem()), hello);
    SSL_set_connect_state(speaker);
    EXPECT_EQ(SSL_get_error(speaker, SSL_do_handshake(speaker)), SSL_ERROR_WANT_READ);
    char *bytes;
    long size = BIO_get_mem_data(hello, &bytes);
    struct pollfd crowd[CROWD];
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = (struct pollfd){ .fd = raw_connect_accepted(v.f, i), .events = POLLIN };
    }
    for (size_t i = 0; i < CROWD; i++) {
        EXPECT_EQ(send(crowd[i].fd, bytes, (size_t)size, 0), size);
    }
    int answered = 0;
    unsigned turns = 0;
    for (phi_time end = patience(&v); answered < (int)CROWD && !is_over(&v, end); turns++) {
        int before = answered;
        phi_uv_turn(v.f->uv, phi_ms(1));
        answered = poll(crowd, CROWD, 0);
        EXPECT(answered - before <= (int)PHI_UV_TLS_SHAKES_PER_TURN);
    }
    EXPECT_EQ(answered, CROWD);
    EXPECT(turns >= CROWD / PHI_UV_TLS_SHAKES_PER_TURN);
    for (size_t i = 0; i < CROWD; i++) {
        close(crowd[i].fd);
    }
    SSL_free(speaker);
    visit_free(&v);
}

// SPDX-License-Identifier: Apache-2.0

#include "io/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/mailbox_private.h"
#include "tests/harness/test.h"
#include "tests/io/uv_fixture.h"
#include "tests/io/uv_mail_load.h"

// ---- fixture: two loops

typedef struct pair {
    phi_uv_mailboxes *set;
    phi_uv *uvs[2];
    phi_mailbox *mail[2];
    int count[2]; // of what came
} pair;

static pair the_pair;

static void on_mail(void *owner, uint32_t from, phi_span mail)
{
    (void)from;
    (void)mail;
    *(int *)owner += 1;
}

static pair *pair_new(void)
{
    pair *p = &the_pair;
    *p = (pair){ 0 };
    EXPECT_ERR(phi_uv_mailboxes_new(&p->set, 2, 1000, NULL), PH_OK);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_ERR(phi_uv_new(&p->uvs[i], &phi_alloc_heap, NULL), PH_OK);
        EXPECT_ERR(phi_uv_mailbox(p->set, i, p->uvs[i], &p->mail[i], NULL), PH_OK);
    }
    return p;
}

static void pair_free(pair *p)
{
    phi_uv_free(&p->uvs[0]);
    phi_uv_free(&p->uvs[1]);
    phi_uv_mailboxes_free(&p->set);
    EXPECT(p->set == NULL);
}

static uint8_t *send_mail(pair *p, uint32_t from, size_t size)
{
    uint8_t *room = phi_mailbox_begin(p->mail[from], 1 - from, size);
    memset(room, 0, size);
    phi_mailbox_commit(p->mail[from], 1 - from, size);
    phi_mailbox_post(p->mail[from]);
    return room;
}

static const phi_dur FOR_EVER = { UINT64_MAX };

// ---- waiting

// Mail that was there before the loop began to wait would stay until something else happens.
TEST(uv_mailbox, mail_that_is_there_keeps_the_turn_from_waiting)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    send_mail(p, 0, 8);
    phi_uv_turn(p->uvs[1], FOR_EVER); // returns, or the test hangs
    EXPECT_EQ(p->count[1], 1);
    pair_free(p);
}

// A loop whose center is not made yet must not spin over mail that it cannot read.
TEST(uv_mailbox, mail_for_nobody_yet_lets_the_turn_wait)
{
    pair *p = pair_new();
    send_mail(p, 0, 8);
    phi_time start = { uv_hrtime() };
    phi_uv_turn(p->uvs[1], phi_ms(3));
    EXPECT(phi_time_diff((phi_time){ uv_hrtime() }, start).ns >= phi_ms(2).ns);
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    phi_uv_turn(p->uvs[1], FOR_EVER);
    EXPECT_EQ(p->count[1], 1);
    pair_free(p);
}

// A loop that waits for memory would find none if it did not wait, and could judge streams too late
// or too early if its turn had two times. [io.h]
TEST(uv_mailbox, loop_stands_still_within_a_turn)
{
    pair *p = pair_new();
    phi_io *io = phi_uv_io(p->uvs[1]);
    phi_time now = io->now;
    phi_time start = { uv_hrtime() };
    phi_io_stand_still(io, phi_ms(3));
    EXPECT(phi_time_diff((phi_time){ uv_hrtime() }, start).ns >= phi_ms(3).ns);
    EXPECT_EQ(io->now.ns, now.ns);
    pair_free(p);
}

// How much a stream had got when the mail came.
typedef struct witness {
    const fixture_end *end;
    size_t size;
    int count;
} witness;

static void on_mail_note(void *owner, uint32_t from, phi_span mail)
{
    (void)from;
    (void)mail;
    witness *w = (witness *)owner;
    w->size = w->end->size;
    w->count++;
}

// A client that heard of something from one loop, and tells it to another, would be ahead of what
// that one knows.
TEST(uv_mailbox, mail_is_read_before_bytes_that_were_sent_behind_it)
{
    pair *p = &the_pair;
    *p = (pair){ 0 };
    EXPECT_ERR(phi_uv_mailboxes_new(&p->set, 2, 1000, NULL), PH_OK);
    EXPECT_ERR(phi_uv_new(&p->uvs[0], &phi_alloc_heap, NULL), PH_OK);
    EXPECT_ERR(phi_uv_mailbox(p->set, 0, p->uvs[0], &p->mail[0], NULL), PH_OK);
    fixture *f = fixture_new("127.0.0.1:0");
    EXPECT_ERR(phi_uv_mailbox(p->set, 1, f->uv, &p->mail[1], NULL), PH_OK);
    int fd = raw_connect_accepted(f, 0);
    fixture_settle(f);
    witness w = { .end = &f->ends[0] };
    phi_mailbox_attach(p->mail[1], on_mail_note, &w);
    for (int i = 1; i <= 10; i++) {
        send_mail(p, 0, 8);
        EXPECT_EQ(write(fd, "x", 1), 1);
        FIXTURE_UNTIL(f, f->ends[0].size == (size_t)i);
        EXPECT_EQ(w.count, i);
        EXPECT_EQ(w.size, (size_t)i - 1);
    }
    close(fd);
    fixture_settle(f);
    fixture_free(f);
    phi_uv_free(&p->uvs[0]);
    phi_uv_mailboxes_free(&p->set);
}

static void echo(void *owner, uint32_t from, phi_span mail)
{
    (void)mail;
    pair *p = (pair *)owner;
    p->count[1 - from]++;
    send_mail(p, 1 - from, 8);
    if (p->count[1 - from] == 500) {
        phi_uv_stop(p->uvs[1 - from]);
    }
}

static void *run(void *arg)
{
    phi_uv_run((phi_uv *)arg);
    return NULL;
}

// With one mail under way both loops sleep between its coming and going: one lost wake-up, and the
// test hangs. It runs under TSan, too.
TEST(uv_mailbox, sleeping_loop_is_woken_each_time)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[0], echo, p);
    phi_mailbox_attach(p->mail[1], echo, p);
    send_mail(p, 0, 8);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, run, p->uvs[1]), 0);
    phi_uv_run(p->uvs[0]);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(p->count[0], 500);
    EXPECT_EQ(p->count[1], 500);
    pair_free(p);
}

static void *turn_once(void *arg)
{
    phi_uv_turn((phi_uv *)arg, FOR_EVER);
    return NULL;
}

// Whoever is held until there is room would be held until something else happens.
TEST(uv_mailbox, who_awaits_room_is_woken_when_it_is_there)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[0], on_mail, &p->count[0]);
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    EXPECT(!phi_mailbox_await_room(p->mail[0]));
    for (int i = 1; i <= 200; i++) {
        send_mail(p, 0, 992); // with its head 1,000: no room for more
        EXPECT(phi_mailbox_await_room(p->mail[0]));
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, turn_once, p->uvs[0]), 0);
        phi_uv_turn(p->uvs[1], phi_ns(0)); // before it sleeps, or while
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        EXPECT_EQ(p->count[1], i);
        EXPECT(!phi_mailbox_await_room(p->mail[0]));
    }
    pair_free(p);
}

static bool is_woken(const phi_uv *uv)
{
    struct pollfd wait = { .fd = uv_backend_fd(&uv->loop), .events = POLLIN };
    return poll(&wait, 1, 0) == 1;
}

// The same for a loop that surely sleeps: there the threads above seldom get.
TEST(uv_mailbox, who_sleeps_until_there_is_room_is_woken)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[0], on_mail, &p->count[0]);
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    phi_uv_turn(p->uvs[0], phi_ns(0)); // from here on libuv watches
    send_mail(p, 0, 992);
    EXPECT(phi_mailbox_await_room(p->mail[0]));
    EXPECT(phi_uv_box_sleep(p->uvs[0]->box));
    EXPECT(!is_woken(p->uvs[0]));
    phi_uv_turn(p->uvs[1], phi_ns(0));
    EXPECT(is_woken(p->uvs[0]));
    phi_uv_turn(p->uvs[0], FOR_EVER);
    EXPECT(!is_woken(p->uvs[0]));
    pair_free(p);
}

// Each wake is a system call and a turn: what is not awaited any more must cost neither.
TEST(uv_mailbox, room_is_told_once_and_only_to_who_awaits_it)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[0], on_mail, &p->count[0]);
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    send_mail(p, 0, 992);
    EXPECT(phi_mailbox_await_room(p->mail[0]));
    phi_uv_turn(p->uvs[1], phi_ns(0));
    phi_uv_turn(p->uvs[0], FOR_EVER);
    send_mail(p, 0, 992);
    phi_uv_turn(p->uvs[1], phi_ns(0));
    phi_time start = { uv_hrtime() };
    phi_uv_turn(p->uvs[0], phi_ms(3));
    EXPECT(phi_time_diff((phi_time){ uv_hrtime() }, start).ns >= phi_ms(2).ns);
    pair_free(p);
}

// A worker that has ended makes room by that, and so does what is thrown away later.
TEST(uv_mailbox, room_at_a_loop_that_is_gone_is_told)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[0], on_mail, &p->count[0]);
    send_mail(p, 0, 992);
    EXPECT(phi_mailbox_await_room(p->mail[0]));
    phi_uv_free(&p->uvs[1]);
    phi_uv_turn(p->uvs[0], FOR_EVER); // returns, or the test hangs
    EXPECT(!phi_mailbox_await_room(p->mail[0]));
    (void)phi_mailbox_begin(p->mail[0], 1, 992);
    phi_mailbox_commit(p->mail[0], 1, 992);
    EXPECT(phi_mailbox_await_room(p->mail[0])); // until it is posted
    phi_mailbox_post(p->mail[0]);
    phi_uv_turn(p->uvs[0], FOR_EVER);
    pair_free(p);
}

// The same as in the slow test, for every build.
TEST(uv_mailbox, thousands_of_mails_in_one_order)
{
    mail_load_run(4, 2000);
}

// ---- life

// A worker that has ended must not hold the others up, nor take their memory.
TEST(uv_mailbox, mail_to_a_loop_that_is_gone_is_thrown_away)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    send_mail(p, 0, 992); // with its head 1,000: no room for more
    EXPECT(!phi_mailbox_is_roomy(p->mail[0], 1));
    phi_uv_free(&p->uvs[1]);
    EXPECT(phi_mailbox_is_roomy(p->mail[0], 1));
    for (int i = 0; i < 100; i++) {
        send_mail(p, 0, 992);
        EXPECT(phi_mailbox_is_roomy(p->mail[0], 1));
    }
    EXPECT_EQ(p->count[1], 0);
    pair_free(p);
}

// Chunks that are not used again would be an allocation for each turn; ASan tells of those that are
// lost.
TEST(uv_mailbox, chunks_wander_and_come_back)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    uint8_t *seen[8] = { NULL };
    size_t count = 0;
    for (int i = 0; i < 1000; i++) { // in one direction only, so each has to come back
        uint8_t *room = send_mail(p, 0, 100);
        phi_uv_turn(p->uvs[1], phi_ns(0));
        size_t k = 0;
        while (k < count && seen[k] != room) {
            k++;
        }
        if (k == count) {
            EXPECT(count < PHI_COUNT_OF(seen));
            seen[count++] = room;
        }
    }
    EXPECT_EQ(p->count[1], 1000);
    pair_free(p);
}

// A burst must not keep its memory for ever.
TEST(uv_mailbox, chunks_of_a_burst_are_given_back)
{
    pair *p = pair_new();
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < 500; i++) {
            send_mail(p, 0, 60000);
        }
        phi_uv_turn(p->uvs[1], FOR_EVER);
        EXPECT(p->mail[1]->stock.count <= 2);
        EXPECT(p->mail[1]->surplus.count <= PHI_MAIL_SURPLUS_MAX);
    }
    EXPECT_EQ(p->count[1], 1500);
    pair_free(p);
}

// ---- mail that grows

typedef struct heard {
    int count;
    size_t sizes[8];
    uint64_t words[8][4]; // the beginning of each
} heard;

static void on_heard(void *owner, uint32_t from, phi_span mail)
{
    (void)from;
    heard *h = owner;
    EXPECT((size_t)h->count < PHI_COUNT_OF(h->sizes));
    h->sizes[h->count] = mail.size;
    memcpy(h->words[h->count], mail.data, mail.size < 32 ? mail.size : 32);
    h->count++;
}

static void write_word(phi_mailbox *m, uint64_t word, size_t size_max)
{
    memcpy(phi_mailbox_begin(m, 1, size_max), &word, sizeof word);
    phi_mailbox_commit(m, 1, sizeof word);
}

static bool add_word(phi_mailbox *m, uint64_t mark, uint64_t word, size_t weight)
{
    uint8_t *room = phi_mailbox_lengthen(m, 1, mark, sizeof word, weight);
    if (room != NULL) {
        memcpy(room, &word, sizeof word);
    }
    return room != NULL;
}

// What is added to a mail behind which others stand, or that is under way, would be read before
// what was written earlier, or by nobody.
TEST(uv_mailbox, only_the_last_mail_that_is_not_posted_grows)
{
    pair *p = pair_new();
    phi_mailbox *m = p->mail[0];
    heard h = { 0 };
    phi_mailbox_attach(p->mail[1], on_heard, &h);
    EXPECT(!add_word(m, phi_mailbox_mark(m, 1), 9, 8)); // there is none

    write_word(m, 1, 32);
    uint64_t first = phi_mailbox_mark(m, 1);
    EXPECT(add_word(m, first, 2, 8));
    EXPECT(!add_word(m, first, 9, 8)); // it has grown since
    uint64_t grown = phi_mailbox_mark(m, 1);
    EXPECT(phi_mailbox_begin(m, 1, 100) != NULL); // a mail that was not written after all
    EXPECT(add_word(m, grown, 3, 8));
    grown = phi_mailbox_mark(m, 1);

    write_word(m, 4, 32);
    EXPECT(!add_word(m, grown, 9, 8)); // another one is behind it
    uint64_t second = phi_mailbox_mark(m, 1);
    phi_mailbox_post(m);
    EXPECT(!add_word(m, second, 9, 8)); // under way
    EXPECT(phi_mailbox_begin(m, 1, 100) != NULL);
    EXPECT(!add_word(m, second, 9, 8)); // the same, and there is a new chunk
    write_word(m, 5, 32);
    phi_mailbox_post(m);

    phi_uv_turn(p->uvs[1], phi_ns(0));
    EXPECT_EQ(h.count, 3);
    EXPECT_EQ(h.sizes[0], 24);
    EXPECT_EQ(h.words[0][0], 1);
    EXPECT_EQ(h.words[0][1], 2);
    EXPECT_EQ(h.words[0][2], 3);
    EXPECT_EQ(h.sizes[1], 8);
    EXPECT_EQ(h.words[1][0], 4);
    EXPECT_EQ(h.words[2][0], 5);
    pair_free(p);
}

// A mail grows to what was asked for when it was begun, wherever in a chunk it stands; beyond that
// up to the chunk's end, and never over it.
TEST(uv_mailbox, mail_grows_to_what_it_was_begun_with)
{
    enum { WORDS = 1000 };
    pair *p = pair_new();
    phi_mailbox *m = p->mail[0];
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    for (size_t before = 0; before < PHI_MAIL_CHUNK_BYTES; before += 1000) {
        write_word(m, 0, before + 8);
        for (size_t filled = 8; filled < before; filled += 8) {
            EXPECT(add_word(m, phi_mailbox_mark(m, 1), filled, 8));
        }
        write_word(m, 0, WORDS * sizeof(uint64_t));
        uint64_t words = 1;
        while (add_word(m, phi_mailbox_mark(m, 1), words, 8)) {
            words++;
        }
        EXPECT(words >= WORDS);
        EXPECT(words * sizeof(uint64_t) <= PHI_MAIL_CHUNK_CAPACITY);
        phi_mailbox_post(m);
        phi_uv_turn(p->uvs[1], phi_ns(0));
    }
    EXPECT_EQ(phi_mailbox_unread(m), 0);
    pair_free(p);
}

// What makes its reader do more than it is long would let a writer ask for many times the work that
// a full mailbox stands for. The set's limit is 1,000.
TEST(uv_mailbox, added_words_count_as_said)
{
    pair *p = pair_new();
    phi_mailbox *m = p->mail[0];
    phi_mailbox_attach(p->mail[1], on_mail, &p->count[1]);
    write_word(m, 1, 200);
    EXPECT_EQ(phi_mailbox_unread(m), 16);
    EXPECT(add_word(m, phi_mailbox_mark(m, 1), 2, 983));
    EXPECT(phi_mailbox_is_roomy(m, 1));
    EXPECT(add_word(m, phi_mailbox_mark(m, 1), 3, 8));
    EXPECT(!phi_mailbox_is_roomy(m, 1));
    EXPECT_EQ(phi_mailbox_unread(m), 1007);
    phi_mailbox_post(m);
    phi_uv_turn(p->uvs[1], phi_ns(0));
    EXPECT_EQ(p->count[1], 1);
    EXPECT(phi_mailbox_is_roomy(m, 1));
    EXPECT_EQ(phi_mailbox_unread(m), 0);

    // Also when it is copied because its reader is late.
    m->bytes_max = 100000;
    write_word(m, 1, 200);
    EXPECT(add_word(m, phi_mailbox_mark(m, 1), 2, 20000));
    phi_mailbox_post(m);
    write_word(m, 3, 200);
    EXPECT(add_word(m, phi_mailbox_mark(m, 1), 4, 5000));
    phi_mailbox_post(m);
    EXPECT_EQ(phi_mailbox_unread(m), 25032);
    phi_uv_turn(p->uvs[1], phi_ns(0));
    EXPECT_EQ(phi_mailbox_unread(m), 0);
    pair_free(p);
}

// ---- memory

typedef struct unread {
    phi_mail_list chunks;
    size_t bytes;
} unread;

static unread the_unread;

static void post_to_nobody(phi_mailbox *m)
{
    phi_mail_list chunks;
    phi_mailbox_take_out(m, 1, &chunks);
    for (const phi_mail_chunk *chunk = chunks.first; chunk != NULL; chunk = chunk->next) {
        the_unread.bytes += sizeof *chunk + chunk->capacity;
    }
    phi_mail_list_move(&the_unread.chunks, &chunks);
}

// What waits for a loop that stands still would take a whole chunk for each turn in which another
// one wrote it a little: a thousand times what the set's bytes_max says.
TEST(uv_mailbox, little_mail_that_nobody_reads_takes_little_memory)
{
    enum { POSTS = 20000, SIZE = 40, MEMORY_MAX = 16 * 1024 * 1024 };
    static phi_mailbox boxes[2];
    static phi_mailbox *const all[2] = { &boxes[0], &boxes[1] };
    the_unread = (unread){ .bytes = 0 };
    for (uint32_t i = 0; i < 2; i++) {
        phi_mailbox_init(&boxes[i], i, 2, all, 4 * 1024 * 1024, post_to_nobody);
    }
    phi_mailbox_attach(&boxes[1], on_mail, &the_pair.count[1]);
    the_pair.count[1] = 0;
    for (int i = 0; i < POSTS && the_unread.bytes <= MEMORY_MAX; i++) {
        memset(phi_mailbox_begin(&boxes[0], 1, SIZE), 0, SIZE);
        phi_mailbox_commit(&boxes[0], 1, SIZE);
        phi_mailbox_post(&boxes[0]);
    }
    EXPECT(the_unread.bytes <= MEMORY_MAX);
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(&the_unread.chunks)) != NULL;) {
        phi_mailbox_read(&boxes[1], chunk);
        phi_mailbox_recycle(&boxes[1], chunk);
    }
    EXPECT_EQ(the_pair.count[1], POSTS);
    phi_mailbox_fini(&boxes[0]);
    phi_mailbox_fini(&boxes[1]);
}

static void post_to_all(phi_mailbox *m)
{
    for (uint32_t to = 1; to < m->count; to++) {
        phi_mail_list chunks;
        phi_mailbox_take_out(m, to, &chunks);
        phi_mail_list_move(&the_unread.chunks, &chunks);
    }
}

// With many loops, each that had a burst of mail from all others would keep a chunk for each of
// them for ever: together a quarter of a gigabyte.
TEST(uv_mailbox, stock_of_many_loops_is_small)
{
    static phi_mailbox box;
    static phi_mailbox *all[PHI_MAILBOXES_MAX];
    the_unread = (unread){ .bytes = 0 };
    phi_mailbox_init(&box, 0, PHI_MAILBOXES_MAX, all, 4 * 1024 * 1024, post_to_all);
    for (uint32_t to = 0; to < PHI_MAILBOXES_MAX; to++) {
        all[to] = &box; // has read nothing
    }
    for (uint32_t to = 1; to < PHI_MAILBOXES_MAX; to++) {
        memset(phi_mailbox_begin(&box, to, 8), 0, 8);
        phi_mailbox_commit(&box, to, 8);
    }
    phi_mailbox_post(&box);
    EXPECT_EQ(the_unread.chunks.count, PHI_MAILBOXES_MAX - 1);
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(&the_unread.chunks)) != NULL;) {
        phi_mailbox_recycle(&box, chunk);
    }
    EXPECT_EQ(box.stock.count, PHI_MAIL_STOCK_MAX);
    EXPECT_EQ(box.surplus.count,
              PHI_MAILBOXES_MAX - 1 - PHI_MAIL_STOCK_MAX); // the others may have it
    phi_mailbox_fini(&box);
}

// ---- streams

static phi_loose_stream *loose;

static void release_on_accept(void *owner, phi_stream *s)
{
    EXPECT_ERR(phi_stream_release(((fixture *)owner)->io, s, &loose), PH_OK);
}

// A loop without memory must not leave a client with a connection that nobody reads.
TEST(uv_mailbox, stream_that_cannot_be_adopted_is_closed)
{
    phi_listener_events events = fixture_listener_events;
    events.on_accept = release_on_accept;
    fixture *f = fixture_new(NULL);
    EXPECT_ERR(phi_io_listen(f->io, &(phi_listen_options){ .address = "127.0.0.1:0" }, &events, f,
                             &f->listener, NULL),
               PH_OK);
    phi_listener_address(f->io, f->listener, f->address);
    phi_endpoint at;
    EXPECT_ERR(phi_endpoint_parse(f->address, &at, NULL), PH_OK);
    f->port = at.port;
    loose = NULL;
    int fd = raw_connect(f);
    FIXTURE_UNTIL(f, loose != NULL);
    f->memory.fail_at = f->memory.takes + 1;
    phi_stream *s = NULL;
    EXPECT_ERR(phi_stream_adopt(f->io, loose, &s), PH_ENOMEM);
    char byte;
    EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
    close(fd);
    fixture_free(f);
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/kill/kill_test.c - how long it takes until everybody knows that a responder was killed.
// Prints TAP, and the figures.
//
// Were it to fail, callers would wait for somebody who is dead, which is what the whole project
// exists to end.
//
// A real center (`posthouse serve`), this process with callers and watchers, and one responder
// after the other in a process of its own. Each takes calls and answers only some, so that it dies
// in the middle of the others. The clock starts right before kill(2) and stops, for each caller,
// with the last failure of its open calls and, for each watcher, with the change of presence.

#include <errno.h>
#include <fcntl.h>
#include <posthouse/posthouse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS 200
#define CALLERS 8
#define WATCHERS 8
#define CALLS_EACH 16
#define KNOWN_WITHIN_MS 5.0 // p99
#define STEP_MAX_MS 10000   // longer than this and something hangs

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    printf("not ok 1 - kill_everybody_knows\n# %s\n1..1\n", what);
    exit(1);
}

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        printf("# %s: %s\n", what, ph_err_text(err));
        die(what);
    }
}

// ---- the responder's process

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    uint64_t *count = arg;
    // Every other call is answered; the rest is what it dies in the middle of.
    if (++*count % 2 == 0) {
        check(ph_client_reply(client, request, incoming->body.data, incoming->body.size), "reply");
    }
}

static int run_responder(const char *center)
{
    uint64_t count = 0;
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = center;
    options.account = "victim";
    options.on_request = on_request;
    options.arg = &count;
    check(ph_client_new(&client, &options), "responder");
    check(ph_client_open(client), "responder");
    ph_loop_run(ph_client_loop(client));
    return 0;
}

// ---- callers and watchers

typedef struct story {
    ph_loop *loop;
    ph_client *callers[CALLERS];
    ph_client *watchers[WATCHERS];
    uint64_t killed_ns;
    uint32_t online;  // watchers that see the victim
    uint32_t open;    // calls without an end
    uint32_t replied; // in this round
    uint32_t failed;  // with responder_lost, in this round
    uint32_t wrong;   // calls that ended in any other way
    double caller_ms[KILLS * CALLERS * CALLS_EACH];
    double watcher_ms[KILLS * WATCHERS];
    size_t caller_count;
    size_t watcher_count;
} story;

static double since_ms(uint64_t ns)
{
    return (double)(now_ns() - ns) / 1e6;
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    (void)reason;
    story *s = arg;
    if (peer->id.size < 7 || memcmp(peer->id.data, "victim@", 7) != 0) {
        return;
    }
    if (change == PH_ONLINE) {
        s->online++;
    } else if (change == PH_OFFLINE) {
        s->online--;
        s->watcher_ms[s->watcher_count++] = since_ms(s->killed_ns);
    }
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    (void)reply;
    story *s = arg;
    s->open--;
    if (status == PH_OK) {
        s->replied++;
    } else if (status == PH_EFAILURE && code == PH_FAILURE_RESPONDER_LOST) {
        s->failed++;
        s->caller_ms[s->caller_count++] = since_ms(s->killed_ns);
    } else {
        s->wrong++;
    }
}

static bool has_all_seen(const story *s)
{
    return s->online == WATCHERS;
}
static bool has_half_replied(const story *s)
{
    return s->replied == CALLERS * CALLS_EACH / 2;
}
static bool is_over(const story *s)
{
    return s->open == 0 && s->online == 0;
}

static void turn_until(story *s, bool (*condition)(const story *), const char *what)
{
    uint64_t begin = now_ns();
    while (!condition(s)) {
        ph_loop_turn(s->loop, 100);
        if (since_ms(begin) > STEP_MAX_MS) {
            die(what);
        }
    }
}

static ph_client *client_of(story *s, const char *center, bool is_watching)
{
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = center;
    options.loop = s->loop;
    options.is_watching = is_watching;
    options.on_presence = is_watching ? on_presence : NULL;
    options.arg = s;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, STEP_MAX_MS), "connect");
    return client;
}

static void one_kill(story *s, const char *program, const char *center)
{
    s->replied = 0;
    s->failed = 0;
    pid_t victim = fork();
    if (victim == 0) {
        execl(program, program, "--responder", center, (char *)NULL);
        _exit(127);
    }
    turn_until(s, has_all_seen, "the responder did not come online everywhere");
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "victim";
    request.timeout_ms = STEP_MAX_MS * 2;
    for (size_t i = 0; i < CALLERS * CALLS_EACH; i++) {
        check(ph_client_request(s->callers[i / CALLS_EACH], &request, NULL, on_reply, s), "call");
        s->open++;
    }
    turn_until(s, has_half_replied, "the responder did not answer half of the calls");
    s->killed_ns = now_ns();
    kill(victim, SIGKILL);
    turn_until(s, is_over, "not everybody learned that the responder was killed");
    waitpid(victim, NULL, 0);
    if (s->failed != CALLERS * CALLS_EACH / 2) {
        die("a call that the responder died in did not end in responder_lost");
    }
}

// ---- figures

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double print_figures(const char *who, double *ms, size_t count)
{
    qsort(ms, count, sizeof *ms, compare);
    double p99 = ms[(count - 1) * 99 / 100];
    printf("# %-8s p50 %.3f ms, p99 %.3f ms, max %.3f ms (%zu notices, %d kills)\n", who,
           ms[count / 2], p99, ms[count - 1], count, KILLS);
    return p99;
}

// ---- the center's process

static pid_t start_center(char *address, size_t size)
{
    char folder[] = "/tmp/posthouse-kill-XXXXXX";
    char fifo[64];
    char program[4096];
    const char *build = getenv("PH_BUILD");
    if (build == NULL || mkdtemp(folder) == NULL) {
        die("PH_BUILD is not set, or there is no temporary folder");
    }
    snprintf(fifo, sizeof fifo, "%s/port", folder);
    snprintf(program, sizeof program, "%s/src/app/posthouse", build);
    if (mkfifo(fifo, 0600) != 0) {
        die("mkfifo");
    }
    pid_t pid = fork();
    if (pid == 0) {
        // One account is lost here a thousand times, and is to be listed all the same.
        setenv("POSTHOUSE_FLAP_SUPPRESS", "1000000", /* overwrite= */ 1);
        execl(program, program, "serve", "--listen", "127.0.0.1:0", "--log-level", "error",
              "--port-file", fifo, (char *)NULL);
        _exit(127);
    }
    FILE *file = fopen(fifo, "r");
    char line[100] = "";
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        die("the center did not start");
    }
    fclose(file);
    unlink(fifo);
    rmdir(folder);
    line[strcspn(line, "\n")] = '\0';
    const char *colon = strrchr(line, ':');
    snprintf(address, size, "127.0.0.1:%s", colon == NULL ? line : colon + 1);
    return pid;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--responder") == 0) {
        return run_responder(argv[2]);
    }
    static story s;
    char center[128];
    char program[4096] = "";
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) {
        die("who am I");
    }
    pid_t center_pid = start_center(center, sizeof center);
    check(ph_loop_new(&s.loop), "loop");
    for (size_t i = 0; i < CALLERS; i++) {
        s.callers[i] = client_of(&s, center, false);
    }
    for (size_t i = 0; i < WATCHERS; i++) {
        s.watchers[i] = client_of(&s, center, true);
    }
    for (int i = 0; i < KILLS; i++) {
        one_kill(&s, program, center);
    }

    double caller_p99 = print_figures("callers", s.caller_ms, s.caller_count);
    double watcher_p99 = print_figures("watchers", s.watcher_ms, s.watcher_count);
    bool is_ok = s.wrong == 0 && caller_p99 <= KNOWN_WITHIN_MS && watcher_p99 <= KNOWN_WITHIN_MS;
    printf("%s 1 - kill_everybody_knows_within_5_ms\n1..1\n", is_ok ? "ok" : "not ok");
    for (size_t i = 0; i < CALLERS; i++) {
        ph_client_free(&s.callers[i]);
    }
    for (size_t i = 0; i < WATCHERS; i++) {
        ph_client_free(&s.watchers[i]);
    }
    ph_loop_free(&s.loop);
    kill(center_pid, SIGTERM);
    waitpid(center_pid, NULL, 0);
    return is_ok ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
//
// app/jobs.c - shell commands that run beside the loop.
//
// Design notes
// - A command is over when its process is: a grandchild that keeps the pipes open does not hold the
//   answer back. What stands in the pipes by then is read.
// - Each runs in a process group of its own, so that a cancel kills also what it started.
// - What a peer sent reaches a command by standard input and environment, never by its text.

#include "app/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

#define READ_BYTES 16384
#define ENV_MAX 4096 // variables handed on

extern char **environ;

static int wake_fd = -1;

static void on_child(int signum);
static bool open_pipes(int pipes[3][2]);
static void close_both(int pair[2]);
static void close_fd(int *fd);
static bool is_secret(const char *variable);
static ph_err spawn(const jobs *js, int pipes[3][2], const ph_incoming *incoming, pid_t *pid,
                    phi_diag *diag);
static void cancel(job *j);
static void feed(job *j);
static void read_output(job *j);
static void read_error(job *j);
static void reap(jobs *js);
static void offer(jobs *js, job *j);
static void give_back(jobs *js, job *j);

ph_err jobs_init(jobs *js, const char *command, size_t most,
                 bool (*finished)(void *arg, const job *j), void *arg, phi_diag *diag)
{
    PH_ASSERT(most > 0);
    PH_ASSERT(most <= JOBS_MAX);
    memset(js, 0, sizeof *js);
    js->command = command;
    js->most = most;
    js->finished = finished;
    js->arg = arg;
    if (pipe2(js->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        return phi_diag_add(diag, PH_ESYSTEM, "pipe: %s", strerror(errno));
    }
    wake_fd = js->wake[1];
    struct sigaction action = { .sa_handler = on_child };
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    return PH_OK;
}

void jobs_fini(jobs *js)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        job *j = &js->list[i];
        if (j->pid != 0 && !j->is_over) {
            kill(-j->pid, SIGKILL);
            waitpid(j->pid, NULL, 0);
        }
        if (j->pid != 0) {
            give_back(js, j);
        }
    }
    signal(SIGCHLD, SIG_DFL);
    wake_fd = -1;
    close_both(js->wake);
}

ph_err jobs_start(jobs *js, ph_request_id request, const ph_incoming *incoming, phi_diag *diag)
{
    if (js->running == js->most) {
        return phi_diag_add(diag, PH_ELIMIT, "all %zu commands are running", js->most);
    }
    job *j = js->list;
    while (j->pid != 0) {
        j++;
    }
    int pipes[3][2];
    if (!open_pipes(pipes)) {
        return phi_diag_add(diag, PH_ESYSTEM, "pipe: %s", strerror(errno));
    }
    pid_t pid;
    ph_err rc = spawn(js, pipes, incoming, &pid, diag);
    if (rc != PH_OK) {
        for (size_t i = 0; i < 3; i++) {
            close_both(pipes[i]);
        }
        return rc;
    }
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    *j = (job){
        .request = request, .pid = pid, .in = pipes[0][1], .out = pipes[1][0], .err = pipes[2][0]
    };
    draft_init(&j->input);
    draft_init(&j->output);
    draft_bytes(&j->input, draft_of_view(incoming->body));
    js->running++;
    feed(j);
    return PH_OK;
}

void jobs_cancel(jobs *js, ph_request_id request)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        job *j = &js->list[i];
        if (ph_request_id_equal(j->request, request)) {
            cancel(j);
        }
    }
}

void jobs_cancel_all(jobs *js)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        cancel(&js->list[i]);
    }
}

size_t jobs_poll_fill(const jobs *js, struct pollfd fds[JOBS_POLL_MAX])
{
    size_t count = 0;
    fds[count++] = (struct pollfd){ .fd = js->wake[0], .events = POLLIN };
    for (size_t i = 0; i < JOBS_MAX; i++) {
        const job *j = &js->list[i];
        if (j->pid == 0 || j->is_over) {
            continue;
        }
        if (j->in >= 0) {
            fds[count++] = (struct pollfd){ .fd = j->in, .events = POLLOUT };
        }
        if (j->out >= 0) {
            fds[count++] = (struct pollfd){ .fd = j->out, .events = POLLIN };
        }
        if (j->err >= 0) {
            fds[count++] = (struct pollfd){ .fd = j->err, .events = POLLIN };
        }
    }
    return count;
}

void jobs_poll_done(jobs *js, const struct pollfd *fds, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; fds[k].revents != 0 && i < JOBS_MAX; i++) {
            job *j = &js->list[i];
            if (j->pid == 0 || j->is_over) {
                continue;
            }
            if (fds[k].fd == j->in) {
                feed(j);
            } else if (fds[k].fd == j->out) {
                read_output(j);
            } else if (fds[k].fd == j->err) {
                read_error(j);
            }
        }
    }
    char ignored[64];
    while (read(js->wake[0], ignored, sizeof ignored) > 0) {
    }
    reap(js);
}

void jobs_retry(jobs *js)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        if (js->list[i].pid != 0 && js->list[i].is_over) {
            offer(js, &js->list[i]);
        }
    }
}

// ---- processes

static void on_child(int signum)
{
    (void)signum;
    int saved = errno;
    ssize_t ignored = write(wake_fd, "", 1); // full: poll will wake anyhow
    (void)ignored;
    errno = saved;
}

// Our ends never block; the command's do, as it expects.
static bool open_pipes(int pipes[3][2])
{
    for (size_t i = 0; i < 3; i++) {
        size_t ours = i == 0 ? 1 : 0;
        bool is_open = pipe2(pipes[i], O_CLOEXEC) == 0;
        if (!is_open || fcntl(pipes[i][ours], F_SETFL, O_NONBLOCK) != 0) {
            int saved = errno;
            for (size_t k = 0; k < i + (is_open ? 1 : 0); k++) {
                close_both(pipes[k]);
            }
            errno = saved;
            return false;
        }
    }
    return true;
}

// What proves who this program is, or leads there, is not the command's: peers decide when it runs.
static bool is_secret(const char *variable)
{
    static const char *const fronts[] = { "POSTHOUSE_TOKEN", "POSTHOUSE_TLS_KEY",
                                          "CREDENTIALS_DIRECTORY=" };
    bool is_one = false;
    for (size_t i = 0; i < PHI_COUNT_OF(fronts); i++) {
        is_one = is_one || strncmp(variable, fronts[i], strlen(fronts[i])) == 0;
    }
    return is_one;
}

static ph_err spawn(const jobs *js, int pipes[3][2], const ph_incoming *incoming, pid_t *pid,
                    phi_diag *diag)
{
    char method[512];
    char from[256];
    char timeout[64];
    snprintf(method, sizeof method, "PH_METHOD=%.*s", (int)incoming->method.size,
             incoming->method.data);
    snprintf(from, sizeof from, "PH_FROM=%.*s", (int)incoming->from.size, incoming->from.data);
    snprintf(timeout, sizeof timeout, "PH_TIMEOUT_MS=%u", incoming->timeout_ms);
    static char *environment[ENV_MAX + 4];
    size_t count = 0;
    for (char **e = environ; *e != NULL && count < ENV_MAX; e++) {
        if (strncmp(*e, "PH_", 3) != 0 && !is_secret(*e)) {
            environment[count++] = *e;
        }
    }
    environment[count++] = method;
    environment[count++] = from;
    environment[count++] = timeout;
    environment[count] = NULL;

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[0][0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes[2][1], STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); // ignored here, and a shell's pipes count on it
    posix_spawnattr_setsigdefault(&attributes, &defaults);

    char shell[] = "/bin/sh";
    char flag[] = "-c";
    char *command = strdup(js->command);
    char *const argv[] = { shell, flag, command, NULL };
    int rc = command == NULL ? ENOMEM
                             : posix_spawn(pid, shell, &actions, &attributes, argv, environment);
    free(command);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? PH_OK : phi_diag_add(diag, PH_ESYSTEM, "cannot start: %s", strerror(rc));
}

// Nothing for a free place, or one whose command is over.
static void cancel(job *j)
{
    if (j->pid != 0 && !j->is_over && !j->is_cancelled) {
        j->is_cancelled = true;
        kill(-j->pid, SIGKILL);
    }
}

// Hands over input while the command takes it.
static void feed(job *j)
{
    phi_bytes all = draft_view(&j->input);
    while (j->in >= 0) {
        if (j->written == all.size) {
            close_fd(&j->in);
            return;
        }
        ssize_t n = write(j->in, all.data + j->written, all.size - j->written);
        if (n > 0) {
            j->written += (size_t)n;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            close_fd(&j->in); // it reads no more: its business
        }
    }
}

static void read_output(job *j)
{
    uint8_t chunk[READ_BYTES];
    while (j->out >= 0) {
        ssize_t n = read(j->out, chunk, sizeof chunk);
        if (n > 0 && draft_size(&j->output) + (size_t)n <= JOB_OUTPUT_MAX) {
            draft_bytes(&j->output, phi_bytes_of(chunk, (size_t)n));
        } else if (n > 0) {
            j->is_too_long = true;
            kill(-j->pid, SIGKILL);
            close_fd(&j->out);
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else if (n == 0 || errno != EINTR) {
            close_fd(&j->out);
        }
    }
}

// Keeps the beginning of the last line that is not empty.
static void read_error(job *j)
{
    char chunk[1024];
    while (j->err >= 0) {
        ssize_t n = read(j->err, chunk, sizeof chunk);
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] == '\n') {
                j->error_ended = true;
                continue;
            }
            if (j->error_ended) {
                j->error_size = 0;
                j->error_ended = false;
            }
            if (j->error_size < sizeof j->error) {
                j->error[j->error_size++] = chunk[i];
            }
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n == 0 || (n < 0 && errno != EINTR)) {
            close_fd(&j->err);
        }
    }
}

static void reap(jobs *js)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        job *j = &js->list[i];
        if (j->pid != 0 && !j->is_over && waitpid(j->pid, &j->status, WNOHANG) == j->pid) {
            read_output(j);
            read_error(j);
            j->is_over = true;
            close_fd(&j->in);
            close_fd(&j->out);
            close_fd(&j->err);
            offer(js, j);
        }
    }
}

static void offer(jobs *js, job *j)
{
    PH_ASSERT(j->is_over);
    if (j->is_cancelled || js->finished(js->arg, j)) {
        give_back(js, j);
    }
}

static void give_back(jobs *js, job *j)
{
    PH_ASSERT(js->running > 0);
    js->running--;
    close_fd(&j->in);
    close_fd(&j->out);
    close_fd(&j->err);
    draft_fini(&j->input);
    draft_fini(&j->output);
    *j = (job){ .pid = 0, .in = -1, .out = -1, .err = -1 };
}

static void close_both(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// tests/harness/death.h - assertions are part of the contract: proves that one ends the process,
// and what it says.

#ifndef TESTS_HARNESS_DEATH_H
#define TESTS_HARNESS_DEATH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs `act` in a child. True when it aborted; `said` is then what it wrote to stderr, cut to
// `size`.
static inline bool death_of(void (*act)(void *arg), void *arg, char *said, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        act(arg);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], said + used, size - 1 - used)) > 0;) {
        used += (size_t)n;
    }
    said[used] = '\0';
    close(ends[0]);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

#endif // TESTS_HARNESS_DEATH_H

// SPDX-License-Identifier: Apache-2.0
//
// app/file_watch.h - whether files have changed, and are quiet again. Looked at by name, not by
// inotify: a name may be a symbolic link to a link (Kubernetes swaps one in the middle), stand on a
// network file system, or not exist yet.
//
//     file_watch_add(w, path)...
//     file_watch_mark(w)           what is read from now on is what counts
//     file_watch_look(w)           every FILE_WATCH_MS; after FILE_WATCH_MOVING, _QUIET_MS later
//
// Limits   FILE_WATCH_MAX files: those of two configurations
// Threads  none

#ifndef APP_FILE_WATCH_H
#define APP_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define FILE_WATCH_MAX 16u
#define FILE_WATCH_PATH_BYTES 1280u
#define FILE_WATCH_MS 1000u
#define FILE_WATCH_QUIET_MS                                                                        \
    200u // who writes several files is done when nothing changed for so long
#define FILE_WATCH_MOVING_MAX 10u // looks; who never stops writing is not waited for

// What tells one state of a file from another. All zeros: it is not there.
typedef struct file_mark {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    uint64_t mode;
    uint64_t owner;
    uint64_t modified_ns;
    uint64_t changed_ns; // also when it is put in place of another, or its mode changes
} file_mark;

typedef enum file_watch_state {
    FILE_WATCH_SAME,    // as they were marked
    FILE_WATCH_MOVING,  // changing: look again soon
    FILE_WATCH_CHANGED, // not as they were marked, and quiet
} file_watch_state;

typedef struct file_watch {
    size_t count;
    size_t joined;   // of them: by file_watch_join, and last
    unsigned moving; // looks in a row that found something else than the one before
    struct {
        char path[FILE_WATCH_PATH_BYTES];
        file_mark marked;
        file_mark seen;
    } files[FILE_WATCH_MAX];
} file_watch;

void file_watch_init(file_watch *w);
void file_watch_add(file_watch *w, const char *path); // once, however often
void file_watch_mark(file_watch *w);
void file_watch_mark_one(file_watch *w, const char *path);
file_watch_state file_watch_look(file_watch *w);

// Adds what only `other` has, as it is marked there, in place of what was joined before. Nothing is
// added to it afterwards.
void file_watch_join(file_watch *w, const file_watch *other);

// A file is not as it was marked when it was last looked at.
bool file_watch_has_changed(const file_watch *w, const char *path);

// The first that is not; NULL: none.
const char *file_watch_changed(const file_watch *w);

#endif // APP_FILE_WATCH_H

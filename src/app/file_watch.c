// SPDX-License-Identifier: Apache-2.0
//
// app/file_watch.c - see file_watch.h.

#include "app/file_watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"

static size_t find(const file_watch *w, const char *path);
static file_mark mark_of(const char *path);
static bool is_same(const file_mark *a, const file_mark *b);
static uint64_t ns_of(struct timespec at);

void file_watch_init(file_watch *w)
{
    memset(w, 0, sizeof *w);
}

void file_watch_add(file_watch *w, const char *path)
{
    PH_ASSERT(w->joined == 0);
    size_t index = find(w, path);
    if (index == w->count) {
        PH_ASSERT(w->count < FILE_WATCH_MAX);
        PH_ASSERT(strlen(path) < FILE_WATCH_PATH_BYTES);
        snprintf(w->files[w->count++].path, FILE_WATCH_PATH_BYTES, "%s", path);
    }
}

void file_watch_mark(file_watch *w)
{
    w->moving = 0;
    for (size_t i = 0; i < w->count; i++) {
        w->files[i].marked = mark_of(w->files[i].path);
        w->files[i].seen = w->files[i].marked;
    }
}

void file_watch_mark_one(file_watch *w, const char *path)
{
    size_t index = find(w, path);
    if (index < w->count) {
        w->files[index].marked = mark_of(path);
        w->files[index].seen = w->files[index].marked;
    }
}

void file_watch_join(file_watch *w, const file_watch *other)
{
    w->count -= w->joined;
    w->joined = 0;
    for (size_t i = 0; i < other->count; i++) {
        if (find(w, other->files[i].path) == w->count) {
            PH_ASSERT(w->count < FILE_WATCH_MAX);
            w->files[w->count++] = other->files[i];
            w->joined++;
        }
    }
}

file_watch_state file_watch_look(file_watch *w)
{
    bool has_moved = false;
    for (size_t i = 0; i < w->count; i++) {
        file_mark now = mark_of(w->files[i].path);
        has_moved = has_moved || !is_same(&now, &w->files[i].seen);
        w->files[i].seen = now;
    }
    w->moving = has_moved ? w->moving + 1 : 0;
    if (has_moved && w->moving < FILE_WATCH_MOVING_MAX) {
        return FILE_WATCH_MOVING;
    }
    w->moving = 0;
    return file_watch_changed(w) == NULL ? FILE_WATCH_SAME : FILE_WATCH_CHANGED;
}

const char *file_watch_changed(const file_watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!is_same(&w->files[i].marked, &w->files[i].seen)) {
            return w->files[i].path;
        }
    }
    return NULL;
}

bool file_watch_has_changed(const file_watch *w, const char *path)
{
    size_t index = find(w, path);
    return index < w->count && !is_same(&w->files[index].marked, &w->files[index].seen);
}

static size_t find(const file_watch *w, const char *path)
{
    size_t index = 0;
    while (index < w->count && strcmp(w->files[index].path, path) != 0) {
        index++;
    }
    return index;
}

static file_mark mark_of(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        return (file_mark){ 0 };
    }
    return (file_mark){
        .device = (uint64_t)found.st_dev,
        .inode = (uint64_t)found.st_ino,
        .size = (uint64_t)found.st_size,
        .mode = (uint64_t)found.st_mode,
        .owner = (uint64_t)found.st_uid,
        .modified_ns = ns_of(found.st_mtim),
        .changed_ns = ns_of(found.st_ctim),
    };
}

static bool is_same(const file_mark *a, const file_mark *b)
{
    return memcmp(a, b, sizeof *a) == 0; // no padding: all are 64 bits
}

static uint64_t ns_of(struct timespec at)
{
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

// SPDX-License-Identifier: Apache-2.0
//
// app/file_watch_test.c - files that change under a running center, in the ways in which they do.

#include "app/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/test.h"

static char folder[64];
static char paths[4][128];
static file_watch w;

static const char *path_of(size_t slot, const char *name)
{
    snprintf(paths[slot], sizeof paths[slot], "%s/%s", folder, name);
    return paths[slot];
}

static void write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/posthouse-watch-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    file_watch_init(&w);
}

static void end(void)
{
    for (size_t i = 0; i < 4; i++) {
        if (paths[i][0] != '\0') {
            unlink(paths[i]);
        }
        paths[i][0] = '\0';
    }
    char sub[128];
    snprintf(sub, sizeof sub, "%s/one", folder);
    rmdir(sub);
    snprintf(sub, sizeof sub, "%s/two", folder);
    rmdir(sub);
    EXPECT_EQ(rmdir(folder), 0);
}

static void changes_once(void)
{
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_MOVING);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_CHANGED);
    EXPECT(file_watch_changed(&w) != NULL);
    file_watch_mark(&w);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_SAME);
    EXPECT(file_watch_changed(&w) == NULL);
}

// A certificate that was renewed must be seen however it was put there: written over, moved there,
// or with another mode.
TEST(file_watch, sees_each_way_to_change_a_file)
{
    begin();
    const char *path = path_of(0, "a");
    write_to(path, "1");
    file_watch_add(&w, path);
    file_watch_mark(&w);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_SAME);

    write_to(path, "22");
    changes_once();
    const char *fresh = path_of(1, "b");
    write_to(fresh, "33");
    EXPECT_EQ(rename(fresh, path), 0);
    changes_once();
    EXPECT_EQ(chmod(path, 0640), 0);
    changes_once();
    EXPECT_EQ(unlink(path), 0);
    changes_once();
    write_to(path, "1");
    changes_once();
    end();
}

// Kubernetes never touches what a pod has named: it swaps a link in the middle of the way there.
TEST(file_watch, sees_a_link_in_the_middle_swapped)
{
    begin();
    const char *link = path_of(0, "..data");
    const char *fresh = path_of(1, "..data_tmp");
    char file[160];
    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, i == 0 ? "one" : "two");
        EXPECT_EQ(mkdir(file, 0700), 0);
        snprintf(file, sizeof file, "%s/%s/key", folder, i == 0 ? "one" : "two");
        write_to(file, "same size");
    }
    EXPECT_EQ(symlink("one", link), 0);
    snprintf(file, sizeof file, "%s/..data/key", folder);
    file_watch_add(&w, file);
    file_watch_mark(&w);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_SAME);
    EXPECT_EQ(symlink("two", fresh), 0);
    EXPECT_EQ(rename(fresh, link), 0);
    changes_once();
    path_of(2, "one/key");
    path_of(3, "two/key");
    end();
}

// Certificate and key are two files: who reads between the two writes has a key that does not fit.
TEST(file_watch, waits_until_several_files_are_written)
{
    begin();
    const char *certificate = path_of(0, "certificate");
    const char *key = path_of(1, "key");
    write_to(certificate, "1");
    write_to(key, "1");
    file_watch_add(&w, certificate);
    file_watch_add(&w, key);
    file_watch_mark(&w);
    write_to(certificate, "22");
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_MOVING);
    write_to(key, "22");
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_MOVING);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_CHANGED);
    EXPECT_TEXT(file_watch_changed(&w), certificate);
    end();
}

// Who never stops writing must not keep a revocation from being read for ever.
TEST(file_watch, does_not_wait_for_ever)
{
    begin();
    const char *path = path_of(0, "a");
    char text[FILE_WATCH_MOVING_MAX + 2] = "";
    file_watch_add(&w, path);
    file_watch_mark(&w);
    unsigned looks = 0;
    do {
        text[looks++] = 'x';
        write_to(path, text);
    } while (file_watch_look(&w) == FILE_WATCH_MOVING && looks < FILE_WATCH_MOVING_MAX);
    EXPECT_EQ(looks, FILE_WATCH_MOVING_MAX);
    EXPECT(file_watch_changed(&w) != NULL);
    end();
}

// A configuration that was refused because a file of it was not there yet must be tried when that
// has come, while the files that are in force are still watched.
TEST(file_watch, two_sets_are_watched_as_one)
{
    begin();
    const char *old = path_of(0, "old");
    const char *both = path_of(1, "both");
    const char *fresh = path_of(2, "fresh");
    static file_watch more;
    write_to(old, "1");
    write_to(both, "1");
    file_watch_add(&w, old);
    file_watch_add(&w, both);
    file_watch_mark(&w);
    file_watch_init(&more);
    file_watch_add(&more, both);
    file_watch_add(&more, fresh);
    file_watch_add(&more, fresh);
    file_watch_mark(&more);
    file_watch_join(&w, &more);
    EXPECT_EQ(w.count, 3);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_SAME);
    write_to(fresh, "1");
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_MOVING);
    EXPECT(file_watch_has_changed(&w, fresh));
    EXPECT(!file_watch_has_changed(&w, both));
    file_watch_mark_one(&w, fresh);
    EXPECT_EQ(file_watch_look(&w), FILE_WATCH_SAME);
    write_to(old, "22");
    changes_once();
    end();
}

// Who mistypes the name of a file again and again must not end the center that he wants to reload.
TEST(file_watch, only_the_last_refused_set_is_watched)
{
    begin();
    const char *own = path_of(0, "own");
    write_to(own, "1");
    file_watch_add(&w, own);
    file_watch_mark(&w);
    static file_watch more;
    for (unsigned i = 0; i < 3 * FILE_WATCH_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "/missing/%u", i);
        file_watch_init(&more);
        file_watch_add(&more, own);
        file_watch_add(&more, name);
        file_watch_mark(&more);
        file_watch_join(&w, &more);
        EXPECT_EQ(w.count, 2);
        EXPECT_TEXT(w.files[1].path, name);
    }
    write_to(own, "22");
    changes_once();
    end();
}

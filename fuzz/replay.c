// SPDX-License-Identifier: Apache-2.0
//
// fuzz/replay.c - the main of a fuzzer where there is no libFuzzer: runs it once over every file
// given, and over every file in every folder given. So every build tests what a fuzzer found.
//
// Prints TAP. A folder without a file is a failure: then nothing was tested.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Files run, or -1 when something could not be read.
static int replay_file(const char *path, size_t size)
{
    // Of just its size, so that AddressSanitizer sees a byte read too far.
    uint8_t *data = malloc(size == 0 ? 1 : size);
    FILE *f = fopen(path, "rb");
    int done = -1;
    if (data != NULL && f != NULL && fread(data, 1, size, f) == size) {
        LLVMFuzzerTestOneInput(data, size);
        done = 1;
    }
    if (f != NULL) {
        fclose(f);
    }
    free(data);
    return done;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -1;
    }
    int done = 0;
    struct dirent *entry;
    while (done >= 0 && (entry = readdir(folder)) != NULL) {
        char file[4096];
        struct stat info;
        int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof file || stat(file, &info) != 0) {
            done = -1;
        } else if (S_ISREG(info.st_mode)) {
            done = replay_file(file, (size_t)info.st_size) < 0 ? -1 : done + 1;
        }
    }
    closedir(folder);
    return done;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *program = slash == NULL ? argv[0] : slash + 1;
    int bad = argc < 2;
    printf("1..%d\n", argc < 2 ? 1 : argc - 1);
    if (argc < 2) {
        printf("not ok 1 - %s was given no files\n", program);
    }
    for (int i = 1; i < argc; i++) {
        struct stat info;
        int done = -1;
        if (stat(argv[i], &info) == 0) {
            done = S_ISDIR(info.st_mode) ? replay_folder(argv[i])
                                         : replay_file(argv[i], (size_t)info.st_size);
        }
        bad |= done <= 0;
        printf("%sok %d - %s_replays_its_corpus\n", done > 0 ? "" : "not ", i, program);
        fprintf(stderr, "%s: %d inputs from %s\n", program, done, argv[i]);
    }
    return bad;
}

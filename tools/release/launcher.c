/* The single file of a release: unpacks the folder form that is appended to it, and becomes its program.
 *
 * It asks nothing of the host but Linux and /proc: no C library, no loader, no writable or executable directory. First
 * it tries a memory file system of its own, which nobody else sees and which ends with the process; where the kernel
 * refuses that, the first directory that takes programs, which is removed at the end. Else it says what to do.
 *
 * Appended are the members, a table of them, and a trailer: see tools/release/pack.py, which writes them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lz4.h"

#define PATH_SIZE 4096
#define NOT_WRITABLE 60
#define MOUNT_POINT "/proc/driver" /* a directory that the program needs nothing of */

static const char MAGIC[8] = {'S', 'T', 'E', 'L', 'L', 'A', '1', '\n'};
enum { DIRECTORY = 0, FILE_ = 1, LINK = 2 };

struct trailer {
    uint64_t table;
    uint64_t count;
    char magic[8];
};

struct member { /* followed by its path, zero-ended, in 512 - 32 bytes */
    uint64_t offset;
    uint64_t stored; /* less than size where it is an LZ4 block */
    uint64_t size;
    uint32_t kind;
    uint32_t mode;
    char path[480];
};

static const unsigned char *image;
static uint64_t image_size;
static const struct member *members;
static uint64_t count;

static void fail(const char *what, const char *next) {
    fprintf(stderr, "stella: NotWritable: the program cannot unpack itself: %s\n", what);
    fprintf(stderr, "VERDICT  NotWritable (%d)  next: %s\n", NOT_WRITABLE, next);
    exit(NOT_WRITABLE);
}

static void damaged(void) { fail("this file is incomplete", "Copy the file again, and compare its digest."); }

/* Map this file and find the table; every offset is held against the file's size before it is used. */
static void find_members(void) {
    struct stat status;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0 || fstat(self, &status) != 0)
        fail("/proc is not there", "Mount /proc, or run stella-onedir/stella.");
    image_size = (uint64_t)status.st_size;
    image = mmap(NULL, image_size, PROT_READ, MAP_PRIVATE, self, 0);
    if (image == MAP_FAILED || image_size < sizeof(struct trailer))
        damaged();
    close(self);
    struct trailer end;
    memcpy(&end, image + image_size - sizeof end, sizeof end);
    uint64_t room = image_size - sizeof end;
    if (memcmp(end.magic, MAGIC, sizeof MAGIC) != 0 || end.table > room || end.table % 8 != 0 ||
        end.count != (room - end.table) / sizeof(struct member))
        damaged();
    members = (const struct member *)(image + end.table);
    count = end.count;
    for (uint64_t at = 0; at < count; at++)
        if (members[at].offset > end.table || members[at].stored > end.table - members[at].offset ||
            members[at].stored > members[at].size || members[at].size > INT32_MAX ||
            memchr(members[at].path, 0, sizeof members[at].path) == NULL)
            damaged();
}

static int write_file(const struct member *one, const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, one->mode);
    if (file < 0)
        return -1;
    int done = -1;
    const char *from = (const char *)image + one->offset;
    if (one->stored == one->size) {
        uint64_t written = 0;
        while (written < one->size) {
            ssize_t some = write(file, from + written, one->size - written);
            if (some <= 0)
                break;
            written += (uint64_t)some;
        }
        done = written == one->size ? 0 : -1;
    } else if (posix_fallocate(file, 0, (off_t)one->size) == 0) { /* a full disk is told here, not by a signal */
        void *to = mmap(NULL, one->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
        if (to != MAP_FAILED) {
            if (LZ4_decompress_safe(from, to, (int)one->stored, (int)one->size) != (int)one->size)
                damaged();
            munmap(to, one->size);
            done = 0;
        }
    }
    close(file);
    return done;
}

static int unpack(const char *home) {
    char path[PATH_SIZE + sizeof members->path];
    for (uint64_t at = 0; at < count; at++) {
        const struct member *one = &members[at];
        snprintf(path, sizeof path, "%s/%s", home, one->path);
        int done;
        if (one->kind == DIRECTORY) {
            done = mkdir(path, 0700);
        } else if (one->kind == LINK) {
            char target[PATH_SIZE];
            snprintf(target, sizeof target, "%.*s", (int)one->stored, (const char *)image + one->offset);
            done = symlink(target, path);
        } else {
            done = write_file(one, path);
        }
        if (done != 0)
            return -1;
    }
    return 0;
}

static int put(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t written = write(file, text, strlen(text));
    close(file);
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

/* Mount a memory file system that only this process and its children see. */
static int private_place(void) {
    char map[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    if (access(MOUNT_POINT, X_OK) != 0 || unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return -1;
    if (user != 0) {
        put("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%u %u 1", group, group);
        if (put("/proc/self/gid_map", map) != 0)
            return -1;
        snprintf(map, sizeof map, "%u %u 1", user, user);
        if (put("/proc/self/uid_map", map) != 0)
            return -1;
    }
    /* /proc first: what is mounted below must not appear outside. */
    if (mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) != 0)
        return -1;
    return mount("stella", MOUNT_POINT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700");
}

static void remove_tree(const char *path) {
    DIR *directory = opendir(path);
    if (directory != NULL) {
        struct dirent *entry;
        char below[2 * PATH_SIZE];
        while ((entry = readdir(directory)) != NULL) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            if (unlink(below) != 0)
                remove_tree(below);
        }
        closedir(directory);
    }
    rmdir(path);
}

static void become(const char *home, int words, char **given) {
    char loader[PATH_SIZE + 64], libraries[PATH_SIZE + 64], program[PATH_SIZE + 64];
    snprintf(loader, sizeof loader, "%s/_internal/%s", home, LOADER);
    snprintf(libraries, sizeof libraries, "%s/_internal", home);
    snprintf(program, sizeof program, "%s/stella", home);
    char **arguments = calloc((size_t)words + 6, sizeof *arguments);
    if (arguments != NULL) {
        char *const first[] = {loader, "--inhibit-cache", "--library-path", libraries, program};
        memcpy(arguments, first, sizeof first);
        memcpy(arguments + 5, given + 1, (size_t)words * sizeof *arguments); /* with the null at the end */
        execv(loader, arguments);
    }
}

static pid_t child;

static void pass_on(int number) { kill(child, number); }

/* Run the program from a directory and remove that after; ends as the program ended. */
static void run_and_remove(const char *home, int words, char **given) {
    sigset_t passed, before;
    sigemptyset(&passed);
    sigaddset(&passed, SIGTERM);
    sigaddset(&passed, SIGHUP);
    sigaddset(&passed, SIGQUIT);
    sigprocmask(SIG_BLOCK, &passed, &before);
    child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        become(home, words, given);
        _exit(126);
    }
    int status = 126 << 8;
    if (child > 0) {
        signal(SIGINT, SIG_IGN); /* a terminal sends it to the program as well */
        signal(SIGTERM, pass_on);
        signal(SIGHUP, pass_on);
        signal(SIGQUIT, pass_on);
        sigprocmask(SIG_SETMASK, &before, NULL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    remove_tree(home);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Make a directory below one that can be written to and takes programs. */
static int make_below(const char *parent, char *home, size_t size) {
    struct statvfs system;
    if (parent == NULL || parent[0] != '/' || statvfs(parent, &system) != 0 || (system.f_flag & ST_NOEXEC) != 0)
        return -1;
    if (snprintf(home, size, "%s/stella-XXXXXX", parent) >= (int)size)
        return -1;
    return mkdtemp(home) == NULL ? -1 : 0;
}

int main(int words, char **given) {
    find_members();
    if (private_place() == 0) {
        if (unpack(MOUNT_POINT) == 0)
            become(MOUNT_POINT, words, given);
        fail("its memory file system is too small or takes no programs",
             "Free memory, or run stella-onedir/stella.");
    }
    const char *named = getenv("TMPDIR");
    const char *parents[] = {named, getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp", "/var/tmp", "/run", getenv("HOME")};
    for (size_t at = 0; at < sizeof parents / sizeof *parents; at++) {
        char home[PATH_SIZE];
        if (make_below(parents[at], home, sizeof home) != 0)
            continue;
        if (unpack(home) == 0)
            run_and_remove(home, words, given);
        remove_tree(home);
    }
    fail("no memory file system of its own, and no directory that takes programs",
         "Set TMPDIR to a directory that takes programs, or run stella-onedir/stella.");
}

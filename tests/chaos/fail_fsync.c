/* Preloaded into a program, makes fdatasync and fsync of a region's or the hub's WAL fail while the file FAIL_FSYNC names
   exists: a disk that says that it does not know. What was written may or may not be there afterwards. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *flag = getenv("FAIL_FSYNC");
    char link[64], name[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (!flag || length < 0 || access(flag, F_OK) != 0) return 0;
    name[length] = 0;
    return strstr(name, "region.db-wal") != NULL || strstr(name, "hub.db-wal") != NULL;
}

static int call(const char *name, int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return call("fsync", fd); }
int fdatasync(int fd) { return call("fdatasync", fd); }

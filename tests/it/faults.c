/* Faults that a test switches on in a running process, by files that appear in $BATON_FAULTS:
 *
 *   fsync   every fsync and fdatasync fails with EIO
 *   clock   the wall clock is off by as many seconds as the file says; the monotonic clock is not
 *
 * Built by the tests with `cc -shared -fPIC` and loaded with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int path_of(const char *name, char *path, size_t size) {
    const char *dir = getenv("BATON_FAULTS");
    return dir != NULL && snprintf(path, size, "%s/%s", dir, name) < (int)size;
}

static int is_on(const char *name) {
    char path[4096];
    return path_of(name, path, sizeof path) && access(path, F_OK) == 0;
}

int fsync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (is_on("fsync")) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (is_on("fsync")) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    char path[4096];
    if (failed == 0 && clock == CLOCK_REALTIME && path_of("clock", path, sizeof path)) {
        char text[32] = {0};
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (read(fd, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
            close(fd);
        }
    }
    return failed;
}

/* Ends a process with SIGKILL at the N-th of its calls that change something outside of it.

   Preloaded into a program that the process KILLPOINT_PARENT starts, which goes on in a child of it; what the program
   starts itself is not touched.
   Files, connections and names are changed by few functions of the C library; each call of one is a point, counted over
   all threads. Between two points a kill is as good as at the next one.

   KILLPOINT_PARENT  process id of whoever starts the program
   KILLPOINT_AT      number of the point, from 1; 0 for none
   KILLPOINT_AFTER   1: after the call has done its work, else before
   KILLPOINT_LOG     a file that gets a line for each point */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pid_t victim; /* 0: this process is none */
static long at;
static int after, log_to = -1;
static atomic_long points;

__attribute__((constructor)) static void begin(void) {
    const char *parent = getenv("KILLPOINT_PARENT"), *number = getenv("KILLPOINT_AT");
    const char *late = getenv("KILLPOINT_AFTER"), *log = getenv("KILLPOINT_LOG");
    if (!parent || atol(parent) != (long)getppid())
        return;
    at = number ? atol(number) : 0;
    after = late && *late == '1';
    if (log)
        log_to = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    victim = getpid();
}

pid_t fork(void) {
    static pid_t (*real)(void);
    if (!real)
        real = dlsym(RTLD_NEXT, "fork");
    pid_t of = victim && getpid() == victim ? victim : 0, child = real();
    if (child == 0)
        victim = of ? getpid() : 0;
    else if (of)
        victim = 0; /* It only waits. */
    return child;
}

static void end(void) {
    syscall(SYS_kill, victim, SIGKILL);
    for (;;)
        pause();
}

/* The number of this call, or 0 if it is none of the victim's. */
static long begun(const char *call, int descriptor, const char *path) {
    if (!victim || getpid() != victim || (descriptor >= 0 && descriptor == log_to))
        return 0;
    long number = atomic_fetch_add(&points, 1) + 1;
    if (log_to >= 0) {
        char line[600], of[64], target[400] = "";
        if (path)
            snprintf(target, sizeof target, "%s", path);
        else {
            snprintf(of, sizeof of, "/proc/self/fd/%d", descriptor);
            ssize_t length = readlink(of, target, sizeof target - 1);
            target[length > 0 ? length : 0] = 0;
        }
        int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, target);
        syscall(SYS_write, log_to, line, length);
    }
    if (number == at && !after)
        end();
    return number;
}

static void ended(long number) {
    if (number && number == at && after)
        end();
}

#define POINT(type, name, parameters, arguments, descriptor, path)                                                     \
    type name parameters {                                                                                             \
        static type(*real) parameters;                                                                                 \
        if (!real)                                                                                                     \
            real = dlsym(RTLD_NEXT, #name);                                                                            \
        long number = begun(#name, descriptor, path);                                                                  \
        type result = real arguments;                                                                                  \
        int error = errno;                                                                                             \
        ended(number);                                                                                                 \
        errno = error;                                                                                                 \
        return result;                                                                                                 \
    }

POINT(ssize_t, write, (int f, const void *b, size_t n), (f, b, n), f, 0)
POINT(ssize_t, writev, (int f, const struct iovec *b, int n), (f, b, n), f, 0)
POINT(ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o), f, 0)
POINT(ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o), f, 0)
POINT(int, fsync, (int f), (f), f, 0)
POINT(int, fdatasync, (int f), (f), f, 0)
POINT(int, ftruncate, (int f, off_t n), (f, n), f, 0)
POINT(int, ftruncate64, (int f, off64_t n), (f, n), f, 0)
POINT(int, fchmod, (int f, mode_t m), (f, m), f, 0)
POINT(int, connect, (int f, const struct sockaddr *a, socklen_t n), (f, a, n), f, 0)
POINT(ssize_t, send, (int f, const void *b, size_t n, int g), (f, b, n, g), f, 0)
POINT(ssize_t, sendto, (int f, const void *b, size_t n, int g, const struct sockaddr *a, socklen_t l),
      (f, b, n, g, a, l), f, 0)
POINT(ssize_t, sendmsg, (int f, const struct msghdr *m, int g), (f, m, g), f, 0)
POINT(ssize_t, recv, (int f, void *b, size_t n, int g), (f, b, n, g), f, 0)
POINT(int, rename, (const char *a, const char *b), (a, b), -1, b)
POINT(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), -1, b)
POINT(int, link, (const char *a, const char *b), (a, b), -1, b)
POINT(int, linkat, (int d, const char *a, int e, const char *b, int g), (d, a, e, b, g), -1, b)
POINT(int, unlink, (const char *p), (p), -1, p)
POINT(int, unlinkat, (int d, const char *p, int g), (d, p, g), -1, p)
POINT(int, mkdir, (const char *p, mode_t m), (p, m), -1, p)
POINT(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), -1, p)

static int opened(const char *call, int directory, const char *path, int flags, mode_t mode) {
    long number = flags & (O_CREAT | O_TRUNC) ? begun(call, -1, path) : 0;
    int result = (int)syscall(SYS_openat, directory, path, flags, mode);
    int error = errno;
    ended(number);
    errno = error;
    return result;
}

#define OPEN(name, parameters, directory)                                                                              \
    int name parameters {                                                                                              \
        mode_t mode = 0;                                                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
            va_list more;                                                                                              \
            va_start(more, flags);                                                                                     \
            mode = va_arg(more, mode_t);                                                                               \
            va_end(more);                                                                                              \
        }                                                                                                              \
        return opened(#name, directory, path, flags, mode);                                                            \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int directory, const char *path, int flags, ...), directory)
OPEN(openat64, (int directory, const char *path, int flags, ...), directory)

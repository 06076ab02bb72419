/* Watches of inotify that are there and report nothing that happens, as on some file systems. To be preloaded. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

int inotify_add_watch(int instance, const char *path, uint32_t mask) {
    return (int)syscall(SYS_inotify_add_watch, instance, path, IN_MOVE_SELF | (mask & IN_ONLYDIR));
}

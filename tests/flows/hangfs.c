/* A FUSE file system that shows a directory, and answers nothing while a file exists.

   hangfs DIRECTORY FILE MOUNTPOINT, in the foreground; built with libfuse 3. */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *shown, *hang;

static void wait_for_it(void) {
    while (access(hang, F_OK) == 0)
        usleep(20000);
}

/* The path below the directory that is shown; from here on the call may hang. */
#define BELOW(name, path)                                                                                              \
    char name[8192];                                                                                                   \
    wait_for_it();                                                                                                     \
    snprintf(name, sizeof name, "%s%s", shown, path)

#define ANSWER(call) return (call) == -1 ? -errno : 0

static int fs_getattr(const char *path, struct stat *state, struct fuse_file_info *file) {
    (void)file;
    BELOW(real, path);
    ANSWER(lstat(real, state));
}

static int fs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t from, struct fuse_file_info *file,
                      enum fuse_readdir_flags flags) {
    (void)from, (void)file, (void)flags;
    BELOW(real, path);
    DIR *directory = opendir(real);
    if (!directory)
        return -errno;
    for (struct dirent *entry; (entry = readdir(directory));)
        fill(buffer, entry->d_name, 0, 0, 0);
    closedir(directory);
    return 0;
}

static int fs_open(const char *path, struct fuse_file_info *file) {
    BELOW(real, path);
    int number = open(real, file->flags);
    if (number < 0)
        return -errno;
    file->fh = number;
    return 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *file) {
    BELOW(real, path);
    int number = open(real, file->flags, mode);
    if (number < 0)
        return -errno;
    file->fh = number;
    return 0;
}

static int fs_read(const char *path, char *to, size_t size, off_t at, struct fuse_file_info *file) {
    (void)path;
    wait_for_it();
    ssize_t length = pread(file->fh, to, size, at);
    return length < 0 ? -errno : (int)length;
}

static int fs_write(const char *path, const char *from, size_t size, off_t at, struct fuse_file_info *file) {
    (void)path;
    wait_for_it();
    ssize_t length = pwrite(file->fh, from, size, at);
    return length < 0 ? -errno : (int)length;
}

static int fs_release(const char *path, struct fuse_file_info *file) {
    (void)path;
    close(file->fh);
    return 0;
}

static int fs_fsync(const char *path, int data, struct fuse_file_info *file) {
    (void)path, (void)data;
    wait_for_it();
    ANSWER(fsync(file->fh));
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *file) {
    (void)file;
    BELOW(real, path);
    ANSWER(truncate(real, size));
}

static int fs_mkdir(const char *path, mode_t mode) {
    BELOW(real, path);
    ANSWER(mkdir(real, mode));
}

static int fs_unlink(const char *path) {
    BELOW(real, path);
    ANSWER(unlink(real));
}

static int fs_rename(const char *path, const char *to, unsigned flags) {
    (void)flags;
    BELOW(real, path);
    BELOW(target, to);
    ANSWER(rename(real, target));
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *file) {
    (void)file;
    BELOW(real, path);
    ANSWER(chmod(real, mode));
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config) {
    (void)connection;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0; /* The kernel remembers nothing. */
    return 0;
}

static const struct fuse_operations operations = {
    .init = fs_init, .getattr = fs_getattr, .readdir = fs_readdir, .open = fs_open, .create = fs_create,
    .read = fs_read, .write = fs_write, .release = fs_release, .fsync = fs_fsync, .truncate = fs_truncate,
    .mkdir = fs_mkdir, .unlink = fs_unlink, .rename = fs_rename, .chmod = fs_chmod,
};

int main(int count, char **words) {
    if (count != 4)
        return 2;
    shown = words[1], hang = words[2];
    char *given[] = {words[0], "-f", words[3], 0};
    return fuse_main(3, given, &operations, 0);
}

/* Preloaded into the program under test: lets its operations on the files of the database fail.
 *
 * While the file that DISK_FAULTS names is there, it holds three numbers: how many operations still
 * work, the error of those that come after them (errno), and whether reading counts as well. Without
 * the file all work. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int done;

static int fails(int file, int is_reading) {
    const char *plan = getenv("DISK_FAULTS");
    char link[64], path[4096], text[64];
    int still_work, error, with_reading;
    if (!plan) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/rill.db")) return 0;
    int open_plan = syscall(SYS_openat, AT_FDCWD, plan, O_RDONLY);
    if (open_plan < 0) {
        atomic_store(&done, 0);
        return 0;
    }
    length = syscall(SYS_read, open_plan, text, sizeof text - 1);
    syscall(SYS_close, open_plan);
    if (length <= 0) return 0;
    text[length] = 0;
    if (sscanf(text, "%d %d %d", &still_work, &error, &with_reading) != 3) return 0;
    if (is_reading && !with_reading) return 0;
    if (atomic_fetch_add(&done, 1) < still_work) return 0;
    errno = error;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    return fails(file, 0) ? -1 : NEXT(write)(file, bytes, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return fails(file, 0) ? -1 : NEXT(pwrite)(file, bytes, count, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return fails(file, 0) ? -1 : NEXT(pwrite64)(file, bytes, count, at);
}
ssize_t read(int file, void *bytes, size_t count) {
    return fails(file, 1) ? -1 : NEXT(read)(file, bytes, count);
}
ssize_t pread(int file, void *bytes, size_t count, off_t at) {
    return fails(file, 1) ? -1 : NEXT(pread)(file, bytes, count, at);
}
ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    return fails(file, 1) ? -1 : NEXT(pread64)(file, bytes, count, at);
}
int ftruncate(int file, off_t size) { return fails(file, 0) ? -1 : NEXT(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) { return fails(file, 0) ? -1 : NEXT(ftruncate64)(file, size); }
int fsync(int file) { return fails(file, 0) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return fails(file, 0) ? -1 : NEXT(fdatasync)(file); }

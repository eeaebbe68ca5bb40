/* Preloaded, it stands for slow storage: nothing is in the page cache, and each read takes SLOW_MS
 * (10). SLOW_ERRNO 95 (EOPNOTSUPP) is a file system that cannot say whether it would wait. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t, int) =
        (ssize_t(*)(int, const struct iovec *, int, off_t, int))dlsym(RTLD_NEXT, "preadv2");
    const char *no = getenv("SLOW_ERRNO"), *ms = getenv("SLOW_MS");
    if (flags & RWF_NOWAIT) {
        errno = no ? atoi(no) : EAGAIN;
        return -1;
    }
    struct timespec wait = {.tv_nsec = (ms ? atol(ms) : 10) * 1000000};
    nanosleep(&wait, NULL);
    return real(fd, iov, n, at, flags);
}

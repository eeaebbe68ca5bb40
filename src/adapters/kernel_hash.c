/* What is in a file, as one number: XXH3, 128 bits. Not against an enemy, who could not write to
 * these files in the first place; against another version. */
#include "adapters/kernel_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

_Static_assert(sizeof(struct bq_hash) == sizeof(XXH128_canonical_t), "a hash has 16 bytes");

int bq_hash_fd(int fd, struct bq_hash *hash)
{
    char buffer[1 << 14];
    ssize_t n;
    XXH3_state_t *state = XXH3_createState();
    if (!state) {
        errno = ENOMEM;
        return -1;
    }
    XXH3_128bits_reset(state);
    off_t at = 0;
    while ((n = pread(fd, buffer, sizeof buffer, at)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            XXH3_128bits_update(state, buffer, (size_t)n);
            at += n;
        }
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(hash->bytes, canonical.digest, sizeof hash->bytes);
    XXH3_freeState(state);
    return n < 0 ? -1 : 0;
}

int bq_hash_file(const char *path, struct bq_hash *hash, struct bq_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : bq_hash_fd(fd, hash);
    if (rc < 0)
        bq_fail(err, BQ_EXIT_USAGE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

const char *bq_hash_text(const struct bq_hash *hash, char out[33])
{
    for (size_t i = 0; i < sizeof hash->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
    return out;
}

#include "run/merge.h"

#include <string.h>

#include <xxhash.h>

#include "adapters/vitals.h"

void bq_merge_add_digest(void *to, const void *from)
{
    unsigned char *into = to;
    const unsigned char *next = from;
    unsigned carry = 0;
    for (int i = 0; i < BQ_DIGEST_SIZE; i++) {
        carry += (unsigned)into[i] + next[i];
        into[i] = (unsigned char)carry;
        carry >>= 8;
    }
}

void bq_merge_run(const void *context, void *into, const void *next)
{
    const struct bq_merge *merge = context;
    unsigned char *a = into;
    const unsigned char *b = next;
    if (merge->recipe->has_output) {
        bq_merge_add_digest(a, b);
        a += BQ_DIGEST_SIZE;
        b += BQ_DIGEST_SIZE;
    }
    if (!merge->recipe->acc_size)
        return;
    bq_vitals_doing("combine");
    merge->kernel->combine(merge->recipe->params, a, b);
    bq_vitals_doing(NULL);
}

void bq_merge_nothing(const struct bq_merge *merge, void *result)
{
    unsigned char *r = result;
    memset(r, 0, bq_recipe_result_size(merge->recipe));
    if (!merge->recipe->acc_size || !merge->kernel->init)
        return;
    bq_vitals_doing("init");
    merge->kernel->init(merge->recipe->params,
                        r + (merge->recipe->has_output ? BQ_DIGEST_SIZE : 0));
    bq_vitals_doing(NULL);
}

void bq_merge_digest(uint64_t chunk, const void *data, size_t size, void *result)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(data, size, chunk));
    memcpy(result, canonical.digest, BQ_DIGEST_SIZE);
}

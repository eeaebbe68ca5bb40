/* The folder of compiled kernels: $XDG_CACHE_HOME/banquet/kernels, or ~/.cache/banquet/kernels.
 * It holds code that will run, so only its owner may write there; everything in it can be made
 * again and may be removed at any time. Files appear in it whole, by rename. */
#ifndef BQ_ADAPTERS_KERNEL_CACHE_H
#define BQ_ADAPTERS_KERNEL_CACHE_H

#include "adapters/kernel_source.h"
#include "core/job.h"

#define BQ_CACHE_PATH 1024

/* Makes the folder (0700) where it is missing. -1 with err when there is none, or when others could
 * write to it. */
int bq_cache_open(char folder[BQ_CACHE_PATH], struct bq_error *err);

/* Writes files that the program carries below folder/KIND-HASH, if they are not there, and gives
 * that folder's name. */
int bq_cache_sources(const char *folder, const char *kind, const struct bq_source *sources,
                     char path[BQ_CACHE_PATH], struct bq_error *err);

/* A new, private folder for what is being made; and its end, with all files in it. */
int bq_cache_workshop(const char *folder, char path[BQ_CACHE_PATH], struct bq_error *err);
void bq_cache_remove(const char *workshop);

/* folder/name into path; -1 with err when it is too long. */
int bq_cache_path(char path[BQ_CACHE_PATH], const char *folder, const char *name,
                  struct bq_error *err);

/* Hash of the contents of sources. */
void bq_sources_hash(const struct bq_source *sources, struct bq_hash *hash);

#endif

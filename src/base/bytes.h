/* Little-endian fields in a bounded run of bytes: how messages are written and read.
 *
 * Both cursors carry their failure with them: past the end nothing is touched, reads give zero, and
 * is_bad is set; the caller checks once, at the end.
 */
#ifndef BQ_BASE_BYTES_H
#define BQ_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bq_writer {
    unsigned char *at, *end;
    bool is_bad;
};

struct bq_reader {
    const unsigned char *at, *end;
    bool is_bad;
};

struct bq_writer bq_writer(void *bytes, size_t n);
void bq_put_u8(struct bq_writer *w, uint8_t v);
void bq_put_u32(struct bq_writer *w, uint32_t v);
void bq_put_u64(struct bq_writer *w, uint64_t v);
void bq_put_real(struct bq_writer *w, double v);
void bq_put_bytes(struct bq_writer *w, const void *bytes, size_t n);
void bq_put_text(struct bq_writer *w, const char *text); /* length, then bytes; NULL is "" */

struct bq_reader bq_reader(const void *bytes, size_t n);
uint8_t bq_get_u8(struct bq_reader *r);
uint32_t bq_get_u32(struct bq_reader *r);
uint64_t bq_get_u64(struct bq_reader *r);
double bq_get_real(struct bq_reader *r);
const void *bq_get_bytes(struct bq_reader *r, size_t n); /* points into the message, or NULL */
void bq_get_text(struct bq_reader *r, char *out, size_t size); /* too long is bad */

#endif

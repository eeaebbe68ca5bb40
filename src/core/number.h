/* Between stored numbers and the machine's own: byte order, odd widths, half precision. Pure.
 *
 * To native, the result is bit-equal to HDF5's conversion (H5Tconvert, H5Dread), NaN payloads
 * included: float16 loses them (all bits but the sign are set), the others keep them. From native,
 * float16 is rounded to nearest, ties to even, overflows to infinity (IEEE 754), and its NaNs are
 * quiet and keep their sign; HDF5 1.10 rounds ties away from zero and errs near both ends of the
 * range (65535.99 becomes 32768). */
#ifndef BQ_CORE_NUMBER_H
#define BQ_CORE_NUMBER_H

#include "core/layout.h"

/* The narrowest native type that holds every value. */
enum bq_type bq_number_native(const struct bq_number *number);

/* How the machine itself has numbers of a type. */
struct bq_number bq_number_of(enum bq_type type);

/* Whether stored and native bytes are the same, so that a copy is a conversion. */
bool bq_number_is_native(const struct bq_number *number);

/* n stored numbers to the native type of bq_number_native. No overlap, no alignment needed on
 * either side. */
void bq_number_read(const struct bq_number *number, const void *stored, void *native, size_t n);

/* And back. Integers of 3, 5, 6 or 7 bytes saturate where the value does not fit. */
void bq_number_write(const struct bq_number *number, const void *native, void *stored, size_t n);

/* One native element of a value; -1 when an integer type does not hold it. Floats are rounded. */
int bq_number_from(enum bq_type type, double value, void *element);

/* Index of the first NaN of n native elements; n when there is none. */
uint64_t bq_number_find_nan(enum bq_type type, const void *native, uint64_t n);

#endif

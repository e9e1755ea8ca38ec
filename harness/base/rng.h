/* rng: seeded randomness, the same on every machine. in: a 64-bit seed; out: numbers.
 * xoshiro256** seeded by splitmix64. Pure: no I/O, heap, clock. The only source of randomness of a
 * station. */
#ifndef TM_BASE_RNG_H
#define TM_BASE_RNG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tm_rng {
    uint64_t s[4];
};
void tm_rng_init(struct tm_rng *rng, uint64_t seed);
/* An independent stream for `name`, so that adding a consumer does not shift the others. */
void tm_rng_fork(const struct tm_rng *parent, struct tm_rng *child, const char *name);
uint64_t tm_rng_u64(struct tm_rng *rng);
/* 0 <= x < bound, unbiased; bound > 0 */
uint64_t tm_rng_below(struct tm_rng *rng, uint64_t bound);
int64_t tm_rng_between(struct tm_rng *rng, int64_t first, int64_t last); /* inclusive */
double tm_rng_unit(struct tm_rng *rng);                                  /* [0, 1) */
bool tm_rng_chance(struct tm_rng *rng, double p);
double tm_rng_exponential(struct tm_rng *rng, double mean);

/* Zipf over ranks 0..count-1 with exponent s > 0, by rejection-inversion: O(1) memory, exact. */
struct tm_zipf {
    double s, h_x1, h_n, cut;
    uint64_t count;
};
void tm_zipf_init(struct tm_zipf *z, uint64_t count, double s);
uint64_t tm_zipf_next(const struct tm_zipf *z, struct tm_rng *rng);
#endif

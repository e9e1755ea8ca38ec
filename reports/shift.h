/* shift: by how much a measured figure moved between two sets of repetitions, how sure that is, and
 * what could have been seen at all. in: positive values, one a repetition; out: ratios NEW / BASE.
 * On logarithms, so that a ratio is a shift: the estimate is Hodges and Lehmann's (median of all
 * pairwise differences), its bounds are order statistics of the same differences, their levels from
 * the exact null distribution of Mann and Whitney's U. Nothing is assumed of the noise but that it
 * is the same on both sides: one wild repetition moves a rank, not the answer. Equal values count
 * against a difference. Source: Hodges, Lehmann, Ann. Math. Stat. 34 (1963); Mann, Whitney, ibid.
 * 18 (1947); Bauer, JASA 67 (1972) for the bounds. Pure: no I/O, clock, heap; the only chance is a
 * seeded generator, the same on every machine. */
#ifndef TM_REPORTS_SHIFT_H
#define TM_REPORTS_SHIFT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TM_SHIFT_REPEATS_MAX 32 /* values on a side */

struct tm_shift_side {
    const double *values; /* > 0 */
    size_t count;         /* 1 to TM_SHIFT_REPEATS_MAX */
};
struct tm_shift {
    double ratio; /* the estimate: 1.2 = a fifth more than BASE */
    double
        at_least; /* the ratio is above that but for a chance of alpha_low; 0 = nothing is known */
    double at_most; /* below that but for alpha_high; INFINITY = nothing is known */
};
void tm_shift_estimate(struct tm_shift *out, struct tm_shift_side base, struct tm_shift_side new,
                       double alpha_low, double alpha_high);

/* Is NEW larger beyond doubt (at_least > 1), and by enough to matter (ratio >= 1 + effect_min)? */
bool tm_shift_grew(const struct tm_shift *shift, double effect_min);
/* The smallest ratio that tm_shift_grew would have told in nine of ten cases, given the noise that
 * these values show: TM_SHIFT_DRAWS redraws of their residuals (seeded). INFINITY: too few
 * repetitions to tell any. */
#define TM_SHIFT_DRAWS 200
double tm_shift_seen(struct tm_shift_side base, struct tm_shift_side new, double alpha_low,
                     double effect_min, uint64_t seed);
/* Repetitions a side must have, both the same, before any difference can be told at this level. */
size_t tm_shift_repeats(double alpha_low);
/* P(U <= u) when both sides are the same; u up to half of base * new. */
double tm_shift_tail(size_t base_count, size_t new_count, size_t u);
#endif

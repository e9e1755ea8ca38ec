#include "reports/shift.h"
#include "base/rng.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT_PAIRS_MAX (TM_SHIFT_REPEATS_MAX * TM_SHIFT_REPEATS_MAX)
#define SHIFT_POWER 0.9 /* share of cases in which a shift must be told to count as seen */

static int shift_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of `count` ascending values. */
static double shift_middle(const double *sorted, size_t count)
{
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* How many arrangements have U = 0 … last: the coefficients of the product of
 * (1 - q^(n+i)) / (1 - q^i), i = 1 … m. A coefficient is made of lower ones only, so that the tail
 * asked for is exact as long as its counts fit a double. */
static void shift_arrangements(double *out, size_t n, size_t m, size_t last)
{
    memset(out, 0, (last + 1) * sizeof *out);
    out[0] = 1;
    for (size_t i = 1; i <= m; i++) {
        for (size_t k = last + 1; k-- > n + i;)
            out[k] -= out[k - n - i];
        for (size_t k = i; k <= last; k++)
            out[k] += out[k - i];
    }
}

static double shift_choose(size_t n, size_t k)
{
    double all = 1;
    for (size_t i = 1; i <= k; i++)
        all = all * (double)(n - k + i) / (double)i;
    return all;
}

double tm_shift_tail(size_t base_count, size_t new_count, size_t u)
{
    double counts[SHIFT_PAIRS_MAX + 1];
    double sum = 0;
    assert(base_count > 0 && base_count <= TM_SHIFT_REPEATS_MAX);
    assert(new_count > 0 && new_count <= TM_SHIFT_REPEATS_MAX);
    assert(u <= base_count * new_count / 2);
    shift_arrangements(counts, base_count, new_count, u);
    for (size_t i = 0; i <= u; i++)
        sum += counts[i];
    return sum / shift_choose(base_count + new_count, new_count);
}

/* How many of the pairs may point the other way, lest chance alone would do it more often than
 * alpha; -1: even none is not enough. */
static int shift_allowed(size_t base_count, size_t new_count, double alpha)
{
    double counts[SHIFT_PAIRS_MAX + 1];
    size_t half = base_count * new_count / 2;
    double all = shift_choose(base_count + new_count, new_count), sum = 0;
    int allowed = -1;
    shift_arrangements(counts, base_count, new_count, half);
    for (size_t u = 0; u <= half && (sum += counts[u]) / all <= alpha; u++)
        allowed = (int)u;
    return allowed;
}

/* All ln(new / base), ascending; returns how many. */
static size_t shift_pairs(double *out, const double *base, size_t base_count, const double *new,
                          size_t new_count)
{
    size_t count = 0;
    for (size_t i = 0; i < base_count; i++)
        for (size_t k = 0; k < new_count; k++)
            out[count++] = new[k] - base[i];
    qsort(out, count, sizeof *out, shift_order);
    return count;
}

static void shift_logs(double *out, struct tm_shift_side side)
{
    assert(side.count > 0 && side.count <= TM_SHIFT_REPEATS_MAX);
    for (size_t i = 0; i < side.count; i++) {
        assert(side.values[i] > 0);
        out[i] = log(side.values[i]);
    }
}

void tm_shift_estimate(struct tm_shift *out, struct tm_shift_side base, struct tm_shift_side new,
                       double alpha_low, double alpha_high)
{
    double pairs[SHIFT_PAIRS_MAX];
    double before[TM_SHIFT_REPEATS_MAX], after[TM_SHIFT_REPEATS_MAX];
    shift_logs(before, base);
    shift_logs(after, new);
    size_t count = shift_pairs(pairs, before, base.count, after, new.count);
    int low = shift_allowed(base.count, new.count, alpha_low),
        high = shift_allowed(base.count, new.count, alpha_high);
    out->ratio = exp(shift_middle(pairs, count));
    out->at_least = low < 0 ? 0 : exp(pairs[low]);
    out->at_most = high < 0 ? INFINITY : exp(pairs[count - 1 - (size_t)high]);
}

bool tm_shift_grew(const struct tm_shift *shift, double effect_min)
{
    return shift->at_least > 1 && shift->ratio >= 1 + effect_min;
}

/* What is left of a side's values without their middle, widened by what taking the middle away has
 * narrowed them; appended to out. */
static size_t shift_residuals(double *out, size_t count, const double *logs, size_t n)
{
    double sorted[TM_SHIFT_REPEATS_MAX];
    memcpy(sorted, logs, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, shift_order);
    for (size_t i = 0; n > 1 && i < n; i++)
        out[count++] = (logs[i] - shift_middle(sorted, n)) * sqrt((double)n / (double)(n - 1));
    return count;
}

double tm_shift_seen(struct tm_shift_side base, struct tm_shift_side new, double alpha_low,
                     double effect_min, uint64_t seed)
{
    double pairs[SHIFT_PAIRS_MAX];
    double before[TM_SHIFT_REPEATS_MAX], after[TM_SHIFT_REPEATS_MAX];
    double noise[2 * TM_SHIFT_REPEATS_MAX], needed[TM_SHIFT_DRAWS];
    struct tm_rng rng;
    int low = shift_allowed(base.count, new.count, alpha_low);
    shift_logs(before, base);
    shift_logs(after, new);
    size_t noises = shift_residuals(noise, 0, before, base.count);
    noises = shift_residuals(noise, noises, after, new.count);
    if (low < 0 || noises == 0)
        return INFINITY;
    tm_rng_init(&rng, seed);
    for (size_t draw = 0; draw < TM_SHIFT_DRAWS; draw++) {
        for (size_t i = 0; i < base.count; i++)
            before[i] = noise[tm_rng_below(&rng, noises)];
        for (size_t i = 0; i < new.count; i++)
            after[i] = noise[tm_rng_below(&rng, noises)];
        size_t count = shift_pairs(pairs, before, base.count, after, new.count);
        double sure = -pairs[low], enough = log1p(effect_min) - shift_middle(pairs, count);
        needed[draw] = sure > enough ? sure : enough;
    }
    qsort(needed, TM_SHIFT_DRAWS, sizeof *needed, shift_order);
    return exp(needed[(size_t)(SHIFT_POWER * TM_SHIFT_DRAWS)]);
}

size_t tm_shift_repeats(double alpha_low)
{
    size_t n = 1;
    while (n < TM_SHIFT_REPEATS_MAX && shift_allowed(n, n, alpha_low) < 0)
        n++;
    return n;
}

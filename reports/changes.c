#include "reports/changes.h"
#include "base/rng.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define CHANGES_ORDERS 9999
#define CHANGES_STRONGER_MAX 1 /* random orders as strong as the series; two in ten thousand */
#define CHANGES_SEED 79

static void changes_ranks(double *ranks, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t below = 0, same = 0;
        for (size_t k = 0; k < count; k++) {
            below += values[k] < values[i];
            same += values[k] <= values[i] && values[k] >= values[i];
        }
        ranks[i] = (double)below + ((double)same + 1) / 2; /* ties share their middle */
    }
}

/* The strongest split: its strength, and where the right side begins. */
static double changes_strongest(size_t *at, const double *ranks, size_t count)
{
    double middle = ((double)count + 1) / 2, sum = 0, strongest = 0;
    *at = 0;
    for (size_t k = 1; k + TM_CHANGES_SIDE_MIN <= count; k++) {
        sum += ranks[k - 1] - middle;
        if (k < TM_CHANGES_SIDE_MIN)
            continue;
        double n = (double)count, left = (double)k, s = sum * sum * n / (left * (n - left));
        if (s > strongest) {
            strongest = s;
            *at = k;
        }
    }
    return strongest;
}

static size_t changes_split(const double *values, size_t count, struct tm_rng *rng)
{
    double ranks[TM_CHANGES_VALUES_MAX];
    size_t at, other, stronger = 0;
    if (count < 2 * TM_CHANGES_SIDE_MIN)
        return 0;
    changes_ranks(ranks, values, count);
    double strength = changes_strongest(&at, ranks, count) * (1 - 1e-12);
    if (at == 0)
        return 0;
    for (size_t i = 0; i < CHANGES_ORDERS && stronger <= CHANGES_STRONGER_MAX; i++) {
        for (size_t k = count - 1; k > 0; k--) {
            size_t with = (size_t)tm_rng_below(rng, k + 1);
            double kept = ranks[k];
            ranks[k] = ranks[with];
            ranks[with] = kept;
        }
        stronger += changes_strongest(&other, ranks, count) >= strength;
    }
    return stronger <= CHANGES_STRONGER_MAX ? at : 0;
}

static void changes_within(size_t *out, size_t *found, const double *values, size_t first,
                           size_t count, struct tm_rng *rng)
{
    size_t at = *found < TM_CHANGES_MAX ? changes_split(values + first, count, rng) : 0;
    if (at == 0)
        return;
    changes_within(out, found, values, first, at, rng);
    if (*found < TM_CHANGES_MAX)
        out[(*found)++] = first + at;
    changes_within(out, found, values, first + at, count - at, rng);
}

size_t tm_changes(size_t out[TM_CHANGES_MAX], const double *values, size_t count, bool exact)
{
    struct tm_rng rng;
    size_t found = 0;
    assert(count <= TM_CHANGES_VALUES_MAX);
    for (size_t i = 1; exact && i < count && found < TM_CHANGES_MAX; i++)
        if (values[i] < values[i - 1] || values[i] > values[i - 1])
            out[found++] = i;
    tm_rng_init(&rng, CHANGES_SEED);
    if (!exact)
        changes_within(out, &found, values, 0, count, &rng);
    return found;
}

/* changes: where a series of measurements moved to another level. in: values in the order they were
 * made; out: indices at which a new level begins. Binary segmentation: the split whose two sides'
 * ranks differ most (a rank CUSUM, as Pettitt's test has it), kept when fewer than two in ten
 * thousand random orders of the same values have one as strong, then the same on both sides. Ranks,
 * so that one wild value is no level; random orders, so that nothing is assumed of the noise but
 * that without a change its order means nothing. Source: Pettitt, Appl. Statist. 28 (1979). Pure;
 * the orders are drawn from a fixed seed, so that the same series has the same answer. */
#ifndef TM_REPORTS_CHANGES_H
#define TM_REPORTS_CHANGES_H
#include <stdbool.h>
#include <stddef.h>

#define TM_CHANGES_VALUES_MAX 1024
#define TM_CHANGES_MAX 16
#define TM_CHANGES_SIDE_MIN 5 /* values on each side of a change */

/* exact: the values have no noise (virtual clock): each that differs from the one before begins a
 * level. Returns how many, ascending; no more than TM_CHANGES_MAX. */
size_t tm_changes(size_t out[TM_CHANGES_MAX], const double *values, size_t count, bool exact);
#endif

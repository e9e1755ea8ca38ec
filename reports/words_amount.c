/* words_amount: the open pipeline as streaming and as polling showed it, in one sentence. */
#include "reports/words.h"
#include <stdio.h>
#include <string.h>

/* 32.1 million, 450 thousand, 900 */
const char *tm_word_amount(char out[WORD_BYTES], double amount)
{
    if (amount >= 999.5e6)
        snprintf(out, WORD_BYTES, "%.3g billion", amount / 1e9);
    else if (amount >= 999.5e3)
        snprintf(out, WORD_BYTES, "%.3g million", amount / 1e6);
    else if (amount >= 9999.5)
        snprintf(out, WORD_BYTES, "%.0f thousand", amount / 1e3);
    else
        snprintf(out, WORD_BYTES, "%.0f", amount);
    return out;
}

/* The one whose sums were off for the smallest share of the time. */
static const json_t *amount_best(const json_t *report, const char *kind)
{
    const json_t *p, *best = NULL;
    double share, least = 2;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, p)
    {
        if (strcmp(tm_word_text(p, "kind", ""), kind) != 0 ||
            !tm_word_number(p, "open_amount.off_share", &share) || share >= least)
            continue;
        best = p;
        least = share;
    }
    return best;
}

static int amount_of(char *out, size_t out_bytes, const json_t *p)
{
    char w[3][WORD_BYTES];
    double off = 0, peak = 0, share = 0;
    tm_word_number(p, "open_amount.off_share", &off);
    tm_word_number(p, "open_amount.peak_error", &peak);
    tm_word_number(p, "open_amount.peak_error_share", &share);
    return snprintf(out, out_bytes,
                    "%s showed some stage wrong by more than 1 %% for %s of the time, the total by "
                    "at most %s (%s)",
                    tm_word_text(p, "name", "?"), tm_word_share(w[0], off),
                    tm_word_amount(w[1], peak), tm_word_share(w[2], share));
}

bool tm_word_open_amount(char *out, size_t out_bytes, const json_t *report)
{
    const json_t *both[2] = { amount_best(report, "stream"), amount_best(report, "batch") };
    const json_t *one = both[0] != NULL ? both[0] : both[1];
    char w[WORD_BYTES];
    double most = 0;
    if (one == NULL || !tm_word_number(one, "open_amount.org_peak", &most) || most <= 0)
        return false;
    size_t n =
        (size_t)snprintf(out, out_bytes, "Of the open pipeline (amount by stage, at most %s), ",
                         tm_word_amount(w, most));
    for (int i = 0; i < 2; i++) {
        if (both[i] == NULL || n >= out_bytes)
            continue;
        if (i == 1 && both[0] != NULL)
            n += (size_t)snprintf(out + n, out_bytes - n, "; ");
        if (n < out_bytes)
            n += (size_t)amount_of(out + n, out_bytes - n, both[i]);
    }
    if (n < out_bytes)
        snprintf(out + n, out_bytes - n, ".");
    return true;
}

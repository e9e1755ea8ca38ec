#include "base/text.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void id_suffix(char out[3], const char *id15)
{
    for (int block = 0; block < 3; block++) {
        unsigned n = 0;
        for (int i = 0; i < 5; i++) {
            char c = id15[block * 5 + i];
            if (c >= 'A' && c <= 'Z')
                n |= 1U << i;
        }
        out[block] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[n];
    }
}

bool tm_id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n != 15 && n != 18)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!id_char(id[i]))
            return false;
    return strncmp(id, "000000000000000", 15) != 0;
}

enum tm_code tm_id18(char out[TM_ID_BYTES], const char *id, struct tm_err *err)
{
    char suffix[3];
    if (!tm_id_valid(id))
        return tm_fail(err, TM_E_ARG, "\"%.40s\" is not a record id (15 or 18 letters and digits)",
                       id);
    id_suffix(suffix, id);
    if (strlen(id) == 18 && strncasecmp(suffix, id + 15, 3) != 0)
        return tm_fail(err, TM_E_ARG, "record id \"%s\" has a wrong checksum suffix", id);
    memmove(out, id, 15);
    memcpy(out + 15, suffix, 3);
    out[18] = '\0';
    return TM_OK;
}

/* Howard Hinnant's days_from_civil: proleptic Gregorian, exact for all int32 days. */
static int64_t text_days(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void text_civil(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

static bool text_digits(const char **p, int count, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (unsigned)(**p - '0');
    }
    return true;
}

static bool text_date(const char **p, int64_t *days)
{
    static const unsigned char month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned y, m, d;
    if (!text_digits(p, 4, &y) || *(*p)++ != '-' || !text_digits(p, 2, &m) || *(*p)++ != '-' ||
        !text_digits(p, 2, &d) || m < 1 || m > 12 || d < 1 || d > month_days[m - 1])
        return false;
    if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
        return false;
    *days = text_days(y, m, d);
    return true;
}

static bool text_zone(const char **p, int *minutes)
{
    unsigned h, m;
    int sign = **p == '-' ? -1 : 1;
    if (**p == 'Z' || **p == 'z') {
        (*p)++;
        *minutes = 0;
        return true;
    }
    if (**p != '+' && **p != '-')
        return false;
    (*p)++;
    if (!text_digits(p, 2, &h))
        return false;
    if (**p == ':')
        (*p)++;
    if (!text_digits(p, 2, &m) || h > 23 || m > 59)
        return false;
    *minutes = sign * (int)(h * 60 + m);
    return true;
}

enum tm_code tm_time_parse(int64_t *out_ms, const char *text, struct tm_err *err)
{
    const char *p = text;
    int64_t days;
    unsigned h, m, s, ms = 0;
    int zone = 0;
    if (!text_date(&p, &days) || *p++ != 'T' || !text_digits(&p, 2, &h) || *p++ != ':' ||
        !text_digits(&p, 2, &m) || *p++ != ':' || !text_digits(&p, 2, &s) || h > 23 || m > 59 ||
        s > 59)
        return tm_fail(err, TM_E_ARG, "\"%.40s\" is not an ISO 8601 time", text);
    if (*p == '.') {
        unsigned scale = 100;
        int digits = 0;
        for (p++; *p >= '0' && *p <= '9' && digits < 9; p++, digits++, scale /= 10)
            ms += (unsigned)(*p - '0') * scale;
        if (digits == 0)
            return tm_fail(err, TM_E_ARG, "\"%.40s\" is not an ISO 8601 time", text);
    }
    if (!text_zone(&p, &zone) || *p != '\0')
        return tm_fail(err, TM_E_ARG, "\"%.40s\" has no usable time zone (Z or +hh:mm)", text);
    *out_ms = ((days * 86400 + (int64_t)h * 3600 + m * 60 + s) - zone * 60) * 1000 + ms;
    return TM_OK;
}

static const char *text_time(char out[TM_TIME_BYTES], int64_t ms, const char *zone)
{
    int64_t days = ms / 86400000, rest = ms % 86400000, y;
    unsigned m, d;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    text_civil(days, &y, &m, &d);
    snprintf(out, TM_TIME_BYTES, "%04d-%02u-%02uT%02d:%02d:%02d.%03d%s", (int)y, m, d,
             (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60),
             (int)(rest % 1000), zone);
    return out;
}

const char *tm_time_z(char out[TM_TIME_BYTES], int64_t ms)
{
    return text_time(out, ms, "Z");
}
const char *tm_time_rest(char out[TM_TIME_BYTES], int64_t ms)
{
    return text_time(out, ms, "+0000");
}

const char *tm_date_text(char out[TM_TIME_BYTES], int32_t days)
{
    int64_t y;
    unsigned m, d;
    text_civil(days, &y, &m, &d);
    snprintf(out, TM_TIME_BYTES, "%04d-%02u-%02u", (int)y, m, d);
    return out;
}

enum tm_code tm_time_of_day(char out[TM_TIME_BYTES], const char *text, struct tm_err *err)
{
    char whole[64];
    int64_t ms;
    int bytes = snprintf(whole, sizeof whole, "1970-01-01T%s", text);
    if (bytes < 0 || (size_t)bytes >= sizeof whole || tm_time_parse(&ms, whole, NULL) != TM_OK)
        return tm_fail(err, TM_E_ARG, "\"%.40s\" is not a time of a day (hh:mm:ssZ)", text);
    tm_time_z(whole, ms); /* 1970-01-01T or the day before or after it */
    snprintf(out, TM_TIME_BYTES, "%.13s", strchr(whole, 'T') + 1);
    return TM_OK;
}

enum tm_code tm_date_parse(int32_t *out_days, const char *text, struct tm_err *err)
{
    const char *p = text;
    int64_t days;
    if (!text_date(&p, &days) || *p != '\0')
        return tm_fail(err, TM_E_ARG, "\"%.40s\" is not a date (YYYY-MM-DD)", text);
    *out_days = (int32_t)days;
    return TM_OK;
}

void tm_name_sanitize(char *out, size_t out_bytes, const char *name)
{
    size_t n = 0;
    assert(out_bytes >= 2);
    if (*name >= '0' && *name <= '9')
        out[n++] = '_';
    for (; *name && n + 1 < out_bytes; name++)
        out[n++] = (id_char(*name) || *name == '_') ? *name : '_';
    out[n] = '\0';
}

void tm_name_lower(char *out, size_t out_bytes, const char *name)
{
    size_t n = 0;
    assert(out_bytes >= 1);
    for (; *name && n + 1 < out_bytes; name++)
        out[n++] = (char)((*name >= 'A' && *name <= 'Z') ? *name + 32 : *name);
    out[n] = '\0';
}

static size_t text_distance(const char *a, const char *b)
{
    size_t row[65], an = strlen(a), bn = strlen(b);
    if (an > 64 || bn > 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= bn; j++)
        row[j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t cost =
                diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            row[j] = row[j] + 1 < cost ? row[j] + 1 : cost;
            if (row[j - 1] + 1 < row[j])
                row[j] = row[j - 1] + 1;
        }
    }
    return row[bn];
}

const char *tm_nearest(const char *word, const char *const *candidates, size_t candidates_count)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2;
    for (size_t i = 0; i < candidates_count; i++) {
        size_t d = text_distance(word, candidates[i]);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}

size_t tm_utf8_bytes(const unsigned char *text, size_t left)
{
    unsigned char c = text[0], low = 0x80, high = 0xbf;
    size_t bytes = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : 4;
    if (c < 0xc2 || c > 0xf4 || bytes > left)
        return 0;
    if (c == 0xe0 || c == 0xf0)
        low = c == 0xe0 ? 0xa0 : 0x90; /* not the shortest form */
    if (c == 0xed || c == 0xf4)
        high = c == 0xed ? 0x9f : 0x8f; /* a surrogate; beyond U+10FFFF */
    for (size_t i = 1; i < bytes; i++, low = 0x80, high = 0xbf)
        if (text[i] < low || text[i] > high)
            return 0;
    return bytes;
}

void tm_text_cut(char *text)
{
    char *to = text;
    size_t left = strlen(text), bytes;
    for (const char *from = text; left > 0; from += bytes, left -= bytes) {
        bool ascii = (unsigned char)*from < 0x80;
        size_t letter = ascii ? 1 : tm_utf8_bytes((const unsigned char *)from, left);
        bytes = letter > 0 ? letter : 1;
        memmove(to, from, letter);
        to += letter;
    }
    *to = '\0';
}

uint64_t tm_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3ULL;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15ULL;
    return h ^ (h >> 29);
}

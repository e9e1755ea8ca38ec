/* text: times, ids and names as the outside spells them. Pure: no I/O, heap, clock.
 * Source of formats: facts/salesforce-wire.md section 7 (ids and times), facts/connectors.md 2.2
 * (sanitising). */
#ifndef TM_BASE_TEXT_H
#define TM_BASE_TEXT_H
#include "base/err.h"
#include <stdint.h>

#define TM_ID_BYTES 19 /* 18 characters and the terminator */
#define TM_TIME_BYTES 32

/* 15 or 18 characters in, 18 with a right suffix out. TM_E_ARG on anything else (bad length, bad
 * suffix). */
enum tm_code tm_id18(char out[TM_ID_BYTES], const char *id, struct tm_err *err);
/* 15 or 18 characters of [A-Za-z0-9], not all zero behind the prefix */
bool tm_id_valid(const char *id);

/* ISO 8601 with Z, +hh:mm, -hh:mm or +hhmm, 0-9 fraction digits -> epoch ms UTC (fraction cut to
 * ms). */
enum tm_code tm_time_parse(int64_t *out_ms, const char *text, struct tm_err *err);
/* 2021-03-05T10:15:30.000Z */
const char *tm_time_z(char out[TM_TIME_BYTES], int64_t ms);
/* 2021-03-05T10:15:30.000+0000 */
const char *tm_time_rest(char out[TM_TIME_BYTES], int64_t ms);
/* days since 1970-01-01 -> 2021-03-05 */
const char *tm_date_text(char out[TM_TIME_BYTES], int32_t days);
/* 10:15:30Z, 10:15:30.5Z, 10:15:30+02:00 -> 10:15:30.000Z and so on, UTC; an offset may lead round
 * midnight. TM_E_ARG: no time of a day, or none with a zone. */
enum tm_code tm_time_of_day(char out[TM_TIME_BYTES], const char *text, struct tm_err *err);
enum tm_code tm_date_parse(int32_t *out_days, const char *text, struct tm_err *err);

/* Topic or field -> SQL name: every char not in [A-Za-z0-9_] becomes '_'; a leading digit gets '_'
 * in front. */
void tm_name_sanitize(char *out, size_t out_bytes, const char *name);
void tm_name_lower(char *out, size_t out_bytes, const char *name); /* ASCII lower case */
/* The candidate nearest to `word` (edit distance, ASCII case ignored), or NULL when none
 * is near. */
const char *tm_nearest(const char *word, const char *const *candidates, size_t candidates_count);
/* Bytes of the well-formed UTF-8 sequence of two to four bytes at `text`; 0 = it is none (Unicode,
 * table 3-7). */
size_t tm_utf8_bytes(const unsigned char *text, size_t left);
/* Drops, in place, every byte that is no part of a whole UTF-8 letter: what printf's "%.80s" and a
 * full buffer leave of one, in the middle of a text or at its end. */
void tm_text_cut(char *text);
/* stable across machines; not for secrets */
uint64_t tm_hash64(const void *data, size_t bytes, uint64_t seed);
#endif

#include "check/vhash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* 2^53: a double below it that has no fraction is an exact integer */
#define VALUE_EXACT_MAX 9007199254740992.0
#define VALUE_EXACT_INT (INT64_C(1) << 53)
#define VALUE_SEED_REAL UINT64_C(0x2545f4914f6cdd1d)
#define VALUE_SEED_LONG UINT64_C(0x8cb92ba72f3d8dd7)
#define VALUE_NAN UINT64_C(0x7ff8000000000000)
#define VALUE_NAN_PAYLOAD UINT64_C(0x8007ffffffffffff) /* sign and 51 bits */

static uint64_t value_not_null(uint64_t hash)
{
    return hash == TM_VHASH_NULL ? 1 : hash;
}

/* splitmix64's finalizer, a bijection (Steele, Lea, Flood 2014), and its inverse. */
static uint64_t value_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t value_unmix(uint64_t x)
{
    x = (x ^ x >> 31 ^ x >> 62) * UINT64_C(0x319642b2d24d8ec3);
    x = (x ^ x >> 27 ^ x >> 54) * UINT64_C(0x96de1b173f119089);
    return x ^ x >> 30 ^ x >> 60;
}

static uint64_t value_double(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return value_not_null(value_mix(bits ^ VALUE_SEED_REAL));
}

/* What is no number below 2^53 reads back as NaN: no number is near it. */
static uint64_t value_other(uint64_t hash)
{
    return value_not_null(value_mix((VALUE_NAN | (hash & VALUE_NAN_PAYLOAD)) ^ VALUE_SEED_REAL));
}

uint64_t tm_vhash_int(int64_t number)
{
    if (number > -VALUE_EXACT_INT && number < VALUE_EXACT_INT)
        return value_double((double)number);
    return value_other(value_mix((uint64_t)number ^ VALUE_SEED_LONG));
}

uint64_t tm_vhash_real(double number)
{
    if (fabs(number) < VALUE_EXACT_MAX)
        return value_double(number + 0.0); /* -0 is 0 */
    if (fabs(number) < 0x1p63 && !(floor(number) < number))
        return tm_vhash_int((int64_t)number);
    return value_double(number);
}

bool tm_vhash_number(double *out, uint64_t hash)
{
    uint64_t bits = value_unmix(hash) ^ VALUE_SEED_REAL;
    memcpy(out, &bits, sizeof *out);
    return hash != TM_VHASH_NULL;
}

uint64_t tm_vhash_text(const char *text, size_t bytes)
{
    return bytes == 0 ? TM_VHASH_NULL : value_other(XXH3_64bits(text, bytes));
}

uint64_t tm_vhash_json(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_NULL: return TM_VHASH_NULL;
    case JSON_TRUE: return tm_vhash_int(1);
    case JSON_FALSE: return tm_vhash_int(0);
    case JSON_INTEGER: return tm_vhash_int(json_integer_value(json));
    case JSON_REAL: return tm_vhash_real(json_real_value(json));
    case JSON_STRING: return tm_vhash_text(json_string_value(json), json_string_length(json));
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    char *text = json_dumps(json, JSON_COMPACT);
    uint64_t hash = text == NULL ? TM_VHASH_NULL : tm_vhash_text(text, strlen(text));
    free(text);
    return hash;
}

uint64_t tm_vhash_column(sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL: return TM_VHASH_NULL;
    case SQLITE_INTEGER: return tm_vhash_int(sqlite3_column_int64(stmt, column));
    case SQLITE_FLOAT: return tm_vhash_real(sqlite3_column_double(stmt, column));
    default: break;
    }
    const void *bytes = sqlite3_column_blob(stmt, column);
    return tm_vhash_text(bytes, (size_t)sqlite3_column_bytes(stmt, column));
}

uint64_t tm_vhash_mix(uint64_t column, uint64_t value)
{
    if (value == TM_VHASH_NULL)
        return 0;
    return value_mix(value ^ (column + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t tm_vhash_name(const char *name)
{
    char lower[128];
    size_t bytes = 0;
    for (; name[bytes] != '\0' && bytes < sizeof lower; bytes++)
        lower[bytes] =
            (char)(name[bytes] >= 'A' && name[bytes] <= 'Z' ? name[bytes] + 32 : name[bytes]);
    return XXH3_64bits(lower, bytes);
}

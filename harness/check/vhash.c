#include "check/vhash.h"
#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SEED_INT = 11, VALUE_SEED_REAL = 13, VALUE_SEED_TEXT = 17, VALUE_SEED_NAME = 19 };
/* 2^53: a double below it that has no fraction is an exact integer */
#define VALUE_EXACT_MAX 9007199254740992.0

static uint64_t value_not_null(uint64_t hash)
{
    return hash == TM_VHASH_NULL ? 1 : hash;
}

uint64_t tm_vhash_int(int64_t number)
{
    return value_not_null(tm_hash64(&number, sizeof number, VALUE_SEED_INT));
}

uint64_t tm_vhash_real(double number)
{
    if (fabs(number) < VALUE_EXACT_MAX && !(floor(number) < number))
        return tm_vhash_int((int64_t)number);
    return value_not_null(tm_hash64(&number, sizeof number, VALUE_SEED_REAL));
}

uint64_t tm_vhash_text(const char *text, size_t bytes)
{
    return bytes == 0 ? TM_VHASH_NULL : value_not_null(tm_hash64(text, bytes, VALUE_SEED_TEXT));
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
    uint64_t x = value ^ (column + 1) * UINT64_C(0x9e3779b97f4a7c15);
    if (value == TM_VHASH_NULL)
        return 0;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t tm_vhash_name(const char *name)
{
    char lower[128];
    size_t bytes = 0;
    for (; name[bytes] != '\0' && bytes < sizeof lower; bytes++)
        lower[bytes] =
            (char)(name[bytes] >= 'A' && name[bytes] <= 'Z' ? name[bytes] + 32 : name[bytes]);
    return tm_hash64(lower, bytes, VALUE_SEED_NAME);
}

/* vhash: one 64-bit name for every canonical value, so that a shown value can be told from another
 * without keeping it. in: a value as JSON (org.db) or as a SQLite column (a snapshot relation);
 * out: its hash, 0 = null. 1 and 1.0 are one value; empty text is null (design section 5,
 * "Canonical form"); true is 1. Pure. */
#ifndef TM_CHECK_VHASH_H
#define TM_CHECK_VHASH_H
#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>

#define TM_VHASH_NULL 0u
uint64_t tm_vhash_int(int64_t number);
uint64_t tm_vhash_real(double number);
uint64_t tm_vhash_text(const char *text, size_t bytes);
uint64_t tm_vhash_json(const json_t *json);
uint64_t tm_vhash_column(sqlite3_stmt *stmt, int column);
/* What a column's value adds (xor) to the hash of its row: nothing where it is null. */
uint64_t tm_vhash_mix(uint64_t column, uint64_t value);
/* A column by its name, ASCII case ignored. */
uint64_t tm_vhash_name(const char *name);
#endif

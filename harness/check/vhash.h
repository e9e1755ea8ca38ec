/* vhash: one 64-bit name for every canonical value, so that a shown value can be told from another
 * without keeping it. in: a value as JSON (org.db) or as a SQLite column (a snapshot relation);
 * out: its hash, 0 = null. 1 and 1.0 are one value; empty text is null; true
 * is 1. A number can be read back from its hash, so that two that are close
 * can be told from two that are not. Names of values live as long as a process: nothing keeps them.
 * Pure. */
#ifndef TM_CHECK_VHASH_H
#define TM_CHECK_VHASH_H
#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define TM_VHASH_NULL 0u
uint64_t tm_vhash_int(int64_t number);
uint64_t tm_vhash_real(double number);
uint64_t tm_vhash_text(const char *text, size_t bytes);
/* The number a hash of tm_vhash_int or tm_vhash_real stands for, if it is below 2^53 or has a
 * fraction; NaN of anything else. False: it is null. */
bool tm_vhash_number(double *out, uint64_t hash);
uint64_t tm_vhash_json(const json_t *json);
uint64_t tm_vhash_column(sqlite3_stmt *stmt, int column);
/* What a column's value adds (xor) to the hash of its row: nothing where it is null. */
uint64_t tm_vhash_mix(uint64_t column, uint64_t value);
/* A column by its name, ASCII case ignored. */
uint64_t tm_vhash_name(const char *name);
#endif

/* row: how the codecs of this folder fill a tm_row. Text goes to the arena, which may move while it
 * grows: cells hold offsets until row_settle turns them into pointers. in: values in order; out: a
 * readable row. */
#ifndef TM_EVENT_ROW_H
#define TM_EVENT_ROW_H
#include "event/value.h"

void tm_row_reset(struct tm_row *row); /* no cells, memory kept */
enum tm_code tm_row_reserve(struct tm_row *row, size_t cells, struct tm_err *err);
/* A new NULL cell; room was reserved. `name` is borrowed. */
struct tm_value *tm_row_add(struct tm_row *row, const char *name);
/* Text that begins at arena offset `from` and ends at the arena's end; a terminator is added. */
void tm_row_text(struct tm_row *row, struct tm_value *value, enum tm_value_kind kind, size_t from);
enum tm_code tm_row_settle(struct tm_row *row, const char *what, struct tm_err *err);
#endif

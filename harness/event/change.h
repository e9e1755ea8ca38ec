/* change: a Salesforce change event as CometD delivers it, taken apart. in: the "data" object of a
 * delivery; out: header, ids, and the fields flattened to columns in canonical form. Pure. Text of
 * the fields is borrowed from the delivery, which must outlive the use of the event. Facts:
 * salesforce-wire.md 2.5 (ten header keys, nested compounds, diff objects); rules R1-R5 of the
 * design. */
#ifndef TM_EVENT_CHANGE_H
#define TM_EVENT_CHANGE_H
#include "base/describe.h"
#include "event/value.h"

/* an id, a wildcard or the overflow word, terminated */
#define TM_CHANGE_ID_BYTES 24
/* recordIds of GAP_OVERFLOW: no record (R3) */
#define TM_ID_OVERFLOW "000000000000000AAA"
enum tm_change_type {
    TM_CHANGE_CREATE,
    TM_CHANGE_UPDATE,
    TM_CHANGE_DELETE,
    TM_CHANGE_UNDELETE,
    TM_CHANGE_GAP_CREATE,
    TM_CHANGE_GAP_UPDATE,
    TM_CHANGE_GAP_DELETE,
    TM_CHANGE_GAP_UNDELETE,
    TM_CHANGE_GAP_OVERFLOW,
    TM_CHANGE_UNKNOWN
};
/* any case; TM_CHANGE_UNKNOWN when not known */
enum tm_change_type tm_change_type_parse(const char *word);
/* begins with GAP, any case (R8, gap filter) */
bool tm_change_is_gap(const char *word);
/* "001*": a type conversion, every record of the object (R3). */
bool tm_change_id_is_wildcard(const char *id);

struct tm_change_event {
    const json_t *header;      /* ChangeEventHeader, borrowed from the delivery */
    struct tm_buf header_text; /* the same as compact JSON, ten keys in fixed order */
    const char *schema_id;     /* data.schema -> _EventType; borrowed */
    int64_t replay_id;
    enum tm_change_type type;
    const char **ids;
    size_t ids_count;       /* recordIds as 18 characters; wildcard and overflow kept as they are */
    struct tm_row fields;   /* columns of the describe that the payload names, null included */
    json_t *diff_fields;    /* array of column names that came as a diff; owned */
    json_t *unknown_fields; /* payload names no describe field answers to; owned */
    bool
        convert_changed_fields; /* set before parse: changedFields of header_text in column names */
    char (*ids_text)[TM_CHANGE_ID_BYTES];
    size_t ids_cap; /* memory behind ids */
};
void tm_change_event_init(struct tm_change_event *e);
void tm_change_event_free(struct tm_change_event *e);
/* Fills *e (reusing its memory). TM_E_PROTO says what is missing or mistyped. */
enum tm_code tm_change_event_parse(struct tm_change_event *e, const json_t *data,
                                   const struct tm_describe *describe, struct tm_err *err);
#endif

/* describe: what an object looks like: its fields, types, and how compound parts map to columns.
 * in: Salesforce describe JSON (REST answer or a file of fixtures/objects/); out: an ordered field
 * list. Shared by mock, stations and witness: data shapes only, no reconstruction logic. Owner: the
 * caller of parse. Source: facts/salesforce-wire.md section 3 and Appendix B. */
#ifndef TM_BASE_DESCRIBE_H
#define TM_BASE_DESCRIBE_H
#include "base/err.h"
#include <jansson.h>

enum tm_field_kind {                    /* how a value is kept in canonical form */
                     TM_FIELD_TEXT,     /* string picklist multipicklist textarea email phone url
                                           combobox encryptedstring … */
                     TM_FIELD_ID,       /* id and reference: 18 characters */
                     TM_FIELD_BOOLEAN,  /* 0 / 1 */
                     TM_FIELD_INT,      /* int, long */
                     TM_FIELD_NUMBER,   /* double currency percent: number at `scale` */
                     TM_FIELD_DATE,     /* text YYYY-MM-DD */
                     TM_FIELD_DATETIME, /* integer ms UTC */
                     TM_FIELD_TIME,     /* text HH:MM:SS.mmmZ */
                     TM_FIELD_COMPOUND /* address, location, and Name of a person: not a column; its
                                          parts are */
};
struct tm_field {
    const char *name; /* column name: LastName, BillingStreet, Amount__c */
    const char *type; /* Salesforce type word: "currency" */
    const char *label;
    enum tm_field_kind kind;
    int length, precision, scale;
    bool nillable, custom, calculated /* formula: not in events, not compared */, createable,
        updateable;
    bool hidden; /* the user of the API may not see it; only the org's own describes have such */
    const char *compound; /* describe's compoundFieldName ("BillingAddress", "Name") or NULL */
    const char *part;     /* name inside the compound in events: "Street", "LastName"; else NULL */
    const char *event_name;   /* as changedFields spells it: "BillingAddress.Street"; else = name */
    const char *reference_to; /* first referenceTo, or NULL */
    const json_t *json;       /* the describe's own object, borrowed */
};
struct tm_describe {
    const char *object, *key_prefix, *label;
    struct tm_field *fields; /* describe order */
    size_t fields_count;
    json_t *json; /* owned: the describe the strings point into */
};
/* Takes no ownership of `json`; keeps a reference. TM_E_PROTO names the object and field that is
 * wrong. */
enum tm_code tm_describe_parse(struct tm_describe **out, json_t *json, struct tm_err *err);
enum tm_code tm_describe_load(struct tm_describe **out, const char *path, struct tm_err *err);
void tm_describe_close(struct tm_describe *d);
/* case-insensitive; NULL */
const struct tm_field *tm_describe_field(const struct tm_describe *d, const char *name);
/* "Name.LastName"; NULL */
const struct tm_field *tm_describe_by_event_name(const struct tm_describe *d, const char *name);
/* Carried by change events: not a compound itself, not calculated, not Id, IsDeleted,
 * SystemModstamp. */
bool tm_field_in_events(const struct tm_field *f);
#endif

/* workload_impl: what workload.c (plan and steps) and workload_values.c (records and
 * values) share. */
#ifndef TM_MOCKS_SALESFORCE_WORKLOAD_IMPL_H
#define TM_MOCKS_SALESFORCE_WORKLOAD_IMPL_H
#include "mocks/salesforce/workload.h"

#define WL_SETS_MAX TM_ORG_FIELDS_MAX
/* of one transaction: a conversion touches every record that holds a value */
#define WL_CHANGES_MAX 20000
#define WL_TEXT_BYTES_MAX (64u << 20) /* texts of one transaction */

enum {
    WL_LIVE = 1,
    WL_BIN = 2,
    WL_LONG = 4 /* holds a text over 1,000 characters */,
    WL_ROBOT = 8 /* last touched by the
integration user */
};
struct wl_object {
    char name[88]; /* a copy: describes come and go */
    const struct tm_describe *describe;
    const struct tm_field **fields; /* what users write: updateable stored fields */
    size_t fields_count;
    const struct tm_field **unique; /* those of them whose generated values never repeat */
    size_t unique_count;
    const struct tm_field *long_text; /* first text area that may pass 1,000 characters, or NULL */
    double share;                     /* of records and of traffic */
    bool deletable;
    unsigned char *state; /* [count], record number - 1 -> WL_* */
    size_t count, cap, live, bin;
    size_t first_count; /* records when the plan was made: the hot ones are among them */
    struct tm_zipf zipf;
};
struct wl_maker { /* writes one transaction */
    struct tm_org *org;
    struct tm_rng rng;
    int64_t serial; /* last unique number given to a value */
    struct wl_object objects[TM_ORG_OBJECTS_MAX];
    size_t objects_count;
    uint64_t schema_version;
    struct tm_org_change *changes;
    size_t changes_count; /* [WL_CHANGES_MAX] */
    struct tm_org_set *sets;
    size_t sets_count, sets_cap; /* all changes' sets; fixed up by wl_commit */
    size_t *sets_first;          /* [WL_CHANGES_MAX] */
    size_t *text_at;             /* per set: offset of its text in `texts`, SIZE_MAX = none */
    struct tm_buf texts;
};
enum tm_code wl_maker_open(struct wl_maker *m, struct tm_org *org, uint64_t seed, double zipf,
                           struct tm_err *err);
void wl_maker_close(struct wl_maker *m);
/* again after a schema change */
enum tm_code wl_fields(struct wl_maker *m, struct tm_err *err);
struct wl_object *wl_object(struct wl_maker *m, const char *name);
/* Record numbers <-> ids; a number out of the org's own counting is -1. */
int64_t wl_number(const struct wl_maker *m, const char *id);
void wl_id(const struct wl_maker *m, char out[TM_ID_BYTES], const struct wl_object *o,
           size_t index);
enum tm_code wl_note(struct wl_object *o, int64_t number, unsigned set, unsigned clear,
                     struct tm_err *err);
/* A record with all of `want` and none of `not_want`: hot by Zipf or even; -1 when there
 * is none. */
int64_t wl_pick(struct wl_maker *m, struct wl_object *o, bool hot, unsigned want,
                unsigned not_want);
struct wl_object *wl_pick_object(struct wl_maker *m, bool deletable);
/* Begins one more change of the transaction being written. */
enum tm_code wl_change(struct wl_maker *m, enum tm_org_kind kind, enum tm_org_announce announce,
                       const struct wl_object *o, int64_t index, struct tm_err *err);
enum tm_code wl_set(struct wl_maker *m, const struct tm_field *f, const struct tm_org_value *value,
                    struct tm_err *err);
/* A fresh value for the field; booleans and picklists repeat, everything else names its write. */
enum tm_code wl_set_fresh(struct wl_maker *m, const struct wl_object *o, const struct tm_field *f,
                          struct tm_err *err);
enum tm_code wl_set_long(struct wl_maker *m, const struct tm_field *f, const char *before,
                         struct tm_err *err);
enum tm_code wl_create_sets(struct wl_maker *m, const struct wl_object *o, struct tm_err *err);
enum tm_code wl_update_sets(struct wl_maker *m, const struct wl_object *o, int64_t index,
                            size_t count, struct tm_err *err);
/* Commits what was written and notes the new states. Empties the maker either way. */
enum tm_code wl_commit(struct wl_maker *m, struct tm_org_txn *txn, struct tm_err *err);
/* States read again from the org: somebody else changed records too. */
enum tm_code wl_refresh(struct wl_maker *m, struct tm_err *err);

/* ---- workload_kinds.c: one step of the plan, done ---- */
/* text that becomes a picklist and loses its values */
#define WL_CONVERSION_FIELD "LegacyCode__c"
#define WL_REMOVED_FIELD "Sunset__c"
#define WL_ADDED_FIELD "Tide_Level__c"
struct wl_step {
    int64_t at_ms;   /* intended, org clock */
    uint32_t number; /* in order of drawing: names the step's own randomness */
    uint16_t size;   /* record changes, where the kind leaves a choice */
    uint8_t kind;
};
/* Template with the instants filled in; commits one transaction or, where one thing needs another
 * first, two. */
enum tm_code wl_run(struct wl_maker *m, const struct wl_step *step, const struct tm_org_txn *when,
                    bool *out_happened, struct tm_err *err);
/* Can the kind happen with these objects at all? TM_E_ARG says what is missing. */
enum tm_code wl_possible(struct wl_maker *m, enum tm_workload_kind kind, struct tm_err *err);
#endif

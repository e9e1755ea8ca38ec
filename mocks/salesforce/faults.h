/* faults: which trouble is planted in the mock, where and when. One table of rules, from the
 * scenario's `faults` or POST /tidemark/v1/faults: {kind: rule or list of rules}; what each kind
 * does and which keys it takes is told in mocks/salesforce/README.md. in: rules, the instant, one
 * request; out: the rule that strikes. Pure: instants are handed in, chance comes from the seed,
 * the rule's number and how often it was asked, so that a simulation and a server draw alike. What
 * a rule does to the org or to an answer is done by disturb.h. Clock: org time,
 * but for `delay`, which is wall time. Owner: whoever opened it. */
#ifndef TM_MOCKS_SALESFORCE_FAULTS_H
#define TM_MOCKS_SALESFORCE_FAULTS_H
#include "base/clock.h"
#include "mocks/http/message.h"
#include <jansson.h>

#define TM_FAULT_RULES_MAX 256
#define TM_FAULT_TEXT_BYTES 160

enum tm_fault_kind {
    /* a request meets it */
    TM_FAULT_SLOW,
    TM_FAULT_DROP_REQUEST,
    TM_FAULT_SERVER_ERROR,
    TM_FAULT_REQUEST_LIMIT,
    TM_FAULT_QUERY_TIMEOUT,
    TM_FAULT_ROW_LOCK,
    TM_FAULT_STREAMING_BUSY,
    TM_FAULT_DROP_ANSWER,
    TM_FAULT_TRUNCATE_ANSWER,
    TM_FAULT_REPEAT_EVENTS,
    /* the org meets it, at an instant */
    TM_FAULT_EXPIRE_TOKENS,
    TM_FAULT_FORGET_CLIENTS,
    TM_FAULT_PURGE_BIN,
    TM_FAULT_PURGE_DELETE_LOG,
    TM_FAULT_EXPIRE_EVENTS,
    TM_FAULT_RESET_REPLAY_IDS,
    /* the org lives with it, for a time */
    TM_FAULT_LATE_ROWS,
    TM_FAULT_HELD_TRANSACTIONS,
    TM_FAULT_MERGED_EVENTS,
    TM_FAULT_GAP_EVENTS,
    TM_FAULT_OVERFLOW_EVENTS,
    TM_FAULT_TEXT_DIFFS,
    TM_FAULT_SILENT_CHANGES,
    TM_FAULT_MILLISECOND_STAMPS,
    TM_FAULT_KINDS
};
enum tm_fault_family { TM_FAULT_OF_REQUEST, TM_FAULT_OF_INSTANT, TM_FAULT_OF_TIME };
enum tm_fault_stage {                   /* of a request */
                      TM_FAULT_ARRIVED, /* before anything is done: slow */
                      TM_FAULT_SERVED, /* instead of being served: drop_request … streaming_busy */
                      TM_FAULT_ANSWERED, /* served, the answer is ready: drop_answer … repeat_events
                                          */
                      TM_FAULT_STAGES
};
enum tm_fault_class { /* requests, by what they want */
                      TM_FAULT_ANY,
                      TM_FAULT_LOGIN,
                      TM_FAULT_REST,
                      TM_FAULT_QUERY,
                      TM_FAULT_DESCRIBE,
                      TM_FAULT_WRITE,
                      TM_FAULT_BULK,
                      TM_FAULT_STREAMING,
                      TM_FAULT_HANDSHAKE,
                      TM_FAULT_SUBSCRIBE,
                      TM_FAULT_CONNECT,
                      TM_FAULT_CLASSES
};
struct tm_fault_rule {
    int64_t number; /* 1.., never given twice */
    enum tm_fault_kind kind;
    int64_t from_ms, until_ms; /* org time, until not included; TM_NEVER = no end */
    int64_t every_ms;          /* of an instant: again and again; 0 = once */
    int64_t count_max;         /* how often it may happen; 0 = no limit */
    double probability;        /* of each request, transaction or change it could strike */
    enum tm_fault_class class; /* requests only */
    char method[12];           /* "" = any */
    char path[TM_FAULT_TEXT_BYTES], client[TM_FAULT_TEXT_BYTES]; /* patterns; "" = any */
    char object[96];                                             /* of a time; "" = any */
    int64_t span_ms;         /* delay, lag, hold, older: whatever the kind has */
    int64_t bytes;           /* truncate_answer: sent of the body; -1 = half of it */
    int status;              /* server_error */
    int64_t asked, happened; /* so far */
    int64_t next_ms;         /* of an instant: when it is due; TM_NEVER = no more */
    bool in_force;           /* of a time: its beginning was told */
};
struct tm_faults;
enum tm_code tm_faults_open(struct tm_faults **out, uint64_t seed, struct tm_err *err);
void tm_faults_close(struct tm_faults *f);
/* {kind: rule or list}: all of it or, on the first error, nothing. `at` of a rule counts from
 * from_ms. out_first: number of the first of them, the others follow; may be NULL. TM_E_ARG names
 * the key and suggests the nearest known one, or says that there are too many. */
enum tm_code tm_faults_add(struct tm_faults *f, const json_t *kinds, int64_t from_ms,
                           const char *where, int64_t *out_first, struct tm_err *err);
/* Is it a table of rules? As add, without adding. */
enum tm_code tm_faults_check(const json_t *kinds, const char *where, struct tm_err *err);
/* number 0 = all. How many there were. */
size_t tm_faults_remove(struct tm_faults *f, int64_t number);
size_t tm_faults_count(const struct tm_faults *f);
/* in order of number; borrowed until the next add or remove */
struct tm_fault_rule *tm_faults_at(const struct tm_faults *f, size_t index);
/* What an earlier life of the org has seen of rule `number`: so often, last at last_ms. Numbers up
 * to it are taken. */
void tm_faults_resume(struct tm_faults *f, int64_t number, int64_t happened, int64_t last_ms);

/* The rule that strikes this request at this stage now, or NULL. Counts it as happened. events: the
 * answer carries some; a rule for connects strikes no other answer. */
struct tm_fault_rule *tm_faults_strike(struct tm_faults *f, enum tm_fault_stage stage,
                                       const struct tm_mock_request *r, bool events);
/* The rule of an instant that is due at org_ms, earliest first, or NULL. Counts it, and moves its
 * next instant beyond org_ms. */
struct tm_fault_rule *tm_faults_due(struct tm_faults *f, int64_t org_ms);
/* The rule of a time in force for the kind; of several the one given last. NULL = none. */
struct tm_fault_rule *tm_faults_in_force(const struct tm_faults *f, enum tm_fault_kind kind,
                                         int64_t org_ms);
/* held_transactions: how long the transaction called `name` stays open, 0 = it does not. */
int64_t tm_faults_hold_ms(const struct tm_faults *f, uint64_t name, int64_t org_ms);
/* First org instant after org_ms at which something is due, begins or ends. */
int64_t tm_faults_next_ms(const struct tm_faults *f, int64_t org_ms);
bool tm_fault_begun(const struct tm_fault_rule *rule, int64_t org_ms);
/* True with that probability, the same for the same numbers. */
bool tm_fault_chance(double probability, uint64_t seed, uint64_t a, uint64_t b);

const char *tm_fault_name(enum tm_fault_kind kind);
enum tm_fault_family tm_fault_family(enum tm_fault_kind kind);
/* Is the request one of the class? */
bool tm_fault_is_class(const struct tm_mock_request *r, enum tm_fault_class class);
/* The rule as GET /tidemark/v1/faults shows it. */
json_t *tm_fault_json(const struct tm_fault_rule *rule, int64_t org_ms);

/* ---- faults_rule.c ---- */
/* One rule of `kind` from JSON. */
enum tm_code tm_fault_rule_parse(struct tm_fault_rule *out, enum tm_fault_kind kind,
                                 const json_t *json, int64_t from_ms, const char *where,
                                 struct tm_err *err);
/* -1 = no such kind: the error suggests one. */
int tm_fault_kind_of(const char *name, const char *where, struct tm_err *err);
#endif

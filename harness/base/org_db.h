/* org_db: the org's database as both sides of the witness stand see it. Written by mocks/salesforce
 * only; read by harness/check, which learns the truth from nothing else. Clocks: *_ms org clock,
 * epoch ms UTC; *_ns CLOCK_MONOTONIC of the boot named in meta. Values are canonical form. */
#ifndef TM_BASE_ORG_DB_H
#define TM_BASE_ORG_DB_H

/* meta keys: format=1, org_id, seed, boot_id, compress, org_origin_ms, wall_origin_ns (once
 * started), publish_delay_ms (D), index_lag_ms (V), edition, workload_first_ms, workload_last_ms
 * (intended, inclusive), workload_done (0/1), scenario, pauses ("from:until,…" in ns, wall clock:
 * the run was interrupted and the org's clock stood still; oldest first). */
/* clang-format off */
#define TM_ORG_DB_SCHEMA \
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;" \
    /* One row per record version, in commit order. fields: JSON object column -> canonical \
       value: \
       CREATE, UNDELETE: all columns that are not null; UPDATE: the changed ones, null spelled \
       out, with \
       SystemModstamp and LastModifiedDate; DELETE, HARD_DELETE: system columns that moved, if \
       any. \
       A record that was there before the workload is a CREATE with event NULL. */ \
    "CREATE TABLE IF NOT EXISTS history(" \
    " pos INTEGER PRIMARY KEY,"          /* dense, 1.. */ \
    " object TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"  /* 1.. per record */ \
    " txn TEXT NOT NULL, seq INTEGER NOT NULL,"   /* transactionKey; sequenceNumber, 1.. */ \
    " org_ms INTEGER NOT NULL, intended_ms INTEGER NOT NULL," \
    " intended_ns INTEGER, actual_ns INTEGER,"    /* NULL before the clock starts */ \
    " change TEXT NOT NULL,"             /* CREATE UPDATE DELETE UNDELETE HARD_DELETE */ \
    /* changeType sent for it, GAP_OVERFLOW included; NULL: none */ \
    " event TEXT," \
    " replay_id INTEGER," \
    " changed TEXT NOT NULL,"            /* JSON array of column names; [] unless UPDATE */ \
    " fields TEXT NOT NULL);" \
    "CREATE UNIQUE INDEX IF NOT EXISTS history_record ON history(object, id, version);" \
    /* What subscribers are sent. body: the JSON of \"data\" without its event part. */ \
    "CREATE TABLE IF NOT EXISTS event(" \
    " replay_id INTEGER PRIMARY KEY, object TEXT NOT NULL, change TEXT NOT NULL," \
    " pos INTEGER NOT NULL," \
    " publish_ms INTEGER NOT NULL, body TEXT NOT NULL);" \
    /* Describes over time: the one in force at pos is the last row with from_pos <= pos. */ \
    "CREATE TABLE IF NOT EXISTS describe(" \
    " object TEXT NOT NULL, from_pos INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY(object," \
    " from_pos));" \
    /* What was planted in the mock, in order (mocks/salesforce/README.md): rule: 1.. in the \
       order of the scenario's `faults`, later numbers were given at run time, 0 = by no rule; \
       until_ms: of what lasts, NULL = an instant; \
       request, client: whom it struck; detail: what became of it. */ \
    "CREATE TABLE IF NOT EXISTS fault(" \
    " n INTEGER PRIMARY KEY, rule INTEGER NOT NULL, what TEXT NOT NULL, org_ms INTEGER NOT NULL," \
    " wall_ns INTEGER NOT NULL, until_ms INTEGER, request TEXT NOT NULL, client TEXT NOT NULL," \
    " detail TEXT NOT NULL);" \
    /* API usage as the org counted it, by User-Agent. kind: query, describe, login, cometd, \
       bulk, … */ \
    "CREATE TABLE IF NOT EXISTS usage(" \
    " client TEXT NOT NULL, kind TEXT NOT NULL, calls INTEGER NOT NULL," \
    " bytes_in INTEGER NOT NULL," \
    " bytes_out INTEGER NOT NULL, events INTEGER NOT NULL, PRIMARY KEY(client," \
    " kind)) WITHOUT ROWID;"
/* clang-format on */
#endif

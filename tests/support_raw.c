#include "tests/support_raw.h"
#include "tests/support_history.h"
#include <stdio.h>

#define COLUMNS "Name TEXT, Stage TEXT, Amount REAL, Private INTEGER, LastModifiedDate INTEGER"
#define PLACE "_topic TEXT DEFAULT 't', _partition INTEGER DEFAULT 0, _offset INTEGER, "

void raw_tables(sqlite3 *raw)
{
    history_exec(raw,
                 "CREATE TABLE sfdc_cdc_opportunity_raw(" PLACE "Id TEXT, ReplayId TEXT, "
                 "ChangeEventHeader TEXT, " COLUMNS ", _DiffFields TEXT, _epoch INTEGER DEFAULT 0);"
                 "CREATE TABLE alerts_sfdc_opportunity_gap_events(Id TEXT, ReplayId TEXT, _kind "
                 "TEXT, _reason TEXT, _epoch INTEGER DEFAULT 0);"
                 "CREATE TABLE sfdc_recon_opportunity(" PLACE "Id TEXT, _kind TEXT, _g INTEGER, "
                 "_epoch INTEGER DEFAULT 0, _read_id TEXT, _read_seq INTEGER, _read_kind TEXT, "
                 "_count INTEGER, _partitions INTEGER, " COLUMNS ");");
}

void raw_run(sqlite3 *db, char *sql)
{
    history_exec(db, sql);
    sqlite3_free(sql);
}

void raw_event_full(sqlite3 *raw, int n, int under, int64_t replay, const char *word,
                    const char *changed, const char *stage, double stamp, const char *diff,
                    int epoch)
{
    char id[19], first[19], ids[60];
    history_id(id, n);
    history_id(first, under != 0 ? under : n);
    snprintf(ids, sizeof ids, under != 0 ? "[\"%s\",\"%s\"]" : "[\"%s\"]", first, id);
    raw_run(raw,
            sqlite3_mprintf(
                "INSERT INTO sfdc_cdc_opportunity_raw(_offset, Id, ReplayId, ChangeEventHeader, "
                "Name, Stage, Amount, Private, LastModifiedDate, _DiffFields, _epoch) VALUES(%lld, "
                "%Q, '%lld', json_object('changeType', %Q, 'recordIds', json(%Q), 'changedFields', "
                "json(%Q), 'transactionKey', 'txn-%lld'), 'a', %Q, 1, 0, %lld, %Q, %d)",
                (long long)replay, first, (long long)replay, word, ids, changed, (long long)replay,
                stage, (long long)history_stamp(stamp), diff, epoch));
}

void raw_event(sqlite3 *raw, int n, int64_t replay, const char *word, const char *stage,
               double stamp)
{
    raw_event_full(raw, n, 0, replay, word, "[\"Stage\",\"LastModifiedDate\"]", stage, stamp, NULL,
                   0);
}

void raw_ask(sqlite3 *raw, int n, int64_t replay, const char *kind)
{
    char id[19];
    history_id(id, n);
    raw_run(raw, sqlite3_mprintf("INSERT INTO alerts_sfdc_opportunity_gap_events(Id, ReplayId, "
                                 "_kind, _reason) VALUES(%Q, '%lld', %Q, 'three tries')",
                                 id, (long long)replay, kind));
}

void raw_answer(sqlite3 *raw, int read, int n, int64_t g, const char *read_kind, const char *stage,
                double stamp)
{
    char id[19];
    history_id(id, n);
    raw_run(raw, sqlite3_mprintf(
                     "INSERT INTO sfdc_recon_opportunity(_offset, Id, _kind, _g, _read_id, "
                     "_read_seq, _read_kind, Name, Stage, Amount, Private, LastModifiedDate) "
                     "VALUES(%d, %Q, %Q, %lld, 'read-%d', %d, %Q, 'a', %Q, 1, 0, %lld)",
                     read, id, stage == NULL ? "removed" : "image", (long long)g, read, read,
                     read_kind, stage, (long long)history_stamp(stamp)));
}

void raw_end(sqlite3 *raw, int read, int64_t g, int count)
{
    raw_run(raw, sqlite3_mprintf(
                     "INSERT INTO sfdc_recon_opportunity(_offset, Id, _kind, _g, _read_id, "
                     "_read_seq, _read_kind, _count, _partitions) VALUES(99, '*', 'end', %lld, "
                     "'read-%d', %d, 'whole', %d, 1)",
                     (long long)g, read, read, count));
}

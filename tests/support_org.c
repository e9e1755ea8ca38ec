#include "tests/support_org.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void org_fixture_reopen(struct org_fixture *f)
{
    struct tm_err err = { 0 };
    char text[700];
    tm_org_close(f->org);
    f->org = NULL;
    if (tm_org_open(&f->org, &f->settings, &err) != TM_OK) {
        fprintf(stderr, "org: %s\n", tm_err_text(&err, text, sizeof text));
        abort();
    }
}

void org_fixture_open(struct org_fixture *f)
{
    memset(f, 0, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/tm_org_XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        abort();
    snprintf(f->path, sizeof f->path, "%s/org.db", f->dir);
    f->settings = (struct tm_org_settings){ .path = f->path,
                                            .objects_dir = "fixtures/objects",
                                            .seed = 7,
                                            .origin_ms = ORG_ORIGIN_MS,
                                            .compress = 360,
                                            .edition = "none" };
    org_fixture_reopen(f);
}

void org_fixture_close(struct org_fixture *f)
{
    char path[128];
    tm_org_close(f->org);
    f->org = NULL;
    static const char *const suffix[] = { "", "-wal", "-shm" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", f->path, suffix[i]);
        unlink(path);
    }
    rmdir(f->dir);
}

int org_fixture_setup(void **state)
{
    struct org_fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    org_fixture_open(f);
    *state = f;
    return 0;
}

int org_fixture_teardown(void **state)
{
    org_fixture_close(*state);
    free(*state);
    return 0;
}

struct tm_org_value org_text(const char *text)
{
    return (struct tm_org_value){ TM_ORG_TEXT, 0, 0, text };
}
struct tm_org_value org_int(int64_t i)
{
    return (struct tm_org_value){ TM_ORG_INT, i, 0, NULL };
}
struct tm_org_value org_real(double d)
{
    return (struct tm_org_value){ TM_ORG_REAL, 0, d, NULL };
}
struct tm_org_value org_null(void)
{
    return (struct tm_org_value){ TM_ORG_NULL, 0, 0, NULL };
}

enum tm_code org_one(struct tm_org *org, enum tm_org_kind kind, enum tm_org_announce announce,
                     const char *object, char id[TM_ID_BYTES], const struct tm_org_set *sets,
                     int64_t org_ms)
{
    struct tm_org_change change = {
        .kind = kind, .announce = announce, .object = object, .sets = sets
    };
    struct tm_org_txn txn = { .changes = &change, .changes_count = 1, .org_ms = org_ms };
    struct tm_err err = { 0 };
    while (sets != NULL && sets[change.sets_count].field != NULL)
        change.sets_count++;
    snprintf(change.id, sizeof change.id, "%s", id);
    enum tm_code rc = tm_org_commit(org, &txn, &err);
    if (rc == TM_OK)
        memcpy(id, change.id, TM_ID_BYTES);
    return rc;
}

static void org_made(enum tm_code rc)
{
    if (rc != TM_OK)
        abort();
}

void org_make_account(struct tm_org *org, char id[TM_ID_BYTES], const char *name, int64_t org_ms)
{
    struct tm_org_set sets[] = { { "Name", org_text(name) },
                                 { "BillingStreet", org_text("1 Sea Road") },
                                 { "BillingCity", org_text("Tide") },
                                 { NULL, org_null() } };
    id[0] = 0;
    org_made(org_one(org, TM_ORG_CREATE, TM_ORG_NORMAL, "Account", id, sets, org_ms));
}

void org_make_opportunity(struct tm_org *org, char id[TM_ID_BYTES], const char *name,
                          const char *account, int64_t org_ms)
{
    struct tm_org_set sets[] = { { "Name", org_text(name) },
                                 { "StageName", org_text("Procurement") },
                                 { "CloseDate", org_text("2026-06-30") },
                                 { "Amount", org_real(1200.5) },
                                 { "Probability", org_real(50) },
                                 { "AccountId", account ? org_text(account) : org_null() },
                                 { NULL, org_null() } };
    id[0] = 0;
    org_made(org_one(org, TM_ORG_CREATE, TM_ORG_NORMAL, "Opportunity", id, sets, org_ms));
}

const char *org_ask(struct tm_org *org, const char *sql, char *out)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    struct tm_err err = { 0 };
    if (tm_sql_prepare(&s, tm_org_db(org), sql, &err) != TM_OK ||
        tm_sql_step(s, &row, &err) != TM_OK) {
        fprintf(stderr, "%s: %s\n", sql, err.msg);
        abort();
    }
    const char *text = row ? (const char *)sqlite3_column_text(s, 0) : "(none)";
    snprintf(out, 65536, "%s", text != NULL ? text : "(null)");
    sqlite3_finalize(s);
    return out;
}

int64_t org_ask_int(struct tm_org *org, const char *sql)
{
    int64_t value = 0;
    struct tm_err err = { 0 };
    if (tm_sql_int64(&value, tm_org_db(org), sql, &err) != TM_OK)
        abort();
    return value;
}

json_t *org_last_event(struct tm_org *org, const char *object)
{
    char *text = malloc(65536), sql[200];
    snprintf(sql, sizeof sql,
             "SELECT body FROM event WHERE object='%s' ORDER BY replay_id DESC LIMIT 1", object);
    json_t *json = json_loads(org_ask(org, sql, text), 0, NULL);
    free(text);
    return json;
}

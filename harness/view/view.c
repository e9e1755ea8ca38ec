#include "view/view.h"
#include "view/ask.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VIEW_WAIT_NS (50 * TM_NS_PER_MS) /* raw.db is not there yet */

struct tm_view {
    struct tm_view_settings settings;
    struct tm_view_ports ports;
    sqlite3 *raw;
    struct tm_view_follow *objects;
    size_t objects_open;
    struct tm_view_asker asker;
    sqlite3_stmt *data_version, *schema_version;
    int64_t seen_data, seen_schema; /* of raw.db; -1 = not yet */
    int64_t seq, seq_next;          /* the last committed here, 0 = none; of the step under way */
    bool behind;                    /* the last step left rows unread */
    bool may_ask;                   /* rows were applied since the last look for asks */
    bool ask_turn;                  /* rows had theirs: neither starves the other */
    size_t ask_next;                /* object to look at */
    struct tm_view_counts counts;
};

static void view_raw_close(struct tm_view *v)
{
    for (size_t i = 0; i < v->objects_open; i++)
        tm_view_follow_close(&v->objects[i]);
    v->objects_open = 0;
    tm_sql_finalize(v->data_version);
    tm_sql_finalize(v->schema_version);
    v->data_version = v->schema_version = NULL;
    if (v->raw != v->ports.raw)
        tm_sql_close(v->raw);
    v->raw = NULL;
}

enum tm_code tm_view_open(struct tm_view **out, const struct tm_view_settings *settings,
                          const struct tm_view_ports *ports, struct tm_err *err)
{
    struct tm_view *v = NULL;
    enum tm_code rc = TM_OK;
    if (settings->objects_count == 0 || settings->objects_count > TM_VIEW_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "a view keeps 1 to %d objects, not %zu", TM_VIEW_OBJECTS_MAX,
                       settings->objects_count);
    v = calloc(1, sizeof *v);
    if (v == NULL)
        return tm_fail(err, TM_E_NOMEM, "view");
    v->settings = *settings;
    v->ports = *ports;
    if (v->settings.rows_max == 0)
        v->settings.rows_max = TM_VIEW_ROWS_MAX;
    v->seen_data = v->seen_schema = -1;
    tm_view_asker_init(&v->asker, ports->topic, ports->registry);
    v->objects = calloc(settings->objects_count, sizeof *v->objects);
    if (v->objects == NULL)
        rc = tm_fail(err, TM_E_NOMEM, "view");
    if (rc == TM_OK)
        rc = tm_view_store_create(ports->db, err);
    if (rc != TM_OK) {
        const char *path = sqlite3_db_filename(ports->db, "main");
        tm_view_close(v);
        return rc == TM_E_AGAIN
                   ? tm_fail_retry(err, TM_E_IO, "%s is locked by another process", path)
                   : rc;
    }
    *out = v;
    return TM_OK;
}

void tm_view_close(struct tm_view *v)
{
    if (v == NULL)
        return;
    view_raw_close(v);
    free(v->objects);
    tm_view_asker_free(&v->asker);
    free(v);
}

const struct tm_view_counts *tm_view_counted(const struct tm_view *v)
{
    return &v->counts;
}

static void view_wake(struct tm_wake *wake, int64_t wall_ns)
{
    if (wall_ns < wake->wall_ns)
        wake->wall_ns = wall_ns;
}

static bool view_raw_there(const struct tm_view *v)
{
    if (v->ports.raw != NULL)
        return true;
    return v->settings.raw_there != NULL ? *v->settings.raw_there
                                         : access(v->settings.raw_path, F_OK) == 0;
}

/* All objects or none: one that was busy would never be followed. */
static enum tm_code view_raw_open(struct tm_view *v, const struct tm_now *now, struct tm_wake *wake,
                                  struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (!view_raw_there(v)) {
        view_wake(wake, now->wall_ns + VIEW_WAIT_NS);
        return TM_E_AGAIN;
    }
    v->raw = v->ports.raw;
    if (v->raw == NULL)
        rc = tm_sql_open(&v->raw, v->settings.raw_path, TM_SQL_READ, err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&v->data_version, v->raw, "PRAGMA data_version", err);
    if (rc == TM_OK)
        rc = tm_sql_prepare(&v->schema_version, v->raw, "PRAGMA schema_version", err);
    for (size_t i = 0; i < v->settings.objects_count && rc == TM_OK; i++) {
        v->objects_open = i + 1;
        rc = tm_view_follow_open(&v->objects[i], v->raw, v->ports.db, v->settings.objects[i],
                                 &v->counts, err);
    }
    if (rc != TM_OK)
        view_raw_close(v);
    view_wake(wake, rc == TM_E_AGAIN ? now->wall_ns + TM_NS_PER_MS : now->wall_ns);
    return rc;
}

static enum tm_code view_pragma(int64_t *out, sqlite3_stmt *stmt, struct tm_err *err)
{
    bool row = false;
    enum tm_code rc = tm_sql_step(stmt, &row, err);
    *out = rc == TM_OK && row ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_reset(stmt);
    return rc;
}

/* Moves when somebody has written raw.db: the pragma tells only of other connections. */
static enum tm_code view_raw_data(const struct tm_view *v, int64_t *out, struct tm_err *err)
{
    if (v->ports.raw == NULL)
        return view_pragma(out, v->data_version, err);
    *out = sqlite3_total_changes64(v->raw);
    return TM_OK;
}

static enum tm_code view_shapes(struct tm_view *v, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    for (size_t i = 0; i < v->objects_open && rc == TM_OK; i++)
        rc = tm_view_follow_shape(&v->objects[i], err);
    return rc;
}

static enum tm_code view_rows(struct tm_view *v, struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    int64_t seq = 0;
    rc = tm_view_store_seq(v->ports.db, &seq, err);
    if (rc == TM_OK && v->seq > 0 && seq != v->seq + 1)
        rc = tm_fail(err, TM_E_MISMATCH,
                     "%s was written by another process meanwhile, and what this one remembers of "
                     "it is old; one view a file",
                     sqlite3_db_filename(v->ports.db, "main"));
    v->seq_next = seq;
    v->behind = false;
    for (size_t i = 0; i < v->objects_open && rc == TM_OK; i++) {
        size_t rows = 0;
        rc = tm_view_follow_apply(&v->objects[i], v->settings.rows_max, seq, &rows, err);
        v->behind |= rows >= v->settings.rows_max; /* of three tables: perhaps one look too many */
    }
    return rc;
}

/* Columns first, in a transaction of their own; then rows. Which of the two is asked inside the
 * transaction: a column that came just before it began has its first value in rows that came with
 * it. */
static enum tm_code view_work(struct tm_view *v, int64_t *out_schema, struct tm_err *err)
{
    enum tm_code rc = view_pragma(out_schema, v->schema_version, err);
    if (rc != TM_OK)
        return rc;
    return *out_schema != v->seen_schema ? view_shapes(v, err) : view_rows(v, err);
}

static void view_rollback(struct tm_view *v)
{
    struct tm_err again;
    tm_err_clear(&again);
    if (!sqlite3_get_autocommit(v->ports.db))
        sqlite3_exec(v->ports.db, "ROLLBACK", NULL, NULL, NULL);
    for (size_t i = 0; i < v->objects_open; i++)
        tm_view_follow_reload(&v->objects[i], &again);
}

/* One transaction on view.db over one read transaction on raw.db. */
static enum tm_code view_transaction(struct tm_view *v, struct tm_err *err)
{
    int64_t schema = -1;
    enum tm_code rc = tm_sql_exec(v->raw, "BEGIN", err);
    if (rc == TM_OK)
        rc = tm_sql_exec(v->ports.db, "BEGIN IMMEDIATE", err);
    if (rc == TM_OK) {
        rc = view_work(v, &schema, err);
        if (rc == TM_OK)
            rc = tm_sql_exec(v->ports.db, "COMMIT", err);
        if (rc != TM_OK)
            view_rollback(v);
    }
    if (!sqlite3_get_autocommit(v->raw))
        tm_sql_exec(v->raw, "COMMIT", NULL);
    if (rc != TM_OK)
        return rc;
    if (schema == v->seen_schema)
        v->seq = v->seq_next;
    v->may_ask |= schema == v->seen_schema && v->settings.raise_no_base;
    v->behind |= schema != v->seen_schema; /* the rows are still to come */
    v->seen_schema = schema;
    return TM_OK;
}

static enum tm_code view_ask(struct tm_view *v, const struct tm_now *now, struct tm_wake *wake,
                             struct tm_err *err)
{
    enum tm_code rc = tm_view_asker_step(&v->asker, now, err);
    int64_t retry = tm_registry_next_at(v->ports.registry),
            topic = v->ports.topic->ops->next_at(v->ports.topic);
    view_wake(wake, rc == TM_OK ? now->wall_ns : now->wall_ns + v->settings.poll_ns);
    view_wake(wake, retry < topic ? retry : topic);
    return rc;
}

/* Looks for records to ask for, one object a step. */
static enum tm_code view_ask_begin(struct tm_view *v, const struct tm_now *now,
                                   struct tm_wake *wake, struct tm_err *err)
{
    bool any = false;
    size_t i = v->ask_next;
    enum tm_code rc = tm_view_asker_begin(&v->asker, &v->objects[i], v->ports.describes[i],
                                          TM_VIEW_ASKS_MAX, &any, err);
    if (!any)
        v->ask_next = (i + 1) % v->objects_open;
    if (!any && v->ask_next == 0)
        v->may_ask = false;
    view_wake(wake, now->wall_ns);
    return rc;
}

static enum tm_code view_apply(struct tm_view *v, int64_t data, const struct tm_now *now,
                               struct tm_wake *wake, struct tm_err *err)
{
    enum tm_code rc = view_transaction(v, err);
    /* when it failed: look again, whatever the pragma says */
    v->seen_data = rc == TM_OK ? data : -1;
    v->ask_turn = true;
    view_wake(wake, rc == TM_E_AGAIN ? now->wall_ns + TM_NS_PER_MS : now->wall_ns);
    return rc;
}

/* The topic has news of its own now and then; unserved, its descriptor would stay readable and the
 * driver would spin. */
static enum tm_code view_idle(struct tm_view *v, struct tm_wake *wake, struct tm_err *err)
{
    if (v->ports.topic == NULL)
        return TM_E_AGAIN;
    enum tm_code rc = v->ports.topic->ops->flush(v->ports.topic, err);
    view_wake(wake, v->ports.topic->ops->next_at(v->ports.topic));
    return rc == TM_OK ? TM_E_AGAIN : rc;
}

enum tm_code tm_view_step(struct tm_view *v, const struct tm_now *now, struct tm_wake *wake,
                          struct tm_err *err)
{
    int64_t data = 0;
    if (v->raw == NULL)
        return view_raw_open(v, now, wake, err);
    enum tm_code rc = view_raw_data(v, &data, err);
    if (rc != TM_OK)
        return rc;
    bool rows = data != v->seen_data || v->behind,
         asks = v->asker.state != TM_VIEW_ASK_IDLE || v->may_ask;
    if (rows && !(asks && v->ask_turn))
        return view_apply(v, data, now, wake, err);
    v->ask_turn = false;
    if (rows)
        view_wake(wake, now->wall_ns);
    if (v->asker.state != TM_VIEW_ASK_IDLE)
        return view_ask(v, now, wake, err);
    if (v->may_ask)
        return view_ask_begin(v, now, wake, err);
    view_wake(wake, now->wall_ns + v->settings.poll_ns);
    return view_idle(v, wake, err);
}

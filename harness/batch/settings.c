/* settings: a batch preset from its JSON file. in: a path; out: tm_batch_settings, checked. Reads
 * one file, no clock. */
#include "batch/plan.h"
#include "salesforce/sign_in.h"
#include "base/text.h"
#include "salesforce/bulk.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MS_PER_DAY TM_BATCH_DAY_MS
#define NS_PER_MS TM_NS_PER_MS

static const struct tm_key settings_keys[] = {
    { "name", TM_KEY_TEXT, 0, NULL, 0, 0, NULL, "name of the pipeline in reports" },
    { "description", TM_KEY_TEXT, TM_KEY_IGNORED, NULL, 0, 0, NULL,
      "what tool this preset imitates" },
    { "sources", TM_KEY_JSON, TM_KEY_IGNORED, NULL, 0, 0, NULL,
      "per setting: its public source, or \"assumed\"" },
    { "carries", TM_KEY_LIST, 0, NULL, 0, 0, NULL,
      "change types this preset can show; read by run and check" },
    TM_SF_KEYS,
    { "request.max.retries.time.ms", TM_KEY_INT, 0, "30000", 1, INT64_MAX / NS_PER_MS, NULL,
      "wall time to retry a call" },
    { "salesforce.auth.retries.time.ms", TM_KEY_INT, 0, "30000", 1, INT64_MAX / NS_PER_MS, NULL,
      "wall time to retry sign-in" },
    { "requests.per.second", TM_KEY_INT, 0, "0", 0, 100000, NULL,
      "rate limit over all calls; 0 = none" },
    { "objects", TM_KEY_LIST, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "objects to copy" },
    { "interval.ms", TM_KEY_INT, TM_KEY_REQUIRED, NULL, 1000, 366 * MS_PER_DAY, NULL,
      "T: org time between polls" },
    { "mode", TM_KEY_TEXT, 0, "incremental", 0, 0, "incremental|full", "what every poll reads" },
    { "api", TM_KEY_TEXT, 0, "rest", 0, 0, "rest|bulk", "REST queries, or Bulk 2.0 query jobs" },
    { "query.all", TM_KEY_BOOL, 0, "false", 0, 0, NULL, "queryAll: deleted rows too" },
    { "cursor.compare", TM_KEY_TEXT, 0, ">=", 0, 0,
      ">|>=", "how SystemModstamp is compared with the cursor" },
    { "cursor.advance", TM_KEY_TEXT, 0, "max_seen", 0, 0, "max_seen|poll_start",
      "what the cursor becomes after a poll" },
    { "overlap.ms", TM_KEY_INT, 0, "0", 0, 366 * MS_PER_DAY, NULL,
      "org time read again behind the cursor" },
    { "slice.ms", TM_KEY_INT, 0, "0", 0, 3660 * MS_PER_DAY, NULL,
      "org time of one query's range; 0 = one range" },
    { "start.date", TM_KEY_TEXT, 0, NULL, 0, 0, NULL,
      "YYYY-MM-DD: rows with an older SystemModstamp are never read" },
    { "paging", TM_KEY_TEXT, 0, "locator", 0, 0, "locator|stamp|keyset",
      "how pages follow each other" },
    { "page.rows", TM_KEY_INT, 0, "0", 0, TM_SF_BULK_PAGE_ROWS_MAX, NULL,
      "rows of a page, 2000 at most but in a Bulk job; 0 = the default" },
    { "deletes", TM_KEY_TEXT, 0, "ignore", 0, 0, "ignore|remove|flag", "what IsDeleted does here" },
    { "deletes.column", TM_KEY_TEXT, 0, "_deleted", 0, 0, NULL,
      "column of deletes=flag; the relation filters on it" },
    { "get.deleted", TM_KEY_BOOL, 0, "false", 0, 0, NULL,
      "ask getDeleted after each incremental poll" },
    { "full.reload.at", TM_KEY_TEXT, 0, NULL, 0, 0, NULL,
      "HH:MM UTC, org time: the first poll from then on reads all" },
    { "schema.refresh", TM_KEY_TEXT, 0, "poll", 0, 0, "poll|start",
      "when the object is described again" },
    { "formulas", TM_KEY_BOOL, 0, "true", 0, 0, NULL, "read calculated fields too" },
    { "checkpoint", TM_KEY_TEXT, 0, "page", 0, 0, "page|slice|poll",
      "what a crash in the middle of a read keeps" },
};
#define SETTINGS_KEYS (sizeof settings_keys / sizeof settings_keys[0])

static int settings_choice(const struct tm_config *c, const char *key, const char *const *words)
{
    const char *text = tm_config_text(c, key);
    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(text, words[i]) == 0)
            return i;
    return 0; /* config has checked the words */
}

static enum tm_code settings_times(struct tm_batch_settings *out, const struct tm_config *c,
                                   const char *path, struct tm_err *err)
{
    const char *start = tm_config_text(c, "start.date"), *at = tm_config_text(c, "full.reload.at");
    out->start_ms = INT64_MIN;
    out->full_at_ms = -1;
    if (start != NULL) {
        int32_t days;
        if (tm_date_parse(&days, start, err) != TM_OK)
            return tm_at(err, "%s: start.date", path);
        out->start_ms = days * MS_PER_DAY;
    }
    if (at != NULL) {
        unsigned h = 0, m = 0;
        char rest = 0;
        if (strlen(at) != 5 || sscanf(at, "%2u:%2u%c", &h, &m, &rest) != 2 || h > 23 || m > 59)
            return tm_fail(err, TM_E_ARG,
                           "%s: full.reload.at is \"%.20s\"; give HH:MM, 00:00 to 23:59 UTC", path,
                           at);
        out->full_at_ms = (int64_t)(h * 60 + m) * 60000;
    }
    return TM_OK;
}

/* Combinations that would not do what they say. */
static enum tm_code settings_check(const struct tm_batch_settings *s, const char *path,
                                   struct tm_err *err)
{
    if (s->objects_count == 0 || s->objects_count > TM_BATCH_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "%s: objects lists %zu objects; give 1 to %d", path,
                       s->objects_count, TM_BATCH_OBJECTS_MAX);
    for (size_t i = 0; i < s->objects_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(s->objects[i], s->objects[j]) == 0)
                return tm_fail(err, TM_E_ARG, "%s: objects names %s twice", path, s->objects[i]);
    if (s->slice_ms > 0 && s->start_ms == INT64_MIN)
        return tm_fail(err, TM_E_ARG, "%s: slice.ms needs start.date, where the first slice begins",
                       path);
    if (s->deletes == TM_BATCH_FLAG &&
        (*s->flag_column == '\0' || strcmp(s->flag_column, "_seq") == 0 ||
         strcmp(s->flag_column, "_dirty") == 0))
        return tm_fail(err, TM_E_ARG,
                       "%s: deletes.column cannot be \"%s\"; give another column name", path,
                       s->flag_column);
    if (s->deletes != TM_BATCH_IGNORE && !s->query_all && !s->get_deleted &&
        s->mode == TM_BATCH_INCREMENTAL && s->full_at_ms < 0)
        return tm_fail(
            err, TM_E_ARG,
            "%s: deletes=%s sees no delete without query.all, get.deleted or a full reload", path,
            s->deletes == TM_BATCH_FLAG ? "flag" : "remove");
    if (s->get_deleted && s->deletes == TM_BATCH_IGNORE)
        return tm_fail(err, TM_E_ARG,
                       "%s: get.deleted asks for deletes that deletes=ignore throws away", path);
    if (s->bulk && s->paging != TM_BATCH_LOCATOR)
        return tm_fail(err, TM_E_ARG,
                       "%s: api=bulk pages by the locator of its job; use paging \"locator\"",
                       path);
    if (!s->bulk && s->page_rows > 2000)
        return tm_fail(err, TM_E_ARG, "%s: page.rows %d is more than the 2000 of a REST page", path,
                       s->page_rows);
    if (s->paging == TM_BATCH_KEYSET && !s->inclusive)
        return tm_fail(err, TM_E_ARG,
                       "%s: paging=keyset knows where it stopped; use cursor.compare \">=\"", path);
    return TM_OK;
}

static void settings_session(struct tm_sf_settings *out, const struct tm_config *c, const char *url)
{
    *out = (struct tm_sf_settings){
        .calls_per_second_max = (double)tm_config_int(c, "requests.per.second"),
        .seed = tm_hash64(tm_config_name(c), strlen(tm_config_name(c)), 0),
    };
    tm_sf_settings_read(out, c, url);
}

static void settings_fill(struct tm_batch_settings *out, const struct tm_config *c)
{
    static const char *const modes[] = { "incremental", "full", NULL };
    static const char *const pagings[] = { "locator", "stamp", "keyset", NULL };
    static const char *const advances[] = { "max_seen", "poll_start", NULL };
    static const char *const deletes[] = { "ignore", "remove", "flag", NULL };
    static const char *const checkpoints[] = { "page", "slice", "poll", NULL };
    out->name = tm_config_name(c);
    out->objects_count = tm_config_list(c, "objects", &out->objects);
    out->interval_ms = tm_config_int(c, "interval.ms");
    out->mode = (enum tm_batch_mode)settings_choice(c, "mode", modes);
    out->paging = (enum tm_batch_paging)settings_choice(c, "paging", pagings);
    out->page_rows = (int)tm_config_int(c, "page.rows");
    out->bulk = strcasecmp(tm_config_text(c, "api"), "bulk") == 0;
    out->query_all = tm_config_bool(c, "query.all");
    out->inclusive = strcmp(tm_config_text(c, "cursor.compare"), ">=") == 0;
    out->advance = (enum tm_batch_advance)settings_choice(c, "cursor.advance", advances);
    out->overlap_ms = tm_config_int(c, "overlap.ms");
    out->slice_ms = tm_config_int(c, "slice.ms");
    out->deletes = (enum tm_batch_deletes)settings_choice(c, "deletes", deletes);
    out->flag_column = tm_config_text(c, "deletes.column");
    out->get_deleted = tm_config_bool(c, "get.deleted");
    out->describe_each_poll = strcasecmp(tm_config_text(c, "schema.refresh"), "poll") == 0;
    out->formulas = tm_config_bool(c, "formulas");
    out->checkpoint = (enum tm_batch_checkpoint)settings_choice(c, "checkpoint", checkpoints);
}

enum tm_code tm_batch_settings_load(struct tm_batch_settings *out, struct tm_config **out_config,
                                    const char *path, const char *url, struct tm_err *err)
{
    struct tm_config *c = NULL;
    memset(out, 0, sizeof *out);
    enum tm_code rc = tm_config_load(&c, path, settings_keys, SETTINGS_KEYS, err);
    if (rc != TM_OK)
        goto done;
    settings_fill(out, c);
    settings_session(&out->salesforce, c, url);
    if ((rc = settings_times(out, c, path, err)) != TM_OK ||
        (rc = settings_check(out, path, err)) != TM_OK)
        goto done;
    *out_config = c;
    c = NULL;
done:
    tm_config_close(c);
    return rc;
}

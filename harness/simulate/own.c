#include "simulate/own.h"
#include "base/text.h"
#include "event/contract.h"
#include "simulate/story.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which name stands for which ---- */

enum tm_code tm_sim_own_add(struct tm_sim_own *o, const char *dir, const char *object,
                            struct tm_err *err)
{
    char path[TM_CASE_PATH_BYTES];
    if (o->objects_count == TM_SIM_OWN_OBJECTS_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d objects", TM_SIM_OWN_OBJECTS_MAX);
    snprintf(path, sizeof path, "%s/%s.json", dir, object);
    if (tm_describe_load(&o->objects[o->objects_count], path, err) != TM_OK)
        return tm_at(err,
                     "%s: the describe of %s, for the columns of its raw tables; --objects names "
                     "their folder",
                     path, object);
    o->objects_count++;
    return TM_OK;
}

void tm_sim_own_free(struct tm_sim_own *o)
{
    for (size_t i = 0; i < o->objects_count; i++)
        tm_describe_close(o->objects[i]);
    o->objects_count = 0;
}

/* 0 = cannot stand for it; more = better. */
static int own_likeness(const struct tm_field *theirs, const struct tm_field *ours)
{
    if (!tm_contract_column(theirs) || theirs->kind != ours->kind ||
        (theirs->compound == NULL) != (ours->compound == NULL))
        return 0;
    if (strcmp(theirs->name, ours->name) == 0)
        return 4;
    /* who and when: only as themselves */
    if (!ours->custom && (ours->kind == TM_FIELD_ID || ours->kind == TM_FIELD_DATETIME))
        return 0;
    if (!theirs->custom && (theirs->kind == TM_FIELD_ID || theirs->kind == TM_FIELD_DATETIME))
        return 0;
    if (ours->compound != NULL)
        return strcmp(theirs->part, ours->part) == 0 ? 3 : 0;
    return strcmp(theirs->type, ours->type) == 0 ? 2 : 1;
}

/* The likest first; of theirs, each stands for one of ours at most. */
static void own_fields(const struct tm_field **out, const struct tm_describe *theirs,
                       const struct tm_describe *ours)
{
    size_t count = ours->fields_count;
    assert(count <= TM_SIM_OWN_FIELDS_MAX);
    for (int like = 4; like > 0; like--)
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < theirs->fields_count && out[i] == NULL; k++) {
                bool taken = !tm_contract_column(&ours->fields[i]) ||
                             own_likeness(&theirs->fields[k], &ours->fields[i]) != like;
                for (size_t j = 0; j < count && !taken; j++)
                    taken = out[j] == &theirs->fields[k];
                if (!taken)
                    out[i] = &theirs->fields[k];
            }
}

void tm_sim_own_naming(struct tm_sim_naming *out, const struct tm_sim_own *o,
                       const struct tm_sim_world *w)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < w->set.objects_count; i++) {
        out->ours[i] = w->describes[i];
        if (i >= o->objects_count)
            continue;
        out->theirs[i] = o->objects[(w->set.seed + i) % o->objects_count];
        own_fields(out->fields[i], out->theirs[i], out->ours[i]);
    }
}

const char *tm_sim_own_object(const struct tm_sim_naming *n, size_t object)
{
    return n->theirs[object] != NULL ? n->theirs[object]->object : NULL;
}

/* Also as events spell it. */
const struct tm_field *tm_sim_own_field(const struct tm_sim_naming *n, size_t object,
                                        const char *field)
{
    const struct tm_describe *ours = n->ours[object];
    const struct tm_field *f = tm_describe_by_event_name(ours, field);
    if (f == NULL)
        f = tm_describe_field(ours, field);
    return f != NULL ? n->fields[object][f - ours->fields] : NULL;
}

/* ---- a case under these names ---- */

static json_t *own_list(const struct tm_sim_naming *n, size_t object, const json_t *names)
{
    json_t *out = json_array(), *name;
    size_t i;
    json_array_foreach(names, i, name)
    {
        const struct tm_field *f = tm_sim_own_field(n, object, json_string_value(name));
        if (f != NULL)
            json_array_append_new(out, json_string(f->event_name));
    }
    return out;
}

static void own_header(const struct tm_sim_naming *n, size_t object, json_t *header)
{
    static const char *const lists[] = { "changedFields", "nulledFields", "diffFields" };
    if (!json_is_object(header))
        return;
    json_object_set_new(header, "entityName", json_string(n->theirs[object]->object));
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (json_is_array(json_object_get(header, lists[i])))
            json_object_set_new(header, lists[i],
                                own_list(n, object, json_object_get(header, lists[i])));
}

static json_t *own_row(const struct tm_sim_naming *n, size_t object, json_t *row)
{
    json_t *out = json_object(), *value;
    const char *name;
    json_object_foreach(row, name, value)
    {
        const struct tm_field *f =
            tm_describe_field(n->ours[object], name) != NULL && strcmp(name, "Id") != 0
                ? tm_sim_own_field(n, object, name)
                : NULL;
        const char *text = json_string_value(value);
        char type[TM_CASE_NAME_BYTES];
        if (f != NULL) {
            json_object_set(out, f->name, value);
        } else if (strcmp(name, "Id") == 0 && text != NULL &&
                   strcmp(text, n->ours[object]->object) == 0) {
            json_object_set_new(out, name, json_string(n->theirs[object]->object));
        } else if (strcmp(name, "_ObjectType") == 0) {
            snprintf(type, sizeof type, "%.120sChangeEvent", n->theirs[object]->object);
            json_object_set_new(out, name, json_string(type));
        } else if (strcmp(name, "_DiffFields") == 0 && json_is_array(value)) {
            json_object_set_new(out, name, own_list(n, object, value));
        } else if (name[0] == '_' || strcmp(name, "Id") == 0 || strcmp(name, "ReplayId") == 0 ||
                   strcmp(name, "ChangeEventHeader") == 0) {
            json_object_set(out, name, value);
        }
    }
    own_header(n, object, json_object_get(out, "ChangeEventHeader"));
    return out;
}

/* Is the word one of the object's tables or relations? Then *out is what it is called. */
static bool own_word(char *out, size_t out_bytes, const struct tm_sim_naming *n, size_t object,
                     const char *word)
{
    static void (*const topics[])(char *, const char *) = { tm_contract_topic_raw,
                                                            tm_contract_topic_alerts,
                                                            tm_contract_topic_recon };
    char topic[TM_TOPIC_NAME_MAX], table[TM_TOPIC_NAME_MAX], doubt[TM_CASE_NAME_BYTES];
    const char *ours = n->ours[object]->object, *theirs = tm_sim_own_object(n, object);
    snprintf(doubt, sizeof doubt, "%.100s_dirty", ours);
    bool is_doubt = strcmp(word, doubt) == 0, found = is_doubt || strcmp(word, ours) == 0;
    if (found && theirs != NULL)
        snprintf(out, out_bytes, "%.200s%s", theirs, is_doubt ? "_dirty" : "");
    for (size_t i = 0; i < sizeof topics / sizeof topics[0] && !found; i++) {
        topics[i](topic, ours);
        tm_name_sanitize(table, sizeof table, topic);
        found = strcmp(word, table) == 0;
        if (found && theirs != NULL) {
            topics[i](topic, theirs);
            tm_name_sanitize(out, out_bytes, topic);
        }
    }
    return found;
}

static json_t *own_lines(const struct tm_sim_naming *n, const json_t *lines, const char *of)
{
    json_t *out = json_array(), *line;
    size_t at;
    json_array_foreach(lines, at, line)
    {
        char word[TM_TOPIC_NAME_MAX];
        for (size_t i = 0; i < TM_SIM_OBJECTS_MAX && n->ours[i] != NULL; i++) {
            if (!own_word(word, sizeof word, n, i, json_string_value(json_object_get(line, of))) ||
                n->theirs[i] == NULL)
                continue;
            json_t *row = json_object_get(line, "row"), *renamed = json_object();
            json_object_set_new(renamed, of, json_string(word));
            if (row != NULL)
                json_object_set_new(renamed, "row", own_row(n, i, row));
            json_array_append_new(out, renamed);
        }
    }
    return out;
}

enum tm_code tm_sim_own_rename(const struct tm_sim_naming *n, struct tm_case *c, struct tm_err *err)
{
    json_t *rows = own_lines(n, c->rows, "table"), *expected = own_lines(n, c->expected, "object");
    if (rows == NULL || expected == NULL) {
        json_decref(rows);
        json_decref(expected);
        return tm_fail(err, TM_E_NOMEM, "the rows of a run");
    }
    json_decref(c->rows);
    json_decref(c->expected);
    c->rows = rows;
    c->expected = expected;
    return tm_case_objects(c, err);
}

/* ---- what they show ---- */

static void own_word_of(char out[TM_SIM_WORD_BYTES], const json_t *value, const char *none)
{
    char *text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    snprintf(out, TM_SIM_WORD_BYTES, "%.60s", text != NULL ? text : none);
    free(text);
}

static void own_found(struct tm_sim_finding *out, const struct tm_sim_own *o, const char *rule,
                      const char *text)
{
    out->found = true;
    snprintf(out->rule, sizeof out->rule, "%s", rule);
    snprintf(out->where, sizeof out->where, "%s", o->where);
    snprintf(out->text, sizeof out->text, "%s: %.500s", o->where, text);
}

static enum tm_code own_compare(struct tm_sim_finding *out, const struct tm_sim_own *o,
                                const struct tm_case *c, const json_t *shown, struct tm_err *err)
{
    json_t *findings = json_array();
    enum tm_code rc = tm_case_compare(findings, c, shown, err);
    const json_t *f = json_array_get(findings, 0);
    if (rc == TM_OK && f != NULL) {
        const char *object = json_string_value(json_object_get(f, "object")),
                   *id = json_string_value(json_object_get(f, "id")),
                   *field = json_string_value(json_object_get(f, "field"));
        bool dirt = (field != NULL && strcmp(field, "_dirty") == 0) ||
                    (object != NULL && strstr(object, "_dirty") != NULL);
        own_found(out, o, dirt ? "R10" : "R13", json_string_value(json_object_get(f, "text")));
        snprintf(out->object, sizeof out->object, "%s", object != NULL ? object : "");
        snprintf(out->id, sizeof out->id, "%s", id != NULL ? id : "");
        snprintf(out->field, sizeof out->field, "%s", field != NULL ? field : "");
        /* the sentence says both, where they are values */
        own_word_of(out->shown, json_object_get(f, "shown"), "");
    }
    json_decref(findings);
    return rc;
}

enum tm_code tm_sim_own_end(void *self, struct tm_sim_world *w, struct tm_sim_result *r,
                            struct tm_err *err)
{
    const struct tm_sim_own *o = self;
    struct tm_case c;
    struct tm_sim_naming naming;
    struct tm_err why;
    json_t *shown = NULL;
    char text[700];
    if (r->finding.found || r->steps == 0) /* ours, not theirs; or no run */
        return TM_OK;
    tm_sim_own_naming(&naming, o, w);
    memset(&c, 0, sizeof c);
    c.rows = json_array();
    c.expected = json_array();
    snprintf(c.name, sizeof c.name, "of seed %" PRIu64, r->seed);
    enum tm_code rc = tm_sim_story_case(&c, w, err);
    if (rc == TM_OK)
        rc = tm_sim_own_rename(&naming, &c, err);
    if (rc == TM_OK && c.objects_count > 0) {
        tm_err_clear(&why);
        rc = o->show(o->show_self, &shown, &c, &why);
        if (rc == TM_OK)
            rc = own_compare(&r->finding, o, &c, shown, err);
        else if (rc == TM_E_PROTO)
            own_found(&r->finding, o, "end", tm_err_text(&why, text, sizeof text));
        else
            rc = tm_fail(err, rc, "%s", tm_err_text(&why, text, sizeof text));
        if (rc == TM_E_PROTO)
            rc = TM_OK;
        r->finding.step = r->finding.found ? r->steps : 0;
    }
    json_decref(shown);
    tm_case_free(&c);
    return rc;
}

#include "run/simulate_own.h"
#include "simulate/case_run.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_OBJECTS_DIR "fixtures/objects"
#define OWN_LIMIT_S 10

static enum tm_code own_views(void *self, json_t **out, const struct tm_case *c, struct tm_err *err)
{
    const struct tm_simulate_own *o = self;
    const struct tm_case_options options = { o->objects_dir, o->views_dir };
    const char *skipped = NULL;
    enum tm_code rc = tm_case_by_sql(out, &skipped, c, &options, err);
    if (rc == TM_OK && skipped != NULL)
        rc = tm_fail(err, TM_E_MISMATCH, "the case %s cannot be run: %s", c->name, skipped);
    return rc;
}

static enum tm_code own_exec(void *self, json_t **out, const struct tm_case *c, struct tm_err *err)
{
    const struct tm_simulate_own *o = self;
    return tm_test_exec(out, c, &o->exec, err);
}

static int own_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every <Object><suffix> of the folder, by name. */
static enum tm_code own_objects(struct tm_simulate_own *o, const char *path, const char *suffix,
                                struct tm_err *err)
{
    char *names[TM_SIM_OWN_OBJECTS_MAX];
    size_t count = 0;
    enum tm_code rc = TM_OK;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return tm_fail(err, TM_E_ARG, "%s: %s; it should hold <Object>%s", path, strerror(errno),
                       suffix);
    for (struct dirent *e; rc == TM_OK && (e = readdir(dir)) != NULL;) {
        const char *end = strstr(e->d_name, suffix);
        if (end == NULL || end == e->d_name || end[strlen(suffix)] != '\0')
            continue;
        if (count == TM_SIM_OWN_OBJECTS_MAX)
            rc = tm_fail(err, TM_E_ARG, "%s: more than %d objects", path, TM_SIM_OWN_OBJECTS_MAX);
        else if ((names[count] = strndup(e->d_name, (size_t)(end - e->d_name))) == NULL)
            rc = tm_fail(err, TM_E_NOMEM, "%s", path);
        else
            count++;
    }
    closedir(dir);
    qsort(names, count, sizeof names[0], own_order);
    for (size_t i = 0; i < count && rc == TM_OK; i++)
        rc = tm_sim_own_add(&o->own, o->objects_dir, names[i], err);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    if (rc == TM_OK && count == 0)
        rc = tm_fail(err, TM_E_ARG, "%s: no <Object>%s there, as Opportunity%s", path, suffix,
                     suffix);
    return rc;
}

enum tm_code tm_simulate_own_open(struct tm_simulate_own *o, struct tm_err *err)
{
    bool views = o->views_dir != NULL, exec = o->exec.command != NULL;
    if (views && exec)
        return tm_fail(err, TM_E_ARG, "--views and --exec are two ways; give one of them");
    if (!views && !exec && o->objects_dir != NULL)
        return tm_fail(err, TM_E_ARG, "--objects goes with --views or --exec");
    if (!views && !exec)
        return TM_OK;
    if (exec && tm_test_exec_check(o->exec.command, err) != TM_OK)
        return err->code;
    if (o->objects_dir == NULL)
        o->objects_dir = OWN_OBJECTS_DIR;
    o->exec.limit_s = OWN_LIMIT_S;
    o->own.where = views ? "views" : "exec";
    o->own.show = views ? own_views : own_exec;
    o->own.show_self = o;
    return own_objects(o, views ? o->views_dir : o->objects_dir, views ? ".sql" : ".json", err);
}

void tm_simulate_own_close(struct tm_simulate_own *o)
{
    tm_sim_own_free(&o->own);
}

void tm_simulate_own_options(struct tm_simulate_own *o, struct tm_sim_options *options)
{
    if (o->own.objects_count == 0)
        return;
    options->at_end = tm_sim_own_end;
    options->at_end_self = &o->own;
    options->own = &o->own;
}

#include "simulate/world.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two objects that between them have every kind of column, compounds, a formula and a long text. */
const char *const tm_sim_objects[TM_SIM_OBJECTS_MAX] = { "Deal", "Person" };
struct objects_field {
    const char *name, *type;
    int length, scale;
    const char *compound;
    bool required;
};

static const struct objects_field objects_system[] = {
    { "Id", "id", 18, 0, NULL, true },
    { "IsDeleted", "boolean", 0, 0, NULL, true },
};
static const struct objects_field objects_stamps[] = {
    { "CreatedDate", "datetime", 0, 0, NULL, true },
    { "CreatedById", "reference", 18, 0, NULL, true },
    { "LastModifiedDate", "datetime", 0, 0, NULL, true },
    { "LastModifiedById", "reference", 18, 0, NULL, true },
    { "SystemModstamp", "datetime", 0, 0, NULL, true },
};
static const struct objects_field objects_deal[] = {
    { "Name", "string", 120, 0, NULL, true },
    { "Stage__c", "picklist", 255, 0, NULL, false },
    { "Amount", "currency", 0, 2, NULL, false },
    { "NetAmount", "percent", 0, 4, NULL, false }, /* its name ends in another's */
    { "Closes__c", "date", 0, 0, NULL, false },
    { "Private__c", "boolean", 0, 0, NULL, true },
    { "Notes__c", "textarea", 5000, 0, NULL, false },
    { "Seats__c", "int", 0, 0, NULL, false },
    { "SiteStreet", "textarea", 255, 0, "SiteAddress", false },
    { "SiteCity", "string", 40, 0, "SiteAddress", false },
    { "SiteAddress", "address", 0, 0, NULL, false },
    { "Old__c", "string", 80, 0, NULL, false },
};
static const struct objects_field objects_person[] = {
    { "LastName", "string", 80, 0, "Name", true }, { "FirstName", "string", 40, 0, "Name", false },
    { "Name", "string", 121, 0, NULL, false },     { "SignedAt__c", "datetime", 0, 0, NULL, false },
    { "Calls__c", "time", 0, 0, NULL, false },     { "Notes__c", "textarea", 5000, 0, NULL, false },
    { "Old__c", "string", 80, 0, NULL, false },
};

static void objects_add(json_t *out, const struct objects_field *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:b}", "name", f[i].name,
                              "type", f[i].type, "label", f[i].name, "length", f[i].length,
                              "precision", 18, "scale", f[i].scale, "nillable", !f[i].required,
                              "custom", strstr(f[i].name, "__c") != NULL, "calculated", 0);
        if (f[i].compound != NULL)
            json_object_set_new(j, "compoundFieldName", json_string(f[i].compound));
        json_array_append_new(out, j);
    }
}

#define OBJECTS_ADD(out, rows) objects_add(out, rows, sizeof(rows) / sizeof((rows)[0]))
enum tm_code tm_sim_objects_write(const char *dir, struct tm_err *err)
{
    char path[TM_SIM_PATH_BYTES + 64];
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return tm_fail(err, TM_E_IO, "cannot make %s: %s", dir, strerror(errno));
    for (size_t i = 0; i < TM_SIM_OBJECTS_MAX; i++) {
        json_t *fields = json_array();
        OBJECTS_ADD(fields, objects_system);
        if (i == 0)
            OBJECTS_ADD(fields, objects_deal);
        else
            OBJECTS_ADD(fields, objects_person);
        OBJECTS_ADD(fields, objects_stamps);
        json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:o}", "name", tm_sim_objects[i],
                                 "label", tm_sim_objects[i], "keyPrefix", i == 0 ? "a01" : "a02",
                                 "queryable", 1, "replicateable", 1, "custom", 0, "fields", fields);
        snprintf(path, sizeof path, "%s/%s.json", dir, tm_sim_objects[i]);
        bool written = json != NULL && json_dump_file(json, path, JSON_COMPACT) == 0;
        json_decref(json);
        if (!written)
            return tm_fail(err, TM_E_IO, "cannot write %s", path);
    }
    return TM_OK;
}

/* By its real path: databases are known by absolute ones (world.h), and `base` may be relative. */
enum tm_code tm_sim_scratch_make_in(char out[TM_SIM_PATH_BYTES], const char *base,
                                    struct tm_err *err)
{
    char made[TM_SIM_PATH_BYTES], objects[TM_SIM_PATH_BYTES + 16], *real;
    snprintf(made, sizeof made, "%.200s/tidemark-simulate-XXXXXX", base);
    if (mkdtemp(made) == NULL)
        return tm_fail(err, TM_E_IO, "cannot make a folder in %s: %s", base, strerror(errno));
    real = realpath(made, NULL);
    if (real == NULL || strlen(real) >= TM_SIM_PATH_BYTES) {
        rmdir(made);
        free(real);
        return tm_fail(err, TM_E_LIMIT,
                       "the path of %s is longer than %d bytes; TMPDIR may name "
                       "another",
                       base, TM_SIM_PATH_BYTES - 1);
    }
    strcpy(out, real);
    free(real);
    snprintf(objects, sizeof objects, "%s/objects", out);
    enum tm_code rc = tm_sim_objects_write(objects, err);
    if (rc != TM_OK)
        tm_sim_scratch_remove(out);
    return rc;
}

enum tm_code tm_sim_scratch_make(char out[TM_SIM_PATH_BYTES], struct tm_err *err)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                       : getenv("TMPDIR") != NULL    ? getenv("TMPDIR")
                                                     : "/tmp";
    return tm_sim_scratch_make_in(out, base, err);
}

void tm_sim_scratch_remove(const char *dir)
{
    char path[TM_SIM_PATH_BYTES + 64];
    for (size_t i = 0; i < TM_SIM_OBJECTS_MAX; i++) {
        snprintf(path, sizeof path, "%s/objects/%s.json", dir, tm_sim_objects[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/objects", dir);
    rmdir(path);
    rmdir(dir);
}

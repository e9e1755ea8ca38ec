#include "run/serve_tls.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* how clients call a Salesforce; with a line in /etc/hosts they reach this one */
static const char *const serve_names[] = { "localhost",
                                           "127.0.0.1",
                                           "::1",
                                           "login.salesforce.com",
                                           "test.salesforce.com",
                                           "*.salesforce.com",
                                           "*.my.salesforce.com",
                                           "*.sandbox.my.salesforce.com" };

static enum tm_code serve_tls_paths(struct tm_serve_tls *t, const char *org_path,
                                    struct tm_err *err)
{
    char real[PATH_MAX];
    if (org_path == NULL) {
        snprintf(t->folder, sizeof t->folder, "/tmp/tidemark-ca-XXXXXX");
        if (mkdtemp(t->folder) == NULL) {
            t->folder[0] = '\0';
            return tm_fail(err, TM_E_IO, "cannot make a folder in /tmp: %s", strerror(errno));
        }
        snprintf(t->ca_path, sizeof t->ca_path, "%s/ca.pem", t->folder);
        snprintf(t->key_path, sizeof t->key_path, "%s/ca.key", t->folder);
        return TM_OK;
    }
    if (realpath(org_path, real) == NULL)
        return tm_fail(err, TM_E_ARG, "cannot find %.120s: %s", org_path, strerror(errno));
    snprintf(t->ca_path, sizeof t->ca_path, "%s.ca.pem", real);
    snprintf(t->key_path, sizeof t->key_path, "%s.ca.key", real);
    return TM_OK;
}

enum tm_code tm_serve_tls_open(struct tm_serve_tls *out, const char *org_path, const char *bind,
                               const char *more, struct tm_err *err)
{
    const char *names[TM_TLS_NAMES_MAX + 1];
    size_t count = sizeof serve_names / sizeof serve_names[0];
    char *copy = strdup(more != NULL ? more : ""), *save = NULL;
    if (copy == NULL)
        return tm_fail(err, TM_E_NOMEM, "names");
    memcpy(names, serve_names, sizeof serve_names);
    if (bind != NULL && strcmp(bind, "0.0.0.0") != 0 && strcmp(bind, "::") != 0)
        names[count++] = bind;
    for (char *name = strtok_r(copy, ", ", &save); name != NULL && count <= TM_TLS_NAMES_MAX;
         name = strtok_r(NULL, ", ", &save))
        names[count++] = name; /* one too many is refused by tm_tls_open */
    enum tm_code rc = serve_tls_paths(out, org_path, err);
    if (rc == TM_OK)
        rc = tm_tls_open(&out->tls, out->ca_path, out->key_path, names, count, err);
    free(copy);
    return rc;
}

void tm_serve_tls_close(struct tm_serve_tls *t)
{
    tm_tls_close(t->tls);
    t->tls = NULL;
    if (t->folder[0] == '\0')
        return;
    unlink(t->ca_path);
    unlink(t->key_path);
    rmdir(t->folder);
    t->folder[0] = '\0';
}

/* serve_tls: where `tidemark serve --tls` keeps its certificate authority and what its certificate
 * says. The authority lies beside the org's file (FILE.ca.pem, FILE.ca.key) and stays with it; that
 * of an org in memory lies in a folder of /tmp and goes with it. */
#ifndef TM_RUN_SERVE_TLS_H
#define TM_RUN_SERVE_TLS_H
#include "mocks/http/tls.h"

#define TM_SERVE_PATH_BYTES 4200
struct tm_serve_tls {
    struct tm_tls *tls;
    char ca_path[TM_SERVE_PATH_BYTES], key_path[TM_SERVE_PATH_BYTES]; /* absolute */
    char folder[64];                                                  /* of ours, "" = none */
};
/* org_path NULL = in memory; bind may be NULL; more: further names, "a,b", or NULL. */
enum tm_code tm_serve_tls_open(struct tm_serve_tls *out, const char *org_path, const char *bind,
                               const char *more, struct tm_err *err);
void tm_serve_tls_close(struct tm_serve_tls *t); /* safe on a zeroed struct */
#endif

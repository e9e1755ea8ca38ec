/* tls: a certificate authority of one's own, and a server certificate it signs. in: where the
 * authority's certificate and key lie (made there when they are not), the names a server goes by;
 * out: PEM texts for the server. The authority stays from start to start, the server's certificate
 * is new each time. Keys are ECDSA P-256. The authority's key is readable by its owner only;
 * whoever trusts the authority trusts that file: it is meant for the clients of one server, not for
 * a whole machine. Adapter over GnuTLS. Owner: tm_tls_close. */
#ifndef TM_MOCK_HTTP_TLS_H
#define TM_MOCK_HTTP_TLS_H
#include "base/err.h"
#include <stddef.h>

#define TM_TLS_NAMES_MAX 32
struct tm_tls;
/* names: DNS names, also with a leading "*.", and IP addresses. TM_E_ARG names a file that is no
 * such certificate or key, or whose time is over, or a name that is none. */
enum tm_code tm_tls_open(struct tm_tls **out, const char *ca_path, const char *key_path,
                         const char *const *names, size_t names_count, struct tm_err *err);
void tm_tls_close(struct tm_tls *t); /* NULL-safe */
/* The server's certificate and behind it the authority's, and the server's key. Borrowed. */
const char *tm_tls_chain(const struct tm_tls *t);
const char *tm_tls_key(const struct tm_tls *t);
#endif

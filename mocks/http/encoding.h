/* encoding: request bodies that come compressed, as Salesforce's Java clients send them. in: gzip
 * or zlib bytes; out: what they hold, up to the room of a buffer. Pure. Facts: RFC 1950, RFC 1952.
 */
#ifndef TM_MOCK_HTTP_ENCODING_H
#define TM_MOCK_HTTP_ENCODING_H
#include "base/buf.h"

/* TM_E_LIMIT when it holds more than out->max; TM_E_PROTO when it is broken or cut short. */
enum tm_code tm_mock_inflate(struct tm_buf *out, const void *data, size_t bytes,
                             struct tm_err *err);
#endif

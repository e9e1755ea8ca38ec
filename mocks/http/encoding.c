#include "mocks/http/encoding.h"
#include <string.h>
#include <zlib.h>

#define ENCODING_ANY_HEADER (15 + 32) /* zlib.h: the largest window, gzip or zlib by the header */

enum tm_code tm_mock_inflate(struct tm_buf *out, const void *data, size_t bytes, struct tm_err *err)
{
    unsigned char chunk[16384];
    z_stream z;
    memset(&z, 0, sizeof z);
    int rc = bytes <= UINT32_MAX ? inflateInit2(&z, ENCODING_ANY_HEADER) : Z_DATA_ERROR;
    if (rc != Z_OK)
        return tm_fail(err, TM_E_NOMEM, "a compressed body");
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)bytes;
    do {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        rc = inflate(&z, Z_NO_FLUSH);
        tm_buf_add(out, chunk, sizeof chunk - z.avail_out);
    } while (rc == Z_OK && out->failed == TM_OK);
    bool whole = rc == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
    if (out->failed != TM_OK)
        return tm_buf_check(out, "a compressed body", err);
    return whole ? TM_OK : tm_fail(err, TM_E_PROTO, "the compressed body is broken or cut short");
}

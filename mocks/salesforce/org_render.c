#include "mocks/salesforce/org_impl.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double render_power[10] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

static void render_int(struct tm_buf *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + left % 10);
    while ((left /= 10) != 0);
    if (value < 0)
        digits[--at] = '-';
    tm_buf_add(out, digits + at, sizeof digits - at);
}

void org_render_number(struct tm_buf *out, double value, int scale)
{
    if (scale < 0 || scale > 9 || fabs(value) * render_power[scale] > 9e15) {
        tm_buf_addf(out, "%.17g", value);
        return;
    }
    int64_t scaled = llround(value * render_power[scale]), unit = (int64_t)render_power[scale];
    int64_t whole = scaled / unit, rest = scaled % unit;
    char digits[12];
    int count = 0;
    if (scaled < 0 && whole == 0)
        tm_buf_addc(out, '-');
    render_int(out, whole);
    rest = rest < 0 ? -rest : rest;
    for (int i = scale - 1; i >= 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    for (count = scale; count > 1 && digits[count - 1] == '0';)
        count--;
    tm_buf_addc(out, '.');
    if (count == 0)
        tm_buf_addc(out, '0');
    tm_buf_add(out, digits, (size_t)count);
}

static void render_text(struct tm_buf *out, const char *text)
{
    tm_buf_add_json_string(out, text, strlen(text));
}

void org_render_canonical(struct tm_buf *out, const struct tm_field *field,
                          const struct tm_org_value *value)
{
    switch (value->kind) {
    case TM_ORG_NULL: tm_buf_addz(out, "null"); break;
    case TM_ORG_INT: render_int(out, value->i); break;
    case TM_ORG_REAL: org_render_number(out, value->d, field->scale); break;
    case TM_ORG_TEXT: render_text(out, value->text); break;
    }
}

void org_render_wire(struct tm_buf *out, const struct tm_field *field,
                     const struct tm_org_value *value)
{
    char text[TM_TIME_BYTES];
    if (value->kind == TM_ORG_INT && field->kind == TM_FIELD_BOOLEAN)
        tm_buf_addz(out, value->i != 0 ? "true" : "false");
    else if (value->kind == TM_ORG_INT && field->kind == TM_FIELD_DATETIME) {
        tm_buf_addc(out, '"');
        tm_buf_addz(out, tm_time_z(text, value->i));
        tm_buf_addc(out, '"');
    } else
        org_render_canonical(out, field, value);
}

static void render_member(struct tm_buf *out, const struct org_column *c, const char *name,
                          const struct tm_org_value *value, const struct tm_org_value *before)
{
    tm_buf_addc(out, '"');
    tm_buf_addz(out, name);
    tm_buf_addz(out, "\":");
    if (before != NULL && org_long_text(before) && org_long_text(value)) {
        struct tm_buf diff;
        tm_buf_init(&diff, ORG_BODY_BYTES_MAX);
        org_render_diff(&diff, before->text, value->text);
        tm_buf_addz(out, "{\"diff\":");
        tm_buf_add_json_string(out, tm_buf_text(&diff), diff.bytes);
        tm_buf_addc(out, '}');
        tm_buf_free(&diff);
    } else
        org_render_wire(out, c->field, value);
}

void org_render_body(struct tm_buf *out, const struct org_object *o, const unsigned char *mark,
                     const struct tm_org_value *values, const struct tm_org_value *diff_before)
{
    uint64_t groups_done = 0;
    bool first = true;
    for (size_t i = 0; i < o->columns_count; i++) {
        const struct org_column *c = &o->columns[i];
        if (!mark[i] || (c->group >= 0 && (groups_done >> c->group & 1) != 0))
            continue;
        if (!first)
            tm_buf_addc(out, ',');
        first = false;
        if (c->group < 0) {
            render_member(out, c, c->name, &values[i],
                          diff_before != NULL ? &diff_before[i] : NULL);
            continue;
        }
        groups_done |= 1ULL << c->group;
        tm_buf_addc(out, '"');
        tm_buf_addz(out, c->field->compound);
        tm_buf_addz(out, "\":{");
        for (size_t k = i; k < o->columns_count; k++) {
            if (!mark[k] || o->columns[k].group != c->group)
                continue;
            if (k != i)
                tm_buf_addc(out, ',');
            render_member(out, &o->columns[k], o->columns[k].field->part, &values[k], NULL);
        }
        tm_buf_addc(out, '}');
    }
}

/* `before` ends with the key: ",\"commitUser\":" */
static void render_named_int(struct tm_buf *out, const char *before, int64_t value)
{
    tm_buf_addz(out, before);
    render_int(out, value);
}

static void render_named_text(struct tm_buf *out, const char *before, const char *text)
{
    tm_buf_addz(out, before);
    render_text(out, text);
}

static void render_between(struct tm_buf *out, const char *before, const char *json,
                           const char *after)
{
    tm_buf_addz(out, before);
    tm_buf_addz(out, json);
    tm_buf_addz(out, after);
}

void org_render_event(struct tm_buf *out, const char *schema_id, const char *fields,
                      const struct org_header *h)
{
    render_between(out, "{\"schema\":\"", schema_id, "\",\"payload\":{");
    render_between(out, "", fields, *fields ? "," : "");
    render_named_int(out, "\"ChangeEventHeader\":{\"commitNumber\":", h->commit_number);
    render_named_text(out, ",\"commitUser\":", h->user);
    render_named_int(out, ",\"sequenceNumber\":", h->seq);
    render_named_text(out, ",\"entityName\":", h->entity);
    render_between(out, ",\"changeType\":\"", h->change, "\"");
    render_between(out, ",\"changedFields\":", h->changed, "");
    render_named_text(out, ",\"changeOrigin\":", h->origin);
    render_between(out, ",\"transactionKey\":\"", h->txn, "\"");
    render_named_int(out, ",\"commitTimestamp\":", h->commit_ms);
    render_between(out, ",\"recordIds\":[", h->ids, "]}}}");
}

bool org_long_text(const struct tm_org_value *value)
{
    return value->kind == TM_ORG_TEXT && strlen(value->text) > 1000;
}

static size_t render_line(const char *text,
                          size_t from) /* bytes of the line at `from`, newline included */
{
    const char *end = strchr(text + from, '\n');
    return end != NULL ? (size_t)(end - text) - from + 1 : strlen(text + from);
}

static size_t render_lines(const char *text, size_t from, size_t to)
{
    size_t count = 0;
    for (; from < to; count++)
        from += render_line(text, from);
    return count;
}

static void render_hunk(struct tm_buf *out, char sign, const char *text, size_t from, size_t to)
{
    while (from < to) {
        size_t bytes = render_line(text, from);
        tm_buf_addc(out, sign);
        tm_buf_add(out, text + from, bytes);
        from += bytes;
        if (text[from - 1] != '\n')
            tm_buf_addz(out, "\n\\ No newline at end of file\n");
    }
}

/* One hunk: whole lines between the common beginning and the common end. */
void org_render_diff(struct tm_buf *out, const char *before, const char *after)
{
    size_t head = 0, end_b = strlen(before), end_a = strlen(after);
    char sum[65];
    org_sha256_hex(sum, after, end_a);
    tm_buf_addf(out, "--- \n+++ %s\n", sum);
    while (head < end_b && head < end_a) {
        size_t bytes = render_line(before, head);
        if (bytes != render_line(after, head) || memcmp(before + head, after + head, bytes) != 0)
            break;
        head += bytes;
    }
    while (end_b > head && end_a > head) { /* back by whole lines */
        size_t b = end_b - 1, a = end_a - 1;
        while (b > head && before[b - 1] != '\n')
            b--;
        while (a > head && after[a - 1] != '\n')
            a--;
        if (end_b - b != end_a - a || memcmp(before + b, after + a, end_b - b) != 0)
            break;
        end_b = b;
        end_a = a;
    }
    size_t first = render_lines(before, 0, head) + 1;
    size_t lines_b = render_lines(before, head, end_b), lines_a = render_lines(after, head, end_a);
    tm_buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", lines_b ? first : first - 1, lines_b,
                lines_a ? first : first - 1, lines_a);
    render_hunk(out, '-', before, head, end_b);
    render_hunk(out, '+', after, head, end_a);
}

/* SHA-256, FIPS 180-4: nothing the mock links to offers it without another library. */
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t sha_turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void sha_block(uint32_t h[8], const unsigned char block[64])
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (sha_turn(w[i - 15], 7) ^ sha_turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
               w[i - 7] + (sha_turn(w[i - 2], 17) ^ sha_turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t one = v[7] + (sha_turn(v[4], 6) ^ sha_turn(v[4], 11) ^ sha_turn(v[4], 25)) +
                       ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_k[i] + w[i];
        uint32_t two = (sha_turn(v[0], 2) ^ sha_turn(v[0], 13) ^ sha_turn(v[0], 22)) +
                       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

void org_sha256_hex(char out[65], const void *data, size_t bytes)
{
    uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    const unsigned char *p = data;
    unsigned char last[128] = { 0 };
    size_t left = bytes;
    for (; left >= 64; left -= 64, p += 64)
        sha_block(h, p);
    memcpy(last, p, left);
    last[left] = 0x80;
    size_t total = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++)
        last[total - 1 - (size_t)i] = (unsigned char)((uint64_t)bytes * 8 >> (8 * i));
    sha_block(h, last);
    if (total == 128)
        sha_block(h, last + 64);
    for (int i = 0; i < 64; i++)
        out[i] = "0123456789abcdef"[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = 0;
}

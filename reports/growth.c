#include "reports/growth.h"
#include "reports/html_inner.h"
#include "reports/page.h"
#include "reports/words.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GROWTH_LINE_BYTES 320
#define GROWTH_PAYS_BYTES (WORD_BYTES + 8)

/* The snapshot is read once in so many events; 0: the reader alone. */
static const int64_t growth_reads[] = { 0, 1000, 10000, 100000, 1000000 };

/* Option 1's cost of a read over option 2's, as a logarithm: above 0, option 2 is ahead. */
static double growth_lead(const struct tm_growth_point *p, int64_t every)
{
    return log(p->read_s[0] / (p->read_s[1] + (double)every * p->write_event_s));
}

/* Events of history at which the lead first changes hands; NAN: nowhere between the points. */
static double growth_cross(const struct tm_growth_point *points, size_t count, int64_t every)
{
    for (size_t i = 1; i < count; i++) {
        double before = growth_lead(&points[i - 1], every), after = growth_lead(&points[i], every);
        double from = (double)points[i - 1].events, to = (double)points[i].events;
        if ((before < 0) != (after < 0))
            return from * pow(to / from, before / (before - after));
    }
    return NAN;
}

static json_t *growth_crossing(const struct tm_growth_point *points, size_t count, int64_t every)
{
    double at = growth_cross(points, count, every);
    bool two = growth_lead(&points[count - 1], every) >= 0;
    return json_pack("{s:I, s:o, s:s}", "read_every_events", (json_int_t)every, "events",
                     isfinite(at) ? json_real(at) : json_null(), "ahead_at_the_end",
                     two ? "option 2" : "option 1");
}

static json_t *growth_point(const struct tm_growth_point *p)
{
    double gain = p->read_s[0] - p->read_s[1];
    return json_pack("{s:I, s:f, s:f, s:f, s:I, s:I, s:o}", "events", (json_int_t)p->events,
                     "option_1_s", p->read_s[0], "option_2_s", p->read_s[1], "write_event_s",
                     p->write_event_s, "raw_bytes", (json_int_t)p->bytes[0], "kept_bytes",
                     (json_int_t)p->bytes[1], "pays_every_events",
                     gain > 0 ? json_real(gain / p->write_event_s) : json_null());
}

static bool growth_sound(const struct tm_growth_point *points, size_t i)
{
    const struct tm_growth_point *p = &points[i];
    return p->events > (i > 0 ? points[i - 1].events : 0) && p->read_s[0] > 0 && p->read_s[1] > 0 &&
           p->write_event_s > 0 && p->bytes[0] > 0 && p->bytes[1] > 0;
}

enum tm_code tm_growth(json_t **out, const struct tm_growth_point *points, size_t count,
                       int records, int fields, struct tm_err *err)
{
    *out = NULL;
    if (count == 0 || count > TM_GROWTH_POINTS_MAX)
        return tm_fail(err, TM_E_ARG, "growth: %zu sizes, not 1 to %d", count,
                       TM_GROWTH_POINTS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!growth_sound(points, i))
            return tm_fail(err, TM_E_ARG, "growth: size %zu does not grow or cost nothing", i + 1);
    }
    json_t *rows = json_array(), *crossings = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, growth_point(&points[i]));
    for (size_t i = 0; i < sizeof growth_reads / sizeof growth_reads[0]; i++)
        json_array_append_new(crossings, growth_crossing(points, count, growth_reads[i]));
    *out = json_pack("{s:s, s:s, s:i, s:i, s:o, s:o}", "tidemark", "1", "kind", "growth", "records",
                     records, "fields", fields, "points", rows, "crossover", crossings);
    return *out != NULL ? TM_OK : tm_fail(err, TM_E_NOMEM, "the growth");
}

/* ---- words ---- */

static double growth_number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* A count of three digits and noughts: what lies between two sizes is not known to the event. */
static const char *growth_about(char out[WORD_BYTES], double value)
{
    double unit = pow(10, fmax(0, floor(log10(value)) - 2));
    return tm_word_count(out, round(value / unit) * unit);
}

static void growth_crossing_word(char out[GROWTH_LINE_BYTES], const json_t *crossing)
{
    double every = growth_number(crossing, "read_every_events"),
           at = growth_number(crossing, "events");
    const char *ahead = tm_word_text(crossing, "ahead_at_the_end", "?");
    char who[60] = "For the reader alone", number[WORD_BYTES];
    if (every > 0)
        snprintf(who, sizeof who, "Read once in %s events", tm_word_count(number, every));
    if (isfinite(at))
        snprintf(out, GROWTH_LINE_BYTES,
                 "%s, the options cross at a history of %s events; %s is ahead at the longest.",
                 who, growth_about(number, at), ahead);
    else
        snprintf(out, GROWTH_LINE_BYTES, "%s, %s is ahead at every size measured.", who, ahead);
}

/* Finding `i`; false: there are no more. */
static bool growth_finding(char out[GROWTH_LINE_BYTES], const json_t *growth, size_t i)
{
    const json_t *points = json_object_get(growth, "points"),
                 *crossings = json_object_get(growth, "crossover"),
                 *first = json_array_get(points, 0),
                 *last = json_array_get(points, json_array_size(points) - 1);
    if (i > 0 && i <= json_array_size(crossings)) {
        growth_crossing_word(out, json_array_get(crossings, i - 1));
        return true;
    }
    char from[WORD_BYTES], to[WORD_BYTES], kept[WORD_BYTES], raw[WORD_BYTES];
    snprintf(out, GROWTH_LINE_BYTES,
             "From %s to %s events, a read at query time grew %.3g times, one of the kept snapshot "
             "%.3g times. Keeping it cost %.3g us an event at the end, and %s beside the %s of raw "
             "tables that both need.",
             tm_word_count(from, growth_number(first, "events")),
             tm_word_count(to, growth_number(last, "events")),
             growth_number(last, "option_1_s") / growth_number(first, "option_1_s"),
             growth_number(last, "option_2_s") / growth_number(first, "option_2_s"),
             growth_number(last, "write_event_s") * 1e6,
             tm_word_bytes(kept, growth_number(last, "kept_bytes")),
             tm_word_bytes(raw, growth_number(last, "raw_bytes")));
    return i == 0;
}

static void growth_pays_word(char out[GROWTH_PAYS_BYTES], const json_t *p)
{
    char number[WORD_BYTES];
    double pays = growth_number(p, "pays_every_events");
    if (isfinite(pays))
        snprintf(out, GROWTH_PAYS_BYTES, "%s events", growth_about(number, pays));
    else
        snprintf(out, GROWTH_PAYS_BYTES, "never");
}

void tm_growth_words(struct tm_buf *out, const json_t *growth)
{
    char line[GROWTH_LINE_BYTES], pays[GROWTH_PAYS_BYTES];
    const json_t *p;
    size_t i;
    tm_buf_addf(out,
                "%.0f records of %.0f fields; CPU seconds\n     events  option 1: read  option 2: "
                "read  keep/event     raw MB  kept MB  option 2 pays when read every\n",
                growth_number(growth, "records"), growth_number(growth, "fields"));
    json_array_foreach(json_object_get(growth, "points"), i, p)
    {
        growth_pays_word(pays, p);
        tm_buf_addf(out, "%11.0f  %12.3f s  %12.3f s  %7.1f us  %9.1f  %7.1f  %s\n",
                    growth_number(p, "events"), growth_number(p, "option_1_s"),
                    growth_number(p, "option_2_s"), growth_number(p, "write_event_s") * 1e6,
                    growth_number(p, "raw_bytes") / 1e6, growth_number(p, "kept_bytes") / 1e6,
                    pays);
    }
    for (i = 0; growth_finding(line, growth, i); i++)
        tm_buf_addf(out, "%s\n", line);
}

/* ---- page ---- */

static void growth_table(struct tm_buf *b, const json_t *growth)
{
    char pays[GROWTH_PAYS_BYTES], number[WORD_BYTES];
    const json_t *p;
    size_t i;
    tm_html_table(b, "<th>events<th>option 1: a read<th>option 2: a read<th>option 2: keeping an "
                     "event<th>raw tables<th>kept beside<th>option 2 pays when read every");
    json_array_foreach(json_object_get(growth, "points"), i, p)
    {
        growth_pays_word(pays, p);
        tm_buf_addf(b, "<tr><td>%s<td>%.3f s<td>%.3f s<td>%.1f µs<td>%.1f MB<td>%.1f MB<td>%s\n",
                    tm_word_count(number, growth_number(p, "events")),
                    growth_number(p, "option_1_s"), growth_number(p, "option_2_s"),
                    growth_number(p, "write_event_s") * 1e6, growth_number(p, "raw_bytes") / 1e6,
                    growth_number(p, "kept_bytes") / 1e6, pays);
    }
    tm_html_table_end(b);
}

static void growth_body(struct tm_buf *b, const json_t *growth)
{
    char line[GROWTH_LINE_BYTES];
    tm_buf_addz(b, "<h1>At query time, or kept upstream?</h1>\n<p>");
    for (size_t i = 0; growth_finding(line, growth, i); i++) {
        tm_html_text(b, line);
        tm_buf_addz(b, " ");
    }
    tm_buf_addz(b, "</p>\n<div class=\"chart\" id=\"growth\"><p class=\"note\">This chart needs "
                   "JavaScript; the table has its numbers.</p></div>\n");
    growth_table(b, growth);
    tm_buf_addf(b,
                "<p class=\"note\">A snapshot of %.0f records of %.0f fields, CPU seconds on one "
                "core; both axes are logarithmic. Dashed: a read of option 2 and the keeping of "
                "the events since the last read.</p>\n",
                growth_number(growth, "records"), growth_number(growth, "fields"));
}

static bool growth_mark(struct tm_buf *out, const char *mark, const void *growth)
{
    if (strcmp(mark, "DATA") == 0)
        tm_html_json(out, growth);
    else if (strcmp(mark, "BODY") == 0)
        growth_body(out, growth);
    else
        return false;
    return true;
}

enum tm_code tm_growth_html(struct tm_buf *out, const json_t *growth, struct tm_err *err)
{
    enum tm_code rc = tm_page_fill(out, tm_page_growth, "growth's page", growth_mark, growth, err);
    return rc != TM_OK ? rc : tm_buf_check(out, "growth.html", err);
}

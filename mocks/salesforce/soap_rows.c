/* soap_rows: rows of a query as SOAP writes records. A value is an element of sf:, null is xsi:nil,
 * a related record an sObject of its own, a compound its parts, child records a QueryResult. The
 * partner dialect says the type in an element, the enterprise one in xsi:type; Id is first in both,
 * nil when it was not asked for. */
#include "mocks/salesforce/soap_impl.h"
#include "mocks/salesforce/soql_impl.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A column's name between the quotes of its JSON key: "Name": */
static void soap_name(struct tm_buf *out, const char *key)
{
    size_t bytes = strlen(key);
    assert(bytes > 2 && key[0] == '"');
    tm_buf_add(out, key + 1, strcspn(key + 1, "\""));
}

static bool soap_named(const struct tm_soql_column *c, const char *name)
{
    size_t bytes = strlen(name);
    return strncmp(c->key + 1, name, bytes) == 0 && c->key[1 + bytes] == '"';
}

static void soap_value(struct tm_buf *out, enum tm_field_kind kind, const struct tm_soql_cell *v)
{
    char time[TM_TIME_BYTES];
    if (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB)
        tm_xml_escape(out, v->text, v->bytes);
    else if (kind == TM_FIELD_BOOLEAN)
        tm_buf_addz(out, (v->type == SQLITE_INTEGER ? v->i != 0 : v->d != 0) ? "true" : "false");
    else if (kind == TM_FIELD_DATETIME && v->type == SQLITE_INTEGER)
        tm_buf_addz(out, tm_time_z(time, v->i));
    else if (kind == TM_FIELD_NUMBER)
        tm_soql_double(out, v->type == SQLITE_INTEGER ? (double)v->i : v->d);
    else if (v->type == SQLITE_INTEGER)
        tm_buf_addf(out, "%" PRId64, v->i);
    else
        tm_soql_double(out, v->d);
}

/* "<sf:Name>x</sf:Name>"; the parts of a compound have no prefix. */
static void soap_field(struct tm_buf *out, const char *prefix, const struct tm_soql_column *c,
                       const struct tm_soql_cell *v)
{
    tm_buf_addc(out, '<');
    tm_buf_addz(out, prefix);
    soap_name(out, c->key);
    if (v->type == SQLITE_NULL) {
        tm_buf_addz(out, " xsi:nil=\"true\"/>");
        return;
    }
    tm_buf_addc(out, '>');
    soap_value(out, c->kind, v);
    tm_buf_addz(out, "</");
    tm_buf_addz(out, prefix);
    soap_name(out, c->key);
    tm_buf_addc(out, '>');
}

/* The parts of an address, or a location, in the order of the WSDL: clients insist on it. */
static void soap_parts(struct tm_buf *out, const struct tm_soql_column *whole,
                       const struct tm_soql_cell *values)
{
    static const char *const names[] = { "latitude",    "longitude",       "city",       "country",
                                         "countryCode", "geocodeAccuracy", "postalCode", "state",
                                         "stateCode",   "street" };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        for (size_t i = 1; i <= whole->parts; i++)
            if (soap_named(&whole[i], names[k]))
                soap_field(out, "", &whole[i], &values[whole[i].sql_column]);
}

static void soap_compound(struct tm_buf *out, const struct tm_soql_column *whole,
                          const struct tm_soql_cell *values)
{
    bool any = false, address = strstr(whole->key, "Address") != NULL;
    for (size_t i = 1; i <= whole->parts; i++)
        any |= values[whole[i].sql_column].type != SQLITE_NULL;
    tm_buf_addz(out, "<sf:");
    soap_name(out, whole->key);
    if (!any) {
        tm_buf_addz(out, " xsi:nil=\"true\"/>");
        return;
    }
    tm_buf_addf(out, " xsi:type=\"%s\">", address ? "address" : "location");
    soap_parts(out, whole, values);
    tm_buf_addz(out, "</sf:");
    soap_name(out, whole->key);
    tm_buf_addc(out, '>');
}

static void soap_columns(struct tm_buf *out, const struct tm_soql_plan *plan, int relation,
                         const struct tm_soql_cell *values, bool enterprise);

/* What stands behind "<records": the type, the Id. */
static void soap_head(struct tm_buf *out, const struct tm_soql_plan *plan, int relation,
                      const char *object, const struct tm_soql_cell *values, bool enterprise)
{
    const struct tm_soql_cell *id = NULL;
    for (size_t i = 0; i < plan->columns_count; i++) {
        const struct tm_soql_column *c = &plan->columns[i];
        if (c->shape == TM_SOQL_VALUE && c->relation == relation && soap_named(c, "Id") &&
            values[c->sql_column].type == SQLITE_TEXT)
            id = &values[c->sql_column];
    }
    if (enterprise)
        tm_buf_addf(out, " xsi:type=\"sf:%s\">", object);
    else
        tm_buf_addf(out, " xsi:type=\"sf:sObject\"><sf:type>%s</sf:type>", object);
    if (id != NULL)
        tm_buf_addf(out, "<sf:Id>%.*s</sf:Id>", (int)id->bytes, id->text);
    else
        tm_buf_addz(out, "<sf:Id xsi:nil=\"true\"/>");
}

static void soap_related(struct tm_buf *out, const struct tm_soql_plan *plan,
                         const struct tm_soql_column *c, const struct tm_soql_cell *values,
                         bool enterprise)
{
    tm_buf_addz(out, "<sf:");
    soap_name(out, c->key);
    if (values[c->sql_column].type == SQLITE_NULL) {
        tm_buf_addz(out, " xsi:nil=\"true\"/>");
        return;
    }
    soap_head(out, plan, c->relation, c->object, values, enterprise);
    soap_columns(out, plan, c->relation, values, enterprise);
    tm_buf_addz(out, "</sf:");
    soap_name(out, c->key);
    tm_buf_addc(out, '>');
}

/* The columns of the object itself (relation -1) or of one related record. */
static void soap_columns(struct tm_buf *out, const struct tm_soql_plan *plan, int relation,
                         const struct tm_soql_cell *values, bool enterprise)
{
    for (size_t i = 0; i < plan->columns_count; i += 1 + plan->columns[i].parts) {
        const struct tm_soql_column *c = &plan->columns[i];
        bool related = c->shape == TM_SOQL_RELATED;
        if ((related ? c->parent : c->relation) != relation)
            continue;
        if (c->shape == TM_SOQL_COMPOUND)
            soap_compound(out, c, values);
        else if (related)
            soap_related(out, plan, c, values, enterprise);
        else if (plan->grouped || !soap_named(c, "Id")) /* the head has it */
            soap_field(out, "sf:", c, &values[c->sql_column]);
    }
}

/* The children of one row, from where its own cells end. */
static void soap_children(struct tm_buf *out, const struct tm_soql_plan *plan, const char *at,
                          struct tm_soql_cell *values, bool enterprise)
{
    for (size_t i = 0; i < plan->children_count; i++) {
        const struct tm_soql_plan *child = &plan->children[i].plan;
        uint32_t count;
        memcpy(&count, at, sizeof count);
        at += sizeof count;
        tm_buf_addz(out, "<sf:");
        soap_name(out, plan->children[i].key);
        tm_buf_addz(out, count == 0 ? " xsi:nil=\"true\"/>"
                                    : " xsi:type=\"QueryResult\"><done>true</done><queryLocator "
                                      "xsi:nil=\"true\"/>");
        for (uint32_t k = 0; k < count; k++) {
            at = soql_cells(at, child, values);
            tm_buf_addz(out, "<records");
            soap_head(out, child, -1, child->object, values, enterprise);
            soap_columns(out, child, -1, values, enterprise);
            tm_buf_addz(out, "</records>");
        }
        if (count == 0)
            continue;
        tm_buf_addf(out, "<size>%" PRIu32 "</size></sf:", count);
        soap_name(out, plan->children[i].key);
        tm_buf_addc(out, '>');
    }
}

void soap_rows(struct tm_buf *out, const struct tm_soql_result *r, size_t row, size_t rows,
               const char *element, bool enterprise)
{
    struct tm_soql_cell *values = calloc(soql_result_width(&r->plan), sizeof *values);
    if (values == NULL) {
        out->failed = TM_E_NOMEM;
        return;
    }
    for (size_t i = row; i < row + rows; i++) {
        const char *behind = soql_cells(soql_result_at(r, i), &r->plan, values);
        tm_buf_addf(out, "<%s", element);
        soap_head(out, &r->plan, -1, r->plan.grouped ? "AggregateResult" : r->plan.object, values,
                  enterprise);
        soap_columns(out, &r->plan, -1, values, enterprise);
        soap_children(out, &r->plan, behind, values, enterprise);
        tm_buf_addf(out, "</%s>", element);
    }
    free(values);
}

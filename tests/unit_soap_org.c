/* The org by SOAP: records written, deleted, brought back and read, as the partner and the
 * enterprise WSDL have it. */
#include "tests/support_rest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, rest_world_open, rest_world_close)
#define SPACE "urn:partner.soap.sforce.com"
#define OBJECT "<s:type xmlns:s=\"urn:sobject.partner.soap.sforce.com\">"
#define ACCOUNT(fields) "<sObjects>" OBJECT "Account</s:type>" fields "</sObjects>"

/* The answer to an operation, asked signed in; dialect "u" or "c". */
static const char *soap_by(struct rest_world *w, const char *dialect, const char *headers,
                           const char *operation)
{
    struct tm_buf body;
    char path[60];
    bool enterprise = *dialect == 'c';
    snprintf(path, sizeof path, "/services/Soap/%s/59.0", dialect);
    tm_buf_init(&body, 1u << 20);
    tm_buf_addf(&body,
                "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" "
                "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns=\"urn:%s.soap."
                "sforce.com\"><e:Header><SessionHeader><sessionId>%s</sessionId></SessionHeader>"
                "%s</e:Header><e:Body>%s</e:Body></e:Envelope>",
                enterprise ? "enterprise" : "partner", w->authorization + strlen("Bearer "),
                headers, operation);
    json_decref(rest_ask(w, "POST", path, tm_buf_text(&body), NULL));
    tm_buf_free(&body);
    return w->answer.body;
}

static const char *soap(struct rest_world *w, const char *operation)
{
    return soap_by(w, "u", "", operation);
}

static void told(const struct rest_world *w, int status, const char *words)
{
    if (w->status != status || strstr(w->answer.body, words) == NULL)
        fail_msg("%d, not %d %s: %s", w->status, status, words, w->answer.body);
}

/* What stands between <name> and </name>, the number-th such (0 = first). */
static void element(const struct rest_world *w, const char *name, int number, char out[64])
{
    char open[40];
    const char *at = w->answer.body;
    snprintf(open, sizeof open, "<%s>", name);
    out[0] = '\0';
    for (int i = 0; at != NULL && i <= number; i++)
        at = (at = strstr(at, open)) != NULL ? at + strlen(open) : NULL;
    if (at != NULL)
        snprintf(out, 64, "%.*s", (int)strcspn(at, "<"), at);
}

static void make_account(struct rest_world *w, const char *name, char id[TM_ID_BYTES])
{
    char text[300], got[64];
    snprintf(text, sizeof text, "<create>" ACCOUNT("<Name>%s</Name>") "</create>", name);
    soap(w, text);
    told(w, 200, "<success>true</success>");
    element(w, "id", 0, got);
    snprintf(id, TM_ID_BYTES, "%.18s", got);
}

static void undelete_brings_a_record_back_and_subscribers_hear_of_it(void **state)
{
    struct rest_world *w = *state;
    char id[TM_ID_BYTES], text[200];
    make_account(w, "Tide &amp; Co", id);
    snprintf(text, sizeof text, "<delete><ids>%s</ids></delete>", id);
    told(w, 200, "<createResponse>");
    soap(w, text);
    told(w, 200, "<deleteResponse><result><id>");
    soap(w, "<query><queryString>SELECT Id FROM Account</queryString></query>");
    told(w, 200, "<size>0</size>");
    snprintf(text, sizeof text, "<undelete><ids>%s</ids></undelete>", id);
    soap(w, text);
    snprintf(text, sizeof text,
             "<undeleteResponse><result><id>%s</id><success>true</success></result>"
             "</undeleteResponse>",
             id);
    told(w, 200, text);
    soap(w, "<query><queryString>SELECT Id, Name FROM Account</queryString></query>");
    told(w, 200, "<sf:Name>Tide &amp; Co</sf:Name></records><size>1</size>");
    json_t *event = org_last_event(w->f.org, "Account");
    json_t *header = json_object_get(json_object_get(event, "payload"), "ChangeEventHeader");
    assert_string_equal(json_string_value(json_object_get(header, "changeType")), "UNDELETE");
    assert_string_equal(json_string_value(json_object_get(header, "changeOrigin")),
                        "com/salesforce/api/soap/59.0");
    json_decref(event);
}

static void what_a_delete_took_along_comes_back_with_its_parent_and_nothing_else(void **state)
{
    struct rest_world *w = *state;
    char account[TM_ID_BYTES], earlier[TM_ID_BYTES], along[TM_ID_BYTES], text[200];
    org_make_account(w->f.org, account, "Parent", ORG_ORIGIN_MS + 1000);
    org_make_opportunity(w->f.org, earlier, "went before", account, ORG_ORIGIN_MS + 2000);
    org_make_opportunity(w->f.org, along, "went along", account, ORG_ORIGIN_MS + 3000);
    snprintf(text, sizeof text, "<delete><ids>%s</ids></delete>", earlier);
    soap(w, text);
    snprintf(text, sizeof text, "<delete><ids>%s</ids></delete>", account);
    soap(w, text);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM bin"), 3);
    snprintf(text, sizeof text, "<undelete><ids>%s</ids></undelete>", account);
    soap(w, text);
    told(w, 200, "<success>true</success>");
    soap(w, "<query><queryString>SELECT Name FROM Opportunity</queryString></query>");
    told(w, 200, "<sf:Name>went along</sf:Name></records><size>1</size>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(DISTINCT txn) FROM history WHERE "
                                           "change='UNDELETE'"),
                     1);
}

static void undelete_of_what_is_not_in_the_bin_says_so_record_by_record(void **state)
{
    struct rest_world *w = *state;
    char live[TM_ID_BYTES], gone[TM_ID_BYTES], text[400];
    make_account(w, "Live", live);
    make_account(w, "Gone", gone);
    snprintf(text, sizeof text, "<delete><ids>%s</ids></delete>", gone);
    soap(w, text);
    snprintf(text, sizeof text,
             "<undelete><ids>%s</ids><ids>nonsense</ids><ids>001000000000ZZZ</ids><ids>%s</ids>"
             "</undelete>",
             live, gone);
    soap(w, text);
    told(w, 200,
         "<result><errors><message>Entity is not in the recycle bin</message>"
         "<statusCode>UNDELETE_FAILED</statusCode></errors><id>");
    told(w, 200,
         "<result><errors><message>bad id nonsense</message><statusCode>MALFORMED_ID</statusCode>"
         "</errors><id xsi:nil=\"true\"/><success>false</success></result>");
    told(w, 200, "<success>true</success></result></undeleteResponse>");
    snprintf(text, sizeof text, "<emptyRecycleBin><ids>%s</ids></emptyRecycleBin>", live);
    soap(w, text);
    told(w, 200, "<success>false</success>");
    snprintf(text, sizeof text, "<delete><ids>%s</ids></delete>", live);
    soap(w, text);
    snprintf(text, sizeof text, "<emptyRecycleBin><ids>%s</ids></emptyRecycleBin>", live);
    soap(w, text);
    told(w, 200, "<success>true</success>");
    snprintf(text, sizeof text, "<undelete><ids>%s</ids></undelete>", live);
    soap(w, text);
    told(w, 200, "UNDELETE_FAILED");
}

static void all_or_none_writes_nothing_when_one_record_is_refused(void **state)
{
    struct rest_world *w = *state;
    static const char two[] =
        "<create>" ACCOUNT("<Name>good</Name>") ACCOUNT("<Industry>x</Industry>") "</create>";
    soap_by(w, "u", "<AllOrNoneHeader><allOrNone>true</allOrNone></AllOrNoneHeader>", two);
    told(w, 200, "<statusCode>ALL_OR_NONE_OPERATION_ROLLED_BACK</statusCode>");
    told(w, 200,
         "<fields>Name</fields><message>Required fields are missing: [Name]</message>"
         "<statusCode>REQUIRED_FIELD_MISSING</statusCode></errors><id xsi:nil=\"true\"/>");
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 0);
    soap(w, two);
    assert_int_equal(org_ask_int(w->f.org, "SELECT count(*) FROM cur_Account"), 1);
}

static void an_update_sets_what_it_names_and_empties_what_it_says(void **state)
{
    struct rest_world *w = *state;
    char id[TM_ID_BYTES], text[500];
    make_account(w, "Old", id);
    snprintf(text, sizeof text,
             "<update><sObjects>" OBJECT "Account</s:type><Id>%s</Id><Name>New</Name><Industry>"
             "Banking</Industry><NumberOfEmployees>12</NumberOfEmployees></sObjects></update>",
             id);
    soap(w, text);
    told(w, 200, "<updateResponse><result><id>001");
    snprintf(text, sizeof text,
             "<update><sObjects>" OBJECT "Account</s:type><fieldsToNull>Industry</fieldsToNull>"
             "<Id>%s</Id><Name></Name></sObjects></update>",
             id);
    soap(w, text);
    told(w, 200, "<success>true</success>");
    soap(w, "<query><queryString>SELECT Name, Industry, NumberOfEmployees FROM Account"
            "</queryString></query>");
    told(w, 200,
         "<records xsi:type=\"sf:sObject\"><sf:type>Account</sf:type><sf:Id xsi:nil=\"true\"/>"
         "<sf:Name>New</sf:Name><sf:Industry xsi:nil=\"true\"/>"
         "<sf:NumberOfEmployees>12</sf:NumberOfEmployees></records>");
}

static void an_address_is_its_parts_in_the_order_of_the_wsdl(void **state)
{
    struct rest_world *w = *state;
    soap(w,
         "<create>" ACCOUNT("<Name>a</Name><BillingStreet>Quay 1</BillingStreet><BillingCity>Port"
                            "</BillingCity>") "</create>");
    soap(w, "<query><queryString>SELECT BillingAddress, ShippingAddress FROM Account</queryString>"
            "</query>");
    told(w, 200,
         "<sf:BillingAddress xsi:type=\"address\"><latitude xsi:nil=\"true\"/><longitude "
         "xsi:nil=\"true\"/><city>Port</city><country xsi:nil=\"true\"/>");
    told(w, 200, "<street>Quay 1</street></sf:BillingAddress>");
}

static void pages_of_a_query_are_as_long_as_query_options_say(void **state)
{
    struct rest_world *w = *state;
    char locator[64], text[200];
    rest_world_fill(w, 450);
    soap_by(w, "u", "<QueryOptions><batchSize>200</batchSize></QueryOptions>",
            "<query><queryString>SELECT Id FROM Account</queryString></query>");
    told(w, 200, "<queryResponse><result xsi:type=\"QueryResult\"><done>false</done>");
    told(w, 200, "<size>450</size>");
    element(w, "queryLocator", 0, locator);
    assert_true(strncmp(locator, "01g", 3) == 0);
    snprintf(text, sizeof text, "<queryMore><queryLocator>%s</queryLocator></queryMore>", locator);
    soap(w, text);
    element(w, "queryLocator", 0, locator);
    snprintf(text, sizeof text, "<queryMore><queryLocator>%s</queryLocator></queryMore>", locator);
    soap(w, text);
    told(w, 200,
         "<queryMoreResponse><result xsi:type=\"QueryResult\"><done>true</done>"
         "<queryLocator xsi:nil=\"true\"/>");
    size_t records = 0;
    for (const char *at = w->answer.body; (at = strstr(at, "<records")) != NULL; at++)
        records++;
    assert_int_equal(records, 50);
    soap(w, "<queryMore><queryLocator>01g000000000000AAA-200</queryLocator></queryMore>");
    told(w, 500, "<sf:InvalidQueryLocatorFault xsi:type=\"sf:InvalidQueryLocatorFault\">");
}

static void the_enterprise_dialect_says_types_its_own_way(void **state)
{
    struct rest_world *w = *state;
    char account[TM_ID_BYTES], id[64], text[300];
    soap_by(w, "c", "",
            "<create><sObjects xsi:type=\"x:Account\" xmlns:x=\"urn:sobject.enterprise"
            ".soap.sforce.com\"><Name>E</Name><Type>Prospect</Type></sObjects></create>");
    told(w, 200, "<success>true</success>");
    element(w, "id", 0, id);
    snprintf(account, sizeof account, "%.18s", id);
    org_make_opportunity(w->f.org, id, "child", account, ORG_ORIGIN_MS + 4000000);
    snprintf(text, sizeof text,
             "<query><queryString>SELECT Id, Owner.Name, (SELECT Name FROM Opportunities) FROM "
             "Account WHERE Id = '%s'</queryString></query>",
             account);
    soap_by(w, "c", "", text);
    told(w, 200, "<records xsi:type=\"sf:Account\"><sf:Id>001");
    told(w, 200, "<sf:Owner xsi:nil=\"true\"/>"); /* this org has no User */
    told(w, 200, "<sf:Opportunities xsi:type=\"QueryResult\"><done>true</done>");
    told(w, 200, "<sf:Name>child</sf:Name></records><size>1</size></sf:Opportunities></records>");
    soap_by(w, "c", "",
            "<query><queryString>SELECT Account.Name FROM Opportunity</queryString></query>");
    told(w, 200,
         "<sf:Account xsi:type=\"sf:Account\"><sf:Id xsi:nil=\"true\"/><sf:Name>E</sf:Name>"
         "</sf:Account>");
}

static void retrieve_answers_in_the_order_of_the_ids(void **state)
{
    struct rest_world *w = *state;
    char one[TM_ID_BYTES], two[TM_ID_BYTES], text[400];
    make_account(w, "One", one);
    make_account(w, "Two", two);
    snprintf(text, sizeof text,
             "<retrieve><fieldList>Id,Name</fieldList><sObjectType>Account</sObjectType>"
             "<ids>%s</ids><ids>001000000000ZZZ</ids><ids>%.15s</ids></retrieve>",
             two, one);
    soap(w, text);
    told(w, 200,
         "<sf:Name>Two</sf:Name></result><result xsi:nil=\"true\"/><result xsi:type="
         "\"sf:sObject\"><sf:type>Account</sf:type><sf:Id>001");
    told(w, 200, "<sf:Name>One</sf:Name></result></retrieveResponse>");
}

static void an_upsert_says_whether_it_created(void **state)
{
    struct rest_world *w = *state;
    char id[TM_ID_BYTES], text[400];
    soap(w, "<upsert><externalIDFieldName>Id</externalIDFieldName>" ACCOUNT(
                "<Name>up</Name>") "</upsert>");
    told(w, 200, "<upsertResponse><result><created>true</created><id>001");
    make_account(w, "There", id);
    snprintf(text, sizeof text,
             "<upsert><externalIDFieldName>Id</externalIDFieldName><sObjects>" OBJECT
             "Account</s:type><Id>%s</Id><Name>Changed</Name></sObjects></upsert>",
             id);
    soap(w, text);
    told(w, 200, "<created>false</created>");
    soap(w, "<upsert><externalIDFieldName>Nope__c</externalIDFieldName>" ACCOUNT(
                "<Name>up</Name><Nope__c>1</Nope__c>") "</upsert>");
    told(w, 200, "<statusCode>INVALID_FIELD</statusCode>");
    soap(w, "<upsert>" ACCOUNT("<Name>up</Name>") "</upsert>");
    told(w, 200, "<statusCode>MISSING_ARGUMENT</statusCode>");
}

static void faults_have_the_wsdls_types(void **state)
{
    struct rest_world *w = *state;
    static const char *const wrong[][3] = {
        { "<query><queryString>SELECT Nmae FROM Account</queryString></query>", "InvalidFieldFault",
          "sf:INVALID_FIELD" },
        { "<query><queryString>SELECT Id FROM Nope</queryString></query>", "InvalidSObjectFault",
          "sf:INVALID_TYPE" },
        { "<query><queryString>SELECT Id FORM Account</queryString></query>", "MalformedQueryFault",
          "sf:MALFORMED_QUERY" },
        { "<query/>", "MalformedQueryFault", "sf:MALFORMED_QUERY" },
        { "<retrieve><fieldList>Id</fieldList><sObjectType>Nope</sObjectType></retrieve>",
          "InvalidSObjectFault", "sf:INVALID_TYPE" },
        { "<retrieve><fieldList>Id FROM User--</fieldList><sObjectType>Account</sObjectType>"
          "</retrieve>",
          "InvalidFieldFault", "sf:INVALID_FIELD" },
        { "<retrieve><fieldList>Id</fieldList><sObjectType>Account</sObjectType><ids>1</ids>"
          "</retrieve>",
          "InvalidIdFault", "sf:MALFORMED_ID" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[100];
        soap(w, wrong[i][0]);
        snprintf(text, sizeof text, "<sf:%s xsi:type=\"sf:%s\">", wrong[i][1], wrong[i][1]);
        told(w, 500, text);
        snprintf(text, sizeof text, "<faultcode>%s</faultcode>", wrong[i][2]);
        told(w, 500, text);
    }
    struct tm_buf many;
    tm_buf_init(&many, 1u << 20);
    tm_buf_addz(&many, "<delete>");
    for (int i = 0; i < 201; i++)
        tm_buf_addz(&many, "<ids>001000000000001</ids>");
    tm_buf_addz(&many, "</delete>");
    soap(w, tm_buf_text(&many));
    told(w, 500, "sf:EXCEEDED_ID_LIMIT");
    tm_buf_free(&many);
    soap(w, "<merge/>");
    told(w, 500, "No operation available for request {" SPACE "}merge");
    soap(w, "<create>"
            "<sObjects>" OBJECT "Nope</s:type></sObjects></create>");
    told(w, 200, "<statusCode>INVALID_TYPE</statusCode>");
    soap(w, "<create/>");
    told(w, 200, "<createResponse/>");
    strcpy(w->authorization, "Bearer nothing");
    soap(w, "<undelete><ids>001000000000001</ids></undelete>");
    told(w, 500, "sf:INVALID_SESSION_ID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(undelete_brings_a_record_back_and_subscribers_hear_of_it),
        IN_A_WORLD(what_a_delete_took_along_comes_back_with_its_parent_and_nothing_else),
        IN_A_WORLD(undelete_of_what_is_not_in_the_bin_says_so_record_by_record),
        IN_A_WORLD(all_or_none_writes_nothing_when_one_record_is_refused),
        IN_A_WORLD(an_update_sets_what_it_names_and_empties_what_it_says),
        IN_A_WORLD(an_address_is_its_parts_in_the_order_of_the_wsdl),
        IN_A_WORLD(pages_of_a_query_are_as_long_as_query_options_say),
        IN_A_WORLD(the_enterprise_dialect_says_types_its_own_way),
        IN_A_WORLD(retrieve_answers_in_the_order_of_the_ids),
        IN_A_WORLD(an_upsert_says_whether_it_created),
        IN_A_WORLD(faults_have_the_wsdls_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* config: values, presets, expansion, and every refusal with file and key. Writes its files under a
 * fresh folder of /tmp. */
#include "base/config.h"
#include "tests/support_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const struct tm_key keys[] = {
    { "kafka.topic", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL, "topic template" },
    { "tasks.max", TM_KEY_INT, 0, "1", 1, 64, NULL, NULL },
    { "sanitize.topics", TM_KEY_BOOL, 0, "true", 0, 0, NULL, NULL },
    { "topics", TM_KEY_LIST, 0, NULL, 0, 0, NULL, NULL },
    { "salesforce.grant.type", TM_KEY_TEXT, 0, "PASSWORD", 0, 0, "PASSWORD|CLIENT_CREDENTIALS",
      NULL },
    { "salesforce.password", TM_KEY_TEXT, TM_KEY_SECRET, NULL, 0, 0, NULL, NULL },
    { "pin", TM_KEY_INT, TM_KEY_SECRET, NULL, 0, 0, NULL, NULL },
    { "connector.class", TM_KEY_TEXT, TM_KEY_IGNORED, NULL, 0, 0, NULL, NULL },
    { "columns", TM_KEY_JSON, 0, NULL, 0, 0, NULL, NULL },
};
#define KEYS keys, sizeof keys / sizeof keys[0]

static const char *file(const char *name, const char *text)
{
    const char *path = folder_path(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static struct tm_config *load(const char *text)
{
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    if (tm_config_load(&c, file("sink.json", text), KEYS, &err) != TM_OK) {
        char words[700];
        fail_msg("%s", tm_err_text(&err, words, sizeof words));
    }
    return c;
}

/* Must be refused as a usage error whose text holds the file's name and all of `words`. */
static void refuse(const char *text, const char *const *words, const char *never)
{
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    char told[700];
    assert_int_equal(tm_config_load(&c, file("sink.json", text), KEYS, &err), TM_E_ARG);
    assert_null(c);
    tm_err_text(&err, told, sizeof told);
    assert_non_null(strstr(told, "sink.json"));
    for (; *words != NULL; words++)
        if (strstr(told, *words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", told, *words);
    if (never != NULL && strstr(told, never) != NULL)
        fail_msg("\"%s\" tells \"%s\"", told, never);
}
#define REFUSE(text, never, ...) refuse(text, (const char *const[]){ __VA_ARGS__, NULL }, never)

static void flat_config_gives_values_and_presets(void **state)
{
    (void)state;
    struct tm_config *c = load(
        "{\"kafka.topic\":\"sfdc.${_ObjectType}\",\"tasks.max\":\"3\",\"topics\":\" a , b,,c\"}");
    const char *const *items;
    assert_string_equal(tm_config_name(c), "sink");
    /* templates stay */
    assert_string_equal(tm_config_text(c, "kafka.topic"), "sfdc.${_ObjectType}");
    assert_int_equal(tm_config_int(c, "tasks.max"), 3);
    assert_true(tm_config_bool(c, "sanitize.topics"));
    assert_false(tm_config_has(c, "sanitize.topics"));
    assert_true(tm_config_has(c, "tasks.max"));
    assert_null(tm_config_text(c, "salesforce.password"));
    assert_null(tm_config_json(c, "columns"));
    assert_int_equal(tm_config_list(c, "topics", &items), 3);
    assert_string_equal(items[0], "a");
    assert_string_equal(items[1], "b");
    assert_string_equal(items[2], "c");
    tm_config_close(c);
}

static void nested_config_of_the_connect_rest_form_is_the_same(void **state)
{
    (void)state;
    struct tm_config *c =
        load("{\"name\":\"my "
             "sink\",\"config\":{\"name\":\"x\",\"kafka.topic\":\"t\",\"topics\":[\"a\",\"b\"],"
             "\"connector.class\":17},\"tasks\":[],\"type\":\"sink\"}");
    const char *const *items;
    assert_string_equal(tm_config_name(c), "my sink");
    assert_string_equal(tm_config_text(c, "kafka.topic"), "t");
    assert_int_equal(tm_config_list(c, "topics", &items), 2);
    tm_config_close(c);
}

static void values_may_be_typed_or_texts_and_null_is_not_given(void **state)
{
    (void)state;
    struct tm_config *c =
        load("{\"kafka.topic\":\"t\",\"tasks.max\":2,\"sanitize.topics\":\"FALSE\","
             "\"salesforce.grant.type\":\"client_credentials\",\"salesforce.password\":null,"
             "\"columns\":\"{\\\"a\\\":[1]}\"}");
    assert_int_equal(tm_config_int(c, "tasks.max"), 2);
    assert_false(tm_config_bool(c, "sanitize.topics"));
    assert_string_equal(tm_config_text(c, "salesforce.grant.type"), "CLIENT_CREDENTIALS");
    assert_false(tm_config_has(c, "salesforce.password"));
    assert_int_equal(json_array_size(json_object_get(tm_config_json(c, "columns"), "a")), 1);
    tm_config_close(c);
}

static void environment_and_files_are_put_in(void **state)
{
    char text[300], secret[128];
    (void)state;
    setenv("TM_TEST_TOPIC", "orders", 1);
    snprintf(secret, sizeof secret, "%s", file("secret", "s3cret\n"));
    snprintf(text, sizeof text,
             "{\"kafka.topic\":\"a.${env:TM_TEST_TOPIC}.b\",\"salesforce.password\":\"${file:%s}\","
             "\"columns\":{\"x\":[\"${env:TM_TEST_TOPIC}\"]}}",
             secret);
    struct tm_config *c = load(text);
    assert_string_equal(tm_config_text(c, "kafka.topic"), "a.orders.b");
    assert_string_equal(tm_config_text(c, "salesforce.password"), "s3cret");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(tm_config_json(c, "columns"), "x"), 0)),
        "orders");
    tm_config_close(c);
}

static void missing_variable_or_file_is_named_with_its_key(void **state)
{
    (void)state;
    unsetenv("TM_TEST_ABSENT");
    REFUSE("{\"kafka.topic\":\"${env:TM_TEST_ABSENT}\"}", NULL, "kafka.topic",
           "TM_TEST_ABSENT is not set");
    REFUSE("{\"kafka.topic\":\"${file:/nowhere/at/all}\"}", NULL, "kafka.topic", "/nowhere/at/all",
           "No such file");
}

static void malformed_json_names_line_and_column_and_no_content(void **state)
{
    (void)state;
    REFUSE("{\n  \"salesforce.password\" \"hunter2\"\n}", "hunter2", ":2:", "not valid JSON");
    REFUSE("{\"kafka.topic\":\"a\",\"kafka.topic\":\"b\"}", NULL, "duplicate");
    REFUSE("", NULL, ":1:");
    REFUSE("[1,2]", NULL, "must be a JSON object, not an array");
}

static void unreadable_files_say_why(void **state)
{
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    assert_int_equal(tm_config_load(&c, "/nowhere/x.json", KEYS, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "/nowhere/x.json: No such file"));
    tm_err_clear(&err);
    assert_int_equal(tm_config_load(&c, folder_name(), KEYS, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "folder"));
}

static void unknown_key_suggests_the_nearest(void **state)
{
    (void)state;
    REFUSE("{\"kafka.topic\":\"t\",\"task.max\":\"1\"}", NULL, "unknown key \"task.max\"",
           "\"tasks.max\"");
    REFUSE("{\"kafka.topic\":\"t\",\"entirely.different\":\"1\"}", "did you mean",
           "unknown key \"entirely.different\"");
    REFUSE("{\"config\":{\"kafka.topic\":\"t\"},\"tasks.max\":1}", NULL, "tasks.max", "inside");
}

static void wrong_values_name_key_and_what_is_wanted(void **state)
{
    (void)state;
    REFUSE("{\"kafka.topic\":{}}", NULL, "key \"kafka.topic\"", "must be text, not an object");
    REFUSE("{\"kafka.topic\":\"\"}", NULL, "kafka.topic", "is empty");
    REFUSE("{\"kafka.topic\":\"t\",\"tasks.max\":\"many\"}", NULL, "tasks.max",
           "whole number, not \"many\"");
    REFUSE("{\"kafka.topic\":\"t\",\"tasks.max\":1.5}", NULL, "tasks.max",
           "a number with a fraction");
    REFUSE("{\"kafka.topic\":\"t\",\"tasks.max\":65}", NULL, "tasks.max", "from 1 to 64, not 65");
    REFUSE("{\"kafka.topic\":\"t\",\"tasks.max\":\"99999999999999999999\"}", NULL, "tasks.max",
           "64-bit");
    REFUSE("{\"kafka.topic\":\"t\",\"sanitize.topics\":\"yes\"}", NULL, "sanitize.topics",
           "true or false, not \"yes\"");
    REFUSE("{\"kafka.topic\":\"t\",\"salesforce.grant.type\":\"JWT\"}", NULL,
           "one of PASSWORD|CLIENT_CREDENTIALS, not \"JWT\"");
    REFUSE("{\"kafka.topic\":\"t\",\"topics\":{\"a\":1}}", NULL, "topics", "a list");
    REFUSE("{\"kafka.topic\":\"t\",\"columns\":\"{broken\"}", NULL, "columns",
           "not valid JSON at line 1");
}

static void missing_required_key_is_named_with_its_meaning(void **state)
{
    (void)state;
    REFUSE("{}", NULL, "key \"kafka.topic\" is missing (topic template)");
    REFUSE("{\"kafka.topic\":null}", NULL, "key \"kafka.topic\" is missing");
}

static void secrets_are_never_told(void **state)
{
    (void)state;
    setenv("TM_TEST_SECRET", "hunter2", 1);
    REFUSE("{\"kafka.topic\":\"t\",\"pin\":\"hunter2\"}", "hunter2", "key \"pin\"", "whole number");
    REFUSE("{\"kafka.topic\":\"t\",\"tasks.max\":\"${env:TM_TEST_SECRET}\"}", "hunter2",
           "tasks.max");
    REFUSE("{\"kafka.topic\":\"t\",\"salesforce.password\":[\"hunter2\"]}", "hunter2",
           "salesforce.password");
}

static void expansion_leaves_what_is_not_closed_or_not_known(void **state)
{
    char *out = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    setenv("TM_TEST_TOPIC", "v", 1);
    assert_int_equal(
        tm_config_expand(&out, "${other:x}${env:TM_TEST_TOPIC}$${env:TM_TEST_TOPIC", &err), TM_OK);
    assert_string_equal(out, "${other:x}v$${env:TM_TEST_TOPIC");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_config_gives_values_and_presets),
        cmocka_unit_test(nested_config_of_the_connect_rest_form_is_the_same),
        cmocka_unit_test(values_may_be_typed_or_texts_and_null_is_not_given),
        cmocka_unit_test(environment_and_files_are_put_in),
        cmocka_unit_test(missing_variable_or_file_is_named_with_its_key),
        cmocka_unit_test(malformed_json_names_line_and_column_and_no_content),
        cmocka_unit_test(unreadable_files_say_why),
        cmocka_unit_test(unknown_key_suggests_the_nearest),
        cmocka_unit_test(wrong_values_name_key_and_what_is_wanted),
        cmocka_unit_test(missing_required_key_is_named_with_its_meaning),
        cmocka_unit_test(secrets_are_never_told),
        cmocka_unit_test(expansion_leaves_what_is_not_closed_or_not_known),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

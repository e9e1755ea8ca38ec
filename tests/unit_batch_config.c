/* unit_batch_config: presets: the ones that ship load and say where each setting comes from;
 * mistakes are named. */
#include "batch/batch.h"
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int credentials(void **state)
{
    (void)state;
    setenv("TIDEMARK_SALESFORCE_URL", "http://127.0.0.1:1", 1);
    setenv("TIDEMARK_SALESFORCE_USERNAME", "user", 1);
    setenv("TIDEMARK_SALESFORCE_PASSWORD", "secret-word", 1);
    setenv("TIDEMARK_SALESFORCE_TOKEN", "TOKEN", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_ID", "key", 1);
    setenv("TIDEMARK_SALESFORCE_CLIENT_SECRET", "secret-too", 1);
    return 0;
}

static enum tm_code load_text(const char *text, struct tm_batch_settings *s, struct tm_config **c,
                              struct tm_err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/unit_batch_config.%ld.json", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    *err = (struct tm_err){ .code = TM_OK };
    enum tm_code rc = tm_batch_settings_load(s, c, path, NULL, err);
    unlink(path);
    return rc;
}

static void refused(const char *settings, const char *words)
{
    struct tm_batch_settings s;
    struct tm_config *c = NULL;
    struct tm_err err;
    char text[2000], all[1000];
    snprintf(text, sizeof text, "{\"salesforce.consumer.key\":\"k\",%s}", settings);
    assert_int_equal(load_text(text, &s, &c, &err), TM_E_ARG);
    tm_err_text(&err, all, sizeof all);
    if (strstr(all, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, all);
    assert_null(c);
}

static void every_preset_loads_and_names_a_source_for_each_of_its_settings(void **state)
{
    (void)state;
    glob_t g;
    assert_int_equal(glob("fixtures/batch/*.json", 0, NULL, &g), 0);
    assert_true(g.gl_pathc >= 5);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        struct tm_batch_settings s;
        struct tm_config *c = NULL;
        struct tm_err err = { .code = TM_OK };
        if (tm_batch_settings_load(&s, &c, g.gl_pathv[i], NULL, &err) != TM_OK)
            fail_msg("%s %s", err.ctx, err.msg);
        const char *const *carried;
        assert_true(tm_config_list(c, "carries", &carried) >= 3); /* the witness is told them */
        assert_int_equal(s.objects_count, 3);
        json_t *preset = NULL, *value;
        const char *key;
        assert_int_equal(tm_json_load(&preset, g.gl_pathv[i], &err), TM_OK);
        json_t *sources = json_object_get(preset, "sources");
        json_object_foreach(preset, key, value)
        {
            if (strncmp(key, "salesforce.", 11) == 0 || strcmp(key, "name") == 0 ||
                strcmp(key, "description") == 0 || strcmp(key, "sources") == 0 ||
                strcmp(key, "objects") == 0)
                continue;
            const char *source = json_string_value(json_object_get(sources, key));
            bool told = source != NULL && strlen(source) > 5;
            if (!told)
                fail_msg("%s: %s has no source", g.gl_pathv[i], key);
        }
        json_decref(preset);
        tm_config_close(c);
    }
    globfree(&g);
}

static void the_best_preset_is_what_its_file_says(void **state)
{
    (void)state;
    struct tm_batch_settings s;
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(
        tm_batch_settings_load(&s, &c, "fixtures/batch/best.json", "http://elsewhere", &err),
        TM_OK);
    assert_string_equal(s.name, "batch-best");
    assert_int_equal(s.interval_ms, 300000);
    assert_int_equal(s.paging, TM_BATCH_KEYSET);
    assert_true(s.get_deleted && s.query_all && s.inclusive);
    assert_int_equal(s.deletes, TM_BATCH_REMOVE);
    assert_int_equal(s.full_at_ms, 2 * 3600000);
    assert_string_equal(s.salesforce.instance, "http://elsewhere");
    assert_int_equal(s.salesforce.request_retry_ns_max, 30 * TM_NS_PER_S);
    tm_config_close(c);
}

static void an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
    (void)state;
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"overlap\":5", "overlap.ms");
}

static void a_missing_key_is_named(void **state)
{
    (void)state;
    refused("\"objects\":\"A\"", "interval.ms");
    refused("\"interval.ms\":1000", "objects");
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    refused("\"objects\":\"A\",\"interval.ms\":10", "interval.ms");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"paging\":\"pages\"", "paging");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"full.reload.at\":\"24:00\"",
            "full.reload.at");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"start.date\":\"yesterday\"", "start.date");
    refused("\"objects\":\"A,B,A\",\"interval.ms\":1000", "A twice");
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"slice.ms\":86400000", "start.date");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"deletes\":\"remove\"", "sees no delete");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"get.deleted\":true", "deletes=ignore");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"paging\":\"keyset\",\"cursor.compare\":\">\"",
            "cursor.compare");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"api\":\"bulk\",\"paging\":\"keyset\"",
            "paging \"locator\"");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"page.rows\":2001", "page.rows 2001");
    refused("\"objects\":\"A\",\"interval.ms\":1000,\"query.all\":true,\"deletes\":\"flag\","
            "\"deletes.column\":\"_seq\"",
            "deletes.column");
}

static void a_missing_variable_is_named_and_no_secret_is_printed(void **state)
{
    (void)state;
    unsetenv("TIDEMARK_SALESFORCE_USERNAME");
    struct tm_batch_settings s;
    struct tm_config *c = NULL;
    struct tm_err err = { .code = TM_OK };
    char all[1000];
    assert_int_equal(tm_batch_settings_load(&s, &c, "fixtures/batch/naive.json", NULL, &err),
                     TM_E_ARG);
    tm_err_text(&err, all, sizeof all);
    assert_non_null(strstr(all, "TIDEMARK_SALESFORCE_USERNAME"));
    assert_null(strstr(all, "secret-word"));
    credentials(NULL);
}

static void malformed_json_is_refused_with_its_place(void **state)
{
    (void)state;
    struct tm_batch_settings s;
    struct tm_config *c = NULL;
    struct tm_err err;
    char all[1000];
    assert_int_equal(load_text("{\n \"objects\": ,\n}", &s, &c, &err), TM_E_ARG);
    assert_non_null(strstr(tm_err_text(&err, all, sizeof all), "2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_loads_and_names_a_source_for_each_of_its_settings),
        cmocka_unit_test(the_best_preset_is_what_its_file_says),
        cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_known_one),
        cmocka_unit_test(a_missing_key_is_named),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(a_missing_variable_is_named_and_no_secret_is_printed),
        cmocka_unit_test(malformed_json_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, credentials, NULL);
}

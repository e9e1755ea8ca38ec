/* JSON that comes again is parsed once (base/json_kept.h). */
#include "base/json_kept.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 400
/* A text of TEXT_BYTES that says which one it is. */
static const char *text_of(char out[TEXT_BYTES + 1], int number)
{
    int n = snprintf(out, TEXT_BYTES + 1, "{\"number\":%d,\"padding\":\"", number);
    memset(out + n, 'x', (size_t)(TEXT_BYTES - n));
    memcpy(out + TEXT_BYTES - 2, "\"}", 3);
    return out;
}

static json_t *parsed(int number)
{
    char text[TEXT_BYTES + 1];
    json_t *json = tm_json_kept(text_of(text, number), TEXT_BYTES, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "number")), number);
    return json;
}

static void the_same_bytes_are_parsed_once_and_others_for_themselves(void **state)
{
    (void)state;
    json_t *first = parsed(1), *again = parsed(1), *other = parsed(2);
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    json_decref(first);
    json_decref(again);
    json_decref(other);
    json_decref(parsed(1)); /* nobody holds it any more but the store */
}

static void what_is_no_json_stays_none_and_says_where(void **state)
{
    char text[TEXT_BYTES + 1];
    json_error_t e;
    (void)state;
    text_of(text, 3);
    json_decref(tm_json_kept(text, TEXT_BYTES, 0, NULL));
    for (int i = 0; i < 2; i++) { /* cut short: other bytes */
        assert_null(tm_json_kept(text, TEXT_BYTES - 1, 0, &e));
        assert_true(e.position > 0);
    }
}

static void other_flags_are_another_reading(void **state)
{
    char text[TEXT_BYTES + 1];
    (void)state;
    memset(text, 'x', TEXT_BYTES);
    text[0] = text[TEXT_BYTES - 1] = '"';
    json_decref(tm_json_kept(text, TEXT_BYTES, JSON_DECODE_ANY, NULL));
    assert_null(tm_json_kept(text, TEXT_BYTES, 0, NULL)); /* a string is no document there */
}

static void short_texts_are_not_kept_and_old_ones_go(void **state)
{
    (void)state;
    json_t *a = tm_json_kept("[1]", 3, 0, NULL), *b = tm_json_kept("[1]", 3, 0, NULL);
    assert_ptr_not_equal(a, b);
    json_decref(a);
    json_decref(b);
    json_t *old = parsed(100);
    for (int i = 1; i <= TM_JSON_KEPT_MAX; i++)
        json_decref(parsed(100 + i));
    json_t *anew = parsed(100);
    assert_ptr_not_equal(old, anew); /* and the old one is still whole */
    assert_int_equal(json_integer_value(json_object_get(old, "number")), 100);
    json_decref(old);
    json_decref(anew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_are_parsed_once_and_others_for_themselves),
        cmocka_unit_test(what_is_no_json_stays_none_and_says_where),
        cmocka_unit_test(other_flags_are_another_reading),
        cmocka_unit_test(short_texts_are_not_kept_and_old_ones_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* json: reads the JSON that APIs send all day. in: text; out: the tree that jansson's json_loadb
 * with no flags makes of it, in a third of the time: its lexer takes every byte through several
 * calls. What is unusual (an escaped surrogate, a long number, deep nesting) or wrong is handed to
 * jansson, which alone says what JSON is. Pure. Owner of the tree: the caller. Where an error is to
 * be told with its place, jansson is asked directly. */
#ifndef TM_BASE_JSON_H
#define TM_BASE_JSON_H
#include <jansson.h>

/* An object or array; NULL when it is not JSON, or memory ran out. */
json_t *tm_json_parse(const char *text, size_t bytes);
#endif

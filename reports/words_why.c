/* words_why: the command that tells the story of an example. */
#include "reports/words.h"
#include "base/text.h"
#include <string.h>

/* As one word of a shell. */
static void why_word(struct tm_buf *b, const char *text)
{
    bool plain = *text != '\0';
    for (const char *c = text; *c != '\0'; c++)
        plain &= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                 strchr("0123456789/._-+:,@%", *c) != NULL;
    if (plain) {
        tm_buf_addz(b, text);
        return;
    }
    tm_buf_addc(b, '\'');
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            tm_buf_addz(b, "'\\''");
        else
            tm_buf_addc(b, *c);
    tm_buf_addc(b, '\'');
}

void tm_word_why(struct tm_buf *b, const json_t *report, const json_t *example)
{
    static const char *const keys[] = { "org_ms", "first_org_ms", "deleted_org_ms" };
    const char *object = tm_word_text(example, "object", ""), *id = tm_word_text(example, "id", "");
    const char *field = tm_word_text(json_array_get(json_object_get(example, "fields"), 0), "field",
                                     tm_word_text(example, "field", ""));
    char at[TM_TIME_BYTES], target[300];
    double ms;
    if (*object == '\0' || *id == '\0')
        return;
    tm_buf_addz(b, "tidemark why ");
    why_word(b, tm_word_text(report, "run", "RUN"));
    tm_buf_addc(b, ' ');
    snprintf(target, sizeof target, "%.80s/%.40s%s%.80s", object, id, *field != '\0' ? "." : "",
             field);
    why_word(b, target);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (tm_word_number(example, keys[i], &ms)) {
            tm_buf_addf(b, " %s", tm_time_z(at, (int64_t)ms));
            break;
        }
}

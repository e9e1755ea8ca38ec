/* cometd_fault: what planted faults do to the streaming endpoint. */
#include "mocks/salesforce/cometd_impl.h"
#include <string.h>

/* Clients look at ext.sfdc.failureReason; the `error` beside it is one of those that go with it in
 * reports of real orgs: subscribe_denied (apache/camel#3247), 401 on connect (Streaming API guide,
 * handling errors; read 2026-11-30). */
bool bayeux_is_busy(struct tm_bayeux *b, struct bayeux_turn *t, const json_t *message)
{
    static const struct {
        const char *channel, *error, *reconnect;
    } all[] = { { "/meta/handshake", "403::Handshake denied", "retry" },
                { "/meta/subscribe", "403:denied_by_security_policy:subscribe_denied", NULL },
                { "/meta/connect", "401::Authentication invalid", "none" } };
    const char *channel = json_string_value(json_object_get(message, "channel"));
    const json_t *subscription = json_object_get(message, "subscription");
    const json_t *client = json_object_get(message, "clientId");
    if (b->busy == NULL || channel == NULL || (*b->busy != '\0' && strcmp(b->busy, channel) != 0))
        return false;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].channel, channel) != 0)
            continue;
        json_t *reply = bayeux_message(channel, json_object_get(message, "id"), all[i].error);
        json_object_set_new(
            reply, "ext",
            json_pack("{s:{s:s}}", "sfdc", "failureReason",
                      "503::Server is too busy. Please try your request again later."));
        if (json_is_string(subscription))
            json_object_set_new(reply, "subscription", json_deep_copy(subscription));
        if (json_is_string(client))
            json_object_set_new(reply, "clientId", json_deep_copy(client));
        bayeux_reply(t,
                     all[i].reconnect != NULL ? bayeux_advice(reply, all[i].reconnect, -1) : reply);
        return true;
    }
    return false;
}

void tm_bayeux_busy(struct tm_bayeux *b, const char *channel)
{
    b->busy = channel;
}

void tm_bayeux_forget_all(struct tm_bayeux *b)
{
    for (size_t i = 0; i < BAYEUX_BUCKETS; i++)
        for (struct bayeux_client *c = b->clients[i]; c != NULL; c = b->clients[i]) {
            bayeux_poll_end(b, c, BAYEUX_FORGOTTEN);
            bayeux_forget(b, c);
        }
}

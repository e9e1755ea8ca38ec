/* cometd_clients: who is there: clients by id, polls by token, followers by channel, and who was
 * silent the longest. */
#include "mocks/salesforce/cometd_impl.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t clients_bucket(const char *id)
{
    return tm_hash64(id, strlen(id), 0) & (BAYEUX_BUCKETS - 1);
}

/* ---- silence ---- */

static void clients_hear(struct tm_bayeux *b, struct bayeux_client *c)
{
    struct bayeux_silence *list = c->lost ? &b->lost : &b->silent;
    if (c->before != NULL)
        c->before->behind = c->behind;
    else
        list->first = c->behind;
    if (c->behind != NULL)
        c->behind->before = c->before;
    else
        list->last = c->before;
    c->before = c->behind = NULL;
}

static void clients_silence(struct tm_bayeux *b, struct bayeux_client *c, bool lost)
{
    struct bayeux_silence *list = lost ? &b->lost : &b->silent;
    c->lost = lost;
    c->silent_since_ns = b->now_ns;
    c->behind = NULL;
    c->before = list->last;
    if (list->last != NULL)
        list->last->behind = c;
    else
        list->first = c;
    list->last = c;
}

void bayeux_expire(struct tm_bayeux *b)
{
    int64_t oldest_ns = b->now_ns - b->settings.client_ms_max * TM_NS_PER_MS;
    for (struct bayeux_client *c = b->lost.first; c != NULL; c = b->lost.first) {
        clients_hear(b, c);
        clients_silence(b, c, false);
    }
    for (struct bayeux_client *c = b->silent.first; c != NULL && c->silent_since_ns < oldest_ns;
         c = b->silent.first)
        bayeux_forget(b, c);
}

/* ---- clients ---- */

struct bayeux_client *bayeux_find(const struct tm_bayeux *b, const char *id)
{
    struct bayeux_client *c = id != NULL ? b->clients[clients_bucket(id)] : NULL;
    while (c != NULL && strcmp(c->id, id) != 0)
        c = c->next;
    return c;
}

struct bayeux_client *bayeux_client_new(struct tm_bayeux *b, const struct bayeux_turn *t)
{
    struct bayeux_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    tm_oauth_random(b->oauth, c->id, sizeof c->id);
    char client[TM_OAUTH_CLIENT_BYTES];
    snprintf(c->agent, sizeof c->agent, "%s", tm_oauth_client(b->oauth, t->request, client));
    memcpy(c->session, t->session, sizeof c->session);
    struct bayeux_client **bucket = &b->clients[clients_bucket(c->id)];
    c->next = *bucket;
    *bucket = c;
    b->clients_count++;
    clients_silence(b, c, false);
    return c;
}

void bayeux_forget(struct tm_bayeux *b, struct bayeux_client *c)
{
    struct bayeux_client **at = &b->clients[clients_bucket(c->id)];
    while (c->channels_count > 0)
        bayeux_unfollow(b, c->channels[c->channels_count - 1]);
    if (c->poll != NULL)
        c->poll->client = NULL;
    else
        clients_hear(b, c);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    b->clients_count--;
    free(c->channels);
    free(c);
}

void bayeux_sign_out(struct tm_bayeux *b, struct bayeux_client *c)
{
    bayeux_poll_end(b, c, BAYEUX_SIGNED_OUT);
    bayeux_forget(b, c);
}

static void clients_signed_out(struct tm_bayeux *b)
{
    if (tm_oauth_ended(b->oauth) == b->ended_seen)
        return;
    b->ended_seen = tm_oauth_ended(b->oauth);
    for (size_t i = 0; i < BAYEUX_BUCKETS; i++)
        for (struct bayeux_client *c = b->clients[i], *next; c != NULL; c = next) {
            next = c->next;
            if (tm_oauth_until(b->oauth, c->session) == 0)
                bayeux_sign_out(b, c);
        }
}

size_t tm_bayeux_clients(const struct tm_bayeux *b)
{
    return b->clients_count;
}

/* ---- polls ---- */

struct bayeux_poll *bayeux_poll_of(const struct tm_bayeux *b, uint64_t token)
{
    struct bayeux_poll *p = b->polls[token & (BAYEUX_BUCKETS - 1)];
    while (p != NULL && p->token != token)
        p = p->next;
    return p;
}

struct bayeux_poll *bayeux_poll_new(struct tm_bayeux *b, struct bayeux_client *c, const json_t *id)
{
    struct bayeux_poll *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    bayeux_poll_end(b, c, BAYEUX_REPLACED); /* also one whose end was never told */
    clients_hear(b, c);
    p->token = ++b->token_last;
    p->client = c;
    p->id = id != NULL ? json_deep_copy(id) : NULL;
    snprintf(p->client_id, sizeof p->client_id, "%s", c->id);
    p->next = b->polls[p->token & (BAYEUX_BUCKETS - 1)];
    b->polls[p->token & (BAYEUX_BUCKETS - 1)] = p;
    c->poll = p;
    return p;
}

void bayeux_poll_drop(struct tm_bayeux *b, struct bayeux_poll *p, bool lost)
{
    struct bayeux_poll **at = &b->polls[p->token & (BAYEUX_BUCKETS - 1)];
    if (p->client != NULL) {
        p->client->poll = NULL;
        clients_silence(b, p->client, lost);
    }
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    json_decref(p->id);
    free(p);
}

void bayeux_unsend(struct bayeux_client *c)
{
    for (size_t i = 0; i < c->channels_count; i++)
        c->channels[i]->handed = c->channels[i]->position;
    c->handed_events = 0;
}

void bayeux_poll_end(struct tm_bayeux *b, struct bayeux_client *c, enum bayeux_end end)
{
    struct bayeux_poll *p = c->poll;
    if (p == NULL)
        return;
    bayeux_unsend(c);
    if (!p->held) {
        bayeux_poll_drop(b, p, false);
        return;
    }
    p->end = end;
    p->client = NULL; /* it lives on until it is resumed */
    c->poll = NULL;
    clients_silence(b, c, false);
    b->settings.wake(b->settings.wake_data, p->token);
}

/* ---- who follows what ---- */

static struct bayeux_topic *clients_topic(struct tm_bayeux *b, const struct tm_feed *feed)
{
    struct bayeux_topic *topic = b->topics;
    while (topic != NULL && strcmp(topic->feed.channel, feed->channel) != 0)
        topic = topic->next;
    if (topic != NULL || (topic = calloc(1, sizeof *topic)) == NULL)
        return topic;
    topic->feed = *feed;
    topic->told = tm_feed_last(&topic->feed);
    topic->next = b->topics;
    b->topics = topic;
    return topic;
}

static void clients_topic_leave(struct tm_bayeux *b, struct bayeux_topic *topic)
{
    struct bayeux_topic **at = &b->topics;
    if (topic->followers != NULL)
        return;
    while (*at != topic)
        at = &(*at)->next;
    *at = topic->next;
    free(topic);
}

struct bayeux_channel *bayeux_followed(const struct bayeux_client *c, const char *name)
{
    for (size_t i = 0; i < c->channels_count; i++)
        if (strcmp(c->channels[i]->name, name) == 0)
            return c->channels[i];
    return NULL;
}

struct bayeux_channel *bayeux_follow(struct tm_bayeux *b, struct bayeux_client *c, const char *name,
                                     const struct tm_feed *feed)
{
    struct bayeux_channel *channel = calloc(1, sizeof *channel);
    struct bayeux_channel **grown =
        realloc(c->channels, (c->channels_count + 1) * sizeof(struct bayeux_channel *));
    if (grown != NULL)
        c->channels = grown;
    struct bayeux_topic *topic = channel != NULL && grown != NULL ? clients_topic(b, feed) : NULL;
    if (topic == NULL || (channel->name = strdup(name)) == NULL) {
        if (topic != NULL)
            clients_topic_leave(b, topic);
        free(channel);
        return NULL;
    }
    channel->client = c;
    channel->topic = topic;
    channel->next_follower = topic->followers;
    if (topic->followers != NULL)
        topic->followers->previous_follower = channel;
    topic->followers = channel;
    c->channels[c->channels_count++] = channel;
    return channel;
}

void bayeux_unfollow(struct tm_bayeux *b, struct bayeux_channel *channel)
{
    struct bayeux_client *c = channel->client;
    struct bayeux_topic *topic = channel->topic;
    size_t i = 0;
    while (c->channels[i] != channel)
        i++;
    c->channels[i] = c->channels[--c->channels_count];
    if (channel->previous_follower != NULL)
        channel->previous_follower->next_follower = channel->next_follower;
    else
        topic->followers = channel->next_follower;
    if (channel->next_follower != NULL)
        channel->next_follower->previous_follower = channel->previous_follower;
    clients_topic_leave(b, topic);
    free(channel->name);
    free(channel);
}

bool tm_bayeux_follows(const struct tm_bayeux *b, const char *channel)
{
    const struct bayeux_topic *topic = b->topics;
    while (topic != NULL && strcmp(topic->feed.channel, channel) != 0)
        topic = topic->next;
    return topic != NULL;
}

void tm_bayeux_news(struct tm_bayeux *b)
{
    clients_signed_out(b);
    for (struct bayeux_topic *topic = b->topics; topic != NULL; topic = topic->next) {
        int64_t last = tm_feed_last(&topic->feed);
        if (last == topic->told)
            continue;
        topic->told = last;
        for (struct bayeux_channel *f = topic->followers; f != NULL; f = f->next_follower)
            if (f->client->poll != NULL && f->client->poll->held && last > f->handed)
                b->settings.wake(b->settings.wake_data, f->client->poll->token);
    }
}

void tm_bayeux_restarted(struct tm_bayeux *b)
{
    int64_t before = tm_org_replay_last(b->org, NULL);
    for (struct bayeux_topic *topic = b->topics; topic != NULL; topic = topic->next) {
        topic->told = before;
        for (struct bayeux_channel *f = topic->followers; f != NULL; f = f->next_follower)
            f->position = f->handed = before;
    }
}

/* topic: what all adapters of the port share: the partition of a key.
 * Source: Kafka's default partitioner, toPositive(murmur2(key)) % partitions
 * (org.apache.kafka.common.utils.Utils). */
#include "topic/topic.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t topic_murmur2(const unsigned char *data, size_t bytes)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28cU ^ (uint32_t)bytes;
    for (; bytes >= 4; data += 4, bytes -= 4) {
        uint32_t k = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                     (uint32_t)data[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (bytes > 2)
        h ^= (uint32_t)data[2] << 16;
    if (bytes > 1)
        h ^= (uint32_t)data[1] << 8;
    if (bytes > 0) {
        h ^= data[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return h;
}

int32_t tm_topic_partition(const void *key, size_t key_bytes, int32_t partitions)
{
    assert(partitions > 0);
    if (key == NULL)
        key_bytes = 0;
    return (int32_t)((topic_murmur2(key, key_bytes) & 0x7fffffffU) % (uint32_t)partitions);
}

char *tm_topic_name(const char *template, const char *object)
{
    const char *mark = strstr(template, "${object}");
    char *out = malloc(strlen(template) + strlen(object) + 1);
    if (out == NULL)
        return NULL;
    size_t bytes = mark != NULL ? (size_t)(mark - template) : strlen(template);
    memcpy(out, template, bytes);
    out[bytes] = '\0';
    if (mark != NULL) {
        for (size_t i = 0; object[i] != '\0'; i++)
            out[bytes++] =
                (char)(object[i] >= 'A' && object[i] <= 'Z' ? object[i] + 32 : object[i]);
        strcpy(out + bytes, mark + strlen("${object}"));
    }
    return out;
}

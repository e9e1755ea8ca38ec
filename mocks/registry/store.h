/* store: makes the embedded registry durable. in: its requests, a file; out: the same answers, and
 * a registry that after any end, kill -9 and power cut included, is what it was: ids, versions,
 * levels. Every request that changed something is kept, in order, before its answer is given;
 * opening hands them all to the registry again, which is deterministic. One process has the file.
 * A request that cannot be kept is answered 500, and broken says why from then on: what is in
 * memory is ahead of the file, and its owner must end. */
#ifndef TM_MOCKS_REGISTRY_STORE_H
#define TM_MOCKS_REGISTRY_STORE_H
#include "mocks/registry/registry.h"

struct tm_registry_store;
/* `registry` is new and borrowed until close. TM_E_ARG: the file is somebody else's; TM_E_PROTO: a
 * request in it changes nothing when it is made again. */
enum tm_code tm_registry_store_open(struct tm_registry_store **out,
                                    struct tm_mock_registry *registry, const char *path,
                                    struct tm_err *err);
void tm_registry_store_close(struct tm_registry_store *s); /* NULL-safe */
struct tm_mock_handler tm_registry_store_handler(struct tm_registry_store *s);
/* TM_OK while every change was kept. */
enum tm_code tm_registry_store_broken(const struct tm_registry_store *s, struct tm_err *err);
#endif

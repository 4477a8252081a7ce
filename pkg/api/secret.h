#pragma once
/* Reading Kubernetes Secrets. Pure; any thread. */

#include "json/json.h"

/* Secrets that Ingot makes for itself. No field of an object may name one: what a host names gets
 * an owner, goes away with it, and may end up on a disk. */
#define SECRET_ENGINE  "ingot-engine"
#define SECRET_WEBHOOK "ingot-webhook"

/* The name is that of a Secret of Ingot's own, in whatever namespace. NULL is not. */
bool secret_is_own(const char *name);

/* The bytes of a Secret's key, decoded, with a NUL after them; NULL when absent. A new block: free
 * it by secret_bytes_free. */
void *secret_bytes(const struct json *secret, const char *key, size_t *ret_len);
/* Zeroes and frees; accepts NULL; returns NULL. */
void *secret_bytes_free(void *bytes, size_t len);
/* The same for what must be a text: NULL also when a NUL byte stands in it, for a text that ends
 * early is another text. Free it by secret_free. */
char *secret_value(const struct json *secret, const char *key);

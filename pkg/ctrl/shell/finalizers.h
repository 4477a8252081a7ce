#pragma once
/* metadata.finalizers of any kind: names that keep an object until each is taken out. A list may be
 * NULL, which is an empty one. Pure. */

#include "json/json.h"

/* A new list, of the others in their order. */
struct json *finalizers_without(const struct json *finalizers, const char *finalizer);
bool finalizers_have(const struct json *finalizers, const char *finalizer);

#pragma once
/* The built-in kinds: table and behaviour. */

#include "apiserver/resource.h"

/* Schemas in the form of a CRD's, written with ' for ". */
extern const char builtin_secret_schema[];
extern const char builtin_config_map_schema[];
extern const char builtin_namespace_schema[];
extern const char builtin_event_schema[];
extern const char builtin_lease_schema[];
extern const char builtin_crd_schema[];
/* metadata as owners of fields see it: which lists and maps are one. */
extern const char builtin_meta_schema[];
/* Shared parts for OpenAPI: {"name": schema, …}. */
extern const char builtin_shared_schemas[];
struct json *builtin_parse(const char *text);

extern const struct resource_ops secret_ops, config_map_ops, namespace_ops, event_ops, lease_ops;

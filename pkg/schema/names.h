#pragma once
/* Kubernetes' rules for names, label keys and values, with its explanations. Each returns true when
 * valid, else adds the explanation to `why` (may be NULL). any thread */

#include <stdbool.h>

#include "base/str.h"

typedef bool (*name_rule)(const char *s, struct strbuf *why);

/* The least that every name keeps: it is one segment of a path. Events keep no more. */
bool name_is_path_segment(const char *s, struct strbuf *why);
bool name_is_dns_subdomain(const char *s, struct strbuf *why);
bool name_is_dns_label(const char *s, struct strbuf *why);
/* The older kind, which begins with a letter. */
bool name_is_dns1035_label(const char *s, struct strbuf *why);
/* Label and annotation keys, finalizers: "prefix/name". */
bool name_is_qualified(const char *s, struct strbuf *why);
bool name_is_label_value(const char *s, struct strbuf *why);
/* Keys of Secret and ConfigMap data. */
bool name_is_config_key(const char *s, struct strbuf *why);

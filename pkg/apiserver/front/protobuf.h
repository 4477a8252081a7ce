#pragma once
/* Kubernetes' protobuf form of request bodies, read as JSON text. kubectl's `create` subcommands,
 * Helm and controller-runtime send built-in kinds this way, and do not fall back. Answers are
 * always JSON, which all of them take. any thread */

#include <stddef.h>

#include "base/str.h"

/* Appends to out. -EINVAL: malformed; -EOPNOTSUPP: a kind without a table here. out may then hold a
 * part. */
int protobuf_to_json(const void *data, size_t len, struct strbuf *out);

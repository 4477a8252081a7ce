#pragma once
/* OpenAPI v2 documents in the protobuf form that kubectl reads (message openapi.v2.Document of
 * gnostic). any thread */

#include "base/str.h"
#include "json/json.h"

/* Appends a document or a part of one: parts that follow each other read as one document. What the
 * form has no place for (nullable, oneOf, ...) is left out. */
void openapi_protobuf_add(const struct json *document, struct strbuf *out);

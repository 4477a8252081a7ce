#pragma once
/* What a server says when it refuses. Pure; any thread */

#include "json/json.h"

/* The words for a person in the body of a refusal: Ironic's fault, which stands in `error_message`
 * as an object or, more often, as JSON in a text; or what proxies and identity services in front of
 * it answer. Printable, of limited length; "" when the body has none. New string. */
char *agent_refusal_text(const struct json *body);

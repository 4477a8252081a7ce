#pragma once
/* Reading Kubernetes Secrets. Pure; any thread. */

#include "json/json.h"

/* Value of a Secret's key, decoded; NULL when absent. A new string: free it by secret_free. */
char *secret_value(const struct json *secret, const char *key);

#pragma once
/* The processors and the memory, from /proc and sysfs. any thread */

#include "json/json.h"

/* {model_name, frequency (MHz as text), count, architecture, flags, socket_count} */
struct json *hw_cpu_json(const char *root, const char *machine);
/* {total, physical_mb} */
struct json *hw_memory_json(const char *root);

/* Lists of finalizers (see shell/finalizers.h). */

#include "ctrl/shell/finalizers.h"

#include "base/str.h"

struct json *finalizers_without(const struct json *finalizers, const char *finalizer)
{
	struct json *left = json_new_array();
	json_for_each(f, finalizers) {
		if (!streq(json_string(f), finalizer))
			json_append(left, json_dup(f));
	}
	return left;
}

bool finalizers_have(const struct json *finalizers, const char *finalizer)
{
	json_for_each(f, finalizers) {
		if (streq(json_string(f), finalizer))
			return true;
	}
	return false;
}

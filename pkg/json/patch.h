#pragma once
/* Patches of JSON trees. any thread */

#include "json/json.h"

/* RFC 7396: changes target in place (it may be replaced, hence the slot); patch stays the caller's.
 */
void json_merge_patch(struct json **target, const struct json *patch);
/* The merge patch that turns `from` into `to`; NULL when equal. Lists are replaced as a whole. */
struct json *json_merge_diff(const struct json *from, const struct json *to);
/* RFC 6902, but that `replace` adds a member which is not there. On failure target is untouched and
 * err names the operation. A failed `test` is ERR_INVALID, too many operations, too much copying or
 * a result over JSON_DEPTH_MAX is ERR_LIMIT.
 */
int json_patch(struct json **target, const struct json *operations, struct err *err);
/* RFC 6901; NULL when it leads nowhere. */
const struct json *json_pointer_get(const struct json *j, const char *pointer);

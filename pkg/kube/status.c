/* Status decoding by two tables: reasons, then codes.
 * Pure. */

#include "kube/status.h"

#include <string.h>

static const struct {
	const char *reason;
	enum err_kind kind;
} reasons[] = {
	{ "NotFound", ERR_NOT_FOUND },
	{ "AlreadyExists", ERR_EXISTS },
	{ "Conflict", ERR_CONFLICT },
	{ "Gone", ERR_GONE },
	{ "Expired", ERR_GONE },
	{ "Invalid", ERR_INVALID },
	{ "BadRequest", ERR_INVALID },
	{ "Unauthorized", ERR_DENIED },
	{ "Forbidden", ERR_DENIED },
	{ "MethodNotAllowed", ERR_UNSUPPORTED },
	{ "NotAcceptable", ERR_UNSUPPORTED },
	{ "UnsupportedMediaType", ERR_UNSUPPORTED },
	{ "RequestEntityTooLarge", ERR_LIMIT },
	{ "TooManyRequests", ERR_BUSY },
	{ "ServiceUnavailable", ERR_BUSY },
	{ "ServerTimeout", ERR_TIMEOUT },
	{ "Timeout", ERR_TIMEOUT },
	{ "InternalError", ERR_INTERNAL },
};

static const struct {
	int code;
	enum err_kind kind;
	const char *text; /* when the server gave none */
} codes[] = {
	{ 400, ERR_INVALID, "bad request" },
	{ 401, ERR_DENIED, "credentials are not accepted: check token, certificate and clock" },
	{ 403, ERR_DENIED, "forbidden: check the roles (RBAC) of this account" },
	{ 404, ERR_NOT_FOUND, "not found" },
	{ 405, ERR_UNSUPPORTED, "method not allowed" },
	{ 406, ERR_UNSUPPORTED, "not acceptable" },
	{ 408, ERR_TIMEOUT, "request timeout" },
	{ 409, ERR_CONFLICT, "conflict" },
	{ 410, ERR_GONE, "gone" },
	{ 413, ERR_LIMIT, "request too large" },
	{ 415, ERR_UNSUPPORTED, "unsupported media type" },
	{ 422, ERR_INVALID, "invalid" },
	{ 429, ERR_BUSY, "too many requests" },
	{ 500, ERR_INTERNAL, "internal error of the server" },
	{ 502, ERR_UNREACHABLE, "a proxy before the server cannot reach it" },
	{ 503, ERR_BUSY, "the server is not available at the moment" },
	{ 504, ERR_TIMEOUT, "a proxy before the server waited in vain" },
};

/* An object that is not there is told by a Status. A 404 without one speaks of the path: a server
 * that has just started has none for custom kinds yet, and that says nothing of objects. */
static const char NO_PATH[] =
	"the server has no such path: it has just started, or the CustomResourceDefinition is not installed";

static enum err_kind kind_of(const char *reason, int code, const char **ret_text)
{
	enum err_kind kind = code >= 500 ? ERR_INTERNAL : ERR_PROTOCOL;
	*ret_text = "unexpected answer";
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code) {
			kind = codes[i].kind;
			*ret_text = codes[i].text;
		}
	for (size_t i = 0; reason && i < ARRAY_SIZE(reasons); i++)
		if (streq(reason, reasons[i].reason))
			kind = reasons[i].kind;
	return kind;
}

/* Servers before 1.18 say it in the message only. */
static bool is_too_large(const struct json *status)
{
	json_for_each(cause, json_get_path(status, "details.causes"))
		if (streq(json_get_string(cause, "reason"), "ResourceVersionTooLarge"))
			return true;
	const char *message = json_get_string(status, "message");
	return message && strstr(message, "Too large resource version");
}

struct kube_status kube_status_read(const struct json *body, int http_status, struct err *err)
{
	bool is_status = streq(json_get_string(body, "kind"), "Status");
	if (!is_status)
		body = NULL;
	if (http_status == 0)
		http_status = (int)json_get_int(body, "code", 0);
	const char *text, *message = json_get_string(body, "message");
	struct kube_status s = {
		.code = http_status,
		.kind = kind_of(json_get_string(body, "reason"), http_status, &text),
		.retry_after_s = json_get_int(json_get(body, "details"), "retryAfterSeconds", -1),
		.too_large = is_too_large(body),
		.internal = http_status == 500,
	};
	if (http_status == 404 && !is_status) {
		s.kind = ERR_UNREACHABLE;
		text = NO_PATH;
	}
	if (http_status / 100 == 2) {
		s.kind = ERR_NONE;
		return s;
	}
	/* Of a 401 Kubernetes says no more than that. */
	if (str_empty(message) || streq(message, "Unauthorized"))
		err_set_code(err, s.kind, http_status, "%s (HTTP status %d)", text, http_status);
	else
		err_set_code(err, s.kind, http_status, "%s", message);
	return s;
}

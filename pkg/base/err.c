/* Error values and the table of their kinds. See err.h for the contract. */

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct err_kind_info kinds[_ERR_KIND_MAX] = {
	[ERR_NONE] = { "none", 0, 200, false },
	[ERR_INVALID] = { "invalid", EINVAL, 422, false },
	[ERR_NOT_FOUND] = { "not-found", ENOENT, 404, false },
	[ERR_EXISTS] = { "exists", EEXIST, 409, false },
	[ERR_CONFLICT] = { "conflict", ESTALE, 409, true },
	[ERR_GONE] = { "gone", ENODATA, 410, true },
	[ERR_DENIED] = { "denied", EACCES, 403, false },
	[ERR_UNREACHABLE] = { "unreachable", EHOSTUNREACH, 503, true },
	[ERR_TIMEOUT] = { "timeout", ETIMEDOUT, 504, true },
	[ERR_BUSY] = { "busy", EBUSY, 429, true },
	[ERR_PROTOCOL] = { "protocol", EPROTO, 502, true },
	[ERR_UNSUPPORTED] = { "unsupported", EOPNOTSUPP, 405, false },
	[ERR_LIMIT] = { "limit", E2BIG, 413, false },
	[ERR_IO] = { "io", EIO, 500, true },
	[ERR_CANCELLED] = { "cancelled", ECANCELED, 500, false },
	[ERR_INTERNAL] = { "internal", EFAULT, 500, true },
};

/* Which kind a system error belongs to; what is not listed is ERR_IO. */
static const struct {
	int errnum;
	enum err_kind kind;
} errnos[] = {
	{ EINVAL, ERR_INVALID },
	{ ENOENT, ERR_NOT_FOUND },
	{ EEXIST, ERR_EXISTS },
	{ EACCES, ERR_DENIED },
	{ EPERM, ERR_DENIED },
	{ ECONNREFUSED, ERR_UNREACHABLE },
	{ EHOSTUNREACH, ERR_UNREACHABLE },
	{ ENETUNREACH, ERR_UNREACHABLE },
	{ ECONNRESET, ERR_UNREACHABLE },
	{ ETIMEDOUT, ERR_TIMEOUT },
	{ EBUSY, ERR_BUSY },
	{ EADDRINUSE, ERR_BUSY },
	{ EPROTO, ERR_PROTOCOL },
	{ EBADMSG, ERR_PROTOCOL },
	{ EOPNOTSUPP, ERR_UNSUPPORTED },
	{ E2BIG, ERR_LIMIT },
	{ ENOSPC, ERR_LIMIT },
	{ ECANCELED, ERR_CANCELLED },
};

const struct err_kind_info *err_kind_info(enum err_kind kind)
{
	return &kinds[kind < _ERR_KIND_MAX ? kind : ERR_INTERNAL];
}

static int fill(struct err *err, enum err_kind kind, int code, const char *fmt, va_list ap)
{
	if (err) {
		err->kind = kind;
		err->code = code;
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
	}
	return -kinds[kind].errno_value;
}

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fill(err, kind, 0, fmt, ap);
	va_end(ap);
	return r;
}

int err_set_code(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = fill(err, kind, code, fmt, ap);
	va_end(ap);
	return r;
}

static enum err_kind kind_of_errno(int errnum)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errnos[i].errnum == errnum)
			return errnos[i].kind;
	return ERR_IO;
}

int err_set_errno(struct err *err, int errnum, const char *fmt, ...)
{
	if (errnum < 0)
		errnum = -errnum;
	va_list ap;
	va_start(ap, fmt);
	int r = fill(err, kind_of_errno(errnum), errnum, fmt, ap);
	va_end(ap);
	if (err) {
		size_t len = strlen(err->text);
		char sys[128];
		snprintf(err->text + len, sizeof(err->text) - len, ": %s",
			 strerror_r(errnum, sys, sizeof(sys)));
	}
	return r;
}

/* What does not fit is cut: the beginning says most. */
static void append(struct err *err, const char *s)
{
	size_t len = strlen(err->text), n = strnlen(s, sizeof(err->text) - 1 - len);
	memcpy(err->text + len, s, n);
	err->text[len + n] = '\0';
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	if (!err)
		return -kinds[ERR_INTERNAL].errno_value;
	char context[sizeof(err->text)], old[sizeof(err->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(old, err->text, sizeof(old));
	memcpy(err->text, context, sizeof(context));
	append(err, ": ");
	append(err, old);
	return err_value(err);
}

int err_copy(struct err *dst, const struct err *src)
{
	if (dst && src)
		*dst = *src;
	return src ? err_value(src) : 0;
}

void err_clear(struct err *err)
{
	if (err)
		*err = (struct err){ 0 };
}

void err_keep(struct err **slot, const struct err *err)
{
	if (!err || err->kind == ERR_NONE) {
		free(*slot);
		*slot = NULL;
		return;
	}
	if (!*slot)
		*slot = xmalloc(sizeof(**slot));
	**slot = *err;
}

int err_value(const struct err *err)
{
	return -err_kind_info(err ? err->kind : ERR_INTERNAL)->errno_value;
}

/* Heads of answers (RFC 9110, RFC 9112) as text. Pure. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "web/internal.h"

/* RFC 9110, section 15; statuses that Ingot never sends are left out. */
static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

const char *web_reply_reason(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

bool web_reply_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

static void add_date(struct strbuf *out, usec_t wall)
{
	/* Not strftime: its names follow the locale. */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(wall / USEC_PER_SEC);
	struct tm t;
	gmtime_r(&seconds, &t);
	strbuf_addf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday,
		    t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min,
		    t.tm_sec);
}

/* A value that ends its line early would write headers of the peer's choice. */
static void add_line(struct strbuf *out, const char *prefix, const char *line)
{
	if (strpbrk(line, "\r\n"))
		log_error("header with a line break left out", "header", line);
	else
		strbuf_addf(out, "%s%s\r\n", prefix, line);
}

static void add_lines(struct strbuf *out, const char *const *lines)
{
	for (; lines && *lines; lines++)
		add_line(out, "", *lines);
}

/* 1xx, 204 and 304 have no body and must not announce one (RFC 9110, 8.6). */
static void add_framing(struct strbuf *out, const struct reply_text *t)
{
	if (!web_reply_has_body(t->head->status))
		return;
	switch (t->kind) {
	case BODY_SIZED:
		strbuf_addf(out, "Content-Length: %" PRIu64 "\r\n", t->size);
		break;
	case BODY_CHUNKED:
		strbuf_adds(out, "Transfer-Encoding: chunked\r\n");
		break;
	case BODY_UNTIL_CLOSE:
		break;
	}
}

void web_reply_format(const struct reply_text *t, struct strbuf *out)
{
	strbuf_addf(out, "HTTP/1.1 %d %s\r\n", t->head->status, web_reply_reason(t->head->status));
	add_date(out, t->wall);
	if (t->head->content_type)
		add_line(out, "Content-Type: ", t->head->content_type);
	add_framing(out, t);
	add_lines(out, t->head->headers);
	add_lines(out, t->extra);
	if (!t->keep_alive)
		strbuf_adds(out, "Connection: close\r\n");
	strbuf_adds(out, "\r\n");
}

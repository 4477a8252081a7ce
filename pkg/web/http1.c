/* Request heads of HTTP/1.1 (RFC 9112, RFC 9110). Own, because what libwebsockets' parser hands out
 * is no longer what was sent (it decodes the path, folds "//" and "..", turns "+" into a blank) and
 * because its leniency is what request smuggling lives on. Here every line ends in CRLF, a name is
 * a token directly followed by its colon, nothing is folded, and what decides framing or rights may
 * appear once only.
 *
 * Pure functions; fuzzed as web_http1. */

#include "web/http1.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	BAD_REQUEST = 400,
	LENGTH_REQUIRED = 411,
	URI_TOO_LONG = 414,
	EXPECTATION_FAILED = 417,
	HEAD_TOO_LARGE = 431,
	VERSION_NOT_SUPPORTED = 505,
};

/* A second one of these would let two readers of one request disagree. */
static const char *const singletons[] = {
	"authorization", "content-length", "content-type", "expect", "host", "if-range", "range",
};

/* RFC 9110, 5.6.2. */
bool web_http1_is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* Field values: visible characters, blanks, obs-text (RFC 9110, 5.5). */
bool web_http1_is_value(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* RFC 3986 allows less, but clients send "|" and "{" unescaped; what matters is no blank, control
 * or high byte. A fragment is never sent. */
static bool is_target(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '#';
}

static bool all(const char *s, bool (*allowed)(unsigned char))
{
	for (; *s; s++)
		if (!allowed((unsigned char)*s))
			return false;
	return true;
}

static size_t skip_empty_lines(const char *data, size_t len)
{
	/* RFC 9112, 2.2: at least one should be ignored; old clients send one after a body. */
	size_t at = 0;
	while (at < 4 && len - at >= 2 && data[at] == '\r' && data[at + 1] == '\n')
		at += 2;
	return at;
}

size_t web_http1_head_length(const char *data, size_t len, size_t *scanned)
{
	size_t start = skip_empty_lines(data, len);
	size_t from = MAX(start, *scanned > 3 ? *scanned - 3 : 0);
	const char *end = from < len ? memmem(data + from, len - from, "\r\n\r\n", 4) : NULL;
	*scanned = len;
	return end ? (size_t)(end - data) + 4 : 0;
}

int web_http1_too_long(const char *data, size_t len)
{
	size_t start = skip_empty_lines(data, len);
	return memmem(data + start, MIN(len - start, (size_t)HTTP1_LINE_MAX), "\r\n", 2)
		       ? HEAD_TOO_LARGE
		       : URI_TOO_LONG;
}

/* Cuts the next line off; NULL when a line holds a bare CR, LF or NUL. */
static char *next_line(char **at, char *end)
{
	char *line = *at, *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
	if (!eol)
		return NULL;
	*eol = '\0';
	*at = eol + 2;
	size_t len = (size_t)(eol - line);
	if (strlen(line) != len || memchr(line, '\r', len) || memchr(line, '\n', len))
		return NULL;
	return line;
}

/* "http://host/path" as proxies are asked: the path is what matters (RFC 9112, 3.2.2). */
static char *strip_authority(char *target)
{
	size_t scheme = strncasecmp(target, "http://", 7) == 0	  ? 7
			: strncasecmp(target, "https://", 8) == 0 ? 8
								  : 0;
	if (!scheme)
		return target;
	char *path = strchr(target + scheme, '/');
	return path && !memchr(target, '?', (size_t)(path - target)) ? path : NULL;
}

/* The path is handed on as sent: decoding belongs to who knows what a "%2F" means. */
static int parse_target(char *target, struct http1_head *head)
{
	if (strlen(target) > HTTP1_LINE_MAX)
		return URI_TOO_LONG;
	target = strip_authority(target);
	if (!target || *target != '/' || !all(target, is_target))
		return BAD_REQUEST;
	char *query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	head->path = target;
	head->query = query ? query : "";
	return 0;
}

/* A later minor version speaks our language too (RFC 9110, 2.5). */
static int parse_version(const char *version, struct http1_head *head)
{
	if (!str_has_prefix(version, "HTTP/") || strlen(version) != 8 || version[6] != '.')
		return BAD_REQUEST;
	if (version[5] != '1' || version[7] < '0' || version[7] > '9')
		return VERSION_NOT_SUPPORTED;
	head->minor = version[7] > '0';
	head->keep_alive = head->minor > 0;
	return 0;
}

static int parse_request_line(char *line, struct http1_head *head)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return BAD_REQUEST;
	*target++ = '\0';
	*version++ = '\0';
	if (*line == '\0' || !all(line, web_http1_is_token))
		return BAD_REQUEST;
	head->method = line;
	int status = parse_version(version, head);
	return status ? status : parse_target(target, head);
}

/* OWS around a value is no part of it (RFC 9112, 5.1). */
static char *trim(char *s)
{
	s += strspn(s, " \t");
	size_t len = strlen(s);
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		s[--len] = '\0';
	return s;
}

static int parse_header(char *line, struct http1_head *head)
{
	char *colon = strchr(line, ':');
	if (!colon || colon == line)
		return BAD_REQUEST;
	*colon = '\0';
	/* Folded lines and blanks before the colon fail here. */
	if (!all(line, web_http1_is_token) || !all(colon + 1, web_http1_is_value))
		return BAD_REQUEST;
	if (head->count == HTTP1_HEADERS_MAX)
		return HEAD_TOO_LARGE;
	for (char *c = line; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	head->headers[head->count++] = (struct http1_header){ .name = line,
							      .value = trim(colon + 1) };
	return 0;
}

static size_t occurrences(const struct http1_head *head, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < head->count; i++)
		n += streq(head->headers[i].name, name);
	return n;
}

/* Two lengths, a coding under another one, or one that HTTP/1.0 does not know: two readers would
 * see two bodies (RFC 9112, 6.1). Where chunks are of no use they are not taken at all: a body
 * whose length is not known beforehand is the smuggler's tool. */
static int check_coding(struct http1_head *head, bool chunks_taken)
{
	const char *coding = web_http1_header(head, "transfer-encoding");
	if (!coding)
		return 0;
	if (!chunks_taken)
		return LENGTH_REQUIRED;
	if (occurrences(head, "transfer-encoding") > 1 || strcasecmp(coding, "chunked") != 0 ||
	    web_http1_header(head, "content-length") || head->minor == 0)
		return BAD_REQUEST;
	head->chunked = true;
	return 0;
}

static int check_framing(struct http1_head *head, bool chunks_taken)
{
	int status = check_coding(head, chunks_taken);
	if (status)
		return status;
	for (size_t i = 0; i < ARRAY_SIZE(singletons); i++)
		if (occurrences(head, singletons[i]) > 1)
			return BAD_REQUEST;
	const char *length = web_http1_header(head, "content-length");
	if (length && parse_u64(length, INT64_MAX, &head->content_length) < 0)
		return BAD_REQUEST;
	if (head->minor > 0 && !web_http1_header(head, "host"))
		return BAD_REQUEST;
	return 0;
}

/* Whether a comma-separated list holds the word. */
static bool list_has(const char *list, const char *word)
{
	while (*list) {
		list += strspn(list, " \t,");
		size_t len = strcspn(list, ",");
		size_t end = len;
		while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
			end--;
		if (end == strlen(word) && strncasecmp(list, word, end) == 0)
			return true;
		list += len;
	}
	return false;
}

/* What is not about framing. Upgrade is ignored, as RFC 9110, 7.8 allows. */
static int read_options(struct http1_head *head)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct http1_header *h = &head->headers[i];
		if (!streq(h->name, "connection"))
			continue;
		if (list_has(h->value, "close"))
			head->keep_alive = false;
	}
	const char *expect = web_http1_header(head, "expect");
	if (!expect)
		return 0;
	if (strcasecmp(expect, "100-continue") != 0)
		return EXPECTATION_FAILED;
	head->expect_continue = head->minor > 0;
	return 0;
}

int web_http1_parse(char *text, size_t len, bool chunks_taken, struct http1_head *ret)
{
	struct http1_head head = { 0 };
	size_t start = skip_empty_lines(text, len);
	char *at = text + start, *end = text + len;
	char *line = next_line(&at, end);
	int status = line ? parse_request_line(line, &head) : BAD_REQUEST;
	while (!status) {
		line = next_line(&at, end);
		if (!line)
			return BAD_REQUEST;
		if (*line == '\0')
			break;
		status = parse_header(line, &head);
	}
	if (!status)
		status = check_framing(&head, chunks_taken);
	if (!status)
		status = read_options(&head);
	if (!status)
		*ret = head;
	return status;
}

const char *web_http1_header(const struct http1_head *head, const char *name)
{
	for (size_t i = 0; i < head->count; i++)
		if (streq(head->headers[i].name, name))
			return head->headers[i].value;
	return NULL;
}

/* Decodes a piece of a query; NULL for a broken escape or a NUL. */
static char *decode(const char *s, size_t len)
{
	_cleanup_(freep) char *out = xmalloc(len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = s[i] == '+' ? ' ' : (uint8_t)s[i];
		if (c == '%') {
			char digits[3] = { i + 1 < len ? s[i + 1] : '\0',
					   i + 2 < len ? s[i + 2] : '\0' };
			if (hex_decode(digits, &c, 1) < 0 || c == '\0')
				return NULL;
			i += 2;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return TAKE_PTR(out);
}

char *web_http1_query_param(const char *query, const char *name)
{
	for (const char *p = query; *p;) {
		size_t len = strcspn(p, "&");
		const char *equals = memchr(p, '=', len);
		size_t name_len = equals ? (size_t)(equals - p) : len;
		_cleanup_(freep) char *key = decode(p, name_len);
		if (streq(key, name))
			return equals ? decode(equals + 1, len - name_len - 1) : xstrdup("");
		p += len + (p[len] == '&');
	}
	return NULL;
}

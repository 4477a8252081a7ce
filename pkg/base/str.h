#pragma once
/* Strings: tests, strict number parsing, and a growable buffer. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

bool streq(const char *a, const char *b); /* NULL equals only NULL */
bool str_empty(const char *s);		  /* NULL or "" */
bool str_has_prefix(const char *s, const char *prefix);
/* "http://" or "https://" in whatever case. NULL is false. */
bool str_is_http_url(const char *s);
/* Such a URL with its scheme in lower case, for readers who compare; any other text as it is. New
 * string. */
char *str_plain_url(const char *url);
bool str_has_suffix(const char *s, const char *suffix);
const char *str_or(const char *s, const char *otherwise);
/* Equality in time that depends on the length of `secret` only. */
bool str_equal_secret(const char *secret, const char *given);

/* The whole string must be a number in range; no sign, blanks or prefix. -EINVAL or -ERANGE. */
int parse_u64(const char *s, uint64_t max, uint64_t *ret);
/* Likewise with an optional leading '-'. */
int parse_i64(const char *s, int64_t *ret);

/* A growable byte buffer, always NUL-terminated when data is not NULL. */
struct strbuf {
	char *data;
	size_t len;
	size_t cap;
};

void strbuf_done(struct strbuf *b);
void strbuf_clear(struct strbuf *b); /* keeps the memory */
void strbuf_reserve(struct strbuf *b, size_t more);
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
/* Percent-encodes all but RFC 3986 unreserved characters. */
void strbuf_add_urlencoded(struct strbuf *b, const char *s);
/* Drops the first n bytes. */
void strbuf_consume(struct strbuf *b, size_t n);
/* Hands the string over (never NULL) and leaves the buffer empty. */
char *strbuf_take(struct strbuf *b, size_t *ret_len);

/* Standard alphabet with padding; the result is a new string. */
char *base64_encode(const void *data, size_t len);
/* URL-safe alphabet without padding. */
char *base64url_encode(const void *data, size_t len);
/* Accepts blanks and line breaks inside; -EINVAL otherwise. ret is NUL-terminated beyond len. */
int base64_decode(const char *s, size_t len, void **ret, size_t *ret_len);

/* Lower case; `out` holds 2 * len + 1 bytes. */
void hex_encode(const void *data, size_t len, char *out);
/* Exactly len bytes from 2 * len digits, upper or lower case; -EINVAL. */
int hex_decode(const char *s, void *out, size_t len);

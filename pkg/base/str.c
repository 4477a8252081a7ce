/* Strings, number parsing, the growable buffer, base64 (RFC 4648) and hex. Pure. */

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

bool streq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_empty(const char *s)
{
	return !s || *s == '\0';
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

/* RFC 3986, 3.1: a scheme has no case. */
bool str_is_http_url(const char *s)
{
	return s && (strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0);
}

char *str_plain_url(const char *url)
{
	char *plain = xstrdup(url);
	for (char *p = plain; str_is_http_url(url) && *p != ':'; p++)
		*p = (char)tolower((unsigned char)*p);
	return plain;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = s ? strlen(s) : 0, m = strlen(suffix);
	return s && n >= m && memcmp(s + n - m, suffix, m) == 0;
}

const char *str_or(const char *s, const char *otherwise)
{
	return str_empty(s) ? otherwise : s;
}

bool str_equal_secret(const char *secret, const char *given)
{
	if (!secret || !given)
		return false;
	size_t n = strlen(secret), m = strlen(given);
	unsigned char diff = n != m;
	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(secret[i] ^ given[m ? i % m : 0]);
	return diff == 0;
}

int parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	if (str_empty(s))
		return -EINVAL;
	uint64_t value = 0;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		uint64_t digit = (uint64_t)(*s - '0');
		if (value > (max - digit) / 10 || digit > max)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool negative = s && *s == '-';
	uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value;
	int r = parse_u64(negative ? s + 1 : s, max, &value);
	if (r < 0)
		return r;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return 0;
}

void strbuf_done(struct strbuf *b)
{
	/* Bodies, headers, keys: nobody can say which buffer has held a secret. */
	zero_free(b->data);
	*b = (struct strbuf){ 0 };
}

void strbuf_clear(struct strbuf *b)
{
	secret_zero(b->data, b->len);
	b->len = 0;
}

void strbuf_reserve(struct strbuf *b, size_t more)
{
	size_t need = b->len + more + 1;
	if (need <= b->cap)
		return;
	size_t cap = MAX(b->cap * 2, (size_t)64);
	cap = MAX(cap, need);
	char *grown = xmalloc(cap);
	if (b->data)
		memcpy(grown, b->data, b->len);
	zero_free(b->data);
	b->data = grown;
	b->cap = cap;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	strbuf_reserve(b, len);
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void strbuf_adds(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_addc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		strbuf_reserve(b, (size_t)n);
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

static bool unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-._~", c) != NULL;
}

void strbuf_add_urlencoded(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		if (unreserved(*s))
			strbuf_addc(b, *s);
		else
			strbuf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

void strbuf_consume(struct strbuf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	secret_zero(b->data + b->len, n);
}

char *strbuf_take(struct strbuf *b, size_t *ret_len)
{
	strbuf_reserve(b, 0);
	b->data[b->len] = '\0';
	if (ret_len)
		*ret_len = b->len;
	char *s = b->data;
	*b = (struct strbuf){ 0 };
	return s;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static char *encode64(const unsigned char *in, size_t len, char c62, char c63, bool pad)
{
	char *out = xmalloc((len + 2) / 3 * 4 + 1), *p = out;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;
		v |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
		v |= i + 2 < len ? in[i + 2] : 0;
		size_t digits = MIN(len - i, (size_t)3) + 1;
		for (size_t d = 0; d < 4; d++) {
			uint32_t n = v >> (18 - 6 * d) & 63;
			char c = n == 62 ? c62 : n == 63 ? c63 : alphabet[n];
			if (d < digits)
				*p++ = c;
			else if (pad)
				*p++ = '=';
		}
	}
	*p = '\0';
	return out;
}

char *base64_encode(const void *data, size_t len)
{
	return encode64(data, len, '+', '/', true);
}

char *base64url_encode(const void *data, size_t len)
{
	return encode64(data, len, '-', '_', false);
}

static int decode_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(const char *s, size_t len, void **ret, size_t *ret_len)
{
	_cleanup_(freep) unsigned char *out = xmalloc(len / 4 * 3 + 4);
	size_t n = 0, digits = 0, pad = 0;
	uint32_t v = 0;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
			continue;
		int d = c == '=' ? 0 : decode_digit(c);
		if (d < 0 || (pad > 0 && c != '='))
			return -EINVAL;
		pad += c == '=';
		v = v << 6 | (uint32_t)d;
		if (++digits % 4 == 0) {
			out[n++] = (unsigned char)(v >> 16);
			out[n++] = (unsigned char)(v >> 8);
			out[n++] = (unsigned char)v;
		}
	}
	if (digits % 4 != 0 || pad > 2)
		return -EINVAL;
	n -= pad;
	out[n] = '\0';
	*ret = TAKE_PTR(out);
	*ret_len = n;
	return 0;
}

void hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(const char *s, void *out, size_t len)
{
	unsigned char *p = out;
	if (strnlen(s, 2 * len + 1) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

/* Allocation that cannot fail, and zeroing of secrets. See mem.h for the contract. */

#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *p)
{
	if (p == NULL) {
		/* Not the logger: it allocates. */
		fputs("ingot: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size ? size : 1));
}

void *xreallocarray(void *p, size_t count, size_t size)
{
	return check(reallocarray(p, count ? count : 1, size ? size : 1));
}

void *xmemdup(const void *p, size_t size)
{
	void *copy = xmalloc(size);
	if (size > 0)
		memcpy(copy, p, size);
	return copy;
}

char *xstrdup(const char *s)
{
	return s ? check(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t len)
{
	return check(strndup(s, len));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return check(n < 0 ? NULL : s);
}

void freep(void *p)
{
	free(*(void **)p);
}

void str_replace(char **slot, const char *s)
{
	char *copy = xstrdup(s);
	free(*slot);
	*slot = copy;
}

void secret_zero(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
}

char *secret_free(char *s)
{
	if (s) {
		secret_zero(s, strlen(s));
		free(s);
	}
	return NULL;
}

void secret_freep(char **s)
{
	*s = secret_free(*s);
}

void zero_free(void *p)
{
	secret_zero(p, malloc_usable_size(p));
	free(p);
}

void *zero_realloc(void *p, size_t size)
{
	size_t had = malloc_usable_size(p);
	void *fresh = size > 0 ? malloc(size) : NULL;
	if (!fresh && size > 0)
		return NULL;
	if (p && fresh)
		memcpy(fresh, p, MIN(had, size));
	zero_free(p);
	return fresh;
}

#pragma once
/* Allocation that aborts when memory is exhausted, so that no caller has a second path that no
 * test ever takes. A size that comes from a peer must meet a limit before it comes here.
 * any thread */

#include <stddef.h>

#include "base/macro.h"

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
/* `count * size` is checked for overflow; may move `p`. */
void *xreallocarray(void *p, size_t count, size_t size);
void *xmemdup(const void *p, size_t size);
char *xstrdup(const char *s); /* NULL stays NULL */
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);

/* For _cleanup_(freep): frees what the variable points to. */
void freep(void *p);

/* Replaces *slot by a copy of s (NULL clears it), freeing the old string. */
void str_replace(char **slot, const char *s);

/* Zeroes memory in a way that the compiler keeps; for passwords and keys. */
void secret_zero(void *p, size_t size);
/* Zeroes and frees a string; accepts NULL; returns NULL. */
char *secret_free(char *s);
void secret_freep(char **s);
/* free() and realloc() that leave nothing behind, whatever the block held: for libraries and trees
 * that do not know which of their blocks are secret. */
void zero_free(void *p);
void *zero_realloc(void *p, size_t size); /* NULL without memory and for size 0 */

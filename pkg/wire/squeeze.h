#pragma once
/* Texts that are kept by the thousand and seldom read, made smaller by deflate (RFC 1951) with what
 * they have in common for a dictionary. For memory, not for the wire: the form has no header and no
 * check. Pure. any thread */

#include <stddef.h>

enum { SQUEEZE_SAMPLE_MAX = 7000 }; /* more of a sample is not looked at */

/* The packed bytes, new, trimmed to *ret_len. `sample` may be NULL; unsqueeze() needs the same. */
void *squeeze(const char *sample, const void *text, size_t len, size_t *ret_len);
/* Into `text`, of exactly the length that went in. -EINVAL: not what squeeze() gave. */
int unsqueeze(const char *sample, const void *packed, size_t packed_len, void *text, size_t len);

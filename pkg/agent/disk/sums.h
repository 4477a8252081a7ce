#pragma once
/* Checksums of images: which digest, and the value, literal or out of a sums file. any thread */

#include "base/err.h"
#include "crypt/crypt.h"

enum { DISK_SUMS_MAX_BYTES = 4 * 1024 * 1024 };

struct disk_sum {
	enum digest digest;
	char hex[DIGEST_HEX_MAX]; /* lower case */
};

/* The fields of image_info; any may be NULL. */
struct disk_sum_spec {
	const char *os_hash_algo, *os_hash_value; /* win when both are there */
	const char *checksum;			  /* hex, or the URL of a sums file */
	bool allow_md5;
};

/* The URL that must be fetched first, or NULL when the spec is literal. */
const char *disk_sum_url(const struct disk_sum_spec *spec);
/* `sums`: the text behind disk_sum_url(), else NULL; `name`: the image's file name to look for. */
int disk_sum_resolve(const struct disk_sum_spec *spec, const char *sums, const char *name,
		     struct disk_sum *ret, struct err *err);
/* The digest for `name` in the text of a sums file: a bare digest, "digest  name", "digest *name",
 * or "ALGO (name) = digest". New string; NULL when there is none. */
char *disk_sums_find(const char *text, const char *name);
/* Last part of the URL's path, decoded as little as the sums files do it. New string. */
char *disk_url_name(const char *url);

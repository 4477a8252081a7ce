#pragma once
/* Checksums of images: which digest, and the value, literal or out of a sums file. any thread */

#include "base/err.h"
#include "crypt/crypt.h"

enum { DISK_SUMS_MAX_BYTES = 4 * 1024 * 1024 };

struct disk_sum {
	enum digest digest;
	char hex[DIGEST_HEX_MAX]; /* lower case */
};

/* The fields of image_info; any may be NULL. A value is in hex, or the URL of a sums file. */
struct disk_sum_spec {
	const char *os_hash_algo;  /* holds for `checksum`, too, where os_hash_value is missing */
	const char *os_hash_value; /* wins over `checksum` */
	const char *checksum;
	bool allow_md5;
};

/* The URL that must be fetched first, or NULL when the spec is literal. */
const char *disk_sum_url(const struct disk_sum_spec *spec);
/* `sums`: the text behind disk_sum_url(), else NULL; `name`: the image's file name to look for. */
int disk_sum_resolve(const struct disk_sum_spec *spec, const char *sums, const char *name,
		     struct disk_sum *ret, struct err *err);
/* All digests that a sums file has for one name, by kind; NULL: none. */
struct disk_sums_found {
	char *hex[DIGEST_SHA512 + 1];
};

/* In the text of a sums file: a bare digest, "digest  name", "digest *name", or "ALGO (name) =
 * digest". */
void disk_sums_find(const char *text, const char *name, struct disk_sums_found *ret);
void disk_sums_found_done(struct disk_sums_found *f);
/* Last part of the URL's path, decoded as little as the sums files do it. New string. */
char *disk_url_name(const char *url);

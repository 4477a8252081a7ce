#pragma once
/* SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short texts for tables whose keys a
 * peer chooses. Without the key a peer cannot tell which of them share a place, and neighbours do
 * not. Not for signatures. Pure; any thread */

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1; /* secret random bits */
};

uint64_t siphash(struct siphash_key key, const void *data, size_t len);

/* Token buckets in the form of the generic cell rate algorithm (ITU-T I.371): all that a bucket
 * needs is the time at which it will be full again. The table is set-associative: an address has
 * WAYS places, so that a lookup costs the same however many strangers knock. */

#include "engine/limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "base/str.h"

/* Room for all addresses of a subnet of a few thousand. When more than WAYS of them meet in a set,
 * they displace each other, and each begins with a full bucket; of 254 that happens once in a
 * million keys. */
enum { SETS = 512, WAYS = 8, ADDRESS_MAX = 48 };

struct bucket {
	char address[ADDRESS_MAX];
	usec_t full_at;
};

struct limiter {
	usec_t interval, depth; /* depth: from empty to full */
	struct siphash_key key;
	struct bucket buckets[SETS][WAYS];
};

struct limiter *limiter_new(unsigned burst, usec_t interval, struct siphash_key key)
{
	struct limiter *l = xcalloc(1, sizeof(*l));
	l->interval = interval;
	l->depth = burst * interval;
	l->key = key;
	return l;
}

struct limiter *limiter_free(struct limiter *l)
{
	free(l);
	return NULL;
}

/* Keyed: neighbouring addresses do not share sets, and a peer cannot choose those that do. */
static size_t set_of(const struct limiter *l, const char *address)
{
	return siphash(l->key, address, strlen(address)) % SETS;
}

static struct bucket *find(struct limiter *l, const char *address)
{
	struct bucket *set = l->buckets[set_of(l, address)], *quiet = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		if (streq(set[i].address, address))
			return &set[i];
		if (set[i].full_at < quiet->full_at)
			quiet = &set[i];
	}
	memset(quiet, 0, sizeof(*quiet));
	memcpy(quiet->address, address, strnlen(address, ADDRESS_MAX - 1));
	return quiet;
}

bool limiter_take(struct limiter *l, const char *address, usec_t now)
{
	struct bucket *b = find(l, address);
	usec_t full_at = MAX(b->full_at, now) + l->interval;
	if (full_at > now + l->depth)
		return false;
	b->full_at = full_at;
	return true;
}

#pragma once
/* Who holds how much of what all connections share: their number, bytes that came in and are not
 * dealt with, and bytes that wait to be sent. A party is an address, or, once a handler has said
 * who it is, an agent or a user. Service thread.
 *
 * No party is limited while there is enough. When a pool is nearly full, a party that has more than
 * its share of it gets no more; when it is full, those that have more than their share make room
 * for those that have less. */

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct web;
struct web_server;
struct party;

enum pool_kind {
	POOL_HELD,   /* input: heads and bodies until they are answered */
	POOL_QUEUED, /* output */
	_POOL_MAX
};

struct pool {
	size_t used, max;
};

/* A connection's part; embedded in it. */
struct member {
	struct list link; /* of its party, oldest first */
	struct party *party;
	size_t bytes[_POOL_MAX];
};

/* Into the party of that name, out of the one before. */
void party_enter(struct web_server *s, struct member *m, const char *name);
/* Gives all back. Harmless when it is in none. */
void party_leave(struct web_server *s, struct member *m);
const char *party_name(const struct member *m);
/* Is there room for one more connection of that name? Drops another for it where that is right. */
bool party_admits(struct web_server *s, const char *name);
/* The member holds so many bytes from now on. */
void party_count(struct web_server *s, struct member *m, enum pool_kind pool, size_t bytes);
/* May it hold what it holds? Drops others for it where that is right. */
bool party_may_hold(struct web_server *s, const struct member *m, enum pool_kind pool);

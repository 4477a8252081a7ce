#pragma once
/* Who holds how much of what all connections share: their number, bytes that came in and are not
 * dealt with, and bytes that wait to be sent. An account is an address, or, once a handler has said
 * who it is, an agent or a user. Service thread.
 *
 * No account is limited while there is enough. When a pool is nearly full, an account that has more
 * than its share of it gets no more; when it is full, those that have more than their share make
 * room for those that have less. */

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct web;
struct web_server;
struct account;

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
	struct list link; /* of its account, oldest first */
	struct account *account;
	size_t bytes[_POOL_MAX];
};

/* Into the account of that name, out of the one before. */
void web_quota_enter(struct web_server *s, struct member *m, const char *name);
/* Gives all back. Harmless when it is in none. */
void web_quota_leave(struct web_server *s, struct member *m);
const char *web_quota_name(const struct member *m);
/* Is there room for one more connection of that name? Drops another for it where that is right. */
bool web_quota_admits(struct web_server *s, const char *name);
/* The member holds so many bytes from now on. */
void web_quota_count(struct web_server *s, struct member *m, enum pool_kind pool, size_t bytes);
/* May it hold what it holds? Drops others for it where that is right. */
bool web_quota_may_hold(struct web_server *s, const struct member *m, enum pool_kind pool);

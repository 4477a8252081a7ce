#pragma once
/* Object store of the embedded API server: one SQLite file that survives kill -9 and power loss
 * once store_commit() has returned. Holds the present objects and a bounded log of changes, from
 * which watches resume and past states are read. What the bytes of an object mean is the caller's
 * business.
 *
 * A state of the past is found without being stored twice: a log row keeps the object as it was
 * before its change, so the object after change N is what the next row of the same key keeps, or
 * else the present row.
 *
 * One thread at a time. Writes need a transaction. Rows that callbacks get are valid during the
 * call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct store;

struct store_options {
	const char *path;   /* the file, its directory is made if absent; or ":memory:" */
	uint64_t log_max;   /* changes kept; 0: 8192 */
	usec_t log_max_age; /* 0: 30 minutes */
};

struct store_key {
	const char *resource; /* "secrets", "baremetalhosts.metal3.io" */
	const char *ns;	      /* "" for cluster-scoped objects */
	const char *name;
};

struct store_row {
	struct store_key key;
	const char *uid; /* NULL in states of the past */
	uint64_t rv;
	const char *data;
	size_t len;
};

enum store_change_type { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };

struct store_change {
	uint64_t rv;
	enum store_change_type type;
	struct store_key key;
	const char *data; /* after the change; of a deletion: the last state */
	size_t len;
	const char *before; /* NULL for additions */
	size_t before_len;
};

/* Non-zero ends the walk and is returned by it. */
typedef int (*store_row_fn)(void *data, const struct store_row *row);
typedef int (*store_change_fn)(void *data, const struct store_change *change);

/* Refuses directories and files that others may read, files of a newer Ingot, and a second user. */
int store_open(const struct store_options *options, struct store **ret, struct err *err);
struct store *store_close(struct store *s); /* what was not committed is lost */

/* --- transactions ---------------------------------------------------------------------------- */

int store_begin(struct store *s, struct err *err);
/* On failure everything since store_begin is undone. */
int store_commit(struct store *s, struct err *err);
void store_rollback(struct store *s);
/* False also when SQLite gave the transaction up by itself (disk full): nothing of it will be kept.
 */
bool store_in_transaction(const struct store *s);
/* One request inside the transaction; not nested. */
int store_savepoint(struct store *s, struct err *err);
void store_revert(struct store *s);  /* undoes what came after the savepoint, and ends it */
void store_release(struct store *s); /* keeps it, and ends it */

/* --- revisions ------------------------------------------------------------------------------- */

/* Of the last change, uncommitted ones included; never 0. */
uint64_t store_revision(const struct store *s);
/* Changes after this revision are all in the log; states since then can be read. */
uint64_t store_oldest(const struct store *s);
/* The number that the next store_put or store_delete must carry. */
uint64_t store_next_revision(const struct store *s);

/* --- numbers that belong to the file as a whole; others keep theirs --- */

/* 1 when found, 0 when not. */
int store_get_number(struct store *s, const char *key, uint64_t *ret, struct err *err);
int store_set_number(struct store *s, const char *key, uint64_t value, struct err *err);

/* --- copies --- */

/* A whole, consistent store in a file of its own, on disk when it returns. What is there is
 * replaced. Not in a transaction. */
int store_copy(struct store *s, const char *path, struct err *err);

/* --- objects --------------------------------------------------------------------------------- */

/* 1 when found, 0 when not. `ret` is valid until the next store_get of any kind, or a change. */
int store_get(struct store *s, const struct store_key *key, struct store_row *ret, struct err *err);
int store_get_by_uid(struct store *s, const char *uid, struct store_row *ret, struct err *err);
/* Adds or replaces. row->rv is store_next_revision(). expires 0: never. */
int store_put(struct store *s, const struct store_row *row, usec_t wall, usec_t expires,
	      struct err *err);
int store_delete(struct store *s, const struct store_key *key, uint64_t rv, usec_t wall,
		 struct err *err);

struct store_query {
	const char *resource;
	const char *ns;			   /* NULL: all */
	const char *after_ns, *after_name; /* begin behind this key; NULL: at the start */
	uint64_t at;			   /* state as of this revision; 0: now */
	uint64_t limit;			   /* 0: none */
};

/* In order of namespace and name. fn may use all functions but store_list, store_count. */
int store_list(struct store *s, const struct store_query *q, store_row_fn fn, void *data,
	       struct err *err);
int store_count(struct store *s, const struct store_query *q, uint64_t *ret, struct err *err);
/* Changes after `since`, in order. ns NULL: all. */
int store_changes(struct store *s, const char *resource, const char *ns, uint64_t since,
		  store_change_fn fn, void *data, struct err *err);

/* --- owners: who is to go when an object has gone --- */

/* Replaces the owners noted for the key. Deletion of the key forgets them. */
int store_set_owners(struct store *s, const struct store_key *key, const char *const *uids,
		     size_t count, struct err *err);
int store_list_owned(struct store *s, const char *owner_uid, store_row_fn fn, void *data,
		     struct err *err);
/* Objects with an owner that does not exist. Rows carry keys only. */
int store_list_orphans(struct store *s, store_row_fn fn, void *data, struct err *err);

/* --- housekeeping --- */

/* Keys of objects that expired at or before `wall`. */
int store_list_expired(struct store *s, usec_t wall, uint64_t limit, store_row_fn fn, void *data,
		       struct err *err);
/* Earliest time at which an object expires; USEC_INFINITY when none will. */
usec_t store_next_expiry(struct store *s);
/* Drops log rows over the limits. In a transaction. */
int store_compact(struct store *s, usec_t wall, struct err *err);
/* Rows of the log, for metrics and to see when to compact. */
uint64_t store_log_size(const struct store *s);
uint64_t store_log_max(const struct store *s);

#pragma once
/* What the files of this module share: the handle and the prepared statements. sqlite3.h stops
 * here. */

#include <sqlite3.h>

#include "store/store.h"

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_SAVEPOINT,
	ST_REVERT,
	ST_RELEASE,
	ST_GET,
	ST_GET_UID,
	ST_INSERT,
	ST_UPDATE,
	ST_DELETE,
	ST_LOG,
	ST_LIST, /* _AT and _NS follow: see statement_for() */
	ST_LIST_NS,
	ST_LIST_AT,
	ST_LIST_AT_NS,
	ST_COUNT,
	ST_COUNT_NS,
	ST_COUNT_AT,
	ST_COUNT_AT_NS,
	ST_CHANGES,
	ST_STATE_AFTER,
	ST_OWNER_ADD,
	ST_OWNER_CLEAR,
	ST_OWNED,
	ST_ORPHANS,
	ST_EXPIRED,
	ST_NEXT_EXPIRY,
	ST_LOG_BOUND,
	ST_LOG_TRIM,
	ST_META_GET,
	ST_META_SET,
	_ST_MAX,
};

struct position {
	uint64_t revision, oldest, log_size;
};

struct store {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *statements[_ST_MAX];
	uint64_t revision; /* of the last change */
	uint64_t oldest;
	uint64_t log_size;
	struct position committed,
		saved; /* as they were before the transaction, at the savepoint */
	uint64_t log_max;
	usec_t log_max_age;
};

extern const char *const store_statements[_ST_MAX];

/* Fills err from the handle's last error: what failed, on which file, what to do. */
int store_fail(struct store *s, struct err *err, const char *what);
int store_exec(struct store *s, const char *sql, struct err *err);
/* Runs a statement without parameters and rows. */
int store_run(struct store *s, enum statement st, const char *what, struct err *err);
/* Steps to the end, ignoring rows, and resets. */
int store_step(struct store *s, sqlite3_stmt *st, const char *what, struct err *err);
void store_bind_key(sqlite3_stmt *st, const struct store_key *key);
void store_bind_text(sqlite3_stmt *st, int at, const char *text); /* borrowed until reset */

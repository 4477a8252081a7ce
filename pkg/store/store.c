/* Transactions, objects, the log of changes and what is read from them. Every write is two
 * statements: the log row, which copies what is about to be replaced, and the change itself.
 * Revisions are numbers in memory that the log carries; a savepoint that is undone gives its
 * numbers back, so that no reader is ever told a revision which a restart would hand out again. */

#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/internal.h"

int store_fail(struct store *s, struct err *err, const char *what)
{
	int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
	const char *text = sqlite3_errmsg(s->db);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return err_set_code(err, ERR_IO, ENOSPC,
				    "%s %s: no space left: free some on its file system", what,
				    s->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set_code(err, ERR_BUSY, code,
				    "%s %s: another process uses it: stop that one first", what,
				    s->path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set_code(err, ERR_IO, code, "%s %s: %s: restore it from a backup", what,
				    s->path, text);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return err_set_code(err, ERR_DENIED, code, "%s %s: %s", what, s->path, text);
	}
	return err_set_code(err, ERR_IO, code, "%s %s: %s", what, s->path, text);
}

int store_step(struct store *s, sqlite3_stmt *st, const char *what, struct err *err)
{
	int code;
	while ((code = sqlite3_step(st)) == SQLITE_ROW)
		;
	int r = code == SQLITE_DONE ? 0 : store_fail(s, err, what);
	sqlite3_reset(st);
	return r;
}

int store_run(struct store *s, enum statement st, const char *what, struct err *err)
{
	return store_step(s, s->statements[st], what, err);
}

void store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

void store_bind_key(sqlite3_stmt *st, const struct store_key *key)
{
	store_bind_text(st, 1, key->resource);
	store_bind_text(st, 2, key->ns);
	store_bind_text(st, 3, key->name);
}

static void bind_number(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

/* --- transactions ---------------------------------------------------------------------------- */

static void go_back(struct store *s, const struct position *to)
{
	s->revision = to->revision;
	s->oldest = to->oldest;
	s->log_size = to->log_size;
}

int store_begin(struct store *s, struct err *err)
{
	return store_run(s, ST_BEGIN, "cannot write to", err);
}

int store_commit(struct store *s, struct err *err)
{
	int r = store_run(s, ST_COMMIT, "cannot commit to", err);
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	s->committed = (struct position){ s->revision, s->oldest, s->log_size };
	return 0;
}

void store_rollback(struct store *s)
{
	if (store_in_transaction(s))
		store_run(s, ST_ROLLBACK, "cannot roll back", NULL);
	go_back(s, &s->committed);
}

bool store_in_transaction(const struct store *s)
{
	return !sqlite3_get_autocommit(s->db);
}

/* Outside of one, each statement would be kept by itself: what SQLite did not keep must not be
 * followed by what it does. */
static int check_transaction(struct store *s, struct err *err)
{
	if (store_in_transaction(s))
		return 0;
	return err_set(err, ERR_IO, "cannot write to %s: the transaction was rolled back", s->path);
}

int store_savepoint(struct store *s, struct err *err)
{
	if (check_transaction(s, err) < 0)
		return -EIO;
	s->saved = (struct position){ s->revision, s->oldest, s->log_size };
	return store_run(s, ST_SAVEPOINT, "cannot write to", err);
}

void store_revert(struct store *s)
{
	if (store_in_transaction(s)) {
		store_run(s, ST_REVERT, "cannot roll back", NULL);
		store_run(s, ST_RELEASE, "cannot roll back", NULL);
	}
	go_back(s, &s->saved);
}

void store_release(struct store *s)
{
	if (store_in_transaction(s))
		store_run(s, ST_RELEASE, "cannot write to", NULL);
}

uint64_t store_revision(const struct store *s)
{
	return s->revision;
}

uint64_t store_oldest(const struct store *s)
{
	return s->oldest;
}

uint64_t store_next_revision(const struct store *s)
{
	return s->revision + 1;
}

uint64_t store_log_size(const struct store *s)
{
	return s->log_size;
}

uint64_t store_log_max(const struct store *s)
{
	return s->log_max;
}

/* --- single objects --- */

static const char *column_text(sqlite3_stmt *st, int at)
{
	return (const char *)sqlite3_column_text(st, at);
}

/* Columns in the order of every SELECT of rows. SQLite puts a NUL behind text that it hands out. */
static void read_row(sqlite3_stmt *st, struct store_row *ret)
{
	*ret = (struct store_row){
		.key = { column_text(st, 0), column_text(st, 1), column_text(st, 2) },
		.uid = column_text(st, 3),
		.rv = (uint64_t)sqlite3_column_int64(st, 4),
		.data = column_text(st, 5),
		.len = (size_t)sqlite3_column_bytes(st, 5),
	};
}

static int get(struct store *s, sqlite3_stmt *st, struct store_row *ret, struct err *err)
{
	/* Left standing on the row, which the caller reads, until the next use or a change. */
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		read_row(st, ret);
		return 1;
	case SQLITE_DONE:
		sqlite3_reset(st);
		return 0;
	}
	int r = store_fail(s, err, "cannot read");
	sqlite3_reset(st);
	return r;
}

static void end_gets(struct store *s)
{
	sqlite3_reset(s->statements[ST_GET]);
	sqlite3_reset(s->statements[ST_GET_UID]);
}

int store_get(struct store *s, const struct store_key *key, struct store_row *ret, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_GET];
	end_gets(s);
	store_bind_key(st, key);
	return get(s, st, ret, err);
}

int store_get_by_uid(struct store *s, const char *uid, struct store_row *ret, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_GET_UID];
	end_gets(s);
	store_bind_text(st, 1, uid);
	return get(s, st, ret, err);
}

static int log_change(struct store *s, const struct store_key *key, enum store_change_type type,
		      uint64_t rv, usec_t wall, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_LOG];
	store_bind_key(st, key);
	bind_number(st, 4, rv);
	bind_number(st, 5, wall);
	sqlite3_bind_int(st, 6, (int)type);
	int r = store_step(s, st, "cannot write to", err);
	if (r == 0)
		s->log_size++;
	return r;
}

static int exists(struct store *s, const struct store_key *key, struct err *err)
{
	struct store_row row;
	int r = store_get(s, key, &row, err);
	end_gets(s);
	return r;
}

static int write_row(struct store *s, sqlite3_stmt *st, const struct store_row *row, usec_t expires,
		     struct err *err)
{
	store_bind_key(st, &row->key);
	store_bind_text(st, 4, row->uid);
	bind_number(st, 5, row->rv);
	if (expires)
		bind_number(st, 6, expires);
	else
		sqlite3_bind_null(st, 6);
	sqlite3_bind_text(st, 7, row->data, (int)row->len, SQLITE_STATIC);
	return store_step(s, st, "cannot write to", err);
}

int store_put(struct store *s, const struct store_row *row, usec_t wall, usec_t expires,
	      struct err *err)
{
	int found = check_transaction(s, err);
	if (found == 0)
		found = exists(s, &row->key, err);
	if (found < 0)
		return found;
	int r = log_change(s, &row->key, found ? STORE_MODIFIED : STORE_ADDED, row->rv, wall, err);
	if (r == 0)
		r = write_row(s, s->statements[found ? ST_UPDATE : ST_INSERT], row, expires, err);
	if (r == 0)
		s->revision = row->rv;
	return r;
}

static int clear_owners(struct store *s, const struct store_key *key, struct err *err)
{
	store_bind_key(s->statements[ST_OWNER_CLEAR], key);
	return store_run(s, ST_OWNER_CLEAR, "cannot write to", err);
}

int store_delete(struct store *s, const struct store_key *key, uint64_t rv, usec_t wall,
		 struct err *err)
{
	int found = check_transaction(s, err);
	if (found < 0)
		return found;
	found = exists(s, key, err);
	if (found <= 0)
		return found < 0 ? found
				 : err_set(err, ERR_NOT_FOUND, "%s %s/%s is not there",
					   key->resource, key->ns, key->name);
	int r = log_change(s, key, STORE_DELETED, rv, wall, err);
	if (r == 0)
		r = clear_owners(s, key, err);
	if (r == 0) {
		store_bind_key(s->statements[ST_DELETE], key);
		r = store_run(s, ST_DELETE, "cannot write to", err);
	}
	if (r == 0)
		s->revision = rv;
	return r;
}

/* --- walks --- */

/* Calls fn for each row of a statement that is bound, and resets it. */
static int walk(struct store *s, sqlite3_stmt *st, store_row_fn fn, void *data, struct err *err)
{
	int code, r = 0;
	while (r == 0 && (code = sqlite3_step(st)) != SQLITE_DONE) {
		if (code != SQLITE_ROW) {
			r = store_fail(s, err, "cannot read");
			break;
		}
		struct store_row row;
		read_row(st, &row);
		r = fn(data, &row);
	}
	sqlite3_reset(st);
	return r;
}

/* The variants of ST_LIST and ST_COUNT stand in the order that this adds up. */
static sqlite3_stmt *statement_for(struct store *s, enum statement base,
				   const struct store_query *q)
{
	int variant = (q->ns ? 1 : 0) + (q->at ? ST_LIST_AT - ST_LIST : 0);
	return s->statements[(int)base + variant];
}

static void bind_query(sqlite3_stmt *st, const struct store_query *q)
{
	store_bind_text(st, 1, q->resource);
	store_bind_text(st, 5, q->after_ns ? q->after_ns : "");
	store_bind_text(st, 6, q->after_name ? q->after_name : "");
	if (q->ns)
		store_bind_text(st, 2, q->ns);
	if (q->at)
		bind_number(st, 4, q->at);
}

int store_list(struct store *s, const struct store_query *q, store_row_fn fn, void *data,
	       struct err *err)
{
	sqlite3_stmt *st = statement_for(s, ST_LIST, q);
	bind_query(st, q);
	sqlite3_bind_int64(st, 7, q->limit ? (int64_t)q->limit : -1);
	return walk(s, st, fn, data, err);
}

int store_count(struct store *s, const struct store_query *q, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *st = statement_for(s, ST_COUNT, q);
	bind_query(st, q);
	int r = sqlite3_step(st) == SQLITE_ROW ? 0 : store_fail(s, err, "cannot read");
	if (r == 0)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r;
}

/* The state after a change: see store.h. */
static int state_after(struct store *s, struct store_change *c, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_STATE_AFTER];
	sqlite3_reset(st);
	store_bind_key(st, &c->key);
	bind_number(st, 4, c->rv);
	if (sqlite3_step(st) != SQLITE_ROW)
		return store_fail(s, err, "cannot read");
	c->data = column_text(st, 0);
	c->len = (size_t)sqlite3_column_bytes(st, 0);
	return 0;
}

static int give_change(struct store *s, sqlite3_stmt *st, store_change_fn fn, void *data,
		       struct err *err)
{
	struct store_change c = {
		.rv = (uint64_t)sqlite3_column_int64(st, 0),
		.type = (enum store_change_type)sqlite3_column_int(st, 1),
		.key = { column_text(st, 2), column_text(st, 3), column_text(st, 4) },
		.before = column_text(st, 5),
		.before_len = (size_t)sqlite3_column_bytes(st, 5),
	};
	if (c.type == STORE_DELETED) {
		c.data = c.before;
		c.len = c.before_len;
	} else {
		int r = state_after(s, &c, err);
		if (r < 0)
			return r;
	}
	int r = fn(data, &c);
	sqlite3_reset(s->statements[ST_STATE_AFTER]);
	return r;
}

int store_changes(struct store *s, const char *resource, const char *ns, uint64_t since,
		  store_change_fn fn, void *data, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_CHANGES];
	store_bind_text(st, 1, resource);
	store_bind_text(st, 2, ns); /* NULL binds NULL */
	bind_number(st, 4, since);
	int code, r = 0;
	while (r == 0 && (code = sqlite3_step(st)) != SQLITE_DONE)
		r = code == SQLITE_ROW ? give_change(s, st, fn, data, err)
				       : store_fail(s, err, "cannot read");
	sqlite3_reset(st);
	return r;
}

/* --- owners and housekeeping
 * ----------------------------------------------------------------------- */

int store_set_owners(struct store *s, const struct store_key *key, const char *const *uids,
		     size_t count, struct err *err)
{
	int r = clear_owners(s, key, err);
	sqlite3_stmt *st = s->statements[ST_OWNER_ADD];
	for (size_t i = 0; i < count && r == 0; i++) {
		store_bind_key(st, key);
		store_bind_text(st, 4, uids[i]);
		r = store_step(s, st, "cannot write to", err);
	}
	return r;
}

int store_list_owned(struct store *s, const char *owner_uid, store_row_fn fn, void *data,
		     struct err *err)
{
	store_bind_text(s->statements[ST_OWNED], 1, owner_uid);
	return walk(s, s->statements[ST_OWNED], fn, data, err);
}

int store_list_orphans(struct store *s, store_row_fn fn, void *data, struct err *err)
{
	return walk(s, s->statements[ST_ORPHANS], fn, data, err);
}

int store_list_expired(struct store *s, usec_t wall, uint64_t limit, store_row_fn fn, void *data,
		       struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_EXPIRED];
	bind_number(st, 1, wall);
	bind_number(st, 2, limit);
	return walk(s, st, fn, data, err);
}

usec_t store_next_expiry(struct store *s)
{
	sqlite3_stmt *st = s->statements[ST_NEXT_EXPIRY];
	usec_t at = USEC_INFINITY;
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER)
		at = (usec_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return at;
}

/* Highest revision that goes: by age, or by number. */
static uint64_t log_bound(struct store *s, usec_t wall)
{
	sqlite3_stmt *st = s->statements[ST_LOG_BOUND];
	bind_number(st, 1, wall > s->log_max_age ? wall - s->log_max_age : 0);
	bind_number(st, 2, s->log_max);
	uint64_t bound = 0;
	if (sqlite3_step(st) == SQLITE_ROW)
		bound = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return MIN(bound, s->revision - 1);
}

int store_set_number(struct store *s, const char *key, uint64_t value, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_META_SET];
	store_bind_text(st, 1, key);
	bind_number(st, 2, value);
	return store_step(s, st, "cannot write to", err);
}

int store_compact(struct store *s, usec_t wall, struct err *err)
{
	uint64_t bound = log_bound(s, wall);
	if (bound <= s->oldest)
		return 0;
	bind_number(s->statements[ST_LOG_TRIM], 1, bound);
	int r = store_run(s, ST_LOG_TRIM, "cannot write to", err);
	if (r < 0)
		return r;
	s->log_size -= MIN((uint64_t)sqlite3_changes(s->db), s->log_size);
	s->oldest = bound;
	return store_set_number(s, "oldest", bound, err);
}

int store_get_number(struct store *s, const char *key, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *st = s->statements[ST_META_GET];
	store_bind_text(st, 1, key);
	int r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		return store_fail(s, err, "cannot read");
	return r == SQLITE_ROW;
}

/* --- copies --- */

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

int store_copy(struct store *s, const char *path, struct err *err)
{
	sqlite3_stmt *st = NULL;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "cannot replace %s", path);
	int r = sqlite3_prepare_v2(s->db, "VACUUM INTO ?1", -1, &st, NULL);
	if (r == SQLITE_OK) {
		store_bind_text(st, 1, path);
		r = sqlite3_step(st);
	}
	if (r != SQLITE_DONE)
		store_fail(s, err, "cannot copy");
	sqlite3_finalize(st);
	if (r != SQLITE_DONE) {
		unlink(path);
		return -EIO;
	}
	r = sync_file(path);
	return r < 0 ? err_set_errno(err, r, "cannot store %s", path) : 0;
}

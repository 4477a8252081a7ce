/* Opening and closing: the checks of directory, file and schema version, and the settings that make
 * a commit durable. WAL with synchronous=FULL: one fsync a commit, readers of the same connection
 * see their own writes. The lock is exclusive, so that two servers never share a file. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/internal.h"

enum {
	SCHEMA_VERSION = 1,
	LOG_MAX_DEFAULT = 8192,
	FIRST_REVISION = 1,
};

#define LOG_AGE_DEFAULT (30 * USEC_PER_MIN)
#define IN_MEMORY	":memory:"

static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE objects(resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,"
	" uid TEXT NOT NULL, rv INTEGER NOT NULL, expires INTEGER, data BLOB NOT NULL);"
	"CREATE UNIQUE INDEX objects_key ON objects(resource, ns, name);"
	"CREATE UNIQUE INDEX objects_uid ON objects(uid);"
	"CREATE INDEX objects_expires ON objects(expires) WHERE expires IS NOT NULL;"
	"CREATE TABLE log(rv INTEGER PRIMARY KEY, at INTEGER NOT NULL, type INTEGER NOT NULL,"
	" resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, before BLOB);"
	"CREATE INDEX log_key ON log(resource, ns, name, rv);"
	"CREATE TABLE owners(resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,"
	" owner TEXT NOT NULL, PRIMARY KEY(resource, ns, name, owner)) WITHOUT ROWID;"
	"CREATE INDEX owners_owner ON owners(owner);";

/* Before anything is read: the lock, and with it no file of shared memory beside the store. */
static const char first_setting[] = "PRAGMA locking_mode = EXCLUSIVE";

/* Deleted Secrets are overwritten where that costs no extra write. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
			       "PRAGMA synchronous = FULL;"
			       "PRAGMA secure_delete = FAST;"
			       "PRAGMA cache_size = -2048;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA trusted_schema = OFF;";

int store_exec(struct store *s, const char *sql, struct err *err)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return store_fail(s, err, "cannot set up");
}

/* --- permissions --- */

static int check_mode(const char *path, const struct stat *st, mode_t wanted, struct err *err)
{
	if (st->st_uid != geteuid())
		return err_set(
			err, ERR_DENIED,
			"%s belongs to user %u, not to us (%u): chown it or run as its owner", path,
			st->st_uid, geteuid());
	if (st->st_mode & 077)
		return err_set(err, ERR_DENIED,
			       "%s has mode %04o, but holds secrets: run chmod %o %s", path,
			       st->st_mode & 07777, wanted, path);
	return 0;
}

static int prepare_directory(const char *file, struct err *err)
{
	const char *slash = strrchr(file, '/');
	_cleanup_(freep) char *dir = slash == file ? xstrdup("/")
				     : slash	   ? xstrndup(file, (size_t)(slash - file))
						   : xstrdup(".");
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make the directory %s", dir);
	struct stat st;
	if (stat(dir, &st) < 0)
		return err_set_errno(err, errno, "cannot read %s", dir);
	return check_mode(dir, &st, 0700, err);
}

/* SQLite gives its side files (-wal) the mode of the main file. */
static int prepare_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", path);
	struct stat st;
	int r = fstat(fd, &st) < 0 ? err_set_errno(err, errno, "cannot read %s", path)
				   : check_mode(path, &st, 0600, err);
	close(fd);
	return r;
}

/* --- schema --- */

static int64_t read_number(struct store *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static int create_schema(struct store *s, struct err *err)
{
	_cleanup_(freep) char *sql = xasprintf(
		"BEGIN IMMEDIATE; %s INSERT INTO meta VALUES ('schema', %d), ('oldest', %d);"
		" COMMIT",
		schema, SCHEMA_VERSION, FIRST_REVISION);
	return store_exec(s, sql, err);
}

static int check_schema(struct store *s, struct err *err)
{
	int64_t tables = read_number(s, "SELECT count(*) FROM sqlite_schema");
	if (tables < 0)
		return store_fail(s, err, "cannot read");
	if (tables == 0)
		return 0; /* a new one */
	int64_t version = read_number(s, "SELECT value FROM meta WHERE key = 'schema'");
	if (version < 1)
		return err_set(err, ERR_INVALID,
			       "%s is not a store of Ingot: move it away or choose another"
			       " directory",
			       s->path);
	if (version > SCHEMA_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			       "%s was written by a newer Ingot (schema %" PRId64
			       ", this one knows %d): install that version again",
			       s->path, version, SCHEMA_VERSION);
	return 0;
}

static void read_revisions(struct store *s)
{
	s->oldest = (uint64_t)read_number(s, "SELECT value FROM meta WHERE key = 'oldest'");
	int64_t last = read_number(s, "SELECT max(rv) FROM log");
	s->revision = last > 0 ? MAX((uint64_t)last, s->oldest) : s->oldest;
	s->log_size = (uint64_t)read_number(s, "SELECT count(*) FROM log");
	s->committed = (struct position){ s->revision, s->oldest, s->log_size };
}

static int prepare_statements(struct store *s, struct err *err)
{
	for (int i = 0; i < _ST_MAX; i++)
		if (sqlite3_prepare_v3(s->db, store_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL) != SQLITE_OK)
			return store_fail(s, err, "cannot prepare a statement on");
	return 0;
}

/* While a file may turn out to be somebody else's, closing it must not move its WAL into it. */
static void leave_as_it_is(struct store *s, bool leave)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)leave, NULL);
}

static int set_up(struct store *s, struct err *err)
{
	leave_as_it_is(s, true);
	int r = store_exec(s, first_setting, err);
	if (r == 0)
		r = check_schema(s, err);
	if (r < 0)
		return r;
	leave_as_it_is(s, false);
	r = store_exec(s, settings, err);
	if (r == 0 && read_number(s, "SELECT count(*) FROM sqlite_schema") == 0)
		r = create_schema(s, err);
	if (r == 0)
		r = prepare_statements(s, err);
	if (r == 0)
		read_revisions(s);
	return r;
}

int store_open(const struct store_options *options, struct store **ret, struct err *err)
{
	bool file = !streq(options->path, IN_MEMORY);
	int r = file ? prepare_directory(options->path, err) : 0;
	if (r == 0 && file)
		r = prepare_file(options->path, err);
	if (r < 0)
		return r;
	struct store *s = xcalloc(1, sizeof(*s));
	s->path = xstrdup(options->path);
	s->log_max = options->log_max ? options->log_max : LOG_MAX_DEFAULT;
	s->log_max_age = options->log_max_age ? options->log_max_age : LOG_AGE_DEFAULT;
	if (sqlite3_open_v2(options->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		r = store_fail(s, err, "cannot open");
	else
		r = set_up(s, err);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	for (int i = 0; i < _ST_MAX; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
	return NULL;
}

/* All SQL text but the schema (open.c). Parameters are numbered so that one binder serves several
 * statements: ?1 resource, ?2 namespace, ?3 name wherever there is a key. */

#include "store/internal.h"

/* Where a list begins, in all namespaces or in one. Two statements each, because SQLite cannot use
 * an index through "?2 IS NULL OR". */
#define ALL(T) " " T ".resource = ?1 AND (" T ".ns, " T ".name) > (?5, ?6)"
#define ONE(T) " " T ".resource = ?1 AND " T ".ns = ?2 AND " T ".name > ?6"

/* The rows as they were at revision ?4: those that no later change touched, and of those that were
 * touched, what the first later change kept. Both arms come in index order, so SQLite merges them.
 */
#define STATE_AT(COLUMNS_NOW, COLUMNS_LOG, RANGE)                                                                      \
	"SELECT " COLUMNS_NOW " FROM objects o WHERE" RANGE(                                                           \
		"o") " AND NOT EXISTS (SELECT 1 FROM log l WHERE l.resource = o.resource AND l.ns = o.ns"              \
		     "  AND l.name = o.name AND l.rv > ?4)"                                                            \
		     " UNION ALL SELECT " COLUMNS_LOG " FROM log l WHERE" RANGE(                                       \
			     "l") " AND l.rv > ?4 AND l.before IS NOT NULL"                                            \
				  " AND NOT EXISTS (SELECT 1 FROM log e WHERE e.resource = l.resource AND e.ns = l.ns" \
				  "  AND e.name = l.name AND e.rv > ?4 AND e.rv < l.rv)"

#define COLUMNS "o.resource, o.ns, o.name, o.uid, o.rv, o.data"
#define LIST(RANGE)                                                                                \
	"SELECT " COLUMNS " FROM objects o WHERE" RANGE("o") " ORDER BY o.ns, o.name LIMIT ?7"
#define LIST_AT(RANGE)                                                                             \
	STATE_AT(COLUMNS, "l.resource, l.ns, l.name, NULL, 0, l.before", RANGE)                    \
	" ORDER BY 2, 3 LIMIT ?7"
#define COUNT(RANGE)	"SELECT count(*) FROM objects o WHERE" RANGE("o")
#define COUNT_AT(RANGE) "SELECT count(*) FROM (" STATE_AT("1", "1", RANGE) ")"

const char *const store_statements[_ST_MAX] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_SAVEPOINT] = "SAVEPOINT request",
	[ST_REVERT] = "ROLLBACK TO request",
	[ST_RELEASE] = "RELEASE request",
	[ST_GET] = "SELECT resource, ns, name, uid, rv, data FROM objects"
		   " WHERE resource = ?1 AND ns = ?2 AND name = ?3",
	[ST_GET_UID] = "SELECT resource, ns, name, uid, rv, data FROM objects WHERE uid = ?1",
	[ST_INSERT] = "INSERT INTO objects(resource, ns, name, uid, rv, expires, data)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ST_UPDATE] = "UPDATE objects SET uid = ?4, rv = ?5, expires = ?6, data = ?7"
		      " WHERE resource = ?1 AND ns = ?2 AND name = ?3",
	[ST_DELETE] = "DELETE FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3",
	/* Before the change itself: it reads what the change is about to replace. */
	[ST_LOG] =
		"INSERT INTO log(rv, at, type, resource, ns, name, before) VALUES (?4, ?5, ?6, ?1, ?2, ?3,"
		" (SELECT data FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3))",
	[ST_LIST] = LIST(ALL),
	[ST_LIST_NS] = LIST(ONE),
	[ST_LIST_AT] = LIST_AT(ALL),
	[ST_LIST_AT_NS] = LIST_AT(ONE),
	[ST_COUNT] = COUNT(ALL),
	[ST_COUNT_NS] = COUNT(ONE),
	[ST_COUNT_AT] = COUNT_AT(ALL),
	[ST_COUNT_AT_NS] = COUNT_AT(ONE),
	[ST_CHANGES] = "SELECT rv, type, resource, ns, name, before FROM log"
		       " WHERE rv > ?4 AND resource = ?1 AND (?2 IS NULL OR ns = ?2) ORDER BY rv",
	[ST_STATE_AFTER] =
		"SELECT coalesce("
		"(SELECT before FROM log WHERE resource = ?1 AND ns = ?2 AND name = ?3"
		" AND rv > ?4 ORDER BY rv LIMIT 1),"
		"(SELECT data FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3))",
	[ST_OWNER_ADD] = "INSERT OR IGNORE INTO owners(resource, ns, name, owner)"
			 " VALUES (?1, ?2, ?3, ?4)",
	[ST_OWNER_CLEAR] = "DELETE FROM owners WHERE resource = ?1 AND ns = ?2 AND name = ?3",
	[ST_OWNED] = "SELECT resource, ns, name, NULL, 0, NULL FROM owners WHERE owner = ?1"
		     " ORDER BY resource, ns, name",
	[ST_ORPHANS] = "SELECT DISTINCT resource, ns, name, NULL, 0, NULL FROM owners"
		       " WHERE NOT EXISTS (SELECT 1 FROM objects WHERE uid = owner)"
		       " ORDER BY resource, ns, name",
	[ST_EXPIRED] = "SELECT resource, ns, name, NULL, 0, NULL FROM objects"
		       " WHERE expires IS NOT NULL AND expires <= ?1 ORDER BY expires LIMIT ?2",
	[ST_NEXT_EXPIRY] = "SELECT min(expires) FROM objects WHERE expires IS NOT NULL",
	/* The newest row stays whatever its age: the revision is read from it at start. */
	[ST_LOG_BOUND] =
		"SELECT max(rv) FROM (SELECT max(rv) AS rv FROM log WHERE at <= ?1"
		" UNION ALL SELECT (SELECT rv FROM log ORDER BY rv DESC LIMIT 1 OFFSET ?2))",
	[ST_LOG_TRIM] = "DELETE FROM log WHERE rv <= ?1",
	[ST_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[ST_META_SET] = "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)",
};

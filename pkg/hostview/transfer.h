#pragma once
/* What becomes of objects that are moved from one API server to another: which hosts may go at all,
 * and what of an object is another there (UIDs, versions). Pure. */

#include <stdbool.h>

#include "base/map.h"
#include "json/json.h"

/* On hosts while they are moved. The value of `paused` says that nobody but us set it; that of
 * `delete-for-move` that the copy is complete. */
#define TRANSFER_MARK	 "ingot.dev/move"
#define TRANSFER_PAUSED	 "baremetalhost.metal3.io/paused"
#define TRANSFER_STATUS	 "baremetalhost.metal3.io/status"
#define TRANSFER_LEAVING "clusterctl.cluster.x-k8s.io/delete-for-move"
/* On the copy: where it came from, "<UID of the namespace there>/<UID of the host there>". */
#define TRANSFER_MOVED_FROM "ingot.dev/moved-from"

const char *transfer_annotation(const struct json *object, const char *key);
bool transfer_is_paused_by_us(const struct json *host);
/* Its copy is complete. */
bool transfer_is_leaving(const struct json *host);

/* Why the host cannot go now, for a person; new. NULL: it is at rest. `record` may be NULL. */
char *transfer_obstacle(const struct json *host, const struct json *record);

/* What the source's UIDs (keys) are at the target (const char *, borrowed). */
struct transfer_uids {
	struct map map;
};

/* A copy to be created: without what the server sets and without status; owners that are not moved
 * fall away, because a UID that does not exist would have the object collected at once. */
struct json *transfer_copy(const struct json *object, const struct transfer_uids *uids);
/* Likewise of a host: paused, with its status in the annotation that controllers of metal3.io
 * restore it from. `moved_from` as in TRANSFER_MOVED_FROM. */
struct json *transfer_host(const struct json *host, const char *moved_from);
/* Of a HostRecord. The ramdisk that may run knows the host by its old UID, from which its token is
 * made: that is kept, unless the installation's key is another there, and what is known of the
 * ramdisk worth nothing. */
struct json *transfer_record(const struct json *record, const struct transfer_uids *uids,
			     bool same_key);
/* The host's status there. `secret_from`, `secret_to`: its BMC's Secret, so that credentials that
 * were tried are not tried again; may be NULL. */
struct json *transfer_status(const struct json *host, const char *new_uid,
			     const struct json *secret_from, const struct json *secret_to);
/* Names of all Secrets that a host's spec names, each once; an array of strings. */
struct json *transfer_secrets(const struct json *host);
/* May this Secret be taken for the copy of that one? */
bool transfer_same_secret(const struct json *a, const struct json *b);

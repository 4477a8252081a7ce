/* Objects on their way to another API server (see transfer.h). Pure. */

#include "hostview/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/mem.h"

const char *transfer_annotation(const struct json *object, const char *key)
{
	return json_get_string(json_get_path(object, "metadata.annotations"), key);
}

bool transfer_is_paused_by_us(const struct json *host)
{
	return streq(transfer_annotation(host, TRANSFER_PAUSED), TRANSFER_MARK);
}

bool transfer_is_leaving(const struct json *host)
{
	return streq(transfer_annotation(host, TRANSFER_LEAVING), TRANSFER_MARK);
}

/* --- may it go? ------------------------------------------------------------------------------- */

/* States in which nothing is done to a host unless its spec changes. "" and the rest are left as
 * soon as Ingot looks at the host. */
static const char *const resting[] = { "unmanaged", "ready", "available", "provisioned",
				       "externally provisioned" };

static bool is_resting(const char *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(resting); i++)
		if (streq(state, resting[i]))
			return true;
	return false;
}

/* Spec and status agree on what is to run there. */
static bool image_is_settled(const struct json *host, const char *state)
{
	const char *wanted = str_or(json_get_path_string(host, "spec.image.url"), "");
	const char *there = str_or(json_get_path_string(host, "status.provisioning.image.url"), "");
	bool online = json_get_bool(json_get(host, "spec"), "online", false);
	if (streq(state, "provisioned"))
		return streq(wanted, there);
	return !streq(state, "available") || !online || str_empty(wanted);
}

static bool power_is_settled(const struct json *host, const char *state)
{
	const struct json *spec = json_get(host, "spec"), *status = json_get(host, "status");
	bool wanted = json_get_bool(spec, "online", false);
	bool is = json_get_bool(status, "poweredOn", false);
	if (streq(state, "unmanaged") ||
	    streq(json_get_string(status, "operationalStatus"), "detached"))
		return true;
	return wanted == is || (is && json_get_bool(spec, "disablePowerOff", false));
}

/* An annotation that asks for a reboot is also "reboot.metal3.io/<who>". */
static bool wants_reboot(const struct json *host)
{
	json_for_each(a, json_get_path(host, "metadata.annotations")) {
		if (streq(json_key(a), "reboot.metal3.io") ||
		    str_has_prefix(json_key(a), "reboot.metal3.io/"))
			return true;
	}
	return false;
}

static char *obstacle_of_state(const struct json *host)
{
	const char *state = str_or(json_get_path_string(host, "status.provisioning.state"), "");
	const char *error = json_get_path_string(host, "status.errorType");
	/* Nothing is known of it, so there is nothing to lose. */
	if (streq(state, "registering") && streq(error, "registration error"))
		return NULL;
	if (!is_resting(state))
		return xasprintf("it is %s%s%s%s", *state ? state : "new and not looked at yet",
				 str_empty(error) ? "" : " (", str_or(error, ""),
				 str_empty(error) ? "" : ")");
	/* A host that somebody has paused stays as it is, whatever its spec wants. */
	if (transfer_annotation(host, TRANSFER_PAUSED) && !transfer_is_paused_by_us(host))
		return NULL;
	if (!image_is_settled(host, state))
		return xstrdup("its image is about to change");
	if (!power_is_settled(host, state))
		return xstrdup("its power is about to change");
	return wants_reboot(host) ? xstrdup("it is about to be rebooted") : NULL;
}

char *transfer_obstacle(const struct json *host, const struct json *record)
{
	const char *operation = json_get_path_string(record, "spec.step.operation");
	const char *leaving = transfer_annotation(host, TRANSFER_LEAVING);
	if (transfer_is_leaving(host))
		return NULL;
	if (leaving)
		return xstrdup("another move, of clusterctl perhaps, is taking it away");
	if (!json_is_null(json_get_path(host, "metadata.deletionTimestamp")))
		return xstrdup("it is being deleted");
	if (!str_empty(operation))
		return xasprintf(
			"an operation is under way: %s, step \"%s\"", operation,
			str_or(json_get_path_string(record, "spec.step.name"), "not begun"));
	return obstacle_of_state(host);
}

/* --- copies ----------------------------------------------------------------------------------- */

static void set_owners(struct json *meta, const struct transfer_uids *uids)
{
	_cleanup_(json_freep) struct json *owners = json_take(meta, "ownerReferences");
	struct json *kept = json_new_array();
	json_for_each(o, owners) {
		const char *uid = uids ? map_get(&uids->map, str_or(json_get_string(o, "uid"), ""))
				       : NULL;
		if (uid)
			json_set_string(json_append(kept, json_dup(o)), "uid", uid);
	}
	if (json_count(kept) > 0)
		json_set(meta, "ownerReferences", kept);
	else
		json_free(kept);
}

struct json *transfer_copy(const struct json *object, const struct transfer_uids *uids)
{
	static const char *const servers[] = { "uid",
					       "resourceVersion",
					       "generation",
					       "creationTimestamp",
					       "deletionTimestamp",
					       "deletionGracePeriodSeconds",
					       "managedFields",
					       "selfLink" };
	struct json *copy = json_dup(object);
	struct json *meta = json_get_mut(copy, "metadata");
	json_remove(copy, "status");
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		json_remove(meta, servers[i]);
	set_owners(meta, uids);
	return copy;
}

struct json *transfer_host(const struct json *host, const char *moved_from)
{
	struct json *copy = transfer_copy(host, NULL);
	struct json *notes = json_make_object(json_get_mut(copy, "metadata"), "annotations");
	_cleanup_(json_freep) struct json *status = json_dup(json_get(host, "status"));
	/* It is in HardwareData, and large. */
	json_remove(status, "hardware");
	_cleanup_(freep) char *text = json_is_object(status) ? json_to_string(status) : NULL;
	json_remove(notes, TRANSFER_LEAVING);
	if (!json_get_string(notes, TRANSFER_PAUSED))
		json_set_string(notes, TRANSFER_PAUSED, TRANSFER_MARK);
	json_set_string(notes, TRANSFER_STATUS, text);
	json_set_string(notes, TRANSFER_MOVED_FROM, moved_from);
	return copy;
}

struct json *transfer_record(const struct json *record, const struct transfer_uids *uids,
			     bool same_key)
{
	struct json *copy = transfer_copy(record, uids);
	struct json *spec = json_get_mut(copy, "spec");
	const char *old = json_get_string(spec, "hostUID");
	const char *fresh = map_get(&uids->map, str_or(old, ""));
	struct json *boot = json_get_mut(spec, "boot");
	if (!same_key) {
		json_remove(spec, "boot");
		json_remove(spec, "agent");
	} else if (json_get_string(boot, "nonce") && !json_get_string(boot, "hostUID")) {
		json_set_string(boot, "hostUID", old);
	}
	/* A record of another host of that name, which is gone, stays that. */
	if (fresh)
		json_set_string(spec, "hostUID", fresh);
	return copy;
}

static void follow_secret(struct json *status, const char *member, const struct json *from,
			  const struct json *to)
{
	struct json *credentials = json_get_mut(status, member);
	const char *was = json_get_path_string(from, "metadata.resourceVersion");
	const char *is = json_get_path_string(to, "metadata.resourceVersion");
	if (was && is && streq(json_get_string(credentials, "credentialsVersion"), was))
		json_set_string(credentials, "credentialsVersion", is);
}

struct json *transfer_status(const struct json *host, const char *new_uid,
			     const struct json *secret_from, const struct json *secret_to)
{
	struct json *status = json_dup(json_get(host, "status"));
	struct json *provisioning = json_get_mut(status, "provisioning");
	const char *old = json_get_path_string(host, "metadata.uid");
	follow_secret(status, "goodCredentials", secret_from, secret_to);
	follow_secret(status, "triedCredentials", secret_from, secret_to);
	if (streq(json_get_string(provisioning, "ID"), old))
		json_set_string(provisioning, "ID", new_uid);
	return status;
}

/* --- Secrets ---------------------------------------------------------------------------------- */

struct json *transfer_secrets(const struct json *host)
{
	static const char *const paths[] = { "spec.bmc.credentialsName", "spec.userData.name",
					     "spec.metaData.name", "spec.networkData.name",
					     "spec.preprovisioningNetworkDataName" };
	struct json *names = json_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *name = json_get_path_string(host, paths[i]);
		/* Ingot's own Secret would be removed at the source with the host. */
		bool known = str_empty(name) || secret_is_own(name);
		json_for_each(n, names) {
			known |= streq(json_string(n), name);
		}
		if (!known)
			json_append(names, json_new_string(name));
	}
	return names;
}

bool transfer_same_secret(const struct json *a, const struct json *b)
{
	return json_equal(json_get(a, "data"), json_get(b, "data"));
}

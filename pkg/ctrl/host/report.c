/* What a reconcile writes and tells: its writes as rows, events, and the host's error with its
 * count and back-off. Pure: all of it goes into the outcome. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"
#include "ctrl/resources.h"
#include "json/patch.h"

/* --- writes and events ------------------------------------------------------------------------ */

static const struct write host_writes[] = {
	[HOST_PATCH_STATUS] = { WRITE_MERGE_PATCH, &resource_host, .subresource = "status" },
	[HOST_PATCH] = { WRITE_MERGE_PATCH, &resource_host },
	[HOST_SECRET_PATCH] = { WRITE_MERGE_PATCH, &resource_secret, .may_be_gone = true },
	[HOST_HARDWARE_CREATE] = { WRITE_CREATE, &resource_hardware_data },
	[HOST_HARDWARE_PATCH] = { WRITE_MERGE_PATCH, &resource_hardware_data, .may_be_gone = true },
	[HOST_HARDWARE_DELETE] = { WRITE_DELETE, &resource_hardware_data, .may_be_gone = true },
	[HOST_RECORD_UPDATE] = { WRITE_UPDATE, &resource_record, .may_be_gone = true },
};

void host_write(struct reconcile *rc, enum host_write kind, const char *name, struct json *body)
{
	struct write w = host_writes[kind];
	w.ns = xstrdup(rc->host.meta.ns);
	w.name = xstrdup(kind == HOST_SECRET_PATCH ? name : rc->host.meta.name);
	w.uid = kind == HOST_HARDWARE_DELETE ? xstrdup(name) : NULL;
	w.body = body;
	outcome_write(rc->out, &w);
}

void host_event(struct reconcile *rc, bool warning, const char *reason, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	outcome_event(rc->out, warning, reason, xstrdup(text));
}

struct json *host_locked_patch(const struct reconcile *rc)
{
	struct json *patch = json_new_object();
	json_set_string(json_make_object(patch, "metadata"), "resourceVersion",
			rc->host.meta.resource_version);
	return patch;
}

void host_remove_annotation(struct reconcile *rc, const char *key)
{
	/* Only our key is named, so no other client's change can be lost and no lock is needed. */
	struct json *patch = json_new_object();
	json_set(json_make_object(json_make_object(patch, "metadata"), "annotations"), key,
		 json_new_null());
	host_write(rc, HOST_PATCH, NULL, patch);
	json_remove(rc->host.meta.annotations, key);
}

/* --- errors ----------------------------------------------------------------------------------- */

usec_t host_backoff(int64_t error_count, double random)
{
	unsigned n = error_count < 0 ? 0 : error_count > 9 ? 9 : (unsigned)error_count;
	usec_t longest = USEC_PER_MIN << n;
	return longest - (usec_t)((double)longest * random / 2);
}

static void set_error(struct reconcile *rc, enum bmh_error error, const char *reason,
		      const char *text)
{
	struct bmh_status *s = &rc->host.status;
	s->operational = BMH_OP_ERROR;
	s->error = (int)error;
	str_replace(&s->error_message, text);
	s->error_count++;
	host_count(rc, METRIC_HOST_ERRORS, reason);
	host_event(rc, true, reason, "%s", text);
}

/* Who deletes a host whose BMC is gone for good waits for nothing; it can be let go at once. */
static void add_way_out(const struct reconcile *rc, char *text, size_t size)
{
	char way[512];
	snprintf(
		way, sizeof(way),
		" (error %lld of %d, then the deletion goes on without; to let the host go now, as it is: "
		"kubectl annotate bmh -n %s %s " BMH_DETACHED "=)",
		(long long)MIN(rc->host.status.error_count + 1, (int64_t)DELETION_ERRORS_MAX),
		DELETION_ERRORS_MAX, rc->host.meta.ns, rc->host.meta.name);
	size_t room = size - strlen(way) - 1, len = strlen(text);
	snprintf(text + MIN(len, room), size - MIN(len, room), "%s", way);
}

struct next host_fail(struct reconcile *rc, enum bmh_error error, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	host_take_power(rc); /* an error may stand for long */
	if (rc->host.meta.deleted_at)
		add_way_out(rc, text, sizeof(text));
	set_error(rc, error, bmh_error_reason(error), text);
	return (struct next){ NEXT_BACKOFF,
			      host_backoff(rc->host.status.error_count, rc->facts->random) };
}

struct next host_fail_once(struct reconcile *rc, enum bmh_error error, usec_t delay,
			   const char *reason, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const struct bmh_status *s = &rc->host.status;
	host_take_power(rc);
	if (s->error != (int)error || !streq(s->error_message, text))
		set_error(rc, error, reason, text);
	return (struct next){ NEXT_WAIT, delay };
}

void host_show_error(struct reconcile *rc, enum bmh_error error, const char *text)
{
	int64_t count = rc->host.status.error_count;
	if (rc->host.status.error == BMH_ERROR_POWER)
		return;
	host_fail_once(rc, error, 0, bmh_error_reason(error), "%s", text);
	rc->host.status.error_count = count;
}

bool host_clear_error(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	bool dirty = s->operational != BMH_OP_OK || s->error != BMH_ERROR_NONE ||
		     !str_empty(s->error_message);
	s->operational = BMH_OP_OK;
	s->error = BMH_ERROR_NONE;
	str_replace(&s->error_message, "");
	return dirty;
}

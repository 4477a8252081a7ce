/* Releases (see release.h). What is held stands in the HostRecords. */

#include "hostview/release.h"

#include <stdlib.h>

#include "api/bmh.h"
#include "base/mem.h"
#include "hostview/call.h"

/* Of the record's host, if it is held; else NULL. */
static const char *hold_id(const struct json *record, const struct json *host)
{
	const struct json *spec = json_get(record, "spec"), *hold = json_get(spec, "hold");
	bool its = streq(json_get_string(spec, "hostUID"),
			 json_get_path_string(host, "metadata.uid"));
	const char *id = json_get_string(hold, "id");
	return its && !str_empty(id) && !json_get_bool(hold, "released", false) ? id : NULL;
}

static int annotate(struct hostview *c, const char *ns, const char *name, const char *id,
		    struct err *err)
{
	_cleanup_(json_freep) struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(json_make_object(meta, "annotations"), BMH_RELEASE, id);
	return hostview_patch(c, &hostview_hosts, ns, name, NULL, patch, NULL, err);
}

static int release(struct hostview *c, const struct release_options *o, const struct json *host,
		   const struct json *record, unsigned *count, struct err *err)
{
	const char *ns = kube_namespace(host), *name = kube_name(host);
	const char *id = hold_id(record, host), *state = "not held";
	if (!id && !o->host)
		return 0;
	int r = id ? annotate(c, ns, name, id, err) : 0;
	if (r < 0)
		return r;
	if (id)
		state = "released";
	_cleanup_(freep) char *line = xasprintf("%s/%s: %s", ns, name, state);
	o->say(o->data, line);
	*count += id != NULL;
	return 0;
}

int release_run(struct hostview *c, const struct release_options *o, struct err *err)
{
	struct hostview_look look = { 0 };
	unsigned count = 0;
	int r = hostview_look(c, o->host, &look, err);
	json_for_each(host, look.hosts) {
		if (r == 0)
			r = release(
				c, o, host,
				hostview_find(look.records, kube_namespace(host), kube_name(host)),
				&count, err);
	}
	if (r == 0 && count == 0 && !o->host)
		o->say(o->data, "no host is held");
	hostview_look_done(&look);
	return r;
}

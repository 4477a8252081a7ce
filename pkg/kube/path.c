/* API paths. No fixed buffers, no segment that a name could
 * leave. Pure. */

#include "kube/path.h"

#include <string.h>

static void add_segment(struct strbuf *out, const char *segment)
{
	strbuf_addc(out, '/');
	strbuf_add_urlencoded(out, segment);
}

/* "." and ".." are no longer than other names once encoded, but proxies fold them. */
static bool usable(const char *segment)
{
	return !str_empty(segment) && !streq(segment, ".") && !streq(segment, "..") &&
	       strlen(segment) <= 253; // NOLINT: never NULL here
}

int kube_path(struct strbuf *out, const struct kube_resource *r, const char *ns, const char *name,
	      const char *subresource, struct err *err)
{
	if (name && !usable(name))
		return err_set(err, ERR_INVALID, "%s without a usable name", r->kind);
	if (r->scope != KUBE_CLUSTER && (ns || name) && !usable(ns))
		return err_set(err, ERR_INVALID, "%s %s without a usable namespace", r->kind,
			       str_or(name, ""));
	strbuf_adds(out, r->group[0] ? "/apis" : "/api");
	if (r->group[0])
		add_segment(out, r->group);
	add_segment(out, r->version);
	if (r->scope != KUBE_CLUSTER && ns) {
		strbuf_adds(out, "/namespaces");
		add_segment(out, ns);
	}
	add_segment(out, r->plural);
	if (name)
		add_segment(out, name);
	if (subresource)
		add_segment(out, subresource);
	return 0;
}

void kube_query(struct strbuf *out, const char *key, const char *value)
{
	if (!value)
		return;
	strbuf_addc(out, out->data && strchr(out->data, '?') ? '&' : '?');
	strbuf_adds(out, key);
	strbuf_addc(out, '=');
	strbuf_add_urlencoded(out, value);
}

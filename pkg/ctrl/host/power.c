/* Power management of hosts that rest: `online`, and reboot annotations. Pure but for the
 * provisioner. */

#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

/* What the reboot annotations ask for together. `base`: by the annotation without a suffix,
 * which Ingot removes; one with a suffix belongs to its author, and keeps the host off until the
 * author removes it. */
struct reboot_wish {
	bool any, hard, force, base;
};

/* A value that is not JSON still asks for a reboot: ignoring it would leave its author waiting. */
static void add_wish(struct reconcile *rc, struct reboot_wish *w, const char *key,
		     const char *value)
{
	_cleanup_(json_freep) struct json *j = NULL;
	struct err err = { 0 };
	w->any = true;
	w->base |= streq(key, BMH_REBOOT);
	if (str_empty(value))
		return;
	if (json_parse(value, strlen(value), &j, &err) < 0) {
		host_event(rc, true, "InvalidAnnotationValue",
			   "annotation %s: %s; taken as a soft reboot", key, err.text);
		return;
	}
	w->hard |= streq(json_get_string(j, "mode"), "hard");
	w->force |= json_get_bool(j, "force", false);
}

/* In states without a running tenant only forced wishes count. */
static struct reboot_wish reboot_wish(struct reconcile *rc, bool provisioned)
{
	struct reboot_wish all = { 0 };
	json_for_each(a, rc->host.meta.annotations) {
		const char *key = json_key(a);
		struct reboot_wish one = { 0 };
		if (!streq(key, BMH_REBOOT) && !str_has_prefix(key, BMH_REBOOT "/"))
			continue;
		add_wish(rc, &one, key, json_string(a));
		if (!provisioned && !one.force)
			continue;
		all.any = true;
		all.hard |= one.hard;
		all.force |= one.force;
		all.base |= one.base;
	}
	return all;
}

/* For states that are busy, in which a reboot would otherwise have to wait for the end of the
 * work. */
bool host_force_reboot(const struct reconcile *rc)
{
	json_for_each(a, rc->host.meta.annotations) {
		_cleanup_(json_freep) struct json *j = NULL;
		const char *key = json_key(a), *value = json_string(a);
		if ((streq(key, BMH_REBOOT) || str_has_prefix(key, BMH_REBOOT "/")) && value &&
		    json_parse(value, strlen(value), &j, NULL) == 0 &&
		    json_get_bool(j, "force", false))
			return true;
	}
	return false;
}

bool host_take_power(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct provisioner *pr = rc->facts->provisioner;
	bool fault;
	if (!rc->prov.key)
		return false; /* the host is not looked at in this reconcile */
	enum prov_power now = pr->ops->power(pr, &rc->prov, &fault);
	if (now == PROV_POWER_UNKNOWN || s->powered_on == (now == PROV_POWER_ON))
		return false;
	s->powered_on = now == PROV_POWER_ON;
	return true;
}

/* True: that was news, which is stored first. */
static bool observe(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	if (!host_take_power(rc))
		return false;
	if (s->error == BMH_ERROR_POWER)
		host_clear_error(rc);
	return true;
}

/* A soft power-off that fails is followed by a hard one at the next try: the error count says
 * so. */
static struct next power_failed(struct reconcile *rc, bool soft, const char *text)
{
	return host_fail(
		rc, BMH_ERROR_POWER, "%s%s",
		soft ? "Continuing with hard poweroff after soft poweroff fails. More details: "
		     : "",
		text);
}

static struct next change(struct reconcile *rc, bool on, const struct reboot_wish *wish)
{
	struct bmh_status *s = &rc->host.status;
	struct provisioner *pr = rc->facts->provisioner;
	bool retry = s->error == BMH_ERROR_POWER, hard = wish->hard || s->error_count > 0;
	struct prov_result r;
	if (on)
		pr->ops->power_on(pr, &rc->prov, retry, &r);
	else
		pr->ops->power_off(pr, &rc->prov, hard, retry, &r);
	if (r.outcome == PROV_FAILED)
		return power_failed(rc, !on && !hard, host_words(&r));
	/* When it is asked for, as upstream does; that it came about is seen later. */
	if (r.started)
		host_count(rc, METRIC_POWER_CHANGES, on ? "on" : "off");
	if (r.outcome == PROV_RUNNING) {
		if (retry)
			host_clear_error(rc);
		return (struct next){ NEXT_WAIT, r.requeue };
	}
	s->powered_on = on;
	s->error_count = 0;
	return (struct next){ NEXT_AGAIN, 0 };
}

struct next host_power(struct reconcile *rc, bool provisioned)
{
	struct bmh_status *s = &rc->host.status;
	if (observe(rc))
		return (struct next){ NEXT_AGAIN, 0 };
	struct reboot_wish wish = reboot_wish(rc, provisioned);
	if (!s->powered_on && wish.base) {
		/* Off was seen: that ends the first half of the reboot. */
		host_remove_annotation(rc, BMH_REBOOT);
		return (struct next){ NEXT_AGAIN, 0 };
	}
	bool want_on = rc->host.spec.online && !wish.any;
	if (want_on != s->powered_on && !(rc->host.spec.disable_power_off && !want_on))
		return change(rc, want_on, &wish);
	if (s->error == BMH_ERROR_POWER)
		host_clear_error(rc);
	s->error_count = 0;
	return (struct next){ NEXT_WAIT, USEC_PER_MIN };
}

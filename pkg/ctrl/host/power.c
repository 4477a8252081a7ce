/* Power management of hosts that rest: `online`, and reboot annotations. Pure but for the
 * provisioner. */

#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

struct reboot_wish {
	bool any, hard, force, base;
};

static void add_wish(struct pass *p, struct reboot_wish *w, const char *key, const char *value)
{
	_cleanup_(json_freep) struct json *j = NULL;
	struct err err = { 0 };
	w->any = true;
	w->base |= streq(key, BMH_REBOOT);
	if (str_empty(value))
		return;
	if (json_parse(value, strlen(value), &j, &err) < 0) {
		pass_event(p, true, "InvalidAnnotationValue",
			   "annotation %s: %s; taken as a soft reboot", key, err.text);
		return;
	}
	w->hard |= streq(json_get_string(j, "mode"), "hard");
	w->force |= json_get_bool(j, "force", false);
}

/* In states without a running tenant only forced wishes count. */
static struct reboot_wish reboot_wish(struct pass *p, bool provisioned)
{
	struct reboot_wish all = { 0 };
	json_for_each(a, p->host.meta.annotations) {
		const char *key = json_key(a);
		struct reboot_wish one = { 0 };
		if (!streq(key, BMH_REBOOT) && !str_has_prefix(key, BMH_REBOOT "/"))
			continue;
		add_wish(p, &one, key, json_string(a));
		if (!provisioned && !one.force)
			continue;
		all.any = true;
		all.hard |= one.hard;
		all.force |= one.force;
		all.base |= one.base;
	}
	return all;
}

bool pass_force_reboot(const struct pass *p)
{
	json_for_each(a, p->host.meta.annotations) {
		_cleanup_(json_freep) struct json *j = NULL;
		const char *key = json_key(a), *value = json_string(a);
		if ((streq(key, BMH_REBOOT) || str_has_prefix(key, BMH_REBOOT "/")) && value &&
		    json_parse(value, strlen(value), &j, NULL) == 0 &&
		    json_get_bool(j, "force", false))
			return true;
	}
	return false;
}

bool pass_take_power(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct provisioner *pr = p->facts->provisioner;
	bool fault;
	if (!p->prov.key)
		return false; /* the host is not looked at in this pass */
	enum prov_power now = pr->ops->power(pr, &p->prov, &fault);
	if (now == PROV_POWER_UNKNOWN || s->powered_on == (now == PROV_POWER_ON))
		return false;
	s->powered_on = now == PROV_POWER_ON;
	return true;
}

/* True: that was news, which is stored first. */
static bool observe(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	if (!pass_take_power(p))
		return false;
	if (s->error == BMH_ERROR_POWER)
		pass_clear_error(p);
	return true;
}

static struct next power_failed(struct pass *p, bool soft, const char *text)
{
	return pass_fail(
		p, BMH_ERROR_POWER, "%s%s",
		soft ? "Continuing with hard poweroff after soft poweroff fails. More details: "
		     : "",
		text);
}

static struct next change(struct pass *p, bool on, const struct reboot_wish *wish)
{
	struct bmh_status *s = &p->host.status;
	struct provisioner *pr = p->facts->provisioner;
	bool retry = s->error == BMH_ERROR_POWER, hard = wish->hard || s->error_count > 0;
	struct prov_result r;
	if (on)
		pr->ops->power_on(pr, &p->prov, retry, &r);
	else
		pr->ops->power_off(pr, &p->prov, hard, retry, &r);
	if (r.outcome == PROV_FAILED)
		return power_failed(p, !on && !hard, pass_words(&r));
	/* When it is asked for, as upstream does; that it came about is seen later. */
	if (r.started)
		pass_count(p, METRIC_POWER_CHANGES, on ? "on" : "off");
	if (r.outcome == PROV_RUNNING) {
		if (retry)
			pass_clear_error(p);
		return (struct next){ NEXT_WAIT, r.requeue };
	}
	s->powered_on = on;
	s->error_count = 0;
	return (struct next){ NEXT_AGAIN, 0 };
}

struct next pass_power(struct pass *p, bool provisioned)
{
	struct bmh_status *s = &p->host.status;
	if (observe(p))
		return (struct next){ NEXT_AGAIN, 0 };
	struct reboot_wish wish = reboot_wish(p, provisioned);
	if (!s->powered_on && wish.base) {
		/* Off was seen: that ends the first half of the reboot. */
		pass_remove_annotation(p, BMH_REBOOT);
		return (struct next){ NEXT_AGAIN, 0 };
	}
	bool want_on = p->host.spec.online && !wish.any;
	if (want_on != s->powered_on && !(p->host.spec.disable_power_off && !want_on))
		return change(p, want_on, &wish);
	if (s->error == BMH_ERROR_POWER)
		pass_clear_error(p);
	s->error_count = 0;
	return (struct next){ NEXT_WAIT, USEC_PER_MIN };
}

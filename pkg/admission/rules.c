/* The table of kinds, and what all rules have in common. Pure. */

#include "admission/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admission/internal.h"
#include "base/mem.h"

enum { ERRORS_MAX = 32 }; /* more are of no use to anybody, and are compared with each other */

static const struct rule_kind kinds[] = {
	{ "BareMetalHost", "baremetalhost", "baremetalhosts", false, true, rule_host },
	{ "BMCEventSubscription", "bmceventsubscription", "bmceventsubscriptions", false, false,
	  rule_event_subscription },
	{ "DataImage", "dataimage", "dataimages", false, false, rule_data_image },
	{ "HostClaim", "hostclaim", "hostclaims", false, false, rule_claim },
	{ "HostFirmwareComponents", "hostfirmwarecomponents", "hostfirmwarecomponents", false,
	  false, rule_firmware_components },
	{ "HostNetworkAttachment", "hostnetworkattachment", "hostnetworkattachments", true, false,
	  rule_attachment },
	{ "BareMetalSwitch", "baremetalswitch", "baremetalswitches", false, false, NULL },
	{ "HostDeployPolicy", "hostdeploypolicy", "hostdeploypolicies", false, false, NULL },
	{ "HostFirmwareSettings", "hostfirmwaresettings", "hostfirmwaresettings", false, false,
	  NULL },
	{ "HostUpdatePolicy", "hostupdatepolicy", "hostupdatepolicies", false, false, NULL },
	{ "PreprovisioningImage", "preprovisioningimage", "preprovisioningimages", false, false,
	  NULL },
	{ 0 },
};

const struct rule_kind *rules_kinds(void)
{
	return kinds;
}

const struct rule_kind *rules_find(const char *kind)
{
	for (const struct rule_kind *k = kinds; k->kind; k++)
		if (streq(k->kind, kind))
			return k;
	return NULL;
}

bool rule_changed(const struct rule_subject *s, const char *path)
{
	const struct json *now = json_get_path(s->now, path), *old = json_get_path(s->old, path);
	if (!s->old)
		return true;
	return !json_equal(now, old) && !(json_is_null(now) && json_is_null(old));
}

static bool being_deleted(const struct json *object)
{
	return !str_empty(json_get_path_string(object, "metadata.deletionTimestamp"));
}

bool rules_want_hosts(const struct rule_subject *s)
{
	if (!streq(s->kind, "HostNetworkAttachment") || being_deleted(s->now) ||
	    being_deleted(s->old))
		return false;
	return s->operation == RULE_DELETE ||
	       (s->operation == RULE_UPDATE && rule_changed(s, "spec"));
}

/* Who writes one expects something of it. */
static void warn_unserved(const struct rule_kind *k, const struct rule_subject *s,
			  struct rule_findings *ret)
{
	if (!k->served && s->operation != RULE_DELETE && !ret->errors.count &&
	    rule_changed(s, "spec"))
		rule_warn(ret,
			  "%s is stored, and nothing comes of it: no controller of this Ingot "
			  "acts on that kind yet",
			  k->kind);
}

void rules_check(const struct rule_subject *s, struct rule_findings *ret)
{
	const struct rule_kind *k = rules_find(s->kind);
	if (!k || being_deleted(s->now) || being_deleted(s->old))
		return;
	if (s->operation == RULE_DELETE && !k->deletions)
		return;
	if (k->check)
		k->check(s, ret);
	warn_unserved(k, s, ret);
	causes_truncate(&ret->errors, MIN(ret->errors.count, (size_t)ERRORS_MAX));
}

/* --- findings --------------------------------------------------------------------------------- */

void rule_warn(struct rule_findings *f, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	f->warnings = xreallocarray(f->warnings, f->warning_count + 1, sizeof(*f->warnings));
	f->warnings[f->warning_count++] = text;
}

void rule_findings_done(struct rule_findings *f)
{
	causes_done(&f->errors);
	for (size_t i = 0; i < f->warning_count; i++)
		free(f->warnings[i]);
	free(f->warnings);
	*f = (struct rule_findings){ 0 };
}

char *rule_findings_text(const struct rule_findings *f)
{
	struct strbuf text = { 0 };
	if (!f->errors.count)
		return NULL;
	causes_format(&f->errors, &text);
	return strbuf_take(&text, NULL);
}

/* As k8s.io/apiserver/pkg/admission/plugin/webhook/errors.ToStatusErr. */
char *rules_denial(const char *kind, const char *text)
{
	const struct rule_kind *k = rules_find(kind);
	return xasprintf("admission webhook \"%s.metal3.io\" denied the request: %s",
			 k ? k->singular : "", text);
}

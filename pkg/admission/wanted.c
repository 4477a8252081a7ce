/* What a BareMetalHost may ask for by Metal3's API and this Ingot cannot do yet. No fault of the
 * object: so an update is refused only for the part that it brings, and a host that has it keeps
 * running until the object is changed. Pure. */

#include <string.h>

#include "admission/internal.h"
#include "base/mem.h"
#include "prov/image.h"

/* Members of the spec, each looked at by itself. */
static void check_custom_deploy(const struct json *spec, struct causes *ret)
{
	if (!str_empty(json_get_path_string(spec, "customDeploy.method")))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.customDeploy", NULL,
			   "custom deploy steps are not supported yet: use spec.image");
}

static void check_raid(const struct json *spec, struct causes *ret)
{
	if (json_count(json_get_path(spec, "raid.softwareRAIDVolumes")))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.raid.softwareRAIDVolumes", NULL,
			   "software RAID is not supported yet: leave it out, and name the disk "
			   "by spec.rootDeviceHints");
}

static void check_image(const struct json *spec, struct causes *ret)
{
	const struct json *image = json_get(spec, "image");
	const struct prov_image i = { .url = json_get_string(image, "url"),
				      .checksum = json_get_string(image, "checksum"),
				      .checksum_type = json_get_string(image, "checksumType"),
				      .format = json_get_string(image, "format") };
	const char *member = NULL;
	struct err err = { 0 };
	if (str_empty(i.url) || prov_image_check(&i, &member, &err) == 0)
		return;
	_cleanup_(freep) char *field = xasprintf("spec.image.%s", member);
	causes_add(ret, err.kind == ERR_UNSUPPORTED ? CAUSE_FORBIDDEN : CAUSE_INVALID, field, NULL,
		   "%s", err.text);
}

static const struct {
	const char *path;
	bool for_deployments; /* says nothing of a host that is not deployed by us */
	void (*check)(const struct json *spec, struct causes *ret);
} parts[] = {
	{ "spec.customDeploy", true, check_custom_deploy },
	{ "spec.image", true, check_image },
	{ "spec.raid", false, check_raid },
};

void rules_check_wanted(const struct json *host, struct causes *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i].check(json_get(host, "spec"), ret);
}

void rule_wanted(const struct rule_subject *s, struct causes *ret)
{
	const struct json *spec = json_get(s->now, "spec");
	bool external = json_get_bool(spec, "externallyProvisioned", false);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (rule_changed(s, parts[i].path) && !(external && parts[i].for_deployments))
			parts[i].check(spec, ret);
}

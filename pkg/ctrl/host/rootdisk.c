/* Which disk an image goes to, as far as the API says: the hints of the spec, else those of the
 * hardware profile, else a default. What is in effect is stored in status at the end of preparing
 * and holds until the next one; the agent finds the disk by it. The matcher here is for telling
 * people what inspection makes of the hints; the agent's own decides. Pure. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

/* --- profiles --------------------------------------------------------------------------------- */

/* Deprecated hardware profiles: nothing but root device hints by another name. */
static const struct profile {
	const char *name, *device, *hctl;
} profiles[] = {
	{ "unknown", "/dev/sda", NULL },   { "libvirt", "/dev/vda", NULL },
	{ "openstack", "/dev/vdb", NULL }, { "dell", NULL, "0:0:0:0" },
	{ "dell-raid", NULL, "0:2:0:0" },  { "empty", NULL, NULL },
};

static const struct profile *profile_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		if (streq(profiles[i].name, name))
			return &profiles[i];
	return NULL;
}

static const char *default_profile(const struct bmh *h)
{
	const char *address = h->spec.bmc ? str_or(h->spec.bmc->address, "") : "";
	return str_has_prefix(address, "libvirt") ? "libvirt" : "unknown";
}

/* Once stored it stays, as upstream has it. */
const char *host_profile(const struct bmh *h)
{
	const char *stored = h->status.hardware_profile, *given = h->spec.hardware_profile;
	if (!str_empty(stored))
		return stored;
	return str_empty(given) ? default_profile(h) : given;
}

bool host_profile_known(const char *name)
{
	return profile_find(name) != NULL;
}

/* --- what is in effect ------------------------------------------------------------------------ */

bool host_root_hints_default(const struct bmh *h)
{
	return json_is_null(h->spec.root_hints) && str_empty(h->spec.hardware_profile) &&
	       streq(host_profile(h), default_profile(h));
}

static struct json *one_hint(const char *key, const char *value)
{
	struct json *hints = json_new_object();
	json_set_string(hints, key, value);
	return hints;
}

static struct json *profile_hints(const char *name)
{
	const struct profile *f = profile_find(name);
	if (f && f->device)
		return one_hint("deviceName", f->device);
	return f && f->hctl ? one_hint("hctl", f->hctl) : NULL;
}

/* "/dev/sda"; `name` is the path by which udev knows it, where there is one. */
static const char *kernel_name(const struct json *disk)
{
	json_for_each(name, json_get(disk, "alternateNames")) {
		const char *text = json_string(name);
		if (text && !str_has_prefix(text, "/dev/disk/"))
			return text;
	}
	return str_or(json_get_string(disk, "name"), "");
}

static void add_disk_text(struct strbuf *out, const struct json *disk)
{
	const char *model = json_get_string(disk, "model"),
		   *serial = json_get_string(disk, "serialNumber");
	strbuf_addf(out, "%s (%.1f GiB", kernel_name(disk),
		    (double)json_get_int(disk, "sizeBytes", 0) / (1 << 30));
	if (!str_empty(model))
		strbuf_addf(out, ", %.40s", model);
	if (!str_empty(serial))
		strbuf_addf(out, ", serial %.40s", serial);
	strbuf_addc(out, ')');
}

enum { DISKS_TOLD = 8 };

static void add_disks_text(struct strbuf *out, const struct json *storage)
{
	size_t i = 0;
	json_for_each(disk, storage) {
		if (i == DISKS_TOLD) {
			strbuf_addf(out, " and %zu more", json_count(storage) - i);
			return;
		}
		strbuf_adds(out, i++ ? ", " : "");
		add_disk_text(out, disk);
	}
}

/* Nothing says which: the device of upstream's default profile if the machine has it, else its only
 * disk. Upstream would look for that device alone. */
static int default_hints(const struct bmh *h, struct json **ret, struct err *err)
{
	const struct json *storage = json_get(h->status.hardware, "storage");
	const char *device = profile_find(default_profile(h))->device;
	_cleanup_(strbuf_done) struct strbuf list = { 0 };
	json_for_each(disk, storage) {
		if (json_count(storage) == 1)
			device = kernel_name(disk);
		if (streq(kernel_name(disk), device)) {
			*ret = one_hint("deviceName", device);
			return 0;
		}
	}
	/* Not inspected: the agent will see. */
	if (json_count(storage) == 0) {
		*ret = one_hint("deviceName", device);
		return 0;
	}
	add_disks_text(&list, storage);
	return err_set(
		err, ERR_INVALID,
		"cannot choose a disk for the image: the machine has no %s and has %zu disks: %s; "
		"set spec.rootDeviceHints, as in deviceName: %s",
		device, json_count(storage), list.data, kernel_name(json_at(storage, 0)));
}

int host_root_hints(const struct bmh *h, struct json **ret, struct err *err)
{
	struct json *hints = NULL;
	if (!json_is_null(h->spec.root_hints))
		hints = json_dup(h->spec.root_hints);
	else if (!host_root_hints_default(h))
		hints = profile_hints(host_profile(h));
	else if (default_hints(h, &hints, err) < 0)
		return err_value(err);
	*ret = hints;
	return 0;
}

struct json *host_default_hints(const struct bmh *h)
{
	return profile_hints(default_profile(h));
}

/* Nothing stored and nothing wished for is a host that an Ingot has prepared which took no profile
 * for a hint: the agent chose its disk, and shall go on to. */
bool host_root_hints_stale(const struct bmh *h)
{
	const struct json *stored = h->status.provisioning.root_hints;
	_cleanup_(json_freep) struct json *wanted = NULL, *fallback = NULL;
	if (json_is_null(h->spec.root_hints) && json_is_null(stored))
		return false;
	/* As another operator, or an Ingot that knew nothing of the disks, has left it. */
	if (host_root_hints_default(h))
		fallback = host_default_hints(h);
	if (fallback && json_equal(stored, fallback))
		return false;
	if (host_root_hints(h, &wanted, NULL) < 0)
		return true; /* preparing says why */
	return !json_equal(wanted, stored) && !(json_is_null(wanted) && json_is_null(stored));
}

/* --- what inspection makes of them ------------------------------------------------------------ */

enum hint_match { MATCH_EXACT, MATCH_PART, MATCH_NAME, MATCH_SIZE, MATCH_BOOL };

static const struct {
	const char *hint, *member;
	enum hint_match match;
} hint_rows[] = {
	{ "deviceName", "name", MATCH_NAME },
	{ "hctl", "hctl", MATCH_EXACT },
	{ "model", "model", MATCH_PART },
	{ "vendor", "vendor", MATCH_PART },
	{ "serialNumber", "serialNumber", MATCH_EXACT },
	{ "minSizeGigabytes", "sizeBytes", MATCH_SIZE },
	{ "wwn", "wwn", MATCH_EXACT },
	{ "wwnWithExtension", "wwnWithExtension", MATCH_EXACT },
	{ "wwnVendorExtension", "wwnVendorExtension", MATCH_EXACT },
	{ "rotational", "rotational", MATCH_BOOL },
};

static bool has_name(const struct json *disk, const char *name)
{
	bool found = streq(json_get_string(disk, "name"), name);
	json_for_each(other, json_get(disk, "alternateNames")) {
		found |= streq(json_string(other), name);
	}
	return found;
}

static bool hint_fits(size_t row, const struct json *hint, const struct json *disk)
{
	const char *asked = str_or(json_string(hint), "");
	const char *text = str_or(json_get_string(disk, hint_rows[row].member), "");
	int64_t number = 0;
	bool flag = false;
	switch (hint_rows[row].match) {
	case MATCH_EXACT:
		return !*asked || strcasecmp(text, asked) == 0;
	case MATCH_PART:
		return strcasestr(text, asked) != NULL;
	case MATCH_NAME:
		return !*asked || has_name(disk, asked);
	case MATCH_SIZE:
		return !json_int(hint, &number) ||
		       json_get_int(disk, "sizeBytes", 0) >> 30 >= number;
	case MATCH_BOOL:
		return !json_bool(hint, &flag) || json_get_bool(disk, "rotational", false) == flag;
	}
	return false;
}

static bool disk_fits(const struct json *hints, const struct json *disk)
{
	for (size_t i = 0; i < ARRAY_SIZE(hint_rows); i++) {
		const struct json *hint = json_get(hints, hint_rows[i].hint);
		if (!json_is_null(hint) && !hint_fits(i, hint, disk))
			return false;
	}
	return true;
}

/* Without hints agents take the smallest of at least 4 GiB. */
static const struct json *smallest(const struct json *storage)
{
	const struct json *best = NULL;
	json_for_each(disk, storage) {
		int64_t size = json_get_int(disk, "sizeBytes", 0);
		if (size >= INT64_C(4) << 30 &&
		    (!best || size < json_get_int(best, "sizeBytes", 0)))
			best = disk;
	}
	return best;
}

static const struct json *first_fit(const struct json *storage, const struct json *hints)
{
	if (json_count(hints) == 0)
		return smallest(storage);
	json_for_each(disk, storage) {
		if (disk_fits(hints, disk))
			return disk;
	}
	return NULL;
}

static const char *whose(const struct bmh *h)
{
	if (!json_is_null(h->spec.root_hints))
		return "by spec.rootDeviceHints";
	return host_root_hints_default(h) ? "the default, as neither spec.rootDeviceHints nor "
					    "spec.hardwareProfile names one"
					  : "by the hardware profile";
}

void host_report_root_disk(struct reconcile *rc)
{
	const struct json *storage = json_get(rc->host.status.hardware, "storage");
	_cleanup_(json_freep) struct json *hints = NULL;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct err err = { 0 };
	if (json_count(storage) == 0 || host_root_hints(&rc->host, &hints, &err) < 0)
		return; /* preparing says it as an error */
	const struct json *disk = first_fit(storage, hints);
	if (disk) {
		add_disk_text(&text, disk);
		host_event(rc, false, "RootDevice", "An image would be written to %s: %s",
			   text.data, whose(&rc->host));
		return;
	}
	_cleanup_(freep) char *asked = hints ? json_to_string(hints) : xstrdup("(none)");
	add_disks_text(&text, storage);
	host_event(rc, true, "RootDevice",
		   "No disk that inspection found fits the root device hints %.200s, %s; there are "
		   "%s. The agent looks again before it writes",
		   asked, whose(&rc->host), text.data);
}

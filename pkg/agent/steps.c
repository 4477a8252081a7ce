/* Clean, deploy and service steps: one table says what there is and in which list with what
 * priority. Names, priorities and shapes are those of ironic-python-agent's GenericHardwareManager;
 * steps that we do not have (RAID, burn-in) are not listed, so that servers refuse them by name. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/disk/bootentry.h"
#include "agent/run.h"
#include "base/mem.h"
#include "base/str.h"

enum kind { KIND_CLEAN, KIND_DEPLOY, KIND_SERVICE, _KIND_MAX };

enum { NOT_OFFERED = -1, PATTERNS_MAX = 32 };

static const char *const kind_names[_KIND_MAX] = { "clean", "deploy", "service" };

/* The step's result, NULL for null. */
typedef int (*step_fn)(struct agent_run *run, const struct json *args, struct json **ret);

static int step_write_image(struct agent_run *run, const struct json *args, struct json **ret)
{
	_cleanup_(freep) char *text = NULL;
	int r = agent_write_image(run, args, &text);
	if (r < 0)
		return r;
	_cleanup_(freep) char *full = xasprintf("prepare_image: %s", text);
	*ret = json_new_object();
	json_set_string(*ret, "result", full);
	return 0;
}

static int step_erase_metadata(struct agent_run *run, const struct json *args, struct json **ret)
{
	(void)args, (void)ret;
	return agent_erase_metadata(run);
}

static int step_erase_devices(struct agent_run *run, const struct json *args, struct json **ret)
{
	(void)args, (void)ret;
	return agent_erase_devices(run);
}

static int step_erase_pstore(struct agent_run *run, const struct json *args, struct json **ret)
{
	(void)args, (void)ret;
	_cleanup_(freep) char *path = xasprintf("%s/sys/fs/pstore", run->env->root);
	DIR *dir = opendir(path);
	int failed = 0;
	if (!dir)
		return 0; /* nothing to empty */
	for (struct dirent *d; (d = readdir(dir));)
		if (d->d_name[0] != '.' && unlinkat(dirfd(dir), d->d_name, 0) < 0)
			failed = errno;
	closedir(dir);
	return failed ? err_set_errno(&run->err, failed, "cannot empty %s", path) : 0;
}

static int step_clean_nvram(struct agent_run *run, const struct json *args, struct json **ret)
{
	static const char *const otherwise[] = { "^HD\\(", "shim.*\\.efi", "grub.*\\.efi", NULL };
	const char *patterns[PATTERNS_MAX + 1] = { NULL };
	const struct json *given = json_get(args, "match_patterns");
	size_t count = 0;
	(void)ret;
	json_for_each(p, given)
		if (json_string(p) && count < PATTERNS_MAX)
			patterns[count++] = json_string(p);
	if (access(run->env->efivars, F_OK) < 0)
		return 0; /* booted by BIOS */
	int r = disk_boot_clean(run->env->efivars, count ? patterns : otherwise, &run->err);
	return MIN(r, 0);
}

#define PATTERNS_HELP                                                                              \
	"Json blob contains a list of regex patterns where any UEFI NVRAM entry matching that "    \
	"pattern will be deleted. Default value is '[\"^HD\\(\", \"shim.*\\.efi\", "               \
	"\"grub.*\\.efi\"]'"

static const struct step {
	const char *name, *interface;
	int priority[_KIND_MAX]; /* 0: only when asked for by name */
	step_fn run;
	const char *error_type;
	const char *arg, *arg_help; /* one optional argument; NULL: none to tell */
} steps[] = {
	{ "erase_devices_metadata",
	  "deploy",
	  { 99, 0, NOT_OFFERED },
	  step_erase_metadata,
	  "BlockDeviceEraseError",
	  NULL,
	  NULL },
	{ "erase_devices",
	  "deploy",
	  { 10, NOT_OFFERED, NOT_OFFERED },
	  step_erase_devices,
	  "BlockDeviceEraseError",
	  NULL,
	  NULL },
	/* Without the erase commands of NVMe it is the metadata erase, as the reference does it. */
	{ "erase_devices_express",
	  "deploy",
	  { 0, NOT_OFFERED, NOT_OFFERED },
	  step_erase_metadata,
	  "BlockDeviceEraseError",
	  NULL,
	  NULL },
	{ "erase_pstore",
	  "deploy",
	  { 0, NOT_OFFERED, NOT_OFFERED },
	  step_erase_pstore,
	  NULL,
	  NULL,
	  NULL },
	{ "clean_uefi_nvram",
	  "deploy",
	  { 0, 0, NOT_OFFERED },
	  step_clean_nvram,
	  NULL,
	  "match_patterns",
	  PATTERNS_HELP },
	{ "write_image", "deploy", { NOT_OFFERED, 0, 0 }, step_write_image, NULL, NULL, NULL },
};

/* --- listing --------------------------------------------------------------------------------- */

static enum kind kind_of(const char *name)
{
	for (int k = 0; k < _KIND_MAX; k++)
		if (streq(kind_names[k], name))
			return (enum kind)k;
	return KIND_CLEAN;
}

static struct json *describe(const struct step *s, enum kind k)
{
	struct json *j = json_new_object();
	json_set_string(j, "step", s->name);
	json_set_int(j, "priority", s->priority[k]);
	json_set_string(j, "interface", s->interface);
	json_set_bool(j, "reboot_requested", false);
	if (k == KIND_CLEAN)
		json_set_bool(j, "abortable", true);
	if (s->arg) {
		struct json *arg = json_make_object(json_make_object(j, "argsinfo"), s->arg);
		json_set_string(arg, "description", s->arg_help);
		json_set_bool(arg, "required", false);
	}
	return j;
}

static struct json *own_versions(void)
{
	struct json *j = json_new_object();
	json_set_string(j, "generic_hardware_manager", AGENT_MANAGER_VERSION);
	return j;
}

int agent_get_steps(struct agent_run *run, const char *kind)
{
	enum kind k = kind_of(kind);
	char key[32];
	snprintf(key, sizeof(key), "%s_steps", kind);
	run->result = json_new_object();
	struct json *managers = json_make_object(run->result, key);
	struct json *list = json_set(managers, AGENT_MANAGER, json_new_array());
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].priority[k] != NOT_OFFERED)
			json_append(list, describe(&steps[i], k));
	json_set(run->result, "hardware_manager_version", own_versions());
	return 0;
}

/* --- running --------------------------------------------------------------------------------- */

static const struct step *find_step(const struct json *step, enum kind k)
{
	const char *name = json_get_string(step, "step");
	const char *interface = str_or(json_get_string(step, "interface"), "deploy");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (streq(steps[i].name, name) && streq(steps[i].interface, interface) &&
		    steps[i].priority[k] != NOT_OFFERED)
			return &steps[i];
	return NULL;
}

/* The server has listed the steps of another agent: it must list ours first. */
static bool version_differs(const struct agent_run *run, const char *kind)
{
	char key[32];
	snprintf(key, sizeof(key), "%s_version", kind);
	const struct json *theirs = json_get(run->params, key);
	if (!json_is_object(theirs) || json_count(theirs) == 0)
		return false;
	struct json *ours = own_versions();
	bool same = json_equal(theirs, ours);
	json_free(ours);
	return !same;
}

static int unknown_step(struct agent_run *run, const struct json *step, const char *kind)
{
	run->error_type = "InvalidCommandParamsError";
	return err_set(&run->err, ERR_UNSUPPORTED,
		       "%s step %.64s.%.64s is not supported by this agent", kind,
		       str_or(json_get_string(step, "interface"), "deploy"),
		       str_or(json_get_string(step, "step"), "(none)"));
}

int agent_execute_step(struct agent_run *run, const char *kind)
{
	const struct json *step = json_get(run->params, "step");
	const struct step *s = find_step(step, kind_of(kind));
	struct json *result = NULL;
	char key[32];
	if (!s)
		return unknown_step(run, step, kind);
	if (version_differs(run, kind)) {
		snprintf(key, sizeof(key), "%s_version", kind);
		_cleanup_(freep) char *theirs = json_to_string(json_get(run->params, key));
		run->status = AGENT_VERSION_MISMATCH;
		run->error_type = "VersionMismatch";
		err_set(&run->err, ERR_CONFLICT,
			"Current versions: {\"generic_hardware_manager\":\"" AGENT_MANAGER_VERSION
			"\"}, versions used by ironic: %.200s",
			theirs);
		return 0;
	}
	run->error_type = s->error_type;
	int r = s->run(run, json_get(step, "args"), &result);
	if (r < 0)
		return r;
	run->result = json_new_object();
	snprintf(key, sizeof(key), "%s_result", kind);
	json_set(run->result, key, result ? result : json_new_null());
	snprintf(key, sizeof(key), "%s_step", kind);
	json_set(run->result, key, json_dup(step));
	return 0;
}

/* A virtual CD as an iDRAC's boot device. Its target Cd means the drive in the case, so the choice
 * is imported as a piece of configuration, by an action of Dell's at the manager. The import is a
 * job; another one may hold its lock for minutes. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum {
	LOCK_TRIES = 35,
	LOCK_PAUSES = 5, /* of the driver's */
	JOB_TRIES = 4,
	JOB_PAUSES = 3,
};

struct import {
	bool once;
	rf_fn next;
	char *target, *monitor;
	unsigned tries, missing;
};

static void import_done(void *state)
{
	struct import *i = state;
	free(i->target);
	free(i->monitor);
}

/* --- the job --------------------------------------------------------------------------------- */

static void poll_job(struct rf_bmc *rf);

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(word, *words) == 0)
			return true;
	return false;
}

/* A monitor that is done with answers no 202; some then show the task, others nothing. */
static void on_job(struct rf_bmc *rf, struct rf_answer *a)
{
	static const char *const good[] = { "Completed", NULL };
	static const char *const bad[] = { "Exception", "Killed", "Cancelled", "Interrupted",
					   NULL };
	struct import *i = rf_state(rf);
	const char *state = str_or(json_get_string(a->body, "TaskState"), "");
	const char *status = str_or(json_get_string(a->body, "TaskStatus"), "OK");
	if (a->status >= 400 && ++i->missing < JOB_TRIES) {
		/* It is not known for some seconds after it was made. */
		rf_after(rf, JOB_PAUSES * rf_driver_of(rf)->retry_pause, poll_job);
		return;
	}
	if (a->status >= 400)
		rf_fail_answer(rf, a);
	else if (is_one_of(state, bad) || (is_one_of(state, good) && strcasecmp(status, "OK") != 0))
		rf_fail(rf, ERR_IO,
			"could not choose the virtual CD: its job %.200s ended as %.40s", a->path,
			state);
	else if (is_one_of(state, good) || (!*state && a->status != 202))
		i->next(rf);
	else
		rf_after(rf, rf_driver_of(rf)->retry_pause, poll_job);
}

static void poll_job(struct rf_bmc *rf)
{
	const struct import *i = rf_state(rf);
	rf_get_optional(rf, i->monitor, on_job);
}

/* --- the import ------------------------------------------------------------------------------ */

static void post_import(struct rf_bmc *rf);

/* "A configuration job is already running": of whoever. */
static bool is_locked(const struct rf_answer *a)
{
	return rf_mentions(a, "LC068") || rf_mentions(a, "already running") ||
	       rf_mentions(a, "SYS414") || rf_mentions(a, "job in progress");
}

static void on_import(struct rf_bmc *rf, struct rf_answer *a)
{
	struct import *i = rf_state(rf);
	if (!rf_is_success(a)) {
		if (is_locked(a) && ++i->tries < LOCK_TRIES)
			rf_after(rf, LOCK_PAUSES * rf_driver_of(rf)->retry_pause, post_import);
		else
			rf_fail_answer(rf, a);
		return;
	}
	const char *where = *a->location ? a->location : rf_id(a->body);
	str_replace(&i->monitor, where);
	if (where)
		poll_job(rf);
	else
		i->next(rf);
}

static struct json *import_body(const struct import *i)
{
	struct json *body = json_new_object();
	struct json *share = json_make_object(body, "ShareParameters");
	struct json *target = json_new_array(); /* as a text it is refused */
	json_append(target, json_new_string("ALL"));
	json_set(share, "Target", target);
	_cleanup_(freep) char *xml = xasprintf(
		"<SystemConfiguration><Component FQDD=\"iDRAC.Embedded.1\">"
		"<Attribute Name=\"ServerBoot.1#BootOnce\">%s</Attribute>"
		"<Attribute Name=\"ServerBoot.1#FirstBootDevice\">VCD-DVD</Attribute>"
		"</Component></SystemConfiguration>",
		i->once ? "Enabled" : "Disabled");
	json_set_string(body, "ImportBuffer", xml);
	return body;
}

static void post_import(struct rf_bmc *rf)
{
	const struct import *i = rf_state(rf);
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST",
				     .path = i->target,
				     .body = import_body(i),
				     .any = true,
				     .once = true },
	       on_import);
}

/* Its name has a prefix that changes with the firmware. */
static void on_manager(struct rf_bmc *rf, struct rf_answer *a)
{
	struct import *i = rf_state(rf);
	const char *target = NULL;
	json_for_each(action, json_get_path(a->body, "Actions.Oem"))
		if (str_has_suffix(json_key(action), ".ImportSystemConfiguration"))
			target = json_get_string(action, "target");
	str_replace(&i->target, target);
	if (target)
		post_import(rf);
	else
		rf_fail(rf, ERR_UNSUPPORTED,
			"offers no ImportSystemConfiguration, which Ingot needs to boot an iDRAC's "
			"host from a virtual CD: update its firmware, or use an address that boots "
			"from the network");
}

void rf_dell_boot_cd(struct rf_bmc *rf, bool once, rf_fn next)
{
	struct import *i = rf_state_new(rf, sizeof(*i), import_done);
	i->once = once;
	i->next = next;
	rf_get_manager(rf, on_manager);
}

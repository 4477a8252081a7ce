/* The rows of all steps, which of them runs a step of a plan, and the plans of all operations.
 * Plans are made here or read from records; those that an earlier release wrote, without plans, get
 * what its operation did. */

#include <limits.h>
#include <stddef.h>

#include "base/mem.h"
#include "engine/steps/steps.h"

#define TIMEOUT(name) offsetof(struct engine_timeouts, name)

static const char power_words[] = "the BMC to change the power state";
static const char boot_words[] = "the BMC to set the boot device";
static const char ramdisk_words[] =
	"the boot ramdisk to report (see the machine's console; check that it boots from the network on the NIC of "
	"bootMACAddress)";

static const char medium_words[] =
	"the boot ramdisk to report (see the machine's console; check that the BMC can read the medium, and that the "
	"ramdisk's network reaches Ingot)";

#define BMC   .note = step_bmc_note, .state_size = sizeof(struct bmc_step)
#define MEDIA .note = step_bmc_note, .state_size = sizeof(struct media_step)
#define WAIT  .state_size = sizeof(struct wait_step)
#define AGENT .needs_agent = true, .state_size = sizeof(struct agent_step)

const struct step steps[_STEP_MAX] = {
	[STEP_VERIFY] = { "power", "verify", NULL, step_verify, .timeout_offset = TIMEOUT(power),
			  .waits_for = "the BMC to answer" },
	[STEP_FIND_AGENT] = { "deploy", "find agent", NULL, step_find_agent, WAIT,
			      .timeout_offset = TIMEOUT(boot), .waits_for = "the agent to answer" },
	[STEP_POWER_OFF] = { "power", "power off", node_no_boot, step_power_off, BMC,
			     .timeout_offset = TIMEOUT(boot), .waits_for = power_words },
	[STEP_BOOT_NETWORK] = { "management", "boot from network", node_new_boot, step_boot_network,
				BMC, .timeout_offset = TIMEOUT(boot), .waits_for = boot_words },
	[STEP_SECURE_BOOT] = { "management", "secure boot", NULL, step_secure_boot, MEDIA,
			       .timeout_offset = TIMEOUT(boot),
			       .waits_for = "the BMC to switch Secure Boot" },
	[STEP_INSERT_MEDIA] = { "boot", "insert media", node_new_boot, step_insert_media, MEDIA,
				.timeout_offset = TIMEOUT(boot),
				.waits_for = "the BMC to insert the boot medium" },
	[STEP_BOOT_MEDIA] = { "management", "boot from media", NULL, step_boot_media, BMC,
			      .timeout_offset = TIMEOUT(boot), .waits_for = boot_words },
	[STEP_BOOT_HTTP] = { "management", "boot from UEFI HTTP", node_new_boot, step_boot_http,
			     MEDIA, .timeout_offset = TIMEOUT(boot), .waits_for = boot_words },
	[STEP_EJECT_MEDIA] = { "boot", "eject media", NULL, step_eject_media, MEDIA,
			       .timeout_offset = TIMEOUT(boot),
			       .waits_for = "the BMC to eject the boot medium" },
	[STEP_POWER_ON] = { "power", "power on", NULL, step_power_on, BMC,
			    .timeout_offset = TIMEOUT(boot), .waits_for = power_words },
	[STEP_WAIT_INVENTORY] = { "inspect", "wait for inventory", NULL, step_wait_inventory, WAIT,
				  .timeout_offset = TIMEOUT(boot), .waits_for = ramdisk_words,
				  .boots_again = true },
	[STEP_WAIT_AGENT] = { "deploy", "wait for agent", NULL, step_wait_agent,
			      .timeout_offset = TIMEOUT(boot), .waits_for = ramdisk_words,
			      .boots_again = true },
	[STEP_CHOOSE_DISK] = { "deploy", "choose disk", NULL, step_choose_disk, AGENT,
			       .timeout_offset = TIMEOUT(boot),
			       .waits_for = "the agent to find the disk",
			       .command = "ingot.choose_disk", .doing = "choosing the disk",
			       .params = step_choose_params, .done = step_disk_chosen },
	[STEP_CLEAN] = { "deploy", "clean metadata", NULL, step_agent, AGENT,
			 .timeout_offset = TIMEOUT(step),
			 .waits_for = "the agent to clean the disks",
			 .command = "clean.execute_clean_step",
			 .plan_name = "erase_devices_metadata", .priority = 10,
			 .doing = "cleaning its disks", .done = step_cleaned,
			 .failed = "Cleaning failed" },
	[STEP_WRITE] = { "deploy", "write image", step_enter_write, step_write, step_write_note,
			 .needs_agent = true, .state_size = sizeof(struct write_step),
			 .timeout_offset = TIMEOUT(step),
			 .waits_for = "the agent to write the image",
			 .command = "deploy.execute_deploy_step", .plan_name = "write_image",
			 .priority = 80, .doing = "writing the image", .params = step_write_params,
			 .done = step_written },
	[STEP_BOOT_ENTRY] = { "deploy", "boot entry", NULL, step_agent, AGENT,
			      .timeout_offset = TIMEOUT(boot),
			      .waits_for = "the agent to make the UEFI boot entry",
			      .command = "image.install_bootloader",
			      .plan_name = "install_bootloader",
			      .doing = "making the UEFI boot entry",
			      .params = step_bootloader_params },
	[STEP_BOOT_DISK] = { "management", "boot from disk", NULL, step_boot_disk, BMC,
			     .timeout_offset = TIMEOUT(boot), .waits_for = boot_words },
	[STEP_AGENT_OFF] = { "power", "agent power off", NULL, step_agent_off, BMC,
			     .needs_agent = true, .timeout_offset = TIMEOUT(boot),
			     .waits_for = power_words },
	[STEP_START_DISK] = { "power", "start from disk", node_no_boot, step_power_on, BMC,
			      .timeout_offset = TIMEOUT(boot), .waits_for = power_words },
	[STEP_FINAL_OFF] = { "power", "final power off", node_no_boot, step_power_off, BMC,
			     .timeout_offset = TIMEOUT(boot), .waits_for = power_words },
	[STEP_SOFT_OFF] = { "power", "soft power off", NULL, step_soft_off, BMC,
			    .timeout_offset = TIMEOUT(boot), .waits_for = power_words },
	[STEP_AGENT] = { "deploy", "agent step", NULL, step_agent, AGENT,
			 .timeout_offset = TIMEOUT(step),
			 .waits_for = "the agent to carry out the step" },
};

/* Its name in plans. */
static const char *plan_name_of(const struct step *s)
{
	return str_or(s->plan_name, s->name);
}

static bool runs(const struct step *s, const struct plan_step *p)
{
	return streq(s->interface, p->interface) && streq(plan_name_of(s), p->step) &&
	       streq(s->command, p->command);
}

/* Commands that carry out whatever step they are given. */
static bool carries_steps(const char *command)
{
	return streq(command, "clean.execute_clean_step") ||
	       streq(command, "deploy.execute_deploy_step") ||
	       streq(command, "service.execute_service_step");
}

const struct step *step_find(const struct plan_step *p)
{
	for (size_t i = STEP_END + 1; i < STEP_AGENT; i++)
		if (runs(&steps[i], p))
			return &steps[i];
	bool agents = carries_steps(p->command) && !str_empty(p->interface) && !str_empty(p->step);
	return agents ? &steps[STEP_AGENT] : NULL;
}

const char *step_name(const struct plan_step *p)
{
	const struct step *s = step_find(p);
	if (!s)
		return "";
	return s == &steps[STEP_AGENT] ? p->step : s->name;
}

/* --- plans of operations ---------------------------------------------------------------------- */

static const struct plan_row verify_rows[] = { { STEP_VERIFY, UNLESS_NEVER, WHEN_ALWAYS }, { 0 } };
static const struct plan_row inspect_rows[] = {
	{ STEP_POWER_OFF, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_SECURE_BOOT, UNLESS_NEVER, WHEN_SECURE },
	{ STEP_BOOT_NETWORK, UNLESS_NEVER, WHEN_NETWORK },
	{ STEP_INSERT_MEDIA, UNLESS_NEVER, WHEN_MEDIA },
	{ STEP_BOOT_MEDIA, UNLESS_NEVER, WHEN_MEDIA },
	{ STEP_BOOT_HTTP, UNLESS_NEVER, WHEN_HTTP },
	{ STEP_POWER_ON, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_WAIT_INVENTORY, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_EJECT_MEDIA, UNLESS_NEVER, WHEN_MEDIUM },
	{ 0 },
};
static const struct plan_row deploy_rows[] = {
	{ STEP_FIND_AGENT, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_POWER_OFF, UNLESS_AGENT, WHEN_ALWAYS },
	{ STEP_SECURE_BOOT, UNLESS_AGENT, WHEN_SECURE },
	{ STEP_BOOT_NETWORK, UNLESS_AGENT, WHEN_NETWORK },
	{ STEP_INSERT_MEDIA, UNLESS_AGENT, WHEN_MEDIA },
	{ STEP_BOOT_MEDIA, UNLESS_AGENT, WHEN_MEDIA },
	{ STEP_BOOT_HTTP, UNLESS_AGENT, WHEN_HTTP },
	{ STEP_POWER_ON, UNLESS_AGENT, WHEN_ALWAYS },
	{ STEP_WAIT_AGENT, UNLESS_AGENT, WHEN_ALWAYS },
	{ STEP_EJECT_MEDIA, UNLESS_NEVER, WHEN_MEDIUM },
	{ STEP_CHOOSE_DISK, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_CLEAN, UNLESS_CLEAN, WHEN_ALWAYS },
	{ STEP_WRITE, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_BOOT_ENTRY, UNLESS_BIOS, WHEN_ALWAYS },
	{ STEP_BOOT_DISK, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_AGENT_OFF, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_START_DISK, UNLESS_NEVER, WHEN_ALWAYS },
	{ 0 },
};
static const struct plan_row undeploy_rows[] = {
	{ STEP_POWER_OFF, UNLESS_NEVER, WHEN_ALWAYS },
	{ STEP_SECURE_BOOT, UNLESS_CLEAN, WHEN_SECURE },
	{ STEP_BOOT_NETWORK, UNLESS_CLEAN, WHEN_NETWORK },
	{ STEP_INSERT_MEDIA, UNLESS_CLEAN, WHEN_MEDIA },
	{ STEP_BOOT_MEDIA, UNLESS_CLEAN, WHEN_MEDIA },
	{ STEP_BOOT_HTTP, UNLESS_CLEAN, WHEN_HTTP },
	{ STEP_POWER_ON, UNLESS_CLEAN, WHEN_ALWAYS },
	{ STEP_WAIT_AGENT, UNLESS_CLEAN, WHEN_ALWAYS },
	{ STEP_EJECT_MEDIA, UNLESS_NEVER, WHEN_MEDIUM },
	{ STEP_CLEAN, UNLESS_CLEAN, WHEN_ALWAYS },
	{ STEP_FINAL_OFF, UNLESS_NEVER, WHEN_ALWAYS },
	{ 0 },
};
static const struct plan_row on_rows[] = { { STEP_POWER_ON, UNLESS_NEVER, WHEN_ALWAYS }, { 0 } };
static const struct plan_row off_rows[] = { { STEP_POWER_OFF, UNLESS_NEVER, WHEN_ALWAYS },
					    { STEP_EJECT_MEDIA, UNLESS_NEVER, WHEN_MEDIUM },
					    { 0 } };
/* The hard one is for BMCs that know no soft one. */
static const struct plan_row soft_off_rows[] = { { STEP_SOFT_OFF, UNLESS_NEVER, WHEN_ALWAYS },
						 { STEP_POWER_OFF, UNLESS_OFF, WHEN_ALWAYS },
						 { STEP_EJECT_MEDIA, UNLESS_NEVER, WHEN_MEDIUM },
						 { 0 } };

static const struct plan_row *const rows_of[_OP_MAX] = {
	[OP_VERIFY] = verify_rows,     [OP_INSPECT] = inspect_rows, [OP_DEPLOY] = deploy_rows,
	[OP_UNDEPLOY] = undeploy_rows, [OP_POWER_ON] = on_rows,	    [OP_POWER_OFF] = off_rows,
	[OP_SOFT_OFF] = soft_off_rows,
};

const struct plan_row *plan_rows(enum op_kind kind)
{
	return rows_of[kind];
}

static bool is_for(const struct plan_row *row, const struct plan_choice *how)
{
	switch (row->when) {
	case WHEN_ALWAYS:
		break;
	case WHEN_NETWORK:
		return how->method == BMC_BOOT_NETWORK;
	case WHEN_MEDIA:
		return how->method == BMC_BOOT_MEDIA;
	case WHEN_HTTP:
		return how->method == BMC_BOOT_UEFI_HTTP;
	case WHEN_MEDIUM:
		return how->method != BMC_BOOT_NETWORK || how->medium;
	case WHEN_SECURE:
		return how->secure;
	}
	return true;
}

void plan_build(enum op_kind kind, const struct plan_choice *how, struct plan *ret)
{
	struct plan p = { 0 };
	for (const struct plan_row *row = rows_of[kind]; row->step != STEP_END; row++) {
		const struct step *s = &steps[row->step];
		if (!is_for(row, how))
			continue;
		/* plan_add() copies. */
		plan_add(&p, &(struct plan_step){ .interface = (char *)s->interface,
						  .step = (char *)plan_name_of(s),
						  .priority = s->priority,
						  .command = (char *)s->command,
						  .unless = row->unless });
	}
	plan_done(ret);
	*ret = p;
}

const char *step_waits_for(const struct node *n, const struct step *s)
{
	return s->boots_again && node_by_medium(n) ? medium_words : s->waits_for;
}

bool plan_idle(const struct node *n, const struct plan_step *p)
{
	switch ((enum plan_unless)p->unless) {
	case UNLESS_NEVER:
	case _UNLESS_MAX:
		break;
	case UNLESS_AGENT:
		return n->op.agent_found;
	case UNLESS_CLEAN:
		return n->spec.cleaning == PROV_CLEAN_DISABLED || n->record.node.cleaned_at != 0;
	case UNLESS_BIOS:
		return n->spec.boot_mode == BOOT_LEGACY;
	case UNLESS_OFF:
		return n->power.state == PROV_POWER_OFF;
	}
	return false;
}

/* --- plans in records ------------------------------------------------------------------------- */

static bool has_before(const struct plan *p, size_t index, enum step_id id)
{
	for (size_t i = 0; i < index; i++)
		if (step_find(plan_at(p, i)) == &steps[id])
			return true;
	return false;
}

static bool is_twice(const struct plan *p, size_t index)
{
	const struct plan_step *is = plan_at(p, index);
	for (size_t i = 0; i < index; i++) {
		const struct plan_step *was = plan_at(p, i);
		if (streq(was->interface, is->interface) && streq(was->step, is->step) &&
		    streq(was->command, is->command))
			return true;
	}
	return false;
}

/* NULL: it may stand there. */
static const char *what_is_wrong(const struct plan *p, size_t index)
{
	const struct plan_step *is = plan_at(p, index);
	const struct step *s = step_find(is);
	if (!s)
		return "is not known";
	if (is->args && (!json_is_object(is->args) || s != &steps[STEP_AGENT]))
		return "takes no such args";
	if (is->priority < 0 || is->priority > INT_MAX)
		return "has a priority out of range";
	/* The agent's list of commands does not tell two of them apart. */
	if (is_twice(p, index))
		return "stands there twice";
	if (s->needs_agent && !has_before(p, index, STEP_WAIT_AGENT))
		return "comes before the wait for the agent";
	if (s->boots_again && !has_before(p, index, STEP_POWER_OFF))
		return "has no power off before it to go back to";
	return NULL;
}

int plan_check(const struct plan *p, struct err *err)
{
	if (p->steps.count > PLAN_MAX)
		return err_set(err, ERR_INVALID, "has %zu steps, the limit is %d", p->steps.count,
			       PLAN_MAX);
	if (p->place < 0 || !plan_now(p))
		return err_set(err, ERR_INVALID, "place %lld is not one of its %zu steps",
			       (long long)p->place, p->steps.count);
	for (size_t i = 0; i < p->steps.count; i++) {
		const char *wrong = what_is_wrong(p, i);
		if (wrong)
			return err_set(err, ERR_INVALID, "steps[%zu] \"%.64s\" %s", i,
				       str_or(plan_at(p, i)->step, ""), wrong);
	}
	return 0;
}

bool plan_seek(struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->steps.count; i++) {
		if (!streq(step_name(plan_at(p, i)), name))
			continue;
		p->place = (int64_t)i;
		return true;
	}
	return false;
}

/* Of a release that knew no plans: its operations were the lists that ours build. A step that is
 * not one of them begins the operation anew. */
static void plan_of_elder(struct node_record *r, enum op_kind kind)
{
	plan_build(kind, &(struct plan_choice){ .method = BMC_BOOT_NETWORK }, &r->plan);
	if (!streq(r->step.operation, op_info(kind)->name) || !plan_seek(&r->plan, r->step.name))
		str_replace(&r->step.name, NULL);
}

/* A step that is named is under way, and is the one at the plan's place. */
static int check_place(const struct node_record *r, enum op_kind kind, struct err *err)
{
	const char *name = step_name(plan_now(&r->plan));
	bool same = streq(r->step.name, name) && streq(r->step.operation, op_info(kind)->name);
	if (same || !r->step.name)
		return 0;
	return err_set(err, ERR_INVALID, "is at \"%.64s\", the record's step is \"%.64s\"", name,
		       r->step.name);
}

int plan_take(struct node_record *r, enum op_kind kind, struct err *err)
{
	bool elder = r->schema_version < RECORD_WITH_PLAN || r->plan.steps.count == 0;
	if (kind == OP_NONE) {
		plan_done(&r->plan); /* nothing is under way */
		return 0;
	}
	if (elder) {
		plan_of_elder(r, kind);
		return 0;
	}
	int e = plan_check(&r->plan, err);
	if (e == 0)
		e = check_place(r, kind, err);
	return e < 0 ? err_wrap(err, "the HostRecord's plan (delete the record to have the host "
				     "looked at anew)")
		     : 0;
}

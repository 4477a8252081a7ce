/* Power, the non-maskable interrupt and what the BMC is. An action that the BMC refuses because the
 * host is already so is a success: the state is read again before anybody is told of an error. Core
 * thread. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bmc/redfish/internal.h"

enum { ON_TRIES = 6, ON_PAUSES = 3 /* of the driver's */ };

/* --- reading --------------------------------------------------------------------------------- */

/* PoweringOn counts as on, PoweringOff as off; null and what is no word of the schema as unknown.
 */
static enum bmc_power power_of(const struct json *system)
{
	const char *state = json_get_string(system, "PowerState");
	if (!state)
		return BMC_POWER_UNKNOWN;
	if (strcasecmp(state, "On") == 0 || strcasecmp(state, "PoweringOn") == 0)
		return BMC_POWER_ON;
	if (strcasecmp(state, "Off") == 0 || strcasecmp(state, "PoweringOff") == 0)
		return BMC_POWER_OFF;
	return BMC_POWER_UNKNOWN;
}

static void on_power(struct rf_bmc *rf, struct rf_answer *a)
{
	rf_task(rf)->result.power = power_of(a->body);
	rf_done(rf);
}

void rf_start_get_power(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	rf_get_system(rf_begin(bmc), on_power);
}

/* --- acting ---------------------------------------------------------------------------------- */

/* In the order in which they are tried, where the BMC says which it allows. */
static const struct {
	const char *types[3];
	enum bmc_power wanted; /* UNKNOWN: cannot be seen afterwards */
} actions[] = {
	[BMC_ACTION_ON] = { { "On", "ForceOn" }, BMC_POWER_ON },
	[BMC_ACTION_OFF] = { { "ForceOff", "PushPowerButton" }, BMC_POWER_OFF },
	[BMC_ACTION_SOFT] = { { "GracefulShutdown", "PushPowerButton" }, BMC_POWER_OFF },
	[BMC_ACTION_CYCLE] = { { "PowerCycle", "ForceRestart" }, BMC_POWER_UNKNOWN },
	[BMC_ACTION_RESET] = { { "ForceRestart", "PowerCycle" }, BMC_POWER_UNKNOWN },
};

struct power {
	const char *const *types;
	enum bmc_power wanted;
	enum bmc_power seen;
	const char *type; /* the one that is sent */
	char target[RF_LINK_MAX];
	unsigned tries;
};

static void post_reset(struct rf_bmc *rf);

/* The button would switch a host on that is off, and the other way round. */
static bool may_push(const struct power *p)
{
	return p->seen == BMC_POWER_ON;
}

static bool choose_type(struct power *p, const struct json *object, const char *list)
{
	for (size_t i = 0; i < 3 && p->types[i]; i++) {
		bool button = strcmp(p->types[i], "PushPowerButton") == 0;
		bool first = i == 0, listed = json_count(json_get(object, list)) > 0;
		if ((!first && !listed) || (button && !may_push(p)) ||
		    !rf_allows(object, list, p->types[i]))
			continue;
		p->type = p->types[i];
		return true;
	}
	return false;
}

static void use_type(struct rf_bmc *rf, const struct json *object, const char *list)
{
	struct power *p = rf_state(rf);
	if (choose_type(p, object, list))
		post_reset(rf);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "does not offer %s among what its Reset allows",
			p->types[0]);
}

/* Of a resource that describes the action (DSP0266, 7.9). */
static void on_action_info(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *parameters = json_get(a->body, "Parameters");
	json_for_each(parameter, parameters) {
		const char *name = json_get_string(parameter, "Name");
		if (name && strcasecmp(name, "ResetType") == 0) {
			use_type(rf, parameter, "AllowableValues");
			return;
		}
	}
	use_type(rf, NULL, "AllowableValues");
}

/* Not while it is on its way there: a soft shutdown may hang, and then be cut short. */
static bool is_so_already(const struct power *p, const struct json *system)
{
	const char *state = str_or(json_get_string(system, "PowerState"), "");
	return (p->wanted == BMC_POWER_ON && strcasecmp(state, "On") == 0) ||
	       (p->wanted == BMC_POWER_OFF && strcasecmp(state, "Off") == 0);
}

static void on_state(struct rf_bmc *rf, struct rf_answer *a)
{
	struct power *p = rf_state(rf);
	const struct json *reset = json_get(json_get(a->body, "Actions"), "#ComputerSystem.Reset");
	const char *target = json_get_string(reset, "target");
	p->seen = power_of(a->body);
	if (is_so_already(p, a->body)) {
		rf_done(rf);
		return;
	}
	if (!target || strlen(target) >= sizeof(p->target)) {
		rf_fail(rf, ERR_UNSUPPORTED, "offers no Reset of system %.200s", a->path);
		return;
	}
	snprintf(p->target, sizeof(p->target), "%s", target);
	const char *list = "ResetType@Redfish.AllowableValues";
	const char *info = json_get_string(reset, "@Redfish.ActionInfo");
	if (!json_get(reset, list) && info)
		rf_get_optional(rf, info, on_action_info);
	else
		use_type(rf, reset, list);
}

static void on_refused_state(struct rf_bmc *rf, struct rf_answer *a);

/* iDRAC10 for some seconds after a power off. */
static bool comes_later(struct power *p, const struct rf_answer *a)
{
	return a->status == 409 && p->wanted == BMC_POWER_ON && ++p->tries < ON_TRIES;
}

/* Kept of the refusal until the state has been read again. */
static void on_reset(struct rf_bmc *rf, struct rf_answer *a)
{
	struct power *p = rf_state(rf);
	if (rf_is_success(a)) {
		rf_done(rf);
		return;
	}
	bool says_so = (p->wanted == BMC_POWER_ON && rf_mentions(a, "powered on")) ||
		       (p->wanted == BMC_POWER_OFF && rf_mentions(a, "powered off"));
	if ((a->status == 400 || a->status == 409) && p->wanted != BMC_POWER_UNKNOWN) {
		if (p->seen == BMC_POWER_UNKNOWN && says_so)
			rf_done(rf);
		else if (comes_later(p, a))
			rf_after(rf, ON_PAUSES * rf_driver_of(rf)->retry_pause, post_reset);
		else {
			_cleanup_(strbuf_done) struct strbuf said = { 0 };
			rf_describe(a, &said);
			snprintf(p->target, sizeof(p->target), "%s", said.data);
			rf_get_system(rf, on_refused_state);
		}
		return;
	}
	rf_fail_answer(rf, a);
}

static void on_refused_state(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct power *p = rf_state(rf);
	if (power_of(a->body) == p->wanted)
		rf_done(rf);
	else
		rf_fail(rf, ERR_CONFLICT, "refuses %s: %.200s", p->type, p->target);
}

static void post_reset(struct rf_bmc *rf)
{
	const struct power *p = rf_state(rf);
	struct json *body = json_new_object();
	json_set_string(body, "ResetType", p->type);
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST",
				     .path = p->target,
				     .body = body,
				     .any = true,
				     .once = true },
	       on_reset);
}

static void read_state(struct rf_bmc *rf)
{
	rf_get_system(rf, on_state);
}

static void begin_reset(struct bmc *bmc, const char *const *types, enum bmc_power wanted,
			bool starts)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct power *p = rf_state_new(rf, sizeof(*p), NULL);
	p->types = types;
	p->wanted = wanted;
	if (starts)
		rf_boot_again(rf, read_state);
	else
		read_state(rf);
}

void rf_start_set_power(struct bmc *bmc, struct bmc_task *task)
{
	enum bmc_action action = task->request.action;
	bool starts = action != BMC_ACTION_OFF && action != BMC_ACTION_SOFT;
	begin_reset(bmc, actions[action].types, actions[action].wanted, starts);
}

void rf_start_send_nmi(struct bmc *bmc, struct bmc_task *task)
{
	static const char *const nmi[] = { "Nmi", NULL };
	(void)task;
	begin_reset(bmc, nmi, BMC_POWER_UNKNOWN, false);
}

/* --- what it is ------------------------------------------------------------------------------ */

static void on_manager(struct rf_bmc *rf, struct rf_answer *a)
{
	struct bmc_info *info = &rf_task(rf)->result.info;
	rf_text(a->body, "Model", info->product, sizeof(info->product));
	rf_text(a->body, "FirmwareVersion", info->version, sizeof(info->version));
	rf->quirks = rf_quirks_of(rf->vendor, rf->model, info->version) |
		     rf_quirks_of(rf->root_vendor, rf->model, info->version);
	rf_done(rf);
}

static void on_info(struct rf_bmc *rf, struct rf_answer *a)
{
	struct bmc_info *info = &rf_task(rf)->result.info;
	rf_text(a->body, "Manufacturer", info->vendor, sizeof(info->vendor));
	rf_text(a->body, "UUID", info->guid, sizeof(info->guid));
	if (rf->links.manager)
		rf_get_manager(rf, on_manager);
	else
		rf_done(rf);
}

void rf_start_get_info(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	rf_get_system(rf_begin(bmc), on_info);
}

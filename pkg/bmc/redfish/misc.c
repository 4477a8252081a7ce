/* Small things: the identification LED, the BMC's clock, its restart, and how well the machine is.
 * Core thread. */

#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "bmc/redfish/internal.h"

static void on_done(struct rf_bmc *rf, struct rf_answer *a)
{
	(void)a;
	rf_done(rf);
}

/* --- LED ------------------------------------------------------------------------------------- */

/* True: it is on its way. New schemas have the first, old ones the second; some have none at the
 * system, but at the chassis. */
static bool patch_led(struct rf_bmc *rf, const struct rf_answer *a)
{
	bool on = rf_task(rf)->request.enable;
	struct json *body = json_new_object();
	if (json_get(a->body, "LocationIndicatorActive"))
		json_set_bool(body, "LocationIndicatorActive", on);
	else if (json_get(a->body, "IndicatorLED"))
		json_set_string(body, "IndicatorLED", on ? "Lit" : "Off");
	if (json_count(body) == 0) {
		json_free(body);
		return false;
	}
	rf_patch(rf, a->path, a->etag, body, on_done);
	return true;
}

static void no_led(struct rf_bmc *rf)
{
	rf_fail(rf, ERR_UNSUPPORTED, "offers no identification LED");
}

static void on_chassis_led(struct rf_bmc *rf, struct rf_answer *a)
{
	if (!a->body || !patch_led(rf, a))
		no_led(rf);
}

static void on_system_led(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *chassis = json_get_path(a->body, "Links.Chassis");
	const char *first = rf_id(json_at(chassis, 0));
	if (patch_led(rf, a))
		return;
	if (first)
		rf_get_optional(rf, first, on_chassis_led);
	else
		no_led(rf);
}

void rf_start_set_led(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	rf_get_system(rf_begin(bmc), on_system_led);
}

/* --- the manager ----------------------------------------------------------------------------- */

struct manager {
	rf_answer_fn next;
};

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct manager *m = rf_state(rf);
	(void)a;
	rf_get_manager(rf, m->next);
}

/* Its link is known from the system, which need not be read for it again. */
static void find_manager(struct bmc *bmc, rf_answer_fn next)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct manager *m = rf_state_new(rf, sizeof(*m), NULL);
	m->next = next;
	if (rf->links.manager)
		rf_get_manager(rf, next);
	else
		rf_get_system(rf, on_system);
}

/* The offset goes along where the BMC has one: else it would show the hour of another place. */
static void on_clock(struct rf_bmc *rf, struct rf_answer *a)
{
	time_t at = (time_t)(rf_task(rf)->request.time / USEC_PER_SEC);
	struct tm tm;
	char text[32];
	if (!json_get(a->body, "DateTime")) {
		rf_fail(rf, ERR_UNSUPPORTED, "offers no clock to set (DateTime of its manager)");
		return;
	}
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S+00:00", &tm);
	struct json *body = json_new_object();
	json_set_string(body, "DateTime", text);
	if (json_get(a->body, "DateTimeLocalOffset"))
		json_set_string(body, "DateTimeLocalOffset", "+00:00");
	rf_patch(rf, a->path, a->etag, body, on_done);
}

void rf_start_set_clock(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	find_manager(bmc, on_clock);
}

/* Its sessions may end with it, and its links may change with its firmware. */
static void on_reset(struct rf_bmc *rf, struct rf_answer *a)
{
	(void)a;
	rf_session_forget(rf);
	rf_done(rf);
}

/* Of a manager that does not say what it allows, ForceRestart is what all have. */
static const char *reset_word(const struct json *action, enum bmc_reset reset)
{
	static const char list[] = "ResetType@Redfish.AllowableValues";
	const char *first = reset == BMC_RESET_WARM ? "GracefulRestart" : "ForceRestart";
	const char *second = reset == BMC_RESET_WARM ? "ForceRestart" : "GracefulRestart";
	if (rf_allows(action, list, first))
		return first;
	return rf_allows(action, list, second) ? second : NULL;
}

static void on_to_reset(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *action = json_get(json_get(a->body, "Actions"), "#Manager.Reset");
	const char *target = rf_target(a->body, "#Manager.Reset");
	const char *word = reset_word(action, rf_task(rf)->request.reset);
	if (!target || !word) {
		rf_fail(rf, ERR_UNSUPPORTED, "offers no restart of itself (Reset of %.200s)",
			a->path);
		return;
	}
	struct json *body = json_new_object();
	json_set_string(body, "ResetType", word);
	rf_post(rf, target, body, on_reset);
}

void rf_start_reset_bmc(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	find_manager(bmc, on_to_reset);
}

/* --- health ---------------------------------------------------------------------------------- */

enum bmc_health_level rf_level_of(const char *word)
{
	static const char *const words[] = { [BMC_LEVEL_UNKNOWN] = "",
					     [BMC_LEVEL_OK] = "OK",
					     [BMC_LEVEL_WARNING] = "Warning",
					     [BMC_LEVEL_CRITICAL] = "Critical" };
	for (enum bmc_health_level l = BMC_LEVEL_OK; word && l <= BMC_LEVEL_CRITICAL; l++)
		if (strcasecmp(word, words[l]) == 0)
			return l;
	return BMC_LEVEL_UNKNOWN;
}

/* The worse of both: HealthRollup has the parts in it, where there is one. */
static void on_health(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *status = json_get(a->body, "Status");
	enum bmc_health_level own = rf_level_of(json_get_string(status, "Health"));
	enum bmc_health_level all = rf_level_of(json_get_string(status, "HealthRollup"));
	rf_task(rf)->result.level = MAX(own, all);
	rf_done(rf);
}

void rf_start_get_health(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	rf_get_system(rf_begin(bmc), on_health);
}

/* The firmware's settings (schema Bios): read as they are, changed in the settings object that the
 * BMC names, from which the firmware takes them at the next reset. A value keeps the type that it
 * has; what is as wanted already is not sent. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { SETTINGS_MAX = 4096 };

struct settings {
	struct json *bios;	/* its attributes, while the settings object is read */
	char path[RF_LINK_MAX]; /* of what is changed */
	bool on_reset, guessed;
	char target[RF_LINK_MAX]; /* of the reset to defaults */
	unsigned tries;
};

static void settings_done(void *state)
{
	struct settings *s = state;
	json_free(s->bios);
}

static void no_settings(struct rf_bmc *rf)
{
	rf_fail(rf, ERR_UNSUPPORTED, "offers no firmware settings (Bios of the system)");
}

/* Reads the system's Bios; `next` takes it, if there is one. */
static void with_bios(struct rf_bmc *rf, struct rf_answer *a, rf_answer_fn next)
{
	const char *link = rf_link(a->body, "Bios");
	if (link)
		rf_get_optional(rf, link, next);
	else
		no_settings(rf);
}

/* --- reading --------------------------------------------------------------------------------- */

char *rf_setting_text(const struct json *value)
{
	bool b;
	if (json_string(value))
		return xstrdup(json_string(value));
	if (json_number_text(value))
		return xstrdup(json_number_text(value));
	return json_bool(value, &b) ? xstrdup(b ? "true" : "false") : NULL;
}

/* Passwords are null. */
static void on_read(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct json *attributes = json_get(a->body, "Attributes");
	struct bmc_settings *out = &rf_task(rf)->result.settings;
	if (!json_is_object(attributes)) {
		no_settings(rf);
		return;
	}
	json_for_each(one, attributes) {
		_cleanup_(freep) char *text = rf_setting_text(one);
		if (text && out->count < SETTINGS_MAX)
			bmc_settings_add(out, json_key(one), text);
	}
	rf_done(rf);
}

static void on_system_to_read(struct rf_bmc *rf, struct rf_answer *a)
{
	with_bios(rf, a, on_read);
}

void rf_start_get_settings(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	rf_get_system(rf_begin(bmc), on_system_to_read);
}

/* --- changing -------------------------------------------------------------------------------- */

/* By the type of the value that it has now. NULL: the text is none of that type. */
struct json *rf_setting_value(const struct json *now, const char *text)
{
	bool b;
	int64_t n;
	double d;
	if (json_bool(now, &b)) {
		if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
			return NULL;
		return json_new_bool(strcasecmp(text, "true") == 0);
	}
	if (json_double(now, &d))
		return parse_i64(text, &n) == 0 ? json_new_int(n) : NULL;
	return json_new_string(text);
}

/* 1: to be sent. 0: it is so already, and nothing else is pending. Negative: the operation ends. */
static int change_one(struct rf_bmc *rf, const struct bmc_setting *wanted,
		      const struct json *pending, struct json *changes)
{
	const struct settings *s = rf_state(rf);
	const struct json *now = json_get(s->bios, wanted->name);
	const struct json *later = json_get(pending, wanted->name);
	if (!now) {
		rf_fail(rf, ERR_INVALID, "has no firmware setting \"%.100s\"", wanted->name);
		return -1;
	}
	struct json *value = rf_setting_value(now, wanted->value);
	if (!value) {
		rf_fail(rf, ERR_INVALID,
			"takes no such value for firmware setting \"%.100s\": it is %s",
			wanted->name, json_type(now) == JSON_BOOL ? "true or false" : "a number");
		return -1;
	}
	if (json_equal(value, now) && (!later || json_equal(value, later))) {
		json_free(value);
		return 0;
	}
	json_set(changes, wanted->name, value);
	return 1;
}

static void on_changed(struct rf_bmc *rf, struct rf_answer *a)
{
	rf_job_begun(rf, a, BMC_JOB_NEEDS_RESET);
}

static void on_pending(struct rf_bmc *rf, struct rf_answer *a);

/* What the settings object, or Bios itself where there is none, is asked to take. */
static void change(struct rf_bmc *rf, const struct json *pending, const char *etag)
{
	const struct settings *s = rf_state(rf);
	const struct bmc_settings *wanted = &rf_task(rf)->request.settings;
	struct json *body = json_new_object(), *changes = json_make_object(body, "Attributes");
	int r = 0;
	for (size_t i = 0; i < wanted->count && r >= 0; i++)
		r = change_one(rf, &wanted->items[i], pending, changes);
	if (r < 0 || json_count(changes) == 0) {
		json_free(body);
		if (r < 0)
			return;
		rf_task(rf)->result.job = (struct bmc_job){ .state = BMC_JOB_DONE, .percent = 100 };
		rf_done(rf);
		return;
	}
	if (s->on_reset)
		json_set_string(json_make_object(body, "@Redfish.SettingsApplyTime"), "ApplyTime",
				"OnReset");
	rf_patch(rf, s->path, etag, body, on_changed);
}

static void on_pending(struct rf_bmc *rf, struct rf_answer *a)
{
	struct settings *s = rf_state(rf);
	if (!a->body && s->guessed) { /* no such resource: the settings are changed themselves */
		s->path[strlen(s->path) - strlen("/SD")] = '\0';
		s->guessed = false;
		rf_get_optional(rf, s->path, on_pending);
		return;
	}
	if (a->body)
		change(rf, json_get(a->body, "Attributes"), a->etag);
	else
		rf_fail(rf, ERR_UNSUPPORTED,
			"names %.200s as the place of changes to its firmware settings, and does "
			"not have it",
			a->path);
}

static bool lists(const struct json *values, const char *value)
{
	json_for_each(v, values)
		if (json_string(v) && strcasecmp(json_string(v), value) == 0)
			return true;
	return false;
}

/* AMI's name no settings object: theirs is the "future state" of the resource. */
static void on_bios_to_change(struct rf_bmc *rf, struct rf_answer *a)
{
	struct settings *s = rf_state(rf);
	const struct json *settings = json_get(a->body, "@Redfish.Settings");
	const char *link = rf_link(settings, "SettingsObject");
	if (!json_is_object(json_get(a->body, "Attributes"))) {
		no_settings(rf);
		return;
	}
	s->bios = json_dup(json_get(a->body, "Attributes"));
	s->on_reset = lists(json_get(settings, "SupportedApplyTimes"), "OnReset");
	s->guessed = !link && (settings || rf_quirk(rf, RF_QUIRK_BIOS_SD));
	size_t len = strlen(a->path);
	while (len > 0 && a->path[len - 1] == '/')
		len--;
	if (link)
		snprintf(s->path, sizeof(s->path), "%s", link);
	else
		snprintf(s->path, sizeof(s->path), "%.*s%s", (int)MIN(len, sizeof(s->path) - 4),
			 a->path, s->guessed ? "/SD" : "");
	if (link || s->guessed)
		rf_get_optional(rf, s->path, on_pending);
	else
		change(rf, NULL, a->etag);
}

static void on_system_to_change(struct rf_bmc *rf, struct rf_answer *a)
{
	with_bios(rf, a, on_bios_to_change);
}

void rf_start_set_settings(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	rf_state_new(rf, sizeof(struct settings), settings_done);
	rf_get_system(rf, on_system_to_change);
}

/* --- defaults -------------------------------------------------------------------------------- */

static void post_defaults(struct rf_bmc *rf);

/* No body, as the schema has it; iDRAC 8 and iLO want an empty one, AMI a parameter. */
static void on_defaults(struct rf_bmc *rf, struct rf_answer *a)
{
	struct settings *s = rf_state(rf);
	if (rf_is_success(a))
		rf_job_begun(rf, a, BMC_JOB_NEEDS_RESET);
	else if ((a->status == 400 || a->status == 415) && ++s->tries < 3)
		post_defaults(rf);
	else
		rf_fail_answer(rf, a);
}

static void post_defaults(struct rf_bmc *rf)
{
	const struct settings *s = rf_state(rf);
	struct json *body = s->tries > 0 ? json_new_object() : NULL;
	if (s->tries > 1)
		json_set_string(body, "ResetType", "Reset");
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST",
				     .path = s->target,
				     .body = body,
				     .any = true,
				     .once = true },
	       on_defaults);
}

static void on_bios_to_reset(struct rf_bmc *rf, struct rf_answer *a)
{
	struct settings *s = rf_state(rf);
	const char *target = rf_target(a->body, "#Bios.ResetBios");
	if (!target) {
		rf_fail(rf, ERR_UNSUPPORTED,
			"offers no reset of its firmware settings (Bios.ResetBios)");
		return;
	}
	snprintf(s->target, sizeof(s->target), "%s", target);
	post_defaults(rf);
}

static void on_system_to_reset(struct rf_bmc *rf, struct rf_answer *a)
{
	with_bios(rf, a, on_bios_to_reset);
}

void rf_start_reset_settings(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	rf_state_new(rf, sizeof(struct settings), settings_done);
	rf_get_system(rf, on_system_to_reset);
}

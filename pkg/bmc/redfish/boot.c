/* What a host boots from, and in which mode (DSP2046, ComputerSystem.Boot). Vendors differ in where
 * these properties are changed (the system, or its settings object), in which have to come together
 * and in which words they allow. So both resources are read first, each property goes to where it
 * is, and nothing is sent that need not be. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

#define TARGET	   "BootSourceOverrideTarget"
#define ENABLED	   "BootSourceOverrideEnabled"
#define MODE	   "BootSourceOverrideMode"
#define URI	   "HttpBootUri"
#define ALLOWED(p) p "@Redfish.AllowableValues"

/* A change under way. */
struct rf_boot {
	bool mode_only;
	struct bmc_boot want; /* its URI is borrowed */
	rf_fn next;	      /* when both have been read */
	rf_fn after;	      /* when it is done */

	struct json *system, *settings; /* as read; settings may be NULL */
	char *system_etag, *settings_etag;
	char *system_path, *settings_path;
	const char *target, *enabled, *mode; /* to be sent; NULL: not */
	bool falls_back;		     /* Once in place of Continuous */
	struct json *rest;		     /* what goes to the system afterwards */
};

void rf_boot_free(struct rf_boot *b)
{
	if (!b)
		return;
	json_free(b->system);
	json_free(b->settings);
	json_free(b->rest);
	free(b->system_etag);
	free(b->settings_etag);
	free(b->system_path);
	free(b->settings_path);
	free(b);
}

/* --- words ----------------------------------------------------------------------------------- */

static const char *const targets[_BMC_DEVICE_MAX] = {
	[BMC_DEVICE_NONE] = "None",	 [BMC_DEVICE_PXE] = "Pxe",
	[BMC_DEVICE_DISK] = "Hdd",	 [BMC_DEVICE_CDROM] = "Cd",
	[BMC_DEVICE_BIOS] = "BiosSetup", [BMC_DEVICE_UEFI_HTTP] = "UefiHttp",
};

static bool is(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) == 0;
}

/* What no device of ours stands for is the firmware's own business, as None is. */
static enum bmc_device device_of(const char *target)
{
	if (is(target, "UsbCd"))
		return BMC_DEVICE_CDROM;
	for (enum bmc_device d = 0; d < _BMC_DEVICE_MAX; d++)
		if (is(target, targets[d]))
			return d;
	return BMC_DEVICE_NONE;
}

static const char *mode_word(bool uefi)
{
	return uefi ? "UEFI" : "Legacy";
}

static enum bmc_boot_mode mode_of(const char *word)
{
	if (is(word, "UEFI"))
		return BMC_MODE_UEFI;
	return is(word, "Legacy") ? BMC_MODE_LEGACY : BMC_MODE_UNKNOWN;
}

/* --- reading both resources ------------------------------------------------------------------ */

static const struct json *boot_of(const struct json *resource)
{
	return json_get(resource, "Boot");
}

/* The property where it is: what is pending counts for more than what was. */
static const struct json *property(const struct rf_boot *b, const char *name)
{
	const struct json *pending = json_get(boot_of(b->settings), name);
	return pending ? pending : json_get(boot_of(b->system), name);
}

static const char *current(const struct rf_boot *b, const char *name)
{
	return json_string(property(b, name));
}

/* The list may stand in either resource; without one all is allowed. */
static bool allows(const struct rf_boot *b, const char *list, const char *word)
{
	return rf_allows(boot_of(b->system), list, word) &&
	       rf_allows(boot_of(b->settings), list, word);
}

static bool lists(const struct rf_boot *b, const char *list, const char *word)
{
	bool there = json_count(json_get(boot_of(b->system), list)) > 0 ||
		     json_count(json_get(boot_of(b->settings), list)) > 0;
	return there && allows(b, list, word);
}

static void plan(struct rf_bmc *rf);

static void on_settings(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_boot *b = rf->run->boot;
	if (boot_of(a->body)) {
		b->settings_path = xstrdup(a->path);
		b->settings_etag = xstrdup(a->etag);
		b->settings = TAKE_PTR(a->body);
	}
	b->next(rf);
}

static const char *settings_link(const struct json *system)
{
	return rf_link(json_get(system, "@Redfish.Settings"), "SettingsObject");
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	struct rf_boot *b = rf->run->boot;
	b->system_path = xstrdup(a->path);
	b->system_etag = xstrdup(a->etag);
	b->system = TAKE_PTR(a->body);
	const char *link = settings_link(b->system);
	if (link)
		rf_get_optional(rf, link, on_settings);
	else
		b->next(rf);
}

/* Reads all that is to be known first. */
static struct rf_boot *read_both(struct rf_bmc *rf, rf_fn next)
{
	struct rf_boot *b = xcalloc(1, sizeof(*b));
	rf_boot_free(rf->run->boot);
	rf->run->boot = b;
	b->next = next;
	rf_get_system(rf, on_system);
	return b;
}

/* --- what is read ---------------------------------------------------------------------------- */

static void give_boot(struct rf_bmc *rf)
{
	const struct rf_boot *b = rf->run->boot;
	struct bmc_boot *boot = &rf_task(rf)->result.boot;
	const char *enabled = current(b, ENABLED);
	if (!boot_of(b->system) && !b->settings) {
		rf_fail(rf, ERR_UNSUPPORTED, "says nothing of what %.200s boots from (Boot)",
			b->system_path);
		return;
	}
	boot->uefi = mode_of(current(b, MODE)) == BMC_MODE_UEFI;
	if (!is(enabled, "Disabled"))
		boot->device = device_of(current(b, TARGET));
	boot->persistent = boot->device != BMC_DEVICE_NONE && is(enabled, "Continuous");
	if (boot->device == BMC_DEVICE_UEFI_HTTP)
		boot->http_uri = xstrdup(current(b, URI));
	rf_done(rf);
}

void rf_start_get_boot(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	read_both(rf_begin(bmc), give_boot);
}

static void give_mode(struct rf_bmc *rf)
{
	rf_task(rf)->result.mode = mode_of(current(rf->run->boot, MODE));
	rf_done(rf);
}

void rf_start_get_boot_mode(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	read_both(rf_begin(bmc), give_mode);
}

/* --- what is to be sent ---------------------------------------------------------------------- */

/* Supermicro wants UsbCd although it lists Cd, too; others list only one of both. */
static const char *target_for(const struct rf_bmc *rf, const struct rf_boot *b)
{
	enum bmc_device device = b->want.device;
	bool usb = lists(b, ALLOWED(TARGET), "UsbCd");
	if (device == BMC_DEVICE_CDROM && usb &&
	    (rf_quirk(rf, RF_QUIRK_USB_CD) || !allows(b, ALLOWED(TARGET), "Cd")))
		return "UsbCd";
	return targets[device];
}

/* True: it has failed. */
static bool refuse_target(struct rf_bmc *rf, const struct rf_boot *b)
{
	if (allows(b, ALLOWED(TARGET), b->target) || b->want.device == BMC_DEVICE_NONE)
		return false;
	rf_fail(rf, ERR_UNSUPPORTED,
		"cannot make the host boot from %s: %s is not among the "
		"targets that it allows",
		bmc_device_name(b->want.device), b->target);
	return true;
}

/* What the mode is to be; NULL: this BMC has none, and it stays as it is. */
static const char *mode_for(const struct rf_boot *b)
{
	return property(b, MODE) || b->mode_only ? mode_word(b->want.uefi) : NULL;
}

static bool refuse_mode(struct rf_bmc *rf, const struct rf_boot *b)
{
	if (b->mode_only && !property(b, MODE)) {
		rf_fail(rf, ERR_UNSUPPORTED,
			"cannot change the boot mode (it has no " MODE
			"): set it in the firmware's setup");
		return true;
	}
	if (!b->mode || allows(b, ALLOWED(MODE), b->mode))
		return false;
	rf_fail(rf, ERR_UNSUPPORTED, "does not allow boot mode %s: set spec.bootMode to %s",
		b->mode, b->want.uefi ? "legacy" : "UEFI");
	return true;
}

static bool refuse_uri(struct rf_bmc *rf, const struct rf_boot *b)
{
	if (b->mode_only || !b->want.http_uri || property(b, URI))
		return false;
	rf_fail(rf, ERR_UNSUPPORTED,
		"takes no URL for a UEFI HTTP boot (it has no " URI "): let DHCP name it");
	return true;
}

static const char *enabled_for(struct rf_boot *b)
{
	if (b->want.device == BMC_DEVICE_NONE)
		return "Disabled";
	if (!b->want.persistent)
		return "Once";
	b->falls_back |= !allows(b, ALLOWED(ENABLED), "Continuous");
	return b->falls_back ? "Once" : "Continuous";
}

/* In UEFI, Lenovo's Hdd would go before the entry that the installed system has made for itself. */
static void leave_order(const struct rf_bmc *rf, struct rf_boot *b)
{
	if (rf_quirk(rf, RF_QUIRK_UEFI_ORDER) && b->want.uefi && b->want.persistent &&
	    b->want.device == BMC_DEVICE_DISK)
		b->want.device = BMC_DEVICE_NONE;
}

static void choose_words(struct rf_bmc *rf, struct rf_boot *b)
{
	bool whole = rf_quirk(rf, RF_QUIRK_BOOT_WHOLE);
	b->mode = mode_for(b);
	if (b->mode_only) {
		b->target = whole ? current(b, TARGET) : NULL;
		b->enabled = whole ? current(b, ENABLED) : NULL;
		return;
	}
	leave_order(rf, b);
	b->target = target_for(rf, b);
	b->enabled = enabled_for(b);
	if (whole) {
		b->mode = b->mode ? b->mode : mode_word(b->want.uefi);
		return;
	}
	/* Some refuse to be told what is so already. */
	if (is(b->enabled, current(b, ENABLED)) && !rf_quirk(rf, RF_QUIRK_BOOT_ENABLED))
		b->enabled = NULL;
	if (is(b->mode, current(b, MODE)) || b->want.device == BMC_DEVICE_NONE)
		b->mode = NULL;
}

/* --- sending --------------------------------------------------------------------------------- */

static void send_rest(struct rf_bmc *rf);

/* To the settings object what it has, the rest to the system. With BOOT_WHOLE nothing is parted. */
static void put(const struct rf_bmc *rf, struct rf_boot *b, struct json *settings, const char *name,
		struct json *value)
{
	const struct json *there = boot_of(b->settings);
	bool parted = !rf_quirk(rf, RF_QUIRK_BOOT_WHOLE);
	bool in_settings = there && (!parted || json_get(there, name));
	json_set(in_settings ? settings : b->rest, name, value);
}

/* A URL that an earlier boot has left there would be taken for the next one. */
static void put_uri(const struct rf_bmc *rf, struct rf_boot *b, struct json *settings)
{
	bool wanted = b->want.device == BMC_DEVICE_UEFI_HTTP && b->want.http_uri;
	if (b->mode_only)
		return;
	if (wanted)
		put(rf, b, settings, URI, json_new_string(b->want.http_uri));
	else if (!str_empty(current(b, URI)))
		put(rf, b, settings, URI, json_new_null());
}

static struct json *as_body(struct json *boot)
{
	struct json *body = json_new_object();
	json_set(body, "Boot", boot);
	return body;
}

static void finish(struct rf_bmc *rf);

static bool takes_once_only(struct rf_boot *b, const struct rf_answer *a)
{
	return !b->mode_only && !b->falls_back && b->want.persistent &&
	       b->want.device != BMC_DEVICE_NONE && a->status == 400 &&
	       !rf_says(a, "UnableToModifyDuringSystemPOST");
}

/* True: it is done otherwise, or has failed. */
static bool refused(struct rf_bmc *rf, const struct rf_answer *a)
{
	struct rf_boot *b = rf->run->boot;
	if (rf_is_success(a))
		return false;
	if (takes_once_only(b, a)) {
		b->falls_back = true;
		plan(rf);
	} else {
		rf_fail_answer(rf, a);
	}
	return true;
}

static void on_system_patched(struct rf_bmc *rf, struct rf_answer *a)
{
	if (!refused(rf, a))
		finish(rf);
}

static void on_settings_patched(struct rf_bmc *rf, struct rf_answer *a)
{
	if (!refused(rf, a))
		send_rest(rf);
}

static void patch(struct rf_bmc *rf, const char *path, const char *etag, struct json *boot,
		  rf_answer_fn next)
{
	rf_ask(rf,
	       &(struct rf_request){ .method = "PATCH",
				     .path = path,
				     .etag = etag,
				     .body = as_body(boot),
				     .any = true,
				     .whole = true },
	       next);
}

static void send_rest(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	if (json_count(b->rest) == 0)
		finish(rf);
	else
		patch(rf, b->system_path, b->system_etag, TAKE_PTR(b->rest), on_system_patched);
}

static void send_both(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	struct json *settings = json_new_object();
	json_free(b->rest);
	b->rest = json_new_object();
	if (b->target)
		put(rf, b, settings, TARGET, json_new_string(b->target));
	if (b->enabled)
		put(rf, b, settings, ENABLED, json_new_string(b->enabled));
	if (b->mode)
		put(rf, b, settings, MODE, json_new_string(b->mode));
	put_uri(rf, b, settings);
	if (json_count(settings) > 0) {
		patch(rf, b->settings_path, b->settings_etag, settings, on_settings_patched);
		return;
	}
	json_free(settings);
	send_rest(rf);
}

static void conclude(struct rf_bmc *rf);

static void plan(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	if (!b->mode_only && b->want.device == BMC_DEVICE_CDROM && rf_quirk(rf, RF_QUIRK_DELL_CD)) {
		rf_dell_boot_cd(rf, !b->want.persistent, conclude);
		return;
	}
	if (!boot_of(b->system) && !b->settings) {
		rf_fail(rf, ERR_UNSUPPORTED,
			"offers no way to say what %.200s boots from (Boot): is it a part of a "
			"machine only?",
			b->system_path);
		return;
	}
	choose_words(rf, b);
	if (refuse_mode(rf, b) || (!b->mode_only && refuse_target(rf, b)) || refuse_uri(rf, b))
		return;
	send_both(rf);
}

/* --- afterwards ------------------------------------------------------------------------------ */

/* Is to be sent again before each start, because this BMC forgets it after one. */
static void remember(struct rf_bmc *rf, const struct rf_boot *b)
{
	if (b->mode_only)
		return;
	rf->again = (struct bmc_boot){ 0 };
	if (b->falls_back)
		rf->again = (struct bmc_boot){ .device = b->want.device,
					       .persistent = true,
					       .uefi = b->want.uefi };
}

static void conclude(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	rf_fn after = b->after;
	rf->run->boot = NULL;
	rf_boot_free(b);
	after(rf);
}

static void on_mode_patched(struct rf_bmc *rf, struct rf_answer *a)
{
	(void)a;
	conclude(rf);
}

/* Supermicro's mode may have changed with the device. */
static void on_checked(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct rf_boot *b = rf->run->boot;
	const char *mode = json_get_string(boot_of(a->body), MODE);
	const char *want = mode_word(b->want.uefi);
	if (!mode || is(mode, want)) {
		conclude(rf);
		return;
	}
	struct json *boot = json_new_object();
	json_set_string(boot, MODE, want);
	json_set_string(boot, ENABLED, json_get_string(boot_of(a->body), ENABLED));
	rf_patch(rf, a->path, a->etag, as_body(boot), on_mode_patched);
}

static void finish(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	remember(rf, b);
	bool flips = rf_quirk(rf, RF_QUIRK_MODE_FLIPS) && !b->mode_only && property(b, MODE) &&
		     b->want.device != BMC_DEVICE_NONE;
	if (flips)
		rf_get(rf, b->system_path, on_checked);
	else
		conclude(rf);
}

/* --- operations ------------------------------------------------------------------------------ */

static void change(struct rf_bmc *rf, const struct bmc_boot *want, bool mode_only, rf_fn after)
{
	struct rf_boot *b = read_both(rf, plan);
	b->want = *want;
	b->mode_only = mode_only;
	b->after = after;
}

void rf_start_set_boot(struct bmc *bmc, struct bmc_task *task)
{
	change(rf_begin(bmc), &task->request.boot, false, rf_done);
}

/* Without a request where it is so already. */
static void plan_mode(struct rf_bmc *rf)
{
	struct rf_boot *b = rf->run->boot;
	if (is(current(b, MODE), mode_word(b->want.uefi)))
		conclude(rf);
	else
		plan(rf);
}

void rf_start_set_boot_mode(struct bmc *bmc, struct bmc_task *task)
{
	struct rf_bmc *rf = rf_begin(bmc);
	const struct bmc_boot want = { .uefi = task->request.mode == BMC_MODE_UEFI };
	if (task->request.mode == BMC_MODE_UNKNOWN) {
		rf_fail(rf, ERR_INVALID, "cannot be set to an unknown boot mode");
		return;
	}
	change(rf, &want, true, rf_done);
	rf->run->boot->next = plan_mode;
}

void rf_boot_again(struct rf_bmc *rf, rf_fn next)
{
	if (rf->again.device == BMC_DEVICE_NONE) {
		next(rf);
		return;
	}
	change(rf, &rf->again, false, next);
	rf->run->boot->falls_back = true; /* it need not refuse Continuous again */
}

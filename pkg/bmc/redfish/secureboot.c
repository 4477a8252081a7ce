/* Secure Boot (DSP2046, SecureBoot): on, off, and what becomes of its keys. All of it holds from
 * the host's next reset on. A machine without the resource, or with one that says nothing (OpenBMC,
 * or Supermicro without a licence), has no Secure Boot that could be changed: that is
 * "unsupported", never "off". Core thread. */

#include <strings.h>

#include "bmc/redfish/internal.h"

static void unsupported(struct rf_bmc *rf)
{
	rf_fail(rf, ERR_UNSUPPORTED,
		"offers no way to change Secure Boot (SecureBoot of the system; some vendors want a "
		"licence for it): set it in the firmware's setup");
}

/* --- finding it ------------------------------------------------------------------------------ */

struct secure_boot {
	rf_answer_fn next;
};

static void on_resource(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct secure_boot *s = rf_state(rf);
	if (a->body)
		s->next(rf, a);
	else
		unsupported(rf);
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *link = rf_link(a->body, "SecureBoot");
	const char *mode = json_get_string(json_get(a->body, "Boot"), "BootSourceOverrideMode");
	bool enables = rf_task(rf)->request.op == BMC_OP_SET_SECURE_BOOT &&
		       rf_task(rf)->request.enable;
	if (!link)
		unsupported(rf);
	else if (enables && mode && strcasecmp(mode, "Legacy") == 0)
		rf_fail(rf, ERR_INVALID,
			"cannot switch Secure Boot on while the host boots in legacy mode: set the "
			"boot mode to UEFI first");
	else
		rf_get_optional(rf, link, on_resource);
}

static void find(struct bmc *bmc, rf_answer_fn next)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct secure_boot *s = rf_state_new(rf, sizeof(*s), NULL);
	s->next = next;
	rf_get_system(rf, on_system);
}

/* --- reading --------------------------------------------------------------------------------- */

/* What the machine has booted with counts for more than what it is to boot with next. */
static void on_read(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *now = json_get_string(a->body, "SecureBootCurrentBoot");
	bool *ret = &rf_task(rf)->result.enabled;
	if (now && (strcasecmp(now, "Enabled") == 0 || strcasecmp(now, "Disabled") == 0))
		*ret = strcasecmp(now, "Enabled") == 0;
	else if (!json_bool(json_get(a->body, "SecureBootEnable"), ret)) {
		unsupported(rf);
		return;
	}
	rf_done(rf);
}

void rf_start_get_secure_boot(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	find(bmc, on_read);
}

/* --- changing -------------------------------------------------------------------------------- */

static void on_changed(struct rf_bmc *rf, struct rf_answer *a)
{
	if (rf_is_success(a))
		rf_done(rf);
	else if (rf_quirk(rf, RF_QUIRK_LICENSE) && rf_mentions(a, "LicenseNotPassed"))
		unsupported(rf);
	else
		rf_fail_answer(rf, a);
}

static void on_to_change(struct rf_bmc *rf, struct rf_answer *a)
{
	bool is, wanted = rf_task(rf)->request.enable;
	if (!json_bool(json_get(a->body, "SecureBootEnable"), &is)) {
		unsupported(rf);
		return;
	}
	if (is == wanted) {
		rf_done(rf);
		return;
	}
	struct json *body = json_new_object();
	json_set_bool(body, "SecureBootEnable", wanted);
	rf_ask(rf,
	       &(struct rf_request){ .method = "PATCH",
				     .path = a->path,
				     .etag = a->etag,
				     .body = body,
				     .any = true,
				     .whole = true },
	       on_changed);
}

void rf_start_set_secure_boot(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	find(bmc, on_to_change);
}

/* --- keys ------------------------------------------------------------------------------------ */

static const char *const key_words[_BMC_KEYS_MAX] = {
	[BMC_KEYS_DEFAULT] = "ResetAllKeysToDefault",
	[BMC_KEYS_DELETE_ALL] = "DeleteAllKeys",
	[BMC_KEYS_DELETE_PK] = "DeletePK",
};

static void on_keys(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *word = key_words[rf_task(rf)->request.keys];
	const struct json *action = json_get(json_get(a->body, "Actions"), "#SecureBoot.ResetKeys");
	const char *target = rf_target(a->body, "#SecureBoot.ResetKeys");
	if (!target || !rf_allows(action, "ResetKeysType@Redfish.AllowableValues", word)) {
		rf_fail(rf, ERR_UNSUPPORTED,
			"does not offer %s among what it does with the keys of "
			"Secure Boot",
			word);
		return;
	}
	struct json *body = json_new_object();
	json_set_string(body, "ResetKeysType", word);
	rf_ask(rf,
	       &(struct rf_request){
		       .method = "POST", .path = target, .body = body, .any = true, .once = true },
	       on_changed);
}

void rf_start_reset_keys(struct bmc *bmc, struct bmc_task *task)
{
	if (task->request.keys >= _BMC_KEYS_MAX)
		rf_fail(rf_begin(bmc), ERR_INVALID, "cannot do that to keys");
	else
		find(bmc, on_keys);
}

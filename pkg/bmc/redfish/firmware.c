/* Firmware: what is installed (UpdateService.FirmwareInventory), and an update that the BMC fetches
 * itself (SimpleUpdate). Targets are not named: the image says what it is for. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { COMPONENTS_MAX = 512, FIRMWARE_TEXT = 200 };

struct update {
	rf_answer_fn next;
	char target[RF_LINK_MAX];
	bool protocol; /* goes along */
};

static void on_root_read(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct update *u = rf_state(rf);
	(void)a;
	if (rf->links.update)
		rf_get_optional(rf, rf->links.update, u->next);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "offers no updates of firmware (UpdateService)");
}

static void with_service(struct bmc *bmc, rf_answer_fn next)
{
	struct rf_bmc *rf = rf_begin(bmc);
	struct update *u = rf_state_new(rf, sizeof(*u), NULL);
	u->next = next;
	rf_get_system(rf, on_root_read);
}

/* --- what is installed ----------------------------------------------------------------------- */

static void on_component(struct rf_bmc *rf, struct rf_answer *a)
{
	char id[FIRMWARE_TEXT], name[FIRMWARE_TEXT], version[FIRMWARE_TEXT];
	struct bmc_components *out = &rf_task(rf)->result.components;
	rf_text(a->body, "Id", id, sizeof(id));
	rf_text(a->body, "Name", name, sizeof(name));
	rf_text(a->body, "Version", version, sizeof(version));
	const struct bmc_component one = { .id = id,
					   .name = *name ? name : NULL,
					   .version = *version ? version : NULL,
					   .updateable = json_get_bool(a->body, "Updateable",
								       false) };
	if (*id && out->count < COMPONENTS_MAX)
		bmc_components_add(out, &one);
	rf_members_next(rf);
}

static void on_service_to_list(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *link = rf_link(a->body, "FirmwareInventory");
	if (link)
		rf_each_member(rf, link, on_component, rf_done);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "offers no list of firmware (FirmwareInventory)");
}

void rf_start_get_firmware(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	with_service(bmc, on_service_to_list);
}

/* --- an update ------------------------------------------------------------------------------- */

static void post_update(struct rf_bmc *rf);

static const char *protocol_of(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0 ? "HTTPS" : "HTTP";
}

/* Some want the protocol although the URL has it. */
static void on_update(struct rf_bmc *rf, struct rf_answer *a)
{
	struct update *u = rf_state(rf);
	if (rf_is_success(a)) {
		rf_job_begun(rf, a, BMC_JOB_DONE);
	} else if (a->status == 400 && !u->protocol && rf_mentions(a, "TransferProtocol")) {
		u->protocol = true;
		post_update(rf);
	} else {
		rf_fail_answer(rf, a);
	}
}

static void post_update(struct rf_bmc *rf)
{
	const struct update *u = rf_state(rf);
	const char *url = rf_task(rf)->request.firmware.url;
	struct json *body = json_new_object();
	json_set_string(body, "ImageURI", url);
	if (u->protocol)
		json_set_string(body, "TransferProtocol", protocol_of(url));
	rf_ask(rf,
	       &(struct rf_request){ .method = "POST",
				     .path = u->target,
				     .body = body,
				     .any = true,
				     .once = true },
	       on_update);
}

static void on_service_to_update(struct rf_bmc *rf, struct rf_answer *a)
{
	static const char name[] = "#UpdateService.SimpleUpdate";
	static const char list[] = "TransferProtocol@Redfish.AllowableValues";
	struct update *u = rf_state(rf);
	const struct json *action = json_get(json_get(a->body, "Actions"), name);
	const char *target = rf_target(a->body, name);
	const char *protocol = protocol_of(str_or(rf_task(rf)->request.firmware.url, ""));
	if (!target) {
		rf_fail(rf, ERR_UNSUPPORTED,
			"fetches no firmware by itself (UpdateService.SimpleUpdate): it takes "
			"pushes only, if any");
		return;
	}
	if (!rf_allows(action, list, protocol)) {
		rf_fail(rf, ERR_UNSUPPORTED, "fetches no firmware by %s (%s)", protocol, list);
		return;
	}
	snprintf(u->target, sizeof(u->target), "%s", target);
	u->protocol = json_count(json_get(action, list)) > 0;
	post_update(rf);
}

void rf_start_update_firmware(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	with_service(bmc, on_service_to_update);
}

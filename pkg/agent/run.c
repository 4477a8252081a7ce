/* The table of commands and those of them that are short. Commands that
 * belong to what this agent does not do (rescue, bootc) answer with an error that says so. Each
 * runs on a job's thread. */

#include "agent/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/disk/bootentry.h"
#include "agent/hw/disks.h"
#include "agent/hw/inventory.h"
#include "agent/logs.h"
#include "base/mem.h"
#include "base/str.h"

/* --- steps ----------------------------------------------------------------------------------- */

static int get_clean_steps(struct agent_run *run)
{
	return agent_get_steps(run, "clean");
}

static int get_deploy_steps(struct agent_run *run)
{
	return agent_get_steps(run, "deploy");
}

static int get_service_steps(struct agent_run *run)
{
	return agent_get_steps(run, "service");
}

static int execute_clean_step(struct agent_run *run)
{
	return agent_execute_step(run, "clean");
}

static int execute_deploy_step(struct agent_run *run)
{
	return agent_execute_step(run, "deploy");
}

static int execute_service_step(struct agent_run *run)
{
	return agent_execute_step(run, "service");
}

/* --- standby --------------------------------------------------------------------------------- */

/* Older servers order the write directly and not as a step. */
static int prepare_image(struct agent_run *run)
{
	return agent_write_image(run, run->params, &run->text);
}

static int check_prepare_image(struct agent_run *run)
{
	return agent_write_check(run, run->params);
}

static int sync_disks(struct agent_run *run)
{
	(void)run;
	sync();
	return 0;
}

static int power_off(struct agent_run *run)
{
	sync();
	run->after = AGENT_AFTER_POWER_OFF;
	return 0;
}

static int run_image(struct agent_run *run)
{
	sync();
	run->after = AGENT_AFTER_REBOOT;
	return 0;
}

/* For a whole-disk image the reference calls the MBR's disk identifier its root uuid. */
static int get_partition_uuids(struct agent_run *run)
{
	run->result = json_new_object();
	if (run->env->root_uuid[0])
		json_set_string(run->result, "root uuid", run->env->root_uuid);
	return 0;
}

/* --- image ----------------------------------------------------------------------------------- */

static int uefi_entry(struct agent_run *run, const char *device, const char *esp_uuid)
{
	_cleanup_(freep) char *machine = hw_machine();
	_cleanup_(disk_dev_close) struct disk_dev d = { .fd = -1 };
	struct disk_boot_result result;
	struct gpt_guid esp;
	/* Given by partition GUID; a file system's short UUID is left to the search. */
	bool known = esp_uuid && gpt_guid_parse(esp_uuid, &esp) == 0;
	const struct disk_boot_options options = {
		.efivars = run->env->efivars,
		.machine = machine,
		.esp = known ? &esp : NULL,
	};
	_cleanup_(freep) char *node = hw_disk_node(run->env->root, device);
	int r = disk_dev_open(node, false, &d, &run->err);
	if (r == 0)
		r = disk_boot_install(&d, &options, &result, &run->err);
	if (r == 0)
		run->text = xasprintf("boot entry %04X (%s, %s) for %s", result.number,
				      result.label, result.path, device);
	return r;
}

/* Asked for after every write by Ironic; a second time replaces the entry of the first. */
static int install_bootloader(struct agent_run *run)
{
	const char *mode = json_get_string(run->params, "target_boot_mode");
	bool uefi = access(run->env->efivars, F_OK) == 0;
	if (!uefi && streq(mode, "uefi"))
		return err_set(
			&run->err, ERR_UNSUPPORTED,
			"the node is to boot by UEFI and this ramdisk was booted by BIOS: set the "
			"firmware's boot mode");
	if (!uefi || streq(mode, "bios")) {
		run->text = xstrdup(
			"nothing to do: a whole-disk image brings its BIOS boot loader");
		return 0;
	}
	_cleanup_(freep) char *device = run->env->device ? xstrdup(run->env->device)
							 : agent_root_device(run->env, &run->err);
	if (!device)
		return err_value(&run->err);
	return uefi_entry(run, device, json_get_string(run->params, "efi_system_part_uuid"));
}

/* --- others ---------------------------------------------------------------------------------- */

static int collect_system_logs(struct agent_run *run)
{
	_cleanup_(freep) char *logs = agent_logs_collect(run->env->root);
	run->result = json_new_object();
	json_set_string(run->result, "system_logs", logs);
	return 0;
}

static int lockdown(struct agent_run *run)
{
	sync();
	run->after = AGENT_AFTER_LOCKDOWN;
	return 0;
}

/* For standalone use; the reference has it for agents that are polled. */
static int get_hardware_info(struct agent_run *run)
{
	const struct hw_inventory_options options = { .root = run->env->root };
	struct json *body = hw_inventory(&options);
	run->result = json_take(body, "inventory");
	json_free(body);
	return 0;
}

static int no_rescue(struct agent_run *run)
{
	run->error_type = "RescueError";
	return err_set(
		&run->err, ERR_UNSUPPORTED,
		"this ramdisk has no rescue system: boot one that has, with the stock agent");
}

static int no_bootc(struct agent_run *run)
{
	return err_set(&run->err, ERR_UNSUPPORTED,
		       "this ramdisk cannot install bootc images: deploy a disk image");
}

static const struct agent_command_def commands[] = {
	{ "clean", "get_clean_steps", false, get_clean_steps, NULL },
	{ "clean", "execute_clean_step", true, execute_clean_step, NULL },
	{ "deploy", "get_deploy_steps", false, get_deploy_steps, NULL },
	{ "deploy", "execute_deploy_step", true, execute_deploy_step, NULL },
	{ "service", "get_service_steps", false, get_service_steps, NULL },
	{ "service", "execute_service_step", true, execute_service_step, NULL },
	{ "standby", "prepare_image", true, prepare_image, check_prepare_image },
	{ "standby", "run_image", true, run_image, NULL },
	{ "standby", "power_off", true, power_off, NULL },
	{ "standby", "sync", false, sync_disks, NULL },
	{ "standby", "get_partition_uuids", false, get_partition_uuids, NULL },
	{ "standby", "execute_bootc_install", true, no_bootc, NULL },
	{ "image", "install_bootloader", true, install_bootloader, NULL },
	{ "rescue", "finalize_rescue", false, no_rescue, NULL },
	{ "log", "collect_system_logs", false, collect_system_logs, NULL },
	{ "poll", "get_hardware_info", false, get_hardware_info, NULL },
	{ "ingot", "choose_disk", false, agent_choose_disk, NULL },
	{ "system", "lockdown", false, lockdown, NULL },
};

const struct agent_command_def *agent_command_def_find(const char *extension, const char *name,
						       bool *ret_extension)
{
	*ret_extension = false;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!streq(commands[i].extension, extension))
			continue;
		*ret_extension = true;
		if (streq(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

const struct agent_error *agent_error_find(const char *type)
{
	static const struct agent_error rows[] = {
		{ "CommandExecutionError", 500, "Command execution failed" },
		{ "InvalidCommandParamsError", 400, "Invalid command parameters" },
		{ "ImageDownloadError", 500, "Error downloading image" },
		{ "ImageChecksumError", 500, "Error verifying image checksum" },
		{ "ImageWriteError", 500, "Error writing image to device" },
		{ "InvalidImage", 500, "The provided image is not valid for use" },
		{ "DeviceNotFound", 404,
		  "Error finding the disk or partition device to deploy the image onto" },
		{ "BlockDeviceEraseError", 500, "Error erasing block device" },
		{ "VersionMismatch", 409,
		  "Hardware managers version mismatch, reload agent with correct version" },
		{ "RescueError", 500, "Rescue is not available" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (streq(rows[i].type, type))
			return &rows[i];
	return &rows[0];
}

void agent_env_done(struct agent_env *env)
{
	json_free(env->node);
	json_free(env->policy);
	free(env->device);
	*env = (struct agent_env){ 0 };
}

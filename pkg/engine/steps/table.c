/* The rows of all steps. */

#include <stddef.h>

#include "engine/steps/steps.h"

#define TIMEOUT(name) offsetof(struct engine_timeouts, name)

static const char power_words[] = "the BMC to change the power state";
static const char boot_words[] = "the BMC to set the boot device";
static const char ramdisk_words[] =
	"the boot ramdisk to report (see the machine's console; check that it boots from the network on the NIC of "
	"bootMACAddress)";

#define BMC   .note = step_bmc_note, .state_size = sizeof(struct bmc_step)
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
			       .waits_for = "the agent to find the disk" },
	[STEP_CLEAN] = { "deploy", "clean metadata", NULL, step_clean, AGENT,
			 .timeout_offset = TIMEOUT(step),
			 .waits_for = "the agent to clean the disks" },
	[STEP_WRITE] = { "deploy", "write image", step_enter_write, step_write, step_write_note,
			 .needs_agent = true, .state_size = sizeof(struct write_step),
			 .timeout_offset = TIMEOUT(step),
			 .waits_for = "the agent to write the image" },
	[STEP_BOOT_ENTRY] = { "deploy", "boot entry", NULL, step_boot_entry, AGENT,
			      .timeout_offset = TIMEOUT(boot),
			      .waits_for = "the agent to make the UEFI boot entry" },
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
};

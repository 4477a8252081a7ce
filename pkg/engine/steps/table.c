/* The rows of all steps. */

#include <stddef.h>

#include "engine/steps/steps.h"

#define TIMEOUT(name) offsetof(struct engine_timeouts, name)

static const char power_words[] = "the BMC to change the power state";
static const char boot_words[] = "the BMC to set the boot device";
static const char ramdisk_words[] =
	"the boot ramdisk to report (see the machine's console; check that it boots from the network on the NIC of "
	"bootMACAddress)";

const struct step steps[_STEP_MAX] = {
	[STEP_VERIFY] = { "verify", NULL, step_verify, TIMEOUT(power), "the BMC to answer", false },
	[STEP_FIND_AGENT] = { "find agent", NULL, step_find_agent, TIMEOUT(boot),
			      "the agent to answer", false },
	[STEP_POWER_OFF] = { "power off", node_no_boot, step_power_off, TIMEOUT(boot), power_words,
			     false },
	[STEP_BOOT_NETWORK] = { "boot from network", node_new_boot, step_boot_network,
				TIMEOUT(boot), boot_words, false },
	[STEP_POWER_ON] = { "power on", NULL, step_power_on, TIMEOUT(boot), power_words, false },
	[STEP_WAIT_INVENTORY] = { "wait for inventory", NULL, step_wait_inventory, TIMEOUT(boot),
				  ramdisk_words, true },
	[STEP_WAIT_AGENT] = { "wait for agent", NULL, step_wait_agent, TIMEOUT(boot), ramdisk_words,
			      true },
	[STEP_CHOOSE_DISK] = { "choose disk", NULL, step_choose_disk, TIMEOUT(boot),
			       "the agent to find the disk", false },
	[STEP_CLEAN] = { "clean metadata", NULL, step_clean, TIMEOUT(step),
			 "the agent to clean the disks", false },
	[STEP_WRITE] = { "write image", step_enter_write, step_write, TIMEOUT(step),
			 "the agent to write the image", false },
	[STEP_BOOT_ENTRY] = { "boot entry", NULL, step_boot_entry, TIMEOUT(boot),
			      "the agent to make the UEFI boot entry", false },
	[STEP_BOOT_DISK] = { "boot from disk", NULL, step_boot_disk, TIMEOUT(boot), boot_words,
			     false },
	[STEP_AGENT_OFF] = { "agent power off", NULL, step_agent_off, TIMEOUT(boot), power_words,
			     false },
	[STEP_START_DISK] = { "start from disk", node_no_boot, step_power_on, TIMEOUT(boot),
			      power_words, false },
	[STEP_FINAL_OFF] = { "final power off", node_no_boot, step_power_off, TIMEOUT(boot),
			     power_words, false },
	[STEP_SOFT_OFF] = { "soft power off", NULL, step_soft_off, TIMEOUT(boot), power_words,
			    false },
};

/* Power and network of the machine we run on: reboot(2) without asking an init, because the ramdisk
 * has no services to stop. Called on the core thread, as the last thing it does. */

#include "agent/effects.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hw/nics.h"
#include "base/log.h"

static void power_off(void *data)
{
	(void)data;
	log_info("powering off");
	sync();
	(void)reboot(RB_POWER_OFF);
	log_error("the kernel refused to power off");
}

static void restart(void *data)
{
	(void)data;
	log_info("rebooting");
	sync();
	(void)reboot(RB_AUTOBOOT);
	log_error("the kernel refused to reboot");
}

static void nics_down(void *data)
{
	(void)data;
	struct hw_nics nics = hw_nics_read("");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (size_t i = 0; fd >= 0 && i < nics.count; i++) {
		struct ifreq request = { 0 };
		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", nics.items[i].name);
		if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
			continue;
		request.ifr_flags = (short)(request.ifr_flags & ~IFF_UP);
		(void)ioctl(fd, SIOCSIFFLAGS, &request);
	}
	if (fd >= 0)
		close(fd);
	hw_nics_done(&nics);
	log_info("locked down: the network is off");
}

struct agent_effects agent_effects_real(void)
{
	return (struct agent_effects){ .power_off = power_off,
				       .reboot = restart,
				       .nics_down = nics_down };
}

/* --- of a process ---------------------------------------------------------------------------- */

static void end_power_off(void *data)
{
	(void)data;
	log_info("powering off");
	_exit(AGENT_EXIT_POWER_OFF); /* as a machine: nothing is tidied up */
}

static void end_restart(void *data)
{
	(void)data;
	log_info("rebooting");
	_exit(AGENT_EXIT_REBOOT);
}

static void leave_nics(void *data)
{
	(void)data;
	log_info("locked down");
}

struct agent_effects agent_effects_process(void)
{
	return (struct agent_effects){ .power_off = end_power_off,
				       .reboot = end_restart,
				       .nics_down = leave_nics };
}

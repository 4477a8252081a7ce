#pragma once
/* What a network boot needs of this machine beside the options' form: the provisioning interface
 * with its address, the ramdisk's files, a boot loader. Any of them can go while Ingot runs, so it
 * is looked at when the process starts and for each /readyz. Main thread. */

#include "boot/boot.h"

/* The first that is missing: a text that names the option; *ret_summary (may be NULL) is the same
 * in a few words, static. */
int boot_check(const struct boot_config *config, const char **ret_summary, struct err *err);
/* The part of it that a relay needs. */
int boot_check_interface(const char *option, const char *device, const char *address_option,
			 const struct net_addr *address, const char **ret_summary, struct err *err);

#pragma once
/* The --dhcp… options as the boot services want them. Pure; main thread, at start. */

#include "boot/boot.h"
#include "manager.h"

/* Fills the DHCP members of *ret, whose `address` is set already; strings are borrowed from the
 * options. Errors name the option. */
int dhcp_options_parse(const struct manager_options *o, struct boot_config *ret, struct err *err);

#pragma once
/* The inventory in the form that ironic-python-agent posts and Ironic reads. Blocking: some
 * of it comes from ioctls and, if asked, from waiting for LLDP. any thread */

#include <stdbool.h>

#include "loop/loop.h"
#include "json/json.h"

struct hw_inventory_options {
	const char *root;	 /* "" on a machine */
	const struct loop *loop; /* for the time; may be NULL without lldp */
	const char *bootif;	 /* value of BOOTIF; NULL */
	bool skip_bmc;		 /* do not ask the IPMI device */
	bool lldp;		 /* listen on all NICs */
	unsigned lldp_timeout_ms;
	/* Optional collectors. */
	bool pci_devices, numa_topology;
};

/* The body of the inspection: inventory, root_disk, boot_interface and the optional parts; without
 * "configuration", "logs" and "error", which are the caller's. */
struct json *hw_inventory(const struct hw_inventory_options *options);

/* MAC addresses of all NICs, joined by commas. New string. */
char *hw_mac_list(const char *root);
/* Is there any disk that could be written to? */
bool hw_has_disk(const char *root);
/* "bios" or "uefi" */
const char *hw_boot_mode(const char *root);
/* "x86_64"; new string. */
char *hw_machine(void);

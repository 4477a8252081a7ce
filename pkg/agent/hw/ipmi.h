#pragma once
/* The BMC's own LAN settings through the kernel's IPMI device. Blocking; any thread. */

#include <stdbool.h>

struct hw_bmc {
	bool present;	    /* there is an IPMI device */
	char address[16];   /* "0.0.0.0" when it has none */
	char v6address[46]; /* "::/0" when unset */
	char mac[18];	    /* "" when unknown */
};

struct hw_bmc hw_bmc_read(void);

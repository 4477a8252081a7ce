#pragma once
/* Which file a DHCP client is to boot: a pure function of its request, its host and the
 * configuration, driven by one table of architectures. Core thread. */

#include "boot/boot.h"
#include "wire/dhcp.h"

enum { LOADER_FILE_MAX = 256 };

enum loader_client {
	LOADER_CLIENT_OS, /* asks for no boot file: a running system */
	LOADER_CLIENT_PXE,
	LOADER_CLIENT_HTTP, /* UEFI HTTP boot */
	LOADER_CLIENT_IPXE,
};

enum loader_kind {
	LOADER_NONE,
	LOADER_TFTP,
	LOADER_URL,
	LOADER_LOCAL, /* PXE: the firmware is told to go on to its next device */
};

struct loader {
	enum loader_client client;
	enum loader_kind kind;
	char file[LOADER_FILE_MAX]; /* name or URL; "" when there is none */
	const char *lack;	    /* LOADER_NONE although wanted: what to do about it; or NULL */
};

enum loader_client loader_client(const struct dhcp_message *request);
void loader_choose(const struct boot_config *config, const struct boot_host *host,
		   const struct dhcp_message *request, const struct net_mac *mac,
		   struct loader *ret);

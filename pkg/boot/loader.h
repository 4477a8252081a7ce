#pragma once
/* Which file a DHCP client is to boot: a pure function of its request, its host and the
 * configuration, driven by one table of architectures. Core thread. */

#include "boot/boot.h"
#include "wire/dhcp.h"
#include "wire/dhcp6.h"

enum { BOOT_LOADER_FILE_MAX = 256 };

enum boot_loader_client {
	BOOT_LOADER_CLIENT_OS, /* asks for no boot file: a running system */
	BOOT_LOADER_CLIENT_PXE,
	BOOT_LOADER_CLIENT_HTTP, /* UEFI HTTP boot */
	BOOT_LOADER_CLIENT_IPXE,
};

enum boot_loader_kind {
	BOOT_LOADER_NONE,
	BOOT_LOADER_TFTP,
	BOOT_LOADER_URL,
	BOOT_LOADER_LOCAL, /* PXE: the firmware is told to go on to its next device */
};

struct boot_loader {
	enum boot_loader_client client;
	enum boot_loader_kind kind;
	char file[BOOT_LOADER_FILE_MAX]; /* name or (always by IPv6) URL; "": there is none */
	const char *lack; /* BOOT_LOADER_NONE although wanted: what to do about it; or NULL */
};

enum boot_loader_client boot_loader_client(const struct dhcp_message *request);
void boot_loader_choose(const struct boot_config *config, const struct boot_host *host,
			const struct dhcp_message *request, const struct net_mac *mac,
			struct boot_loader *ret);
/* The same by DHCPv6, which knows no word for "boot your disk": firmware that gets no URL goes on
 * by itself. */
enum boot_loader_client boot_loader_client6(const struct dhcp6_message *request);
void boot_loader_choose6(const struct boot_config *config, const struct boot_host *host,
			 const struct dhcp6_message *request, const struct net_mac *mac,
			 struct boot_loader *ret);

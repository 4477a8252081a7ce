#pragma once
/* Network boot: what its services (dhcp_server.h, dhcp_relay.h, tftp_server.h,
 * http_boot.h) are told, and what they ask of the rest of the program. All of them run on one loop,
 * the core's, and touch nothing else. Nothing that they hand out is a secret: any machine on
 * the wire may read it.
 *
 * Requests from MACs that find() does not know are ignored. Core thread. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "net/net.h"

enum {
	BOOT_POOLS_MAX = 16,
	BOOT_DNS_MAX = 4,
	BOOT_LEASE_DEFAULT_S = 3600,
	BOOT_OTHERS_MAX = 7, /* of boot_host.other_urls; more are not told */
	BOOT_MAC_FILE_SIZE = 18
};

enum boot_dhcp {
	BOOT_DHCP_OFF,	  /* the site's own DHCP names our loaders and scripts */
	BOOT_DHCP_SERVER, /* addresses and boot files, on ports 67 and 547 */
	BOOT_DHCP_PROXY,  /* boot files beside a site's own DHCP, on ports 67 and 4011; IPv4 only */
};

/* One subnet that addresses are given from. Clients on our own wire get the pool that holds our own
 * address of its family, relayed ones the pool that holds their relay's address. */
struct boot_pool {
	struct net_addr start, end; /* both inside */
	unsigned bits;		    /* of the subnet's prefix */
	struct net_addr gateway; /* not set: none is announced; never for IPv6, where routers do */
};

/* A file that TFTP serves under `name`, and HTTP under /boot/`name`. A row whose file does not
 * exist is as good as absent. */
struct boot_file {
	const char *name;
	const char *path;
};

struct boot_ramdisk {
	const char *flavour; /* "virt"; a part of the URL */
	const char *kernel;  /* paths of files */
	const char *initramfs;
};

/* Borrowed, with all that it points to, for the life of the services. */
struct boot_config {
	const char *device; /* of the provisioning network; sockets are bound to it */
	/* Ours on that device: IPv4, IPv6 (not link-local), one of them at least. */
	struct net_addr address, address6;
	enum boot_dhcp dhcp;
	/* Hosts on our own wire learn the IPv6 range's prefix, and that there is DHCPv6, from us:
	 * no router there tells them. */
	bool router_adverts;
	/* Of the installation: to DHCPv6 clients all its instances are one server. */
	uint8_t server_uuid[16];
	bool tftp;
	struct boot_pool pools[BOOT_POOLS_MAX]; /* BOOT_DHCP_SERVER */
	size_t pool_count;
	struct net_addr dns[BOOT_DNS_MAX]; /* announced in all pools */
	size_t dns_count;
	const char *domain;	/* NULL: none is announced */
	uint32_t lease_seconds; /* 0: BOOT_LEASE_DEFAULT_S */
	/* Of scripts and loaders: "http://192.168.77.1:8080", without a slash at the end. For each
	 * family that we have an address of. */
	const char *http_url, *http_url6;
	const char
		*file_url; /* of kernels and ramdisks by IPv4 (a bulk listener); NULL: http_url */
	const struct boot_file *files;	     /* ended by name NULL; NULL: boot_default_files */
	const struct boot_ramdisk *ramdisks; /* ended by flavour NULL; NULL: none */
	/* Goes to the ramdisk as /boot/ca.cpio, so that it trusts our API. NULL: none. */
	const char *ca_pem;
};

/* undionly.kpxe, snponly.efi, ipxe.efi and, where installed, snponly-arm64.efi and signed shim and
 * GRUB. */
extern const struct boot_file boot_default_files[];

enum boot_target {
	BOOT_TARGET_NONE, /* an address, and word to go on to the next boot device */
	BOOT_TARGET_RAMDISK,
};

/* Strings are borrowed until the caller returns to the loop. */
struct boot_host {
	const char *name; /* for logs: "namespace/name" */
	enum boot_target target;
	bool secure_boot; /* the firmware loads nothing unsigned: shim and GRUB instead of iPXE */
	const char *flavour; /* of boot_config.ramdisks; NULL: the two URLs say what to load */
	/* Absolute; from a PreprovisioningImage that another controller has made. */
	const char *kernel_url, *initramfs_url;
	/* Base URLs, like boot_config.http_url, of other instances that have the flavour's files;
	 * NULL-ended. May be NULL. */
	const char *const *other_urls;
	const char *cmdline; /* words of the kernel line, one line, no secret; NULL: none */
};

/* How far a boot has come, for people who ask why a host waits. */
enum boot_stage {
	BOOT_STAGE_OFFERED, /* DHCP offer sent */
	BOOT_STAGE_LEASED,  /* DHCP address confirmed */
	BOOT_STAGE_SCRIPT,  /* boot script fetched */
	/* DHCP address confirmed, not renewed, to what asks for no boot file: the ramdisk, or a
	 * system on the disk */
	BOOT_STAGE_SYSTEM,
};

/* How a machine asked for a boot. */
enum boot_request {
	BOOT_REQUEST_PXE,
	BOOT_REQUEST_HTTP,
	BOOT_REQUEST_IPXE,
	BOOT_REQUEST_SCRIPT,
};

/* Exactly once for each slot_set, and never before that has returned. */
typedef void (*boot_slot_done_fn)(void *data, const struct err *err);

struct boot_ops {
	/* False: not a host of ours. */
	bool (*find)(void *data, const struct net_mac *mac, struct boot_host *ret);
	/* Before a script is written for a host that boots a ramdisk: what no packet asks for.
	 * family: which of our addresses it has asked (AF_INET, AF_INET6), and will.
	 * *ret_cmdline: a new string, in place of host->cmdline. May be NULL. */
	void (*complete)(void *data, const struct net_mac *mac, int family, struct boot_host *host,
			 char **ret_cmdline);
	/* The slot is the address of a family that belongs to a MAC for as long as the host exists.
	 */
	bool (*slot_get)(void *data, const struct net_mac *mac, int family, struct net_addr *ret);
	/* The one address that a person wants this host to have, inside a range or not; not set:
	 * one that cannot be given, so the host gets none. False: any of the range. May be NULL. */
	bool (*slot_fixed)(void *data, const struct net_mac *mac, int family, struct net_addr *ret);
	/* The fixed address is another machine's on the wire. May be NULL. */
	void (*slot_taken)(void *data, const struct net_mac *mac, const struct net_addr *address);
	/* Does the record of any host hold this address, or is it any host's fixed one? */
	bool (*slot_used)(void *data, const struct net_addr *address);
	/* Stores the slot (NULL: forgets it); it is offered only after `done` came without an
	 * error. `done` comes also when the service has been closed meanwhile. */
	void (*slot_set)(void *data, const struct net_mac *mac, int family,
			 const struct net_addr *address, boot_slot_done_fn done, void *done_data);
	/* May be NULL, as may those below. */
	void (*seen)(void *data, const struct net_mac *mac, enum boot_stage stage);
	/* A machine that find() does not know asked for a boot. */
	void (*stranger)(void *data, const struct net_mac *mac, enum boot_request request);
	/* What a host asked for cannot be given, for a reason on our side. By its MAC (NULL: not
	 * known here) or numeric address (NULL: none yet). */
	void (*failed)(void *data, const struct net_mac *mac, const char *address, const char *why);
};

/* What every service takes; copied. */
struct boot_env {
	struct loop *loop;
	const struct boot_config *config;
	const struct boot_ops *ops;
	void *data; /* for ops */
};

/* ERR_INVALID names the field that is wrong and says what it should be. */
int boot_config_check(const struct boot_config *config, struct err *err);
/* Ours of a family, or NULL. */
const struct net_addr *boot_own_address(const struct boot_config *config, int family);
const char *boot_http_url(const struct boot_config *config, int family);
/* Is there a pool of the family? */
bool boot_has_pool(const struct boot_config *config, int family);
/* Whether the address may be reserved for a host: in a pool's subnet, and not one that the
 * configuration uses itself. */
int boot_address_check(const struct boot_config *config, const struct net_addr *address,
		       struct err *err);
struct net_prefix boot_pool_subnet(const struct boot_pool *pool);
/* The pool whose subnet holds the address, or NULL. */
const struct boot_pool *boot_pool_find(const struct boot_config *config,
				       const struct net_addr *address);
/* Neither the subnet's first or last nor ours nor a gateway's or name server's. (IPv6 has no last
 * address that is special; leaving it out costs one.) */
bool boot_address_free(const struct boot_config *config, const struct boot_pool *pool,
		       const struct net_addr *address);
/* The row whose file exists, or NULL. */
const struct boot_file *boot_file_find(const struct boot_config *config, const char *name);
const struct boot_ramdisk *boot_ramdisk_find(const struct boot_config *config, const char *flavour);
/* "52-54-00-77-00-01", as MACs stand in URLs and in Ironic's file names. Returns buf. */
char *boot_mac_file(const struct net_mac *mac, char buf[BOOT_MAC_FILE_SIZE]);

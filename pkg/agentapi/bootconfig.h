#pragma once
/* What a ramdisk is told that was booted from a medium made for one host (virtual media, UEFI HTTP
 * boot of an ISO): one small cpio archive ("newc", uncompressed), which the boot loader passes as a
 * further initrd. The kernel unpacks it over the initramfs that all hosts share:
 *
 *	/etc/ingot/agent.json		BOOTCONFIG_FILE, always there
 *	/etc/ingot/network_data.json	BOOTCONFIG_NETWORK_FILE, only where the host has network
 *data
 *
 * The kernel line stays without secrets: any program on the machine may read it.
 *
 *	{"version": 1,
 *	 "nodeUUID": "…",		  lower case
 *	 "apiURLs": ["https://…"],	  without /v1; the first that answers is used
 *	 "inspectionCallbackURLs": ["…"], only if the agent is to inspect
 *	 "caCertificate": "PEM",	  to be trusted instead of the system's roots; may be absent
 *	 "agentToken": "…",		  of this boot; may be absent, then it comes with the lookup
 *	 "bootNumber": 7,		  of this boot; 0 or absent: none
 *	 "bootNonce": "…",		  of this boot; may be absent
 *	 "bootMAC": "aa:bb:cc:dd:ee:ff",  of the NIC that the host boots from; may be absent
 *	 "virtualMedia": true}		  false: the archive came by another way
 *
 * Members that a release does not know are passed over. A change that an older agent must not pass
 * over raises the version. network_data.json has OpenStack's grammar (agentapi/netdata.h) and is
 * JSON, whatever the Secret holds; here it is only carried.
 *
 * The same struct gives the same bytes. Linux finds an uncompressed archive only at a multiple of 4
 * bytes: what makes the medium, or its boot loader, sees to that. Pure; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/bind.h"

#define BOOTCONFIG_FILE		"/etc/ingot/agent.json"
#define BOOTCONFIG_NETWORK_FILE "/etc/ingot/network_data.json"

enum {
	BOOTCONFIG_VERSION = 1,
	BOOTCONFIG_FILE_MAX = 256 << 10,    /* of each of the two files */
	BOOTCONFIG_ARCHIVE_MAX = 520 << 10, /* no archive is larger */
	BOOTCONFIG_URLS_MAX = 8,	    /* in each list */
	BOOTCONFIG_URL_MAX = 512,
	BOOTCONFIG_CA_MAX = 128 << 10,
	BOOTCONFIG_TOKEN_MIN = 32, /* letters, digits, '-' and '_' */
	BOOTCONFIG_TOKEN_MAX = 128,
	BOOTCONFIG_NONCE_MAX = 64, /* likewise */
};

/* Strings are owned; NULL: absent. */
struct bootconfig {
	char *node_uuid;
	struct bind_list api;	    /* of char *; one at least */
	struct bind_list callbacks; /* of char * */
	char *ca;
	char *token;
	int64_t boot_number;
	char *boot_nonce;
	char *boot_mac;
	bool media;
};

/* Zeroes the secret. */
void bootconfig_done(struct bootconfig *c);
/* Appends to `api` or `callbacks`. */
void bootconfig_add_url(struct bind_list *list, const char *url);

/* The archive; network_data may be NULL. ERR_INVALID or ERR_LIMIT names the member that no agent
 * would take. The bytes hold the token: the caller frees them with secret_zero() before free(). */
int bootconfig_build(const struct bootconfig *c, const char *network_data, char **ret,
		     size_t *ret_len, struct err *err);
/* agent.json. On failure nothing is left in *ret; err names the member. */
int bootconfig_parse(const char *text, size_t len, struct bootconfig *ret, struct err *err);

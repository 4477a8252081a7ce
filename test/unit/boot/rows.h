#pragma once
/* Boot clients as seen on the wire, and what each must
 * be told by a server whose URL is http://10.77.0.1:8080. */

#include <string.h>

#include "base/macro.h"
#include "wire/dhcp.h"

struct client_row {
	const char *name;
	const char *vendor_class, *user_class; /* 60, 77 */
	int arch;			       /* 93; -1: not sent */
	bool ipxe;			       /* 175 */
	const char *ndi;		       /* 94: three bytes */
	const char *parameters;		       /* 55 */
	const char *file;		       /* for the ramdisk; NULL: none */
	const char *class;		       /* option 60 of the answer; NULL: none */
	const char *proxy_class;
};

#define SCRIPT_URL "http://10.77.0.1:8080/boot/52-54-00-77-00-01.ipxe"
#define IPXE_ASKS  "\x01\x03\x06\x07\x0c\x0f\x11\x1a\x2b\x3c\x42\x43\x77\x80\x81\x82\xaf\xcb"
#define OVMF_ASKS  "\x01\x02\x03\x04\x05\x06\x0c\x0d\x0f\x11\x12\x2b\x3c\x42\x43\x61\x80\x87"
#define LINUX_ASKS "\x01\x03\x06\x0c\x0f\x21\x2a\x72\x78\x79\xa2"

static const struct client_row client_rows[] = {
	{ "iPXE ROM, BIOS", "PXEClient:Arch:00000:UNDI:002001", "iPXE", 0, true, "\1\2\1",
	  IPXE_ASKS, SCRIPT_URL, NULL, "PXEClient" },
	{ "iPXE on EFI", "PXEClient:Arch:00007:UNDI:003010", "iPXE", 7, true, "\1\3\x0a", IPXE_ASKS,
	  SCRIPT_URL, NULL, "PXEClient" },
	{ "iPXE told by its user class", "PXEClient:Arch:00007:UNDI:003010", "\4iPXE", 7, false,
	  "\1\3\x0a", IPXE_ASKS, SCRIPT_URL, NULL, "PXEClient" },
	{ "BIOS ROM", "PXEClient:Arch:00000:UNDI:002001", NULL, 0, false, "\1\2\1", OVMF_ASKS,
	  "undionly.kpxe", NULL, "PXEClient" },
	{ "BIOS ROM without option 93", "PXEClient", NULL, -1, false, NULL, OVMF_ASKS,
	  "undionly.kpxe", NULL, "PXEClient" },
	{ "OVMF PXEv4", "PXEClient:Arch:00007:UNDI:003000", NULL, 7, false, "\1\3\0", OVMF_ASKS,
	  "snponly.efi", NULL, "PXEClient" },
	{ "firmware that sends 9", "PXEClient:Arch:00009:UNDI:003016", NULL, 9, false, "\1\3\x10",
	  OVMF_ASKS, "snponly.efi", NULL, "PXEClient" },
	{ "OVMF HTTPv4", "HTTPClient:Arch:00016:UNDI:003000", NULL, 16, false, "\1\3\0",
	  "\x3c\x43\x61", "http://10.77.0.1:8080/boot/snponly.efi", "HTTPClient", "HTTPClient" },
	{ "AAVMF PXEv4, no loader installed", "PXEClient:Arch:00011:UNDI:003000", NULL, 11, false,
	  "\1\3\0", OVMF_ASKS, NULL, NULL, NULL },
	{ "AAVMF HTTPv4, no loader installed", "HTTPClient:Arch:00019:UNDI:003000", NULL, 19, false,
	  "\1\3\0", "\x3c\x43\x61", NULL, NULL, NULL },
	{ "an architecture nobody knows", "PXEClient:Arch:00027:UNDI:003000", NULL, 27, false,
	  "\1\3\0", OVMF_ASKS, NULL, NULL, NULL },
	{ "Linux (systemd-networkd)", NULL, NULL, -1, false, NULL, LINUX_ASKS, NULL, NULL, NULL },
};

/* A request as that client sends it. */
static inline struct dhcp_message row_message(const struct client_row *row, enum dhcp_type type,
					      const uint8_t mac[6])
{
	struct dhcp_message m = { .op = DHCP_OP_REQUEST, .htype = DHCP_HTYPE_ETHERNET, .hlen = 6 };
	uint8_t uuid[17] = { 0 }, id[7] = { DHCP_HTYPE_ETHERNET };
	memcpy(m.chaddr, mac, 6);
	memcpy(id + 1, mac, 6);
	memcpy(uuid + 11, mac, 6);
	dhcp_set_u8(&m, DHCP_OPT_TYPE, (uint8_t)type);
	dhcp_set(&m, DHCP_OPT_PARAMETERS, row->parameters, strlen(row->parameters));
	dhcp_set(&m, DHCP_OPT_MAX_SIZE, "\x05\xc0", 2);
	if (row->vendor_class)
		dhcp_set(&m, DHCP_OPT_VENDOR_CLASS, row->vendor_class, strlen(row->vendor_class));
	if (row->user_class)
		dhcp_set(&m, DHCP_OPT_USER_CLASS, row->user_class, strlen(row->user_class));
	if (row->arch >= 0)
		dhcp_set(&m, DHCP_OPT_ARCH, (uint8_t[]){ 0, (uint8_t)row->arch }, 2);
	if (row->ndi)
		dhcp_set(&m, DHCP_OPT_NDI, row->ndi, 3);
	if (row->vendor_class)
		dhcp_set(&m, DHCP_OPT_UUID, uuid, sizeof(uuid));
	if (row->ipxe) {
		dhcp_set(&m, DHCP_OPT_IPXE, "\xb1\x05\x01\x1a\xf4\x10\x00", 7);
		dhcp_set(&m, DHCP_OPT_CLIENT_ID, id, sizeof(id));
	}
	return m;
}

/* The boot file of a host that is to boot its disk. */
static inline const char *disk_file(const struct client_row *row)
{
	if (row->user_class)
		return SCRIPT_URL;
	return row->vendor_class && row->vendor_class[0] == 'H' ? "http://10.77.0.1:8080/boot/none"
								: "";
}

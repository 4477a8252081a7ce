/* Which file a DHCP client is to boot, by RFC 4578, RFC 5970 and the processor architecture numbers
 * of IANA.
 * snponly.efi and not ipxe.efi: it takes the firmware's own network driver and starts at once,
 * where ipxe.efi first probes PCI for seconds. "Already iPXE" is told by option 175 or the user
 * class, never by the architecture: iPXE sends that of the firmware below it. Pure but for the look
 * whether a loader's file exists. */

#include "boot/loader.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct arch_row {
	uint16_t arch;
	const char *file;
	const char *signed_file; /* for Secure Boot; NULL: none is known */
} arch_table[] = {
	{ 0, "undionly.kpxe", NULL },	     /* BIOS */
	{ 7, "snponly.efi", "shimx64.efi" }, /* x86-64 UEFI */
	{ 9, "snponly.efi", "shimx64.efi" }, /* the same, in firmware that follows RFC 4578 */
	{ 11, "snponly-arm64.efi", NULL },   /* arm64 UEFI */
	{ 16, "snponly.efi", NULL },	     /* x86-64 UEFI, HTTP boot */
	{ 19, "snponly-arm64.efi", NULL },   /* arm64 UEFI, HTTP boot */
};

/* What the choice depends on, whichever protocol said it. */
struct asker {
	enum boot_loader_client client;
	int family;
	const uint8_t *archs; /* two bytes each; NULL: none told */
	size_t archs_len;
};

static bool is_ipxe(const struct dhcp_message *request)
{
	/* RFC 3004 wants a length in front of each class, and iPXE sends none. */
	return dhcp_has(request, DHCP_OPT_IPXE) ||
	       dhcp_has_prefix(request, DHCP_OPT_USER_CLASS, "iPXE") ||
	       dhcp_has_prefix(request, DHCP_OPT_USER_CLASS, "\x04iPXE");
}

enum boot_loader_client boot_loader_client(const struct dhcp_message *request)
{
	if (is_ipxe(request))
		return BOOT_LOADER_CLIENT_IPXE;
	if (dhcp_has_prefix(request, DHCP_OPT_VENDOR_CLASS, "HTTPClient"))
		return BOOT_LOADER_CLIENT_HTTP;
	if (dhcp_has_prefix(request, DHCP_OPT_VENDOR_CLASS, "PXEClient"))
		return BOOT_LOADER_CLIENT_PXE;
	return BOOT_LOADER_CLIENT_OS;
}

enum boot_loader_client boot_loader_client6(const struct dhcp6_message *request)
{
	if (dhcp6_has_user_class(request, "iPXE"))
		return BOOT_LOADER_CLIENT_IPXE;
	if (dhcp6_has_vendor_class(request, "HTTPClient"))
		return BOOT_LOADER_CLIENT_HTTP;
	if (dhcp6_has_vendor_class(request, "PXEClient"))
		return BOOT_LOADER_CLIENT_PXE;
	return BOOT_LOADER_CLIENT_OS;
}

static struct asker asker4(const struct dhcp_message *request)
{
	/* ROMs from before RFC 4578 are BIOS. */
	static const uint8_t bios[2] = { 0 };
	struct asker a = { .client = boot_loader_client(request), .family = AF_INET };
	a.archs = dhcp_get(request, DHCP_OPT_ARCH, &a.archs_len);
	if (a.archs && a.archs_len >= sizeof(bios))
		return a;
	a.archs = bios;
	a.archs_len = sizeof(bios);
	return a;
}

static struct asker asker6(const struct dhcp6_message *request)
{
	struct asker a = { .client = boot_loader_client6(request), .family = AF_INET6 };
	a.archs = dhcp6_get(request, DHCP6_OPT_ARCH, &a.archs_len);
	return a;
}

static const struct arch_row *arch_row(uint16_t arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(arch_table); i++)
		if (arch_table[i].arch == arch)
			return &arch_table[i];
	return NULL;
}

/* A list of types, the client's choice first (RFC 4578, 2.1: "one or more"): the first one whose
 * loader is here, else the first that is known. */
static const struct arch_row *find_arch(const struct boot_config *config, const struct asker *asker)
{
	const struct arch_row *known = NULL;
	const uint8_t *list = asker->archs;
	for (size_t i = 0; list && i + 1 < asker->archs_len; i += 2) {
		const struct arch_row *row = arch_row((uint16_t)(list[i] << 8 | list[i + 1]));
		if (row && boot_file_find(config, row->file))
			return row;
		known = known ? known : row;
	}
	return known;
}

static void set_url(struct boot_loader *l, const char *base, const char *name, const char *suffix)
{
	int n = snprintf(l->file, sizeof(l->file), "%s/boot/%s%s", base, name, suffix);
	l->kind = BOOT_LOADER_URL;
	if (n >= 0 && (size_t)n < sizeof(l->file))
		return;
	l->kind = BOOT_LOADER_NONE;
	l->file[0] = '\0';
	l->lack = "the boot URL is too long for DHCP: shorten it";
}

static const char *loader_name(const struct boot_config *config, const struct boot_host *host,
			       const struct asker *asker, struct boot_loader *l)
{
	const struct arch_row *row = find_arch(config, asker);
	const char *name = row && host->secure_boot ? row->signed_file : row ? row->file : NULL;
	if (!row)
		l->lack = "no loader is known for this architecture (DHCP option 93, DHCPv6 "
			  "option 61)";
	else if (!name)
		l->lack = "no signed loader works for this firmware: use PXE, virtual media, or "
			  "switch Secure Boot off";
	else if (!boot_file_find(config, name))
		l->lack = "the loader's file is not installed (packages ipxe, shim-signed, "
			  "grub-efi-amd64-signed; arm64: build snponly-arm64.efi)";
	else if (l->client == BOOT_LOADER_CLIENT_PXE && !config->tftp)
		l->lack = "TFTP is switched off";
	return l->lack ? NULL : name;
}

/* RFC 5970, section 3.1: firmware takes the server out of the URL. */
static void set_tftp_url(const struct boot_config *config, const char *name, struct boot_loader *l)
{
	char ip[NET_IP_TEXT_MAX];
	l->kind = BOOT_LOADER_URL;
	snprintf(l->file, sizeof(l->file), "tftp://[%s]/%s", net_format_ip(&config->address6, ip),
		 name);
}

static void choose_firmware(const struct boot_config *config, const struct boot_host *host,
			    const struct asker *asker, struct boot_loader *l)
{
	const char *name = loader_name(config, host, asker, l);
	if (!name)
		return;
	if (l->client == BOOT_LOADER_CLIENT_HTTP) {
		set_url(l, boot_http_url(config, asker->family), name, "");
		return;
	}
	if (asker->family == AF_INET6) {
		set_tftp_url(config, name, l);
		return;
	}
	l->kind = BOOT_LOADER_TFTP;
	snprintf(l->file, sizeof(l->file), "%s", name);
}

/* Firmware that gets no boot file at all asks for another minute (EDK2: 69 s for PXE, 60 s for HTTP
 * boot). So PXE is told to boot locally, and HTTP boot gets a URL that answers 404. */
static void choose_disk(const struct boot_config *config, int family, struct boot_loader *l)
{
	if (l->client == BOOT_LOADER_CLIENT_HTTP)
		set_url(l, boot_http_url(config, family), "none", "");
	else if (family == AF_INET)
		l->kind = BOOT_LOADER_LOCAL;
}

static void choose(const struct boot_config *config, const struct boot_host *host,
		   const struct asker *asker, const struct net_mac *mac, struct boot_loader *ret)
{
	struct boot_loader l = { .client = asker->client };
	char name[BOOT_MAC_FILE_SIZE];
	switch (l.client) {
	case BOOT_LOADER_CLIENT_OS:
		break;
	case BOOT_LOADER_CLIENT_IPXE: /* without a target too: the script then exits to the disk */
		set_url(&l, boot_http_url(config, asker->family), boot_mac_file(mac, name),
			".ipxe");
		break;
	case BOOT_LOADER_CLIENT_PXE:
	case BOOT_LOADER_CLIENT_HTTP:
		if (host->target == BOOT_TARGET_RAMDISK)
			choose_firmware(config, host, asker, &l);
		else
			choose_disk(config, asker->family, &l);
		break;
	}
	*ret = l;
}

void boot_loader_choose(const struct boot_config *config, const struct boot_host *host,
			const struct dhcp_message *request, const struct net_mac *mac,
			struct boot_loader *ret)
{
	const struct asker asker = asker4(request);
	choose(config, host, &asker, mac, ret);
}

void boot_loader_choose6(const struct boot_config *config, const struct boot_host *host,
			 const struct dhcp6_message *request, const struct net_mac *mac,
			 struct boot_loader *ret)
{
	const struct asker asker = asker6(request);
	choose(config, host, &asker, mac, ret);
}

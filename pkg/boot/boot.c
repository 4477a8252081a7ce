/* What the network boot services share: the default table of loaders, checks of the configuration,
 * names. Nothing here is owned or kept; it runs on the core thread, but touches only its arguments
 * and the file system. */

#include "boot/boot.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

/* Debian's packages ipxe, shim-signed and grub-efi-amd64-signed. Debian 12 has no iPXE for arm64:
 * who has built one puts it here. shim asks for grubx64.efi in the root, wherever shim came from.
 */
const struct boot_file boot_default_files[] = {
	{ "undionly.kpxe", "/usr/lib/ipxe/undionly.kpxe" },
	{ "snponly.efi", "/usr/lib/ipxe/snponly.efi" },
	{ "ipxe.efi", "/usr/lib/ipxe/ipxe.efi" },
	{ "snponly-arm64.efi", "/usr/lib/ipxe/snponly-arm64.efi" },
	{ "shimx64.efi", "/usr/lib/shim/shimx64.efi.signed" },
	{ "grubx64.efi", "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed" },
	{ NULL, NULL },
};

static int check_pool(const struct boot_pool *p, size_t index, struct err *err)
{
	unsigned most = net_bits(net_family(&p->start));
	uint64_t size;
	size_t n = index + 1;
	if (p->bits == 0 || p->bits > most)
		return err_set(err, ERR_INVALID,
			       "DHCP range %zu: the prefix length must be from 1 to %u", n, most);
	struct net_prefix subnet = boot_pool_subnet(p);
	if (!net_distance(&p->start, &p->end, &size) || !net_prefix_contains(&subnet, &p->end))
		return err_set(err, ERR_INVALID,
			       "DHCP range %zu: start and end must lie in one subnet of the given "
			       "prefix length, start first",
			       n);
	if (net_is_set(&p->gateway) && !net_prefix_contains(&subnet, &p->gateway))
		return err_set(err, ERR_INVALID,
			       "DHCP range %zu: the gateway is outside of the range's subnet", n);
	return 0;
}

/* It is pasted into scripts and URLs, so that it holds nothing that ends a word there. */
static bool url_usable(const char *url)
{
	return str_is_http_url(url) && !str_has_suffix(url, "/") &&
	       !strpbrk(url, " \t\r\n\"'$#?\\");
}

static int check_ramdisk(const struct boot_ramdisk *r, struct err *err)
{
	if (str_empty(r->flavour) || strpbrk(r->flavour, "/ \t\r\n\"'$#?%\\") ||
	    str_empty(r->kernel) || str_empty(r->initramfs))
		return err_set(
			err, ERR_INVALID,
			"ramdisk \"%s\": it needs a name without blanks or slashes, a kernel "
			"and an initramfs",
			r->flavour);
	return 0;
}

const struct net_addr *boot_own_address(const struct boot_config *config, int family)
{
	const struct net_addr *a = family == AF_INET6 ? &config->address6 : &config->address;
	return net_is_set(a) ? a : NULL;
}

const char *boot_http_url(const struct boot_config *config, int family)
{
	return family == AF_INET6 ? config->http_url6 : config->http_url;
}

bool boot_has_pool(const struct boot_config *config, int family)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (net_family(&config->pools[i].start) == family)
			return true;
	return false;
}

static int check_family(const struct boot_config *c, int family, struct err *err)
{
	const char *url = boot_http_url(c, family);
	if (boot_own_address(c, family) && !(url && url_usable(url)))
		return err_set(err, ERR_INVALID,
			       "the boot URL must look like http://192.168.77.1:8080 or "
			       "http://[fd77::1]:8080, without a slash at the end");
	if (c->dhcp == BOOT_DHCP_SERVER && !boot_own_address(c, family) && boot_has_pool(c, family))
		return err_set(err, ERR_INVALID,
			       "there is a DHCP range, but no address of ours, of %s",
			       family == AF_INET6 ? "IPv6" : "IPv4");
	return 0;
}

static int check_ranges(const struct boot_config *c, struct err *err)
{
	int r = 0;
	if (c->pool_count > BOOT_POOLS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d DHCP ranges", BOOT_POOLS_MAX);
	if (c->pool_count == 0)
		return err_set(err, ERR_INVALID,
			       "DHCP is on, but no range of addresses is given: name one, or "
			       "choose proxy mode");
	for (size_t i = 0; r == 0 && i < c->pool_count; i++)
		r = check_pool(&c->pools[i], i, err);
	return r;
}

int boot_config_check(const struct boot_config *c, struct err *err)
{
	if (str_empty(c->device))
		return err_set(err, ERR_INVALID,
			       "the provisioning network's device is not set: name one, such as "
			       "eth1");
	if (!net_is_set(&c->address) && !net_is_set(&c->address6))
		return err_set(err, ERR_INVALID, "our address on %s is not set", c->device);
	if (c->file_url && !url_usable(c->file_url))
		return err_set(err, ERR_INVALID,
			       "the boot URL of files must look like http://192.168.77.1:8080, "
			       "without a slash at the end");
	int r = c->dhcp == BOOT_DHCP_SERVER ? check_ranges(c, err) : 0;
	if (r == 0)
		r = check_family(c, AF_INET, err);
	if (r == 0)
		r = check_family(c, AF_INET6, err);
	for (const struct boot_ramdisk *d = c->ramdisks; r == 0 && d && d->flavour; d++)
		r = check_ramdisk(d, err);
	return r;
}

struct net_prefix boot_pool_subnet(const struct boot_pool *pool)
{
	return net_prefix_of(&pool->start, pool->bits);
}

const struct boot_pool *boot_pool_find(const struct boot_config *config,
				       const struct net_addr *address)
{
	for (size_t i = 0; i < config->pool_count; i++) {
		struct net_prefix subnet = boot_pool_subnet(&config->pools[i]);
		if (net_prefix_contains(&subnet, address))
			return &config->pools[i];
	}
	return NULL;
}

bool boot_address_free(const struct boot_config *config, const struct boot_pool *pool,
		       const struct net_addr *address)
{
	struct net_prefix subnet = boot_pool_subnet(pool);
	struct net_addr last = net_prefix_last(&subnet);
	bool pair = subnet.bits + 1 >= net_bits(net_family(address)); /* both are hosts' */
	if (!pair && (net_same_ip(address, &subnet.addr) || net_same_ip(address, &last)))
		return false;
	for (size_t i = 0; i < config->dns_count; i++)
		if (net_same_ip(address, &config->dns[i]))
			return false;
	return !net_same_ip(address, &config->address) &&
	       !net_same_ip(address, &config->address6) && !net_same_ip(address, &pool->gateway);
}

int boot_address_check(const struct boot_config *config, const struct net_addr *address,
		       struct err *err)
{
	const struct boot_pool *pool = boot_pool_find(config, address);
	if (!pool)
		return err_set(err, ERR_INVALID, "it lies in the subnet of no DHCP range");
	if (!boot_address_free(config, pool, address))
		return err_set(err, ERR_INVALID,
			       "it is the subnet's first or last, ours, or the gateway's or a name "
			       "server's");
	return 0;
}

const struct boot_file *boot_file_find(const struct boot_config *config, const char *name)
{
	const struct boot_file *f = config->files ? config->files : boot_default_files;
	for (; f->name; f++)
		if (streq(f->name, name))
			/* Asked each time: a package may be installed while we run. */
			return access(f->path, R_OK) == 0 ? f : NULL;
	return NULL;
}

const struct boot_ramdisk *boot_ramdisk_find(const struct boot_config *config, const char *flavour)
{
	for (const struct boot_ramdisk *r = config->ramdisks; r && r->flavour; r++)
		if (streq(r->flavour, flavour))
			return r;
	return NULL;
}

char *boot_mac_file(const struct net_mac *mac, char buf[BOOT_MAC_FILE_SIZE])
{
	const uint8_t *b = mac->bytes;
	snprintf(buf, BOOT_MAC_FILE_SIZE, "%02x-%02x-%02x-%02x-%02x-%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5]);
	return buf;
}

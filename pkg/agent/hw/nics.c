/* Network interfaces from sysfs, getifaddrs() and the ethtool ioctl for the permanent address. An
 * interface without a device below it (loopback, bridges, bonds) is not hardware. */

#include "agent/hw/nics.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAC_BYTES = 6 };

bool hw_mac_parse(const char *text, char ret[HW_MAC_SIZE])
{
	unsigned b[MAC_BYTES + 1];
	char sep[MAC_BYTES + 1], rest;
	int n = sscanf(text, "%2x%c%2x%c%2x%c%2x%c%2x%c%2x%c%2x%c", &b[0], &sep[0], &b[1], &sep[1],
		       &b[2], &sep[2], &b[3], &sep[3], &b[4], &sep[4], &b[5], &sep[5], &b[6],
		       &rest);
	/* pxelinux puts the hardware type in front: "01-" is Ethernet. */
	const unsigned *mac = n == 13 ? b + 1 : b;
	if ((n != 11 && n != 13) || (sep[0] != ':' && sep[0] != '-'))
		return false;
	for (int i = 1; i < (n - 1) / 2; i++)
		if (sep[i] != sep[0])
			return false;
	snprintf(ret, HW_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0] & 0xff, mac[1] & 0xff,
		 mac[2] & 0xff, mac[3] & 0xff, mac[4] & 0xff, mac[5] & 0xff);
	return true;
}

/* --- from the kernel ------------------------------------------------------------------------- */

/* Bonded and renamed NICs may carry another address than the one that they came with. */
static bool permanent_mac(const char *name, char ret[HW_MAC_SIZE])
{
	_Alignas(struct ethtool_perm_addr)
		uint8_t buf[sizeof(struct ethtool_perm_addr) + 32] = { 0 };
	struct ethtool_perm_addr *p = (struct ethtool_perm_addr *)(void *)buf;
	struct ifreq request = { .ifr_data = (char *)buf };
	static const uint8_t none[MAC_BYTES];
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	p->cmd = ETHTOOL_GPERMADDR;
	p->size = 32;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -1 : ioctl(fd, SIOCETHTOOL, &request);
	if (fd >= 0)
		close(fd);
	if (r < 0 || p->size != MAC_BYTES || memcmp(p->data, none, MAC_BYTES) == 0)
		return false;
	snprintf(ret, HW_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", p->data[0], p->data[1],
		 p->data[2], p->data[3], p->data[4], p->data[5]);
	return true;
}

/* The first IPv4 address counts; there is rarely a second one in a ramdisk. */
static void take_address(struct hw_nics *list, const struct ifaddrs *a)
{
	for (size_t i = 0; i < list->count; i++) {
		struct hw_nic *n = &list->items[i];
		if (!streq(n->name, a->ifa_name))
			continue;
		if (a->ifa_addr->sa_family == AF_INET && !n->ipv4[0]) {
			const struct sockaddr_in *in = (const void *)a->ifa_addr;
			inet_ntop(AF_INET, &in->sin_addr, n->ipv4, sizeof(n->ipv4));
		} else if (a->ifa_addr->sa_family == AF_INET6) {
			/* A routable address is better than the link-local one. */
			const struct sockaddr_in6 *in6 = (const void *)a->ifa_addr;
			bool local = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
			if (!n->ipv6[0] || (!local && str_has_prefix(n->ipv6, "fe80:")))
				inet_ntop(AF_INET6, &in6->sin6_addr, n->ipv6, sizeof(n->ipv6));
		}
	}
}

static void read_kernel(struct hw_nics *list)
{
	struct ifaddrs *all = NULL;
	for (size_t i = 0; i < list->count; i++)
		(void)permanent_mac(list->items[i].name, list->items[i].mac);
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr)
			take_address(list, a);
	freeifaddrs(all);
}

/* --- from sysfs ------------------------------------------------------------------------------ */

/* Values that a driver does not know read as errors: they stay NULL. */
static bool read_nic(const char *root, const char *name, struct hw_nic *n)
{
	uint64_t flag = 0;
	_cleanup_(freep) char *mac = hw_read(root, "/sys/class/net/%s/address", name);
	if (!hw_exists(root, "/sys/class/net/%s/device", name) || !mac ||
	    !hw_mac_parse(mac, n->mac))
		return false;
	n->name = xstrdup(name);
	n->carrier = hw_read_u64(root, &flag, "/sys/class/net/%s/carrier", name) && flag == 1;
	n->vendor = hw_read(root, "/sys/class/net/%s/device/vendor", name);
	n->product = hw_read(root, "/sys/class/net/%s/device/device", name);
	n->pci_address = hw_link_name(root, "/sys/class/net/%s/device", name);
	n->driver = hw_link_name(root, "/sys/class/net/%s/device/driver", name);
	/* -1 or an error without carrier */
	uint64_t speed = 0;
	n->speed_mbps = hw_read_u64(root, &speed, "/sys/class/net/%s/speed", name) && speed > 0 &&
					speed < INT32_MAX
				? (int64_t)speed
				: -1;
	return true;
}

struct hw_nics hw_nics_read(const char *root)
{
	struct hw_names names = hw_list(root, "/sys/class/net");
	struct hw_nics list = { .items = xcalloc(names.count + 1, sizeof(*list.items)) };
	for (size_t i = 0; i < names.count; i++)
		if (read_nic(root, names.items[i], &list.items[list.count]))
			list.count++;
	hw_names_done(&names);
	read_kernel(&list);
	return list;
}

void hw_nics_done(struct hw_nics *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->items[i].name);
		free(n->items[i].vendor);
		free(n->items[i].product);
		free(n->items[i].pci_address);
		free(n->items[i].driver);
	}
	free(n->items);
	*n = (struct hw_nics){ 0 };
}

const struct hw_nic *hw_nics_find(const struct hw_nics *n, const char *mac)
{
	for (size_t i = 0; i < n->count; i++)
		if (streq(n->items[i].mac, mac))
			return &n->items[i];
	return NULL;
}

/* --- as JSON --------------------------------------------------------------------------------- */

static const char *or_null(const char *s)
{
	return str_empty(s) ? NULL : s;
}

static struct json *nic_json(const struct hw_nic *n, const struct json *lldp)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "name", n->name },
		{ "mac_address", n->mac },
		{ "ipv4_address", or_null(n->ipv4) },
		{ "ipv6_address", or_null(n->ipv6) },
		{ "vendor", n->vendor },
		{ "product", n->product },
		{ "client_id", NULL },
		{ "biosdevname", NULL },
		{ "pci_address", n->pci_address },
		{ "driver", n->driver },
	};
	struct json *j = json_new_object();
	const struct json *frames = json_get(lldp, n->name);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		json_set(j, texts[i].key, json_new_string(texts[i].value));
	json_set_bool(j, "has_carrier", n->carrier);
	json_set(j, "lldp", frames ? json_dup(frames) : json_new_null());
	json_set(j, "speed_mbps",
		 n->speed_mbps > 0 ? json_new_int(n->speed_mbps) : json_new_null());
	return j;
}

struct json *hw_nics_json(const struct hw_nics *n, const struct json *lldp)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < n->count; i++)
		json_append(list, nic_json(&n->items[i], lldp));
	return list;
}

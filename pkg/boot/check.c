/* See check.h. Only calls that the sandbox leaves: flags of an interface by ioctl, and whether
 * an address is this machine's by a socket that is bound to it. */

#include "boot/check.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static int fail(const char **ret_summary, const char *summary)
{
	if (ret_summary)
		*ret_summary = summary;
	return -EINVAL;
}

/* --- interface -------------------------------------------------------------------------------- */

static int read_flags(int fd, const char *device, short *ret)
{
	struct ifreq r = { 0 };
	if (strlen(device) >= sizeof(r.ifr_name))
		return -ENODEV;
	memcpy(r.ifr_name, device, strlen(device) + 1);
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	*ret = r.ifr_flags;
	return 0;
}

int boot_check_interface(const char *option, const char *device, const char *address_option,
			 const struct net_addr *address, const char **ret_summary, struct err *err)
{
	short flags = 0;
	char text[NET_IP_TEXT_MAX];
	int fd = socket(net_family(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : read_flags(fd, device, &flags);
	bool ours = fd >= 0 && bind(fd, &address->sa, net_len(address)) == 0;
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		err_set_errno(err, r, "--%s: no network interface \"%s\" can be used", option,
			      device);
		return fail(ret_summary, "the provisioning interface does not exist");
	}
	if (!(flags & IFF_UP)) {
		err_set(err, ERR_INVALID,
			"--%s: the interface %s is down; bring it up (ip link set %s up)", option,
			device, device);
		return fail(ret_summary, "the provisioning interface is down");
	}
	if (!ours) {
		err_set(err, ERR_INVALID,
			"--%s: this machine does not have the address %s; add it to %s",
			address_option, net_format_ip(address, text), device);
		return fail(ret_summary, "this machine does not have the provisioning address");
	}
	return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int check_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
	close(fd);
	return r < 0 ? r : st.st_size == 0 ? -ENODATA : 0;
}

static int check_ramdisk(const struct boot_ramdisk *ramdisk, const char **ret_summary,
			 struct err *err)
{
	const char *paths[] = { ramdisk->kernel, ramdisk->initramfs };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int r = check_file(paths[i]);
		if (r == 0)
			continue;
		if (r == -ENODATA)
			err_set(err, ERR_INVALID, "--ramdisk: the file %s is empty", paths[i]);
		else
			err_set_errno(err, r, "--ramdisk: cannot read %s", paths[i]);
		return fail(ret_summary, "a file of --ramdisk cannot be read or is empty");
	}
	return 0;
}

/* One is enough: which of them hosts need is seen when they ask. A site's own DHCP may name other
 * loaders. */
static int check_loaders(const struct boot_config *c, const char **ret_summary, struct err *err)
{
	const struct boot_file *f = c->files ? c->files : boot_default_files, *first = f;
	for (; f->name; f++)
		if (check_file(f->path) == 0)
			return 0;
	if (c->dhcp == BOOT_DHCP_OFF)
		return 0;
	err_set(err, ERR_INVALID,
		"--provisioning-interface: hosts cannot boot, no boot loader is installed (%s and "
		"others); install the package ipxe",
		first->path);
	return fail(ret_summary, "no boot loader is installed (package ipxe)");
}

int boot_check(const struct boot_config *c, const char **ret_summary, struct err *err)
{
	const struct net_addr *const own[] = { &c->address, &c->address6 };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(own); i++)
		if (net_is_set(own[i]))
			r = boot_check_interface("provisioning-interface", c->device,
						 "provisioning-address", own[i], ret_summary, err);
	for (const struct boot_ramdisk *d = c->ramdisks; r == 0 && d && d->flavour; d++)
		r = check_ramdisk(d, ret_summary, err);
	return r < 0 ? r : check_loaders(c, ret_summary, err);
}

/* Netlink: kobject events for disks that are still being probed, rtnetlink for links and addresses.
 * The socket is opened before the first look, so that no change falls between. */

#include "agent/hw/settle.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hw/nics.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

enum { MESSAGE_MAX = 8192, RECHECK_MS = 1000 };

struct hw_net_watch {
	int fd;
	struct loop_io *io;
	loop_fn changed;
	void *data;
};

static int open_netlink(int protocol, unsigned groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* True if one of the waiting messages was about a block device. */
static bool drain_uevents(int fd)
{
	char message[MESSAGE_MAX];
	bool block = false;
	ssize_t n;
	while ((n = recv(fd, message, sizeof(message), 0)) > 0)
		block |= memmem(message, (size_t)n, "SUBSYSTEM=block", 15) != NULL;
	return block;
}

bool hw_wait_for_disks(const struct loop *loop, bool (*ready)(void *data), void *data,
		       unsigned timeout_ms)
{
	int fd = open_netlink(NETLINK_KOBJECT_UEVENT, 1);
	usec_t end = loop_now(loop) + timeout_ms * USEC_PER_MSEC;
	bool is_ready = ready(data);
	for (usec_t now; !is_ready && (now = loop_now(loop)) < end;) {
		/* Without events (a container) it is looked at once a second. */
		int left = (int)MIN((end - now) / USEC_PER_MSEC + 1, (usec_t)RECHECK_MS);
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		bool event = poll(&wait, 1, left) > 0 && drain_uevents(fd);
		if (event || fd < 0 || left == RECHECK_MS)
			is_ready = ready(data);
	}
	if (fd >= 0)
		close(fd);
	return is_ready;
}

void hw_settle_disks(const struct loop *loop, unsigned quiet_ms, unsigned timeout_ms)
{
	int fd = open_netlink(NETLINK_KOBJECT_UEVENT, 1);
	usec_t end = loop_now(loop) + timeout_ms * USEC_PER_MSEC;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	/* Each event, of whatever subsystem, starts the quiet time anew: buses come before their
	 * disks. */
	while (fd >= 0 && loop_now(loop) < end && poll(&wait, 1, (int)quiet_ms) > 0)
		(void)drain_uevents(fd);
	if (fd >= 0)
		close(fd);
}

/* --- network --------------------------------------------------------------------------------- */

static void on_netlink(void *data, int events)
{
	(void)events;
	struct hw_net_watch *w = data;
	char message[MESSAGE_MAX];
	bool any = false;
	ssize_t n;
	/* What exactly changed is read anew anyway; an overrun (ENOBUFS) is a change as well. */
	while ((n = recv(w->fd, message, sizeof(message), 0)) > 0 || (n < 0 && errno == ENOBUFS))
		any = true;
	if (any)
		w->changed(w->data);
}

int hw_net_watch_open(struct loop *loop, loop_fn changed, void *data, struct hw_net_watch **ret,
		      struct err *err)
{
	unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
	struct hw_net_watch *w = xcalloc(1, sizeof(*w));
	*w = (struct hw_net_watch){ .changed = changed, .data = data };
	w->fd = open_netlink(NETLINK_ROUTE, groups);
	int r = w->fd < 0 ? err_set_errno(err, errno, "cannot watch the network") : 0;
	if (r == 0)
		r = loop_io_open(loop, w->fd, LOOP_READ, "network watch", on_netlink, w, &w->io,
				 err);
	if (r < 0) {
		hw_net_watch_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct hw_net_watch *hw_net_watch_close(struct hw_net_watch *w)
{
	if (!w)
		return NULL;
	if (w->io)
		loop_io_close(w->io);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	return NULL;
}

static bool has_address(const struct hw_nic *n)
{
	return n->ipv4[0] || (n->ipv6[0] && !str_has_prefix(n->ipv6, "fe80:"));
}

bool hw_net_ready(const char *root, const char *mac, bool all)
{
	struct hw_nics nics = hw_nics_read(root);
	const struct hw_nic *boot = mac ? hw_nics_find(&nics, mac) : NULL;
	bool any = false, every = true;
	for (size_t i = 0; i < nics.count; i++) {
		any |= has_address(&nics.items[i]);
		every &= !nics.items[i].carrier || has_address(&nics.items[i]);
	}
	bool ready = boot && !all ? has_address(boot) : any && (!all || every);
	hw_nics_done(&nics);
	return ready;
}

static bool reaches(const struct ifaddrs *a)
{
	struct net_addr address;
	socklen_t len = !a->ifa_addr			     ? 0
			: a->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							     : sizeof(struct sockaddr_in);
	return len && net_from_sockaddr(a->ifa_addr, len, &address) == 0 &&
	       !net_is_loopback(&address) && !net_is_link_local(&address);
}

bool hw_net_any_address(void)
{
	struct ifaddrs *all = NULL;
	bool any = false;
	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *a = all; a && !any; a = a->ifa_next)
		any = reaches(a);
	freeifaddrs(all);
	return any;
}

/* DHCPv6 on a NIC. The address goes into the kernel by rtnetlink, with its lifetimes, so that it
 * ends by itself when it is not renewed, and "optimistic" (RFC 4429): it may be used while the
 * kernel still looks for a duplicate. If there is one, the kernel says so, and the address is
 * declined. The prefix of the network is none of ours: routers announce it, and the address has all
 * 128 bits.
 *
 * The socket is bound to the NIC and to the clients' port. Sending needs a link-local address that
 * is usable; a change of the NIC's addresses is the moment to try it again.
 *
 * Owns the sockets and the client. */

#include "agent/dhcp6_nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dhcp6_client.h"
#include "agent/hw/settle.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { RECEIVE_BURST = 16, ADDRESS_BITS = 128 };

struct dhcp6_nic {
	struct dhcp6_nic_options options;
	unsigned index;
	int fd, netlink;
	struct loop_io *io;
	struct hw_net_watch *watch;
	struct dhcp6_client *client;
	struct net_addr address; /* that the kernel has of us; not set: none */
};

/* --- the kernel's addresses ------------------------------------------------------------------- */

struct address_message {
	struct nlmsghdr head;
	struct ifaddrmsg body;
	struct rtattr local_head;
	struct in6_addr local;
	struct rtattr times_head;
	struct ifa_cacheinfo times;
};

/* Answered at once: the kernel does the work in the call. */
static int ask_kernel(const struct dhcp6_nic *n, const struct address_message *m)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} answer = { .error = { .error = -EIO } };
	if (send(n->netlink, m, sizeof(*m), 0) < 0 ||
	    recv(n->netlink, &answer, sizeof(answer), 0) < 0)
		return -errno;
	return answer.error.error;
}

/* lease NULL: the address goes. */
static int set_address(const struct dhcp6_nic *n, const struct net_addr *address,
		       const struct dhcp6_lease *lease)
{
	struct address_message m = {
		.head = { .nlmsg_len = sizeof(m),
			  .nlmsg_type = lease ? RTM_NEWADDR : RTM_DELADDR,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.body = { .ifa_family = AF_INET6,
			  .ifa_prefixlen = ADDRESS_BITS,
			  .ifa_flags = lease ? IFA_F_OPTIMISTIC : 0,
			  .ifa_index = n->index },
		.local_head = { RTA_LENGTH(sizeof(m.local)), IFA_LOCAL },
		.local = address->v6.sin6_addr,
		.times_head = { RTA_LENGTH(sizeof(m.times)), IFA_CACHEINFO },
		.times = { .ifa_prefered = lease ? lease->preferred : 0,
			   .ifa_valid = lease ? lease->valid : 0 },
	};
	if (lease)
		m.head.nlmsg_flags |= NLM_F_CREATE | NLM_F_REPLACE;
	return ask_kernel(n, &m);
}

/* By /proc, whose flags are the kernel's own. */
static bool is_duplicate(const struct dhcp6_nic *n)
{
	char line[128], hex[33];
	bool found = false;
	unsigned index, bits, scope, flags;
	FILE *f = fopen("/proc/net/if_inet6", "re");
	char own[33];
	hex_encode(&n->address.v6.sin6_addr, sizeof(struct in6_addr), own);
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%32s %x %x %x %x", hex, &index, &bits, &scope, &flags) == 5 &&
			index == n->index && streq(hex, own) && (flags & IFA_F_DADFAILED);
	if (f)
		fclose(f);
	return found;
}

/* --- the script ------------------------------------------------------------------------------- */

static char *dns_text(const struct dhcp6_lease *lease)
{
	struct strbuf text = { 0 };
	char ip[NET_IP_TEXT_MAX];
	for (size_t i = 0; i < lease->dns_count; i++)
		strbuf_addf(&text, "%s%s", i ? " " : "", net_format_ip(&lease->dns[i], ip));
	return strbuf_take(&text, NULL);
}

/* Short: it changes a route and writes a file. */
static void run_script(const struct dhcp6_nic *n, const char *event,
		       const struct dhcp6_lease *lease)
{
	static char path[] = "PATH=/usr/bin:/usr/sbin:/bin:/sbin";
	char ip[NET_IP_TEXT_MAX];
	const char *script = n->options.script;
	_cleanup_(freep) char *dns_list = lease ? dns_text(lease) : xstrdup("");
	_cleanup_(freep) char *interface = xasprintf("interface=%s", n->options.device);
	_cleanup_(freep) char *address = xasprintf("ip6=%s",
						   lease ? net_format_ip(&lease->address, ip) : "");
	_cleanup_(freep) char *dns = xasprintf("dns=%s", dns_list);
	_cleanup_(freep) char *domain = xasprintf("domain=%s", lease ? lease->domain : "");
	char *const env[] = { path, interface, address, dns, domain, NULL };
	char *const argv[] = { (char *)(uintptr_t)script, (char *)(uintptr_t)event, NULL };
	pid_t pid;
	if (!script)
		return;
	struct err err;
	int status = 0, r = posix_spawn(&pid, script, NULL, NULL, argv, env);
	if (r == 0 && waitpid(pid, &status, 0) < 0)
		r = errno;
	if (r != 0)
		err_set_errno(&err, r, "cannot run it");
	else
		err_set(&err, ERR_IO, "its status is %d", WEXITSTATUS(status));
	if (r != 0 || status != 0)
		log_warn("the network script failed", "script", script, "event", event, "error",
			 err.text);
}

/* --- the client's side ------------------------------------------------------------------------ */

static bool send_message(void *data, const void *message, size_t len)
{
	const struct dhcp6_nic *n = data;
	const struct sockaddr_in6 to = { .sin6_family = AF_INET6,
					 .sin6_port = htons(DHCP6_SERVER_PORT),
					 .sin6_scope_id = n->index,
					 .sin6_addr = { { { 0xff, 0x02, [13] = 1, 0, 2 } } } };
	/* Other failures are as good as a loss. */
	return sendto(n->fd, message, len, 0, (const struct sockaddr *)&to, sizeof(to)) >= 0 ||
	       (errno != EADDRNOTAVAIL && errno != ENETUNREACH);
}

static void on_lease(void *data, const struct dhcp6_lease *lease)
{
	struct dhcp6_nic *n = data;
	char ip[NET_IP_TEXT_MAX];
	bool renewed = lease && net_same_ip(&n->address, &lease->address);
	struct net_addr address = lease ? lease->address : n->address;
	int r = set_address(n, &address, lease);
	n->address = lease && r == 0 ? lease->address : (struct net_addr){ 0 };
	struct err err;
	if (r < 0 && lease) {
		err_set_errno(&err, r, "cannot set the address");
		log_warn("DHCPv6", "interface", n->options.device, "address",
			 net_format_ip(&address, ip), "error", err.text);
		return;
	}
	if (!renewed)
		log_info("DHCPv6", "interface", n->options.device, "event",
			 lease ? "bound" : "lost", "address", net_format_ip(&address, ip));
	run_script(n, !lease ? "deconfig6" : renewed ? "renew6" : "bound6", lease);
}

/* --- events ----------------------------------------------------------------------------------- */

static void on_readable(void *data, int events)
{
	struct dhcp6_nic *n = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[DHCP6_SIZE_MAX + 1]; /* longer ones do not decode */
		struct sockaddr_in6 from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(n->fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
				       &from_len);
		if (len < 0)
			return;
		if (ntohs(from.sin6_port) == DHCP6_SERVER_PORT)
			dhcp6_client_take(n->client, packet, (size_t)len);
	}
}

static void on_network(void *data)
{
	struct dhcp6_nic *n = data;
	if (net_is_set(&n->address) && is_duplicate(n)) {
		log_warn("DHCPv6: another machine uses the address", "interface",
			 n->options.device);
		dhcp6_client_decline(n->client);
	}
	dhcp6_client_kick(n->client);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_socket(struct dhcp6_nic *n)
{
	const struct sockaddr_in6 at = { .sin6_family = AF_INET6,
					 .sin6_port = htons(DHCP6_CLIENT_PORT) };
	const char *device = n->options.device;
	n->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0 ||
	    setsockopt(n->fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    bind(n->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	n->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return n->netlink < 0 ? -errno : 0;
}

static int read_mac(const struct dhcp6_nic *n, struct net_mac *ret)
{
	struct ifreq r = { 0 };
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", n->options.device);
	if (ioctl(n->fd, SIOCGIFHWADDR, &r) < 0)
		return -errno;
	if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return -EOPNOTSUPP;
	memcpy(ret->bytes, r.ifr_hwaddr.sa_data, sizeof(ret->bytes));
	return 0;
}

static int open_all(struct dhcp6_nic *n, struct err *err)
{
	struct dhcp6_client_options client = {
		.loop = n->options.loop, .send = send_message, .changed = on_lease, .data = n
	};
	int r = n->index ? open_socket(n) : -ENODEV;
	if (r == 0)
		r = read_mac(n, &client.mac);
	if (r < 0)
		return err_set_errno(err, r, "DHCPv6 on %s", n->options.device);
	n->client = dhcp6_client_new(&client);
	r = loop_io_open(n->options.loop, n->fd, LOOP_READ, "dhcp6", on_readable, n, &n->io, err);
	return r < 0 ? r : hw_net_watch_open(n->options.loop, on_network, n, &n->watch, err);
}

int dhcp6_nic_open(const struct dhcp6_nic_options *options, struct dhcp6_nic **ret, struct err *err)
{
	struct dhcp6_nic *n = xcalloc(1, sizeof(*n));
	*n = (struct dhcp6_nic){ .options = *options,
				 .index = if_nametoindex(options->device),
				 .fd = -1,
				 .netlink = -1 };
	int r = open_all(n, err);
	if (r < 0) {
		dhcp6_nic_close(n);
		return r;
	}
	on_network(n);
	*ret = n;
	return 0;
}

struct dhcp6_nic *dhcp6_nic_close(struct dhcp6_nic *n)
{
	if (!n)
		return NULL;
	if (n->watch)
		hw_net_watch_close(n->watch);
	if (n->io)
		loop_io_close(n->io);
	dhcp6_client_free(n->client);
	if (n->fd >= 0)
		close(n->fd);
	if (n->netlink >= 0)
		close(n->netlink);
	free(n);
	return NULL;
}

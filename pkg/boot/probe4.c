/* Probes of IPv4 addresses. A proper ARP probe (RFC 5227) needs raw frames. Instead one ICMP echo
 * is sent to the address: before the echo can leave, the kernel must ask by ARP, which even a
 * firewalled host answers. So two things tell that the address is taken: an echo reply, and (on our
 * own wire) a neighbour entry with a hardware address. Relayed subnets have no ARP and only the
 * echo counts. Core thread. */

#include <errno.h>
#include <linux/icmp.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "boot/probe_wire.h"

static int set_up(int fd, const char *device)
{
	struct icmp_filter filter = { ~(1u << ICMP_ECHOREPLY) };
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	return 0;
}

static int open_socket(struct probe_wire *w)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (fd < 0)
		return -errno;
	int r = set_up(fd, w->device);
	if (r < 0)
		close(fd);
	else
		w->fd = fd;
	return r;
}

static bool find_mac(const struct probe_wire *w, const struct net_addr *address,
		     struct net_mac *ret)
{
	struct arpreq req = { 0 };
	memcpy(&req.arp_pa, &address->v4, sizeof(address->v4));
	memcpy(req.arp_dev, w->device, sizeof(req.arp_dev));
	if (ioctl(w->fd, SIOCGARP, &req) < 0 || !(req.arp_flags & ATF_COM))
		return false;
	memcpy(ret->bytes, req.arp_ha.sa_data, sizeof(ret->bytes));
	return true;
}

static uint16_t checksum(const uint16_t *words, size_t count)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void send_echo(const struct probe_wire *w, const struct net_addr *address, uint16_t seq)
{
	union {
		struct icmphdr header;
		uint16_t words[sizeof(struct icmphdr) / 2];
	} echo = { .header = { .type = ICMP_ECHO, .un.echo = { htons(w->id), htons(seq) } } };
	echo.header.checksum = checksum(echo.words, ARRAY_SIZE(echo.words));
	(void)sendto(w->fd, &echo, sizeof(echo), 0, &address->sa, net_len(address));
}

static int receive(const struct probe_wire *w, struct probe_word *ret)
{
	uint8_t packet[128];
	struct iphdr ip;
	struct icmphdr icmp;
	ssize_t n = recv(w->fd, packet, sizeof(packet), 0);
	if (n < 0)
		return -EAGAIN;
	if ((size_t)n < sizeof(ip))
		return -EBADMSG;
	memcpy(&ip, packet, sizeof(ip));
	size_t at = (size_t)ip.ihl * 4;
	if (at < sizeof(ip) || (size_t)n < at + sizeof(icmp))
		return -EBADMSG;
	memcpy(&icmp, packet + at, sizeof(icmp));
	if (icmp.type != ICMP_ECHOREPLY || icmp.un.echo.id != htons(w->id))
		return -EBADMSG;
	*ret = (struct probe_word){ .address = net_from_v4((struct in_addr){ ip.saddr }) };
	return 0;
}

const struct probe_wire_ops probe_wire4 = { open_socket, send_echo, receive, find_mac };

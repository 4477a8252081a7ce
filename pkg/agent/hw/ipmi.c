/* Get LAN Configuration Parameters (IPMI 2.0, section 23.2) over /dev/ipmi0. Channels are tried in
 * turn, because boards put their LAN on 1, 2 or 8; each answer has a second to come. */

#include "agent/hw/ipmi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ipmi.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/macro.h"

enum {
	NETFN_TRANSPORT = 0x0c,
	CMD_GET_LAN = 0x02,
	PARAM_IP = 3,
	PARAM_MAC = 5,
	PARAM_IPV6_STATIC = 56,
	PARAM_IPV6_DYNAMIC = 59,
	ANSWER_MS = 1000,
	ANSWER_HEAD = 2, /* completion code, parameter revision */
};

static const char *const devices[] = { "/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0" };
static const uint8_t channels[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* Bytes behind the head; negative: no answer or refused. */
static int get_lan(int fd, uint8_t channel, uint8_t param, uint8_t *out, size_t len)
{
	uint8_t data[4] = { channel, param, 0, 0 }, answer[64];
	struct ipmi_system_interface_addr to = {
		.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE,
		.channel = IPMI_BMC_CHANNEL,
	};
	struct ipmi_req request = {
		.addr = (unsigned char *)&to,
		.addr_len = sizeof(to),
		.msgid = (long)channel << 8 | param,
		.msg = { NETFN_TRANSPORT, CMD_GET_LAN, sizeof(data), data },
	};
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	if (ioctl(fd, IPMICTL_SEND_COMMAND, &request) < 0)
		return -errno;
	struct ipmi_addr from;
	struct ipmi_recv got = {
		.addr = (unsigned char *)&from,
		.addr_len = sizeof(from),
		.msg = { .data = answer, .data_len = sizeof(answer) },
	};
	do {
		if (poll(&wait, 1, ANSWER_MS) <= 0 ||
		    ioctl(fd, IPMICTL_RECEIVE_MSG_TRUNC, &got) < 0)
			return -ETIMEDOUT;
	} while (got.msgid != request.msgid); /* the late answer to an earlier question */
	if (got.msg.data_len < ANSWER_HEAD || answer[0] != 0)
		return -EIO;
	size_t n = MIN((size_t)got.msg.data_len - ANSWER_HEAD, len);
	memcpy(out, answer + ANSWER_HEAD, n);
	return (int)n;
}

/* The first address that is set: selector, source, 16 bytes of address, prefix. */
static void read_v6(int fd, uint8_t channel, struct hw_bmc *bmc)
{
	static const uint8_t params[] = { PARAM_IPV6_STATIC, PARAM_IPV6_DYNAMIC };
	static const uint8_t none[16];
	for (size_t i = 0; i < sizeof(params); i++) {
		uint8_t v[20] = { 0 };
		if (get_lan(fd, channel, params[i], v, sizeof(v)) < 19 ||
		    memcmp(v + 2, none, 16) == 0)
			continue;
		inet_ntop(AF_INET6, v + 2, bmc->v6address, sizeof(bmc->v6address));
		return;
	}
}

static bool read_channel(int fd, uint8_t channel, struct hw_bmc *bmc)
{
	static const uint8_t none[6];
	uint8_t ip[4] = { 0 }, mac[6] = { 0 };
	if (get_lan(fd, channel, PARAM_IP, ip, sizeof(ip)) != 4 || memcmp(ip, none, 4) == 0)
		return false;
	inet_ntop(AF_INET, ip, bmc->address, sizeof(bmc->address));
	if (get_lan(fd, channel, PARAM_MAC, mac, sizeof(mac)) == 6 && memcmp(mac, none, 6) != 0)
		snprintf(bmc->mac, sizeof(bmc->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			 mac[1], mac[2], mac[3], mac[4], mac[5]);
	read_v6(fd, channel, bmc);
	return true;
}

struct hw_bmc hw_bmc_read(void)
{
	struct hw_bmc bmc = { .address = "0.0.0.0", .v6address = "::/0" };
	int fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(devices) && fd < 0; i++)
		fd = open(devices[i], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return bmc;
	bmc.present = true;
	for (size_t i = 0; i < sizeof(channels); i++)
		if (read_channel(fd, channels[i], &bmc))
			break;
	close(fd);
	return bmc;
}

/* rtnetlink. A request is built in one buffer, sent, and its acknowledgement read; what the kernel
 * says of an error comes as an attribute behind it (NETLINK_EXT_ACK). */

#include "agent/network/rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { REQUEST_MAX = 1024, ANSWER_MAX = 32 << 10 };

struct request {
	_Alignas(struct nlmsghdr) char data[REQUEST_MAX];
};

int rtnl_open(struct rtnl *r, struct err *err)
{
	int on = 1;
	r->serial = 0;
	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (r->fd < 0)
		return err_set_errno(err, errno, "cannot open rtnetlink");
	/* Without these the kernel only says less, or looks less closely. */
	(void)setsockopt(r->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(r->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void rtnl_close(struct rtnl *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* --- building -------------------------------------------------------------------------------- */

static struct nlmsghdr *header_of(struct request *q)
{
	return (struct nlmsghdr *)q->data;
}

static void *begin(struct request *q, int type, int flags, size_t body)
{
	memset(q, 0, sizeof(*q));
	*header_of(q) = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
	};
	return NLMSG_DATA(q->data);
}

/* All requests are far smaller than their buffer: too large a one is a fault of this file. */
static struct rtattr *add(struct request *q, int type, const void *data, size_t len)
{
	struct nlmsghdr *h = header_of(q);
	size_t at = NLMSG_ALIGN(h->nlmsg_len);
	if (at + RTA_LENGTH(len) > sizeof(q->data))
		abort();
	struct rtattr *a = (struct rtattr *)(void *)(q->data + at);
	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(a), data, len);
	h->nlmsg_len = (uint32_t)(at + RTA_ALIGN(a->rta_len));
	return a;
}

static void add_text(struct request *q, int type, const char *text)
{
	add(q, type, text, strlen(text) + 1);
}

static void add_u32(struct request *q, int type, uint32_t v)
{
	add(q, type, &v, sizeof(v));
}

static void end_nest(struct request *q, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)(q->data + header_of(q)->nlmsg_len - (char *)nest);
}

static const void *bytes_of(const struct net_addr *a, size_t *ret_len)
{
	bool v6 = net_family(a) == AF_INET6;
	*ret_len = net_bits(net_family(a)) / 8;
	return v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr;
}

static void add_address(struct request *q, int type, const struct net_addr *a)
{
	size_t len;
	const void *bytes = bytes_of(a, &len);
	add(q, type, bytes, len);
}

/* --- asking ---------------------------------------------------------------------------------- */

static const char *kernel_words(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	size_t at = sizeof(*e);
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		at += e->msg.nlmsg_len - sizeof(e->msg);
	if (NLMSG_LENGTH(at) > h->nlmsg_len)
		return NULL;
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(at));
	const struct rtattr *a = (const void *)((const char *)e + at);
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
			return RTA_DATA(a);
	return NULL;
}

static int fail(struct err *err, int errnum, const char *words)
{
	return words ? err_set_errno(err, errnum, "the kernel says \"%s\"", words)
		     : err_set_errno(err, errnum, "the kernel refuses it");
}

/* Returns a negative errno of the kernel's own; err is filled. */
static int ask(struct rtnl *r, struct request *q, struct err *err)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	struct nlmsghdr *h = header_of(q);
	h->nlmsg_flags |= NLM_F_ACK;
	h->nlmsg_seq = ++r->serial;
	if (send(r->fd, q->data, h->nlmsg_len, 0) < 0)
		return err_set_errno(err, errno, "cannot ask the kernel");
	for (;;) {
		ssize_t n = recv(r->fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *a = (const void *)answer;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "no answer of the kernel");
		if (!NLMSG_OK(a, (size_t)n) || a->nlmsg_seq != r->serial ||
		    a->nlmsg_type != NLMSG_ERROR)
			continue;
		int error = ((const struct nlmsgerr *)NLMSG_DATA(a))->error;
		if (error < 0)
			(void)fail(err, -error, kernel_words(a));
		return error;
	}
}

/* --- links ----------------------------------------------------------------------------------- */

int rtnl_add_bond(struct rtnl *r, const char *name, struct err *err)
{
	struct request q;
	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	add_text(&q, IFLA_IFNAME, name);
	struct rtattr *info = add(&q, IFLA_LINKINFO, NULL, 0);
	add_text(&q, IFLA_INFO_KIND, "bond");
	end_nest(&q, info);
	return ask(r, &q, err);
}

int rtnl_add_vlan(struct rtnl *r, const char *name, unsigned below, unsigned id, struct err *err)
{
	struct request q;
	uint16_t tag = (uint16_t)id;
	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	add_text(&q, IFLA_IFNAME, name);
	add_u32(&q, IFLA_LINK, below);
	struct rtattr *info = add(&q, IFLA_LINKINFO, NULL, 0);
	add_text(&q, IFLA_INFO_KIND, "vlan");
	struct rtattr *data = add(&q, IFLA_INFO_DATA, NULL, 0);
	add(&q, IFLA_VLAN_ID, &tag, sizeof(tag));
	end_nest(&q, data);
	end_nest(&q, info);
	return ask(r, &q, err);
}

static struct ifinfomsg *begin_set(struct request *q, unsigned index)
{
	struct ifinfomsg *i = begin(q, RTM_NEWLINK, 0, sizeof(*i));
	i->ifi_index = (int)index;
	return i;
}

int rtnl_set_up(struct rtnl *r, unsigned index, bool up, struct err *err)
{
	struct request q;
	struct ifinfomsg *i = begin_set(&q, index);
	i->ifi_flags = up ? IFF_UP : 0;
	i->ifi_change = IFF_UP;
	return ask(r, &q, err);
}

int rtnl_set_mtu(struct rtnl *r, unsigned index, unsigned mtu, struct err *err)
{
	struct request q;
	begin_set(&q, index);
	add_u32(&q, IFLA_MTU, mtu);
	return ask(r, &q, err);
}

int rtnl_set_mac(struct rtnl *r, unsigned index, const struct net_mac *mac, struct err *err)
{
	struct request q;
	begin_set(&q, index);
	add(&q, IFLA_ADDRESS, mac->bytes, sizeof(mac->bytes));
	return ask(r, &q, err);
}

int rtnl_set_master(struct rtnl *r, unsigned index, unsigned master, struct err *err)
{
	struct request q;
	begin_set(&q, index);
	add_u32(&q, IFLA_MASTER, master);
	return ask(r, &q, err);
}

/* --- addresses and routes -------------------------------------------------------------------- */

int rtnl_add_address(struct rtnl *r, unsigned index, const struct net_addr *address, unsigned bits,
		     struct err *err)
{
	struct request q;
	struct ifaddrmsg *m = begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m));
	m->ifa_family = (uint8_t)net_family(address);
	m->ifa_prefixlen = (uint8_t)bits;
	m->ifa_index = index;
	add_address(&q, IFA_LOCAL, address);
	add_address(&q, IFA_ADDRESS, address);
	if (net_family(address) == AF_INET && bits < 31) {
		struct net_prefix p = net_prefix_of(address, bits);
		struct net_addr last = net_prefix_last(&p);
		add_address(&q, IFA_BROADCAST, &last);
	}
	return ask(r, &q, err);
}

static int add_route(struct rtnl *r, unsigned index, const struct net_prefix *to,
		     const struct net_addr *gateway, unsigned metric, unsigned flags,
		     struct err *err)
{
	struct request q;
	struct rtmsg *m = begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m));
	m->rtm_family = (uint8_t)net_family(&to->addr);
	m->rtm_dst_len = (uint8_t)to->bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = net_is_set(gateway) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	m->rtm_flags = flags;
	if (to->bits > 0)
		add_address(&q, RTA_DST, &to->addr);
	if (net_is_set(gateway))
		add_address(&q, RTA_GATEWAY, gateway);
	add_u32(&q, RTA_OIF, index);
	if (metric)
		add_u32(&q, RTA_PRIORITY, metric);
	return ask(r, &q, err);
}

int rtnl_add_route(struct rtnl *r, unsigned index, const struct net_prefix *to,
		   const struct net_addr *gateway, unsigned metric, struct err *err)
{
	int result = add_route(r, index, to, gateway, metric, 0, err);
	if ((result == -ENETUNREACH || result == -EHOSTUNREACH || result == -EINVAL) &&
	    net_is_set(gateway))
		result = add_route(r, index, to, gateway, metric, RTNH_F_ONLINK, err);
	return result;
}

/* --- looking --------------------------------------------------------------------------------- */

static bool is_that(const struct nlmsghdr *h, unsigned index, const struct net_addr *address,
		    uint32_t *ret_flags)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	size_t len;
	const void *bytes = bytes_of(address, &len);
	bool same = false;
	int left = (int)IFA_PAYLOAD(h);
	if (m->ifa_index != index || m->ifa_family != net_family(address))
		return false;
	*ret_flags = m->ifa_flags;
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		/* IPv6 has its address in IFA_ADDRESS alone, IPv4 in both unless it is a peer's. */
		if (a->rta_type == IFA_ADDRESS && RTA_PAYLOAD(a) == len)
			same |= memcmp(RTA_DATA(a), bytes, len) == 0;
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(*ret_flags))
			memcpy(ret_flags, RTA_DATA(a), sizeof(*ret_flags));
	}
	return same;
}

static enum rtnl_address_state state_of(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return RTNL_ADDRESS_DUPLICATE;
	return flags & IFA_F_TENTATIVE ? RTNL_ADDRESS_TENTATIVE : RTNL_ADDRESS_USABLE;
}

enum rtnl_address_state rtnl_address_state(struct rtnl *r, unsigned index,
					   const struct net_addr *address)
{
	enum rtnl_address_state state = RTNL_ADDRESS_ABSENT;
	struct request q;
	char *answer = xmalloc(ANSWER_MAX);
	struct ifaddrmsg *m = begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(*m));
	m->ifa_family = (uint8_t)net_family(address);
	header_of(&q)->nlmsg_seq = ++r->serial;
	bool more = send(r->fd, q.data, header_of(&q)->nlmsg_len, 0) >= 0;
	while (more) {
		ssize_t n = recv(r->fd, answer, ANSWER_MAX, 0);
		size_t left = n > 0 ? (size_t)n : 0;
		const struct nlmsghdr *h = (const void *)answer;
		more = left > 0;
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			uint32_t flags;
			if (h->nlmsg_seq != r->serial)
				continue;
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				more = false;
			else if (is_that(h, index, address, &flags))
				state = state_of(flags);
		}
	}
	free(answer);
	return state;
}

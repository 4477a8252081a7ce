/* Is an address in use? Each family asks in its own way (probe4.c, probe6.c); what is common is
 * that somebody answers for the address, or nobody does in time. An answer with the client's own
 * MAC is no conflict: the host still, or again, uses the address that it had before its record was
 * lost.
 *
 * The kernel's neighbour entries may be stale: then the address is skipped although its owner has
 * gone, which costs nothing but another address. A host that answers neither within
 * BOOT_PROBE_WAIT_MS is missed; it will be met again as a DECLINE, for which clients probe
 * themselves.
 *
 * The prober owns its probes' descriptor; a probe is freed before its done is called. Core thread.
 */

#include "boot/probe.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "boot/probe_wire.h"

enum { RECEIVE_BURST = 64, ASKS = 2 /* one packet may be lost */ };

struct boot_prober {
	struct loop *loop;
	struct probe_wire wire;
	struct loop_io *io;
	struct list probes;
	size_t count;
	uint16_t last_seq;
};

struct boot_probe {
	struct list node;
	struct boot_prober *prober;
	struct net_addr address;
	struct net_mac own;
	bool answered; /* by somebody without a MAC */
	int asks_left;
	struct timer timer;
	boot_probe_done_fn done;
	void *data;
};

struct boot_probe *boot_probe_cancel(struct boot_probe *p)
{
	if (!p)
		return NULL;
	timer_stop(&p->timer);
	list_unlink(&p->node);
	p->prober->count--;
	free(p);
	return NULL;
}

/* mac NULL: nobody has told it. */
static void finish(struct boot_probe *p, const struct net_mac *mac)
{
	const struct probe_wire *wire = &p->prober->wire;
	struct net_mac found;
	if (!mac && wire->ops->find_mac && wire->ops->find_mac(wire, &p->address, &found))
		mac = &found;
	bool taken = mac ? !net_mac_equal(mac, &p->own) : p->answered;
	boot_probe_done_fn done = p->done;
	void *data = p->data;
	boot_probe_cancel(p);
	done(data, taken);
}

static void ask(struct boot_probe *p)
{
	struct boot_prober *prober = p->prober;
	p->asks_left--;
	timer_set_in(&p->timer, BOOT_PROBE_WAIT_MS * USEC_PER_MSEC / ASKS);
	prober->wire.ops->ask(&prober->wire, &p->address, ++prober->last_seq);
}

static void on_timeout(void *data)
{
	struct boot_probe *p = data;
	if (p->asks_left > 0)
		ask(p);
	else
		finish(p, NULL);
}

struct boot_probe *boot_probe_start(struct boot_prober *prober, const struct net_addr *address,
				    const struct net_mac *own, boot_probe_done_fn done, void *data)
{
	if (prober->count >= BOOT_PROBES_MAX)
		return NULL;
	struct boot_probe *p = xcalloc(1, sizeof(*p));
	*p = (struct boot_probe){
		.prober = prober,
		.address = *address,
		.own = *own,
		.asks_left = ASKS,
		.done = done,
		.data = data,
	};
	list_append(&prober->probes, &p->node);
	prober->count++;
	timer_init(&p->timer, prober->loop, "dhcp-probe", on_timeout, p);
	ask(p);
	return p;
}

/* Where MACs come with packets, one that brings none is not the last word: the other may follow. */
static void take_word(struct boot_prober *prober, const struct probe_word *word)
{
	list_for_each(node, &prober->probes) {
		struct boot_probe *p = list_entry(node, struct boot_probe, node);
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed is off the list */
		if (!net_same_ip(&p->address, &word->address))
			continue;
		p->answered = true;
		if (word->has_mac || prober->wire.ops->find_mac)
			finish(p, word->has_mac ? &word->mac : NULL);
		return;
	}
}

static void on_readable(void *data, int events)
{
	struct boot_prober *prober = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		struct probe_word word;
		int r = prober->wire.ops->receive(&prober->wire, &word);
		if (r == -EAGAIN)
			return;
		if (r == 0)
			take_word(prober, &word);
	}
}

/* All zero where the device has none of Ethernet's kind. */
static struct net_mac read_mac(int fd, const char *device)
{
	struct ifreq r = { 0 };
	struct net_mac mac = { 0 };
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	if (ioctl(fd, SIOCGIFHWADDR, &r) == 0)
		memcpy(mac.bytes, r.ifr_hwaddr.sa_data, sizeof(mac.bytes));
	return mac;
}

int boot_prober_open(struct loop *loop, int family, const char *device, struct boot_prober **ret,
		     struct err *err)
{
	struct boot_prober *p = xcalloc(1, sizeof(*p));
	*p = (struct boot_prober){
		.loop = loop,
		.wire = { .ops = family == AF_INET6 ? &probe_wire6 : &probe_wire4, .fd = -1 }
	};
	list_init(&p->probes);
	snprintf(p->wire.device, sizeof(p->wire.device), "%s", device);
	p->wire.index = if_nametoindex(device);
	loop_random(loop, &p->wire.id, sizeof(p->wire.id));
	int r = p->wire.ops->open(&p->wire);
	if (r < 0) {
		err_set_errno(err, r,
			      "cannot probe addresses on %s before DHCP offers them (it needs root "
			      "or CAP_NET_RAW)",
			      device);
	} else {
		p->wire.own_mac = read_mac(p->wire.fd, device);
		r = loop_io_open(loop, p->wire.fd, LOOP_READ, "dhcp-probe", on_readable, p, &p->io,
				 err);
	}
	if (r < 0) {
		boot_prober_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct boot_prober *boot_prober_close(struct boot_prober *p)
{
	if (!p)
		return NULL;
	if (p->io)
		loop_io_close(p->io);
	if (p->wire.fd >= 0)
		close(p->wire.fd);
	free(p);
	return NULL;
}

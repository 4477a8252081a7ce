/* The machines of the simulated world: what boots when the power comes, and what is on the disk. */

#include <stdlib.h>

#include "base/mem.h"
#include "sim/internal.h"

static void boot_disk(struct machine *m)
{
	switch (m->disk) {
	case DISK_HALF: /* the real agent withholds what makes a disk bootable until the image is
			   whole */
	case DISK_BLANK:
		m->run = RUN_NOTHING;
		break;
	case DISK_WRITTEN:
	case DISK_FOREIGN:
		m->run = RUN_OS;
		m->os_boots += m->disk == DISK_WRITTEN;
		break;
	}
}

static void boot_ramdisk(struct machine *m, const struct engine_boot *boot)
{
	struct world *w = m->world;
	m->ramdisk_boots++;
	if (w->on_ramdisk)
		w->on_ramdisk(w, m);
	m->run = RUN_RAMDISK;
	m->posts = 0;
	m->inspect = boot->inspect;
	json_free(m->commands);
	m->commands = json_new_array();
	if (chance(w, w->faults.boot_fails)) {
		machine_hangs(m);
		return;
	}
	agent_next(m, m->inspect ? AGENT_POST : AGENT_LOOKUP, about(w, w->boot_time));
}

/* The firmware asks the network; without an answer (Ingot is dead) it goes on to the disk, as PXE
 * does. */
static void on_firmware(void *data)
{
	struct machine *m = data;
	struct engine *engine = m->world->engine;
	struct engine_boot boot;
	struct net_mac mac;
	timer_init(&m->timer, m->world->loop, "machine", agent_speaks, m);
	bool found = engine && net_parse_mac(m->mac, &mac) == 0 &&
		     engine_boot_find(engine, &mac, &boot);
	if (found && boot.ramdisk)
		boot_ramdisk(m, &boot);
	else
		boot_disk(m);
}

static void machine_stops(struct machine *m)
{
	if (m->writing && machine_works(m) && m->disk == DISK_HALF)
		str_replace(&m->writing, NULL);
	timer_stop(&m->timer);
	timer_stop(&m->work);
	m->boot_serial++;
	m->token = secret_free(m->token);
	m->run = RUN_OFF;
}

void machine_reset(struct machine *m)
{
	machine_stops(m);
	boot_disk(m);
}

static void on_power(void *data, struct fake_machine *bmc, enum fake_event event,
		     const struct bmc_boot *boot)
{
	(void)bmc;
	struct machine *m = data;
	machine_stops(m);
	if (event == FAKE_EVENT_OFF)
		return;
	if (boot->device != BMC_DEVICE_PXE) {
		boot_disk(m);
		return;
	}
	m->run = RUN_FIRMWARE;
	m->posts = 0;
	timer_init(&m->timer, m->world->loop, "firmware", on_firmware, m);
	timer_set_in(&m->timer, about(m->world, 10 * USEC_PER_SEC));
}

struct machine *world_add(struct world *w, unsigned n)
{
	struct machine *m = xcalloc(1, sizeof(*m));
	_cleanup_(freep) char *host = xasprintf("10.1.%u.%u", n >> 8, n & 255);
	m->world = w;
	m->mac = xasprintf("52:54:00:00:%02x:%02x", n >> 8 & 255, n & 255);
	m->address = xasprintf("10.2.%u.%u", n >> 8, n & 255);
	m->url = xasprintf("https://%s:9999", m->address);
	m->disk = DISK_FOREIGN;
	m->commands = json_new_array();
	m->bmc = fake_machine_add(w->driver, host);
	m->bmc->on_event = on_power;
	m->bmc->data = m;
	timer_init(&m->timer, w->loop, "machine", agent_speaks, m);
	timer_init(&m->work, w->loop, "work", work_ends, m);
	list_append(&w->machines, &m->link);
	return m;
}

void world_init(struct world *w, struct loop *loop)
{
	*w = (struct world){ .loop = loop, .link.ops = &agent_ops };
	w->boot_time = 30 * USEC_PER_SEC;
	w->write_time = 5 * USEC_PER_MIN;
	w->clean_time = 5 * USEC_PER_SEC;
	w->driver = fake_driver_new(loop);
	for (size_t i = 0; i < ARRAY_SIZE(w->drivers.drivers); i++)
		w->drivers.drivers[i] = w->driver;
	list_init(&w->machines);
}

void world_done(struct world *w)
{
	list_for_each_safe(l, &w->machines) {
		struct machine *m = list_entry(l, struct machine, link);
		timer_stop(&m->timer);
		timer_stop(&m->work);
		json_free(m->commands);
		secret_free(m->token);
		free(m->mac), free(m->address), free(m->url), free(m->image), free(m->writing),
			free(m->reads_from), free(m->node_uuid), free(m->asked),
			json_free(m->image_info);
		free(m);
	}
	bmc_driver_free(w->driver);
}

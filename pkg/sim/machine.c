/* The machines of the simulated world: what boots when the power comes, and what is on the disk. */

#include <stdlib.h>

#include "base/mem.h"
#include "sim/internal.h"

static void boot_disk(struct sim_machine *m)
{
	switch (m->disk) {
	case SIM_DISK_HALF: /* the real agent withholds what makes a disk bootable until the image
			   is whole */
	case SIM_DISK_BLANK:
		m->run = SIM_RUN_NOTHING;
		break;
	case SIM_DISK_WRITTEN:
	case SIM_DISK_FOREIGN:
		m->run = SIM_RUN_OS;
		m->os_boots += m->disk == SIM_DISK_WRITTEN;
		break;
	}
}

static void boot_ramdisk(struct sim_machine *m, bool inspect)
{
	struct sim_world *w = m->world;
	m->ramdisk_boots++;
	if (w->on_ramdisk)
		w->on_ramdisk(w, m);
	m->run = SIM_RUN_RAMDISK;
	m->posts = 0;
	m->inspect = inspect;
	json_free(m->commands);
	m->commands = json_new_array();
	if (sim_chance(w, w->faults.boot_fails)) {
		sim_machine_hang(m);
		return;
	}
	sim_agent_next(m, m->inspect ? SIM_AGENT_POST : SIM_AGENT_LOOKUP,
		       sim_about(w, w->boot_time));
}

/* The firmware asks the network; without an answer (Ingot is dead) it goes on to the disk, as PXE
 * does. */
static void on_firmware(void *data)
{
	struct sim_machine *m = data;
	struct engine *engine = m->world->engine;
	struct engine_boot boot;
	struct net_mac mac;
	timer_init(&m->timer, m->world->loop, "machine", sim_agent_speak, m);
	bool found = engine && net_parse_mac(m->mac, &mac) == 0 &&
		     engine_boot_find(engine, &mac, &boot);
	if (found && boot.ramdisk)
		boot_ramdisk(m, boot.inspect);
	else
		boot_disk(m);
}

/* A BMC that cannot read its image, and firmware that cannot fetch it, go on to the disk. */
static void on_medium(void *data)
{
	struct sim_machine *m = data;
	timer_init(&m->timer, m->world->loop, "machine", sim_agent_speak, m);
	bool found = m->url_asked ? sim_read_medium(m, m->url_asked, m->address)
				  : sim_read_medium(m, m->bmc->media, m->bmc->host);
	if (found)
		boot_ramdisk(m, m->inspect);
	else
		boot_disk(m);
}

static void machine_stops(struct sim_machine *m)
{
	if (m->writing && sim_machine_works(m) && m->disk == SIM_DISK_HALF)
		str_replace(&m->writing, NULL);
	timer_stop(&m->timer);
	timer_stop(&m->work);
	m->boot_serial++;
	m->token = secret_free(m->token);
	m->run = SIM_RUN_OFF;
}

void sim_machine_reset(struct sim_machine *m)
{
	machine_stops(m);
	boot_disk(m);
}

static void on_power(void *data, struct fake_machine *bmc, enum fake_event event,
		     const struct bmc_boot *boot)
{
	(void)bmc;
	struct sim_machine *m = data;
	machine_stops(m);
	if (event == FAKE_EVENT_OFF)
		return;
	str_replace(&m->url_asked, boot->device == BMC_DEVICE_UEFI_HTTP ? boot->http_uri : NULL);
	bool medium = m->url_asked || boot->device == BMC_DEVICE_CDROM;
	if (boot->device != BMC_DEVICE_PXE && !medium) {
		boot_disk(m);
		return;
	}
	m->run = SIM_RUN_FIRMWARE;
	m->posts = 0;
	timer_init(&m->timer, m->world->loop, "firmware", medium ? on_medium : on_firmware, m);
	timer_set_in(&m->timer, sim_about(m->world, 10 * USEC_PER_SEC));
}

struct sim_machine *sim_world_add(struct sim_world *w, unsigned n)
{
	struct sim_machine *m = xcalloc(1, sizeof(*m));
	_cleanup_(freep) char *host = xasprintf("10.1.%u.%u", n >> 8, n & 255);
	m->world = w;
	m->mac = xasprintf("52:54:00:00:%02x:%02x", n >> 8 & 255, n & 255);
	m->address = xasprintf("10.2.%u.%u", n >> 8, n & 255);
	m->url = xasprintf("https://%s:9999", m->address);
	m->disk = SIM_DISK_FOREIGN;
	m->commands = json_new_array();
	m->bmc = fake_machine_add(w->driver, host);
	m->bmc->on_event = on_power;
	m->bmc->data = m;
	timer_init(&m->timer, w->loop, "machine", sim_agent_speak, m);
	timer_init(&m->work, w->loop, "work", sim_agent_work_ends, m);
	list_append(&w->machines, &m->link);
	return m;
}

void sim_world_init(struct sim_world *w, struct loop *loop)
{
	*w = (struct sim_world){ .loop = loop, .link.ops = &sim_agent_ops };
	w->boot_time = 30 * USEC_PER_SEC;
	w->write_time = 5 * USEC_PER_MIN;
	w->clean_time = 5 * USEC_PER_SEC;
	sim_media_init(w);
	w->driver = fake_driver_new(loop);
	for (size_t i = 0; i < ARRAY_SIZE(w->drivers.drivers); i++)
		w->drivers.drivers[i] = w->driver;
	list_init(&w->machines);
}

void sim_world_done(struct sim_world *w)
{
	list_for_each_safe(l, &w->machines) {
		struct sim_machine *m = list_entry(l, struct sim_machine, link);
		timer_stop(&m->timer);
		timer_stop(&m->work);
		json_free(m->commands);
		secret_free(m->token);
		free(m->mac), free(m->address), free(m->url), free(m->image), free(m->writing),
			free(m->url_asked), free(m->reads_from), free(m->node_uuid), free(m->asked),
			json_free(m->image_info), json_free(m->step);
		strbuf_done(&m->other);
		free(m);
	}
	bmc_driver_free(w->driver);
}

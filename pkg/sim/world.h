#pragma once
/* The simulated world outside Ingot: machines with disks, boot ramdisks with agents, and the
 * network between them and the engine. It outlives the engine, which may die and be started again
 * at any moment. What must never happen is counted here, by the machines themselves: they are the
 * oracle of the simulation. */

#include "agentapi/link.h"
#include "bmc/fake/fake.h"
#include "engine/engine.h"

enum sim_disk { SIM_DISK_BLANK, SIM_DISK_FOREIGN, SIM_DISK_HALF, SIM_DISK_WRITTEN };
enum sim_run { SIM_RUN_OFF, SIM_RUN_FIRMWARE, SIM_RUN_RAMDISK, SIM_RUN_OS, SIM_RUN_NOTHING };

/* Chances in 1000. */
struct sim_faults {
	unsigned call_lost;   /* a call to an agent does not arrive */
	unsigned answer_lost; /* it is carried out, but the answer gets lost; likewise agents' posts
			       */
	unsigned boot_fails;  /* the ramdisk never reports */
	unsigned write_fails; /* wrong checksum and the like */
	unsigned agent_dies;  /* the machine hangs in the middle of a write */
	/* Not chances: how agents that go on with their heartbeats answer all calls. */
	enum {
		SIM_ANSWER_WELL,
		SIM_ANSWER_ERROR,
		SIM_ANSWER_BUSY,
		SIM_ANSWER_NONSENSE,
		SIM_ANSWER_EMPTY,
		SIM_ANSWER_NOT
	} answer;
};

struct sim_world;

struct sim_machine {
	struct sim_world *world;
	struct list link;
	char *mac, *address, *url;
	char *url_asked; /* what its firmware fetches; NULL: nothing */
	struct fake_machine *bmc;
	enum sim_run run;
	struct timer timer; /* next thing that the machine does by itself */
	struct timer work;  /* end of the running command */
	enum { SIM_AGENT_POST, SIM_AGENT_LOOKUP, SIM_AGENT_BEAT, SIM_AGENT_IDLE } next;
	unsigned posts;	      /* tries */
	uint64_t boot_serial; /* answers to an earlier boot are not for this one */
	char *token, *node_uuid;
	bool inspect;
	struct json *commands; /* of this boot */
	enum sim_disk disk;
	char *image; /* checksum of what is on the disk */
	char *writing;
	char *reads_from;	  /* URLs of the last write, with blanks between */
	struct json *image_info;  /* of the last write, as it came */
	const char *read_trouble; /* of the write; NULL: none */
	bool cleaned;
	/* counted; os_boots: of a written image */
	usec_t write_began;
	unsigned progress_asks;
	unsigned media_boots, ramdisk_boots, os_boots, writes_begun, writes_done, cleans,
		boot_entries, choices;
	char *asked;	     /* the node's properties in the last question for the disk */
	struct json *step;   /* the last that the agent was told to carry out */
	struct strbuf other; /* those that it carried out beside cleaning and writing: interface,
				name, arguments, a line each */
	bool stock;	     /* the agent is the stock one: it knows no command of Ingot's */
	bool no_disk;	     /* none fits the hints */
};

struct sim_world {
	struct loop *loop;
	struct bmc_driver *driver;
	struct bmc_driver_set drivers;
	struct agent_link link;
	struct engine *engine; /* NULL: Ingot is dead */
	struct list machines;
	struct sim_faults faults;
	void (*on_ramdisk)(struct sim_world *w,
			   struct sim_machine *m); /* a ramdisk starts; may be NULL */
	usec_t boot_time, write_time, clean_time;
	struct engine_media media; /* for the engine's options */
	unsigned files;	     /* stands for what all media share: another number, other files */
	unsigned instances;  /* of whose addresses media tell: another number, another list */
	unsigned calls;	     /* that arrived at an agent */
	uint64_t image_size; /* 0: agents know nothing of progress, as Ironic's */
	int no_progress;     /* the status that they answer then; 0: 404 */
	char broken[256];    /* the first violation; "" = none */
};

void sim_world_init(struct sim_world *w, struct loop *loop);
void sim_world_done(struct sim_world *w);
/* Number n gets MAC 52:54:00:00:hh:ll, BMC host "10.1.h.l", agent address "10.2.h.l". */
struct sim_machine *sim_world_add(struct sim_world *w, unsigned n);
/* Reset by hand: it boots from its disk, whatever was asked for. */
void sim_machine_reset(struct sim_machine *m);
/* Does its agent run a command? */
bool sim_machine_works(struct sim_machine *m);
void sim_world_break(struct sim_world *w, const char *fmt, ...) _printf_(2, 3);

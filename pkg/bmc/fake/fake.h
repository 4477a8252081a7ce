#pragma once
/* BMCs that exist only in memory, for the deterministic simulation and for tests: machines with a
 * power state, latencies, and faults that are drawn from the loop's random source. Runs on either
 * kind of loop. */

#include "bmc/bmc.h"

struct fake_machine;

/* Chances in 1000, drawn for each request. */
struct fake_faults {
	unsigned silent;  /* no answer until the deadline */
	unsigned busy;	  /* ERR_BUSY */
	unsigned refused; /* ERR_IO */
	unsigned garbage; /* ERR_PROTOCOL */
	unsigned ignored; /* a change is accepted, and nothing happens */
	unsigned slow;	  /* the answer takes 20 times as long */
};

enum fake_event { FAKE_EVENT_ON, FAKE_EVENT_OFF, FAKE_EVENT_RESET };

/* The machine has just changed; `boot` is what its firmware finds (an override for one boot is then
 * used up). Called from the loop. */
typedef void (*fake_event_fn)(void *data, struct fake_machine *machine, enum fake_event event,
			      const struct bmc_boot *boot);

/* A machine and its BMC. All fields may be read and written at any time from the loop's thread. */
struct fake_machine {
	char *host;		   /* as in the address: do not write */
	char *username, *password; /* NULL: any; heap copies */
	enum bmc_power power;
	struct bmc_boot boot;
	struct bmc_info info;
	struct fake_faults faults;
	usec_t latency;	    /* of an answer, plus up to a half */
	usec_t power_delay; /* from the answer to the change, plus up to a half */
	bool soft_works;    /* the operating system listens to the power button */
	bool soft_unknown;  /* the BMC refuses it, as some do */
	bool unreachable;   /* every request goes unanswered */
	bool refuses_power; /* ERR_IO to each change of power; all else is answered */
	enum bmc_boot_mode mode;
	char *media;	   /* URL; NULL: none */
	char *media_login; /* "user:password" that came with it; NULL: none */
	struct bmc_settings settings;
	struct bmc_sensors sensors;
	struct bmc_log log;
	struct bmc_raid raid;
	struct json *inventory; /* its own; NULL: none */
	bool led;
	usec_t clock; /* as set */
	unsigned nmis, bmc_resets[_BMC_RESET_MAX];
	usec_t job_time;       /* of a job, plus up to a half */
	bool jobs_fail;	       /* at their end */
	bool reports;	       /* sends events */
	bool jobs_without_id;  /* a BMC that does not say how to ask on */
	struct fake_job *jobs; /* the last one first */
	fake_event_fn on_event;
	void *data;
	/* counters, for invariants */
	unsigned idles; /* the session could have been let go */
	unsigned requests, power_ons, power_offs, resets, boot_changes;
	unsigned inserts, ejects, ejects_of_all; /* the last: asked for without a URL */
	bool secure_boot, no_secure_boot;	 /* the latter: it cannot be switched */

	struct timer change; /* private from here on */
	unsigned jobs_begun, volumes_made;
	struct bmc_driver *driver;
	enum bmc_action pending;
	struct loop *loop;
};

/* Ended by bmc_driver_free(), which also frees the machines. */
struct bmc_driver *fake_driver_new(struct loop *loop);
/* Which it cannot switch otherwise. */
void fake_driver_add_secure_boot(struct bmc_driver *driver);
/* Off, latency 5 ms, power delay 500 ms, no faults. The host must be new. */
struct fake_machine *fake_machine_add(struct bmc_driver *driver, const char *host);
/* The host prints on its serial console; false: it is not open. What is written to it comes
 * back as an echo. */
bool fake_machine_print(struct bmc_driver *driver, const char *host, const char *text);
/* The BMC ends the console. */
void fake_machine_hang_up(struct bmc_driver *driver, const char *host);
/* As by the power button or the mains; at once. */
void fake_machine_set_power(struct fake_machine *machine, enum bmc_power power);

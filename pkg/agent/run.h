#pragma once
/* The commands of the agent API, as functions on a job's thread. One runs at a time; while it runs,
 * struct agent_env belongs to it, but for `progress`, which anybody may read. */

#include "agent/config.h"
#include "agent/disk/image.h"
#include "json/json.h"

#define AGENT_MANAGER	      "GenericHardwareManager"
#define AGENT_MANAGER_VERSION "1.2" /* of generic_hardware_manager, as the reference's */

/* What cannot be undone; replaced in tests. */
struct agent_effects {
	void (*power_off)(void *data);
	void (*reboot)(void *data);
	void (*nics_down)(void *data);
	void *data;
};

struct agent_env {
	const struct agent_config *config;
	const struct loop *loop;    /* for the time, on any thread */
	const struct http_tls *tls; /* for images and config drives; may be NULL */
	const char *root;	    /* of /sys, /proc and /dev; "" on a machine */
	const char *efivars;
	struct json *node;   /* the newest that the server sent; may be NULL */
	struct json *policy; /* "config" of the lookup; may be NULL */
	struct disk_progress progress;
	/* Of the last image. */
	char *device;	    /* its name on the machine, without root */
	char root_uuid[16]; /* "0x11223344"; "" */
	uint8_t random[16]; /* fresh for each command */
};

enum agent_status {
	AGENT_RUNNING,
	AGENT_SUCCEEDED,
	AGENT_FAILED,
	AGENT_VERSION_MISMATCH,
	_AGENT_STATUS_MAX
};

/* What happens once the answer has been sent. */
enum agent_after {
	AGENT_AFTER_NOTHING,
	AGENT_AFTER_POWER_OFF,
	AGENT_AFTER_REBOOT,
	AGENT_AFTER_LOCKDOWN
};

struct agent_run {
	struct agent_env *env;
	const struct json *params;
	/* Results. */
	enum agent_status status;
	struct json *result; /* or a text in `text`; both NULL: null */
	char *text;
	const char *error_type; /* NULL: CommandExecutionError */
	struct err err;
	enum agent_after after;
};

/* Negative with run->err: the command failed. */
typedef int (*agent_run_fn)(struct agent_run *run);

struct agent_command_def {
	const char *extension, *name;
	bool async;
	agent_run_fn run;
	/* Refuses parameters before there is a command: pure, on the loop's thread. NULL: any will
	 * do.
	 */
	agent_run_fn check;
};

/* An error as the reference has it: its class, its status, and the text that goes with all of its
 * kind. */
struct agent_error {
	const char *type;
	int code;
	const char *message;
};

/* NULL when unknown; *ret_extension tells whether at least the extension is. */
const struct agent_command_def *agent_command_def_find(const char *extension, const char *name,
						       bool *ret_extension);
/* That of the type, or CommandExecutionError's. */
const struct agent_error *agent_error_find(const char *type);
void agent_env_done(struct agent_env *env);
/* Waits for disks and finds the one that the node's hints name. Hints that nothing asks for but a
 * default (properties.ingot_root_device_default) fall back to the machine's only disk. New string.
 */
char *agent_root_device(struct agent_env *env, struct err *err);
/* The same, and what the disk is, for people: nothing is written yet. */
int agent_choose_disk(struct agent_run *run);

/* --- steps: what get_*_steps lists and execute_*_step runs (steps.c) ------------------------- */

int agent_get_steps(struct agent_run *run, const char *kind);
int agent_execute_step(struct agent_run *run, const char *kind);
/* {image_info, configdrive} → "image (id) written to device …" */
int agent_write_image(struct agent_run *run, const struct json *args, char **ret_text);
/* Whether the order makes sense; touches nothing. */
int agent_write_check(struct agent_run *run, const struct json *args);
/* All usable disks. */
int agent_erase_metadata(struct agent_run *run);
int agent_erase_devices(struct agent_run *run);

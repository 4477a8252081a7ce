#pragma once
/* The commands of the agent API, as functions on a job's thread. One runs at a time; while it runs,
 * struct ipa_env belongs to it, but for `progress`, which anybody may read. */

#include "agent/config.h"
#include "agent/disk/image.h"
#include "json/json.h"

#define IPA_MANAGER	    "GenericHardwareManager"
#define IPA_MANAGER_VERSION "1.2" /* of generic_hardware_manager, as the reference's */

/* What cannot be undone; replaced in tests. */
struct ipa_effects {
	void (*power_off)(void *data);
	void (*reboot)(void *data);
	void (*nics_down)(void *data);
	void *data;
};

struct ipa_env {
	const struct ipa_config *config;
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

enum ipa_status { IPA_RUNNING, IPA_SUCCEEDED, IPA_FAILED, IPA_VERSION_MISMATCH, _IPA_STATUS_MAX };

/* What happens once the answer has been sent. */
enum ipa_after { IPA_AFTER_NOTHING, IPA_AFTER_POWER_OFF, IPA_AFTER_REBOOT, IPA_AFTER_LOCKDOWN };

struct ipa_run {
	struct ipa_env *env;
	const struct json *params;
	/* Results. */
	enum ipa_status status;
	struct json *result; /* or a text in `text`; both NULL: null */
	char *text;
	const char *error_type; /* NULL: CommandExecutionError */
	struct err err;
	enum ipa_after after;
};

/* Negative with run->err: the command failed. */
typedef int (*ipa_run_fn)(struct ipa_run *run);

struct ipa_command_def {
	const char *extension, *name;
	bool async;
	ipa_run_fn run;
	/* Refuses parameters before there is a command: pure, on the loop's thread. NULL: any will
	 * do.
	 */
	ipa_run_fn check;
};

/* An error as the reference has it: its class, its status, and the text that goes with all of its
 * kind. */
struct ipa_error {
	const char *type;
	int code;
	const char *message;
};

/* NULL when unknown; *ret_extension tells whether at least the extension is. */
const struct ipa_command_def *ipa_command_find(const char *extension, const char *name,
					       bool *ret_extension);
/* That of the type, or CommandExecutionError's. */
const struct ipa_error *ipa_error_find(const char *type);
void ipa_env_done(struct ipa_env *env);
/* Waits for disks and finds the one that the node's hints name. Hints that nothing asks for but a
 * default (properties.ingot_root_device_default) fall back to the machine's only disk. New string.
 */
char *ipa_root_device(struct ipa_env *env, struct err *err);
/* The same, and what the disk is, for people: nothing is written yet. */
int ipa_choose_disk(struct ipa_run *run);

/* --- steps: what get_*_steps lists and execute_*_step runs (steps.c) ------------------------- */

int ipa_get_steps(struct ipa_run *run, const char *kind);
int ipa_execute_step(struct ipa_run *run, const char *kind);
/* {image_info, configdrive} → "image (id) written to device …" */
int ipa_write_image(struct ipa_run *run, const struct json *args, char **ret_text);
/* Whether the order makes sense; touches nothing. */
int ipa_write_check(struct ipa_run *run, const struct json *args);
/* All usable disks. */
int ipa_erase_metadata(struct ipa_run *run);
int ipa_erase_devices(struct ipa_run *run);

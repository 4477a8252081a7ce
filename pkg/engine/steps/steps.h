#pragma once
/* What each step does. A step function looks at what is known, asks for what is not, and does what
 * is missing; it never assumes that it runs for the first time (op.c says why). All waiting is done
 * by returning STEP_WAIT. Not for other modules. */

#include "engine/internal.h"

#define AGENT_CALL_TIMEOUT (60 * USEC_PER_SEC)

enum { LOOK_S = 10 }; /* between two looks at a command that runs */

/* --- what steps keep -------------------------------------------------------------------------- */

/* Of those that command the BMC. */
struct bmc_step {
	bool commanded; /* this step has sent its command */
	bool refused;	/* and was told no, or nothing; holds until a command succeeds */
	usec_t commanded_at;
	unsigned polls;
};

/* Of those that look first, and have several questions for the BMC. */
struct media_step {
	struct bmc_step bmc;
	enum { MEDIA_BEGIN, MEDIA_OTHER, MEDIA_LOOK, MEDIA_CHANGE } phase; /* what was asked last */
};

/* Of those that wait for something that may not come. */
struct wait_step {
	usec_t since;
};

/* Of those that have a command for the agent. */
struct agent_step {
	bool commanded;
	bool soon;	  /* the next look is in a second: something else fills the pause */
	usec_t looked_at; /* the agent said last that the command runs, or the step began */
};

/* Of the write: begins with its command. */
struct write_step {
	struct agent_step command;
	bool turn, asked, unknown; /* of the question for its progress */
};

/* --- power.c ---------------------------------------------------------------------------------- */

/* Until the next look; grows within a step. */
usec_t step_poll_delay(struct node *n);
/* Takes the answer of the last BMC question away; STEP_DONE means: nothing pending, go on. */
enum step_result step_bmc_settle(struct node *n, struct err *err);
void step_bmc_note(struct node *n, enum step_note note);
/* The BMC said yes long ago and nothing happened. */
bool step_power_overdue(const struct node *n, usec_t limit);
enum step_result step_verify(struct node *n, struct err *err);
enum step_result step_power_off(struct node *n, struct err *err);
enum step_result step_power_on(struct node *n, struct err *err);
enum step_result step_soft_off(struct node *n, struct err *err);

/* --- boot.c ----------------------------------------------------------------------------------- */

enum step_result step_boot_network(struct node *n, struct err *err);
enum step_result step_boot_disk(struct node *n, struct err *err);
enum step_result step_wait_inventory(struct node *n, struct err *err);
enum step_result step_wait_agent(struct node *n, struct err *err);

/* Tells the BMC what to boot from; done when it has said yes. */
enum step_result step_set_device(struct node *n, enum bmc_device device, bool persistent,
				 struct err *err);

/* --- media.c ---------------------------------------------------------------------------------- */

/* Puts the medium of this boot into a slot. One of an earlier boot of ours is ejected; another
 * client's is not. */
enum step_result step_insert_media(struct node *n, struct err *err);
enum step_result step_boot_media(struct node *n, struct err *err);
/* The firmware fetches the medium itself. */
enum step_result step_boot_http(struct node *n, struct err *err);
/* Ours, if the record names one; nobody may read it from then on. */
enum step_result step_eject_media(struct node *n, struct err *err);
/* As spec.bootMode has it. */
enum step_result step_secure_boot(struct node *n, struct err *err);

/* --- agent.c ---------------------------------------------------------------------------------- */

enum step_result step_find_agent(struct node *n, struct err *err);
/* Any step that is one command of the agent: brings it to its end. Looks whether it was started
 * (perhaps by a process before us), starts it, and then looks again at each heartbeat and now and
 * then. What is sent, and what is done at the end, stands in the plan and in the step's row. */
enum step_result step_agent(struct node *n, struct err *err);
/* The command's parameters where the agent is given a step: the plan's, with these arguments in
 * place of its own. Takes args (NULL: none). */
struct json *step_params(struct node *n, struct json *args);
void step_cleaned(struct node *n);
struct json *step_bootloader_params(struct node *n, struct err *err);
enum step_result step_agent_off(struct node *n, struct err *err);

/* --- image.c ---------------------------------------------------------------------------------- */

struct json *step_choose_params(struct node *n, struct err *err);
enum step_result step_choose_disk(struct node *n, struct err *err);
void step_disk_chosen(struct node *n);
void step_enter_write(struct node *n);
struct json *step_write_params(struct node *n, struct err *err);
void step_written(struct node *n);
void step_write_note(struct node *n, enum step_note note);
enum step_result step_write(struct node *n, struct err *err);

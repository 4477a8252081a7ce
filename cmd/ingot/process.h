#pragma once
/* What the long-running commands do alike: a loop on the main thread, the log's clock, the two
 * signals that end it in order, and the exit code. */

#include "base/command.h"
#include "loop/loop.h"

struct process {
	const char *command; /* its name, for messages; "operator" */
	/* The first SIGTERM or SIGINT: ends in order, and stops the loop. A second one ends the
	 * process as it stands, which kill -9 may do as well. */
	void (*stop)(void *data);
	void *data;
	struct loop *loop;
	struct loop_signal *signals[2];
	bool stopping, failed;
};

/* The caller has set the first three members. */
int process_open(struct process *p, struct err *err);
int process_catch_signals(struct process *p, struct err *err);
/* Prints the error, and runs no longer. For runtime_start(), whose data is the process. */
void process_fail(void *process, const struct err *err);
/* Stops the loop; a loop_fn. */
void process_end(void *process);
/* Runs until something stops the loop; `r` is what the start came to, and `err` why. */
void process_run(struct process *p, int r, const struct err *err);
/* From now on a signal ends the process: nothing would hear it any more. Before the parts are
 * freed.
 */
void process_release_signals(struct process *p);
/* Last. Returns the exit code. */
int process_close(struct process *p);

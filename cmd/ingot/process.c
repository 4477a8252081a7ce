/* The long-running commands (see process.h). Signals are read by the loop, so that the end begins
 * between two callbacks and never in the middle of one: what a callback has begun is whole. */

#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* Nothing but the loop reads the clock, the log included. */
static usec_t log_clock(void *data)
{
	return loop_wall(data);
}

int process_open(struct process *p, struct err *err)
{
	int r = loop_new(&p->loop, err);
	if (r == 0)
		log_set_clock(log_clock, p->loop);
	return r;
}

/* systemd and Kubernetes send SIGTERM, wait, and then SIGKILL; people press Ctrl-C twice. */
static void on_signal(void *data)
{
	struct process *p = data;
	if (p->stopping) {
		log_warn("stopping at once");
		_exit(EXIT_FAILED);
	}
	log_info("stopping");
	p->stopping = true;
	p->stop(p->data);
}

int process_catch_signals(struct process *p, struct err *err)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++)
		r = loop_signal_open(p->loop, numbers[i], on_signal, p, &p->signals[i], err);
	return r;
}

/* Also long after the start: a Lease that is lost comes this way. The message goes to standard
 * error as it is, for people and for systemd; the log has its own line. */
void process_fail(void *process, const struct err *err)
{
	struct process *p = process;
	fprintf(stderr, "ingot %s: %s\n", p->command, err->text);
	p->failed = true;
	if (p->loop)
		loop_stop(p->loop);
}

void process_end(void *process)
{
	const struct process *p = process;
	loop_stop(p->loop);
}

void process_run(struct process *p, int r, const struct err *err)
{
	if (r < 0)
		process_fail(p, err);
	else
		loop_run(p->loop);
}

void process_release_signals(struct process *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->signals); i++)
		loop_signal_close(p->signals[i]);
}

int process_close(struct process *p)
{
	log_set_clock(NULL, NULL);
	loop_free(p->loop);
	return p->failed ? EXIT_FAILED : EXIT_OK;
}

#pragma once
/* A thread that does nothing but run a loop. Signals are the main thread's. */

#include <pthread.h>

#include "loop/loop.h"

struct loop_thread {
	struct loop *loop; /* borrowed */
	pthread_t id;
	bool runs;
};

/* `name` of at most 15 bytes shows in ps and top. */
int loop_thread_start(struct loop_thread *t, struct loop *loop, const char *name, struct err *err);
/* What was posted to the loop before runs, then the thread ends; back when it has. Harmless when it
 * does not run. */
void loop_thread_stop(struct loop_thread *t);

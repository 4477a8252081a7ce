#pragma once
/* Shared by the files of pkg/sim only: world.c is what all share, agent.c the agents on top of it,
 * machine.c the machines that run them. */

#include "sim/world.h"

/* --- world.c --- */
bool chance(struct world *w, unsigned permille);
/* Half of the span to one and a half. */
usec_t about(struct world *w, usec_t span);

/* --- agent.c --- */
extern const struct agent_link_ops agent_ops;
/* What its agent does next, and when. */
void agent_next(struct machine *m, int next, usec_t delay);
/* Timer of the machine while its ramdisk runs: the agent's next message. */
void agent_speaks(void *data);
/* Timer of the running command. */
void work_ends(void *data);
/* Nothing runs on it any more, and nothing shows it. */
void machine_hangs(struct machine *m);

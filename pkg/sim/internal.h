#pragma once
/* Shared by the files of pkg/sim only: world.c is what all share, agent.c the agents on top of it,
 * machine.c the machines that run them, medium.c what they boot from. */

#include "sim/world.h"

/* --- world.c --- */
bool sim_chance(struct sim_world *w, unsigned permille);
/* Half of the span to one and a half. */
usec_t sim_about(struct sim_world *w, usec_t span);

/* --- medium.c --- */
void sim_media_init(struct sim_world *w);
/* The medium at that URL, read from that address: what it says is the machine's. False: it boots
 * from something else. */
bool sim_read_medium(struct sim_machine *m, const char *url, const char *reader);

/* --- agent.c --- */
extern const struct agent_link_ops sim_agent_ops;
/* What its agent does next, and when. */
void sim_agent_next(struct sim_machine *m, int next, usec_t delay);
/* Timer of the machine while its ramdisk runs: the agent's next message. */
void sim_agent_speak(void *data);
/* Timer of the running command. */
void sim_agent_work_ends(void *data);
/* Nothing runs on it any more, and nothing shows it. */
void sim_machine_hang(struct sim_machine *m);

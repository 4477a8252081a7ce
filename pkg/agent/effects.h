#pragma once
/* The effects of a real machine. Needs root. */

#include "agent/run.h"

enum { AGENT_EXIT_POWER_OFF = 10, AGENT_EXIT_REBOOT = 11 };

/* Power off and reboot do not return on success. */
struct agent_effects agent_effects_real(void);
/* Those of an agent that is a process among others (--root): it ends, with one of these statuses,
 * and leaves the network alone. */
struct agent_effects agent_effects_process(void);

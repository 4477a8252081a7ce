#pragma once
/* The effects of a real machine. Needs root. */

#include "agent/run.h"

enum { IPA_EXIT_POWER_OFF = 10, IPA_EXIT_REBOOT = 11 };

/* Power off and reboot do not return on success. */
struct ipa_effects ipa_effects_real(void);
/* Those of an agent that is a process among others (--root): it ends, with one of these statuses,
 * and leaves the network alone. */
struct ipa_effects ipa_effects_process(void);

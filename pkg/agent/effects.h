#pragma once
/* The effects of a real machine. Needs root. */

#include "agent/run.h"

/* Power off and reboot do not return on success. */
struct ipa_effects ipa_effects_real(void);

#pragma once
/* The --log… options, and how they are put to use. Main thread, before anything else runs. */

#include "base/log.h"
#include "base/options.h"

struct log_options {
	enum log_level level;
	enum log_format format;
};

extern const struct option_row log_option_rows[];
extern const struct option_choice log_levels[];

void log_use_options(const struct log_options *o);

/* The options of the log (see log_options.h). */

#include "base/log_options.h"

const struct option_choice log_levels[] = { { "debug", LOG_DEBUG },
					    { "info", LOG_INFO },
					    { "warn", LOG_WARN },
					    { "error", LOG_ERROR },
					    { NULL, 0 } };
static const struct option_choice formats[] = { { "text", LOG_TEXT },
						{ "json", LOG_JSON },
						{ NULL, 0 } };

const struct option_row log_option_rows[] = {
	{ .name = "log-level",
	  .argument = "LEVEL",
	  .standard = "info",
	  .help = "log records of this level and above",
	  .type = &option_choice,
	  .choices = log_levels,
	  .offset = offsetof(struct log_options, level) },
	{ .name = "log-format",
	  .argument = "FORMAT",
	  .standard = "text",
	  .help = "write text, or one JSON object per line",
	  .type = &option_choice,
	  .choices = formats,
	  .offset = offsetof(struct log_options, format) },
	{ .name = NULL },
};

void log_use_options(const struct log_options *o)
{
	log_set_level(o->level);
	log_set_format(o->format);
}

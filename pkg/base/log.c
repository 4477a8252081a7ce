/* Structured log. A line is built on the writer's stack of strbufs and leaves in one write(), so
 * that lines of several threads never mix. Settings are made before threads start. */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

static struct {
	enum log_level level;
	log_sink_fn sink;
	void *sink_data;
	log_clock_fn clock;
	void *clock_data;
} settings = { .level = LOG_INFO };

void log_set_level(enum log_level level)
{
	settings.level = level;
}

int log_use_level(const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (streq(name, level_names[i])) {
			settings.level = (enum log_level)i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "--log-level: \"%s\" is none of debug, info, warn, error",
		       name);
}

void log_set_sink(log_sink_fn sink, void *data)
{
	settings.sink = sink;
	settings.sink_data = data;
}

void log_set_clock(log_clock_fn clock, void *data)
{
	settings.clock = clock;
	settings.clock_data = data;
}

bool log_enabled(enum log_level level)
{
	return level >= settings.level;
}

static bool plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
			return false;
	return true;
}

/* Quotes as JSON does, so that bytes of a peer can neither end the line nor drive a terminal. */
static void add_value(struct strbuf *line, const char *s)
{
	if (plain(s)) {
		strbuf_adds(line, s);
		return;
	}
	strbuf_addc(line, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			strbuf_addf(line, "\\%c", c);
		else if (c == '\n')
			strbuf_adds(line, "\\n");
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(line, "\\u%04x", c);
		else
			strbuf_addc(line, (char)c);
	}
	strbuf_addc(line, '"');
}

static void emit(enum log_level level, struct strbuf *line)
{
	if (settings.sink) {
		settings.sink(settings.sink_data, level, line->data);
		return;
	}
	strbuf_addc(line, '\n');
	/* A log that cannot be written has nowhere to complain. */
	ssize_t n = write(STDERR_FILENO, line->data, line->len);
	(void)n;
}

void log_write(enum log_level level, const char *message, ...)
{
	if (!log_enabled(level))
		return;
	_cleanup_(strbuf_done) struct strbuf line = { 0 };
	char when[CLOCK_TEXT_MAX];
	if (settings.clock)
		strbuf_addf(&line, "%s ",
			    clock_format_micro(settings.clock(settings.clock_data), when));
	strbuf_addf(&line, "%-5s %s", level_names[level], message);
	va_list ap;
	va_start(ap, message);
	for (const char *key; (key = va_arg(ap, const char *));) {
		const char *value = va_arg(ap, const char *);
		if (!value)
			continue;
		strbuf_addf(&line, " %s=", key);
		add_value(&line, value);
	}
	va_end(ap);
	emit(level, &line);
}

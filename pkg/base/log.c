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
	bool json;
	log_sink_fn sink;
	void *sink_data;
	log_clock_fn clock;
	void *clock_data;
} settings = { .level = LOG_INFO };

void log_set_level(enum log_level level)
{
	settings.level = level;
}

void log_set_format(enum log_format format)
{
	settings.json = format == LOG_JSON;
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

/* Bytes of the UTF-8 character at s (RFC 3629); 0: it is none. */
static size_t utf8_at(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t len = u[0] < 0x80		   ? 1
		     : u[0] >= 0xc2 && u[0] < 0xe0 ? 2
		     : u[0] >= 0xe0 && u[0] < 0xf0 ? 3
		     : u[0] >= 0xf0 && u[0] < 0xf5 ? 4
						   : 0;
	for (size_t i = 1; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
	bool beyond = (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf4 && u[1] > 0x8f);
	return overlong || beyond ? 0 : len;
}

/* As JSON does, so that bytes of a peer can neither end the line nor drive a terminal. */
static void add_quoted(struct strbuf *line, const char *s)
{
	strbuf_addc(line, '"');
	for (size_t n; *s; s += n) {
		unsigned char c = (unsigned char)*s;
		n = utf8_at(s);
		if (n != 1) {
			strbuf_add(line, n ? s : "\xef\xbf\xbd", n ? n : 3); /* U+FFFD */
			n = n ? n : 1;
		} else if (c == '"' || c == '\\')
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

static void add_pair(struct strbuf *line, const char *key, const char *value)
{
	if (settings.json) {
		strbuf_addc(line, line->len ? ',' : '{');
		add_quoted(line, key);
		strbuf_addc(line, ':');
		add_quoted(line, value);
		return;
	}
	strbuf_addf(line, " %s=", key);
	if (plain(value))
		strbuf_adds(line, value);
	else
		add_quoted(line, value);
}

static void add_head(struct strbuf *line, enum log_level level, const char *message)
{
	char when[CLOCK_TEXT_MAX] = "";
	if (settings.clock)
		clock_format_micro(settings.clock(settings.clock_data), when);
	if (!settings.json) {
		strbuf_addf(line, "%s%s%-5s %s", when, *when ? " " : "", level_names[level],
			    message);
		return;
	}
	if (*when)
		add_pair(line, "time", when);
	add_pair(line, "level", level_names[level]);
	add_pair(line, "message", message);
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
	add_head(&line, level, message);
	va_list ap;
	va_start(ap, message);
	for (const char *key; (key = va_arg(ap, const char *));) {
		const char *value = va_arg(ap, const char *);
		if (value)
			add_pair(&line, key, value);
	}
	va_end(ap);
	if (settings.json)
		strbuf_addc(&line, '}');
	emit(level, &line);
}

bool log_pace_due(struct log_pace *p, usec_t now, uint64_t *ret_times)
{
	p->held_back++;
	if (now < p->next)
		return false;
	*ret_times = p->held_back;
	*p = (struct log_pace){ .next = now + USEC_PER_SEC };
	return true;
}

static uint32_t add_hash(uint32_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u; /* FNV-1a */
	return h;
}

static struct log_pace *pace_of_line(struct log_peer *peer, uint32_t text, usec_t now)
{
	size_t oldest = 0;
	for (size_t i = 0; i < LOG_PEER_LINES; i++) {
		if (peer->lines[i].text == text)
			return &peer->lines[i].pace;
		if (peer->lines[i].pace.next < peer->lines[oldest].pace.next)
			oldest = i;
	}
	if (peer->lines[oldest].pace.next > now)
		return &peer->others;
	peer->lines[oldest].text = text;
	peer->lines[oldest].pace = (struct log_pace){ 0 };
	return &peer->lines[oldest].pace;
}

struct log_pace *log_pace_of(struct log_paces *p, usec_t now, const char *peer, const char *what,
			     const char *detail)
{
	static const uint32_t start = 2166136261u;
	uint32_t text = add_hash(add_hash(start, what), str_or(detail, "")) | 1;
	return pace_of_line(&p->peers[add_hash(start, peer) % LOG_PEERS], text, now);
}

const char *log_times(uint64_t times, char text[24])
{
	if (times < 2)
		return NULL;
	snprintf(text, 24, "%llu", (unsigned long long)times);
	return text;
}

/* Text forms of time: RFC 3339 as the Kubernetes API writes it, and kubectl's ages. Pure. */

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"

static void split(usec_t wall, struct tm *tm)
{
	time_t seconds = (time_t)(wall / USEC_PER_SEC);
	gmtime_r(&seconds, tm);
}

char *clock_format(usec_t wall, char buf[CLOCK_TEXT_MAX])
{
	struct tm tm;
	split(wall, &tm);
	strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

char *clock_format_micro(usec_t wall, char buf[CLOCK_TEXT_MAX])
{
	struct tm tm;
	split(wall, &tm);
	size_t n = strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, CLOCK_TEXT_MAX - n, ".%06uZ", (unsigned)(wall % USEC_PER_SEC));
	return buf;
}

/* Reads ".digits" into microseconds, further digits dropped. */
static const char *parse_fraction(const char *p, usec_t *ret)
{
	usec_t value = 0, scale = USEC_PER_SEC;
	if (*p != '.')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++) {
		scale /= 10;
		value += (usec_t)(*p - '0') * scale;
	}
	*ret = value;
	return p;
}

static int parse_offset(const char *p, int64_t *ret_seconds)
{
	unsigned hours, minutes;
	int used = 0;
	if ((*p == 'Z' || *p == 'z') && p[1] == '\0') {
		*ret_seconds = 0;
		return 0;
	}
	if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2u:%2u%n", &hours, &minutes, &used) != 2 ||
	    used != 5 || p[6] != '\0' || hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
	return 0;
}

static bool in_range(const struct tm *tm)
{
	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 &&
	       tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

int clock_parse(const char *text, usec_t *ret)
{
	struct tm tm = { 0 };
	int used = 0;
	usec_t fraction = 0;
	int64_t offset;
	/* Widths keep sscanf from reading more than the grammar allows. */
	if (!text ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
	    used != 19)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	const char *rest = parse_fraction(text + used, &fraction);
	if (!in_range(&tm) || parse_offset(rest, &offset) < 0)
		return -EINVAL;
	int64_t seconds = (int64_t)timegm(&tm) - offset;
	if (seconds < 0)
		return -EINVAL;
	*ret = (usec_t)seconds * USEC_PER_SEC + fraction;
	return 0;
}

char *clock_format_age(usec_t span, char buf[CLOCK_TEXT_MAX])
{
	/* kubectl's rules: two units while small, then one. */
	static const struct {
		usec_t below, unit, sub;
		char name, sub_name;
	} rows[] = {
		{ 2 * USEC_PER_MIN, USEC_PER_SEC, 0, 's', 0 },
		{ 10 * USEC_PER_MIN, USEC_PER_MIN, USEC_PER_SEC, 'm', 's' },
		{ 3 * USEC_PER_HOUR, USEC_PER_MIN, 0, 'm', 0 },
		{ 8 * USEC_PER_HOUR, USEC_PER_HOUR, USEC_PER_MIN, 'h', 'm' },
		{ 48 * USEC_PER_HOUR, USEC_PER_HOUR, 0, 'h', 0 },
		{ 192 * USEC_PER_HOUR, 24 * USEC_PER_HOUR, USEC_PER_HOUR, 'd', 'h' },
		{ 730 * 24 * USEC_PER_HOUR, 24 * USEC_PER_HOUR, 0, 'd', 0 },
		{ 2920 * 24 * USEC_PER_HOUR, 8760 * USEC_PER_HOUR, 24 * USEC_PER_HOUR, 'y', 'd' },
		{ USEC_INFINITY, 8760 * USEC_PER_HOUR, 0, 'y', 0 },
	};
	size_t i = 0;
	while (i + 1 < ARRAY_SIZE(rows) && span >= rows[i].below)
		i++;
	unsigned long long n = span / rows[i].unit;
	unsigned long long m = rows[i].sub ? span % rows[i].unit / rows[i].sub : 0;
	if (m)
		snprintf(buf, CLOCK_TEXT_MAX, "%llu%c%llu%c", n, rows[i].name, m, rows[i].sub_name);
	else
		snprintf(buf, CLOCK_TEXT_MAX, "%llu%c", n, rows[i].name);
	return buf;
}

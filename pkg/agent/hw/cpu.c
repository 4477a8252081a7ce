/* /proc/cpuinfo is read as keys and values of its first processor; architectures name the same
 * things differently. Sockets are counted by the package numbers in sysfs. */

#include "agent/hw/cpu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hw/dmi.h"
#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

enum { FLAGS_MAX = 512, PACKAGES_MAX = 1024 };

struct cpuinfo {
	int64_t count;
	char *model, *flags, *mhz;
};

static void cpuinfo_done(struct cpuinfo *c)
{
	free(c->model);
	free(c->flags);
	free(c->mhz);
}

/* arm64 says Model and Features where x86 says model name and flags. */
static void take_line(void *data, char *line)
{
	struct cpuinfo *c = data;
	char *colon = strchr(line, ':');
	if (!colon)
		return;
	char *value = colon + 1 + strspn(colon + 1, " \t");
	for (*colon = '\0'; colon > line && isspace((unsigned char)colon[-1]);)
		*--colon = '\0';
	/* s390 says "processor 0: version = …" */
	if (streq(line, "processor") || str_has_prefix(line, "processor "))
		c->count++;
	else if (!c->model && (streq(line, "model name") || streq(line, "Model")))
		c->model = hw_clean(xstrdup(value));
	else if (!c->flags && (streq(line, "flags") || streq(line, "Features")))
		c->flags = hw_clean(xstrdup(value));
	else if (!c->mhz && streq(line, "cpu MHz"))
		c->mhz = hw_clean(xstrdup(value));
}

static int64_t count_sockets(const char *root)
{
	uint64_t seen[PACKAGES_MAX];
	size_t count = 0;
	struct hw_names names = hw_list(root, "/sys/devices/system/cpu");
	for (size_t i = 0; i < names.count; i++) {
		uint64_t id;
		if (!str_has_prefix(names.items[i], "cpu") ||
		    !hw_read_u64(root, &id,
				 "/sys/devices/system/cpu/%s/topology/physical_package_id",
				 names.items[i]))
			continue;
		size_t n = 0;
		while (n < count && seen[n] != id)
			n++;
		if (n == count && count < PACKAGES_MAX)
			seen[count++] = id;
	}
	hw_names_done(&names);
	return (int64_t)count;
}

/* The highest the processor can, else what it does now: "3500.0000". */
static char *frequency(const char *root, const struct cpuinfo *c)
{
	uint64_t khz;
	if (hw_read_u64(root, &khz, "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
		return xasprintf("%.4f", (double)khz / 1000);
	return c->mhz ? xasprintf("%.4f", strtod(c->mhz, NULL)) : xstrdup("");
}

/* A list of texts, as consumers search it. */
static struct json *split_flags(const char *flags)
{
	struct json *list = json_new_array();
	_cleanup_(freep) char *copy = xstrdup(str_or(flags, ""));
	char *save = NULL;
	for (char *f = strtok_r(copy, " ", &save); f && json_count(list) < FLAGS_MAX;
	     f = strtok_r(NULL, " ", &save))
		json_append(list, json_new_string(f));
	return list;
}

struct json *hw_cpu_json(const char *root, const char *machine)
{
	_cleanup_(cpuinfo_done) struct cpuinfo c = { 0 };
	struct json *j = json_new_object();
	/* Of any length: with a thousand processors it has megabytes. */
	hw_each_line(root, take_line, &c, "/proc/cpuinfo");
	_cleanup_(freep) char *mhz = frequency(root, &c);
	json_set(j, "model_name", json_new_string(c.model));
	json_set_string(j, "frequency", mhz);
	json_set_int(j, "count", c.count);
	json_set_string(j, "architecture", machine);
	json_set(j, "flags", split_flags(c.flags));
	json_set_int(j, "socket_count", count_sockets(root));
	return j;
}

/* --- memory ---------------------------------------------------------------------------------- */

static uint64_t meminfo_total(const char *root)
{
	_cleanup_(freep) char *text = hw_read(root, "/proc/meminfo");
	unsigned long long kb = 0;
	const char *line = text ? strstr(text, "MemTotal:") : NULL;
	if (line)
		(void)sscanf(line, "MemTotal: %llu kB", &kb);
	return kb * 1024;
}

struct json *hw_memory_json(const char *root)
{
	size_t len = 0;
	_cleanup_(freep) uint8_t *table = hw_read_bytes(root, &len, "/sys/firmware/dmi/tables/DMI");
	uint64_t physical = table ? dmi_memory_mb(table, len) : 0;
	struct json *j = json_new_object();
	json_set_int(j, "total", (int64_t)meminfo_total(root));
	json_set(j, "physical_mb", physical ? json_new_int((int64_t)physical) : json_new_null());
	return j;
}

/* What /proc tells of this process, by the names that Prometheus's client libraries use. A figure
 * that cannot be read keeps its last value: it is no reason to fail a scrape. The process cannot be
 * dumped (sandbox), so its files in /proc are root's; so are we. any thread */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "metrics/metrics.h"

static bool read_file(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	fclose(f);
	return n > 0;
}

/* Seconds since the epoch at which the machine started; 0: unknown. */
static double boot_time(void)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long long s = 0;
	size_t size = 0;
	char *line = NULL; /* that of interrupts is long */
	while (f && s == 0 && getline(&line, &size, f) > 0)
		if (sscanf(line, "btime %llu", &s) != 1)
			s = 0;
	free(line);
	if (f)
		fclose(f);
	return (double)s;
}

static void measure_stat(void)
{
	char text[1024];
	unsigned long long user, system, start, virtual_bytes;
	long long resident;
	/* The name, in parentheses, may hold anything: fields count from the last one. */
	const char *p = read_file("/proc/self/stat", text, sizeof(text)) ? strrchr(text, ')')
									 : NULL;
	if (!p || sscanf(p,
			 ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
			 "%*d %*d %llu %llu %lld",
			 &user, &system, &start, &virtual_bytes, &resident) != 5)
		return;
	double tick = (double)sysconf(_SC_CLK_TCK);
	metric_set(METRIC_PROCESS_CPU, (double)(user + system) / tick);
	metric_set(METRIC_PROCESS_START, boot_time() + (double)start / tick);
	metric_set(METRIC_PROCESS_VIRTUAL, (double)virtual_bytes);
	metric_set(METRIC_PROCESS_RESIDENT, (double)resident * (double)sysconf(_SC_PAGESIZE));
}

static void measure_descriptors(void)
{
	char text[4096];
	unsigned long long limit;
	const char *line = read_file("/proc/self/limits", text, sizeof(text))
				   ? strstr(text, "Max open files")
				   : NULL;
	if (line && sscanf(line, "Max open files %llu", &limit) == 1)
		metric_set(METRIC_PROCESS_FDS_MAX, (double)limit);
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return;
	double count = -1; /* the one that reads the directory */
	for (const struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	closedir(d);
	metric_set(METRIC_PROCESS_FDS, count);
}

void metrics_measure_process(void)
{
	measure_stat();
	measure_descriptors();
}

/* Readers of one-value files. Every path is made of the root and a format, so that no caller puts
 * paths together by hand. Blocking, any thread. */

#include "agent/hw/sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static bool make_path(char out[PATH_MAX], const char *root, const char *fmt, va_list ap)
{
	int n = snprintf(out, PATH_MAX, "%s", root);
	int m = vsnprintf(out + n, (size_t)(PATH_MAX - n), fmt, ap);
	return n + m < PATH_MAX;
}

/* Fills `path` from the arguments that follow `fmt`. */
#define PATH_FROM(path, root, fmt)                                                                 \
	char path[PATH_MAX];                                                                       \
	va_list ap;                                                                                \
	va_start(ap, fmt);                                                                         \
	bool path##_fits = make_path(path, root, fmt, ap);                                         \
	va_end(ap)

/* Sizes in sysfs are a lie (4096 for all), so files are read until they end. */
static uint8_t *load(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	char buf[16384];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0 && out.len + (size_t)n <= HW_FILE_MAX)
		strbuf_add(&out, buf, (size_t)n);
	close(fd);
	/* Drivers answer EIO or EINVAL for what the hardware does not have. */
	return n < 0 ? NULL : (uint8_t *)strbuf_take(&out, ret_len);
}

uint8_t *hw_read_bytes(const char *root, size_t *ret_len, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	return path_fits ? load(path, ret_len) : NULL;
}

char *hw_clean(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return text;
}

static char *load_text(const char *path)
{
	size_t len = 0;
	_cleanup_(freep) char *text = (char *)load(path, &len);
	if (!text)
		return NULL;
	char *start = text, *end = text + strlen(text);
	while (isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	return end > start ? xstrndup(start, (size_t)(end - start)) : NULL;
}

char *hw_read(const char *root, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	return path_fits ? load_text(path) : NULL;
}

void hw_each_line(const char *root, void (*fn)(void *data, char *line), void *data, const char *fmt,
		  ...)
{
	PATH_FROM(path, root, fmt);
	FILE *f = path_fits ? fopen(path, "re") : NULL;
	_cleanup_(freep) char *line = NULL;
	size_t cap = 0;
	while (f && getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		fn(data, line);
	}
	if (f)
		fclose(f);
}

bool hw_read_u64(const char *root, uint64_t *ret, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	_cleanup_(freep) char *text = path_fits ? load_text(path) : NULL;
	return text && parse_u64(text, UINT64_MAX, ret) == 0;
}

uint64_t hw_peak_memory(const char *root)
{
	_cleanup_(freep) char *status = hw_read(root, "/proc/self/status");
	const char *line = status ? strstr(status, "VmHWM:") : NULL;
	return line ? strtoull(line + strlen("VmHWM:"), NULL, 10) * 1024 : 0;
}

bool hw_exists(const char *root, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	return path_fits && access(path, F_OK) == 0;
}

static char *read_link(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	return n > 0 ? xstrndup(target, (size_t)n) : NULL;
}

char *hw_link(const char *root, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	return path_fits ? read_link(path) : NULL;
}

char *hw_link_name(const char *root, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	_cleanup_(freep) char *target = path_fits ? read_link(path) : NULL;
	const char *slash = target ? strrchr(target, '/') : NULL;
	return target ? xstrdup(slash ? slash + 1 : target) : NULL;
}

/* Kernel names end in numbers without leading zeros. */
static int by_version(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

struct hw_names hw_list(const char *root, const char *fmt, ...)
{
	PATH_FROM(path, root, fmt);
	struct hw_names names = { 0 };
	DIR *dir = path_fits ? opendir(path) : NULL;
	if (!dir)
		return names;
	for (struct dirent *d; (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		names.items = xreallocarray(names.items, names.count + 1, sizeof(*names.items));
		names.items[names.count++] = xstrdup(d->d_name);
	}
	closedir(dir);
	if (names.count > 1)
		qsort(names.items, names.count, sizeof(*names.items), by_version);
	return names;
}

void hw_names_done(struct hw_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
	*n = (struct hw_names){ 0 };
}

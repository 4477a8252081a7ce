/* cpio archives of the "newc" kind, by the kernel's early-userspace/buffer-format: 110 bytes of
 * header in upper-case hex, the name with its NUL, the data, each padded to four bytes. Pure. */

#include "wire/cpio.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ARCHIVE_ALIGN = 512 };

#define TRAILER "TRAILER!!!"

void cpio_done(struct cpio *c)
{
	strbuf_done(&c->out);
	c->last_ino = 0;
}

static void pad(struct cpio *c, size_t to)
{
	while (c->out.len % to != 0)
		strbuf_addc(&c->out, '\0');
}

static void add(struct cpio *c, const char *path, unsigned mode, unsigned links, const void *data,
		size_t len)
{
	/* ino mode uid gid nlink mtime filesize, device and rdevice numbers, namesize, check. */
	uint32_t fields[] = {
		mode ? ++c->last_ino : 0,   mode, 0, 0, links, 0, (uint32_t)len, 0, 0, 0, 0,
		(uint32_t)strlen(path) + 1, 0,
	};
	if (len > UINT32_MAX / 2)
		abort(); /* the format has 32 bits; what comes here is small and ours */
	strbuf_adds(&c->out, "070701");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		strbuf_addf(&c->out, "%08X", fields[i]);
	strbuf_add(&c->out, path, strlen(path) + 1);
	pad(c, 4);
	if (len > 0)
		strbuf_add(&c->out, data, len);
	pad(c, 4);
}

void cpio_add_dir(struct cpio *c, const char *path, unsigned mode)
{
	add(c, path, S_IFDIR | mode, 2, NULL, 0);
}

void cpio_add_file(struct cpio *c, const char *path, unsigned mode, const void *data, size_t len)
{
	add(c, path, S_IFREG | mode, 1, data, len);
}

void cpio_add_link(struct cpio *c, const char *path, const char *target)
{
	add(c, path, S_IFLNK | 0777, 1, target, strlen(target));
}

char *cpio_take(struct cpio *c, size_t *ret_len)
{
	add(c, TRAILER, 0, 1, NULL, 0);
	pad(c, ARCHIVE_ALIGN);
	c->last_ino = 0;
	return strbuf_take(&c->out, ret_len);
}

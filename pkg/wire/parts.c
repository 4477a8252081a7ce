/* See parts.h. Reading blocks where a file's pages are not in memory. Pure but for that. */

#include "wire/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct file {
	int fd;
	uint64_t size;
};

static struct part file_at(void *data, uint64_t offset)
{
	const struct file *f = data;
	return (struct part){ .len = f->size - offset, .fd = f->fd, .offset = offset };
}

static void file_release(void *data)
{
	struct file *f = data;
	close(f->fd);
	free(f);
}

struct parts parts_of_file(int fd, uint64_t size)
{
	struct file *f = xmalloc(sizeof(*f));
	*f = (struct file){ fd, size };
	return (struct parts){ .size = size, .at = file_at, .release = file_release, .data = f };
}

static int read_file(const struct part *p, uint8_t *out, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(p->fd, out + done, len - done, (off_t)(p->offset + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

ssize_t parts_read(const struct parts *p, uint64_t offset, void *out, size_t len)
{
	if (offset > p->size)
		return -EINVAL;
	size_t want = (size_t)MIN((uint64_t)len, p->size - offset);
	for (size_t done = 0; done < want;) {
		struct part part = p->at(p->data, offset + done);
		size_t n = (size_t)MIN(part.len, (uint64_t)(want - done));
		int r = n == 0 ? -EIO : 0;
		if (part.bytes)
			memcpy((uint8_t *)out + done, part.bytes, n);
		else if (r == 0)
			r = read_file(&part, (uint8_t *)out + done, n);
		if (r < 0)
			return r;
		done += n;
	}
	return (ssize_t)want;
}

void parts_release(struct parts *p)
{
	if (p->release)
		p->release(p->data);
	*p = (struct parts){ 0 };
}

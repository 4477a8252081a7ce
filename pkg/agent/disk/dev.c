/* Block devices: aligned fast paths with a bounce buffer behind them for everything else. Zeroing
 * asks the kernel (BLKZEROOUT, fallocate), which asks the device, so that an empty terabyte costs
 * what the hardware makes it cost. Owns nothing but its descriptor. Blocking; see dev.h for
 * threads. */

#include "agent/disk/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { ZERO_CHUNK = 256 * 1024 * 1024, OPEN_TRIES_WAIT_MS = 1000 };

void *disk_alloc(size_t size)
{
	void *p = NULL;
	if (posix_memalign(&p, DISK_ALIGN, size) != 0)
		abort();
	memset(p, 0, size);
	return p;
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_flags(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	/* tmpfs and some network file systems know no direct I/O. */
	return fd < 0 && errno == EINVAL ? open(path, flags | O_CLOEXEC) : fd;
}

static int probe(struct disk_dev *d)
{
	struct stat st;
	if (fstat(d->fd, &st) < 0)
		return -errno;
	d->block = S_ISBLK(st.st_mode);
	d->size = (uint64_t)st.st_size;
	d->sector = 512;
	if (!d->block)
		return S_ISREG(st.st_mode) ? 0 : -ENOTBLK;
	int sector = 0;
	if (ioctl(d->fd, BLKGETSIZE64, &d->size) < 0 || ioctl(d->fd, BLKSSZGET, &sector) < 0)
		return -errno;
	d->sector = (uint32_t)sector;
	return 0;
}

static int is_block(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

int disk_dev_open(const char *path, bool writable, struct disk_dev *ret, struct err *err)
{
	int exclusive = writable && is_block(path) ? O_EXCL : 0;
	struct disk_dev d = { .writable = writable };
	d.fd = open_flags(path, (writable ? O_RDWR : O_RDONLY) | exclusive);
	int r = d.fd < 0 ? -errno : probe(&d);
	if (r == -EBUSY)
		return err_set(err, ERR_BUSY, "%s is in use (mounted, or part of an array)", path);
	if (r == 0 && d.size == 0)
		r = -ENOMEDIUM;
	if (r < 0) {
		if (d.fd >= 0)
			close(d.fd);
		return err_set_errno(err, r, "cannot open %s", path);
	}
	d.path = xstrdup(path);
	*ret = d;
	return 0;
}

int disk_dev_open_wait(const char *path, unsigned tries, struct disk_dev *ret, struct err *err)
{
	for (unsigned i = 1;; i++) {
		int r = disk_dev_open(path, true, ret, err);
		if (r != -EBUSY || i >= tries)
			return r;
		/* The kernel does not report when the last holder of a device closes it. */
		(void)poll(NULL, 0, OPEN_TRIES_WAIT_MS);
	}
}

void disk_dev_close(struct disk_dev *d)
{
	if (d->path && d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = (struct disk_dev){ .fd = -1 };
}

/* --- reading and writing --------------------------------------------------------------------- */

static int check_range(const struct disk_dev *d, uint64_t offset, uint64_t len, struct err *err)
{
	if (offset <= d->size && len <= d->size - offset)
		return 0;
	return err_set(err, ERR_LIMIT, "%s ends at byte %llu; %llu bytes at %llu do not fit",
		       d->path, (unsigned long long)d->size, (unsigned long long)len,
		       (unsigned long long)offset);
}

static int read_all(const struct disk_dev *d, uint64_t offset, void *buf, size_t len,
		    struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(d->fd, (char *)buf + done, len - done, (off_t)(offset + done));
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return err_set(err, ERR_IO, "%s ended while it was read", d->path);
		else if (errno != EINTR)
			return err_set_errno(err, errno, "cannot read %s at byte %llu", d->path,
					     (unsigned long long)offset + done);
	}
	return 0;
}

static int write_all(const struct disk_dev *d, uint64_t offset, const void *buf, size_t len,
		     struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(d->fd, (const char *)buf + done, len - done,
				   (off_t)(offset + done));
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return err_set_errno(err, errno, "cannot write %s at byte %llu", d->path,
					     (unsigned long long)offset + done);
	}
	return 0;
}

static bool is_aligned(uint64_t offset, const void *buf, size_t len)
{
	return ((offset | (uintptr_t)buf | len) & (DISK_ALIGN - 1)) == 0;
}

/* The bounce window around a range: whole DISK_ALIGN units, cut at the end of the device. */
struct window {
	uint64_t start;
	size_t len, skip;
	uint8_t *bytes;
};

static void window_done(struct window *w)
{
	free(w->bytes);
}

static struct window window_open(const struct disk_dev *d, uint64_t offset, size_t len)
{
	uint64_t start = offset & ~(uint64_t)(DISK_ALIGN - 1);
	uint64_t end = (offset + len + DISK_ALIGN - 1) & ~(uint64_t)(DISK_ALIGN - 1);
	struct window w = { .start = start, .skip = (size_t)(offset - start) };
	w.len = (size_t)(MIN(end, d->size) - start);
	w.bytes = disk_alloc((size_t)(end - start));
	return w;
}

int disk_dev_read(const struct disk_dev *d, uint64_t offset, void *buf, size_t len, struct err *err)
{
	int r = check_range(d, offset, len, err);
	if (r < 0 || len == 0)
		return r;
	if (is_aligned(offset, buf, len))
		return read_all(d, offset, buf, len, err);
	_cleanup_(window_done) struct window w = window_open(d, offset, len);
	r = read_all(d, w.start, w.bytes, w.len, err);
	if (r == 0)
		memcpy(buf, w.bytes + w.skip, len);
	return r;
}

int disk_dev_write(const struct disk_dev *d, uint64_t offset, const void *buf, size_t len,
		   struct err *err)
{
	int r = check_range(d, offset, len, err);
	if (r < 0 || len == 0)
		return r;
	if (is_aligned(offset, buf, len))
		return write_all(d, offset, buf, len, err);
	_cleanup_(window_done) struct window w = window_open(d, offset, len);
	if (w.skip != 0 || w.len != len)
		r = read_all(d, w.start, w.bytes, w.len, err);
	if (r < 0)
		return r;
	memcpy(w.bytes + w.skip, buf, len);
	return write_all(d, w.start, w.bytes, w.len, err);
}

/* --- zeros ----------------------------------------------------------------------------------- */

static int zero_by_kernel(const struct disk_dev *d, uint64_t offset, uint64_t len)
{
	if (d->block) {
		uint64_t range[2] = { offset, len };
		return ioctl(d->fd, BLKZEROOUT, range) == 0 ? 0 : -errno;
	}
	if (fallocate(d->fd, FALLOC_FL_ZERO_RANGE, (off_t)offset, (off_t)len) == 0)
		return 0;
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return fallocate(d->fd, mode, (off_t)offset, (off_t)len) == 0 ? 0 : -errno;
}

static int zero_by_writing(const struct disk_dev *d, uint64_t offset, uint64_t len, struct err *err)
{
	_cleanup_(freep) void *zeros = disk_alloc(DISK_BLOCK);
	int r = 0;
	while (len > 0 && r == 0) {
		/* The first piece ends on a boundary, so that the rest is aligned. */
		uint64_t to_boundary = DISK_BLOCK - offset % DISK_BLOCK;
		size_t n = (size_t)MIN(len, to_boundary);
		r = disk_dev_write(d, offset, zeros, n, err);
		offset += n;
		len -= n;
	}
	return r;
}

int disk_dev_zero(const struct disk_dev *d, uint64_t offset, uint64_t len, struct err *err)
{
	int r = check_range(d, offset, len, err);
	while (r == 0 && len > 0) {
		uint64_t n = MIN(len, (uint64_t)ZERO_CHUNK);
		bool whole = (offset | n) % d->sector == 0;
		if (!whole || zero_by_kernel(d, offset, n) < 0)
			r = zero_by_writing(d, offset, n, err);
		offset += n;
		len -= n;
	}
	return r;
}

int disk_dev_flush(const struct disk_dev *d, struct err *err)
{
	return fsync(d->fd) < 0 ? err_set_errno(err, errno, "cannot flush %s", d->path) : 0;
}

void disk_dev_reread(const struct disk_dev *d)
{
	/* Files have no partitions, and a kernel without the driver has no use for them. */
	if (d->block)
		(void)ioctl(d->fd, BLKRRPART);
}

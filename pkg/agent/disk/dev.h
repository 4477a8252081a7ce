#pragma once
/* A block device (or, in tests, a regular file) opened for whole-disk work: O_DIRECT where the file
 * system has it, O_EXCL on block devices, so that what is mounted or part of an array is refused.
 * Blocking; any thread, one at a time per object, except that writes of different ranges may run in
 * parallel. */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"

enum {
	DISK_ALIGN = 4096,	  /* of buffers, offsets and lengths on the fast path */
	DISK_BLOCK = 1024 * 1024, /* of the image pipeline */
};

struct disk_dev {
	int fd; /* -1: closed */
	char *path;
	uint64_t size;	 /* bytes */
	uint32_t sector; /* logical: 512 or 4096 */
	bool block;	 /* a block device, not a file */
	bool writable;
};

int disk_dev_open(const char *path, bool writable, struct disk_dev *ret, struct err *err);
/* As disk_dev_open, and tries for 20 s (1 s apart) while something else holds the device. */
int disk_dev_open_wait(const char *path, unsigned tries, struct disk_dev *ret, struct err *err);
void disk_dev_close(struct disk_dev *d);

/* Any offset and length inside the device. */
int disk_dev_read(const struct disk_dev *d, uint64_t offset, void *buf, size_t len,
		  struct err *err);
/* Fast when offset, length and buffer are multiples of DISK_ALIGN; else sectors are read first. */
int disk_dev_write(const struct disk_dev *d, uint64_t offset, const void *buf, size_t len,
		   struct err *err);
/* By the device's own command where it has one, else by writing zeros. */
int disk_dev_zero(const struct disk_dev *d, uint64_t offset, uint64_t len, struct err *err);
int disk_dev_flush(const struct disk_dev *d, struct err *err);
/* Lets the kernel see the new partitions; quiet for files and busy devices. */
void disk_dev_reread(const struct disk_dev *d);

/* Zeroed, DISK_ALIGN-aligned; free() releases it. */
void *disk_alloc(size_t size);

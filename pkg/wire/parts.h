#pragma once
/* Bytes that lie in several places, as one body: in memory, in open files. Constant: any thread may
 * read them, at any offset, at the same time as others. */

#include <stdint.h>
#include <sys/types.h>

/* A run that comes from one place. */
struct part {
	uint64_t len;	   /* 0: nothing is there */
	const void *bytes; /* NULL: of a file */
	int fd;
	uint64_t offset; /* in the file */
};

struct parts {
	uint64_t size;
	/* The part that begins at `offset`, which is below the size: up to the end of what it comes
	 * from, not of what is asked for. Borrowed until the release. */
	struct part (*at)(void *data, uint64_t offset);
	void (*release)(void *data); /* once; from any thread. NULL: nothing is to be released */
	void *data;
};

/* An open file up to `size`; the release closes it. */
struct parts parts_of_file(int fd, uint64_t size);
/* At most `len` bytes from `offset`; returns how many: fewer only at the end. -EIO when a file has
 * become shorter. */
ssize_t parts_read(const struct parts *p, uint64_t offset, void *out, size_t len);
void parts_release(struct parts *p); /* leaves it empty */

#pragma once
/* Writes an image to a disk: socket → unpack → decode → disk, hashed on the way.
 *
 * disk_image_write() blocks and is the decoder's thread; three more run below it: the download
 * (with an event loop of its own), the digest, the disk writer. Memory: 4 MiB between socket and
 * decoder, 4 MiB before the disk, about 1 MiB withheld, and memory_limit for decompressor and qcow2
 * map. */

#include <stdatomic.h>
#include <stdbool.h>

#include "agent/disk/fetch.h"
#include "agent/disk/format.h"
#include "agent/disk/sums.h"

enum { DISK_IMAGE_MEMORY = 36 * 1024 * 1024, DISK_IMAGE_RING = 4 };

/* memory_limit for a machine that has so much to give: half of it, and DISK_IMAGE_MEMORY at least,
 * as on a machine that does not say. A limit, not a reservation: what needs less takes less. */
size_t disk_image_memory(uint64_t free_bytes);

/* Which side is to blame: what the protocol calls the type of an error. */
enum disk_fault {
	DISK_FAULT_NONE,
	DISK_FAULT_REQUEST, /* the order makes no sense */
	DISK_FAULT_DOWNLOAD,
	DISK_FAULT_IMAGE, /* what came is not what we can write */
	DISK_FAULT_CHECKSUM,
	DISK_FAULT_DEVICE,
	_DISK_FAULT_MAX,
};

enum disk_phase {
	DISK_PHASE_IDLE,
	DISK_PHASE_PROBE, /* looking at the image: nothing is written yet */
	DISK_PHASE_WRITE,
	DISK_PHASE_VERIFY,
	DISK_PHASE_FINISH, /* partition table, config drive */
	DISK_PHASE_ERASE,
	_DISK_PHASE_MAX,
};

/* The last attempt to read failed, and another will be made. */
struct disk_trouble {
	unsigned attempt, attempts; /* 0: none */
	char text[320];
};

/* Any thread may look. */
struct disk_progress {
	_Atomic int phase;
	_Atomic uint64_t received;   /* bytes of the image as served */
	_Atomic uint64_t total;	     /* 0: unknown */
	_Atomic uint64_t written;    /* to the disk, zeros included */
	_Atomic bool cancel;	     /* set it to give up */
	struct disk_trouble trouble; /* by the two functions below */
};

/* any thread; NULL or "": none */
void disk_progress_tell(struct disk_progress *p, unsigned attempt, unsigned attempts,
			const char *trouble);
struct disk_trouble disk_progress_trouble(struct disk_progress *p); /* any thread */

const char *disk_phase_name(int phase);

struct disk_image_options {
	struct disk_fetch_options fetch;
	struct disk_sum_spec sum;
	const char *device;
	const char *format;		/* as declared; NULL or "": by content */
	const char *const *permitted;	/* formats that the server allows; NULL: all */
	size_t memory_limit;		/* 0: DISK_IMAGE_MEMORY */
	struct disk_progress *progress; /* may be NULL */
};

struct disk_image_result {
	enum disk_format format;
	uint64_t served_bytes, written_bytes;
	uint32_t disk_id; /* of the MBR */
	bool gpt;
};

int disk_image_write(const struct disk_image_options *options, struct disk_image_result *ret,
		     enum disk_fault *ret_fault, struct err *err);

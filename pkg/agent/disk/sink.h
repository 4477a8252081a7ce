#pragma once
/* The disk's side of an image write: aligned buffers, a writer thread, zero ranges, and the
 * withheld parts. What makes a disk bootable (the first mebibyte with sector 0 and the primary GPT,
 * the backup GPT header of the image, the end of the disk) is kept in memory and written by
 * disk_sink_commit() alone, after the hash matched.
 *
 * One thread calls; the sink's own thread writes. Errors of the writer come out of the next call.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "agent/disk/dev.h"

enum {
	DISK_SINK_BUFFERS = 4,
	DISK_SINK_HEAD = DISK_BLOCK, /* withheld at the start */
	DISK_SINK_TAIL = 64 * 1024,  /* withheld at the end of the disk */
};

struct disk_sink;

/* `written` counts bytes written and zeroed; may be NULL. */
int disk_sink_open(struct disk_dev *dev, _Atomic uint64_t *written, struct disk_sink **ret,
		   struct err *err);
/* Without commit the withheld parts are lost, as they must be. */
struct disk_sink *disk_sink_close(struct disk_sink *s);

/* Withholds the `len` bytes around `offset` too. Before anything is written there. */
void disk_sink_withhold(struct disk_sink *s, uint64_t offset, size_t len);

/* Room in the buffer for bytes at `offset`, NULL after an error. */
uint8_t *disk_sink_space(struct disk_sink *s, uint64_t offset, size_t *ret_room, struct err *err);
/* n bytes were put there. */
void disk_sink_advance(struct disk_sink *s, size_t n);
/* Copies. */
int disk_sink_put(struct disk_sink *s, uint64_t offset, const void *data, size_t len,
		  struct err *err);
/* Writes at once, in the caller's thread, without a copy where data is aligned. */
int disk_sink_write(struct disk_sink *s, uint64_t offset, const void *data, size_t len,
		    struct err *err);
int disk_sink_zero(struct disk_sink *s, uint64_t offset, uint64_t len, struct err *err);
/* Waits until all but the withheld parts is on the device. */
int disk_sink_drain(struct disk_sink *s, struct err *err);

/* The withheld head, DISK_SINK_HEAD bytes (fewer on a smaller device). */
const uint8_t *disk_sink_head(const struct disk_sink *s, size_t *ret_len);
/* Everything else is flushed first; then the head, its first sectors last. */
int disk_sink_commit(struct disk_sink *s, struct err *err);

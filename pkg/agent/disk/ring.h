#pragma once
/* The blocks between the socket and its two readers, the digest and the decoder: a ring of aligned
 * buffers with one producer. A block is free again when both have let go of it, so that the bytes
 * are copied once (out of the socket) and never again for a raw image. */

#include <stdbool.h>

#include "agent/disk/dev.h"
#include "base/err.h"
#include "base/macro.h"

enum disk_reader { DISK_READER_HASH, DISK_READER_DECODE, _DISK_READER_MAX };

struct disk_ring;

/* `space` is called (on a consumer's thread) when a full ring has room again. */
struct disk_ring *disk_ring_new(size_t blocks, void (*space)(void *data), void *data);
struct disk_ring *disk_ring_free(struct disk_ring *r);

/* --- producer: never blocks ------------------------------------------------------------------ */

/* Takes up to len bytes; returns how many. Fewer than len: full, `space` will be called. */
size_t disk_ring_put(struct disk_ring *r, const void *data, size_t len);
/* No more bytes. err NULL: the stream is complete. */
void disk_ring_end(struct disk_ring *r, const struct err *err);

/* --- consumers: block ------------------------------------------------------------------------ */

/* The next block in place, DISK_BLOCK bytes but for the last. 1: a block; 0: end of the stream;
 * negative: the producer's error, or the ring was aborted. */
int disk_ring_next(struct disk_ring *r, enum disk_reader reader, const uint8_t **ret,
		   size_t *ret_len, struct err *err);
void disk_ring_release(struct disk_ring *r, enum disk_reader reader);
/* Everybody's next call fails with ERR_CANCELLED. any thread */
void disk_ring_abort(struct disk_ring *r);

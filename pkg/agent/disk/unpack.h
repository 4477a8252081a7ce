#pragma once
/* Streaming decompression of images wrapped in gzip, xz or zstd, found by their magic bytes, and of
 * the compressed clusters of qcow2. Memory is bounded: what needs more than the limit is refused
 * when its header is read, before anything is written. any thread, one at a time per object */

#include "base/err.h"
#include "base/macro.h"
#include "wire/qcow2.h"

enum disk_packing { DISK_PLAIN, DISK_GZIP, DISK_XZ, DISK_ZSTD };

struct disk_unpack;

enum disk_packing disk_packing_detect(const void *data, size_t len);
const char *disk_packing_name(enum disk_packing p); /* "gzip"; "" for plain */

/* So many bytes come out at least, by what stands in the stream's head; 0: it does not say. */
uint64_t disk_unpack_least(enum disk_packing p, const void *head, size_t len);

/* Plain has no unpacker. */
struct disk_unpack *disk_unpack_new(enum disk_packing p, size_t memory_limit);
struct disk_unpack *disk_unpack_free(struct disk_unpack *u);
void disk_unpack_freep(struct disk_unpack **u);
/* Consumes from *in, fills out; *ret_out may be 0 when more input is needed. */
int disk_unpack_step(struct disk_unpack *u, const uint8_t **in, size_t *in_len, uint8_t *out,
		     size_t out_len, size_t *ret_out, struct err *err);
/* After the last input: an error unless the stream was complete. Call until *ret_out is 0. */
int disk_unpack_finish(struct disk_unpack *u, uint8_t *out, size_t out_len, size_t *ret_out,
		       struct err *err);

/* Compressed clusters of a qcow2 image, one after the other. */
struct disk_uncluster;
struct disk_uncluster *disk_uncluster_new(enum qcow2_compression how);
struct disk_uncluster *disk_uncluster_free(struct disk_uncluster *u);
/* Exactly out_len bytes must come out; the input may be longer than the stream. */
int disk_uncluster_do(struct disk_uncluster *u, const void *in, size_t in_len, void *out,
		      size_t out_len, struct err *err);

#pragma once
/* Decoder of a qcow2 file that passes once, in order: clusters go to the sink as they come by. */

#include "agent/disk/qmap.h"
#include "agent/disk/sink.h"

struct disk_qdecode;

/* Borrows both. The map must hold the tables (pass 1), or at least the pending L1 table. */
struct disk_qdecode *disk_qdecode_new(struct disk_qmap *map, struct disk_sink *sink);
struct disk_qdecode *disk_qdecode_free(struct disk_qdecode *d);
int disk_qdecode_feed(struct disk_qdecode *d, const uint8_t *data, size_t len, struct err *err);
/* After the last byte: what has no data is zeroed. */
int disk_qdecode_finish(struct disk_qdecode *d, struct err *err);

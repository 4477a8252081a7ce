#pragma once
/* CRC-32 of IEEE 802.3 (reflected, 0xedb88320), as in GPT headers and gzip trailers. any thread */

#include <stddef.h>
#include <stdint.h>

/* `crc` is the value so far, 0 at the start. */
uint32_t crc32_add(uint32_t crc, const void *data, size_t len);

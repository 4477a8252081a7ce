#pragma once
/* gzip (RFC 1952) of config drives: deflate with the fixed codes. Smaller effort than zlib, but the
 * same bytes for the same input for ever, and nothing to link. any thread */

#include "base/str.h"

void configdrive_gzip(const void *data, size_t len, struct strbuf *out);

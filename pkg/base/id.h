#pragma once
/* Identifiers made from random bytes that the caller brings (loop_random), and checks of names.
 * any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum { UUID_TEXT_SIZE = 37 };

/* RFC 4122 version 4 from 16 random bytes; returns out. */
char *uuid_format(const uint8_t random[16], char out[UUID_TEXT_SIZE]);
/* Lower-case 8-4-4-4-12 form only. */
bool uuid_valid(const char *s);

/* Kubernetes names: RFC 1123 label (<= 63) and subdomain (<= 253). */
bool name_is_label(const char *s);
bool name_is_subdomain(const char *s);

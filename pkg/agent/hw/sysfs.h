#pragma once
/* Small files of /sys and /proc below a root: "" on a machine, a directory with a made-up tree in
 * tests. What cannot be read is absent; hardware differs, and no file is sure to be there. any
 * thread */

#include <stdbool.h>

#include "base/macro.h"

enum { HW_FILE_MAX = 1024 * 1024 };

/* Trimmed text, new; NULL when absent or empty. */
char *hw_read(const char *root, const char *fmt, ...) _printf_(2, 3);
/* Makes text of what hardware says about itself: all but printable ASCII becomes '?'. Returns it.
 */
char *hw_clean(char *text);
/* Any bytes, at most HW_FILE_MAX; NULL when absent. NUL-terminated beyond its length. */
uint8_t *hw_read_bytes(const char *root, size_t *ret_len, const char *fmt, ...) _printf_(3, 4);
/* Calls fn with each line of a file of any length, without its end; the line may be written to. */
void hw_each_line(const char *root, void (*fn)(void *data, char *line), void *data, const char *fmt,
		  ...) _printf_(4, 5);
bool hw_read_u64(const char *root, uint64_t *ret, const char *fmt, ...) _printf_(3, 4);
/* The most memory that this process ever had resident, in bytes; 0 when the kernel does not say. */
uint64_t hw_peak_memory(const char *root);
bool hw_exists(const char *root, const char *fmt, ...) _printf_(2, 3);
/* Last part of what a link points to, new; NULL. */
char *hw_link_name(const char *root, const char *fmt, ...) _printf_(2, 3);
/* What a link points to, as it stands there, new; NULL. */
char *hw_link(const char *root, const char *fmt, ...) _printf_(2, 3);

/* Names in a directory, without dot files, in the order of sd2 < sd10. */
struct hw_names {
	char **items;
	size_t count;
};

struct hw_names hw_list(const char *root, const char *fmt, ...) _printf_(2, 3);
void hw_names_done(struct hw_names *n);

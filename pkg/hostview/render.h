#pragma once
/* Views as text, for people and for scripts that read lines: no colours, columns aligned by blanks.
 * Pure. */

#include "base/str.h"
#include "hostview/view.h"

/* A table, one host a row; below a row, indented, its error and what to do. */
void render_table(const struct view *views, size_t count, bool namespaces, struct strbuf *out);
/* Below the table: machines that asked for a boot and belong to no host. NULL or empty: nothing. */
void render_strangers(const struct json *strangers, usec_t now, struct strbuf *out);
/* What is worth a line when it changes: state, step, percent, waits. Without time and newline. */
void render_line(const struct view *v, struct strbuf *out);
/* One page about one host. */
void render_page(const struct view *v, struct strbuf *out);

/* "[#####-----]  50%", "512.0 MB", "34.1 MB/s"; SI units, as disks and networks are sold. */
void render_bar(int64_t percent, struct strbuf *out);
void render_bytes(int64_t bytes, struct strbuf *out);

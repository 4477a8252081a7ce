/* The types of options that need nothing but this module (see options.h). Each reads one text,
 * strictly: no blanks, no signs or units that the range does not speak of, because a value that is
 * taken otherwise than it was meant shows only when a machine somewhere is treated by it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/options.h"

/* --- texts ------------------------------------------------------------------------------------ */

static int read_text(const struct option_row *row, const char *text, void *value, struct err *why)
{
	(void)row, (void)why;
	*(const char **)value = text;
	return 0;
}

static int read_texts(const struct option_row *row, const char *text, void *value, struct err *why)
{
	struct option_list *list = value;
	(void)row, (void)why;
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = text;
	return 0;
}

static void free_texts(void *value)
{
	struct option_list *list = value;
	free(list->items);
	*list = (struct option_list){ 0 };
}

static int read_path(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return *text ? read_text(row, text, value, why) : -EINVAL;
}

static int read_paths(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return *text ? read_texts(row, text, value, why) : -EINVAL;
}

enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };
_Static_assert(SOCKET_PATH_MAX == 107, "the noun of option_socket");

/* Empty: no socket. */
static int read_socket(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return strlen(text) <= SOCKET_PATH_MAX ? read_text(row, text, value, why) : -EINVAL;
}

static int read_label(const struct option_row *row, const char *text, void *value, struct err *why)
{
	return name_is_label(text) ? read_text(row, text, value, why) : -EINVAL;
}

static int read_subdomain(const struct option_row *row, const char *text, void *value,
			  struct err *why)
{
	return name_is_subdomain(text) ? read_text(row, text, value, why) : -EINVAL;
}

const struct option_type option_text = { .name = "text", .read = read_text };
const struct option_type option_texts = {
	.name = "text", .repeats = true, .read = read_texts, .done = free_texts
};
const struct option_type option_path = { .name = "path", .noun = "a path", .read = read_path };
const struct option_type option_paths = {
	.name = "path", .noun = "a path", .repeats = true, .read = read_paths, .done = free_texts
};
const struct option_type option_socket = { .name = "socket",
					   .noun = "a path of at most 107 bytes",
					   .read = read_socket };
const struct option_type option_label = { .name = "label",
					  .noun = "a name in Kubernetes",
					  .read = read_label };
const struct option_type option_subdomain = { .name = "subdomain",
					      .noun = "a name in Kubernetes",
					      .read = read_subdomain };

/* --- flags and choices ------------------------------------------------------------------------ */

static int read_flag(const struct option_row *row, const char *text, void *value, struct err *why)
{
	(void)row, (void)text, (void)why;
	*(bool *)value = true;
	return 0;
}

static int read_choice(const struct option_row *row, const char *text, void *value, struct err *why)
{
	(void)why;
	for (const struct option_choice *c = row->choices; c->name; c++)
		if (streq(c->name, text)) {
			*(int *)value = c->value;
			return 0;
		}
	return -EINVAL;
}

static int read_word(const struct option_row *row, const char *text, void *value, struct err *why)
{
	int number;
	int r = read_choice(row, text, &number, why);
	return r < 0 ? r : read_text(row, text, value, why);
}

static void range_of_choices(const struct option_row *row, struct strbuf *out)
{
	for (const struct option_choice *c = row->choices; c->name; c++)
		strbuf_addf(out, "%s%s",
			    c == row->choices ? ""
			    : c[1].name	      ? ", "
					      : " or ",
			    c->name);
}

const struct option_type option_flag = { .name = "flag", .flag = true, .read = read_flag };
const struct option_type option_choice = { .name = "choice",
					   .read = read_choice,
					   .range = range_of_choices };
const struct option_type option_word = { .name = "choice",
					 .read = read_word,
					 .range = range_of_choices };

/* --- numbers ---------------------------------------------------------------------------------- */

static int read_number(const struct option_row *row, const char *text, int64_t *ret)
{
	int64_t n;
	if (row->min >= 0 && text[0] == '-') /* "-0" as well */
		return -EINVAL;
	if (parse_i64(text, &n) < 0 || n < row->min || n > row->max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int read_integer(const struct option_row *row, const char *text, void *value,
			struct err *why)
{
	int64_t n;
	(void)why;
	int r = read_number(row, text, &n);
	if (r == 0)
		*(int *)value = (int)n;
	return r;
}

static int read_unsigned(const struct option_row *row, const char *text, void *value,
			 struct err *why)
{
	int64_t n;
	(void)why;
	int r = read_number(row, text, &n);
	if (r == 0)
		*(unsigned *)value = (unsigned)n;
	return r;
}

static int read_seconds(const struct option_row *row, const char *text, void *value,
			struct err *why)
{
	int64_t n;
	(void)why;
	int r = read_number(row, text, &n);
	if (r == 0)
		*(usec_t *)value = (usec_t)n * USEC_PER_SEC;
	return r;
}

static int read_port(const struct option_row *row, const char *text, void *value, struct err *why)
{
	int64_t n;
	(void)why;
	int r = read_number(row, text, &n);
	if (r == 0)
		*(uint16_t *)value = (uint16_t)n;
	return r;
}

static void range_of_numbers(const struct option_row *row, struct strbuf *out)
{
	strbuf_addf(out, "%lld to %lld", (long long)row->min, (long long)row->max);
}

const struct option_type option_integer = {
	.name = "integer", .noun = "a number", .read = read_integer, .range = range_of_numbers
};
const struct option_type option_unsigned = {
	.name = "unsigned", .noun = "a number", .read = read_unsigned, .range = range_of_numbers
};
const struct option_type option_seconds = { .name = "seconds",
					    .noun = "a number of seconds",
					    .read = read_seconds,
					    .range = range_of_numbers };
const struct option_type option_port = {
	.name = "port", .noun = "a port", .read = read_port, .range = range_of_numbers
};

/* The types of options that need nothing but this module (see options.h). Each reads one text,
 * strictly: no blanks, no signs or units that the range does not speak of, because a value that is
 * taken otherwise than it was meant shows only when a machine somewhere is treated by it. */

#include <arpa/inet.h>
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

/* --- IPv4 addresses --------------------------------------------------------------------------- */

static int parse_ipv4(const char *text, struct in_addr *ret)
{
	struct in_addr address;
	if (inet_pton(AF_INET, text, &address) != 1 || address.s_addr == 0)
		return -EINVAL;
	*ret = address;
	return 0;
}

static int read_ipv4(const struct option_row *row, const char *text, void *value, struct err *why)
{
	(void)row, (void)why;
	return parse_ipv4(text, value);
}

static int add_ipv4(const char *text, struct option_addresses *list)
{
	struct in_addr address;
	int r = parse_ipv4(text, &address);
	if (r < 0)
		return r;
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = address;
	return 0;
}

static int read_ipv4_repeat(const struct option_row *row, const char *text, void *value,
			    struct err *why)
{
	(void)row, (void)why;
	return add_ipv4(text, value);
}

static int read_ipv4_list(const struct option_row *row, const char *text, void *value,
			  struct err *why)
{
	struct option_addresses *list = value;
	for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		_cleanup_(freep) char *one = xstrndup(at, strcspn(at, ","));
		if (list->count == (size_t)row->max)
			return err_set(why, ERR_LIMIT, "\"%s\" is more than %d addresses", text,
				       (int)row->max);
		if (add_ipv4(one, list) < 0)
			return -EINVAL;
	}
	return 0;
}

static void free_addresses(void *value)
{
	struct option_addresses *list = value;
	free(list->items);
	*list = (struct option_addresses){ 0 };
}

const struct option_type option_ipv4 = { .name = "ipv4",
					 .noun = "an IPv4 address",
					 .read = read_ipv4 };
const struct option_type option_ipv4_repeat = { .name = "ipv4",
						.noun = "an IPv4 address",
						.repeats = true,
						.read = read_ipv4_repeat,
						.done = free_addresses };
const struct option_type option_ipv4_list = { .name = "ipv4-list",
					      .noun = "a list of IPv4 addresses such as "
						      "192.168.77.2,192.168.77.3",
					      .read = read_ipv4_list,
					      .done = free_addresses };
